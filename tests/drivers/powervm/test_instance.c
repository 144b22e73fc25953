/* Instances of the driver powervm, each operation against contrib/hmcsim; created again after every possible
 * crash. */
#include "tests/drivers/powervm/fixture.h"

#include <stdlib.h>
#include <string.h>

static int64_t number(struct fixture *fixture, const char *list, const char *member, const char *text,
                      const char *what)
{
    return json_integer_value(json_object_get(hmcsim_item(fixture->sim, list, member, text), what));
}

/* Exactly one whole, running instance of ID_ONE. */
static void assert_whole(struct fixture *fixture)
{
    assert_int_equal(hmcsim_count(fixture->sim, "partitions", "name", NAME_ONE), 1);
    assert_int_equal(hmcsim_count(fixture->sim, "partitions", "state", "running"), 1);
    assert_int_equal(number(fixture, "partitions", "name", NAME_ONE, "adapters"), 1);
    assert_int_equal(hmcsim_count(fixture->sim, "units", "name", "yqb-" ID_ONE), 1);
    assert_int_equal(hmcsim_count(fixture->sim, "mappings", "partition", NAME_ONE), 1);
    assert_int_equal(hmcsim_count(fixture->sim, "mappings", "storage", "yqb-" ID_ONE), 1);
}

static void assert_nothing(struct fixture *fixture)
{
    const json_t *state = hmcsim_state(fixture->sim);
    assert_int_equal(json_array_size(json_object_get(state, "partitions")), 0);
    assert_int_equal(json_array_size(json_object_get(state, "mappings")), 0);
    assert_int_equal(json_array_size(json_object_get(state, "units")), 4); /* the images of both pools */
}

static void test_create_find_delete(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance made, found;
    struct driver_key key = {.id = ID_ONE};
    assert_error(driver->instance_find(fixture->session, &fixture->call, &key, &found), ERR_NOT_FOUND,
                 NAME_ONE);
    fixture_create(fixture, ID_ONE, &made);
    assert_string_equal(made.id, ID_ONE);
    assert_string_equal(made.name, NAME_ONE);
    assert_int_equal(made.power, DRIVER_POWER_ON);
    assert_int_equal(made.vcpu, 2);
    assert_int_equal(made.memory_mb, 4096);
    assert_string_equal(made.architecture, "POWER");
    assert_string_equal(made.detail, "running");
    assert_memory_equal(made.host, "Server-9009-42A-", 16);
    assert_whole(fixture);
    const json_t *item = hmcsim_item(fixture->sim, "partitions", "name", NAME_ONE);
    assert_string_equal(json_string_value(json_object_get(item, "description")), "yunqiao web-1 " ID_ONE);
    assert_true(json_number_value(json_object_get(item, "units")) == 0.5);
    item = hmcsim_item(fixture->sim, "units", "name", "yqb-" ID_ONE);
    assert_true(json_number_value(json_object_get(item, "size")) == 20);
    assert_string_equal(json_string_value(json_object_get(item, "pool")), "standard");
    assert_true(json_is_string(json_object_get(item, "cloned_from")));
    key.ref = made.ref;
    assert_no_error(driver->instance_find(fixture->session, &fixture->call, &key, &found));
    assert_string_equal(found.ref, made.ref);
    key.ref = "00000000-0000-0000-0000-000000000000"; /* a hint that does not hold */
    assert_no_error(driver->instance_find(fixture->session, &fixture->call, &key, &found));
    assert_string_equal(found.ref, made.ref);
    key = (struct driver_key){.id = ID_TWO, .ref = made.ref}; /* somebody else's reference */
    assert_error(driver->instance_find(fixture->session, &fixture->call, &key, &found), ERR_NOT_FOUND,
                 "no partition");
    key.id = ID_ONE;
    for (int i = 0; i < 2; i++)
        assert_no_error(driver->instance_delete(fixture->session, &fixture->call, &key));
    assert_nothing(fixture);
    assert_int_equal(json_integer_value(json_object_get(hmcsim_state(fixture->sim), "jobs")), 0);
}

