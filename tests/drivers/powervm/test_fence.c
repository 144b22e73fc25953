/* Details and fences of the driver powervm against contrib/hmcsim. */
#include <stdlib.h>
#include <string.h>

#include "drivers/driver_move.h"
#include "drivers/powervm/partition.h"
#include "tests/drivers/powervm/fixture.h"

#define VOLUME "018f3a5c-7b1d-7c3e-9a4f-00000000000a"

static const struct driver_key key = {.id = ID_ONE};
static const struct driver_key volume = {.id = VOLUME};

/* ID_ONE with a volume of 3 GB. */
static void make(struct fixture *fixture)
{
    struct driver_instance instance;
    struct driver_volume made;
    struct driver_volume_spec spec = {.id = VOLUME, .name = "data", .size_gb = 3, .high_performance = true};
    fixture_create(fixture, ID_ONE, &instance);
    fixture_await_rmc(fixture, ID_ONE);
    assert_no_error(driver->volume_create(fixture->session, &fixture->call, &spec, &made));
    assert_no_error(driver->volume_attach(fixture->session, &fixture->call, &volume, &key));
}

static void stop(struct fixture *fixture)
{
    assert_no_error(driver->instance_stop(fixture->session, &fixture->call, &key, 0));
}

static struct driver_detail detail_of(struct fixture *fixture)
{
    struct driver_detail detail;
    assert_no_error(driver->instance_detail(fixture->session, &fixture->call, &key, &detail));
    return detail;
}

static const char *text_of(struct fixture *fixture, const char *member)
{
    return json_string_value(
        json_object_get(hmcsim_item(fixture->sim, "partitions", "name", NAME_ONE), member));
}

static size_t mapped(struct fixture *fixture)
{
    return hmcsim_count(fixture->sim, "mappings", "partition", NAME_ONE);
}

static void test_tells_details(void **state)
{
    struct fixture *fixture = *state;
    make(fixture);
    struct driver_detail detail = detail_of(fixture);
    assert_string_equal(detail.instance.id, ID_ONE);
    assert_int_equal(detail.firmware, DRIVER_FIRMWARE_OPEN);
    assert_string_equal(detail.machine, "POWER9_Base");
    assert_string_equal(detail.guest_os, "Linux/Simulated 1.0");
    assert_true(detail.agent);
    assert_false(detail.fenced);
    assert_int_equal(detail.disk_count, 2);
    assert_true(detail.disks[0].boot);
    assert_null(detail.disks[0].volume_id);
    assert_false(detail.disks[0].high_performance);
    assert_true(detail.disks[0].size_bytes == UINT64_C(20) << 30);
    assert_string_equal(detail.disks[0].format, "logical-unit");
    assert_non_null(strstr(detail.disks[0].unreadable, "no access"));
    assert_string_equal(detail.disks[1].volume_id, VOLUME);
    assert_true(detail.disks[1].high_performance);
    assert_false(detail.disks[1].boot);
    assert_true(detail.disks[1].size_bytes == UINT64_C(3) << 30);
    assert_string_not_equal(detail.disks[0].name, detail.disks[1].name);
    assert_int_equal(detail.adapter_count, 1);
    assert_string_equal(detail.adapters[0].network, "extranet");
    assert_int_equal(strlen(detail.adapters[0].mac), 17);
    assert_int_equal(strspn(detail.adapters[0].mac, "0123456789abcdef:"), 17);
    assert_int_equal(detail.passthrough_count + detail.snapshot_count + detail.checkpoint_count, 0);
    hmcsim_control(fixture->sim, "/__set",
                   "{\"partition\": \"" NAME_ONE "\", \"physical\": true, \"rmc\": \"inactive\"}");
    detail = detail_of(fixture);
    assert_int_equal(detail.passthrough_count, 1);
    assert_false(detail.agent);
    struct driver_key other = {.id = ID_TWO};
    assert_error(driver->instance_detail(fixture->session, &fixture->call, &other, &detail), ERR_NOT_FOUND,
                 "no partition");
}

/* Two servers of the pool on each system: two paths to each disk. */
static void test_paths_are_one_disk(void **state)
{
    static const char *const arguments[] = {"--paths", "2", NULL};
    struct fixture *fixture = fixture_start(arguments);
    void *kept = fixture;
    make(fixture);
    assert_int_equal(mapped(fixture), 4);
    assert_int_equal(detail_of(fixture).disk_count, 2);
    stop(fixture);
    assert_no_error(driver->instance_fence(fixture->session, &fixture->call, &key));
    assert_int_equal(mapped(fixture), 0);
    assert_no_error(driver->instance_release(fixture->session, &fixture->call, &key));
    assert_int_equal(mapped(fixture), 4);
    assert_int_equal(fixture_teardown(&kept), 0);
}

