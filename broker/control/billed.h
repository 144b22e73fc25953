/* What resources are billed as: their open usage intervals (metering/usage.h), read whole for an endpoint. */
#ifndef BROKER_CONTROL_BILLED_H
#define BROKER_CONTROL_BILLED_H

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"
#include "catalog/kind.h"

#define BILLED_ITEMS_MAX (2 * ITEM_COUNT) /* each once a tariff */

struct billed_item {
    struct item_quantity quantity;
    moment since;
};

struct billed {
    const char *unit, *resource;
    const char *kind, *name;
    bool gone; /* the resource has ended here */
    struct billed_item items[BILLED_ITEMS_MAX];
    size_t count;
};

/* Of resources of the endpoint that are billed, by id; also those that ended here. */
struct error *billed_of_endpoint(struct db *db, struct arena *arena, const char *endpoint,
                                 struct billed **ret_list, size_t *ret_count) ERROR_MUST_USE;
/* Of one resource; count 0: nothing. */
struct error *billed_of_resource(struct db *db, struct arena *arena, const char *unit, const char *resource,
                                 struct billed *ret_billed) ERROR_MUST_USE;

/* Settings of the provider have come into force that have not reached its resources yet (remeter.h): what is
 * billed lags behind for a moment. */
struct error *billed_lags(struct db *db, const char *provider, moment now, bool *ret_lags) ERROR_MUST_USE;

/* What the provider asks at `at`, in catalog order; 0: no price. */
struct error *billed_prices(struct db *db, struct arena *arena, const char *provider, moment at,
                            int64_t ret_fen[ITEM_COUNT]) ERROR_MUST_USE;

#endif
