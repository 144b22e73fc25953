/* /v1/providers/{id}/bids and /v1/bids/{id}. */
#include "broker/base/id.h"
#include "broker/base/json.h"
#include "catalog/bid.h"
#include "catalog/provider.h"
#include "catalog/routes.h"

struct bid_body {
    json_t *prices;
    const char *note;
};

static const struct json_member bid_members[] = {
    {JSON_MEMBER(struct bid_body, prices), .want = JSON_WANT_ANY, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct bid_body, note), .want = JSON_WANT_TEXT, .min = 1, .max = 1000},
};
static const struct json_spec bid_spec = JSON_SPEC(struct bid_body, bid_members);

struct approve_body {
    struct month valid_from;
};

static const struct json_member approve_members[] = {
    {JSON_MEMBER(struct approve_body, valid_from), .want = JSON_WANT_MONTH, .flags = JSON_REQUIRED},
};
static const struct json_spec approve_spec = JSON_SPEC(struct approve_body, approve_members);

static json_t *to_json(const struct bid *bid)
{
    char total[WEIGHTED_TEXT];
    json_t *json = json_object();
    json_put_text(json, "id", bid->id);
    json_put_text(json, "provider", bid->provider);
    json_put_text(json, "state", bid->state);
    json_put_text(json, "weighted_total_yuan", item_weighted_format(bid->weighted_total, total));
    json_put(json, "prices", json_incref(bid->prices));
    json_put_text(json, "note", bid->note);
    json_put_text(json, "submitted_by", bid->submitted_by);
    json_put_moment(json, "submitted_at", bid->submitted_at);
    json_put_text(json, "approved_by", bid->approved_by);
    if (bid->approved_at)
        json_put_moment(json, "approved_at", bid->approved_at);
    return json;
}

static struct error *provider_of_call(struct http_call *call, struct provider *ret_provider)
{
    const char *id = http_param(call, "id");
    if (!principal_sees_provider(call->principal, id))
        return error_new(ERR_NOT_FOUND, "no provider of this id");
    return provider_get(call->db, call->arena, id, ret_provider);
}

static struct error *add_bid(struct http_call *call, struct http_answer *ret_answer)
{
    struct provider provider;
    struct bid_body body = {0};
    int64_t fen[ITEM_COUNT];
    TRY(provider_of_call(call, &provider));
    TRY(http_read_body(call, &bid_spec, &body));
    TRY(error_under(bid_read(body.prices, fen), "/prices"));
    struct bid bid = {
        .id = id_new_in(call->arena),
        .provider = provider.id,
        .state = "submitted",
        .prices = body.prices,
        .weighted_total = item_weighted_total(fen),
        .note = body.note,
        .submitted_by = principal_id(call->principal),
        .submitted_at = call->now,
    };
    TRY(bid_add(call->db, &bid));
    *ret_answer = (struct http_answer){.status = 201,
                                       .body = to_json(&bid),
                                       .location = arena_printf(call->arena, "/v1/bids/%s", bid.id),
                                       .audit_subject = bid.id};
    return NULL;
}

static struct error *list_bids(struct http_call *call, struct http_answer *ret_answer)
{
    struct provider provider;
    struct http_page page;
    struct bid *list;
    size_t count;
    TRY(provider_of_call(call, &provider));
    TRY(http_page(call, &page));
    TRY(bid_list(call->db, call->arena, provider.id, page.after, page.size + 1, &list, &count));
    json_t *body = json_object(), *rows = json_array();
    json_put(body, "bids", rows);
    for (size_t i = 0; i < count && i < (size_t)page.size; i++)
        json_push(rows, to_json(&list[i]));
    if (count > (size_t)page.size)
        http_page_next(call, body, list[page.size - 1].id);
    *ret_answer = (struct http_answer){.status = 200, .body = body};
    return NULL;
}

static struct error *get_bid(struct http_call *call, struct http_answer *ret_answer)
{
    struct bid bid;
    TRY(bid_get(call->db, call->arena, http_param(call, "id"), &bid));
    *ret_answer = (struct http_answer){.status = 200, .body = to_json(&bid)};
    return NULL;
}

static struct error *approve_bid(struct http_call *call, struct http_answer *ret_answer)
{
    struct approve_body body = {0};
    struct bid bid;
    const char *id = http_param(call, "id"), *book;
    TRY(http_read_body(call, &approve_spec, &body));
    TRY(bid_approve(call->db, call->arena, id, body.valid_from, principal_id(call->principal), call->now,
                    &book));
    TRY(bid_get(call->db, call->arena, id, &bid));
    json_t *json = to_json(&bid);
    json_put_text(json, "price_book", book);
    *ret_answer = (struct http_answer){.status = 200, .body = json, .audit_subject = bid.id};
    return NULL;
}

static const struct http_route routes[] = {
    {"POST", "/v1/providers/{id}/bids", add_bid, "bids:write", HTTP_KEYED, NULL},
    {"GET", "/v1/providers/{id}/bids", list_bids, "bids:read", 0, "page_size,page_token"},
    {"GET", "/v1/bids/{id}", get_bid, "bids:read", 0, NULL},
    {"POST", "/v1/bids/{id}:approve", approve_bid, "bids:approve", HTTP_KEYED, NULL},
};

const struct http_table bid_routes = HTTP_TABLE(routes);
