/* Whole moves by the real job over a real database, with disks that are really copied and a guest that writes
 * all the time; then the same with the broker killed at every boundary, and with what people and providers do
 * meanwhile. */
#include "federation/migration_job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "broker/base/moment.h"
#include "broker/control/other_side.h"
#include "tests/federation/move_scene.h"
#include "tests/support/process.h"

static void go(pid_t broker, const char *state)
{
    assert_true(scene_await(broker, state));
}

static void a_warm_move_and_its_commit(void **state)
{
    scene_begin("folder", MIGRATION_WARM, 0);
    scene_say(MIGRATION_EVENT_START);
    scene_expect("SELECT count(*) FROM resource WHERE operation_id = '" MOVE_ID "'", "2");
    pid_t broker = scene_broker(0);
    go(broker, "synced");
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    scene_expect("SELECT count(*) FROM resource WHERE operation_id IS NOT NULL", "0");
    scene_expect("SELECT string_agg(side || ' ' || kind, ',' ORDER BY side, kind) FROM migration_ledger WHERE"
                 " removed_at IS NULL AND kind <> 'manifest' AND kind <> 'checkpoint'",
                 "source instance,source room");
    scene_expect("SELECT measured_us > 0 AND hold_until = live_at + interval '7 days' FROM migration", "t");
    struct folder_machine source = folder_cloud_look(scene.source, MOVE_INSTANCE);
    assert_true(source.there && source.fenced && !source.running);
    folder_cloud_start(scene.source, MOVE_INSTANCE); /* its host has power again */
    assert_false(folder_cloud_look(scene.source, MOVE_INSTANCE).running);
    refused(scene_try(MIGRATION_EVENT_COMMIT, -1), ERR_CONFLICT); /* not accepted yet */
    for (int i = 0; i < 20; i++)
        scene_guest();
    scene_accept();
    scene_say(MIGRATION_EVENT_COMMIT);
    go(broker, "committed");
    scene_check(true);
    scene_expect("SELECT string_agg(disk || ' ' || kind, ',' ORDER BY pass, disk) FROM migration_pass",
                 "sda full,sdb full,sda changed,sdb changed");
    scene_kill(broker);
}

#define PREDICTED "SELECT predicted_us / 1000000 FROM migration WHERE id = '" MOVE_ID "'"

/* An earlier move of the same machine, which measured that. */
static void add_earlier_move(const char *measured)
{
    char *sql =
        xasprintf("INSERT INTO migration SELECT (jsonb_populate_record(m, '{\"id\": \"" MOVE_VOLUME
                  "\", \"state\": \"rolled-back\", \"ended_at\": \"2026-01-01Z\", %s}')).* FROM migration m",
                  measured);
    pg_exec(scene.pg, sql);
    free(sql);
}

/* The agreed window is compared with it, so it has all that the service is away for: until something is known
 * of the machine what servers take to stop and start, then what this one took. */
