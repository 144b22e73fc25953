/* See move_scene.h. */
#include "tests/federation/move_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/json.h"
#include "broker/base/log.h"
#include "broker/control/fleet.h"
#include "broker/control/resource.h"
#include "federation/migration_job.h"
#include "federation/services.h"

#define RECORD 512
#define DISK_MB 2

extern char **environ;
struct move_scene scene;

static pid_t last_broker;

/* Of a test that failed. */
static void end_last_broker(void)
{
    if (last_broker && !waitpid(last_broker, NULL, WNOHANG)) {
        (void)kill(last_broker, SIGKILL);
        (void)waitpid(last_broker, NULL, 0);
    }
    last_broker = 0;
}

int scene_open(void **state)
{
    scene.pg = pg_start();
    scene.clock = clock_new(0);
    ok(db_connect(pg_conninfo(scene.pg), &scene.db));
    (void)snprintf(scene.source, sizeof scene.source, "%s/source", pg_folder(scene.pg));
    (void)snprintf(scene.target, sizeof scene.target, "%s/target", pg_folder(scene.pg));
    (void)snprintf(scene.copies, sizeof scene.copies, "%s/copies", pg_folder(scene.pg));
    (void)mkdir(scene.source, 0700);
    (void)mkdir(scene.target, 0700);
    pg_exec(scene.pg,
            "INSERT INTO provider (id, name, created_at, updated_at) SELECT p, p, now(), now() FROM"
            " unnest('{p,q}'::text[]) AS p;"
            "INSERT INTO agreement (provider_id, valid_from, settings, changed_at, metered_at) SELECT p,"
            " '1991-09-23', '{}', now(), now() FROM unnest('{p,q}'::text[]) AS p;"
            "INSERT INTO cloud (id, name, kind, provider_id, created_at, updated_at)"
            " VALUES ('c', 'C', 'health', 'p', now(), now()), ('d', 'D', 'health', 'q', now(), now());"
            "INSERT INTO site VALUES ('c', 's', 'S', now()), ('d', 's', 'S', now());"
            "INSERT INTO unit VALUES ('u', 'U', 'hospital', 'active', 1, now(), now());"
            "INSERT INTO system VALUES ('u', 'u001', 'A', false, 1, now(), now())");
    return 0;
}

int scene_close(void **state)
{
    end_last_broker();
    db_close(scene.db);
    clock_free(scene.clock);
    pg_stop(scene.pg);
    return 0;
}

