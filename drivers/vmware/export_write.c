/* Writing a machine's disks: put together in staging files, uploaded whole when the export is closed; see
 * export.h. A mark of the machine tells which export was opened for writing and which was made lasting, so
 * that closing one again after a crash is known from one whose files were lost. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/vmware/export.h"
#include "drivers/vmware/folder.h"
#include "drivers/vmware/property.h"
#include "drivers/vmware/staging.h"

#define OPENED "open "
#define DONE "done "
#define PIECE (4u << 20) /* bytes of a request when present content is fetched */

static bool marked(const struct machine *machine, const char *word, const char *id)
{
    const char *mark = machine->marks.filled_by;
    return mark && strncmp(mark, word, strlen(word)) == 0 && strcmp(mark + strlen(word), id) == 0;
}

bool export_writes(const struct machine *machine, const char *id)
{
    return marked(machine, OPENED, id) || marked(machine, DONE, id);
}

/* --- opening --- */

struct reading {
    struct arena *arena;
    struct hardware *hardware;
};

static void visit(void *context, struct moref ref, const xmlNode *object)
{
    struct reading *reading = context;
    const xmlNode *at = NULL, *value;
    const char *name;
    while (property_next(object, &at, &name, &value))
        hardware_read(reading->arena, value, reading->hardware);
}

static struct error *read_hardware(struct driver_session *session, const struct driver_call *call,
                                   struct arena *arena, struct moref machine, struct hardware *ret_hardware)
{
    static const char *const paths[] = {"config.hardware", NULL};
    static const struct property_set set = {"VirtualMachine", paths};
    struct reading reading = {arena, ret_hardware};
    *ret_hardware = (struct hardware){0};
    return property_read(session, call, machine, NULL, &set, 1, visit, &reading);
}

struct fetching {
    struct driver_session *session;
    const struct driver_call *call;
    const char *file;
    uint64_t size;
};

/* The disk's present content into its new staging file. */
static struct error *fetch(void *context, int file)
{
    const struct fetching *fetching = context;
    const struct driver_call *whole = fetching->call;
    struct error *error = NULL;
    char *data = xmalloc(PIECE);
    for (uint64_t at = 0; at < fetching->size && !error;) {
        size_t part = fetching->size - at < PIECE ? (size_t)(fetching->size - at) : PIECE;
        error = folder_read(fetching->session, whole, fetching->file, at, data, part);
        if (!error)
            error = staging_write(file, at, data, part);
        at += part;
        if (!error && whole->progress &&
            !whole->progress(whole->context, (int)(at * 100 / fetching->size), "fetch the present content"))
            error = error_new(ERR_CANCELLED, "asked to stop");
    }
    free(data);
    return error;
}

static struct error *stage(struct driver_session *session, const struct driver_call *call,
                           const struct machine *machine, const struct hardware_disk *disk,
                           struct served_export *export, const char *folder)
{
    struct arena *arena = export->arena;
    const char *path = staging_path(arena, folder, export->id, disk->name);
    bool empty = machine->marks.shell && strcmp(machine->marks.shell, MARK_EMPTY) == 0;
    bool lost = marked(machine, OPENED, export->id) && !staging_exists(path);
    struct fetching fetching = {session, call, folder_flat(arena, disk->file), disk->size_bytes};
    if (!fetching.file)
        return error_new(ERR_UNSUPPORTED, "it is the file %s", disk->file);
    TRY(staging_make(path, disk->size_bytes, empty ? NULL : fetch, &fetching));
    struct driver_exported_disk *result = &export->result.disks[export->result.disk_count];
    *result = (struct driver_exported_disk){
        .disk = arena_strdup(arena, disk->name),
        .size_bytes = disk->size_bytes,
        .socket = staging_socket(arena, folder, export->id, export->result.disk_count),
        .export_name = "",
        .full_reason = lost ? "what was written before is lost" : NULL};
    export->result.disk_count++;
    return NULL;
}

static struct error *serve(struct served_export *export, const char *folder)
{
    for (size_t i = 0; i < export->result.disk_count; i++) {
        const struct driver_exported_disk *disk = &export->result.disks[i];
        struct nbd_backend backend;
        staging_backend(staging_path(export->arena, folder, export->id, disk->disk), disk->size_bytes,
                        &backend);
        TRY(nbd_server_start(disk->socket, &backend, &export->servers[export->server_count]));
        export->server_count++;
    }
    return NULL;
}

static struct error *check_writable(const struct machine *machine, const struct hardware *hardware)
{
    if (machine->instance.power != DRIVER_POWER_OFF)
        return error_new(ERR_CONFLICT, "it is not off (%s)", machine->instance.detail);
    if (!machine->marks.fence)
        return error_new(ERR_CONFLICT, "it is not fenced");
    for (size_t i = 0; i < hardware->disk_count; i++)
        if (!hardware->disks[i].removable && hardware->disks[i].delta)
            return error_new(ERR_CONFLICT, "snapshots hold on to its disk %s", hardware->disks[i].name);
    return NULL;
}

