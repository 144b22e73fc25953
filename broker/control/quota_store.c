/* SQL of quotas and capacity; see quota.h. */
#include "broker/control/quota.h"

#include <string.h>

#include "broker/base/json.h"
#include "broker/control/alert.h"

const char *metric_name(enum metric metric)
{
    static const char *const names[] = {
#define X(symbol, name) [symbol] = name,
        METRICS(X)
#undef X
    };
    return names[metric];
}

static int64_t spec_int(const json_t *spec, const char *member)
{
    return json_integer_value(json_object_get(spec, member));
}

static enum metric storage_metric(const json_t *spec, const char *member)
{
    const char *performance = json_string_value(json_object_get(spec, member));
    return performance && !strcmp(performance, "high") ? METRIC_HIGH_GB : METRIC_STANDARD_GB;
}

/* Kinds that are one number of one metric; of the others the operator alone knows what there is. */
static void add_external(struct demand *demand, const char *kind, const json_t *spec, int sign)
{
    static const struct {
        const char *kind, *member;
        enum metric metric;
    } table[] = {{"gpu", "memory_gb", METRIC_GPU_GB},
                 {"object-store", "size_gb", METRIC_STATIC_GB},
                 {"backup-policy", "space_gb", METRIC_BACKUP_GB}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(kind, table[i].kind))
            demand->amount[table[i].metric] += sign * spec_int(spec, table[i].member);
}

void demand_add(struct demand *demand, const char *kind, const json_t *spec, int sign)
{
    if (!strcmp(kind, "instance")) {
        demand->amount[METRIC_INSTANCES] += sign;
        demand->amount[METRIC_VCPU] += sign * spec_int(spec, "vcpu");
        demand->amount[METRIC_MEMORY_GB] += sign * spec_int(spec, "memory_gb");
        demand->amount[storage_metric(spec, "system_disk_performance")] +=
            sign * spec_int(spec, "system_disk_gb");
    } else if (!strcmp(kind, "volume")) {
        demand->amount[storage_metric(spec, "performance")] += sign * spec_int(spec, "size_gb");
    } else if (!strcmp(kind, "address")) {
        demand->amount[METRIC_ADDRESSES] += sign;
    } else if (!strcmp(kind, "bandwidth")) {
        demand->amount[METRIC_BANDWIDTH_MBPS] += sign * spec_int(spec, "mbps");
    } else if (!strcmp(kind, "server")) {
        demand->amount[METRIC_SERVERS] += sign;
    } else {
        add_external(demand, kind, spec, sign);
    }
}

/* The row is made when missing, then counted under its lock; giving back never fails and never goes below
 * zero. */
static const struct db_statement take_quota = {
    "quota_take",
    "INSERT INTO quota AS q (unit_id, cloud_id, metric, used) VALUES ($1, $2, $3, greatest($4, 0))"
    " ON CONFLICT (unit_id, cloud_id, metric) DO UPDATE SET used = greatest(q.used + $4, 0)"
    " RETURNING q.used, q.most"};
static const struct db_statement take_capacity = {
    "capacity_take",
    "INSERT INTO capacity AS c (cloud_id, endpoint_id, metric, reserved) VALUES ($1, $2, $3, greatest($4, 0))"
    " ON CONFLICT (cloud_id, endpoint_id, metric) DO UPDATE SET reserved = greatest(c.reserved + $4, 0)"
    " RETURNING c.reserved + c.outside, c.total"};

/* One row each, in the order of the metrics, so that two orders never wait for each other in a circle. */
struct error *quota_take(struct db *db, const char *unit, const char *cloud, const struct demand *demand)
{
    for (int i = 0; i < METRIC_COUNT; i++) {
        int64_t amount = demand->amount[i];
        if (!amount)
            continue;
        DB_ROWS_AUTO struct db_rows *rows = NULL;
        TRY(db_query_one(db, &take_quota,
                         DB_VALUES(db_text(unit), db_text(cloud), db_text(metric_name(i)), db_int(amount)),
                         "quota", &rows));
        int64_t used = db_get_int(rows, 0, 0);
        if (amount > 0 && !db_is_null(rows, 0, 1) && used > db_get_int(rows, 0, 1))
            return error_new(ERR_QUOTA, "unit \"%s\" may hold %lld %s on cloud \"%s\" and would hold %lld",
                             unit, (long long)db_get_int(rows, 0, 1), metric_name(i), cloud, (long long)used);
    }
    return NULL;
}

