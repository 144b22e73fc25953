/* Inventory and capacity of the driver powervm against contrib/hmcsim. */
#include "drivers/powervm/inventory.h"

#include <string.h>

#include "tests/drivers/powervm/fixture.h"

static void test_empty_console(void **state)
{
    struct fixture *fixture = *state;
    struct driver_inventory inventory;
    assert_no_error(driver->inventory(fixture->session, &fixture->call, &inventory));
    assert_int_equal(inventory.host_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(inventory.hosts[i].architecture, "POWER");
        assert_int_equal(inventory.hosts[i].cores, 31);         /* 32 less 2 × 0.5 of Virtual I/O Servers */
        assert_int_equal(inventory.hosts[i].memory_mb, 249856); /* 262144 less 4096 and 2 × 4096 */
        assert_true(inventory.hosts[i].usable);
    }
    assert_int_equal(inventory.pool_count, 2);
    assert_string_equal(inventory.pools[0].name, "standard");
    assert_false(inventory.pools[0].high_performance);
    assert_string_equal(inventory.pools[1].name, "high");
    assert_true(inventory.pools[1].high_performance);
    assert_int_equal(inventory.pools[0].total_gb, 2000);
    assert_int_equal(inventory.pools[0].free_gb, 1970);
    assert_int_equal(inventory.network_count, 2); /* of both systems, told once */
    assert_string_equal(inventory.networks[0].name, "extranet");
    assert_string_equal(inventory.networks[1].name, "internet");
    assert_int_equal(inventory.image_count, 2);
    assert_string_equal(inventory.images[0].name, "rhel-9.4");
    assert_int_equal(inventory.images[0].size_gb, 10);
    assert_int_equal(inventory.instance_count, 0);
    assert_int_equal(inventory.volume_count, 0);
}

static void test_with_instances(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance one, two;
    struct driver_inventory inventory;
    struct driver_capacity capacity;
    fixture_create(fixture, ID_ONE, &one);
    fixture_create(fixture, ID_TWO, &two);
    assert_string_not_equal(one.host, two.host); /* the emptier system is taken */
    assert_no_error(driver->inventory(fixture->session, &fixture->call, &inventory));
    assert_int_equal(inventory.instance_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct driver_instance *seen = &inventory.instances[i];
        const struct driver_instance *made = strcmp(seen->id, ID_ONE) == 0 ? &one : &two;
        assert_string_equal(seen->id, made == &one ? ID_ONE : ID_TWO);
        assert_string_equal(seen->ref, made->ref);
        assert_string_equal(seen->host, made->host);
        assert_int_equal(seen->power, DRIVER_POWER_ON);
    }
    assert_int_equal(inventory.volume_count, 2); /* boot disks: no stamp of a volume, but attached */
    for (size_t i = 0; i < 2; i++) {
        assert_null(inventory.volumes[i].id);
        assert_non_null(inventory.volumes[i].instance_ref);
        assert_memory_equal(inventory.volumes[i].name, "yqb-", 4);
    }
    assert_no_error(driver->capacity(fixture->session, &fixture->call, &capacity));
    assert_int_equal(capacity.cores_total, 62);
    assert_int_equal(capacity.vcpu_allocated, 4);
    assert_int_equal(capacity.memory_mb_total, 2 * 249856);
    assert_int_equal(capacity.memory_mb_allocated, 8192);
    assert_int_equal(capacity.standard_gb_total, 2000);
    assert_int_equal(capacity.standard_gb_allocated, 30 + 40);
    assert_int_equal(capacity.high_gb_allocated, 30);
    assert_int_equal(capacity.architectures, DRIVER_POWER);
}

static struct error *open_with(struct fixture *fixture, const char *options,
                               struct driver_session **ret_session)
{
    struct driver_endpoint *endpoint = arena_alloc(fixture->call.arena, sizeof *endpoint);
    *endpoint = hmcsim_endpoint(fixture->sim);
    endpoint->options = json_hold(fixture->call.arena, json_loads(options, 0, NULL));
    return driver->open(endpoint, &fixture->call, ret_session);
}

static void test_options_choose(void **state)
{
    struct fixture *fixture = *state;
    struct driver_session *session = NULL;
    struct driver_inventory inventory;
    assert_no_error(
        open_with(fixture,
                  "{\"managed_systems\": [\"Server-9009-42A-SN00002\"], \"units_per_vcpu\": \"1\","
                  " \"thin\": false, \"pools\": {\"standard\": \"high\", \"high\": \"high\"}}",
                  &session));
    assert_no_error(driver->inventory(session, &fixture->call, &inventory));
    assert_int_equal(inventory.host_count, 1);
    assert_string_equal(inventory.hosts[0].name, "Server-9009-42A-SN00002");
    assert_int_equal(inventory.pool_count, 1);
    assert_string_equal(inventory.pools[0].name, "high");
    struct driver_instance_spec spec = fixture_spec(ID_ONE);
    struct driver_instance made;
    assert_no_error(driver->instance_create(session, &fixture->call, &spec, &made));
    assert_string_equal(made.host, "Server-9009-42A-SN00002");
    const json_t *unit = hmcsim_item(fixture->sim, "units", "name", "yqb-" ID_ONE);
    assert_string_equal(json_string_value(json_object_get(unit, "pool")), "high");
    assert_true(json_is_false(json_object_get(unit, "thin")));
    assert_true(json_number_value(json_object_get(hmcsim_item(fixture->sim, "partitions", "name", NAME_ONE),
                                                  "units")) == 2.0);
    driver->close(session);
    assert_no_error(open_with(fixture, "{\"managed_systems\": [\"nowhere\"]}", &session));
    assert_error(driver->inventory(session, &fixture->call, &inventory), ERR_NOT_FOUND,
                 "of the 1 managed systems");
    driver->close(session);
    assert_no_error(open_with(fixture, "{\"pools\": {\"standard\": \"a\", \"high\": \"b\"}}", &session));
    assert_error(driver->inventory(session, &fixture->call, &inventory), ERR_NOT_FOUND,
                 "neither a storage pool \"a\"");
    driver->close(session);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_empty_console),
        TEST(test_with_instances),
        TEST(test_options_choose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
