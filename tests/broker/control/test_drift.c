/* Cases of drift: what an inventory finds between provider, broker and bill, what it proposes, and what a
 * person's word makes of it. */
#include "broker/control/drift.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/json.h"
#include "broker/control/sync.h"
#include "metering/usage.h"
#include "tests/broker/control/house.h"

static struct error *sync_body(struct db *db, void *context)
{
    return sync_add_job(db, context);
}

static void expect(const char *sql, const char *wanted)
{
    char *text = house_text(sql);
    if (strcmp(text, wanted) != 0)
        fail_msg("%s\n is %s\n not %s", sql, text, wanted);
    free(text);
}

/* A whole inventory of e-ext, after everything that happened before. */
static void look(void)
{
    ok(db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, sync_body, (void *)(uintptr_t) "e-ext"));
    jobs_await(house.pg, "SELECT count(*) FROM job WHERE type = 'sync' AND ended_at IS NULL", "0");
    expect("SELECT coalesce(sync_error, '') FROM endpoint WHERE id = 'e-ext'", "");
}

/* Of the one open case. */
#define CASE(expression) "SELECT " expression " FROM drift WHERE resolved_at IS NULL AND NOT dismissed"
#define OPEN CASE("string_agg(kind, ' ' ORDER BY kind COLLATE \"C\")")
#define ALERTS "SELECT count(*) FROM alert WHERE kind = 'drift' AND cleared_at IS NULL"
#define RAISED "SELECT count(*) FROM event WHERE type = 'drift.raised'"
/* Item and quantity of open usage, such as "1001=2000000 1002=4000000". */
#define BILLED(name)                                                                                  \
    "SELECT coalesce(string_agg(item || '=' || micro, ' ' ORDER BY item), '') FROM usage_interval"    \
    " WHERE end_at = 'infinity' AND resource_id = (SELECT id::text FROM resource WHERE name = '" name \
    "' ORDER BY created_at DESC LIMIT 1)"

static char web[37], data[37];

static void begin_with_web(void)
{
    char operation[37];
    pg_exec(house.pg, "DELETE FROM event");
    ok(house_order(INSTANCE_AND_VOLUME, operation));
    house_run();
    house_await(operation, "succeeded");
    house_id("web", web);
    house_id("data", data);
    look();
    expect("SELECT count(*) FROM drift", "0");
    expect(BILLED("web"), "1001=2000000 1002=4000000 1011=400000");
}

struct deciding {
    const char *id;
    bool accept;
};

static struct error *decide_body(struct db *db, void *context)
{
    const struct deciding *deciding = context;
    ARENA_AUTO struct arena *arena = arena_new();
    struct drift_row row;
    moment now = clock_now(house.clock);
    TRY(drift_load(db, arena, deciding->id, &row));
    if (deciding->accept)
        TRY(drift_apply(db, arena, &row, "boss", now));
    return drift_decided(db, &row, deciding->accept, "boss", "looked", now);
}

static struct error *decide(const char *kind, bool accept)
{
    char *sql = xasprintf("SELECT id FROM drift WHERE kind = '%s' AND resolved_at IS NULL", kind);
    char *id = house_text(sql);
    struct deciding deciding = {id, accept};
    struct error *error =
        db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, decide_body, &deciding);
    free(id);
    free(sql);
    return error;
}

static void one_case_however_often_it_is_seen(void **state)
{
    begin_with_web();
    memory_cloud_set_size(web, 8, 4096);
    look();
    expect(OPEN, "size");
    look();
    look();
    expect("SELECT count(*) FROM drift", "1");
    expect(RAISED, "1");
    expect(ALERTS, "1");
    expect("SELECT count(*) FROM event WHERE type = 'alert.raised' AND cloud_id = 'c' AND provider_id = 'p'",
           "1");
    expect("SELECT string_agg(event, ' ' ORDER BY number) FROM drift_history", "opened");
    expect(CASE("version || ' ' || (since = first_seen) || ' ' || (last_seen > since)"), "1 true true");
}

