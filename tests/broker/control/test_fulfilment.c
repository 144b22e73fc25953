/* What the provider's operator fulfils: orders, resizes and deletions that wait for a word, go on with it,
 * fail with it, are cancelled before it, and outlive the broker meanwhile. */
#include "broker/control/fulfilment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"
#include "tests/broker/control/house.h"

#define SERVER(name)                                                                             \
    "{\"kind\":\"server\",\"name\":\"" name "\",\"spec\":{\"configuration\":1,\"architecture\":" \
    "\"C86\",\"zone\":\"ext\",\"reason\":\"its own HBA\",\"sata_4tb\":2}}"
#define INSTANCE                                                                                             \
    "{\"kind\":\"instance\",\"name\":\"web\",\"spec\":{\"vcpu\":2,\"memory_gb\":4,\"architecture\":\"x86\"," \
    "\"image\":\"debian\",\"zone\":\"ext\"}}"
#define GPU(owner)                                                                                        \
    "{\"kind\":\"gpu\",\"name\":\"gpu\",\"spec\":{\"memory_gb\":24,\"tflops\":125,\"attach_to\":\"" owner \
    "\"}}"
#define MIXED "[" SERVER("db") "," INSTANCE "," GPU("web") "]"

static void expect(const char *sql, const char *wanted)
{
    char *got = house_text(sql);
    assert_string_equal(got, wanted);
    free(got);
}

struct ending {
    const char *id;
    struct fulfilment_answer answer;
};

static struct error *end_body(struct db *db, void *context)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct ending *ending = context;
    const char *unit, *cloud;
    TRY(fulfilment_end(db, arena, ending->id, &ending->answer, clock_now(house.clock), &unit, &cloud));
    assert_string_equal(unit, "u");
    assert_string_equal(cloud, "c");
    return NULL;
}

/* The word of an operator of `provider` on the newest fulfilment of the resource with that name. */
static struct error *say_as(const char *provider, const char *name, enum fulfilment_state state,
                            const char *text) ERROR_MUST_USE;
static struct error *say_as(const char *provider, const char *name, enum fulfilment_state state,
                            const char *text)
{
    const struct db_scope scope = {.providers = provider};
    char *sql = xasprintf("SELECT id FROM fulfilment WHERE name = '%s' ORDER BY id DESC LIMIT 1", name);
    char *id = house_text(sql);
    struct ending ending = {id, {.state = state, .principal = "operator"}};
    if (state == FULFILMENT_COMPLETED) {
        ending.answer.reference = text;
        ending.answer.address = "10.20.0.7";
    } else {
        ending.answer.reason = text;
    }
    struct error *error = db_transaction(house.db, &scope, DB_READ_COMMITTED, end_body, &ending);
    free(id);
    free(sql);
    return error;
}

static struct error *say(const char *name, enum fulfilment_state state, const char *text)
{
    return say_as("p", name, state, text);
}

static void await_open(const char *wanted)
{
    jobs_await(house.pg, "SELECT count(*) FROM fulfilment WHERE state = 'open'", wanted);
    /* The job waits by then, in a queued row that is due hours from now. */
    jobs_await(house.pg,
               "SELECT count(*) FROM job WHERE state = 'queued' AND run_at > now() + interval '1 hour'", "1");
}

static moment at(const char *text)
{
    moment value;
    ok(moment_parse(text, &value));
    return value;
}