struct error *export_write_open(struct driver_session *session, const struct driver_call *call,
                                const struct machine *machine, const struct driver_export_spec *spec,
                                struct served_export *export)
{
    struct hardware hardware;
    const char *folder;
    uint64_t wanted = 0;
    TRY(read_hardware(session, call, export->arena, machine->ref, &hardware));
    TRY(check_writable(machine, &hardware));
    TRY(staging_folder(session, export->arena, &folder));
    export->result.disks = arena_array(export->arena, hardware.disk_count + 1, sizeof *export->result.disks);
    export->servers = arena_array(export->arena, hardware.disk_count + 1, sizeof(struct nbd_server *));
    for (size_t i = 0; i < hardware.disk_count; i++)
        if (!hardware.disks[i].removable &&
            !staging_exists(staging_path(call->arena, folder, spec->id, hardware.disks[i].name)))
            wanted += hardware.disks[i].size_bytes;
    TRY(staging_room(folder, wanted));
    for (size_t i = 0; i < hardware.disk_count; i++) {
        const struct hardware_disk *disk = &hardware.disks[i];
        if (!disk->removable && !export_unreadable(disk, false))
            TRY_DOING(stage(session, call, machine, disk, export, folder), "disk %s", disk->name);
    }
    if (!export->result.disk_count)
        return error_new(ERR_UNSUPPORTED, "the machine has no disk that can be written");
    if (!marked(machine, OPENED, spec->id))
        TRY(export_mark(session, call, machine, MARK_FILLED_BY,
                        arena_printf(call->arena, "%s%s", OPENED, spec->id)));
    return serve(export, folder);
}

/* --- closing --- */

struct part {
    struct driver_call call;
    const struct driver_call *whole;
    size_t index, count;
};

static bool part_progress(void *context, int percent, const char *step)
{
    const struct part *part = context;
    return part->whole->progress(part->whole->context,
                                 (int)((part->index * 100 + (size_t)percent) / part->count), step);
}

static struct error *feed(void *context, uint64_t offset, char *buffer, size_t size)
{
    int file = *(const int *)context;
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(file, buffer + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return error_new(ERR_INTERNAL, "could not read what was staged: %s",
                             got ? strerror(errno) : "it is too short");
        done += (size_t)got;
    }
    return NULL;
}

/* One disk, and then the provider has to say that its file is as long as the disk. */
static struct error *upload(struct driver_session *session, const struct driver_call *call,
                            const struct hardware_disk *disk, const char *path)
{
    const char *flat = folder_flat(call->arena, disk->file);
    uint64_t size = 0;
    int file = -1;
    if (!flat)
        return error_new(ERR_UNSUPPORTED, "it is the file %s", disk->file);
    TRY(folder_size(session, call, flat, &size)); /* and the session is fresh */
    TRY(staging_open(path, &file));
    struct folder_upload upload = {flat, disk->size_bytes, feed, &file};
    struct error *error = folder_put(session, call, &upload);
    close(file);
    TRY(error);
    TRY(folder_size(session, call, flat, &size));
    if (size != disk->size_bytes)
        return error_new(ERR_UNAVAILABLE, "%llu of %llu bytes arrived in %s", (unsigned long long)size,
                         (unsigned long long)disk->size_bytes, flat);
    return NULL;
}

static struct error *make_lasting(struct driver_session *session, const struct driver_call *call,
                                  const struct machine *machine, const char *id)
{
    struct hardware hardware;
    const char *folder;
    TRY(read_hardware(session, call, call->arena, machine->ref, &hardware));
    TRY(check_writable(machine, &hardware));
    TRY(staging_folder(session, call->arena, &folder));
    const struct hardware_disk **disks = arena_array(call->arena, hardware.disk_count + 1, sizeof *disks);
    size_t count = 0;
    for (size_t i = 0; i < hardware.disk_count; i++)
        if (!hardware.disks[i].removable && !export_unreadable(&hardware.disks[i], false))
            disks[count++] = &hardware.disks[i];
    for (size_t i = 0; i < count; i++)
        if (!staging_exists(staging_path(call->arena, folder, id, disks[i]->name)))
            return error_new(ERR_NOT_FOUND, "what was written to the disk %s is lost", disks[i]->name);
    if (machine->marks.shell && strcmp(machine->marks.shell, MARK_EMPTY) == 0)
        TRY(export_mark(session, call, machine, MARK_SHELL, MARK_FILLED));
    for (size_t i = 0; i < count; i++) {
        struct part part = {*call, call, i, count};
        if (call->progress) {
            part.call.progress = part_progress;
            part.call.context = &part;
        }
        TRY_DOING(
            upload(session, &part.call, disks[i], staging_path(call->arena, folder, id, disks[i]->name)),
            "disk %s", disks[i]->name);
    }
    return export_mark(session, call, machine, MARK_FILLED_BY, arena_printf(call->arena, "%s%s", DONE, id));
}

void export_write_forget(struct driver_session *session, struct arena *arena, const char *id)
{
    const char *folder;
    struct error *error = staging_folder(session, arena, &folder);
    if (error) {
        error_ignore(error); /* without the folder there is nothing to remove */
        return;
    }
    DIR *list = opendir(folder);
    for (const struct dirent *entry; list && (entry = readdir(list));)
        if (strncmp(entry->d_name, id, strlen(id)) == 0)
            staging_remove(arena_printf(arena, "%s/%s", folder, entry->d_name));
    if (list)
        closedir(list);
}

struct error *export_write_close(struct driver_session *session, const struct driver_call *call,
                                 const struct machine *machine, const char *id, bool keep)
{
    if (keep && !marked(machine, DONE, id))
        TRY(make_lasting(session, call, machine, id));
    export_write_forget(session, call->arena, id);
    return NULL;
}
