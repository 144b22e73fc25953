/* /v1/endpoints: where hypervisor managers are reached. Platform administrators write them (roles.csv); the
 * cloud's provider, its regulators and auditors read them. A credential is only ever a reference. POST …:sync
 * takes an inventory now. */
#include <string.h>

#include "broker/control/alert.h"
#include "broker/control/endpoint.h"
#include "broker/control/fleet.h"
#include "broker/control/routes.h"
#include "broker/control/services.h"
#include "broker/control/sync.h"
#include "broker/control/view.h"

#define TIMEOUT_DEFAULT_MS 30000

static const struct json_member new_members[] = {
    {JSON_MEMBER(struct endpoint_new, id), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct endpoint_new, cloud), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct endpoint_new, site), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct endpoint_new, driver), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct endpoint_new, url), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = 1000},
    {JSON_MEMBER(struct endpoint_new, username), .want = JSON_WANT_TEXT, .min = 1, .max = 255},
    {JSON_MEMBER(struct endpoint_new, secret), .want = JSON_WANT_TEXT, .min = 1, .max = 1000},
    {JSON_MEMBER(struct endpoint_new, ca_file), .want = JSON_WANT_TEXT, .min = 1, .max = 1000},
    {JSON_MEMBER(struct endpoint_new, fingerprint), .want = JSON_WANT_TEXT, .min = 64, .max = 64},
    {JSON_MEMBER(struct endpoint_new, options), .want = JSON_WANT_ANY},
    {JSON_MEMBER(struct endpoint_new, timeout_ms), .want = JSON_WANT_INT, .min = 1000, .max = 3600000},
    {JSON_MEMBER(struct endpoint_new, enabled), .want = JSON_WANT_BOOL},
    {JSON_MEMBER(struct endpoint_new, enclave), .want = JSON_WANT_BOOL},
};
static const struct json_spec new_spec = JSON_SPEC(struct endpoint_new, new_members);

static const struct json_member change_members[] = {
    {JSON_MEMBER(struct endpoint_new, url), .want = JSON_WANT_TEXT, .min = 1, .max = 1000},
    {JSON_MEMBER(struct endpoint_new, username), .want = JSON_WANT_TEXT, .min = 1, .max = 255},
    {JSON_MEMBER(struct endpoint_new, secret), .want = JSON_WANT_TEXT, .min = 1, .max = 1000},
    {JSON_MEMBER(struct endpoint_new, ca_file), .want = JSON_WANT_TEXT, .min = 1, .max = 1000},
    {JSON_MEMBER(struct endpoint_new, fingerprint), .want = JSON_WANT_TEXT, .min = 64, .max = 64},
    {JSON_MEMBER(struct endpoint_new, options), .want = JSON_WANT_ANY},
    {JSON_MEMBER(struct endpoint_new, timeout_ms), .want = JSON_WANT_INT, .min = 1000, .max = 3600000},
    {JSON_MEMBER(struct endpoint_new, enabled), .want = JSON_WANT_BOOL},
};
static const struct json_spec change_spec = JSON_SPEC(struct endpoint_new, change_members);

static const struct db_statement select_provider = {"endpoint_cloud_provider",
                                                    "SELECT provider_id FROM cloud WHERE id = $1"};

/* Callers have to do with the endpoints of the clouds that they see; what lies outside is not there. */
static struct error *check_cloud(struct http_call *call, const char *cloud, const char *what)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(call->db, &select_provider, DB_VALUES(db_text(cloud)), what, &rows));
    if (!principal_sees_cloud(call->principal, cloud) &&
        !principal_sees_provider(call->principal, db_get_text(rows, 0, 0)))
        return error_new(ERR_NOT_FOUND, "no %s", what);
    return NULL;
}

/* Of url and secret what the body gives: an older row that is refused now can still be disabled. */
static struct error *check_members(const struct http_call *call, const struct endpoint_new *endpoint)
{
    const struct services *services = call->context;
    struct error *errors = NULL;
    for (const char *at = endpoint->fingerprint; at && *at; at++) {
        if (!((*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'f'))) {
            error_collect(&errors, "/fingerprint",
                          "must be 64 lower-case hex digits: the SHA-256 of the certificate");
            break;
        }
    }
    struct error *url = json_object_get(call->body, "url") ? endpoint_check_url(endpoint->url) : NULL;
    if (url)
        error_collect(&errors, "/url", "%s", error_message(url));
    error_free(url);
    struct error *secret = json_object_get(call->body, "secret")
                               ? secret_reach_check(fleet_reach(services->fleet), endpoint->secret)
                               : NULL;
    if (secret)
        error_collect(&errors, "/secret", "%s", error_message(secret));
    error_free(secret);
    if (endpoint->ca_file && *endpoint->ca_file != '/')
        error_collect(&errors, "/ca_file", "must be an absolute path");
    return errors;
}

