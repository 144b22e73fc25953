/* What the driver sees: inventory, capacity, changes; the broker's own and others'. */
#include <stdio.h>
#include <string.h>

#include "broker/base/id.h"
#include "broker/base/moment.h"
#include "tests/drivers/kvm/fixture.h"

static struct driver_inventory inventory_of(struct fixture *f)
{
    struct driver_call call = fixture_call(f, 30);
    struct driver_inventory inventory;
    fixture_ok(kvm_driver.inventory(f->session, &call, &inventory));
    return inventory;
}

static void test_empty_cloud(void **state)
{
    struct fixture *f = *state;
    struct driver_call call = fixture_call(f, 30);
    fixture_ok(kvm_driver.ping(f->session, &call));
    struct driver_about about;
    fixture_ok(kvm_driver.about(f->session, &call, &about));
    assert_memory_equal(about.product, "libvirt ", 8);
    assert_non_null(strstr(about.product, " / QEMU "));
    assert_int_equal(strlen(about.identity), 36);

    struct driver_inventory inventory = inventory_of(f);
    assert_int_equal(inventory.host_count, 1);
    assert_true(inventory.hosts[0].cores > 0);
    assert_true(inventory.hosts[0].memory_mb > 512);
    assert_true(inventory.hosts[0].usable);
    assert_int_equal(inventory.pool_count, 3);
    for (size_t i = 0; i < inventory.pool_count; i++) {
        assert_int_equal(inventory.pools[i].high_performance, strcmp(inventory.pools[i].name, "high") == 0);
        assert_true(inventory.pools[i].total_gb >= inventory.pools[i].free_gb);
    }
    assert_int_equal(inventory.network_count, 2);
    bool extranet = false;
    for (size_t i = 0; i < inventory.network_count; i++)
        extranet = extranet || strcmp(inventory.networks[i].name, KVMCLOUD_NETWORK) == 0;
    assert_true(extranet);
    assert_int_equal(inventory.image_count, 1);
    assert_string_equal(inventory.images[0].name, KVMCLOUD_IMAGE);
    assert_int_equal(inventory.images[0].size_gb, 1);
    assert_int_equal(inventory.instance_count, 0);
    assert_int_equal(inventory.volume_count, 0);
}

static void define_foreign(struct fixture *f, const char *uuid)
{
    char *path = arena_printf(f->arena, "%s/foreign.xml", kvmcloud_folder(f->cloud));
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file,
            "<domain type='qemu'><name>foreign</name><uuid>%s</uuid><memory unit='MiB'>2048</memory>"
            "<vcpu>3</vcpu><os><type arch='x86_64'>hvm</type></os></domain>",
            uuid);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(kvmcloud_virsh(f->cloud, NULL, 0, (const char *const[]){"define", path, NULL}), 0);
}

static void undefine_foreign(struct fixture *f)
{
    assert_int_equal(kvmcloud_virsh(f->cloud, NULL, 0, (const char *const[]){"undefine", "foreign", NULL}),
                     0);
}

static void test_capacity_counts_everything(void **state)
{
    struct fixture *f = *state;
    struct driver_call call = fixture_call(f, 60);
    struct driver_capacity before, after;
    fixture_ok(kvm_driver.capacity(f->session, &call, &before));
    assert_int_equal(before.architectures, DRIVER_X86);
    assert_int_equal(before.vcpu_allocated, 0);
    assert_int_equal(before.standard_gb_allocated, 0);
    define_foreign(f, id_new_in(f->arena));
    struct driver_instance_spec spec = fixture_spec(f, "counted");
    spec.vcpu = 2;
    spec.system_disk_gb = 4;
    spec.high_performance = true;
    fixture_create(f, &spec);
    struct driver_volume_spec disk = {.id = id_new_in(f->arena), .name = "data", .size_gb = 7};
    struct driver_volume volume;
    fixture_ok(kvm_driver.volume_create(f->session, &call, &disk, &volume));
    fixture_ok(kvm_driver.capacity(f->session, &call, &after));
    assert_int_equal(after.vcpu_allocated, 5);
    assert_int_equal(after.memory_mb_allocated, 3072);
    assert_int_equal(after.standard_gb_allocated, 7);
    assert_in_range(after.high_gb_allocated, 4, 5); /* with the seed and the console */
    assert_int_equal(after.cores_total, before.cores_total);
    assert_int_equal(after.memory_mb_total, before.memory_mb_total);
    undefine_foreign(f);
}

