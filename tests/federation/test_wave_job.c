/* The job of stored waves: what it plans, starts and cuts over and when not, in whose name, what a failed
 * move stops, and that a broker that dies at any moment neither does a thing twice nor forgets it. */
#include "federation/wave_job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "broker/base/arena.h"
#include "tests/federation/wave_scene.h"

static int tear_down(void **state)
{
    waves_halt();
    waves_convert(NULL, NULL);
    return house_rest(state);
}

/* It has seen everything that is there to see. */
static void at_rest(void)
{
    waves_await("SELECT count(*) FROM job WHERE type = 'wave' AND state = 'queued' AND NOT woken", "1");
}

/* A wave of such machines that runs, with all papers. */
static const char *running(struct arena *arena, const char *systems, const char *more)
{
    waves_arrange(systems);
    waves_consent();
    const char *path = waves_made(arena, more);
    waves_run();
    (void)waves_say(arena, ENGINEER, path, "start", NULL, 200);
    waves_await("SELECT count(*) FROM wave_host WHERE migration_id IS NULL", "0");
    at_rest(); /* or it would see one paper before the other */
    waves_approved();
    return path;
}

#define U2_AFTER_U1 ",\"dependencies\":[{\"system\":\"u002\",\"after\":[\"u001\"]}]"
#define AUTOMATIC ",\"cutover\":\"automatic\""

static void who_lacks_a_paper_waits_and_is_named(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    waves_arrange("112");
    const char *path = waves_made(arena, ",\"limits\":{\"total\":1}");
    waves_run();
    (void)waves_say(arena, ENGINEER, path, "start", NULL, 200);
    waves_await("SELECT count(*) FROM wave_host WHERE note LIKE '%consent%'", "3");
    waves_await(WAVES_MOVES, "web-1 assessed,web-2 assessed,web-3 assessed");
    (void)desk_call(
        arena, UNIT, "POST", "/v1/consents",
        arena_printf(arena,
                     "{\"unit\":\"u\",\"document\":{\"algorithm\":\"sha256\",\"digest\":\"%064d\","
                     "\"reference\":\"letter 8\"},\"signer\":{\"name\":\"A\",\"post\":\"B\"},"
                     "\"systems\":[\"u002\"],\"from\":[{\"cloud\":\"c\"}],\"to\":[{\"cloud\":\"d\"}],"
                     "\"valid_until\":\"%s\"}",
                     7, moment_text(arena, clock_now(house.clock) + 30 * MOMENT_DAY)),
        201);
    waves_await("SELECT string_agg(note, ',') FROM wave_host WHERE name = 'web-3'",
                "it waits for approval (unit)");
    /* The last in order goes, although one alone may: those before it wait for people. */
    waves_approve_all(arena);
    waves_await(WAVES_MOVES, "web-1 assessed,web-2 assessed,web-3 copying");
    json_t *wave = waves_get(arena, path);
    assert_non_null(strstr(desk_text(waves_host(wave, 1), "reason"), "waits for the unit's consent"));
    assert_string_equal(desk_text(waves_host(wave, 3), "state"), "running");
    desk_expect("SELECT consent_id = (SELECT id FROM consent) FROM wave_host WHERE name = 'web-3'", "t");
    (void)state;
}

static void one_after_the_other_to_the_end(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = running(arena, "12", U2_AFTER_U1 AUTOMATIC);
    waves_await(WAVES_MOVES, "web-1 copying,web-2 approved");
    waves_move(1, "synced");
    waves_await(WAVES_MOVES, "web-1 cutting-over,web-2 approved");
    waves_move(1, "holding");
    waves_await(WAVES_MOVES, "web-1 holding,web-2 copying");
    waves_move(2, "synced");
    waves_await(WAVES_MOVES, "web-1 holding,web-2 cutting-over");
    waves_move(2, "committed");
    waves_await("SELECT state FROM wave", "done");
    waves_await("SELECT state FROM job WHERE type = 'wave'", "done");
    json_t *wave = waves_get(arena, path);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(wave, "sums"), "done")), 2);
    desk_expect("SELECT count(*) FROM wave_host WHERE open", "0");
    /* In the name of who started it, for all to see. */
    desk_expect(
        "SELECT string_agg(DISTINCT principal, ',') FROM migration_history WHERE event IN ('planned', "
        "'start', 'cutover')",
        "engineer");
    desk_expect(
        "SELECT string_agg(action || ' ' || (details->>'word'), ',' ORDER BY id) FROM audit WHERE"
        " principal = 'engineer' AND details->>'wave' = (SELECT id::text FROM wave)",
        "migrations:plan plan,migrations:plan plan,migrations:operate start,migrations:operate cutover,"
        "migrations:operate start,migrations:operate cutover");
    desk_expect(
        "SELECT string_agg(DISTINCT why, ',') FROM migration_history WHERE event IN ('start', 'cutover')",
        "wave \"first\"");
    (void)state;
}

