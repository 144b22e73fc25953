/* Query members and rows of the statement; see statement_view.h. */
#include "metering/statement_view.h"

#include "broker/base/json_write.h"

struct error *statement_ask_read(struct http_call *call, struct statement_ask *ret_ask)
{
    struct statement_ask ask = {.now = call->now,
                                .scope_of_units = principal_scope(call->principal)->units != NULL};
    TRY(statement_parse(http_query(call, "group_by"), &ask.mask));
    for (int i = 0; i < STATEMENT_DIMENSIONS; i++)
        if (i != STATEMENT_MONTH)
            ask.only[i] = http_query(call, statement_dimension_names[i]);
    *ret_ask = ask;
    return NULL;
}

struct error *statement_month_read(struct http_call *call, const char *name, struct month *month)
{
    const char *text = http_query(call, name);
    struct error *error = text ? month_parse(text, month) : NULL;
    if (!error)
        return NULL;
    error_ignore(error);
    return error_member(arena_printf(call->arena, "?%s", name), "must be a month such as 2026-11");
}

struct error *statement_range_read(struct http_call *call, struct month *ret_from, struct month *ret_to)
{
    struct month to = month_of(call->now), from;
    TRY(statement_month_read(call, "to", &to));
    from = (struct month){to.year, 1};
    TRY(statement_month_read(call, "from", &from));
    *ret_from = from;
    *ret_to = to;
    return NULL;
}

void statement_keys_put(json_t *json, const struct statement_row *row)
{
    for (int i = 0; i < STATEMENT_DIMENSIONS; i++)
        json_put_text(json, statement_dimension_names[i], row->keys[i]);
    const struct item *item = row->keys[STATEMENT_ITEM] ? item_find(row->keys[STATEMENT_ITEM]) : NULL;
    if (item)
        json_put_text(json, "item_name", item->name);
}

/* The time that a row is of: its month when rows are by month, else the whole range. */
static int64_t length_of(const struct statement_row *row, const struct statement_ask *ask)
{
    struct month month;
    const char *text = row->keys[STATEMENT_MONTH];
    struct error *error = text ? month_parse(text, &month) : NULL;
    if (!text || error) {
        error_ignore(error);
        return month_end(ask->to) - month_start(ask->from);
    }
    return month_end(month) - month_start(month);
}

static void sums_write(struct buf *buf, const struct statement_row *row)
{
    json_write_yuan(buf, "charges_yuan", row->charges_fen);
    json_write_yuan(buf, "adjustments_yuan", row->adjustments_fen);
    json_write_yuan(buf, "amount_yuan", row->amount_fen);
    json_write_yuan(buf, "free_yuan", row->free_fen);
    json_write_int(buf, "lines", row->line_count);
    if (row->unpriced)
        json_write_int(buf, "unpriced_lines", row->unpriced);
}

void statement_row_write(struct buf *buf, struct arena *arena, const struct statement_row *row,
                         const struct statement_ask *ask)
{
    const char *code = row->keys[STATEMENT_ITEM];
    const struct item *item = code ? item_find(code) : NULL;
    json_write_object(buf, NULL);
    sums_write(buf, row);
    for (int i = 0; i < STATEMENT_DIMENSIONS; i++)
        json_write_text(buf, statement_dimension_names[i], row->keys[i]);
    if (item)
        json_write_text(buf, "item_name", item->name);
    if (code) {
        if (row->price_fen)
            json_write_yuan(buf, "price_yuan", row->price_fen);
        json_write_text(buf, "average_quantity",
                        statement_average_over(arena, row->usage, length_of(row, ask)));
        json_write_text(buf, "usage_unit_hours", statement_unit_hours(arena, row->usage));
    }
    json_write_object_end(buf);
}

void statement_total_write(struct buf *buf, const struct statement_row *total)
{
    json_write_object(buf, "total");
    sums_write(buf, total);
    json_write_object_end(buf);
}

const char *statement_cursor(struct arena *arena, const struct statement_row *row)
{
    const char *cursor = row->keys[0] ? row->keys[0] : "";
    for (int d = 1; d < STATEMENT_DIMENSIONS; d++)
        cursor = arena_printf(arena, "%s|%s", cursor, row->keys[d] ? row->keys[d] : "");
    return cursor;
}
