/* Closing months in a real database: figures worked by hand, order, grace, repetition, two at once, late
 * changes, and that what is closed stays. */
#include "metering/bill.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/metering/ledger.h"

static struct ledger ledger;
static const struct month january = {2027, 1}, february = {2027, 2}, march = {2027, 3};

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

/* p1 at the caps from January 2027 on. */
static int begin(void **state)
{
    ledger_clear(&ledger);
    ledger_provider(&ledger, "p1", &agreement_default, january, 0);
    return 0;
}

static struct error *set(const char *resource, const char *quantities, const char *when)
{
    return ledger_set(&ledger, "u1", "u1001", "c1", "p1", resource, quantities, at(when));
}

static struct error *close_at_end(struct month month, struct bill_month *ret_month)
{
    return ledger_close_month(&ledger, month, month_end(month), ret_month);
}

/* All lines as text, oldest bill first: number/line type month item amount corrects. */
static void lines_are(const char *wanted)
{
    char *found = pg_value(ledger.pg, "SELECT coalesce(string_agg(concat_ws(' ', b.number || '/' || "
                                      "l.line_no, l.type, l.charge_month, l.item,"
                                      " l.amount_fen, l.corrects_number || '/' || l.corrects_line), E'\\n'"
                                      " ORDER BY b.month, b.number, l.line_no), '') FROM bill_line l"
                                      " JOIN bill b ON b.id = l.bill_id");
    assert_string_equal(found, wanted);
    free(found);
}

/* 4 vCPU at 14.02 = 56.08; 8 GB at 41.15 = 329.20; 10 Mb at 49.55 for 15.5 of 31 days = 247.75
 * (procurement 3.1.3). */
static void a_month_becomes_bills(void **state)
{
    struct bill_month closed;
    ledger_provider(&ledger, "p2", &agreement_default, january, 100);
    ledger_ok(set("r1", "1001=4,1002=8", "2027-01-01T00:00:00+08:00"));
    ledger_ok(set("r2", "1016=10", "2027-01-16T12:00:00+08:00"));
    ledger_ok(
        ledger_set(&ledger, "u2", "u2001", "c2", "p2", "r3", "1017=1", at("2027-01-01T00:00:00+08:00")));
    ledger_ok(
        ledger_set(&ledger, "u2", "u2001", "c1", "p1", "r4", "1017=1", at("2027-01-01T00:00:00+08:00")));
    ledger_ok(close_at_end(january, &closed));
    lines_are("YQ202701.p1.u1/1 charge 2027-01 1001 5608\n"
              "YQ202701.p1.u1/2 charge 2027-01 1002 32920\n"
              "YQ202701.p1.u1/3 charge 2027-01 1016 24775\n"
              "YQ202701.p1.u2/1 charge 2027-01 1017 7605\n"
              "YQ202701.p2.u2/1 charge 2027-01 1017 7505");
    assert_true(closed.closed);
    assert_int_equal(closed.bills, 3);
    assert_int_equal(closed.lines, 5);
    assert_int_equal(closed.total_fen, 5608 + 32920 + 24775 + 7605 + 7505);
    assert_int_equal(pg_number(ledger.pg, "SELECT sum(total_fen)::bigint FROM bill"), closed.total_fen);
}

static void closing_again_gives_the_same(void **state)
{
    struct bill_month first, second;
    ledger_ok(set("r1", "1001=4", "2027-01-01T00:00:00+08:00"));
    ledger_ok(close_at_end(january, &first));
    ledger_ok(ledger_close_month(&ledger, january, month_end(march), &second));
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM bill"), 1);
    assert_string_equal(first.digest, second.digest);
    assert_int_equal(first.closed_at, second.closed_at);
    assert_int_equal(second.total_fen, 5608);
}

static void months_close_in_order_and_when_over(void **state)
{
    struct bill_month closed;
    ledger_ok(set("r1", "1001=4", "2027-01-05T00:00:00+08:00"));
    ledger_fails(ledger_close_month(&ledger, january, month_end(january) - 1, NULL), ERR_CONFLICT,
                 "not over");
    ledger_fails(close_at_end(february, NULL), ERR_CONFLICT, "2027-01 is the next month to close");
    pg_exec(ledger.pg, "UPDATE billing_setting SET close_grace_seconds = 3600");
    ledger_fails(ledger_close_month(&ledger, january, month_end(january) + 3600 * MOMENT_SECOND - 1, NULL),
                 ERR_CONFLICT, "grace of 3600 seconds");
    ledger_ok(ledger_close_month(&ledger, january, month_end(january) + 3600 * MOMENT_SECOND, NULL));
    pg_exec(ledger.pg, "UPDATE billing_setting SET close_grace_seconds = 0");
    ledger_fails(close_at_end(march, NULL), ERR_CONFLICT, "2027-02 is the next month to close");
    ledger_fails(close_at_end((struct month){2026, 12}, NULL), ERR_CONFLICT,
                 "2027-02 is the next month to close");
    ledger_ok(close_at_end(february, &closed));
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM billing_month"), 2);
}

