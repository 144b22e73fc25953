/* Exports of disks where the conformance suite cannot look: lost bitmaps, resized disks, a daemon that dies,
 * operators who resume and start by hand. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/id.h"
#include "broker/base/moment.h"
#include "tests/drivers/kvm/pair.h"

static struct driver_export_spec reading(struct fixture *f)
{
    return (struct driver_export_spec){.id = id_new_in(f->arena), .access = DRIVER_READ};
}

static struct driver_export opened(struct fixture *f, const char *id, const struct driver_export_spec *spec)
{
    struct driver_call call = fixture_call(f, 60);
    struct driver_export open = {.disk_count = 0};
    fixture_ok(kvm_driver.export_open(f->session, &call, &(struct driver_key){.id = id}, spec, &open));
    return open;
}

static void closed(struct fixture *f, const char *id, const char *export_id, bool keep)
{
    struct driver_call call = fixture_call(f, 60);
    fixture_ok(kvm_driver.export_close(f->session, &call, &(struct driver_key){.id = id}, export_id, keep));
}

static const struct driver_exported_disk *disk_of(const struct driver_export *open, const char *name)
{
    for (size_t i = 0; i < open->disk_count; i++)
        if (strcmp(open->disks[i].disk, name) == 0)
            return &open->disks[i];
    fail_msg("no disk \"%s\"", name);
    return NULL;
}

static int virsh(struct fixture *f, const char *a, const char *b, const char *c)
{
    return kvmcloud_virsh(f->cloud, NULL, 0, (const char *const[]){a, b, c, NULL});
}

static void expect_line(struct fixture *f, const char *id, const char *line)
{
    char said[4096];
    assert_int_equal(kvmcloud_virsh(f->cloud, said, sizeof said, (const char *const[]){"dominfo", id, NULL}),
                     0);
    if (!strstr(said, line))
        fail_msg("no \"%s\" in:\n%s", line, said);
}

/* Opened again it is of the same moment as long as it is there, and of another one when it was lost. */
static void test_an_export_that_was_lost_is_of_another_moment(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec spec = fixture_spec(f, "moment");
    fixture_create(f, &spec);
    struct driver_export_spec full = reading(f);
    full.checkpoint = id_new_in(f->arena);
    struct driver_export first = opened(f, spec.id, &full);
    assert_non_null(first.moment);
    kvmcloud_command(f->cloud, "crash"); /* the daemon alone: the guest's process has it all */
    fixture_reopen(f);
    assert_string_equal(opened(f, spec.id, &full).moment, first.moment);
    pair_kill_source(spec.name);
    struct driver_call call = fixture_call(f, 60);
    fixture_ok(kvm_driver.instance_stop(f->session, &call, &(struct driver_key){.id = spec.id}, 0));
    struct driver_export off = opened(f, spec.id, &full);
    assert_string_not_equal(off.moment, first.moment);
    closed(f, spec.id, full.id, true);
    assert_string_not_equal(opened(f, spec.id, &full).moment, off.moment);
    closed(f, spec.id, full.id, false);
}

