/* The statement over months in a real database: every grouping, filter and page of it against sums that are
 * formatted here over the bills' lines, in several scopes, with corrections, free lines and an open month. */
#include "metering/statement_sum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/buf.h"
#include "tests/metering/ledger.h"

static struct ledger ledger;
static const struct month january = {2027, 1}, march = {2027, 3}, april = {2027, 4};
static const char *const columns[STATEMENT_DIMENSIONS] = {
    "month",    "unit_id", "system_id",    "cloud_id", "provider_id", "item",
    "industry", "zone_id", "architecture", "tariff",   "charge_month"};

static struct error *put(const char *unit, const char *system, int cloud, const char *resource,
                         const char *quantities, const char *when)
{
    static const char *const clouds[] = {"c-a", "c2", "c3"},
                             *const industries[] = {"service", "health", "education"},
                             *const zones[] = {"z1", "z2", NULL},
                             *const architectures[] = {"x86", "arm", NULL};
    return ledger_put(&ledger,
                      &(struct usage_subject){.unit = unit,
                                              .system = system,
                                              .cloud = clouds[cloud],
                                              .provider = cloud == 2 ? "p2" : "p1",
                                              .resource = resource,
                                              .kind = "instance",
                                              .industry = industries[cloud],
                                              .zone = zones[cloud],
                                              .architecture = architectures[cloud]},
                      quantities, at(when));
}

/* January to March are closed, March with corrections of both months before; April runs. Units whose order
 * is another by bytes than by letters. */
static int open_ledger(void **state)
{
    static const char *const units[] = {"u-1", "u1", "u10", "u2"};
    (void)state;
    ledger_open(&ledger);
    ledger_clear(&ledger);
    ledger_provider(&ledger, "p1", &agreement_default, january, 0);
    ledger_provider(&ledger, "p2", &agreement_default, january, 7);
    ARENA_AUTO struct arena *arena = arena_new();
    for (int u = 0; u < 4; u++)
        for (int c = 0; c < 3; c++) {
            const char *system = arena_printf(arena, "%s00%d", units[u], c % 2 + 1);
            const char *name = arena_printf(arena, "r%d%d", u, c);
            ledger_ok(put(units[u], system, c, name, "1001=4,1002=8,1001+=1,1019=3",
                          c == 1 ? "2027-02-03T05:06:07Z" : "2027-01-05T00:00:00Z"));
        }
    ledger_ok(ledger_close_month(&ledger, january, month_end(january), NULL));
    ledger_reprice(&ledger, "p1", (struct month){2027, 2}, 100);
    ledger_ok(ledger_close_month(&ledger, (struct month){2027, 2}, month_start(march), NULL));
    ledger_ok(put("u1", "u1001", 0, "late", "1016=2.5", "2027-01-10T00:00:00Z"));
    ledger_ok(ledger_end(&ledger, "u1", "late", at("2027-02-20T00:00:00Z")));
    ledger_ok(put("u10", "u10001", 2, "late2", "1001=2", "2027-01-20T00:00:00Z"));
    ledger_ok(ledger_close_month(&ledger, march, month_end(march), NULL));
    ledger_ok(put("u3", "u3001", 1, "new", "1016=2", "2027-04-02T00:00:00Z"));
    return 0;
}

static int close_ledger(void **state)
{
    (void)state;
    ledger_close(&ledger);
    return 0;
}

struct reading {
    struct statement_ask ask;
    struct buf *text;
    int64_t page;
};

static void put_row(struct buf *text, const struct statement_row *row, unsigned mask)
{
    char usage[WIDE_TEXT];
    for (int d = 0; d < STATEMENT_DIMENSIONS; d++)
        if (row && mask & 1u << d)
            buf_printf(text, "%s|", row->keys[d]);
    buf_printf(text, "%lld|%lld|%lld|%lld", (long long)row->charges_fen, (long long)row->adjustments_fen,
               (long long)row->free_fen, (long long)row->line_count);
    if (mask & 1u << STATEMENT_ITEM)
        buf_printf(text, "|%s|%lld", wide_format(row->usage, usage), (long long)row->price_fen);
    buf_putc(text, '\n');
    assert_int_equal(row->amount_fen, row->charges_fen + row->adjustments_fen);
}

