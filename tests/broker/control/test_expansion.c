/* Free short-term expansion: what is free and how long, where it is refused, and that it is charged to the
 * microsecond afterwards. */
#include "broker/control/expansion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"
#include "tests/broker/control/house.h"

#define LINE(name, mbps, more) \
    "{\"kind\":\"bandwidth\",\"name\":\"" name "\",\"spec\":{\"mbps\":" mbps ",\"zone\":\"net\"}" more "}"
#define MACHINE(name, vcpu, memory)                                                                  \
    "{\"kind\":\"instance\",\"name\":\"" name "\",\"spec\":{\"vcpu\":" vcpu ",\"memory_gb\":" memory \
    ",\"architecture\":\"x86\",\"image\":\"debian\",\"zone\":\"ext\"}}"

static void expect(const char *sql, const char *wanted)
{
    char *got = house_text(sql);
    assert_string_equal(got, wanted);
    free(got);
}

/* What is open of an item: "tariff=quantity", by tariff. */
static void expect_use(const char *item, const char *wanted)
{
    char *sql =
        xasprintf("SELECT string_agg(tariff || '=' || micro / 1000000, ',' ORDER BY tariff DESC, micro DESC)"
                  " FROM usage_interval WHERE item = '%s' AND end_at = 'infinity'",
                  item);
    expect(sql, wanted);
    free(sql);
}

static void order(const char *resources)
{
    char operation[37];
    ok(house_order(resources, operation));
    house_await(operation, "succeeded");
}

static void resize(const char *name, const char *args)
{
    char operation[37];
    ok(house_operate(name, VERB_RESIZE, args, operation));
    house_await(operation, "succeeded");
}

struct paging {
    moment now;
    bool more;
};

static struct error *page_body(struct db *db, void *context)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct paging *paging = context;
    return expansion_page(db, arena, paging->now, &paging->more);
}

/* What maintenance does `days` from now. */
static void mind_in(int days)
{
    struct paging paging = {.now = clock_now(house.clock) + days * MOMENT_DAY};
    ok(db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, page_body, &paging));
    assert_false(paging.more);
}

/* 10 Mb and 2 Mb more for 7 days: 20 %, free, then charged from the very end on. */
static void a_resize_is_free_for_its_days(void **state)
{
    house_run();
    order("[" LINE("line", "10", "") "]");
    resize("line", "{\"mbps\":12,\"expansion_days\":7}");
    expect_use("1016", "standard=10,expansion=2");
    expect(
        "SELECT expansion_until - touched_at BETWEEN interval '7 days' - interval '1 minute' AND interval '7 "
        "days' FROM resource",
        "t");
    expect("SELECT body -> 'expansion' -> 'charged' ->> 'mbps' FROM resource_view", "10");
    mind_in(3);
    expect(
        "SELECT count(*) FROM event JOIN resource r ON r.id::text = subject WHERE type = 'expansion.ending'",
        "0");
    mind_in(5);
    mind_in(6);
    expect(
        "SELECT count(*) FROM event JOIN resource r ON r.id::text = subject WHERE type = 'expansion.ending'",
        "1");
    expect_use("1016", "standard=10,expansion=2");
    char *until = house_text("SELECT expansion_until FROM resource");
    mind_in(9); /* a broker that slept through it */
    expect_use("1016", "standard=12");
    char *sql = xasprintf("SELECT count(*) FROM usage_interval WHERE start_at = '%s' AND micro = 12000000"
                          " AND tariff = 'standard'",
                          until);
    expect(sql, "1");
    expect("SELECT expansion_until IS NULL AND spec ->> 'mbps' = '12' FROM resource", "t");
    expect(
        "SELECT count(*) FROM event JOIN resource r ON r.id::text = subject WHERE type = 'expansion.ended'",
        "1");
    mind_in(10);
    expect_use("1016", "standard=12");
    free(sql);
    free(until);
    house_halt();
    house_check();
}

