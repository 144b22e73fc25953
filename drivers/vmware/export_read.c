/* Reading a machine's disks at one moment; see export.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/vmware/datastore.h"
#include "drivers/vmware/export.h"
#include "drivers/vmware/folder.h"
#include "drivers/vmware/property.h"
#include "drivers/vmware/reader.h"
#include "drivers/vmware/staging.h"
#include "drivers/vmware/task.h"
#include "drivers/vmware/tracking.h"

#define HOST_MAX 256
#define STAT_MAX 1024 /* bytes of /proc/PID/stat */
#define BOOT_MAX 64

/* --- who serves an export: told in its snapshot's description, to know orphans by --- */

/* Field 22 of /proc/PID/stat, the start in clock ticks; 0 when there is no such process. */
static unsigned long long start_of(long pid)
{
    char path[64], text[STAT_MAX];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    const char *at = strrchr(text, ')'); /* the name before it may hold anything */
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at + 1, NULL, 10) : 0;
}

/* "HOST.BOOT", the same as long as this kernel runs. */
static const char *this_boot(struct arena *arena)
{
    char host[HOST_MAX] = "?", boot[BOOT_MAX] = "?";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file) {
        if (!fgets(boot, sizeof boot, file))
            boot[0] = '\0';
        fclose(file);
    }
    boot[strcspn(boot, "\n")] = '\0';
    (void)gethostname(host, sizeof host - 1); /* "?" tells nothing wrong */
    return arena_printf(arena, "%s.%s", host, boot);
}

static const char *describe(struct arena *arena, const struct driver_export_spec *spec, bool quiesced)
{
    return arena_printf(arena, "yunqiao export; checkpoint=%s; quiesced=%d; owner=%s/%ld/%llu",
                        spec->checkpoint ? spec->checkpoint : "-", quiesced, this_boot(arena), (long)getpid(),
                        start_of(getpid()));
}

/* A member of a description; NULL when it is absent or "-". */
static const char *described(struct arena *arena, const struct snapshot *snapshot, const char *name)
{
    const char *mark = arena_printf(arena, "; %s=", name), *at = strstr(snapshot->description, mark);
    if (!at)
        return NULL;
    at += strlen(mark);
    const char *value = arena_strndup(arena, at, strcspn(at, ";"));
    return strcmp(value, "-") == 0 ? NULL : value;
}

/* Whether the process that made the snapshot's export may still serve it. Its own, which are all in the list
 * of exports, are not asked about here. */
static bool may_live(struct arena *arena, const struct snapshot *snapshot)
{
    const char *owner = described(arena, snapshot, "owner"), *slash = owner ? strchr(owner, '/') : NULL;
    if (!slash)
        return false;
    const char *here = this_boot(arena);
    size_t host = strcspn(here, ".");
    if (strncmp(owner, here, host + 1) != 0)
        return true; /* another host: who knows */
    if (strncmp(owner, here, strlen(here)) != 0 || owner[strlen(here)] != '/')
        return false; /* before this host's last start */
    char *end;
    long pid = strtol(slash + 1, &end, 10);
    unsigned long long start = *end == '/' ? strtoull(end + 1, NULL, 10) : 0;
    return pid != getpid() && start && start_of(pid) == start;
}

/* The snapshots of exports that nobody serves any more are removed; one that somebody may is ERR_BUSY. */
static struct error *clear_orphans(struct driver_session *session, const struct driver_call *call,
                                   const struct machine *machine, struct snapshots *snapshots,
                                   const char *own)
{
    for (size_t i = 0; i < snapshots->count; i++) {
        const struct snapshot *snapshot = &snapshots->items[i];
        if (!export_snapshot(snapshot) || strcmp(snapshot->name, own) == 0)
            continue;
        if (may_live(call->arena, snapshot))
            return error_new(ERR_BUSY, "the export %s is open", export_id_of(snapshot));
        TRY(export_drop(session, call, machine, export_id_of(snapshot), snapshot));
    }
    return NULL;
}

/* --- the snapshot --- */

