/* What the client prints: widths of Chinese text, cells that are cut, text that would drive a terminal. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/json.h"
#include "broker/cli/commands.h"

#define CSI8 "\xc2\x9b"         /* U+009B, what ESC [ is in eight bits */
#define OVERRIDE "\xe2\x80\xae" /* U+202E, right to left from here */

static struct arena *arena;

static void test_width(void **state)
{
    (void)state;
    assert_int_equal(cli_width(""), 0);
    assert_int_equal(cli_width("gov-a"), 5);
    assert_int_equal(cli_width("政务云"), 6);
    assert_int_equal(cli_width("云 A（甲）"), 10);
    assert_int_equal(cli_width("e\xcc\x81"), 1); /* a combining accent takes no column */
    assert_int_equal(cli_width("a\xffz"), 3);    /* a byte that is not text takes one */
}

static void test_cut(void **state)
{
    (void)state;
    assert_string_equal(cli_cut(arena, "short", 5), "short");
    assert_string_equal(cli_cut(arena, "longer", 5), "long…");
    assert_string_equal(cli_cut(arena, "政务云主机", 7), "政务云…");
    assert_string_equal(cli_cut(arena, "政务云主机", 8), "政务云…"); /* half a character is none */
    assert_int_equal(cli_width(cli_cut(arena, "政务云主机", 8)), 7);
}

static void test_safe(void **state)
{
    (void)state;
    assert_string_equal(cli_safe(arena, "政务云 plain", false), "政务云 plain");
    assert_string_equal(cli_safe(arena, "a\x1b[31mred\x7f", false), "a [31mred ");
    assert_string_equal(cli_safe(arena, "a" CSI8 "31m", false), "a 31m");
    assert_string_equal(cli_safe(arena, "txt" OVERRIDE "gpj", false), "txt gpj");
    assert_string_equal(cli_safe(arena, "cut \xe6\x94", false), "cut ??");
    assert_string_equal(cli_safe(arena, "one\ntwo\t\r.", true), "one\ntwo\t .");
    assert_string_equal(cli_safe(arena, "one\ntwo", false), "one two");
}

static void test_moment(void **state)
{
    (void)state;
    assert_string_equal(cli_short_moment(arena, "2026-11-24T03:04:05.123456Z"), "2026-11-24 03:04:05Z");
    assert_string_equal(cli_short_moment(arena, "2026-11"), "2026-11");
    assert_string_equal(cli_short_moment(arena, "2026-11-24T03:04:05.123456Z!"),
                        "2026-11-24T03:04:05.123456Z!");
}

/* What a call prints; to be freed. glibc lets stdout be another stream. */
static char *printed_table(const struct cli *cli, const json_t *items, const struct cli_column *columns)
{
    char *text = NULL;
    size_t length;
    FILE *saved = stdout;
    stdout = open_memstream(&text, &length);
    cli_print_table(cli, items, columns);
    fclose(stdout);
    stdout = saved;
    return text;
}

static char *printed(const struct cli *cli, const json_t *json)
{
    char *text = NULL;
    size_t length;
    FILE *saved = stdout;
    stdout = open_memstream(&text, &length);
    cli_print(cli, json);
    fclose(stdout);
    stdout = saved;
    return text;
}

static const struct cli_column columns[] = {{"CLOUD", "id", false, 0},
                                            {"NAME", "name", false, 12},
                                            {"VCPU", "spec.vcpu", true, 0},
                                            {"TAGS", "tags", false, 0},
                                            {0}};

static void test_table(void **state)
{
    json_error_t why;
    json_t *items =
        json_loads("[{\"id\": \"gov-a\", \"name\": \"政务云甲\", \"spec\": {\"vcpu\": 16}, \"tags\": "
                   "[\"a\", \"b\"]},"
                   " {\"id\": \"x\", \"name\": \"a name longer than that\", \"tags\": [{\"n\": 1}]}]",
                   0, &why);
    (void)state;
    assert_non_null(items);
    char *text = printed_table(&(struct cli){.arena = arena}, items, columns);
    assert_string_equal(text, "CLOUD  NAME          VCPU  TAGS\n"
                              "gov-a  政务云甲        16  a, b\n"
                              "x      a name long…     -  [{\"n\":1}]\n");
    free(text);
    text = printed_table(&(struct cli){.arena = arena, .wide = true}, items, columns);
    assert_non_null(strstr(text, "a name longer than that"));
    free(text);
    json_decref(items);
}

/* A name chosen by somebody else moves neither the cursor nor the columns. */
static void test_hostile_table(void **state)
{
    json_t *items = json_array(), *row = json_object();
    (void)state;
    json_put_text(row, "id", "\x1b[2J\x1b[1;1H" CSI8 OVERRIDE "x\ny");
    json_push(items, row);
    char *text = printed_table(&(struct cli){.arena = arena}, items, columns);
    assert_null(strchr(text, '\x1b'));
    assert_null(strstr(text, CSI8));
    assert_null(strstr(text, OVERRIDE));
    const char *second = strchr(text, '\n') + 1;
    assert_null(strchr(strchr(second, '\n') + 1, '\n')); /* a line for the title, a line for the row */
    free(text);
    json_decref(items);
}

