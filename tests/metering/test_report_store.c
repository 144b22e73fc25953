/* Reported usage in a real database: exactly once, whatever the order, number and batches in which events
 * come; late events and closed months; quarantine; what the database itself refuses. */
#include "metering/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/buf.h"
#include "broker/base/id.h"
#include "tests/metering/ledger.h"

static struct ledger ledger;
static moment now;

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
    ledger_provider(&ledger, "p1", &agreement_default, (struct month){2026, 1}, 0);
    now = at("2026-04-10T00:00:00Z");
    return 0;
}

struct told {
    const char *id, *subject, *at, *items; /* items: "1001=4,1002=8", "": none */
    const char *unit, *sequence;           /* NULL: u1; none */
};

static const char *text_of(struct arena *arena, const struct told *told)
{
    const char *items = "", *unit = told->unit ? told->unit : "u1";
    for (const char *text = told->items; *text;) {
        size_t length = strcspn(text, ",");
        items = arena_printf(arena, "%s%s{\"item\":\"%.4s\",\"quantity\":\"%.*s\"}", items, *items ? "," : "",
                             text, (int)length - 5, text + 5);
        text += length + (text[length] == ',');
    }
    return arena_printf(
        arena,
        "{\"specversion\":\"1.0\",\"type\":\"" REPORT_TYPE "\",\"source\":\"/providers/p1/m\",\"id\":\"%s\","
        "\"subject\":\"%s\",\"time\":\"%s\"%s,\"data\":{\"unit\":\"%s\",\"system\":\"%s001\","
        "\"cloud\":\"c1\",\"kind\":\"instance\",\"items\":[%s]}}",
        told->id, told->subject, told->at,
        told->sequence ? arena_printf(arena, ",\"sequence\":\"%s\"", told->sequence) : "", unit, unit, items);
}

struct batch {
    const char *text; /* lines */
    struct arena *arena;
    struct report_slot *slots;
    size_t count;
    bool fail; /* after all is done, before the commit */
};

static struct error *take_body(struct db *db, void *context)
{
    struct batch *batch = context;
    TRY(report_split(batch->arena, MEDIA_EVENTS_LINES, batch->text, strlen(batch->text), &batch->slots,
                     &batch->count));
    for (size_t i = 0; i < batch->count; i++)
        batch->slots[i].report.industry = "service";
    TRY(report_take(db, batch->arena, batch->slots, batch->count, now));
    return batch->fail ? error_new(ERR_INTERNAL, "told to fail") : NULL;
}

static void take(struct batch *batch)
{
    static const struct db_scope provider = {.providers = "p1"};
    struct error *error = db_transaction(ledger.db, &provider, DB_READ_COMMITTED, take_body, batch);
    if (batch->fail)
        ledger_fails(error, ERR_INTERNAL, "told to fail");
    else
        ledger_ok(error);
}

static enum report_outcome tell(const struct told *told)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct batch batch = {.arena = arena, .text = text_of(arena, told)};
    take(&batch);
    assert_int_equal(batch.count, 1);
    return batch.slots[0].outcome;
}

#define TOLD(i, s, t, ...)                                         \
    {                                                              \
        .id = (i), .subject = (s), .at = (t), .items = __VA_ARGS__ \
    }
#define TELL(i, s, t, ...) tell(&(struct told){.id = (i), .subject = (s), .at = (t), .items = __VA_ARGS__})

static char *intervals(void)
{
    return pg_value(
        ledger.pg,
        "SELECT coalesce(string_agg(unit_id || ' ' || resource_id || ' ' || item || '=' || (micro /"
        " 1000000) || '@' || to_char(start_at AT TIME ZONE 'UTC', 'MM-DD') || '..' || CASE"
        " WHEN end_at = 'infinity' THEN '' ELSE to_char(end_at AT TIME ZONE 'UTC', 'MM-DD') END,"
        " ', ' ORDER BY unit_id, resource_id, item, start_at), '') FROM usage_interval");
}

static void is(const char *wanted)
{
    char *found = intervals();
    assert_string_equal(found, wanted);
    free(found);
}

static int64_t number(const char *sql)
{
    return pg_number(ledger.pg, sql);
}