static void the_predicted_downtime_is_all_of_it(void **state)
{
    scene_begin("folder", MIGRATION_WARM, 60 * MOMENT_SECOND);
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(0);
    scene_await_sql("SELECT count(*) FROM migration WHERE passes > 0");
    assert_in_range(pg_number(scene.pg, PREDICTED), 63, 90); /* 20 + 40 + 3 */
    scene_expect("SELECT state FROM migration", "copying");  /* which is longer than agreed */
    scene_kill(broker);

    scene_begin("folder", MIGRATION_WARM, 60 * MOMENT_SECOND);
    add_earlier_move("\"stop_us\": 4000000, \"start_us\": 9000000");
    scene_say(MIGRATION_EVENT_START);
    broker = scene_broker(0);
    scene_await_sql("SELECT count(*) FROM migration WHERE passes > 0 AND id = '" MOVE_ID "'");
    assert_in_range(pg_number(scene.pg, PREDICTED), 16, 40);
    scene_kill(broker);

    scene_begin("folder", MIGRATION_WARM, 60 * MOMENT_SECOND);
    add_earlier_move("\"stop_us\": 4000000");
    pg_exec(
        scene.pg,
        "INSERT INTO migration_test (unit_id, migration_id, number, id, system_id, clouds, providers, "
        "seconds,"
        " stays_seconds, agent, principal, asked_at, booted_at, ended_at, outcome) SELECT unit_id, id, 1, id,"
        " system_id, clouds, providers, 60, 10, false, 'x', now(), now() - interval '12 s', now(), 'passed'"
        " FROM migration WHERE id = '" MOVE_VOLUME "'");
    scene_say(MIGRATION_EVENT_START);
    broker = scene_broker(0);
    scene_await_sql("SELECT count(*) FROM migration WHERE passes > 0 AND id = '" MOVE_ID "'");
    assert_in_range(pg_number(scene.pg, PREDICTED), 9, 18); /* 4 + 2 + 3: it stayed up for 10 of the 12 */
    scene_kill(broker);

    scene_begin("folder", MIGRATION_WARM, 0);
    pg_exec(scene.pg, "UPDATE resource SET power = 'off' WHERE kind = 'instance'");
    folder_cloud_cut(scene.source, MOVE_INSTANCE);
    scene_say(MIGRATION_EVENT_START);
    broker = scene_broker(0);
    go(broker, "synced");
    assert_in_range(pg_number(scene.pg, PREDICTED), 3, 30); /* nobody stops or starts it */
    scene_kill(broker);
}

/* Passes that do not help are not repeated for ever: a person agrees to more, or cancels. */
static void passes_that_never_fit_wait_for_a_person(void **state)
{
    scene_begin("folder", MIGRATION_WARM, 10 * MOMENT_SECOND);
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(0);
    scene_await_sql("SELECT count(*) FROM migration WHERE error LIKE '%longer than what is agreed%'");
    scene_expect("SELECT state FROM migration", "copying");
    int64_t passes = pg_number(scene.pg, "SELECT passes FROM migration");
    assert_in_range(passes, 4, 10);
    refused(scene_try(MIGRATION_EVENT_CUTOVER, -1), ERR_CONFLICT);
    char *looked = scene_text("SELECT 'SELECT count(*) FROM job WHERE fence > ' || fence + 2 FROM job");
    scene.hurry = true;
    scene_await_sql(looked); /* looking again is no new pass */
    free(looked);
    assert_int_equal(pg_number(scene.pg, "SELECT passes FROM migration"), passes);
    pg_exec(scene.pg, "UPDATE migration SET downtime_us = 120000000, version = version + 1");
    scene_wake();
    go(broker, "synced");
    scene_kill(broker);
}

static void a_cut_over_measures_the_machine(void **state)
{
    scene_begin("folder", MIGRATION_WARM, 0);
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(0);
    go(broker, "synced");
    scene_kill(broker);
    broker = scene_broker_failing("instance_stop", "busy", 1); /* half a second more */
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    scene_expect(
        "SELECT stop_us >= 500000 AND start_us > 0 AND measured_us >= stop_us + start_us FROM migration",
        "t");
    scene_kill(broker);
}

static void a_rollback_while_it_is_held(void **state)
{
    scene_begin("folder", MIGRATION_WARM, 0);
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(0);
    go(broker, "synced");
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    for (int i = 0; i < 20; i++)
        scene_guest();
    scene.may_forget = true; /* what came after the cut-over is on the target alone, and the plan says so */
    scene_say(MIGRATION_EVENT_ROLLBACK);
    go(broker, "rolled-back");
    scene_check(false);
    scene_kill(broker);
}

