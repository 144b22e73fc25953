/* What may become of the data of a move: a full target, blocks that cannot be read or written, blocks that
 * rot, a lost checkpoint, disks that change their size, sessions that expire. In the end one side is good,
 * runs and has all that was acknowledged, and nothing is left of the other. */
#include "federation/migration_job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/federation/move_scene.h"

static char error_file[160]; /* while it is there, the filter "error" makes errors */

static pid_t begin(void)
{
    scene_begin("folder", MIGRATION_WARM, 0);
    scene.hurry = true;
    for (int i = 0; i < 64; i++)
        scene_guest(); /* something to copy */
    scene_say(MIGRATION_EVENT_START);
    return scene_broker(0);
}

static void go(pid_t broker, const char *state)
{
    assert_true(scene_await(broker, state));
}

static void set_errors(bool on)
{
    FILE *file = on ? fopen(error_file, "we") : NULL;
    assert_true(on ? file && !fclose(file) : !unlink(error_file));
}

static void serve_with(const char *folder, const char *access, const char *parameters)
{
    char *words = xasprintf("%s error-file=%s", parameters, error_file);
    folder_cloud_filter(folder, access, "error", words);
    free(words);
}

/* It goes on from there to its end, and the target holds all of it. */
static void to_the_end(pid_t broker)
{
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    scene_accept();
    scene_say(MIGRATION_EVENT_COMMIT);
    go(broker, "committed");
    scene_check(true);
    scene_kill(broker);
}

static void cancelled_with(pid_t broker, const char *from, const char *why)
{
    go(broker, "cancelled");
    char *sql =
        xasprintf("SELECT count(*) FROM migration_history WHERE event = 'broken' AND from_state = '%s'"
                  " AND why LIKE '%%%s%%'",
                  from, why);
    scene_expect(sql, "1");
    free(sql);
    scene_check(false);
    scene_kill(broker);
}

/* No room is what does not heal by waiting: nothing is tried again, which would take three minutes. */
static void a_target_that_is_full(void **state)
{
    set_errors(true);
    pid_t broker = begin();
    scene.hurry = false;
    serve_with(scene.target, "write", "error=ENOSPC error-pwrite-rate=100%");
    cancelled_with(broker, "copying", "No space left");
    scene_expect("SELECT count(*) FROM migration_pass", "0");

    set_errors(false);
    broker = begin();
    scene.hurry = false;
    serve_with(scene.target, "write", "error=ENOSPC error-pwrite-rate=100%");
    go(broker, "synced");
    set_errors(true);
    scene_guest();
    scene_say(MIGRATION_EVENT_CUTOVER);
    cancelled_with(broker, "cutting-over", "No space left");
    set_errors(false);
}

static bool healed;

static void heal_after_a_while(void)
{
    if (healed || !pg_number(scene.pg, "SELECT count(*) FROM job WHERE (saved ->> 'tries')::int >= 4"))
        return;
    healed = true;
    set_errors(false);
}

static void blocks_that_cannot_be_read(void **state)
{
    set_errors(true);
    pid_t broker = begin();
    serve_with(scene.source, "read", "error=EIO error-pread-rate=100%");
    healed = false;
    scene.meanwhile = heal_after_a_while;
    go(broker, "synced");
    scene_expect("SELECT error IS NULL FROM migration", "t");
    assert_true(healed);
    to_the_end(broker);

    set_errors(true); /* for good */
    broker = begin();
    serve_with(scene.source, "read", "error=EIO error-pread-rate=100%");
    cancelled_with(broker, "copying", "Input/output error");

    set_errors(false); /* and with the service down */
    broker = begin();
    serve_with(scene.source, "read", "error=EIO error-pread-rate=100%");
    go(broker, "synced");
    set_errors(true);
    scene_guest();
    scene_say(MIGRATION_EVENT_CUTOVER);
    cancelled_with(broker, "cutting-over", "Input/output error");
    set_errors(false);
}

static void let_an_hour_pass(void)
{
    pg_exec(scene.pg, "UPDATE migration SET down_at = down_at - interval '1 hour'"
                      " WHERE state = 'cutting-over' AND down_at > now() - interval '30 minutes'");
}

/* What may heal is not waited for longer than people agreed to be without the service. */
static void an_agreed_downtime_that_is_over(void **state)
{
    pid_t broker = begin();
    pg_exec(scene.pg, "UPDATE migration SET downtime_us = 300000000, version = version + 1");
    serve_with(scene.source, "read", "error=EIO error-pread-rate=100%");
    go(broker, "synced");
    scene.hurry = false;
    scene.meanwhile = let_an_hour_pass;
    set_errors(true);
    scene_guest();
    scene_say(MIGRATION_EVENT_CUTOVER);
    cancelled_with(broker, "cutting-over", "Input/output error");
    set_errors(false);
}

