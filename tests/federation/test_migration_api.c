/* /v1/migrations through the server: what a plan needs, papers before anything starts, whose word it is, two
 * who press at once, and what is held meanwhile. Moves themselves are test_migration_job.c's. */
#include "federation/migration_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"
#include "broker/base/json.h"
#include "tests/federation/desk.h"

#define ASSESSMENT "0192f000-0000-7000-8000-0000000000a5"
#define OLD "0192f000-0000-7000-8000-0000000000a6"
#define STUCK "0192f000-0000-7000-8000-0000000000a7"

static char instance[37];

/* What the assessment of tests/federation/test_assess_api.c comes to, here as rows. */
static void assessed(const char *id, const char *age, bool movable)
{
    char *sql = xasprintf(
        "INSERT INTO assessment (unit_id, id, kind, touched, clouds, to_cloud, to_zone, request, machines, "
        "principal,"
        " operation_id, state, created_at, ended_at) VALUES ('u', '%s', 'cloud-host', '{u001}', '{c,d}', "
        "'d', 'ext',"
        " '{}', '{%s}', 'engineer', '%s', 'done', now(), now());"
        "INSERT INTO assessment_host (unit_id, assessment_id, number, resource_id, system_id, cloud_id, "
        "report, answers,"
        " digest, assessed_at) VALUES ('u', '%s', 1, '%s', 'u001', 'c', '{\"movable\": %s, \"preferred\": "
        "\"warm\","
        " \"disk_bytes\": 7, \"findings\": [{\"id\": \"x\", \"severity\": \"%s\", \"title\": \"a disk is "
        "odd\"}],"
        " \"methods\": [{\"method\": \"live\", \"possible\": false, \"reason\": \"drivers differ\"},"
        " {\"method\": \"warm\", \"possible\": true, \"downtime_ms\": 120000, \"copy_seconds\": 60},"
        " {\"method\": \"cold\", \"possible\": true, \"downtime_ms\": 900000}]}', '{}', repeat('0', 64),"
        " now() - interval '%s')",
        id, instance, id, id, instance, movable ? "true" : "false", movable ? "warning" : "blocker", age);
    pg_exec(house.pg, sql);
    free(sql);
}

static void consent_given(void)
{
    pg_exec(
        house.pg,
        "INSERT INTO consent (unit_id, id, algorithm, digest, reference, signer_name, signer_post, systems,"
        " instances, touched, from_places, to_places, clouds, valid_from, valid_until, given_by, given_at)"
        " VALUES ('u', '" ASSESSMENT "', 'sha256', repeat('0', 64), 'letter 7', 'A', 'B', '{u001}', '{}',"
        " '{u001}', '{c}', '{d/t}', '{c,d}', now() - interval '1 day', now() + interval '1 day', 'x', "
        "now())");
}

static int set_up(void **state)
{
    char operation[37];
    desk_reset(state);
    ok(house_order(ONE_INSTANCE("web"), operation));
    house_run();
    house_await(operation, "succeeded");
    house_halt();
    house_id("web", instance);
    assessed(ASSESSMENT, "1 day", true);
    return 0;
}

static const char *plan_of(struct arena *arena, const char *assessment, const char *more)
{
    return arena_printf(arena, "{\"instance\":\"%s\",\"assessment\":\"%s\"%s}", instance, assessment, more);
}

/* The path of a new migration. */
static const char *planned(struct arena *arena, const char *state)
{
    json_t *made = desk_call(arena, ENGINEER, "POST", "/v1/migrations", plan_of(arena, ASSESSMENT, ""), 201);
    assert_string_equal(desk_text(made, "state"), state);
    return arena_printf(arena, "/v1/migrations/%s", desk_text(made, "id"));
}

static json_t *say(struct arena *arena, enum who who, const char *path, const char *verb, const char *body,
                   int status)
{
    return desk_call(arena, who, "POST", arena_printf(arena, "%s:%s", path, verb), body, status);
}