static void an_empty_month_closes_too(void **state)
{
    struct bill_month closed;
    ledger_ok(close_at_end(january, &closed));
    assert_true(closed.closed);
    assert_int_equal(closed.bills, 0);
    assert_int_equal(closed.total_fen, 0);
}

static void use_without_a_price_stops_the_closing(void **state)
{
    ledger_ok(set("r1", "1001=4", "2027-01-05T00:00:00+08:00"));
    ledger_ok(
        ledger_set(&ledger, "u1", "u1001", "c1", "nobody", "r2", "1001=4", at("2027-01-06T00:00:00+08:00")));
    ledger_fails(close_at_end(january, NULL), ERR_CONFLICT, "\"nobody\" has no price for item 1001");
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM bill"), 0);
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM billing_month"), 0);
}

/* January's 56.08 was billed for the whole month; later it turns out that the instance ended at half of it,
 * and that 10 Mb ran in its second half. */
static void what_comes_late_corrects_the_next_bill(void **state)
{
    ledger_ok(set("r1", "1001=4", "2027-01-01T00:00:00+08:00"));
    ledger_ok(close_at_end(january, NULL));
    ledger_ok(ledger_end(&ledger, "u1", "r1", at("2027-01-16T12:00:00+08:00")));
    ledger_ok(set("r2", "1016=10", "2027-01-16T12:00:00+08:00"));
    ledger_ok(close_at_end(february, NULL));
    lines_are("YQ202701.p1.u1/1 charge 2027-01 1001 5608\n"
              "YQ202702.p1.u1/1 charge 2027-02 1016 49550\n"
              "YQ202702.p1.u1/2 adjustment 2027-01 1001 -2804 YQ202701.p1.u1/1\n"
              "YQ202702.p1.u1/3 adjustment 2027-01 1016 24775");
    assert_int_equal(pg_number(ledger.pg, "SELECT total_fen FROM bill WHERE month = '2027-02'"),
                     49550 - 2804 + 24775);
    assert_int_equal(pg_number(ledger.pg, "SELECT adjustments_fen FROM bill WHERE month = '2027-02'"),
                     24775 - 2804);
    /* Nothing new in March: nothing is corrected again. */
    ledger_ok(close_at_end(march, NULL));
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM bill_line WHERE month = '2027-03'"), 1);
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM bill_line WHERE type = 'adjustment'"), 2);
}

static void a_correction_can_be_corrected(void **state)
{
    ledger_ok(set("r1", "1001=4", "2027-01-01T00:00:00+08:00"));
    ledger_ok(close_at_end(january, NULL));
    ledger_ok(set("r2", "1001=2", "2027-01-16T12:00:00+08:00"));
    ledger_ok(close_at_end(february, NULL));
    ledger_ok(ledger_end(&ledger, "u1", "r1", at("2027-01-16T12:00:00+08:00")));
    ledger_ok(ledger_end(&ledger, "u1", "r2", at("2027-01-16T12:00:00+08:00")));
    ledger_ok(close_at_end(march, NULL));
    /* January: 56.08, then + 14.02, then − 28.04 − 14.02; February: 56.08 + 28.04, all of it back. */
    lines_are("YQ202701.p1.u1/1 charge 2027-01 1001 5608\n"
              "YQ202702.p1.u1/1 charge 2027-02 1001 8412\n"
              "YQ202702.p1.u1/2 adjustment 2027-01 1001 1402 YQ202701.p1.u1/1\n"
              "YQ202703.p1.u1/1 adjustment 2027-01 1001 -4206 YQ202701.p1.u1/1\n"
              "YQ202703.p1.u1/2 adjustment 2027-02 1001 -8412 YQ202702.p1.u1/1");
}