static void a_case_shows_every_side(void **state)
{
    begin_with_web();
    memory_cloud_set_size(web, 8, 4096);
    look();
    expect(CASE("expected::text"), "{\"vcpu\": 2, \"memory_mb\": 4096}");
    expect(CASE("seen::text"), "{\"vcpu\": 8, \"memory_mb\": 4096}");
    expect(CASE("reported - 'taken_at' - 'reference' - 'name'"),
           "{\"vcpu\": 8, \"power\": \"on\", \"memory_mb\": 4096, \"architecture\": \"x86\"}");
    expect(CASE("(reported ->> 'taken_at')::timestamptz BETWEEN since - interval '1 minute' AND since"), "t");
    expect(CASE("(billed #> '{items,0}') - 'since'"),
           "{\"item\": \"1001\", \"tariff\": \"standard\", \"quantity\": \"2\", \"price_yuan\": \"1.00\", "
           "\"monthly_yuan\": \"2.00\"}");
    expect("SELECT (billed #>> '{items,0,since}')::timestamptz = u.start_at FROM drift, usage_interval u"
           " WHERE u.item = '1001'",
           "t");
    expect(CASE("stake::text"),
           "{\"right_yuan\": \"12.40\", \"billed_yuan\": \"6.40\", \"difference_yuan\": \"6.00\"}");
    expect(CASE("jsonb_array_length(correction -> 'changes')"), "1"); /* the others are right */
    expect(CASE("(correction #> '{changes,0}') - 'at' - 'resource'"),
           "{\"item\": \"1001\", \"action\": \"set\", \"tariff\": \"standard\", \"quantity\": \"8\"}");
    expect(CASE("(correction #>> '{changes,0,resource}') = resource_id::text"), "t");
    expect(CASE("(correction #>> '{changes,0,at}')::timestamptz = since AND correct_at = since"), "t");
}

/* From the correction's moment on, and not before. */
static void accepted_size_is_billed_from_when_it_was_seen(void **state)
{
    begin_with_web();
    memory_cloud_set_size(web, 8, 4096);
    look();
    expect(BILLED("web"), "1001=2000000 1002=4000000 1011=400000"); /* nothing by itself */
    look();
    expect(CASE("correct_at = first_seen AND (correction ->> 'at')::timestamptz = first_seen"), "t");
    char *at = house_text(CASE("correct_at"));
    ok(decide(DRIFT_SIZE, true));
    expect(BILLED("web"), "1001=8000000 1002=4000000 1011=400000");
    char *sql = xasprintf("SELECT count(*) FROM usage_interval WHERE item = '1001' AND (end_at = '%s' AND "
                          "micro = 2000000 OR start_at = '%s' AND micro = 8000000)",
                          at, at);
    expect(sql, "2");
    expect("SELECT spec ->> 'vcpu' FROM resource WHERE name = 'web'", "8");
    expect("SELECT resolution || ' ' || (decision ->> 'action') || ' ' || (decision ->> 'by') FROM drift",
           "accepted accepted boss");
    expect(ALERTS, "0");
    look();
    expect(CASE("count(*)"), "0");
    expect("SELECT count(*) FROM drift", "1");
    house_check(); /* quota and room follow */
    free(at);
    free(sql);
}

static void a_volume_that_grew_is_accepted(void **state)
{
    begin_with_web();
    memory_cloud_set_volume(data, 250);
    look();
    expect(OPEN, "size");
    expect(CASE("stake ->> 'difference_yuan'"), "1.50");
    ok(decide(DRIFT_SIZE, true));
    expect(BILLED("data"), "1012=2500000");
    look();
    expect(CASE("count(*)"), "0");
    house_check();
}

static void a_size_that_nobody_can_order_has_no_correction(void **state)
{
    begin_with_web();
    memory_cloud_set_size(web, 2, 4097);
    look();
    expect(CASE("no_correction"), "4097 MB of memory are no whole GB");
    refused(decide(DRIFT_SIZE, true), ERR_CONFLICT);
    memory_cloud_set_size(web, 99, 4096);
    look();
    expect(CASE("no_correction LIKE 'no such size can be ordered: %' AND correction IS NULL"), "t");
    expect("SELECT string_agg(event, ' ' ORDER BY number) FROM drift_history", "opened changed");
    refused(decide(DRIFT_SIZE, true), ERR_CONFLICT);
    expect(BILLED("web"), "1001=2000000 1002=4000000 1011=400000");
}

static void what_is_missing_ends_when_it_was_missed(void **state)
{
    begin_with_web();
    memory_cloud_lose(web);
    look();
    expect(OPEN, "missing");
    expect(CASE("stake ->> 'difference_yuan'"), "-6.40");
    expect(CASE("correction #>> '{becomes,state}'"), "deleted");
    expect(CASE("jsonb_array_length(correction -> 'changes')"), "3");
    expect(BILLED("web"), "1001=2000000 1002=4000000 1011=400000");
    char *at = house_text(CASE("correct_at"));
    ok(decide(DRIFT_MISSING, true));
    char *sql = xasprintf("SELECT count(*) FROM usage_interval WHERE end_at = '%s'", at);
    expect(sql, "3");
    jobs_await(house.pg, "SELECT state FROM resource WHERE name = 'web'", "deleted");
    jobs_await(house.pg, "SELECT count(*) FROM operation WHERE ended_at IS NULL", "0");
    expect(sql, "3");
    look();
    expect(CASE("count(*)"), "0");
    house_check();
    free(at);
    free(sql);
}

