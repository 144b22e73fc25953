/* The life of instances against vcsim: what is asked for is what the provider has afterwards, repeats change
 * nothing, and an outcome that got lost on the way is found out. */
#include "tests/drivers/vmware/fixture.h"

#include "drivers/vmware/machine.h"

static int setup(void **state)
{
    fixture_start((const char *const[]){"-vm", "2", NULL});
    return 0;
}

static struct driver_instance create(const char *id, const char *name)
{
    struct driver_instance_spec spec = spec_of(id, name);
    struct driver_instance instance;
    OK(vmware->instance_create(session, &call, &spec, &instance));
    return instance;
}

static struct driver_instance find(const char *id)
{
    struct driver_key key = key_of(id);
    struct driver_instance instance;
    OK(vmware->instance_find(session, &call, &key, &instance));
    return instance;
}

static void delete (const char *id)
{
    struct driver_key key = key_of(id);
    OK(vmware->instance_delete(session, &call, &key));
}

/* How many machines and templates the provider has. */
static size_t instance_count(void)
{
    struct driver_inventory inventory;
    OK(vmware->inventory(session, &call, &inventory));
    return inventory.instance_count;
}

static void created_as_asked(void **state)
{
    size_t before = instance_count();
    struct driver_instance made = create(ID_A, "web");
    assert_string_equal(made.id, ID_A);
    assert_string_equal(made.name, "web-018f3b5e");
    assert_int_equal(made.power, DRIVER_POWER_ON);
    assert_int_equal(made.vcpu, 2);
    assert_int_equal(made.memory_mb, 2048);
    assert_string_equal(made.architecture, "x86");
    assert_non_null(made.host);
    assert_int_equal(strncmp(made.host, "DC0_C0_H", 8), 0);
    struct driver_instance found = find(ID_A);
    assert_string_equal(found.ref, made.ref);
    /* the same again is the same one */
    struct driver_instance again = create(ID_A, "web");
    assert_string_equal(again.ref, made.ref);
    assert_int_equal(instance_count(), before + 1);
    delete (ID_A);
    assert_int_equal(instance_count(), before);
    delete (ID_A);
}

/* What the clone must not simply inherit from the template. */
static void hardware_is_fitted(void **state)
{
    struct driver_instance_spec spec = spec_of(ID_A, "fit");
    struct driver_instance instance;
    struct machine machine;
    struct driver_key key = key_of(ID_A);
    spec.user_data = "#cloud-config\n";
    OK(vmware->instance_create(session, &call, &spec, &instance));
    OK(machine_find(session, &call, &key, &machine));
    assert_int_equal(machine.disk_count, 1);
    assert_int_equal(machine.disks[0].capacity_kb, INT64_C(10) << 20);
    assert_non_null(strstr(machine.disks[0].file, "fit-018f3b5e/"));
    assert_int_equal(machine.card_count, 1);
    assert_string_equal(machine.cards[0].network, "VM Network");
    assert_true(machine.cpu_hot && machine.memory_hot);
    delete (ID_A);
    spec.network = "DC0_DVPG0";
    spec.user_data = NULL;
    OK(vmware->instance_create(session, &call, &spec, &instance));
    OK(machine_find(session, &call, &key, &machine));
    assert_int_equal(machine.card_count, 1);
    assert_non_null(machine.cards[0].portgroup);
    delete (ID_A);
}

/* An image that is a disk's file: the volume folder stands in for one with images. */
static void built_around_a_disk(void **state)
{
    size_t before = instance_count();
    struct driver_volume_spec disk = {VOLUME_A, "golden", 3, false};
    struct driver_volume image;
    OK(vmware->volume_create(session, &call, &disk, &image));
    struct driver_instance_spec spec = spec_of(ID_A, "boot");
    struct driver_key key = key_of(ID_A), volume = key_of(VOLUME_A);
    struct driver_instance instance;
    struct machine machine;
    spec.image = image.ref;
    spec.network = "DC0_DVPG0";
    FAILS(vmware->instance_create(session, &call, &spec, &instance), ERR_NOT_FOUND, "no template");

    struct driver_endpoint endpoint = vcsim_endpoint(sim);
    json_t *options = json_pack("{s:s}", "image_folder", "yunqiao");
    endpoint.options = options;
    struct driver_session *other;
    OK(vmware->open(&endpoint, &call, &other));
    vcsim_control(sim, "/__inject?method=CreateVM_Task&kind=drop-after");
    OK(vmware->instance_create(other, &call, &spec, &instance));
    OK(machine_find(other, &call, &key, &machine));
    assert_int_equal(machine.instance.power, DRIVER_POWER_ON);
    assert_int_equal(machine.instance.vcpu, 2);
    assert_int_equal(machine.disk_count, 1);
    assert_int_equal(machine.disks[0].capacity_kb, INT64_C(10) << 20);
    assert_string_not_equal(machine.disks[0].file, image.ref);
    assert_int_equal(machine.card_count, 1);
    assert_non_null(machine.cards[0].portgroup);
    assert_int_equal(instance_count(), before + 1);
    delete (ID_A);
    OK(vmware->volume_find(session, &call, &volume, &image)); /* the image stays */
    OK(vmware->volume_delete(session, &call, &volume));
    FAILS(vmware->instance_create(other, &call, &spec, &instance), ERR_NOT_FOUND, "copy the disk");
    spec.image = "[LocalDS_0] yunqiao/../" VCSIM_TEMPLATE "/" VCSIM_TEMPLATE ".vmdk";
    FAILS(vmware->instance_create(other, &call, &spec, &instance), ERR_NOT_FOUND, "no template");
    spec.image = "[LocalDS_0] " VCSIM_TEMPLATE "/" VCSIM_TEMPLATE ".vmdk";
    FAILS(vmware->instance_create(other, &call, &spec, &instance), ERR_NOT_FOUND, "no template");
    assert_int_equal(instance_count(), before);
    vmware->close(other);
    json_decref(options);
}