static void errors_now_and_then(void **state)
{
    set_errors(true);
    pid_t broker = begin();
    serve_with(scene.source, "read", "error=EIO error-pread-rate=50%");
    serve_with(scene.target, "write", "error=EIO error-pwrite-rate=30%");
    healed = false;
    scene.meanwhile = heal_after_a_while;
    go(broker, "synced");
    if (healed)
        set_errors(true);
    healed = false;
    to_the_end(broker);
    (void)unlink(error_file); /* there, unless it was healed */
}

static void answer_after_a_while(void)
{
    if (healed || !pg_number(scene.pg, "SELECT count(*) FROM job WHERE (saved ->> 'tries')::int >= 2"))
        return;
    healed = true;
    folder_cloud_filter(scene.source, "read", "delay", "rdelay=0");
}

/* Neither an error nor data: it is given up after a second here, and begun again where it was. */
static void a_source_that_does_not_answer(void **state)
{
    scene_begin("folder", MIGRATION_WARM, 0);
    scene.hurry = true;
    scene.stall_us = "1000000";
    for (int i = 0; i < 64; i++)
        scene_guest();
    folder_cloud_filter(scene.source, "read", "delay", "rdelay=600");
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(0);
    scene_await_sql("SELECT count(*) FROM migration WHERE error LIKE '%the source is stalled%for 1000 ms%'");
    healed = false;
    scene.meanwhile = answer_after_a_while;
    go(broker, "synced");
    assert_true(healed);
    to_the_end(broker);
}

/* The target took it and did not keep it: whatever the pass said, the proof reads it back. */
static void a_block_that_rots(void **state)
{
    pid_t broker = begin();
    go(broker, "synced");
    folder_cloud_rot(scene.target, 5 * 512 + 3, 1);
    scene.hurry = false; /* nothing is tried a second time: the source comes back at once */
    scene_say(MIGRATION_EVENT_CUTOVER);
    cancelled_with(broker, "cutting-over", "does not read back as it was copied");
    scene_expect(
        "SELECT extract(epoch FROM max(at) FILTER (WHERE event = 'done') - max(at) FILTER (WHERE event ="
        " 'cutover')) < 30 FROM migration_history",
        "t");
}

/* Rot before the last pass that no change covers: no pass repairs it, the proof sees it. */
static void an_old_block_that_rots(void **state)
{
    pid_t broker = begin();
    folder_cloud_rot(scene.target, 1 << 20, 1); /* where nobody writes */
    go(broker, "synced");
    scene_say(MIGRATION_EVENT_CUTOVER);
    cancelled_with(broker, "cutting-over", "does not read back as it was copied");
}

static void a_checkpoint_that_is_lost(void **state)
{
    pid_t broker = begin();
    go(broker, "synced");
    folder_cloud_forget(scene.source, MOVE_INSTANCE);
    for (int i = 0; i < 20; i++)
        scene_guest();
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    scene_expect(
        "SELECT string_agg(kind || ' ' || coalesce(why, ''), ',' ORDER BY pass, disk) FROM migration_pass",
        "full ,full ,compared the checkpoint is lost,compared the checkpoint is lost");
    scene_accept();
    scene_say(MIGRATION_EVENT_COMMIT);
    go(broker, "committed");
    scene_check(true);
    scene_kill(broker);
}

static void a_disk_that_grows_between_passes(void **state)
{
    pid_t broker = begin();
    go(broker, "synced");
    folder_cloud_resize(scene.source, MOVE_INSTANCE, 1, 3);
    scene_say(MIGRATION_EVENT_CUTOVER);
    cancelled_with(broker, "cutting-over", "had 2097152 bytes when copying began; it has 3145728");
}

static int expired;

static void expire(void)
{
    if (++expired % 7 == 0)
        folder_cloud_expire(expired % 2 ? scene.source : scene.target);
}

static void sessions_that_expire_all_the_time(void **state)
{
    pid_t broker = begin();
    expired = 0;
    scene.meanwhile = expire;
    go(broker, "synced");
    scene_say(MIGRATION_EVENT_CUTOVER);
    go(broker, "holding");
    assert_true(expired > 20);
    scene.meanwhile = NULL;
    scene_accept();
    scene_say(MIGRATION_EVENT_COMMIT);
    go(broker, "committed");
    scene_check(true);
    scene_kill(broker);
}

static int open_scene(void **state)
{
    int failed = scene_open(state);
    (void)snprintf(error_file, sizeof error_file, "%s/errors", pg_folder(scene.pg));
    return failed;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_that_is_full),
        cmocka_unit_test(blocks_that_cannot_be_read),
        cmocka_unit_test(an_agreed_downtime_that_is_over),
        cmocka_unit_test(errors_now_and_then),
        cmocka_unit_test(a_source_that_does_not_answer),
        cmocka_unit_test(a_block_that_rots),
        cmocka_unit_test(an_old_block_that_rots),
        cmocka_unit_test(a_checkpoint_that_is_lost),
        cmocka_unit_test(a_disk_that_grows_between_passes),
        cmocka_unit_test(sessions_that_expire_all_the_time),
    };
    scene_maybe_broker(argc, argv);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, open_scene, scene_close);
}
