/* /v1/waves through the server: what a wave must be, who sees it and whose word it is, two who press at once,
 * order and limits, and what pace and forecast say while time goes on. Moves are not begun here:
 * test_wave_job.c. */
#include "federation/wave_sight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"
#include "tests/federation/wave_scene.h"

static int set_up(void **state)
{
    (void)state;
    waves_arrange("112x");
    return 0;
}

static int64_t number(const json_t *json, const char *member)
{
    return json_integer_value(json_object_get(json, member));
}

static const json_t *pace_of(const json_t *wave, const char *system)
{
    const json_t *pace;
    size_t i;
    json_array_foreach (json_object_get(wave, "pace"), i, pace)
        if (!strcmp(desk_text(pace, "system"), system))
            return pace;
    fail_msg("no pace of %s", system);
    return NULL;
}

static void a_wave_is_kept(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = waves_made(
        arena, ",\"programme\":\"cloud\",\"dependencies\":[{\"system\":\"u001\",\"after\":[\"u002\"]}]");
    json_t *wave = waves_get(arena, path);
    assert_string_equal(desk_text(wave, "unit"), "u");
    assert_string_equal(desk_text(wave, "cutover"), "manual");
    assert_int_equal(json_array_size(json_object_get(wave, "hosts")), 3);
    const json_t *left = json_array_get(json_object_get(wave, "left_out"), 0);
    assert_string_equal(desk_text(left, "name"), "web-4");
    const json_t *sums = json_object_get(wave, "sums");
    assert_int_equal(number(sums, "hosts"), 3);
    assert_int_equal(number(sums, "waiting"), 3);
    assert_int_equal(number(sums, "bytes"), INT64_C(30000000000));
    /* u002 first: 1000 s and 60 s; then both of u001 at once */
    assert_int_equal(number(waves_host(wave, 3), "eta_seconds"), 1060);
    assert_int_equal(number(waves_host(wave, 1), "eta_seconds"), 2120);
    assert_int_equal(number(waves_host(wave, 2), "eta_seconds"), 2120);
    assert_int_equal(number(json_object_get(wave, "forecast"), "eta_seconds"), 2120);
    assert_string_equal(desk_text(pace_of(wave, "u001"), "rule"), "five-working-days");
    assert_string_equal(desk_text(json_array_get(json_object_get(wave, "history"), 0), "event"), "planned");
    desk_expect("SELECT count(*) FROM migration", "0"); /* nothing begins by it */
    desk_expect("SELECT unit_id || ' ' || (subject = (SELECT id::text FROM wave)) FROM audit WHERE path = "
                "'/v1/waves' AND status = 201",
                "u true");
}

static void who_sees_it_and_whose_word_it_is(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = waves_made(arena, "");
    for (int who = 0; who < WHO_COUNT; who++) {
        /* MEMBER and PART are bound to u002, and the wave touches u001 */
        bool sees = who != OTHER_REGULATOR && who != STRANGER && who != MEMBER && who != PART;
        (void)desk_call(arena, (enum who)who, "GET", path, NULL, sees ? 200 : 404);
        assert_int_equal(desk_count(arena, (enum who)who, "/v1/waves", "waves"), sees);
        if (who != ADMIN && who != ENGINEER) {
            (void)waves_say(arena, (enum who)who, path, "start", NULL, 403);
            (void)desk_call(arena, (enum who)who, "POST", "/v1/waves", "{\"name\":\"x\"}", 403);
        }
    }
    (void)waves_say(arena, ADMIN, path, "start", NULL, 200);
    desk_expect("SELECT acts_for || ' ' || principal FROM wave", "boss engineer");
}

static void refused_with(struct arena *arena, const char *body, const char *pointer)
{
    json_t *answer = desk_call(arena, ENGINEER, "POST", "/v1/waves", body, 422);
    const char *got = desk_text(json_array_get(json_object_get(answer, "errors"), 0), "pointer");
    if (strcmp(got, pointer))
        fail_msg("%s: %s instead of %s", body, got, pointer);
}

#define OF "{\"name\":\"x\",\"assessments\":[\"" WAVE_ASSESSMENT "\"]"

