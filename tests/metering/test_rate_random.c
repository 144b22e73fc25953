/* Rating alone against the oracle, to the fen, for thousands of random histories of one month: of 28, 29, 30
 * and 31 days, under all three prorations, with allowances and free expansions, in several zones and systems,
 * with events at the month's boundaries and a microsecond beside them. Prices change at random moments within
 * the month, which price books never do (price.h): rating does not rely on it. Intervals come split and in
 * any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "catalog/agreement.h"
#include "metering/rate.h"
#include "tests/metering/oracle.h"

#define ROUNDS 4000
#define RESOURCES 4
#define EVENTS 6
#define SYSTEMS 2
#define ZONES 2
#define PERIODS 3 /* of an item's price */
#define INTERVALS (RESOURCES * EVENTS * 2 * ORACLE_ITEMS * 2)

static const struct month months[] = {{2027, 2}, {2028, 2}, {2027, 4}, {2027, 12}};
static const char *const systems[SYSTEMS] = {"u1001", "u1002"}, *const zones[ZONES] = {"z1", "z2"};

static int64_t below(int64_t most)
{
    return (int64_t)((((uint64_t)random() << 31) | (uint64_t)random()) % (uint64_t)most);
}

/* Around the month; now and then its boundary or a day's, or a microsecond beside. */
static moment random_moment(struct month month)
{
    moment start = month_start(month), end = month_end(month);
    moment edge = below(2) ? start : below(2) ? end : start + below(month_days(month)) * MOMENT_DAY;
    return below(3) ? start - MOMENT_DAY + below(end - start + 2 * MOMENT_DAY) : edge + below(3) - 1;
}

static int compare_event(const void *left, const void *right)
{
    const struct oracle_event *a = left, *b = right;
    return (a->at > b->at) - (a->at < b->at);
}

static void make_resource(struct month month, struct oracle_resource *resource)
{
    *resource = (struct oracle_resource){.zone = (int)below(ZONES), .count = 1 + (size_t)below(EVENTS)};
    for (size_t e = 0; e < resource->count; e++)
        resource->events[e].at = random_moment(month);
    qsort(resource->events, resource->count, sizeof *resource->events, compare_event);
    for (size_t e = 0; e < resource->count; e++) {
        struct oracle_event *event = &resource->events[e];
        bool stopped = !below(6);
        event->system = (int)below(SYSTEMS);
        for (int i = 0; i < ORACLE_ITEMS && !stopped; i++) {
            if (below(2))
                event->micro[i] = below(3) ? (1 + below(8)) * QUANTITY_ONE : 1 + below(64 * QUANTITY_ONE);
            if (event->micro[i] >= 5 && i != ORACLE_ALLOWED && !below(3))
                event->expansion[i] = event->micro[i] / 5;
        }
    }
}

/* Up to PERIODS prices of an item one after the other. */
static size_t make_prices(struct month month, int item, struct price_period *ret)
{
    const struct item *priced = item_find(oracle_items[item]);
    size_t count = 1 + (size_t)below(PERIODS);
    moment from = MOMENT_MIN;
    for (size_t p = 0; p < count; p++) {
        moment to = p + 1 == count ? MOMENT_MAX : random_moment(month);
        if (to <= from) /* an earlier cut than the one before: this is the last */
            to = MOMENT_MAX;
        ret[p] = (struct price_period){.fen = 1 + below(priced->cap_fen), .from = from, .to = to};
        memcpy(ret[p].item, priced->code, ITEM_CODE);
        from = to;
        if (to == MOMENT_MAX)
            return p + 1;
    }
    return count;
}

struct pile {
    struct rate_interval list[INTERVALS];
    size_t count;
};

static void put(struct pile *pile, const struct oracle_resource *resource, const char *name, int item,
                const struct oracle_event *event, moment to, enum tariff tariff)
{
    int64_t micro = tariff == TARIFF_EXPANSION ? event->expansion[item] : event->micro[item];
    moment from = event->at, cut = to;
    if (!micro || from >= to)
        return;
    if (below(2) && to - from > 1 && to != MOMENT_MAX)
        cut = from + 1 + below(to - from - 1);
    struct rate_interval whole = {.unit = "u1",
                                  .system = systems[event->system],
                                  .cloud = "c1",
                                  .provider = "p1",
                                  .resource = name,
                                  .industry = "health",
                                  .zone = item == ORACLE_ALLOWED ? "" : zones[resource->zone],
                                  .architecture = "",
                                  .tariff = tariff,
                                  .micro = micro,
                                  .from = from,
                                  .to = cut};
    memcpy(whole.item, oracle_items[item], ITEM_CODE);
    pile->list[pile->count++] = whole;
    if (cut == to)
        return;
    whole.from = cut;
    whole.to = to;
    pile->list[pile->count++] = whole;
}

