/* Live moves between two libvirt daemons, of a guest that writes all the time. */
#include <string.h>

#include "broker/base/id.h"
#include "broker/base/moment.h"
#include "tests/drivers/kvm/pair.h"

static void test_moves_live(void **state)
{
    struct fixture *f = *state;
    struct driver_session *there = pair_open(f);
    struct journal journal = journal_start(f, "mover");
    struct driver_endpoint target;
    struct driver_move_spec spec = journal_move(f, &journal, &target);
    const struct driver_key key = {.id = journal.spec.id};
    unsigned before = journal_goes_on(f, f->session, &journal, 10);
    struct driver_call call = fixture_call(f, 120);
    /* Its changes are tracked: of no matter to the move. */
    const struct driver_export_spec read = {.id = id_new_in(f->arena), .checkpoint = id_new_in(f->arena)};
    struct driver_export open;
    fixture_ok(kvm_driver.export_open(f->session, &call, &key, &read, &open));
    fixture_fails(kvm_driver.move_validate(f->session, &call, &key, &spec), ERR_CONFLICT);
    fixture_ok(kvm_driver.export_close(f->session, &call, &key, read.id, true));
    struct driver_move_report report;
    fixture_ok(kvm_driver.move_validate(f->session, &call, &key, &spec));
    pair_expect_empty(f);
    fixture_ok(kvm_driver.move_run(f->session, &call, &key, &spec, &report));
    print_message("moved in %lld ms, paused %lld ms, %llu bytes of memory and %llu of disks\n",
                  (long long)report.elapsed_us / 1000, (long long)report.downtime_us / 1000,
                  (unsigned long long)report.memory_bytes, (unsigned long long)report.disk_bytes);
    assert_true(report.elapsed_us > 0 && report.downtime_us >= 0 && report.memory_bytes > 0);
    assert_string_equal(report.ref, journal.spec.id);

    /* There it runs and goes on with its journal; here it is off, kept and cannot start. */
    unsigned left_at = journal_said(f, f->session, &journal);
    assert_true(left_at >= before);
    assert_int_equal(pair_power(f, there, journal.spec.id), DRIVER_POWER_ON);
    assert_int_equal(pair_power(f, f->session, journal.spec.id), DRIVER_POWER_OFF);
    assert_true(pair_fenced(f, f->session, journal.spec.id));
    assert_false(pair_fenced(f, there, journal.spec.id));
    fixture_fails(kvm_driver.instance_start(f->session, &call, &key), ERR_CONFLICT);
    assert_true(journal_goes_on(f, there, &journal, left_at) > left_at);
    struct driver_volume volume;
    fixture_ok(kvm_driver.volume_find(there, &call, &(struct driver_key){.id = journal.volume}, &volume));
    assert_string_equal(volume.instance_ref, journal.spec.id);

    /* Asked again, the answer is the same; and the way back is barred while the old one is kept. */
    enum driver_side side;
    fixture_ok(kvm_driver.move_settle(f->session, &call, &key, &spec, false, &side));
    assert_int_equal(side, DRIVER_SIDE_TARGET);
    struct driver_endpoint home = kvmcloud_endpoint(f->cloud);
    struct driver_move_spec back = spec;
    back.id = id_new_in(f->arena);
    back.target = &home;
    fixture_fails(kvm_driver.move_validate(there, &call, &key, &back), ERR_CONFLICT);
    journal_stop(f, there, &journal);
    fixture_ok(kvm_driver.instance_start(there, &call, &key));
    pair_clear(f, there, &journal);
    pair_expect_empty(f);
    kvm_driver.close(there);
}

struct until {
    int percent; /* from which on the caller wants to stop */
    int last;
};

static bool stop_at(void *context, int percent, const char *step)
{
    struct until *until = context;
    until->last = percent;
    return percent < until->percent;
}