static void what_a_wave_must_be(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    refused_with(arena, "{\"assessments\":[\"" WAVE_ASSESSMENT "\"]}", "/name");
    refused_with(arena, "{\"name\":\"x\"}", "/assessments");
    refused_with(arena, "{\"name\":\"x\",\"assessments\":[\"y\"]}", "/assessments/0");
    refused_with(arena, "{\"name\":\"x\",\"assessments\":[\"" WAVE_STRANGERS "\"]}", "/assessments/0");
    refused_with(arena,
                 OF ",\"hosts\":[{\"instance\":\"" WAVE_HOST("01") "\",\"assessment\":\"" WAVE_ASSESSMENT
                                                                   "\"}]}",
                 "/hosts/0/instance"); /* twice */
    refused_with(arena,
                 "{\"name\":\"x\",\"hosts\":[{\"instance\":\"" WAVE_HOST(
                     "04") "\",\"assessment\":\"" WAVE_ASSESSMENT "\"}]}",
                 "/hosts/0/instance"); /* cannot move */
    refused_with(arena, OF ",\"order\":[\"" WAVE_HOST("09") "\"]}", "/order/0");
    refused_with(arena, OF ",\"dependencies\":[{\"system\":\"u001\",\"after\":[\"moon\"]}]}",
                 "/dependencies");
    refused_with(arena,
                 OF ",\"windows\":[{\"from\":\"2027-01-02T00:00:00Z\",\"to\":\"2027-01-01T00:00:00Z\"}]}",
                 "/windows/0/to");
    refused_with(arena, OF ",\"blackout_days\":[\"2027-02-30\"]}", "/blackout_days/0");
    refused_with(arena, OF ",\"limits\":{\"link\":0}}", "/limits/link");
    refused_with(arena, OF ",\"moves\":{\"method\":\"live\"}}", "/moves/method");
    refused_with(arena, OF ",\"cutover\":\"maybe\"}", "/cutover");
    refused_with(arena,
                 OF ",\"links\":[{\"from\":{\"cloud\":\"d\",\"site\":\"t\"},\"to\":{\"cloud\":\"c\",\"site\":"
                    "\"s\"},\"bytes_per_second\":1}]}",
                 "/links/0");
    (void)desk_call(arena, ENGINEER, "POST", "/v1/waves",
                    OF ",\"dependencies\":[{\"system\":\"u001\",\"after\":[\"u001\"]}]}", 422);
    desk_expect("SELECT count(*) FROM wave", "0");
    (void)waves_made(arena, "");
    json_t *again = desk_call(arena, ENGINEER, "POST", "/v1/waves", OF "}", 409);
    assert_non_null(strstr(desk_text(again, "detail"), "web-1"));
    desk_expect("SELECT count(*) FROM wave", "1");
}

static void of_two_who_press_one_is_told(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = waves_made(arena, "");
    (void)desk_call(arena, ENGINEER, "POST", arena_printf(arena, "%s:start", path), NULL, 428);
    (void)desk_call(arena, ADMIN, "GET", path, NULL, 200);
    desk_match = arena_strdup(arena, desk_header("etag"));
    json_t *started = desk_call(arena, ENGINEER, "POST", arena_printf(arena, "%s:start", path),
                                "{\"reason\":\"it is time\"}", 200);
    assert_string_equal(desk_text(started, "state"), "running");
    (void)desk_call(arena, ADMIN, "POST", arena_printf(arena, "%s:cancel", path), NULL, 412);
    (void)desk_call(arena, ADMIN, "PATCH", path, "{\"limits\":{\"link\":1}}", 412);
    desk_match = NULL;
    desk_expect("SELECT count(*) FROM job WHERE type = 'wave'", "1");
    (void)waves_say(arena, ENGINEER, path, "start", NULL, 409);
    (void)waves_say(arena, ENGINEER, path, "resume", NULL, 409);
    (void)waves_say(arena, ENGINEER, path, "pause", NULL, 200);
    (void)waves_say(arena, ADMIN, path, "resume", NULL, 200);
    desk_expect("SELECT count(*) FROM job WHERE type = 'wave'", "1");
    desk_expect("SELECT acts_for FROM wave", "boss"); /* in whose name it goes on */
    desk_expect("SELECT string_agg(event || ' ' || principal, ',' ORDER BY number) FROM wave_history",
                "planned engineer,start engineer,pause engineer,resume boss");
    desk_expect("SELECT count(*) FROM event WHERE type = 'wave.changed' AND data->>'state' = 'running'", "4");
}

