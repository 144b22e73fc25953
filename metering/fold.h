/* What changes in the intervals of one resource when reports say anew what it uses in certain spans of time.
 * Pure. However the same states are put in, one after another or at once, the intervals that result are the
 * same: of each item and tariff the longest ones in which nothing differs. */
#ifndef METERING_FOLD_H
#define METERING_FOLD_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "catalog/item.h"
#include "catalog/tariff.h"

/* An interval, [from, to), MOMENT_MAX: open. "" for what there is none of. */
struct span {
    char item[ITEM_CODE];
    enum tariff tariff;
    int64_t micro;
    const char *system, *cloud, *provider, *kind, *industry, *zone, *architecture;
    moment from, to;
};

/* All through [from, to) the resource uses exactly `spans` (whose own from and to are not read). */
struct fold_region {
    moment from, to;
    const struct span *spans;
    size_t count;
};

/* `old` are the intervals that overlap a region or end or begin where one does; none of them overlap for an
 * item and tariff, nor do the regions. *ret_list is what stands in their place, by item, tariff and time. */
void fold_apply(struct arena *arena, const struct span *old, size_t old_count,
                const struct fold_region *regions, size_t region_count, struct span **ret_list,
                size_t *ret_count);

/* Whether they are the same but for their time. */
bool span_same(const struct span *a, const struct span *b);
/* By item, tariff and beginning. */
int span_compare(const void *left, const void *right);

#endif