static void states_become_intervals(void **state)
{
    assert_int_equal(TELL("1", "vm", "2026-03-01T00:00:00Z", "1001=4"), REPORT_COUNTED);
    assert_int_equal(TELL("2", "vm", "2026-03-05T00:00:00Z", "1001=4"), REPORT_COUNTED); /* a sample */
    is("u1 p1/vm 1001=4@03-01..");
    assert_int_equal(TELL("3", "vm", "2026-03-10T00:00:00Z", "1001=8,1002=2"), REPORT_COUNTED);
    assert_int_equal(TELL("4", "vm", "2026-03-20T00:00:00Z", ""), REPORT_COUNTED);
    is("u1 p1/vm 1001=4@03-01..03-10, u1 p1/vm 1001=8@03-10..03-20, u1 p1/vm 1002=2@03-10..03-20");
    assert_int_equal(number("SELECT count(*) FROM usage_superseded"), 0); /* ending is no rewriting */
}

static void again_is_a_duplicate_and_other_a_conflict(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    assert_int_equal(TELL("1", "vm", "2026-03-01T00:00:00Z", "1001=4"), REPORT_COUNTED);
    assert_int_equal(TELL("1", "vm", "2026-03-01T00:00:00Z", "1001=4"), REPORT_DUPLICATE);
    assert_int_equal(TELL("1", "vm", "2026-03-01T00:00:00Z", "1001=5"), REPORT_REFUSED);
    const struct told two = TOLD("2", "vm", "2026-03-02T00:00:00Z", "1001=6"),
                      other = TOLD("2", "vm", "2026-03-02T00:00:00Z", "1001=7");
    const char *a = text_of(arena, &two), *b = text_of(arena, &other);
    struct batch batch = {.arena = arena, .text = arena_printf(arena, "%s\n%s\nx\n%s", a, a, b)};
    take(&batch);
    assert_int_equal(batch.slots[0].outcome, REPORT_COUNTED);
    assert_int_equal(batch.slots[1].outcome, REPORT_DUPLICATE);
    assert_int_equal(batch.slots[2].outcome, REPORT_REFUSED);
    assert_int_equal(batch.slots[3].outcome, REPORT_REFUSED);
    assert_int_equal(error_code(batch.slots[3].error), ERR_CONFLICT);
    is("u1 p1/vm 1001=4@03-01..03-02, u1 p1/vm 1001=6@03-02..");
    assert_int_equal(number("SELECT count(*) FROM usage_event"), 2);
}

static void late_events_rewrite_and_keep_what_was_known(void **state)
{
    TELL("1", "vm", "2026-03-01T00:00:00Z", "1001=4");
    TELL("2", "vm", "2026-03-20T00:00:00Z", "1001=2");
    TELL("3", "vm", "2026-03-10T00:00:00Z", "1001=8");
    is("u1 p1/vm 1001=4@03-01..03-10, u1 p1/vm 1001=8@03-10..03-20, u1 p1/vm 1001=2@03-20..");
    assert_int_equal(number("SELECT count(*) FROM usage_superseded WHERE start_at = '2026-03-01Z' AND"
                            " end_at = '2026-03-20Z' AND micro = 4000000 AND known_to >= known_from"),
                     1);
    assert_int_equal(number("SELECT count(*) FROM usage_superseded"), 1);
    /* The change begins where the late event does, not where the cut interval began. */
    assert_int_equal(number("SELECT count(*) FROM usage_change WHERE from_at = '2026-03-10Z'"), 1);
    TELL("4", "vm", "2026-03-10T00:00:00Z", "1001=4", .sequence = "1"); /* later at the same moment */
    is("u1 p1/vm 1001=4@03-01..03-20, u1 p1/vm 1001=2@03-20..");
    TELL("5", "vm", "2026-03-10T00:00:00Z", "1001=9"); /* without a sequence: earlier */
    is("u1 p1/vm 1001=4@03-01..03-20, u1 p1/vm 1001=2@03-20..");
}

