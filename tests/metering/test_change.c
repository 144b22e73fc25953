/* Changes between months, movers and the comparison of providers in a real database, worked by hand. */
#include "metering/statement_change.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "metering/comparison.h"
#include "tests/metering/ledger.h"

static struct ledger ledger;
static const struct month january = {2027, 1}, february = {2027, 2};

/* 1001 is 14.02 at p1 and 13.02 at p2. January: u1 4, u2 2, u3 1 of it; February: u1 6, u2 none, u3 1 and u4
 * 1, and a free one of u4. */
static int open_ledger(void **state)
{
    (void)state;
    ledger_open(&ledger);
    ledger_clear(&ledger);
    ledger_provider(&ledger, "p1", &agreement_default, january, 0);
    struct agreement daily = agreement_default;
    daily.proration = PRORATION_DAY;
    ledger_provider(&ledger, "p2", &daily, january, 100);
    moment start = month_start(january), later = month_start(february);
    ledger_ok(ledger_set(&ledger, "u1", "u1001", "c1", "p1", "r1", "1001=4", start));
    ledger_ok(ledger_set(&ledger, "u2", "u2001", "c1", "p1", "r2", "1001=2", start));
    ledger_ok(ledger_set(&ledger, "u3", "u3001", "c2", "p1", "r3", "1001=1", start));
    ledger_ok(ledger_set(&ledger, "u1", "u1001", "c1", "p1", "r1", "1001=6", later));
    ledger_ok(ledger_end(&ledger, "u2", "r2", later));
    ledger_ok(ledger_set(&ledger, "u4", "u4001", "c2", "p1", "r4", "1001=1,1001+=1", later));
    ledger_ok(ledger_close_month(&ledger, january, month_end(january), NULL));
    ledger_ok(ledger_close_month(&ledger, february, month_end(february), NULL));
    return 0;
}

static int close_ledger(void **state)
{
    (void)state;
    ledger_close(&ledger);
    return 0;
}

struct reading {
    struct arena *arena;
    struct statement_ask ask;
    struct month month;
    struct change *ret;
};

static struct error *read_change(struct db *db, void *context)
{
    struct reading *reading = context;
    return change_read(db, reading->arena, &reading->ask, reading->month, reading->ret);
}

static struct change changes(struct arena *arena, const struct db_scope *scope, unsigned mask)
{
    struct change change;
    struct reading reading = {arena, {.mask = mask, .now = month_end(february)}, february, &change};
    ledger_ok(db_transaction(ledger.db, scope, DB_READ_COMMITTED, read_change, &reading));
    return change;
}

static void who_moved(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct change change = changes(arena, &db_scope_system, 1u << STATEMENT_UNIT);
    const struct change_row **movers;
    (void)state;
    assert_int_equal(change.count, 4);
    assert_int_equal(change.total.sums[CHANGE_NOW].amount_fen, 8412 + 1402 + 1402);
    assert_int_equal(change.total.sums[CHANGE_MONTH_BEFORE].amount_fen, 5608 + 2804 + 1402);
    assert_int_equal(change.total.sums[CHANGE_YEAR_BEFORE].amount_fen, 0);
    assert_int_equal(change.total.sums[CHANGE_NOW].free_fen, 1402);
    assert_int_equal(change_movers(arena, &change, 1, 10, &movers), 2); /* u3 did not move */
    assert_string_equal(movers[0]->keys[STATEMENT_UNIT], "u1");
    assert_string_equal(movers[1]->keys[STATEMENT_UNIT], "u4");
    assert_int_equal(change_movers(arena, &change, 1, 1, &movers), 1);
    assert_int_equal(change_movers(arena, &change, -1, 10, &movers), 1);
    assert_string_equal(movers[0]->keys[STATEMENT_UNIT], "u2");
    assert_int_equal(movers[0]->sums[CHANGE_NOW].amount_fen, 0);
    assert_int_equal(movers[0]->sums[CHANGE_MONTH_BEFORE].amount_fen, 2804);
}

static void a_regulator_of_one_cloud_sees_its_changes(void **state)
{
    const struct db_scope scope = {.clouds = "c2"};
    ARENA_AUTO struct arena *arena = arena_new();
    struct change change = changes(arena, &scope, 1u << STATEMENT_UNIT);
    (void)state;
    assert_int_equal(change.count, 2);
    assert_string_equal(change.rows[0].keys[STATEMENT_UNIT], "u3");
    assert_int_equal(change.total.sums[CHANGE_NOW].amount_fen, 2804);
    assert_int_equal(change.total.sums[CHANGE_MONTH_BEFORE].amount_fen, 1402);
}

static void thousandths(void **state)
{
    int64_t value = 0;
    (void)state;
    assert_false(change_per_mille(100, 0, &value));
    assert_false(change_per_mille(MONEY_MAX, 1, &value)); /* more than 64 bits hold */
    assert_true(change_per_mille(8412, 5608, &value));
    assert_int_equal(value, 500);
    assert_true(change_per_mille(0, 5608, &value));
    assert_int_equal(value, -1000);
    assert_true(change_per_mille(2, 3, &value)); /* −333.3 */
    assert_int_equal(value, -333);
    assert_true(change_per_mille(2001, 2000, &value)); /* 0.5, away from zero */
    assert_int_equal(value, 1);
    assert_true(change_per_mille(1999, 2000, &value));
    assert_int_equal(value, -1);
    assert_true(change_per_mille(100, -100, &value)); /* from a credit: up by twice its size */
    assert_int_equal(value, 2000);
    assert_true(change_share(1402, 2804, &value));
    assert_int_equal(value, 500);
    assert_false(change_share(0, 0, &value));
}

struct comparing {
    struct arena *arena;
    const char *unit;
    moment now;
    struct comparison *ret;
};

static struct error *read_comparison(struct db *db, void *context)
{
    struct comparing *comparing = context;
    return comparison_make(db, comparing->arena, comparing->unit, february, comparing->now, comparing->ret);
}

/* u4's February: 1 at 14.02, or at 13.02; the free one is free at both. Half of the month is half the price
 * by time, and 15 of 28 days where a day begun counts whole. */
static void the_same_month_elsewhere(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct comparison comparison;
    struct comparing comparing = {arena, "u4", month_end(february), &comparison};
    (void)state;
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, read_comparison, &comparing));
    assert_int_equal(comparison.actual.sums.total.amount_fen, 1402);
    assert_int_equal(comparison.count, 2);
    assert_string_equal(comparison.offers[0].provider, "p1");
    assert_int_equal(comparison.offers[0].sums.total.amount_fen, 1402);
    assert_int_equal(comparison.offers[1].sums.total.amount_fen, 1302);
    assert_int_equal(comparison.offers[1].sums.total.free_fen, 1302);
    assert_int_equal(comparison.offers[1].proration, PRORATION_DAY);
    comparing.now = month_start(february) + 14 * MOMENT_DAY + 1;
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, read_comparison, &comparing));
    assert_int_equal(comparison.offers[0].sums.total.amount_fen, 701);
    assert_int_equal(comparison.offers[1].sums.total.amount_fen, 698); /* 1302 × 15 ÷ 28 = 697.5 */
    comparing.unit = "nobody";
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, read_comparison, &comparing));
    assert_int_equal(comparison.intervals, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_moved),
        cmocka_unit_test(a_regulator_of_one_cloud_sees_its_changes),
        cmocka_unit_test(thousandths),
        cmocka_unit_test(the_same_month_elsewhere),
    };
    return cmocka_run_group_tests(tests, open_ledger, close_ledger);
}
