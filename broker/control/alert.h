/* Alerts: what the people who answer for a cloud must look at. One is open for each cause; it is cleared by
 * what finds the cause gone. Rows of broker/control/schema/3000_places.sql. */
#ifndef BROKER_CONTROL_ALERT_H
#define BROKER_CONTROL_ALERT_H

#include "broker/base/moment.h"
#include "broker/db/db.h"

#define ALERT_CAPACITY "capacity"   /* subject: "endpoint/metric", or "metric" of the cloud as a whole */
#define ALERT_INVENTORY "inventory" /* subject: the endpoint that cannot be read */
#define ALERT_DRIFT "drift"         /* subject: the case (drift.h) */

struct alert {
    const char *cloud, *kind, *subject;
    const json_t *details;
    moment due; /* 0: at no set time */
};

/* Raises it, with an event for the cloud and its provider; one that is open already is left as it is. */
struct error *alert_raise(struct db *db, const struct alert *alert, moment now) ERROR_MUST_USE;
/* Clears it; none that is open is success. */
struct error *alert_clear(struct db *db, const char *cloud, const char *kind, const char *subject,
                          moment now) ERROR_MUST_USE;

#endif