static void limits_hold(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = running(arena, "111", ",\"limits\":{\"host\":1}");
    waves_await(WAVES_MOVES, "web-1 copying,web-2 approved,web-3 approved");
    waves_move(1, "synced"); /* it is the host's until it has been cut over */
    at_rest();
    desk_expect(WAVES_MOVES, "web-1 synced,web-2 approved,web-3 approved");
    /* The next in another order. */
    (void)waves_patch(arena, path, "{\"order\":[\"" WAVE_HOST("03") "\"]}", 200);
    waves_move(1, "holding");
    waves_await(WAVES_MOVES, "web-1 holding,web-2 approved,web-3 copying");
    (void)waves_patch(arena, path, "{\"limits\":{\"host\":2}}", 200);
    waves_await(WAVES_MOVES, "web-1 holding,web-2 copying,web-3 copying");
    (void)state;
}

static const char *window(struct arena *arena, int64_t from, int64_t to)
{
    moment now = clock_now(house.clock);
    return arena_printf(arena, "\"windows\":[{\"from\":\"%s\",\"to\":\"%s\"}]",
                        moment_text(arena, now + from), moment_text(arena, now + to));
}

static void not_outside_a_window_and_not_by_hand(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = running(
        arena, "1", arena_printf(arena, ",%s" AUTOMATIC, window(arena, 500 * MOMENT_SECOND, MOMENT_HOUR)));
    waves_await(WAVES_MOVES, "web-1 copying"); /* 1000 s of copying: at once */
    waves_move(1, "synced");
    at_rest();
    desk_expect(WAVES_MOVES, "web-1 synced");
    json_t *wave = waves_get(arena, path);
    moment cut;
    ok(moment_parse(desk_text(waves_host(wave, 1), "cutover_at"), &cut));
    assert_true(cut > clock_now(house.clock) + 400 * MOMENT_SECOND);
    (void)waves_patch(arena, path, "{\"cutover\":\"manual\",\"windows\":null}", 200);
    at_rest();
    desk_expect(WAVES_MOVES, "web-1 synced");
    (void)waves_patch(
        arena, path,
        arena_printf(arena, "{\"cutover\":\"automatic\",%s}", window(arena, -MOMENT_HOUR, MOMENT_HOUR)), 200);
    waves_await(WAVES_MOVES, "web-1 cutting-over");
    (void)state;
}

/* Not while a longer downtime than agreed is predicted; and that is no mistake. */
static void not_beyond_the_agreed_downtime(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = running(arena, "1", ",\"moves\":{\"downtime_seconds\":2}" AUTOMATIC);
    waves_await(WAVES_MOVES, "web-1 copying");
    waves_move(1, "synced"); /* 5 s are predicted */
    at_rest();
    desk_expect(WAVES_MOVES, "web-1 synced");
    desk_expect("SELECT count(*) FROM wave_host WHERE note IS NOT NULL", "0");
    pg_exec(house.pg, "UPDATE migration SET downtime_us = 6000000, version = version + 1;"
                      "SELECT job_wake(job_id) FROM wave");
    waves_await(WAVES_MOVES, "web-1 cutting-over");
    (void)path;
    (void)state;
}