static void test_high_performance_pool_and_image_size(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance made;
    struct driver_instance_spec spec = fixture_spec(ID_ONE);
    spec.high_performance = true;
    spec.system_disk_gb = 10;
    assert_no_error(driver->instance_create(fixture->session, &fixture->call, &spec, &made));
    const json_t *item = hmcsim_item(fixture->sim, "units", "name", "yqb-" ID_ONE);
    assert_string_equal(json_string_value(json_object_get(item, "pool")), "high");
    assert_true(json_number_value(json_object_get(item, "size")) == 10);
}

static void test_create_twice_is_one(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance first, second;
    fixture_create(fixture, ID_ONE, &first);
    hmcsim_control(fixture->sim, "/__clear", "{}");
    fixture_create(fixture, ID_ONE, &second);
    assert_string_equal(first.ref, second.ref);
    assert_int_equal(hmcsim_requests(fixture->sim, "PUT "), 0);
    assert_int_equal(hmcsim_requests(fixture->sim, "POST "), 0);
    assert_whole(fixture);
}

/* Breaks the n-th writing request of a create, in several ways, and looks that another session's create heals
 * it. */
static void test_create_heals_after_every_break(void **state)
{
    struct fixture *fixture = *state;
    static const char *const kinds[] = {"drop", "drop-after", "truncate", "503"};
    static const char *const steps[] = {"LogicalPartition$", "ClientNetworkAdapter$", "CreateLogicalUnit$",
                                        "VirtualIOServer/", "do/PowerOn$"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (size_t j = 0; j < sizeof steps / sizeof steps[0]; j++) {
            struct driver_instance made;
            struct driver_instance_spec spec = fixture_spec(ID_ONE);
            const char *fault =
                arena_printf(fixture->call.arena, "{\"method\": \"%s\", \"path\": \"%s\", \"kind\": \"%s\"}",
                             j == 3 ? "POST" : "PUT", steps[j], kinds[i]);
            hmcsim_control(fixture->sim, "/__inject", fault);
            struct error *error = driver->instance_create(fixture->session, &fixture->call, &spec, &made);
            assert_error(error, i == 3 ? ERR_BUSY : ERR_UNAVAILABLE, "");
            struct driver_session *other = fixture_open(fixture);
            assert_no_error(driver->instance_create(other, &fixture->call, &spec, &made));
            driver->close(other);
            assert_int_equal(hmcsim_count(fixture->sim, "partitions", "name", NAME_ONE), 1);
            assert_int_equal(hmcsim_count(fixture->sim, "partitions", "state", "running"), 1);
            struct driver_key key = {.id = ID_ONE};
            assert_no_error(driver->instance_delete(fixture->session, &fixture->call, &key));
            assert_nothing(fixture);
        }
    }
}

static bool cancel_later(void *context, int percent, const char *step)
{
    int *left = context;
    return --*left > 0;
}

static void test_cancelled_anywhere_then_finished(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance made;
    struct driver_instance_spec spec = fixture_spec(ID_ONE);
    struct error *error = NULL;
    int cancelled = 0;
    for (int patience = 1;; patience += 9) {
        int left = patience;
        struct driver_call call = fixture->call;
        call.progress = cancel_later;
        call.context = &left;
        error = driver->instance_create(fixture->session, &call, &spec, &made);
        if (!error)
            break;
        assert_error(error, ERR_CANCELLED, "cancelled");
        cancelled++;
    }
    assert_true(cancelled > 3);
    assert_whole(fixture);
}

static void test_hopeless_create_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance made;
    struct driver_instance_spec spec = fixture_spec(ID_ONE);
    static const char *const jobs[] = {"CreateLogicalUnit$", "do/PowerOn$"};
    for (size_t i = 0; i < 2; i++) {
        hmcsim_control(fixture->sim, "/__inject",
                       arena_printf(fixture->call.arena,
                                    "{\"method\": \"PUT\", \"path\": \"%s\", \"kind\": \"job-fail\"}",
                                    jobs[i]));
        assert_error(driver->instance_create(fixture->session, &fixture->call, &spec, &made), ERR_INTERNAL,
                     "HSCL9999");
        assert_nothing(fixture);
    }
}

