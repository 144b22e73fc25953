/* /v1/fulfilments: what a provider's operator has to do, and their word on it. */
#include <string.h>

#include "broker/control/fulfilment.h"
#include "broker/control/routes.h"
#include "broker/control/view.h"

#define REFERENCE_MAX 255 /* bytes; also of an address */
#define REASON_MAX 1000   /* bytes */

static struct error *list(struct http_call *call, struct http_answer *answer)
{
    const char *state = http_query(call, "state");
    int known = 0;
    while (state && known < FULFILMENT_STATE_COUNT &&
           strcmp(fulfilment_state_name((enum fulfilment_state)known), state) != 0)
        known++;
    if (known == FULFILMENT_STATE_COUNT)
        return error_member("?state", "must be open, completed, refused or withdrawn");
    return view_list_by_id(call, &fulfilment_select_list,
                           DB_VALUES(db_text(http_query(call, "cloud")), db_text(http_query(call, "kind")),
                                     db_text(state), db_moment(call->now)),
                           answer);
}

static struct error *answer_one(struct http_call *call, struct http_answer *answer)
{
    TRY(view_made(call, &fulfilment_select_one,
                  DB_VALUES(db_text(http_param(call, "fulfilment")), db_moment(call->now)), "such fulfilment",
                  200, NULL, answer));
    answer->etag = NULL;
    return NULL;
}

static struct error *get(struct http_call *call, struct http_answer *answer)
{
    TRY(view_id(call, "fulfilment"));
    return answer_one(call, answer);
}

static struct error *end(struct http_call *call, struct fulfilment_answer *word, struct http_answer *answer)
{
    word->principal = principal_id(call->principal);
    TRY(fulfilment_end(call->db, call->arena, http_param(call, "fulfilment"), word, call->now,
                       &answer->audit_unit, &answer->audit_cloud));
    answer->audit_subject = http_param(call, "fulfilment");
    return answer_one(call, answer);
}

static const struct json_member complete_members[] = {
    {JSON_MEMBER(struct fulfilment_answer, reference), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED,
     .min = 1, .max = REFERENCE_MAX},
    {JSON_MEMBER(struct fulfilment_answer, address), .want = JSON_WANT_TEXT, .min = 1, .max = REFERENCE_MAX},
};
static const struct json_spec complete_spec = JSON_SPEC(struct fulfilment_answer, complete_members);

static struct error *complete(struct http_call *call, struct http_answer *answer)
{
    struct fulfilment_answer word = {.state = FULFILMENT_COMPLETED};
    TRY(view_id(call, "fulfilment"));
    TRY(http_read_body(call, &complete_spec, &word));
    return end(call, &word, answer);
}

static const struct json_member refuse_members[] = {
    {JSON_MEMBER(struct fulfilment_answer, reason), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = REASON_MAX},
};
static const struct json_spec refuse_spec = JSON_SPEC(struct fulfilment_answer, refuse_members);

static struct error *refuse(struct http_call *call, struct http_answer *answer)
{
    struct fulfilment_answer word = {.state = FULFILMENT_REFUSED};
    TRY(view_id(call, "fulfilment"));
    TRY(http_read_body(call, &refuse_spec, &word));
    return end(call, &word, answer);
}

static const struct http_route routes[] = {
    {"GET", "/v1/fulfilments", list, "fulfilments:read", 0, "cloud,kind,state,page_size,page_token"},
    {"GET", "/v1/fulfilments/{fulfilment}", get, "fulfilments:read", 0, NULL},
    {"POST", "/v1/fulfilments/{fulfilment}:complete", complete, "fulfilments:write", HTTP_KEYED, NULL},
    {"POST", "/v1/fulfilments/{fulfilment}:refuse", refuse, "fulfilments:write", HTTP_KEYED, NULL},
};
const struct http_table fulfilment_routes = HTTP_TABLE(routes);
