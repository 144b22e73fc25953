/* Snapshots, see snapshot.h.
 *
 * QEMU takes them of all disks in one transaction, without the memory that libvirt would save with those of a
 * running guest; of a stopped instance in its form for reading (form.h). libvirt is told afterwards, as of an
 * instance that was off.
 *
 * With its record libvirt keeps the definition of that time, and a revert brings that back as well, which
 * could be one without today's fence. So a revert writes the record anew, with today's definition; libvirt
 * takes no other one under the name of a record that it has, so that the old one has to go first, and a
 * second record, "NAME~", stands for it meanwhile. Names of the broker's have no "~". */
#include "drivers/kvm/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/kvm/checkpoint.h"
#include "drivers/kvm/disk.h"
#include "drivers/kvm/export.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/form.h"
#include "drivers/kvm/instance.h"
#include "drivers/kvm/qmp.h"
#include "drivers/kvm/xml.h"

static void release_snapshot(void *snapshot)
{
    (void)virDomainSnapshotFree(snapshot);
}

static struct error *look_for(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                              const char *name, virDomainSnapshotPtr *ret_snapshot)
{
    virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(domain, name, 0);
    if (!snapshot && !kvm_fault_is(VIR_ERR_NO_DOMAIN_SNAPSHOT))
        return kvm_fault(session->connection, "could not look up snapshot \"%s\"", name);
    if (snapshot)
        arena_defer(arena, release_snapshot, snapshot);
    *ret_snapshot = snapshot;
    return NULL;
}

/* --- records --- */

struct record {
    const char *const *disks; /* that the snapshot is of */
    size_t disk_count;
    uint64_t made; /* seconds since 1970 */
};

static bool has(const struct record *record, const char *disk)
{
    for (size_t i = 0; i < record->disk_count; i++)
        if (strcmp(record->disks[i], disk) == 0)
            return true;
    return false;
}

/* ERR_UNSUPPORTED for one with more than disks in it, which the broker did not make. */
static struct error *read_record(struct driver_session *session, struct arena *arena,
                                 virDomainSnapshotPtr snapshot, struct record *ret_record)
{
    char *text = virDomainSnapshotGetXMLDesc(snapshot, 0);
    if (!text)
        return kvm_fault(session->connection, "could not read a snapshot");
    XML_AUTO struct kvm_xml *xml = NULL;
    struct error *error = kvm_xml_parse(text, "domainsnapshot", &xml);
    free(text);
    TRY(error);
    const char *state = kvm_xml_text(xml, arena, NULL, "/domainsnapshot/state");
    if (!state || strcmp(state, "shutoff") != 0)
        return error_new(ERR_UNSUPPORTED, "the snapshot is not of disks alone: the broker did not make it");
    size_t count;
    const struct kvm_xml_node *const *nodes =
        kvm_xml_nodes(xml, arena, NULL, "/domainsnapshot/disks/disk[@snapshot='internal']", &count);
    const char **disks = arena_array(arena, count + 1, sizeof *disks);
    for (size_t i = 0; i < count; i++)
        disks[i] = kvm_xml_text(xml, arena, nodes[i], "@name");
    *ret_record = (struct record){.disks = disks,
                                  .disk_count = count,
                                  .made = kvm_xml_number(xml, arena, NULL, "/domainsnapshot/creationTime")};
    return NULL;
}

static struct error *describe(struct arena *arena, const struct kvm_domain *domain, const char *name,
                              const struct record *record, const char **ret_text)
{
    struct kvm_out *out = kvm_out_new();
    kvm_out_open(out, "domainsnapshot");
    kvm_out_leaf(out, "name", name);
    kvm_out_leaf(out, "state", "shutoff");
    kvm_out_number(out, "creationTime", NULL, record->made);
    kvm_out_open(out, "memory");
    kvm_out_attribute(out, "snapshot", "no");
    kvm_out_close(out);
    kvm_out_open(out, "disks");
    for (size_t i = 0; i < domain->disk_count; i++) {
        if (!domain->disks[i].target)
            continue;
        kvm_out_open(out, "disk");
        kvm_out_attribute(out, "name", domain->disks[i].target);
        kvm_out_attribute(out, "snapshot", has(record, domain->disks[i].target) ? "internal" : "no");
        kvm_out_close(out);
    }
    kvm_out_close(out);
    kvm_out_close(out);
    return kvm_out_finish(out, arena, ret_text);
}

/* Tells libvirt of a snapshot that the files have, with the definition of now. */
static struct error *keep(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                          const char *name, const struct record *record)
{
    char *text = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    if (!text)
        return kvm_fault(session->connection, "could not read a domain's definition");
    const char *definition = arena_strdup(arena, text), *described, *whole;
    free(text);
    struct kvm_domain lasting;
    TRY(kvm_domain_parse(arena, definition, &lasting));
    TRY(describe(arena, &lasting, name, record, &described));
    XML_AUTO struct kvm_xml *xml = NULL;
    const struct kvm_xml_node *root;
    TRY(kvm_xml_parse(described, "domainsnapshot", &xml));
    TRY(kvm_xml_node(xml, arena, "/domainsnapshot", &root));
    TRY(kvm_xml_add(xml, root, definition));
    TRY(kvm_xml_print(xml, arena, &whole));
    virDomainSnapshotPtr made =
        virDomainSnapshotCreateXML(domain, whole, VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE);
    if (!made)
        return kvm_fault(session->connection, "could not keep a record of snapshot \"%s\"", name);
    (void)virDomainSnapshotFree(made);
    return NULL;
}