/* Nor where it would not end within a window that a person agreed to for the move. */
static void not_beyond_the_window_of_a_move(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = running(arena, "1", AUTOMATIC);
    waves_await(WAVES_MOVES, "web-1 copying");
    pg_exec(house.pg, "UPDATE migration SET window_from = now() - interval '1 hour', window_until = now() +"
                      " interval '1 day'");
    waves_halt(); /* or it would be cut over at once */
    waves_move(1, "synced");
    pg_exec(house.pg, "UPDATE migration SET predicted_us = 90000000000, version = version + 1");
    waves_run();
    waves_await("SELECT note LIKE '%within the agreed window%90000 s%' FROM wave_host", "t");
    desk_expect(WAVES_MOVES, "web-1 synced");
    pg_exec(house.pg, "UPDATE migration SET predicted_us = 80000000000, version = version + 1;"
                      "SELECT job_wake(job_id) FROM wave");
    waves_await(WAVES_MOVES, "web-1 cutting-over");
    desk_expect("SELECT count(*) FROM wave_host WHERE note IS NOT NULL", "0");
    (void)path;
    (void)state;
}

static void a_pause_lets_run_what_runs(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = running(arena, "11", ",\"limits\":{\"total\":1}" AUTOMATIC);
    waves_await(WAVES_MOVES, "web-1 copying,web-2 approved");
    (void)waves_say(arena, ADMIN, path, "pause", "{\"reason\":\"the line is needed\"}", 200);
    waves_move(1, "synced");
    at_rest();
    desk_expect(WAVES_MOVES, "web-1 synced,web-2 approved");
    waves_move(1, "holding"); /* a person cut it over */
    at_rest();
    desk_expect(WAVES_MOVES, "web-1 holding,web-2 approved");
    assert_string_equal(desk_text(waves_get(arena, path), "reason"), "the line is needed");
    (void)waves_say(arena, ENGINEER, path, "resume", NULL, 200);
    waves_await(WAVES_MOVES, "web-1 holding,web-2 copying");
    (void)state;
}

static void a_failed_move_stops_what_depends_on_it_alone(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = running(arena, "112", U2_AFTER_U1);
    waves_await(WAVES_MOVES, "web-1 copying,web-2 copying,web-3 approved");
    waves_move(1, "cancelled");
    waves_move(2, "holding");
    at_rest();
    desk_expect(WAVES_MOVES, "web-1 cancelled,web-2 holding,web-3 approved");
    json_t *wave = waves_get(arena, path);
    assert_string_equal(desk_text(waves_host(wave, 1), "state"), "failed");
    assert_string_equal(desk_text(waves_host(wave, 1), "reason"), "its move is cancelled: a disk broke");
    assert_string_equal(desk_text(waves_host(wave, 3), "reason"),
                        "a move of a system that it waits for has failed: u001");
    assert_false(json_is_true(json_object_get(json_object_get(wave, "forecast"), "placed")));
    assert_int_equal(json_integer_value(json_object_get(waves_host(wave, 1), "copied_bytes")), 0);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(wave, "sums"), "copied_bytes")),
                     INT64_C(10000000000)); /* of web-2 alone */
    /* Once more, and then not at all. */
    wave = waves_patch(arena, path, "{\"again\":[\"" WAVE_HOST("01") "\"]}", 200);
    assert_string_equal(desk_text(waves_host(wave, 1), "state"), "waiting");
    waves_await("SELECT count(*) FROM wave_host WHERE migration_id IS NULL", "0");
    at_rest(); /* or it would see one paper before the other */
    waves_approved();
    waves_await(WAVES_MOVES, "web-1 copying,web-2 holding,web-3 approved");
    desk_expect("SELECT cardinality(earlier) FROM wave_host WHERE name = 'web-1'", "1");
    waves_move(1, "rolled-back");
    (void)waves_patch(arena, path, "{\"take_out\":[\"" WAVE_HOST("01") "\"]}", 200);
    waves_await(WAVES_MOVES, "web-1 rolled-back,web-2 holding,web-3 copying");
    (void)state;
}

/* The plan thinks that it is over by now; it is not, and neither what depends on it nor what has no room
 * goes. */
