/* Reports of stored waves, as JSON, HTML and CSV, in between and in the end; and the client's commands on
 * waves. */
#include "federation/wave_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/digest.h"
#include "tests/federation/wave_scene.h"

static int tear_down(void **state)
{
    waves_halt();
    return house_rest(state);
}

static void copied(int number)
{
    char *sql = xasprintf(
        "INSERT INTO migration_pass SELECT unit_id, id, d, p, system_id, clouds, providers, CASE p WHEN 1 "
        "THEN 'full'"
        " ELSE 'changed' END, NULL, 5000000000, p * 1000, p * 2000, 1000000, repeat(d, 32), true, now() FROM"
        " migration, unnest('{aa,bb}'::text[]) AS d, generate_series(1, 2) AS p WHERE id = (SELECT "
        "migration_id"
        " FROM wave_host WHERE name = 'web-%d');"
        "INSERT INTO usage_interval (unit_id, system_id, cloud_id, provider_id, resource_id, kind, "
        "architecture,"
        " zone_id, tariff, item, micro, start_at, end_at) SELECT unit_id, system_id, 'd', 'q', id, "
        "'instance', 'x86',"
        " 'ext', 'migration', '1001', 1000000, now() - interval '1 hour', now() FROM migration WHERE id = "
        "(SELECT"
        " migration_id FROM wave_host WHERE name = 'web-%d')",
        number, number);
    pg_exec(house.pg, sql);
    free(sql);
}

/* One that is done, one whose move failed, one that waits for it. */
static const char *half_done(struct arena *arena)
{
    waves_arrange("112");
    waves_consent();
    const char *path = waves_made(
        arena, ",\"dependencies\":[{\"system\":\"u002\",\"after\":[\"u001\"]}],\"cutover\":\"automatic\"");
    waves_run();
    (void)waves_say(arena, ENGINEER, path, "start", NULL, 200);
    waves_await("SELECT count(*) FROM wave_host WHERE migration_id IS NULL", "0");
    waves_approve_all(arena);
    waves_await(WAVES_MOVES, "web-1 copying,web-2 copying,web-3 approved");
    copied(1);
    waves_move(1, "holding");
    waves_move(2, "cancelled");
    return path;
}

static json_t *report_of(struct arena *arena, enum who who, const char *path)
{
    return desk_call(arena, who, "GET", arena_printf(arena, "%s/report", path), NULL, 200);
}

static const json_t *item(const json_t *json, const char *list, size_t index)
{
    return json_array_get(json_object_get(json, list), index);
}

static int64_t number(const json_t *json, const char *member)
{
    return json_integer_value(json_object_get(json, member));
}

/* Whoever has the JSON can tell that nothing of it was changed. */
static void check_digest(struct arena *arena, const json_t *report)
{
    json_t *rest = json_hold(arena, json_deep_copy(report));
    char hex[DIGEST_HEX];
    assert_int_equal(json_object_del(rest, "digest_sm3"), 0);
    assert_int_equal(json_object_del(rest, "made_at"), 0);
    const char *text = json_canonical(arena, rest);
    digest_sm3(text, strlen(text), hex);
    assert_string_equal(hex, desk_text(report, "digest_sm3"));
}