static struct error *track(struct driver_session *session, const struct driver_call *call,
                           const struct machine *machine)
{
    for (int attempt = 1;;) {
        XML_REQUEST_AUTO struct xml_request request;
        xml_request_begin(&request, "ReconfigVM_Task", machine->ref);
        xml_open(&request, "spec");
        xml_put_bool(&request, "changeTrackingEnabled", true);
        xml_close(&request);
        struct error *error = task_do(session, call, &request, "switch on change tracking");
        if (error && (error_code(error) == ERR_UNSUPPORTED || error_code(error) == ERR_CONFLICT)) {
            error_free(error); /* then there is no checkpoint, and everything is read the next time */
            return NULL;
        }
        if (!session_again(session, &error, &attempt))
            return error;
    }
}

/* The export's snapshot, made unless it is there from an earlier opening. */
static struct error *stand(struct driver_session *session, const struct driver_call *call,
                           const struct machine *machine, const struct driver_export_spec *spec,
                           struct snapshot *ret_snapshot)
{
    const char *name = arena_printf(call->arena, "%s%s", EXPORT_SNAPSHOT, spec->id);
    struct snapshots *snapshots;
    TRY(snapshots_read(session, call, machine->ref, &snapshots));
    TRY(clear_orphans(session, call, machine, snapshots, name));
    const struct snapshot *there = snapshots_named(snapshots, name);
    if (!there) {
        struct snapshot_spec wanted = {name, describe(call->arena, spec, false),
                                       spec->quiesce && machine->instance.power == DRIVER_POWER_ON,
                                       describe(call->arena, spec, true)};
        if (snapshots->pending)
            TRY(snapshot_consolidate(session, call, machine->ref));
        if (spec->checkpoint && !machine->tracking)
            TRY(track(session, call, machine));
        TRY(snapshot_make(session, call, machine->ref, &wanted));
        TRY(snapshots_read(session, call, machine->ref, &snapshots));
        there = snapshots_named(snapshots, name);
    }
    if (!there)
        return error_new(ERR_UNAVAILABLE, "the snapshot %s went as soon as it was made", name);
    *ret_snapshot = *there;
    return NULL;
}

struct freezing {
    struct arena *arena;
    struct hardware *hardware;
    bool found;
};

static void visit(void *context, struct moref ref, const xmlNode *object)
{
    struct freezing *freezing = context;
    const xmlNode *at = NULL, *value;
    const char *name;
    while (property_next(object, &at, &name, &value)) {
        hardware_read(freezing->arena, value, freezing->hardware);
        freezing->found = true;
    }
}

/* The hardware as the snapshot has it. */
static struct error *frozen(struct driver_session *session, const struct driver_call *call,
                            struct moref snapshot, struct hardware *ret_hardware)
{
    static const char *const paths[] = {"config.hardware", NULL};
    static const struct property_set set = {"VirtualMachineSnapshot", paths};
    struct freezing freezing = {call->arena, ret_hardware, false};
    TRY(property_read(session, call, snapshot, NULL, &set, 1, visit, &freezing));
    if (!freezing.found)
        return error_new(ERR_NOT_FOUND, "the export's snapshot is gone");
    return NULL;
}

/* --- the disks --- */

struct opening {
    struct driver_session *session;
    const struct driver_call *call;
    const struct machine *machine;
    const struct driver_export_spec *spec;
    struct served_export *export;
    struct moref snapshot;
    const char *folder;
};

/* What changed since the earlier checkpoint, or why that cannot be told. */
static struct error *fill_changes(const struct opening *opening, const struct hardware_disk *disk,
                                  struct driver_exported_disk *result)
{
    struct arena *arena = opening->export->arena;
    const char *record = marks_checkpoint(&opening->machine->marks, opening->spec->since), *change = NULL;
    uint64_t size = 0;
    if (!record)
        result->full_reason = "the checkpoint is not known";
    else if (!tracking_recorded(arena, record, disk->name, &change, &size))
        result->full_reason = "the checkpoint does not have this disk";
    else if (size != disk->size_bytes)
        result->full_reason = "resized";
    else if (!disk->change_id)
        result->full_reason = "its changes are not tracked";
    if (result->full_reason)
        return NULL;
    struct driver_call call = *opening->call;
    call.arena = arena; /* it lives with the export */
    struct tracking_answer answer;
    TRY(tracking_ask(opening->session, &call,
                     &(struct tracking_question){opening->machine->ref, opening->snapshot, disk, change},
                     &answer));
    result->full_reason = answer.reason;
    result->changed_known = !answer.reason;
    result->changed = answer.extents;
    result->changed_count = answer.count;
    return NULL;
}