/* With the version that is there now. */
static json_t *say_now(struct arena *arena, enum who who, const char *path, const char *verb, int status)
{
    (void)desk_call(arena, ADMIN, "GET", path, NULL, 200);
    desk_match = arena_strdup(arena, desk_header("etag"));
    json_t *answer = say(arena, who, path, verb, NULL, status);
    desk_match = NULL;
    return answer;
}

static void a_plan_has_its_way_back(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = planned(arena, "assessed");
    json_t *m = desk_call(arena, UNIT, "GET", path, NULL, 200);
    assert_string_equal(desk_text(m, "method"), "warm");
    assert_string_equal(desk_text(json_object_get(m, "target"), "cloud"), "d");
    assert_string_equal(desk_text(m, "approvals"), "unit");
    json_t *plan = json_object_get(m, "plan"), *back = json_object_get(m, "rollback_plan");
    assert_true(json_array_size(json_object_get(plan, "steps")) > 8);
    assert_int_equal(json_array_size(json_object_get(plan, "risks")), 1);
    assert_true(json_array_size(json_object_get(json_object_get(plan, "tasks"), "outgoing_provider")) > 0);
    assert_int_equal(strlen(desk_text(plan, "due_at")), MOMENT_TEXT - 1);
    assert_true(json_array_size(json_object_get(back, "after")) > 5);
    assert_string_equal(desk_text(json_array_get(json_object_get(m, "history"), 0), "event"), "planned");
    assert_int_equal(memory_cloud_calls("instance_stop"), 0); /* nothing is touched */
    for (int who = 0; who < WHO_COUNT; who++) {
        bool sees = who != OTHER_REGULATOR && who != STRANGER && who != MEMBER && who != PART;
        (void)desk_call(arena, (enum who)who, "GET", path, NULL, sees ? 200 : 404);
        assert_int_equal(desk_count(arena, (enum who)who, "/v1/migrations", "migrations"), sees);
    }
}

static void what_a_plan_needs(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    assessed(OLD, "31 days", true);
    assessed(STUCK, "1 day", false);
    (void)desk_call(arena, ENGINEER, "POST", "/v1/migrations", plan_of(arena, OLD, ""), 422);
    json_t *stuck = desk_call(arena, ENGINEER, "POST", "/v1/migrations", plan_of(arena, STUCK, ""), 409);
    assert_non_null(strstr(desk_text(stuck, "detail"), "a disk is odd"));
    (void)desk_call(arena, ENGINEER, "POST", "/v1/migrations", plan_of(arena, instance, ""), 422);
    json_t *live = desk_call(arena, ENGINEER, "POST", "/v1/migrations",
                             plan_of(arena, ASSESSMENT, ",\"method\":\"live\""), 422);
    assert_non_null(
        strstr(desk_text(json_array_get(json_object_get(live, "errors"), 0), "detail"), "drivers differ"));
    (void)desk_call(
        arena, ENGINEER, "POST", "/v1/migrations",
        plan_of(arena, ASSESSMENT,
                ",\"window\":{\"from\":\"2026-12-02T00:00:00Z\",\"until\":\"2026-12-01T00:00:00Z\"}"),
        422);
    (void)desk_call(arena, UNIT, "POST", "/v1/migrations", plan_of(arena, ASSESSMENT, ""), 403);
    json_t *cold =
        desk_call(arena, ENGINEER, "POST", "/v1/migrations",
                  plan_of(arena, ASSESSMENT, ",\"method\":\"cold\",\"downtime_seconds\":600"), 201);
    assert_non_null(strstr(desk_text(cold, "method_reason"), "warm would have the least downtime"));
    (void)desk_call(arena, ENGINEER, "POST", "/v1/migrations", plan_of(arena, ASSESSMENT, ""),
                    409); /* one at a time */
}

