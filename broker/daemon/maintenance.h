/* What the broker does by itself: looks for changed keys and principals, seals the audit trail, takes
 * inventories when they are due, closes months that are over, looks at budgets, forgets what has had its
 * time. One thread with one connection; several brokers do it side by side without harm, for each task is
 * idempotent or takes an advisory lock. */
#ifndef BROKER_DAEMON_MAINTENANCE_H
#define BROKER_DAEMON_MAINTENANCE_H

#include <stdatomic.h>

#include "broker/auth/auth.h"
#include "broker/base/moment.h"

struct maintenance;
struct metering_services;

struct maintenance_settings {
    const char *conninfo;
    struct auth *auth;
    struct clock *clock;
    const struct metering_services *metering;
    /* Reloadable: read anew each round. */
    _Atomic int64_t sync_interval;
    atomic_bool close_months;
};

/* Borrows the settings until maintenance_stop. */
struct error *maintenance_start(struct maintenance_settings *settings,
                                struct maintenance **ret_maintenance) ERROR_MUST_USE;
void maintenance_stop(struct maintenance *maintenance);

#endif
