/* Everything at once: the broker's own resources and reported ones, the free account of 1019 over both,
 * expansions, zones, two providers, a price change, resources that pass from unit to unit, and all of it late
 * over several closed months. What the bills of a month of use come to must be what the database says of the
 * journal of events and of the broker's own intervals, by another way than rating's: windows and numeric. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metering/report.h"
#include "tests/metering/ledger.h"

enum { HISTORIES = 4, STEPS = 240, OWN = 6, REPORTED = 6, UNITS = 2, UNITS_AT_ONCE = 40, CLOSINGS = 5 };

static struct ledger ledger;
static uint64_t seed, units;
static moment now;

static uint64_t dice(uint64_t sides)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 33) % sides;
}

static int open_ledger(void **state)
{
    (void)state;
    ledger_open(&ledger);
    return 0;
}

static int close_ledger(void **state)
{
    (void)state;
    ledger_close(&ledger);
    return 0;
}

/* Usage from first principles against bills: lines that differ, of the months that are closed. `zone` is zone
 * and architecture. */
#define KEY "unit_id, provider_id, cloud_id, system_id, industry, item"
#define US(from, to) "(extract(epoch FROM " to " - " from ") * 1000000)"
static const char differing[] =
    "WITH said AS (SELECT *, body::jsonb -> 'data' AS data, coalesce(lead(occurred_at) OVER (PARTITION BY"
    " provider_id, subject ORDER BY occurred_at, sequence, event_id, source), 'infinity') AS until"
    " FROM usage_event WHERE state = 'counted'), used AS (SELECT unit_id, provider_id, cloud_id, system_id,"
    " industry, i ->> 'item' AS item, coalesce(i ->> 'tariff', 'standard') AS tariff,"
    " coalesce(data ->> 'zone', '') || '/' AS zone, (i ->> 'quantity')::numeric * 1000000 AS micro, "
    "occurred_at AS"
    " since, until FROM said, jsonb_array_elements(data -> 'items') i WHERE occurred_at < until"
    " UNION ALL SELECT " KEY
    ", tariff, zone_id || '/' || architecture, micro, start_at, end_at FROM usage_interval"
    " WHERE origin = 'control'), shared AS (SELECT * FROM used WHERE item = '1019' AND tariff = 'standard'),"
    " edges AS (SELECT " KEY ", since AS at FROM shared UNION SELECT " KEY ", until FROM shared),"
    " spans AS (SELECT *, lead(at) OVER (PARTITION BY " KEY " ORDER BY at) AS until FROM edges),"
    " levels AS (SELECT s.*, (SELECT coalesce(sum(u.micro), 0) FROM shared u WHERE (u.unit_id, "
    "u.provider_id, u.cloud_id,"
    " u.system_id, u.industry) = (s.unit_id, s.provider_id, s.cloud_id, s.system_id, s.industry)"
    " AND u.since <= s.at AND u.until >= s.until) AS micro FROM spans s WHERE s.until IS NOT NULL),"
    " charged AS (SELECT " KEY ", tariff, CASE item WHEN '1019' THEN '/' ELSE zone END AS zone, micro, since,"
    " until FROM used WHERE NOT (item = '1019' AND tariff = 'standard')"
    " UNION ALL SELECT " KEY ", 'allowance', '/', least(micro, 1000000), at, until FROM levels"
    " UNION ALL SELECT " KEY ", 'standard', '/', greatest(micro - 1000000, 0), at, until FROM levels),"
    " months AS (SELECT month, timezone('Asia/Shanghai', (month || '-01')::timestamp) AS begins,"
    " timezone('Asia/Shanghai', (month || '-01')::timestamp + interval '1 month') AS ends FROM "
    "billing_month),"
    " periods AS (SELECT p.provider_id, p.item, p.fen, m.month, " US(
        "begins",
        "ends") " AS length,"
                " greatest(p.valid_from, begins) AS since, least(p.valid_to, ends) AS until FROM price p, "
                "months m"
                " WHERE p.valid_from < ends AND p.valid_to > begins),"
                " lines AS (SELECT c.unit_id, c.provider_id, c.cloud_id, c.system_id, c.industry, c.item, "
                "c.tariff,"
                " c.zone, p.month, p.since, sum(c.micro * " US(
                    "greatest(c.since, p.since)",
                    "least(c.until, p.until)") ") AS usage, p.fen, p.length FROM charged c JOIN periods p ON "
                                               "p.provider_id = c.provider_id AND p.item ="
                                               " c.item AND c.since < p.until AND c.until > p.since GROUP BY "
                                               "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, p.fen,"
                                               " p.length),"
                                               " clean AS (SELECT *, floor((2 * fen * usage + 1000000 * "
                                               "length) / (2000000 * length)) AS list FROM lines"
                                               " WHERE usage <> 0), billed AS (SELECT " KEY
                                               ", tariff, zone_id || '/' || architecture AS zone, "
                                               "charge_month AS month,"
                                               " price_from AS since, sum(usage) AS usage, sum(list_fen) AS "
                                               "list, sum(amount_fen) AS amount"
                                               " FROM bill_line GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)"
                                               " SELECT count(*) FROM clean c FULL JOIN billed b USING (" KEY
                                               ", tariff, zone, month, since)"
                                               " WHERE coalesce(c.usage, 0) <> coalesce(b.usage, 0) OR "
                                               "coalesce(c.list, 0) <> coalesce(b.list, 0)"
                                               " OR coalesce(b.amount, 0) <> CASE tariff WHEN 'standard' "
                                               "THEN coalesce(c.list, 0) ELSE 0 END";

