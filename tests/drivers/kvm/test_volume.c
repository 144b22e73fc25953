/* Volumes on a real libvirtd, seen by a real guest. */
#include <string.h>

#include "broker/base/id.h"
#include "broker/base/moment.h"
#include "tests/drivers/kvm/fixture.h"

static struct driver_volume create(struct fixture *f, const struct driver_volume_spec *spec)
{
    struct driver_call call = fixture_call(f, 30);
    struct driver_volume volume = {0};
    fixture_ok(kvm_driver.volume_create(f->session, &call, spec, &volume));
    return volume;
}

static struct driver_volume find(struct fixture *f, const char *id)
{
    struct driver_call call = fixture_call(f, 30);
    struct driver_volume volume = {0};
    fixture_ok(kvm_driver.volume_find(f->session, &call, &(struct driver_key){.id = id}, &volume));
    return volume;
}

static void test_life_without_an_instance(void **state)
{
    struct fixture *f = *state;
    struct driver_volume_spec spec = {.id = id_new_in(f->arena), .name = "data", .size_gb = 3};
    struct driver_volume made = create(f, &spec);
    assert_string_equal(made.id, spec.id);
    assert_int_equal(made.size_gb, 3);
    assert_string_equal(made.pool, "standard");
    assert_null(made.instance_ref);
    struct driver_volume again = create(f, &spec);
    assert_string_equal(again.ref, made.ref);

    struct driver_key key = {.id = spec.id};
    struct driver_call call = fixture_call(f, 30);
    fixture_ok(kvm_driver.volume_resize(f->session, &call, &key, 5));
    fixture_ok(kvm_driver.volume_resize(f->session, &call, &key, 5));
    fixture_fails(kvm_driver.volume_resize(f->session, &call, &key, 4), ERR_INVALID);
    assert_int_equal(find(f, spec.id).size_gb, 5);
    /* A repeat of the order after it grew gives what there is. */
    assert_int_equal(create(f, &spec).size_gb, 5);

    fixture_ok(kvm_driver.volume_delete(f->session, &call, &key));
    fixture_ok(kvm_driver.volume_delete(f->session, &call, &key));
    struct driver_volume none;
    fixture_fails(kvm_driver.volume_find(f->session, &call, &key, &none), ERR_NOT_FOUND);
    fixture_fails(kvm_driver.volume_resize(f->session, &call, &key, 6), ERR_NOT_FOUND);
}

static void test_guest_sees_it_come_grow_and_go(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec instance = fixture_spec(f, "disks");
    fixture_create(f, &instance);
    fixture_hears(f, instance.id, "yunqiao guest disks ready", 1);
    struct driver_volume_spec spec = {
        .id = id_new_in(f->arena), .name = "fast", .size_gb = 2, .high_performance = true};
    assert_string_equal(create(f, &spec).pool, "high");
    struct driver_key volume = {.id = spec.id}, there = {.id = instance.id};
    struct driver_call call = fixture_call(f, 60);

    fixture_ok(kvm_driver.volume_attach(f->session, &call, &volume, &there));
    fixture_ok(kvm_driver.volume_attach(f->session, &call, &volume, &there));
    assert_string_equal(find(f, spec.id).instance_ref, instance.id);
    fixture_hears(f, instance.id, arena_printf(f->arena, "disks disk %s %llu", spec.id, 2ULL << 30), 1);
    fixture_fails(kvm_driver.volume_delete(f->session, &call, &volume), ERR_CONFLICT);

    fixture_ok(kvm_driver.volume_resize(f->session, &call, &volume, 4));
    assert_int_equal(find(f, spec.id).size_gb, 4);
    fixture_hears(f, instance.id, arena_printf(f->arena, "disks disk %s %llu", spec.id, 4ULL << 30), 1);

    fixture_ok(kvm_driver.volume_detach(f->session, &call, &volume, &there));
    fixture_ok(kvm_driver.volume_detach(f->session, &call, &volume, &there));
    assert_null(find(f, spec.id).instance_ref);
    fixture_hears(f, instance.id, arena_printf(f->arena, "disks disk %s gone", spec.id), 1);
}