static void what_takes_longer_than_planned(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = running(arena, "112", U2_AFTER_U1 ",\"limits\":{\"total\":1}");
    waves_await(WAVES_MOVES, "web-1 copying,web-2 approved,web-3 approved");
    (void)waves_patch(arena, path, "{\"take_out\":[\"" WAVE_HOST("02") "\"]}", 200);
    waves_move(1, "cutting-over");
    pg_exec(house.pg, "UPDATE migration SET down_at = now() - interval '1 hour' WHERE state = 'cutting-over';"
                      "SELECT job_wake(job_id) FROM wave");
    at_rest();
    desk_expect(WAVES_MOVES, "web-1 cutting-over,web-2 cancelled,web-3 approved");
    (void)waves_patch(arena, path, "{\"dependencies\":[]}", 200);
    at_rest();
    desk_expect(WAVES_MOVES, "web-1 cutting-over,web-2 cancelled,web-3 approved");
    (void)waves_patch(arena, path, "{\"limits\":{\"total\":2}}", 200);
    waves_await(WAVES_MOVES, "web-1 cutting-over,web-2 cancelled,web-3 copying");
    (void)state;
}

/* Whoever loses his right loses it for what goes on in his name. */
static void only_while_its_person_may(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = running(arena, "11", ",\"limits\":{\"total\":1}");
    waves_await(WAVES_MOVES, "web-1 copying,web-2 approved");
    pg_exec(house.pg, "UPDATE principal SET disabled = true WHERE id = 'engineer'");
    waves_move(1, "holding");
    waves_await("SELECT state FROM wave", "paused");
    desk_expect(WAVES_MOVES, "web-1 holding,web-2 approved");
    json_t *wave = desk_call(arena, ADMIN, "GET", path, NULL, 200);
    assert_non_null(strstr(desk_text(wave, "reason"), "engineer, who let it run, may not do that any more"));
    pg_exec(house.pg, "UPDATE principal SET disabled = false WHERE id = 'engineer'");
    (void)waves_say(arena, ADMIN, path, "resume", NULL, 200);
    waves_await(WAVES_MOVES, "web-1 holding,web-2 copying");
    desk_expect("SELECT principal FROM migration_history WHERE event = 'start' ORDER BY at DESC LIMIT 1",
                "boss");
    (void)state;
}

static void the_end_of_a_wave_takes_back_what_has_not_begun(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = running(arena, "11", ",\"limits\":{\"total\":1}");
    waves_await(WAVES_MOVES, "web-1 copying,web-2 approved");
    (void)waves_say(arena, ENGINEER, path, "cancel", NULL, 200);
    waves_await(WAVES_MOVES, "web-1 copying,web-2 cancelled");
    waves_await("SELECT state FROM job WHERE type = 'wave'", "done");
    desk_expect("SELECT count(*) FROM wave_host WHERE open", "0");
    waves_halt();
    path = running(arena, "11", ",\"limits\":{\"total\":1}");
    waves_await(WAVES_MOVES, "web-1 copying,web-2 approved");
    (void)waves_say(arena, ENGINEER, path, "cancel", "{\"running\":\"cancel\"}", 200);
    waves_await(WAVES_MOVES, "web-1 cancelling,web-2 cancelled");
    waves_await("SELECT state FROM job WHERE type = 'wave'", "done");
    (void)state;
}

/* What cannot be planned, or is planned by hand already, is named; the others go. */
static void what_cannot_be_planned_is_named(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    waves_arrange("11");
    waves_consent();
    pg_exec(house.pg,
            "SET session_replication_role = replica; UPDATE assessment_host SET assessed_at = now() -"
            " interval '40 days' WHERE number = 1; SET session_replication_role = origin");
    const char *path = waves_made(arena, ",\"limits\":{\"total\":1}");
    waves_run();
    (void)waves_say(arena, ENGINEER, path, "start", NULL, 200);
    waves_await("SELECT count(*) FROM wave_host WHERE migration_id IS NOT NULL", "1");
    waves_approve_all(arena);
    waves_await(WAVES_MOVES, "web-1 -,web-2 copying");
    assert_non_null(strstr(desk_text(waves_host(waves_get(arena, path), 1), "reason"), "older than 30 days"));
    (void)state;
}

