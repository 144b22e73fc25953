/* Watching instances through the HMC's events. */
#include "drivers/powervm/watch.h"

#include <string.h>

#include "tests/drivers/powervm/fixture.h"

/* Watches until a change of this reference shows this power or is gone; the id it was told with. */
static const char *await_change(struct fixture *fixture, const char *ref, enum driver_power power, bool gone)
{
    int64_t end = moment_monotonic() + 20 * MOMENT_SECOND;
    while (moment_monotonic() < end) {
        struct driver_change *changes = NULL;
        size_t count = 0;
        struct driver_call call = fixture_within(fixture, 5 * MOMENT_SECOND);
        assert_no_error(driver->watch(fixture->session, &call, &changes, &count));
        for (size_t i = 0; i < count; i++) {
            if (strcmp(changes[i].ref, ref) == 0 && changes[i].gone == gone && changes[i].power == power)
                return changes[i].id;
        }
    }
    fail_msg("no such change of %s", ref);
    return NULL;
}

static void test_follows_an_instance(void **state)
{
    struct fixture *fixture = *state;
    struct driver_session *other = fixture_open(fixture);
    struct driver_instance one, two;
    struct driver_instance_spec spec = fixture_spec(ID_ONE);
    struct driver_key key = {.id = ID_TWO};
    assert_no_error(driver->instance_create(other, &fixture->call, &spec, &one));
    assert_string_equal(await_change(fixture, one.ref, DRIVER_POWER_ON, false),
                        ID_ONE); /* the first tells all */
    spec.id = ID_TWO;
    assert_no_error(driver->instance_create(other, &fixture->call, &spec, &two));
    assert_string_equal(await_change(fixture, two.ref, DRIVER_POWER_ON, false), ID_TWO);
    assert_no_error(driver->instance_stop(other, &fixture->call, &key, 0));
    assert_string_equal(await_change(fixture, two.ref, DRIVER_POWER_OFF, false), ID_TWO);
    assert_no_error(driver->instance_delete(other, &fixture->call, &key));
    assert_string_equal(await_change(fixture, two.ref, DRIVER_POWER_UNKNOWN, true), ID_TWO);
    driver->close(other);
}

static void test_nothing_until_the_deadline(void **state)
{
    struct fixture *fixture = *state;
    struct driver_change *changes = NULL;
    size_t count = 7;
    int64_t start = moment_monotonic();
    struct driver_call call = fixture_within(fixture, 2 * MOMENT_SECOND);
    assert_no_error(driver->watch(fixture->session, &call, &changes, &count));
    assert_int_equal(count, 0);
    assert_in_range(moment_monotonic() - start, 2 * MOMENT_SECOND, 8 * MOMENT_SECOND);
}

static void test_a_poll_may_take_longer_than_a_round_trip(void **state)
{
    static const char *const slow[] = {"--event-wait", "2", NULL};
    struct fixture *fixture = fixture_start(slow);
    *state = fixture;
    struct driver_session *session = NULL;
    struct driver_endpoint endpoint = hmcsim_endpoint(fixture->sim);
    struct driver_change *changes = NULL;
    size_t count = 0;
    endpoint.timeout_us = MOMENT_SECOND;
    assert_no_error(driver->open(&endpoint, &fixture->call, &session));
    struct driver_call call = fixture_within(fixture, 5 * MOMENT_SECOND);
    assert_no_error(driver->watch(session, &call, &changes, &count));
    assert_int_equal(count, 0);
    driver->close(session);
}

static void test_lost_sessions_tell_everything_again(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance one;
    struct driver_change *changes = NULL;
    size_t count = 0;
    fixture_create(fixture, ID_ONE, &one);
    assert_no_error(driver->watch(fixture->session, &fixture->call, &changes, &count));
    assert_int_equal(count, 1);
    hmcsim_control(fixture->sim, "/__inject", "{\"path\": \"Event\", \"kind\": \"garbage\"}");
    assert_error(driver->watch(fixture->session, &fixture->call, &changes, &count), ERR_UNAVAILABLE, "XML");
    assert_no_error(driver->watch(fixture->session, &fixture->call, &changes, &count));
    assert_int_equal(count, 1);
    assert_string_equal(changes[0].id, ID_ONE);
    hmcsim_control(fixture->sim, "/__inject", "{\"path\": \"Event\", \"kind\": \"session-loss\"}");
    assert_error(driver->watch(fixture->session, &fixture->call, &changes, &count), ERR_UNAVAILABLE,
                 "NEW_CLIENT");
    assert_no_error(driver->watch(fixture->session, &fixture->call, &changes, &count));
    assert_int_equal(count, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_follows_an_instance),
        TEST(test_nothing_until_the_deadline),
        cmocka_unit_test_teardown(test_a_poll_may_take_longer_than_a_round_trip, fixture_teardown),
        TEST(test_lost_sessions_tell_everything_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