static void test_attachment_lasts_and_is_exclusive(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec one = fixture_spec(f, "one"), two = fixture_spec(f, "two");
    fixture_create(f, &one);
    fixture_create(f, &two);
    struct driver_volume_spec spec = {.id = id_new_in(f->arena), .name = "data", .size_gb = 1};
    create(f, &spec);
    struct driver_key volume = {.id = spec.id}, first = {.id = one.id}, second = {.id = two.id};
    struct driver_call call = fixture_call(f, 90);
    fixture_ok(kvm_driver.instance_stop(f->session, &call, &first, 0));
    fixture_ok(kvm_driver.volume_attach(f->session, &call, &volume, &first));
    fixture_fails(kvm_driver.volume_attach(f->session, &call, &volume, &second), ERR_CONFLICT);
    /* Detaching it from where it is not changes nothing. */
    fixture_ok(kvm_driver.volume_detach(f->session, &call, &volume, &second));
    assert_string_equal(find(f, spec.id).instance_ref, one.id);
    fixture_ok(kvm_driver.volume_resize(f->session, &call, &volume, 2));
    fixture_ok(kvm_driver.instance_start(f->session, &call, &first));
    fixture_hears(f, one.id, arena_printf(f->arena, "one disk %s %llu", spec.id, 2ULL << 30), 1);
    /* The volume stays when its instance is deleted. */
    fixture_ok(kvm_driver.instance_delete(f->session, &call, &first));
    assert_null(find(f, spec.id).instance_ref);
    assert_int_equal(find(f, spec.id).size_gb, 2);
    fixture_ok(kvm_driver.volume_attach(f->session, &call, &volume, &second));
    fixture_ok(kvm_driver.volume_detach(f->session, &call, &volume, &first));
    assert_string_equal(find(f, spec.id).instance_ref, two.id);
}

static void test_half_attached_is_finished(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec instance = fixture_spec(f, "half");
    fixture_create(f, &instance);
    struct driver_volume_spec spec = {.id = id_new_in(f->arena), .name = "data", .size_gb = 1};
    create(f, &spec);
    const char *path =
        arena_printf(f->arena, "%s/standard/yunqiao-%s.qcow2", kvmcloud_folder(f->cloud), spec.id);
    /* In the next start's definition alone, as when the daemon died between the two. */
    assert_int_equal(
        kvmcloud_virsh(f->cloud, NULL, 0,
                       (const char *const[]){"attach-disk", instance.id, path, "sdb", "--targetbus", "scsi",
                                             "--subdriver", "qcow2", "--config", NULL}),
        0);
    struct driver_key volume = {.id = spec.id}, there = {.id = instance.id};
    struct driver_call call = fixture_call(f, 60);
    fixture_ok(kvm_driver.volume_attach(f->session, &call, &volume, &there));
    char live[32768];
    assert_int_equal(
        kvmcloud_virsh(f->cloud, live, sizeof live, (const char *const[]){"domblklist", instance.id, NULL}),
        0);
    assert_non_null(strstr(live, path));
    fixture_ok(kvm_driver.volume_detach(f->session, &call, &volume, &there));
    assert_int_equal(
        kvmcloud_virsh(f->cloud, live, sizeof live, (const char *const[]){"domblklist", instance.id, NULL}),
        0);
    assert_null(strstr(live, path));
    assert_int_equal(kvmcloud_virsh(f->cloud, live, sizeof live,
                                    (const char *const[]){"domblklist", instance.id, "--inactive", NULL}),
                     0);
    assert_null(strstr(live, path));
}

static void test_half_made_is_made_anew(void **state)
{
    struct fixture *f = *state;
    struct driver_volume_spec spec = {.id = id_new_in(f->arena), .name = "data", .size_gb = 1};
    /* What a cut-off qemu-img leaves: a file of that name without a header. */
    const char *name = arena_printf(f->arena, "yunqiao-%s.qcow2", spec.id);
    assert_int_equal(kvmcloud_virsh(f->cloud, NULL, 0,
                                    (const char *const[]){"vol-create-as", "standard", name, "0", "--format",
                                                          "raw", NULL}),
                     0);
    assert_int_equal(
        kvmcloud_virsh(f->cloud, NULL, 0, (const char *const[]){"pool-refresh", "standard", NULL}), 0);
    assert_int_equal(create(f, &spec).size_gb, 1);
    char text[8192];
    assert_int_equal(kvmcloud_virsh(f->cloud, text, sizeof text,
                                    (const char *const[]){"vol-dumpxml", name, "standard", NULL}),
                     0);
    assert_non_null(strstr(text, "<format type='qcow2'/>"));
}

static void test_pool_without_room(void **state)
{
    struct fixture *f = *state;
    struct driver_volume_spec spec = {.id = id_new_in(f->arena), .name = "huge", .size_gb = 65536};
    struct driver_call call = fixture_call(f, 30);
    struct driver_volume made;
    fixture_fails(kvm_driver.volume_create(f->session, &call, &spec, &made), ERR_NO_CAPACITY);
    spec.size_gb = 1;
    create(f, &spec);
    fixture_fails(kvm_driver.volume_resize(f->session, &call, &(struct driver_key){.id = spec.id}, 65536),
                  ERR_NO_CAPACITY);
    assert_int_equal(find(f, spec.id).size_gb, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_life_without_an_instance),
        TEST(test_guest_sees_it_come_grow_and_go),
        TEST(test_attachment_lasts_and_is_exclusive),
        TEST(test_half_attached_is_finished),
        TEST(test_half_made_is_made_anew),
        TEST(test_pool_without_room),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
