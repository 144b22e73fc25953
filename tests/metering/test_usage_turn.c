/* No two intervals of a resource, item and tariff overlap, whoever writes them: many at once, with and
 * without our functions, one row or several in a statement, in one month or across months, in every
 * isolation, through the whole table or a partition (schema/2050_usage_turns.sql). */
#include "metering/usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "metering/partition.h"
#include "tests/metering/ledger.h"

static struct ledger ledger;
static const struct month january = {2027, 1};

static int open_ledger(void **state)
{
    ledger_open(&ledger);
    ledger_ok(partition_ahead(ledger.db, january));
    return 0;
}

static int close_ledger(void **state)
{
    ledger_close(&ledger);
    return 0;
}

#define COLUMNS \
    "unit_id, system_id, cloud_id, provider_id, resource_id, kind, item, micro, start_at, end_at, origin"
/* Two intervals of a resource with a gap of a second between them, a day or a month long; sometimes the
 * second is open. $1: seconds from the year's beginning; $2: the resource; $3: their length; $4: whether
 * open. */
#define PAIR(target)                                                                                \
    "INSERT INTO " target " (" COLUMNS                                                              \
    ") SELECT 'u1', 'u1001', 'c1', 'p1', $2, 'instance', '1001', 1000000,"                          \
    " s, CASE WHEN n = 1 AND $4::boolean THEN 'infinity' ELSE s + $3::bigint * interval '1 s' END," \
    " CASE WHEN strpos($2, '/') > 0 THEN 'reported' ELSE 'control' END"                             \
    " FROM generate_series(0, 1) n, LATERAL (SELECT timestamptz '2027-01-01T00:00:00+08:00'"        \
    " + ($1::bigint + n * ($3::bigint + 1)) * interval '1 s' AS s) x"
static const struct db_statement through_whole = {"turn_whole", PAIR("usage_interval")};
static const struct db_statement through_part = {
    "turn_part",
    "INSERT INTO usage_interval_2027_01 (" COLUMNS ") SELECT 'u1', 'u1001', 'c1', 'p1', $2,"
    " 'instance', '1001', 1000000, timestamptz '2027-01-01T00:00:00+08:00' + $1::bigint * interval"
    " '1 s', timestamptz '2027-01-01T00:00:00+08:00' + ($1::bigint + $3::bigint) * interval '1 s',"
    " CASE WHEN strpos($2, '/') > 0 THEN 'reported' ELSE 'control' END WHERE NOT $4::boolean"};
/* Between writing and committing: what others do meanwhile must not be missed. */
static const struct db_statement linger = {"turn_linger", "SELECT count(*) FROM usage_interval"};

#define WRITERS 6
#define TRIES 20

struct writer {
    pthread_t thread;
    pthread_barrier_t *barrier;
    unsigned number, seed;
    int64_t kept, refused, overtaken, other;
};

struct attempt {
    const struct db_statement *statement;
    const char *resource;
    int64_t from, length;
    bool open;
};

static struct error *attempt_body(struct db *db, void *context)
{
    const struct attempt *attempt = context;
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    DB_ROWS_AUTO struct db_rows *again = NULL;
    TRY(db_query(db, &linger, DB_NO_VALUES, &rows)); /* the view of those who have one for the transaction */
    TRY(db_run(db, attempt->statement,
               DB_VALUES(db_int(attempt->from), db_text(attempt->resource), db_int(attempt->length),
                         db_bool(attempt->open)),
               NULL));
    return db_query(db, &linger, DB_NO_VALUES, &again);
}

static void note(struct writer *writer, struct error *error)
{
    if (!error)
        writer->kept++;
    else if (error_code(error) == ERR_EXISTS)
        writer->refused++;
    else if (error_code(error) == ERR_SERIALIZATION)
        writer->overtaken++;
    else {
        print_error("%s\n", error_message(error));
        writer->other++;
    }
    error_free(error);
}

static void *write_at_random(void *context)
{
    static const char *const resources[] = {"r1", "r2", "p1/vm"};
    struct writer *writer = context;
    struct db *db = NULL;
    bool owner = writer->number % 2;
    struct error *error = db_connect(owner ? pg_owner_conninfo(ledger.pg) : pg_conninfo(ledger.pg), &db);
    if (error) {
        note(writer, error);
        return NULL;
    }
    for (int i = 0; i < TRIES; i++) {
        bool part = owner && rand_r(&writer->seed) % 3 == 0;
        int64_t length = (part ? 86400 : 86400 * 20) / (1 + rand_r(&writer->seed) % 20);
        struct attempt attempt = {
            .statement = part ? &through_part : &through_whole,
            .resource = resources[rand_r(&writer->seed) % 3],
            .from = rand_r(&writer->seed) % (86400 * (part ? 29 : 80)),
            .length = length,
            .open = !part && rand_r(&writer->seed) % 30 == 0,
        };
        (void)pthread_barrier_wait(writer->barrier); /* all at once, again and again */
        note(writer, db_transaction(db, &db_scope_system,
                                    rand_r(&writer->seed) % 3 ? DB_READ_COMMITTED : DB_SERIALIZABLE,
                                    attempt_body, &attempt));
    }
    db_close(db);
    return NULL;
}

#define OVERLAPS                                                                                             \
    "SELECT count(*) FROM usage_interval a JOIN usage_interval b USING (unit_id, resource_id, item, tariff)" \
    " WHERE (a.start_at, a.end_at) <> (b.start_at, b.end_at) AND a.start_at < b.end_at"                      \
    " AND b.start_at < a.end_at"

