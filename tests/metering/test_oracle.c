/* Random histories through the product and a real PostgreSQL against the oracle, to the fen: resources are
 * made, resized, expanded for free, stopped, moved and deleted at random microseconds over months of 28, 29,
 * 30 and 31 days, at three providers with three prorations and changing prices, with some of it becoming
 * known only after the month was closed. Every unit is a history of its own, and a round closes them
 * together. Then: Σ lines = bills = statement for every grouping, and closing once more corrects nothing. */
#include "tests/metering/oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/metering/ledger.h"

#define ROUNDS 8 /* in time, and as many late */
#define UNITS 64 /* histories of a round */
#define SYSTEMS 2
#define PROVIDERS 3
#define CLOUDS 2
#define ZONES 2
#define RESOURCES 3    /* of a unit, at most */
#define EVENTS 6       /* of a resource, at most */
#define LINES 60000    /* of a round */
#define EVENT_MONTHS 3 /* of the months; the further ones only run on */

static const char *const providers[PROVIDERS] = {"p-exact", "p-day", "p-month"};
static const char *const clouds[CLOUDS] = {"c-one", "c-two"};
static const char *const zones[ZONES] = {"z-one", "z-two"};
static const struct month starts[] = {{2027, 1}, {2028, 1}, {2027, 4}, {2027, 11}};

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

static int64_t below(int64_t most)
{
    return (int64_t)((((uint64_t)random() << 31) | (uint64_t)random()) % (uint64_t)most);
}

static const char *unit_of(struct arena *arena, int unit)
{
    return arena_printf(arena, "unit-%03d", unit);
}

static const char *system_of(struct arena *arena, int unit, int system)
{
    return arena_printf(arena, "unit-%03d00%d", unit, system + 1);
}

/* A moment of the history; now and then a boundary, or a microsecond beside one. */
static moment random_moment(const struct oracle_history *history)
{
    moment start = month_start(history->months[0]), end = month_end(history->months[EVENT_MONTHS - 1]);
    moment edge = month_start(history->months[below(EVENT_MONTHS)]);
    switch (below(8)) {
    case 0:
        return edge;
    case 1:
        return edge + 1;
    case 2:
        return edge > start ? edge - 1 : edge;
    case 3:
        return start + below((end - start) / MOMENT_DAY) * MOMENT_DAY;
    default:
        return start + below(end - start);
    }
}

static int compare_event(const void *left, const void *right)
{
    const struct oracle_event *a = left, *b = right;
    return (a->at > b->at) - (a->at < b->at);
}

static void make_resource(const struct oracle_history *history, int unit, struct oracle_resource *resource)
{
    int system = (int)below(SYSTEMS);
    *resource = (struct oracle_resource){.unit = unit,
                                         .provider = (int)below(PROVIDERS),
                                         .cloud = (int)below(CLOUDS),
                                         .zone = (int)below(ZONES)};
    resource->count = 1 + (size_t)below(EVENTS);
    for (size_t e = 0; e < resource->count; e++)
        resource->events[e].at = random_moment(history);
    qsort(resource->events, resource->count, sizeof *resource->events, compare_event);
    for (size_t e = 0; e < resource->count; e++) {
        struct oracle_event *event = &resource->events[e];
        int what = (int)below(6);
        if (what == 0)
            system = 1 - system;
        event->system = system;
        for (int i = 0; i < ORACLE_ITEMS && what != 1; i++) { /* 1: stopped or deleted */
            if (below(2))
                event->micro[i] = below(3) ? (1 + below(64)) * QUANTITY_ONE : 1 + below(64 * QUANTITY_ONE);
            if (event->micro[i] >= 5 && i != ORACLE_ALLOWED && !below(4))
                event->expansion[i] = event->micro[i] / 5;
        }
    }
}

