/* Budgets in a real database: what is spent, what is to come, who is told when, who sees them. The price of
 * 1001 is 14.02: 4 of it are 56.08 a month. */
#include "metering/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/metering/ledger.h"

static struct ledger ledger;
static const struct month january = {2027, 1}, february = {2027, 2};
static const int64_t percents[] = {50, 80, 100};

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

static int begin(void **state)
{
    (void)state;
    ledger_clear(&ledger);
    pg_exec(ledger.pg, "SET session_replication_role = replica; DELETE FROM budget_alert; DELETE FROM budget;"
                       " DELETE FROM event");
    ledger_provider(&ledger, "p1", &agreement_default, january, 0);
    ledger_ok(ledger_set(&ledger, "u1", "u1001", "c1", "p1", "r1", "1001=4", month_start(january)));
    ledger_ok(ledger_set(&ledger, "u1", "u1002", "c1", "p1", "r2", "1001=1", month_start(february)));
    ledger_ok(ledger_set(&ledger, "u2", "u2001", "c1", "p1", "r3", "1001=9", month_start(january)));
    return 0;
}

static struct error *add_body(struct db *db, void *context)
{
    return budget_add(db, context, "test");
}

static struct budget add(const char *id, const char *system, const char *period, int64_t fen,
                         moment created_at)
{
    struct budget budget = {.id = id,
                            .unit = "u1",
                            .system = system,
                            .period = period,
                            .amount_fen = fen,
                            .thresholds = {percents, 3},
                            .version = 1,
                            .created_at = created_at};
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, add_body, &budget));
    return budget;
}

struct looking {
    const struct budget *budget;
    struct arena *arena;
    moment now;
    struct budget_period *period;
};

static struct error *look_body(struct db *db, void *context)
{
    struct looking *looking = context;
    budget_period_of(looking->budget, month_of(looking->now), looking->period);
    TRY(budget_spent(db, looking->arena, looking->budget, looking->period, false, looking->now));
    return budget_forecast(db, looking->arena, looking->budget, looking->period, false, looking->now);
}

static struct budget_period look(const struct budget *budget, moment now)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct budget_period period;
    struct looking looking = {budget, arena, now, &period};
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, look_body, &looking));
    return period;
}

static struct error *check_all(struct db *db, void *context)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const moment *now = context;
    const char *unit = NULL, *id = NULL;
    bool more = true;
    while (more)
        TRY(budget_check_page(db, arena, *now, &unit, &id, &more));
    return NULL;
}

/* The alerts afterwards, "period/threshold spent" of each. */
static void check_and_expect(moment now, const char *alerts)
{
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, check_all, &now));
    char *found =
        pg_value(ledger.pg, "SELECT string_agg(budget_id || ' ' || period || '/' || threshold || ' ' ||"
                            " spent_fen, E'\\n' ORDER BY budget_id, period, threshold) FROM budget_alert");
    assert_string_equal(found, alerts);
    free(found);
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM budget_alert"),
                     pg_number(ledger.pg, "SELECT count(*) FROM event WHERE type = 'budget.reached'"));
}

static void what_is_spent_and_what_is_to_come(void **state)
{
    struct budget month = add("b1", NULL, "month", 5000, month_start(january)),
                  system = add("b2", "u1002", "month", 5000, month_start(january)),
                  year = add("b3", NULL, "year", 100000, month_start(january));
    moment half = month_start(january) + 31 * MOMENT_DAY / 2;
    struct budget_period period = look(&month, half);
    (void)state;
    assert_string_equal(period.name, "2027-01");
    assert_int_equal(period.spent_fen, 2804);
    assert_int_equal(period.forecast_fen, 5608);
    assert_int_equal(period.before_fen, 0);
    assert_int_equal(look(&system, half).forecast_fen, 0);
    ledger_ok(ledger_close_month(&ledger, january, month_end(january), NULL));
    half = month_start(february) + 14 * MOMENT_DAY;
    period = look(&month, half);
    assert_int_equal(period.spent_fen, 2804 + 701);
    assert_int_equal(period.forecast_fen, 5608 + 1402);
    assert_int_equal(period.before_fen, 5608);
    period = look(&system, half);
    assert_int_equal(period.spent_fen, 701);
    assert_int_equal(period.forecast_fen, 1402);
    period = look(&year, half);
    assert_string_equal(period.name, "2027");
    assert_int_equal(period.spent_fen, 5608 + 2804 + 701);
    assert_int_equal(period.forecast_fen, 12 * 5608 + 11 * 1402);
    assert_int_equal(period.unpriced, 0);
}

static void each_threshold_is_told_once_a_period(void **state)
{
    (void)state;
    (void)add("b1", NULL, "month", 5000, month_start(january));
    (void)add("b2", "u1002", "month", 1403, month_start(january));
    check_and_expect(month_start(january) + MOMENT_DAY, "");
    moment half = month_start(january) + 31 * MOMENT_DAY / 2;
    check_and_expect(half, "b1 2027-01/50 2804");
    check_and_expect(half + MOMENT_DAY, "b1 2027-01/50 2804");
    /* The month is over, and settled by its closing: the rest of it is told in February. */
    ledger_ok(ledger_close_month(&ledger, january, month_end(january), NULL));
    check_and_expect(month_start(february), "b1 2027-01/50 2804\nb1 2027-01/80 5608\nb1 2027-01/100 5608");
    /* 14.02 of 14.03 is not 100 %. */
    check_and_expect(month_end(february) - 1, "b1 2027-01/50 2804\nb1 2027-01/80 5608\nb1 2027-01/100 5608\n"
                                              "b1 2027-02/50 7010\nb1 2027-02/80 7010\nb1 2027-02/100 7010\n"
                                              "b2 2027-02/50 1402\nb2 2027-02/80 1402");
}

