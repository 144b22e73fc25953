/* /v1/drift: where providers, broker and bills differ, and a platform administrator's word on it. */
#include <string.h>

#include "broker/control/drift.h"
#include "broker/control/routes.h"
#include "broker/control/view.h"

#define REASON_MAX 500

static const struct db_statement select_list = {
    "drift_select_list",
    "SELECT id::text, version, body FROM drift_view WHERE ($1 = '' OR id > nullif($1, '')::uuid)"
    " AND ($3::text IS NULL OR cloud_id = $3) AND ($4::text IS NULL OR kind = $4)"
    " AND ($6::text IS NULL OR unit_id = $6) AND state = coalesce($5, 'open') ORDER BY id LIMIT $2"};
static const struct db_statement select_one = {
    "drift_select_one",
    "SELECT id::text, version, body || jsonb_build_object('history', (SELECT coalesce(jsonb_agg("
    "jsonb_build_object('at', rfc3339(h.at), 'event', h.event) || h.body ORDER BY h.number), '[]')"
    " FROM drift_history h WHERE h.unit_id = coalesce(v.unit_id, '') AND h.drift_id = v.id))"
    " FROM drift_view v WHERE id = $1::uuid"};

static struct error *list(struct http_call *call, struct http_answer *answer)
{
    const char *state = http_query(call, "state");
    if (state && strcmp(state, "open") && strcmp(state, "refused") && strcmp(state, "resolved"))
        return error_member("?state", "must be open, refused or resolved");
    return view_list_by_id(call, &select_list,
                           DB_VALUES(db_text(http_query(call, "cloud")), db_text(http_query(call, "kind")),
                                     db_text(state), db_text(http_query(call, "unit"))),
                           answer);
}

static struct error *get(struct http_call *call, struct http_answer *answer)
{
    TRY(view_id(call, "drift"));
    return view_one(call, &select_one, DB_VALUES(db_text(http_param(call, "drift"))), "such drift", answer);
}

struct word {
    const char *reason;
};
static const struct json_member members[] = {
    {JSON_MEMBER(struct word, reason), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = REASON_MAX},
};
static const struct json_spec spec = JSON_SPEC(struct word, members);

/* Who comes second hears what the first has said; who looked at another difference, that it is another. One
 * that was refused may be accepted after all, by whoever has read the refusal. */
static struct error *check_open(struct http_call *call, const struct drift_row *row)
{
    struct error *changed = http_if_match(call, view_etag(call->arena, row->version));
    if (row->resolution) {
        error_free(changed);
        return error_new(ERR_CONFLICT, "it is resolved already: %s%s%s", row->resolution,
                         row->decision ? ", " : "", row->decision ? row->decision : "");
    }
    if (changed && error_code(changed) == ERR_STALE && row->refused) {
        error_free(changed);
        return error_new(ERR_CONFLICT, "it was refused meanwhile: %s", row->decision);
    }
    return changed;
}

static struct error *decide(struct http_call *call, bool accept, struct http_answer *answer)
{
    struct word word = {0};
    struct drift_row row;
    const char *by = principal_id(call->principal);
    TRY(view_id(call, "drift"));
    TRY(http_read_body(call, &spec, &word));
    TRY(drift_load(call->db, call->arena, http_param(call, "drift"), &row));
    TRY(check_open(call, &row));
    if (accept)
        TRY(drift_apply(call->db, call->arena, &row, by, call->now));
    TRY(drift_decided(call->db, &row, accept, by, word.reason, call->now));
    answer->audit_unit = row.unit;
    answer->audit_cloud = row.cloud;
    answer->audit_subject = row.id;
    return view_made(call, &select_one, DB_VALUES(db_text(row.id)), "such drift", 200, NULL, answer);
}

static struct error *accept(struct http_call *call, struct http_answer *answer)
{
    return decide(call, true, answer);
}

static struct error *refuse(struct http_call *call, struct http_answer *answer)
{
    return decide(call, false, answer);
}

static const struct http_route routes[] = {
    {"GET", "/v1/drift", list, "drift:read", 0, "cloud,kind,state,unit,page_size,page_token"},
    {"GET", "/v1/drift/{drift}", get, "drift:read", 0, NULL},
    {"POST", "/v1/drift/{drift}:accept", accept, "drift:resolve", HTTP_CONDITIONAL, NULL},
    {"POST", "/v1/drift/{drift}:refuse", refuse, "drift:resolve", HTTP_CONDITIONAL, NULL},
};
const struct http_table drift_routes = HTTP_TABLE(routes);
