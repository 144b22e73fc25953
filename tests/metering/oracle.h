/* The oracle: what a history of resources must cost, worked out by another algorithm than the product's, with
 * exact rationals (GMP). It knows nothing of intervals: it asks, for every elementary span between two
 * moments at which anything at all happens, what each resource used then, by looking up its latest event. */
#ifndef TESTS_METERING_ORACLE_H
#define TESTS_METERING_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/moment.h"

#define ORACLE_ITEMS 7
#define ORACLE_ALLOWED 6 /* index of 1019, of which every system has one unit free */
#define ORACLE_EVENTS 24
#define ORACLE_MONTHS 5

extern const char *const oracle_items[ORACLE_ITEMS];

/* From `at` on the resource uses these micro-units; all 0: nothing (stopped or deleted). */
struct oracle_event {
    moment at;
    int system; /* 0 or 1 */
    int64_t micro[ORACLE_ITEMS];
    int64_t expansion[ORACLE_ITEMS]; /* what is free for a short term, beside `micro`; 0 of ORACLE_ALLOWED */
};

struct oracle_resource {
    int unit, provider, cloud, zone;
    struct oracle_event events[ORACLE_EVENTS]; /* by time; of equal times the last counts */
    size_t count;
};

struct oracle_provider {
    int proration; /* enum proration */
    int64_t price_fen[ORACLE_MONTHS][ORACLE_ITEMS];
};

struct oracle_history {
    struct month months[ORACLE_MONTHS];
    struct oracle_resource *resources;
    size_t resource_count;
    const struct oracle_provider *providers;
};

enum oracle_part {
    ORACLE_CHARGED,
    ORACLE_EXPANSION,
    ORACLE_ALLOWANCE, /* the free one of ORACLE_ALLOWED; nothing of the others */
    ORACLE_PARTS
};

struct oracle_key {
    int unit, provider, cloud, system, zone, item, month; /* zone: any when the item is ORACLE_ALLOWED */
    enum oracle_part part;
};

/* What the line costs by the list in fen, rounded half up; *ret_used says whether there is any use at all. */
int64_t oracle_amount(const struct oracle_history *history, const struct oracle_key *key, bool *ret_used);
/* The same of a price that holds for [from, to) of the month alone. */
int64_t oracle_cost(const struct oracle_history *history, const struct oracle_key *key, int64_t price_fen,
                    moment from, moment to, bool *ret_used);
/* Whether any resource ever belongs to the key's provider, cloud and zone. */
bool oracle_can_use(const struct oracle_history *history, const struct oracle_key *key);

#endif
