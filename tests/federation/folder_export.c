/* Exports of the folder cloud: nbdkit over raw files; see folder_cloud.h. They end with the process. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/json.h"
#include "tests/federation/folder_inside.h"

#define GRAIN 65536 /* changes are told in pieces of this */
#define EXPORTS_MAX 16
#define WORDS_MAX 32

extern char **environ;

static struct served {
    char id[37], machine[37], folder[128];
    pid_t pids[4];
    size_t count;
    bool write;
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
    for (int i = 0; i < 30000; i++) { /* a minute and more: a machine may be busy */
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool up = !connect(fd, (struct sockaddr *)&address, sizeof address);
        (void)close(fd);
        if (up)
            return;
        (void)nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
    folder_require(false, path);
}

static void add_words(const char **argv, size_t *count, struct arena *arena, const char *words)
{
    char *rest = arena_strdup(arena, words);
    for (char *word; (word = strtok_r(rest, " ", &rest));) {
        folder_require(*count < WORDS_MAX - 1, words);
        argv[(*count)++] = word;
    }
}

static pid_t serve(struct act *act, const char *path, const char *socket_path, bool write)
{
    struct arena *arena = act->call->arena;
    json_t *filtered = folder_setting(act->session->folder, write ? "write" : "read");
    const char *argv[WORDS_MAX];
    size_t count = 0;
    add_words(argv, &count, arena,
              arena_printf(arena, "nbdkit -f --exit-with-parent %s -U %s", write ? "--threads=4" : "-r",
                           socket_path));
    if (filtered)
        argv[count++] =
            arena_printf(arena, "--filter=%s", json_string_value(json_object_get(filtered, "filter")));
    argv[count++] = "file";
    argv[count++] = arena_printf(arena, "file=%s", path);
    if (filtered)
        add_words(argv, &count, arena, json_string_value(json_object_get(filtered, "parameters")));
    argv[count] = NULL;
    json_decref(filtered);
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
    return pid;
}

static off_t size_of(const char *path)
{
    struct stat status;
    folder_require(!stat(path, &status), path);
    return status.st_size;
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

/* Where an export for writing stages the disk; one that is not there any more although it was is told. The
 * caller frees. */
static char *stage_of(struct act *act, const char *export_id, size_t i, struct driver_exported_disk *disk)
{
    char *what = xasprintf("stage-%s", export_id),
         *path = folder_disk(act->session->folder, act->id, i, what);
    const char *mark = json_string_value(json_object_get(act->machine, "staging"));
    if (disk && access(path, F_OK)) {
        char *raw = folder_disk(act->session->folder, act->id, i, "raw");
        if (mark && !strcmp(mark, export_id))
            disk->full_reason = "what was staged is lost";
        folder_copy(raw, path);
        free(raw);
    }
    free(what);
    return path;
}

/* A point in time of a running one is a copy of its disk; a checkpoint keeps that copy. */
static void open_disk(struct act *act, const struct driver_export_spec *spec, size_t i,
                      struct driver_exported_disk *disk, pid_t *ret_pid)
{
    struct arena *arena = act->call->arena;
    const char *folder = act->session->folder;
    char *raw = folder_disk(folder, act->id, i, "raw"), *path = raw, *point = NULL, *stage = NULL;
    char *socket_path = xasprintf("%s/nbd-%d-%s-%zu", folder, (int)getpid(), spec->id + 24, i);
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
    if (spec->access == DRIVER_WRITE && act->stages)
        path = stage = stage_of(act, spec->id, i, disk);
    if (spec->since) {
        char *old = folder_disk(folder, act->id, i, spec->since);
        bool there = !access(old, F_OK);
        disk->changed_known = there && size_of(old) == size_of(path);
        if (disk->changed_known)
            disk->changed = differences(arena, path, old, &disk->changed_count);
        else
            disk->full_reason = there ? "it was resized" : "the checkpoint is lost";
        free(old);
    }
    *ret_pid = serve(act, path, socket_path, spec->access == DRIVER_WRITE);
    free(socket_path);
    free(stage);
    free(point);
    free(raw);
}

static void end_served(struct served *s)
{
    for (size_t i = 0; i < s->count; i++) {
        (void)kill(s->pids[i], SIGKILL);
        (void)waitpid(s->pids[i], NULL, 0);
        char *path = xasprintf("%s/nbd-%d-%s-%zu", s->folder, (int)getpid(), s->id + 24, i);
        (void)unlink(path);
        free(path);
    }
    memset(s, 0, sizeof *s);
}

/* A point that was lost and made anew is another file; what is off stays the same until somebody writes it.
 */
static const char *moment_of(struct act *act, const struct driver_export_spec *spec, size_t count)
{
    const char *name = spec->checkpoint                     ? spec->checkpoint
                       : folder_is(act->machine, "running") ? spec->id
                                                            : "raw";
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        struct stat status;
        char *path = folder_disk(act->session->folder, act->id, i, name);
        folder_require(!stat(path, &status), path);
        free(path);
        sum = sum * 1000003 + (uint64_t)status.st_ino;
        sum = sum * 1000003 + (uint64_t)status.st_mtim.tv_sec * 1000000000 + (uint64_t)status.st_mtim.tv_nsec;
    }
    return arena_printf(act->call->arena, "%016lx", (unsigned long)sum);
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
    if (spec->access == DRIVER_WRITE)
        TRY(folder_check_untested(act));
    if (s)
        end_served(s); /* served anew from the same point in time */
    for (s = served; *s->id;)
        s++;
    (void)snprintf(s->id, sizeof s->id, "%s", spec->id);
    (void)snprintf(s->machine, sizeof s->machine, "%s", act->id);
    (void)snprintf(s->folder, sizeof s->folder, "%s", act->session->folder);
    s->write = spec->access == DRIVER_WRITE;
    s->count = folder_disks(act->machine);
    *opened = (struct driver_export){.disk_count = s->count, .running = folder_is(act->machine, "running")};
    opened->disks = arena_array(act->call->arena, s->count, sizeof *opened->disks);
    for (size_t i = 0; i < s->count; i++)
        open_disk(act, spec, i, &opened->disks[i], &s->pids[i]);
    if (spec->access == DRIVER_READ)
        opened->moment = moment_of(act, spec, s->count);
    if (spec->access == DRIVER_WRITE && act->stages) {
        json_put_text(act->machine, "staging", spec->id);
        act->changed = true;
    }
    return NULL;
}

struct error *folder_export_stage(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, const struct driver_export_spec *spec,
                                  struct driver_export *ret_export)
{
    struct act act = {.session = session,
                      .call = call,
                      .name = "export_open",
                      .id = key->id,
                      .stages = true,
                      .in = spec,
                      .out = ret_export};
    return folder_run(&act, do_export_open);
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

/* A byte of the first disk is not what was written. */
static void rot(struct act *act)
{
    json_t *json = folder_setting(act->session->folder, "rot");
    int times = (int)json_integer_value(json_object_get(json, "times"));
    long at = (long)json_integer_value(json_object_get(json, "at"));
    json_decref(json);
    if (!times)
        return;
    char *path = folder_disk(act->session->folder, act->id, 0, "raw"), byte;
    int file = open(path, O_RDWR | O_CLOEXEC);
    folder_require(file >= 0 && pread(file, &byte, 1, at) == 1, path);
    byte = (char)(byte | 0x80); /* twice is as bad as once */
    folder_require(pwrite(file, &byte, 1, at) == 1 && !close(file), path);
    free(path);
    folder_set(act->session->folder, "rot",
               times > 1 ? json_pack("{s:i, s:i}", "at", (int)at, "times", times - 1) : NULL);
}

static struct error *do_export_close(struct act *act)
{
    const char *id = act->in;
    struct served *s = find_served(act->session->folder, act->id, id);
    bool write = s && s->write;
    if (s)
        end_served(s);
    if (write)
        rot(act);
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

/* What was staged becomes the disks, or is thrown away. */
static struct error *do_upload(struct act *act)
{
    const char *id = act->in, *mark = json_string_value(json_object_get(act->machine, "staging"));
    if (act->keep && mark && !strcmp(mark, id))
        for (size_t i = 0; i < folder_disks(act->machine); i++) {
            char *stage = stage_of(act, id, i, NULL);
            char *raw = folder_disk(act->session->folder, act->id, i, "raw");
            folder_copy(stage, raw);
            free(stage);
            free(raw);
        }
    if (mark && !strcmp(mark, id)) {
        json_put_text(act->machine, "staging", NULL);
        act->changed = true;
    }
    char *end = xasprintf(".stage-%s", id);
    folder_remove(act->session->folder, act->id, end);
    free(end);
    return do_export_close(act);
}

struct error *folder_export_upload(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, const char *export_id, bool keep)
{
    struct act act = {.session = session,
                      .call = call,
                      .name = "export_close",
                      .id = key->id,
                      .keep = keep,
                      .in = export_id};
    return folder_run(&act, do_upload);
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