struct error *capacity_take(struct db *db, const char *cloud, const char *endpoint,
                            const struct demand *demand)
{
    for (int i = 0; i < METRIC_CAPACITY_COUNT; i++) {
        int64_t amount = demand->amount[i];
        if (!amount)
            continue;
        const char *where = i == METRIC_BANDWIDTH_MBPS || !endpoint ? "" : endpoint;
        DB_ROWS_AUTO struct db_rows *rows = NULL;
        TRY(db_query_one(db, &take_capacity,
                         DB_VALUES(db_text(cloud), db_text(where), db_text(metric_name(i)), db_int(amount)),
                         "capacity", &rows));
        int64_t held = db_get_int(rows, 0, 0), total = db_get_int(rows, 0, 1);
        if (amount > 0 && held > total)
            return error_new(
                ERR_NO_CAPACITY, "cloud \"%s\"%s%s has %lld %s, of which %lld are left, and %lld are wanted",
                cloud, *where ? ", endpoint " : "", where, (long long)total, metric_name(i),
                (long long)(total - held + amount > 0 ? total - held + amount : 0), (long long)amount);
    }
    return NULL;
}

struct error *quota_count(struct db *db, const char *unit, const char *cloud, const char *endpoint,
                          const struct demand *demand)
{
    for (int i = 0; i < METRIC_COUNT; i++)
        if (demand->amount[i])
            TRY(db_run(
                db, &take_quota,
                DB_VALUES(db_text(unit), db_text(cloud), db_text(metric_name(i)), db_int(demand->amount[i])),
                NULL));
    for (int i = 0; i < METRIC_BANDWIDTH_MBPS; i++)
        if (demand->amount[i])
            TRY(db_run(db, &take_capacity,
                       DB_VALUES(db_text(cloud), db_text(endpoint), db_text(metric_name(i)),
                                 db_int(demand->amount[i])),
                       NULL));
    return NULL;
}

static const struct db_statement set_quota = {
    "quota_limit", "INSERT INTO quota (unit_id, cloud_id, metric, most) VALUES ($1, $2, $3, $4)"
                   " ON CONFLICT (unit_id, cloud_id, metric) DO UPDATE SET most = $4"};

struct error *quota_limit(struct db *db, const char *unit, const char *cloud, enum metric metric,
                          int64_t most)
{
    return db_run(db, &set_quota,
                  DB_VALUES(db_text(unit), db_text(cloud), db_text(metric_name(metric)),
                            most < 0 ? db_null() : db_int(most)),
                  NULL);
}

static const struct db_statement report_capacity = {
    "capacity_report",
    "INSERT INTO capacity AS c (cloud_id, endpoint_id, metric, total, outside, reported_at) VALUES ($1, $2, "
    "$3, $4, $5, $6)"
    " ON CONFLICT (cloud_id, endpoint_id, metric) DO UPDATE SET total = $4, outside = $5, reported_at = $6"
    " RETURNING c.reserved + c.outside, c.total"};

/* "Exceeds 80 %" is read as strictly more (price and billing rules, part L). */
static struct error *mind_alert(struct db *db, const char *cloud, const char *endpoint, enum metric metric,
                                int64_t held, int64_t total, moment now)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *subject = arena_printf(arena, "%s%s%s", endpoint, *endpoint ? "/" : "", metric_name(metric));
    if ((wide)held * 100 <= (wide)total * CAPACITY_ALERT_PERCENT)
        return alert_clear(db, cloud, ALERT_CAPACITY, subject, now);
    json_t *details = json_hold(arena, json_object());
    json_put_text(details, "endpoint", *endpoint ? endpoint : NULL);
    json_put_text(details, "metric", metric_name(metric));
    json_put_int(details, "total", total);
    json_put_int(details, "allocated", held);
    json_put_text(details, "rule", "more than 80 % is allocated: expand within 7 days (procurement 4.1.2.2)");
    const struct alert alert = {.cloud = cloud,
                                .kind = ALERT_CAPACITY,
                                .subject = subject,
                                .details = details,
                                .due = now + CAPACITY_EXPANSION_DAYS * MOMENT_DAY};
    return alert_raise(db, &alert, now);
}

static struct error *report_metric(struct db *db, const char *cloud, const char *endpoint, enum metric metric,
                                   int64_t total, int64_t outside, moment now)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &report_capacity,
                     DB_VALUES(db_text(cloud), db_text(endpoint), db_text(metric_name(metric)), db_int(total),
                               db_int(outside), db_moment(now)),
                     "capacity", &rows));
    return mind_alert(db, cloud, endpoint, metric, db_get_int(rows, 0, 0), db_get_int(rows, 0, 1), now);
}

struct error *capacity_report(struct db *db, const char *cloud, const char *endpoint,
                              const struct capacity_report *report, moment now)
{
    for (int i = 0; i < METRIC_BANDWIDTH_MBPS; i++)
        TRY(report_metric(db, cloud, endpoint, i, report->total[i], report->outside[i], now));
    return NULL;
}

struct error *capacity_declare_bandwidth(struct db *db, const char *cloud, int64_t mbps, moment now)
{
    return report_metric(db, cloud, "", METRIC_BANDWIDTH_MBPS, mbps, 0, now);
}
