/* See wave_scene.h. */
#include "tests/federation/wave_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/json.h"
#include "broker/base/log.h"
#include "federation/services.h"
#include "federation/wave_job.h"

extern char **environ;

static struct job_runner *runner;
static struct federation_services services;
static const char *conversion, *conversion_program;

static void add_machine(int number, char system)
{
    char *sql = xasprintf(
        "INSERT INTO resource (unit_id, id, system_id, cloud_id, provider_id, zone_id, endpoint_id, order_id,"
        " kind, name, state, power, spec, created_at, touched_at) VALUES ('u', '" WAVE_HOST(
            "0%d") "', 'u00%c', 'c', 'p', 'ext', 'e-ext', gen_random_uuid(), 'instance', 'web-%d', 'active', "
                   "'on',"
                   " '{\"vcpu\": 1, \"memory_gb\": 1, \"architecture\": \"x86\", \"image\": \"debian\", "
                   "\"zone\": \"ext\","
                   " \"system_disk_gb\": 10, \"system_disk_performance\": \"standard\"}', now(), now());"
                   "INSERT INTO assessment_host (unit_id, assessment_id, number, resource_id, system_id, "
                   "cloud_id, report,"
                   " answers, digest, assessed_at) VALUES ('u', '" WAVE_ASSESSMENT
                   "', %d, '" WAVE_HOST("0%d") "', 'u00%c', 'c', '{\"movable\": %s, \"preferred\": \"warm\", "
                                               "\"name\": \"web-%d\", \"disk_bytes\":"
                                               " 10000000000, \"from\": {\"cloud\": \"c\", \"site\": \"s\"}, "
                                               "\"to\": {\"cloud\": \"d\", \"site\":"
                                               " \"t\"}, \"findings\": [], \"month\": {\"before_yuan\": "
                                               "\"10.00\", \"after_yuan\": \"12.00\"},"
                                               " \"methods\": [{\"method\": \"warm\", \"possible\": true, "
                                               "\"downtime_ms\": 60000, \"copy_seconds\":"
                                               " 1000}, {\"method\": \"cold\", \"possible\": true, "
                                               "\"downtime_ms\": 900000, \"copy_seconds\": 0}]}',"
                                               " '{\"source\": {\"host\": \"esx-1\", \"disks\": [{\"ref\": "
                                               "\"[ds] x.vmdk\"}]}}', repeat('0', 64),"
                                               " now())",
        number, system == 'x' ? '1' : system, number, number, number, system == 'x' ? '1' : system,
        system == 'x' ? "false" : "true", number);
    pg_exec(house.pg, sql);
    free(sql);
}

void waves_arrange(const char *systems)
{
    desk_reset(NULL);
    pg_exec(house.pg, "SET session_replication_role = replica; TRUNCATE wave, wave_host, wave_history;"
                      "DELETE FROM principal WHERE id = 'mover';"
                      "SET session_replication_role = origin;");
    char machines[1024] = "";
    for (size_t i = 0; systems[i]; i++)
        (void)snprintf(machines + strlen(machines), sizeof machines - strlen(machines),
                       "%s" WAVE_HOST("0%zu"), i ? "," : "", i + 1);
    char *sql = xasprintf(
        "INSERT INTO assessment (unit_id, id, kind, touched, clouds, to_cloud, to_zone, request, machines,"
        " principal, operation_id, state, created_at, ended_at) VALUES ('u', '" WAVE_ASSESSMENT
        "', 'cloud-host', '{u001,u002}', '{c,d}', 'd', 'ext', '{}', '{%s}', 'engineer', '" WAVE_ASSESSMENT
        "', 'done', now(), now()), ('v', '" WAVE_STRANGERS "', 'cloud-host', '{v001}', '{c,d}', 'd', 'ext', "
        "'{}', '{%s}', 'stranger', '" WAVE_STRANGERS "', 'done', now(), now())",
        machines, machines);
    pg_exec(house.pg, sql);
    free(sql);
    for (size_t i = 0; systems[i]; i++)
        add_machine((int)i + 1, systems[i]);
}

void waves_consent(void)
{
    pg_exec(
        house.pg,
        "INSERT INTO consent (unit_id, id, algorithm, digest, reference, signer_name, signer_post, systems,"
        " instances, touched, from_places, to_places, clouds, valid_from, valid_until, given_by, given_at)"
        " VALUES ('u', '" WAVE_ASSESSMENT "', 'sha256', repeat('0', 64), 'letter 7', 'A', 'B',"
        " '{u001,u002}', '{}', '{u001,u002}', '{c}', '{d/t}', '{c,d}', now() - interval '1 day',"
        " now() + interval '400 days', 'x', now())");
}

const char *waves_made(struct arena *arena, const char *more)
{
    json_t *made = desk_call(
        arena, ENGINEER, "POST", "/v1/waves",
        arena_printf(arena, "{\"name\":\"first\",\"assessments\":[\"" WAVE_ASSESSMENT "\"]%s}", more), 201);
    assert_string_equal(desk_text(made, "state"), "draft");
    return arena_printf(arena, "/v1/waves/%s", desk_text(made, "id"));
}

static void match_now(struct arena *arena, const char *path)
{
    (void)desk_call(arena, ADMIN, "GET", path, NULL, 200);
    desk_match = arena_strdup(arena, desk_header("etag"));
}

json_t *waves_say(struct arena *arena, enum who who, const char *path, const char *word, const char *body,
                  int status)
{
    match_now(arena, path);
    json_t *answer = desk_call(arena, who, "POST", arena_printf(arena, "%s:%s", path, word), body, status);
    desk_match = NULL;
    return answer;
}