/* Whatever the role: without the unit's consent nothing starts, and what was approved is not without it. */
static void nothing_starts_without_consent(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = planned(arena, "assessed");
    (void)say(arena, ENGINEER, path, "start", NULL, 428);
    (void)say_now(arena, ENGINEER, path, "start", 403); /* not approved, and not even consented */
    (void)say_now(arena, ADMIN, path, "start", 403);
    (void)say_now(arena, UNIT, path, "approve", 200);
    desk_expect("SELECT state FROM migration", "assessed");
    consent_given();
    (void)say_now(arena, ENGINEER, path, "approve", 403);
    (void)say_now(arena, UNIT, path, "approve", 200);
    desk_expect("SELECT state FROM migration", "approved");
    pg_exec(house.pg, "UPDATE consent SET withdrawn_at = now(), withdrawn_by = 'x', withdrawal_reason = 'no',"
                      " version = version + 1");
    json_t *refused_start = say_now(arena, ENGINEER, path, "start", 403);
    assert_non_null(strstr(desk_text(refused_start, "detail"), "withdrawn"));
    desk_expect("SELECT count(*) FROM job WHERE type = 'migrate'", "0");
    desk_expect("SELECT count(*) FROM resource WHERE operation_id IS NOT NULL", "0");
}

/* What runs does not wait for its next look, nor for the end of what it is at. */
static void a_withdrawal_wakes_what_runs(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    consent_given();
    const char *path = planned(arena, "consented");
    (void)say_now(arena, UNIT, path, "approve", 200);
    (void)say_now(arena, ENGINEER, path, "start", 200);
    desk_expect("SELECT version FROM migration", "4");
    pg_exec(house.pg,
            "UPDATE job SET woken = false, run_at = now() + interval '1 day' WHERE type = 'migrate'");
    (void)desk_call(arena, UNIT, "GET", "/v1/consents/" ASSESSMENT, NULL, 200);
    desk_match = arena_strdup(arena, desk_header("etag"));
    (void)desk_call(arena, UNIT, "POST", "/v1/consents/" ASSESSMENT ":withdraw", "{\"reason\":\"no\"}", 200);
    desk_match = NULL;
    desk_expect("SELECT woken AND run_at <= now() FROM job WHERE type = 'migrate'", "t");
    desk_expect("SELECT version FROM migration", "5");
}

static void of_two_who_press_one_is_told(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    consent_given();
    const char *path = planned(arena, "consented");
    (void)say_now(arena, UNIT, path, "approve", 200);
    (void)desk_call(arena, ADMIN, "GET", path, NULL, 200);
    desk_match = arena_strdup(arena, desk_header("etag"));
    json_t *started = say(arena, ENGINEER, path, "start", "{\"reason\":\"the night is quiet\"}", 200);
    assert_string_equal(desk_text(started, "state"), "copying");
    (void)say(arena, ADMIN, path, "cancel", NULL, 412);
    (void)desk_call(arena, ENGINEER, "PATCH", path, "{\"bandwidth\":1000}", 412);
    desk_match = NULL;
    desk_expect("SELECT count(*) FROM job WHERE type = 'migrate' AND state = 'queued'", "1");
    desk_expect("SELECT principal || ': ' || why FROM migration_history WHERE event = 'start'",
                "engineer: the night is quiet");
    char operation[37]; /* held by the move */
    refused(house_operate("web", VERB_STOP, NULL, operation), ERR_CONFLICT);
    (void)say_now(arena, ENGINEER, path, "cutover", 409);
    (void)say_now(arena, ENGINEER, path, "commit", 409);
    (void)say_now(arena, ADMIN, path, "accept", 403); /* the using unit's word alone */
    (void)say_now(arena, UNIT, path, "accept", 409);
    (void)say_now(arena, UNIT, path, "cancel", 403);
    json_t *stopped = say_now(arena, ENGINEER, path, "cancel", 200);
    assert_string_equal(desk_text(stopped, "state"), "cancelling");
    desk_expect("SELECT count(*) FROM audit WHERE path LIKE '%:cancel' AND status = 200 AND unit_id = 'u'",
                "1");
    desk_expect("SELECT string_agg(DISTINCT unit_id || cloud_id, ',' ORDER BY unit_id || cloud_id)"
                " FROM event WHERE type = 'migration.changed'",
                "uc,ud");
}