static void test_a_fenced_one_does_not_start(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance_spec spec = fixture_spec(ID_ONE);
    struct driver_instance instance;
    struct partition partition;
    make(fixture);
    assert_error(driver->instance_fence(fixture->session, &fixture->call, &key), ERR_CONFLICT, "runs");
    stop(fixture);
    hmcsim_control(fixture->sim, "/__set", "{\"partition\": \"" NAME_ONE "\", \"autostart\": true}");
    for (int i = 0; i < 2; i++)
        assert_no_error(driver->instance_fence(fixture->session, &fixture->call, &key));
    assert_int_equal(mapped(fixture), 0);
    assert_true(json_is_false(
        json_object_get(hmcsim_item(fixture->sim, "partitions", "name", NAME_ONE), "autostart")));
    static const char marked[] = "yunqiao web-1 " ID_ONE " fenced:a,b,v";
    assert_memory_equal(text_of(fixture, "description"), marked, sizeof marked - 1);
    assert_error(driver->instance_start(fixture->session, &fixture->call, &key), ERR_CONFLICT, "fenced");
    assert_error(driver->instance_create(fixture->session, &fixture->call, &spec, &instance), ERR_CONFLICT,
                 "fenced");
    assert_error(driver->volume_attach(fixture->session, &fixture->call, &volume, &key), ERR_CONFLICT,
                 "fenced");
    assert_no_error(driver->instance_find(fixture->session, &fixture->call, &key, &instance));
    assert_int_equal(instance.power, DRIVER_POWER_OFF);
    struct driver_detail detail = detail_of(fixture);
    assert_true(detail.fenced);
    assert_int_equal(detail.disk_count, 2);
    assert_true(detail.disks[0].boot);
    assert_string_equal(detail.disks[1].volume_id, VOLUME);
    /* an operator's ordinary activation finds nothing to boot from */
    assert_no_error(partition_find(fixture->session, &fixture->call, &key, &partition));
    assert_no_error(partition_power_on(fixture->session, &fixture->call, &partition));
    assert_string_equal(text_of(fixture, "state"), "open firmware");
    assert_error(driver->instance_release(fixture->session, &fixture->call, &key), ERR_CONFLICT, "activated");
    stop(fixture);
    for (int i = 0; i < 2; i++)
        assert_no_error(driver->instance_release(fixture->session, &fixture->call, &key));
    assert_int_equal(mapped(fixture), 2);
    assert_string_equal(text_of(fixture, "description"), "yunqiao web-1 " ID_ONE);
    assert_true(json_is_true(
        json_object_get(hmcsim_item(fixture->sim, "partitions", "name", NAME_ONE), "autostart")));
    assert_no_error(driver->instance_start(fixture->session, &fixture->call, &key));
    assert_string_equal(text_of(fixture, "state"), "running");
}

/* Each writing request lost in turn: whatever was done, the guest does not start until it is released. */
static void test_fences_heal_after_every_break(void **state)
{
    struct fixture *fixture = *state;
    static const char *const kinds[] = {"drop", "drop-after", "503"};
    make(fixture);
    stop(fixture);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        for (int skip = 0; skip < 3; skip++) {
            const char *fault = arena_printf(
                fixture->call.arena,
                "{\"method\": \"POST\", \"path\": \"rest\", \"kind\": \"%s\", \"skip\": %d}", kinds[i], skip);
            hmcsim_control(fixture->sim, "/__inject", fault);
            assert_error(driver->instance_fence(fixture->session, &fixture->call, &key),
                         i == 2 ? ERR_BUSY : ERR_UNAVAILABLE, "");
            assert_no_error(driver->instance_fence(fixture->session, &fixture->call, &key));
            assert_int_equal(mapped(fixture), 0);
            assert_error(driver->instance_start(fixture->session, &fixture->call, &key), ERR_CONFLICT,
                         "fenced");
            hmcsim_control(fixture->sim, "/__inject", fault);
            assert_error(driver->instance_release(fixture->session, &fixture->call, &key),
                         i == 2 ? ERR_BUSY : ERR_UNAVAILABLE, "");
            assert_no_error(driver->instance_release(fixture->session, &fixture->call, &key));
            assert_int_equal(mapped(fixture), 2);
        }
    }
}

static void test_release_knows_what_is_gone(void **state)
{
    struct fixture *fixture = *state;
    make(fixture);
    stop(fixture);
    assert_no_error(driver->instance_fence(fixture->session, &fixture->call, &key));
    assert_no_error(driver->volume_delete(fixture->session, &fixture->call, &volume));
    assert_no_error(driver->instance_release(fixture->session, &fixture->call, &key));
    assert_int_equal(mapped(fixture), 1);
}

static void test_a_fenced_one_is_deleted_whole(void **state)
{
    struct fixture *fixture = *state;
    make(fixture);
    stop(fixture);
    assert_no_error(driver->instance_fence(fixture->session, &fixture->call, &key));
    assert_no_error(driver->instance_delete(fixture->session, &fixture->call, &key));
    assert_int_equal(hmcsim_count(fixture->sim, "partitions", "name", NAME_ONE), 0);
    assert_int_equal(hmcsim_count(fixture->sim, "units", "name", "yqb-" ID_ONE), 0);
    assert_int_equal(hmcsim_count(fixture->sim, "units", "name", "yqv-" VOLUME), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        CASE(test_tells_details),
        cmocka_unit_test(test_paths_are_one_disk),
        CASE(test_a_fenced_one_does_not_start),
        CASE(test_fences_heal_after_every_break),
        CASE(test_release_knows_what_is_gone),
        CASE(test_a_fenced_one_is_deleted_whole),
#undef CASE
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
