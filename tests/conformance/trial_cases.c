/* Cases about test boots (drivers/driver_move.h): the test runs, the original's disks stay as they are, and
 * nothing is left of it. A driver without the capability refuses, and that is all that is asked of it. */
#include <time.h>

#include "tests/conformance/cases.h"
#include "tests/conformance/move_help.h"

/* Of all disks of a stopped instance. */
static const char *content(const char *id)
{
    struct driver_export_spec read = reading();
    struct driver_export open = opened(id, &read);
    const char *all = "";
    for (size_t i = 0; i < open.disk_count; i++)
        all = arena_printf(arena, "%s %s %s", all, open.disks[i].disk, disk_digest(&open.disks[i]));
    closed(id, read.id, false);
    return all;
}

static void expect_said(const char *id, const char *wanted)
{
    struct driver_call call = call_long();
    int64_t until = moment_monotonic() + 60 * MOMENT_SECOND;
    const char *text;
    size_t length;
    do {
        OK(gate_instance_console(gate, &call, &KEY(id), GATE_CONSOLE_MAX, &text, &length));
        if (memmem(text, length, wanted, strlen(wanted)))
            return;
        (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL); /* between two looks at the console */
    } while (moment_monotonic() < until);
    fail_msg("the test's guest did not say \"%s\"", wanted);
}

static void expect_gone(const char *test)
{
    struct driver_call call = call_long();
    struct driver_instance found;
    struct driver_volume left;
    for (int i = 0; i < 2; i++)
        OK(gate_instance_delete(gate, &call, &KEY(test)));
    FAILS(gate_instance_find(gate, &call, &KEY(test), &found), ERR_NOT_FOUND);
    struct driver_inventory all = inventory_of(gate);
    assert_int_equal(instances_with(&all, test, &found), 0);
    assert_int_equal(volumes_with(&all, test, &left), 0);
    for (size_t i = 0; i < all.volume_count; i++)
        assert_null(strstr(all.volumes[i].ref, test));
}

static struct driver_instance_spec waiting(const char *name)
{
    struct driver_call call = call_long();
    struct driver_instance_spec spec = stopped(name);
    OK(gate_instance_fence(gate, &call, &KEY(spec.id)));
    return spec;
}

void test_boot_spares_the_disks(void **state)
{
    if (!can(DRIVER_CAN_TEST, DRIVER_CAN_WRITE_DISKS | DRIVER_CAN_FENCE))
        return;
    struct driver_call call = call_long();
    struct driver_instance_spec spec = waiting("tested"), boot = {.id = id_new_in(arena)};
    const struct driver_test_spec test = {.id = boot.id, .name = "tested-test"};
    const char *before = content(spec.id);
    struct driver_instance made;
    struct driver_export_spec write = writing();
    struct driver_export open;
    for (int i = 0; i < 2; i++)
        OK(gate_test_create(gate, &call, &KEY(spec.id), &test, &made));
    assert_int_equal(made.power, DRIVER_POWER_OFF);
    assert_int_equal(made.vcpu, spec.vcpu);
    assert_int_equal(made.memory_mb, spec.memory_mb);
    struct driver_detail original = detail_of(spec.id), detail = detail_of(test.id);
    assert_false(detail.fenced);
    assert_int_equal(boot_disk(&detail)->size_bytes, boot_disk(&original)->size_bytes);
    assert_int_equal(detail.firmware, original.firmware);
    assert_int_equal(detail.adapter_count, original.adapter_count);
    for (size_t i = 0; i < detail.adapter_count; i++)
        assert_string_equal(detail.adapters[i].mac, original.adapters[i].mac);
    FAILS(gate_export_open(gate, &call, &KEY(spec.id), &write, &open), ERR_CONFLICT);
    FAILS(gate_instance_release(gate, &call, &KEY(spec.id)), ERR_CONFLICT);
    FAILS(gate_instance_release(gate, &call, &KEY(test.id)), ERR_CONFLICT);
    FAILS(gate_instance_fence(gate, &call, &KEY(test.id)), ERR_CONFLICT);
    for (int i = 0; i < 2; i++)
        OK(gate_instance_start(gate, &call, &KEY(test.id)));
    wait_for_power(test.id, DRIVER_POWER_ON);
    if (conformance_peer.console_says)
        expect_said(test.id, conformance_peer.console_says);
    if (conformance_peer.touch)
        touch(&boot, FAR, AREA, 0x7e);
    assert_true(detail_of(spec.id).fenced);
    wait_for_power(spec.id, DRIVER_POWER_OFF);
    expect_gone(test.id);
    assert_string_equal(content(spec.id), before);
    /* It goes on where it was. */
    open = opened(spec.id, &write);
    disk_fill(boot_of(spec.id, &open), FAR, AREA, 0x7f);
    closed(spec.id, write.id, true);
    OK(gate_instance_release(gate, &call, &KEY(spec.id)));
    OK(gate_instance_start(gate, &call, &KEY(spec.id)));
    wait_for_power(spec.id, DRIVER_POWER_ON);
}

void test_boot_wants_a_fence(void **state)
{
    if (!can(DRIVER_CAN_TEST, 0))
        return;
    struct driver_call call = call_long();
    const struct driver_test_spec test = {.id = id_new_in(arena), .name = "test"};
    struct driver_instance made;
    FAILS(gate_test_create(gate, &call, &KEY(id_new_in(arena)), &test, &made), ERR_NOT_FOUND);
    struct driver_instance_spec spec = running("untested");
    FAILS(gate_test_create(gate, &call, &KEY(spec.id), &test, &made), ERR_CONFLICT);
    OK(gate_instance_stop(gate, &call, &KEY(spec.id), 0));
    wait_for_power(spec.id, DRIVER_POWER_OFF);
    FAILS(gate_test_create(gate, &call, &KEY(spec.id), &test, &made), ERR_CONFLICT);
    OK(gate_instance_fence(gate, &call, &KEY(spec.id)));
    struct driver_export_spec write = writing();
    (void)opened(spec.id, &write);
    FAILS_EITHER(gate_test_create(gate, &call, &KEY(spec.id), &test, &made), ERR_CONFLICT, ERR_BUSY);
    closed(spec.id, write.id, true);
    expect_gone(test.id);
}

void cut_off_test_boot_is_cleared(void **state)
{
    if (!can(DRIVER_CAN_TEST, DRIVER_CAN_FENCE))
        return;
    struct driver_instance_spec spec = waiting("cut-off");
    struct driver_instance made;
    bool whole = false;
    for (int looks = 2; !whole; looks += 2) {
        struct driver_call call = call_long();
        const struct driver_test_spec test = {.id = id_new_in(arena), .name = "cut-off-test"};
        int left = looks;
        call.progress = count_down;
        call.context = &left;
        struct error *error = gate_test_create(gate, &call, &KEY(spec.id), &test, &made);
        whole = !error;
        if (error)
            FAILS(error, ERR_CANCELLED);
        call.progress = NULL;
        if (!whole && looks % 4 == 0)
            OK(gate_test_create(gate, &call, &KEY(spec.id), &test, &made));
        expect_gone(test.id);
    }
    assert_true(detail_of(spec.id).fenced);
}
