/* /v1/units/{unit}/quotas, /v1/capacity and /v1/alerts: what units may hold, what clouds have, and what is
 * running out. */
#include <string.h>

#include "broker/control/cloud.h"
#include "broker/control/quota.h"
#include "broker/control/routes.h"
#include "broker/control/unit.h"
#include "broker/control/view.h"

/* A limit per metric; absent members keep what they are, -1 lifts the limit. */
struct limits {
    int64_t vcpu, memory_gb, standard_gb, high_gb, bandwidth_mbps, instances, addresses, servers, gpu_gb,
        static_gb, backup_gb;
};
#define LIMIT_KEPT INT64_C(-2)
#define LIMIT_MOST INT64_C(1000000000)

#define LIMIT(field)                                                                           \
    {                                                                                          \
        JSON_MEMBER(struct limits, field), .want = JSON_WANT_INT, .min = -1, .max = LIMIT_MOST \
    }
static const struct json_member limit_members[] = {
    LIMIT(vcpu),           LIMIT(memory_gb), LIMIT(standard_gb), LIMIT(high_gb),
    LIMIT(bandwidth_mbps), LIMIT(instances), LIMIT(addresses),   LIMIT(servers),
    LIMIT(gpu_gb),         LIMIT(static_gb), LIMIT(backup_gb),
};
static const struct json_spec limit_spec = JSON_SPEC(struct limits, limit_members);

static const struct db_statement select_quotas = {
    "quota_select", "SELECT cloud_id || '/' || metric, 1,"
                    " jsonb_build_object('cloud', cloud_id, 'metric', metric, 'limit', most, 'used', used)"
                    " FROM quota WHERE cloud_id || '/' || metric > $1 AND unit_id = $3 ORDER BY 1 LIMIT $2"};

static struct error *list_quotas(struct http_call *call, struct http_answer *answer)
{
    const char *unit = http_param(call, "unit");
    if (!principal_sees_unit(call->principal, unit))
        return error_new(ERR_NOT_FOUND, "no such unit");
    return view_list(call, &select_quotas, DB_VALUES(db_text(unit)), answer);
}

/* -1 lifts a limit. A limit below what is held is kept and stops growth. */
static struct error *set_quotas(struct http_call *call, struct http_answer *answer)
{
    const char *unit = http_param(call, "unit"), *cloud = http_param(call, "cloud");
    struct limits limits = {LIMIT_KEPT, LIMIT_KEPT, LIMIT_KEPT, LIMIT_KEPT, LIMIT_KEPT, LIMIT_KEPT,
                            LIMIT_KEPT, LIMIT_KEPT, LIMIT_KEPT, LIMIT_KEPT, LIMIT_KEPT};
    int64_t version;
    TRY(unit_version(call->db, unit, &version));
    TRY(cloud_version(call->db, cloud, &version));
    TRY(http_read_body(call, &limit_spec, &limits));
    const int64_t by_metric[METRIC_COUNT] = {
        [METRIC_VCPU] = limits.vcpu,
        [METRIC_MEMORY_GB] = limits.memory_gb,
        [METRIC_STANDARD_GB] = limits.standard_gb,
        [METRIC_HIGH_GB] = limits.high_gb,
        [METRIC_BANDWIDTH_MBPS] = limits.bandwidth_mbps,
        [METRIC_INSTANCES] = limits.instances,
        [METRIC_ADDRESSES] = limits.addresses,
        [METRIC_SERVERS] = limits.servers,
        [METRIC_GPU_GB] = limits.gpu_gb,
        [METRIC_STATIC_GB] = limits.static_gb,
        [METRIC_BACKUP_GB] = limits.backup_gb,
    };
    for (int i = 0; i < METRIC_COUNT; i++)
        if (by_metric[i] != LIMIT_KEPT)
            TRY(quota_limit(call->db, unit, cloud, i, by_metric[i]));
    answer->audit_unit = unit;
    answer->audit_subject = cloud;
    answer->status = 204;
    return NULL;
}

