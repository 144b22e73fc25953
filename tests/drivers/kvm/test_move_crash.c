/* Moves whose broker is killed: at steps of the move, and after the guest has arrived on the target and
 * before it was let run there. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/moment.h"
#include "drivers/kvm/fence.h"
#include "drivers/kvm/move.h"
#include "tests/drivers/kvm/pair.h"

#define SLOWLY (UINT64_C(8) << 20) /* bytes a second: so that there is a middle */

/* argv: --move SOURCE-URL TARGET-URL ACCEL NBD-FOLDER INSTANCE VOLUME MOVE LOOKS. The child's whole life: a
 * broker that is killed at the so manyth look at its move. */
struct countdown {
    long left;
};

static bool die_at(void *context, int percent, const char *step)
{
    struct countdown *countdown = context;
    if (--countdown->left <= 0)
        (void)kill(getpid(), SIGKILL);
    return true;
}

static int be_the_broker(char **argv)
{
    struct arena *arena = arena_new();
    json_t *options = json_pack("{s:s, s:s}", "accel", argv[4], "nbd_folder", argv[5]);
    const struct driver_endpoint source = {
        .id = "source", .url = argv[2], .options = options, .timeout_us = 10 * MOMENT_SECOND};
    const struct driver_endpoint target = {
        .id = "target", .url = argv[3], .options = options, .timeout_us = 10 * MOMENT_SECOND};
    const struct driver_shell_disk disks[] = {
        {.size_bytes = UINT64_C(1) << 30, .boot = true},
        {.size_bytes = UINT64_C(1) << 30, .volume_id = argv[7]},
    };
    const struct driver_move_spec spec = {
        .id = argv[8], .target = &target, .disks = disks, .disk_count = 2, .bandwidth = SLOWLY};
    struct driver_call call = {.arena = arena, .deadline_us = moment_monotonic() + 120 * MOMENT_SECOND};
    struct driver_session *session;
    struct driver_move_report report;
    if (kvm_driver.open(&source, &call, &session))
        return 2;
    struct countdown countdown = {.left = strtol(argv[9], NULL, 10)};
    call.progress = die_at;
    call.context = &countdown;
    struct error *error =
        kvm_driver.move_run(session, &call, &(struct driver_key){.id = argv[6]}, &spec, &report);
    return error ? 3 : 0;
}

static int run_broker(struct fixture *f, const struct journal *journal, const struct driver_move_spec *spec,
                      int looks)
{
    struct driver_endpoint source = kvmcloud_endpoint(f->cloud);
    const char *accel = json_string_value(json_object_get(source.options, "accel"));
    const char *folder = json_string_value(json_object_get(spec->target->options, "nbd_folder"));
    char program[] = "/proc/self/exe", move[] = "--move";
    char *argv[] = {program,
                    move,
                    arena_strdup(f->arena, source.url),
                    arena_strdup(f->arena, spec->target->url),
                    arena_strdup(f->arena, accel),
                    arena_strdup(f->arena, folder),
                    arena_strdup(f->arena, journal->spec.id),
                    arena_strdup(f->arena, journal->volume),
                    arena_strdup(f->arena, spec->id),
                    arena_printf(f->arena, "%d", looks),
                    NULL};
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execv(program, argv);
        _exit(127);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return status;
}

static void test_broker_is_killed(void **state)
{
    struct fixture *f = *state;
    struct journal journal = journal_start(f, "broker");
    struct driver_endpoint target;
    struct driver_move_spec spec = journal_move(f, &journal, &target);
    const struct driver_key key = {.id = journal.spec.id};
    struct driver_session *there = pair_open(f);
    (void)journal_goes_on(f, f->session, &journal, 5);
    static const int looks[] = {1, 3, 4, 10};
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        int status = run_broker(f, &journal, &spec, looks[i]);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        enum driver_side side = pair_settle(f, &key, &spec);
        assert_int_equal(side, DRIVER_SIDE_SOURCE);
        assert_int_equal(pair_power(f, f->session, journal.spec.id), DRIVER_POWER_ON);
        assert_false(pair_fenced(f, f->session, journal.spec.id));
        pair_expect_empty(f);
    }
    unsigned said = journal_said(f, f->session, &journal);
    (void)journal_goes_on(f, f->session, &journal, said);
    /* And a whole move after all that. */
    struct driver_call call = fixture_call(f, 120);
    struct driver_move_report report;
    fixture_ok(kvm_driver.move_run(f->session, &call, &key, &spec, &report));
    (void)journal_goes_on(f, there, &journal, journal_said(f, f->session, &journal));
    journal_stop(f, there, &journal);
    pair_clear(f, there, &journal);
    pair_expect_empty(f);
    kvm_driver.close(there);
}