static void arrange(const char *driver)
{
    char *sql = xasprintf(
        "SET session_replication_role = replica;" /* between two tests, rows that never change are gone */
        /* Not TRUNCATE: it makes some hundred files anew. */
        "DELETE FROM resource; DELETE FROM migration; DELETE FROM migration_history;"
        "DELETE FROM migration_approval; DELETE FROM migration_ledger; DELETE FROM migration_pass;"
        "DELETE FROM migration_test; DELETE FROM passing_object; DELETE FROM other_side;"
        "DELETE FROM consent; DELETE FROM quota; DELETE FROM capacity; DELETE FROM job;"
        "DELETE FROM usage_interval; DELETE FROM event; DELETE FROM drift; DELETE FROM alert;"
        "UPDATE agreement SET settings = '{}'; DELETE FROM zone; DELETE FROM endpoint;"
        "SET session_replication_role = origin;"
        "INSERT INTO endpoint (id, cloud_id, site_id, driver, url, timeout_us, created_at, updated_at) VALUES"
        " ('e', 'c', 's', '%s', 'folder:%s', 60000000, now(), now()),"
        " ('f', 'd', 's', '%s', 'folder:%s', 60000000, now(), now());"
        "INSERT INTO zone (cloud_id, id, kind, site_id, endpoint_id, network, created_at) VALUES"
        " ('c', 'ext', 'extranet', 's', 'e', 'n', now()), ('d', 'out', 'extranet', 's', 'f', 'm', now());"
        "INSERT INTO capacity (cloud_id, endpoint_id, metric, total, reserved) SELECT c, e, m, 1000,"
        " CASE WHEN e = 'e' THEN r ELSE 0 END FROM (VALUES ('c', 'e'), ('d', 'f')) AS w (c, e),"
        " (VALUES ('vcpu', 2), ('memory_gb', 4), ('standard_gb', 25), ('high_gb', 0)) AS v (m, r);"
        "INSERT INTO quota (unit_id, cloud_id, metric, used) VALUES ('u', 'c', 'vcpu', 2), ('u', 'c', "
        "'memory_gb', 4),"
        " ('u', 'c', 'standard_gb', 25), ('u', 'c', 'instances', 1);"
        "INSERT INTO resource (unit_id, id, system_id, cloud_id, provider_id, zone_id, endpoint_id, "
        "order_id, kind,"
        " name, state, power, spec, attached_to, created_at, touched_at) VALUES ('u', '" MOVE_INSTANCE
        "', 'u001', 'c',"
        " 'p', 'ext', 'e', '" MOVE_ID "', 'instance', 'web', 'active', 'on', '{\"vcpu\": 2, \"memory_gb\": 4,"
        " \"architecture\": \"x86\", \"image\": \"debian\", \"zone\": \"ext\", \"system_disk_gb\": 20,"
        " \"system_disk_performance\": \"standard\"}', NULL, now(), now()), ('u', '" MOVE_VOLUME
        "', 'u001', 'c', 'p',"
        " 'ext', 'e', '" MOVE_ID "', 'volume', 'data', 'active', 'none', '{\"size_gb\": 5, \"performance\":"
        " \"standard\", \"zone\": \"ext\"}', '" MOVE_INSTANCE "', now(), now());"
        "INSERT INTO consent (unit_id, id, algorithm, digest, reference, signer_name, signer_post, systems, "
        "instances,"
        " touched, from_places, to_places, clouds, valid_from, valid_until, given_by, given_at) VALUES ('u', "
        "'" MOVE_ID
        "', 'sha256', repeat('0', 64), 'letter 7', 'A', 'B', '{u001}', '{}', '{u001}', '{c}', '{d}', '{c,d}',"
        " now() - interval '1 day', now() + interval '1 day', 'x', now())",
        driver, scene.source, driver, scene.target);
    pg_exec(scene.pg, sql);
    free(sql);
    char *clean = xasprintf("rm -rf '%s'/* '%s'/* '%s'/*", scene.source, scene.target, scene.copies);
    const char *argv[] = {"sh", "-c", clean, NULL};
    pid_t pid;
    assert_int_equal(posix_spawnp(&pid, "sh", NULL, NULL, (char *const *)(uintptr_t)argv, environ), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    free(clean);
    folder_cloud_make(scene.source, MOVE_INSTANCE, MOVE_VOLUME, DISK_MB);
}

struct beginning {
    enum migration_method method;
    int64_t downtime_us;
};

static struct error *begin_body(struct db *db, void *context)
{
    const struct beginning *beginning = context;
    ARENA_AUTO struct arena *arena = arena_new();
    moment now = clock_now(scene.clock);
    struct migration_row migration = {.unit = "u",
                                      .id = MOVE_ID,
                                      .system = "u001",
                                      .resource = MOVE_INSTANCE,
                                      .name = "web",
                                      .source = {"c", "p", "ext", "s", "e", NULL, NULL},
                                      .target = {"d", "q", "out", "s", "f", "m", NULL},
                                      .method = beginning->method,
                                      .method_why = "the test wants it",
                                      .assessment = MOVE_ID,
                                      .plan = json_hold(arena, json_pack("{s:s}", "what", "move it")),
                                      .rollback_plan =
                                          json_hold(arena, json_pack("{s:s}", "what", "go back")),
                                      .approvals = "none",
                                      .downtime_us = beginning->downtime_us,
                                      .hold_us = 7 * MOMENT_DAY,
                                      .proof = "full",
                                      .principal = "engineer"};
    struct resource resource;
    TRY(migration_insert(db, &migration, now));
    TRY(resource_load(db, arena, "u", MOVE_INSTANCE, NULL, &resource));
    TRY(resource_meter(db, &resource, now));
    TRY(resource_load(db, arena, "u", MOVE_VOLUME, NULL, &resource));
    TRY(resource_meter(db, &resource, now));
    TRY(migration_load(db, arena, "u", MOVE_ID, &migration));
    return migration_settle_papers(db, arena, &migration, "engineer", now);
}

void scene_begin(const char *driver, enum migration_method method, int64_t downtime_us)
{
    struct beginning beginning = {method, downtime_us};
    end_last_broker();
    scene.driver = driver;
    scene.acknowledged = 0;
    scene.may_forget = scene.tested = false;
    scene.source_boots = scene.target_boots = 0;
    scene.hurry = scene.both = false;
    scene.meanwhile = NULL;
    scene.stall_us = NULL;
    arrange(driver);
    ok(db_transaction(scene.db, &db_scope_system, DB_READ_COMMITTED, begin_body, &beginning));
    scene_expect("SELECT state FROM migration", "approved");
}

/* ----------------------------------------------------------------------------------------------- the guest
 */

/* What the guest finds at its boot: records 1 … n, each in its place. */
static long read_journal(const char *folder)
{
    long found = 0;
    uint64_t record[RECORD / sizeof(uint64_t)];
    while (folder_cloud_read(folder, MOVE_INSTANCE, found * RECORD, record, sizeof record) &&
           record[0] == (uint64_t)found + 1)
        found++;
    return found;
}

/* False: it was stopped before it had read all. */
static bool boot(const char *side, const char *folder, int boots)
{
    long found = read_journal(folder);
    struct folder_machine now = folder_cloud_look(folder, MOVE_INSTANCE);
    if (!now.running || now.boots != boots)
        return false;
    if (scene.may_forget && found <= scene.acknowledged && found > 0)
        scene.acknowledged = found;
    if (found != scene.acknowledged)
        fail_msg("the guest boots on the %s with %ld records; %ld were acknowledged", side, found,
                 scene.acknowledged);
    return true;
}

void scene_guest(void)
{
    struct folder_machine source = folder_cloud_look(scene.source, MOVE_INSTANCE);
    struct folder_machine target = folder_cloud_look(scene.target, MOVE_INSTANCE);
    if (source.running && target.running && folder_cloud_look(scene.source, MOVE_INSTANCE).running) {
        if (scene.both)
            return;
        fail_msg("both sides run");
    }
    if (!source.running && !target.running)
        return;
    const char *folder = source.running ? scene.source : scene.target;
    int *boots = source.running ? &scene.source_boots : &scene.target_boots;
    int seen = source.running ? source.boots : target.boots;
    if (*boots != seen && !boot(source.running ? "source" : "target", folder, seen))
        return;
    *boots = seen;
    uint64_t record[RECORD / sizeof(uint64_t)] = {(uint64_t)scene.acknowledged + 1};
    if (scene.acknowledged < DISK_MB * 1024 * 1024 / RECORD - 1 &&
        folder_cloud_write(folder, MOVE_INSTANCE, scene.acknowledged * RECORD, record, sizeof record))
        scene.acknowledged++;
}

/* ------------------------------------------------------------------------------------------------- people */

struct saying {
    enum migration_event event;
    int64_t version;
    const struct migration_test_terms *test;
};

static struct error *say_body(struct db *db, void *context)
{
    const struct saying *saying = context;
    ARENA_AUTO struct arena *arena = arena_new();
    struct migration_row after;
    return migration_say(db, arena,
                         &(struct migration_saying){.unit = "u",
                                                    .id = MOVE_ID,
                                                    .version = saying->version,
                                                    .event = saying->event,
                                                    .principal = "engineer",
                                                    .test = saying->test},
                         clock_now(scene.clock), &after);
}

struct error *scene_try(enum migration_event event, int64_t version)
{
    struct saying saying = {event, version, NULL};
    if (version < 0)
        saying.version = pg_number(scene.pg, "SELECT version FROM migration");
    return db_transaction(scene.db, &db_scope_system, DB_READ_COMMITTED, say_body, &saying);
}

void scene_say(enum migration_event event)
{
    struct error *error;
    do { /* the broker may have changed it just now */
        error = scene_try(event, -1);
    } while (error && error_code(error) == ERR_STALE && (error_free(error), true));
    ok(error);
}

void scene_test(const struct migration_test_terms *terms)
{
    struct error *error;
    do { /* as scene_say */
        struct saying saying = {MIGRATION_EVENT_TEST, pg_number(scene.pg, "SELECT version FROM migration"),
                                terms};
        error = db_transaction(scene.db, &db_scope_system, DB_READ_COMMITTED, say_body, &saying);
    } while (error && error_code(error) == ERR_STALE && (error_free(error), true));
    ok(error);
}

static struct error *accept_it(struct db *db, struct migration_row *migration, void *context)
{
    return migration_accept(db, migration, "unit-admin", clock_now(scene.clock));
}

static struct error *accept_body(struct db *db, void *context)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct migration_row after;
    return migration_change(
        db, arena,
        &(struct migration_saying){.unit = "u",
                                   .id = MOVE_ID,
                                   .version = pg_number(scene.pg, "SELECT version FROM migration"),
                                   .principal = "unit-admin"},
        accept_it, NULL, clock_now(scene.clock), &after);
}

