/* Bills: what one unit owes one provider for one month. Closing a month rates all usage, writes every bill
 * with its lines and digest, and seals them; what becomes known later about a closed month is an adjustment
 * line on the next bill, which names the line that it corrects. So original lines + adjustments always equal
 * a clean rating of all that is known. Within the caller's transaction, whose scope must see everything. */
#ifndef METERING_BILL_H
#define METERING_BILL_H

#include <stdbool.h>

#include "broker/base/arena.h"
#include "broker/base/digest.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"
#include "metering/rate.h"

struct bill_month {
    char month[8];
    bool closed;
    moment closed_at; /* 0 while open */
    int64_t bills, lines, total_fen;
    char digest[DIGEST_HEX]; /* SM3 over "number digest\n" of every bill in order of their numbers' bytes */
    const char *kid, *signature; /* as a bill's; NULL: unsigned */
    const char *run;             /* the rating run that closed it; NULL: before there were any */
};

#define BILL_DIGEST 2
struct bill {
    const char *id, *number, *unit, *provider, *month, *digest;
    int64_t charges_fen, adjustments_fen, total_fen, line_count;
    moment closed_at;
    const char *kid, *signature; /* Ed25519, base64url, over bill_signed_text; NULL: unsigned */
    int digest_version;          /* which canonical text the digest is over; new bills: BILL_DIGEST */
    bool partial; /* read by a scope that sees some of its lines: sums and count are of those, digest NULL */
};

struct bill_line {
    const char *unit, *provider, *cloud, *system;
    const char *industry, *zone, *architecture; /* "": has none */
    char item[ITEM_CODE];
    enum tariff tariff;
    bool adjustment;
    char charge_month[8]; /* when it was used */
    int64_t price_fen;
    moment price_from, price_to;
    wide usage;                  /* micro-units × microseconds; of an adjustment, the difference */
    int64_t list_fen;            /* what it costs by the list; of an adjustment, the difference */
    int64_t amount_fen;          /* what is owed: list_fen, or 0 of a free tariff */
    const char *corrects_number; /* NULL: none */
    int64_t corrects_line;
};

/* Closes a month for all units and providers, or gives the result of the closing that was before: safe to
 * repeat and to run twice at once (one waits for the other; under serializable isolation it is asked to run
 * again). ERR_CONFLICT when the month or its grace (setting.h) is not over at `now`, when an earlier
 * month must be closed first, or when something was used that has no price: then nothing is written. */
struct metering_services;
struct rating_run;
struct error *bill_close_month(struct db *db, struct arena *arena, const struct metering_services *services,
                               struct month month, moment now, struct bill_month *ret_month) ERROR_MUST_USE;

/* Rates a month that is over as a closing would, writes nothing but the run's record: its digest and sums are
 * what closing will come to if nothing more comes in. ERR_CONFLICT as above, and when the month is closed. */
struct error *bill_rate_month(struct db *db, struct arena *arena, const struct metering_services *services,
                              struct month month, moment now, struct rating_run *ret_run) ERROR_MUST_USE;

/* The month that is closed next: the one after the last closed one, or the first that has usage. *ret_found
 * false: nothing was ever used. Whether it is over is bill_close_month's to say. */
struct error *bill_month_next(struct db *db, bool *ret_found, struct month *ret_month) ERROR_MUST_USE;

/* Open when it was never closed. */
struct error *bill_month_get(struct db *db, struct arena *arena, struct month month,
                             struct bill_month *ret_month) ERROR_MUST_USE;

/* NULL: whatever. */
struct bill_filter {
    const char *month, *unit, *provider;
};
struct bill_cursor {
    const char *month, *unit, *provider;
};
/* Bills of which the scope sees a line; by (month, unit, provider), at most `most` after the cursor (NULL:
 * from the start). */
struct error *bill_list(struct db *db, struct arena *arena, const struct bill_filter *filter,
                        const struct bill_cursor *after, int64_t most, struct bill **ret_list,
                        size_t *ret_count) ERROR_MUST_USE;
struct error *bill_get(struct db *db, struct arena *arena, const char *id,
                       struct bill *ret_bill) ERROR_MUST_USE;
/* Lines after number `after`, at most `most`: line i of the list is number after + 1 + i when the scope sees
 * all. */
struct error *bill_lines(struct db *db, struct arena *arena, const struct bill *bill, int64_t after,
                         int64_t most, struct bill_line **ret_lines, int64_t **ret_numbers,
                         size_t *ret_count) ERROR_MUST_USE;
/* All lines on the bills of a month that the scope sees. */
struct error *bill_lines_of_month(struct db *db, struct arena *arena, struct month month,
                                  struct bill_line **ret_lines, size_t *ret_count) ERROR_MUST_USE;

/* Lines of bills across units. */
struct bill_line_filter { /* NULL: whatever */
    const char *month, *type, *charge_month, *unit, *system, *cloud, *provider, *item, *industry, *zone,
        *architecture, *tariff;
};
struct bill_found {
    struct bill_line line;
    const char *month, *bill; /* of the bill, and its id */
    int64_t number;           /* of the line on it */
};
/* By (unit, bill, number), which is by month, for bills' ids are made in the order of time; at most `most`
 * after `after` (NULL: from the start). */
struct error *bill_find_lines(struct db *db, struct arena *arena, const struct bill_line_filter *filter,
                              const struct bill_found *after, int64_t most, struct bill_found **ret_list,
                              size_t *ret_count) ERROR_MUST_USE;
struct error *bill_find_line(struct db *db, struct arena *arena, const char *bill, int64_t number,
                             struct bill_found *ret_found) ERROR_MUST_USE;
/* Usage that has been billed so far under the key and price period of a line, all corrections included. */
struct error *bill_usage_billed(struct db *db, const struct bill_line *line, wide *ret_usage) ERROR_MUST_USE;

/* A rated line as a bill's line; text is borrowed. */
struct bill_line bill_line_of(const struct rate_line *rated, struct month charge_month, bool adjustment);

/* What was billed of units for the months from `from` on, with the number and line of each, by unit (its
 * bytes) and the oldest first; for bill_make.c. */
struct bill_entry {
    struct bill_line line;
    const char *number;
    int64_t line_no;
};
struct error *bill_entries(struct db *db, struct arena *arena, const char *const *units, size_t unit_count,
                           struct month from, struct bill_entry **ret_list, size_t *ret_count) ERROR_MUST_USE;
struct bill_made;
/* Writes bills with all their lines; few statements, however many. */
struct error *bill_add_all(struct db *db, const struct bill_made *made, size_t count) ERROR_MUST_USE;

/* "YQ202611.provider.unit": unique, for neither id has a dot in it. */
const char *bill_number(struct arena *arena, const char *month, const char *provider, const char *unit);
/* SM3 over the canonical text of a bill (metering/README.md): anyone can compute it again from GET
 * /v1/bills/{id}. */
struct error *bill_digest(const struct bill *bill, const struct bill_line *lines,
                          char hex[DIGEST_HEX]) ERROR_MUST_USE;

/* "yunqiao bill|NUMBER|DIGEST", what is signed; `what` "month": of a month, by its name. */
const char *bill_signed_text(struct arena *arena, const char *what, const char *name, const char *digest);

struct buf;
/* What bill_rates found as text, for a digest: a line for each provider and each of its prices. */
void bill_rates_text(struct buf *buf, struct month month, const struct rate_provider *providers,
                     size_t count);

/* Prices and prorations of all providers for a month. */
struct error *bill_rates(struct db *db, struct arena *arena, struct month month,
                         struct rate_provider **ret_list, size_t *ret_count) ERROR_MUST_USE;

#endif
