/* /v1/prices: what each provider asks for an item at a time; /v1/providers/{id}/prices: one provider's. Not
 * paged: 23 items × the providers of one city. */
#include "broker/base/json.h"
#include "catalog/price.h"
#include "catalog/provider.h"
#include "catalog/routes.h"

static struct error *asked_moment(struct http_call *call, moment *ret_at)
{
    const char *text = http_query(call, "at");
    *ret_at = call->now;
    if (!text)
        return NULL;
    return error_recode(moment_parse(text, ret_at), ERR_INVALID, "the query member at");
}

static json_t *offer_json(const struct price_offer *offer)
{
    const struct item *item = item_find(offer->item);
    json_t *json = json_object();
    json_put_text(json, "provider", offer->provider);
    json_put_text(json, "provider_name", offer->provider_name);
    json_put_text(json, "item", offer->item);
    json_put_text(json, "item_name", item->name);
    json_put_yuan(json, "price_yuan", offer->fen);
    json_put_yuan(json, "cap_yuan", item->cap_fen);
    json_put_int(json, "billing_quantity", item->billing_quantity);
    json_put_text(json, "unit", item->unit);
    return json;
}

static struct error *answer(struct http_call *call, const char *item, const char *provider,
                            struct http_answer *ret_answer)
{
    moment at;
    struct price_offer *list;
    size_t count;
    TRY(asked_moment(call, &at));
    TRY(price_compare(call->db, call->arena, item, provider, at, &list, &count));
    json_t *body = json_object(), *rows = json_array();
    for (size_t i = 0; i < count; i++)
        json_push(rows, offer_json(&list[i]));
    json_put_moment(body, "at", at);
    json_put(body, "prices", rows);
    *ret_answer = (struct http_answer){.status = 200, .body = body};
    return NULL;
}

static struct error *compare_prices(struct http_call *call, struct http_answer *ret_answer)
{
    const char *item = http_query(call, "item");
    if (item && !item_find(item))
        return error_new(ERR_INVALID, "the query member item: not a priced item");
    return answer(call, item, NULL, ret_answer);
}

static struct error *provider_prices(struct http_call *call, struct http_answer *ret_answer)
{
    struct provider provider;
    TRY(provider_get(call->db, call->arena, http_param(call, "id"), &provider));
    return answer(call, NULL, provider.id, ret_answer);
}

static const struct http_route routes[] = {
    {"GET", "/v1/prices", compare_prices, "prices:read", 0, "item,at"},
    {"GET", "/v1/providers/{id}/prices", provider_prices, "prices:read", 0, "at"},
};

const struct http_table price_routes = HTTP_TABLE(routes);