/* All pages one after the other; every page has the same total. */
static struct error *read_all(struct db *db, void *context)
{
    struct reading *reading = context;
    ARENA_AUTO struct arena *arena = arena_new();
    struct statement_months months;
    const char *const *after = NULL;
    int64_t total = INT64_MIN, sum = 0;
    buf_clear(reading->text);
    TRY(statement_months(db, reading->ask.from, reading->ask.to, &months));
    for (;;) {
        struct statement statement;
        TRY(statement_sum(db, arena, &reading->ask, &months, after, reading->page + 1, &statement));
        assert_true(total == INT64_MIN || total == statement.total.amount_fen);
        total = statement.total.amount_fen;
        size_t shown = statement.count > (size_t)reading->page ? (size_t)reading->page : statement.count;
        for (size_t i = 0; i < shown; i++) {
            put_row(reading->text, &statement.rows[i], reading->ask.mask);
            sum += statement.rows[i].amount_fen;
        }
        if (shown == statement.count) {
            assert_true(sum == total);
            return NULL;
        }
        after = statement.rows[shown - 1].keys;
    }
}

static void read_as(const struct db_scope *scope, struct reading *reading)
{
    ledger_ok(db_transaction(ledger.db, scope, DB_READ_COMMITTED, read_all, reading));
}

/* The same from the lines alone, as the owner, by SQL made for this one grouping. */
static char *from_lines(unsigned mask, const char *where)
{
    BUF_AUTO struct buf sql = BUF_INIT(1 << 16);
    BUF_AUTO struct buf keys = BUF_INIT(1 << 12);
    for (int d = 0; d < STATEMENT_DIMENSIONS; d++)
        if (mask & 1u << d)
            buf_printf(&keys, "%s%s COLLATE \"C\"", keys.length ? ", " : "", columns[d]);
    buf_printf(&sql,
               "SELECT coalesce(string_agg(row, '' ORDER BY n), '') FROM (SELECT concat_ws('|'%s%s,"
               " coalesce(sum(amount_fen) FILTER (WHERE type = 'charge'), 0),"
               " coalesce(sum(amount_fen) FILTER (WHERE type = 'adjustment'), 0),"
               " coalesce(sum(list_fen) FILTER (WHERE tariff <> 'standard'), 0), count(*)",
               keys.length ? ", " : "", buf_text(&keys));
    if (mask & 1u << STATEMENT_ITEM)
        buf_puts(&sql, ", coalesce(sum(usage) FILTER (WHERE type = 'charge'), 0), coalesce(CASE WHEN"
                       " count(DISTINCT price_fen) FILTER (WHERE type = 'charge') = 1 THEN max(price_fen)"
                       " FILTER (WHERE type = 'charge') END, 0)");
    buf_printf(&sql, ") || E'\\n' AS row, row_number() OVER (%s%s) AS n FROM bill_line WHERE %s%s%s) x",
               keys.length ? "ORDER BY " : "", buf_text(&keys), where, keys.length ? " GROUP BY " : "",
               buf_text(&keys));
    return pg_value(ledger.pg, buf_text(&sql));
}

static void equal_lines(const struct db_scope *scope, struct reading *reading, const char *where)
{
    char *expected = from_lines(reading->ask.mask, where);
    read_as(scope, reading);
    if (strcmp(expected, buf_text(reading->text)) != 0)
        fail_msg("mask %x, where %s:\n%s\ninstead of\n%s", reading->ask.mask, where, buf_text(reading->text),
                 expected);
    free(expected);
}

static const struct db_scope of_cloud = {.clouds = "c2"}, of_unit = {.units = "u1"},
                             of_system = {.units = "u10", .systems = "u10001"},
                             of_provider = {.providers = "p2"};

/* Every seventeenth of the 2048 groupings for those who see all, every dimension in about half of them; some
 * in the other scopes, where the sums by place and by unit come under row-level security of their own. */
static void every_grouping_is_the_sum_of_its_lines(void **state)
{
    BUF_AUTO struct buf text = BUF_INIT(1 << 20);
    (void)state;
    for (unsigned mask = 0; mask < 1u << STATEMENT_DIMENSIONS; mask += 17) {
        struct reading reading = {
            .ask = {.from = january, .to = march, .mask = mask, .now = month_end(march)},
            .text = &text,
            .page = mask % 4 ? 1000 : 20};
        equal_lines(&db_scope_system, &reading, "true");
        if (mask % 5)
            continue;
        equal_lines(&of_cloud, &reading, "cloud_id = 'c2'");
        equal_lines(&of_provider, &reading, "provider_id = 'p2'");
        reading.ask.scope_of_units = true;
        equal_lines(&of_unit, &reading, "unit_id = 'u1'");
        equal_lines(&of_system, &reading, "system_id = 'u10001'");
    }
}

