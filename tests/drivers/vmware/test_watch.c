/* Watching against vcsim: what another session changes is told here, once; an interruption is told as such.
 */
#include "tests/drivers/vmware/fixture.h"

static struct driver_session *actor;

static int setup(void **state)
{
    fixture_start((const char *const[]){"-vm", "2", NULL});
    struct driver_endpoint endpoint = vcsim_endpoint(sim);
    OK(vmware->open(&endpoint, &call, &actor));
    return 0;
}

static int teardown(void **state)
{
    vmware->close(actor);
    return fixture_stop(state);
}

/* Watches until the machine with this stamp is as wanted; fails at the call's deadline. */
static void expect_change(const char *id, enum driver_power power, bool gone)
{
    for (int rounds = 0; rounds < 20; rounds++) {
        struct driver_change *changes;
        size_t count;
        OK(vmware->watch(session, &call, &changes, &count));
        if (count == 0)
            fail_msg("no change of %s was told in time", id);
        for (size_t i = 0; i < count; i++)
            if (changes[i].id && strcmp(changes[i].id, id) == 0 && changes[i].gone == gone &&
                (gone || changes[i].power == power))
                return;
    }
    fail_msg("the change of %s was not among those told", id);
}

static void changes_are_told(void **state)
{
    struct driver_change *changes;
    size_t count;
    OK(vmware->watch(session, &call, &changes, &count));
    assert_true(count >= 2); /* everything, at first */
    struct driver_instance_spec spec = spec_of(ID_A, "w");
    struct driver_instance instance;
    struct driver_key key = key_of(ID_A);
    OK(vmware->instance_create(actor, &call, &spec, &instance));
    expect_change(ID_A, DRIVER_POWER_ON, false);
    OK(vmware->instance_stop(actor, &call, &key, 0));
    expect_change(ID_A, DRIVER_POWER_OFF, false);
    OK(vmware->instance_delete(actor, &call, &key));
    expect_change(ID_A, DRIVER_POWER_OFF, true);
}

static void quiet_is_no_error(void **state)
{
    struct driver_change *changes;
    size_t count;
    call.deadline_us = moment_monotonic() + 3 * MOMENT_SECOND;
    do
        OK(vmware->watch(session, &call, &changes, &count));
    while (count);
    assert_true(moment_monotonic() < call.deadline_us + MOMENT_SECOND);
}

static void an_interruption_is_told(void **state)
{
    struct driver_change *changes;
    size_t count;
    call.deadline_us = moment_monotonic() + 6 * MOMENT_SECOND;
    vcsim_control(sim, "/__expire");
    FAILS(vmware->watch(session, &call, &changes, &count), ERR_UNAVAILABLE, "may have been missed");
    OK(vmware->watch(session, &call, &changes, &count)); /* from the beginning */
    assert_true(count >= 2);
    vcsim_control(sim, "/__expire");
    OK(vmware->ping(session, &call)); /* logs in again and loses the watch */
    FAILS(vmware->watch(session, &call, &changes, &count), ERR_UNAVAILABLE, "may have been missed");
    OK(vmware->watch(session, &call, &changes, &count));
    assert_true(count >= 2);
}

static void a_session_that_idles_out(void **state)
{
    /* the provider counts a pending wait as idle, so a quiet watch outlives its own session */
    struct vcsim *strict = vcsim_start((const char *const[]){"-vm", "1", "-session-timeout", "500ms", NULL});
    struct driver_endpoint endpoint = vcsim_endpoint(strict);
    struct driver_session *idle;
    struct driver_change *changes;
    size_t count;
    OK(vmware->open(&endpoint, &call, &idle));
    OK(vmware->watch(idle, &call, &changes, &count));
    assert_true(count >= 1);
    call.deadline_us = moment_monotonic() + 4 * MOMENT_SECOND;
    OK(vmware->watch(idle, &call, &changes, &count));
    assert_int_equal(count, 0);
    call.deadline_us = moment_monotonic() + 10 * MOMENT_SECOND;
    struct driver_inventory inventory;
    OK(vmware->inventory(idle, &call, &inventory));
    assert_int_equal(inventory.instance_count, 1);
    assert_int_equal(vcsim_calls(strict, "Login"), 2);
    FAILS(vmware->watch(idle, &call, &changes, &count), ERR_UNAVAILABLE, "may have been missed");
    vmware->close(idle);
    vcsim_stop(strict);
}

static bool not_twice(void *context, int percent, const char *step)
{
    unsigned *asked = context;
    (void)percent;
    (void)step;
    return ++*asked < 2;
}

/* A broker that stops does not wait for a provider that has nothing to tell. */
static void a_cancelled_watch_ends(void **state)
{
    struct driver_change *changes;
    size_t count;
    unsigned asked = 0;
    call.deadline_us = moment_monotonic() + 59 * MOMENT_SECOND;
    struct driver_call cancelled = call;
    cancelled.progress = not_twice;
    cancelled.context = &asked;
    FAILS(vmware->watch(session, &cancelled, &changes, &count), ERR_CANCELLED, "");
    assert_true(moment_monotonic() < call.deadline_us - 20 * MOMENT_SECOND);
    FAILS(vmware->watch(session, &call, &changes, &count), ERR_UNAVAILABLE, "may have been missed");
    OK(vmware->watch(session, &call, &changes, &count)); /* from the beginning */
    assert_true(count >= 2);
}

#define TEST(function) cmocka_unit_test_setup(function, renew_call)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(changes_are_told),       TEST(quiet_is_no_error),        TEST(an_interruption_is_told),
        TEST(a_cancelled_watch_ends), TEST(a_session_that_idles_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
