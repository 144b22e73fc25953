/* Whole moves whose parts die or run full: either libvirt daemon, either QEMU, the broker at random moments,
 * the target's disk; and a source that somebody sets free by hand. One machine goes through all of it:
 * whatever was said to be on its disk is there in the end, and after each case nothing is left but one side.
 * YUNQIAO_SEED=N repeats the moments of a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/id.h"
#include "broker/base/moment.h"
#include "tests/e2e/move.h"

#define SLOW (2 << 20)   /* bytes a second: a first pass lasts ten seconds and more */
#define SLOWER (1 << 17) /* of changed blocks, which are read whole: 2 s each */
#define CONFLICT 6       /* the client's exit code */

static struct moves *moves;
static struct machine machine;

static int begin(void **state)
{
    uint32_t seed;
    random_bytes(&seed, sizeof seed);
    if (getenv("YUNQIAO_SEED"))
        seed = (uint32_t)strtoul(getenv("YUNQIAO_SEED"), NULL, 10);
    print_message("YUNQIAO_SEED=%u\n", seed);
    srandom(seed);
    moves = moves_start();
    machine = moves_machine_start(moves, "tried");
    move_plan(moves, &machine, "warm");
    free(move_consent(moves, &machine));
    move_say(moves, &machine, "cancel");
    return 0;
}

static int end(void **state)
{
    if (machine.id)
        moves_machine_end(moves, &machine);
    moves_stop(moves);
    return 0;
}

static void await_migration(const char *condition)
{
    char *sql =
        xasprintf("SELECT count(*) FROM migration WHERE id = '%s' AND (%s)", machine.migration, condition);
    world_await(moves->world, sql, "1", MOVE_SECONDS);
    free(sql);
}

/* The unit has consented once, in begin(). */
static void plan(void)
{
    move_plan(moves, &machine, "warm");
    move_say(moves, &machine, "approve");
}

/* A move has begun, and its first pass has some of the disk and not all. */
static void begin_slowly(void)
{
    plan();
    move_limit(moves, &machine, SLOW);
    move_say(moves, &machine, "start");
    await_migration("state = 'copying' AND (progress ->> 'done_bytes')::bigint > 0");
}

/* Cutting over, the machine off and fenced, its last changes on their way. */
static void cut_over_slowly(void)
{
    move_limit(moves, &machine, SLOWER);
    move_say(moves, &machine, "cutover");
    await_migration("state = 'cutting-over' AND step = 2");
}

/* Nothing is left of a move but the machine where it was, running on from what it had said. */
static void expect_back(unsigned said)
{
    moves_expect_empty(moves->there);
    move_expect_closed(moves, &machine);
    move_expect_rows(moves, &machine, "here");
    assert_string_equal(moves_power(moves->here, &machine), "running");
    (void)moves_journal_writes(moves, moves->here, &machine, said);
}

static void kill_qemu(const struct kvmcloud *cloud)
{
    char *script = xasprintf("kill -9 $(cat /run/libvirt/qemu/%s-*.pid)", machine.name);
    assert_int_equal(kvmcloud_run(cloud, NULL, 0, script), 0);
    free(script);
}

/* Some moments after the word; then nobody is spared, and it ends as if nothing had been. */
static void kill_broker_soon(const char *until)
{
    (void)usleep((useconds_t)(random() % 1500000)); /* the random moment */
    world_kill(moves->world);
    world_restart(moves->world);
    move_await(moves, &machine, until);
}

static void daemons_that_die(void **state)
{
    begin_slowly();
    kvmcloud_command(moves->here, "crash");
    kvmcloud_command(moves->there, "crash");
    (void)moves_journal_writes(moves, moves->here, &machine,
                               moves_journal_said(moves, moves->here, &machine));
    move_limit(moves, &machine, 0);
    move_await(moves, &machine, "synced");
    cut_over_slowly();
    kvmcloud_command(moves->here, "crash");
    kvmcloud_command(moves->there, "crash");
    move_limit(moves, &machine, 0);
    move_await(moves, &machine, "holding");
    unsigned said = moves_journal_said(moves, moves->here, &machine);
    move_expect_fenced(moves->here, &machine);
    moves_journal_goes_on(moves, moves->there, &machine, said);
    move_say(moves, &machine, "rollback");
    kill_broker_soon("rolled-back");
    expect_back(said);
}

/* The target's QEMU takes the writes and dies; then the source's, with its list of changes and the machine.
 * What is on its disk is copied as it lies; taken back, the machine runs again. */
static void hypervisors_that_die(void **state)
{
    begin_slowly();
    kill_qemu(moves->there);
    await_migration("error IS NOT NULL");
    unsigned said = moves_journal_said(moves, moves->here, &machine);
    kill_qemu(moves->here);
    move_limit(moves, &machine, 0);
    move_await(moves, &machine, "synced");
    move_expect(moves, &machine,
                "SELECT string_agg(DISTINCT kind, ',') FROM migration_pass WHERE migration_id ="
                " '%s'",
                "full");
    assert_string_equal(moves_power(moves->here, &machine), "shut off");
    move_say(moves, &machine, "cancel");
    kill_broker_soon("cancelled");
    expect_back(said);
}

