/* GET /v1/statements/{month}. */
#include <string.h>

#include "broker/base/json.h"
#include "metering/cursor.h"
#include "metering/routes.h"
#include "metering/statement.h"

static void put_sums(json_t *json, const struct statement_row *row)
{
    json_put_yuan(json, "charges_yuan", row->charges_fen);
    json_put_yuan(json, "adjustments_yuan", row->adjustments_fen);
    json_put_yuan(json, "amount_yuan", row->amount_fen);
    json_put_yuan(json, "free_yuan", row->free_fen);
    json_put_int(json, "lines", row->line_count);
    if (row->unpriced)
        json_put_int(json, "unpriced_lines", row->unpriced);
}

static json_t *row_json(struct arena *arena, const struct statement_row *row, struct month month)
{
    json_t *json = json_object();
    for (int i = 0; i < STATEMENT_DIMENSIONS; i++)
        json_put_text(json, statement_dimension_names[i], row->keys[i]);
    if (row->keys[STATEMENT_ITEM]) {
        json_put_text(json, "item_name", item_find(row->keys[STATEMENT_ITEM])->name);
        if (row->price_fen)
            json_put_yuan(json, "price_yuan", row->price_fen);
        json_put_text(json, "average_quantity", statement_average(arena, row->usage, month));
        json_put_text(json, "usage_unit_hours", statement_unit_hours(arena, row->usage));
    }
    put_sums(json, row);
    return json;
}

/* Keeps the lines that the query's filters let through. */
static size_t filter_lines(struct http_call *call, struct bill_line *lines, size_t count)
{
    const char *wanted[STATEMENT_DIMENSIONS];
    size_t kept = 0;
    for (int i = 0; i < STATEMENT_DIMENSIONS; i++)
        wanted[i] = http_query(call, statement_dimension_names[i]);
    for (size_t i = 0; i < count; i++) {
        const char *keys[STATEMENT_DIMENSIONS];
        statement_keys(&lines[i], keys);
        bool keep = true;
        for (int d = 0; d < STATEMENT_DIMENSIONS; d++)
            keep = keep && (!wanted[d] || !strcmp(wanted[d], keys[d]));
        if (keep)
            lines[kept++] = lines[i];
    }
    return kept;
}

static const char *key_text(const struct statement_row *row, int dimension)
{
    return row->keys[dimension] ? row->keys[dimension] : "";
}

/* The first row behind the cursor: rows are sorted by their keys. */
static struct error *first_row(struct http_call *call, const struct statement *statement, const char *cursor,
                               size_t *ret_first)
{
    const char *parts[STATEMENT_DIMENSIONS];
    size_t first = 0;
    if (cursor) {
        TRY(cursor_split(call->arena, cursor, parts, STATEMENT_DIMENSIONS));
        for (; first < statement->count; first++) {
            int order = 0;
            for (int d = 0; d < STATEMENT_DIMENSIONS && !order; d++)
                order = strcmp(key_text(&statement->rows[first], d), parts[d]);
            if (order > 0)
                break;
        }
    }
    *ret_first = first;
    return NULL;
}

static void put_month(json_t *body, const struct bill_month *state, struct month month, moment now)
{
    json_put_text(body, "month", state->month);
    json_put_text(body, "state", state->closed ? "closed" : "open");
    json_put_moment(body, "from", month_start(month));
    json_put_moment(body, "to", month_end(month));
    json_put_int(body, "hours", (month_end(month) - month_start(month)) / MOMENT_HOUR);
    if (state->closed)
        json_put_text(body, "digest_sm3", state->digest);
    else
        json_put_moment(body, "until", now < month_end(month) ? now : month_end(month));
}

static struct error *get_statement(struct http_call *call, struct http_answer *ret_answer)
{
    struct month month;
    struct http_page page;
    struct bill_month state;
    struct bill_line *lines;
    struct statement statement;
    size_t count, first, shown = 0;
    unsigned mask;
    TRY(error_recode(month_parse(http_param(call, "month"), &month), ERR_NOT_FOUND, "no such month"));
    TRY(statement_parse(http_query(call, "group_by"), &mask));
    TRY(http_page(call, &page));
    TRY(statement_lines(call->db, call->arena, month, call->now, &state, &lines, &count));
    count = filter_lines(call, lines, count);
    TRY(statement_group(call->arena, lines, count, mask, &statement));
    TRY(first_row(call, &statement, page.after, &first));
    json_t *body = json_object(), *rows = json_array(), *total = json_object();
    put_month(body, &state, month, call->now);
    json_put(body, "rows", rows);
    for (; first + shown < statement.count && shown < (size_t)page.size; shown++)
        json_push(rows, row_json(call->arena, &statement.rows[first + shown], month));
    put_sums(total, &statement.total);
    json_put(body, "total", total);
    if (first + shown < statement.count) {
        const struct statement_row *last = &statement.rows[first + shown - 1];
        const char *next = key_text(last, 0);
        for (int d = 1; d < STATEMENT_DIMENSIONS; d++)
            next = arena_printf(call->arena, "%s|%s", next, key_text(last, d));
        http_page_next(call, body, next);
    }
    *ret_answer = (struct http_answer){.status = 200, .body = body};
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/statements/{month}", get_statement, "statements:read", 0,
     "group_by,unit,system,cloud,provider,item,industry,zone,architecture,tariff,page_size,page_token"},
};

const struct http_table statement_routes = HTTP_TABLE(routes);