/* 2026-11-23 is a Monday. */
static void due_after_three_working_days(void **state)
{
    static const char *const cases[][2] = {
        {"2026-11-23T09:00:00+08:00", "2026-11-27T00:00:00+08:00"},
        {"2026-11-23T00:00:00+08:00", "2026-11-27T00:00:00+08:00"},
        {"2026-11-22T23:59:59.999999+08:00", "2026-11-26T00:00:00+08:00"}, /* Sunday night */
        {"2026-11-24T20:00:00Z", "2026-11-30T16:00:00Z"},                  /* Wednesday there: to Monday */
        {"2026-11-26T12:00:00+08:00", "2026-12-02T00:00:00+08:00"},
        {"2026-11-27T12:00:00+08:00", "2026-12-03T00:00:00+08:00"},
        {"2026-11-28T12:00:00+08:00", "2026-12-03T00:00:00+08:00"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(fulfilment_due(at(cases[i][0])), at(cases[i][1]));
}

static void an_order_waits_for_the_operator(void **state)
{
    char operation[37];
    ok(house_order(MIXED, operation));
    house_run();
    await_open("2");
    assert_int_equal(memory_cloud_calls("instance_create"), 0); /* nothing runs unmetered meanwhile */
    expect("SELECT count(*) FROM usage_interval", "0");
    expect("SELECT state || ': ' || substr(step, 1, 40) FROM operation",
           "running: the provider's operator has 2 to fulfil,");
    expect("SELECT string_agg(DISTINCT type, ',' ORDER BY type) FROM event WHERE type LIKE 'fulfilment.%'"
           " AND provider_id = 'p' AND unit_id = 'u'",
           "fulfilment.opened");
    ok(say("db", FULFILMENT_COMPLETED, "SRV-7"));
    await_open("1");
    refused(say("db", FULFILMENT_COMPLETED, "SRV-8"), ERR_CONFLICT);
    refused(say("db", FULFILMENT_REFUSED, "no"), ERR_CONFLICT);
    refused(say_as("q", "gpu", FULFILMENT_COMPLETED, "GPU-1"), ERR_NOT_FOUND);
    ok(say("gpu", FULFILMENT_COMPLETED, "GPU-1"));
    house_await(operation, "succeeded");
    house_halt();
    expect("SELECT count(DISTINCT active_at) || ',' || count(DISTINCT start_at) FROM resource JOIN"
           " usage_interval i ON i.resource_id = resource.id::text AND i.start_at = active_at",
           "1,1");
    expect("SELECT string_agg(item || '=' || micro, ',' ORDER BY item) FROM usage_interval"
           " WHERE kind IN ('server', 'gpu')",
           "1003=1000000,1008=2000000,1009=24000000,1010=125000000");
    expect("SELECT ref || ' ' || address FROM resource WHERE name = 'db'", "SRV-7 10.20.0.7");
    expect(
        "SELECT attached_to = (SELECT id FROM resource WHERE name = 'web') FROM resource WHERE kind = 'gpu'",
        "t");
    assert_int_equal(memory_cloud_machines(), 1);
    house_check();
}

static void a_refusal_fails_the_order_with_its_reason(void **state)
{
    char operation[37];
    ok(house_order(MIXED, operation));
    house_run();
    await_open("2");
    ok(say("db", FULFILMENT_COMPLETED, "SRV-7"));
    await_open("1");
    ok(say("gpu", FULFILMENT_REFUSED, "no GPU before March"));
    house_await(operation, "failed");
    house_halt();
    expect("SELECT error ->> 'code' || ': ' || (error ->> 'message') FROM operation",
           "denied: the provider refused to create gpu \"gpu\": no GPU before March");
    expect("SELECT string_agg(DISTINCT state, ',') FROM resource", "failed");
    expect("SELECT state FROM orders", "failed");
    expect("SELECT count(*) FROM usage_interval", "0");
    assert_int_equal(memory_cloud_calls("instance_create"), 0);
    /* The server that is there already is asked back, and nobody waits for that. */
    expect("SELECT string_agg(name || ' ' || verb || ' ' || state, ', ' ORDER BY name, verb) FROM fulfilment",
           "db create completed, db delete open, gpu create refused");
    ok(say("db", FULFILMENT_COMPLETED, "RET-7"));
    expect("SELECT count(*) FROM fulfilment WHERE state = 'open'", "0");
    house_check();
}

static void a_later_failure_gives_back_what_was_fulfilled(void **state)
{
    char operation[37];
    memory_cloud_fail("instance_create", ERR_INVALID, 1, false);
    ok(house_order("[" SERVER("db") "," INSTANCE "]", operation));
    house_run();
    await_open("1");
    ok(say("db", FULFILMENT_COMPLETED, "SRV-7"));
    house_await(operation, "failed");
    house_halt();
    expect("SELECT string_agg(verb || ' ' || state, ', ' ORDER BY id) FROM fulfilment",
           "create completed, delete open");
    house_check();
}

static void a_waiting_order_is_cancelled(void **state)
{
    char operation[37];
    ok(house_order(MIXED, operation));
    house_run();
    await_open("2");
    ok(house_cancel(operation));
    house_await(operation, "cancelled");
    house_halt();
    expect("SELECT string_agg(DISTINCT state, ',') FROM fulfilment", "withdrawn");
    expect("SELECT state FROM orders", "cancelled");
    expect("SELECT count(*) FROM event JOIN fulfilment f ON f.id::text = subject WHERE type = "
           "'fulfilment.ended'",
           "2");
    refused(say("db", FULFILMENT_COMPLETED, "late"), ERR_CONFLICT);
    house_check();
}

static void a_wait_outlives_the_broker(void **state)
{
    char operation[37];
    ok(house_order("[" SERVER("db") "]", operation));
    house_run();
    await_open("1");
    house_halt();
    house_run();
    await_open("1");
    house_halt();
    ok(say("db", FULFILMENT_COMPLETED, "SRV-7")); /* while no broker runs */
    house_run();
    house_await(operation, "succeeded");
    house_halt();
    expect("SELECT count(*) FROM fulfilment", "1");
    house_check();
}

static void *complete_db(void *result)
{
    struct db *db;
    struct error **ret_error = result;
    ok(db_connect(pg_conninfo(house.pg), &db));
    const struct db_scope scope = {.providers = "p"};
    char *id = house_text("SELECT id FROM fulfilment WHERE verb = 'create'");
    struct ending ending = {id,
                            {.state = FULFILMENT_COMPLETED, .reference = "SRV-7", .principal = "operator"}};
    *ret_error = db_transaction(db, &scope, DB_READ_COMMITTED, end_body, &ending);
    free(id);
    db_close(db);
    return NULL;
}

/* The operator's word and the unit's cancellation at the same moment: one of them comes first, nobody waits
 * for the other in a circle, and what was made is asked back when it was too late. */
static void a_word_meets_a_cancellation(void **state)
{
    house_run();
    for (int i = 0; i < 10; i++) {
        char operation[37];
        pthread_t thread;
        struct error *said = NULL;
        ok(house_order("[" SERVER("db") "]", operation));
        await_open("1");
        assert_int_equal(pthread_create(&thread, NULL, complete_db, &said), 0);
        struct error *cancelled = house_cancel(operation);
        assert_int_equal(pthread_join(thread, NULL), 0);
        if (cancelled)
            refused(cancelled, ERR_CONFLICT); /* it had succeeded already */
        if (said)
            refused(said, ERR_CONFLICT);
        jobs_await(house.pg, "SELECT count(*) FROM job WHERE ended_at IS NULL", "0");
        expect("SELECT string_agg(r.state || ' ' || f.verb || ' ' || f.state, ', ' ORDER BY f.verb) IN"
               " ('active create completed', 'failed create withdrawn',"
               " 'failed create completed, failed delete open')"
               " FROM fulfilment f JOIN resource r ON r.id = f.resource_id",
               "t");
        house_check();
        house_halt();
        house_reset(state);
        house_run();
    }
    house_halt();
}

/* A server "db" that is active. */
static void have_server(void)
{
    char operation[37];
    ok(house_order("[" SERVER("db") "]", operation));
    house_run();
    await_open("1");
    ok(say("db", FULFILMENT_COMPLETED, "SRV-7"));
    house_await(operation, "succeeded");
}

static void a_resize_counts_when_it_is_confirmed(void **state)
{
    char operation[37];
    have_server();
    ok(house_operate("db", VERB_RESIZE, "{\"sata_4tb\":5}", operation));
    await_open("1");
    expect(
        "SELECT spec ->> 'sata_4tb' || ',' || (before ->> 'sata_4tb') FROM fulfilment WHERE verb = 'resize'",
        "5,2");
    expect("SELECT micro FROM usage_interval WHERE item = '1008'", "2000000");
    ok(say("db", FULFILMENT_COMPLETED, "CHG-1"));
    house_await(operation, "succeeded");
    expect("SELECT string_agg(micro::text, ',' ORDER BY start_at) FROM usage_interval WHERE item = '1008'",
           "2000000,5000000");
    ok(house_operate("db", VERB_RESIZE, "{\"sata_4tb\":64}", operation));
    await_open("1");
    refused(house_operate("db", VERB_DELETE, NULL, operation), ERR_CONFLICT); /* it is held */
    ok(say("db", FULFILMENT_REFUSED, "no more slots"));
    jobs_await(house.pg, "SELECT count(*) FROM operation WHERE ended_at IS NULL", "0");
    house_halt();
    expect("SELECT error FROM resource", "the provider refused to resize server \"db\": no more slots");
    expect("SELECT spec ->> 'sata_4tb' FROM resource", "5");
    house_check();
}

static void a_deletion_ends_when_it_is_confirmed(void **state)
{
    char operation[37];
    have_server();
    ok(house_operate("db", VERB_DELETE, NULL, operation));
    await_open("1");
    expect("SELECT state FROM resource", "deleting");
    expect("SELECT count(*) FROM usage_interval WHERE end_at = 'infinity'", "2");
    ok(house_cancel(operation));
    house_await(operation, "cancelled");
    expect("SELECT state FROM resource", "active");
    ok(house_operate("db", VERB_DELETE, NULL, operation));
    await_open("1");
    ok(say("db", FULFILMENT_COMPLETED, "RET-1"));
    house_await(operation, "succeeded");
    house_halt();
    expect("SELECT bool_and(end_at = deleted_at)::text FROM usage_interval, resource", "true");
    expect("SELECT count(*) FROM usage_interval", "2");
    house_check();
}

/* The agreement may end the usage with the request; when the operator refuses, it goes on from then. */
static void the_agreement_says_when_released_usage_ends(void **state)
{
    char operation[37];
    pg_exec(house.pg, "UPDATE agreement SET settings = '{\"release\": \"requested\"}'");
    have_server();
    ok(house_operate("db", VERB_DELETE, NULL, operation));
    await_open("1");
    expect("SELECT count(*) FROM usage_interval WHERE end_at = 'infinity'", "0");
    ok(say("db", FULFILMENT_REFUSED, "still under lease"));
    house_await(operation, "failed");
    expect("SELECT state FROM resource", "active");
    expect("SELECT count(*) FROM usage_interval WHERE end_at = 'infinity'", "2");
    house_check();
    ok(house_operate("db", VERB_DELETE, NULL, operation));
    await_open("1");
    ok(say("db", FULFILMENT_COMPLETED, "RET-1"));
    house_await(operation, "succeeded");
    house_halt();
    pg_exec(house.pg, "UPDATE agreement SET settings = '{}'");
    house_check();
}

static void a_gpu_keeps_its_host(void **state)
{
    char operation[37];
    ok(house_order("[" INSTANCE "," GPU("web") "]", operation));
    house_run();
    await_open("1");
    ok(say("gpu", FULFILMENT_COMPLETED, "GPU-1"));
    house_await(operation, "succeeded");
    struct error *error = house_operate("web", VERB_DELETE, NULL, operation);
    assert_non_null(error);
    assert_non_null(strstr(error_message(error), "gpu \"gpu\" is attached to instance \"web\""));
    refused(error, ERR_CONFLICT);
    ok(house_operate("gpu", VERB_DELETE, NULL, operation));
    await_open("1");
    refused(house_operate("web", VERB_DELETE, NULL, operation), ERR_CONFLICT); /* it is not given back yet */
    ok(say("gpu", FULFILMENT_COMPLETED, "RET-1"));
    jobs_await(house.pg, "SELECT count(*) FROM operation WHERE ended_at IS NULL", "0");
    ok(house_operate("web", VERB_DELETE, NULL, operation));
    house_await(operation, "succeeded");
    house_halt();
    house_check();
}

/* The pointers of what is wrong with an order, comma-joined; frees it. */
static void refused_at(const char *resources, const char *wanted, const char *because)
{
    char operation[37];
    struct error *error = house_order(resources, operation);
    size_t count;
    assert_non_null(error);
    const struct error_detail *details = error_details(error, &count);
    assert_int_equal(count, 1);
    assert_string_equal(details[0].pointer, wanted);
    if (!strstr(details[0].message, because))
        fail_msg("%s", details[0].message);
    refused(error, ERR_INVALID);
}

static void orders_that_cannot_be(void **state)
{
    char operation[37];
    refused_at("[" GPU("web") "]", "/resources/0/spec/attach_to",
               "names no instance or server of this order or of system \"u001\"");
    refused_at("[" SERVER("db") ",{\"kind\":\"volume\",\"name\":\"v\",\"spec\":{\"size_gb\":1,"
                                "\"performance\":\"high\",\"attach_to\":\"db\",\"zone\":\"ext\"}}]",
               "/resources/1/spec/attach_to", "names no instance");
    /* Data of a medical-insurance system stays in its enclave. */
    struct error *error = house_order_of(
        house.db, "u003", "[{\"kind\":\"object-store\",\"name\":\"s\",\"spec\":{\"size_gb\":1}}]", operation);
    refused(error, ERR_INVALID);
    pg_exec(house.pg, "INSERT INTO quota (unit_id, cloud_id, metric, most) VALUES ('u', 'c', 'servers', 1)");
    refused(house_order("[" SERVER("a") "," SERVER("b") "]", operation), ERR_QUOTA);
    ok(house_order("[" SERVER("a") "," GPU("a") "]", operation)); /* with a server of the same order */
    ok(house_order("[{\"kind\":\"load-balancer\",\"name\":\"lb\",\"spec\":{\"zone\":\"ext\",\"backends\":"
                   "[\"10.0.0.1\"]}},{\"kind\":\"certificate\",\"name\":\"c\",\"spec\":{\"domains\":"
                   "[\"a.example.cn\"]}}]",
                   operation));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, house_reset, house_rest)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(due_after_three_working_days),
        TEST(an_order_waits_for_the_operator),
        TEST(a_refusal_fails_the_order_with_its_reason),
        TEST(a_later_failure_gives_back_what_was_fulfilled),
        TEST(a_waiting_order_is_cancelled),
        TEST(a_wait_outlives_the_broker),
        TEST(a_word_meets_a_cancellation),
        TEST(a_resize_counts_when_it_is_confirmed),
        TEST(a_deletion_ends_when_it_is_confirmed),
        TEST(the_agreement_says_when_released_usage_ends),
        TEST(a_gpu_keeps_its_host),
        TEST(orders_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, house_open, house_close);
}
