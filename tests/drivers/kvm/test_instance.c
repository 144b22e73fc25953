/* The life of an instance on a real libvirtd with a real guest. */
#include <string.h>

#include "broker/base/id.h"
#include "broker/base/moment.h"
#include "tests/drivers/kvm/fixture.h"

static struct driver_key key_of(const struct driver_instance_spec *spec)
{
    return (struct driver_key){.id = spec->id};
}

static void test_whole_life(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec spec = fixture_spec(f, "web");
    spec.user_data = "#cloud-config\necho hello from the order\n";
    struct driver_instance made = fixture_create(f, &spec);
    assert_string_equal(made.id, spec.id);
    assert_string_equal(made.ref, spec.id);
    assert_memory_equal(made.name, "web-", 4);
    assert_int_equal(made.power, DRIVER_POWER_ON);
    assert_int_equal(made.vcpu, 1);
    assert_int_equal(made.memory_mb, 1024);
    assert_string_equal(made.architecture, "x86");
    fixture_hears(f, spec.id, "yunqiao guest web ready", 1);
    fixture_hears(f, spec.id, "yunqiao guest web user-data hello from the order", 1);
    fixture_hears(f, spec.id, "yunqiao guest web address 10.91.0.", 1);
    const char *disk = arena_printf(f->arena, "yunqiao guest web disk %s %llu", spec.id, 1ULL << 30);
    fixture_hears(f, spec.id, disk, 1);
    struct driver_instance found = fixture_find(f, spec.id);
    assert_memory_equal(found.address, "10.91.0.", 8);

    /* The tail of the console. */
    struct driver_call call = fixture_call(f, 20);
    struct driver_key key = key_of(&spec);
    const char *text;
    size_t length;
    fixture_ok(kvm_driver.instance_console(f->session, &call, &key, 10, &text, &length));
    assert_int_equal(length, 10);
    assert_int_equal(strlen(text), 10);

    /* A graceful stop: the guest says that it was asked. */
    call = fixture_call(f, 60);
    fixture_ok(kvm_driver.instance_stop(f->session, &call, &key, 40 * MOMENT_SECOND));
    assert_int_equal(fixture_find(f, spec.id).power, DRIVER_POWER_OFF);
    fixture_hears(f, spec.id, "yunqiao guest web stopping", 1);
    fixture_ok(kvm_driver.instance_stop(f->session, &call, &key, 0));
    fixture_fails(kvm_driver.instance_reboot(f->session, &call, &key), ERR_CONFLICT);

    /* Creating again leaves a stopped instance stopped. */
    assert_int_equal(fixture_create(f, &spec).power, DRIVER_POWER_OFF);

    /* Stopped it can be brought to any size. */
    fixture_ok(kvm_driver.instance_resize(f->session, &call, &key, 2, 1536));
    fixture_ok(kvm_driver.instance_start(f->session, &call, &key));
    fixture_ok(kvm_driver.instance_start(f->session, &call, &key));
    found = fixture_find(f, spec.id);
    assert_int_equal(found.power, DRIVER_POWER_ON);
    assert_int_equal(found.vcpu, 2);
    assert_int_equal(found.memory_mb, 1536);
    fixture_hears(f, spec.id, "yunqiao guest web ready", 2);
    fixture_hears(f, spec.id, "yunqiao guest web cpus 2 memory ", 1);

    /* A restart. */
    fixture_ok(kvm_driver.instance_reboot(f->session, &call, &key));
    fixture_hears(f, spec.id, "yunqiao guest web ready", 3);
    assert_int_equal(fixture_find(f, spec.id).power, DRIVER_POWER_ON);

    /* Gone, and gone already. */
    call = fixture_call(f, 60);
    fixture_ok(kvm_driver.instance_delete(f->session, &call, &key));
    struct driver_instance none;
    fixture_fails(kvm_driver.instance_find(f->session, &call, &key, &none), ERR_NOT_FOUND);
    fixture_ok(kvm_driver.instance_delete(f->session, &call, &key));
    fixture_fails(kvm_driver.instance_start(f->session, &call, &key), ERR_NOT_FOUND);
    fixture_fails(kvm_driver.instance_console(f->session, &call, &key, 10, &text, &length), ERR_NOT_FOUND);
}

static void test_power_is_cut_without_grace(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec spec = fixture_spec(f, "cut");
    fixture_create(f, &spec);
    struct driver_key key = key_of(&spec);
    struct driver_call call = fixture_call(f, 20);
    /* Still in its firmware it cannot hear; after the grace the power is cut. */
    int64_t began = moment_monotonic();
    fixture_ok(kvm_driver.instance_stop(f->session, &call, &key, MOMENT_SECOND / 2));
    assert_true(moment_monotonic() - began >= MOMENT_SECOND / 2);
    assert_int_equal(fixture_find(f, spec.id).power, DRIVER_POWER_OFF);
    fixture_ok(kvm_driver.instance_start(f->session, &call, &key));
    fixture_ok(kvm_driver.instance_stop(f->session, &call, &key, 0));
    assert_int_equal(fixture_find(f, spec.id).power, DRIVER_POWER_OFF);
}

