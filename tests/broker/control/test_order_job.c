/* The job "order" against a provider in memory: it goes well, fails at every step, is cancelled at every
 * step, and is taken up by another broker; what is promised, billed and there agree at every ending. */
#include "tests/broker/control/house.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"

static void expect(const char *sql, const char *wanted)
{
    char *got = house_text(sql);
    assert_string_equal(got, wanted);
    free(got);
}

static void all_become_active_together(void **state)
{
    char operation[37];
    ok(house_order(INSTANCE_AND_VOLUME, operation));
    expect("SELECT string_agg(state, ',') FROM resource", "requested,requested");
    house_run();
    house_await(operation, "succeeded");
    house_halt();
    expect("SELECT state FROM orders", "fulfilled");
    expect("SELECT count(DISTINCT active_at) || ',' || count(DISTINCT start_at) FROM resource JOIN "
           "usage_interval i"
           " ON i.resource_id = resource.id::text AND i.start_at = active_at",
           "1,1");
    expect("SELECT v.attached_to = i.id FROM resource v, resource i WHERE v.kind = 'volume' AND i.kind = "
           "'instance'",
           "t");
    expect("SELECT power FROM resource WHERE kind = 'instance'", "on");
    house_check();
}

/* Whatever fails for good: everything is taken back. */
static void fails_at(const char *operation_name, bool after)
{
    char operation[37];
    memory_cloud_fail(operation_name, ERR_INVALID, 1, after);
    ok(house_order(INSTANCE_AND_VOLUME, operation));
    house_run();
    house_await(operation, "failed");
    house_halt();
    expect("SELECT state FROM orders", "failed");
    expect("SELECT string_agg(DISTINCT state, ',') FROM resource", "failed");
    expect("SELECT count(*) FROM usage_interval", "0");
    assert_int_equal(memory_cloud_machines(), 0);
    assert_int_equal(memory_cloud_volumes(), 0);
    house_check();
}

static void a_failure_takes_everything_back(void **state)
{
    static const char *const operations[] = {"instance_create", "volume_create", "volume_attach"};
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        fails_at(operations[i], false);
        house_reset(state);
        fails_at(operations[i], true);
        house_reset(state);
    }
}

static void what_may_heal_is_tried_again(void **state)
{
    char operation[37];
    memory_cloud_fail("instance_create", ERR_BUSY, 1, true);
    ok(house_order(INSTANCE_AND_VOLUME, operation));
    house_run();
    house_await(operation, "succeeded");
    house_halt();
    assert_int_equal(memory_cloud_machines(), 1);
    house_check();
}

static void cancelled_at(const char *operation_name)
{
    char operation[37];
    memory_cloud_hold(operation_name);
    ok(house_order(INSTANCE_AND_VOLUME, operation));
    house_run();
    memory_cloud_await_held();
    ok(house_cancel(operation));
    memory_cloud_release();
    house_await(operation, "cancelled");
    house_halt();
    expect("SELECT state FROM orders", "cancelled");
    house_check();
    refused(house_cancel(operation), ERR_CONFLICT);
}

static void a_cancelled_order_leaves_nothing(void **state)
{
    static const char *const operations[] = {"instance_create", "volume_create", "volume_attach"};
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        cancelled_at(operations[i]);
        assert_int_equal(memory_cloud_machines() + memory_cloud_volumes(), 0);
        house_reset(state);
    }
}

static void an_order_is_cancelled_before_it_begins(void **state)
{
    char operation[37];
    ok(house_order(INSTANCE_AND_VOLUME, operation));
    ok(house_cancel(operation));
    house_run();
    house_await(operation, "cancelled");
    assert_int_equal(memory_cloud_calls("instance_create"), 0);
    house_check();
}

