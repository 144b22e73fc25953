/* Volumes of the driver powervm against contrib/hmcsim. */
#include "drivers/powervm/volume.h"

#include "tests/drivers/powervm/fixture.h"

static const struct driver_key volume_key = {.id = ID_TWO};
static const struct driver_key instance_key = {.id = ID_ONE};

static void make(struct fixture *fixture, bool high, struct driver_volume *ret_volume)
{
    struct driver_volume_spec spec = {.id = ID_TWO, .name = "data", .size_gb = 8, .high_performance = high};
    assert_no_error(driver->volume_create(fixture->session, &fixture->call, &spec, ret_volume));
}

static size_t mapped(struct fixture *fixture)
{
    return hmcsim_count(fixture->sim, "mappings", "storage", "yqv-" ID_TWO);
}

static void test_create_find_delete(void **state)
{
    struct fixture *fixture = *state;
    struct driver_volume volume, again;
    assert_error(driver->volume_find(fixture->session, &fixture->call, &volume_key, &volume), ERR_NOT_FOUND,
                 ID_TWO);
    make(fixture, true, &volume);
    assert_string_equal(volume.id, ID_TWO);
    assert_string_equal(volume.name, "yqv-" ID_TWO);
    assert_string_equal(volume.pool, "high");
    assert_int_equal(volume.size_gb, 8);
    assert_null(volume.instance_ref);
    make(fixture, true, &again);
    assert_string_equal(again.ref, volume.ref);
    assert_int_equal(hmcsim_count(fixture->sim, "units", "name", "yqv-" ID_TWO), 1);
    struct driver_key by_ref = {.ref = volume.ref};
    assert_no_error(driver->volume_find(fixture->session, &fixture->call, &by_ref, &again));
    assert_string_equal(again.id, ID_TWO);
    for (int i = 0; i < 2; i++)
        assert_no_error(driver->volume_delete(fixture->session, &fixture->call, &volume_key));
    assert_int_equal(hmcsim_count(fixture->sim, "units", "name", "yqv-" ID_TWO), 0);
}

static void test_an_image_is_no_volume(void **state)
{
    struct fixture *fixture = *state;
    const json_t *image = hmcsim_item(fixture->sim, "units", "kind", "VirtualIO_Image");
    struct driver_key key = {
        .ref = arena_strdup(fixture->call.arena, json_string_value(json_object_get(image, "udid")))};
    struct driver_volume volume;
    assert_error(driver->volume_find(fixture->session, &fixture->call, &key, &volume), ERR_NOT_FOUND,
                 "no volume");
    assert_no_error(driver->volume_delete(fixture->session, &fixture->call, &key));
    assert_int_equal(hmcsim_count(fixture->sim, "units", "udid", key.ref), 1);
}

static void test_attach_and_detach_running(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance instance;
    struct driver_volume volume;
    fixture_create(fixture, ID_ONE, &instance);
    fixture_await_rmc(fixture, ID_ONE);
    make(fixture, false, &volume);
    for (int i = 0; i < 2; i++)
        assert_no_error(driver->volume_attach(fixture->session, &fixture->call, &volume_key, &instance_key));
    assert_int_equal(mapped(fixture), 1);
    assert_no_error(driver->volume_find(fixture->session, &fixture->call, &volume_key, &volume));
    assert_string_equal(volume.instance_ref, instance.ref);
    assert_error(driver->volume_delete(fixture->session, &fixture->call, &volume_key), ERR_CONFLICT,
                 "is attached");
    assert_no_error(
        driver->volume_resize(fixture->session, &fixture->call, &volume_key, 12)); /* while attached */
    for (int i = 0; i < 2; i++)
        assert_no_error(driver->volume_detach(fixture->session, &fixture->call, &volume_key, &instance_key));
    assert_int_equal(mapped(fixture), 0);
    assert_int_equal(hmcsim_count(fixture->sim, "mappings", "storage", "yqb-" ID_ONE), 1);
    hmcsim_control(
        fixture->sim, "/__set",
        arena_printf(fixture->call.arena, "{\"partition\": \"%s\", \"rmc\": \"inactive\"}", instance.name));
    assert_error(driver->volume_attach(fixture->session, &fixture->call, &volume_key, &instance_key),
                 ERR_BUSY, "HSCL2957");
    assert_int_equal(mapped(fixture), 0);
}