/* Prices fall by `less` fen from their caps; one change per provider at the start of a later month. */
static void make_providers(const struct oracle_history *history, struct oracle_provider *list)
{
    for (int p = 0; p < PROVIDERS; p++) {
        int64_t before = below(700), after = below(700);
        int change = 1 + (int)below(EVENT_MONTHS);
        struct agreement agreement = agreement_default;
        agreement.proration = p;
        ledger_provider(&ledger, providers[p], &agreement, history->months[0], before);
        ledger_reprice(&ledger, providers[p], history->months[change], after);
        list[p].proration = p;
        for (int m = 0; m < ORACLE_MONTHS; m++)
            for (int i = 0; i < ORACLE_ITEMS; i++)
                list[p].price_fen[m][i] = item_find(oracle_items[i])->cap_fen - (m < change ? before : after);
    }
}

/* What one event leaves, as the product is told it. */
static struct error *apply_event(struct db *db, struct arena *arena, const struct oracle_resource *resource,
                                 size_t index, const struct oracle_event *event)
{
    struct item_quantity list[2 * ORACLE_ITEMS];
    size_t count = 0;
    const char *name = arena_printf(arena, "r%02zu", index), *unit = unit_of(arena, resource->unit);
    for (int tariff = TARIFF_STANDARD; tariff <= TARIFF_EXPANSION; tariff++)
        for (int i = 0; i < ORACLE_ITEMS; i++) {
            int64_t micro = tariff == TARIFF_EXPANSION ? event->expansion[i] : event->micro[i];
            if (!micro)
                continue;
            list[count] = (struct item_quantity){.micro = micro, .tariff = (enum tariff)tariff};
            memcpy(list[count++].item, oracle_items[i], ITEM_CODE);
        }
    const struct usage_subject subject = {.unit = unit,
                                          .system = system_of(arena, resource->unit, event->system),
                                          .cloud = clouds[resource->cloud],
                                          .provider = providers[resource->provider],
                                          .resource = name,
                                          .kind = "instance",
                                          .zone = zones[resource->zone]};
    if (!count && below(2))
        return usage_end(db, unit, name, event->at);
    TRY(usage_set(db, &subject, list, count, event->at));
    return below(4) ? NULL : usage_set(db, &subject, list, count, event->at); /* again: must not matter */
}

struct applying {
    const struct oracle_history *history;
    size_t *done; /* events of each resource */
    moment until, late_until;
};

/* Events from `done` on and before `until`; of every second resource before `late_until`. */
static struct error *apply_body(struct db *db, void *context)
{
    const struct applying *applying = context;
    ARENA_AUTO struct arena *arena = arena_new();
    for (size_t r = 0; r < applying->history->resource_count; r++) {
        const struct oracle_resource *resource = &applying->history->resources[r];
        moment until = r % 2 ? applying->late_until : applying->until;
        for (size_t *done = &applying->done[r]; *done < resource->count && resource->events[*done].at < until;
             (*done)++)
            TRY(apply_event(db, arena, resource, r, &resource->events[*done]));
    }
    return NULL;
}

static void close_one(const struct month month)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct bill_month state, closed;
    struct bill_line *lines;
    size_t count;
    int64_t estimate = 0;
    moment end = month_end(month);
    ledger_ok(ledger_lines(&ledger, arena, &db_scope_system, month, end, &state, &lines, &count));
    assert_false(state.closed);
    for (size_t i = 0; i < count; i++)
        estimate += lines[i].amount_fen;
    ledger_ok(ledger_close_month(&ledger, month, end, &closed));
    /* The live estimate at the end of a month is what its charges come to. */
    char *sql = arena_printf(
        arena, "SELECT coalesce(sum(charges_fen), 0)::bigint FROM bill WHERE month = '%s'", closed.month);
    assert_int_equal(pg_number(ledger.pg, sql), estimate);
}

/* Closes all months in order; every second resource is heard of one month late when `late`. */
static void live(const struct oracle_history *histories, bool late)
{
    size_t done[UNITS][RESOURCES] = {{0}};
    for (int m = 0; m < ORACLE_MONTHS; m++) {
        struct month month = histories->months[m];
        for (int u = 0; u < UNITS; u++) {
            struct applying applying = {&histories[u], done[u], month_end(month),
                                        late ? month_start(month) : month_end(month)};
            ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, apply_body, &applying));
        }
        close_one(month);
    }
}

struct found {
    const struct bill_line *lines;
    size_t count;
};

