/* Rating; see rate.h. Intervals are sorted by line and resource; each line's price periods cut the month into
 * segments, and a segment with use becomes a line. */
#include "metering/rate.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/agreement.h"

#define DAYS_MAX 31

struct segment {
    moment from, to;
    int64_t fen;
    bool priced;
    wide usage;
};

struct rating {
    struct arena *arena;
    const struct rate_provider *providers;
    size_t provider_count;
    moment start, end, until; /* of the month; until ≤ end */
    struct rate_line *lines;
    size_t count, capacity;
};

/* Equal texts are often one (usage_of_units). */
static int compare_text(const char *a, const char *b)
{
    return a == b ? 0 : strcmp(a, b);
}

static int compare_line(const struct rate_interval *a, const struct rate_interval *b)
{
    int order = compare_text(a->unit, b->unit);
    if (!order)
        order = compare_text(a->provider, b->provider);
    if (!order)
        order = compare_text(a->cloud, b->cloud);
    if (!order)
        order = compare_text(a->system, b->system);
    if (!order)
        order = strcmp(a->item, b->item);
    if (!order)
        order = compare_text(a->zone, b->zone);
    if (!order)
        order = compare_text(a->architecture, b->architecture);
    if (!order)
        order = compare_text(a->industry, b->industry);
    return order ? order : (int)a->tariff - (int)b->tariff;
}

static int compare_interval(const void *left, const void *right)
{
    const struct rate_interval *a = *(const struct rate_interval *const *)left,
                               *b = *(const struct rate_interval *const *)right;
    int order = compare_line(a, b);
    if (!order)
        order = compare_text(a->resource, b->resource);
    return order ? order : (a->from > b->from) - (a->from < b->from);
}

static moment latest(moment a, moment b)
{
    return a > b ? a : b;
}

static moment earliest(moment a, moment b)
{
    return a < b ? a : b;
}

static const struct rate_provider *find_provider(const struct rating *rating, const char *id)
{
    for (size_t i = 0; i < rating->provider_count; i++)
        if (!strcmp(rating->providers[i].id, id))
            return &rating->providers[i];
    return NULL;
}

/* The month cut at the item's price changes, times without a price included. */
static struct segment *cut_segments(struct rating *rating, const struct rate_provider *provider,
                                    const char *item, size_t *ret_count)
{
    size_t prices = provider ? provider->price_count : 0, count = 0;
    struct segment *segments = arena_array(rating->arena, 2 * prices + 1, sizeof *segments);
    moment at = rating->start;
    for (size_t i = 0; i < prices; i++) {
        const struct price_period *price = &provider->prices[i];
        moment from = latest(price->from, at), to = earliest(price->to, rating->end);
        if (strcmp(price->item, item) != 0 || from >= to)
            continue;
        if (from > at)
            segments[count++] = (struct segment){.from = at, .to = from};
        segments[count++] = (struct segment){.from = from, .to = to, .fen = price->fen, .priced = true};
        at = to;
    }
    if (at < rating->end)
        segments[count++] = (struct segment){.from = at, .to = rating->end};
    *ret_count = count;
    return segments;
}

/* quantity × time within [from, to), shared out to the segments. */
static struct error *spread(struct segment *segments, size_t count, int64_t micro, moment from, moment to)
{
    for (size_t i = 0; i < count; i++) {
        moment a = latest(from, segments[i].from), b = earliest(to, segments[i].to);
        if (a < b)
            TRY(usage_add(&segments[i].usage, micro, b - a));
    }
    return NULL;
}

/* One resource's intervals, to the microsecond. */
static struct error *count_exact(const struct rating *rating, const struct rate_interval **list, size_t count,
                                 struct segment *segments, size_t segment_count)
{
    for (size_t i = 0; i < count; i++)
        TRY(spread(segments, segment_count, list[i]->micro, latest(list[i]->from, rating->start),
                   earliest(list[i]->to, rating->until)));
    return NULL;
}