static void test_create_refuses_bad_specs(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance made;
    struct driver_instance_spec good = fixture_spec(ID_ONE);
    struct {
        struct driver_instance_spec spec;
        enum error_code code;
        const char *words;
    } cases[] = {
        {good, ERR_INVALID, "not x86"},           {good, ERR_INVALID, "1 to 16 vCPU"},
        {good, ERR_INVALID, "65536 MB"},          {good, ERR_INVALID, "steps of 256 MB"},
        {good, ERR_NOT_FOUND, "no image"},        {good, ERR_INVALID, "smaller than the image"},
        {good, ERR_NOT_FOUND, "virtual network"}, {good, ERR_NO_CAPACITY, "has promised"},
    };
    cases[0].spec.architecture = "x86";
    cases[1].spec.vcpu = 17;
    cases[2].spec.memory_mb = 65537;
    cases[3].spec.memory_mb = 4000;
    cases[4].spec.image = "nowhere";
    cases[5].spec.system_disk_gb = 9;
    cases[6].spec.network = "nowhere";
    cases[7].spec.system_disk_gb = 3000;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_error(driver->instance_create(fixture->session, &fixture->call, &cases[i].spec, &made),
                     cases[i].code, cases[i].words);
        assert_nothing(fixture);
    }
}

static void test_no_room(void **state)
{
    static const char *const small[] = {"--memory", "20480", "--systems", "2", NULL};
    struct fixture *fixture = fixture_start(small);
    *state = fixture;
    struct driver_instance one, two, three;
    struct driver_instance_spec spec = fixture_spec(ID_ONE);
    spec.memory_mb = 8192;
    assert_no_error(driver->instance_create(fixture->session, &fixture->call, &spec, &one));
    spec.id = ID_TWO;
    assert_no_error(driver->instance_create(fixture->session, &fixture->call, &spec, &two));
    assert_string_not_equal(one.host, two.host);
    spec.id = "018f3a5c-7b1d-7c3e-9a4f-000000000003";
    assert_error(driver->instance_create(fixture->session, &fixture->call, &spec, &three), ERR_NO_CAPACITY,
                 "8192 MB");
    assert_int_equal(json_array_size(json_object_get(hmcsim_state(fixture->sim), "partitions")), 2);
}

static void test_start_stop_reboot(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance instance;
    struct driver_key key = {.id = ID_ONE};
    fixture_create(fixture, ID_ONE, &instance);
    fixture_await_rmc(fixture, ID_ONE);
    hmcsim_control(fixture->sim, "/__clear", "{}");
    assert_no_error(driver->instance_start(fixture->session, &fixture->call, &key));
    assert_int_equal(hmcsim_requests(fixture->sim, "/do/"), 0); /* on already */
    assert_no_error(driver->instance_reboot(fixture->session, &fixture->call, &key));
    assert_int_equal(number(fixture, "partitions", "name", NAME_ONE, "boots"), 2);
    fixture_await_rmc(fixture, ID_ONE);
    hmcsim_control(fixture->sim, "/__clear", "{}");
    assert_no_error(driver->instance_stop(fixture->session, &fixture->call, &key, 30 * MOMENT_SECOND));
    assert_int_equal(hmcsim_requests(fixture->sim, "do/PowerOff"), 1);
    assert_no_error(driver->instance_find(fixture->session, &fixture->call, &key, &instance));
    assert_int_equal(instance.power, DRIVER_POWER_OFF);
    assert_no_error(driver->instance_stop(fixture->session, &fixture->call, &key, 0));
    assert_error(driver->instance_reboot(fixture->session, &fixture->call, &key), ERR_CONFLICT, "is off");
    assert_no_error(driver->instance_start(fixture->session, &fixture->call, &key));
    assert_whole(fixture);
    key.id = ID_TWO;
    assert_error(driver->instance_start(fixture->session, &fixture->call, &key), ERR_NOT_FOUND,
                 "no partition");
}

