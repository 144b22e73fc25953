/* Quotes: what a set of resources would cost a month at a provider, line by line as billing would have it:
 * quantities of one item are summed over all resources, then price × quantity is rounded half up once, at the
 * line. */
#ifndef CATALOG_QUOTE_H
#define CATALOG_QUOTE_H

#include <jansson.h>

#include "broker/base/arena.h"
#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"
#include "catalog/kind.h"

#define QUOTE_RESOURCES_MAX 100
#define QUOTE_COUNT_MAX 1000 /* of one resource */
#define QUOTE_MONTHS_MAX 24  /* the agreement's term */

struct quote_resource {
    const struct kind *kind;
    json_t *full; /* from kind_read */
    int64_t count;
};

/* One of "resources": {"kind": "instance", "spec": {…}, "count": 2}, as quote_request_spec reads it; count 0
 * when absent, which stands for 1. */
struct quote_request {
    const char *kind;
    json_t *spec;
    int64_t count;
};
extern const struct json_spec quote_request_spec;

/* Checks each against its kind. All violations at once, pointers relative to the list. `ret_list` has `count`
 * places, in the arena. */
struct error *quote_read(struct arena *arena, const struct quote_request *requests, size_t count,
                         struct quote_resource **ret_list) ERROR_MUST_USE;

struct quote_line {
    const struct item *item;
    int64_t micro, free_micro; /* charged, and covered by the item's allowance */
    int64_t price_fen;
    int64_t amount_fen; /* of a full month; rounded for each zone and architecture, as bills are */
};

struct quote {
    struct quote_line lines[ITEM_COUNT];
    size_t count;
    int64_t monthly_fen; /* Σ lines */
};

/* Pure. `fen`: ITEM_COUNT prices in catalog order, 0 for an item without one: needing such an item is
 * ERR_CONFLICT. */
struct error *quote_make(const int64_t fen[ITEM_COUNT], const struct agreement *agreement,
                         const struct quote_resource *resources, size_t count,
                         struct quote *ret_quote) ERROR_MUST_USE;
/* With the provider's prices and agreement at `at`. */
struct error *quote_price(struct db *db, struct arena *arena, const char *provider, moment at,
                          const struct quote_resource *resources, size_t count,
                          struct quote *ret_quote) ERROR_MUST_USE;

/* {"lines": […], "monthly_yuan", "months", "total_yuan"}; the caller's. ERR_TOO_LARGE beyond MONEY_MAX. */
struct error *quote_json(const struct quote *quote, int64_t months, json_t **ret_json) ERROR_MUST_USE;

#endif
