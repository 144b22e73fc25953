/* Moves that something breaks in the middle: a daemon, the source's QEMU. (The broker itself:
 * test_move_crash.c.) Whatever it is, settling ends with one good side and nothing left on the other. */
#include <stdio.h>
#include <string.h>

#include "broker/base/moment.h"
#include "tests/drivers/kvm/pair.h"

#define SLOWLY (UINT64_C(8) << 20) /* bytes a second: so that there is a middle */

/* Does something once, when a move has come so far. */
struct fault {
    int percent;
    bool done;
    void (*strike)(const char *name);
    const char *name; /* of the guest */
};

static bool strike_at(void *context, int percent, const char *step)
{
    struct fault *fault = context;
    if (!fault->done && percent >= fault->percent) {
        fault->done = true;
        fault->strike(fault->name);
    }
    return true;
}

static void crash_target_daemon(const char *name)
{
    kvmcloud_command(pair_cloud(), "crash");
}

/* Strikes in the middle of a move, which fails, and settles it; the session is a good one afterwards. */
static enum driver_side struck(struct fixture *f, const struct journal *journal, struct fault *fault,
                               struct driver_move_spec *spec)
{
    const struct driver_key key = {.id = journal->spec.id};
    struct driver_call call = fixture_call(f, 120);
    struct driver_move_report report;
    call.progress = strike_at;
    call.context = fault;
    spec->bandwidth = SLOWLY;
    struct error *error = kvm_driver.move_run(f->session, &call, &key, spec, &report);
    assert_true(fault->done);
    assert_non_null(error);
    print_message("the move ended with: %s: %s\n", error_code_name(error_code(error)), error_message(error));
    error_free(error);
    return pair_settle(f, &key, spec);
}

static void test_target_daemon_dies(void **state)
{
    struct fixture *f = *state;
    struct journal journal = journal_start(f, "daemon");
    struct driver_endpoint target;
    struct driver_move_spec spec = journal_move(f, &journal, &target);
    kvm_driver.close(pair_open(f));
    (void)journal_goes_on(f, f->session, &journal, 5);
    struct fault fault = {.percent = 8, .strike = crash_target_daemon};
    assert_int_equal(struck(f, &journal, &fault, &spec), DRIVER_SIDE_SOURCE);
    assert_int_equal(pair_power(f, f->session, journal.spec.id), DRIVER_POWER_ON);
    assert_false(pair_fenced(f, f->session, journal.spec.id));
    (void)journal_goes_on(f, f->session, &journal, journal_said(f, f->session, &journal));
    journal_stop(f, f->session, &journal);
    kvm_driver.close(pair_open(f)); /* it answers again */
    pair_expect_empty(f);
}

static void test_source_guest_dies(void **state)
{
    struct fixture *f = *state;
    struct journal journal = journal_start(f, "killed");
    struct driver_endpoint target;
    struct driver_move_spec spec = journal_move(f, &journal, &target);
    const struct driver_key key = {.id = journal.spec.id};
    kvm_driver.close(pair_open(f));
    (void)journal_goes_on(f, f->session, &journal, 5);
    struct fault fault = {.percent = 8, .strike = pair_kill_source, .name = journal.spec.name};
    assert_int_equal(struck(f, &journal, &fault, &spec), DRIVER_SIDE_SOURCE);
    assert_int_equal(pair_power(f, f->session, journal.spec.id), DRIVER_POWER_OFF);
    assert_false(pair_fenced(f, f->session, journal.spec.id));
    pair_expect_empty(f);
    /* As after a power cut: it starts, and every record that it had said is there. */
    unsigned said = journal_said(f, f->session, &journal);
    struct driver_call call = fixture_call(f, 60);
    fixture_ok(kvm_driver.instance_start(f->session, &call, &key));
    assert_true(journal_goes_on(f, f->session, &journal, said) > said);
    journal_stop(f, f->session, &journal);
}

static void test_target_stands_still(void **state)
{
    struct fixture *f = *state;
    struct journal journal = journal_start(f, "still");
    struct driver_endpoint target, source = kvmcloud_endpoint(f->cloud);
    struct driver_move_spec spec = journal_move(f, &journal, &target);
    const struct driver_key key = {.id = journal.spec.id};
    struct driver_call call = fixture_call(f, 120);
    struct driver_session *impatient;
    json_t *options = json_deep_copy(source.options);
    json_object_set_new(options, "move_stall_seconds", json_integer(5));
    source.options = options;
    fixture_ok(kvm_driver.open(&source, &call, &impatient));
    kvm_driver.close(pair_open(f));
    (void)journal_goes_on(f, f->session, &journal, 5);
    struct fault fault = {.percent = 8, .strike = pair_stop_target, .name = journal.spec.name};
    struct driver_move_report report;
    call = fixture_call(f, 120);
    call.progress = strike_at;
    call.context = &fault;
    spec.bandwidth = SLOWLY;
    fixture_fails(kvm_driver.move_run(impatient, &call, &key, &spec, &report), ERR_BUSY);
    assert_true(fault.done);
    kvm_driver.close(impatient);
    json_decref(options);
    pair_expect_empty(f);
    assert_int_equal(pair_power(f, f->session, journal.spec.id), DRIVER_POWER_ON);
    assert_false(pair_fenced(f, f->session, journal.spec.id));
    (void)journal_goes_on(f, f->session, &journal, journal_said(f, f->session, &journal));
    journal_stop(f, f->session, &journal);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {TEST(test_target_daemon_dies), TEST(test_source_guest_dies),
                                       TEST(test_target_stands_still)};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, fixture_setup, pair_teardown);
}
