/* Quotas and capacity: what a unit may hold on a cloud, and what a cloud has left. Both are counters kept in
 * the transaction that makes, changes or ends a resource, under a row lock, so that orders at the same moment
 * cannot both take the last of it. */
#ifndef BROKER_CONTROL_QUOTA_H
#define BROKER_CONTROL_QUOTA_H

#include "broker/db/db.h"

/* The metrics, in the order of their locks. The first five are also capacity; the others are quota alone:
 * what operators fulfil has no capacity that anybody reports. */
#define METRICS(X)                             \
    X(METRIC_VCPU, "vcpu")                     \
    X(METRIC_MEMORY_GB, "memory_gb")           \
    X(METRIC_STANDARD_GB, "standard_gb")       \
    X(METRIC_HIGH_GB, "high_gb")               \
    X(METRIC_BANDWIDTH_MBPS, "bandwidth_mbps") \
    X(METRIC_INSTANCES, "instances")           \
    X(METRIC_ADDRESSES, "addresses")           \
    X(METRIC_SERVERS, "servers")               \
    X(METRIC_GPU_GB, "gpu_gb")                 \
    X(METRIC_STATIC_GB, "static_gb")           \
    X(METRIC_BACKUP_GB, "backup_gb")

enum metric {
#define X(symbol, name) symbol,
    METRICS(X)
#undef X
        METRIC_COUNT
};
#define METRIC_CAPACITY_COUNT METRIC_INSTANCES

const char *metric_name(enum metric metric);

/* Amounts by metric, whole units (CPUs, GB, Mbps, pieces). Negative ones give back. */
struct demand {
    int64_t amount[METRIC_COUNT];
};

/* What a resource of `kind` with this whole spec takes. */
void demand_add(struct demand *demand, const char *kind, const json_t *spec, int sign);

/* Takes from the unit's quota on a cloud; ERR_QUOTA names the metric, the limit and what is held. Giving back
 * always works. */
struct error *quota_take(struct db *db, const char *unit, const char *cloud,
                         const struct demand *demand) ERROR_MUST_USE;
/* Takes from an endpoint's capacity (bandwidth: from the cloud's); ERR_NO_CAPACITY names the metric, the
 * total and what is left. An endpoint that never reported has none. Giving back always works. */
struct error *capacity_take(struct db *db, const char *cloud, const char *endpoint,
                            const struct demand *demand) ERROR_MUST_USE;

/* Counts what is there already in both, whatever the limits: they stop growth that is asked for. */
struct error *quota_count(struct db *db, const char *unit, const char *cloud, const char *endpoint,
                          const struct demand *demand) ERROR_MUST_USE;

/* A limit of one metric; -1: none. */
struct error *quota_limit(struct db *db, const char *unit, const char *cloud, enum metric metric,
                          int64_t most) ERROR_MUST_USE;

/* After an inventory: totals and what others hold. Raises an alert for every metric of which more than 80 %
 * is allocated and clears those that fell (procurement 4.1.2.2: expansion within 7 days). */
struct capacity_report {
    int64_t total[METRIC_CAPACITY_COUNT];
    int64_t outside[METRIC_CAPACITY_COUNT];
};
struct error *capacity_report(struct db *db, const char *cloud, const char *endpoint,
                              const struct capacity_report *report, moment now) ERROR_MUST_USE;
/* The cloud's Internet bandwidth, which no hypervisor reports: told by its provider. */
struct error *capacity_declare_bandwidth(struct db *db, const char *cloud, int64_t mbps,
                                         moment now) ERROR_MUST_USE;
#define CAPACITY_ALERT_PERCENT 80
#define CAPACITY_EXPANSION_DAYS 7

#endif
