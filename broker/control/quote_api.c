/* POST /v1/quotes: what a set of resources would cost on one cloud, several or all, cheapest first. Makes
 * nothing, so it takes no Idempotency-Key. The sums are catalog/quote.h's; which provider runs a cloud is
 * known here. */
#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/control/routes.h"
#include "catalog/quote.h"

#define QUOTE_CLOUDS_MAX 1000

struct quote_body {
    struct json_list resources; /* of struct quote_request */
    int64_t months;
    struct json_texts clouds; /* none: all */
};

static const struct db_statement clouds_of_quote = {
    "quote_clouds", "SELECT id, name, kind, provider_id FROM cloud"
                    " WHERE state = 'active' AND ($1::text[] IS NULL OR id = ANY ($1)) ORDER BY id LIMIT $2"};

struct offer {
    const char *cloud, *name, *kind, *provider;
    struct quote quote;
    const char *unavailable; /* why there is no quote; NULL: there is one */
};

static int compare_offer(const void *left, const void *right)
{
    const struct offer *a = left, *b = right;
    if (!a->unavailable != !b->unavailable)
        return a->unavailable ? 1 : -1;
    if (a->quote.monthly_fen != b->quote.monthly_fen)
        return a->quote.monthly_fen < b->quote.monthly_fen ? -1 : 1;
    return strcmp(a->cloud, b->cloud);
}

/* Prices one cloud; a provider that cannot price the set is an answer, not a failure. */
static struct error *price_offer(struct http_call *call, const struct quote_resource *resources, size_t count,
                                 struct offer *offer)
{
    struct error *error =
        quote_price(call->db, call->arena, offer->provider, call->now, resources, count, &offer->quote);
    if (error && error_code(error) == ERR_CONFLICT) {
        offer->unavailable = arena_strdup(call->arena, error_message(error));
        error_free(error);
        return NULL;
    }
    return error;
}

static struct error *find_clouds(struct http_call *call, const struct json_texts *wanted,
                                 struct offer **ret_offers, size_t *ret_count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(call->db, &clouds_of_quote,
                 DB_VALUES(wanted->count ? db_texts(wanted->items, wanted->count) : db_null(),
                           db_int(QUOTE_CLOUDS_MAX)),
                 &rows));
    size_t count = db_count(rows);
    struct offer *offers = arena_array(call->arena, count, sizeof *offers);
    struct error *errors = NULL;
    for (size_t i = 0; i < count; i++) {
        offers[i].cloud = arena_strdup(call->arena, db_get_text(rows, i, 0));
        offers[i].name = arena_strdup(call->arena, db_get_text(rows, i, 1));
        offers[i].kind = arena_strdup(call->arena, db_get_text(rows, i, 2));
        offers[i].provider = arena_strdup(call->arena, db_get_text(rows, i, 3));
    }
    for (size_t i = 0; i < wanted->count; i++) {
        size_t found = 0;
        while (found < count && strcmp(offers[found].cloud, wanted->items[i]) != 0)
            found++;
        if (found == count)
            error_collect(&errors, arena_printf(call->arena, "/clouds/%zu", i), "is not an active cloud");
    }
    *ret_offers = offers;
    *ret_count = count;
    return errors;
}

static struct error *offer_json(const struct offer *offer, int64_t months, json_t **ret_json)
{
    json_t *json = NULL;
    if (offer->unavailable) {
        json = json_object();
        json_put_text(json, "unavailable", offer->unavailable);
    } else {
        TRY(quote_json(&offer->quote, months, &json));
    }
    json_put_text(json, "cloud", offer->cloud);
    json_put_text(json, "cloud_name", offer->name);
    json_put_text(json, "cloud_kind", offer->kind);
    json_put_text(json, "provider", offer->provider);
    *ret_json = json;
    return NULL;
}

static const struct json_member quote_members[] = {
    {JSON_MEMBER(struct quote_body, resources), .want = JSON_WANT_LIST, .flags = JSON_REQUIRED, .min = 1,
     .max = QUOTE_RESOURCES_MAX, .spec = &quote_request_spec},
    {JSON_MEMBER(struct quote_body, months), .want = JSON_WANT_INT, .min = 1, .max = QUOTE_MONTHS_MAX},
    {JSON_MEMBER(struct quote_body, clouds), .want = JSON_WANT_TEXTS, .min = 1, .max = 100},
};
static const struct json_spec quote_spec = JSON_SPEC(struct quote_body, quote_members);

static struct error *make_quotes(struct http_call *call, struct http_answer *ret_answer)
{
    struct quote_body body = {.months = 1};
    struct quote_resource *resources;
    struct offer *offers;
    size_t count, offer_count;
    TRY(http_read_body(call, &quote_spec, &body));
    count = body.resources.count;
    TRY(error_under(quote_read(call->arena, body.resources.items, count, &resources), "/resources"));
    TRY(find_clouds(call, &body.clouds, &offers, &offer_count));
    for (size_t i = 0; i < offer_count; i++)
        TRY_DOING(price_offer(call, resources, count, &offers[i]), "could not price cloud \"%s\"",
                  offers[i].cloud);
    if (offer_count)
        qsort(offers, offer_count, sizeof *offers, compare_offer);
    json_t *json = json_hold(call->arena, json_object()), *rows = json_array();
    json_put_moment(json, "at", call->now);
    json_put(json, "quotes", rows);
    for (size_t i = 0; i < offer_count; i++) {
        json_t *row;
        TRY(offer_json(&offers[i], body.months, &row));
        json_push(rows, row);
    }
    *ret_answer = (struct http_answer){.status = 200, .body = json_incref(json)};
    return NULL;
}

static const struct http_route routes[] = {
    {"POST", "/v1/quotes", make_quotes, "quotes:write", 0, NULL},
};

const struct http_table quote_routes = HTTP_TABLE(routes);
