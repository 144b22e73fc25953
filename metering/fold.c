/* See fold.h. */
#include "metering/fold.h"

#include <stdlib.h>
#include <string.h>

bool span_same(const struct span *a, const struct span *b)
{
    return !strcmp(a->item, b->item) && a->tariff == b->tariff && a->micro == b->micro &&
           !strcmp(a->system, b->system) && !strcmp(a->cloud, b->cloud) &&
           !strcmp(a->provider, b->provider) && !strcmp(a->kind, b->kind) &&
           !strcmp(a->industry, b->industry) && !strcmp(a->zone, b->zone) &&
           !strcmp(a->architecture, b->architecture);
}

int span_compare(const void *left, const void *right)
{
    const struct span *a = left, *b = right;
    int order = strcmp(a->item, b->item);
    if (!order)
        order = (a->tariff > b->tariff) - (a->tariff < b->tariff);
    return order ? order : (a->from > b->from) - (a->from < b->from);
}

static int by_time(const void *left, const void *right)
{
    const struct fold_region *a = left, *b = right;
    return (a->from > b->from) - (a->from < b->from);
}

struct pieces {
    struct arena *arena;
    struct span *list;
    size_t count, room;
};

static void add(struct pieces *pieces, const struct span *span, moment from, moment to)
{
    if (from >= to)
        return;
    if (pieces->count == pieces->room) {
        size_t room = pieces->room ? pieces->room * 2 : 64;
        struct span *list = arena_array(pieces->arena, room, sizeof *list);
        if (pieces->count)
            memcpy(list, pieces->list, pieces->count * sizeof *list);
        pieces->list = list;
        pieces->room = room;
    }
    pieces->list[pieces->count] = *span;
    pieces->list[pieces->count].from = from;
    pieces->list[pieces->count++].to = to;
}

/* What of an old interval lies outside of all regions. */
static void keep_outside(struct pieces *pieces, const struct span *span, const struct fold_region *regions,
                         size_t count)
{
    moment from = span->from;
    for (size_t i = 0; i < count && regions[i].from < span->to; i++) {
        if (regions[i].to <= from)
            continue;
        add(pieces, span, from, regions[i].from);
        from = regions[i].to;
    }
    add(pieces, span, from, span->to);
}

void fold_apply(struct arena *arena, const struct span *old, size_t old_count,
                const struct fold_region *regions, size_t region_count, struct span **ret_list,
                size_t *ret_count)
{
    struct pieces pieces = {.arena = arena};
    struct fold_region *sorted = arena_array(arena, region_count, sizeof *sorted);
    if (region_count) {
        memcpy(sorted, regions, region_count * sizeof *sorted);
        qsort(sorted, region_count, sizeof *sorted, by_time);
    }
    for (size_t i = 0; i < old_count; i++)
        keep_outside(&pieces, &old[i], sorted, region_count);
    for (size_t i = 0; i < region_count; i++)
        for (size_t k = 0; k < sorted[i].count; k++)
            add(&pieces, &sorted[i].spans[k], sorted[i].from, sorted[i].to);
    if (pieces.count)
        qsort(pieces.list, pieces.count, sizeof *pieces.list, span_compare);
    size_t count = 0;
    for (size_t i = 0; i < pieces.count; i++) {
        struct span *last = count ? &pieces.list[count - 1] : NULL;
        if (last && span_same(last, &pieces.list[i]) && last->to == pieces.list[i].from)
            last->to = pieces.list[i].to;
        else
            pieces.list[count++] = pieces.list[i];
    }
    *ret_list = pieces.list;
    *ret_count = count;
}
