/* The job "operate" against a provider in memory: every verb, its failure and its cancellation before and
 * after the provider did it. What the broker holds afterwards is what the provider has. */
#include "tests/broker/control/house.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void expect(const char *sql, const char *wanted)
{
    char *got = house_text(sql);
    assert_string_equal(got, wanted);
    free(got);
}

/* "web" with "data" attached, all active, and a runner. */
static int furnish(void **state)
{
    char operation[37];
    house_reset(state);
    ok(house_order(INSTANCE_AND_VOLUME, operation));
    house_run();
    house_await(operation, "succeeded");
    return 0;
}

static void done(const char *name, enum verb verb, const char *args)
{
    char operation[37];
    ok(house_operate(name, verb, args, operation));
    house_await(operation, "succeeded");
    house_check();
}

static struct driver_instance machine(void)
{
    char id[37];
    struct driver_instance machine = {0};
    house_id("web", id);
    assert_true(memory_cloud_machine(id, &machine));
    return machine;
}

static void every_verb_is_done(void **state)
{
    unsigned size;
    bool attached;
    char id[37];
    house_id("data", id);
    done("web", VERB_STOP, "{\"grace_us\":0}");
    expect("SELECT power FROM resource WHERE name = 'web'", "off");
    assert_int_equal(machine().power, DRIVER_POWER_OFF);
    done("web", VERB_START, NULL);
    done("web", VERB_REBOOT, NULL);
    expect("SELECT power FROM resource WHERE name = 'web'", "on");
    done("web", VERB_RESIZE, "{\"vcpu\":4,\"memory_gb\":2}");
    assert_int_equal(machine().vcpu, 4);
    expect("SELECT string_agg(item || ' ' || micro, ',' ORDER BY item) FROM usage_interval i JOIN resource r"
           " ON r.id::text = i.resource_id WHERE name = 'web' AND end_at = 'infinity' AND item IN ('1001', "
           "'1002')",
           "1001 4000000,1002 2000000");
    done("data", VERB_RESIZE, "{\"size_gb\":150}");
    done("data", VERB_DETACH, NULL);
    assert_true(memory_cloud_volume(id, &size, &attached));
    assert_int_equal(size, 150);
    assert_false(attached);
    char *web = house_text("SELECT '{\"instance\":\"' || id || '\"}' FROM resource WHERE name = 'web'");
    done("data", VERB_ATTACH, web);
    free(web);
    assert_true(memory_cloud_volume(id, &size, &attached));
    assert_true(attached);
    done("web", VERB_CONSOLE, NULL);
    expect("SELECT result ->> 'console' FROM operation WHERE kind = 'console'", "secret of the guest");
    done("web", VERB_DELETE, NULL);
    expect("SELECT attached_to IS NULL FROM resource WHERE name = 'data'", "t");
    done("data", VERB_DELETE, NULL);
    expect("SELECT count(*) FROM usage_interval WHERE end_at = 'infinity'", "0");
}

/* A verb that fails for good before it did anything changes nothing. */
static void a_failure_changes_nothing(void **state)
{
    static const struct {
        const char *operation, *name, *args;
        enum verb verb;
    } cases[] = {
        {"instance_stop", "web", "{\"grace_us\":0}", VERB_STOP},
        {"instance_resize", "web", "{\"vcpu\":8,\"memory_gb\":1}", VERB_RESIZE},
        {"instance_delete", "web", NULL, VERB_DELETE},
        {"volume_resize", "data", "{\"size_gb\":200}", VERB_RESIZE},
        {"volume_detach", "data", NULL, VERB_DETACH},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char operation[37];
        memory_cloud_fail(cases[i].operation, ERR_INVALID, 1, false);
        ok(house_operate(cases[i].name, cases[i].verb, cases[i].args, operation));
        house_await(operation, "failed");
        house_check();
        expect("SELECT string_agg(state || ' ' || power, ',' ORDER BY kind) FROM resource",
               "active on,active none");
        expect("SELECT spec ->> 'vcpu' FROM resource WHERE name = 'web'", "2");
        expect("SELECT spec ->> 'size_gb' FROM resource WHERE name = 'data'", "100");
        expect("SELECT attached_to IS NOT NULL FROM resource WHERE name = 'data'", "t");
    }
}

/* The provider did it and then said that it failed, or somebody cancelled too late: it is recorded as what it
 * is. */
