/* Cases about what moving an instance needs (drivers/driver_move.h): details, fence, shells, exports of
 * disks, checkpoints, snapshots. A driver without a capability refuses, and that is all that is asked of it.
 */
#include "tests/conformance/cases.h"
#include "tests/conformance/move_help.h"
#include "tests/support/child.h"

static struct driver_shell_spec new_shell(const char *name, const struct driver_shell_disk *disks,
                                          size_t count)
{
    return (struct driver_shell_spec){.id = id_new_in(arena),
                                      .name = name,
                                      .architecture = conformance_peer.architecture,
                                      .vcpu = 1,
                                      .memory_mb = 1024,
                                      .network = cloud.network,
                                      .disks = disks,
                                      .disk_count = count};
}

static void expect_checkpoint(const char *id, const char *checkpoint, bool there)
{
    struct driver_detail detail = detail_of(id);
    size_t found = 0;
    for (size_t i = 0; i < detail.checkpoint_count; i++)
        found += strcmp(detail.checkpoints[i], checkpoint) == 0;
    assert_int_equal(found, there);
}

/* --- details --- */

void detail_tells_the_disks(void **state)
{
    if (!can(DRIVER_CAN_DETAIL, 0))
        return;
    struct driver_instance_spec spec = running("detail");
    struct driver_detail detail = detail_of(spec.id);
    assert_string_equal(detail.instance.id, spec.id);
    assert_int_equal(detail.instance.power, DRIVER_POWER_ON);
    assert_int_equal(detail.instance.vcpu, spec.vcpu);
    assert_int_equal(detail.instance.memory_mb, spec.memory_mb);
    assert_false(detail.fenced);
    assert_int_equal(detail.snapshot_count, 0);
    assert_int_equal(detail.checkpoint_count, 0);
    assert_int_equal(detail.passthrough_count, 0);
    const struct driver_disk *boot = boot_disk(&detail);
    assert_false(boot->removable);
    assert_null(boot->volume_id);
    assert_true(boot->size_bytes >= spec.system_disk_gb * (UINT64_C(1) << 30));
    assert_true(detail.adapter_count > 0);
}

void detail_knows_volumes(void **state)
{
    if (!can(DRIVER_CAN_DETAIL, DRIVER_CAN_VOLUMES))
        return;
    struct driver_call call = call_long();
    struct driver_instance_spec spec = stopped("volumes");
    struct driver_volume_spec volume = new_volume("data", 2);
    struct driver_volume made;
    OK(gate_volume_create(gate, &call, &volume, &made));
    OK(gate_volume_attach(gate, &call, &KEY(volume.id), &KEY(spec.id)));
    struct driver_detail detail = detail_of(spec.id);
    assert_int_equal(detail.instance.power, DRIVER_POWER_OFF);
    size_t found = 0;
    for (size_t i = 0; i < detail.disk_count; i++) {
        if (!detail.disks[i].volume_id || strcmp(detail.disks[i].volume_id, volume.id) != 0)
            continue;
        found++;
        assert_int_equal(detail.disks[i].size_bytes, UINT64_C(2) << 30);
        assert_false(detail.disks[i].boot);
        assert_false(detail.disks[i].removable);
    }
    assert_int_equal(found, 1);
}

/* --- fence --- */

void fence_bars_the_start(void **state)
{
    if (!can(DRIVER_CAN_FENCE, DRIVER_CAN_DETAIL))
        return;
    struct driver_call call = call_long();
    struct driver_instance_spec spec = running("fenced");
    struct driver_instance found;
    FAILS(gate_instance_fence(gate, &call, &KEY(spec.id)), ERR_CONFLICT);
    assert_false(detail_of(spec.id).fenced);
    OK(gate_instance_stop(gate, &call, &KEY(spec.id), 0));
    wait_for_power(spec.id, DRIVER_POWER_OFF);
    for (int i = 0; i < 2; i++)
        OK(gate_instance_fence(gate, &call, &KEY(spec.id)));
    assert_true(detail_of(spec.id).fenced);
    FAILS(gate_instance_start(gate, &call, &KEY(spec.id)), ERR_CONFLICT);
    /* A broker that starts anew meets the same. */
    struct gate *another = NULL;
    struct driver_endpoint endpoint = endpoint_of(&cloud);
    OK(gate_new(conformance_peer.driver, &endpoint, &(struct gate_limits){.rate = 100000}, &another));
    FAILS(gate_instance_start(another, &call, &KEY(spec.id)), ERR_CONFLICT);
    OK(gate_instance_find(another, &call, &KEY(spec.id), &found));
    gate_free(another);
    assert_int_equal(found.power, DRIVER_POWER_OFF);
    struct driver_inventory all = inventory_of(gate);
    assert_int_equal(instances_with(&all, spec.id, &found), 1);
    assert_int_equal(found.vcpu, spec.vcpu);
    for (int i = 0; i < 2; i++)
        OK(gate_instance_release(gate, &call, &KEY(spec.id)));
    assert_false(detail_of(spec.id).fenced);
    OK(gate_instance_start(gate, &call, &KEY(spec.id)));
    wait_for_power(spec.id, DRIVER_POWER_ON);
}