struct pressing {
    struct saying saying;
    pthread_barrier_t *together;
    bool taken;
    enum error_code code; /* of one that was not */
};

static void *press(void *context)
{
    struct pressing *pressing = context;
    struct db *db;
    pressing->code = ERR_INTERNAL;
    if (db_connect(pg_conninfo(scene.pg), &db))
        return NULL;
    (void)pthread_barrier_wait(pressing->together); /* both get there, or the test hangs and is ended */
    struct error *error =
        db_transaction(db, &db_scope_system, DB_READ_COMMITTED, say_body, &pressing->saying);
    pressing->taken = !error;
    if (error)
        pressing->code = error_code(error);
    error_free(error);
    db_close(db);
    return NULL;
}

enum migration_event scene_both(enum migration_event one, enum migration_event other)
{
    pthread_barrier_t together;
    pthread_t threads[2];
    int64_t version = pg_number(scene.pg, "SELECT version FROM migration");
    struct pressing both[] = {{.saying = {one, version}, .together = &together},
                              {.saying = {other, version}, .together = &together}};
    assert_int_equal(pthread_barrier_init(&together, NULL, 2), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, press, &both[i]), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    (void)pthread_barrier_destroy(&together);
    if (both[0].taken == both[1].taken)
        fail_msg("of two words at once %s was taken", both[0].taken ? "each" : "none");
    assert_int_equal(both[both[0].taken].code, ERR_STALE);
    return both[0].taken ? one : other;
}

