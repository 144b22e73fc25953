/* Cases about the life of instances. */
#include <stdio.h>
#include <time.h>

#include "tests/conformance/bench.h"
#include "tests/conformance/cases.h"

static void assert_as_wanted(const struct driver_instance *instance, const struct driver_instance_spec *spec)
{
    assert_string_equal(instance->id, spec->id);
    assert_int_equal(instance->vcpu, spec->vcpu);
    assert_int_equal(instance->memory_mb, spec->memory_mb);
    if (instance->architecture)
        assert_string_equal(instance->architecture, spec->architecture);
}

/* Exactly one, as wanted, in the inventory. */
static void assert_one(const struct driver_instance_spec *spec)
{
    struct driver_inventory all = inventory_of(gate);
    struct driver_instance listed;
    assert_int_equal(instances_with(&all, spec->id, &listed), 1);
    assert_as_wanted(&listed, spec);
}

void create_is_idempotent(void **state)
{
    struct driver_call call = call_long();
    struct driver_instance_spec spec = new_instance("twice");
    spec.vcpu = 2;
    spec.memory_mb = 2048;
    struct driver_instance first = created(&spec), second = created(&spec), found;
    assert_as_wanted(&first, &spec);
    assert_string_equal(first.ref, second.ref);
    wait_for_power(spec.id, DRIVER_POWER_ON);
    OK(gate_instance_find(gate, &call, &KEY(spec.id), &found));
    assert_as_wanted(&found, &spec);
    assert_string_equal(found.ref, first.ref);
    assert_one(&spec);
}

void find_verifies_the_hint(void **state)
{
    struct driver_call call = call_long();
    struct driver_instance_spec one = new_instance("hint-one"), two = new_instance("hint-two");
    struct driver_instance first = created(&one), second = created(&two), found;
    const struct driver_key right = {.id = one.id, .ref = first.ref},
                            wrong = {.id = one.id, .ref = second.ref},
                            stale = {.id = one.id, .ref = "00000000-no-such-reference"};
    OK(gate_instance_find(gate, &call, &right, &found));
    assert_string_equal(found.ref, first.ref);
    OK(gate_instance_find(gate, &call, &wrong, &found));
    assert_string_equal(found.ref, first.ref);
    OK(gate_instance_find(gate, &call, &stale, &found));
    assert_string_equal(found.ref, first.ref);
    OK(gate_instance_delete(gate, &call, &wrong)); /* deletes the one that the id names */
    FAILS(gate_instance_find(gate, &call, &KEY(one.id), &found), ERR_NOT_FOUND);
    OK(gate_instance_find(gate, &call, &KEY(two.id), &found));
}

void power_operations_repeat(void **state)
{
    struct driver_call call = call_long();
    struct driver_instance_spec spec = new_instance("power");
    created(&spec);
    wait_for_power(spec.id, DRIVER_POWER_ON);
    OK(gate_instance_start(gate, &call, &KEY(spec.id)));
    OK(gate_instance_reboot(gate, &call, &KEY(spec.id)));
    wait_for_power(spec.id, DRIVER_POWER_ON);
    for (int i = 0; i < 2; i++) {
        OK(gate_instance_stop(gate, &call, &KEY(spec.id), 0));
        wait_for_power(spec.id, DRIVER_POWER_OFF);
    }
    for (int i = 0; i < 2; i++) {
        OK(gate_instance_start(gate, &call, &KEY(spec.id)));
        wait_for_power(spec.id, DRIVER_POWER_ON);
    }
    /* With a grace the guest is asked first; whatever it answers, in the end it is off. */
    OK(gate_instance_stop(gate, &call, &KEY(spec.id), 2 * MOMENT_SECOND));
    wait_for_power(spec.id, DRIVER_POWER_OFF);
    assert_one(&spec);
}