static void test_single_thing(void **state)
{
    json_error_t why;
    json_t *cloud =
        json_loads("{\"id\": \"gov-a\", \"sites\": [{\"id\": \"dc1\", \"name\": \"一\"}, {\"id\": "
                   "\"dc2\"}], \"enclave\": false,"
                   " \"spec\": {\"vcpu\": 2}, \"none\": [], \"codes\": [\"1001\", \"1002\"]}",
                   0, &why);
    (void)state;
    assert_non_null(cloud);
    char *text = printed(&(struct cli){.arena = arena}, cloud);
    assert_string_equal(text, "id:      gov-a\n"
                              "sites:\n"
                              "  - id:   dc1\n"
                              "    name: 一\n"
                              "  - id: dc2\n"
                              "enclave: no\n"
                              "spec:\n"
                              "  vcpu: 2\n"
                              "none:    -\n"
                              "codes:   1001, 1002\n");
    free(text);
    text = printed(&(struct cli){.arena = arena, .json = true}, cloud);
    json_t *again = json_loads(text, 0, &why);
    assert_true(json_equal(cloud, again));
    free(text);
    json_decref(again);
    json_decref(cloud);
}

static int set_up(void **state)
{
    (void)state;
    arena = arena_new();
    return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static char *brief(const char *text)
{
    json_t *migration;
    struct cli cli = {.arena = arena};
    size_t length;
    char *printed = NULL;
    assert_null(json_parse_in(arena, text, strlen(text), &migration));
    FILE *saved = stdout;
    stdout = open_memstream(&printed, &length);
    cli_print_migration(&cli, migration);
    fclose(stdout);
    stdout = saved;
    return printed;
}

#define MOVE                                                                                              \
    "\"id\": \"m-1\", \"name\": \"web\", \"method\": \"warm\", \"source\": {\"cloud\": \"a\", \"zone\": " \
    "\"x\"},"                                                                                             \
    " \"target\": {\"cloud\": \"b\", \"zone\": \"y\"}"

/* Where a move is and whose word it waits for, with the reason of what went wrong and nothing that drives a
 * terminal. */
static void test_migration(void **state)
{
    (void)state;
    char *text = brief("{" MOVE ", \"state\": \"consented\", \"approvals\": \"unit+platform\","
                       " \"approved\": [{\"part\": \"platform\", \"principal\": \"p\"}]}");
    assert_string_equal(text, "web: consented\n  migration  m-1\n  move       warm, a/x to b/y\n"
                              "  next       the unit: yunqiao migrate approve\n");
    free(text);
    text =
        brief("{" MOVE
              ", \"state\": \"cancelled\", \"downtime_seconds\": 60, \"downtime\": {\"predicted_ms\": 1500},"
              " \"ledger\": [{\"removed_at\": \"2026-11-24T03:04:05Z\"}, {}],"
              " \"history\": [{\"event\": \"broken\", \"reason\": \"no\\u001b[31m disk\", \"at\": \"t\"},"
              " {\"event\": \"done\", \"at\": \"2026-11-24T03:04:05Z\"}]}");
    assert_non_null(strstr(text, "  downtime   about 1500 ms, 60 s are agreed\n"));
    assert_non_null(strstr(text, "  made       1 of 2 things that were made for it are there\n"));
    assert_non_null(strstr(text, "  because    broken: no [31m disk\n"));
    assert_null(strstr(text, "next"));
    free(text);
}

/* The last pass leaves its rate behind; only while one may run it is told. */
static void test_rate(void **state)
{
    static const char *const states[] = {"copying", "testing", "cutting-over",
                                         "synced",  "holding", "cancelled"};
    (void)state;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        char *text = brief(arena_printf(arena,
                                        "{" MOVE ", \"state\": \"%s\", \"progress\": {\"pass\": 2, \"bytes\":"
                                        " 2048, \"done_bytes\": 1024, \"bytes_per_second\": 512}}",
                                        states[i]));
        assert_non_null(strstr(text, i < 3 ? "  progress   pass 2, 1.0 KiB of 2.0 KiB, 512.0 B/s\n"
                                           : "  progress   pass 2, 1.0 KiB of 2.0 KiB\n"));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_width),        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_safe),         cmocka_unit_test(test_moment),
        cmocka_unit_test(test_table),        cmocka_unit_test(test_hostile_table),
        cmocka_unit_test(test_single_thing), cmocka_unit_test(test_migration),
        cmocka_unit_test(test_rate),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
