/* See folder_cloud.h. */
#include "tests/federation/folder_cloud.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "tests/federation/folder_inside.h"

#define GRAIN 65536

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int boundaries, die_at;
static const char *failing;
static enum error_code failing_code;
static int fails;
static bool fails_after;

void folder_cloud_die_at(int boundary)
{
    die_at = boundary;
    boundaries = 0;
}

int folder_cloud_boundaries(void)
{
    return boundaries;
}

void folder_cloud_fail(const char *operation, enum error_code code, int times, bool after)
{
    failing = operation;
    failing_code = code;
    fails = times;
    fails_after = after;
}

static void boundary(void)
{
    if (++boundaries == die_at)
        (void)kill(getpid(), SIGKILL);
}

void folder_require(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "folder cloud: %s: %s\n", what, strerror(errno));
    abort();
}

/* ------------------------------------------------------------------------------------------- the folder */

static int lock_folder(const char *folder)
{
    char *path = xasprintf("%s/lock", folder);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    folder_require(lock >= 0 && !flock(lock, LOCK_EX), path);
    free(path);
    return lock;
}

static void store(const char *folder, const char *id, const json_t *machine)
{
    char *path = xasprintf("%s/%s.json", folder, id), *beside = xasprintf("%s.new", path);
    folder_require(!json_dump_file(machine, beside, JSON_COMPACT) && !rename(beside, path), path);
    free(path);
    free(beside);
}

char *folder_disk(const char *folder, const char *id, size_t disk, const char *what)
{
    return xasprintf("%s/%s-%zu.%s", folder, id, disk, what);
}

bool folder_is(const json_t *machine, const char *member)
{
    return json_is_true(json_object_get(machine, member));
}

size_t folder_disks(const json_t *machine)
{
    return json_array_size(json_object_get(machine, "disks"));
}

void folder_copy(const char *from, const char *to)
{
    static char bytes[GRAIN];
    FILE *in = fopen(from, "re"), *out = fopen(to, "we");
    size_t count;
    folder_require(in && out, from);
    while ((count = fread(bytes, 1, sizeof bytes, in)) > 0)
        folder_require(fwrite(bytes, 1, count, out) == count, to);
    folder_require(!fclose(out) && !fclose(in), to);
}

void folder_remove(const char *folder, const char *id, const char *end)
{
    DIR *dir = opendir(folder);
    folder_require(dir != NULL, folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name), tail = end ? strlen(end) : 0;
        if (strncmp(entry->d_name, id, 36) != 0 || length < tail ||
            (end && strcmp(entry->d_name + length - tail, end) != 0))
            continue;
        char *path = xasprintf("%s/%s", folder, entry->d_name);
        (void)unlink(path); /* it may have gone just now */
        free(path);
    }
    (void)closedir(dir);
}

#define SETTINGS "settings"

json_t *folder_setting(const char *folder, const char *member)
{
    json_t *all = folder_load(folder, SETTINGS), *value = json_incref(json_object_get(all, member));
    json_decref(all);
    return value;
}

void folder_set(const char *folder, const char *member, json_t *value)
{
    json_t *all = folder_load(folder, SETTINGS);
    if (!all)
        all = json_object();
    if (value)
        json_put(all, member, value);
    else
        (void)json_object_del(all, member); /* there or not */
    store(folder, SETTINGS, all);
    json_decref(all);
}

static long serial_of(const char *folder)
{
    json_t *serial = folder_setting(folder, "serial");
    long number = (long)json_integer_value(serial);
    json_decref(serial);
    return number;
}

static void make_disk(const char *folder, const char *id, size_t disk, long long bytes)
{
    char *path = folder_disk(folder, id, disk, "raw");
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    folder_require(file >= 0 && !ftruncate(file, bytes) && !close(file), path);
    free(path);
}

/* ------------------------------------------------------------------------------------------- from outside */