/* What a test boot is asked with; moves with one are test_migration_job.c's. */
static void what_a_test_boot_is_asked_with(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = planned(arena, "assessed");
    (void)say(arena, ENGINEER, path, "test", NULL, 428);
    static const struct {
        const char *body, *pointer;
    } bad[] = {{"{\"seconds\":0}", "/seconds"},
               {"{\"seconds\":3601}", "/seconds"},
               {"{\"seconds\":10,\"stays_seconds\":11}", "/stays_seconds"},
               {"{\"expect_console\":\"\"}", "/expect_console"},
               {"{\"agent\":1}", "/agent"},
               {"{\"network\":\"office\"}", "/network"}};
    (void)desk_call(arena, ADMIN, "GET", path, NULL, 200);
    desk_match = arena_strdup(arena, desk_header("etag"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *problem = say(arena, ENGINEER, path, "test", bad[i].body, 422);
        assert_string_equal(desk_text(json_array_get(json_object_get(problem, "errors"), 0), "pointer"),
                            bad[i].pointer);
    }
    desk_match = NULL;
    (void)say_now(arena, UNIT, path, "test", 403);
    (void)say_now(arena, STRANGER, path, "test", 403);
    json_t *lacks = say_now(arena, ENGINEER, path, "test", 409);
    assert_non_null(strstr(desk_text(lacks, "detail"), "cannot boot tests"));
    desk_expect("SELECT count(*) FROM migration_test", "0");
    json_t *m = desk_call(arena, UNIT, "GET", path, NULL, 200);
    assert_true(json_is_false(json_object_get(m, "test_required")));
    assert_int_equal(json_array_size(json_object_get(m, "tests")), 0);
}

/* Cutting over without the test that the terms want is refused by the state machine (test_migration.c). */
static void the_terms_may_want_a_test(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    json_t *cold = desk_call(arena, ENGINEER, "POST", "/v1/migrations",
                             plan_of(arena, ASSESSMENT, ",\"method\":\"cold\",\"test_required\":true"), 422);
    assert_string_equal(desk_text(json_array_get(json_object_get(cold, "errors"), 0), "pointer"),
                        "/test_required");
    json_t *made = desk_call(arena, ENGINEER, "POST", "/v1/migrations",
                             plan_of(arena, ASSESSMENT, ",\"test_required\":true"), 201);
    assert_true(json_is_true(json_object_get(made, "test_required")));
    assert_true(*desk_text(json_object_get(made, "plan"), "test_boot"));
    const char *path = arena_printf(arena, "/v1/migrations/%s", desk_text(made, "id"));
    static const char *const words[] = {"{\"hold_days\":3}", "{\"test_required\":false}",
                                        "{\"test_required\":true}"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        (void)desk_call(arena, ADMIN, "GET", path, NULL, 200);
        desk_match = arena_strdup(arena, desk_header("etag"));
        json_t *after = desk_call(arena, ENGINEER, "PATCH", path, words[i], 200);
        assert_int_equal(json_is_true(json_object_get(after, "test_required")), i != 1);
        desk_match = NULL;
    }
}

/* With the version that is there now. */
static json_t *change(struct arena *arena, const char *path, const char *body, int status)
{
    (void)desk_call(arena, ADMIN, "GET", path, NULL, 200);
    desk_match = arena_strdup(arena, desk_header("etag"));
    json_t *answer = desk_call(arena, ENGINEER, "PATCH", path, body, status);
    desk_match = NULL;
    return answer;
}

/* Open since an hour, for so much longer. */
static const char *window(struct arena *arena, int64_t left)
{
    moment now = clock_now(house.clock);
    return arena_printf(arena, "{\"window\":{\"from\":\"%s\",\"until\":\"%s\"}}",
                        moment_text(arena, now - MOMENT_HOUR), moment_text(arena, now + left));
}

static void in_sync(const char *predicted_us)
{
    char *sql = xasprintf("UPDATE migration SET state = 'synced', passes = 1, predicted_us = %s,"
                          " version = version + 1",
                          predicted_us);
    pg_exec(house.pg, sql);
    free(sql);
}

static void the_downtime_ends_within_the_window(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    consent_given();
    const char *path = planned(arena, "consented");
    (void)say_now(arena, UNIT, path, "approve", 200);
    (void)say_now(arena, ENGINEER, path, "start", 200);
    in_sync("600000000");
    json_t *terms = change(arena, path, window(arena, 5 * MOMENT_MINUTE), 200);
    json_t *late = say_now(arena, ENGINEER, path, "cutover", 409);
    const char *detail = desk_text(late, "detail");
    assert_non_null(strstr(detail, "has to end within the agreed window"));
    assert_non_null(strstr(detail, arena_printf(arena, "open until %s: from now on 600 s are predicted",
                                                desk_text(json_object_get(terms, "window"), "until"))));
    (void)change(arena, path, window(arena, -MOMENT_MINUTE), 200);
    late = say_now(arena, ENGINEER, path, "cutover", 409);
    assert_non_null(strstr(desk_text(late, "detail"), "window is not open"));
    (void)change(arena, path, window(arena, 11 * MOMENT_MINUTE), 200);
    (void)say_now(arena, ENGINEER, path, "cutover", 200);
    /* What nobody has predicted only has to begin within it. */
    in_sync("-1");
    (void)change(arena, path, window(arena, 5 * MOMENT_MINUTE), 200);
    (void)say_now(arena, ENGINEER, path, "cutover", 200);
}

static void a_window_is_taken_off_again(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    consent_given();
    const char *path = planned(arena, "consented");
    (void)say_now(arena, UNIT, path, "approve", 200);
    (void)say_now(arena, ENGINEER, path, "start", 200);
    in_sync("600000000");
    (void)change(arena, path, window(arena, 5 * MOMENT_MINUTE), 200);
    json_t *terms = change(arena, path, "{\"hold_days\":3}", 200); /* says nothing of it */
    assert_true(json_is_object(json_object_get(terms, "window")));
    (void)change(arena, path, "{\"window\":{\"from\":null,\"until\":null}}", 422);
    terms = change(arena, path, "{\"window\":null}", 200);
    assert_false(json_is_object(json_object_get(terms, "window")));
    desk_expect("SELECT count(*) FROM migration WHERE window_from IS NULL AND window_until IS NULL", "1");
    (void)say_now(arena, ENGINEER, path, "cutover", 200);
}

static void a_move_that_never_began_ends_at_once(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = planned(arena, "assessed");
    (void)desk_call(arena, ADMIN, "GET", path, NULL, 200);
    desk_match = arena_strdup(arena, desk_header("etag"));
    json_t *ended = desk_call(arena, ENGINEER, "DELETE", path, NULL, 200);
    assert_string_equal(desk_text(ended, "state"), "cancelled");
    desk_match = NULL;
    (void)say_now(arena, ENGINEER, path, "start", 409);
    (void)planned(arena, "assessed"); /* another one may be planned */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_plan_has_its_way_back, set_up, house_rest),
        cmocka_unit_test_setup_teardown(what_a_plan_needs, set_up, house_rest),
        cmocka_unit_test_setup_teardown(nothing_starts_without_consent, set_up, house_rest),
        cmocka_unit_test_setup_teardown(a_withdrawal_wakes_what_runs, set_up, house_rest),
        cmocka_unit_test_setup_teardown(of_two_who_press_one_is_told, set_up, house_rest),
        cmocka_unit_test_setup_teardown(what_a_test_boot_is_asked_with, set_up, house_rest),
        cmocka_unit_test_setup_teardown(the_terms_may_want_a_test, set_up, house_rest),
        cmocka_unit_test_setup_teardown(the_downtime_ends_within_the_window, set_up, house_rest),
        cmocka_unit_test_setup_teardown(a_window_is_taken_off_again, set_up, house_rest),
        cmocka_unit_test_setup_teardown(a_move_that_never_began_ends_at_once, set_up, house_rest),
    };
    return cmocka_run_group_tests(tests, desk_open, desk_close);
}
