/* The broker killed at every boundary of whole moves, before and after each thing that it does at a provider,
 * by every method and to every ending, from where test_migration_job.c does not have it already; and at
 * random moments of those where nothing is done at a provider: between rows, and while data flows. */
#include "federation/migration_job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/id.h"
#include "tests/federation/move_scene.h"

enum ending { COMMITTED, ROLLED_BACK, CANCELLED, REFUSED /* cancelled by a proof that fails */ };
static const char *const names[] = {"committed", "rolled back", "cancelled", "refused by its proof"};

/* The words that lead there, and the state that each is said in. */
struct leg {
    const char *state;
    enum migration_event event;
};
#define LEGS_MAX 4
static const struct leg ways[][LEGS_MAX] = {
    [COMMITTED] = {{"synced", MIGRATION_EVENT_CUTOVER},
                   {"holding", MIGRATION_EVENT_COMMIT},
                   {"committed", MIGRATION_EVENT_COUNT}},
    [ROLLED_BACK] = {{"synced", MIGRATION_EVENT_CUTOVER},
                     {"holding", MIGRATION_EVENT_ROLLBACK},
                     {"rolled-back", MIGRATION_EVENT_COUNT}},
    [CANCELLED] = {{"synced", MIGRATION_EVENT_CANCEL}, {"cancelled", MIGRATION_EVENT_COUNT}},
    [REFUSED] = {{"synced", MIGRATION_EVENT_CUTOVER}, {"cancelled", MIGRATION_EVENT_COUNT}}};

/* Waits with a broker that dies at `die_at`, and with another one after that. */
static void reach(pid_t *broker, const char *state, bool *died)
{
    if (scene_await(*broker, state))
        return;
    assert_false(*died);
    *died = true;
    *broker = scene_broker(0);
    assert_true(scene_await(*broker, state));
}

/* Nobody dies before leg `from` begins. */
static bool drive(enum migration_method method, enum ending ending, size_t from, int die_at)
{
    bool died = false;
    scene_begin(method == MIGRATION_LIVE ? "folder-live" : "folder", method, 0);
    scene.may_forget = ending == ROLLED_BACK;
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(from ? 0 : die_at);
    for (const struct leg *leg = ways[ending];; leg++) {
        reach(&broker, leg->state, &died);
        if (from && leg == ways[ending] + from - 1) {
            scene_kill(broker);
            broker = scene_broker(die_at);
        }
        if (leg->event == MIGRATION_EVENT_COUNT)
            break;
        if (leg->event == MIGRATION_EVENT_COMMIT)
            scene_accept();
        if (leg->event == MIGRATION_EVENT_CUTOVER && ending == REFUSED)
            folder_cloud_rot(scene.target, 0, 99);
        scene_say(leg->event);
    }
    scene_check(ending == COMMITTED);
    scene_kill(broker);
    return died;
}

/* Of the legs from that one on, which follows the word of the one before; 0: from the start. */
static void at_every_boundary(enum migration_method method, enum ending ending, size_t from)
{
    int boundary = 0;
    while (drive(method, ending, from, ++boundary))
        ;
    print_message("%s, %s: killed at %d boundaries\n", migration_method_name(method), names[ending],
                  boundary - 1);
    assert_true(boundary > 4);
}

static void a_warm_move_rolled_back(void **state)
{
    at_every_boundary(MIGRATION_WARM, ROLLED_BACK, 2);
}

static void a_warm_move_cancelled(void **state)
{
    at_every_boundary(MIGRATION_WARM, CANCELLED, 1);
}

static void a_warm_move_that_its_proof_refuses(void **state)
{
    at_every_boundary(MIGRATION_WARM, REFUSED, 1);
}

static void a_cold_move_committed(void **state)
{
    at_every_boundary(MIGRATION_COLD, COMMITTED, 1);
}

static void a_live_move_rolled_back(void **state)
{
    at_every_boundary(MIGRATION_LIVE, ROLLED_BACK, 2);
}

static void a_live_move_cancelled(void **state)
{
    at_every_boundary(MIGRATION_LIVE, CANCELLED, 1);
}

static uint32_t below(uint32_t most)
{
    return (uint32_t)((uint64_t)random() * most / ((uint64_t)RAND_MAX + 1));
}

/* Killed again and again, some milliseconds after each start, until nobody kills it any more. */
static void harried(const char *state)
{
    for (int i = 0; i < 4; i++) {
        pid_t broker = scene_broker(0);
        int64_t until = moment_monotonic() + 30000 + (int64_t)below(250000);
        while (moment_monotonic() < until) {
            scene_guest();
            (void)nanosleep(&(struct timespec){0, 2000000},
                            NULL); /* a guest that does not fill its disk at once */
        }
        scene_kill(broker);
    }
    pid_t broker = scene_broker(0);
    assert_true(scene_await(broker, state));
    scene_kill(broker);
}

static void at_random_moments(void **state)
{
    uint32_t seed;
    random_bytes(&seed, sizeof seed);
    if (getenv("YUNQIAO_SEED"))
        seed = (uint32_t)strtoul(getenv("YUNQIAO_SEED"), NULL, 10);
    print_message("YUNQIAO_SEED=%u\n", seed);
    srandom(seed);
    for (int round = 0; round < 4; round++) {
        enum migration_method method = round == 2 ? MIGRATION_LIVE : MIGRATION_WARM;
        enum ending ending = round % 2 ? ROLLED_BACK : COMMITTED;
        scene_begin(method == MIGRATION_LIVE ? "folder-live" : "folder", method, 0);
        scene.may_forget = ending == ROLLED_BACK;
        scene_say(MIGRATION_EVENT_START);
        for (const struct leg *leg = ways[ending];; leg++) {
            harried(leg->state);
            if (leg->event == MIGRATION_EVENT_COUNT)
                break;
            if (leg->event == MIGRATION_EVENT_COMMIT)
                scene_accept();
            scene_say(leg->event);
        }
        scene_check(ending == COMMITTED);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warm_move_rolled_back),
        cmocka_unit_test(a_warm_move_cancelled),
        cmocka_unit_test(a_warm_move_that_its_proof_refuses),
        cmocka_unit_test(a_cold_move_committed),
        cmocka_unit_test(a_live_move_rolled_back),
        cmocka_unit_test(a_live_move_cancelled),
        cmocka_unit_test(at_random_moments),
    };
    scene_maybe_broker(argc, argv);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, scene_open, scene_close);
}
