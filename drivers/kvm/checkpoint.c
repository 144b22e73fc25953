/* Checkpoints, see checkpoint.h. */
#include "drivers/kvm/checkpoint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/id.h"
#include "drivers/kvm/disk.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/form.h"
#include "drivers/kvm/instance.h"
#include "drivers/kvm/qmp.h"
#include "drivers/kvm/xml.h"

struct error *kvm_checkpoint_write(struct arena *arena, const struct kvm_domain *domain, const char *name,
                                   const char *export_id, const struct kvm_tracked *disks, size_t count,
                                   const char **ret_text)
{
    const char *description = arena_printf(arena, "export=%s", export_id);
    struct kvm_out *out = kvm_out_new();
    kvm_out_open(out, "domaincheckpoint");
    kvm_out_leaf(out, "name", name);
    kvm_out_open(out, "disks");
    for (size_t i = 0; i < domain->disk_count; i++) {
        const struct kvm_tracked *tracked = NULL;
        for (size_t j = 0; j < count; j++)
            if (disks[j].disk == &domain->disks[i] && !kvm_disk_untracked(disks[j].disk))
                tracked = &disks[j];
        if (!domain->disks[i].target)
            continue;
        kvm_out_open(out, "disk");
        kvm_out_attribute(out, "name", domain->disks[i].target);
        kvm_out_attribute(out, "checkpoint", tracked ? "bitmap" : "no");
        kvm_out_close(out);
        if (tracked)
            description =
                arena_printf(arena, "%s %s=%" PRIu64, description, tracked->disk->target, tracked->bytes);
    }
    kvm_out_close(out);
    kvm_out_leaf(out, "description", description);
    kvm_out_close(out);
    return kvm_out_finish(out, arena, ret_text);
}

/* The value of "name=" in a description; NULL: it has none. */
static const char *noted(struct arena *arena, const char *description, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = description; at; at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL)
        if (strncmp(at, name, length) == 0 && at[length] == '=')
            return arena_strndup(arena, at + length + 1, strcspn(at + length + 1, " "));
    return NULL;
}

static struct error *read_description(struct driver_session *session, struct arena *arena,
                                      virDomainCheckpointPtr checkpoint, const char **ret_description)
{
    char *text = virDomainCheckpointGetXMLDesc(checkpoint, VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN);
    if (!text)
        return kvm_fault(session->connection, "could not read a checkpoint");
    XML_AUTO struct kvm_xml *xml = NULL;
    struct error *error = kvm_xml_parse(text, "domaincheckpoint", &xml);
    free(text);
    TRY(error);
    const char *description = kvm_xml_text(xml, arena, NULL, "/domaincheckpoint/description");
    *ret_description = description ? description : "";
    return NULL;
}

static const char *reason_of(struct arena *arena, const char *description, const struct kvm_tracked *disk)
{
    const char *untracked = kvm_disk_untracked(disk->disk);
    const char *bytes = noted(arena, description, disk->disk->target);
    if (untracked)
        return untracked;
    if (!bytes)
        return "it was not there at that checkpoint";
    return strtoull(bytes, NULL, 10) == disk->bytes ? NULL : "resized since that checkpoint";
}

struct error *kvm_checkpoint_judge(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                                   const char *since, struct kvm_tracked *disks, size_t count)
{
    virDomainCheckpointPtr checkpoint = virDomainCheckpointLookupByName(domain, since, 0);
    if (!checkpoint && !kvm_fault_is(VIR_ERR_NO_DOMAIN_CHECKPOINT))
        return kvm_fault(session->connection, "could not look up checkpoint %s", since);
    const char *description = "";
    struct error *error = checkpoint ? read_description(session, arena, checkpoint, &description) : NULL;
    for (size_t i = 0; !error && i < count; i++)
        disks[i].full_reason =
            checkpoint ? reason_of(arena, description, &disks[i]) : "that checkpoint is not there";
    if (checkpoint)
        (void)virDomainCheckpointFree(checkpoint);
    return error;
}

