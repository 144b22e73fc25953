/* Price books: a provider's price of each item over a period. A book is made by approving a bid and runs for
 * the two years of the agreement (procurement 1.4, 7); a later bid supersedes it from a month's start to the
 * same end, so a price never changes within a month and never for a month that is over. Within the caller's
 * transaction. */
#ifndef CATALOG_PRICE_H
#define CATALOG_PRICE_H

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"
#include "catalog/item.h"

#define PRICE_BOOK_MONTHS 24

/* Opens a book from the start of month `from`. Without a book in force then: for PRICE_BOOK_MONTHS. With one
 * that began earlier: that one ends there, and the new one runs to the old one's end. ERR_INVALID
 * (/valid_from) when the month is over; ERR_CONFLICT when a book begins in that month or later. */
struct error *price_book_open(struct db *db, struct arena *arena, const char *provider, const char *bid,
                              const int64_t fen[ITEM_COUNT], struct month from, const char *by, moment now,
                              const char **ret_book) ERROR_MUST_USE;

/* ERR_NOT_FOUND when the provider has no price for the item then. */
struct error *price_at(struct db *db, const char *provider, const char *item, moment at,
                       int64_t *ret_fen) ERROR_MUST_USE;

struct price_period {
    char item[ITEM_CODE];
    int64_t fen;
    moment from, to; /* half-open, cut to what was asked for */
};

/* All prices of a provider that are in force somewhere in [from, to), by item and time. */
struct error *price_periods(struct db *db, struct arena *arena, const char *provider, moment from, moment to,
                            struct price_period **ret_list, size_t *ret_count) ERROR_MUST_USE;

struct price_offer {
    const char *provider, *provider_name;
    char item[ITEM_CODE];
    int64_t fen;
};

/* The prices in force at `at`, cheapest first within an item; `item` and `provider` NULL: all. */
struct error *price_compare(struct db *db, struct arena *arena, const char *item, const char *provider,
                            moment at, struct price_offer **ret_list, size_t *ret_count) ERROR_MUST_USE;

#endif