#define STORAGE_ONLY \
    "UPDATE agreement SET settings = '{\"stopped_instance\": \"storage-only\"}' WHERE provider_id = 'p'"
#define AS_IT_WAS "UPDATE agreement SET settings = '{}' WHERE provider_id = 'p'"

static void power_is_judged_by_the_agreement(void **state)
{
    begin_with_web();
    memory_cloud_set_power(web, DRIVER_POWER_OFF);
    look();
    expect(OPEN, "power");
    expect(CASE("stake ->> 'difference_yuan'"), "0.00"); /* charged all the same */
    pg_exec(house.pg, STORAGE_ONLY);
    look();
    expect(CASE("stake ->> 'difference_yuan'"), "-6.00");
    expect(CASE("version"), "2"); /* another difference, from now on */
    ok(decide(DRIFT_POWER, true));
    expect(BILLED("web"), "1011=400000");
    look();
    expect(CASE("count(*)"), "0");
    pg_exec(house.pg, AS_IT_WAS);
}

static void what_is_not_billed_is_a_case(void **state)
{
    begin_with_web();
    pg_exec(house.pg, "DELETE FROM usage_interval WHERE end_at = 'infinity' AND kind = 'instance'");
    look();
    expect(OPEN, "unbilled");
    expect(CASE("(billed IS NULL) || ' ' || (stake ->> 'difference_yuan')"), "true 6.40");
    expect(CASE("expected::text"), "{\"vcpu\": 2, \"power\": \"on\", \"memory_mb\": 4096}");
    ok(decide(DRIFT_UNBILLED, true));
    expect(BILLED("web"), "1001=2000000 1002=4000000 1011=400000");
    expect("SELECT count(DISTINCT start_at) FROM usage_interval u, drift d WHERE u.start_at = d.correct_at"
           " AND u.kind = 'instance'",
           "1");
    look();
    expect(CASE("count(*)"), "0");
}

static void other_quantities_than_held_are_a_case(void **state)
{
    begin_with_web();
    pg_exec(house.pg, "DELETE FROM usage_interval WHERE item = '1002' AND kind = 'instance'");
    pg_exec(house.pg,
            "INSERT INTO usage_interval (unit_id, system_id, cloud_id, provider_id, resource_id, "
            "kind, item, micro, start_at, industry, zone_id, architecture) SELECT unit_id, system_id,"
            " cloud_id, provider_id, resource_id, kind, '1002', 9000000, start_at, industry, zone_id,"
            " architecture FROM usage_interval WHERE item = '1001'");
    look();
    expect(OPEN, "misbilled");
    expect(CASE("stake ->> 'difference_yuan'"), "-5.00");
    ok(decide(DRIFT_MISBILLED, true));
    expect(BILLED("web"), "1001=2000000 1002=4000000 1011=400000");
    expect("SELECT count(*) FROM usage_interval WHERE item = '1002' AND end_at < 'infinity'", "1");
    look();
    expect(CASE("count(*)"), "0");
    house_check();
}

static void what_has_ended_and_is_billed_is_a_case(void **state)
{
    char operation[37];
    begin_with_web();
    ok(house_operate("data", VERB_DELETE, NULL, operation));
    house_await(operation, "succeeded");
    pg_exec(house.pg,
            "INSERT INTO usage_interval (unit_id, system_id, cloud_id, provider_id, resource_id, kind,"
            " item, micro, start_at) SELECT unit_id, system_id, cloud_id, provider_id, id::text, kind,"
            " '1012', 1000000, now() FROM resource WHERE name = 'data'");
    look();
    expect(OPEN, "billed-gone");
    expect(CASE("stake ->> 'difference_yuan'"), "-1.00");
    look();
    expect("SELECT count(*) FROM drift", "1");
    ok(decide(DRIFT_BILLED_GONE, true));
    expect(BILLED("data"), "");
    look();
    expect(CASE("count(*)"), "0");
}