/* Instance and volume grow on the target, as a resize writes it: what is at the source is as it was. */
static void what_grew_meanwhile_is_as_it_was(void **state)
{
    scene_begin("folder", MIGRATION_WARM, 0);
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(0);
    go(broker, "synced");
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    pg_exec(scene.pg, "UPDATE resource SET spec = spec || '{\"vcpu\": 3}' WHERE id = '" MOVE_INSTANCE "';"
                      "UPDATE resource SET spec = spec || '{\"size_gb\": 9}' WHERE id = '" MOVE_VOLUME "';"
                      "UPDATE quota SET used = used + CASE metric WHEN 'vcpu' THEN 1 ELSE 4 END"
                      " WHERE cloud_id = 'd' AND metric IN ('vcpu', 'standard_gb');"
                      "UPDATE capacity SET reserved = reserved + CASE metric WHEN 'vcpu' THEN 1 ELSE 4 END"
                      " WHERE endpoint_id = 'f' AND metric IN ('vcpu', 'standard_gb')");
    scene.may_forget = true;
    scene_say(MIGRATION_EVENT_ROLLBACK);
    go(broker, "rolled-back");
    scene_check(false); /* its counters too */
    scene_expect("SELECT string_agg(coalesce(spec ->> 'vcpu', spec ->> 'size_gb'), ' ' ORDER BY kind) FROM"
                 " resource",
                 "2 5");
    scene_expect("SELECT count(DISTINCT micro) FROM usage_interval WHERE resource_id = '" MOVE_VOLUME "'",
                 "1"); /* never metered as 9 */
    scene_kill(broker);
}

/* Each side's provider has its own agreement: q's says that the unit pays for the shell, p's that the fenced
 * source is free; each as it was when that began. */
static void the_agreement_says_who_pays_for_the_overlap(void **state)
{
    const char *paid =
        "SELECT string_agg(cloud_id || ' ' || tariff, ',' ORDER BY start_at) FROM usage_interval"
        " WHERE resource_id = '" MOVE_ID "' AND item = '1001'";
    scene_begin("folder", MIGRATION_WARM, 0);
    pg_exec(scene.pg,
            "UPDATE agreement SET settings = '{\"migration_overlap\": \"charged\"}' WHERE provider_id = 'q'");
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(0);
    go(broker, "synced");
    scene_expect(paid, "d standard");
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    scene_expect(paid, "d standard,c migration");
    pg_exec(scene.pg,
            "UPDATE agreement SET settings = '{\"migration_overlap\": \"charged\"}' WHERE provider_id = 'p'");
    scene_accept();
    scene_say(MIGRATION_EVENT_COMMIT);
    go(broker, "committed");
    scene_check(true);
    scene_expect(paid, "d standard,c migration");
    scene_kill(broker);
}

static const struct migration_test_terms short_test = {.seconds = 20, .stays_seconds = 1};

static void to_synced(pid_t *ret_broker)
{
    scene_begin("folder", MIGRATION_WARM, 0);
    scene.tested = true;
    scene_say(MIGRATION_EVENT_START);
    *ret_broker = scene_broker(0);
    go(*ret_broker, "synced");
}

static void expect_removed(void)
{
    char *test = folder_cloud_test(scene.target);
    assert_null(test);
    scene_expect("SELECT (SELECT count(*) FROM migration_ledger WHERE kind = 'test' AND removed_at IS NULL)"
                 " + (SELECT count(*) FROM passing_object)",
                 "0");
    scene_expect("SELECT reserved FROM capacity WHERE endpoint_id = 'f' AND metric = 'vcpu'", "2");
}

static void commit_it(pid_t broker)
{
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    scene_accept();
    scene_say(MIGRATION_EVENT_COMMIT);
    go(broker, "committed");
    scene_check(true);
    scene_kill(broker);
}

/* The guest of the test finds the journal, and writes over what it was given: the move does not notice. */
static void a_test_boot_and_what_it_showed(void **state)
{
    pid_t broker;
    to_synced(&broker);
    struct migration_test_terms terms = short_test;
    terms.expect_console = "guest journal ";
    refused(scene_try(MIGRATION_EVENT_COMMIT, -1), ERR_CONFLICT);
    scene_test(&terms);
    scene_expect("SELECT count(*) FROM migration_test WHERE outcome IS NULL AND principal = 'engineer'", "1");
    go(broker, "synced");
    scene_expect("SELECT outcome || ' ' || (why IS NULL) || ' ' || pass || ' ' || (ended_at - booted_at >="
                 " interval '1 s') FROM migration_test",
                 "passed true 2 true");
    scene_expect("SELECT string_agg(c ->> 'check' || ' ' || (c ->> 'passed'), ',') FROM migration_test,"
                 " jsonb_array_elements(checks) AS c",
                 "runs true,console true");
    /* Escape sequences and carriage returns are gone; records were there. */
    scene_expect("SELECT console ~ E'^guest journal [1-9][0-9]*\\n$' FROM migration_test", "t");
    scene_expect("SELECT test ->> 'outcome' FROM migration", "passed");
    scene_expect("SELECT why FROM migration_history WHERE event = 'tested'", "the test has passed");
    scene_expect("SELECT string_agg(kind, ',') FROM migration_ledger WHERE kind = 'test'", "test");
    expect_removed();
    commit_it(broker);
}