/* A volume joins an instance that goes away meanwhile. */
static void a_volume_outlives_the_instance_it_was_ordered_for(void **state)
{
    char operation[37], deletion[37];
    ok(house_order(ONE_INSTANCE("web"), operation));
    house_run();
    house_await(operation, "succeeded");
    memory_cloud_hold("volume_create");
    ok(house_order(
        "[{\"kind\":\"volume\",\"name\":\"data\",\"spec\":{\"size_gb\":10,\"performance\":\"standard\","
        "\"attach_to\":\"web\"}}]",
        operation));
    memory_cloud_await_held();
    ok(house_operate("web", VERB_DELETE, NULL, deletion));
    house_await(deletion, "succeeded");
    memory_cloud_release();
    house_await(operation, "succeeded");
    house_halt();
    expect("SELECT attached_to IS NULL FROM resource WHERE name = 'data'", "t");
    house_check();
}

/* The rows as a broker leaves them that dies at each point of its work; the next one ends the order. */
static void another_broker_goes_on(void **state)
{
    static const char *const left[] = {
        /* nothing done yet, leased */
        "UPDATE job SET state = 'running', fence = 7, begun = true, run_at = now() - interval '1 minute'",
        /* the instance is being made */
        "UPDATE job SET state = 'running', fence = 7, begun = true, step = 'create', run_at = now() - "
        "interval '1 minute';"
        "UPDATE resource SET state = 'creating' WHERE kind = 'instance'",
        /* all made, and the last is not recorded */
        "UPDATE job SET state = 'running', fence = 7, begun = true, step = 'create', run_at = now() - "
        "interval '1 minute';"
        "UPDATE resource SET state = 'creating'; UPDATE resource SET ref = 'vm-' || id WHERE kind = "
        "'instance'",
    };
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        char operation[37];
        if (i == 1) /* made at the provider, told to nobody */
            memory_cloud_fail("instance_create", ERR_UNAVAILABLE, 1, true);
        ok(house_order(INSTANCE_AND_VOLUME, operation));
        if (i == 2) { /* the provider has what is recorded as made */
            char id[37];
            struct driver_instance made;
            ARENA_AUTO struct arena *arena = arena_new();
            house_id("web", id);
            struct driver_call call = {.arena = arena};
            struct driver_instance_spec spec = {.id = id, .name = "web", .vcpu = 2, .memory_mb = 4096};
            ok(memory_driver.instance_create(NULL, &call, &spec, &made));
        }
        pg_exec(house.pg, left[i]);
        house_run();
        house_await(operation, "succeeded");
        house_halt();
        assert_int_equal(memory_cloud_machines(), 1);
        house_check();
        house_reset(state);
    }
}

/* An attempt whose lease ran out unnoticed must not call that a cancellation. */
static void a_lease_that_ran_out_cancels_nothing(void **state)
{
    char operation[37];
    memory_cloud_hold("instance_create");
    ok(house_order(INSTANCE_AND_VOLUME, operation));
    static const struct job_type *const types[] = {&order_job};
    ok(job_runner_start(&(struct job_runner_settings){.conninfo = pg_conninfo(house.pg),
                                                      .types = types,
                                                      .type_count = 1,
                                                      .workers = 1,
                                                      .context = &house.services,
                                                      .clock = house.clock,
                                                      .lease_us = MOMENT_SECOND},
                        &house.runner));
    memory_cloud_await_held();
    /* The heartbeat's statement waits for this lock; the lease is over by the time the provider answers. */
    pg_exec(house.pg, "BEGIN; LOCK TABLE job IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(2.5); COMMIT");
    memory_cloud_release();
    house_await(operation, "succeeded");
    house_halt();
    house_check();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, house_reset, house_rest)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_become_active_together),
        TEST(a_failure_takes_everything_back),
        TEST(what_may_heal_is_tried_again),
        TEST(a_cancelled_order_leaves_nothing),
        TEST(an_order_is_cancelled_before_it_begins),
        TEST(a_volume_outlives_the_instance_it_was_ordered_for),
        TEST(another_broker_goes_on),
        TEST(a_lease_that_ran_out_cancels_nothing),
    };
    return cmocka_run_group_tests(tests, house_open, house_close);
}
