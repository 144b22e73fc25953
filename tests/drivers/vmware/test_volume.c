/* Volumes against vcsim: files that survive their machines, grow attached and detached, and are found by
 * their id. */
#include "tests/drivers/vmware/fixture.h"

static int setup(void **state)
{
    fixture_start(NULL);
    return 0;
}

static struct driver_volume create(const char *id, unsigned size_gb)
{
    struct driver_volume_spec spec = {id, "data", size_gb, false};
    struct driver_volume volume;
    OK(vmware->volume_create(session, &call, &spec, &volume));
    return volume;
}

static struct driver_volume find(const char *id)
{
    struct driver_key key = key_of(id);
    struct driver_volume volume;
    OK(vmware->volume_find(session, &call, &key, &volume));
    return volume;
}

static struct driver_instance create_instance(const char *id)
{
    struct driver_instance_spec spec = spec_of(id, "host");
    struct driver_instance instance;
    OK(vmware->instance_create(session, &call, &spec, &instance));
    return instance;
}

static void clean(void)
{
    static const char *const instances[] = {ID_A, ID_B}, *const volumes[] = {VOLUME_A, VOLUME_B};
    for (size_t i = 0; i < 2; i++) {
        struct driver_key key = key_of(instances[i]);
        OK(vmware->instance_delete(session, &call, &key));
    }
    for (size_t i = 0; i < 2; i++) {
        struct driver_key key = key_of(volumes[i]);
        OK(vmware->volume_delete(session, &call, &key));
        OK(vmware->volume_delete(session, &call, &key)); /* gone already */
        struct driver_volume volume;
        FAILS(vmware->volume_find(session, &call, &key, &volume), ERR_NOT_FOUND, volumes[i]);
    }
}

static void created_once(void **state)
{
    struct driver_volume made = create(VOLUME_A, 5);
    assert_string_equal(made.id, VOLUME_A);
    assert_int_equal(made.size_gb, 5);
    assert_null(made.instance_ref);
    struct driver_volume found = find(VOLUME_A);
    assert_int_equal(found.size_gb, 5);
    assert_string_equal(found.ref, made.ref);
    assert_string_equal(found.pool, made.pool);
    assert_string_equal(create(VOLUME_A, 5).ref, made.ref);
    assert_int_equal(vcsim_calls(sim, "CreateVirtualDisk_Task"), 1);
    create(VOLUME_B, 1);
    struct driver_inventory inventory;
    OK(vmware->inventory(session, &call, &inventory));
    assert_int_equal(inventory.volume_count, 2);
    clean();
}

static void attached_here_and_not_there(void **state)
{
    create(VOLUME_A, 5);
    struct driver_instance a = create_instance(ID_A);
    create_instance(ID_B);
    struct driver_key volume = key_of(VOLUME_A), to_a = key_of(ID_A), to_b = key_of(ID_B);
    OK(vmware->volume_attach(session, &call, &volume, &to_a)); /* it runs */
    assert_string_equal(find(VOLUME_A).instance_ref, a.ref);
    OK(vmware->volume_attach(session, &call, &volume, &to_a));
    FAILS(vmware->volume_attach(session, &call, &volume, &to_b), ERR_CONFLICT, "another machine");
    FAILS(vmware->volume_delete(session, &call, &volume), ERR_CONFLICT, "attached");
    OK(vmware->volume_detach(session, &call, &volume, &to_b)); /* it is not there */
    assert_string_equal(find(VOLUME_A).instance_ref, a.ref);
    OK(vmware->volume_detach(session, &call, &volume, &to_a));
    assert_null(find(VOLUME_A).instance_ref);
    OK(vmware->volume_detach(session, &call, &volume, &to_a));
    OK(vmware->volume_attach(session, &call, &volume, &to_b));
    clean();
}