static void a_test_that_fails_leaves_the_move(void **state)
{
    pid_t broker;
    to_synced(&broker);
    struct migration_test_terms terms = {.seconds = 2, .stays_seconds = 1, .expect_console = "login:"};
    scene_test(&terms);
    go(broker, "synced");
    scene_expect("SELECT outcome || ': ' || why FROM migration_test",
                 "failed: its console did not show \"login:\"");
    scene_expect("SELECT why FROM migration_history WHERE event = 'tested'",
                 "the test has failed: its console did not show \"login:\"");
    expect_removed();
    terms = short_test;
    terms.agent = true; /* the folder's guests have none */
    terms.seconds = 2;
    scene_test(&terms);
    go(broker, "synced");
    scene_expect("SELECT outcome || ': ' || why FROM migration_test WHERE number = 2",
                 "failed: its guest agent did not answer");
    /* No room for a second one. */
    pg_exec(scene.pg, "UPDATE capacity SET total = 3 WHERE endpoint_id = 'f' AND metric = 'vcpu'");
    scene_test(&short_test);
    go(broker, "synced");
    scene_expect("SELECT outcome || ' ' || (why ~ 'vcpu') || ' ' || (booted_at IS NULL) FROM migration_test"
                 " WHERE number = 3",
                 "failed true true");
    expect_removed();
    pg_exec(scene.pg, "UPDATE capacity SET total = 1000 WHERE endpoint_id = 'f' AND metric = 'vcpu'");
    commit_it(broker);
}

static void await_test(void)
{
    int64_t until = moment_monotonic() + 60 * MOMENT_SECOND;
    while (pg_number(scene.pg,
                     "SELECT count(*) FROM migration_test WHERE booted_at IS NOT NULL AND outcome IS"
                     " NULL") == 0) {
        assert_true(moment_monotonic() < until);
        scene_guest();
        (void)nanosleep(&(struct timespec){0, 3000000}, NULL); /* between two looks */
    }
}

static void a_guest_that_does_not_stay_on(void **state)
{
    pid_t broker;
    to_synced(&broker);
    scene_test(&(struct migration_test_terms){.seconds = 60, .stays_seconds = 60});
    await_test();
    char *test = folder_cloud_test(scene.target);
    assert_non_null(test);
    folder_cloud_cut(scene.target, test);
    go(broker, "synced");
    scene_expect("SELECT outcome || ' ' || (why ~ '^it was off after [0-9]+ s$') FROM migration_test",
                 "failed true");
    expect_removed();
    free(test);
    commit_it(broker);
}

/* What an inventory of the target is told: the second sides of instance and volume, which may not run, and
 * the test, which may. */
static struct error *others_body(struct db *db, void *context)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *test = context;
    struct other_side *list;
    size_t count, tests = 0;
    TRY(other_side_list(db, arena, "f", &list, &count));
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        bool is_test = !strcmp(list[i].resource, test);
        assert_int_equal(list[i].may_run, is_test);
        assert_true(i == 0 || strcmp(list[i - 1].resource, list[i].resource) < 0); /* it is searched by id */
        if (is_test)
            assert_int_equal(json_integer_value(json_object_get(list[i].spec, "vcpu")), 2);
        tests += is_test;
    }
    assert_int_equal(tests, 1);
    return NULL;
}