static struct error *fill_allocated(const struct opening *opening, const struct hardware_disk *disk,
                                    struct reader_disk *reader)
{
    struct driver_call call = *opening->call;
    struct tracking_answer answer;
    if (!disk->change_id)
        return NULL; /* only what is tracked can tell */
    call.arena = opening->export->arena;
    TRY(tracking_ask(
        opening->session, &call,
        &(struct tracking_question){opening->machine->ref, opening->snapshot, disk, TRACKING_ALL}, &answer));
    reader->allocated_known = !answer.reason;
    reader->allocated = answer.extents;
    reader->allocated_count = answer.count;
    return NULL;
}

/* The file with the disk's content in one piece. That is its own, unless snapshots of others make it a chain
 * of deltas, or a host holds it locked, as recent ones do with all that a running machine stands on: then it
 * is copied by the provider, which can read all that. */
static struct error *find_content(struct opening *opening, const struct hardware_disk *disk,
                                  const char **ret_file, uint64_t *ret_size)
{
    struct arena *arena = opening->export->arena;
    const char *own = folder_flat(arena, disk->file);
    if (!own)
        return error_new(ERR_UNSUPPORTED, "it is the file %s", disk->file);
    if (!disk->delta) {
        struct error *error = folder_size(opening->session, opening->call, own, ret_size);
        if (!error)
            *ret_file = own;
        if (!error || error_code(error) != ERR_BUSY)
            return error;
        error_free(error); /* locked */
    }
    const char *copy = export_copy_path(arena, opening->export->id, disk->name, disk->file);
    const char *flat = folder_flat(arena, copy);
    struct error *error = folder_size(opening->session, opening->call, flat, ret_size);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_free(error);
        opening->export->copied = true;
        TRY(datastore_copy_disk(opening->session, opening->call, disk->file, copy));
        error = folder_size(opening->session, opening->call, flat, ret_size);
    }
    TRY(error);
    opening->export->copied = true;
    *ret_file = flat;
    return NULL;
}

static struct error *serve(struct opening *opening, const struct hardware_disk *disk)
{
    struct served_export *export = opening->export;
    struct arena *arena = export->arena;
    struct reader_disk *reader = arena_alloc(arena, sizeof *reader);
    uint64_t size = 0;
    TRY(find_content(opening, disk, &reader->file, &size));
    if (size < disk->size_bytes)
        return error_new(ERR_CONFLICT, "%s has %" PRIu64 " bytes, its disk %" PRIu64, reader->file, size,
                         disk->size_bytes);
    reader->endpoint = export->endpoint;
    reader->size_bytes = disk->size_bytes;
    struct driver_exported_disk *result = &export->result.disks[export->result.disk_count];
    *result = (struct driver_exported_disk){
        .disk = arena_strdup(arena, disk->name),
        .size_bytes = disk->size_bytes,
        .socket = staging_socket(arena, opening->folder, export->id, export->result.disk_count),
        .export_name = ""};
    TRY(fill_allocated(opening, disk, reader));
    if (opening->spec->since)
        TRY(fill_changes(opening, disk, result));
    struct nbd_backend backend;
    reader_backend(reader, &backend);
    TRY(nbd_server_start(result->socket, &backend, &export->servers[export->server_count]));
    export->server_count++;
    export->result.disk_count++;
    return NULL;
}