static const struct db_statement select_capacity = {
    "capacity_select",
    "SELECT c.cloud_id || '/' || c.endpoint_id || '/' || c.metric, 1, jsonb_build_object('cloud', c.cloud_id,"
    " 'endpoint', nullif(c.endpoint_id, ''), 'metric', c.metric, 'total', c.total, 'allocated', c.reserved + "
    "c.outside,"
    " 'reserved', c.reserved, 'outside', c.outside, 'free', greatest(c.total - c.reserved - c.outside, 0),"
    " 'percent', CASE WHEN c.total > 0 THEN (c.reserved + c.outside) * 100 / c.total END,"
    " 'reported_at', rfc3339(c.reported_at))"
    " FROM capacity c JOIN cloud ON cloud.id = c.cloud_id"
    " WHERE c.cloud_id || '/' || c.endpoint_id || '/' || c.metric > $1 AND ($3::text IS NULL OR c.cloud_id = "
    "$3)"
    " AND scope_sees(NULL, NULL, c.cloud_id, cloud.provider_id) ORDER BY 1 LIMIT $2"};

static struct error *list_capacity(struct http_call *call, struct http_answer *answer)
{
    return view_list(call, &select_capacity, DB_VALUES(db_text(http_query(call, "cloud"))), answer);
}

struct bandwidth {
    int64_t bandwidth_mbps;
};
static const struct json_member bandwidth_members[] = {
    {JSON_MEMBER(struct bandwidth, bandwidth_mbps), .want = JSON_WANT_INT, .flags = JSON_REQUIRED,
     .max = LIMIT_MOST},
};
static const struct json_spec bandwidth_spec = JSON_SPEC(struct bandwidth, bandwidth_members);

static struct error *declare_capacity(struct http_call *call, struct http_answer *answer)
{
    const char *cloud = http_param(call, "cloud");
    struct bandwidth bandwidth = {0};
    int64_t version;
    TRY(cloud_version(call->db, cloud, &version));
    TRY(http_read_body(call, &bandwidth_spec, &bandwidth));
    TRY(capacity_declare_bandwidth(call->db, cloud, bandwidth.bandwidth_mbps, call->now));
    answer->audit_subject = cloud;
    answer->status = 204;
    return NULL;
}

static const struct db_statement select_alerts = {
    "alert_select",
    "SELECT a.id::text, 1, jsonb_build_object('id', a.id, 'cloud', a.cloud_id, 'kind', a.kind, 'subject', "
    "a.subject,"
    " 'details', a.details, 'raised_at', rfc3339(a.raised_at), 'due_at', rfc3339(a.due_at),"
    " 'cleared_at', rfc3339(a.cleared_at)) FROM alert a JOIN cloud ON cloud.id = a.cloud_id"
    " WHERE ($1 = '' OR a.id > nullif($1, '')::uuid) AND ($3::text IS NULL OR a.cloud_id = $3)"
    " AND ($4::text IS NULL OR ($4 = 'open') = (a.cleared_at IS NULL)) ORDER BY a.id LIMIT $2"};

static struct error *list_alerts(struct http_call *call, struct http_answer *answer)
{
    const char *state = http_query(call, "state");
    if (state && strcmp(state, "open") && strcmp(state, "cleared"))
        return error_member("?state", "must be open or cleared");
    return view_list_by_id(call, &select_alerts,
                           DB_VALUES(db_text(http_query(call, "cloud")), db_text(state)), answer);
}

static const struct http_route quota_table[] = {
    {"GET", "/v1/units/{unit}/quotas", list_quotas, "units:read", 0, "page_size,page_token"},
    {"PATCH", "/v1/units/{unit}/quotas/{cloud}", set_quotas, "quotas:write", 0, NULL},
};
const struct http_table quota_routes = HTTP_TABLE(quota_table);

static const struct http_route capacity_table[] = {
    {"GET", "/v1/capacity", list_capacity, "capacity:read", 0, "cloud,page_size,page_token"},
    {"PUT", "/v1/clouds/{cloud}/capacity", declare_capacity, "capacity:write", 0, NULL},
    {"GET", "/v1/alerts", list_alerts, "alerts:read", 0, "cloud,state,page_size,page_token"},
};
const struct http_table capacity_routes = HTTP_TABLE(capacity_table);