void fenced_instance_is_deleted(void **state)
{
    if (!can(DRIVER_CAN_FENCE, 0))
        return;
    struct driver_call call = call_long();
    struct driver_instance_spec spec = stopped("fenced-gone");
    struct driver_instance found;
    OK(gate_instance_fence(gate, &call, &KEY(spec.id)));
    OK(gate_instance_delete(gate, &call, &KEY(spec.id)));
    FAILS(gate_instance_find(gate, &call, &KEY(spec.id), &found), ERR_NOT_FOUND);
    FAILS(gate_instance_fence(gate, &call, &KEY(spec.id)), ERR_NOT_FOUND);
    FAILS(gate_instance_release(gate, &call, &KEY(spec.id)), ERR_NOT_FOUND);
}

/* --- shells --- */

void prepared_instance_waits(void **state)
{
    if (!can(DRIVER_CAN_WRITE_DISKS, 0))
        return;
    struct driver_call call = call_long();
    bool volumes = gate_can(gate, DRIVER_CAN_VOLUMES);
    const struct driver_shell_disk disks[] = {{.size_bytes = 2048 * MIB, .boot = true},
                                              {.size_bytes = 1024 * MIB, .volume_id = id_new_in(arena)}};
    struct driver_shell_spec spec = new_shell("waits", disks, volumes ? 2 : 1);
    struct driver_instance first, second;
    struct driver_volume volume;
    OK(gate_instance_prepare(gate, &call, &spec, &first));
    OK(gate_instance_prepare(gate, &call, &spec, &second));
    assert_string_equal(first.ref, second.ref);
    assert_string_equal(first.id, spec.id);
    struct driver_detail detail = detail_of(spec.id);
    assert_true(detail.fenced);
    assert_int_equal(detail.instance.power, DRIVER_POWER_OFF);
    assert_int_equal(detail.instance.memory_mb, spec.memory_mb);
    assert_true(boot_disk(&detail)->size_bytes >= 2048 * MIB);
    FAILS(gate_instance_start(gate, &call, &KEY(spec.id)), ERR_CONFLICT);
    if (volumes)
        OK(gate_volume_find(gate, &call, &KEY(disks[1].volume_id), &volume));
    for (int i = 0; i < 2; i++)
        OK(gate_instance_delete(gate, &call, &KEY(spec.id)));
    FAILS(gate_instance_find(gate, &call, &KEY(spec.id), &first), ERR_NOT_FOUND);
    if (volumes)
        FAILS(gate_volume_find(gate, &call, &KEY(disks[1].volume_id), &volume), ERR_NOT_FOUND);
}

void prepare_spares_what_lives(void **state)
{
    if (!can(DRIVER_CAN_WRITE_DISKS, 0))
        return;
    struct driver_call call = call_long();
    const struct driver_shell_disk disk = {.size_bytes = 1024 * MIB, .boot = true};
    struct driver_instance_spec lives = stopped("lives");
    struct driver_shell_spec spec = new_shell("lives", &disk, 1);
    struct driver_instance instance;
    spec.id = lives.id;
    FAILS(gate_instance_prepare(gate, &call, &spec, &instance), ERR_EXISTS);
    assert_false(detail_of(lives.id).fenced);
    OK(gate_instance_start(gate, &call, &KEY(lives.id)));
}

/* --- writing --- */