static void a_resource_passes_to_another_unit(void **state)
{
    TELL("1", "vm", "2026-03-01T00:00:00Z", "1001=4");
    TELL("2", "vm", "2026-03-10T00:00:00Z", "1001=4", .unit = "u2");
    is("u1 p1/vm 1001=4@03-01..03-10, u2 p1/vm 1001=4@03-10..");
    TELL("3", "vm", "2026-03-05T00:00:00Z", "1001=4", .unit = "u2"); /* it had passed before */
    is("u1 p1/vm 1001=4@03-01..03-05, u2 p1/vm 1001=4@03-05..");
    TELL("4", "vm", "2026-03-07T00:00:00Z", "");
    is("u1 p1/vm 1001=4@03-01..03-05, u2 p1/vm 1001=4@03-05..03-07, u2 p1/vm 1001=4@03-10..");
}

/* What is archived cannot be rated again: an event of then is refused, known ones are duplicates as ever, and
 * what began then and still runs changes after it. */
static void archived_months_take_none(void **state)
{
    now = at("2026-06-10T00:00:00Z");
    TELL("1", "vm", "2026-01-10T00:00:00Z", "1001=4");
    pg_exec(ledger.pg, "UPDATE usage_archived SET until = '2026-02-01T00:00:00+08:00'");
    ARENA_AUTO struct arena *arena = arena_new();
    const struct told early = TOLD("2", "vm", "2026-01-31T16:00:00Z", "1001=6"),
                      again = TOLD("1", "vm", "2026-01-10T00:00:00Z", "1001=4"),
                      after = TOLD("3", "vm", "2026-03-10T00:00:00Z", "1001=8");
    struct batch batch = {.arena = arena,
                          .text = arena_printf(arena, "%s\n%s\n%s\n%s", text_of(arena, &early),
                                               text_of(arena, &again), text_of(arena, &after),
                                               text_of(arena, &early))};
    take(&batch);
    assert_int_equal(batch.slots[0].outcome, REPORT_REFUSED);
    assert_non_null(strstr(error_message(batch.slots[0].error), "usage up to 2026-01-31T16:00:00.000000Z"));
    assert_int_equal(batch.slots[1].outcome, REPORT_DUPLICATE);
    assert_int_equal(batch.slots[2].outcome, REPORT_COUNTED);
    assert_int_equal(batch.slots[3].outcome, REPORT_REFUSED); /* no duplicate of what was not taken */
    is("u1 p1/vm 1001=4@01-10..03-10, u1 p1/vm 1001=8@03-10..");
    assert_int_equal(number("SELECT count(*) FROM usage_event"), 2);
    pg_exec(ledger.pg, "UPDATE usage_archived SET until = '-infinity'");
}

struct decision {
    const char *id;
    moment at;
    bool discard, due, more;
};

static struct error *decide_body(struct db *db, void *context)
{
    struct decision *decision = context;
    const char *cloud;
    ARENA_AUTO struct arena *arena = arena_new();
    if (decision->due)
        return report_take_due(db, arena, decision->at, &decision->more);
    if (decision->discard)
        return report_discard(db, arena, "/providers/p1/m", decision->id, decision->at, &cloud);
    return report_release(db, arena, "/providers/p1/m", decision->id, decision->at, &cloud);
}

static struct error *decide(struct decision *decision)
{
    return db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, decide_body, decision);
}