static void in_between(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = half_done(arena);
    json_t *report = report_of(arena, UNIT, path);
    assert_false(json_is_true(json_object_get(report, "finished")));
    check_digest(arena, report);
    const json_t *first = item(report, "systems", 0), *second = item(report, "systems", 1);
    assert_string_equal(desk_text(first, "system"), "u001");
    assert_string_equal(desk_text(first, "name"), "A");
    const json_t *sums = json_object_get(first, "sums");
    assert_int_equal(number(sums, "done"), 1);
    assert_int_equal(number(sums, "failed"), 1);
    assert_int_equal(number(sums, "longest_downtime_ms"), 7000);
    assert_int_equal(number(sums, "read_bytes"), 12000);
    assert_int_equal(number(sums, "written_bytes"), 6000);
    const json_t *host = item(first, "hosts", 0), *move = json_object_get(host, "move");
    assert_string_equal(desk_text(move, "state"), "holding");
    assert_int_equal(number(json_object_get(move, "downtime"), "assessed_ms"), 60000);
    assert_int_equal(number(json_object_get(move, "downtime"), "predicted_ms"), 5000);
    assert_int_equal(number(json_object_get(move, "downtime"), "measured_ms"), 7000);
    assert_int_equal(json_array_size(json_object_get(json_object_get(move, "verification"), "disks")), 2);
    assert_string_equal(desk_text(item(move, "approvals", 0), "principal"), "unit-admin");
    assert_string_equal(desk_text(json_object_get(move, "consent"), "reference"), "letter 7");
    assert_string_equal(desk_text(item(move, "overlap", 0), "tariff"), "migration");
    assert_string_equal(desk_text(json_object_get(host, "month"), "after_yuan"), "12.00");
    assert_string_equal(desk_text(item(first, "hosts", 1), "reason"), "its move is cancelled: a disk broke");
    assert_string_equal(desk_text(item(second, "hosts", 0), "state"), "waiting");
    assert_string_equal(desk_text(item(second, "hosts", 0), "reason"),
                        "a move of a system that it waits for has failed: u001");
    assert_int_equal(number(json_object_get(report, "sums"), "bytes"), INT64_C(30000000000));
    (void)state;
}

static void who_reads_it(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = half_done(arena);
    const char *report = arena_printf(arena, "%s/report", path);
    for (int who = 0; who < WHO_COUNT; who++) {
        bool sees = who != OTHER_REGULATOR && who != STRANGER && who != MEMBER && who != PART;
        (void)desk_call(arena, (enum who)who, "GET", report, NULL, sees ? 200 : 404);
    }
    (void)desk_call(arena, UNIT, "GET", arena_printf(arena, "%s?format=pdf", report), NULL, 400);
    /* A provider's people see what concerns their cloud, and no consent, which is not theirs to see. */
    const json_t *move =
        json_object_get(item(item(report_of(arena, OPERATOR, path), "systems", 0), "hosts", 0), "move");
    assert_non_null(json_object_get(move, "approvals"));
    assert_null(json_object_get(move, "consent"));
    (void)state;
}

static size_t lines_of(const char *text)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, "\r\n")); at += 2)
        count++;
    return count;
}

static void on_paper_and_in_the_end(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = half_done(arena);
    const char *html = arena_printf(arena, "%s/report?format=html", path),
               *csv = arena_printf(arena, "%s/report?format=csv", path);
    pg_exec(house.pg, "UPDATE wave_host SET note = '=1+1,<script>' WHERE name = 'web-1'");
    (void)desk_call(arena, UNIT, "GET", html, NULL, 200);
    assert_string_equal(desk_header("content-type"), "text/html; charset=utf-8");
    const char *text = desk_bytes(arena);
    assert_non_null(strstr(text, "本批次尚未结束"));
    assert_non_null(strstr(text, "web-1"));
    assert_non_null(strstr(text, "7.0 秒"));
    assert_non_null(strstr(text, "letter 7"));
    assert_non_null(strstr(text, "&lt;script&gt;"));
    assert_null(strstr(text, "<script>"));
    assert_non_null(strstr(text, "预计逾期"));
    (void)desk_call(arena, UNIT, "GET", csv, NULL, 200);
    text = desk_bytes(arena);
    assert_int_equal(lines_of(text), 4);
    assert_non_null(strstr(text, ",no,u001,"));
    assert_non_null(strstr(text, "\"'=1+1,<script>\"")); /* no formula */
    /* Without the failed one it goes to its end. */
    (void)waves_patch(arena, path, "{\"take_out\":[\"" WAVE_HOST("02") "\"]}", 200);
    waves_await(WAVES_MOVES, "web-1 holding,web-2 cancelled,web-3 copying");
    waves_move(3, "committed");
    waves_await("SELECT state FROM wave", "done");
    json_t *report = report_of(arena, UNIT, path);
    assert_true(json_is_true(json_object_get(report, "finished")));
    check_digest(arena, report);
    (void)desk_call(arena, UNIT, "GET", html, NULL, 200);
    assert_null(strstr(desk_bytes(arena), "本批次尚未结束"));
    (void)state;
}