static void test_stop_cuts_the_power_after_grace(void **state)
{
    static const char *const slow[] = {"--shutdown-factor", "2000", NULL};
    struct fixture *fixture = fixture_start(slow);
    *state = fixture;
    struct driver_instance instance;
    struct driver_key key = {.id = ID_ONE};
    fixture_create(fixture, ID_ONE, &instance);
    fixture_await_rmc(fixture, ID_ONE);
    int64_t start = moment_monotonic();
    assert_no_error(driver->instance_stop(fixture->session, &fixture->call, &key, MOMENT_SECOND / 2));
    assert_in_range(moment_monotonic() - start, MOMENT_SECOND / 2, 20 * MOMENT_SECOND);
    assert_no_error(driver->instance_find(fixture->session, &fixture->call, &key, &instance));
    assert_int_equal(instance.power, DRIVER_POWER_OFF);
}

static void test_resize(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance instance;
    struct driver_key key = {.id = ID_ONE};
    fixture_create(fixture, ID_ONE, &instance);
    fixture_await_rmc(fixture, ID_ONE);
    assert_no_error(
        driver->instance_resize(fixture->session, &fixture->call, &key, 4, 8192)); /* while it runs */
    assert_no_error(driver->instance_find(fixture->session, &fixture->call, &key, &instance));
    assert_int_equal(instance.vcpu, 4);
    assert_int_equal(instance.memory_mb, 8192);
    assert_int_equal(instance.power, DRIVER_POWER_ON);
    assert_true(json_number_value(json_object_get(hmcsim_item(fixture->sim, "partitions", "name", NAME_ONE),
                                                  "units")) == 1.0);
    hmcsim_control(fixture->sim, "/__clear", "{}");
    assert_no_error(driver->instance_resize(fixture->session, &fixture->call, &key, 4, 8192));
    assert_int_equal(hmcsim_requests(fixture->sim, "POST /rest"), 0);
    assert_error(driver->instance_resize(fixture->session, &fixture->call, &key, 17, 8192), ERR_INVALID,
                 "over the maximum");
    hmcsim_control(fixture->sim, "/__set", "{\"partition\": \"" NAME_ONE "\", \"rmc\": \"inactive\"}");
    assert_error(driver->instance_resize(fixture->session, &fixture->call, &key, 1, 1024), ERR_CONFLICT,
                 "stop it");
    assert_no_error(driver->instance_stop(fixture->session, &fixture->call, &key, 0));
    assert_no_error(driver->instance_resize(fixture->session, &fixture->call, &key, 1, 1024));
    assert_no_error(driver->instance_find(fixture->session, &fixture->call, &key, &instance));
    assert_int_equal(instance.vcpu, 1);
    assert_int_equal(instance.memory_mb, 1024);
}

static void test_stale_etags(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance instance;
    struct driver_key key = {.id = ID_ONE};
    fixture_create(fixture, ID_ONE, &instance);
    fixture_await_rmc(fixture, ID_ONE);
    hmcsim_control(fixture->sim, "/__inject",
                   "{\"method\": \"POST\", \"path\": \"/rest/\", \"kind\": \"412\", \"times\": 4}");
    assert_no_error(driver->instance_resize(fixture->session, &fixture->call, &key, 3, 4096));
    hmcsim_control(fixture->sim, "/__inject",
                   "{\"method\": \"POST\", \"path\": \"/rest/\", \"kind\": \"412\", \"times\": 5}");
    assert_error(driver->instance_resize(fixture->session, &fixture->call, &key, 4, 4096), ERR_BUSY,
                 "attempt 5");
    assert_no_error(driver->instance_resize(fixture->session, &fixture->call, &key, 4, 4096));
}