/* The record alone; gone is success. */
static struct error *drop(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                          const char *name)
{
    virDomainSnapshotPtr snapshot;
    TRY(look_for(session, arena, domain, name, &snapshot));
    if (snapshot && virDomainSnapshotDelete(snapshot, VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY) < 0)
        return kvm_fault(session->connection, "could not forget a record of a snapshot");
    return NULL;
}

/* *ret_snapshot is NULL when there is none of that name. Finishes a renewal that was cut off. */
static struct error *look_up(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                             const char *name, virDomainSnapshotPtr *ret_snapshot)
{
    const char *second = arena_printf(arena, "%s~", name);
    virDomainSnapshotPtr standing;
    TRY(look_for(session, arena, domain, name, ret_snapshot));
    TRY(look_for(session, arena, domain, second, &standing));
    if (!standing)
        return NULL;
    if (!*ret_snapshot) {
        struct record record;
        TRY(read_record(session, arena, standing, &record));
        TRY(keep(session, arena, domain, name, &record));
        TRY(look_for(session, arena, domain, name, ret_snapshot));
    }
    return drop(session, arena, domain, second);
}

/* libvirt brings back all disks or none: they have to be the ones of then. */
static struct error *check_same(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                                const char *name, const struct record *record)
{
    struct kvm_domain lasting;
    size_t same = 0;
    TRY(kvm_domain_read(session, arena, domain, true, &lasting));
    for (size_t i = 0; i < lasting.disk_count; i++) {
        if (!kvm_disk_exported(arena, &lasting.disks[i]))
            continue;
        if (!has(record, lasting.disks[i].target))
            return error_new(ERR_CONFLICT, "disk \"%s\" was attached after snapshot \"%s\": detach it first",
                             lasting.disks[i].target, name);
        same++;
    }
    return same == record->disk_count
               ? NULL
               : error_new(ERR_CONFLICT, "a disk of snapshot \"%s\" was detached since: attach it first",
                           name);
}

static struct error *renew(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                           const char *name, const struct record *record, virDomainSnapshotPtr *ret_snapshot)
{
    TRY(keep(session, arena, domain, arena_printf(arena, "%s~", name), record));
    TRY(drop(session, arena, domain, name));
    return look_up(session, arena, domain, name, ret_snapshot);
}

/* --- taking them --- */

static json_t *action(const char *type, const char *node, const char *name)
{
    return json_pack("{s:s, s:{s:s, s:s}}", "type", type, "data", "device", node, "name", name);
}

/* Of all disks at one moment. What an attempt that was cut off left, in files without a
 * record, is taken away before. */
static struct error *take(struct driver_session *session, const struct driver_call *call,
                          const struct kvm_served *served, const char *name)
{
    json_t *actions = json_array();
    struct error *error = NULL;
    for (size_t i = 0; !error && i < served->disk_count; i++) {
        const struct kvm_disk *disk = served->disks[i].disk;
        const char *node;
        if (!disk->alias)
            error = error_new(ERR_UNAVAILABLE, "disk \"%s\" has no name in QEMU", disk->target);
        else
            error = kvm_qmp_node(session, call->arena, served->domain, disk->alias, &node);
        if (error)
            break;
        error_ignore(kvm_qmp(session, call->arena, served->domain, "blockdev-snapshot-delete-internal-sync",
                             json_pack("{s:s, s:s}", "device", node, "name", name),
                             NULL)); /* most often there is none */
        json_array_append_new(actions, action("blockdev-snapshot-internal-sync", node, name));
    }
    if (error) {
        json_decref(actions);
        return error;
    }
    return kvm_qmp(session, call->arena, served->domain, "transaction",
                   json_pack("{s:o}", "actions", actions), NULL);
}

static struct error *check_disks(const struct kvm_served *served)
{
    if (!served->disk_count)
        return error_new(ERR_UNSUPPORTED, "instance %s has no disk of which a snapshot can be made",
                         served->live.uuid);
    for (size_t i = 0; i < served->disk_count; i++)
        if (kvm_disk_untracked(served->disks[i].disk))
            return error_new(ERR_UNSUPPORTED, "disk \"%s\" is %s: only qcow2 has snapshots",
                             served->disks[i].disk->target,
                             served->disks[i].disk->format ? served->disks[i].disk->format : "of no format");
    return NULL;
}

