/* What people do meanwhile: a consent withdrawn at any time, two who press at once, somebody who starts by
 * hand what is fenced, or takes the fence off. One side is good in the end, or a person is told that it is
 * not. */
#include "federation/migration_job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "tests/federation/move_scene.h"
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void go(pid_t broker, const char *state)
{
    assert_true(scene_await(broker, state));
}

static pid_t begin(enum migration_method method)
{
    scene_begin(method == MIGRATION_LIVE ? "folder-live" : "folder", method, 0);
    scene.hurry = true;
    for (int i = 0; i < 64; i++)
        scene_guest(); /* something to copy */
    scene_say(MIGRATION_EVENT_START);
    return scene_broker(0);
}

/* A test waits for a state and a step, withdraws, and the job finds it out at its next turn. */
static const char *wanted_at;

static void withdraw_there(void)
{
    if (!wanted_at)
        return;
    char *now = scene_text("SELECT state || '/' || step FROM migration");
    if (!strcmp(now, wanted_at)) {
        scene_withdraw_consent();
        wanted_at = NULL;
    }
    free(now);
}

/* The broker stops where it is by an operation that fails, so that the moment is there to be met. */
static void withdrawn_at(const char *at, const char *operation)
{
    bool late = !strncmp(at, "cutting-over", 12);
    scene_begin("folder", MIGRATION_WARM, 0);
    for (int i = 0; i < 64; i++)
        scene_guest();
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = late ? scene_broker(0) : scene_broker_failing(operation, "unavailable", 4);
    if (late) {
        go(broker, "synced");
        scene_kill(broker);
        scene_say(MIGRATION_EVENT_CUTOVER);
        broker = scene_broker_failing(operation, "unavailable", 4);
    }
    wanted_at = at;
    scene.hurry = true;
    scene.meanwhile = withdraw_there;
    go(broker, "cancelled");
    assert_null(wanted_at);
    scene_expect("SELECT from_state FROM migration_history WHERE event = 'consent-withdrawn'",
                 !strncmp(at, "copying", 7) ? "copying" : "cutting-over");
    scene_check(false);
    scene_kill(broker);
}

static void a_consent_withdrawn_before_the_cut_over_ends(void **state)
{
    withdrawn_at("copying/1", "instance_prepare");
    withdrawn_at("copying/2", "export_open");
    withdrawn_at("cutting-over/0", "instance_stop");
    withdrawn_at("cutting-over/1", "instance_fence");
    withdrawn_at("cutting-over/2", "export_open");
}

static void a_consent_withdrawn_while_it_waits(void **state)
{
    pid_t broker = begin(MIGRATION_WARM);
    go(broker, "synced");
    scene_withdraw_consent();
    scene_wake();
    go(broker, "cancelled");
    scene_check(false);
    scene_kill(broker);
}

/* The data has arrived and the service lives there: the paper ends neither the move nor the way back. */
static void a_consent_withdrawn_afterwards(void **state)
{
    pid_t broker = begin(MIGRATION_WARM);
    go(broker, "synced");
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    scene_withdraw_consent();
    scene.may_forget = true;
    scene_say(MIGRATION_EVENT_ROLLBACK);
    go(broker, "rolled-back");
    scene_check(false);
    scene_kill(broker);
}

static void the_cut_over_and_the_cancellation_at_once(void **state)
{
    int first = 0;
    for (int round = 0; round < 4; round++) {
        pid_t broker = begin(MIGRATION_WARM);
        go(broker, "synced");
        enum migration_event taken = scene_both(MIGRATION_EVENT_CUTOVER, MIGRATION_EVENT_CANCEL);
        first += taken == MIGRATION_EVENT_CUTOVER;
        go(broker, taken == MIGRATION_EVENT_CUTOVER ? "holding" : "cancelled");
        if (taken == MIGRATION_EVENT_CANCEL)
            scene_check(false);
        scene_kill(broker);
    }
    print_message("of four pairs the cut-over was first %d times\n", first);
}

