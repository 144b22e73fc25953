/* What was billed of a resource while a case lasted that ended by itself; see drift.h. */
#include <string.h>

#include "broker/base/json.h"
#include "broker/base/money.h"
#include "broker/control/drift.h"
#include "catalog/price.h"
#include "catalog/provider.h"
#include "metering/rate.h"
#include "metering/usage.h"

#define MONTHS_MAX 120     /* a case that lasted longer is told without an amount */
#define INTERVALS_MAX 1000 /* of the resource meanwhile; likewise */

struct billing {
    struct db *db;
    struct arena *arena;
    const char *provider;
    struct rate_interval *intervals;
    size_t count;
    moment to;
    int64_t fen;
    bool priced;
};

static struct error *add_month(struct billing *billing, struct month month)
{
    struct price_period *prices;
    struct rate_provider provider = {.id = billing->provider};
    struct agreement agreement;
    struct rate_line *lines;
    size_t count;
    moment end = month_end(month);
    TRY(price_periods(billing->db, billing->arena, billing->provider, month_start(month), end, &prices,
                      &provider.price_count));
    TRY(provider_agreement(billing->db, billing->provider, month_start(month), &agreement));
    provider.prices = prices;
    provider.proration = agreement.proration;
    TRY(rate_month(billing->arena, billing->intervals, billing->count, &provider, 1, month,
                   billing->to < end ? billing->to : end, &lines, &count));
    for (size_t i = 0; i < count; i++) {
        billing->priced = billing->priced && lines[i].priced;
        TRY(money_add(billing->fen, lines[i].amount_fen, &billing->fen));
    }
    return NULL;
}

static json_t *interval_json(const struct rate_interval *interval, moment to)
{
    json_t *json = json_object();
    json_put_text(json, "item", interval->item);
    json_put_text(json, "tariff", tariff_name(interval->tariff));
    json_put_quantity(json, "quantity", interval->micro);
    json_put_moment(json, "from", interval->from);
    json_put_moment(json, "to", interval->to < to ? interval->to : to);
    return json;
}

/* The intervals within [from, to). */
static struct error *read_usage(struct billing *billing, const char *unit, const char *resource, moment from)
{
    struct usage_row *rows;
    TRY(usage_list(
        billing->db, billing->arena,
        &(struct usage_filter){.unit = unit, .resource = resource, .from = from, .to = billing->to}, NULL,
        INTERVALS_MAX + 1, &rows, &billing->count));
    billing->intervals = arena_array(billing->arena, billing->count, sizeof *billing->intervals);
    for (size_t i = 0; i < billing->count; i++) {
        billing->intervals[i] = rows[i].interval;
        if (billing->intervals[i].from < from)
            billing->intervals[i].from = from;
    }
    return NULL;
}

struct error *drift_meanwhile(struct db *db, struct arena *arena, const struct drift_lasted *lasted,
                              json_t **ret_json)
{
    struct billing billing = {
        .db = db, .arena = arena, .provider = lasted->provider, .to = lasted->to, .priced = true};
    json_t *json = json_hold(arena, json_object()), *items = json_array();
    struct month month = month_of(lasted->from);
    int months = 0;
    json_put_moment(json, "from", lasted->from);
    json_put_moment(json, "to", lasted->to);
    json_put(json, "usage", items);
    *ret_json = json;
    TRY(read_usage(&billing, lasted->unit, lasted->resource, lasted->from));
    if (billing.count > INTERVALS_MAX)
        return NULL;
    for (size_t i = 0; i < billing.count; i++)
        json_push(items, interval_json(&billing.intervals[i], lasted->to));
    for (; month_start(month) < lasted->to && months < MONTHS_MAX; month = month_next(month), months++)
        TRY(add_month(&billing, month));
    if (billing.priced && month_start(month) >= lasted->to)
        json_put_yuan(json, "billed_yuan", billing.fen);
    return NULL;
}
