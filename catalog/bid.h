/* Bids: what a provider offers for the 23 items (procurement 3.1.3). The rule is pure (bid.c); the rows are
 * bid_store.c's; approval makes a price book (price.h). */
#ifndef CATALOG_BID_H
#define CATALOG_BID_H

#include <jansson.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"
#include "catalog/item.h"

/* `prices`: {"1001": "14.02", …}. Every one of the 23 items once, each a decimal string with at most two
 * decimals, above zero and at most its cap; else the whole bid is invalid and every violation is listed with
 * its pointer, relative to `prices`. ret_fen has ITEM_COUNT places. */
struct error *bid_read(const json_t *prices, int64_t *ret_fen) ERROR_MUST_USE;

struct bid {
    const char *id, *provider, *state; /* "submitted", "approved" */
    json_t *prices;
    int64_t weighted_total; /* 1/10000 yuan */
    const char *note, *submitted_by, *approved_by;
    moment submitted_at, approved_at; /* approved_at 0: not yet */
};

struct error *bid_add(struct db *db, const struct bid *bid) ERROR_MUST_USE;
struct error *bid_get(struct db *db, struct arena *arena, const char *id, struct bid *ret_bid) ERROR_MUST_USE;
/* Newest first, at most `most` older than the id `after` (NULL: from the newest). */
struct error *bid_list(struct db *db, struct arena *arena, const char *provider, const char *after,
                       int64_t most, struct bid **ret_list, size_t *ret_count) ERROR_MUST_USE;
/* Marks a submitted bid approved and makes its price book from the month's start on (price_book_open).
 * ERR_CONFLICT when it is approved already. */
struct error *bid_approve(struct db *db, struct arena *arena, const char *id, struct month from,
                          const char *by, moment now, const char **ret_book) ERROR_MUST_USE;

#endif