static void at_most_a_fifth_of_each_item(void **state)
{
    char operation[37];
    house_run();
    order("[" LINE("line", "10", "") "," MACHINE("a", "8", "16") "," MACHINE("b", "2", "4") "]");
    refused(house_operate("line", VERB_RESIZE, "{\"mbps\":13,\"expansion_days\":7}", operation), ERR_QUOTA);
    refused(house_operate("line", VERB_RESIZE, "{\"mbps\":12,\"expansion_days\":31}", operation),
            ERR_INVALID);
    refused(house_operate("line", VERB_RESIZE, "{\"mbps\":9,\"expansion_days\":7}", operation), ERR_INVALID);
    /* 10 vCPU and 20 GB together: two and four more, on one machine. */
    refused(house_operate("b", VERB_RESIZE, "{\"vcpu\":5,\"expansion_days\":7}", operation), ERR_QUOTA);
    refused(house_operate("b", VERB_RESIZE, "{\"vcpu\":4,\"memory_gb\":9,\"expansion_days\":7}", operation),
            ERR_QUOTA);
    expect("SELECT count(*) FROM resource WHERE expansion_days IS NOT NULL", "0");
    resize("b", "{\"vcpu\":3,\"memory_gb\":8,\"expansion_days\":7,\"allow_restart\":true}");
    expect_use("1001", "standard=8,standard=2,expansion=1");
    refused(house_operate("b", VERB_RESIZE, "{\"vcpu\":4,\"expansion_days\":7}", operation), ERR_CONFLICT);
    /* What is expanded already counts. */
    refused(house_operate("a", VERB_RESIZE, "{\"vcpu\":10,\"expansion_days\":7}", operation), ERR_QUOTA);
    resize("a", "{\"vcpu\":9,\"expansion_days\":30,\"allow_restart\":true}");
    expect_use("1001", "standard=8,standard=2,expansion=1,expansion=1");
    house_halt();
    house_check();
}

/* What was free is over: not again at once. And a plain resize charges all. */
static void short_term_ends(void **state)
{
    char operation[37];
    house_run();
    order("[" LINE("line", "10", "") "," LINE("other", "10", "") "]");
    resize("line", "{\"mbps\":12,\"expansion_days\":7}");
    resize("line", "{\"mbps\":11}");
    expect_use("1016", "standard=11,standard=10");
    expect("SELECT count(*) FROM resource WHERE expansion_until IS NOT NULL", "0");
    refused(house_operate("other", VERB_RESIZE, "{\"mbps\":11,\"expansion_days\":7}", operation),
            ERR_CONFLICT);
    house_halt();
    house_check();
}

static void one_at_a_time_is_under_way(void **state)
{
    char first[37], second[37];
    house_run();
    order("[" LINE("line", "10", "") "," LINE("other", "10", "") "]");
    house_halt();
    ok(house_operate("line", VERB_RESIZE, "{\"mbps\":12,\"expansion_days\":7}", first));
    refused(house_operate("other", VERB_RESIZE, "{\"mbps\":12,\"expansion_days\":7}", second), ERR_CONFLICT);
    ok(house_cancel(first));
    house_run();
    house_await(first, "cancelled");
    expect("SELECT count(*) FROM resource WHERE expansion_days IS NOT NULL", "0");
    resize("other", "{\"mbps\":14,\"expansion_days\":7}"); /* of the 20 Mb that both have */
    expect_use("1016", "standard=10,standard=10,expansion=4");
    house_halt();
    house_check();
}

/* A resource of an order may be an expansion as a whole; it ends with it, too. */
static void a_new_resource_is_an_expansion(void **state)
{
    char operation[37];
    house_run();
    order("[" LINE("line", "20", "") "]");
    refused(house_order("[" LINE("more", "5", ",\"expansion_days\":7") "]", operation), ERR_QUOTA);
    refused(house_order(
                "[" LINE("m", "2", ",\"expansion_days\":7") "," LINE("n", "3", ",\"expansion_days\":7") "]",
                operation),
            ERR_QUOTA);
    order("[" LINE("more", "4", ",\"expansion_days\":7") "]");
    expect_use("1016", "standard=20,expansion=4");
    expect("SELECT expansion_base FROM resource WHERE name = 'more'", "{}");
    ok(house_operate("more", VERB_DELETE, NULL, operation));
    house_await(operation, "succeeded");
    expect_use("1016", "standard=20");
    expect("SELECT count(*) FROM resource WHERE expansion_until IS NOT NULL", "0");
    house_halt();
    house_check();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, house_reset, house_rest)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_resize_is_free_for_its_days), TEST(at_most_a_fifth_of_each_item),   TEST(short_term_ends),
        TEST(one_at_a_time_is_under_way),    TEST(a_new_resource_is_an_expansion),
    };
    return cmocka_run_group_tests(tests, house_open, house_close);
}