/* A move up to the moment that the guest is paused on the target and off on the source. */
static void arrive(struct fixture *f, struct driver_session *there, const struct journal *journal,
                   const struct driver_move_spec *spec)
{
    const struct driver_key key = {.id = journal->spec.id};
    struct driver_call call = fixture_call(f, 120);
    struct driver_move_report report;
    struct kvm_move move = {.source = f->session, .target = there, .spec = spec};
    fixture_ok(kvm_move_plan(&move, &call, &key));
    fixture_ok(kvm_move_prepare(&move, &call));
    fixture_ok(kvm_fence_set(f->session, f->arena, move.domain, true, spec->id));
    fixture_ok(kvm_move_job(&move, &call, &report));
    assert_int_equal(pair_power(f, f->session, key.id), DRIVER_POWER_OFF);
    assert_int_equal(pair_power(f, there, key.id), DRIVER_POWER_SUSPENDED);
}

static void test_arrived_and_forgotten(void **state)
{
    struct fixture *f = *state;
    struct journal journal = journal_start(f, "arrived");
    struct driver_endpoint target;
    struct driver_move_spec spec = journal_move(f, &journal, &target);
    const struct driver_key key = {.id = journal.spec.id};
    struct driver_session *there = pair_open(f);
    unsigned said = journal_goes_on(f, f->session, &journal, 5);
    arrive(f, there, &journal, &spec);
    struct driver_call call = fixture_call(f, 60);
    fixture_fails(kvm_driver.instance_release(there, &call, &key), ERR_CONFLICT);
    fixture_fails(kvm_driver.instance_start(f->session, &call, &key), ERR_CONFLICT);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pair_settle(f, &key, &spec), DRIVER_SIDE_TARGET);
    assert_int_equal(pair_power(f, there, key.id), DRIVER_POWER_ON);
    assert_true(pair_fenced(f, f->session, key.id));
    (void)journal_goes_on(f, there, &journal, said);
    journal_stop(f, there, &journal);
    pair_clear(f, there, &journal);
    pair_expect_empty(f);
    kvm_driver.close(there);
}

/* The target's QEMU dies before the guest ever ran there: the source still has everything. */
static void test_arrived_and_lost(void **state)
{
    struct fixture *f = *state;
    struct journal journal = journal_start(f, "lost");
    struct driver_endpoint target;
    struct driver_move_spec spec = journal_move(f, &journal, &target);
    const struct driver_key key = {.id = journal.spec.id};
    struct driver_session *there = pair_open(f);
    (void)journal_goes_on(f, f->session, &journal, 5);
    arrive(f, there, &journal, &spec);
    pair_kill_target(journal.spec.name);
    assert_int_equal(pair_settle(f, &key, &spec), DRIVER_SIDE_SOURCE);
    pair_expect_empty(f);
    assert_false(pair_fenced(f, f->session, key.id));
    unsigned said = journal_said(f, f->session, &journal);
    struct driver_call call = fixture_call(f, 60);
    fixture_ok(kvm_driver.instance_start(f->session, &call, &key));
    (void)journal_goes_on(f, f->session, &journal, said);
    journal_stop(f, f->session, &journal);
    kvm_driver.close(there);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

int main(int argc, char **argv)
{
    if (argc == 10 && strcmp(argv[1], "--move") == 0)
        return be_the_broker(argv);
    const struct CMUnitTest tests[] = {TEST(test_broker_is_killed), TEST(test_arrived_and_forgotten),
                                       TEST(test_arrived_and_lost)};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, fixture_setup, pair_teardown);
}