/* As a move by hand would be: with the conversion that the broker's settings want, or not at all. */
static void guests_are_converted_as_the_settings_say(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    waves_arrange("1");
    waves_consent();
    waves_convert("required", "/nowhere/virt-v2v-in-place");
    const char *path = waves_made(arena, "");
    waves_run();
    (void)waves_say(arena, ENGINEER, path, "start", NULL, 200);
    waves_await("SELECT note FROM wave_host",
                "could not plan it: guests that move from vmware to kvm have to be converted here: "
                "/nowhere/virt-v2v-in-place is not installed");
    desk_expect("SELECT count(*) FROM migration", "0");
    waves_halt();
    waves_convert("required", "/bin/sh"); /* it was installed meanwhile */
    waves_run();
    waves_await("SELECT count(*) FROM wave_host WHERE migration_id IS NOT NULL", "1");
    desk_expect("SELECT (conversion->>'mode') || ' ' || (conversion->>'state') FROM migration",
                "required planned");
    (void)state;
}

/* What a pass or proof told last stays behind when it is over: nothing of it is still to come. */
static void what_was_told_of_a_pass_is_not_what_is_left(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    static const char *const over[] = {"state = 'synced', passes = 1, predicted_us = 5000000",
                                       "state = 'verifying'", "state = 'holding', live_at = now()",
                                       "state = 'committed', ended_at = now()"};
    const char *path = running(arena, "1", "");
    waves_await(WAVES_MOVES, "web-1 copying");
    waves_halt();
    pg_exec(house.pg, "UPDATE migration SET progress = '{\"eta_seconds\": 90000, \"done_bytes\": 5}'");
    const json_t *host = waves_host(waves_get(arena, path), 1);
    assert_in_range(json_integer_value(json_object_get(host, "eta_seconds")), 90000, 90120);
    assert_non_null(json_object_get(json_object_get(host, "move"), "progress"));
    for (size_t i = 0; i < sizeof over / sizeof *over; i++) {
        char *sql = xasprintf("UPDATE migration SET version = version + 1, %s", over[i]);
        pg_exec(house.pg, sql);
        free(sql);
        const json_t *wave = waves_get(arena, path), *forecast = json_object_get(wave, "forecast");
        host = waves_host(wave, 1);
        assert_true(json_integer_value(json_object_get(host, "eta_seconds")) <= 60);
        assert_true(json_integer_value(json_object_get(forecast, "eta_seconds")) <= 60);
        assert_null(json_object_get(json_object_get(host, "move"), "progress"));
    }
    desk_expect("SELECT progress->>'eta_seconds' FROM migration", "90000"); /* it is still there */
    waves_run();
    waves_await("SELECT state FROM wave", "done");
    (void)state;
}

/* It is told once that a system will be late, and once that it will not. */
static void lateness_is_told(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path =
        running(arena, "1", arena_printf(arena, ",%s", window(arena, 20 * MOMENT_DAY, 21 * MOMENT_DAY)));
    waves_await("SELECT count(*) FROM event WHERE type = 'wave.late' AND (data->>'late')::boolean",
                "2"); /* clouds */
    desk_expect("SELECT DISTINCT data->>'system' FROM event WHERE type = 'wave.late'", "u001");
    waves_await("SELECT count(*) FROM wave_host WHERE note IS NOT NULL", "0");
    const json_t *pace = json_array_get(json_object_get(waves_get(arena, path), "pace"), 0);
    assert_string_equal(desk_text(pace, "reason"), "window");
    waves_await("SELECT late FROM wave", "t");
    (void)waves_patch(arena, path, "{\"windows\":[]}", 200);
    waves_await("SELECT late FROM wave", "f");
    waves_await("SELECT count(*) FROM event WHERE type = 'wave.late'", "4");
    (void)state;
}

/* ------------------------------------------------------------------------------------------------- kill -9
 */

#define HOSTS "12121212"
#define MOVES_OF_EACH                                                                                 \
    "SELECT count(*) FROM wave_host h WHERE (SELECT count(*) FROM migration m WHERE m.resource_id = " \
    "h.resource_id) <> 1 OR h.migration_id IS NULL"