static void the_commit_and_the_rollback_at_once(void **state)
{
    int first = 0;
    for (int round = 0; round < 4; round++) {
        pid_t broker = begin(round % 2 ? MIGRATION_LIVE : MIGRATION_WARM);
        go(broker, "synced");
        scene_say(MIGRATION_EVENT_CUTOVER);
        go(broker, "holding");
        scene_accept();
        scene.may_forget = true;
        bool kept = scene_both(MIGRATION_EVENT_COMMIT, MIGRATION_EVENT_ROLLBACK) == MIGRATION_EVENT_COMMIT;
        first += kept;
        go(broker, kept ? "committed" : "rolled-back");
        scene_check(kept);
        scene_kill(broker);
    }
    print_message("of four pairs the commit was first %d times\n", first);
}

/* Cut-over and rollback together: in verifying already, as soon as the machine lives on the other side. */
static void a_rollback_right_behind_the_cut_over(void **state)
{
    scene_begin("folder", MIGRATION_WARM, 0);
    for (int i = 0; i < 64; i++)
        scene_guest();
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker_failing("instance_release", "unavailable", 6);
    go(broker, "synced");
    scene.may_forget = true;
    scene_say(MIGRATION_EVENT_CUTOVER);
    refused(scene_try(MIGRATION_EVENT_ROLLBACK, -1), ERR_CONFLICT);
    go(broker, "verifying");
    scene_say(MIGRATION_EVENT_ROLLBACK);
    scene.hurry = true;
    go(broker, "rolled-back");
    scene_check(false);
    scene_kill(broker);
}

static void start_source(void)
{
    folder_cloud_start(scene.source, MOVE_INSTANCE);
}

static int comes_back; /* so often; more often than the move begins a state anew would cancel it */

static void start_source_again(void)
{
    if (comes_back && !folder_cloud_look(scene.source, MOVE_INSTANCE).running) {
        comes_back--;
        start_source();
    }
}

/* Its host, its operator or a high-availability daemon starts it as soon as it is off: before the fence it is
 * stopped again, after it nobody can. */
static void a_source_that_comes_back(void **state)
{
    pid_t broker = begin(MIGRATION_WARM);
    go(broker, "synced");
    comes_back = 3;
    scene.meanwhile = start_source_again;
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    for (int i = 0; i < 20; i++)
        start_source();
    assert_false(folder_cloud_look(scene.source, MOVE_INSTANCE).running);
    scene.meanwhile = NULL;
    scene_accept();
    scene_say(MIGRATION_EVENT_COMMIT);
    go(broker, "committed");
    scene_check(true);
    scene_kill(broker);
}

/* Then it could run beside the target, and does when somebody starts it. Nobody can undo that here; but it is
 * said, the move makes nothing worse of it, and goes on when a person has put it right. */
static void a_fence_that_is_taken_off_by_hand(void **state)
{
    pid_t broker = begin(MIGRATION_WARM);
    go(broker, "synced");
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    scene_accept();
    scene_kill(broker);
    folder_cloud_fence(scene.source, MOVE_INSTANCE, false);
    scene_say(MIGRATION_EVENT_COMMIT); /* nobody has looked since */
    broker = scene_broker(0);
    go(broker, "failed");
    scene_expect("SELECT why FROM migration", "the source is not known to be off and fenced");
    scene_await_sql("SELECT count(*) FROM event WHERE type = 'migration.unfenced'"); /* told now as well */
    assert_true(folder_cloud_look(scene.source, MOVE_INSTANCE).there);
    assert_true(folder_cloud_look(scene.target, MOVE_INSTANCE).running);
    folder_cloud_fence(scene.source, MOVE_INSTANCE, true);
    scene_say(MIGRATION_EVENT_COMMIT);
    go(broker, "committed");
    scene_check(true);
    scene_kill(broker);
}

static void a_held_source_that_is_set_free_is_told(void **state)
{
    pid_t broker = begin(MIGRATION_WARM);
    go(broker, "synced");
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    folder_cloud_fence(scene.source, MOVE_INSTANCE, false);
    scene_await_sql("SELECT count(*) FROM migration WHERE error LIKE 'the source is not fenced any more%'");
    scene.both = true;
    folder_cloud_start(scene.source, MOVE_INSTANCE);
    scene_await_sql("SELECT count(*) FROM migration WHERE error LIKE 'the source runs beside the target%'");
    refused(scene_try(MIGRATION_EVENT_COMMIT, -1), ERR_CONFLICT);
    scene_expect("SELECT string_agg(data ->> 'running', ',' ORDER BY id) FROM event WHERE type ="
                 " 'migration.unfenced' AND cloud_id = 'c'",
                 "false,true");
    folder_cloud_cut(scene.source, MOVE_INSTANCE);
    folder_cloud_fence(scene.source, MOVE_INSTANCE, true);
    scene_await_sql("SELECT count(*) FROM migration WHERE error IS NULL");
    scene_kill(broker);
}