void folder_cloud_make(const char *folder, const char *id, const char *volume, unsigned disk_mb)
{
    (void)mkdir(folder, 0700); /* there already is fine */
    json_t *disks = json_array();
    for (size_t i = 0; i < (volume ? 2u : 1u); i++) {
        json_t *disk = json_object();
        json_put_int(disk, "bytes", (int64_t)disk_mb << 20);
        json_put_text(disk, "volume", i ? volume : NULL);
        json_put_bool(disk, "boot", !i);
        json_push(disks, disk);
        make_disk(folder, id, i, (long long)disk_mb << 20);
    }
    json_t *machine = json_object();
    json_put_bool(machine, "running", true);
    json_put_int(machine, "boots", 1);
    json_put_int(machine, "vcpu", 2);
    json_put_int(machine, "memory_mb", 4096);
    json_put(machine, "disks", disks);
    store(folder, id, machine);
    json_decref(machine);
}

struct folder_machine folder_cloud_look(const char *folder, const char *id)
{
    int lock = lock_folder(folder);
    json_t *machine = folder_load(folder, id);
    struct folder_machine seen = {machine != NULL, folder_is(machine, "running"),
                                  folder_is(machine, "fenced"),
                                  (int)json_integer_value(json_object_get(machine, "boots"))};
    json_decref(machine);
    (void)close(lock);
    return seen;
}

static void power(json_t *machine, bool on)
{
    if (on && !folder_is(machine, "running"))
        json_put_int(machine, "boots", json_integer_value(json_object_get(machine, "boots")) + 1);
    json_put_bool(machine, "running", on);
}

static void set_power(const char *folder, const char *id, bool on)
{
    int lock = lock_folder(folder);
    json_t *machine = folder_load(folder, id);
    if (machine && !(on && folder_is(machine, "fenced"))) {
        power(machine, on);
        store(folder, id, machine);
    }
    json_decref(machine);
    (void)close(lock);
}

void folder_cloud_start(const char *folder, const char *id)
{
    set_power(folder, id, true);
}

void folder_cloud_cut(const char *folder, const char *id)
{
    set_power(folder, id, false);
}

void folder_cloud_fence(const char *folder, const char *id, bool fenced)
{
    int lock = lock_folder(folder);
    json_t *machine = folder_load(folder, id);
    folder_require(machine != NULL, id);
    json_put_bool(machine, "fenced", fenced);
    store(folder, id, machine);
    json_decref(machine);
    (void)close(lock);
}

void folder_cloud_resize(const char *folder, const char *id, size_t disk, unsigned disk_mb)
{
    int lock = lock_folder(folder);
    json_t *machine = folder_load(folder, id);
    char *path = folder_disk(folder, id, disk, "raw");
    folder_require(machine && !truncate(path, (off_t)disk_mb << 20), path);
    json_put_int(json_array_get(json_object_get(machine, "disks"), disk), "bytes", (int64_t)disk_mb << 20);
    store(folder, id, machine);
    json_decref(machine);
    free(path);
    (void)close(lock);
}

/* What is neither a disk nor the definition. */
void folder_cloud_forget(const char *folder, const char *id)
{
    int lock = lock_folder(folder);
    DIR *dir = opendir(folder);
    folder_require(dir != NULL, folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *end = strrchr(entry->d_name, '.');
        if (strncmp(entry->d_name, id, 36) != 0 || !end || strlen(end) != 37)
            continue;
        char *path = xasprintf("%s/%s", folder, entry->d_name);
        folder_require(!unlink(path), path);
        free(path);
    }
    (void)closedir(dir);
    (void)close(lock);
}

void folder_cloud_expire(const char *folder)
{
    int lock = lock_folder(folder);
    folder_set(folder, "serial", json_integer(serial_of(folder) + 1));
    (void)close(lock);
}

void folder_cloud_rot(const char *folder, long at, int times)
{
    int lock = lock_folder(folder);
    folder_set(folder, "rot", times ? json_pack("{s:i, s:i}", "at", (int)at, "times", times) : NULL);
    (void)close(lock);
}

void folder_cloud_filter(const char *folder, const char *access, const char *filter, const char *parameters)
{
    int lock = lock_folder(folder);
    folder_set(folder, access, json_pack("{s:s, s:s}", "filter", filter, "parameters", parameters));
    (void)close(lock);
}