/* --------------------------------------------------------------------------------------------- the client */

/* Its answer must hold all of `says`, ended by NULL, and no control character. */
static int client(enum who who, const char *const *words, const char *const *says)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct process *process = desk_client(who, words);
    const char *all = "";
    for (const char *line; (line = process_line(process, 60 * MOMENT_SECOND));)
        all = arena_printf(arena, "%s%s\n", all, line);
    int status = process_stop(process);
    assert_null(strpbrk(all, "\033\r"));
    for (; says && *says; says++)
        if (!strstr(all, *says))
            fail_msg("%s %s: no \"%s\" in\n%s", words[0], words[1], *says, all);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}
#define SAYS(...)         \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }
#define CLIENT(who, says, ...) client(who, (const char *const[]){"wave", __VA_ARGS__, NULL}, says)

static void from_the_command_line(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    waves_arrange("112x");
    const char *terms = arena_printf(arena, "%s/terms", pg_folder(house.pg)),
               *csv = arena_printf(arena, "%s/report.csv", pg_folder(house.pg));
    FILE *file = fopen(terms, "we");
    assert_non_null(file);
    assert_true(fputs("{\"dependencies\":[{\"system\":\"u002\",\"after\":[\"u001\"]}]}", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(CLIENT(ENGINEER,
                            SAYS("第一批", "draft", "0 of 3 done", "left out", "web-4", "five-working-days"),
                            "create", "第一批", WAVE_ASSESSMENT, "--programme", "云", "--terms", terms),
                     0);
    char *id = house_text("SELECT id::text FROM wave");
    assert_int_equal(CLIENT(UNIT, SAYS(id, "第一批", "draft"), "list", "--programme", "云"), 0);
    assert_int_equal(CLIENT(UNIT, SAYS("0 of 1 finished", "0 of 3 done"), "programme", "云"), 0);
    assert_int_equal(CLIENT(ENGINEER, SAYS("draft"), "reorder", id, WAVE_HOST("02"), "--reason", "as agreed"),
                     0);
    desk_expect("SELECT name FROM wave_host WHERE number = 1", "web-2");
    assert_int_equal(CLIENT(ENGINEER, SAYS("automatic"), "set", id, "--cutover", "automatic"), 0);
    assert_int_equal(CLIENT(ENGINEER, SAYS("out"), "take-out", id, WAVE_HOST("03")), 0);
    assert_int_equal(CLIENT(ENGINEER, NULL, "start", id, "--at-version", "1"), 6); /* it is in version 4 */
    assert_int_equal(CLIENT(UNIT, NULL, "start", id), 4);
    assert_int_equal(CLIENT(ENGINEER, SAYS("running", "engineer"), "start", id, "--reason", "it is time"), 0);
    assert_int_equal(CLIENT(ENGINEER, SAYS("paused"), "pause", id), 0);
    assert_int_equal(CLIENT(ENGINEER, NULL, "watch", id), 0); /* a paused one waits for a person */
    assert_int_equal(CLIENT(ENGINEER, SAYS("running"), "resume", id), 0);
    assert_int_equal(CLIENT(UNIT, SAYS("not finished", "u001 A: due"), "report", id), 0);
    assert_int_equal(CLIENT(UNIT, NULL, "report", id, "--csv", csv), 0);
    assert_int_equal(access(csv, R_OK), 0);
    assert_int_equal(CLIENT(ENGINEER, SAYS("cancelled"), "cancel", id, "--running", "cancel"), 0);
    assert_int_equal(CLIENT(ENGINEER, NULL, "watch", id, "--until", "done"), 6);
    assert_int_equal(CLIENT(ENGINEER, NULL, "again", id), 2);
    free(id);
    (void)state;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(in_between, tear_down),
        cmocka_unit_test_teardown(who_reads_it, tear_down),
        cmocka_unit_test_teardown(on_paper_and_in_the_end, tear_down),
        cmocka_unit_test_teardown(from_the_command_line, tear_down),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, desk_open, desk_close);
}
