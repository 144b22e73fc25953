/* Cases about volumes; a driver without them refuses and that is all that is asked of it. */
#include "tests/conformance/bench.h"
#include "tests/conformance/cases.h"

/* Whether the driver has volumes; checks that it says so when it has not. */
static bool has_volumes(void)
{
    struct driver_call call = call_long();
    struct driver_volume_spec spec = new_volume("none", 1);
    struct driver_volume volume;
    if (gate_can(gate, DRIVER_CAN_VOLUMES))
        return true;
    FAILS(gate_volume_create(gate, &call, &spec, &volume), ERR_UNSUPPORTED);
    return false;
}

static struct driver_volume made(const struct driver_volume_spec *spec)
{
    struct driver_call call = call_long();
    struct driver_volume volume = {.id = NULL};
    OK(gate_volume_create(gate, &call, spec, &volume));
    return volume;
}

static struct driver_volume found(const char *id)
{
    struct driver_call call = call_long();
    struct driver_volume volume = {.id = NULL};
    OK(gate_volume_find(gate, &call, &KEY(id), &volume));
    return volume;
}

/* An instance that is as the driver wants it for attaching: running if it can do that. */
static struct driver_instance holder(const char *name)
{
    struct driver_instance_spec spec = new_instance(name);
    struct driver_instance instance = created(&spec);
    struct driver_call call = call_long();
    wait_for_power(spec.id, DRIVER_POWER_ON);
    if (!gate_can(gate, DRIVER_CAN_ATTACH_RUNNING)) {
        OK(gate_instance_stop(gate, &call, &KEY(spec.id), 0));
        wait_for_power(spec.id, DRIVER_POWER_OFF);
    }
    return instance;
}

void volume_create_is_idempotent(void **state)
{
    if (!has_volumes())
        return;
    static const bool classes[] = {false, true};
    struct driver_call call = call_long();
    struct driver_capacity capacity;
    OK(gate_capacity(gate, &call, &capacity));
    for (size_t i = 0; i < 2; i++) {
        struct driver_volume_spec spec = new_volume("data", 3);
        struct driver_volume listed;
        spec.high_performance = classes[i];
        if (classes[i] && !capacity.high_gb_total)
            continue; /* the peer has no such storage */
        struct driver_volume first = made(&spec), second = made(&spec), later = found(spec.id);
        assert_string_equal(first.ref, second.ref);
        assert_string_equal(first.ref, later.ref);
        assert_int_equal(first.size_gb, 3);
        assert_int_equal(later.size_gb, 3);
        assert_null(later.instance_ref);
        struct driver_inventory all = inventory_of(gate);
        assert_int_equal(volumes_with(&all, spec.id, &listed), 1);
        assert_int_equal(listed.size_gb, 3);
        assert_string_equal(listed.ref, first.ref);
        /* It lies in a pool of its class. */
        bool known = false;
        for (size_t k = 0; listed.pool && k < all.pool_count; k++)
            known |=
                all.pools[k].high_performance == classes[i] &&
                (strcmp(all.pools[k].name, listed.pool) == 0 || strcmp(all.pools[k].ref, listed.pool) == 0);
        assert_true(known || !listed.pool);
    }
}

void volume_attach_and_detach_repeat(void **state)
{
    if (!has_volumes())
        return;
    struct driver_call call = call_long();
    struct driver_instance instance = holder("attach");
    struct driver_volume_spec spec = new_volume("data", 1);
    made(&spec);
    for (int i = 0; i < 2; i++) {
        OK(gate_volume_attach(gate, &call, &KEY(spec.id), &KEY(instance.id)));
        struct driver_volume volume = found(spec.id), listed;
        assert_non_null(volume.instance_ref);
        assert_string_equal(volume.instance_ref, instance.ref);
        struct driver_inventory all = inventory_of(gate);
        assert_int_equal(volumes_with(&all, spec.id, &listed), 1);
        assert_string_equal(listed.instance_ref, instance.ref);
    }
    FAILS(gate_volume_delete(gate, &call, &KEY(spec.id)), ERR_CONFLICT);
    for (int i = 0; i < 2; i++) {
        OK(gate_volume_detach(gate, &call, &KEY(spec.id), &KEY(instance.id)));
        assert_null(found(spec.id).instance_ref);
    }
    OK(gate_volume_attach(gate, &call, &KEY(spec.id), &KEY(instance.id)));
    assert_string_equal(found(spec.id).instance_ref, instance.ref);
}

