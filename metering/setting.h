/* Settings of billing that hold for every broker of the house and for closing by hand: they live in the
 * database and are set through the API. Within the caller's transaction. */
#ifndef METERING_SETTING_H
#define METERING_SETTING_H

#include "broker/base/moment.h"
#include "broker/db/db.h"

/* How long after its end a month is kept open for what comes late. */
#define SETTING_GRACE_MAX (31 * MOMENT_DAY)
/* How many closed months usage and bills are kept before they are archived (archive.h); 0: for ever. */
#define SETTING_USAGE_MONTHS_MIN 3
#define SETTING_BILL_MONTHS_MIN 24
#define SETTING_MONTHS_MAX 1200

struct billing_settings {
    int64_t close_grace_seconds, usage_retention_months, bill_retention_months;
};

struct error *setting_read(struct db *db, struct billing_settings *ret_settings) ERROR_MUST_USE;
/* The caller has checked the ranges, and that bills are kept at least as long as usage. ERR_STALE when they
 * are no longer `old`. */
struct error *setting_write(struct db *db, const struct billing_settings *old,
                            const struct billing_settings *settings) ERROR_MUST_USE;
struct error *setting_close_grace(struct db *db, int64_t *ret_us) ERROR_MUST_USE;

#endif