static void outlives_its_machine(void **state)
{
    create(VOLUME_A, 5);
    create(VOLUME_B, 6);
    create_instance(ID_A);
    struct driver_key a = key_of(VOLUME_A), b = key_of(VOLUME_B), to = key_of(ID_A);
    OK(vmware->volume_attach(session, &call, &a, &to));
    OK(vmware->volume_attach(session, &call, &b, &to));
    OK(vmware->instance_delete(session, &call, &to));
    assert_int_equal(find(VOLUME_A).size_gb, 5);
    assert_int_equal(find(VOLUME_B).size_gb, 6);
    assert_null(find(VOLUME_A).instance_ref);
    clean();
}

static void grows_only(void **state)
{
    create(VOLUME_A, 5);
    struct driver_key volume = key_of(VOLUME_A), to = key_of(ID_A);
    OK(vmware->volume_resize(session, &call, &volume, 7)); /* detached */
    assert_int_equal(find(VOLUME_A).size_gb, 7);
    FAILS(vmware->volume_resize(session, &call, &volume, 6), ERR_INVALID, "only grow");
    create_instance(ID_A);
    OK(vmware->volume_attach(session, &call, &volume, &to));
    OK(vmware->volume_resize(session, &call, &volume, 9)); /* attached */
    assert_int_equal(find(VOLUME_A).size_gb, 9);
    assert_non_null(find(VOLUME_A).instance_ref);
    OK(vmware->volume_resize(session, &call, &volume, 9));
    OK(vmware->volume_detach(session, &call, &volume, &to));
    assert_int_equal(find(VOLUME_A).size_gb, 9);
    clean();
}

static void what_the_provider_lacks_is_told(void **state)
{
    create(VOLUME_A, 5);
    struct driver_key volume = key_of(VOLUME_A);
    vcsim_control(sim, "/__inject?method=ExtendVirtualDisk_Task&kind=fault:MethodNotFound");
    FAILS(vmware->volume_resize(session, &call, &volume, 6), ERR_UNSUPPORTED, "MethodNotFound");
    assert_int_equal(find(VOLUME_A).size_gb, 5);
    struct driver_volume_spec spec = {VOLUME_B, "big", 2000000000, false};
    struct driver_volume made;
    FAILS(vmware->volume_create(session, &call, &spec, &made), ERR_NO_CAPACITY, "standard datastore");
    clean();
}

static void lost_answers_are_found_out(void **state)
{
    struct driver_key volume = key_of(VOLUME_A), to = key_of(ID_A);
    struct driver_instance a = create_instance(ID_A);
    vcsim_control(sim, "/__inject?method=CreateVirtualDisk_Task&kind=drop-after");
    create(VOLUME_A, 3);
    vcsim_control(sim, "/__inject?method=ReconfigVM_Task&kind=drop-after");
    OK(vmware->volume_attach(session, &call, &volume, &to));
    assert_string_equal(find(VOLUME_A).instance_ref, a.ref);
    vcsim_control(sim, "/__inject?method=ReconfigVM_Task&kind=drop-after");
    OK(vmware->volume_resize(session, &call, &volume, 4));
    assert_int_equal(find(VOLUME_A).size_gb, 4);
    vcsim_control(sim, "/__inject?method=ReconfigVM_Task&kind=drop-after");
    OK(vmware->volume_detach(session, &call, &volume, &to));
    assert_null(find(VOLUME_A).instance_ref);
    vcsim_control(sim, "/__inject?method=DeleteVirtualDisk_Task&kind=drop-after");
    OK(vmware->volume_delete(session, &call, &volume));
    clean();
}

#define TEST(function) cmocka_unit_test_setup(function, renew_call)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(created_once), TEST(attached_here_and_not_there),     TEST(outlives_its_machine),
        TEST(grows_only),   TEST(what_the_provider_lacks_is_told), TEST(lost_answers_are_found_out),
    };
    return cmocka_run_group_tests(tests, setup, fixture_stop);
}
