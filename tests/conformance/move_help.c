/* See move_help.h. */
#include "tests/conformance/move_help.h"

bool can(enum driver_capability first, unsigned all)
{
    struct driver_call call = call_long();
    struct driver_detail detail;
    struct driver_export opened;
    const struct driver_key key = {.id = id_new_in(arena)};
    const struct driver_export_spec export = {.id = key.id, .access = DRIVER_READ};
    const struct driver_endpoint nowhere = {
        .id = "nowhere", .url = conformance_peer.refused_url, .timeout_us = MOMENT_SECOND};
    const struct driver_move_spec move = {.id = key.id, .target = &nowhere};
    const struct driver_test_spec test = {.id = id_new_in(arena), .name = "test"};
    struct driver_instance made;
    if (!gate_can(gate, first)) {
        if (first == DRIVER_CAN_DETAIL)
            FAILS(gate_instance_detail(gate, &call, &key, &detail), ERR_UNSUPPORTED);
        else if (first == DRIVER_CAN_FENCE)
            FAILS(gate_instance_fence(gate, &call, &key), ERR_UNSUPPORTED);
        else if (first == DRIVER_CAN_SNAPSHOT)
            FAILS(gate_snapshot_create(gate, &call, &key, "none", false), ERR_UNSUPPORTED);
        else if (first == DRIVER_CAN_MOVE)
            FAILS(gate_move_validate(gate, &call, &key, &move), ERR_UNSUPPORTED);
        else if (first == DRIVER_CAN_TEST)
            FAILS(gate_test_create(gate, &call, &key, &test, &made), ERR_UNSUPPORTED);
        else if (first == DRIVER_CAN_READ_DISKS)
            FAILS(gate_export_open(gate, &call, &key, &export, &opened), ERR_UNSUPPORTED);
        return false;
    }
    for (unsigned bit = 1; bit <= all; bit <<= 1)
        if ((all & bit) && !gate_can(gate, (enum driver_capability)bit))
            return false;
    return true;
}

struct driver_detail detail_of(const char *id)
{
    struct driver_call call = call_long();
    struct driver_detail detail = {.fenced = false};
    OK(gate_instance_detail(gate, &call, &KEY(id), &detail));
    return detail;
}

const struct driver_disk *boot_disk(const struct driver_detail *detail)
{
    const struct driver_disk *boot = NULL;
    for (size_t i = 0; i < detail->disk_count; i++) {
        if (!detail->disks[i].boot)
            continue;
        assert_null(boot);
        boot = &detail->disks[i];
    }
    assert_non_null(boot);
    return boot;
}

struct driver_instance_spec running(const char *name)
{
    struct driver_instance_spec spec = new_instance(name);
    created(&spec);
    wait_for_power(spec.id, DRIVER_POWER_ON);
    return spec;
}

struct driver_instance_spec stopped(const char *name)
{
    struct driver_call call = call_long();
    struct driver_instance_spec spec = running(name);
    OK(gate_instance_stop(gate, &call, &KEY(spec.id), 0));
    wait_for_power(spec.id, DRIVER_POWER_OFF);
    return spec;
}

struct driver_export opened(const char *id, const struct driver_export_spec *spec)
{
    struct driver_call call = call_long();
    struct driver_export open = {.disk_count = 0};
    OK(gate_export_open(gate, &call, &KEY(id), spec, &open));
    assert_true(open.disk_count > 0);
    return open;
}

void closed(const char *id, const char *export_id, bool keep)
{
    struct driver_call call = call_long();
    OK(gate_export_close(gate, &call, &KEY(id), export_id, keep));
}

struct driver_export_spec reading(void)
{
    return (struct driver_export_spec){.id = id_new_in(arena), .access = DRIVER_READ};
}

struct driver_export_spec writing(void)
{
    return (struct driver_export_spec){.id = id_new_in(arena), .access = DRIVER_WRITE};
}

void touch(const struct driver_instance_spec *spec, uint64_t offset, size_t length, unsigned char byte)
{
    struct driver_call call = call_long();
    struct driver_instance instance;
    OK(gate_instance_find(gate, &call, &KEY(spec->id), &instance));
    conformance_peer.touch(arena, &cloud, &instance, offset, length, byte);
}

const struct driver_exported_disk *boot_of(const char *id, const struct driver_export *open)
{
    struct driver_detail detail = detail_of(id);
    return disk_named(open, boot_disk(&detail)->name);
}

bool count_down(void *context, int percent, const char *step)
{
    int *left = context;
    return --*left > 0;
}
