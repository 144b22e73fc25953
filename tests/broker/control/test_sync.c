/* Inventories: when the next one of an endpoint is due, and what comes of those that fail. */
#include "broker/control/sync.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "tests/broker/control/house.h"

#define POLLS 2000

struct looking {
    moment now;
    int64_t interval;
    bool ext, net; /* which endpoints are due */
};

static struct error *look_body(struct db *db, void *context)
{
    struct looking *looking = context;
    ARENA_AUTO struct arena *arena = arena_new();
    const char **ids;
    size_t count;
    TRY(endpoint_list_due(db, arena, looking->now, looking->interval, &ids, &count));
    looking->ext = looking->net = false;
    for (size_t i = 0; i < count; i++) {
        looking->ext |= !strcmp(ids[i], "e-ext");
        looking->net |= !strcmp(ids[i], "e-net");
    }
    return NULL;
}

static struct looking look(moment now, int64_t interval)
{
    struct looking looking = {.now = now, .interval = interval};
    ok(db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, look_body, &looking));
    return looking;
}

#define TRIED "2026-11-25T00:00:00Z"

static void failures(int count)
{
    char sql[160];
    (void)snprintf(sql, sizeof sql, "UPDATE endpoint SET tried_at = '" TRIED "', sync_failures = %d", count);
    pg_exec(house.pg, sql);
}

static void what_was_never_tried_is_due(void **state)
{
    struct looking looking = look(clock_now(house.clock), MOMENT_DAY);
    assert_true(looking.ext && looking.net);
    pg_exec(house.pg, "UPDATE endpoint SET enabled = false WHERE id = 'e-net'");
    assert_false(look(clock_now(house.clock), MOMENT_DAY).net);
}

static void what_went_well_waits_its_interval(void **state)
{
    moment tried;
    ok(moment_parse(TRIED, &tried));
    failures(0);
    struct looking before = look(tried + 5 * MOMENT_MINUTE, 5 * MOMENT_MINUTE),
                   after = look(tried + 5 * MOMENT_MINUTE + 1, 5 * MOMENT_MINUTE);
    assert_false(before.ext || before.net);
    assert_true(after.ext && after.net);
}

static void failures_wait_longer_each_time(void **state)
{
    static const struct {
        int64_t interval_s;
        int failures;
        int64_t wait_s;
    } cases[] = {{300, 1, 30}, {300, 2, 60}, {300, 3, 120}, {300, 4, 240}, {300, 5, 300},  {300, 9999, 300},
                 {1, 1, 1},    {1, 2, 2},    {1, 9, 256},   {1, 10, 300},  {86400, 1, 30}, {86400, 7, 300}};
    moment tried;
    ok(moment_parse(TRIED, &tried));
    int differ = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t interval = cases[i].interval_s * MOMENT_SECOND, wait = cases[i].wait_s * MOMENT_SECOND;
        failures(cases[i].failures);
        struct looking early = look(tried + wait, interval), late = look(tried + wait * 5 / 4, interval);
        if (early.ext || early.net || !late.ext || !late.net)
            fail_msg("%d failures, interval %lld s: due at the wrong time", cases[i].failures,
                     (long long)cases[i].interval_s);
        for (int64_t at = wait; at < wait * 5 / 4; at += wait / 64) {
            struct looking between = look(tried + at, interval);
            differ += between.ext != between.net;
        }
    }
    assert_true(differ > 0); /* endpoints that failed together are not tried again together */
}

static struct error *sync_body(struct db *db, void *context)
{
    return sync_add_job(db, context);
}

/* Takes an inventory of e-ext and waits for its end. */
static void take_inventory(const char *wanted_failures)
{
    ok(db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, sync_body, (void *)(uintptr_t) "e-ext"));
    for (int i = 0; i < POLLS; i++) {
        char *running = house_text("SELECT count(*) FROM job WHERE type = 'sync' AND ended_at IS NULL");
        bool ended = !strcmp(running, "0");
        free(running);
        if (ended)
            break;
        (void)usleep(10000);
    }
    char *failures = house_text("SELECT sync_failures FROM endpoint WHERE id = 'e-ext'");
    assert_string_equal(failures, wanted_failures);
    free(failures);
}

static void expect(const char *sql, const char *wanted)
{
    char *text = house_text(sql);
    assert_string_equal(text, wanted);
    free(text);
}

#define OPEN_ALERTS "SELECT count(*) FROM alert WHERE kind = 'inventory' AND cleared_at IS NULL"
#define EVENTS \
    "SELECT count(*) FROM event WHERE type = 'alert.raised' AND cloud_id = 'c' AND provider_id = 'p'"

static void an_endpoint_that_keeps_failing_raises_an_alert(void **state)
{
    pg_exec(house.pg, "DELETE FROM event");
    house_run();
    memory_cloud_fail("about", ERR_DENIED, 4, false);
    take_inventory("1");
    take_inventory("2");
    expect(OPEN_ALERTS, "0");
    take_inventory("3");
    expect(OPEN_ALERTS, "1");
    expect(EVENTS, "1");
    expect("SELECT details ->> 'endpoint' FROM alert WHERE kind = 'inventory'", "e-ext");
    take_inventory("4");
    expect("SELECT count(*) FROM alert", "1");
    expect(EVENTS, "1");
    take_inventory("0");
    expect(OPEN_ALERTS, "0");
    expect("SELECT count(*) FROM alert WHERE cleared_at IS NOT NULL", "1");
    expect("SELECT coalesce(sync_error, '') FROM endpoint WHERE id = 'e-ext'", "");
}

/* 16 cores and 128 GB are 64 vCPU to sell and not a GB more of memory (3.1.3, 3.2.1.1). */
static void four_vcpu_a_core(void **state)
{
    pg_exec(house.pg, "UPDATE capacity SET total = 1 WHERE endpoint_id = 'e-ext'");
    house_run();
    take_inventory("0");
    expect("SELECT string_agg(metric || ' ' || total, ', ' ORDER BY metric DESC) FROM capacity"
           " WHERE endpoint_id = 'e-ext' AND metric IN ('vcpu', 'memory_gb')",
           "vcpu 64, memory_gb 128");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, house_reset, house_rest)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_never_tried_is_due),
        TEST(what_went_well_waits_its_interval),
        TEST(failures_wait_longer_each_time),
        TEST(an_endpoint_that_keeps_failing_raises_an_alert),
        TEST(four_vcpu_a_core),
    };
    return cmocka_run_group_tests(tests, house_open, house_close);
}
