/* What a unit's month costs at each provider: the same intervals, rated with the prices that each provider
 * had in force then and with its own proration. Allowances and free tariffs are the same everywhere. What a
 * resource counts as was settled by its own provider's agreement when it was metered (stopped instances,
 * system disks, begun quantities) and stays. */
#ifndef METERING_COMPARISON_H
#define METERING_COMPARISON_H

#include "metering/statement.h"

#define COMPARISON_PROVIDERS_MAX 100 /* the first ones by id */

struct comparison_offer {
    const char *provider;  /* NULL: as it is, each resource at its own provider */
    int proration;         /* enum proration; of a provider */
    struct statement sums; /* by item */
};

struct comparison {
    moment until;
    struct comparison_offer actual;
    struct comparison_offer *offers; /* by provider */
    size_t count, intervals;
};

/* Of what the scope sees of the unit; up to `now` in a month that runs. */
struct error *comparison_make(struct db *db, struct arena *arena, const char *unit, struct month month,
                              moment now, struct comparison *ret_comparison) ERROR_MUST_USE;

#endif