static void order_and_limits_are_changed(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = waves_made(arena, ",\"limits\":{\"total\":1,\"site\":7}");
    json_t *wave = waves_get(arena, path);
    assert_int_equal(number(waves_host(wave, 1), "eta_seconds"), 1060);
    assert_int_equal(number(waves_host(wave, 3), "eta_seconds"), 3180);
    assert_int_equal(number(json_object_get(waves_host(wave, 3), "waited_seconds"), "total"), 2120);
    wave = waves_patch(arena, path,
                       "{\"order\":[\"" WAVE_HOST("03") "\"],\"reason\":\"the base goes first\"}", 200);
    assert_int_equal(number(waves_host(wave, 3), "eta_seconds"), 1060);
    assert_int_equal(number(waves_host(wave, 2), "eta_seconds"), 3180);
    wave = waves_patch(arena, path, "{\"limits\":{\"total\":3}}", 200);
    assert_int_equal(number(waves_host(wave, 2), "eta_seconds"), 1060);
    assert_int_equal(number(json_object_get(json_object_get(wave, "terms"), "limits"), "site"),
                     7); /* is kept */
    wave = waves_patch(arena, path, "{\"limits\":null,\"programme\":\"p\"}", 200);
    assert_null(json_object_get(json_object_get(wave, "terms"), "limits"));
    assert_string_equal(desk_text(wave, "programme"), "p");
    (void)waves_patch(arena, path, "{\"order\":[\"nobody\"]}", 422);
    (void)waves_patch(arena, path, "{\"take_out\":[\"" WAVE_HOST("09") "\"]}", 422);
    (void)waves_patch(arena, path, "{\"again\":[\"" WAVE_HOST("01") "\"]}", 422); /* it has no move */
    (void)waves_patch(arena, path, "{\"colour\":1}", 422);
    desk_expect("SELECT version FROM wave", "4");
    desk_expect("SELECT why FROM wave_history WHERE number = 2", "the base goes first");
}

static void a_host_is_taken_out(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = waves_made(arena, ",\"dependencies\":[{\"system\":\"u001\",\"after\":[\"u002\"]}]");
    json_t *wave = waves_patch(arena, path, "{\"take_out\":[\"" WAVE_HOST("03") "\"]}", 200);
    assert_string_equal(desk_text(waves_host(wave, 3), "state"), "out");
    assert_int_equal(number(json_object_get(wave, "sums"), "hosts"), 2);
    assert_int_equal(number(json_object_get(wave, "sums"), "out"), 1);
    assert_int_equal(number(waves_host(wave, 1), "eta_seconds"),
                     1060); /* there is nothing to wait for any more */
    /* It may go with another wave; the others may when this one has ended. */
    json_t *other = desk_call(arena, ENGINEER, "POST", "/v1/waves",
                              "{\"name\":\"second\",\"hosts\":[{\"instance\":\"" WAVE_HOST(
                                  "03") "\",\"assessment\":\"" WAVE_ASSESSMENT "\"}]}",
                              201);
    (void)desk_call(arena, ENGINEER, "POST", "/v1/waves", OF "}", 409);
    (void)waves_say(arena, ENGINEER, path, "cancel", NULL, 200);
    (void)waves_say(arena, ENGINEER, arena_printf(arena, "/v1/waves/%s", desk_text(other, "id")), "cancel",
                    NULL, 200);
    (void)waves_patch(arena, path, "{\"name\":\"y\"}", 409);
    (void)desk_call(arena, ENGINEER, "POST", "/v1/waves", OF "}", 201);
}

static void a_programme_has_sums(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    static const char *const bodies[] = {
        "{\"name\":\"a\",\"programme\":\"云 1\",\"hosts\":[{\"instance\":\"" WAVE_HOST(
            "01") "\",\"assessment\":"
                  "\"" WAVE_ASSESSMENT "\"}]}",
        "{\"name\":\"b\",\"programme\":\"云 1\",\"hosts\":[{\"instance\":\"" WAVE_HOST(
            "02") "\",\"assessment\":"
                  "\"" WAVE_ASSESSMENT "\"}]}",
        "{\"name\":\"c\",\"programme\":\"云 2\",\"hosts\":[{\"instance\":\"" WAVE_HOST(
            "03") "\",\"assessment\":"
                  "\"" WAVE_ASSESSMENT "\"}]}"};
    for (size_t i = 0; i < 3; i++)
        (void)desk_call(arena, ENGINEER, "POST", "/v1/waves", bodies[i], 201);
    json_t *all = desk_call(arena, ENGINEER, "GET", "/v1/waves?programme=%E4%BA%91%201", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(all, "waves")), 2);
    const json_t *sums = json_object_get(all, "sums");
    assert_int_equal(number(sums, "waves"), 2);
    assert_int_equal(number(sums, "hosts"), 2);
    assert_int_equal(number(sums, "done"), 0);
    assert_int_equal(number(sums, "bytes"), INT64_C(20000000000));
    assert_null(json_object_get(desk_call(arena, ENGINEER, "GET", "/v1/waves", NULL, 200), "sums"));
    (void)desk_call(arena, ENGINEER, "GET", "/v1/waves?state=odd", NULL, 400);
}

