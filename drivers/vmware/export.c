/* See export.h. */
#include "drivers/vmware/export.h"

#include <string.h>

#include "drivers/vmware/datastore.h"
#include "drivers/vmware/folder.h"
#include "drivers/vmware/task.h"

bool export_snapshot(const struct snapshot *snapshot)
{
    return strncmp(snapshot->name, EXPORT_SNAPSHOT, strlen(EXPORT_SNAPSHOT)) == 0;
}

const char *export_id_of(const struct snapshot *snapshot)
{
    return snapshot->name + strlen(EXPORT_SNAPSHOT);
}

const char *export_unreadable(const struct hardware_disk *disk, bool running)
{
    if (disk->physical)
        return "a raw device that the guest speaks to itself";
    if (!hardware_flat(disk))
        return "not kept as a plain file of a datastore";
    if (running && hardware_independent(disk))
        return "independent: no snapshot holds it while the machine runs";
    if (running && disk->shared)
        return "shared with other machines: no snapshot holds it while the machine runs";
    return NULL;
}

struct error *export_mark(struct driver_session *session, const struct driver_call *call,
                          const struct machine *machine, const char *key, const char *value)
{
    for (int attempt = 1;;) {
        XML_REQUEST_AUTO struct xml_request request;
        xml_request_begin(&request, "ReconfigVM_Task", machine->ref);
        xml_open(&request, "spec");
        mark_put(&request, key, value);
        xml_close(&request);
        struct error *error = task_do(session, call, &request, "write down the export");
        if (!session_again(session, &error, &attempt))
            return error; /* written twice is as good as once */
    }
}

const char *export_copy_path(struct arena *arena, const char *export_id, const char *disk, const char *file)
{
    const char *slash = strrchr(file, '/'), *space = strstr(file, "] ");
    const char *end = slash ? slash + 1 : space ? space + 2 : file;
    return arena_printf(arena, "%.*s%s%s-%s.vmdk", (int)(end - file), file, EXPORT_SNAPSHOT, export_id, disk);
}

struct error *export_drop(struct driver_session *session, const struct driver_call *call,
                          const struct machine *machine, const char *export_id,
                          const struct snapshot *snapshot)
{
    for (size_t i = 0; i < machine->disk_count; i++) {
        const struct machine_disk *disk = &machine->disks[i];
        const char *name = arena_printf(call->arena, "%lld", (long long)disk->key);
        if (folder_flat(call->arena, disk->file))
            TRY(datastore_delete_disk(session, call,
                                      export_copy_path(call->arena, export_id, name, disk->file)));
    }
    return snapshot ? snapshot_drop(session, call, snapshot->ref) : NULL;
}

struct error *export_sweep(struct driver_session *session, const struct driver_call *call,
                           const struct machine *machine)
{
    struct snapshots *snapshots;
    TRY(snapshots_read(session, call, machine->ref, &snapshots));
    for (size_t i = 0; i < snapshots->count; i++)
        if (export_snapshot(&snapshots->items[i]))
            TRY(export_drop(session, call, machine, export_id_of(&snapshots->items[i]),
                            &snapshots->items[i]));
    return NULL;
}

struct error *vmware_export_open(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, const struct driver_export_spec *spec,
                                 struct driver_export *ret_export)
{
    struct machine machine;
    struct served_export *export = NULL;
    TRY(machine_find(session, call, key, &machine));
    TRY(exports_claim(session, call->arena, &machine, spec->id, spec->access, ret_export, &export));
    if (!export)
        return NULL;
    struct error *error = spec->access == DRIVER_READ
                              ? export_read_open(session, call, &machine, spec, export)
                              : export_write_open(session, call, &machine, spec, export);
    if (error) {
        exports_drop(export);
        return error_wrap(error, "could not open the disks of %s", machine.instance.name);
    }
    exports_publish(export, call->arena, ret_export);
    return NULL;
}

/* The machine went, and its disks with it. */
static struct error *close_without_machine(struct driver_session *session, const struct driver_call *call,
                                           const struct served_export *export, const char *id, bool keep,
                                           struct error *gone)
{
    export_write_forget(session, call->arena, id);
    if (export && export->access == DRIVER_WRITE && keep)
        return gone;
    error_free(gone); /* nothing is open on it any more */
    return NULL;
}

static struct error *close_found(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, const char *id,
                                 const struct served_export *export, bool keep)
{
    struct machine machine;
    struct error *error = machine_find(session, call, key, &machine);
    if (error && error_code(error) == ERR_NOT_FOUND)
        return close_without_machine(session, call, export, id, keep, error);
    TRY(error);
    bool writes = export ? export->access == DRIVER_WRITE : export_writes(&machine, id);
    error = writes ? export_write_close(session, call, &machine, id, keep)
                   : export_read_close(session, call, &machine, id, export, keep);
    return error_wrap(error, "could not close the disks of %s", machine.instance.name);
}

struct error *vmware_export_close(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, const char *export_id, bool keep)
{
    struct served_export *export = NULL;
    TRY(exports_take(session, export_id, &export));
    if (export)
        exports_stop(export);
    struct error *error = close_found(session, call, key, export_id, export, keep);
    exports_drop(export); /* after a failure, closing it again finds the snapshot or the staging files */
    return error;
}

struct error *vmware_checkpoint_delete(struct driver_session *session, const struct driver_call *call,
                                       const struct driver_key *key, const char *checkpoint)
{
    struct machine machine;
    struct error *error = machine_find(session, call, key, &machine);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_free(error); /* gone with its machine */
        return NULL;
    }
    TRY(error);
    if (!marks_checkpoint(&machine.marks, checkpoint))
        return NULL;
    return export_mark(session, call, &machine,
                       arena_printf(call->arena, "%s%s", MARK_CHECKPOINT, checkpoint), "");
}
