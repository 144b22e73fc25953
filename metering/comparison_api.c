/* GET /v1/units/{unit}/comparison. */
#include "broker/base/json.h"
#include "catalog/agreement.h"
#include "metering/comparison.h"
#include "metering/routes.h"
#include "metering/statement_view.h"

static json_t *items_json(const struct statement *sums)
{
    json_t *items = json_array();
    for (size_t i = 0; i < sums->count; i++) {
        const struct statement_row *row = &sums->rows[i];
        json_t *json = json_object();
        statement_keys_put(json, row);
        json_put_yuan(json, "amount_yuan", row->amount_fen);
        json_put_yuan(json, "free_yuan", row->free_fen);
        if (row->unpriced)
            json_put_int(json, "unpriced_lines", row->unpriced);
        json_push(items, json);
    }
    return items;
}

static json_t *offer_json(const struct comparison_offer *offer)
{
    static const char *const prorations[] = {
        [PRORATION_EXACT] = "exact", [PRORATION_DAY] = "day", [PRORATION_MONTH] = "month"};
    const struct statement_row *total = &offer->sums.total;
    json_t *json = json_object();
    json_put_text(json, "provider", offer->provider);
    if (offer->provider)
        json_put_text(json, "proration", prorations[offer->proration]);
    json_put_yuan(json, "amount_yuan", total->amount_fen);
    json_put_yuan(json, "free_yuan", total->free_fen);
    if (total->unpriced)
        json_put_int(json, "unpriced_lines", total->unpriced);
    json_put(json, "items", items_json(&offer->sums));
    return json;
}

static struct error *get_comparison(struct http_call *call, struct http_answer *ret_answer)
{
    const char *unit = http_param(call, "unit");
    struct month month = month_previous(month_of(call->now));
    struct comparison comparison;
    char text[8];
    TRY(statement_month_read(call, "month", &month));
    TRY(comparison_make(call->db, call->arena, unit, month, call->now, &comparison));
    if (!comparison.intervals && !principal_sees_unit(call->principal, unit))
        return error_new(ERR_NOT_FOUND, "no such unit");
    month_format(month, text);
    json_t *body = json_object(), *offers = json_array();
    json_put_text(body, "unit", unit);
    json_put_text(body, "month", text);
    json_put_moment(body, "until", comparison.until);
    json_put(body, "actual", offer_json(&comparison.actual));
    json_put(body, "providers", offers);
    for (size_t i = 0; i < comparison.count; i++) {
        json_t *offer = offer_json(&comparison.offers[i]);
        json_put_yuan(offer, "difference_yuan",
                      comparison.offers[i].sums.total.amount_fen - comparison.actual.sums.total.amount_fen);
        json_push(offers, offer);
    }
    *ret_answer = (struct http_answer){.status = 200, .body = body};
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/units/{unit}/comparison", get_comparison, "bills:read", 0, "month"},
};

const struct http_table comparison_routes = HTTP_TABLE(routes);
