/* The inventory against vcsim: everything that is there, once, in pages, with a number of calls that does not
 * depend on the number of machines; two providers with identical identifiers stay apart. */
#include "tests/drivers/vmware/fixture.h"

#include "drivers/registry.h"

static void keeps_the_contracts_form(void **state)
{
    OK(driver_check(vmware));
}

static int setup(void **state)
{
    fixture_start((const char *const[]){"-vm", "1000", "-host", "4", "-ds", "3", "-page-max", "300", NULL});
    return 0;
}

static void thousand_machines(void **state)
{
    long pages = vcsim_calls(sim, "RetrievePropertiesEx"),
         further = vcsim_calls(sim, "ContinueRetrievePropertiesEx");
    struct driver_inventory inventory;
    OK(vmware->inventory(session, &call, &inventory));
    assert_int_equal(inventory.instance_count, 1000);
    assert_int_equal(inventory.host_count, 4);
    assert_int_equal(inventory.pool_count, 3);
    assert_int_equal(inventory.image_count, 1);
    assert_string_equal(inventory.images[0].name, VCSIM_TEMPLATE);
    assert_int_equal(inventory.volume_count, 0);
    /* a little over 1000 objects in pages of 300, and one look at each datastore's search */
    assert_int_equal(vcsim_calls(sim, "ContinueRetrievePropertiesEx") - further, 3);
    assert_int_equal(vcsim_calls(sim, "RetrievePropertiesEx") - pages, 1 + 3);

    bool seen[1000] = {false};
    for (size_t i = 0; i < inventory.instance_count; i++) {
        const struct driver_instance *instance = &inventory.instances[i];
        unsigned number = 1000;
        assert_int_equal(sscanf(instance->name, "DC0_C0_RP0_VM%u", &number), 1);
        assert_true(number < 1000 && !seen[number]);
        seen[number] = true;
        assert_null(instance->id);
        assert_int_equal(instance->power, DRIVER_POWER_ON);
        assert_string_equal(instance->detail, "poweredOn");
        assert_int_equal(instance->vcpu, 1);
        assert_int_equal(instance->memory_mb, 32);
        assert_int_equal(strncmp(instance->host, "DC0_C0_H", 8), 0);
    }
    size_t networks = 0;
    for (size_t i = 0; i < inventory.network_count; i++) {
        assert_null(strstr(inventory.networks[i].name, "Uplink"));
        networks += strcmp(inventory.networks[i].name, "VM Network") == 0;
        networks += strcmp(inventory.networks[i].name, "DC0_DVPG0") == 0;
    }
    assert_int_equal(networks, 2);
    for (size_t i = 0; i < inventory.host_count; i++) {
        assert_true(inventory.hosts[i].usable);
        assert_true(inventory.hosts[i].cores > 0 && inventory.hosts[i].memory_mb > 0);
    }
}

static void capacity_adds_up(void **state)
{
    struct driver_inventory inventory;
    struct driver_capacity capacity, after;
    OK(vmware->inventory(session, &call, &inventory));
    OK(vmware->capacity(session, &call, &capacity));
    unsigned cores = 0;
    uint64_t memory = 0, pool = 0;
    for (size_t i = 0; i < inventory.host_count; i++) {
        cores += inventory.hosts[i].cores;
        memory += inventory.hosts[i].memory_mb;
    }
    for (size_t i = 0; i < inventory.pool_count; i++)
        pool += inventory.pools[i].total_gb;
    assert_int_equal(capacity.cores_total, cores);
    assert_int_equal(capacity.memory_mb_total, memory);
    assert_int_equal(capacity.standard_gb_total, pool);
    assert_int_equal(capacity.high_gb_total, 0);
    assert_int_equal(capacity.vcpu_allocated, 1000);
    assert_int_equal(capacity.memory_mb_allocated, 32000);
    assert_int_equal(capacity.architectures, DRIVER_X86);

    struct driver_instance_spec spec = spec_of(ID_A, "c");
    struct driver_instance instance;
    OK(vmware->instance_create(session, &call, &spec, &instance));
    OK(vmware->capacity(session, &call, &after));
    assert_int_equal(after.vcpu_allocated, 1002);
    assert_int_equal(after.memory_mb_allocated, 32000 + 2048);
    struct driver_key key = key_of(ID_A);
    OK(vmware->instance_delete(session, &call, &key));
}