/* The shell is the unit's to pay by the agreement; what its test takes is free all the same. */
static void a_test_boot_is_free_whoever_pays_the_overlap(void **state)
{
    pid_t broker;
    const char *open = "SELECT string_agg(item || ' ' || tariff || ' ' || micro, ',' ORDER BY item, tariff)"
                       " FROM usage_interval WHERE resource_id = '" MOVE_ID "' AND end_at = 'infinity'";
    scene_begin("folder", MIGRATION_WARM, 0);
    scene.tested = true;
    pg_exec(scene.pg,
            "UPDATE agreement SET settings = '{\"migration_overlap\": \"charged\"}' WHERE provider_id = 'q'");
    scene_say(MIGRATION_EVENT_START);
    broker = scene_broker(0);
    go(broker, "synced");
    const char *shell = "1001 standard 2000000,1002 standard 4000000,1011 standard 250000";
    scene_expect(open, shell);
    scene_test(&(struct migration_test_terms){.seconds = 60, .stays_seconds = 60});
    await_test();
    scene_expect(open, "1001 migration 2000000,1001 standard 2000000,1002 migration 4000000,"
                       "1002 standard 4000000,1011 migration 250000,1011 standard 250000");
    scene_expect("SELECT reserved FROM capacity WHERE endpoint_id = 'f' AND metric = 'vcpu'", "4");
    char *test = folder_cloud_test(scene.target);
    ok(db_transaction(scene.db, &db_scope_system, DB_READ_COMMITTED, others_body, test));
    folder_cloud_cut(scene.target, test);
    free(test);
    go(broker, "synced");
    scene_expect(open, shell);
    scene_expect("SELECT count(*) || ' ' || bool_and((start_at, end_at) = (made_at, removed_at)) FROM"
                 " usage_interval u JOIN migration_ledger l ON l.kind = 'test' WHERE resource_id = '" MOVE_ID
                 "' AND tariff = 'migration'",
                 "3 true");
    commit_it(broker);
}

/* Cancelled, or without its consent any more, while the test runs: it is gone, and so is the rest. */
static void what_stops_a_move_stops_its_test(void **state)
{
    for (int withdrawn = 0; withdrawn < 2; withdrawn++) {
        pid_t broker;
        to_synced(&broker);
        scene_test(&(struct migration_test_terms){.seconds = 3600, .stays_seconds = 3600});
        await_test();
        if (withdrawn)
            scene_withdraw_consent();
        else
            scene_say(MIGRATION_EVENT_CANCEL);
        go(broker, "cancelled");
        scene_expect("SELECT outcome FROM migration_test", "cancelled");
        char *test = folder_cloud_test(scene.target);
        assert_null(test);
        scene_check(false);
        scene_kill(broker);
    }
}

/* A provider that cannot make a test, for good or for a while, fails the test; one that cannot take it away
 * for longer than anything else is tried is waited for. Neither costs the move. */
static void a_provider_that_is_busy_while_it_is_tested(void **state)
{
    static const struct {
        const char *operation, *code;
        int times;
        const char *outcome;
    } cases[] = {{"test_create", "unsupported", 1, "failed"},
                 {"test_create", "busy", 40, "failed"},
                 {"instance_start", "denied", 1, "failed"},
                 {"instance_delete", "busy", 25, "passed"}};
    pid_t broker;
    to_synced(&broker);
    scene.hurry = true;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scene_kill(broker);
        broker = scene_broker_failing(cases[i].operation, cases[i].code, cases[i].times);
        scene_test(&short_test);
        go(broker, "synced");
        char *sql = xasprintf("SELECT outcome FROM migration_test WHERE number = %zu", i + 1);
        scene_expect(sql, cases[i].outcome);
        free(sql);
        expect_removed();
    }
    scene_kill(broker); /* it may have failures left */
    broker = scene_broker(0);
    commit_it(broker);
}