static void use_before_the_first_closed_month_is_billed_late(void **state)
{
    ledger_ok(set("r1", "1001=4", "2027-02-01T00:00:00+08:00"));
    ledger_ok(close_at_end(february, NULL));
    ledger_ok(set("r2", "1001=1", "2027-01-16T12:00:00+08:00"));
    ledger_ok(ledger_end(&ledger, "u1", "r2", at("2027-02-01T00:00:00+08:00")));
    ledger_ok(close_at_end(march, NULL));
    lines_are("YQ202702.p1.u1/1 charge 2027-02 1001 5608\n"
              "YQ202703.p1.u1/1 charge 2027-03 1001 5608\n"
              "YQ202703.p1.u1/2 adjustment 2027-01 1001 701");
}

static void price_changes_touch_no_month_before(void **state)
{
    ledger_ok(set("r1", "1001=1", "2027-01-01T00:00:00+08:00"));
    ledger_ok(close_at_end(january, NULL));
    ledger_reprice(&ledger, "p1", march, 102);
    ledger_ok(close_at_end(february, NULL));
    ledger_ok(close_at_end(march, NULL));
    lines_are("YQ202701.p1.u1/1 charge 2027-01 1001 1402\n"
              "YQ202702.p1.u1/1 charge 2027-02 1001 1402\n"
              "YQ202703.p1.u1/1 charge 2027-03 1001 1300");
}

static struct error *run_statement(struct db *db, void *context)
{
    return db_run(db, context, DB_NO_VALUES, NULL);
}

static void what_is_closed_stays(void **state)
{
    static const struct db_statement attacks[] = {
        {"attack_bill", "UPDATE bill SET number = 'x'"},
        {"attack_line", "UPDATE bill_line SET amount_fen = 0"},
        {"attack_delete_line", "DELETE FROM bill_line"},
        {"attack_delete_bill", "DELETE FROM bill"},
        {"attack_truncate", "TRUNCATE bill, bill_line"},
        {"attack_month", "UPDATE billing_month SET state = 'closing', closed_at = NULL"},
        {"attack_delete_month", "DELETE FROM billing_month"},
        {"attack_truncate_month", "TRUNCATE billing_month CASCADE"},
        {"attack_truncate_usage", "TRUNCATE usage_interval"},
        {"attack_add_line",
         "INSERT INTO bill_line (unit_id, bill_id, line_no, month, type, charge_month, provider_id, cloud_id,"
         " system_id, item, price_fen, price_from, price_to, usage, amount_fen, list_fen) SELECT unit_id, "
         "bill_id,"
         " line_no + 1, month, type, charge_month, provider_id, cloud_id, system_id, item, price_fen,"
         " price_from, price_to, usage, amount_fen, list_fen FROM bill_line"},
        {"attack_add_bill",
         "INSERT INTO bill SELECT unit_id, id || 'x', number || 'x', 'p2', month,"
         " charges_fen, adjustments_fen, total_fen, line_count, digest, closed_at FROM bill"},
        {"attack_add_month", "INSERT INTO billing_month (month, state, closed_at, digest)"
                             " VALUES ('2027-02', 'closed', now(), 'x')"},
    };
    struct db *owner;
    ledger_ok(set("r1", "1001=1", "2027-01-01T00:00:00+08:00"));
    ledger_ok(close_at_end(january, NULL));
    ledger_ok(db_connect(pg_owner_conninfo(ledger.pg), &owner));
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        struct error *error = db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, run_statement,
                                             (void *)(uintptr_t)&attacks[i]); /* read only */
        assert_non_null(error); /* the application, by grant or by trigger */
        error_free(error);
        ledger_fails(db_run(owner, &attacks[i], DB_NO_VALUES, NULL), ERR_CONFLICT, "never changes");
    }
    db_close(owner);
    lines_are("YQ202701.p1.u1/1 charge 2027-01 1001 1402");
}

struct reading {
    struct arena *arena;
    struct bill bill;
    struct bill_line *lines;
    int64_t *numbers;
    size_t count;
};

static struct error *read_bill(struct db *db, void *context)
{
    struct reading *reading = context;
    struct bill *list;
    size_t count;
    TRY(bill_list(db, reading->arena, &(struct bill_filter){.unit = "u1"}, NULL, 10, &list, &count));
    if (count != 1)
        return error_new(ERR_NOT_FOUND, "%zu bills", count);
    TRY(bill_get(db, reading->arena, list[0].id, &reading->bill));
    return bill_lines(db, reading->arena, &reading->bill, 0, 100, &reading->lines, &reading->numbers,
                      &reading->count);
}