void written_disks_start(void **state)
{
    if (!can(DRIVER_CAN_WRITE_DISKS, 0))
        return;
    struct driver_call call = call_long();
    bool volumes = gate_can(gate, DRIVER_CAN_VOLUMES);
    const struct driver_shell_disk disks[] = {{.size_bytes = 1024 * MIB, .boot = true},
                                              {.size_bytes = 1024 * MIB, .volume_id = id_new_in(arena)}};
    struct driver_shell_spec spec = new_shell("written", disks, volumes ? 2 : 1);
    struct driver_instance instance;
    struct driver_volume volume;
    OK(gate_instance_prepare(gate, &call, &spec, &instance));
    struct driver_export_spec write = writing(), other = writing();
    struct driver_export open = opened(spec.id, &write), refused;
    assert_int_equal(open.disk_count, spec.disk_count);
    for (size_t i = 0; i < open.disk_count; i++) {
        disk_expect(&open.disks[i], FAR, AREA, 0);
        disk_fill(&open.disks[i], FAR, AREA, (unsigned char)(0xa0 + i));
    }
    FAILS(gate_export_open(gate, &call, &KEY(spec.id), &other, &refused), ERR_BUSY);
    FAILS(gate_instance_start(gate, &call, &KEY(spec.id)), ERR_CONFLICT);
    OK(gate_instance_find(gate, &call, &KEY(spec.id), &instance));
    assert_int_equal(instance.power, DRIVER_POWER_OFF);
    closed(spec.id, write.id, true);
    closed(spec.id, other.id, false);
    assert_true(detail_of(spec.id).fenced);
    struct driver_export_spec read = reading();
    open = opened(spec.id, &read);
    assert_false(open.running);
    assert_int_equal(open.disk_count, spec.disk_count);
    for (size_t i = 0; i < open.disk_count; i++) {
        disk_expect(&open.disks[i], FAR, AREA, (unsigned char)(0xa0 + i));
        disk_expect(&open.disks[i], FAR_TOO, AREA, 0);
    }
    closed(spec.id, read.id, false);
    OK(gate_instance_release(gate, &call, &KEY(spec.id)));
    OK(gate_instance_start(gate, &call, &KEY(spec.id)));
    wait_for_power(spec.id, DRIVER_POWER_ON);
    OK(gate_instance_delete(gate, &call, &KEY(spec.id)));
    if (volumes) /* it belongs to a released instance: it is a volume as any other */
        OK(gate_volume_find(gate, &call, &KEY(disks[1].volume_id), &volume));
}

void writing_goes_on(void **state)
{
    if (!can(DRIVER_CAN_WRITE_DISKS, 0))
        return;
    struct driver_call call = call_long();
    const struct driver_shell_disk disk = {.size_bytes = 1024 * MIB, .boot = true};
    struct driver_shell_spec spec = new_shell("goes-on", &disk, 1);
    struct driver_instance instance;
    OK(gate_instance_prepare(gate, &call, &spec, &instance));
    struct driver_export_spec write = writing();
    struct driver_export first = opened(spec.id, &write), second = opened(spec.id, &write);
    disk_fill(&first.disks[0], FAR, AREA, 0x11);
    disk_fill(&second.disks[0], FAR_TOO, AREA, 0x22);
    disk_expect(&second.disks[0], FAR, AREA, 0x11);
    closed(spec.id, write.id, true);
    closed(spec.id, write.id, false);
    /* What is written twice, with a close between, is one disk. */
    struct driver_export_spec later = writing(), read = reading();
    second = opened(spec.id, &later);
    disk_expect(&second.disks[0], FAR_TOO, AREA, 0x22);
    disk_fill(&second.disks[0], FAR, AREA, 0x33);
    closed(spec.id, later.id, true);
    second = opened(spec.id, &read);
    disk_expect(&second.disks[0], FAR, AREA, 0x33);
    disk_expect(&second.disks[0], FAR_TOO, AREA, 0x22);
    closed(spec.id, read.id, true);
}

void writing_wants_a_fence(void **state)
{
    if (!can(DRIVER_CAN_WRITE_DISKS, 0))
        return;
    struct driver_call call = call_long();
    struct driver_instance_spec spec = running("no-fence");
    struct driver_export_spec write = writing();
    struct driver_export open;
    FAILS(gate_export_open(gate, &call, &KEY(spec.id), &write, &open), ERR_CONFLICT);
    OK(gate_instance_stop(gate, &call, &KEY(spec.id), 0));
    wait_for_power(spec.id, DRIVER_POWER_OFF);
    FAILS(gate_export_open(gate, &call, &KEY(spec.id), &write, &open), ERR_CONFLICT);
    OK(gate_instance_start(gate, &call, &KEY(spec.id)));
}

