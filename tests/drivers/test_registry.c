/* drivers/registry: which tables are refused and why. */
#include "drivers/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tests/drivers/script_driver.h"

static void assert_refused(const struct driver *driver, enum error_code code, const char *words)
{
    struct registry *registry = registry_new();
    struct error *error = driver_register(registry, driver);
    assert_non_null(error);
    if (error_code(error) != code || !strstr(error_message(error), words))
        fail_msg("%s: %s", error_code_name(error_code(error)), error_message(error));
    error_free(error);
    assert_int_equal(driver_count(registry), 0);
    registry_free(registry);
}

static void test_refuses_broken_tables(void **state)
{
    struct driver driver;
#define WITHOUT(member, words)                       \
    do {                                             \
        driver = script_driver;                      \
        driver.member = 0;                           \
        assert_refused(&driver, ERR_INVALID, words); \
    } while (0)
    WITHOUT(open, "mandatory operation open");
    WITHOUT(close, "mandatory operation close");
    WITHOUT(ping, "mandatory operation ping");
    WITHOUT(about, "mandatory operation about");
    WITHOUT(inventory, "mandatory operation inventory");
    WITHOUT(capacity, "mandatory operation capacity");
    WITHOUT(instance_find, "mandatory operation instance_find");
    WITHOUT(instance_create, "mandatory operation instance_create");
    WITHOUT(instance_start, "mandatory operation instance_start");
    WITHOUT(instance_stop, "mandatory operation instance_stop");
    WITHOUT(instance_reboot, "mandatory operation instance_reboot");
    WITHOUT(instance_resize, "mandatory operation instance_resize");
    WITHOUT(instance_delete, "mandatory operation instance_delete");
    WITHOUT(instance_console, "claims console but lacks the operation instance_console");
    WITHOUT(watch, "claims watch but lacks the operation watch");
    WITHOUT(capabilities, "does not claim console");
    WITHOUT(name, "name");
    WITHOUT(summary, "summary");
#undef WITHOUT
    driver = script_driver;
    driver.abi = DRIVER_ABI - 1;
    assert_refused(&driver, ERR_UNSUPPORTED, "ABI 3 where 4 is wanted");
    driver = script_driver;
    driver.name = "Not a name";
    assert_refused(&driver, ERR_INVALID, "name");
    driver = script_driver;
    driver.capabilities |= DRIVER_CAN_VOLUMES;
    assert_refused(&driver, ERR_INVALID, "claims volumes but lacks the operation volume_find");
    driver.capabilities = script_driver.capabilities | DRIVER_CAN_GROW_ATTACHED;
    assert_refused(&driver, ERR_INVALID, "but not volumes");
    driver.capabilities = script_driver.capabilities | DRIVER_CAN_TRACK_CHANGES;
    assert_refused(&driver, ERR_INVALID, "track changes that nobody can read");
    driver.capabilities = script_driver.capabilities | DRIVER_CAN_MOVE | DRIVER_CAN_DETAIL;
    assert_refused(&driver, ERR_INVALID, "move without detail and fence");
    driver.capabilities =
        script_driver.capabilities | DRIVER_CAN_WRITE_DISKS | DRIVER_CAN_DETAIL | DRIVER_CAN_FENCE;
    assert_refused(&driver, ERR_INVALID, "write disks that it cannot read");
    driver.capabilities = script_driver.capabilities | DRIVER_CAN_TEST;
    assert_refused(&driver, ERR_INVALID, "boot tests of what it cannot prepare");
    driver.capabilities = script_driver.capabilities | DRIVER_STAGES_WRITES;
    assert_refused(&driver, ERR_INVALID, "stage what it cannot write");
    driver.capabilities = script_driver.capabilities | DRIVER_CAN_DETAIL;
    assert_refused(&driver, ERR_INVALID, "claims detail but lacks the operation instance_detail");
    driver.capabilities = script_driver.capabilities | 1u << 31;
    assert_refused(&driver, ERR_INVALID, "unknown capabilities 0x80000000");
    assert_refused(NULL, ERR_INVALID, "no driver");
}

static void test_finds_by_name(void **state)
{
    static struct driver many[REGISTRY_MAX + 1];
    static char names[REGISTRY_MAX + 1][16];
    struct registry *registry = registry_new();
    for (size_t i = 0; i <= REGISTRY_MAX; i++) {
        many[i] = script_driver;
        (void)snprintf(names[i], sizeof names[i], "driver-%zu", i);
        many[i].name = names[i];
        struct error *error = driver_register(registry, &many[i]);
        assert_true(i < REGISTRY_MAX ? !error : error_code(error) == ERR_TOO_LARGE);
        error_free(error);
    }
    struct error *error = driver_register(registry, &many[3]);
    assert_int_equal(error_code(error), ERR_EXISTS);
    error_free(error);
    assert_int_equal(driver_count(registry), REGISTRY_MAX);
    assert_ptr_equal(driver_find(registry, "driver-7"), &many[7]);
    assert_ptr_equal(driver_at(registry, 7), &many[7]);
    assert_null(driver_find(registry, "driver-64"));
    registry_free(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses_broken_tables),
        cmocka_unit_test(test_finds_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