static const char *const sums[] = {
    "SELECT count(*) FROM bill b WHERE total_fen <> (SELECT sum(amount_fen) FROM bill_line l"
    " WHERE l.bill_id = b.id AND l.month = b.month AND l.unit_id = b.unit_id)",
    "SELECT count(*) FROM billing_month m WHERE total_fen <> coalesce((SELECT sum(total_fen) FROM bill b"
    " WHERE b.month = m.month), 0)",
    "SELECT count(*) FROM billing_month m WHERE total_fen <> coalesce((SELECT sum(charges_fen +"
    " adjustments_fen) FROM statement_unit s WHERE s.month = m.month), 0)",
    "SELECT count(*) FROM billing_month m WHERE total_fen <> coalesce((SELECT sum(charges_fen +"
    " adjustments_fen) FROM statement_place s WHERE s.month = m.month), 0)",
};

static void expect_none(const char *sql)
{
    int64_t found = pg_number(ledger.pg, sql);
    if (found)
        fail_msg("seed %llu: %lld rows of %s", (unsigned long long)seed, (long long)found, sql);
}

struct history {
    moment known[OWN]; /* up to when each of the broker's own is known */
    int events;
};

/* Half of them at midnight in Shanghai, where months meet and events coincide. */
static moment any_moment(void)
{
    moment first = at("2026-01-02T16:00:00Z");
    return first + (dice(2) ? (moment)dice(110 * (uint64_t)MOMENT_DAY) : (moment)dice(110) * MOMENT_DAY);
}

/* A resource of the broker's own changes, and some are far behind the others. */
static void change_own(struct history *history)
{
    static const char *const uses[] = {"1001=4,1002=8",    "1001=2,1019=1", "1019=3", "1011=0.37,1016=10.5",
                                       "1001=4,1001+=0.8", "1017=1",        "1019=1", ""};
    uint64_t n = dice(OWN);
    char resource[] = {'r', (char)('0' + n), '\0'};
    const char *unit = n % UNITS ? "u1" : "u2", *system = dice(2) ? "s1" : "s2";
    bool first = n < OWN / 2;
    history->known[n] += (moment)dice(12 * (uint64_t)MOMENT_DAY) + 1;
    ledger_ok(ledger_set(&ledger, unit, system, first ? "c1" : "c2", first ? "p1" : "p2", resource,
                         uses[dice(sizeof uses / sizeof *uses)], history->known[n]));
}

static const char *make_event(struct arena *arena, int id)
{
    static const char *const items[] = {
        "{\"item\":\"1019\",\"quantity\":\"2\"}",
        "{\"item\":\"1018\",\"quantity\":\"1.5\"},{\"item\":\"1019\",\"quantity\":\"1\"}",
        "{\"item\":\"1001\",\"quantity\":\"3\"},{\"item\":\"1001\",\"quantity\":\"0.6\",\"tariff\":"
        "\"expansion\"}",
        "{\"item\":\"1013\",\"quantity\":\"0.000001\"}", ""};
    static const char *const zones[] = {"", ",\"zone\":\"z1\"", ",\"zone\":\"z2\""};
    uint64_t n = dice(REPORTED);
    int provider = n < REPORTED / 2 ? 1 : 2;
    char when[MOMENT_TEXT];
    moment_format(any_moment(), when);
    return arena_printf(
        arena,
        "{\"specversion\":\"1.0\",\"type\":\"" REPORT_TYPE
        "\",\"source\":\"/providers/p%d/m\",\"id\":\"%d\",\"subject\":\"x%d\",\"time\":\"%s\","
        "\"data\":{\"unit\":\"u%d\",\"system\":\"s%d\",\"cloud\":\"c%d\"%s,\"items\":[%s]}}\n",
        provider, id, (int)n, when, 1 + (int)dice(units), 1 + (int)dice(2), provider, zones[dice(3)],
        items[dice(sizeof items / sizeof *items)]);
}