/* --- reading --- */

void read_export_is_a_point_in_time(void **state)
{
    if (!can(DRIVER_CAN_READ_DISKS, DRIVER_CAN_DETAIL) || !conformance_peer.touch)
        return;
    struct driver_call call = call_long();
    struct driver_instance_spec spec = running("point");
    touch(&spec, FAR, AREA, 0x41);
    struct driver_export_spec read = reading(), other = reading();
    struct driver_export open = opened(spec.id, &read), again, refused;
    assert_true(open.running);
    touch(&spec, FAR, AREA, 0x42);
    disk_expect(boot_of(spec.id, &open), FAR, AREA, 0x41);
    again = opened(spec.id, &read);
    assert_int_equal(again.disk_count, open.disk_count);
    disk_expect(boot_of(spec.id, &again), FAR, AREA, 0x41);
    FAILS(gate_export_open(gate, &call, &KEY(spec.id), &other, &refused), ERR_BUSY);
    closed(spec.id, other.id, false); /* not open: nothing happens */
    disk_expect(boot_of(spec.id, &open), FAR, AREA, 0x41);
    for (int i = 0; i < 2; i++)
        closed(spec.id, read.id, false);
    open = opened(spec.id, &other);
    disk_expect(boot_of(spec.id, &open), FAR, AREA, 0x42);
    closed(spec.id, other.id, false);
    wait_for_power(spec.id, DRIVER_POWER_ON);
}

void read_export_of_a_stopped_one(void **state)
{
    if (!can(DRIVER_CAN_READ_DISKS, DRIVER_CAN_DETAIL) || !conformance_peer.touch)
        return;
    struct driver_call call = call_long();
    struct driver_instance_spec spec = running("stopped");
    struct driver_instance found;
    touch(&spec, FAR, AREA, 0x51);
    OK(gate_instance_stop(gate, &call, &KEY(spec.id), 0));
    wait_for_power(spec.id, DRIVER_POWER_OFF);
    struct driver_export_spec read = reading();
    struct driver_export open = opened(spec.id, &read);
    assert_false(open.running);
    disk_expect(boot_of(spec.id, &open), FAR, AREA, 0x51);
    OK(gate_instance_find(gate, &call, &KEY(spec.id), &found));
    assert_int_equal(found.power, DRIVER_POWER_OFF);
    assert_int_equal(found.memory_mb, spec.memory_mb);
    closed(spec.id, read.id, false);
    OK(gate_instance_start(gate, &call, &KEY(spec.id)));
    wait_for_power(spec.id, DRIVER_POWER_ON);
}

void delta_tells_what_changed(void **state)
{
    if (!can(DRIVER_CAN_READ_DISKS, DRIVER_CAN_TRACK_CHANGES | DRIVER_CAN_DETAIL) || !conformance_peer.touch)
        return;
    struct driver_call call = call_long();
    struct driver_instance_spec spec = running("delta");
    struct driver_export_spec full = reading(), delta = reading(), last = reading();
    full.checkpoint = id_new_in(arena);
    struct driver_export open = opened(spec.id, &full);
    touch(&spec, FAR, AREA, 0x61); /* while it is open: after the point in time */
    closed(spec.id, full.id, true);
    expect_checkpoint(spec.id, full.checkpoint, true);
    delta.since = full.checkpoint;
    delta.checkpoint = id_new_in(arena);
    open = opened(spec.id, &delta);
    const struct driver_exported_disk *disk = boot_of(spec.id, &open);
    assert_null(disk->full_reason);
    assert_int_equal(disk_changed(disk, FAR, AREA), AREA);
    assert_true(disk_changed(disk, 0, disk->size_bytes) < disk->size_bytes / 2);
    disk_expect(disk, FAR, AREA, 0x61);
    closed(spec.id, delta.id, true);
    /* Stopped, and since the second point. */
    touch(&spec, FAR_TOO, AREA, 0x62);
    OK(gate_instance_stop(gate, &call, &KEY(spec.id), 0));
    wait_for_power(spec.id, DRIVER_POWER_OFF);
    if (gate_can(gate, DRIVER_CAN_FENCE))
        OK(gate_instance_fence(gate, &call, &KEY(spec.id)));
    last.since = delta.checkpoint;
    open = opened(spec.id, &last);
    disk = boot_of(spec.id, &open);
    assert_null(disk->full_reason);
    assert_int_equal(disk_changed(disk, FAR_TOO, AREA), AREA);
    assert_int_equal(disk_changed(disk, FAR, AREA), 0);
    disk_expect(disk, FAR_TOO, AREA, 0x62);
    closed(spec.id, last.id, true);
}