struct error *export_read_open(struct driver_session *session, const struct driver_call *call,
                               const struct machine *machine, const struct driver_export_spec *spec,
                               struct served_export *export)
{
    struct opening opening = {session, call, machine, spec, export, {0}, NULL};
    struct snapshot snapshot;
    struct hardware hardware;
    bool running = machine->instance.power == DRIVER_POWER_ON;
    bool off = machine->instance.power == DRIVER_POWER_OFF; /* a suspended one holds its files too */
    TRY(staging_folder(session, export->arena, &opening.folder));
    TRY(stand(session, call, machine, spec, &snapshot));
    opening.snapshot = snapshot.ref;
    TRY(frozen(session, call, snapshot.ref, &hardware));
    const char *checkpoint = described(export->arena, &snapshot, "checkpoint");
    const char *quiesced = described(export->arena, &snapshot, "quiesced");
    export->checkpoint = checkpoint;
    export->record = checkpoint ? tracking_record(export->arena, &hardware) : NULL;
    export->result.running = running;
    export->result.moment = arena_printf(export->arena, "%.26s %.36s", snapshot.ref.value, spec->id);
    export->result.quiesced = quiesced && strcmp(quiesced, "1") == 0;
    export->result.disks = arena_array(export->arena, hardware.disk_count + 1, sizeof *export->result.disks);
    export->servers = arena_array(export->arena, hardware.disk_count + 1, sizeof(struct nbd_server *));
    for (size_t i = 0; i < hardware.disk_count; i++) {
        const struct hardware_disk *disk = &hardware.disks[i];
        if (!disk->removable && !export_unreadable(disk, !off))
            TRY_DOING(serve(&opening, disk), "disk %s", disk->name);
    }
    if (!export->result.disk_count)
        return error_new(ERR_UNSUPPORTED, "the machine has no disk that can be read");
    return NULL;
}

/* What closing writes down: known to the process that serves the export, else read from its snapshot. */
static struct error *closing_record(struct driver_session *session, const struct driver_call *call,
                                    const struct snapshot *snapshot, const struct served_export *export,
                                    const char **ret_checkpoint, const char **ret_record)
{
    if (export) {
        *ret_checkpoint = export->checkpoint;
        *ret_record = export->record;
        return NULL;
    }
    struct hardware hardware;
    if (!snapshot)
        return NULL;
    *ret_checkpoint = described(call->arena, snapshot, "checkpoint");
    if (!*ret_checkpoint)
        return NULL;
    TRY(frozen(session, call, snapshot->ref, &hardware));
    *ret_record = tracking_record(call->arena, &hardware);
    return NULL;
}

struct error *export_read_close(struct driver_session *session, const struct driver_call *call,
                                const struct machine *machine, const char *id,
                                const struct served_export *export, bool keep)
{
    const char *name = arena_printf(call->arena, "%s%s", EXPORT_SNAPSHOT, id);
    const char *checkpoint = NULL, *record = NULL;
    struct snapshots *snapshots;
    TRY(snapshots_read(session, call, machine->ref, &snapshots));
    const struct snapshot *snapshot = snapshots_named(snapshots, name);
    if (keep && !snapshot && !export && machine->marks.shell)
        return error_new(ERR_NOT_FOUND, "nothing of the export %s is left",
                         id); /* it may have been for writing */
    if (keep)
        TRY(closing_record(session, call, snapshot, export, &checkpoint, &record));
    if (checkpoint && record)
        TRY(export_mark(session, call, machine,
                        arena_printf(call->arena, "%s%s", MARK_CHECKPOINT, checkpoint), record));
    if (snapshot && export && !export->copied)
        TRY(snapshot_drop(session, call, snapshot->ref));
    else if (snapshot || (export && export->copied))
        TRY(export_drop(session, call, machine, id, snapshot));
    for (size_t i = 0; i < snapshots->count; i++) {
        const struct snapshot *other = &snapshots->items[i];
        if (export_snapshot(other) && other != snapshot && !may_live(call->arena, other) &&
            !exports_serves(session, export_id_of(other)))
            TRY(export_drop(session, call, machine, export_id_of(other), other));
    }
    return NULL;
}