/* The broker is killed before and after everything that it does for a test boot, one test after another. */
static void a_test_boot_killed_at_every_boundary(void **state)
{
    pid_t broker;
    bool died = true;
    int boundary = 0;
    to_synced(&broker);
    while (died) {
        scene_kill(broker);
        broker = scene_broker(++boundary);
        scene_test(&short_test);
        died = !scene_await(broker, "synced");
        if (died) {
            broker = scene_broker(0);
            go(broker, "synced");
        }
        char *sql = xasprintf(
            "SELECT outcome || coalesce(': ' || why, '') FROM migration_test WHERE number = %d", boundary);
        scene_expect(sql, "passed");
        free(sql);
        expect_removed();
    }
    print_message("a test boot: killed at %d boundaries\n", boundary - 1);
    assert_true(boundary > 10);
    scene_kill(broker); /* which would still die at its boundary */
    broker = scene_broker(0);
    commit_it(broker);
}

/* Before anything runs on the other side: the shell was there, and is not any more. */
static void a_move_that_is_cancelled(void **state)
{
    scene_begin("folder", MIGRATION_WARM, 0);
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(0);
    go(broker, "synced");
    scene_expect(
        "SELECT string_agg(cloud_id || ' ' || tariff || ' ' || item, ',' ORDER BY item) FROM usage_interval"
        " WHERE resource_id = '" MOVE_ID "' AND end_at = 'infinity'",
        "d migration 1001,d migration 1002,d migration 1011");
    scene_say(MIGRATION_EVENT_CANCEL);
    go(broker, "cancelled");
    scene_expect(
        "SELECT count(*) || ' ' || bool_and(end_at = removed_at AND start_at = made_at) FROM usage_interval u"
        " JOIN migration_ledger l ON l.kind = 'instance' WHERE resource_id = '" MOVE_ID "'",
        "3 true");
    scene_kill(broker);
}

static void a_cold_move(void **state)
{
    scene_begin("folder", MIGRATION_COLD, 0);
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(0);
    go(broker, "synced");
    scene_expect("SELECT count(*) FROM migration_pass", "0");
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    scene_accept();
    scene_say(MIGRATION_EVENT_COMMIT);
    go(broker, "committed");
    scene_check(true);
    scene_kill(broker);
}

#define WHY                                                                                             \
    "SELECT string_agg(disk || ' ' || kind || coalesce(' ' || why, ''), ',' ORDER BY pass, disk) FROM " \
    "migration_pass"

static void cut_over_and_commit(pid_t broker)
{
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    scene_accept();
    scene_say(MIGRATION_EVENT_COMMIT);
    go(broker, "committed");
    scene_check(true);
}

/* The target's export stays open from the first pass to the last, and what it takes to send it all is in the
 * forecast: 128 MiB at 140 MB/s, and back for the proof. */
static void a_move_to_where_writes_are_staged(void **state)
{
    scene_begin("folder-staged", MIGRATION_WARM, 0);
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(0);
    go(broker, "synced");
    scene_expect(
        "SELECT count(*) FROM migration_ledger WHERE removed_at IS NULL AND side = 'target' AND kind ="
        " 'export'",
        "1");
    cut_over_and_commit(broker);
    scene_expect(WHY, "sda full,sdb full,sda changed,sdb changed");
    scene_expect("SELECT count(*) FROM migration_ledger WHERE side = 'target' AND kind = 'export'",
                 "2"); /* that, and the proof's */
    scene_kill(broker);
}

/* The broker dies, and another host takes over, which has nothing of what was staged. */
static void what_was_staged_is_lost(void **state)
{
    scene_begin("folder-staged", MIGRATION_WARM, 0);
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(0);
    go(broker, "synced");
    scene_kill(broker);
    char *command = xasprintf("rm %s/*.stage-*", scene.target);
    struct process *removing = process_start((const char *const[]){"/bin/sh", "-c", command, NULL}, NULL);
    int status;
    assert_int_equal(waitpid(process_pid(removing), &status, 0), process_pid(removing));
    assert_int_equal(status, 0);
    (void)process_stop(removing); /* it has ended */
    free(command);
    broker = scene_broker(0);
    cut_over_and_commit(broker);
    scene_expect(WHY, "sda full,sdb full,sda full what was staged is lost,sdb full what was staged is lost");
    scene_kill(broker);
}

