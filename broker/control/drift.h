/* Drift: where what a driver reports and what the broker holds differ. One open row per endpoint, kind and
 * subject. */
#ifndef BROKER_CONTROL_DRIFT_H
#define BROKER_CONTROL_DRIFT_H

#include "broker/base/moment.h"
#include "broker/control/endpoint.h"
#include "broker/db/db.h"

/* missing: held, not reported. orphan: reported with the broker's stamp, not held. foreign: reported without
 * a stamp (procurement 2.4.1: machines made without an order). power, size: reported otherwise than held. */
struct drift {
    const char *kind, *subject;
    const char *unit, *resource; /* NULL: none */
    const char *expected, *seen; /* JSON text; NULL: none */
};

/* All differences of one inventory at once: new ones are raised (and told as event "drift.raised"), known
 * ones seen again, open ones that are not among them resolved. In the caller's transaction. */
struct error *drift_replace(struct db *db, struct arena *arena, const struct endpoint_row *endpoint,
                            const struct drift *drifts, size_t count, moment now) ERROR_MUST_USE;

#endif