static void classes_by_options(void **state)
{
    struct driver_endpoint endpoint = vcsim_endpoint(sim);
    json_t *options =
        json_loads("{\"standard\": [\"LocalDS_0\"], \"high\": [\"LocalDS_2\"], \"cluster\": \"DC0_C0\", "
                   "\"datacenter\": \"DC0\"}",
                   0, NULL);
    endpoint.options = options;
    struct driver_session *other;
    OK(vmware->open(&endpoint, &call, &other));
    struct driver_inventory inventory;
    OK(vmware->inventory(other, &call, &inventory));
    assert_int_equal(inventory.pool_count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(inventory.pools[i].high_performance,
                         strcmp(inventory.pools[i].name, "LocalDS_2") == 0);
    struct driver_volume_spec spec = {VOLUME_A, "fast", 1, true};
    struct driver_volume volume;
    OK(vmware->volume_create(other, &call, &spec, &volume));
    assert_string_equal(volume.pool, "LocalDS_2");
    struct driver_key key = key_of(VOLUME_A);
    OK(vmware->volume_delete(other, &call, &key));
    vmware->close(other);
    json_decref(options);
}

static void twins_stay_apart(void **state)
{
    struct vcsim *twin = vcsim_start((const char *const[]){"-vm", "1", NULL});
    struct driver_endpoint endpoint = vcsim_endpoint(twin);
    struct driver_session *other;
    OK(vmware->open(&endpoint, &call, &other));
    struct driver_about here, there;
    OK(vmware->about(session, &call, &here));
    OK(vmware->about(other, &call, &there));
    assert_string_equal(here.identity, there.identity); /* which is why nothing is keyed by it */
    assert_non_null(strstr(here.product, "vCenter"));
    struct driver_instance_spec spec = spec_of(ID_A, "one");
    struct driver_instance instance;
    OK(vmware->instance_create(session, &call, &spec, &instance));
    struct driver_key key = {ID_A, instance.ref};
    FAILS(vmware->instance_find(other, &call, &key, &instance), ERR_NOT_FOUND, ID_A);
    OK(vmware->instance_delete(other, &call, &key));
    OK(vmware->instance_find(session, &call, &key, &instance));
    OK(vmware->instance_delete(session, &call, &key));
    vmware->close(other);
    vcsim_stop(twin);
}

static void several_datacenters_need_a_name(void **state)
{
    struct vcsim *two = vcsim_start((const char *const[]){"-dc", "2", "-vm", "2", NULL});
    struct driver_endpoint endpoint = vcsim_endpoint(two);
    struct driver_session *other = NULL;
    FAILS(vmware->open(&endpoint, &call, &other), ERR_INVALID, "2 datacenters");
    json_t *options = json_loads("{\"datacenter\": \"DC1\"}", 0, NULL);
    endpoint.options = options;
    OK(vmware->open(&endpoint, &call, &other));
    struct driver_inventory inventory;
    OK(vmware->inventory(other, &call, &inventory));
    assert_int_equal(inventory.instance_count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(strncmp(inventory.instances[i].name, "DC1_", 4), 0);
    vmware->close(other);
    json_decref(options);
    vcsim_stop(two);
}

#define TEST(function) cmocka_unit_test_setup(function, renew_call)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keeps_the_contracts_form), TEST(thousand_machines), TEST(capacity_adds_up),
        TEST(classes_by_options),       TEST(twins_stay_apart),  TEST(several_datacenters_need_a_name),
    };
    return cmocka_run_group_tests(tests, setup, fixture_stop);
}