static void test_killed_qemu_loses_its_bitmaps(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec spec = fixture_spec(f, "bitmaps");
    fixture_create(f, &spec);
    struct driver_export_spec full = reading(f), delta = reading(f), next = reading(f);
    full.checkpoint = id_new_in(f->arena);
    (void)opened(f, spec.id, &full);
    closed(f, spec.id, full.id, true);
    pair_kill_source(spec.name);
    struct driver_call call = fixture_call(f, 60);
    const struct driver_key key = {.id = spec.id};
    fixture_ok(kvm_driver.instance_stop(f->session, &call, &key, 0));
    fixture_ok(kvm_driver.instance_start(f->session, &call, &key));
    struct driver_detail detail;
    fixture_ok(kvm_driver.instance_detail(f->session, &call, &key, &detail));
    assert_int_equal(detail.checkpoint_count, 0); /* libvirt's record is there, and good for nothing */
    delta.since = full.checkpoint;
    delta.checkpoint = id_new_in(f->arena);
    struct driver_export open = opened(f, spec.id, &delta);
    assert_null(disk_of(&open, "sda")->dirty_context);
    assert_string_equal(disk_of(&open, "sda")->full_reason, "the bitmap of that checkpoint was lost");
    closed(f, spec.id, delta.id, true);
    /* From the new checkpoint on changes are told again. */
    next.since = delta.checkpoint;
    open = opened(f, spec.id, &next);
    assert_non_null(disk_of(&open, "sda")->dirty_context);
    assert_null(disk_of(&open, "sda")->full_reason);
    closed(f, spec.id, next.id, true);
    fixture_fails(kvm_driver.snapshot_create(f->session, &call, &key, "tracked", false), ERR_CONFLICT);
    fixture_ok(kvm_driver.checkpoint_delete(f->session, &call, &key, full.checkpoint));
    fixture_ok(kvm_driver.checkpoint_delete(f->session, &call, &key, delta.checkpoint));
    char names[256];
    assert_int_equal(kvmcloud_virsh(f->cloud, names, sizeof names,
                                    (const char *const[]){"checkpoint-list", spec.id, "--name", NULL}),
                     0);
    assert_null(strchr(names, '-'));
}

static void test_resized_and_new_disks_are_read_in_full(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec spec = fixture_spec(f, "resized");
    struct driver_volume_spec grown = {.id = id_new_in(f->arena), .name = "grown", .size_gb = 1};
    struct driver_volume_spec later = {.id = id_new_in(f->arena), .name = "later", .size_gb = 1};
    struct driver_volume volume;
    struct driver_call call = fixture_call(f, 90);
    const struct driver_key key = {.id = spec.id}, first = {.id = grown.id}, second = {.id = later.id};
    fixture_create(f, &spec);
    fixture_ok(kvm_driver.instance_stop(f->session, &call, &key, 0));
    fixture_ok(kvm_driver.volume_create(f->session, &call, &grown, &volume));
    fixture_ok(kvm_driver.volume_create(f->session, &call, &later, &volume));
    fixture_ok(kvm_driver.volume_attach(f->session, &call, &first, &key));
    fixture_ok(kvm_driver.instance_start(f->session, &call, &key));
    struct driver_export_spec full = reading(f), delta = reading(f);
    full.checkpoint = id_new_in(f->arena);
    (void)opened(f, spec.id, &full);
    closed(f, spec.id, full.id, true);
    fixture_ok(kvm_driver.volume_resize(f->session, &call, &first, 2));
    fixture_ok(kvm_driver.volume_attach(f->session, &call, &second, &key));
    delta.since = full.checkpoint;
    struct driver_export open = opened(f, spec.id, &delta);
    assert_int_equal(open.disk_count, 3);
    assert_non_null(disk_of(&open, "sda")->dirty_context);
    assert_string_equal(disk_of(&open, "sdb")->full_reason, "resized since that checkpoint");
    assert_int_equal(disk_of(&open, "sdb")->size_bytes, UINT64_C(2) << 30);
    assert_string_equal(disk_of(&open, "sdc")->full_reason, "it was not there at that checkpoint");
    closed(f, spec.id, delta.id, true);
}

/* The daemon dies while an export is open: QEMU goes on serving it, and the next broker finds it. */
static void test_daemon_dies_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec spec = fixture_spec(f, "meanwhile");
    fixture_create(f, &spec);
    struct driver_export_spec read = reading(f), other = reading(f);
    read.checkpoint = id_new_in(f->arena);
    struct driver_export open = opened(f, spec.id, &read), again, refused;
    kvmcloud_command(f->cloud, "crash");
    fixture_reopen(f);
    struct driver_call call = fixture_call(f, 60);
    fixture_fails(
        kvm_driver.export_open(f->session, &call, &(struct driver_key){.id = spec.id}, &other, &refused),
        ERR_BUSY);
    again = opened(f, spec.id, &read);
    assert_string_equal(again.disks[0].socket, open.disks[0].socket);
    closed(f, spec.id, read.id, true);
    again = opened(f, spec.id, &other);
    assert_int_equal(access(again.disks[0].socket, F_OK), 0);
    /* And the guest dies: the export is lost, and made anew under its id. */
    pair_kill_source(spec.name);
    while (fixture_find(f, spec.id).power != DRIVER_POWER_OFF)
        nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL); /* between two looks */
    closed(f, spec.id, other.id, true);
    again = opened(f, spec.id, &other);
    assert_false(again.running);
    closed(f, spec.id, other.id, true);
}