void resize_is_exact(void **state)
{
    struct driver_call call = call_long();
    struct driver_instance_spec spec = new_instance("resize");
    created(&spec);
    wait_for_power(spec.id, DRIVER_POWER_ON);
    OK(gate_instance_resize(gate, &call, &KEY(spec.id), 1, 1024)); /* as it is */
    /* Running: done or refused, never half; a driver that claims it may still wait for the guest's help. */
    struct error *error = gate_instance_resize(gate, &call, &KEY(spec.id), 4, 4096);
    if (error) {
        FAILS(error, ERR_CONFLICT);
    } else {
        spec.vcpu = 4;
        spec.memory_mb = 4096;
    }
    assert_one(&spec);
    OK(gate_instance_stop(gate, &call, &KEY(spec.id), 0));
    wait_for_power(spec.id, DRIVER_POWER_OFF);
    static const struct {
        unsigned vcpu;
        uint64_t memory_mb;
    } sizes[] = {{4, 4096}, {3, 3072}, {3, 3072}, {1, 2048}, {16, 1024}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        OK(gate_instance_resize(gate, &call, &KEY(spec.id), sizes[i].vcpu, sizes[i].memory_mb));
        spec.vcpu = sizes[i].vcpu;
        spec.memory_mb = sizes[i].memory_mb;
        assert_one(&spec);
    }
    OK(gate_instance_resize(gate, &call, &KEY(spec.id), 2, 2048));
    spec.vcpu = 2;
    spec.memory_mb = 2048;
    OK(gate_instance_start(gate, &call, &KEY(spec.id)));
    wait_for_power(spec.id, DRIVER_POWER_ON);
    assert_one(&spec);
}

void console_shows_the_guest(void **state)
{
    struct driver_call call = call_long();
    struct driver_instance_spec spec = new_instance("console");
    const char *text;
    size_t length = 0;
    if (!gate_can(gate, DRIVER_CAN_CONSOLE)) {
        FAILS(gate_instance_console(gate, &call, &KEY(spec.id), 16, &text, &length), ERR_UNSUPPORTED);
        return;
    }
    created(&spec);
    int64_t until = moment_monotonic() + 60 * MOMENT_SECOND;
    bool said = false;
    while (!said && moment_monotonic() < until) {
        OK(gate_instance_console(gate, &call, &KEY(spec.id), GATE_CONSOLE_MAX, &text, &length));
        said = memmem(text, length, conformance_peer.console_says, strlen(conformance_peer.console_says));
        (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL); /* between two looks at the console */
    }
    assert_true(said);
    OK(gate_instance_console(gate, &call, &KEY(spec.id), 16, &text, &length));
    assert_int_equal(length, 16);
}

void delete_repeats(void **state)
{
    struct driver_call call = call_long();
    struct driver_instance_spec spec = new_instance("delete");
    struct driver_instance found;
    created(&spec);
    for (int i = 0; i < 2; i++) {
        OK(gate_instance_delete(gate, &call, &KEY(spec.id)));
        FAILS(gate_instance_find(gate, &call, &KEY(spec.id), &found), ERR_NOT_FOUND);
    }
    struct driver_inventory all = inventory_of(gate);
    assert_int_equal(instances_with(&all, spec.id, &found), 0);
    created(&spec); /* and the id may live again */
    OK(gate_instance_find(gate, &call, &KEY(spec.id), &found));
}

void unknown_instance_is_not_found(void **state)
{
    struct driver_call call = call_long();
    struct driver_instance found;
    const struct driver_key unknown = {.id = id_new_in(arena)};
    FAILS(gate_instance_find(gate, &call, &unknown, &found), ERR_NOT_FOUND);
    FAILS(gate_instance_start(gate, &call, &unknown), ERR_NOT_FOUND);
    FAILS(gate_instance_stop(gate, &call, &unknown, 0), ERR_NOT_FOUND);
    FAILS(gate_instance_reboot(gate, &call, &unknown), ERR_NOT_FOUND);
    FAILS(gate_instance_resize(gate, &call, &unknown, 1, 1024), ERR_NOT_FOUND);
    OK(gate_instance_delete(gate, &call, &unknown));
}