static void filters_and_ranges(void **state)
{
    static const struct {
        enum statement_dimension dimension;
        const char *value, *where;
    } filters[] = {{STATEMENT_UNIT, "u10", "unit_id = 'u10'"},
                   {STATEMENT_SYSTEM, "u1001", "system_id = 'u1001'"},
                   {STATEMENT_CLOUD, "c3", "cloud_id = 'c3'"},
                   {STATEMENT_PROVIDER, "p1", "provider_id = 'p1'"},
                   {STATEMENT_ITEM, "1019", "item = '1019'"},
                   {STATEMENT_INDUSTRY, "health", "industry = 'health'"},
                   {STATEMENT_ZONE, "", "zone_id = ''"},
                   {STATEMENT_ARCHITECTURE, "arm", "architecture = 'arm'"},
                   {STATEMENT_TARIFF, "allowance", "tariff = 'allowance'"},
                   {STATEMENT_CHARGE_MONTH, "2027-01", "charge_month = '2027-01'"}};
    BUF_AUTO struct buf text = BUF_INIT(1 << 20);
    (void)state;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        for (unsigned mask = 0; mask < 1u << STATEMENT_DIMENSIONS; mask += 97) {
            struct reading reading = {
                .ask = {.from = january, .to = march, .mask = mask, .now = month_end(march)},
                .text = &text,
                .page = 20};
            reading.ask.only[filters[i].dimension] = filters[i].value;
            equal_lines(&db_scope_system, &reading, filters[i].where);
        }
    struct reading one = {.ask = {.from = march, .to = march, .mask = 0x7ff, .now = month_end(march)},
                          .text = &text,
                          .page = 3};
    equal_lines(&db_scope_system, &one, "month = '2027-03'");
}

/* A year with three closed months, one that runs and eight to come: closed rows and rated ones in one order,
 * a row of both is their sum. */
static void an_open_month_is_added(void **state)
{
    const unsigned mask = 1u << STATEMENT_UNIT | 1u << STATEMENT_ITEM;
    BUF_AUTO struct buf text = BUF_INIT(1 << 20);
    ARENA_AUTO struct arena *arena = arena_new();
    struct bill_line *lines;
    size_t count;
    struct statement open;
    moment now = at("2027-04-20T00:00:00Z");
    (void)state;
    ledger_ok(ledger_lines(&ledger, arena, &db_scope_system, april, now, NULL, &lines, &count));
    ledger_ok(statement_group(arena, lines, count, mask, &open));
    assert_true(open.total.amount_fen > 0);
    struct reading reading = {
        .ask = {.from = {2027, 1}, .to = {2027, 12}, .mask = 0, .now = now}, .text = &text, .page = 2};
    read_as(&db_scope_system, &reading);
    char *expected = pg_value(ledger.pg, "SELECT sum(amount_fen) FROM bill_line");
    int64_t sum = strtoll(buf_text(&text), NULL, 10) + strtoll(strchr(buf_text(&text), '|') + 1, NULL, 10);
    assert_int_equal(sum, strtoll(expected, NULL, 10) + open.total.amount_fen);
    free(expected);
    reading.ask.mask = mask;
    read_as(&db_scope_system, &reading);
    assert_non_null(strstr(buf_text(&text), "u2|1019|"));
    assert_non_null(strstr(buf_text(&text), "u3|1016|")); /* in April alone, behind the closed rows */
    assert_ptr_equal(strstr(buf_text(&text), "u-1|1001|"), buf_text(&text));
    for (size_t i = 0; i < open.count; i++) { /* each key once, whatever it is made of */
        const char *key = arena_printf(arena, "%s|%s|", open.rows[i].keys[STATEMENT_UNIT],
                                       open.rows[i].keys[STATEMENT_ITEM]);
        const char *first = strstr(buf_text(&text), key);
        assert_non_null(first);
    }
}

/* To the end of the month nothing changes: what runs on 20 April runs on 30 April. */
static void a_forecast_is_the_month_as_it_will_be(void **state)
{
    BUF_AUTO struct buf soon = BUF_INIT(1 << 20), later = BUF_INIT(1 << 20);
    (void)state;
    struct reading reading = {.ask = {.from = april,
                                      .to = april,
                                      .mask = 1u << STATEMENT_UNIT,
                                      .to_the_end = true,
                                      .now = at("2027-04-20T00:00:00Z")},
                              .text = &soon,
                              .page = 100};
    read_as(&db_scope_system, &reading);
    reading.ask.to_the_end = false;
    reading.ask.now = month_end(april);
    reading.text = &later;
    read_as(&db_scope_system, &reading);
    assert_string_equal(buf_text(&soon), buf_text(&later));
    reading.ask.now = at("2027-04-20T00:00:00Z");
    read_as(&db_scope_system, &reading);
    assert_string_not_equal(buf_text(&soon), buf_text(&later));
}