static void test_cancelled(void **state)
{
    struct fixture *f = *state;
    struct driver_session *there = pair_open(f);
    struct journal journal = journal_start(f, "stays");
    struct driver_endpoint target;
    struct driver_move_spec spec = journal_move(f, &journal, &target);
    const struct driver_key key = {.id = journal.spec.id};
    spec.bandwidth = UINT64_C(4) << 20;
    (void)journal_goes_on(f, f->session, &journal, 5);
    static const int percents[] = {1, 3, 20};
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        struct until until = {.percent = percents[i]};
        struct driver_call call = fixture_call(f, 120);
        struct driver_move_report report;
        call.progress = stop_at;
        call.context = &until;
        fixture_fails(kvm_driver.move_run(f->session, &call, &key, &spec, &report), ERR_CANCELLED);
        pair_expect_empty(f);
        assert_int_equal(pair_power(f, f->session, journal.spec.id), DRIVER_POWER_ON);
        assert_false(pair_fenced(f, f->session, journal.spec.id));
    }
    unsigned said = journal_said(f, f->session, &journal);
    (void)journal_goes_on(f, f->session, &journal, said);
    journal_stop(f, f->session, &journal);
    kvm_driver.close(there);
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    struct driver_session *there = pair_open(f);
    struct journal journal = journal_start(f, "refused");
    struct driver_endpoint target, home = kvmcloud_endpoint(f->cloud);
    struct driver_move_spec spec = journal_move(f, &journal, &target), wrong = spec;
    const struct driver_key key = {.id = journal.spec.id}, unknown = {.id = id_new_in(f->arena)};
    struct driver_call call = fixture_call(f, 90);
    struct driver_move_report report;
    enum driver_side side;
    fixture_fails(kvm_driver.move_validate(f->session, &call, &unknown, &spec), ERR_NOT_FOUND);
    fixture_fails(kvm_driver.move_settle(f->session, &call, &unknown, &spec, true, &side), ERR_NOT_FOUND);
    wrong.network = "no-such-network";
    fixture_fails(kvm_driver.move_validate(f->session, &call, &key, &wrong), ERR_NOT_FOUND);
    wrong = spec;
    wrong.target = &home;
    fixture_fails(kvm_driver.move_validate(f->session, &call, &key, &wrong), ERR_CONFLICT);
    wrong = spec;
    wrong.disk_count = 1;
    fixture_fails(kvm_driver.move_validate(f->session, &call, &key, &wrong), ERR_CONFLICT);
    /* Somebody's volume of that id on the target is not touched, by the move or by settling it. */
    struct driver_volume volume;
    const struct driver_volume_spec taken = {.id = journal.volume, .name = "taken", .size_gb = 2};
    fixture_ok(kvm_driver.volume_create(there, &call, &taken, &volume));
    fixture_fails(kvm_driver.move_run(f->session, &call, &key, &spec, &report), ERR_CONFLICT);
    fixture_ok(kvm_driver.move_settle(f->session, &call, &key, &spec, true, &side));
    assert_int_equal(side, DRIVER_SIDE_SOURCE);
    fixture_ok(kvm_driver.volume_find(there, &call, &(struct driver_key){.id = taken.id}, &volume));
    assert_int_equal(volume.size_gb, 2);
    fixture_ok(kvm_driver.volume_delete(there, &call, &(struct driver_key){.id = taken.id}));
    fixture_ok(kvm_driver.snapshot_create(f->session, &call, &key, "in-the-way", false));
    fixture_fails(kvm_driver.move_validate(f->session, &call, &key, &spec), ERR_CONFLICT);
    fixture_ok(kvm_driver.snapshot_delete(f->session, &call, &key, "in-the-way"));
    fixture_ok(kvm_driver.move_validate(f->session, &call, &key, &spec));
    fixture_ok(kvm_driver.instance_stop(f->session, &call, &key, 0));
    fixture_fails(kvm_driver.move_validate(f->session, &call, &key, &spec), ERR_CONFLICT);
    /* A fence that is not the move's stays when there is nothing to settle. */
    fixture_ok(kvm_driver.instance_fence(f->session, &call, &key));
    fixture_ok(kvm_driver.move_settle(f->session, &call, &key, &spec, true, &side));
    assert_int_equal(side, DRIVER_SIDE_SOURCE);
    assert_true(pair_fenced(f, f->session, journal.spec.id));
    pair_expect_empty(f);
    kvm_driver.close(there);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {TEST(test_moves_live), TEST(test_cancelled), TEST(test_refused)};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, fixture_setup, pair_teardown);
}