/* A create that fails for good leaves neither instance nor disk space behind. */
static void assert_refused(const struct driver_instance_spec *spec, enum error_code code,
                           enum error_code other)
{
    struct driver_call call = call_long();
    struct driver_capacity before, after;
    struct driver_instance instance;
    OK(gate_capacity(gate, &call, &before));
    FAILS_EITHER(gate_instance_create(gate, &call, spec, &instance), code, other);
    struct driver_inventory all = inventory_of(gate);
    assert_int_equal(instances_with(&all, spec->id, &instance), 0);
    OK(gate_capacity(gate, &call, &after));
    assert_int_equal(after.vcpu_allocated, before.vcpu_allocated);
    assert_int_equal(after.memory_mb_allocated, before.memory_mb_allocated);
    assert_int_equal(after.standard_gb_allocated, before.standard_gb_allocated);
}

void wrong_image_leaves_nothing(void **state)
{
    struct driver_instance_spec spec = new_instance("no-image");
    spec.image = "there-is-no-such-image";
    assert_refused(&spec, ERR_NOT_FOUND, ERR_INVALID);
}

void wrong_network_leaves_nothing(void **state)
{
    struct driver_instance_spec spec = new_instance("no-network");
    spec.network = "there-is-no-such-network";
    assert_refused(&spec, ERR_NOT_FOUND, ERR_INVALID);
}

/* No peer has 64 TB: the provider refuses, or would have to give it on credit (thin provisioning). */
void too_big_is_refused(void **state)
{
    struct driver_call call = call_long();
    struct driver_instance_spec spec = new_instance("too-big");
    struct driver_instance instance;
    spec.system_disk_gb = GATE_DISK_GB_MAX;
    struct error *error = gate_instance_create(gate, &call, &spec, &instance);
    if (!error) {
        OK(gate_instance_delete(gate, &call, &KEY(spec.id)));
        return;
    }
    FAILS_EITHER(error, ERR_NO_CAPACITY, ERR_INVALID);
    struct driver_inventory all = inventory_of(gate);
    assert_int_equal(instances_with(&all, spec.id, &instance), 0);
}

static bool stop_at(void *context, int percent, const char *step)
{
    int *left = context;
    assert_in_range(percent, 0, 100);
    return (*left)-- > 0;
}

/* Cancelled at its first, second, … report of progress; each time a repeat makes one whole instance of it. */
void cancelled_create_is_finished(void **state)
{
    for (int reports = 0; reports < 12; reports++) {
        struct driver_instance_spec spec = new_instance("cancel");
        struct driver_instance instance;
        struct driver_call call = call_long();
        int left = reports;
        call.progress = stop_at;
        call.context = &left;
        struct error *error = gate_instance_create(gate, &call, &spec, &instance);
        bool cancelled = error != NULL;
        if (error)
            FAILS(error, ERR_CANCELLED);
        created(&spec);
        wait_for_power(spec.id, DRIVER_POWER_ON);
        assert_one(&spec);
        call = call_long();
        OK(gate_instance_delete(gate, &call, &KEY(spec.id)));
        if (!cancelled && left > 0)
            return; /* it reports no more often than that */
    }
}

/* Out of time after 1 ms, 4 ms, …: the outcome is unknown, a repeat makes one whole instance of it. */
void timed_out_create_is_finished(void **state)
{
    for (int64_t us = 1000; us < MOMENT_SECOND; us *= 4) {
        struct driver_instance_spec spec = new_instance("late");
        struct driver_instance instance;
        struct driver_call call = {.arena = arena, .deadline_us = moment_monotonic() + us};
        struct error *error = gate_instance_create(gate, &call, &spec, &instance);
        bool late = error != NULL;
        assert_true(moment_monotonic() - call.deadline_us <
                    5 * MOMENT_SECOND); /* the gate left nobody behind */
        if (error)
            FAILS(error, ERR_TIMEOUT);
        created(&spec);
        wait_for_power(spec.id, DRIVER_POWER_ON);
        assert_one(&spec);
        call = call_long();
        OK(gate_instance_delete(gate, &call, &KEY(spec.id)));
        if (!late)
            return;
    }
}
