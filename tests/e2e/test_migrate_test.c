/* Test boots of a warm move, by the real broker and client: the copy boots beside the running source, apart
 * from everything, and the move goes on as if nothing had been; also when the test fails, and when the broker
 * is killed in the middle of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/move.h"

#define CONFLICT 6 /* the client's exit code */

static int begin(void **state)
{
    *state = moves_start();
    return 0;
}

static int end(void **state)
{
    moves_stop(*state);
    return 0;
}

/* `yunqiao migrate test` with these words, which ends like that; the migration as it is then, the caller's.
 */
#define TEST(moves, machine, wanted, ...)                  \
    moves_client((moves), (moves)->world->admin, (wanted), \
                 (const char *const[]){"migrate", "test", (machine)->migration, __VA_ARGS__, NULL})

/* Nothing but what waits for the cut-over is in that cloud: one domain, which is off; no network of a test.
 */
static void expect_no_test(const struct moves *moves, const struct machine *machine)
{
    char text[4096];
    assert_string_equal(moves_power(moves->there, machine), "shut off");
    assert_int_equal(kvmcloud_virsh(moves->there, text, sizeof text,
                                    (const char *const[]){"list", "--all", "--uuid", NULL}),
                     0);
    char *rest = strstr(text, machine->id);
    assert_non_null(rest);
    rest += strlen(machine->id);
    assert_string_equal(rest + strspn(rest, "\n"), "");
    assert_int_equal(kvmcloud_virsh(moves->there, text, sizeof text,
                                    (const char *const[]){"net-list", "--all", "--name", NULL}),
                     0);
    assert_null(strstr(text, "yunqiao-test-"));
    move_expect(moves, machine,
                "SELECT count(*) FROM migration_ledger WHERE migration_id = '%s' AND kind = 'test' AND"
                " removed_at IS NULL",
                "0");
}

static const json_t *last_of(const json_t *migration)
{
    const json_t *tests = json_object_get(migration, "tests");
    const json_t *test = json_array_get(tests, json_array_size(tests) - 1);
    assert_non_null(test);
    return test;
}

static const char *text_of(const json_t *json, const char *member)
{
    const char *text = json_string_value(json_object_get(json, member));
    return text ? text : "";
}

/* What is tested has the journal, nobody answers its DHCP, and the source goes on writing meanwhile. */
static void expect_passed(struct moves *moves, const struct machine *machine)
{
    unsigned before = moves_journal_said(moves, moves->here, machine);
    json_t *shown = TEST(moves, machine, 0, "--expect-console", "yunqiao guest tested journal",
                         "--stays-seconds", "3", "--seconds", "170", "--wait");
    const json_t *test = last_of(shown);
    assert_string_equal(text_of(shown, "state"), "synced");
    assert_string_equal(text_of(test, "outcome"), "passed");
    assert_int_equal(json_array_size(json_object_get(test, "checks")), 2);
    assert_non_null(strstr(text_of(test, "console"), "yunqiao guest tested journal"));
    assert_null(strstr(text_of(test, "console"), "yunqiao guest tested address"));
    char *said = moves_said(moves);
    assert_non_null(strstr(said, "passed"));
    free(said);
    json_decref(shown);
    expect_no_test(moves, machine);
    (void)moves_journal_writes(moves, moves->here, machine, before);
}

static void expect_failed(struct moves *moves, const struct machine *machine)
{
    json_t *shown = TEST(moves, machine, CONFLICT, "--expect-console", "never said", "--stays-seconds", "1",
                         "--seconds", "3", "--wait");
    const json_t *test = last_of(shown);
    assert_string_equal(text_of(shown, "state"), "synced");
    assert_string_equal(text_of(test, "outcome"), "failed");
    assert_non_null(strstr(text_of(test, "reason"), "did not show \"never said\""));
    json_decref(shown);
    expect_no_test(moves, machine);
}

/* While the test's guest runs. */
static void expect_killed(struct moves *moves, const struct machine *machine)
{
    json_decref(TEST(moves, machine, 0, "--stays-seconds", "20", "--seconds", "60"));
    char *sql = xasprintf("SELECT count(*) FROM migration_test WHERE migration_id = '%s' AND booted_at IS NOT"
                          " NULL AND outcome IS NULL",
                          machine->migration);
    world_await(moves->world, sql, "1", MOVE_SECONDS);
    free(sql);
    world_kill(moves->world);
    world_restart(moves->world);
    move_await(moves, machine, "synced");
    move_expect(
        moves, machine,
        "SELECT string_agg(outcome, ',' ORDER BY number) FROM migration_test WHERE migration_id = '%s'",
        "passed,failed,passed");
    expect_no_test(moves, machine);
}

static void tested_before_it_is_cut_over(void **state)
{
    struct moves *moves = *state;
    struct machine machine = moves_machine_start(moves, "tested");
    move_plan(moves, &machine, "warm");
    free(move_consent(moves, &machine));
    json_decref(moves_client(
        moves, moves->world->admin, 0,
        (const char *const[]){"migrate", "terms", machine.migration, "--test-required", "yes", NULL}));
    move_say(moves, &machine, "start");
    move_await(moves, &machine, "synced");
    json_decref(moves_client(moves, moves->world->admin, CONFLICT,
                             (const char *const[]){"migrate", "cutover", machine.migration, NULL}));
    expect_passed(moves, &machine);
    expect_failed(moves, &machine);
    json_decref(moves_client(moves, moves->world->admin, CONFLICT,
                             (const char *const[]){"migrate", "cutover", machine.migration, NULL}));
    expect_killed(moves, &machine);
    move_say(moves, &machine, "cutover");
    move_await(moves, &machine, "holding");
    unsigned left_at = moves_journal_said(moves, moves->here, &machine);
    (void)moves_journal_writes(moves, moves->there, &machine, left_at);
    move_say(moves, &machine, "accept");
    move_say(moves, &machine, "commit");
    move_await(moves, &machine, "committed");
    moves_expect_empty(moves->here);
    move_expect_closed(moves, &machine);
    move_expect_usage(moves, &machine);
    moves_journal_gap(moves, moves->there, &machine, left_at);
    moves_machine_end(moves, &machine);
    moves_expect_empty(moves->there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tested_before_it_is_cut_over)};
    return cmocka_run_group_tests(tests, begin, end);
}