void unkept_checkpoint_is_forgotten(void **state)
{
    if (!can(DRIVER_CAN_READ_DISKS, DRIVER_CAN_TRACK_CHANGES | DRIVER_CAN_DETAIL))
        return;
    struct driver_call call = call_long();
    struct driver_instance_spec spec = running("forgets");
    struct driver_export_spec first = reading(), kept = reading(), later = reading();
    first.checkpoint = id_new_in(arena);
    kept.checkpoint = id_new_in(arena);
    (void)opened(spec.id, &first);
    closed(spec.id, first.id, false);
    expect_checkpoint(spec.id, first.checkpoint, false);
    (void)opened(spec.id, &kept);
    closed(spec.id, kept.id, true);
    expect_checkpoint(spec.id, kept.checkpoint, true);
    for (int i = 0; i < 2; i++)
        OK(gate_checkpoint_delete(gate, &call, &KEY(spec.id), kept.checkpoint));
    expect_checkpoint(spec.id, kept.checkpoint, false);
    later.since = kept.checkpoint;
    struct driver_export open = opened(spec.id, &later);
    for (size_t i = 0; i < open.disk_count; i++)
        assert_non_null(open.disks[i].full_reason);
    closed(spec.id, later.id, true);
}

/* Who knows the authority's certificate alone has none of its own. */
static const char *stranger(const char *tls_dir)
{
    const char *folder = arena_printf(arena, "%s/stranger", cloud.folder);
    const char *const make[] = {"mkdir", "-p", folder, NULL};
    const char *const copy[] = {"cp", arena_printf(arena, "%s/ca-cert.pem", tls_dir), folder, NULL};
    assert_int_equal(child_run(make, 10 * MOMENT_SECOND), 0);
    assert_int_equal(child_run(copy, 10 * MOMENT_SECOND), 0);
    return folder;
}

static void expect_guarded(const struct driver_export *open)
{
    for (size_t i = 0; i < open->disk_count; i++) {
        const struct driver_exported_disk *disk = &open->disks[i];
        if (disk->socket)
            continue;
        assert_true(disk_admits(disk, disk->tls_dir));
        assert_false(disk_admits(disk, NULL));
        assert_false(disk_admits(disk, stranger(disk->tls_dir)));
    }
}

void remote_disks_want_certificates(void **state)
{
    if (!can(DRIVER_CAN_READ_DISKS, DRIVER_CAN_WRITE_DISKS | DRIVER_CAN_DETAIL))
        return;
    struct driver_instance_spec spec = running("guarded");
    struct driver_export_spec read = reading(), write = writing();
    struct driver_export open = opened(spec.id, &read);
    expect_guarded(&open);
    closed(spec.id, read.id, false);
    const struct driver_shell_disk disk = {.size_bytes = 64 * MIB, .boot = true};
    struct driver_shell_spec shell = new_shell("guarded-too", &disk, 1);
    struct driver_call call = call_long();
    struct driver_instance made;
    OK(gate_instance_prepare(gate, &call, &shell, &made));
    open = opened(shell.id, &write);
    expect_guarded(&open);
    closed(shell.id, write.id, false);
}

void export_of_the_unknown(void **state)
{
    if (!can(DRIVER_CAN_READ_DISKS, 0))
        return;
    struct driver_call call = call_long();
    const struct driver_key unknown = {.id = id_new_in(arena)};
    struct driver_export_spec read = reading();
    struct driver_export open;
    struct driver_detail detail;
    FAILS(gate_export_open(gate, &call, &unknown, &read, &open), ERR_NOT_FOUND);
    OK(gate_export_close(gate, &call, &unknown, read.id, false));
    if (gate_can(gate, DRIVER_CAN_DETAIL))
        FAILS(gate_instance_detail(gate, &call, &unknown, &detail), ERR_NOT_FOUND);
}