/* One resource's intervals by whole days, or by the whole month: each used one at its largest quantity. Days
 * of Asia/Shanghai are 24 hours (moment.h). */
static struct error *count_whole(const struct rating *rating, int64_t length,
                                 const struct rate_interval **list, size_t count, struct segment *segments,
                                 size_t segment_count)
{
    int64_t most[DAYS_MAX] = {0};
    size_t spans = (size_t)((rating->end - rating->start) / length);
    for (size_t i = 0; i < count; i++) {
        moment from = latest(list[i]->from, rating->start), to = earliest(list[i]->to, rating->until);
        if (from >= to)
            continue;
        size_t last = (size_t)((to - 1 - rating->start) / length);
        for (size_t span = (size_t)((from - rating->start) / length); span <= last; span++)
            if (list[i]->micro > most[span])
                most[span] = list[i]->micro;
    }
    for (size_t span = 0; span < spans; span++)
        TRY(spread(segments, segment_count, most[span], rating->start + (moment)span * length,
                   rating->start + (moment)(span + 1) * length));
    return NULL;
}

static struct error *count_resource(const struct rating *rating, int proration,
                                    const struct rate_interval **list, size_t count, struct segment *segments,
                                    size_t segment_count)
{
    switch (proration) {
    case PRORATION_DAY:
        return count_whole(rating, MOMENT_DAY, list, count, segments, segment_count);
    case PRORATION_MONTH:
        return count_whole(rating, rating->end - rating->start, list, count, segments, segment_count);
    default:
        return count_exact(rating, list, count, segments, segment_count);
    }
}

static void add_line(struct rating *rating, const struct rate_line *line)
{
    if (rating->count == rating->capacity) {
        size_t capacity = rating->capacity ? rating->capacity * 2 : 64;
        struct rate_line *lines = arena_array(rating->arena, capacity, sizeof *lines);
        if (rating->count)
            memcpy(lines, rating->lines, rating->count * sizeof *lines);
        rating->lines = lines;
        rating->capacity = capacity;
    }
    rating->lines[rating->count++] = *line;
}

/* The lines of one key under one tariff: one for each price period with use. The list is by resource. */
static struct error *rate_list(struct rating *rating, const struct rate_interval *key, enum tariff tariff,
                               const struct rate_interval **list, size_t count)
{
    const struct rate_provider *provider = find_provider(rating, key->provider);
    size_t segment_count;
    struct segment *segments = cut_segments(rating, provider, key->item, &segment_count);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && !compare_text(list[end]->resource, list[i]->resource);)
            end++;
        TRY(count_resource(rating, provider ? provider->proration : PRORATION_EXACT, list + i, end - i,
                           segments, segment_count));
    }
    for (size_t i = 0; i < segment_count; i++) {
        const struct segment *segment = &segments[i];
        if (!segment->usage)
            continue;
        struct rate_line line = {.unit = key->unit,
                                 .provider = key->provider,
                                 .cloud = key->cloud,
                                 .system = key->system,
                                 .industry = key->industry,
                                 .zone = key->zone,
                                 .architecture = key->architecture,
                                 .tariff = tariff,
                                 .price_fen = segment->fen,
                                 .price_from = segment->from,
                                 .price_to = segment->to,
                                 .priced = segment->priced,
                                 .usage = segment->usage};
        memcpy(line.item, key->item, ITEM_CODE);
        TRY(usage_amount(segment->fen, segment->usage, rating->end - rating->start, &line.list_fen));
        line.amount_fen = tariff == TARIFF_STANDARD ? line.list_fen : 0;
        add_line(rating, &line);
    }
    return NULL;
}

/* A moment at which a system's sum of an item changes. */
struct edge {
    moment at;
    int64_t change;
};

static int compare_edge(const void *left, const void *right)
{
    const struct edge *a = left, *b = right;
    return (a->at > b->at) - (a->at < b->at);
}