static void what_was_done_is_recorded(bool cancel)
{
    static const struct {
        const char *operation, *name, *args;
        enum verb verb;
        const char *sql, *wanted;
    } cases[] = {
        {"instance_stop", "web", "{\"grace_us\":0}", VERB_STOP,
         "SELECT power FROM resource WHERE name = 'web'", "off"},
        {"instance_start", "web", NULL, VERB_START, "SELECT power FROM resource WHERE name = 'web'", "on"},
        {"instance_resize", "web", "{\"vcpu\":8,\"memory_gb\":1}", VERB_RESIZE,
         "SELECT spec ->> 'vcpu' FROM resource WHERE name = 'web'", "8"},
        {"volume_resize", "data", "{\"size_gb\":200}", VERB_RESIZE,
         "SELECT spec ->> 'size_gb' FROM resource WHERE name = 'data'", "200"},
        {"volume_detach", "data", NULL, VERB_DETACH,
         "SELECT attached_to IS NULL FROM resource WHERE name = 'data'", "t"},
        {"volume_attach", "data", "web", VERB_ATTACH,
         "SELECT attached_to IS NULL FROM resource WHERE name = 'data'", "f"},
        {"instance_delete", "web", NULL, VERB_DELETE, "SELECT state FROM resource WHERE name = 'web'",
         "deleted"},
        {"volume_delete", "data", NULL, VERB_DELETE, "SELECT state FROM resource WHERE name = 'data'",
         "deleted"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char operation[37], id[37];
        char *args = cases[i].args ? xasprintf("%s", cases[i].args) : NULL;
        if (cases[i].verb == VERB_ATTACH) {
            house_id("web", id);
            free(args);
            args = xasprintf("{\"instance\":\"%s\"}", id);
        }
        if (cancel)
            memory_cloud_hold(cases[i].operation);
        else
            memory_cloud_fail(cases[i].operation, ERR_INVALID, 1, true);
        ok(house_operate(cases[i].name, cases[i].verb, args, operation));
        free(args);
        if (cancel) {
            memory_cloud_await_held();
            ok(house_cancel(operation));
            memory_cloud_release();
        }
        house_await(operation, "succeeded");
        expect(cases[i].sql, cases[i].wanted);
        house_check();
    }
}

static void a_failure_told_too_late_is_a_success(void **state)
{
    what_was_done_is_recorded(false);
}

static void a_cancellation_that_comes_too_late_is_a_success(void **state)
{
    what_was_done_is_recorded(true);
}

static void an_operation_is_cancelled_before_it_begins(void **state)
{
    static const enum verb verbs[] = {VERB_DELETE, VERB_STOP};
    house_halt();
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        char operation[37];
        ok(house_operate("web", verbs[i], "{\"grace_us\":0}", operation));
        ok(house_cancel(operation));
        house_run();
        house_await(operation, "cancelled");
        house_halt();
        expect("SELECT state || ' ' || power FROM resource WHERE name = 'web'", "active on");
        house_check();
    }
    assert_int_equal(memory_cloud_calls("instance_delete") + memory_cloud_calls("instance_stop"), 0);
}

static void a_resize_may_restart(void **state)
{
    char operation[37];
    memory_cloud_resize_off_only();
    ok(house_operate("web", VERB_RESIZE, "{\"vcpu\":4}", operation));
    house_await(operation, "failed");
    assert_int_equal(machine().power, DRIVER_POWER_ON);
    done("web", VERB_RESIZE, "{\"vcpu\":4,\"allow_restart\":true}");
    assert_int_equal(machine().power, DRIVER_POWER_ON);
    assert_int_equal(machine().vcpu, 4);
    /* the start fails once, after which the resize finds the machine off: it is started all the same */
    memory_cloud_fail("instance_start", ERR_BUSY, 1, false);
    done("web", VERB_RESIZE, "{\"vcpu\":6,\"allow_restart\":true}");
    assert_int_equal(machine().power, DRIVER_POWER_ON);
    expect("SELECT power FROM resource WHERE name = 'web'", "on");
    /* one that is off stays off */
    done("web", VERB_STOP, "{\"grace_us\":0}");
    done("web", VERB_RESIZE, "{\"vcpu\":8,\"allow_restart\":true}");
    assert_int_equal(machine().power, DRIVER_POWER_OFF);
    expect("SELECT power FROM resource WHERE name = 'web'", "off");
}