void deleted_while_exported(void **state)
{
    if (!can(DRIVER_CAN_READ_DISKS, 0))
        return;
    struct driver_call call = call_long();
    struct driver_instance_spec spec = stopped("deleted");
    struct driver_export_spec read = reading();
    struct driver_instance found;
    (void)opened(spec.id, &read);
    OK(gate_instance_delete(gate, &call, &KEY(spec.id)));
    FAILS(gate_instance_find(gate, &call, &KEY(spec.id), &found), ERR_NOT_FOUND);
    closed(spec.id, read.id, false);
    struct driver_inventory all = inventory_of(gate);
    struct driver_volume left;
    assert_int_equal(volumes_with(&all, spec.id, &left), 0);
}

/* --- snapshots --- */

static size_t snapshots_named(const char *id, const char *name)
{
    struct driver_detail detail = detail_of(id);
    size_t found = 0;
    for (size_t i = 0; i < detail.snapshot_count; i++)
        found += strcmp(detail.snapshots[i], name) == 0;
    return found;
}

void snapshot_brings_disks_back(void **state)
{
    if (!can(DRIVER_CAN_SNAPSHOT, DRIVER_CAN_READ_DISKS | DRIVER_CAN_DETAIL) || !conformance_peer.touch)
        return;
    struct driver_call call = call_long();
    struct driver_instance_spec spec = running("snap");
    touch(&spec, FAR, AREA, 0x71);
    for (int i = 0; i < 2; i++)
        OK(gate_snapshot_create(gate, &call, &KEY(spec.id), "before", true));
    assert_int_equal(snapshots_named(spec.id, "before"), 1);
    touch(&spec, FAR, AREA, 0x72);
    FAILS(gate_snapshot_revert(gate, &call, &KEY(spec.id), "before"), ERR_CONFLICT);
    OK(gate_instance_stop(gate, &call, &KEY(spec.id), 0));
    wait_for_power(spec.id, DRIVER_POWER_OFF);
    FAILS(gate_snapshot_revert(gate, &call, &KEY(spec.id), "never-made"), ERR_NOT_FOUND);
    OK(gate_snapshot_revert(gate, &call, &KEY(spec.id), "before"));
    wait_for_power(spec.id, DRIVER_POWER_OFF);
    struct driver_export_spec read = reading();
    struct driver_export open = opened(spec.id, &read);
    disk_expect(boot_of(spec.id, &open), FAR, AREA, 0x71);
    closed(spec.id, read.id, false);
    OK(gate_instance_start(gate, &call, &KEY(spec.id)));
    wait_for_power(spec.id, DRIVER_POWER_ON);
    for (int i = 0; i < 2; i++)
        OK(gate_snapshot_delete(gate, &call, &KEY(spec.id), "before"));
    assert_int_equal(snapshots_named(spec.id, "before"), 0);
    FAILS(gate_snapshot_revert(gate, &call, &KEY(spec.id), "before"), ERR_NOT_FOUND);
}

/* What a delta is counted from is gone with the disks that it was of. */
void revert_ends_deltas(void **state)
{
    if (!can(DRIVER_CAN_SNAPSHOT, DRIVER_CAN_TRACK_CHANGES | DRIVER_CAN_DETAIL) || !conformance_peer.touch)
        return;
    struct driver_call call = call_long();
    struct driver_instance_spec spec = running("revert");
    touch(&spec, FAR, AREA, 0x75);
    OK(gate_snapshot_create(gate, &call, &KEY(spec.id), "old", false));
    touch(&spec, FAR, AREA, 0x76);
    struct driver_export_spec full = reading(), delta = reading();
    full.checkpoint = id_new_in(arena);
    (void)opened(spec.id, &full);
    closed(spec.id, full.id, true);
    OK(gate_instance_stop(gate, &call, &KEY(spec.id), 0));
    wait_for_power(spec.id, DRIVER_POWER_OFF);
    OK(gate_snapshot_revert(gate, &call, &KEY(spec.id), "old"));
    delta.since = full.checkpoint;
    struct driver_export open = opened(spec.id, &delta);
    const struct driver_exported_disk *disk = boot_of(spec.id, &open);
    assert_int_equal(disk_changed(disk, FAR, AREA), AREA);
    disk_expect(disk, FAR, AREA, 0x75);
    closed(spec.id, delta.id, false);
}