static void what_is_ahead_waits(void **state)
{
    assert_int_equal(TELL("0", "vm", "2026-04-10T00:05:00Z", "1001=1"), REPORT_COUNTED);
    assert_int_equal(TELL("1", "vm", "2026-04-10T00:05:00.000001Z", "1001=4"), REPORT_QUARANTINED);
    assert_int_equal(TELL("1", "vm", "2026-04-10T00:05:00.000001Z", "1001=4"), REPORT_DUPLICATE);
    assert_int_equal(TELL("2", "vm", "2026-05-01T00:00:00Z", "1001=5"), REPORT_QUARANTINED);
    assert_int_equal(TELL("3", "vm", "2026-05-02T00:00:00Z", "1001=6"), REPORT_QUARANTINED);
    assert_int_equal(TELL("4", "vm", "2027-06-02T00:00:00Z", "1001=6"), REPORT_REFUSED);
    is("u1 p1/vm 1001=1@04-10..");
    struct decision due = {.due = true, .at = now};
    ledger_ok(decide(&due));
    assert_false(due.more);
    is("u1 p1/vm 1001=1@04-10..");
    due.at = now + MOMENT_SECOND; /* its time has come */
    ledger_ok(decide(&due));
    assert_true(due.more);
    ledger_ok(decide(&due));
    assert_false(due.more);
    is("u1 p1/vm 1001=1@04-10..04-10, u1 p1/vm 1001=4@04-10..");
    ledger_ok(decide(&(struct decision){.id = "2", .at = now}));
    ledger_ok(decide(&(struct decision){.id = "2", .at = now}));
    is("u1 p1/vm 1001=1@04-10..04-10, u1 p1/vm 1001=4@04-10..05-01, u1 p1/vm 1001=5@05-01..");
    ledger_ok(decide(&(struct decision){.id = "3", .at = now, .discard = true}));
    ledger_ok(decide(&(struct decision){.id = "3", .at = now, .discard = true}));
    ledger_fails(decide(&(struct decision){.id = "3", .at = now}), ERR_CONFLICT, "discarded already");
    ledger_fails(decide(&(struct decision){.id = "2", .at = now, .discard = true}), ERR_CONFLICT, "counted");
    ledger_fails(decide(&(struct decision){.id = "9", .at = now}), ERR_NOT_FOUND, "such usage event");
    assert_int_equal(TELL("3", "vm", "2026-05-02T00:00:00Z", "1001=6"), REPORT_DUPLICATE); /* for ever */
}

/* A month is closed; what comes late for it is corrected on the next bill, so that all that was billed is a
 * clean rating of what is known. */
static void late_for_a_closed_month_is_corrected(void **state)
{
    struct bill_month february, march;
    TELL("1", "vm", "2026-01-31T16:00:00Z", "1001=4"); /* all of February */
    TELL("2", "vm", "2026-02-28T16:00:00Z", "");
    ledger_ok(ledger_close_month(&ledger, (struct month){2026, 2}, now, &february));
    TELL("3", "vm", "2026-02-14T16:00:00Z", "1001=8"); /* half of it had twice as much */
    ledger_ok(ledger_close_month(&ledger, (struct month){2026, 3}, now, &march));
    assert_int_equal(number("SELECT count(*) FROM bill_line WHERE month = '2026-03' AND type = 'adjustment'"
                            " AND charge_month = '2026-02' AND corrects_line IS NOT NULL"),
                     1);
    int64_t cap = item_find("1001")->cap_fen;
    assert_int_equal(february.total_fen, 4 * cap);
    assert_int_equal(march.total_fen, 2 * cap);
}

/* ------------------------------------------------------------------------------------------ any order */

#define RESOURCES 200
#define EVENTS 8 /* of a resource, at most */

static uint64_t seed;

static unsigned draw(unsigned below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)((seed >> 11) % below);
}

static size_t make_history(struct arena *arena, const char **lines)
{
    static const char *const states[] = {"", "1001=4", "1001=8", "1001=4,1002=8", "1002=8,1016=5", "1019=3"};
    static const char *const units[] = {"u1", "u1", "u1", "u2"};
    size_t count = 0;
    for (size_t r = 0; r < RESOURCES; r++)
        for (size_t e = 0, most = 1 + draw(EVENTS); e < most; e++) {
            const struct told told = {
                .id = arena_printf(arena, "%zu-%zu", r, e),
                .subject = arena_printf(arena, "vm-%zu", r),
                .at =
                    arena_printf(arena, "2026-0%u-%02uT%02u:00:00Z", 2 + draw(2), 1 + draw(28), draw(3) * 8),
                .items = states[draw(6)],
                .unit = units[draw(4)],
                .sequence = draw(3) ? NULL : arena_printf(arena, "%u", draw(3)),
            };
            lines[count++] = text_of(arena, &told);
        }
    return count;
}

static void shuffle(const char **lines, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t k = draw((unsigned)i);
        const char *kept = lines[i - 1];
        lines[i - 1] = lines[k];
        lines[k] = kept;
    }
}

