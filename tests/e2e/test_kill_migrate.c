/* The broker is killed while it copies a machine to another cloud, and again while it cuts over: the move
 * goes on where it was, and ends as if nothing had been. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "tests/e2e/move.h"

#define SLOW_PASS (4 << 20)    /* bytes a second: the image holds some 30 MB */
#define SLOW_CHANGES (1 << 17) /* a changed block is read whole: 2 s each */

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

/* Until it holds of the migration; then the broker is killed and comes back. */
static void kill_when(struct moves *moves, const struct machine *machine, const char *condition)
{
    char *sql =
        xasprintf("SELECT count(*) FROM migration WHERE id = '%s' AND %s", machine->migration, condition);
    world_await(moves->world, sql, "1", MOVE_SECONDS);
    world_kill(moves->world);
    world_restart(moves->world);
    free(sql);
}

static void killed_on_the_way(void **state)
{
    struct moves *moves = *state;
    struct machine machine = moves_machine_start(moves, "killed");
    move_plan(moves, &machine, "warm");
    free(move_consent(moves, &machine));
    /* So slow that each moment is there to be met, on any machine. */
    move_limit(moves, &machine, SLOW_PASS);
    move_say(moves, &machine, "start");
    kill_when(moves, &machine, "(progress ->> 'done_bytes')::bigint > 0");
    move_limit(moves, &machine, 0);
    move_await(moves, &machine, "synced");
    move_limit(moves, &machine, SLOW_CHANGES);
    move_say(moves, &machine, "cutover");
    kill_when(moves, &machine, "state = 'cutting-over' AND step = 2"); /* stopped and fenced */
    move_limit(moves, &machine, 0);
    move_await(moves, &machine, "holding");
    unsigned left_at = moves_journal_said(moves, moves->here, &machine);
    move_expect_fenced(moves->here, &machine);
    moves_journal_goes_on(moves, moves->there, &machine, left_at);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed_on_the_way)};
    return cmocka_run_group_tests(tests, begin, end);
}