static void what_nobody_ordered_is_told_and_left_alone(void **state)
{
    begin_with_web();
    memory_cloud_intrude(NULL, "vm-77", 4, 3000);
    memory_cloud_intrude("0193b2f0-7c1e-7d3a-9f2b-5a1c0e4d8b61", "vm-78", 1, 1024);
    look();
    expect(OPEN, "foreign orphan");
    expect("SELECT stake ->> 'difference_yuan' FROM drift WHERE kind = 'foreign'", "6.93"); /* 4 + 2.93 GB */
    expect("SELECT count(*) FROM drift WHERE correction IS NULL AND no_correction IS NOT NULL", "2");
    refused(decide(DRIFT_FOREIGN, true), ERR_CONFLICT);
    refused(decide(DRIFT_ORPHAN, true), ERR_CONFLICT);
    expect(ALERTS, "2");
    expect("SELECT count(*) FROM usage_interval WHERE resource_id NOT IN (SELECT id::text FROM resource)",
           "0");
}

static void a_refusal_changes_nothing_until_the_difference_does(void **state)
{
    begin_with_web();
    memory_cloud_set_size(web, 8, 4096);
    look();
    ok(decide(DRIFT_SIZE, false));
    expect(ALERTS, "0");
    look();
    expect(CASE("count(*)"), "0");
    expect("SELECT count(*) FROM drift WHERE dismissed AND resolved_at IS NULL", "1");
    expect(BILLED("web"), "1001=2000000 1002=4000000 1011=400000");
    expect("SELECT spec ->> 'vcpu' FROM resource WHERE name = 'web'", "2");
    expect(ALERTS, "0");
    memory_cloud_set_size(web, 4, 4096);
    look();
    expect(OPEN, "size");
    expect(CASE("(decision IS NULL) || ' ' || version || ' ' || (since > first_seen)"), "true 3 true");
    expect(ALERTS, "1");
    expect("SELECT string_agg(event, ' ' ORDER BY number) FROM drift_history", "opened refused changed");
    memory_cloud_set_size(web, 2, 4096);
    look();
    expect("SELECT resolution FROM drift", "seen equal again");
    expect(ALERTS, "0");
    expect("SELECT string_agg(event, ' ' ORDER BY number) FROM drift_history",
           "opened refused changed resolved");
}

/* Between the inventory and the word the resource was resized by an ordinary operation. */
static void a_case_that_is_not_true_any_more_is_not_accepted(void **state)
{
    char operation[37];
    begin_with_web();
    memory_cloud_set_size(web, 8, 4096);
    look();
    ok(house_operate("web", VERB_RESIZE, "{\"vcpu\": 4, \"allow_restart\": true}", operation));
    house_await(operation, "succeeded");
    refused(decide(DRIFT_SIZE, true), ERR_STALE);
    expect(BILLED("web"), "1001=4000000 1002=4000000 1011=400000");
    look();
    expect(CASE("count(*)"), "0");
    house_check();
}

/* While an operation is at work nothing is judged: the case stays, and is not taken for settled. */
static void a_case_waits_for_an_operation(void **state)
{
    char operation[37];
    begin_with_web();
    memory_cloud_set_size(web, 8, 4096);
    look();
    memory_cloud_hold("instance_reboot");
    ok(house_operate("web", VERB_REBOOT, NULL, operation));
    memory_cloud_await_held();
    look();
    expect(OPEN, "size");
    refused(decide(DRIFT_SIZE, true), ERR_CONFLICT);
    memory_cloud_release();
    house_await(operation, "succeeded");
    look();
    expect(OPEN, "size");
    expect("SELECT string_agg(event, ' ' ORDER BY number) FROM drift_history", "opened");
}

/* Half up, once an item of a month; all prices are 1 yuan. */
#define BY_HAND                                                                                            \
    "WITH span AS (SELECT first_seen AS a, resolved_at AS b FROM drift), month AS (SELECT m AS a,"         \
    " m + interval '1 month' AS b FROM generate_series(date_trunc('month', now()), now() + interval '4 "   \
    "months', '1 month') AS m), used AS (SELECT m.a, item, sum(micro * (extract(epoch FROM least(end_at,"  \
    " m.b, s.b) - greatest(start_at, m.a, s.a)) * 1000000)::numeric) AS usage, (extract(epoch FROM m.b - " \
    "m.a) * 1000000)::numeric AS length FROM usage_interval u, span s, month m WHERE u.resource_id = "     \
    "(SELECT resource_id::text FROM drift) AND least(end_at, m.b, s.b) > greatest(start_at, m.a, s.a)"     \
    " GROUP BY m.a, m.b, item) SELECT (sum(floor((100 * usage * 2 + length * 1000000) / (length * "        \
    "2000000)))"                                                                                           \
    " / 100)::numeric(12, 2) FROM used"

/* A month and more goes by. */
static void days_later(int64_t days)
{
    ok(clock_set_offset(house.clock, clock_offset(house.clock) + days * MOMENT_DAY));
}