/* In batches of random sizes; some fail at the very end and come again, some come twice. */
static void feed(const char **lines, size_t count)
{
    for (size_t done = 0; done < count;) {
        ARENA_AUTO struct arena *arena = arena_new();
        BUF_AUTO struct buf text = BUF_INIT(4 << 20);
        size_t size = 1 + draw(300);
        for (size_t i = done; i < count && i < done + size; i++)
            buf_printf(&text, "%s\n%s", lines[i], draw(10) ? "" : "\n");
        if (done && !draw(2))
            buf_printf(&text, "%s\n", lines[draw((unsigned)done)]);
        struct batch batch = {.arena = arena, .text = text.data};
        for (unsigned i = draw(3); i > 0; i--) {
            batch.fail = true;
            take(&batch);
        }
        batch.fail = false;
        take(&batch);
        for (size_t i = 0; i < batch.count; i++)
            assert_int_not_equal(batch.slots[i].outcome, REPORT_REFUSED);
        done += size;
    }
}

struct result {
    char *intervals, *first, *second; /* digests of the two months */
    int64_t events;
};

static struct result outcome(void)
{
    struct result result;
    ledger_ok(ledger_close_month(&ledger, (struct month){2026, 2}, now, NULL));
    ledger_ok(ledger_close_month(&ledger, (struct month){2026, 3}, now, NULL));
    result.intervals = intervals();
    result.first = pg_value(ledger.pg, "SELECT digest FROM billing_month WHERE month = '2026-02'");
    result.second = pg_value(ledger.pg, "SELECT digest FROM billing_month WHERE month = '2026-03'");
    result.events = number("SELECT count(*) FROM usage_event");
    return result;
}

static void same(const struct result *a, const struct result *b)
{
    assert_string_equal(a->intervals, b->intervals);
    assert_string_equal(a->first, b->first);
    assert_string_equal(a->second, b->second);
    assert_int_equal(a->events, b->events);
}

static void done(struct result *result)
{
    free(result->intervals);
    free(result->first);
    free(result->second);
}

static void any_order_gives_the_same_bills(void **state)
{
    for (unsigned round = 1; round <= 10; round++) {
        ARENA_AUTO struct arena *arena = arena_new();
        static const char *lines[RESOURCES * EVENTS];
        seed = round * UINT64_C(2654435761);
        (void)clear(state);
        size_t count = make_history(arena, lines);
        feed(lines, count);
        struct result first = outcome();
        for (int again = 0; again < 2; again++) {
            (void)clear(state);
            shuffle(lines, count);
            feed(lines, count);
            struct result second = outcome();
            same(&first, &second);
            done(&second);
        }
        assert_true(strlen(first.intervals) > 1000 && strlen(first.first) == 64);
        done(&first);
    }
}

/* ------------------------------------------------------------------------------------- what cannot be */