static void test_delete_cleans_what_a_lost_partition_left(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance instance;
    struct driver_key key = {.id = ID_ONE};
    fixture_create(fixture, ID_ONE, &instance);
    /* the partition goes, but the answer is lost */
    hmcsim_control(fixture->sim, "/__inject",
                   "{\"method\": \"DELETE\", \"path\": \"LogicalPartition/\", \"kind\": \"drop-after\"}");
    struct error *error = driver->instance_delete(fixture->session, &fixture->call, &key);
    if (error) /* libcurl repeats a DELETE on a fresh connection by itself, which is as good */
        assert_error(error, ERR_UNAVAILABLE, "");
    assert_no_error(driver->instance_delete(fixture->session, &fixture->call, &key));
    assert_nothing(fixture);
}

static void test_a_partition_in_error(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance instance;
    struct driver_key key = {.id = ID_ONE};
    fixture_create(fixture, ID_ONE, &instance);
    hmcsim_control(fixture->sim, "/__set", "{\"partition\": \"" NAME_ONE "\", \"state\": \"error\"}");
    assert_no_error(driver->instance_find(fixture->session, &fixture->call, &key, &instance));
    assert_int_equal(instance.power, DRIVER_POWER_ERROR);
    assert_string_equal(instance.detail, "error");
    assert_no_error(driver->instance_delete(fixture->session, &fixture->call, &key));
    assert_nothing(fixture);
}

static void test_foreign_partitions_are_left_alone(void **state)
{
    static const char *const foreign[] = {"--foreign", "1", NULL};
    struct fixture *fixture = fixture_start(foreign);
    *state = fixture;
    struct driver_inventory inventory;
    struct driver_capacity capacity;
    assert_no_error(driver->inventory(fixture->session, &fixture->call, &inventory));
    assert_int_equal(inventory.instance_count, 1);
    assert_string_equal(inventory.instances[0].name, "legacy-1");
    assert_null(inventory.instances[0].id);
    assert_int_equal(inventory.instances[0].power, DRIVER_POWER_ON);
    assert_int_equal(inventory.volume_count, 1);
    assert_null(inventory.volumes[0].id);
    assert_string_equal(inventory.volumes[0].instance_ref, inventory.instances[0].ref);
    assert_no_error(driver->capacity(fixture->session, &fixture->call, &capacity));
    assert_int_equal(capacity.vcpu_allocated, 1); /* it takes its part all the same */
    assert_int_equal(capacity.standard_gb_allocated, 40);
    struct driver_key key = {.ref = inventory.instances[0].ref};
    assert_error(driver->instance_delete(fixture->session, &fixture->call, &key), ERR_DENIED,
                 "not made by the broker");
    key.id = ID_ONE; /* with a stamp that it does not carry: there is none such */
    assert_no_error(driver->instance_delete(fixture->session, &fixture->call, &key));
    assert_error(driver->instance_stop(fixture->session, &fixture->call, &key, 0), ERR_NOT_FOUND,
                 "no partition");
    key = (struct driver_key){.ref = inventory.volumes[0].ref};
    assert_no_error(driver->volume_delete(fixture->session, &fixture->call, &key));
    assert_int_equal(hmcsim_count(fixture->sim, "partitions", "state", "running"), 1);
    assert_int_equal(hmcsim_count(fixture->sim, "units", "name", "legacy-1-root"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define TEST_OWN(name) cmocka_unit_test_teardown(name, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_create_find_delete),
        TEST(test_high_performance_pool_and_image_size),
        TEST(test_create_twice_is_one),
        TEST(test_create_heals_after_every_break),
        TEST(test_cancelled_anywhere_then_finished),
        TEST(test_hopeless_create_leaves_nothing),
        TEST(test_create_refuses_bad_specs),
        TEST_OWN(test_no_room),
        TEST(test_start_stop_reboot),
        TEST_OWN(test_stop_cuts_the_power_after_grace),
        TEST(test_resize),
        TEST(test_stale_etags),
        TEST(test_delete_cleans_what_a_lost_partition_left),
        TEST(test_a_partition_in_error),
        TEST_OWN(test_foreign_partitions_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