/* Days go by and nothing is done: first it is told that it will be late, then that it is, and why. */
static void a_forecast_says_early_when_it_will_be_late(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    moment now = clock_now(house.clock), day = moment_day_start(now);
    const char *path = waves_made(
        arena, arena_printf(arena, ",\"windows\":[{\"from\":\"%s\",\"to\":\"%s\"}],\"began\":\"%s\"",
                            moment_text(arena, day + 20 * MOMENT_DAY),
                            moment_text(arena, day + 21 * MOMENT_DAY), moment_text(arena, now)));
    const json_t *pace = pace_of(waves_get(arena, path), "u001");
    assert_true(json_is_true(json_object_get(pace, "late")));
    assert_string_equal(desk_text(pace, "reason"), "window");
    assert_int_equal(number(pace, "expected"), 0); /* it is not late yet */
    moment due, forecast;
    ok(moment_parse(desk_text(pace, "due_at"), &due));
    ok(moment_parse(desk_text(pace, "forecast_at"), &forecast));
    assert_true(due > now + 5 * MOMENT_DAY && due < now + 10 * MOMENT_DAY);
    assert_int_equal(forecast, day + 20 * MOMENT_DAY + 60 * MOMENT_SECOND);
    /* A window that is open in time makes it good. */
    json_t *wave = waves_patch(arena, path, "{\"windows\":[]}", 200);
    assert_false(json_is_true(json_object_get(pace_of(wave, "u001"), "late")));
    /* Ten days later nothing has been done. */
    ok(clock_set_offset(house.clock, clock_offset(house.clock) + 10 * MOMENT_DAY));
    pace = pace_of(waves_get(arena, path), "u001");
    assert_true(json_is_true(json_object_get(pace, "late")));
    assert_int_equal(number(pace, "expected"), 2);
    assert_int_equal(number(pace, "done"), 0);
}

struct part {
    const char *name;
    uint64_t rate;
};

static struct error *part_body(struct db *db, void *context)
{
    struct part *part = context;
    ARENA_AUTO struct arena *arena = arena_new();
    const char *wave;
    json_t *terms;
    TRY(wave_of_move(db, arena, "u", WAVE_HOST("0a"), &wave, &terms));
    free((char *)(uintptr_t)part->name);
    part->name = wave ? xstrdup(wave) : NULL;
    part->rate = wave_terms_rate(terms, &(struct link_place){"c", "s"}, &(struct link_place){"d", "t"});
    return NULL;
}

/* What its passes ask about the link, again and again. */
static void a_wave_has_its_part_of_a_link(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path =
        waves_made(arena, ",\"links\":[{\"from\":{\"cloud\":\"c\",\"site\":\"s\"},\"to\":{\"cloud\":\"d\","
                          "\"site\":\"t\"},\"bytes_per_second\":5000}]");
    struct part part = {NULL, 7};
    ok(db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, part_body, &part));
    assert_null(part.name);
    assert_int_equal(part.rate, 0); /* a move of no wave */
    pg_exec(house.pg, "UPDATE wave_host SET migration_id = '" WAVE_HOST("0a") "' WHERE name = 'web-1'");
    ok(db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, part_body, &part));
    assert_string_equal(part.name, path + strlen("/v1/waves/"));
    assert_int_equal(part.rate, 5000);
    (void)waves_patch(arena, path, "{\"links\":null}", 200);
    ok(db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, part_body, &part));
    assert_int_equal(part.rate, 0);
    free((char *)(uintptr_t)part.name);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_wave_is_kept, set_up, house_rest),
        cmocka_unit_test_setup_teardown(who_sees_it_and_whose_word_it_is, set_up, house_rest),
        cmocka_unit_test_setup_teardown(what_a_wave_must_be, set_up, house_rest),
        cmocka_unit_test_setup_teardown(of_two_who_press_one_is_told, set_up, house_rest),
        cmocka_unit_test_setup_teardown(order_and_limits_are_changed, set_up, house_rest),
        cmocka_unit_test_setup_teardown(a_host_is_taken_out, set_up, house_rest),
        cmocka_unit_test_setup_teardown(a_wave_has_its_part_of_a_link, set_up, house_rest),
        cmocka_unit_test_setup_teardown(a_programme_has_sums, set_up, house_rest),
        cmocka_unit_test_setup_teardown(a_forecast_says_early_when_it_will_be_late, set_up, house_rest),
    };
    return cmocka_run_group_tests(tests, desk_open, desk_close);
}