static bool with_disk(const char *folder, const char *id, long at, void *bytes, size_t count, bool write)
{
    int lock = lock_folder(folder);
    json_t *machine = folder_load(folder, id);
    bool runs = folder_is(machine, "running");
    if (runs) {
        char *path = folder_disk(folder, id, 0, "raw");
        int file = open(path, O_RDWR | O_CLOEXEC);
        folder_require(file >= 0, path);
        ssize_t done = write ? pwrite(file, bytes, count, at) : pread(file, bytes, count, at);
        folder_require(done == (ssize_t)count && !close(file), path);
        free(path);
    }
    json_decref(machine);
    (void)close(lock);
    return runs;
}

bool folder_cloud_write(const char *folder, const char *id, long at, const void *bytes, size_t count)
{
    return with_disk(folder, id, at, (void *)(uintptr_t)bytes, count, true);
}

bool folder_cloud_read(const char *folder, const char *id, long at, void *bytes, size_t count)
{
    return with_disk(folder, id, at, bytes, count, false);
}

static bool is_of_test(const char *folder, const char *file)
{
    char *id = xasprintf("%.36s", file);
    json_t *machine = folder_load(folder, id);
    bool is = json_object_get(machine, "of") || !machine;
    json_decref(machine);
    free(id);
    return is;
}

char *folder_cloud_test(const char *folder)
{
    char *found = NULL;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && !found && (entry = readdir(dir));)
        if (strlen(entry->d_name) == 41 && is_of_test(folder, entry->d_name))
            found = xasprintf("%.36s", entry->d_name);
    if (dir)
        (void)closedir(dir);
    return found;
}

char *folder_cloud_litter(const char *folder)
{
    char *all = xstrdup("");
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name);
        if (length < 37 ||
            (!is_of_test(folder, entry->d_name) &&
             (!strcmp(entry->d_name + length - 5, ".json") || !strcmp(entry->d_name + length - 4, ".raw"))))
            continue;
        char *more = xasprintf("%s%s%s", all, *all ? " " : "", entry->d_name);
        free(all);
        all = more;
    }
    if (dir)
        (void)closedir(dir);
    return all;
}

/* -------------------------------------------------------------------------------------------- operations */

struct error *folder_run(struct act *act, struct error *(*effect)(struct act *act))
{
    struct error *error = NULL;
    bool looks = !strcmp(act->name, "instance_detail") || !strcmp(act->name, "instance_find") ||
                 !strcmp(act->name, "instance_console");
    (void)pthread_mutex_lock(&mutex);
    if (!looks) /* dying there is dying where the last thing was written down */
        boundary();
    int lock = lock_folder(act->session->folder);
    bool failing_now = fails && failing && !strcmp(failing, act->name);
    fails -= failing_now;
    act->machine = folder_load(act->session->folder, act->id);
    if (serial_of(act->session->folder) != act->session->serial)
        error = error_new(ERR_UNAVAILABLE, "the session has expired");
    else if (!failing_now || fails_after)
        error = effect(act);
    if (!error && act->changed && act->machine)
        store(act->session->folder, act->id, act->machine);
    json_decref(act->machine);
    (void)close(lock);
    if (!error && failing_now)
        error = error_new(failing_code, "the script says so");
    if (!looks)
        boundary();
    (void)pthread_mutex_unlock(&mutex);
    return error;
}

struct error *folder_need(const struct act *act)
{
    return act->machine ? NULL : error_new(ERR_NOT_FOUND, "no machine %s", act->id);
}

static struct error *open_session(const struct driver_endpoint *endpoint, const struct driver_call *call,
                                  struct driver_session **ret_session)
{
    if (strncmp(endpoint->url, "folder:", 7) != 0)
        return error_new(ERR_INVALID, "not a folder");
    *ret_session = xcalloc(1, sizeof **ret_session);
    (*ret_session)->folder = xstrdup(endpoint->url + 7);
    (*ret_session)->serial = serial_of((*ret_session)->folder);
    return NULL;
}

static void close_session(struct driver_session *session)
{
    free(session->folder);
    free(session);
}

static struct error *ping(struct driver_session *session, const struct driver_call *call)
{
    return NULL;
}

static struct error *about(struct driver_session *session, const struct driver_call *call,
                           struct driver_about *ret_about)
{
    *ret_about =
        (struct driver_about){.product = "Folder 1", .identity = arena_strdup(call->arena, session->folder)};
    return NULL;
}

