/* GET /v1/usage: the intervals behind the money. */
#include "broker/base/json.h"
#include "metering/archive.h"
#include "metering/cursor.h"
#include "metering/routes.h"
#include "metering/usage.h"

static struct error *query_moment(struct http_call *call, const char *name, moment *ret_at)
{
    const char *text = http_query(call, name);
    if (!text)
        return NULL;
    return error_recode(moment_parse(text, ret_at), ERR_INVALID, "the query member %s", name);
}

/* Those of the place that there are. */
static void place_json(json_t *json, const char *industry, const char *zone, const char *architecture)
{
    json_put_text(json, "industry", *industry ? industry : NULL);
    json_put_text(json, "zone", *zone ? zone : NULL);
    json_put_text(json, "architecture", *architecture ? architecture : NULL);
}

static json_t *to_json(const struct usage_row *row)
{
    const struct rate_interval *interval = &row->interval;
    const struct item *item = item_find(interval->item);
    json_t *json = json_object();
    json_put_text(json, "unit", interval->unit);
    json_put_text(json, "system", interval->system);
    json_put_text(json, "cloud", interval->cloud);
    json_put_text(json, "provider", interval->provider);
    json_put_text(json, "resource", interval->resource);
    json_put_text(json, "kind", row->kind);
    json_put_text(json, "item", interval->item);
    json_put_text(json, "tariff", tariff_name(interval->tariff));
    place_json(json, interval->industry, interval->zone, interval->architecture);
    json_put_quantity(json, "quantity", interval->micro);
    json_put_int(json, "billing_quantity", item->billing_quantity);
    json_put_text(json, "billing_unit", item->unit);
    json_put_moment(json, "from", interval->from);
    if (interval->to != MOMENT_MAX)
        json_put_moment(json, "to", interval->to);
    json_put_bool(json, "open", interval->to == MOMENT_MAX);
    return json;
}

static struct error *read_cursor(struct http_call *call, const char *text, struct usage_cursor *ret_cursor)
{
    const char *parts[5];
    TRY(cursor_split(call->arena, text, parts, 5));
    *ret_cursor =
        (struct usage_cursor){.unit = parts[0], .resource = parts[1], .item = parts[2], .tariff = parts[3]};
    return error_recode(moment_parse(parts[4], &ret_cursor->from), ERR_INVALID,
                        "the query member page_token");
}

static struct error *list_usage(struct http_call *call, struct http_answer *ret_answer)
{
    struct http_page page;
    struct usage_cursor cursor;
    struct usage_row *list;
    size_t count;
    struct usage_filter filter = {
        .unit = http_query(call, "unit"),
        .system = http_query(call, "system"),
        .cloud = http_query(call, "cloud"),
        .provider = http_query(call, "provider"),
        .resource = http_query(call, "resource"),
        .item = http_query(call, "item"),
    };
    struct archive_bounds bounds;
    TRY(archive_bounds(call->db, &bounds));
    TRY(query_moment(call, "from", &filter.from));
    TRY(query_moment(call, "to", &filter.to));
    TRY(http_page(call, &page));
    if (page.after)
        TRY(read_cursor(call, page.after, &cursor));
    TRY(usage_list(call->db, call->arena, &filter, page.after ? &cursor : NULL, page.size + 1, &list,
                   &count));
    json_t *body = json_object(), *rows = json_array();
    json_put(body, "usage", rows);
    if (filter.from < bounds.usage)
        archive_put_until(body, bounds.usage);
    for (size_t i = 0; i < count && i < (size_t)page.size; i++)
        json_push(rows, to_json(&list[i]));
    if (count > (size_t)page.size) {
        const struct rate_interval *last = &list[page.size - 1].interval;
        http_page_next(call, body,
                       arena_printf(call->arena, "%s|%s|%s|%s|%s", last->unit, last->resource, last->item,
                                    tariff_name(last->tariff), moment_text(call->arena, last->from)));
    }
    *ret_answer = (struct http_answer){.status = 200, .body = body};
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/usage", list_usage, "usage:read", 0,
     "unit,system,cloud,provider,resource,item,from,to,page_size,page_token"},
};

const struct http_table usage_routes = HTTP_TABLE(routes);
