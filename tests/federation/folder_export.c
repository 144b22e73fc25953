/* Exports of the folder cloud: nbdkit over raw files; see folder_cloud.h. They end with the process. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/json.h"
#include "tests/federation/folder_inside.h"

#define GRAIN 65536 /* changes are told in pieces of this */
#define EXPORTS_MAX 16

extern char **environ;

static struct served {
    char id[37], machine[37], folder[128];
    pid_t pids[4];
    size_t count;
} served[EXPORTS_MAX];

static struct served *find_served(const char *folder, const char *machine, const char *id)
{
    for (size_t i = 0; i < EXPORTS_MAX; i++)
        if (*served[i].id && !strcmp(served[i].machine, machine) && !strcmp(served[i].folder, folder) &&
            (!id || !strcmp(served[i].id, id)))
            return &served[i];
    return NULL;
}

static void await_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    for (int i = 0; i < 5000; i++) { /* ten seconds and more */
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool up = !connect(fd, (struct sockaddr *)&address, sizeof address);
        (void)close(fd);
        if (up)
            return;
        (void)nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
    folder_require(false, path);
}

static pid_t serve(const char *path, const char *socket_path, bool write)
{
    char *file = xasprintf("file=%s", path);
    const char *argv[] = {"nbdkit", "-f",        "--exit-with-parent",
                          "-U",     socket_path, write ? "--threads=4" : "-r",
                          "file",   file,        NULL};
    pid_t pid;
    posix_spawn_file_actions_t quiet; /* it complains of whoever only looks whether it is up */
    folder_require(!posix_spawn_file_actions_init(&quiet) &&
                       !posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0),
                   "nbdkit");
    (void)unlink(socket_path); /* of a process that was killed */
    folder_require(!posix_spawnp(&pid, argv[0], &quiet, NULL, (char *const *)(uintptr_t)argv, environ),
                   "nbdkit");
    (void)posix_spawn_file_actions_destroy(&quiet);
    await_socket(socket_path);
    free(file);
    return pid;
}

static const struct driver_extent *differences(struct arena *arena, const char *one, const char *other,
                                               size_t *ret_count)
{
    static char a[GRAIN], b[GRAIN];
    FILE *first = fopen(one, "re"), *second = fopen(other, "re");
    struct driver_extent *list = arena_array(arena, 4096, sizeof *list);
    size_t count;
    folder_require(first && second, one);
    *ret_count = 0;
    for (uint64_t at = 0; (count = fread(a, 1, sizeof a, first)) > 0; at += count) {
        folder_require(fread(b, 1, count, second) == count, other);
        if (memcmp(a, b, count) != 0)
            list[(*ret_count)++] = (struct driver_extent){at, count};
    }
    (void)fclose(first);
    (void)fclose(second);
    return list;
}

/* A point in time of a running one is a copy of its disk; a checkpoint keeps that copy. */
static void open_disk(struct act *act, const struct driver_export_spec *spec, size_t i,
                      struct driver_exported_disk *disk, pid_t *ret_pid)
{
    struct arena *arena = act->call->arena;
    const char *folder = act->session->folder;
    char *raw = folder_disk(folder, act->id, i, "raw"), *path = raw, *point = NULL;
    char *socket_path = xasprintf("/tmp/yq-%d-%s-%zu", (int)getpid(), spec->id + 24, i);
    *disk = (struct driver_exported_disk){
        .disk = arena_printf(arena, "sd%c", (char)('a' + i)),
        .size_bytes = (uint64_t)json_integer_value(
            json_object_get(json_array_get(json_object_get(act->machine, "disks"), i), "bytes")),
        .socket = arena_strdup(arena, socket_path),
        .export_name = ""};
    if (spec->access == DRIVER_READ && (folder_is(act->machine, "running") || spec->checkpoint)) {
        const char *name = spec->checkpoint ? spec->checkpoint : spec->id;
        point = folder_disk(folder, act->id, i, name);
        if (access(point, F_OK))
            folder_copy(raw, point);
        path = point;
    }
    if (spec->since) {
        char *old = folder_disk(folder, act->id, i, spec->since);
        disk->changed_known = !access(old, F_OK);
        if (disk->changed_known)
            disk->changed = differences(arena, path, old, &disk->changed_count);
        else
            disk->full_reason = "the checkpoint is lost";
        free(old);
    }
    *ret_pid = serve(path, socket_path, spec->access == DRIVER_WRITE);
    free(socket_path);
    free(point);
    free(raw);
}

static void end_served(struct served *s)
{
    for (size_t i = 0; i < s->count; i++) {
        (void)kill(s->pids[i], SIGKILL);
        (void)waitpid(s->pids[i], NULL, 0);
        char *path = xasprintf("/tmp/yq-%d-%s-%zu", (int)getpid(), s->id + 24, i);
        (void)unlink(path);
        free(path);
    }
    memset(s, 0, sizeof *s);
}

static struct error *do_export_open(struct act *act)
{
    const struct driver_export_spec *spec = act->in;
    struct driver_export *opened = act->out;
    TRY(folder_need(act));
    struct served *s = find_served(act->session->folder, act->id, NULL);
    if (s && strcmp(s->id, spec->id) != 0)
        return error_new(ERR_BUSY, "export %s is open", s->id);
    if (spec->access == DRIVER_WRITE &&
        (folder_is(act->machine, "running") || !folder_is(act->machine, "fenced")))
        return error_new(ERR_CONFLICT, "only a fenced one that is off is written");
    if (s)
        end_served(s); /* served anew from the same point in time */
    for (s = served; *s->id;)
        s++;
    (void)snprintf(s->id, sizeof s->id, "%s", spec->id);
    (void)snprintf(s->machine, sizeof s->machine, "%s", act->id);
    (void)snprintf(s->folder, sizeof s->folder, "%s", act->session->folder);
    s->count = folder_disks(act->machine);
    *opened = (struct driver_export){.disk_count = s->count, .running = folder_is(act->machine, "running")};
    opened->disks = arena_array(act->call->arena, s->count, sizeof *opened->disks);
    for (size_t i = 0; i < s->count; i++)
        open_disk(act, spec, i, &opened->disks[i], &s->pids[i]);
    return NULL;
}

struct error *folder_export_open(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, const struct driver_export_spec *spec,
                                 struct driver_export *ret_export)
{
    struct act act = {.session = session,
                      .call = call,
                      .name = "export_open",
                      .id = key->id,
                      .in = spec,
                      .out = ret_export};
    return folder_run(&act, do_export_open);
}

static struct error *do_export_close(struct act *act)
{
    const char *id = act->in;
    struct served *s = find_served(act->session->folder, act->id, id);
    if (s)
        end_served(s);
    char *end = xasprintf(".%s", id); /* a point in time without a checkpoint */
    folder_remove(act->session->folder, act->id, end);
    free(end);
    return NULL;
}

struct error *folder_export_close(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, const char *export_id, bool keep)
{
    struct act act = {
        .session = session, .call = call, .name = "export_close", .id = key->id, .in = export_id};
    return folder_run(&act, do_export_close);
}

static struct error *do_checkpoint_delete(struct act *act)
{
    char *end = xasprintf(".%s", (const char *)act->in);
    folder_remove(act->session->folder, act->id, end);
    free(end);
    return NULL;
}

struct error *folder_checkpoint_delete(struct driver_session *session, const struct driver_call *call,
                                       const struct driver_key *key, const char *checkpoint)
{
    struct act act = {
        .session = session, .call = call, .name = "checkpoint_delete", .id = key->id, .in = checkpoint};
    return folder_run(&act, do_checkpoint_delete);
}