void scene_accept(void)
{
    ok(db_transaction(scene.db, &db_scope_system, DB_READ_COMMITTED, accept_body, NULL));
}

void scene_withdraw_consent(void)
{
    pg_exec(scene.pg,
            "UPDATE consent SET withdrawn_at = now(), withdrawn_by = 'x', withdrawal_reason = 'no more',"
            " version = version + 1");
}

/* ------------------------------------------------------------------------------------------------- broker */

static pid_t start_broker(const char *die_at, const char *operation, const char *code, const char *times)
{
    const char *argv[] = {"broker", pg_conninfo(scene.pg), scene.copies, die_at, operation, code, times,
                          NULL};
    pid_t pid;
    if (scene.stall_us)
        assert_int_equal(setenv("MOVE_STALL_US", scene.stall_us, 1), 0);
    else
        (void)unsetenv("MOVE_STALL_US"); /* it cannot fail */
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, (char *const *)(uintptr_t)argv, environ),
                     0);
    last_broker = pid;
    return pid;
}

pid_t scene_broker(int die_at)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%d", die_at);
    return start_broker(number, NULL, NULL, NULL);
}

pid_t scene_broker_failing(const char *operation, const char *code, int times)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%d", times);
    return start_broker("0", operation, code, number);
}

static enum error_code code_of(const char *name)
{
    enum error_code code = ERR_INVALID;
    while (strcmp(error_code_name(code), name) != 0)
        code++;
    return code;
}

void scene_maybe_broker(int argc, char **argv)
{
    static const struct job_type *const types[] = {&migration_job};
    struct federation_services services = {0};
    struct job_runner *runner;
    sigset_t none;
    if (argc < 4 || strcmp(argv[0], "broker") != 0)
        return;
    log_set_level(getenv("MOVE_LOG") ? LOG_INFO : LOG_ERROR);
    struct clock *clock = clock_new(0);
    struct registry *registry = registry_new();
    ok(driver_register(registry, &folder_driver));
    ok(driver_register(registry, &folder_live_driver));
    ok(driver_register(registry, &folder_staged_driver));
    services.control.fleet = fleet_new(registry, &(struct secret_reach){0});
    services.control.clock = clock;
    services.copy_dir = argv[2];
    services.copy_stall_us = getenv("MOVE_STALL_US") ? strtoll(getenv("MOVE_STALL_US"), NULL, 10) : 0;
    services.conversion_program = getenv("MOVE_CONVERTER");
    services.conversion_timeout_us = 20 * MOMENT_SECOND;
    folder_cloud_die_at((int)strtol(argv[3], NULL, 10));
    if (argc > 6)
        folder_cloud_fail(argv[4], code_of(argv[5]), (int)strtol(argv[6], NULL, 10), false);
    ok(job_runner_start(&(struct job_runner_settings){.conninfo = argv[1],
                                                      .types = types,
                                                      .type_count = 1,
                                                      .workers = 1,
                                                      .context = &services,
                                                      .clock = clock,
                                                      .lease_us = 2 * MOMENT_SECOND},
                        &runner));
    (void)sigemptyset(&none);
    for (;;)
        (void)sigsuspend(&none); /* until it is killed */
}

