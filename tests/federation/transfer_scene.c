/* See transfer_scene.h. */
#include "tests/federation/transfer_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/auth/auth.h"
#include "broker/base/json.h"
#include "broker/base/log.h"
#include "federation/services.h"

extern char **environ;
struct transfer_scene transfer_scene;
static struct job_runner *runner;

static const struct job_type *const types[] = {&export_job, &import_job, &transfer_clean_job};
#define TYPE_COUNT (sizeof types / sizeof *types)

int transfer_open(void **state)
{
    desk_open(state);
    ok(driver_register(house.registry, &folder_driver));
    (void)snprintf(transfer_scene.c, sizeof transfer_scene.c, "%s/c", pg_folder(house.pg));
    (void)snprintf(transfer_scene.d, sizeof transfer_scene.d, "%s/d", pg_folder(house.pg));
    return 0;
}

int transfer_close(void **state)
{
    return desk_close(state);
}

int transfer_do(const char *const *argv)
{
    pid_t pid;
    int status = -1;
    assert_int_equal(posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The first half of each disk is noise, and a bit at its end. */
static void fill(size_t disk)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/" WEB "-%zu.raw", transfer_scene.c, disk);
    FILE *file = fopen(path, "r+e");
    assert_non_null(file);
    uint64_t noise = 88172645463325252u + disk;
    for (size_t i = 0; i < (size_t)WEB_MB * 1024 * 1024 / 2 / sizeof noise; i++) {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        assert_int_equal(fwrite(&noise, sizeof noise, 1, file), 1);
    }
    assert_int_equal(fseek(file, -512, SEEK_END), 0);
    assert_int_equal(fwrite("the end", 7, 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

int transfer_reset(void **state)
{
    desk_reset(state);
    const char *const remove[] = {
        "rm", "-rf", transfer_scene.c, transfer_scene.d, desk_services()->transfer_dir, NULL};
    assert_int_equal(transfer_do(remove), 0);
    assert_int_equal(mkdir(transfer_scene.c, 0700), 0);
    assert_int_equal(mkdir(transfer_scene.d, 0700), 0);
    char *sql = xasprintf(
        "UPDATE endpoint SET driver = 'folder', url = 'folder:' || CASE id WHEN 'e-ext' THEN '%s' ELSE '%s' "
        "END,"
        " version = version + 1 WHERE id IN ('e-ext', 'd-ext');"
        "DELETE FROM capacity WHERE endpoint_id = 'd-ext';"
        "INSERT INTO capacity (cloud_id, endpoint_id, metric, total) SELECT 'd', 'd-ext', m, t FROM"
        " (VALUES ('vcpu', 64), ('memory_gb', 128), ('standard_gb', 2000), ('high_gb', 100)) AS v (m, t);"
        "INSERT INTO resource (unit_id, id, system_id, cloud_id, provider_id, zone_id, endpoint_id, order_id,"
        " kind, name, state, power, spec, attached_to, created_at, touched_at) VALUES ('u', '" WEB
        "', 'u001', 'c', 'p', 'ext', 'e-ext', '" WEB "', 'instance', 'web', 'active', 'off', '{\"vcpu\": 2,"
        " \"memory_gb\": 4, \"architecture\": \"x86\", \"image\": \"debian\", \"zone\": \"ext\","
        " \"system_disk_gb\": 20, \"system_disk_performance\": \"standard\"}', NULL, now(), now()),"
        " ('u', '" WEB_VOLUME "', 'u001', 'c', 'p', 'ext', 'e-ext', '" WEB
        "', 'volume', 'data', 'active', 'none', '{\"size_gb\": 5, \"performance\": \"standard\", \"zone\":"
        " \"ext\"}', '" WEB "', now(), now())",
        transfer_scene.c, transfer_scene.d);
    pg_exec(house.pg, sql);
    free(sql);
    folder_cloud_make(transfer_scene.c, WEB, WEB_VOLUME, WEB_MB);
    folder_cloud_cut(transfer_scene.c, WEB);
    fill(0);
    fill(1);
    return 0;
}

int transfer_rest(void **state)
{
    if (runner)
        job_runner_stop(runner, 20 * MOMENT_SECOND);
    runner = NULL;
    pg_exec(house.pg, "DELETE FROM resource; UPDATE endpoint SET driver = 'memory', url = 'memory://e',"
                      " version = version + 1 WHERE id = 'e-ext'");
    return house_rest(state);
}

void transfer_consent(void)
{
    pg_exec(
        house.pg,
        "INSERT INTO consent (unit_id, id, algorithm, digest, reference, signer_name, signer_post, systems,"
        " instances, touched, from_places, to_places, clouds, valid_from, valid_until, given_by, given_at)"
        " VALUES ('u', '" WEB "', 'sha256', repeat('0', 64), 'letter 7', 'A', 'B', '{u001}', '{}',"
        " '{u001}', '{c}', '{@export}', '{c}', now() - interval '1 day', now() + interval '1 day', 'x',"
        " now())");
}

static struct job_runner_settings settings_of(const char *conninfo, void *context, struct clock *clock)
{
    return (struct job_runner_settings){.conninfo = conninfo,
                                        .types = types,
                                        .type_count = TYPE_COUNT,
                                        .workers = 2,
                                        .context = context,
                                        .clock = clock,
                                        .lease_us = 2 * MOMENT_SECOND};
}

void transfer_run(void)
{
    struct job_runner_settings settings = settings_of(pg_conninfo(house.pg), desk_services(), house.clock);
    ok(job_runner_start(&settings, &runner));
}

/* --------------------------------------------------------------------------------- a broker that may be
 * killed
 */

pid_t transfer_broker(int die_at)
{
    char number[16], keys[512];
    (void)snprintf(number, sizeof number, "%d", die_at);
    (void)snprintf(keys, sizeof keys, "%s/keys", pg_folder(house.pg));
    const char *argv[] = {"broker", pg_conninfo(house.pg), desk_services()->transfer_dir, number, keys, NULL};
    pid_t pid;
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, (char *const *)(uintptr_t)argv, environ),
                     0);
    return pid;
}

void transfer_kill(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    pg_exec(house.pg, "UPDATE job SET run_at = now() WHERE state IN ('running', 'queued')"
                      " AND type <> 'transfer-clean'");
}

void transfer_maybe_broker(int argc, char **argv)
{
    struct federation_services services = {
        .transfer_space = 1000000000, .transfer_unit_space = 1000000000, .transfer_keep_us = 7 * MOMENT_DAY};
    struct db *db;
    sigset_t none;
    if (argc < 5 || strcmp(argv[0], "broker") != 0)
        return;
    log_set_level(getenv("MOVE_LOG") ? LOG_INFO : LOG_ERROR);
    struct clock *clock = clock_new(0);
    struct registry *registry = registry_new();
    ok(driver_register(registry, &folder_driver));
    services.control.fleet = fleet_new(registry, &(struct secret_reach){0});
    services.control.clock = clock;
    services.transfer_dir = argv[2];
    ok(transfer_user_find("nobody", &services.transfer_user));
    ok(db_connect(argv[1], &db));
    ok(auth_new(argv[4], db, clock_now(clock), &services.control.auth));
    ok(auth_refresh(services.control.auth, db, clock_now(clock)));
    folder_cloud_die_at((int)strtol(argv[3], NULL, 10));
    struct job_runner_settings settings = settings_of(argv[1], &services, clock);
    ok(job_runner_start(&settings, &runner));
    (void)sigemptyset(&none);
    for (;;)
        (void)sigsuspend(&none); /* until it is killed */
}

const char *transfer_await(const char *operation, pid_t pid)
{
    static char state[64];
    int64_t until = moment_monotonic() + 120 * MOMENT_SECOND;
    char *sql = xasprintf("SELECT state FROM operation WHERE id = '%s'", operation);
    (void)snprintf(state, sizeof state, "running");
    while (!strcmp(state, "queued") || !strcmp(state, "running")) {
        if (moment_monotonic() > until)
            fail_msg("operation %s has not ended within two minutes", operation);
        if (pid && waitpid(pid, NULL, WNOHANG) == pid) {
            (void)snprintf(state, sizeof state, "died");
            break;
        }
        (void)nanosleep(&(struct timespec){0, 3000000}, NULL); /* between two looks */
        char *now = house_text(sql);
        (void)snprintf(state, sizeof state, "%s", now);
        free(now);
    }
    free(sql);
    return state;
}

const char *transfer_order(struct arena *arena, const char *more, const char **ret_id)
{
    const char *body = arena_printf(arena, "{\"instance\":\"" WEB "\",%s}", more);
    json_t *made = desk_call(arena, ENGINEER, "POST", "/v1/exports", body, 202);
    *ret_id = desk_text(made, "id");
    assert_string_equal(desk_header("location"),
                        arena_printf(arena, "/v1/operations/%s", desk_text(made, "operation")));
    return desk_text(made, "operation");
}

const char *transfer_get(struct arena *arena, const char *id, const char *name, size_t *ret_length)
{
    (void)desk_call(arena, ENGINEER, "GET", arena_printf(arena, "/v1/exports/%s/files/%s", id, name), NULL,
                    200);
    return desk_body(ret_length);
}

void transfer_save(const char *path, const void *bytes, size_t length)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

void transfer_same(const char *path, const char *format, const char *folder, const char *machine, size_t disk)
{
    char raw[512];
    (void)snprintf(raw, sizeof raw, "%s/%s-%zu.raw", folder, machine, disk);
    const char *const argv[] = {"qemu-img", "compare", "-q", "-f", format, "-F", "raw", path, raw, NULL};
    if (transfer_do(argv))
        fail_msg("%s is not disk %zu of %s", path, disk, machine);
}