static void test_running_resize(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec spec = fixture_spec(f, "grow");
    spec.high_performance = true;
    fixture_create(f, &spec);
    struct driver_key key = key_of(&spec);
    fixture_hears(f, spec.id, "yunqiao guest grow ready", 1);
    struct driver_call call = fixture_call(f, 30);
    fixture_ok(kvm_driver.instance_resize(f->session, &call, &key, 2, 1024));
    assert_int_equal(fixture_find(f, spec.id).vcpu, 2);
    fixture_hears(f, spec.id, "yunqiao guest grow cpus 2 memory ", 1);
    fixture_fails(kvm_driver.instance_resize(f->session, &call, &key, 2, 2048), ERR_CONFLICT);
    fixture_fails(kvm_driver.instance_resize(f->session, &call, &key, 4, 2048), ERR_CONFLICT);
    assert_int_equal(fixture_find(f, spec.id).vcpu, 2);
    assert_int_equal(fixture_find(f, spec.id).memory_mb, 1024);
}

static void test_create_is_idempotent(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec spec = fixture_spec(f, "once");
    fixture_create(f, &spec);
    struct driver_instance again = fixture_create(f, &spec);
    assert_string_equal(again.id, spec.id);
    /* Another instance may want the same name. */
    struct driver_instance_spec twin = fixture_spec(f, "once");
    struct driver_instance other = fixture_create(f, &twin);
    assert_string_not_equal(other.name, again.name);
    char domains[4096];
    assert_int_equal(kvmcloud_virsh(f->cloud, domains, sizeof domains,
                                    (const char *const[]){"list", "--all", "--uuid", NULL}),
                     0);
    unsigned lines = 0;
    for (const char *at = domains; (at = strchr(at, '-')); at += 1)
        lines += at >= domains + 8 && strncmp(at - 8, spec.id, 36) == 0;
    assert_int_equal(lines, 1);
    assert_non_null(strstr(domains, twin.id));
}

static void test_bad_orders_leave_nothing(void **state)
{
    struct fixture *f = *state;
    struct driver_call call = fixture_call(f, 60);
    struct driver_instance made;
    struct driver_instance_spec spec = fixture_spec(f, "bad");
    spec.image = "no-such-image";
    fixture_fails(kvm_driver.instance_create(f->session, &call, &spec, &made), ERR_NOT_FOUND);
    spec = fixture_spec(f, "bad");
    spec.network = "no-such-network";
    fixture_fails(kvm_driver.instance_create(f->session, &call, &spec, &made), ERR_NOT_FOUND);
    spec = fixture_spec(f, "bad");
    spec.architecture = "POWER";
    fixture_fails(kvm_driver.instance_create(f->session, &call, &spec, &made), ERR_UNSUPPORTED);
    spec = fixture_spec(f, "bad");
    spec.system_disk_gb = 60000;
    fixture_fails(kvm_driver.instance_create(f->session, &call, &spec, &made), ERR_NO_CAPACITY);
    spec = fixture_spec(f, "bad");
    spec.memory_mb = UINT64_C(1) << 24;
    fixture_fails(kvm_driver.instance_create(f->session, &call, &spec, &made), ERR_NO_CAPACITY);
    spec = fixture_spec(f, "bad");
    spec.user_data = "\x01 is fine in a file";
    fixture_ok(kvm_driver.instance_create(f->session, &call, &spec, &made));
    fixture_ok(kvm_driver.instance_delete(f->session, &call, &(struct driver_key){.id = spec.id}));
    char domains[4096];
    assert_int_equal(kvmcloud_virsh(f->cloud, domains, sizeof domains,
                                    (const char *const[]){"list", "--all", "--name", NULL}),
                     0);
    assert_null(strstr(domains, "bad"));
}

static void test_image_larger_than_disk(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(kvmcloud_virsh(f->cloud, NULL, 0,
                                    (const char *const[]){"vol-create-as", "images", "wide", "2G", "--format",
                                                          "qcow2", NULL}),
                     0);
    struct driver_instance_spec spec = fixture_spec(f, "wide");
    spec.image = "wide";
    struct driver_call call = fixture_call(f, 30);
    struct driver_instance made;
    fixture_fails(kvm_driver.instance_create(f->session, &call, &spec, &made), ERR_INVALID);
    assert_int_equal(
        kvmcloud_virsh(f->cloud, NULL, 0, (const char *const[]){"vol-delete", "wide", "images", NULL}), 0);
}

static void test_full_copy(void **state)
{
    struct fixture *f = *state;
    struct driver_endpoint endpoint = kvmcloud_endpoint(f->cloud);
    json_t *options = json_deep_copy(endpoint.options);
    json_object_set_new(options, "clone", json_string("copy"));
    endpoint.options = options;
    struct driver_call call = fixture_call(f, 60);
    struct driver_session *session;
    fixture_ok(kvm_driver.open(&endpoint, &call, &session));
    json_decref(options);
    struct driver_instance_spec spec = fixture_spec(f, "copied");
    spec.system_disk_gb = 2;
    struct driver_instance made;
    fixture_ok(kvm_driver.instance_create(session, &call, &spec, &made));
    kvm_driver.close(session);
    fixture_hears(f, spec.id, arena_printf(f->arena, "disk %s %llu", spec.id, 2ULL << 30), 1);
    char text[8192];
    const char *name = arena_printf(f->arena, "yunqiao-%s-system.qcow2", spec.id);
    assert_int_equal(kvmcloud_virsh(f->cloud, text, sizeof text,
                                    (const char *const[]){"vol-dumpxml", name, "standard", NULL}),
                     0);
    assert_null(strstr(text, "<backingStore>"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_whole_life),
        TEST(test_power_is_cut_without_grace),
        TEST(test_running_resize),
        TEST(test_create_is_idempotent),
        TEST(test_bad_orders_leave_nothing),
        TEST(test_image_larger_than_disk),
        TEST(test_full_copy),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
