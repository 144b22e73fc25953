/* Rating: usage intervals × prices × a month → lines of money. Pure, exact, and the same for a closing, a
 * live estimate and a re-rating.
 *
 * A line is all use of one item at one price by one system of a unit on one cloud of a provider within the
 * month. Its amount is price × Σ(quantity × duration) ÷ length of the month, rounded half up to the fen once,
 * here. */
#ifndef METERING_RATE_H
#define METERING_RATE_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/base/money.h"
#include "catalog/price.h"

struct rate_interval {
    const char *unit, *system, *cloud, *provider, *resource;
    char item[ITEM_CODE];
    int64_t micro;
    moment from, to; /* MOMENT_MAX: open */
};

/* What a provider asks in the month: prices by item and time, as price_periods gives them, and the proration
 * that its agreement had when the month began. */
struct rate_provider {
    const char *id;
    int proration; /* enum proration */
    const struct price_period *prices;
    size_t price_count;
};

struct rate_line {
    const char *unit, *provider, *cloud, *system; /* borrowed from the intervals */
    char item[ITEM_CODE];
    int64_t price_fen; /* 0 when not priced */
    moment price_from, price_to;
    bool priced; /* false: no price was in force; amount 0, and a month with such a line cannot close */
    wide usage;  /* micro-units × microseconds, as prorated, > 0 */
    int64_t amount_fen;
};

/* Use after `until` does not count (an estimate of a running month; month_end for all of it). Lines come by
 * unit, provider, cloud, system, item and price period, whatever the order of the intervals. An interval of a
 * provider that is not among `providers` counts as not priced. */
struct error *rate_month(struct arena *arena, const struct rate_interval *intervals, size_t interval_count,
                         const struct rate_provider *providers, size_t provider_count, struct month month,
                         moment until, struct rate_line **ret_lines, size_t *ret_count) ERROR_MUST_USE;

#endif