struct driver_instance folder_tell(const struct act *act)
{
    return (struct driver_instance){
        .id = arena_strdup(act->call->arena, act->id),
        .ref = arena_printf(act->call->arena, "ref-%s", act->id),
        .name = "machine",
        .power = folder_is(act->machine, "running") ? DRIVER_POWER_ON : DRIVER_POWER_OFF,
        .vcpu = (unsigned)json_integer_value(json_object_get(act->machine, "vcpu")),
        .memory_mb = (uint64_t)json_integer_value(json_object_get(act->machine, "memory_mb")),
        .architecture = "x86",
        .address = folder_is(act->machine, "running") ? "10.1.2.3" : NULL};
}

static struct error *inventory(struct driver_session *session, const struct driver_call *call,
                               struct driver_inventory *ret_inventory)
{
    struct driver_inventory all = {.instances = arena_array(call->arena, 16, sizeof *all.instances)};
    int lock = lock_folder(session->folder);
    DIR *dir = opendir(session->folder);
    for (struct dirent *entry; dir && (entry = readdir(dir)) && all.instance_count < 16;) {
        if (strlen(entry->d_name) != 41 || strcmp(entry->d_name + 36, ".json") != 0)
            continue;
        struct act act = {
            .session = session, .call = call, .id = arena_strndup(call->arena, entry->d_name, 36)};
        act.machine = folder_load(session->folder, act.id);
        all.instances[all.instance_count++] = folder_tell(&act);
        json_decref(act.machine);
    }
    if (dir)
        (void)closedir(dir);
    (void)close(lock);
    *ret_inventory = all;
    return NULL;
}

static struct error *capacity(struct driver_session *session, const struct driver_call *call,
                              struct driver_capacity *ret_capacity)
{
    *ret_capacity = (struct driver_capacity){.cores_total = 16,
                                             .memory_mb_total = 128 * 1024,
                                             .standard_gb_total = 2000,
                                             .high_gb_total = 1000,
                                             .architectures = DRIVER_X86};
    return NULL;
}

static struct error *do_find(struct act *act)
{
    TRY(folder_need(act));
    *(struct driver_instance *)act->out = folder_tell(act);
    return NULL;
}

static struct error *instance_find(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, struct driver_instance *ret_instance)
{
    struct act act = {
        .session = session, .call = call, .name = "instance_find", .id = key->id, .out = ret_instance};
    return folder_run(&act, do_find);
}

static struct error *instance_create(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_instance_spec *spec,
                                     struct driver_instance *ret_instance)
{
    return error_new(ERR_UNSUPPORTED, "machines are made by the test");
}

static struct error *do_start(struct act *act)
{
    TRY(folder_need(act));
    if (folder_is(act->machine, "fenced"))
        return error_new(ERR_CONFLICT, "it is fenced");
    folder_boot_test(act);
    power(act->machine, true);
    act->changed = true;
    return NULL;
}

static struct error *instance_start(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_key *key)
{
    struct act act = {.session = session, .call = call, .name = "instance_start", .id = key->id};
    return folder_run(&act, do_start);
}

static struct error *do_stop(struct act *act)
{
    TRY(folder_need(act));
    power(act->machine, false);
    act->changed = true;
    return NULL;
}

static struct error *instance_stop(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, int64_t grace_us)
{
    struct act act = {.session = session, .call = call, .name = "instance_stop", .id = key->id};
    return folder_run(&act, do_stop);
}

static struct error *instance_reboot(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key)
{
    return error_new(ERR_UNSUPPORTED, "no reboot");
}

static struct error *instance_resize(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, unsigned vcpu, uint64_t memory_mb)
{
    return error_new(ERR_UNSUPPORTED, "no resize");
}

static struct error *do_delete(struct act *act)
{
    folder_remove(act->session->folder, act->id, NULL);
    return NULL;
}

static struct error *instance_delete(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key)
{
    struct act act = {.session = session, .call = call, .name = "instance_delete", .id = key->id};
    return folder_run(&act, do_delete);
}

