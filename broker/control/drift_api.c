/* /v1/drift: where providers and broker differ, and a person's word on it. */
#include <string.h>

#include "broker/control/operate.h"
#include "broker/control/routes.h"
#include "broker/control/view.h"

static const struct db_statement select_list = {
    "drift_select_list",
    "SELECT id::text, 1, body FROM drift_view WHERE ($1 = '' OR id > nullif($1, '')::uuid)"
    " AND ($3::text IS NULL OR cloud_id = $3) AND ($4::text IS NULL OR kind = $4)"
    " AND CASE coalesce($5, 'open') WHEN 'open' THEN resolved_at IS NULL AND NOT dismissed"
    " WHEN 'dismissed' THEN resolved_at IS NULL AND dismissed ELSE resolved_at IS NOT NULL END ORDER BY id "
    "LIMIT $2"};
static const struct db_statement select_one = {
    "drift_select_one", "SELECT id::text, 1, body FROM drift_view WHERE id = $1::uuid"};
static const struct db_statement load = {"drift_load",
                                         "SELECT kind, unit_id, resource_id, seen ->> 'power' FROM drift"
                                         " WHERE id = $1::uuid AND resolved_at IS NULL FOR UPDATE"};
static const struct db_statement settle = {"drift_settle",
                                           "UPDATE drift SET dismissed = $2, resolution = $3, resolved_at = "
                                           "CASE WHEN $2 THEN NULL ELSE $4::timestamptz END"
                                           " WHERE id = $1::uuid"};

static struct error *list(struct http_call *call, struct http_answer *answer)
{
    const char *state = http_query(call, "state");
    if (state && strcmp(state, "open") && strcmp(state, "dismissed") && strcmp(state, "resolved"))
        return error_member("?state", "must be open, dismissed or resolved");
    return view_list_by_id(
        call, &select_list,
        DB_VALUES(db_text(http_query(call, "cloud")), db_text(http_query(call, "kind")), db_text(state)),
        answer);
}

static const char *const actions[] = {"dismiss", "adopt", NULL};
struct resolving {
    const char *action, *reason;
};
static const struct json_member members[] = {
    {JSON_MEMBER(struct resolving, action), .want = JSON_WANT_CHOICE, .flags = JSON_REQUIRED,
     .choices = actions},
    {JSON_MEMBER(struct resolving, reason), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = 500},
};
static const struct json_spec spec = JSON_SPEC(struct resolving, members);

/* What the provider shows becomes what the broker holds: a power state is taken over with its usage; what is
 * missing is deleted by an ordinary operation, which ends its usage. */
static struct error *adopt(struct http_call *call, const struct db_rows *drift)
{
    const char *kind = db_get_text(drift, 0, 0), *operation;
    struct resource resource;
    if (strcmp(kind, "power") && strcmp(kind, "missing"))
        return error_member("/action", "only drift of power and missing resources can be adopted");
    TRY(resource_load(call->db, call->arena, db_get_text(drift, 0, 1), db_get_text(drift, 0, 2), NULL,
                      &resource));
    if (!strcmp(kind, "missing"))
        return operate_begin(call->db, call->arena, &resource, VERB_DELETE, NULL,
                             principal_id(call->principal), call->now, &operation);
    if (resource.operation || resource.state != RESOURCE_ACTIVE)
        return error_new(ERR_CONFLICT, "an operation is at work on %s \"%s\"", resource.kind, resource.name);
    resource.power = db_get_text(drift, 0, 3);
    TRY(resource_set_power(call->db, &resource, resource.power, call->now));
    return resource_meter(call->db, &resource, call->now);
}

static struct error *resolve(struct http_call *call, struct http_answer *answer)
{
    struct resolving resolving = {0};
    DB_ROWS_AUTO struct db_rows *drift = NULL;
    TRY(view_id(call, "drift"));
    TRY(http_read_body(call, &spec, &resolving));
    const char *id = http_param(call, "drift");
    TRY(db_query_one(call->db, &load, DB_VALUES(db_text(id)), "such open drift", &drift));
    bool dismiss = !strcmp(resolving.action, "dismiss");
    if (!dismiss)
        TRY(adopt(call, drift));
    TRY(db_run(call->db, &settle,
               DB_VALUES(db_text(id), db_bool(dismiss),
                         db_text(arena_printf(call->arena, "%s by %s: %s", resolving.action,
                                              principal_id(call->principal), resolving.reason)),
                         db_moment(call->now)),
               NULL));
    answer->audit_unit =
        db_get_text(drift, 0, 1) ? arena_strdup(call->arena, db_get_text(drift, 0, 1)) : NULL;
    answer->audit_subject = id;
    return view_made(call, &select_one, DB_VALUES(db_text(id)), "such drift", 200, NULL, answer);
}

static const struct http_route routes[] = {
    {"GET", "/v1/drift", list, "drift:read", 0, "cloud,kind,state,page_size,page_token"},
    {"POST", "/v1/drift/{drift}:resolve", resolve, "drift:resolve", 0, NULL},
};
const struct http_table drift_routes = HTTP_TABLE(routes);