#define HURRY                                                                       \
    "UPDATE job SET run_at = now() WHERE state = 'queued' AND run_at > now()"       \
    " AND NOT EXISTS (SELECT FROM migration WHERE state IN ('synced', 'holding'));" \
    "SELECT pg_notify('job_ready', '')"

void scene_kill(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    /* Nobody else holds its lease: a test need not wait for it to run out. */
    pg_exec(scene.pg, "UPDATE job SET run_at = now() WHERE state IN ('running', 'queued')");
}

bool scene_await(pid_t pid, const char *state)
{
    int64_t until = moment_monotonic() + 120 * MOMENT_SECOND;
    bool died = false;
    while (moment_monotonic() < until) {
        char *now = scene_text("SELECT state FROM migration");
        bool there = !strcmp(now, state);
        free(now);
        if (there || died)
            return there;
        died = pid && waitpid(pid, NULL, WNOHANG) == pid;
        if (died)
            pg_exec(scene.pg, "UPDATE job SET run_at = now() WHERE state = 'running'");
        scene_guest();
        if (scene.meanwhile)
            scene.meanwhile();
        if (scene.hurry)
            pg_exec(scene.pg, HURRY);
        (void)nanosleep(&(struct timespec){0, 3000000}, NULL); /* between two looks */
    }
    char *now = scene_text("SELECT state || '/' || step || ': ' || coalesce(error, why, '') FROM migration");
    fail_msg("not %s after two minutes, but %s", state, now);
    return false;
}

void scene_wake(void)
{
    pg_exec(scene.pg, "SELECT job_wake(id) FROM job WHERE state IN ('queued', 'running')");
}

void scene_await_sql(const char *sql)
{
    int64_t until = moment_monotonic() + 60 * MOMENT_SECOND;
    while (pg_number(scene.pg, sql) <= 0) {
        if (moment_monotonic() > until)
            fail_msg("not within a minute: %s", sql);
        if (scene.hurry)
            scene_wake();
        scene_guest();
        (void)nanosleep(&(struct timespec){0, 20000000}, NULL); /* between two looks */
    }
}

char *scene_text(const char *sql)
{
    return pg_value(scene.pg, sql);
}

void scene_expect(const char *sql, const char *wanted)
{
    char *got = scene_text(sql);
    if (strcmp(got, wanted) != 0)
        fail_msg("%s\n  gives  %s\n  wanted %s", sql, got, wanted);
    free(got);
}

#define SECOND " FROM usage_interval WHERE resource_id = '" MOVE_ID "'"

/* What existed twice was metered on the cloud where it was, from its entry in the ledger to the end of it, in
 * one piece for each side, beside the instance itself on the other cloud; and nothing of it goes on. */