json_t *waves_patch(struct arena *arena, const char *path, const char *body, int status)
{
    match_now(arena, path);
    json_t *answer = desk_call(arena, ENGINEER, "PATCH", path, body, status);
    desk_match = NULL;
    return answer;
}

json_t *waves_get(struct arena *arena, const char *path)
{
    return desk_call(arena, ENGINEER, "GET", path, NULL, 200);
}

const json_t *waves_host(const json_t *wave, int number)
{
    const json_t *host;
    size_t i;
    char name[16];
    (void)snprintf(name, sizeof name, "web-%d", number);
    json_array_foreach (json_object_get(wave, "hosts"), i, host)
        if (!strcmp(desk_text(host, "name"), name))
            return host;
    fail_msg("no %s", name);
    return NULL;
}

void waves_move(int number, const char *state)
{
    bool ended = !strcmp(state, "cancelled") || !strcmp(state, "rolled-back") || !strcmp(state, "committed");
    bool live = !strcmp(state, "holding") || !strcmp(state, "committed");
    char *sql =
        xasprintf("UPDATE migration SET state = '%s', version = version + 1, ended_at = %s, live_at = %s,"
                  " measured_us = %s, passes = greatest(passes, %d), predicted_us = 5000000, progress = NULL,"
                  " why = %s WHERE id = (SELECT migration_id FROM wave_host WHERE name = 'web-%d');"
                  "UPDATE resource SET operation_id = NULL WHERE %s AND name = 'web-%d';"
                  "SELECT job_wake(job_id) FROM wave WHERE job_id IS NOT NULL",
                  state, ended ? "now()" : "NULL", live ? "now()" : "NULL", live ? "7000000" : "NULL",
                  strcmp(state, "copying") ? 1 : 0, ended && !live ? "'a disk broke'" : "NULL", number,
                  ended || live ? "true" : "false", number);
    pg_exec(house.pg, sql);
    free(sql);
}

void waves_approve_all(struct arena *arena)
{
    json_t *list = desk_call(arena, UNIT, "GET", "/v1/migrations", NULL, 200), *migration;
    size_t i;
    json_array_foreach (json_object_get(list, "migrations"), i, migration) {
        if (strcmp(desk_text(migration, "state"), "consented") != 0)
            continue;
        const char *path = arena_printf(arena, "/v1/migrations/%s", desk_text(migration, "id"));
        match_now(arena, path);
        (void)desk_call(arena, UNIT, "POST", arena_printf(arena, "%s:approve", path), NULL, 200);
        desk_match = NULL;
    }
}

void waves_approved(void)
{
    pg_exec(house.pg,
            "INSERT INTO migration_approval (unit_id, migration_id, part, system_id, clouds, providers, "
            "principal,"
            " at) SELECT unit_id, id, 'unit', system_id, clouds, providers, 'x', now() FROM migration"
            " ON CONFLICT DO NOTHING; SELECT job_wake(job_id) FROM wave WHERE job_id IS NOT NULL");
}

/* ------------------------------------------------------------------------------------------------ the job */

static void start_runner(const char *conninfo, struct clock *clock)
{
    static const struct job_type *const types[] = {&wave_job};
    services = (struct federation_services){
        .migration_approvals = "unit", .conversion = conversion, .conversion_program = conversion_program};
    ok(job_runner_start(&(struct job_runner_settings){.conninfo = conninfo,
                                                      .types = types,
                                                      .type_count = 1,
                                                      .workers = 1,
                                                      .context = &services,
                                                      .clock = clock,
                                                      .lease_us = 2 * MOMENT_SECOND},
                        &runner));
}

void waves_convert(const char *mode, const char *program)
{
    conversion = mode;
    conversion_program = program;
    pg_exec(house.pg, mode ? "UPDATE endpoint SET driver = CASE id WHEN 'e-ext' THEN 'vmware' ELSE 'kvm' END"
                             " WHERE id IN ('e-ext', 'd-ext')"
                           : "UPDATE endpoint SET driver = CASE id WHEN 'e-ext' THEN 'memory' ELSE "
                             "'scripted' END WHERE id IN ('e-ext', 'd-ext')");
}

void waves_run(void)
{
    start_runner(pg_conninfo(house.pg), house.clock);
}

void waves_halt(void)
{
    if (runner)
        job_runner_stop(runner, 20 * MOMENT_SECOND);
    runner = NULL;
}

void waves_await(const char *sql, const char *wanted)
{
    int64_t until = moment_monotonic() + 60 * MOMENT_SECOND;
    for (;;) {
        char *got = house_text(sql);
        bool there = !strcmp(got, wanted);
        if (!there && moment_monotonic() > until)
            fail_msg("%s\n  gives  %s\n  wanted %s", sql, got, wanted);
        free(got);
        if (there)
            return;
        (void)nanosleep(&(struct timespec){0, 20000000}, NULL); /* between two looks */
    }
}

pid_t waves_process(void)
{
    const char *argv[] = {"waves", pg_conninfo(house.pg), NULL};
    pid_t pid;
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, (char *const *)(uintptr_t)argv, environ),
                     0);
    return pid;
}

void waves_maybe_process(int argc, char **argv)
{
    sigset_t none;
    if (argc < 2 || strcmp(argv[0], "waves") != 0)
        return;
    log_set_level(LOG_ERROR);
    start_runner(argv[1], clock_new(0));
    (void)sigemptyset(&none);
    for (;;)
        (void)sigsuspend(&none); /* until it is killed */
}