static struct error *do_detail(struct act *act)
{
    struct arena *arena = act->call->arena;
    TRY(folder_need(act));
    const json_t *disks = json_object_get(act->machine, "disks");
    struct driver_detail detail = {.instance = folder_tell(act),
                                   .guest_os = getenv("MOVE_GUEST"),
                                   .firmware = DRIVER_FIRMWARE_BIOS,
                                   .disk_count = folder_disks(act->machine),
                                   .fenced = folder_is(act->machine, "fenced")};
    detail.disks = arena_array(arena, detail.disk_count, sizeof *detail.disks);
    for (size_t i = 0; i < detail.disk_count; i++) {
        const json_t *disk = json_array_get(disks, i);
        const char *volume = json_string_value(json_object_get(disk, "volume"));
        detail.disks[i] =
            (struct driver_disk){.name = arena_printf(arena, "sd%c", (char)('a' + i)),
                                 .volume_id = volume ? arena_strdup(arena, volume) : NULL,
                                 .format = "raw",
                                 .size_bytes = (uint64_t)json_integer_value(json_object_get(disk, "bytes")),
                                 .boot = folder_is(disk, "boot")};
    }
    *(struct driver_detail *)act->out = detail;
    return NULL;
}

static struct error *instance_detail(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, struct driver_detail *ret_detail)
{
    struct act act = {
        .session = session, .call = call, .name = "instance_detail", .id = key->id, .out = ret_detail};
    return folder_run(&act, do_detail);
}

static struct error *do_prepare(struct act *act)
{
    const struct driver_shell_spec *spec = act->in;
    if (act->machine && !folder_is(act->machine, "fenced"))
        return error_new(ERR_EXISTS, "there and not fenced");
    if (!act->machine) {
        json_t *disks = json_array();
        act->machine = json_object();
        for (size_t i = 0; i < spec->disk_count; i++) {
            json_t *disk = json_object();
            json_put_int(disk, "bytes", (int64_t)spec->disks[i].size_bytes);
            json_put_text(disk, "volume", spec->disks[i].volume_id);
            json_put_bool(disk, "boot", spec->disks[i].boot);
            json_push(disks, disk);
            make_disk(act->session->folder, act->id, i, (long long)spec->disks[i].size_bytes);
        }
        json_put_bool(act->machine, "fenced", true);
        json_put_int(act->machine, "vcpu", spec->vcpu);
        json_put_int(act->machine, "memory_mb", (int64_t)spec->memory_mb);
        json_put(act->machine, "disks", disks);
        act->changed = true;
    }
    *(struct driver_instance *)act->out = folder_tell(act);
    return NULL;
}

static struct error *instance_prepare(struct driver_session *session, const struct driver_call *call,
                                      const struct driver_shell_spec *spec,
                                      struct driver_instance *ret_instance)
{
    struct act act = {.session = session,
                      .call = call,
                      .name = "instance_prepare",
                      .id = spec->id,
                      .in = spec,
                      .out = ret_instance};
    return folder_run(&act, do_prepare);
}

static struct error *do_fence(struct act *act)
{
    TRY(folder_need(act));
    if (folder_is(act->machine, "running"))
        return error_new(ERR_CONFLICT, "it runs");
    json_put_bool(act->machine, "fenced", true);
    act->changed = true;
    return NULL;
}

static struct error *instance_fence(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_key *key)
{
    struct act act = {.session = session, .call = call, .name = "instance_fence", .id = key->id};
    return folder_run(&act, do_fence);
}

static struct error *do_release(struct act *act)
{
    TRY(folder_need(act));
    TRY(folder_check_untested(act));
    json_put_bool(act->machine, "fenced", false);
    act->changed = true;
    return NULL;
}

static struct error *instance_release(struct driver_session *session, const struct driver_call *call,
                                      const struct driver_key *key)
{
    struct act act = {.session = session, .call = call, .name = "instance_release", .id = key->id};
    return folder_run(&act, do_release);
}

/* -------------------------------------------------------------------------------------------------- moves */

static struct error *do_validate(struct act *act)
{
    TRY(folder_need(act));
    return folder_is(act->machine, "running") ? NULL : error_new(ERR_CONFLICT, "it does not run");
}

