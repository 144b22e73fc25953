/* Rating runs: what a month's bills were made from and what they came to (schema/2008_runs.sql). A run is
 * kept for ever. */
#ifndef METERING_RATING_RUN_H
#define METERING_RATING_RUN_H

#include "broker/base/arena.h"
#include "broker/base/digest.h"
#include "broker/base/moment.h"
#include "broker/base/money.h"
#include "broker/db/db.h"

struct rating_run {
    const char *id, *month;
    const char *purpose; /* "rate", "close" */
    const char *program;
    int64_t workers;
    moment started_at;
    int64_t took_us;
    int64_t units, intervals;
    wide usage; /* micro-units × microseconds within the month */
    char prices_digest[DIGEST_HEX];
    int64_t bills, lines, total_fen;
    char digest[DIGEST_HEX];
};

struct error *rating_run_add(struct db *db, const struct rating_run *run) ERROR_MUST_USE;
/* Of a month, newest first, at most `most`; `after` NULL: from the start. */
struct error *rating_run_list(struct db *db, struct arena *arena, const char *month, const char *after,
                              int64_t most, struct rating_run **ret_list, size_t *ret_count) ERROR_MUST_USE;
/* Whether a run of the month has seen every change of usage up to the month's end that there is. */
struct error *rating_run_current(struct db *db, struct month month, bool *ret_current) ERROR_MUST_USE;

#endif
