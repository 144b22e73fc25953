/* See exports.h. */
#include "drivers/vmware/exports.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t exports_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct served_export *exports_all;

static void *copy_array(struct arena *arena, const void *array, size_t count, size_t size)
{
    if (!count)
        return NULL;
    void *copy = arena_array(arena, count, size);
    memcpy(copy, array, count * size);
    return copy;
}

static void copy_result(const struct driver_export *from, struct arena *arena, struct driver_export *to)
{
    *to = *from;
    to->disks = copy_array(arena, from->disks, from->disk_count, sizeof *to->disks);
    for (size_t i = 0; i < from->disk_count; i++) {
        struct driver_exported_disk *disk = &to->disks[i];
        disk->disk = arena_strdup(arena, disk->disk);
        disk->socket = arena_strdup(arena, disk->socket);
        disk->export_name = arena_strdup(arena, disk->export_name);
        disk->full_reason = arena_strdup(arena, disk->full_reason);
        disk->changed = copy_array(arena, disk->changed, disk->changed_count, sizeof(struct driver_extent));
    }
}

static void release_json(void *json)
{
    json_decref(json);
}

static void copy_endpoint(struct arena *arena, const struct driver_endpoint *from, struct driver_endpoint *to)
{
    *to = *from;
    to->id = arena_strdup(arena, from->id);
    to->url = arena_strdup(arena, from->url);
    to->username = arena_strdup(arena, from->username);
    to->password = arena_strdup(arena, from->password);
    to->ca_file = arena_strdup(arena, from->ca_file);
    to->fingerprint = arena_strdup(arena, from->fingerprint);
    if (from->options) {
        json_t *options = json_deep_copy(from->options);
        arena_defer(arena, release_json, options);
        to->options = options;
    }
}

static struct served_export *make(const struct driver_session *session, const struct machine *machine,
                                  const char *id, enum driver_access access)
{
    struct arena *arena = arena_new();
    struct served_export *export = arena_alloc(arena, sizeof *export);
    export->arena = arena;
    export->id = arena_strdup(arena, id);
    export->instance = arena_strdup(arena, machine->ref.value);
    export->access = access;
    copy_endpoint(arena, &session->endpoint, &export->endpoint);
    export->url = export->endpoint.url;
    return export;
}

struct error *exports_claim(const struct driver_session *session, struct arena *arena,
                            const struct machine *machine, const char *id, enum driver_access access,
                            struct driver_export *ret_result, struct served_export **ret_new)
{
    struct error *error = NULL;
    struct served_export *found = NULL;
    pthread_mutex_lock(&exports_mutex);
    for (struct served_export *e = exports_all; e && !found; e = e->next)
        if (strcmp(e->url, session->url) == 0 && strcmp(e->instance, machine->ref.value) == 0)
            found = e;
    if (found && (strcmp(found->id, id) != 0 || !found->ready)) {
        error = error_new(ERR_BUSY, "the export %s of %s is %s", found->id, machine->instance.name,
                          found->ready ? "open" : "being opened");
    } else if (found && found->access != access) {
        error = error_new(ERR_CONFLICT, "the export %s is open for %s", id,
                          access == DRIVER_READ ? "writing" : "reading");
    } else if (found) {
        copy_result(&found->result, arena, ret_result);
        *ret_new = NULL;
    } else {
        struct served_export *made = make(session, machine, id, access);
        made->next = exports_all;
        exports_all = made;
        *ret_new = made;
    }
    pthread_mutex_unlock(&exports_mutex);
    return error;
}

void exports_publish(struct served_export *export, struct arena *arena, struct driver_export *ret_result)
{
    pthread_mutex_lock(&exports_mutex);
    copy_result(&export->result, arena, ret_result);
    export->ready = true;
    pthread_mutex_unlock(&exports_mutex);
}

static void unlink_export(const struct served_export *export)
{
    for (struct served_export **at = &exports_all; *at; at = &(*at)->next)
        if (*at == export) {
            *at = export->next;
            return;
        }
}

void exports_stop(struct served_export *export)
{
    for (size_t i = 0; i < export->server_count; i++) {
        nbd_server_stop(export->servers[i]);
        export->servers[i] = NULL;
    }
}

void exports_drop(struct served_export *export)
{
    if (!export)
        return;
    exports_stop(export);
    pthread_mutex_lock(&exports_mutex);
    unlink_export(export);
    pthread_mutex_unlock(&exports_mutex);
    arena_free(export->arena);
}

static struct served_export *find(const struct driver_session *session, const char *id)
{
    struct served_export *found = exports_all;
    while (found && (strcmp(found->url, session->url) != 0 || strcmp(found->id, id) != 0))
        found = found->next;
    return found;
}

bool exports_serves(const struct driver_session *session, const char *id)
{
    pthread_mutex_lock(&exports_mutex);
    bool serves = find(session, id) != NULL;
    pthread_mutex_unlock(&exports_mutex);
    return serves;
}

struct error *exports_take(const struct driver_session *session, const char *id,
                           struct served_export **ret_export)
{
    struct error *error = NULL;
    pthread_mutex_lock(&exports_mutex);
    struct served_export *found = find(session, id);
    if (found && !found->ready) {
        error = error_new(ERR_BUSY, "the export %s is being opened or closed", id);
    } else {
        if (found)
            found->ready = false; /* the claim stays until it is dropped */
        *ret_export = found;
    }
    pthread_mutex_unlock(&exports_mutex);
    return error;
}
