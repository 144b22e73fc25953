/* From a bill's line down to the intervals that made it: how much of the line's usage is each one's. Pure.
 * The shares add up to what rating (rate.h) gives for the line's key and price period, to the micro-unit ×
 * microsecond; it is worked out by another way than rating's, and a test holds the two together.
 *
 * Under `exact` an interval's share is quantity × time. Under `day` and `month` a resource's largest quantity
 * of the span counts for all of it: the share is the first interval's that had it. Of an item with an
 * allowance the system's intervals are laid on each other in order of resource and time: what lies below the
 * free quantity is the allowance's line, what lies above it the charged line. */
#ifndef METERING_LINE_USAGE_H
#define METERING_LINE_USAGE_H

#include "metering/bill.h"

#define LINE_PIECES_MAX 1000000 /* intervals cut at each other's ends, of an item with an allowance */

struct line_share {
    const struct rate_interval *interval;
    wide usage;    /* micro-units × microseconds */
    int64_t spans; /* days or months that the interval stands for; 0 under exact */
};

/* Of the unit's intervals that touch the charge month, in the order of usage_intervals: those of the line's
 * key that have a share. `proration`: enum proration. */
struct error *line_usage(struct arena *arena, const struct bill_line *line, int proration,
                         const struct rate_interval *intervals, size_t count, struct line_share **ret_shares,
                         size_t *ret_count) ERROR_MUST_USE;

#endif
