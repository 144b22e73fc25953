/* GET /v1/usage-events: what was reported and what became of it; and the two decisions on quarantined ones.
 * POST /v1/usage, which takes them in, is broker/control's, for it knows the clouds. */
#include <string.h>

#include "broker/base/json.h"
#include "metering/cursor.h"
#include "metering/report.h"
#include "metering/routes.h"

static const char *const states[] = {"counted", "quarantined", "discarded", NULL};

static struct error *read_state(const struct http_call *call, const char **ret_state)
{
    const char *text = http_query(call, "state");
    bool known = !text;
    for (size_t i = 0; !known && states[i]; i++)
        known = !strcmp(states[i], text);
    if (!known)
        return error_member("?state", "must be counted, quarantined or discarded");
    *ret_state = text;
    return NULL;
}

static struct error *to_json(struct arena *arena, const struct report_row *row, json_t **ret_json)
{
    json_t *event, *json;
    TRY(json_parse_in(arena, row->text, strlen(row->text), &event));
    json = json_object();
    json_put_text(json, "provider", row->provider);
    json_put_text(json, "source", row->source);
    json_put_text(json, "id", row->id);
    json_put_text(json, "subject", row->subject);
    json_put_text(json, "resource", arena_printf(arena, "%s/%s", row->provider, row->subject));
    json_put_text(json, "unit", row->unit);
    json_put_text(json, "system", row->system);
    json_put_text(json, "cloud", row->cloud);
    json_put_text(json, "state", row->state);
    json_put_moment(json, "occurred_at", row->at);
    json_put_moment(json, "received_at", row->received_at);
    json_put_text(json, "digest_sm3", row->digest);
    json_put(json, "event", json_incref(event));
    *ret_json = json;
    return NULL;
}

static struct error *list_events(struct http_call *call, struct http_answer *ret_answer)
{
    struct http_page page;
    struct report_row *list;
    size_t count;
    const char *after[3] = {NULL};
    struct report_filter filter = {
        .provider = http_query(call, "provider"),
        .source = http_query(call, "source"),
        .subject = http_query(call, "subject"),
        .unit = http_query(call, "unit"),
        .cloud = http_query(call, "cloud"),
    };
    TRY(read_state(call, &filter.state));
    TRY(http_page(call, &page));
    if (page.after)
        TRY(cursor_split(call->arena, page.after, after, 3));
    TRY(report_list(call->db, call->arena, &filter, after[0], after[1], after[2], page.size + 1, &list,
                    &count));
    json_t *body = json_hold(call->arena, json_object()), *rows = json_array();
    json_put(body, "events", rows);
    for (size_t i = 0; i < count && i < (size_t)page.size; i++) {
        json_t *row;
        TRY(to_json(call->arena, &list[i], &row));
        json_push(rows, row);
    }
    if (count > (size_t)page.size) {
        const struct report_row *last = &list[page.size - 1];
        http_page_next(call, body,
                       arena_printf(call->arena, "%s|%s|%s", last->provider, last->source, last->id));
    }
    *ret_answer = (struct http_answer){.status = 200, .body = json_incref(body)};
    return NULL;
}

struct name {
    const char *source, *id;
};
static const struct json_member name_members[] = {
    {JSON_MEMBER(struct name, source), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = REPORT_TEXT_MAX},
    {JSON_MEMBER(struct name, id), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = REPORT_TEXT_MAX},
};
static const struct json_spec name_spec = JSON_SPEC(struct name, name_members);

static struct error *decided(const struct name *name, const char *cloud, const char *state,
                             struct http_answer *ret_answer)
{
    json_t *body = json_object();
    json_put_text(body, "source", name->source);
    json_put_text(body, "id", name->id);
    json_put_text(body, "state", state);
    *ret_answer = (struct http_answer){
        .status = 200, .body = body, .audit_cloud = cloud, .audit_subject = name->source};
    return NULL;
}

static struct error *release_event(struct http_call *call, struct http_answer *ret_answer)
{
    struct name name;
    const char *cloud;
    TRY(http_read_body(call, &name_spec, &name));
    TRY(report_release(call->db, call->arena, name.source, name.id, call->now, &cloud));
    return decided(&name, cloud, "counted", ret_answer);
}

static struct error *discard_event(struct http_call *call, struct http_answer *ret_answer)
{
    struct name name;
    const char *cloud;
    TRY(http_read_body(call, &name_spec, &name));
    TRY(report_discard(call->db, call->arena, name.source, name.id, call->now, &cloud));
    return decided(&name, cloud, "discarded", ret_answer);
}

static const struct http_route routes[] = {
    {"GET", "/v1/usage-events", list_events, "usage:read", 0,
     "state,provider,source,subject,unit,cloud,page_size,page_token"},
    {"POST", "/v1/usage-events:release", release_event, "usage:decide", 0, NULL},
    {"POST", "/v1/usage-events:discard", discard_event, "usage:decide", 0, NULL},
};

const struct http_table usage_event_routes = HTTP_TABLE(routes);