static void the_database_keeps_its_own_rules(void **state)
{
    static const struct db_statement rewrite = {"test_rewrite", "UPDATE usage_event SET body = '{}'"},
                                     remove = {"test_remove", "DELETE FROM usage_event"},
                                     requeue = {"test_requeue",
                                                "UPDATE usage_event SET state = 'quarantined'"},
                                     forget = {"test_forget", "DELETE FROM usage_superseded"},
                                     own = {"test_own",
                                            "DELETE FROM usage_interval WHERE origin = 'control'"},
                                     disguise = {
                                         "test_disguise",
                                         "INSERT INTO usage_interval SELECT unit_id, system_id, cloud_id,"
                                         " provider_id, 'mine', kind, item, micro, start_at, end_at,"
                                         " tariff, industry, zone_id, architecture, 'reported'"
                                         " FROM usage_interval LIMIT 1"};
    /* Overlaps the open one, in another partition. */
    static const struct db_statement twice = {
        "test_twice",
        "INSERT INTO usage_interval (unit_id, system_id, cloud_id, provider_id, resource_id, kind,"
        " item, micro, start_at, end_at, origin) VALUES ('u1', 'u1001', 'c1', 'p1', 'p1/vm', 'x',"
        " '1001', 1, '2026-03-25Z', '2026-03-26Z', 'reported')"};
    struct db *owner;
    TELL("1", "vm", "2026-03-01T00:00:00Z", "1001=4");
    TELL("2", "vm", "2026-03-20T00:00:00Z", "1001=2");
    TELL("3", "vm", "2026-03-10T00:00:00Z", "1001=8");
    ledger_ok(ledger_set(&ledger, "u1", "u1001", "c1", "p1", "r1", "1001=4", at("2026-03-01T00:00:00Z")));
    ledger_ok(ledger_end(&ledger, "u1", "r1", at("2026-03-02T00:00:00Z")));
    ledger_ok(db_connect(pg_owner_conninfo(ledger.pg), &owner));
    ledger_fails(db_run(owner, &rewrite, DB_NO_VALUES, NULL), ERR_CONFLICT, "never changes");
    ledger_fails(db_run(owner, &remove, DB_NO_VALUES, NULL), ERR_CONFLICT, "never changes");
    ledger_fails(db_run(owner, &requeue, DB_NO_VALUES, NULL), ERR_CONFLICT, "never changes");
    ledger_fails(db_run(owner, &forget, DB_NO_VALUES, NULL), ERR_CONFLICT, "never changes");
    ledger_fails(db_run(owner, &own, DB_NO_VALUES, NULL), ERR_CONFLICT, "cannot change");
    ledger_fails(db_run(owner, &twice, DB_NO_VALUES, NULL), ERR_EXISTS, "usage_interval_overlap");
    ledger_fails(db_run(owner, &disguise, DB_NO_VALUES, NULL), ERR_CONFLICT, "usage_interval_origin");
    db_close(owner);
}

struct listing {
    struct report_filter filter;
    struct arena *arena;
    const char *after;
    struct report_row *rows;
    size_t count;
};

static struct error *list_body(struct db *db, void *context)
{
    struct listing *listing = context;
    return report_list(db, listing->arena, &listing->filter, listing->after ? "p1" : NULL, "/providers/p1/m",
                       listing->after, 2, &listing->rows, &listing->count);
}

static void lists_are_scoped_filtered_and_paged(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    static const struct db_scope unit2 = {.units = "u2"}, other = {.providers = "p2"};
    struct listing listing = {.arena = arena};
    TELL("1", "vm", "2026-03-01T00:00:00Z", "1001=4");
    TELL("2", "vm", "2026-03-02T00:00:00Z", "1001=4", .unit = "u2");
    TELL("3", "vm2", "2026-05-02T00:00:00Z", "1001=4");
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, list_body, &listing));
    assert_int_equal(listing.count, 2);
    listing.after = listing.rows[1].id;
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, list_body, &listing));
    assert_int_equal(listing.count, 1);
    assert_string_equal(listing.rows[0].state, "quarantined");
    listing.after = NULL;
    listing.filter.state = "quarantined";
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, list_body, &listing));
    assert_int_equal(listing.count, 1);
    listing.filter.state = NULL;
    ledger_ok(db_transaction(ledger.db, &unit2, DB_READ_COMMITTED, list_body, &listing));
    assert_int_equal(listing.count, 1);
    ledger_ok(db_transaction(ledger.db, &other, DB_READ_COMMITTED, list_body, &listing));
    assert_int_equal(listing.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(states_become_intervals, clear),
        cmocka_unit_test_setup(again_is_a_duplicate_and_other_a_conflict, clear),
        cmocka_unit_test_setup(late_events_rewrite_and_keep_what_was_known, clear),
        cmocka_unit_test_setup(a_resource_passes_to_another_unit, clear),
        cmocka_unit_test_setup(archived_months_take_none, clear),
        cmocka_unit_test_setup(what_is_ahead_waits, clear),
        cmocka_unit_test_setup(late_for_a_closed_month_is_corrected, clear),
        cmocka_unit_test_setup(the_database_keeps_its_own_rules, clear),
        cmocka_unit_test_setup(lists_are_scoped_filtered_and_paged, clear),
        cmocka_unit_test(any_order_gives_the_same_bills),
    };
    return cmocka_run_group_tests(tests, open_ledger, close_ledger);
}