static void one_operation_at_a_time(void **state)
{
    char operation[37], second[37];
    memory_cloud_hold("instance_stop");
    ok(house_operate("web", VERB_STOP, "{\"grace_us\":0}", operation));
    memory_cloud_await_held();
    refused(house_operate("web", VERB_START, NULL, second), ERR_CONFLICT);
    refused(house_operate("web", VERB_DELETE, NULL, second), ERR_CONFLICT);
    memory_cloud_release();
    house_await(operation, "succeeded");
    done("web", VERB_START, NULL);
    done("web", VERB_DELETE, NULL);
    for (int verb = 0; verb < VERB_COUNT; verb++) /* nothing is done to what is gone */
        if (verb != VERB_RESIZE)
            refused(house_operate("web", (enum verb)verb, NULL, second), ERR_CONFLICT);
}

/* The instance is deleted while a volume is attached to it, whichever of the two is recorded first. */
static void an_instance_is_deleted_while_a_volume_is_attached(void **state)
{
    char attaching[37], deleting[37], id[37];
    done("data", VERB_DETACH, NULL);
    house_id("web", id);
    char *args = xasprintf("{\"instance\":\"%s\"}", id);
    memory_cloud_hold("volume_attach");
    ok(house_operate("data", VERB_ATTACH, args, attaching));
    free(args);
    memory_cloud_await_held();
    ok(house_operate("web", VERB_DELETE, NULL, deleting));
    house_await(deleting, "succeeded");
    memory_cloud_release();
    house_await(attaching, "failed");
    expect("SELECT attached_to IS NULL FROM resource WHERE name = 'data'", "t");
    house_check();
    done("data", VERB_DELETE, NULL);
}

/* The deletion of an attached volume fails after it was detached: it is not attached any more. */
static void a_volume_that_was_only_detached(void **state)
{
    char operation[37];
    memory_cloud_fail("volume_delete", ERR_INVALID, 1, false);
    ok(house_operate("data", VERB_DELETE, NULL, operation));
    house_await(operation, "failed");
    expect("SELECT state || (attached_to IS NULL)::text FROM resource WHERE name = 'data'", "activetrue");
    house_check();
}

/* A job of an operation that has ended does nothing, whoever runs it again. */
static void an_ended_operation_is_not_done_again(void **state)
{
    char operation[37];
    memory_cloud_fail("instance_delete", ERR_INVALID, 1, false);
    ok(house_operate("web", VERB_DELETE, NULL, operation));
    house_await(operation, "failed");
    char *job = house_text("SELECT job_id FROM operation WHERE kind = 'delete'");
    jobs_await_state(house.pg, job, "failed");
    ok(jobs_do(house.db, job_retry, job));
    jobs_await_state(house.pg, job, "done");
    free(job);
    house_check();
    expect("SELECT state FROM resource WHERE name = 'web'", "active");
}

static void growth_is_taken_at_once_and_given_back(void **state)
{
    char operation[37];
    pg_exec(house.pg, "UPDATE quota SET most = 6 WHERE metric = 'vcpu'");
    refused(house_operate("web", VERB_RESIZE, "{\"vcpu\":8}", operation), ERR_QUOTA);
    house_check();
    refused(house_operate("data", VERB_RESIZE, "{\"size_gb\":1001}", operation), ERR_NO_CAPACITY);
    house_check();
    memory_cloud_hold("instance_resize");
    ok(house_operate("web", VERB_RESIZE, "{\"vcpu\":6,\"memory_gb\":1}", operation));
    memory_cloud_await_held();
    expect(
        "SELECT string_agg(used::text, ',' ORDER BY metric) FROM quota WHERE metric IN ('vcpu', 'memory_gb')",
        "4,6");
    memory_cloud_release();
    house_await(operation, "succeeded");
    expect(
        "SELECT string_agg(used::text, ',' ORDER BY metric) FROM quota WHERE metric IN ('vcpu', 'memory_gb')",
        "1,6");
    house_check();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, furnish, house_rest)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_verb_is_done),
        TEST(a_failure_changes_nothing),
        TEST(a_failure_told_too_late_is_a_success),
        TEST(a_cancellation_that_comes_too_late_is_a_success),
        TEST(an_operation_is_cancelled_before_it_begins),
        TEST(a_resize_may_restart),
        TEST(one_operation_at_a_time),
        TEST(an_instance_is_deleted_while_a_volume_is_attached),
        TEST(a_volume_that_was_only_detached),
        TEST(an_ended_operation_is_not_done_again),
        TEST(growth_is_taken_at_once_and_given_back),
    };
    return cmocka_run_group_tests(tests, house_open, house_close);
}