static void the_digest_can_be_computed_again(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct reading reading = {.arena = arena};
    char digest[DIGEST_HEX];
    ledger_ok(set("r1", "1001=4,1002=8", "2027-01-01T00:00:00+08:00"));
    ledger_ok(close_at_end(january, NULL));
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, read_bill, &reading));
    assert_int_equal(reading.count, 2);
    ledger_ok(bill_digest(&reading.bill, reading.lines, digest));
    assert_string_equal(digest, reading.bill.digest);
    reading.lines[1].amount_fen++;
    ledger_ok(bill_digest(&reading.bill, reading.lines, digest));
    assert_string_not_equal(digest, reading.bill.digest);
}

static void bills_are_seen_within_scope(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct reading reading = {.arena = arena};
    static const struct db_scope unit = {.units = "u1"}, other = {.units = "u2"}, cloud = {.clouds = "c1"},
                                 other_cloud = {.clouds = "c9"}, provider = {.providers = "p1"};
    ledger_ok(set("r1", "1001=4", "2027-01-01T00:00:00+08:00"));
    ledger_ok(close_at_end(january, NULL));
    ledger_ok(db_transaction(ledger.db, &unit, DB_READ_COMMITTED, read_bill, &reading));
    ledger_ok(db_transaction(ledger.db, &provider, DB_READ_COMMITTED, read_bill, &reading));
    ledger_ok(db_transaction(ledger.db, &cloud, DB_READ_COMMITTED, read_bill, &reading));
    ledger_fails(db_transaction(ledger.db, &other, DB_READ_COMMITTED, read_bill, &reading), ERR_NOT_FOUND,
                 "0 bills");
    ledger_fails(db_transaction(ledger.db, &other_cloud, DB_READ_COMMITTED, read_bill, &reading),
                 ERR_NOT_FOUND, "0 bills");
}

/* January: 56.08 on c1 by system u1001, 329.20 on c2 by system u1002, one bill of 385.28. */
static void a_part_of_a_bill_tells_nothing_of_the_rest(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct reading reading = {.arena = arena};
    static const struct {
        struct db_scope scope;
        int64_t total, lines;
    } views[] = {{{.units = "u1"}, 38528, 2},     {{.providers = "p1"}, 38528, 2},
                 {{.clouds = "c1,c2"}, 38528, 2}, {{.clouds = "c1"}, 5608, 1},
                 {{.clouds = "c2"}, 32920, 1},    {{.units = "u1", .systems = "u1002"}, 32920, 1}};
    static const struct db_scope elsewhere = {.units = "u1", .systems = "u1003"};
    ledger_ok(set("r1", "1001=4", "2027-01-01T00:00:00+08:00"));
    ledger_ok(
        ledger_set(&ledger, "u1", "u1002", "c2", "p1", "r2", "1002=8", at("2027-01-01T00:00:00+08:00")));
    ledger_ok(close_at_end(january, NULL));
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        ledger_ok(db_transaction(ledger.db, &views[i].scope, DB_READ_COMMITTED, read_bill, &reading));
        assert_int_equal(reading.bill.total_fen, views[i].total);
        assert_int_equal(reading.bill.charges_fen, views[i].total);
        assert_int_equal(reading.bill.line_count, views[i].lines);
        assert_int_equal(reading.count, views[i].lines);
        assert_int_equal(reading.bill.partial, views[i].lines == 1);
        assert_true(!reading.bill.digest == reading.bill.partial);
    }
    ledger_fails(db_transaction(ledger.db, &elsewhere, DB_READ_COMMITTED, read_bill, &reading), ERR_NOT_FOUND,
                 "0 bills");
}

struct racer {
    pthread_t thread;
    pthread_barrier_t *barrier;
    enum db_isolation isolation;
    struct bill_month closed;
    struct error *error;
};

static struct error *race_body(struct db *db, void *context)
{
    struct racer *racer = context;
    ARENA_AUTO struct arena *arena = arena_new();
    return bill_close_month(db, arena, NULL, january, month_end(january), &racer->closed);
}

static void *race(void *context)
{
    struct racer *racer = context;
    struct db *db = NULL;
    racer->error = db_connect(pg_conninfo(ledger.pg), &db);
    (void)pthread_barrier_wait(racer->barrier); /* says only which thread is the last */
    if (!racer->error)
        racer->error = db_transaction(db, &db_scope_system, racer->isolation, race_body, racer);
    db_close(db);
    return NULL;
}