static void test_ours_and_others(void **state)
{
    struct fixture *f = *state;
    const char *uuid = id_new_in(f->arena);
    define_foreign(f, uuid);
    assert_int_equal(kvmcloud_virsh(f->cloud, NULL, 0,
                                    (const char *const[]){"vol-create-as", "standard", "theirs.qcow2", "3G",
                                                          "--format", "qcow2", NULL}),
                     0);
    struct driver_instance_spec spec = fixture_spec(f, "ours");
    fixture_create(f, &spec);
    struct driver_volume_spec disk = {.id = id_new_in(f->arena), .name = "data", .size_gb = 1};
    struct driver_volume volume;
    struct driver_call call = fixture_call(f, 60);
    fixture_ok(kvm_driver.volume_create(f->session, &call, &disk, &volume));
    fixture_ok(kvm_driver.volume_attach(f->session, &call, &(struct driver_key){.id = disk.id},
                                        &(struct driver_key){.id = spec.id}));

    struct driver_inventory inventory = inventory_of(f);
    assert_int_equal(inventory.instance_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct driver_instance *instance = &inventory.instances[i];
        if (strcmp(instance->ref, spec.id) == 0) {
            assert_string_equal(instance->id, spec.id);
            assert_int_equal(instance->power, DRIVER_POWER_ON);
        } else {
            assert_string_equal(instance->ref, uuid);
            assert_null(instance->id);
            assert_string_equal(instance->name, "foreign");
            assert_int_equal(instance->power, DRIVER_POWER_OFF);
            assert_int_equal(instance->vcpu, 3);
            assert_int_equal(instance->memory_mb, 2048);
        }
    }
    assert_int_equal(inventory.volume_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct driver_volume *seen = &inventory.volumes[i];
        if (seen->id) {
            assert_string_equal(seen->id, disk.id);
            assert_string_equal(seen->ref, volume.ref);
            assert_string_equal(seen->instance_ref, spec.id);
        } else {
            assert_string_equal(seen->name, "theirs.qcow2");
            assert_int_equal(seen->size_gb, 3);
        }
    }

    /* Others' instances are not touched by what would fit their UUID. */
    struct driver_key foreign = {.id = uuid};
    struct driver_instance none;
    fixture_fails(kvm_driver.instance_find(f->session, &call, &foreign, &none), ERR_NOT_FOUND);
    fixture_fails(kvm_driver.instance_start(f->session, &call, &foreign), ERR_NOT_FOUND);
    fixture_ok(kvm_driver.instance_delete(f->session, &call, &foreign));
    spec = fixture_spec(f, "thief");
    spec.id = uuid;
    fixture_fails(kvm_driver.instance_create(f->session, &call, &spec, &none), ERR_EXISTS);
    assert_int_equal(inventory_of(f).instance_count, 2);
    undefine_foreign(f);
    assert_int_equal(kvmcloud_virsh(f->cloud, NULL, 0,
                                    (const char *const[]){"vol-delete", "theirs.qcow2", "standard", NULL}),
                     0);
}

/* Waits for a change of that kind, at most 20 seconds. */
static void expect_change(struct fixture *f, struct driver_session *watcher, const char *ref,
                          enum driver_power power, bool gone)
{
    int64_t until = moment_monotonic() + 20 * MOMENT_SECOND;
    while (moment_monotonic() < until) {
        struct driver_call call = fixture_call(f, 5);
        struct driver_change *changes;
        size_t count;
        fixture_ok(kvm_driver.watch(watcher, &call, &changes, &count));
        for (size_t i = 0; i < count; i++)
            if (strcmp(changes[i].ref, ref) == 0 && changes[i].gone == gone &&
                (gone || changes[i].power == power)) {
                if (!gone)
                    assert_string_equal(changes[i].id, ref);
                return;
            }
    }
    fail_msg("no such change came");
}

static void test_changes_are_told(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec early = fixture_spec(f, "early"), late = fixture_spec(f, "late");
    fixture_create(f, &early);
    struct driver_session *watcher = fixture_open(f);
    struct driver_call call = fixture_call(f, 60);
    struct driver_change *changes;
    size_t count;
    fixture_ok(kvm_driver.watch(watcher, &call, &changes, &count));
    assert_int_equal(count, 1);
    assert_string_equal(changes[0].id, early.id);
    assert_int_equal(changes[0].power, DRIVER_POWER_ON);

    /* Nothing happens: success at the deadline, not before. */
    call = fixture_call(f, 1);
    int64_t began = moment_monotonic();
    fixture_ok(kvm_driver.watch(watcher, &call, &changes, &count));
    assert_int_equal(count, 0);
    assert_true(moment_monotonic() - began >= 900 * 1000);

    fixture_create(f, &late);
    expect_change(f, watcher, late.id, DRIVER_POWER_ON, false);
    struct driver_key key = {.id = late.id};
    call = fixture_call(f, 60);
    fixture_ok(kvm_driver.instance_stop(f->session, &call, &key, 0));
    expect_change(f, watcher, late.id, DRIVER_POWER_OFF, false);
    fixture_ok(kvm_driver.instance_start(f->session, &call, &key));
    expect_change(f, watcher, late.id, DRIVER_POWER_ON, false);
    assert_int_equal(kvmcloud_virsh(f->cloud, NULL, 0, (const char *const[]){"suspend", late.id, NULL}), 0);
    expect_change(f, watcher, late.id, DRIVER_POWER_SUSPENDED, false);
    fixture_ok(kvm_driver.instance_delete(f->session, &call, &key));
    expect_change(f, watcher, late.id, DRIVER_POWER_OFF, true);

    /* A lost connection is told at once. */
    kvmcloud_command(f->cloud, "crash");
    call = fixture_call(f, 30);
    began = moment_monotonic();
    struct error *error = NULL;
    while (!error && moment_monotonic() - began < 20 * MOMENT_SECOND)
        error = kvm_driver.watch(watcher, &call, &changes, &count);
    fixture_fails(error, ERR_UNAVAILABLE);
    kvm_driver.close(watcher);
    fixture_reopen(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_empty_cloud),
        TEST(test_capacity_counts_everything),
        TEST(test_ours_and_others),
        TEST(test_changes_are_told),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