static void nobody_makes_two_overlap(void **state)
{
    int64_t kept = 0, refused = 0, open = 0;
    for (unsigned round = 0; round < 16; round++) {
        pthread_barrier_t barrier;
        struct writer writers[WRITERS];
        ledger_clear(&ledger);
        assert_int_equal(pthread_barrier_init(&barrier, NULL, WRITERS), 0);
        for (unsigned i = 0; i < WRITERS; i++) {
            writers[i] = (struct writer){.barrier = &barrier, .number = i, .seed = round * WRITERS + i + 1};
            assert_int_equal(pthread_create(&writers[i].thread, NULL, write_at_random, &writers[i]), 0);
        }
        for (unsigned i = 0; i < WRITERS; i++) {
            assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
            assert_int_equal(writers[i].other, 0);
            kept += writers[i].kept;
            refused += writers[i].refused;
        }
        (void)pthread_barrier_destroy(&barrier); /* nobody waits any more */
        assert_int_equal(pg_number(ledger.pg, OVERLAPS), 0);
        open += pg_number(ledger.pg, "SELECT count(*) FROM usage_interval_open");
    }
    assert_true(kept > 40 && refused > 40 && open > 0); /* both were tried, not one of them alone */
}

static struct error *twice_body(struct db *db, void *context)
{
    struct attempt *attempt = context;
    TRY(attempt_body(db, attempt));
    attempt->from += attempt->length / 2; /* overlaps what was just written, by itself: refused at once */
    return attempt_body(db, attempt);
}

static void one_statement_and_one_transaction_overlap_neither(void **state)
{
    static const struct db_statement twice = {
        "turn_twice", "INSERT INTO usage_interval (" COLUMNS
                      ") SELECT 'u1', 'u1001', 'c1', 'p1', 'r1', 'instance', '1001', 1000000,"
                      " timestamptz '2027-01-01T00:00:00Z' + n * interval '1 day', timestamptz"
                      " '2027-01-01T00:00:00Z' + n * interval '1 day' + interval '25 hours', 'control'"
                      " FROM generate_series(0, 4) n"};
    struct attempt attempt = {
        .statement = &through_whole, .resource = "r1", .from = 86400, .length = 86400 * 40};
    struct db *owner;
    ledger_clear(&ledger);
    ledger_ok(db_connect(pg_owner_conninfo(ledger.pg), &owner));
    ledger_fails(db_run(owner, &twice, DB_NO_VALUES, NULL), ERR_EXISTS, "usage_interval_overlap");
    ledger_fails(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, twice_body, &attempt),
                 ERR_EXISTS, "usage_interval_overlap");
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM usage_interval"), 0);
    db_close(owner);
}

/* Somebody else's interval that the writer does not see counts as well. */
static struct error *alien_body(struct db *db, void *context)
{
    static const struct db_statement alien = {
        "turn_alien",
        "INSERT INTO usage_interval (" COLUMNS ") VALUES ('u1', 'u1001', 'c2', 'p2', 'r1', 'instance',"
        " '1001', 1000000, '2027-01-10T00:00:00Z', '2027-01-11T00:00:00Z', 'control')"};
    return db_run(db, &alien, DB_NO_VALUES, NULL);
}

static void scopes_hide_no_overlap(void **state)
{
    static const struct db_scope other = {.providers = "p2"};
    struct attempt attempt = {
        .statement = &through_whole, .resource = "r1", .from = 86400, .length = 86400 * 20};
    ledger_clear(&ledger);
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, attempt_body, &attempt));
    ledger_fails(db_transaction(ledger.db, &other, DB_READ_COMMITTED, alien_body, NULL), ERR_EXISTS,
                 "usage_interval_overlap");
}

/* What holds for the whole table holds for a partition by its name, for the owner too. */
static void a_partition_is_no_way_around(void **state)
{
    static const struct db_statement update = {"turn_update", "UPDATE usage_interval_2027_01 SET micro = 1"},
                                     erase = {"turn_erase", "DELETE FROM usage_interval_2027_01"};
    struct attempt attempt = {
        .statement = &through_part, .resource = "p1/vm", .from = 86400, .length = 86400 * 3};
    struct db *owner;
    ledger_clear(&ledger);
    ledger_ok(db_connect(pg_owner_conninfo(ledger.pg), &owner));
    ledger_ok(db_transaction(owner, &db_scope_system, DB_READ_COMMITTED, attempt_body, &attempt));
    ledger_fails(db_run(owner, &update, DB_NO_VALUES, NULL), ERR_CONFLICT, "can only be ended");
    ledger_ok(db_run(owner, &erase, DB_NO_VALUES, NULL));
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM usage_superseded"), 1);
    attempt.resource = "r1";
    ledger_ok(db_transaction(owner, &db_scope_system, DB_READ_COMMITTED, attempt_body, &attempt));
    ledger_fails(db_run(owner, &erase, DB_NO_VALUES, NULL), ERR_CONFLICT, "cannot change");
    db_close(owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_makes_two_overlap),
        cmocka_unit_test(one_statement_and_one_transaction_overlap_neither),
        cmocka_unit_test(scopes_hide_no_overlap),
        cmocka_unit_test(a_partition_is_no_way_around),
    };
    return cmocka_run_group_tests(tests, open_ledger, close_ledger);
}
