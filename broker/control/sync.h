/* The reconciler: takes an endpoint's inventory, keeps images and capacity up to date, and compares what the
 * driver reports with what the broker holds. Differences become drift; nothing is silently ended, continued
 * or repaired. */
#ifndef BROKER_CONTROL_SYNC_H
#define BROKER_CONTROL_SYNC_H

#include "broker/control/endpoint.h"
#include "broker/jobs/job.h"
#include "drivers/driver.h"

#define SYNC_INTERVAL_DEFAULT (5 * MOMENT_MINUTE) /* design, section 5 */

/* In the caller's transaction: an inventory as soon as a worker is free. One that waits already is success.
 */
struct error *sync_add_job(struct db *db, const char *endpoint) ERROR_MUST_USE;

/* Whether one was added; false: one waits or runs already. */
struct error *sync_try_add_job(struct db *db, const char *endpoint, bool *ret_added) ERROR_MUST_USE;

/* One inventory as it was taken at `taken`, into the tables. In the caller's transaction. */
struct sync_report {
    const struct endpoint_row *endpoint;
    const struct driver_inventory *inventory;
    const struct driver_capacity *capacity;
    bool volumes; /* whether the driver tells of volumes */
    moment taken;
};
struct error *sync_record(struct db *db, struct arena *arena, const struct sync_report *report,
                          moment now) ERROR_MUST_USE;

extern const struct job_type sync_job;

#endif