static struct error *take_body(struct db *db, void *context)
{
    const char *text = context;
    ARENA_AUTO struct arena *arena = arena_new();
    struct report_slot *slots;
    size_t count;
    TRY(report_split(arena, MEDIA_EVENTS_LINES, text, strlen(text), &slots, &count));
    for (size_t i = 0; i < count; i++)
        slots[i].report.industry = "service";
    TRY(report_take(db, arena, slots, count, now));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(slots[i].outcome, i ? REPORT_DUPLICATE : REPORT_COUNTED);
    return NULL;
}

/* An event, and at times the same again in the same call. */
static void report(struct history *history)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *text = make_event(arena, ++history->events);
    if (!dice(4))
        text = arena_printf(arena, "%s%s", text, text);
    ledger_ok(
        db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, take_body, (char *)(uintptr_t)text));
}

static void begin(struct history *history, uint64_t first_seed, uint64_t unit_count)
{
    struct month first = {2026, 1};
    seed = first_seed;
    units = unit_count;
    *history = (struct history){.events = 0};
    ledger_clear(&ledger);
    ledger_provider(&ledger, "p1", &agreement_default, first, 0);
    ledger_provider(&ledger, "p2", &agreement_default, first, 13);
    ledger_reprice(&ledger, "p1", (struct month){2026, 3}, 7);
    for (int i = 0; i < OWN; i++)
        history->known[i] = at("2026-01-01T00:00:00Z");
}

static void step(struct history *history)
{
    if (dice(3))
        report(history);
    else
        change_own(history);
}

static void expect_sums(void)
{
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        expect_none(sums[i]);
}

static void bills_are_what_was_used(void **state)
{
    (void)state;
    now = at("2026-06-02T00:00:00Z");
    for (uint64_t i = 1; i <= HISTORIES; i++) {
        struct history history;
        struct month month = {2026, 1};
        begin(&history, i * UINT64_C(2654435761), UNITS);
        for (int n = 1; n <= STEPS; n++) {
            step(&history);
            if (n % (STEPS / CLOSINGS))
                continue;
            ledger_ok(ledger_close_month(&ledger, month, now, NULL));
            month = month_next(month);
            expect_none(differing);
        }
        expect_sums();
    }
    assert_true(pg_number(ledger.pg, "SELECT count(*) FROM bill_line WHERE type = 'adjustment'") > 50);
}

/* What closes one month after the other while usage goes on. */
struct closer {
    pthread_t thread;
    struct ledger ledger;
    struct month month;
    atomic_int steps; /* that usage has gone */
};

static void *close_all(void *context)
{
    struct closer *closer = context;
    for (int i = 0; i < CLOSINGS; i++, closer->month = month_next(closer->month)) {
        while (atomic_load(&closer->steps) < i * (STEPS / CLOSINGS))
            (void)sched_yield();
        ledger_ok(ledger_close_month(&closer->ledger, closer->month, now, NULL));
    }
    return NULL;
}

/* Whatever a closing saw of it and on however many connections: one more closing makes it right. */
static void usage_may_come_while_months_close(void **state)
{
    static const struct metering_services services = {.rate_workers = 3};
    struct closer closer = {.ledger = {.pg = ledger.pg, .services = &services}, .month = {2026, 1}};
    struct history history;
    (void)state;
    now = at("2026-08-02T00:00:00Z");
    begin(&history, 42, UNITS_AT_ONCE);
    for (int n = 0; n < STEPS / 4; n++)
        step(&history);
    ledger_ok(db_connect(pg_conninfo(ledger.pg), &closer.ledger.db));
    assert_int_equal(pthread_create(&closer.thread, NULL, close_all, &closer), 0);
    for (int n = 0; n < STEPS; n++) {
        step(&history);
        atomic_fetch_add(&closer.steps, 1);
    }
    (void)pthread_join(closer.thread, NULL);
    ledger_ok(ledger_close_month(&closer.ledger, closer.month, now, NULL));
    db_close(closer.ledger.db);
    expect_none(differing);
    expect_sums();
    assert_true(pg_number(ledger.pg, "SELECT count(*) FROM bill_line WHERE type = 'adjustment'") > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bills_are_what_was_used),
                                       cmocka_unit_test(usage_may_come_while_months_close)};
    return cmocka_run_group_tests(tests, open_ledger, close_ledger);
}
