/* Exports for writing: the stopped and fenced instance is opened in its form for writing, and QEMU's own NBD
 * server serves its disks. The guest never runs; what is written goes into the files at once. */
#include <stdlib.h>
#include <string.h>

#include "drivers/kvm/export.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/form.h"
#include "drivers/kvm/nbd.h"
#include "drivers/kvm/qmp.h"
#include "drivers/kvm/trial.h"

#define CREDENTIALS "yq-tls"

/* The names of QEMU's exports are "yq-PORT-DISK", port 0 for a socket, so that a later opener finds them. */
static const char *export_name(struct arena *arena, unsigned port, const char *target)
{
    return arena_printf(arena, "yq-%u-%s", port, target);
}

struct there {
    size_t count;
    unsigned port;
};

static struct error *look(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                          struct there *ret_there)
{
    json_t *exports, *export;
    size_t i;
    struct there there = {0};
    TRY(kvm_qmp(session, arena, domain, "query-block-exports", NULL, &exports));
    json_array_foreach (exports, i, export) {
        const char *id = json_string_value(json_object_get(export, "id"));
        if (!id || strncmp(id, "yq-", 3) != 0)
            continue;
        there.count++;
        there.port = (unsigned)strtoul(id + 3, NULL, 10);
    }
    *ret_there = there;
    return NULL;
}

static struct error *start_server(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                                  const struct kvm_nbd *nbd)
{
    json_t *arguments = json_pack("{s:o}", "addr", kvm_nbd_address(nbd));
    if (!nbd->socket) {
        json_t *credentials =
            json_pack("{s:s, s:s, s:s, s:s, s:b}", "qom-type", "tls-creds-x509", "id", CREDENTIALS, "dir",
                      session->options.nbd_tls_server, "endpoint", "server", "verify-peer", 1);
        struct error *error = kvm_qmp(session, arena, domain, "object-add", credentials, NULL);
        if (error && !strstr(error_message(error), "duplicate")) {
            json_decref(arguments);
            return error;
        }
        error_free(error); /* there from an earlier attempt */
        json_object_set_new(arguments, "tls-creds", json_string(CREDENTIALS));
    }
    return kvm_qmp(session, arena, domain, "nbd-server-start", arguments, NULL);
}

/* A server of an attempt that was cut off is ended first. */
static struct error *serve_at(struct driver_session *session, struct arena *arena, struct kvm_served *served,
                              const struct kvm_nbd *nbd)
{
    error_ignore(
        kvm_qmp(session, arena, served->domain, "nbd-server-stop", NULL, NULL)); /* most often none */
    TRY(start_server(session, arena, served->domain, nbd));
    for (size_t i = 0; i < served->disk_count; i++) {
        const struct kvm_disk *disk = served->disks[i].disk;
        const char *node;
        if (!disk->alias)
            return error_new(ERR_UNAVAILABLE, "disk \"%s\" has no name in QEMU", disk->target);
        TRY(kvm_qmp_node(session, arena, served->domain, disk->alias, &node));
        json_t *arguments = json_pack("{s:s, s:s, s:s, s:s, s:b}", "type", "nbd", "id",
                                      export_name(arena, nbd->socket ? 0 : nbd->port, disk->target),
                                      "node-name", node, "name", disk->target, "writable", 1);
        TRY_DOING(kvm_qmp(session, arena, served->domain, "block-export-add", arguments, NULL),
                  "could not open disk \"%s\" for writing", disk->target);
    }
    return NULL;
}

static struct error *serve(struct driver_session *session, const struct driver_call *call,
                           const char *export_id, struct kvm_served *served, struct kvm_nbd *ret_nbd)
{
    struct there there;
    TRY(look(session, call->arena, served->domain, &there));
    if (there.count == served->disk_count)
        return kvm_nbd_at(session, call->arena, export_id, there.port, ret_nbd);
    struct error *error = NULL;
    for (unsigned attempt = 0; attempt < KVM_NBD_ATTEMPTS; attempt++) {
        error_free(error);
        TRY(kvm_nbd_choose(session, call->arena, export_id, attempt, ret_nbd));
        error = serve_at(session, call->arena, served, ret_nbd);
        if (!kvm_nbd_taken(error))
            break;
    }
    return error;
}

struct error *kvm_export_write_open(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_export_spec *spec, struct kvm_served *served,
                                    struct driver_export *ret_export)
{
    bool there = kvm_export_is_open(served, spec->id);
    if (there && (!served->live.mark.form || strcmp(served->live.mark.form, KVM_FORM_WRITE) != 0))
        return error_new(ERR_CONFLICT, "export %s is open for reading", spec->id);
    struct kvm_domain lasting;
    TRY(kvm_domain_read(session, call->arena, served->domain, true, &lasting));
    if (!lasting.fenced || (served->active && !served->live.mark.form))
        return error_new(ERR_CONFLICT,
                         "instance %s has to be stopped and fenced before its disks are written",
                         lasting.uuid);
    struct kvm_nbd nbd;
    TRY(kvm_nbd_choose(session, call->arena, spec->id, 0, &nbd)); /* whether it can be served at all */
    if (!there) {
        TRY(kvm_trial_check_none(session, call->arena, lasting.uuid));
        if (served->active) /* a form that somebody who was cut off left */
            TRY(kvm_form_end(session, call, served->domain));
        TRY(kvm_step(call, 30, "open the disks of the stopped instance"));
        TRY(kvm_form_start(session, call, served->domain, KVM_FORM_WRITE, spec->id));
        TRY(kvm_export_look(session, call, served->domain, served));
    }
    TRY(kvm_step(call, 60, "begin the export"));
    TRY(serve(session, call, spec->id, served, &nbd));
    struct driver_export opened = {.disks =
                                       arena_array(call->arena, served->disk_count, sizeof *opened.disks)};
    for (size_t i = 0; i < served->disk_count; i++) {
        struct driver_exported_disk *disk = &opened.disks[opened.disk_count++];
        disk->disk = served->disks[i].disk->target;
        disk->size_bytes = served->disks[i].bytes;
        kvm_nbd_tell(session, call->arena, &nbd, disk);
    }
    *ret_export = opened;
    return NULL;
}

/* The end of the process writes out what QEMU still has of the files' own bookkeeping. */
struct error *kvm_export_write_close(struct driver_session *session, const struct driver_call *call,
                                     const struct kvm_served *served)
{
    TRY(kvm_step(call, 10, "end the export"));
    error_ignore(
        kvm_qmp(session, call->arena, served->domain, "nbd-server-stop", NULL, NULL)); /* it ends anyway */
    return kvm_form_end(session, call, served->domain);
}