static struct error *move_validate(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, const struct driver_move_spec *spec)
{
    struct act act = {.session = session, .call = call, .name = "move_validate", .id = key->id};
    return folder_run(&act, do_validate);
}

static struct error *do_settle(struct act *act)
{
    const struct driver_move_spec *spec = act->in;
    TRY(folder_need(act));
    json_t *there = folder_load(spec->target->url + 7, act->id);
    *(enum driver_side *)act->out =
        there && folder_is(act->machine, "fenced") ? DRIVER_SIDE_TARGET : DRIVER_SIDE_SOURCE;
    if (!folder_is(act->machine, "fenced"))
        folder_remove(spec->target->url + 7, act->id, NULL);
    json_decref(there);
    return NULL;
}

static struct error *move_settle(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, const struct driver_move_spec *spec,
                                 bool abort_it, enum driver_side *ret_side)
{
    struct act act = {
        .session = session, .call = call, .name = "move_settle", .id = key->id, .in = spec, .out = ret_side};
    return folder_run(&act, do_settle);
}

static struct error *do_move(struct act *act)
{
    const struct driver_move_spec *spec = act->in;
    const char *target = spec->target->url + 7;
    TRY(do_validate(act));
    for (size_t i = 0; i < folder_disks(act->machine); i++) {
        char *from = folder_disk(act->session->folder, act->id, i, "raw"),
             *to = folder_disk(target, act->id, i, "raw");
        folder_copy(from, to);
        free(from);
        free(to);
    }
    boundary(); /* dies half-way: settle takes it back */
    int lock = lock_folder(target);
    json_t *there = json_deep_copy(act->machine);
    power(act->machine, false);
    json_put_bool(act->machine, "fenced", true);
    store(act->session->folder, act->id, act->machine);
    store(target, act->id, there);
    json_decref(there);
    (void)close(lock);
    *(struct driver_move_report *)act->out =
        (struct driver_move_report){.elapsed_us = 5, .downtime_us = 3, .ref = "moved"};
    return NULL;
}

static struct error *move_run(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *key, const struct driver_move_spec *spec,
                              struct driver_move_report *ret_report)
{
    struct act act = {
        .session = session, .call = call, .name = "move_run", .id = key->id, .in = spec, .out = ret_report};
    return folder_run(&act, do_move);
}

#define ORDINARY                                                                                             \
    .abi = DRIVER_ABI, .summary = "machines in folders, for tests", .max_sessions = 2, .open = open_session, \
    .close = close_session, .ping = ping, .about = about, .inventory = inventory, .capacity = capacity,      \
    .instance_find = instance_find, .instance_create = instance_create, .instance_start = instance_start,    \
    .instance_stop = instance_stop, .instance_reboot = instance_reboot, .instance_resize = instance_resize,  \
    .instance_delete = instance_delete, .instance_detail = instance_detail,                                  \
    .checkpoint_delete = folder_checkpoint_delete, .instance_prepare = instance_prepare,                     \
    .instance_fence = instance_fence, .instance_release = instance_release
#define ABLE                                                                                        \
    DRIVER_CAN_DETAIL | DRIVER_CAN_READ_DISKS | DRIVER_CAN_TRACK_CHANGES | DRIVER_CAN_WRITE_DISKS | \
        DRIVER_CAN_FENCE

#define DIRECT .export_open = folder_export_open, .export_close = folder_export_close

const struct driver folder_driver = {ORDINARY,
                                     DIRECT,
                                     .name = "folder",
                                     .capabilities = ABLE | DRIVER_CAN_TEST | DRIVER_CAN_CONSOLE,
                                     .test_create = folder_test_create,
                                     .instance_console = folder_console};
const struct driver folder_staged_driver = {ORDINARY, .export_open = folder_export_stage,
                                            .export_close = folder_export_upload, .name = "folder-staged",
                                            .capabilities = ABLE | DRIVER_STAGES_WRITES};
const struct driver folder_live_driver = {ORDINARY,
                                          DIRECT,
                                          .name = "folder-live",
                                          .capabilities = ABLE | DRIVER_CAN_MOVE,
                                          .move_validate = move_validate,
                                          .move_run = move_run,
                                          .move_settle = move_settle};