static void test_attached_elsewhere(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance one, two;
    struct driver_volume volume;
    const struct driver_key other = {.id = ID_TWO};
    fixture_create(fixture, ID_ONE, &one);
    fixture_create(fixture, ID_TWO, &two); /* the stamps of instances and volumes do not mix */
    fixture_await_rmc(fixture, ID_ONE);
    make(fixture, true, &volume);
    assert_no_error(driver->volume_attach(fixture->session, &fixture->call, &volume_key, &instance_key));
    assert_error(driver->volume_attach(fixture->session, &fixture->call, &volume_key, &other), ERR_CONFLICT,
                 "another partition");
    assert_no_error(driver->volume_detach(fixture->session, &fixture->call, &volume_key, &other));
    assert_int_equal(mapped(fixture), 1);
}

static void test_deleting_the_instance_keeps_the_volume(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance instance;
    struct driver_volume volume;
    fixture_create(fixture, ID_ONE, &instance);
    fixture_await_rmc(fixture, ID_ONE);
    make(fixture, false, &volume);
    assert_no_error(driver->volume_attach(fixture->session, &fixture->call, &volume_key, &instance_key));
    assert_no_error(driver->instance_delete(fixture->session, &fixture->call, &instance_key));
    assert_no_error(driver->volume_find(fixture->session, &fixture->call, &volume_key, &volume));
    assert_null(volume.instance_ref);
    assert_int_equal(mapped(fixture), 0);
    assert_no_error(driver->volume_detach(fixture->session, &fixture->call, &volume_key, &instance_key));
    assert_error(driver->volume_attach(fixture->session, &fixture->call, &volume_key, &instance_key),
                 ERR_NOT_FOUND, "");
}

static void test_two_paths(void **state)
{
    static const char *const paths[] = {"--paths", "2", NULL};
    struct fixture *fixture = fixture_start(paths);
    *state = fixture;
    struct driver_instance instance;
    struct driver_volume volume;
    fixture_create(fixture, ID_ONE, &instance);
    fixture_await_rmc(fixture, ID_ONE);
    assert_int_equal(hmcsim_count(fixture->sim, "mappings", "storage", "yqb-" ID_ONE), 2);
    make(fixture, true, &volume);
    /* the second path is refused: the next attempt finishes what is half done */
    hmcsim_control(fixture->sim, "/__inject",
                   "{\"method\": \"POST\", \"path\": \"VirtualIOServer/\", \"kind\": \"503\", \"skip\": 1}");
    assert_error(driver->volume_attach(fixture->session, &fixture->call, &volume_key, &instance_key),
                 ERR_BUSY, "503");
    assert_int_equal(mapped(fixture), 1);
    assert_no_error(driver->volume_attach(fixture->session, &fixture->call, &volume_key, &instance_key));
    assert_int_equal(mapped(fixture), 2);
    assert_no_error(driver->volume_detach(fixture->session, &fixture->call, &volume_key, &instance_key));
    assert_int_equal(mapped(fixture), 0);
}

static void test_a_unit_left_by_another_partition(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance instance;
    struct driver_volume volume;
    fixture_create(fixture, ID_ONE, &instance);
    make(fixture, false, &volume);
    assert_no_error(driver->instance_stop(fixture->session, &fixture->call, &instance_key, 0));
    assert_no_error(driver->volume_attach(fixture->session, &fixture->call, &volume_key, &instance_key));
    hmcsim_control(fixture->sim, "/__forget", "{\"partition\": \"yq-aghtuxd3dv6d5gspaerukz4jvm\"}");
    assert_int_equal(mapped(fixture), 1); /* without a client */
    assert_no_error(driver->instance_delete(fixture->session, &fixture->call, &instance_key));
    assert_int_equal(hmcsim_count(fixture->sim, "units", "name", "yqb-" ID_ONE), 0);
    fixture_create(fixture, ID_ONE, &instance);
    fixture_await_rmc(fixture, ID_ONE);
    assert_no_error(driver->volume_attach(fixture->session, &fixture->call, &volume_key, &instance_key));
    assert_int_equal(mapped(fixture), 1);
    assert_no_error(driver->volume_find(fixture->session, &fixture->call, &volume_key, &volume));
    assert_string_equal(volume.instance_ref, instance.ref);
}