static void what_ended_by_itself_tells_what_was_billed(void **state)
{
    begin_with_web();
    memory_cloud_set_size(web, 8, 4096);
    look();
    days_later(40);
    memory_cloud_set_size(web, 2, 4096);
    look();
    expect("SELECT resolution FROM drift", "seen equal again");
    expect("SELECT (meanwhile ->> 'from')::timestamptz = first_seen AND (meanwhile ->> 'to')::timestamptz ="
           " resolved_at AND jsonb_array_length(meanwhile -> 'usage') = 3 FROM drift",
           "t");
    char *by_hand = house_text("SET TimeZone = 'Asia/Shanghai'; " BY_HAND);
    assert_true(strtoll(by_hand, NULL, 10) >= 7); /* 40 days of 6.40 a month: not a sum of nothings */
    expect("SELECT meanwhile ->> 'billed_yuan' FROM drift", by_hand);
    expect(BILLED("web"), "1001=2000000 1002=4000000 1011=400000");
    free(by_hand);
}

static void what_ended_here_is_not_called_equal(void **state)
{
    char operation[37];
    begin_with_web();
    memory_cloud_set_size(web, 8, 4096);
    look();
    ok(house_operate("web", VERB_DELETE, NULL, operation));
    house_await(operation, "succeeded");
    look();
    expect("SELECT resolution FROM drift", "ended here");
}

struct rating {
    moment began, accepted, end;
    wide usage;
    int64_t list_fen;
};

static struct error *rate_body(struct db *db, void *context)
{
    struct rating *rating = context;
    ARENA_AUTO struct arena *arena = arena_new();
    struct month month = month_of(rating->began);
    struct rate_interval *intervals;
    struct price_period *prices;
    struct rate_line *lines;
    size_t count, price_count, line_count;
    rating->end = month_end(month);
    TRY(usage_intervals(db, arena, "u", month_start(month), rating->end, &intervals, &count));
    TRY(price_periods(db, arena, "p", month_start(month), rating->end, &prices, &price_count));
    const struct rate_provider provider = {.id = "p", .prices = prices, .price_count = price_count};
    TRY(rate_month(arena, intervals, count, &provider, 1, month, rating->end, &lines, &line_count));
    for (size_t i = 0; i < line_count; i++)
        if (!strcmp(lines[i].item, "1001")) {
            rating->usage = lines[i].usage;
            rating->list_fen = lines[i].list_fen;
        }
    return NULL;
}

/* 2 CPUs until the correction's moment, 8 from then on: the bill's line, to the microsecond. */
static void the_bill_follows_what_was_accepted(void **state)
{
    struct rating rating = {0};
    begin_with_web();
    memory_cloud_set_size(web, 8, 4096);
    look();
    char *began = house_text("SELECT rfc3339(min(start_at)) FROM usage_interval WHERE item = '1001'");
    char *accepted = house_text(CASE("correction ->> 'at'"));
    ok(moment_parse(began, &rating.began));
    ok(moment_parse(accepted, &rating.accepted));
    ok(decide(DRIFT_SIZE, true));
    ok(db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, rate_body, &rating));
    assert_true(rating.accepted > rating.began);
    wide wanted =
        (wide)2000000 * (rating.accepted - rating.began) + (wide)8000000 * (rating.end - rating.accepted);
    assert_true(rating.usage == wanted);
    assert_true(rating.list_fen > 0);
    free(began);
    free(accepted);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, house_reset, house_rest)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_case_however_often_it_is_seen),
        TEST(a_case_shows_every_side),
        TEST(accepted_size_is_billed_from_when_it_was_seen),
        TEST(a_volume_that_grew_is_accepted),
        TEST(a_size_that_nobody_can_order_has_no_correction),
        TEST(what_is_missing_ends_when_it_was_missed),
        TEST(power_is_judged_by_the_agreement),
        TEST(what_is_not_billed_is_a_case),
        TEST(other_quantities_than_held_are_a_case),
        TEST(what_has_ended_and_is_billed_is_a_case),
        TEST(what_nobody_ordered_is_told_and_left_alone),
        TEST(a_refusal_changes_nothing_until_the_difference_does),
        TEST(a_case_that_is_not_true_any_more_is_not_accepted),
        TEST(a_case_waits_for_an_operation),
        TEST(the_bill_follows_what_was_accepted),
        TEST(what_ended_here_is_not_called_equal),
        TEST(what_ended_by_itself_tells_what_was_billed),
    };
    return cmocka_run_group_tests(tests, house_open, house_close);
}