static void two_clones_keep_their_own(void **state)
{
    struct driver_instance a = create(ID_A, "a"), b = create(ID_B, "b");
    assert_string_not_equal(a.ref, b.ref);
    delete (ID_A);
    assert_int_equal(find(ID_B).power, DRIVER_POWER_ON);
    delete (ID_B);
}

static void stale_hints_are_seen_through(void **state)
{
    struct driver_instance a = create(ID_A, "a"), b = create(ID_B, "b");
    struct driver_key key = {ID_A, b.ref};
    struct driver_instance found;
    OK(vmware->instance_find(session, &call, &key, &found));
    assert_string_equal(found.ref, a.ref);
    key.ref = "vm-no-such";
    OK(vmware->instance_find(session, &call, &key, &found));
    assert_string_equal(found.ref, a.ref);
    delete (ID_A);
    key.ref = b.ref; /* the hint must not lead to another's machine */
    OK(vmware->instance_delete(session, &call, &key));
    assert_string_equal(find(ID_B).ref, b.ref);
    delete (ID_B);
}

static void power_goes_both_ways(void **state)
{
    create(ID_A, "p");
    struct driver_key key = key_of(ID_A);
    OK(vmware->instance_start(session, &call, &key));
    OK(vmware->instance_stop(session, &call, &key, 5 * MOMENT_SECOND)); /* the guest is asked */
    assert_int_equal(vcsim_calls(sim, "ShutdownGuest"), 1);
    assert_int_equal(find(ID_A).power, DRIVER_POWER_OFF);
    OK(vmware->instance_stop(session, &call, &key, 0));
    FAILS(vmware->instance_reboot(session, &call, &key), ERR_CONFLICT, "does not run");
    OK(vmware->instance_start(session, &call, &key));
    assert_int_equal(find(ID_A).power, DRIVER_POWER_ON);
    OK(vmware->instance_reboot(session, &call, &key));
    assert_int_equal(vcsim_calls(sim, "ResetVM_Task"), 1);
    long cuts = vcsim_calls(sim, "PowerOffVM_Task");
    OK(vmware->instance_stop(session, &call, &key, 0));
    assert_int_equal(vcsim_calls(sim, "PowerOffVM_Task"), cuts + 1);
    assert_int_equal(find(ID_A).power, DRIVER_POWER_OFF);
    delete (ID_A);
}

static void a_guest_without_tools_is_cut(void **state)
{
    create(ID_A, "p");
    struct driver_key key = key_of(ID_A);
    vcsim_control(sim, "/__inject?method=ShutdownGuest&kind=fault:ToolsUnavailable");
    OK(vmware->instance_stop(session, &call, &key, 5 * MOMENT_SECOND));
    assert_int_equal(find(ID_A).power, DRIVER_POWER_OFF);
    delete (ID_A);
}

static void resized(void **state)
{
    create(ID_A, "r");
    struct driver_key key = key_of(ID_A);
    OK(vmware->instance_resize(session, &call, &key, 4, 4096)); /* hot add was enabled at creation */
    assert_int_equal(find(ID_A).vcpu, 4);
    assert_int_equal(find(ID_A).memory_mb, 4096);
    FAILS(vmware->instance_resize(session, &call, &key, 1, 4096), ERR_CONFLICT, "CPU count");
    FAILS(vmware->instance_resize(session, &call, &key, 4, 1024), ERR_CONFLICT, "memory");
    assert_int_equal(find(ID_A).vcpu, 4);
    OK(vmware->instance_stop(session, &call, &key, 0));
    OK(vmware->instance_resize(session, &call, &key, 1, 1024));
    assert_int_equal(find(ID_A).vcpu, 1);
    assert_int_equal(find(ID_A).memory_mb, 1024);
    long changes = vcsim_calls(sim, "ReconfigVM_Task");
    OK(vmware->instance_resize(session, &call, &key, 1, 1024));
    assert_int_equal(vcsim_calls(sim, "ReconfigVM_Task"), changes);
    FAILS(vmware->instance_resize(session, &call, &key, 1, 1023), ERR_INVALID, "steps of 4 MB");
    delete (ID_A);
}