static void test_resize(void **state)
{
    struct fixture *fixture = *state;
    struct driver_volume volume;
    make(fixture, false, &volume);
    assert_no_error(driver->volume_resize(fixture->session, &fixture->call, &volume_key, 8));
    assert_no_error(driver->volume_resize(fixture->session, &fixture->call, &volume_key, 9));
    assert_error(driver->volume_resize(fixture->session, &fixture->call, &volume_key, 8), ERR_INVALID,
                 "only grows");
    assert_error(driver->volume_resize(fixture->session, &fixture->call, &volume_key, 5000), ERR_NO_CAPACITY,
                 "promised");
    assert_no_error(driver->volume_find(fixture->session, &fixture->call, &volume_key, &volume));
    assert_int_equal(volume.size_gb, 9);
}

static void test_lost_answers(void **state)
{
    struct fixture *fixture = *state;
    static const char *const kinds[] = {"drop", "drop-after", "truncate"};
    struct driver_volume_spec spec = {.id = ID_TWO, .name = "data", .size_gb = 8};
    struct driver_volume volume;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        hmcsim_control(fixture->sim, "/__inject",
                       arena_printf(fixture->call.arena,
                                    "{\"path\": \"CreateLogicalUnit\", \"kind\": \"%s\"}", kinds[i]));
        assert_error(driver->volume_create(fixture->session, &fixture->call, &spec, &volume), ERR_UNAVAILABLE,
                     "unknown");
        assert_no_error(driver->volume_create(fixture->session, &fixture->call, &spec, &volume));
        /* wait for the lost job, if it was started, by one of our own that starts after it */
        struct driver_volume_spec other = {.id = ID_ONE, .name = "other", .size_gb = 1};
        assert_no_error(driver->volume_create(fixture->session, &fixture->call, &other, &volume));
        struct driver_key other_key = {.id = ID_ONE};
        assert_no_error(driver->volume_delete(fixture->session, &fixture->call, &other_key));
        assert_no_error(driver->volume_delete(fixture->session, &fixture->call, &volume_key));
        assert_int_equal(hmcsim_count(fixture->sim, "units", "name", "yqv-" ID_TWO), 0);
    }
    hmcsim_control(fixture->sim, "/__inject", "{\"path\": \"DeleteLogicalUnit\", \"kind\": \"drop-after\"}");
    assert_no_error(driver->volume_create(fixture->session, &fixture->call, &spec, &volume));
    struct error *error = driver->volume_delete(fixture->session, &fixture->call, &volume_key);
    error_free(error); /* unknown, or seen to be gone already */
    assert_no_error(driver->volume_delete(fixture->session, &fixture->call, &volume_key));
    assert_int_equal(hmcsim_count(fixture->sim, "units", "name", "yqv-" ID_TWO), 0);
}

static void test_full_pool(void **state)
{
    struct fixture *fixture = *state;
    struct driver_volume_spec spec = {.id = ID_TWO, .size_gb = 1971}; /* 2000 less 30 of images */
    struct driver_volume volume;
    assert_error(driver->volume_create(fixture->session, &fixture->call, &spec, &volume), ERR_NO_CAPACITY,
                 "promised 30 of 2000");
    spec.size_gb = 1970;
    assert_no_error(driver->volume_create(fixture->session, &fixture->call, &spec, &volume));
    spec.id = ID_ONE;
    spec.size_gb = 0;
    assert_error(driver->volume_create(fixture->session, &fixture->call, &spec, &volume), ERR_INVALID,
                 "1 GB");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_create_find_delete),
        TEST(test_an_image_is_no_volume),
        TEST(test_attach_and_detach_running),
        TEST(test_attached_elsewhere),
        TEST(test_deleting_the_instance_keeps_the_volume),
        cmocka_unit_test_teardown(test_two_paths, fixture_teardown),
        TEST(test_a_unit_left_by_another_partition),
        TEST(test_resize),
        TEST(test_lost_answers),
        TEST(test_full_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