/* What commits itself waits as long as that is not safe, and nobody has to call the job back to life. */
static void what_commits_itself_waits_for_the_fence(void **state)
{
    pid_t broker = begin(MIGRATION_WARM);
    go(broker, "synced");
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    folder_cloud_fence(scene.source, MOVE_INSTANCE, false);
    scene_accept();
    scene.hurry = true;
    pg_exec(scene.pg, "UPDATE migration SET commits_itself = true, hold_until = now()");
    scene_wake();
    char *tried = scene_text(
        "SELECT 'SELECT count(*) FROM job WHERE fence > ' || fence + 20 FROM job WHERE type = 'migrate'");
    scene_await_sql(tried);
    free(tried);
    scene_expect("SELECT state FROM migration", "holding");
    folder_cloud_fence(scene.source, MOVE_INSTANCE, true);
    go(broker, "committed");
    scene_expect("SELECT (details ->> 'to') || ' ' || ((details -> 'disks' ->> 'sda') = (SELECT digest FROM"
                 " migration_pass WHERE disk = 'sda' ORDER BY pass DESC LIMIT 1)) FROM audit WHERE action ="
                 " 'migrate' AND details ? 'disks' ORDER BY id DESC LIMIT 1",
                 "committing true"); /* nobody's call: the job's own step is on the trail */
    scene_check(true);
    scene_kill(broker);
}

/* Who takes the target's fence off while it is cut over: the state is begun anew a few times, then a person
 * is asked, for neither side is made to run while the other one might. */
static void a_target_that_is_set_free_ends_the_cut_over(void **state)
{
    pid_t broker = begin(MIGRATION_WARM);
    go(broker, "synced");
    scene_kill(broker);
    folder_cloud_fence(scene.target, MOVE_INSTANCE, false);
    scene_say(MIGRATION_EVENT_CUTOVER);
    broker = scene_broker(0);
    go(broker, "failed");
    scene_expect("SELECT failed_in FROM migration", "cancelling");
    scene_expect("SELECT string_agg(event, ',' ORDER BY number) FROM migration_history WHERE from_state ="
                 " 'cutting-over'",
                 "broken");
    assert_false(folder_cloud_look(scene.source, MOVE_INSTANCE).running);
    folder_cloud_fence(scene.target, MOVE_INSTANCE, true);
    scene_say(MIGRATION_EVENT_CANCEL);
    go(broker, "cancelled");
    scene_check(false);
    scene_kill(broker);
}

/* Trouble of long ago does not count: a move that waits for its window for weeks is not given up because
 * something failed twelve times in all. */
static void what_went_well_ends_the_count_of_tries(void **state)
{
    pid_t broker = begin(MIGRATION_WARM);
    go(broker, "synced");
    scene_kill(broker);
    pg_exec(scene.pg, "UPDATE job SET saved = saved || '{\"at\": \"synced/0\", \"tries\": 11}'");
    pg_exec(scene.pg, "UPDATE migration SET passed_at = passed_at - interval '1 hour'");
    char *more =
        scene_text("SELECT 'SELECT count(*) FROM migration WHERE passes > ' || passes FROM migration");
    broker = scene_broker(0);
    scene_wake();
    scene_await_sql(more);
    free(more);
    scene_kill(broker);
    pg_exec(scene.pg, "UPDATE migration SET passed_at = passed_at - interval '1 hour'");
    more = scene_text("SELECT 'SELECT count(*) FROM migration WHERE passes > ' || passes FROM migration");
    broker = scene_broker_failing("export_open", "busy", 1);
    scene_wake();
    scene_await_sql(more);
    free(more);
    scene_expect("SELECT state FROM migration", "synced");
    scene_kill(broker);
}