static void test_operators_cannot_run_what_is_served(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec spec = fixture_spec(f, "served");
    struct driver_call call = fixture_call(f, 60);
    const struct driver_key key = {.id = spec.id};
    struct driver_instance instance;
    fixture_create(f, &spec);
    fixture_hears(f, spec.id, "yunqiao guest served ready", 1);
    call = fixture_call(f, 120);
    fixture_ok(kvm_driver.instance_stop(f->session, &call, &key, 0));
    expect_line(f, spec.id, "Autostart:      enable");
    fixture_ok(kvm_driver.instance_fence(f->session, &call, &key));
    expect_line(f, spec.id, "Autostart:      disable");
    assert_int_not_equal(virsh(f, "start", spec.id, NULL), 0);
    assert_int_not_equal(virsh(f, "start", spec.id, "--paused"), 0);
    struct driver_export_spec write = {.id = id_new_in(f->arena), .access = DRIVER_WRITE};
    (void)opened(f, spec.id, &write);
    fixture_fails(kvm_driver.instance_release(f->session, &call, &key), ERR_CONFLICT);
    fixture_fails(kvm_driver.instance_resize(f->session, &call, &key, 2, 1024), ERR_CONFLICT);
    assert_int_not_equal(virsh(f, "start", spec.id, NULL), 0);
    assert_int_equal(virsh(f, "resume", spec.id, NULL), 0);
    assert_int_equal(fixture_find(f, spec.id).power, DRIVER_POWER_OFF);
    fixture_ok(kvm_driver.instance_find(f->session, &call, &key, &instance));
    assert_int_equal(instance.memory_mb, spec.memory_mb);
    /* Its firmware has found nothing to start once it asks for a restart or stands still; the guest says
     * nothing. What it would have said is heard after its release. */
    closed(f, spec.id, write.id, true);
    expect_line(f, spec.id, "State:          shut off");
    assert_int_not_equal(virsh(f, "start", spec.id, NULL), 0);
    fixture_ok(kvm_driver.instance_release(f->session, &call, &key));
    expect_line(f, spec.id, "Autostart:      enable");
    fixture_ok(kvm_driver.instance_start(f->session, &call, &key));
    fixture_hears(f, spec.id, "yunqiao guest served ready", 2);
    call = fixture_call(f, 30);
    const char *text, *at;
    size_t length, kernels = 0;
    fixture_ok(kvm_driver.instance_console(f->session, &call, &key, 65536, &text, &length));
    for (at = text; (at = strstr(at, "yunqiao guest served kernel")); at++)
        kernels++;
    assert_int_equal(kernels, 2);
}