/* --- moves --- */

void live_move_changes_sides(void **state)
{
    if (!can(DRIVER_CAN_MOVE, DRIVER_CAN_DETAIL | DRIVER_CAN_FENCE) || !conformance_peer.moves_between)
        return;
    struct driver_instance_spec spec = running("moves");
    struct gate *there = second_gate();
    struct driver_endpoint target = second_endpoint();
    struct driver_detail detail = detail_of(spec.id);
    const struct driver_shell_disk disk = {
        .size_bytes = boot_disk(&detail)->size_bytes, .boot = true, .high_performance = false};
    const struct driver_move_spec move = {
        .id = id_new_in(arena), .target = &target, .network = cloud.network, .disks = &disk, .disk_count = 1};
    struct driver_call call = call_long();
    struct driver_move_report report;
    struct driver_instance found;
    enum driver_side side;
    OK(gate_move_validate(gate, &call, &KEY(spec.id), &move));
    FAILS(gate_instance_find(there, &call, &KEY(spec.id), &found), ERR_NOT_FOUND);
    /* Settling a move that never began leaves everything as it is. */
    OK(gate_move_settle(gate, &call, &KEY(spec.id), &move, false, &side));
    assert_int_equal(side, DRIVER_SIDE_SOURCE);
    wait_for_power(spec.id, DRIVER_POWER_ON);
    OK(gate_move_run(gate, &call, &KEY(spec.id), &move, &report));
    OK(gate_instance_find(there, &call, &KEY(spec.id), &found));
    assert_int_equal(found.power, DRIVER_POWER_ON);
    assert_int_equal(found.memory_mb, spec.memory_mb);
    if (report.ref)
        assert_string_equal(report.ref, found.ref);
    OK(gate_instance_find(gate, &call, &KEY(spec.id), &found));
    assert_int_equal(found.power, DRIVER_POWER_OFF);
    assert_true(detail_of(spec.id).fenced);
    FAILS(gate_instance_start(gate, &call, &KEY(spec.id)), ERR_CONFLICT);
    for (int i = 0; i < 2; i++) {
        OK(gate_move_settle(gate, &call, &KEY(spec.id), &move, true, &side));
        assert_int_equal(side, DRIVER_SIDE_TARGET);
    }
    OK(gate_instance_stop(there, &call, &KEY(spec.id), 0));
    OK(gate_instance_start(there, &call, &KEY(spec.id)));
    OK(gate_instance_delete(gate, &call, &KEY(spec.id)));
    OK(gate_instance_find(there, &call, &KEY(spec.id), &found));
    assert_int_equal(found.power, DRIVER_POWER_ON);
}

void cancelled_move_stays(void **state)
{
    if (!can(DRIVER_CAN_MOVE, DRIVER_CAN_DETAIL | DRIVER_CAN_FENCE) || !conformance_peer.moves_between)
        return;
    struct driver_instance_spec spec = running("cancels");
    struct driver_endpoint target = second_endpoint();
    struct driver_detail detail = detail_of(spec.id);
    const struct driver_shell_disk disk = {.size_bytes = boot_disk(&detail)->size_bytes, .boot = true};
    struct driver_move_spec move = {.id = id_new_in(arena),
                                    .target = &target,
                                    .network = cloud.network,
                                    .disks = &disk,
                                    .disk_count = 1,
                                    .bandwidth = 4 * MIB};
    for (int looks = 2; looks <= 6; looks += 4) {
        struct driver_call call = call_long();
        struct driver_move_report report;
        struct driver_instance found;
        int left = looks;
        call.progress = count_down;
        call.context = &left;
        FAILS(gate_move_run(gate, &call, &KEY(spec.id), &move, &report), ERR_CANCELLED);
        call.progress = NULL;
        FAILS(gate_instance_find(second_gate(), &call, &KEY(spec.id), &found), ERR_NOT_FOUND);
        wait_for_power(spec.id, DRIVER_POWER_ON);
        assert_false(detail_of(spec.id).fenced);
    }
}