static void check_overlap(void)
{
    scene_expect("SELECT count(*)" SECOND " AND end_at = 'infinity'", "0");
    /* Shell; shell and source; shell, source and the target that goes away. */
    scene_expect("SELECT coalesce(string_agg(n::text, ','), '0') = CASE WHEN state = 'committed' THEN '2'"
                 " WHEN NOT EXISTS (SELECT FROM migration_ledger WHERE kind = 'instance') THEN '0'"
                 " WHEN EXISTS (SELECT FROM migration_history WHERE event = 'healthy') THEN '3' ELSE '1' END"
                 " FROM migration LEFT JOIN (SELECT DISTINCT count(*) AS n" SECOND
                 " GROUP BY item) i ON true GROUP BY state",
                 "t");
    if (!pg_number(scene.pg, "SELECT count(*) FROM migration_ledger WHERE kind = 'instance'"))
        return;
    scene_expect(
        "SELECT string_agg(item || '=' || micro, ' ' ORDER BY item) FROM (SELECT DISTINCT item, micro" SECOND
        ") i",
        "1001=2000000 1002=4000000 1011=250000");
    scene_expect("SELECT count(*) FROM (SELECT item" SECOND " GROUP BY item HAVING sum(end_at - start_at) <>"
                 " max(end_at) - min(start_at)) i",
                 "0"); /* neither a gap nor an overlap */
    scene_expect("SELECT count(*) FROM migration_ledger l WHERE kind = 'instance' AND (SELECT count(*)" SECOND
                 " AND (cloud_id, zone_id) = (CASE l.side WHEN 'source' THEN 'c' ELSE 'd' END, CASE l.side "
                 "WHEN 'source' THEN 'ext' ELSE 'out' END)"
                 " AND (start_at, end_at) = (l.made_at, l.removed_at)) <> 3",
                 "0");
    scene_expect(
        "SELECT count(*) FROM usage_interval s WHERE resource_id = '" MOVE_ID "' AND item = '1001' AND"
        " (SELECT sum(least(s.end_at, i.end_at) - greatest(s.start_at, i.start_at)) FROM usage_interval i"
        " WHERE i.resource_id = '" MOVE_INSTANCE "' AND i.item = '1001' AND i.micro = s.micro"
        " AND i.cloud_id <> s.cloud_id AND i.start_at < s.end_at AND i.end_at > s.start_at)"
        " IS DISTINCT FROM s.end_at - s.start_at",
        "0"); /* both sides, all the time */
}

/* The rows: what is held, by whom, where. */
static void check_rows(bool on_target)
{
    scene_expect("SELECT count(*) FROM migration_ledger WHERE removed_at IS NULL", "0");
    scene_expect("SELECT count(*) FROM other_side", "0");
    scene_expect(
        "SELECT string_agg(DISTINCT endpoint_id || ' ' || state || ' ' || (operation_id IS NULL), ',') FROM"
        " resource",
        on_target ? "f active true" : "e active true");
    scene_expect("SELECT string_agg(DISTINCT spec ->> 'zone', ',') FROM resource", on_target ? "out" : "ext");
    scene_expect("SELECT string_agg(cloud_id || ' ' || metric || ' ' || used, ',' ORDER BY metric) FROM "
                 "quota WHERE used > 0",
                 on_target ? "d instances 1,d memory_gb 4,d standard_gb 25,d vcpu 2"
                           : "c instances 1,c memory_gb 4,c standard_gb 25,c vcpu 2");
    scene_expect("SELECT string_agg(endpoint_id || ' ' || metric || ' ' || reserved, ',' ORDER BY metric) "
                 "FROM capacity"
                 " WHERE reserved > 0",
                 on_target ? "f memory_gb 4,f standard_gb 25,f vcpu 2"
                           : "e memory_gb 4,e standard_gb 25,e vcpu 2");
    scene_expect("SELECT string_agg(DISTINCT cloud_id || ' ' || provider_id || ' ' || zone_id, ',') FROM "
                 "usage_interval"
                 " WHERE end_at = 'infinity'",
                 on_target ? "d q out" : "c p ext");
    scene_expect("SELECT count(*) FROM passing_object", "0");
    if (!scene.tested)
        check_overlap();
}

static void check_sides(bool on_target, bool running)
{
    struct folder_machine source = folder_cloud_look(scene.source, MOVE_INSTANCE);
    struct folder_machine target = folder_cloud_look(scene.target, MOVE_INSTANCE);
    const struct folder_machine *here = on_target ? &target : &source, *gone = on_target ? &source : &target;
    assert_true(here->there && here->running == running && !here->fenced);
    assert_false(gone->there);
    const char *const folders[] = {scene.source, scene.target, scene.copies};
    for (int i = 0; i < 3; i++) {
        char *litter = folder_cloud_litter(folders[i]);
        assert_string_equal(litter, "");
        free(litter);
    }
}

void scene_check(bool on_target)
{
    check_sides(on_target, true);
    check_rows(on_target);
    scene_guest();
}

void scene_check_off(void)
{
    check_sides(false, false);
    check_rows(false);
}