struct error *kvm_checkpoint_drop(struct driver_session *session, virDomainPtr domain, const char *name)
{
    virDomainCheckpointPtr checkpoint = virDomainCheckpointLookupByName(domain, name, 0);
    if (!checkpoint)
        return kvm_fault_is(VIR_ERR_NO_DOMAIN_CHECKPOINT)
                   ? NULL
                   : kvm_fault(session->connection, "could not look up checkpoint %s", name);
    struct error *error = NULL;
    if (virDomainCheckpointDelete(checkpoint, 0) < 0) {
        error = kvm_fault(session->connection, "could not forget checkpoint %s", name);
        /* Its bitmaps were lost with a process that was killed: then libvirt's record is all that is left.
         * What QEMU marked as unusable in a file stays there, and is nothing but some space. */
        if (!kvm_fault_heals(error) &&
            virDomainCheckpointDelete(checkpoint, VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY) == 0) {
            error_ignore(error);
            error = NULL;
        }
    }
    (void)virDomainCheckpointFree(checkpoint);
    return error;
}

struct error *kvm_checkpoint_list(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                                  const char *export_id, const char ***ret_names, size_t *ret_count)
{
    virDomainCheckpointPtr *list;
    int found = virDomainListAllCheckpoints(domain, &list, VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL);
    if (found < 0)
        return kvm_fault(session->connection, "could not list the checkpoints of an instance");
    const char **names = arena_array(arena, (size_t)found + 1, sizeof *names);
    size_t count = 0;
    struct error *error = NULL;
    for (int i = 0; i < found; i++) {
        const char *name = virDomainCheckpointGetName(list[i]), *description = NULL;
        if (!error && id_valid(name)) {
            error = read_description(session, arena, list[i], &description);
            const char *of = description ? noted(arena, description, "export") : NULL;
            if (!error && of && (!export_id || strcmp(of, export_id) == 0))
                names[count++] = arena_strdup(arena, name);
        }
        (void)virDomainCheckpointFree(list[i]);
    }
    free(list);
    TRY(error);
    *ret_names = names;
    *ret_count = count;
    return NULL;
}

/* How many disks the checkpoint was made of. */
static struct error *disks_of(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                              const char *name, size_t *ret_count)
{
    virDomainCheckpointPtr checkpoint = virDomainCheckpointLookupByName(domain, name, 0);
    if (!checkpoint)
        return kvm_fault(session->connection, "could not look up checkpoint %s", name);
    const char *description;
    struct error *error = read_description(session, arena, checkpoint, &description);
    (void)virDomainCheckpointFree(checkpoint);
    TRY(error);
    *ret_count = 0;
    for (const char *at = strchr(description, ' '); at; at = strchr(at + 1, ' '))
        ++*ret_count;
    return NULL;
}

struct error *kvm_checkpoint_good(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                                  const char ***ret_names, size_t *ret_count)
{
    const char **names;
    size_t count, good = 0;
    TRY(kvm_checkpoint_list(session, arena, domain, NULL, &names, &count));
    json_t *nodes = NULL;
    if (count && virDomainIsActive(domain) == 1)
        TRY(kvm_qmp(session, arena, domain, "query-named-block-nodes", json_pack("{s:b}", "flat", 1),
                    &nodes));
    for (size_t i = 0; i < count; i++) {
        size_t disks = 0;
        if (nodes)
            TRY(disks_of(session, arena, domain, names[i], &disks));
        if (!nodes || kvm_qmp_bitmaps(nodes, names[i]) >= disks)
            names[good++] = names[i];
    }
    *ret_names = names;
    *ret_count = good;
    return NULL;
}

struct error *kvm_checkpoint_drop_all(struct driver_session *session, const struct driver_call *call,
                                      virDomainPtr domain, const char *const *names, size_t count)
{
    if (!count)
        return NULL;
    bool opened = virDomainIsActive(domain) != 1;
    if (opened)
        TRY(kvm_form_start(session, call, domain, KVM_FORM_READ, names[0]));
    struct error *error = NULL;
    for (size_t i = count; !error && i > 0; i--)
        error = kvm_checkpoint_drop(session, domain, names[i - 1]);
    if (!opened)
        return error;
    struct error *second = kvm_form_end(session, call, domain);
    if (!error)
        return second;
    error_ignore(second); /* the first one says why */
    return error;
}

struct error *kvm_checkpoint_delete(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_key *key, const char *checkpoint)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    virDomainPtr domain;
    struct kvm_domain definition;
    struct error *error = kvm_instance_get(session, call, key, &domain, &definition);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_ignore(error); /* its checkpoints went with it */
        return NULL;
    }
    TRY(error);
    const char **names;
    size_t count;
    TRY(kvm_checkpoint_list(session, call->arena, domain, NULL, &names, &count));
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], checkpoint) == 0)
            return kvm_checkpoint_drop_all(session, call, domain, &checkpoint, 1);
    return NULL;
}