static struct error *answer_endpoint(struct http_call *call, const char *id, const char *cloud, int status,
                                     struct http_answer *answer)
{
    const struct services *services = call->context;
    answer->audit_subject = id;
    answer->audit_cloud = cloud;
    TRY(view_made(call, &endpoint_select_one, DB_VALUES(db_text(id)), "such endpoint", status,
                  status == 201 ? arena_printf(call->arena, "/v1/endpoints/%s", id) : NULL, answer));
    json_t *gate = fleet_status(services->fleet, call->arena, id);
    if (gate)
        json_put(answer->body, "gate", gate);
    return NULL;
}

static struct error *list_endpoints(struct http_call *call, struct http_answer *answer)
{
    const char *cloud = http_query(call, "cloud");
    if (cloud)
        TRY(check_cloud(call, cloud, "such cloud"));
    return view_list(call, &endpoint_select_list, DB_VALUES(db_text(cloud)), answer);
}

static struct error *get_endpoint(struct http_call *call, struct http_answer *answer)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct endpoint_row row;
    TRY(endpoint_load(call->db, arena, http_param(call, "endpoint"), &row));
    TRY(check_cloud(call, row.cloud, "such endpoint"));
    return answer_endpoint(call, http_param(call, "endpoint"), NULL, 200, answer);
}

static struct error *add_endpoint(struct http_call *call, struct http_answer *answer)
{
    const struct services *services = call->context;
    struct endpoint_new endpoint = {.timeout_ms = TIMEOUT_DEFAULT_MS, .enabled = true};
    TRY(http_read_body(call, &new_spec, &endpoint));
    TRY(check_members(call, &endpoint));
    if (!fleet_driver(services->fleet, endpoint.driver))
        return error_member("/driver", "no driver is named \"%s\"", endpoint.driver);
    TRY(check_cloud(call, endpoint.cloud, "such cloud"));
    if (!endpoint.options)
        endpoint.options = json_hold(call->arena, json_object());
    TRY(endpoint_insert(call->db, &endpoint, call->now));
    TRY(sync_add_job(call->db, endpoint.id));
    return answer_endpoint(call, endpoint.id, endpoint.cloud, 201, answer);
}

static struct error *change_endpoint(struct http_call *call, struct http_answer *answer)
{
    struct endpoint_row row;
    TRY(endpoint_load(call->db, call->arena, http_param(call, "endpoint"), &row));
    TRY(check_cloud(call, row.cloud, "such endpoint"));
    TRY(http_if_match(call, view_etag(call->arena, row.version)));
    struct endpoint_new change = {.id = row.id,
                                  .url = row.url,
                                  .username = row.username,
                                  .secret = row.secret,
                                  .ca_file = row.ca_file,
                                  .fingerprint = row.fingerprint,
                                  .options = row.options,
                                  .timeout_ms = row.timeout_us / 1000,
                                  .enabled = row.enabled};
    TRY(http_read_body(call, &change_spec, &change));
    TRY(check_members(call, &change));
    TRY(endpoint_update(call->db, &change, row.version, call->now));
    if (change.enabled)
        TRY(sync_add_job(call->db, row.id));
    else
        TRY(alert_clear(call->db, row.cloud, ALERT_INVENTORY, row.id, call->now));
    return answer_endpoint(call, row.id, row.cloud, 200, answer);
}

static struct error *sync_now(struct http_call *call, struct http_answer *answer)
{
    struct endpoint_row row;
    TRY(endpoint_load(call->db, call->arena, http_param(call, "endpoint"), &row));
    TRY(check_cloud(call, row.cloud, "such endpoint"));
    TRY(sync_add_job(call->db, row.id));
    TRY(answer_endpoint(call, row.id, row.cloud, 202, answer));
    answer->retry_after = 1;
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/endpoints", list_endpoints, "endpoints:read", 0, "cloud,page_size,page_token"},
    {"POST", "/v1/endpoints", add_endpoint, "endpoints:write", HTTP_KEYED, NULL},
    {"GET", "/v1/endpoints/{endpoint}", get_endpoint, "endpoints:read", 0, NULL},
    {"PATCH", "/v1/endpoints/{endpoint}", change_endpoint, "endpoints:write", HTTP_CONDITIONAL, NULL},
    {"POST", "/v1/endpoints/{endpoint}:sync", sync_now, "endpoints:write", HTTP_NO_BODY, NULL},
};
const struct http_table endpoint_routes = HTTP_TABLE(routes);