#define WORDS_OF_EACH                                                                                        \
    "SELECT count(*) FROM migration m WHERE (SELECT count(*) FROM migration_history t WHERE t.migration_id " \
    "= m.id AND t.event = 'start') <> 1 OR (SELECT count(*) FROM migration_history t WHERE t.migration_id "  \
    "= "                                                                                                     \
    "m.id AND t.event = 'cutover') <> 1"

/* The moves' own job, in one breath: what copies is in sync, what cuts over is over; papers are given. */
static void live_on(void)
{
    pg_exec(house.pg,
            "UPDATE migration SET state = 'synced', passes = 1, predicted_us = 5, version = version + 1 "
            "WHERE state ="
            " 'copying'; UPDATE migration SET state = 'holding', live_at = now(), version = version + 1 WHERE"
            " state = 'cutting-over'");
    waves_approved();
}

static int64_t lines(void)
{
    return pg_number(house.pg, "SELECT count(*) FROM wave_history");
}

/* Until there are so many, or it has nothing more to do. */
static void await_lines(int64_t wanted)
{
    int64_t until = moment_monotonic() + 2 * MOMENT_SECOND;
    while (lines() < wanted && moment_monotonic() < until)
        (void)nanosleep(&(struct timespec){0, 1000000}, NULL); /* between two looks */
}

static void nothing_is_done_twice_or_forgotten(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    int kills = 0;
    waves_arrange(HOSTS);
    waves_consent();
    const char *path = waves_made(arena, U2_AFTER_U1 ",\"limits\":{\"total\":3}" AUTOMATIC);
    (void)waves_say(arena, ENGINEER, path, "start", NULL, 200);
    for (bool done = false; !done && kills < 200; kills++) {
        pid_t pid = waves_process();
        await_lines(lines() + 1 + kills % 3); /* so much of what it does, and a little of the next */
        (void)nanosleep(&(struct timespec){0, kills * 37 % 11 * 1000000}, NULL);
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        pg_exec(house.pg, "UPDATE job SET run_at = now() WHERE state IN ('running', 'queued')");
        live_on();
        char *wave = house_text("SELECT state FROM wave");
        done = !strcmp(wave, "done");
        free(wave);
    }
    desk_expect("SELECT state FROM wave", "done");
    desk_expect(MOVES_OF_EACH, "0");
    desk_expect(WORDS_OF_EACH, "0");
    desk_expect(
        "SELECT string_agg(event || ' ' || n, ',' ORDER BY event) FROM (SELECT event, count(*) AS n FROM"
        " wave_history WHERE event LIKE 'host-%' GROUP BY event) e",
        "host-cut-over 8,host-planned 8,host-started 8");
    print_message("done after %d brokers were killed\n", kills);
    assert_true(kills > 5);
    (void)state;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(who_lacks_a_paper_waits_and_is_named, tear_down),
        cmocka_unit_test_teardown(one_after_the_other_to_the_end, tear_down),
        cmocka_unit_test_teardown(limits_hold, tear_down),
        cmocka_unit_test_teardown(not_outside_a_window_and_not_by_hand, tear_down),
        cmocka_unit_test_teardown(not_beyond_the_agreed_downtime, tear_down),
        cmocka_unit_test_teardown(not_beyond_the_window_of_a_move, tear_down),
        cmocka_unit_test_teardown(a_pause_lets_run_what_runs, tear_down),
        cmocka_unit_test_teardown(a_failed_move_stops_what_depends_on_it_alone, tear_down),
        cmocka_unit_test_teardown(what_takes_longer_than_planned, tear_down),
        cmocka_unit_test_teardown(only_while_its_person_may, tear_down),
        cmocka_unit_test_teardown(the_end_of_a_wave_takes_back_what_has_not_begun, tear_down),
        cmocka_unit_test_teardown(what_cannot_be_planned_is_named, tear_down),
        cmocka_unit_test_teardown(guests_are_converted_as_the_settings_say, tear_down),
        cmocka_unit_test_teardown(what_was_told_of_a_pass_is_not_what_is_left, tear_down),
        cmocka_unit_test_teardown(lateness_is_told, tear_down),
        cmocka_unit_test_teardown(nothing_is_done_twice_or_forgotten, tear_down),
    };
    waves_maybe_process(argc, argv);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, desk_open, desk_close);
}