static void begin_off(void)
{
    scene_begin("folder", MIGRATION_WARM, 0);
    pg_exec(scene.pg, "UPDATE resource SET power = 'off' WHERE kind = 'instance'");
    folder_cloud_cut(scene.source, MOVE_INSTANCE);
    scene_say(MIGRATION_EVENT_START);
}

/* Nobody asked for its start. */
static void a_machine_that_was_off_stays_off(void **state)
{
    begin_off();
    pid_t broker = scene_broker(0);
    go(broker, "synced");
    scene_say(MIGRATION_EVENT_CANCEL);
    go(broker, "cancelled");
    scene_check_off();
    scene_kill(broker);
    begin_off();
    broker = scene_broker(0);
    go(broker, "synced");
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    assert_false(folder_cloud_look(scene.target, MOVE_INSTANCE).running);
    scene_say(MIGRATION_EVENT_ROLLBACK);
    go(broker, "rolled-back");
    scene_check_off();
    scene_kill(broker);
}

static void crash_source(void)
{
    char *now = scene_text("SELECT state || '/' || step FROM migration");
    if (!strcmp(now, wanted_at ? wanted_at : "")) {
        folder_cloud_cut(scene.source, MOVE_INSTANCE);
        folder_cloud_forget(scene.source, MOVE_INSTANCE);
        wanted_at = NULL;
    }
    free(now);
}

/* Its hypervisor dies and takes the list of changes along: it is copied as it lies, and runs again where it
 * is wanted in the end, here or there. */
static void a_source_that_crashes_while_it_is_copied(void **state)
{
    for (int back = 0; back < 2; back++) {
        scene_begin("folder", MIGRATION_WARM, 0);
        scene.hurry = true;
        for (int i = 0; i < 64; i++)
            scene_guest();
        scene_say(MIGRATION_EVENT_START);
        pid_t broker = scene_broker_failing("export_open", "unavailable", 6);
        wanted_at = "copying/2";
        scene.meanwhile = crash_source;
        go(broker, "synced");
        assert_null(wanted_at);
        assert_false(folder_cloud_look(scene.source, MOVE_INSTANCE).running);
        scene_say(back ? MIGRATION_EVENT_CANCEL : MIGRATION_EVENT_CUTOVER);
        go(broker, back ? "cancelled" : "holding");
        if (!back) {
            scene_accept();
            scene_say(MIGRATION_EVENT_COMMIT);
            go(broker, "committed");
        }
        scene_check(!back);
        scene_kill(broker);
    }
}

/* It is on the target alone now, or another machine's. */
static void no_way_back_without_a_volume_that_came_along(void **state)
{
    pid_t broker = begin(MIGRATION_WARM);
    go(broker, "synced");
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    pg_exec(scene.pg, "UPDATE resource SET attached_to = NULL WHERE id = '" MOVE_VOLUME "'");
    refused(scene_try(MIGRATION_EVENT_ROLLBACK, -1), ERR_CONFLICT);
    scene_expect("SELECT state FROM migration", "holding");
    pg_exec(scene.pg, "UPDATE resource SET attached_to = '" MOVE_INSTANCE "' WHERE id = '" MOVE_VOLUME "'");
    scene.may_forget = true;
    scene_say(MIGRATION_EVENT_ROLLBACK);
    go(broker, "rolled-back");
    scene_check(false);
    scene_kill(broker);
}

#define FIRST_COPIED "SELECT count(*) FROM job WHERE jsonb_array_length(saved -> 'pass' -> 'copied') = 1"
/* Of the first disk's record, to know it by where it is taken over. */
#define MARK_FIRST                                                                                           \
    "UPDATE job SET saved = jsonb_set(saved, '{pass,copied,0,elapsed}', '424242') WHERE saved -> 'pass' -> " \
    "'copied' IS NOT NULL"
#define FIRST_ELAPSED "SELECT elapsed_us = 424242 FROM migration_pass WHERE disk = 'sda' AND pass = 1"