static void two_closings_at_once_are_one(void **state)
{
    for (int round = 0; round < 6; round++) {
        pthread_barrier_t barrier;
        struct racer racers[4] = {
            {.barrier = &barrier}, {.barrier = &barrier}, {.barrier = &barrier}, {.barrier = &barrier}};
        begin(NULL);
        for (int i = 0; i < 20; i++) {
            char unit[8], system[8];
            (void)snprintf(unit, sizeof unit, "u%02d", i); /* fits */
            (void)snprintf(system, sizeof system, "s%02d", i);
            ledger_ok(ledger_set(&ledger, unit, system, "c1", "p1", "r", "1001=1,1002=2",
                                 at("2027-01-07T01:02:03Z")));
        }
        assert_int_equal(pthread_barrier_init(&barrier, NULL, 4), 0);
        for (int i = 0; i < 4; i++) {
            racers[i].isolation = round % 2 ? DB_SERIALIZABLE : DB_READ_COMMITTED;
            assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
        }
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
        for (int i = 0; i < 4; i++) {
            ledger_ok(racers[i].error);
            assert_string_equal(racers[i].closed.digest, racers[0].closed.digest);
            assert_int_equal(racers[i].closed.bills, 20);
        }
        assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM bill"), 20);
        assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM bill_line"), 40);
        (void)pthread_barrier_destroy(&barrier); /* nobody waits any more */
    }
}

/* One unit's resources change again and again, from January to March, at a pace of its own. */
struct writer {
    pthread_t thread;
    char unit[8], system[8];
    struct error *error;
};

struct step {
    const struct writer *writer;
    char resource[8];
    int64_t micro; /* 0: ends */
    moment when;
};

static struct error *write_step(struct db *db, void *context)
{
    const struct step *step = context;
    const struct usage_subject subject = {.unit = step->writer->unit,
                                          .system = step->writer->system,
                                          .cloud = "c1",
                                          .provider = "p1",
                                          .resource = step->resource,
                                          .kind = "instance"};
    const struct item_quantity items[] = {{.item = "1001", .micro = step->micro},
                                          {.item = "1002", .micro = 2 * step->micro}};
    return step->micro ? usage_set(db, &subject, items, 2, step->when)
                       : usage_end(db, subject.unit, subject.resource, step->when);
}

static void *write_usage(void *context)
{
    struct writer *writer = context;
    struct db *db = NULL;
    writer->error = db_connect(pg_conninfo(ledger.pg), &db);
    for (int i = 0; i < 160 && !writer->error; i++) {
        struct step step = {.writer = writer, .micro = (i % 5) * 1234567, .when = month_start(january)};
        step.when += i / 4 * (2 * MOMENT_DAY + 3 * MOMENT_HOUR + 7);       /* up to the end of March */
        (void)snprintf(step.resource, sizeof step.resource, "r%d", i % 4); /* fits */
        writer->error = db_transaction(db, &db_scope_system, DB_READ_COMMITTED, write_step, &step);
    }
    db_close(db);
    return NULL;
}

/* What all months up to March cost, rated from the intervals as they are now. */
static struct error *rate_again(struct db *db, void *context)
{
    int64_t *total = context;
    ARENA_AUTO struct arena *arena = arena_new();
    struct rate_interval *intervals;
    size_t interval_count;
    *total = 0;
    TRY(usage_intervals(db, arena, NULL, MOMENT_MIN, month_end(march), &intervals, &interval_count));
    for (struct month month = january; month_compare(month, march) <= 0; month = month_next(month)) {
        struct rate_provider *providers;
        struct rate_line *lines;
        size_t provider_count, count;
        TRY(bill_rates(db, arena, month, &providers, &provider_count));
        TRY(rate_month(arena, intervals, interval_count, providers, provider_count, month, MOMENT_MAX, &lines,
                       &count));
        for (size_t i = 0; i < count; i++)
            *total += lines[i].amount_fen;
    }
    return NULL;
}

static void use_that_arrives_while_closing_is_billed_once(void **state)
{
    struct writer writers[3] = {{.error = NULL}};
    int64_t clean;
    for (int i = 0; i < 3; i++) {
        (void)snprintf(writers[i].unit, sizeof writers[i].unit, "u%d", i); /* fits */
        (void)snprintf(writers[i].system, sizeof writers[i].system, "s%d", i);
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_usage, &writers[i]), 0);
    }
    ledger_ok(close_at_end(january, NULL));
    ledger_ok(close_at_end(february, NULL));
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
    for (int i = 0; i < 3; i++)
        ledger_ok(writers[i].error);
    ledger_ok(close_at_end(march, NULL));
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, rate_again, &clean));
    assert_true(clean > 0);
    assert_int_equal(pg_number(ledger.pg, "SELECT sum(total_fen)::bigint FROM bill"), clean);
}