static struct error *take_running(struct driver_session *session, const struct driver_call *call,
                                  const struct kvm_served *served, const char *name, bool quiesce)
{
    bool frozen = quiesce && virDomainFSFreeze(served->domain, NULL, 0, 0) >= 0; /* no agent is no error */
    struct error *error = take(session, call, served, name);
    if (frozen)
        (void)virDomainFSThaw(served->domain, NULL, 0, 0); /* a guest thaws itself after some seconds else */
    return error;
}

static struct error *take_stopped(struct driver_session *session, const struct driver_call *call,
                                  struct kvm_served *served, const char *name)
{
    TRY(kvm_form_start(session, call, served->domain, KVM_FORM_READ, name));
    struct error *error = kvm_export_look(session, call, served->domain, served);
    if (!error)
        error = take(session, call, served, name);
    struct error *second = kvm_form_end(session, call, served->domain);
    if (!error)
        return second;
    error_ignore(second); /* the first one says why */
    return error;
}

struct error *kvm_snapshot_create(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, const char *name, bool quiesce)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    virDomainPtr domain;
    virDomainSnapshotPtr snapshot;
    struct kvm_domain definition;
    struct kvm_served served;
    TRY(kvm_instance_get(session, call, key, &domain, &definition));
    TRY(look_up(session, call->arena, domain, name, &snapshot));
    if (snapshot)
        return NULL;
    TRY(kvm_instance_check_served(&definition));
    TRY(kvm_export_look(session, call, domain, &served));
    if (served.backup)
        return error_new(ERR_BUSY, "the disks of instance %s are being read", definition.uuid);
    TRY(check_disks(&served));
    int checkpoints = virDomainListAllCheckpoints(domain, NULL, 0);
    if (checkpoints != 0) /* libvirt keeps no record then */
        return checkpoints < 0 ? kvm_fault(session->connection, "could not count checkpoints")
                               : error_new(ERR_CONFLICT,
                                           "what changes on instance %s is being tracked: its "
                                           "checkpoints have to be forgotten first",
                                           definition.uuid);
    const char **disks = arena_array(call->arena, served.disk_count, sizeof *disks);
    const struct record record = {
        .disks = disks, .disk_count = served.disk_count, .made = (uint64_t)time(NULL)};
    for (size_t i = 0; i < served.disk_count; i++)
        disks[i] = served.disks[i].disk->target;
    TRY(kvm_step(call, 30, "make the snapshot"));
    TRY(served.active ? take_running(session, call, &served, name, quiesce)
                      : take_stopped(session, call, &served, name));
    return keep(session, call->arena, domain, name, &record);
}

static struct error *revert(struct driver_session *session, const struct driver_call *call,
                            virDomainPtr domain, virDomainSnapshotPtr snapshot, const char *name)
{
    const char **checkpoints;
    size_t count;
    struct record record;
    TRY(read_record(session, call->arena, snapshot, &record));
    TRY(check_same(session, call->arena, domain, name, &record));
    /* What changes by the revert is in no bitmap: a delta from before would miss it. */
    TRY(kvm_step(call, 20, "forget the checkpoints"));
    TRY(kvm_checkpoint_list(session, call->arena, domain, NULL, &checkpoints, &count));
    TRY(kvm_checkpoint_drop_all(session, call, domain, checkpoints, count));
    TRY(renew(session, call->arena, domain, name, &record, &snapshot));
    TRY(kvm_step(call, 60, "bring the disks back"));
    if (virDomainRevertToSnapshot(snapshot, 0) < 0)
        return kvm_fault(session->connection, "could not bring the disks back to snapshot \"%s\"", name);
    return NULL;
}

struct error *kvm_snapshot_revert(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, const char *name)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    virDomainPtr domain;
    virDomainSnapshotPtr snapshot;
    struct kvm_domain definition;
    TRY(kvm_instance_get(session, call, key, &domain, &definition));
    TRY(look_up(session, call->arena, domain, name, &snapshot));
    if (!snapshot)
        return error_new(ERR_NOT_FOUND, "instance %s has no snapshot \"%s\"", definition.uuid, name);
    TRY(kvm_instance_check_served(&definition));
    int active = virDomainIsActive(domain);
    if (active < 0)
        return kvm_fault(session->connection, "could not ask whether instance %s runs", definition.uuid);
    if (active)
        return error_new(ERR_CONFLICT, "instance %s runs: stop it first", definition.uuid);
    return revert(session, call, domain, snapshot, name);
}

struct error *kvm_snapshot_delete(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, const char *name)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    virDomainPtr domain;
    virDomainSnapshotPtr snapshot;
    struct kvm_domain definition;
    struct error *error = kvm_instance_get(session, call, key, &domain, &definition);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_ignore(error); /* its snapshots went with its disks */
        return NULL;
    }
    TRY(error);
    TRY(look_up(session, call->arena, domain, name, &snapshot));
    if (!snapshot)
        return NULL;
    TRY(kvm_step(call, 30, "delete the snapshot"));
    if (virDomainSnapshotDelete(snapshot, 0) < 0 && !kvm_fault_is(VIR_ERR_NO_DOMAIN_SNAPSHOT))
        return kvm_fault(session->connection, "could not delete snapshot \"%s\"", name);
    return NULL;
}
