/* Settings of billing that hold for every broker of the house and for closing by hand: they live in the
 * database and are set through the API. Within the caller's transaction. */
#ifndef METERING_SETTING_H
#define METERING_SETTING_H

#include "broker/base/moment.h"
#include "broker/db/db.h"

/* How long after its end a month is kept open for what comes late. */
#define SETTING_GRACE_MAX (31 * MOMENT_DAY)

struct error *setting_close_grace(struct db *db, int64_t *ret_us) ERROR_MUST_USE;
/* Whole seconds, up to SETTING_GRACE_MAX. ERR_STALE when it is no longer `old_us`. */
struct error *setting_set_close_grace(struct db *db, int64_t old_us, int64_t new_us) ERROR_MUST_USE;

#endif