static const enum tariff tariffs[ORACLE_PARTS] = {TARIFF_STANDARD, TARIFF_EXPANSION, TARIFF_ALLOWANCE};

/* What charges and adjustments of a key and month come to by the list, on whichever bills. */
static int64_t billed(const struct found *found, const struct oracle_history *history,
                      const struct oracle_key *key, bool *ret_used)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *system = system_of(arena, key->unit, key->system);
    char month[8];
    int64_t sum = 0;
    wide usage = 0;
    month_format(history->months[key->month], month);
    for (size_t i = 0; i < found->count; i++) {
        const struct bill_line *line = &found->lines[i];
        if (strcmp(line->charge_month, month) || strcmp(line->item, oracle_items[key->item]) ||
            line->tariff != tariffs[key->part] || strcmp(line->provider, providers[key->provider]) ||
            strcmp(line->cloud, clouds[key->cloud]) || strcmp(line->system, system) ||
            strcmp(line->zone, key->item == ORACLE_ALLOWED ? "" : zones[key->zone]))
            continue;
        assert_int_equal(line->amount_fen, key->part == ORACLE_CHARGED ? line->list_fen : 0);
        assert_in_range(line->price_fen, 1, item_find(line->item)->cap_fen);
        sum += line->list_fen;
        usage += line->usage;
    }
    *ret_used = usage > 0;
    return sum;
}

static int64_t compare_key(const struct oracle_history *history, const struct found *found, int round,
                           const struct oracle_key *key)
{
    bool used, wanted_used;
    if (!oracle_can_use(history, key))
        return 0;
    int64_t wanted = oracle_amount(history, key, &wanted_used);
    int64_t fen = billed(found, history, key, &used);
    if (fen != wanted || used != wanted_used)
        fail_msg(
            "round %d: unit %d provider %d cloud %d system %d zone %d item %s month %d part %d: %lld fen,"
            " the oracle says %lld",
            round, key->unit, key->provider, key->cloud, key->system, key->zone, oracle_items[key->item],
            key->month, (int)key->part, (long long)fen, (long long)wanted);
    return wanted;
}

/* All of one unit's keys. */
static void compare(const struct oracle_history *history, int unit, const struct found *found, int round)
{
    int64_t total = 0, all = 0;
    struct oracle_key key = {.unit = unit};
    for (key.provider = 0; key.provider < PROVIDERS; key.provider++)
        for (key.cloud = 0; key.cloud < CLOUDS; key.cloud++)
            for (key.system = 0; key.system < SYSTEMS; key.system++)
                for (key.item = 0; key.item < ORACLE_ITEMS; key.item++)
                    for (key.zone = 0; key.zone < (key.item == ORACLE_ALLOWED ? 1 : ZONES); key.zone++)
                        for (key.month = 0; key.month < ORACLE_MONTHS; key.month++)
                            for (key.part = ORACLE_CHARGED; key.part < ORACLE_PARTS; key.part++)
                                total += compare_key(history, found, round, &key);
    for (size_t i = 0; i < found->count; i++)
        all += found->lines[i].list_fen;
    assert_int_equal(all, total); /* no line beside the keys */
}

static void compare_all(const struct oracle_history *histories, const struct found *all, int round)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct bill_line *lines = arena_array(arena, all->count, sizeof *lines);
    for (int u = 0; u < UNITS; u++) {
        const char *unit = unit_of(arena, u);
        size_t count = 0;
        for (size_t i = 0; i < all->count; i++)
            if (!strcmp(all->lines[i].unit, unit))
                lines[count++] = all->lines[i];
        compare(&histories[u], u, &(struct found){lines, count}, round);
    }
}

static void grouping_agrees(struct arena *arena, const struct bill_line *lines, size_t count, unsigned mask,
                            const struct bill_month *closed)
{
    struct statement statement;
    int64_t sum = 0, charges = 0, line_count = 0;
    ledger_ok(statement_group(arena, lines, count, mask, &statement));
    for (size_t i = 0; i < statement.count; i++) {
        sum += statement.rows[i].amount_fen;
        charges += statement.rows[i].charges_fen;
        line_count += statement.rows[i].line_count;
        assert_int_equal(statement.rows[i].amount_fen,
                         statement.rows[i].charges_fen + statement.rows[i].adjustments_fen);
    }
    assert_int_equal(sum, closed->total_fen);
    assert_int_equal(statement.total.amount_fen, closed->total_fen);
    assert_int_equal(charges, statement.total.charges_fen);
    assert_int_equal(line_count, closed->lines);
    if (!mask)
        assert_true(statement.count <= 1);
}