void volume_is_attached_once(void **state)
{
    if (!has_volumes())
        return;
    struct driver_call call = call_long();
    struct driver_instance one = holder("once-one"), two = holder("once-two");
    struct driver_volume_spec spec = new_volume("data", 1);
    made(&spec);
    OK(gate_volume_attach(gate, &call, &KEY(spec.id), &KEY(one.id)));
    FAILS(gate_volume_attach(gate, &call, &KEY(spec.id), &KEY(two.id)), ERR_CONFLICT);
    assert_string_equal(found(spec.id).instance_ref, one.ref);
}

void volume_grows_only(void **state)
{
    if (!has_volumes())
        return;
    struct driver_call call = call_long();
    struct driver_instance instance = holder("grow");
    struct driver_volume_spec spec = new_volume("data", 2);
    made(&spec);
    OK(gate_volume_resize(gate, &call, &KEY(spec.id), 2));
    OK(gate_volume_resize(gate, &call, &KEY(spec.id), 5));
    OK(gate_volume_resize(gate, &call, &KEY(spec.id), 5));
    assert_int_equal(found(spec.id).size_gb, 5);
    FAILS(gate_volume_resize(gate, &call, &KEY(spec.id), 4), ERR_INVALID);
    assert_int_equal(found(spec.id).size_gb, 5);
    OK(gate_volume_attach(gate, &call, &KEY(spec.id), &KEY(instance.id)));
    if (gate_can(gate, DRIVER_CAN_GROW_ATTACHED))
        OK(gate_volume_resize(gate, &call, &KEY(spec.id), 6));
    else
        FAILS_EITHER(gate_volume_resize(gate, &call, &KEY(spec.id), 6), ERR_CONFLICT, ERR_UNSUPPORTED);
    struct driver_volume volume = found(spec.id);
    assert_int_equal(volume.size_gb, gate_can(gate, DRIVER_CAN_GROW_ATTACHED) ? 6 : 5);
    assert_string_equal(volume.instance_ref, instance.ref);
}

void volume_delete_repeats(void **state)
{
    if (!has_volumes())
        return;
    struct driver_call call = call_long();
    struct driver_volume_spec spec = new_volume("data", 1);
    struct driver_volume volume;
    made(&spec);
    for (int i = 0; i < 2; i++) {
        OK(gate_volume_delete(gate, &call, &KEY(spec.id)));
        FAILS(gate_volume_find(gate, &call, &KEY(spec.id), &volume), ERR_NOT_FOUND);
    }
    struct driver_inventory all = inventory_of(gate);
    assert_int_equal(volumes_with(&all, spec.id, &volume), 0);
}

void volume_outlives_its_instance(void **state)
{
    if (!has_volumes())
        return;
    struct driver_call call = call_long();
    struct driver_instance instance = holder("outlived");
    struct driver_volume_spec spec = new_volume("data", 1);
    made(&spec);
    OK(gate_volume_attach(gate, &call, &KEY(spec.id), &KEY(instance.id)));
    OK(gate_instance_delete(gate, &call, &KEY(instance.id)));
    struct driver_volume volume = found(spec.id);
    assert_null(volume.instance_ref);
    assert_int_equal(volume.size_gb, 1);
    struct driver_instance other = holder("heir");
    OK(gate_volume_attach(gate, &call, &KEY(spec.id), &KEY(other.id)));
    assert_string_equal(found(spec.id).instance_ref, other.ref);
}

void unknown_volume_is_not_found(void **state)
{
    if (!has_volumes())
        return;
    struct driver_call call = call_long();
    struct driver_instance instance = holder("no-volume");
    struct driver_volume_spec spec = new_volume("data", 1);
    struct driver_volume volume;
    const struct driver_key unknown = {.id = id_new_in(arena)};
    FAILS(gate_volume_find(gate, &call, &unknown, &volume), ERR_NOT_FOUND);
    FAILS(gate_volume_attach(gate, &call, &unknown, &KEY(instance.id)), ERR_NOT_FOUND);
    FAILS(gate_volume_resize(gate, &call, &unknown, 9), ERR_NOT_FOUND);
    OK(gate_volume_delete(gate, &call, &unknown));
    made(&spec);
    FAILS(gate_volume_attach(gate, &call, &KEY(spec.id), &unknown), ERR_NOT_FOUND);
    assert_null(found(spec.id).instance_ref);
}
