/* Usage intervals in a real database: set, change, end, refuse; and what the database itself refuses. */
#include "metering/usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/metering/ledger.h"

static struct ledger ledger;

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

static int clear(void **state)
{
    ledger_clear(&ledger);
    return 0;
}

#define T(seconds) (INT64_C(1800000000000000) + (seconds)*MOMENT_SECOND)

static struct error *set(const char *quantities, int64_t seconds)
{
    return ledger_set(&ledger, "u1", "u1001", "c1", "p1", "r1", quantities, T(seconds));
}

/* "1001=4@0-10,1001=8@10-": quantity and seconds from T(0), by item and start. */
static void is(const char *wanted)
{
    char *found = pg_value(
        ledger.pg,
        "SELECT string_agg(item || '=' || (micro / 1000000) || '@' ||"
        " (extract(epoch FROM start_at) - 1800000000)::bigint || '-' ||"
        " coalesce((extract(epoch FROM nullif(end_at, 'infinity')) - 1800000000)::bigint::text, ''), ','"
        " ORDER BY item, start_at) FROM usage_interval");
    assert_string_equal(found, wanted);
    free(found);
}

static void usage_follows_the_resource(void **state)
{
    ledger_ok(set("1001=4,1002=8", 0));
    is("1001=4@0-,1002=8@0-");
    ledger_ok(set("1001=4,1002=8", 0));
    ledger_ok(set("1002=8,1001=4", 5)); /* the same again, later: nothing changes */
    is("1001=4@0-,1002=8@0-");
    ledger_ok(set("1001=6,1002=8,1011=1", 10));
    is("1001=4@0-10,1001=6@10-,1002=8@0-,1011=1@10-");
    ledger_ok(set("1001=0,1002=8", 20)); /* 0 is none */
    is("1001=4@0-10,1001=6@10-20,1002=8@0-,1011=1@10-20");
    ledger_ok(ledger_end(&ledger, "u1", "r1", T(30)));
    ledger_ok(ledger_end(&ledger, "u1", "r1", T(30)));
    ledger_ok(ledger_end(&ledger, "u1", "r1", T(1))); /* nothing open, nothing to do */
    is("1001=4@0-10,1001=6@10-20,1002=8@0-30,1011=1@10-20");
    ledger_ok(set("1001=1", 30));
    is("1001=4@0-10,1001=6@10-20,1001=1@30-,1002=8@0-30,1011=1@10-20");
}

static void nothing_of_zero_length_is_stored(void **state)
{
    ledger_ok(set("1001=4,1002=8", 0));
    ledger_ok(set("1001=5,1002=8", 0));
    is("1001=5@0-,1002=8@0-");
    ledger_ok(ledger_end(&ledger, "u1", "r1", T(0)));
    is("");
}

static void the_past_is_not_rewritten(void **state)
{
    ledger_ok(set("1001=4", 10));
    ledger_fails(set("1001=5", 9), ERR_CONFLICT, "it is known up to");
    ledger_fails(set("1001=4", 9), ERR_CONFLICT, "it is known up to");
    ledger_fails(ledger_end(&ledger, "u1", "r1", T(9)), ERR_CONFLICT, "it is known up to");
    ledger_ok(ledger_end(&ledger, "u1", "r1", T(20)));
    ledger_fails(set("1001=4", 19), ERR_CONFLICT, "it is known up to");
    is("1001=4@10-20");
}

static void a_new_owner_opens_a_new_interval(void **state)
{
    ledger_ok(set("1001=4", 0));
    ledger_ok(ledger_set(&ledger, "u1", "u1002", "c1", "p1", "r1", "1001=4", T(10)));
    ledger_ok(ledger_set(&ledger, "u1", "u1002", "c2", "p2", "r1", "1001=4", T(20)));
    is("1001=4@0-10,1001=4@10-20,1001=4@20-");
    char *owners =
        pg_value(ledger.pg, "SELECT string_agg(system_id || cloud_id || provider_id, ' ' ORDER BY start_at)"
                            " FROM usage_interval");
    assert_string_equal(owners, "u1001c1p1 u1002c1p1 u1002c2p2");
    free(owners);
}

static void bad_usage_changes_nothing(void **state)
{
    ledger_ok(set("1001=4", 0));
    ledger_fails(set("1001=4,1001=5", 10), ERR_INTERNAL, "twice");
    ledger_fails(set("1024=1", 10), ERR_INTERNAL, "out of range");
    is("1001=4@0-");
}