static struct error *run_one(struct db *db, void *context)
{
    return db_run(db, context, DB_NO_VALUES, NULL);
}

static void sums_never_change(void **state)
{
    static const struct db_statement attacks[] = {
        {"attack_unit", "UPDATE statement_unit SET charges_fen = 0"},
        {"attack_place", "DELETE FROM statement_place"},
        {"attack_add",
         "INSERT INTO statement_unit SELECT unit_id, '2027-04', system_id, cloud_id, provider_id,"
         " industry, 1, 0, 0, 1 FROM statement_unit"},
        {"attack_fill", "SELECT statement_fill('2027-01')"},
    };
    static const char *const owner[] = {"UPDATE statement_unit SET charges_fen = 0",
                                        "DELETE FROM statement_place", "TRUNCATE statement_place"};
    (void)state;
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        struct error *error = db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, run_one,
                                             (void *)(uintptr_t)&attacks[i]);
        assert_int_equal(error_code(error), ERR_DENIED);
        error_free(error);
    }
    for (size_t i = 0; i < sizeof owner / sizeof *owner; i++) {
        BUF_AUTO struct buf sql = BUF_INIT(4096);
        buf_printf(&sql,
                   "DO $$ BEGIN %s; RAISE EXCEPTION 'it changed'; EXCEPTION WHEN check_violation THEN NULL;"
                   " END $$",
                   owner[i]);
        pg_exec(ledger.pg, buf_text(&sql));
    }
}

static struct error *read_range(struct db *db, void *context)
{
    const struct month *range = context;
    struct statement_months months;
    return statement_months(db, range[0], range[1], &months);
}

static void a_range_is_not_endless(void **state)
{
    struct month endless[] = {{2027, 1}, {2032, 1}}, backwards[] = {{2027, 2}, {2027, 1}};
    (void)state;
    ledger_fails(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, read_range, endless),
                 ERR_INVALID, "");
    ledger_fails(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, read_range, backwards),
                 ERR_INVALID, "");
}

/* The statement of a range whose last month is closed after it was found open, and before it is summed. */
struct overtaken {
    struct db *other;
    int runs;
    int64_t total_fen;
};

static struct error *close_april(struct db *db, void *context)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct bill_month closed;
    (void)context;
    return bill_close_month(db, arena, NULL, april, month_end(april) + MOMENT_DAY, &closed);
}

static struct error *read_overtaken(struct db *db, void *context)
{
    struct overtaken *overtaken = context;
    ARENA_AUTO struct arena *arena = arena_new();
    const struct statement_ask ask = {
        .from = {2027, 1}, .to = april, .mask = 1u << STATEMENT_UNIT, .now = month_end(april) + MOMENT_DAY};
    struct statement_months months;
    struct statement statement;
    TRY(statement_months(db, ask.from, ask.to, &months));
    if (!overtaken->runs++)
        ledger_ok(db_transaction(overtaken->other, &db_scope_system, DB_READ_COMMITTED, close_april, NULL));
    TRY(statement_sum(db, arena, &ask, &months, NULL, 100, &statement));
    overtaken->total_fen = statement.total.amount_fen;
    return NULL;
}

/* The last test: it closes April. */
static void a_month_that_closes_meanwhile_counts_once(void **state)
{
    struct overtaken overtaken = {.runs = 0};
    (void)state;
    ledger_ok(db_connect(pg_conninfo(ledger.pg), &overtaken.other));
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, read_overtaken, &overtaken));
    db_close(overtaken.other);
    char *expected = pg_value(ledger.pg, "SELECT sum(amount_fen) FROM bill_line");
    assert_int_equal(overtaken.total_fen, strtoll(expected, NULL, 10));
    free(expected);
    assert_int_equal(overtaken.runs, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_grouping_is_the_sum_of_its_lines),
        cmocka_unit_test(filters_and_ranges),
        cmocka_unit_test(an_open_month_is_added),
        cmocka_unit_test(a_forecast_is_the_month_as_it_will_be),
        cmocka_unit_test(sums_never_change),
        cmocka_unit_test(a_range_is_not_endless),
        cmocka_unit_test(a_month_that_closes_meanwhile_counts_once),
    };
    return cmocka_run_group_tests(tests, open_ledger, close_ledger);
}