/* Every grouping of every month adds up to the month's bills, to the fen. */
static void groupings_agree(const struct oracle_history *history)
{
    for (int m = 0; m < ORACLE_MONTHS; m++) {
        ARENA_AUTO struct arena *arena = arena_new();
        struct bill_month closed;
        struct bill_line *lines;
        size_t count;
        ledger_ok(ledger_lines(&ledger, arena, &db_scope_system, history->months[m], MOMENT_MAX, &closed,
                               &lines, &count));
        for (unsigned mask = 0; mask < 1u << STATEMENT_DIMENSIONS; mask += 1 + (unsigned)below(200)) {
            ARENA_AUTO struct arena *each = arena_new();
            grouping_agrees(each, lines, count, mask, &closed);
        }
    }
}

static void make_histories(struct arena *arena, int round, struct oracle_history *histories)
{
    struct oracle_provider *list = arena_array(arena, PROVIDERS, sizeof *list);
    struct oracle_history *first = &histories[0];
    first->months[0] = starts[round % (int)(sizeof starts / sizeof *starts)];
    for (int m = 1; m < ORACLE_MONTHS; m++)
        first->months[m] = month_next(first->months[m - 1]);
    first->providers = list;
    make_providers(first, list);
    for (int u = 0; u < UNITS; u++) {
        histories[u] = *first;
        histories[u].resources = arena_array(arena, RESOURCES, sizeof *histories[u].resources);
        histories[u].resource_count = 1 + (size_t)below(RESOURCES);
        for (size_t r = 0; r < histories[u].resource_count; r++)
            make_resource(first, u, &histories[u].resources[r]);
    }
}

static void run_round(int round, bool late)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct oracle_history *histories = arena_array(arena, UNITS, sizeof *histories);
    struct bill_line *all = arena_array(arena, LINES, sizeof *all);
    size_t count = 0;
    srandom((unsigned)(7100 + round));
    ledger_clear(&ledger);
    make_histories(arena, round, histories);
    live(histories, late);
    for (int m = 0; m < ORACLE_MONTHS; m++) {
        struct bill_line *lines;
        size_t more;
        ledger_ok(ledger_lines(&ledger, arena, &db_scope_system, histories->months[m], MOMENT_MAX, NULL,
                               &lines, &more));
        assert_true(count + more <= LINES);
        if (more)
            memcpy(all + count, lines, more * sizeof *lines);
        count += more;
    }
    compare_all(histories, &(struct found){all, count}, round);
    groupings_agree(histories);
    assert_int_equal(pg_number(ledger.pg,
                               "SELECT count(*) FROM bill b WHERE total_fen <> (SELECT sum(amount_fen) FROM"
                               " bill_line l WHERE l.bill_id = b.id)"),
                     0);
    if (late) /* else the round proves nothing about corrections */
        assert_true(pg_number(ledger.pg, "SELECT count(*) FROM bill_line WHERE type = 'adjustment'") > 0);
    char last[8];
    month_format(histories->months[ORACLE_MONTHS - 1], last);
    /* What was late was known when the month before the last closed: the last corrects nothing. */
    assert_int_equal(
        pg_number(ledger.pg, arena_printf(arena,
                                          "SELECT count(*) FROM bill_line WHERE type = 'adjustment'"
                                          " AND (NOT %s OR month = '%s')",
                                          late ? "true" : "false", last)),
        0);
}

static void known_in_time(void **state)
{
    for (int round = 0; round < ROUNDS; round++)
        run_round(round, false);
}

static void known_late(void **state)
{
    for (int round = 0; round < ROUNDS; round++)
        run_round(100 + round, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_in_time), cmocka_unit_test(known_late)};
    return cmocka_run_group_tests(tests, open_ledger, close_ledger);
}