/* The sum of a key's intervals over time, cut in two: up to `free_micro` at any moment, and what is above.
 * Both as intervals of one resource without a name; each list has room for 2 × count. */
static struct error *split_allowance(const struct rating *rating, int64_t free_micro,
                                     const struct rate_interval **list, size_t count,
                                     struct rate_interval *ret_free, size_t *ret_free_count,
                                     struct rate_interval *ret_above, size_t *ret_above_count)
{
    struct edge *edges = arena_array(rating->arena, 2 * count, sizeof *edges);
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        edges[2 * i] = (struct edge){latest(list[i]->from, rating->start), list[i]->micro};
        edges[2 * i + 1] = (struct edge){earliest(list[i]->to, rating->until), -list[i]->micro};
    }
    qsort(edges, 2 * count, sizeof *edges, compare_edge);
    *ret_free_count = *ret_above_count = 0;
    for (size_t i = 0; i + 1 < 2 * count; i++) {
        if (__builtin_add_overflow(sum, edges[i].change, &sum))
            return error_new(ERR_TOO_LARGE, "a system's use of item %s beyond 64 bits", list[0]->item);
        if (edges[i].at == edges[i + 1].at || sum <= 0)
            continue;
        struct rate_interval span = *list[0];
        span.resource = "";
        span.from = edges[i].at;
        span.to = edges[i + 1].at;
        span.micro = sum < free_micro ? sum : free_micro;
        ret_free[(*ret_free_count)++] = span;
        span.micro = sum - span.micro;
        if (span.micro)
            ret_above[(*ret_above_count)++] = span;
    }
    return NULL;
}

static struct error *rate_owned(struct rating *rating, const struct rate_interval *key, enum tariff tariff,
                                const struct rate_interval *owned, size_t count)
{
    const struct rate_interval **list = arena_array(rating->arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = &owned[i];
    return rate_list(rating, key, tariff, list, count);
}

/* All intervals of one line key. */
static struct error *rate_key(struct rating *rating, const struct rate_interval **list, size_t count)
{
    const struct rate_interval *key = list[0];
    const struct item *item = item_find(key->item);
    if (!item || !item->free_micro || key->tariff != TARIFF_STANDARD)
        return rate_list(rating, key, key->tariff, list, count);
    struct rate_interval *free_part = arena_array(rating->arena, 2 * count, sizeof *free_part);
    struct rate_interval *above = arena_array(rating->arena, 2 * count, sizeof *above);
    size_t free_count, above_count;
    TRY(split_allowance(rating, item->free_micro, list, count, free_part, &free_count, above, &above_count));
    TRY(rate_owned(rating, key, TARIFF_STANDARD, above, above_count));
    return rate_owned(rating, key, TARIFF_ALLOWANCE, free_part, free_count);
}

struct error *rate_month(struct arena *arena, const struct rate_interval *intervals, size_t interval_count,
                         const struct rate_provider *providers, size_t provider_count, struct month month,
                         moment until, struct rate_line **ret_lines, size_t *ret_count)
{
    struct rating rating = {.arena = arena,
                            .providers = providers,
                            .provider_count = provider_count,
                            .start = month_start(month),
                            .end = month_end(month)};
    const struct rate_interval **list = arena_array(arena, interval_count, sizeof *list);
    size_t count = 0;
    rating.until = earliest(until, rating.end);
    for (size_t i = 0; i < interval_count; i++)
        if (latest(intervals[i].from, rating.start) < earliest(intervals[i].to, rating.until))
            list[count++] = &intervals[i];
    if (count)
        qsort(list, count, sizeof *list, compare_interval);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && !compare_line(list[end], list[i]);)
            end++;
        TRY_DOING(rate_key(&rating, list + i, end - i), "could not rate item %s of unit %s", list[i]->item,
                  list[i]->unit);
    }
    *ret_lines = rating.lines;
    *ret_count = rating.count;
    return NULL;
}
