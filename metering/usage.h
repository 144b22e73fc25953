/* Usage intervals: what a resource used of which item from when to when. They are opened and closed in the
 * transaction that changes the resource, so that no second is free and none is billed twice. An interval is
 * never rewritten: it is opened, ended once, and stays (schema/2001_usage.sql). Within the caller's
 * transaction. */
#ifndef METERING_USAGE_H
#define METERING_USAGE_H

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"
#include "catalog/kind.h"
#include "metering/rate.h"

/* Whose usage it is. `industry` (the cloud's kind), `zone` and `architecture` NULL: has none. */
struct usage_subject {
    const char *unit, *system, *cloud, *provider, *resource, *kind;
    const char *industry, *zone, *architecture;
};

/* From `at` on the resource uses exactly these quantities (each item once a tariff; 0 counts as absent): open
 * intervals that differ, or that belong to another place or owner, are closed, new ones opened. An item with
 * an allowance (item.h) is counted for the whole system: it has no zone and no architecture. Again with the
 * same values changes nothing. Nothing of zero length is stored: an interval that began at `at` is replaced.
 * ERR_CONFLICT when `at` is before the resource's latest change, for history is not rewritten.
 *
 * Two calls for one resource at once: the second fails (ERR_EXISTS or ERR_SERIALIZATION), so callers hold the
 * resource's row. `at` within a month that is closed is taken; the difference is an adjustment on the next
 * bill. ERR_CONFLICT when `at` is within what is archived (archive.h): it cannot be rated again. */
struct error *usage_set(struct db *db, const struct usage_subject *subject, const struct item_quantity *items,
                        size_t count, moment at) ERROR_MUST_USE;

/* From when on the usage of a resource can change when it changes at `now`: `now`, or its latest known change
 * when that is later, or the first moment that is not archived. Clocks of several brokers differ a little,
 * and a machine's may be set back; a deletion must not fail for that. The later moment keeps what is known
 * without gap or overlap. */
struct error *usage_moment(struct db *db, const char *unit, const char *resource, moment now,
                           moment *ret_at) ERROR_MUST_USE;

/* Closes all; nothing open is success. ERR_CONFLICT when `at` is before an open interval's start, or within
 * what is archived. */
struct error *usage_end(struct db *db, const char *unit, const char *resource, moment at) ERROR_MUST_USE;

struct usage_row {
    struct rate_interval interval;
    const char *kind;
};

/* What to list; NULL or 0: whatever. Rows that touch [from, to). */
struct usage_filter {
    const char *unit, *system, *cloud, *provider, *resource, *item;
    moment from, to;
};

/* By (unit, resource, item, tariff, start), after the row `after` (NULL: from the start), at most `most`. */
struct usage_cursor {
    const char *unit, *resource, *item, *tariff;
    moment from;
};
struct error *usage_list(struct db *db, struct arena *arena, const struct usage_filter *filter,
                         const struct usage_cursor *after, int64_t most, struct usage_row **ret_list,
                         size_t *ret_count) ERROR_MUST_USE;

/* For rating: those of many units, in no order. Text is borrowed from the arena's rows. */
struct error *usage_of_units(struct db *db, struct arena *arena, const char *const *units, size_t unit_count,
                             moment from, moment to, struct rate_interval **ret_list,
                             size_t *ret_count) ERROR_MUST_USE;

/* For rating: all intervals that touch [from, to) and that the scope sees; `unit` NULL: of all units. */
struct error *usage_intervals(struct db *db, struct arena *arena, const char *unit, moment from, moment to,
                              struct rate_interval **ret_list, size_t *ret_count) ERROR_MUST_USE;

#endif