/* The first budget cannot be checked; the second is told all the same, the first when it can be again. */
static void one_that_fails_does_not_keep_the_others(void **state)
{
    (void)state;
    (void)add("b1", NULL, "month", 5000, month_start(january));
    (void)add("b2", NULL, "month", 5001, month_start(january));
    moment half = month_start(january) + 31 * MOMENT_DAY / 2;
    pg_exec(ledger.pg, "ALTER TABLE budget_alert ADD CONSTRAINT broken CHECK (budget_id <> 'b1')");
    check_and_expect(half, "b2 2027-01/50 2804");
    pg_exec(ledger.pg, "ALTER TABLE budget_alert DROP CONSTRAINT broken");
    check_and_expect(half, "b1 2027-01/50 2804\nb2 2027-01/50 2804");
}

static void what_was_spent_before_there_was_a_budget_is_not_told(void **state)
{
    (void)state;
    (void)add("b1", NULL, "month", 5000, month_start(february));
    check_and_expect(month_start(february) + MOMENT_HOUR, "");
}

static struct error *get_body(struct db *db, void *context)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct budget budget;
    return budget_get(db, arena, context, &budget);
}

static struct error *get_as(const struct db_scope *scope, const char *id)
{
    return db_transaction(ledger.db, scope, DB_READ_COMMITTED, get_body, (void *)(uintptr_t)id);
}

static void who_sees_a_budget(void **state)
{
    const struct db_scope own = {.units = "u1"}, other = {.units = "u2"},
                          system = {.units = "u1", .systems = "u1002"}, cloud = {.clouds = "c1"};
    struct budget foreign = {.id = "b3",
                             .unit = "u2",
                             .period = "month",
                             .amount_fen = 1,
                             .thresholds = {percents, 3},
                             .created_at = month_start(january)};
    (void)state;
    (void)add("b1", NULL, "month", 5000, month_start(january));
    (void)add("b2", "u1002", "month", 5000, month_start(january));
    ledger_ok(get_as(&own, "b1"));
    ledger_ok(get_as(&own, "b2"));
    ledger_ok(get_as(&system, "b2"));
    ledger_fails(get_as(&system, "b1"), ERR_NOT_FOUND, "budget");
    ledger_fails(get_as(&other, "b1"), ERR_NOT_FOUND, "budget");
    ledger_fails(get_as(&cloud, "b1"), ERR_NOT_FOUND, "budget");
    struct error *error = db_transaction(ledger.db, &own, DB_READ_COMMITTED, add_body, &foreign);
    assert_int_equal(error_code(error), ERR_DENIED);
    error_free(error);
}

static struct error *change_body(struct db *db, void *context)
{
    return budget_change(db, context, month_end(january));
}

static struct error *drop_body(struct db *db, void *context)
{
    return budget_drop(db, context);
}

static void versions_and_limits(void **state)
{
    struct budget budget = add("b1", NULL, "month", 5000, month_start(january)), extra = budget;
    ARENA_AUTO struct arena *arena = arena_new();
    (void)state;
    budget.amount_fen = 6000;
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, change_body, &budget));
    ledger_fails(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, change_body, &budget),
                 ERR_STALE, "changed meanwhile");
    ledger_fails(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, drop_body, &budget),
                 ERR_STALE, "changed meanwhile");
    for (int i = 2; i <= BUDGETS_MAX; i++) {
        extra.id = arena_printf(arena, "x%d", i);
        ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, add_body, &extra));
    }
    extra.id = "one-more";
    ledger_fails(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, add_body, &extra),
                 ERR_CONFLICT, "100 budgets");
    check_and_expect(month_start(january) + MOMENT_DAY, ""); /* all pages */
    budget.version = 2;
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, drop_body, &budget));
    ledger_fails(get_as(&db_scope_system, "b1"), ERR_NOT_FOUND, "budget");
}

static void percentages(void **state)
{
    static const int64_t mixed[] = {100, 50}, twice[] = {50, 50}, zero[] = {0}, much[] = {1001};
    ARENA_AUTO struct arena *arena = arena_new();
    struct json_ints good = {mixed, 2}, bad[] = {{twice, 2}, {zero, 1}, {much, 1}, {mixed, 0}};
    (void)state;
    ledger_ok(budget_thresholds(arena, &good));
    assert_int_equal(good.items[0], 50);
    for (size_t i = 0; i < 4; i++)
        ledger_fails(budget_thresholds(arena, &bad[i]), ERR_INVALID, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_spent_and_what_is_to_come, begin),
        cmocka_unit_test_setup(each_threshold_is_told_once_a_period, begin),
        cmocka_unit_test_setup(one_that_fails_does_not_keep_the_others, begin),
        cmocka_unit_test_setup(what_was_spent_before_there_was_a_budget_is_not_told, begin),
        cmocka_unit_test_setup(who_sees_a_budget, begin),
        cmocka_unit_test_setup(versions_and_limits, begin),
        cmocka_unit_test_setup(percentages, begin),
    };
    return cmocka_run_group_tests(tests, open_ledger, close_ledger);
}