/* The pool of the target's is a file system that is smaller than what comes. */
static void fill_target(void)
{
    char *script =
        xasprintf("set -e; f=%s; truncate -s 16G $f/full; mkfs.ext4 -q -F -m 0 $f/full; mount -o loop $f/full"
                  " $f/standard; free=$(df -B1M --output=avail $f/standard | tail -1);"
                  " fallocate -l $((free - 12))M $f/standard/lost+found/filling",
                  kvmcloud_folder(moves->there));
    assert_int_equal(kvmcloud_run(moves->there, NULL, 0, script), 0);
    free(script);
    assert_int_equal(
        kvmcloud_virsh(moves->there, NULL, 0, (const char *const[]){"pool-refresh", "standard", NULL}), 0);
}

static void a_target_that_runs_full(void **state)
{
    char left[4096];
    fill_target();
    unsigned said = moves_journal_said(moves, moves->here, &machine);
    plan();
    move_say(moves, &machine, "start");
    move_await(moves, &machine, "cancelled");
    move_expect(moves, &machine,
                "SELECT count(*) FROM migration_history WHERE migration_id = '%s' AND event = 'broken' AND"
                " why ILIKE '%no space%'",
                "1");
    char *script = xasprintf("f=%s; ls -A $f/standard | grep -v lost+found; umount $f/standard; rm $f/full",
                             kvmcloud_folder(moves->there));
    assert_int_equal(kvmcloud_run(moves->there, left, sizeof left, script), 0);
    assert_string_equal(left, "");
    free(script);
    assert_int_equal(
        kvmcloud_virsh(moves->there, NULL, 0, (const char *const[]){"pool-refresh", "standard", NULL}), 0);
    expect_back(said);
}

/* Its host starts what it is told to start with it: daemon and guests as after a power cut. */
static void start_host_again(void)
{
    kvmcloud_virsh(moves->here, NULL, 0, (const char *const[]){"autostart", machine.id, NULL});
    assert_int_equal(kvmcloud_run(moves->here, NULL, 0, "rm -f /run/libvirt/qemu/autostarted"), 0);
    kvmcloud_command(moves->here, "crash");
    int64_t until = moment_monotonic() + MOVE_SECONDS * MOMENT_SECOND;
    while (!*moves_power(moves->here, &machine)) {
        assert_true(moment_monotonic() < until);
        (void)usleep(100000); /* a daemon that starts tells nobody */
    }
    assert_int_equal(kvmcloud_run(moves->here, NULL, 0,
                                  "for i in $(seq 600); do grep -q 'autostart.*yunqiao-fenced'"
                                  " /var/log/libvirt/libvirtd.log && exit; sleep 0.1; done; exit 1"),
                     0);
    assert_string_equal(moves_power(moves->here, &machine), "shut off");
}

/* Somebody edits the fence out of the definition and starts it: that is not the broker's to undo, but all
 * that look are told, and nothing is deleted while it is so. */
static void set_source_free(bool free_)
{
    char *script =
        xasprintf("v() { virsh -q -c 'qemu+unix:///system?socket=/run/libvirt/libvirt-sock' \"$@\"; };"
                  " %s",
                  free_ ? "v dumpxml --inactive --security-info $M >fenced.xml && sed"
                          " '/<seclabel.*yunqiao-fenced/,/seclabel>/d' fenced.xml >free.xml && v define"
                          " free.xml && v start $M"
                        : "v destroy $M && v define fenced.xml");
    char *whole = xasprintf("cd %s; M=%s; %s", kvmcloud_folder(moves->here), machine.id, script);
    assert_int_equal(kvmcloud_run(moves->here, NULL, 0, whole), 0);
    free(whole);
    free(script);
}

static void a_source_that_comes_back(void **state)
{
    begin_slowly();
    move_limit(moves, &machine, 0);
    move_await(moves, &machine, "synced");
    move_say(moves, &machine, "cutover");
    kill_broker_soon("holding");
    unsigned said = moves_journal_said(moves, moves->here, &machine);
    move_expect_fenced(moves->here, &machine);
    start_host_again();
    move_say(moves, &machine, "accept");
    set_source_free(true);
    char *drift =
        xasprintf("SELECT count(*) FROM drift WHERE subject = '%s' AND kind = 'orphan' AND resolved_at"
                  " IS NULL",
                  machine.id);
    world_await(moves->world, drift, "1", MOVE_SECONDS);
    free(drift);
    move_limit(moves, &machine, 1 << 30); /* any word makes it look */
    await_migration("error LIKE 'the source runs beside the target%'");
    json_decref(moves_client(moves, moves->world->admin, CONFLICT,
                             (const char *const[]){"migrate", "commit", machine.migration, NULL}));
    assert_string_equal(moves_power(moves->here, &machine), "running");
    set_source_free(false);
    move_limit(moves, &machine, 0);
    await_migration("error IS NULL");
    moves_journal_goes_on(moves, moves->there, &machine, said);
    const char *taken = move_both(moves, &machine, "commit", "rollback");
    print_message("the %s was first\n", taken);
    if (!strcmp(taken, "rollback")) {
        kill_broker_soon("rolled-back");
        expect_back(said);
        moves_journal_check(moves, moves->here, &machine, said);
        return;
    }
    kill_broker_soon("committed");
    moves_expect_empty(moves->here);
    move_expect_closed(moves, &machine);
    move_expect_usage(moves, &machine);
    moves_journal_check(moves, moves->there, &machine, said);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(daemons_that_die),
        cmocka_unit_test(hypervisors_that_die),
        cmocka_unit_test(a_target_that_runs_full),
        cmocka_unit_test(a_source_that_comes_back),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, begin, end);
}