/* What usage.c never does, the database does not let others do either. */
static void the_database_keeps_its_own_rules(void **state)
{
    static const struct db_statement
        overlap =
            {"test_overlap",
             "INSERT INTO usage_interval SELECT unit_id, system_id, cloud_id, provider_id, resource_id, kind,"
             " item, micro, start_at + interval '1 s', 'infinity' FROM usage_interval LIMIT 1"},
        rewrite = {"test_rewrite", "UPDATE usage_interval SET micro = 1"},
        erase = {"test_erase", "DELETE FROM usage_interval WHERE end_at <> 'infinity'"},
        reopen = {"test_reopen", "UPDATE usage_interval SET end_at = 'infinity'"};
    ledger_ok(set("1001=4", 0));
    ledger_ok(ledger_end(&ledger, "u1", "r1", T(10)));
    struct db *owner;
    ledger_ok(db_connect(pg_owner_conninfo(ledger.pg), &owner));
    ledger_fails(db_run(owner, &overlap, DB_NO_VALUES, NULL), ERR_EXISTS, "usage_interval_overlap");
    ledger_fails(db_run(owner, &rewrite, DB_NO_VALUES, NULL), ERR_CONFLICT, "can only be ended");
    ledger_fails(db_run(owner, &erase, DB_NO_VALUES, NULL), ERR_CONFLICT, "cannot change");
    ledger_fails(db_run(owner, &reopen, DB_NO_VALUES, NULL), ERR_CONFLICT, "can only be ended");
    db_close(owner);
    is("1001=4@0-10");
}

struct listing {
    struct arena *arena;
    struct usage_filter filter;
    const struct usage_cursor *after;
    int64_t most;
    struct usage_row *rows;
    size_t count;
};

static struct error *list_body(struct db *db, void *context)
{
    struct listing *listing = context;
    return usage_list(db, listing->arena, &listing->filter, listing->after, listing->most, &listing->rows,
                      &listing->count);
}

static void lists_are_scoped_filtered_and_paged(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct listing listing = {.arena = arena, .most = 2};
    static const struct db_scope unit1 = {.units = "u1"}, system2 = {.units = "u1", .systems = "u1002"},
                                 cloud2 = {.clouds = "c2"};
    ledger_ok(set("1001=4,1002=8", 0));
    ledger_ok(ledger_set(&ledger, "u1", "u1002", "c2", "p2", "r2", "1001=1", T(5)));
    ledger_ok(ledger_set(&ledger, "u2", "u2001", "c2", "p2", "r3", "1016=10.5", T(7)));
    /* Two pages of a unit's three. */
    ledger_ok(db_transaction(ledger.db, &unit1, DB_READ_COMMITTED, list_body, &listing));
    assert_int_equal(listing.count, 2);
    struct usage_cursor cursor = {listing.rows[1].interval.unit, listing.rows[1].interval.resource,
                                  listing.rows[1].interval.item, "standard", listing.rows[1].interval.from};
    listing.after = &cursor;
    ledger_ok(db_transaction(ledger.db, &unit1, DB_READ_COMMITTED, list_body, &listing));
    assert_int_equal(listing.count, 1);
    assert_string_equal(listing.rows[0].interval.resource, "r2");
    listing.after = NULL;
    listing.most = 100;
    ledger_ok(db_transaction(ledger.db, &system2, DB_READ_COMMITTED, list_body, &listing));
    assert_int_equal(listing.count, 1);
    ledger_ok(db_transaction(ledger.db, &cloud2, DB_READ_COMMITTED, list_body, &listing));
    assert_int_equal(listing.count, 2);
    assert_true(listing.rows[1].interval.micro == 10500000 && listing.rows[1].interval.to == MOMENT_MAX);
    listing.filter = (struct usage_filter){.item = "1001", .to = T(5)};
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, list_body, &listing));
    assert_int_equal(listing.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(usage_follows_the_resource, clear),
        cmocka_unit_test_setup(nothing_of_zero_length_is_stored, clear),
        cmocka_unit_test_setup(the_past_is_not_rewritten, clear),
        cmocka_unit_test_setup(a_new_owner_opens_a_new_interval, clear),
        cmocka_unit_test_setup(bad_usage_changes_nothing, clear),
        cmocka_unit_test_setup(the_database_keeps_its_own_rules, clear),
        cmocka_unit_test_setup(lists_are_scoped_filtered_and_paged, clear),
    };
    return cmocka_run_group_tests(tests, open_ledger, close_ledger);
}