static void a_live_move(void **state)
{
    scene_begin("folder-live", MIGRATION_LIVE, 0);
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(0);
    go(broker, "synced");
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    scene_expect("SELECT measured_us FROM migration", "3");
    scene_accept();
    scene_say(MIGRATION_EVENT_COMMIT);
    go(broker, "committed");
    scene_check(true);
    scene_kill(broker);
}

/* To the ending that is wanted, with the words that lead there, whatever dies on the way. */
static void drive(const char *driver, enum migration_method method, bool back, int die_at, bool *ret_died)
{
    scene_begin(driver, method, 0);
    scene.may_forget = back;
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(die_at);
    const struct {
        const char *state;
        enum migration_event event;
    } words[] = {{"synced", MIGRATION_EVENT_CUTOVER},
                 {"holding", back ? MIGRATION_EVENT_ROLLBACK : MIGRATION_EVENT_COMMIT},
                 {back ? "rolled-back" : "committed", MIGRATION_EVENT_COUNT}};
    *ret_died = false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!scene_await(broker, words[i].state)) {
            *ret_died = true;
            broker = scene_broker(0);
            assert_true(scene_await(broker, words[i].state));
        }
        if (i == 1 && !back)
            scene_accept();
        if (words[i].event != MIGRATION_EVENT_COUNT)
            scene_say(words[i].event);
    }
    scene_check(!back);
    scene_kill(broker);
}

/* The broker is killed at every boundary that there is, before and after each thing that it does. */
static void killed_at_every_boundary(const char *driver, enum migration_method method, bool back)
{
    bool died = true;
    int boundary = 0;
    while (died)
        drive(driver, method, back, ++boundary, &died);
    print_message("%s, %s: killed at %d boundaries\n", migration_method_name(method),
                  back ? "rolled back" : "committed", boundary - 1);
    assert_true(boundary > 10);
}

static void a_warm_move_killed_at_every_boundary(void **state)
{
    killed_at_every_boundary("folder", MIGRATION_WARM, false);
}

static void a_staged_move_killed_at_every_boundary(void **state)
{
    killed_at_every_boundary("folder-staged", MIGRATION_WARM, false);
}

static void a_rollback_killed_at_every_boundary(void **state)
{
    killed_at_every_boundary("folder", MIGRATION_COLD, true);
}

static void a_live_move_killed_at_every_boundary(void **state)
{
    killed_at_every_boundary("folder-live", MIGRATION_LIVE, false);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warm_move_and_its_commit),
        cmocka_unit_test(the_predicted_downtime_is_all_of_it),
        cmocka_unit_test(passes_that_never_fit_wait_for_a_person),
        cmocka_unit_test(a_cut_over_measures_the_machine),
        cmocka_unit_test(a_rollback_while_it_is_held),
        cmocka_unit_test(what_grew_meanwhile_is_as_it_was),
        cmocka_unit_test(the_agreement_says_who_pays_for_the_overlap),
        cmocka_unit_test(a_test_boot_and_what_it_showed),
        cmocka_unit_test(a_test_that_fails_leaves_the_move),
        cmocka_unit_test(a_guest_that_does_not_stay_on),
        cmocka_unit_test(a_test_boot_is_free_whoever_pays_the_overlap),
        cmocka_unit_test(what_stops_a_move_stops_its_test),
        cmocka_unit_test(a_provider_that_is_busy_while_it_is_tested),
        cmocka_unit_test(a_test_boot_killed_at_every_boundary),
        cmocka_unit_test(a_move_that_is_cancelled),
        cmocka_unit_test(a_cold_move),
        cmocka_unit_test(a_move_to_where_writes_are_staged),
        cmocka_unit_test(what_was_staged_is_lost),
        cmocka_unit_test(a_live_move),
        cmocka_unit_test(a_warm_move_killed_at_every_boundary),
        cmocka_unit_test(a_staged_move_killed_at_every_boundary),
        cmocka_unit_test(a_rollback_killed_at_every_boundary),
        cmocka_unit_test(a_live_move_killed_at_every_boundary),
    };
    scene_maybe_broker(argc, argv);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, scene_open, scene_close);
}
