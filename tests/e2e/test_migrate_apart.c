/* Machines that move between two hosts with a network between them, where everything wants TLS and
 * certificates of both sides: over a line that is slow and loses packets, that is cut and comes back, or that
 * stays away until everything is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/e2e/move.h"
#include "tests/support/hub.h"

#define SLOW "1000000" /* bytes a second of a move: there is time to do something to it */
#define SETTLE_SECONDS 5
#define CUT_SECONDS 6

static int begin(void **state)
{
    *state = moves_start_apart();
    return 0;
}

static int end(void **state)
{
    moves_stop(*state);
    return 0;
}

static void set_bandwidth(struct moves *moves, const struct machine *machine, const char *rate)
{
    json_decref(moves_client(
        moves, moves->world->admin, 0,
        (const char *const[]){"migrate", "terms", machine->migration, "--bandwidth", rate, NULL}));
}

static void start(struct moves *moves, struct machine *machine, const char *method)
{
    move_plan(moves, machine, method);
    free(move_consent(moves, machine));
    set_bandwidth(moves, machine, SLOW);
    move_say(moves, machine, "start");
}

/* Some of the first pass, and not all of it, is over there. */
static void await_copying(struct moves *moves, const struct machine *machine)
{
    char *sql = xasprintf("SELECT state = 'copying' AND (progress->>'done_bytes')::bigint > 0 FROM migration"
                          " WHERE id = '%s'",
                          machine->migration);
    world_await(moves->world, sql, "t", MOVE_SECONDS);
    free(sql);
}

/* How far the pass is, as a text of the database; the caller's. */
static char *copied(struct moves *moves, const struct machine *machine)
{
    char *sql =
        xasprintf("SELECT progress->>'done_bytes' FROM migration WHERE id = '%s'", machine->migration);
    char *text = world_value(moves->world, sql);
    free(sql);
    return text;
}

static void commit(struct moves *moves, struct machine *machine, unsigned least)
{
    move_say(moves, machine, "accept");
    move_say(moves, machine, "commit");
    move_await(moves, machine, "committed");
    moves_expect_empty(moves->here);
    move_expect_closed(moves, machine);
    move_expect_usage(moves, machine);
    moves_journal_gap(moves, moves->there, machine, least);
    moves_machine_end(moves, machine);
    moves_expect_empty(moves->there);
}

static void over_a_bad_line(void **state)
{
    struct moves *moves = *state;
    struct machine machine = moves_machine_start(moves, "far");
    hub_slow(kvmcloud_cable(moves->there), 20000000);
    hub_lose("10.90.0.11", 50);
    start(moves, &machine, "warm");
    await_copying(moves, &machine);
    hub_plug(kvmcloud_cable(moves->there), false);
    sleep(SETTLE_SECONDS); /* what was on its way has come or is lost, and was told */
    char *before = copied(moves, &machine);
    sleep(CUT_SECONDS);
    char *after = copied(moves, &machine);
    assert_string_equal(before, after);
    free(before);
    free(after);
    move_expect(moves, &machine, "SELECT state FROM migration WHERE id = '%s'", "copying");
    hub_plug(kvmcloud_cable(moves->there), true);
    set_bandwidth(moves, &machine, "0");
    move_await(moves, &machine, "synced");
    hub_lose("10.90.0.11", 0);
    hub_slow(kvmcloud_cable(moves->there), 0);
    unsigned said = moves_journal_said(moves, moves->here, &machine);
    move_say(moves, &machine, "cutover");
    move_await(moves, &machine, "holding");
    move_expect_fenced(moves->here, &machine);
    moves_journal_goes_on(moves, moves->there, &machine, said);
    commit(moves, &machine, said);
}

static void live_between_hosts(void **state)
{
    struct moves *moves = *state;
    struct machine machine = moves_machine_start(moves, "live");
    move_plan(moves, &machine, "live");
    free(move_consent(moves, &machine));
    move_say(moves, &machine, "start");
    move_await(moves, &machine, "synced");
    move_say(moves, &machine, "cutover");
    move_await(moves, &machine, "holding");
    unsigned left_at = moves_journal_said(moves, moves->here, &machine);
    move_expect_fenced(moves->here, &machine);
    moves_journal_goes_on(moves, moves->there, &machine, left_at);
    move_expect_show(moves, &machine, "holding");
    commit(moves, &machine, left_at);
}

/* What lies over there cannot be taken away while nobody reaches it: the source runs all the time, and once
 * the line is back the same word ends it. */
static void cut_off_for_good(void **state)
{
    struct moves *moves = *state;
    struct machine machine = moves_machine_start(moves, "cut");
    start(moves, &machine, "warm");
    await_copying(moves, &machine);
    hub_plug(kvmcloud_cable(moves->there), false);
    move_say(moves, &machine, "cancel");
    unsigned said = moves_journal_said(moves, moves->here, &machine);
    (void)moves_journal_writes(moves, moves->here, &machine, said);
    assert_string_equal(moves_power(moves->here, &machine), "running");
    move_expect(moves, &machine, "SELECT state IN ('cancelling', 'failed') FROM migration WHERE id = '%s'",
                "t");
    move_expect(moves, &machine,
                "SELECT count(*) > 0 FROM migration_ledger WHERE migration_id = '%s' AND removed_at IS NULL",
                "t");
    hub_plug(kvmcloud_cable(moves->there), true);
    move_await(moves, &machine, "cancelled");
    moves_expect_empty(moves->there);
    move_expect_closed(moves, &machine);
    move_expect_rows(moves, &machine, "here");
    moves_journal_check(moves, moves->here, &machine, said);
    moves_machine_end(moves, &machine);
    moves_expect_empty(moves->here);
}

int main(void)
{
    if (geteuid() != 0) {
        print_error("skipped: clouds of one's own need root\n");
        return 77;
    }
    hub_make();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_a_bad_line),
        cmocka_unit_test(live_between_hosts),
        cmocka_unit_test(cut_off_for_good),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
