/* /v1/links: how much the links between sites carry for moves. Set by the platform's operators; in force for
 * passes that run within seconds. */
#include "broker/control/view.h"
#include "federation/consent.h"
#include "federation/link_store.h"
#include "federation/routes.h"

#define RATE_MAX (INT64_C(1) << 40)

struct link_body {
    struct link_place from, to;
    int64_t bytes_per_second;
};
static const struct json_member place_members[] = {
    {JSON_MEMBER(struct link_place, cloud), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct link_place, site), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
};
static const struct json_spec place_spec = JSON_SPEC(struct link_place, place_members);
static const struct json_member link_members[] = {
    {JSON_MEMBER(struct link_body, from), .want = JSON_WANT_OBJECT, .flags = JSON_REQUIRED,
     .spec = &place_spec},
    {JSON_MEMBER(struct link_body, to), .want = JSON_WANT_OBJECT, .flags = JSON_REQUIRED,
     .spec = &place_spec},
    {JSON_MEMBER(struct link_body, bytes_per_second), .want = JSON_WANT_INT, .flags = JSON_REQUIRED, .min = 0,
     .max = RATE_MAX},
};
static const struct json_spec link_spec = JSON_SPEC(struct link_body, link_members);

static struct error *list(struct http_call *call, struct http_answer *answer)
{
    return view_list(call, &link_select_list, NULL, 0, answer);
}

static struct error *put(struct http_call *call, struct http_answer *answer)
{
    struct link_body body;
    TRY(http_read_body(call, &link_spec, &body));
    TRY(link_set(call->db, &body.from, &body.to, body.bytes_per_second, principal_id(call->principal),
                 call->now));
    const char *key =
        arena_printf(call->arena, "%s %s", consent_site(call->arena, body.from.cloud, body.from.site),
                     consent_site(call->arena, body.to.cloud, body.to.site));
    TRY(view_one(call, &link_select_one, DB_VALUES(db_text(key)), "such link", answer));
    answer->etag = NULL; /* the last word counts */
    answer->audit_cloud = body.from.cloud;
    answer->audit_subject = key;
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/links", list, "links:read", 0, "page_size,page_token"},
    {"PUT", "/v1/links", put, "links:write", 0, NULL},
};
const struct http_table link_routes = HTTP_TABLE(routes);
