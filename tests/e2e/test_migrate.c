/* Machines that move between two libvirt daemons by the real broker and the real client, while their guest
 * writes all the time: nothing that was acknowledged is lost or there twice, never two run, and in the end
 * nothing is left where it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "tests/e2e/move.h"

#define DENIED 4 /* the client's exit code */

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

/* From an order to "holding": it runs there, here it is off and fenced. Returns the last record that was said
 * here. */
static unsigned move_over(struct moves *moves, struct machine *machine, const char *method)
{
    move_plan(moves, machine, method);
    free(move_consent(moves, machine));
    move_say(moves, machine, "start");
    unsigned before = moves_journal_said(moves, moves->here, machine);
    move_await(moves, machine, "synced");
    (void)moves_journal_writes(moves, moves->here, machine, before);
    move_say(moves, machine, "cutover");
    move_await(moves, machine, "holding");
    unsigned left_at = moves_journal_said(moves, moves->here, machine);
    move_expect_rows(moves, machine, "there");
    move_expect_fenced(moves->here, machine);
    assert_string_equal(moves_power(moves->there, machine), "running");
    moves_journal_goes_on(moves, moves->there, machine, left_at);
    move_expect_show(moves, machine, "holding");
    return left_at;
}

static void a_warm_move(void **state)
{
    struct moves *moves = *state;
    struct machine machine = moves_machine_start(moves, "warm");
    unsigned left_at = move_over(moves, &machine, "warm");
    move_say(moves, &machine, "accept");
    move_say(moves, &machine, "commit");
    move_await(moves, &machine, "committed");
    moves_expect_empty(moves->here);
    move_expect_closed(moves, &machine);
    move_expect_rows(moves, &machine, "there");
    move_expect_usage(moves, &machine);
    moves_journal_gap(moves, moves->there, &machine, left_at);
    moves_machine_end(moves, &machine);
    moves_expect_empty(moves->there);
}

/* What came after the cut-over is lost, as the plan says; what was said before is not. */
static void a_rollback_from_holding(void **state)
{
    struct moves *moves = *state;
    struct machine machine = moves_machine_start(moves, "back");
    unsigned left_at = move_over(moves, &machine, "warm");
    move_say(moves, &machine, "rollback");
    move_await(moves, &machine, "rolled-back");
    moves_expect_empty(moves->there);
    move_expect_closed(moves, &machine);
    move_expect_rows(moves, &machine, "here");
    assert_string_equal(moves_power(moves->here, &machine), "running");
    (void)moves_journal_writes(moves, moves->here, &machine, left_at);
    moves_journal_gap(moves, moves->here, &machine, left_at);
    moves_machine_end(moves, &machine);
    moves_expect_empty(moves->here);
}

/* It is off: all is copied in one pass, and it stays off until somebody starts it. */
static void a_cold_move(void **state)
{
    struct moves *moves = *state;
    struct machine machine = moves_machine_start(moves, "cold");
    moves_power_off(moves, &machine);
    unsigned said = moves_journal_said(moves, moves->here, &machine);
    move_plan(moves, &machine, NULL);
    move_expect(moves, &machine, "SELECT method FROM migration WHERE id = '%s'", "cold");
    free(move_consent(moves, &machine));
    move_say(moves, &machine, "start");
    move_await(moves, &machine, "synced");
    move_say(moves, &machine, "cutover");
    move_await(moves, &machine, "holding");
    move_expect_passes(moves, &machine, "full full");
    move_expect_rows(moves, &machine, "there");
    move_expect_fenced(moves->here, &machine);
    assert_string_equal(moves_power(moves->there, &machine), "shut off");
    move_say(moves, &machine, "accept");
    move_say(moves, &machine, "commit");
    move_await(moves, &machine, "committed");
    moves_expect_empty(moves->here);
    move_expect_closed(moves, &machine);
    move_expect_usage(moves, &machine);
    moves_power_on(moves, &machine);
    moves_journal_gap(moves, moves->there, &machine, said);
    moves_machine_end(moves, &machine);
    moves_expect_empty(moves->there);
}

static void a_live_move(void **state)
{
    struct moves *moves = *state;
    struct machine machine = moves_machine_start(moves, "live");
    unsigned left_at = move_over(moves, &machine, "live");
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

static void not_without_a_consent(void **state)
{
    struct moves *moves = *state;
    struct world *w = moves->world;
    struct machine machine = moves_machine_start(moves, "kept");
    move_plan(moves, &machine, "warm");
    move_say(moves, &machine, "approve");
    const char *const tokens[] = {w->admin, moves->head, w->operator_, w->regulator};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        json_decref(moves_client(moves, tokens[i], DENIED,
                                 (const char *const[]){"migrate", "start", machine.migration, NULL}));
    moves_expect_empty(moves->there);
    char *consent = move_consent(moves, &machine);
    move_say(moves, &machine, "start");
    move_await(moves, &machine, "synced");
    json_decref(
        moves_client(moves, moves->head, 0,
                     (const char *const[]){"consent", "withdraw", consent, "--reason", "业务调整", NULL}));
    move_await(moves, &machine, "cancelled");
    moves_expect_empty(moves->there);
    move_expect_closed(moves, &machine);
    move_expect_rows(moves, &machine, "here");
    unsigned said = moves_journal_said(moves, moves->here, &machine);
    (void)moves_journal_writes(moves, moves->here, &machine, said);
    moves_journal_check(moves, moves->here, &machine, said);
    moves_machine_end(moves, &machine);
    moves_expect_empty(moves->here);
    free(consent);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warm_move),           cmocka_unit_test(a_rollback_from_holding),
        cmocka_unit_test(a_cold_move),           cmocka_unit_test(a_live_move),
        cmocka_unit_test(not_without_a_consent),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, begin, end);
}
