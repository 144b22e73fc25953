/* Rating: usage intervals × prices × a month → lines of money. Pure, exact, and the same for a closing, a
 * live estimate and a re-rating.
 *
 * A line is all use of one item at one price under one tariff by one system of a unit in one zone and on one
 * architecture of a cloud of a provider within the month. What it costs by the list is
 * price × Σ(quantity × duration) ÷ length of the month, rounded half up to the fen once, here; its amount is
 * the same under the standard tariff and 0 under the free ones.
 *
 * Of an item with an allowance (item.h) a system's resources are added up at every moment: the free quantity
 * of that sum is a line of its own under TARIFF_ALLOWANCE, what is above it is charged (procurement 3.1.3).
 */
#ifndef METERING_RATE_H
#define METERING_RATE_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/base/money.h"
#include "catalog/price.h"
#include "catalog/tariff.h"

struct rate_interval {
    const char *unit, *system, *cloud, *provider, *resource;
    const char *industry, *zone, *architecture; /* "": has none */
    char item[ITEM_CODE];
    enum tariff tariff; /* standard or expansion */
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
    const char *industry, *zone, *architecture;
    char item[ITEM_CODE];
    enum tariff tariff;
    int64_t price_fen; /* 0 when not priced */
    moment price_from, price_to;
    bool priced;      /* false: no price was in force; amount 0, and a month with such a line cannot close */
    wide usage;       /* micro-units × microseconds, as prorated, > 0 */
    int64_t list_fen; /* what it costs by the list */
    int64_t amount_fen; /* what is owed: list_fen, or 0 of a free tariff */
};

/* Use after `until` does not count (an estimate of a running month; month_end for all of it). Lines come by
 * unit, provider, cloud, system, item, zone, architecture, tariff and price period, whatever the order of the
 * intervals. An interval of a provider that is not among `providers` counts as not priced. */
struct error *rate_month(struct arena *arena, const struct rate_interval *intervals, size_t interval_count,
                         const struct rate_provider *providers, size_t provider_count, struct month month,
                         moment until, struct rate_line **ret_lines, size_t *ret_count) ERROR_MUST_USE;

#endif