static void make_intervals(const struct oracle_history *history, struct pile *pile)
{
    static const char *const names[RESOURCES] = {"r1", "r2", "r3", "r4"};
    pile->count = 0;
    for (size_t r = 0; r < history->resource_count; r++) {
        const struct oracle_resource *resource = &history->resources[r];
        for (size_t e = 0; e < resource->count; e++) {
            moment to = e + 1 < resource->count ? resource->events[e + 1].at : MOMENT_MAX;
            for (int i = 0; i < ORACLE_ITEMS; i++) {
                put(pile, resource, names[r], i, &resource->events[e], to, TARIFF_STANDARD);
                put(pile, resource, names[r], i, &resource->events[e], to, TARIFF_EXPANSION);
            }
        }
    }
    for (size_t i = pile->count; i > 1; i--) {
        size_t j = (size_t)below((int64_t)i);
        struct rate_interval swap = pile->list[i - 1];
        pile->list[i - 1] = pile->list[j];
        pile->list[j] = swap;
    }
}

struct rated {
    struct rate_line *lines;
    size_t count, matched;
};

static const enum tariff tariffs[ORACLE_PARTS] = {TARIFF_STANDARD, TARIFF_EXPANSION, TARIFF_ALLOWANCE};

static const struct rate_line *find(const struct rated *rated, const struct oracle_key *key, moment from)
{
    const char *zone = key->item == ORACLE_ALLOWED ? "" : zones[key->zone];
    const struct rate_line *found = NULL;
    for (size_t i = 0; i < rated->count; i++) {
        const struct rate_line *line = &rated->lines[i];
        if (strcmp(line->item, oracle_items[key->item]) || strcmp(line->system, systems[key->system]) ||
            strcmp(line->zone, zone) || line->tariff != tariffs[key->part] || line->price_from != from)
            continue;
        assert_null(found); /* each line once */
        found = line;
    }
    return found;
}

/* The lines of a key, one for each of the item's prices under which it was used. */
static void compare_key(const struct oracle_history *history, struct rated *rated,
                        const struct oracle_key *key, const struct price_period *prices, size_t count,
                        int round)
{
    moment start = month_start(history->months[0]), end = month_end(history->months[0]);
    for (size_t p = 0; p < count; p++) {
        moment from = prices[p].from > start ? prices[p].from : start,
               to = prices[p].to < end ? prices[p].to : end;
        bool used = false;
        if (from >= to)
            continue;
        int64_t wanted = oracle_cost(history, key, prices[p].fen, from, to, &used);
        const struct rate_line *line = find(rated, key, from);
        if (!used != !line || (line && line->list_fen != wanted))
            fail_msg("round %d: system %d zone %d item %s part %d price %zu: %lld fen, the oracle says %lld",
                     round, key->system, key->zone, oracle_items[key->item], (int)key->part, p,
                     line ? (long long)line->list_fen : -1, (long long)wanted);
        if (!line)
            continue;
        rated->matched++;
        assert_int_equal(line->amount_fen, key->part == ORACLE_CHARGED ? wanted : 0);
        assert_int_equal(line->price_fen, prices[p].fen);
        assert_true(line->priced && line->price_to == to);
    }
}

static void run_round(int round, struct pile *pile)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct oracle_resource resources[RESOURCES];
    struct oracle_provider terms = {.proration = (int)below(3)};
    struct oracle_history history = {.months = {months[round % (int)(sizeof months / sizeof *months)]},
                                     .resources = resources,
                                     .resource_count = 1 + (size_t)below(RESOURCES),
                                     .providers = &terms};
    struct price_period prices[ORACLE_ITEMS * PERIODS];
    size_t first[ORACLE_ITEMS + 1] = {0};
    struct rated rated = {.matched = 0};
    for (int i = 0; i < ORACLE_ITEMS; i++)
        first[i + 1] = first[i] + make_prices(history.months[0], i, prices + first[i]);
    for (size_t r = 0; r < history.resource_count; r++)
        make_resource(history.months[0], &resources[r]);
    make_intervals(&history, pile);
    const struct rate_provider provider = {
        .id = "p1", .proration = terms.proration, .prices = prices, .price_count = first[ORACLE_ITEMS]};
    assert_null(rate_month(arena, pile->list, pile->count, &provider, 1, history.months[0], MOMENT_MAX,
                           &rated.lines, &rated.count));
    struct oracle_key key = {.unit = 0};
    for (key.system = 0; key.system < SYSTEMS; key.system++)
        for (key.item = 0; key.item < ORACLE_ITEMS; key.item++)
            for (key.zone = 0; key.zone < (key.item == ORACLE_ALLOWED ? 1 : ZONES); key.zone++)
                for (key.part = ORACLE_CHARGED; key.part < ORACLE_PARTS; key.part++)
                    if (oracle_can_use(&history, &key))
                        compare_key(&history, &rated, &key, prices + first[key.item],
                                    first[key.item + 1] - first[key.item], round);
    assert_int_equal(rated.matched, rated.count); /* no line beside the keys */
}

static void random_histories(void **state)
{
    struct pile *pile = xcalloc(1, sizeof *pile);
    srandom(20273);
    for (int round = 0; round < ROUNDS; round++)
        run_round(round, pile);
    free(pile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