struct late {
    struct usage_subject subject;
    bool closes; /* January is closed while the change is not committed yet */
};

static struct error *change_late(struct db *db, void *context)
{
    const struct late *late = context;
    const struct item_quantity item = {.item = "1001", .micro = 2000000};
    TRY(usage_set(db, &late->subject, &item, 1, at("2027-01-16T12:00:00+08:00")));
    return late->closes ? close_at_end(january, NULL) : NULL;
}

/* A change of January whose transaction ends after January was closed is found by the next closing: 28.04 for
 * half a month is 14.02. */
static void a_change_that_a_closing_missed_is_found_by_the_next(void **state)
{
    struct late late = {{.unit = "u1",
                         .system = "u1001",
                         .cloud = "c1",
                         .provider = "p1",
                         .resource = "r2",
                         .kind = "instance",
                         .industry = "service",
                         .zone = "z1",
                         .architecture = "x86"},
                        true};
    struct db *other;
    ledger_ok(set("r1", "1001=4", "2027-01-01T00:00:00+08:00"));
    ledger_ok(db_connect(pg_conninfo(ledger.pg), &other));
    ledger_ok(db_transaction(other, &db_scope_system, DB_READ_COMMITTED, change_late, &late));
    db_close(other);
    lines_are("YQ202701.p1.u1/1 charge 2027-01 1001 5608");
    ledger_ok(close_at_end(february, NULL));
    lines_are("YQ202701.p1.u1/1 charge 2027-01 1001 5608\n"
              "YQ202702.p1.u1/1 charge 2027-02 1001 8412\n"
              "YQ202702.p1.u1/2 adjustment 2027-01 1001 1402 YQ202701.p1.u1/1");
}

/* Only months with changes are rated again: one behind the program's back is not noticed, until a change of
 * that month or an earlier one makes the closing look. */
static void a_closing_looks_at_what_changed(void **state)
{
    ledger_ok(set("r1", "1001=4", "2027-01-01T00:00:00+08:00"));
    ledger_ok(close_at_end(january, NULL));
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM usage_change"), 0);
    pg_exec(ledger.pg,
            "SET session_replication_role = replica;"
            " INSERT INTO usage_interval SELECT unit_id, system_id, cloud_id, provider_id, 'r9', kind,"
            " item, micro, start_at, '2027-02-01T00:00:00+08:00' FROM usage_interval");
    ledger_ok(close_at_end(february, NULL));
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM bill_line WHERE type = 'adjustment'"), 0);
    ledger_ok(set("r2", "1001=2", "2027-01-16T12:00:00+08:00"));
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM usage_change"), 1);
    ledger_ok(close_at_end(march, NULL));
    assert_int_equal(pg_number(ledger.pg, "SELECT sum(amount_fen)::bigint FROM bill_line"
                                          " WHERE charge_month = '2027-01' AND type = 'adjustment'"),
                     5608 + 1402);
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM usage_change"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_month_becomes_bills, begin),
        cmocka_unit_test_setup(closing_again_gives_the_same, begin),
        cmocka_unit_test_setup(months_close_in_order_and_when_over, begin),
        cmocka_unit_test_setup(an_empty_month_closes_too, begin),
        cmocka_unit_test_setup(use_without_a_price_stops_the_closing, begin),
        cmocka_unit_test_setup(what_comes_late_corrects_the_next_bill, begin),
        cmocka_unit_test_setup(a_correction_can_be_corrected, begin),
        cmocka_unit_test_setup(use_before_the_first_closed_month_is_billed_late, begin),
        cmocka_unit_test_setup(price_changes_touch_no_month_before, begin),
        cmocka_unit_test_setup(what_is_closed_stays, begin),
        cmocka_unit_test_setup(the_digest_can_be_computed_again, begin),
        cmocka_unit_test_setup(bills_are_seen_within_scope, begin),
        cmocka_unit_test_setup(a_part_of_a_bill_tells_nothing_of_the_rest, begin),
        cmocka_unit_test_setup(two_closings_at_once_are_one, begin),
        cmocka_unit_test_setup(use_that_arrives_while_closing_is_billed_once, begin),
        cmocka_unit_test_setup(a_change_that_a_closing_missed_is_found_by_the_next, begin),
        cmocka_unit_test_setup(a_closing_looks_at_what_changed, begin),
    };
    return cmocka_run_group_tests(tests, open_ledger, close_ledger);
}