/* The broker dies when the first disk has been copied and the second one has not. */
static void copy_the_first_disk(void)
{
    scene_begin("folder", MIGRATION_WARM, 0);
    pg_exec(scene.pg, "UPDATE migration SET bandwidth = 1000000");
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(0);
    scene_await_sql(FIRST_COPIED);
    scene_kill(broker);
    pg_exec(scene.pg, MARK_FIRST);
    pg_exec(scene.pg, "UPDATE migration SET bandwidth = 0, version = version + 1");
}

static void to_the_commit(pid_t broker)
{
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    scene_accept();
    scene_say(MIGRATION_EVENT_COMMIT);
    go(broker, "committed");
    scene_check(true);
    scene_kill(broker);
}

static void a_disk_that_was_copied_is_not_copied_again(void **state)
{
    copy_the_first_disk();
    pid_t broker = scene_broker(0);
    go(broker, "synced");
    scene_expect(FIRST_ELAPSED, "t");
    to_the_commit(broker);
}

/* Its hypervisor dies as well, and the point in time with it: what was copied is of another one, and the
 * guest has written since. */
static void unless_the_moment_was_lost(void **state)
{
    copy_the_first_disk();
    for (int i = 0; i < 64; i++)
        scene_guest();
    folder_cloud_cut(scene.source, MOVE_INSTANCE);
    folder_cloud_forget(scene.source, MOVE_INSTANCE);
    pid_t broker = scene_broker(0);
    go(broker, "synced");
    scene_expect(FIRST_ELAPSED, "f");
    to_the_commit(broker);
}

/* Nobody says a word: it is looked at while a pass runs. */
static void a_consent_that_runs_out(void **state)
{
    scene_begin("folder", MIGRATION_WARM, 0);
    pg_exec(scene.pg, "UPDATE migration SET bandwidth = 5000");
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(0);
    scene_await_sql("SELECT count(*) FROM migration WHERE progress IS NOT NULL");
    pg_exec(scene.pg, "SET session_replication_role = replica; UPDATE consent SET valid_until = now()");
    go(broker, "cancelled");
    scene_check(false);
    scene_kill(broker);
}

/* The move goes on where it is, at the new rate. */
static void other_terms_while_it_is_copied(void **state)
{
    scene_begin("folder", MIGRATION_WARM, 0);
    pg_exec(scene.pg, "UPDATE migration SET bandwidth = 200000");
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(0);
    scene_await_sql("SELECT count(*) FROM migration WHERE (progress ->> 'done_bytes')::bigint > 400000");
    pg_exec(scene.pg, "UPDATE migration SET bandwidth = 0, version = version + 1");
    go(broker, "synced");
    scene_expect("SELECT elapsed_us > 1000000 FROM migration_pass WHERE disk = 'sda' AND pass = 1",
                 "t"); /* in one go: begun anew it takes no time */
    to_the_commit(broker);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_consent_withdrawn_before_the_cut_over_ends),
        cmocka_unit_test(a_consent_withdrawn_while_it_waits),
        cmocka_unit_test(a_consent_withdrawn_afterwards),
        cmocka_unit_test(the_cut_over_and_the_cancellation_at_once),
        cmocka_unit_test(the_commit_and_the_rollback_at_once),
        cmocka_unit_test(a_rollback_right_behind_the_cut_over),
        cmocka_unit_test(a_source_that_comes_back),
        cmocka_unit_test(a_fence_that_is_taken_off_by_hand),
        cmocka_unit_test(a_held_source_that_is_set_free_is_told),
        cmocka_unit_test(what_commits_itself_waits_for_the_fence),
        cmocka_unit_test(a_target_that_is_set_free_ends_the_cut_over),
        cmocka_unit_test(what_went_well_ends_the_count_of_tries),
        cmocka_unit_test(no_way_back_without_a_volume_that_came_along),
        cmocka_unit_test(a_machine_that_was_off_stays_off),
        cmocka_unit_test(a_source_that_crashes_while_it_is_copied),
        cmocka_unit_test(a_disk_that_was_copied_is_not_copied_again),
        cmocka_unit_test(unless_the_moment_was_lost),
        cmocka_unit_test(a_consent_that_runs_out),
        cmocka_unit_test(other_terms_while_it_is_copied),
    };
    scene_maybe_broker(argc, argv);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, scene_open, scene_close);
}
