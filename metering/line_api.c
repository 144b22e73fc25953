/* GET /v1/lines and GET /v1/bills/{id}/lines/{line}/usage: from a total to lines, from a line to the
 * intervals that made it, from an interval to the operations of its resource. */
#include "broker/base/json.h"
#include "catalog/provider.h"
#include "metering/archive.h"
#include "metering/cursor.h"
#include "metering/line_json.h"
#include "metering/line_usage.h"
#include "metering/routes.h"
#include "metering/usage.h"

/* Digits up to a line's highest number; 0: something else. */
static int64_t number_of(const char *text)
{
    int64_t value = 0;
    for (const char *at = text; *at; at++) {
        if (*at < '0' || *at > '9' || value > INT32_MAX / 10)
            return 0;
        value = value * 10 + (*at - '0');
    }
    return value;
}

static struct error *found_json(struct arena *arena, const struct bill_found *found, json_t **ret_json)
{
    json_t *json = json_hold(arena, json_object()), *bill = json_object();
    json_put(json, "bill", bill);
    json_put_text(bill, "id", found->bill);
    json_put_text(bill, "number", bill_number(arena, found->month, found->line.provider, found->line.unit));
    json_put_text(json, "unit", found->line.unit);
    json_put_text(json, "provider", found->line.provider);
    json_put_text(json, "month", found->month);
    TRY(line_json_put(arena, json, &found->line, found->number));
    json_put_text(
        json, "usage",
        arena_printf(arena, "/v1/bills/%s/lines/%lld/usage", found->bill, (long long)found->number));
    *ret_json = json_incref(json);
    return NULL;
}

static struct error *read_cursor(struct http_call *call, const char *text, struct bill_found *ret_after)
{
    const char *parts[4];
    TRY(cursor_split(call->arena, text, parts, 4));
    *ret_after = (struct bill_found){
        .line = {.unit = parts[0]}, .month = parts[1], .bill = parts[2], .number = number_of(parts[3])};
    return NULL;
}

static struct error *list_lines(struct http_call *call, struct http_answer *ret_answer)
{
    struct http_page page;
    struct bill_found after, *list;
    size_t count;
    const struct bill_line_filter filter = {.month = http_query(call, "month"),
                                            .type = http_query(call, "type"),
                                            .charge_month = http_query(call, "charge_month"),
                                            .unit = http_query(call, "unit"),
                                            .system = http_query(call, "system"),
                                            .cloud = http_query(call, "cloud"),
                                            .provider = http_query(call, "provider"),
                                            .item = http_query(call, "item"),
                                            .industry = http_query(call, "industry"),
                                            .zone = http_query(call, "zone"),
                                            .architecture = http_query(call, "architecture"),
                                            .tariff = http_query(call, "tariff")};
    struct archive_bounds bounds;
    TRY(http_page(call, &page));
    TRY(archive_bounds(call->db, &bounds));
    if (page.after)
        TRY(read_cursor(call, page.after, &after));
    TRY(bill_find_lines(call->db, call->arena, &filter, page.after ? &after : NULL, page.size + 1, &list,
                        &count));
    json_t *body = json_hold(call->arena, json_object()), *rows = json_array();
    json_put(body, "lines", rows);
    archive_put_until(body, bounds.bills);
    for (size_t i = 0; i < count && i < (size_t)page.size; i++) {
        json_t *json;
        TRY(found_json(call->arena, &list[i], &json));
        json_push(rows, json);
    }
    if (count > (size_t)page.size) {
        const struct bill_found *last = &list[page.size - 1];
        http_page_next(call, body,
                       arena_printf(call->arena, "%s|%s|%s|%lld", last->line.unit, last->month, last->bill,
                                    (long long)last->number));
    }
    *ret_answer = (struct http_answer){.status = 200, .body = json_incref(body)};
    return NULL;
}

static void put_wide(json_t *json, const char *name, wide value)
{
    char text[WIDE_TEXT];
    json_put_text(json, name, wide_format(value, text));
}

static json_t *share_json(struct arena *arena, const struct line_share *share)
{
    const struct rate_interval *interval = share->interval;
    json_t *json = json_object();
    json_put_text(json, "resource", interval->resource);
    json_put_quantity(json, "quantity", interval->micro);
    json_put_moment(json, "from", interval->from);
    if (interval->to != MOMENT_MAX)
        json_put_moment(json, "to", interval->to);
    put_wide(json, "usage_exact", share->usage);
    if (share->spans)
        json_put_int(json, "spans", share->spans);
    json_put_text(json, "operations", arena_printf(arena, "/v1/operations?resource=%s", interval->resource));
    return json;
}

/* The shares, a page of them; the cursor is how many were shown. */
static struct error *put_shares(struct http_call *call, json_t *body, const struct line_share *shares,
                                size_t count)
{
    struct http_page page;
    json_t *rows = json_array();
    json_put(body, "intervals", rows);
    TRY(http_page(call, &page));
    size_t first = page.after ? (size_t)number_of(page.after) : 0, shown = 0;
    for (; first + shown < count && shown < (size_t)page.size; shown++)
        json_push(rows, share_json(call->arena, &shares[first + shown]));
    if (first + shown < count)
        http_page_next(call, body, arena_printf(call->arena, "%zu", first + shown));
    return NULL;
}

static const char *proration_name(int proration)
{
    static const char *const names[] = {
        [PRORATION_EXACT] = "exact", [PRORATION_DAY] = "day", [PRORATION_MONTH] = "month"};
    return names[proration];
}

static struct error *line_intervals(struct http_call *call, struct http_answer *ret_answer)
{
    struct bill_found found;
    struct month month;
    struct agreement agreement;
    struct rate_interval *intervals;
    struct line_share *shares;
    size_t interval_count, count;
    wide usage = 0, billed;
    TRY(bill_find_line(call->db, call->arena, http_param(call, "id"), number_of(http_param(call, "line")),
                       &found));
    TRY(month_parse(found.line.charge_month, &month));
    TRY(archive_refuse_usage(call->db, month));
    TRY(provider_agreement(call->db, found.line.provider, month_start(month), &agreement));
    TRY(usage_intervals(call->db, call->arena, found.line.unit, month_start(month), month_end(month),
                        &intervals, &interval_count));
    TRY(line_usage(call->arena, &found.line, agreement.proration, intervals, interval_count, &shares,
                   &count));
    TRY(bill_usage_billed(call->db, &found.line, &billed));
    for (size_t i = 0; i < count; i++)
        usage += shares[i].usage;
    json_t *body = json_hold(call->arena, json_object()), *line;
    TRY(found_json(call->arena, &found, &line));
    json_put(body, "line", line);
    json_put_text(body, "proration", proration_name(agreement.proration));
    TRY(put_shares(call, body, shares, count));
    put_wide(body, "usage_exact", usage);
    put_wide(body, "billed_exact", billed);
    put_wide(body, "unbilled_exact", usage - billed);
    *ret_answer = (struct http_answer){.status = 200, .body = json_incref(body)};
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/lines", list_lines, "bills:read", 0,
     "month,type,charge_month,unit,system,cloud,provider,item,industry,zone,architecture,tariff,page_size,"
     "page_token"},
    {"GET", "/v1/bills/{id}/lines/{line}/usage", line_intervals, "bills:read", 0, "page_size,page_token"},
};

const struct http_table line_routes = HTTP_TABLE(routes);