static void test_shell_is_not_created_over(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec spec = fixture_spec(f, "shell");
    const struct driver_shell_disk disk = {.size_bytes = UINT64_C(1) << 30, .boot = true};
    struct driver_shell_spec shell = {.id = spec.id,
                                      .name = "shell",
                                      .architecture = "x86",
                                      .vcpu = 2,
                                      .memory_mb = 1024,
                                      .mac = "52:54:00:0a:0b:0c",
                                      .network = KVMCLOUD_NETWORK,
                                      .disks = &disk,
                                      .disk_count = 1};
    struct driver_call call = fixture_call(f, 60);
    struct driver_instance instance;
    struct driver_detail detail;
    const struct driver_key key = {.id = spec.id};
    shell.firmware = DRIVER_FIRMWARE_UEFI_SECURE;
    fixture_fails(kvm_driver.instance_prepare(f->session, &call, &shell, &instance), ERR_UNSUPPORTED);
    shell.firmware = DRIVER_FIRMWARE_BIOS;
    shell.network = "no-such-network";
    fixture_fails(kvm_driver.instance_prepare(f->session, &call, &shell, &instance), ERR_NOT_FOUND);
    shell.network = NULL;
    fixture_ok(kvm_driver.instance_prepare(f->session, &call, &shell, &instance));
    fixture_ok(kvm_driver.instance_detail(f->session, &call, &key, &detail));
    assert_int_equal(detail.adapter_count, 0);
    fixture_ok(kvm_driver.instance_delete(f->session, &call, &key));
    shell.network = KVMCLOUD_NETWORK;
    fixture_ok(kvm_driver.instance_prepare(f->session, &call, &shell, &instance));
    fixture_ok(kvm_driver.instance_detail(f->session, &call, &key, &detail));
    assert_int_equal(detail.adapter_count, 1);
    assert_string_equal(detail.adapters[0].mac, shell.mac);
    assert_int_equal(detail.firmware, DRIVER_FIRMWARE_BIOS);
    assert_int_equal(instance.vcpu, 2);
    fixture_fails(kvm_driver.instance_create(f->session, &call, &spec, &instance), ERR_CONFLICT);
    assert_true(pair_fenced(f, f->session, spec.id));
}

static void test_revert_keeps_the_fence(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec spec = fixture_spec(f, "kept");
    struct driver_call call = fixture_call(f, 60);
    const struct driver_key key = {.id = spec.id};
    fixture_create(f, &spec);
    fixture_ok(kvm_driver.snapshot_create(f->session, &call, &key, "before", false));
    fixture_ok(kvm_driver.instance_stop(f->session, &call, &key, 0));
    fixture_ok(kvm_driver.snapshot_create(f->session, &call, &key, "stopped", false));
    const struct driver_volume_spec later = {.id = id_new_in(f->arena), .name = "later", .size_gb = 1};
    struct driver_volume volume;
    fixture_ok(kvm_driver.volume_create(f->session, &call, &later, &volume));
    fixture_ok(kvm_driver.volume_attach(f->session, &call, &(struct driver_key){.id = later.id}, &key));
    fixture_ok(kvm_driver.instance_resize(f->session, &call, &key, 3, 2048));
    fixture_ok(kvm_driver.instance_fence(f->session, &call, &key));
    fixture_fails(kvm_driver.snapshot_revert(f->session, &call, &key, "before"), ERR_CONFLICT);
    fixture_ok(kvm_driver.volume_detach(f->session, &call, &(struct driver_key){.id = later.id}, &key));
    fixture_ok(kvm_driver.snapshot_revert(f->session, &call, &key, "before"));
    assert_true(pair_fenced(f, f->session, spec.id));
    assert_int_equal(fixture_find(f, spec.id).vcpu, 3);
    assert_int_equal(fixture_find(f, spec.id).memory_mb, 2048);
    fixture_ok(kvm_driver.snapshot_revert(f->session, &call, &key, "stopped"));
    fixture_ok(kvm_driver.snapshot_delete(f->session, &call, &key, "before"));
    fixture_ok(kvm_driver.snapshot_delete(f->session, &call, &key, "stopped"));
    struct driver_detail detail;
    fixture_ok(kvm_driver.instance_detail(f->session, &call, &key, &detail));
    assert_int_equal(detail.snapshot_count, 0);
    assert_int_not_equal(virsh(f, "start", spec.id, NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_export_that_was_lost_is_of_another_moment),
        TEST(test_killed_qemu_loses_its_bitmaps),
        TEST(test_resized_and_new_disks_are_read_in_full),
        TEST(test_daemon_dies_meanwhile),
        TEST(test_operators_cannot_run_what_is_served),
        TEST(test_shell_is_not_created_over),
        TEST(test_revert_keeps_the_fence),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, fixture_setup, pair_teardown);
}
