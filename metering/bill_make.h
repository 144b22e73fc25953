/* Making bills: what units owe for a month, and what must be corrected of earlier ones, from what is known
 * now. Nothing is written: a closing (bill_close.c) does that with what this makes, a rating run keeps its
 * sums alone. Units are made apart from each other, so several connections on one snapshot share the work. */
#ifndef METERING_BILL_MAKE_H
#define METERING_BILL_MAKE_H

#include "metering/bill.h"
#include "metering/rate.h"

/* A unit and the first month of which its usage changed since its last closing; at latest the one that
 * closes. The months before it are rated as they were. */
struct bill_unit {
    const char *unit;
    struct month first;
};

struct month_rates {
    struct month month;
    const struct rate_provider *providers;
    size_t count;
};

/* Read-only while bills are made. */
struct bill_plan {
    struct month month;
    char text[8];
    moment now;
    const struct month_rates *rates; /* of every month from the earliest `first` on */
    size_t rate_count;
    struct auth *auth; /* signs; NULL: bills stay unsigned */
};

struct bill_made {
    struct bill bill; /* with id, number, sums, digest, signature */
    struct bill_line *lines;
};

/* What went in, for the run's record. */
struct bill_inputs {
    int64_t intervals;
    wide usage; /* micro-units × microseconds within the plan's month */
};

/* Bills of units that all have the same `first`; in `arena`, by unit and provider. Adds to *inputs.
 * ERR_CONFLICT when something was used that has no price. In the caller's transaction. */
struct error *bill_make(struct db *db, const struct bill_plan *plan, const struct bill_unit *units,
                        size_t count, struct arena *arena, struct bill_made **ret_made, size_t *ret_count,
                        struct bill_inputs *inputs) ERROR_MUST_USE;

#endif
