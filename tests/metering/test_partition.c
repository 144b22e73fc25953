/* Months' partitions in a real database: what ends goes to its month, what runs stays out of all of them,
 * what came before its partition moves into it, and nobody gets around the tables. */
#include "metering/partition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/metering/ledger.h"

static struct ledger ledger;
static const struct month january = {2027, 1};

static int open_ledger(void **state)
{
    ledger_open(&ledger);
    return 0;
}

static int close_ledger(void **state)
{
    ledger_close(&ledger);
    return 0;
}

static void is(const char *query, const char *wanted)
{
    char *found = pg_value(ledger.pg, query);
    assert_string_equal(found, wanted);
    free(found);
}

#define WHERE_THEY_ARE                                                                                 \
    "SELECT coalesce(string_agg(resource_id || ' ' || tableoid::regclass, ', ' ORDER BY resource_id, " \
    "start_at), '')"                                                                                   \
    " FROM usage_interval"

static void use(const char *resource, const char *from, const char *to)
{
    ledger_ok(ledger_set(&ledger, "u1", "u1001", "c1", "p1", resource, "1001=1", at(from)));
    if (to)
        ledger_ok(ledger_end(&ledger, "u1", resource, at(to)));
}

static void what_ended_is_in_its_month(void **state)
{
    bool made;
    use("early", "2027-01-02T00:00:00+08:00", "2027-01-05T00:00:00+08:00");
    is(WHERE_THEY_ARE, "early usage_interval_other");
    ledger_ok(partition_make(ledger.db, january, &made));
    assert_true(made);
    is(WHERE_THEY_ARE, "early usage_interval_2027_01");
    ledger_ok(partition_make(ledger.db, january, &made));
    assert_false(made);
    ledger_ok(partition_ahead(ledger.db, january));
    use("edge", "2027-01-05T00:00:00+08:00", "2027-02-01T00:00:00+08:00"); /* used in January to its end */
    use("long", "2027-01-05T00:00:00+08:00", "2027-03-01T00:00:00.000001+08:00");
    use("open", "2027-01-05T00:00:00+08:00", NULL);
    is(WHERE_THEY_ARE,
       "early usage_interval_2027_01, edge usage_interval_2027_01, long usage_interval_2027_03,"
       " open usage_interval_open");
}

/* Moving and ending leave the same trace for the next closing as ever: from the start of what began, from the
 * end of what ended. */
static void what_changed_is_told_from_its_moment(void **state)
{
    pg_exec(ledger.pg, "DELETE FROM usage_change");
    ledger_ok(ledger_end(&ledger, "u1", "open", at("2027-02-03T00:00:00+08:00")));
    is("SELECT string_agg((from_at AT TIME ZONE 'Asia/Shanghai')::text, ', ') FROM usage_change",
       "2027-02-03 00:00:00");
    is("SELECT tableoid::regclass::text FROM usage_interval WHERE resource_id = 'open'",
       "usage_interval_2027_02");
}

static void months_do_not_hide_overlaps(void **state)
{
    static const struct db_statement across = {
        "test_across",
        "INSERT INTO usage_interval (unit_id, system_id, cloud_id, provider_id, resource_id, kind, item, "
        "micro,"
        " start_at, end_at) VALUES ('u1', 'u1001', 'c1', 'p1', 'long', 'instance', '1001', 1000000,"
        " '2027-01-06T00:00:00+08:00', '2027-01-07T00:00:00+08:00')"};
    struct db *owner;
    ledger_ok(db_connect(pg_owner_conninfo(ledger.pg), &owner));
    ledger_fails(db_run(owner, &across, DB_NO_VALUES, NULL), ERR_EXISTS, "usage_interval_overlap");
    db_close(owner);
}

static struct error *run_statement(struct db *db, void *context)
{
    return db_run(db, context, DB_NO_VALUES, NULL);
}

static void the_broker_has_no_way_around(void **state)
{
    static struct db_statement attempts[] = {
        {"partition_read", "SELECT * FROM usage_interval_2027_01"},
        {"partition_delete", "DELETE FROM usage_interval_2027_01"},
        {"partition_drop", "DROP TABLE usage_interval_2027_01"},
        {"partition_update", "UPDATE usage_interval SET micro = 1"},
        {"partition_attach", "SELECT billing_partition_attach('bill', '2027-01', 'bill_other')"},
        {"partition_inject", "SELECT billing_partition_make('2027-01; DROP TABLE bill')"},
        {"partition_setting", "WITH x AS (SELECT set_config('yunqiao.usage_ending', 'on', true))"
                              " DELETE FROM usage_interval USING x WHERE resource_id = 'early'"}};
    char *before = pg_value(ledger.pg, WHERE_THEY_ARE);
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        struct error *error =
            db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, run_statement, &attempts[i]);
        if (!error)
            fail_msg("allowed: %s", attempts[i].sql);
        error_free(error);
    }
    is(WHERE_THEY_ARE, before);
    free(before);
}

/* A closed month's bills and lines are in their own partitions, and reading them back is the same. */
static void bills_are_in_their_months(void **state)
{
    struct bill_month closed;
    bool made;
    const struct month december = {2026, 12};
    ledger_provider(&ledger, "p1", &agreement_default, december, 2);
    ledger_ok(
        ledger_set(&ledger, "u2", "u2001", "c1", "p1", "r9", "1001=1", at("2026-12-01T00:00:00+08:00")));
    ledger_ok(ledger_close_month(&ledger, december, month_end(december) + MOMENT_HOUR, &closed));
    assert_int_equal(closed.bills, 1);
    is("SELECT tableoid::regclass::text FROM bill_line", "bill_line_other");
    ledger_ok(partition_make(ledger.db, december, &made));
    is("SELECT tableoid::regclass::text FROM bill_line", "bill_line_2026_12");
    is("SELECT tableoid::regclass::text FROM bill", "bill_2026_12");
    ledger_ok(ledger_close_month(&ledger, january, month_end(january) + MOMENT_HOUR, &closed));
    is("SELECT string_agg(DISTINCT tableoid::regclass::text, ', ') FROM bill_line WHERE month = '2027-01'",
       "bill_line_2027_01");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ended_is_in_its_month),  cmocka_unit_test(what_changed_is_told_from_its_moment),
        cmocka_unit_test(months_do_not_hide_overlaps), cmocka_unit_test(the_broker_has_no_way_around),
        cmocka_unit_test(bills_are_in_their_months),
    };
    return cmocka_run_group_tests(tests, open_ledger, close_ledger);
}