static void gone_is_told(void **state)
{
    struct driver_key key = key_of(ID_A);
    struct driver_instance instance;
    FAILS(vmware->instance_find(session, &call, &key, &instance), ERR_NOT_FOUND, ID_A);
    FAILS(vmware->instance_start(session, &call, &key), ERR_NOT_FOUND, ID_A);
    FAILS(vmware->instance_stop(session, &call, &key, 0), ERR_NOT_FOUND, ID_A);
    FAILS(vmware->instance_resize(session, &call, &key, 1, 1024), ERR_NOT_FOUND, ID_A);
    OK(vmware->instance_delete(session, &call, &key));
}

static void what_cannot_be_is_refused(void **state)
{
    size_t before = instance_count();
    struct driver_instance instance;
    struct driver_instance_spec spec = spec_of(ID_A, "x");
    spec.image = "no-such-template";
    FAILS(vmware->instance_create(session, &call, &spec, &instance), ERR_NOT_FOUND, "no-such-template");
    spec = spec_of(ID_A, "x");
    spec.network = "no-such-network";
    FAILS(vmware->instance_create(session, &call, &spec, &instance), ERR_NOT_FOUND, "no-such-network");
    spec = spec_of(ID_A, "x");
    spec.high_performance = true;
    FAILS(vmware->instance_create(session, &call, &spec, &instance), ERR_NO_CAPACITY, "high-performance");
    spec = spec_of(ID_A, "x");
    spec.architecture = "C86";
    FAILS(vmware->instance_create(session, &call, &spec, &instance), ERR_NO_CAPACITY, "C86");
    spec = spec_of(ID_A, "x");
    spec.system_disk_gb = 1; /* the template has 2 */
    FAILS(vmware->instance_create(session, &call, &spec, &instance), ERR_INVALID, "more than the 1 GB");
    assert_int_equal(instance_count(), before); /* and what was made of it is gone */
}

static void lost_answers_are_found_out(void **state)
{
    static const char *const steps[] = {"CloneVM_Task", "ReconfigVM_Task", "PowerOnVM_Task"};
    size_t before = instance_count();
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        char path[128];
        snprintf(path, sizeof path, "/__inject?method=%s&kind=drop-after", steps[i]);
        vcsim_control(sim, path);
        struct driver_instance made = create(ID_A, "lost");
        assert_int_equal(made.power, DRIVER_POWER_ON);
        assert_int_equal(made.vcpu, 2);
        assert_int_equal(instance_count(), before + 1);
        vcsim_control(sim, "/__inject?method=Destroy_Task&kind=drop-after");
        delete (ID_A);
        assert_int_equal(instance_count(), before);
    }
}

static void half_made_is_finished(void **state)
{
    /* three lost power-ons in a row: the operation gives up, the machine stays; a repeat finishes it */
    vcsim_control(sim, "/__inject?method=PowerOnVM_Task&kind=drop&times=3");
    struct driver_instance_spec spec = spec_of(ID_A, "half");
    struct driver_instance instance;
    FAILS(vmware->instance_create(session, &call, &spec, &instance), ERR_UNAVAILABLE, "PowerOnVM_Task");
    assert_int_equal(find(ID_A).power, DRIVER_POWER_OFF);
    assert_int_equal(create(ID_A, "half").power, DRIVER_POWER_ON);
    delete (ID_A);
}

static void a_lasting_failure_leaves_nothing(void **state)
{
    size_t before = instance_count();
    vcsim_control(sim, "/__inject?method=PowerOnVM_Task&kind=fault:InsufficientMemoryResourcesFault");
    struct driver_instance_spec spec = spec_of(ID_A, "full");
    struct driver_instance instance;
    FAILS(vmware->instance_create(session, &call, &spec, &instance), ERR_NO_CAPACITY,
          "InsufficientMemoryResourcesFault");
    assert_int_equal(instance_count(), before);
}

#define TEST(function) cmocka_unit_test_setup(function, renew_call)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(created_as_asked),
        TEST(two_clones_keep_their_own),
        TEST(stale_hints_are_seen_through),
        TEST(power_goes_both_ways),
        TEST(a_guest_without_tools_is_cut),
        TEST(resized),
        TEST(gone_is_told),
        TEST(what_cannot_be_is_refused),
        TEST(hardware_is_fitted),
        TEST(built_around_a_disk),
        TEST(lost_answers_are_found_out),
        TEST(half_made_is_finished),
        TEST(a_lasting_failure_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, setup, fixture_stop);
}
