/* GET /v1/statements/{month}/changes. */
#include <string.h>

#include "broker/base/json.h"
#include "metering/cursor.h"
#include "metering/routes.h"
#include "metering/statement_change.h"
#include "metering/statement_view.h"

#define MOVERS_DEFAULT 10
#define MOVERS_MAX 100

/* ?limit of movers. */
static struct error *read_limit(struct http_call *call, size_t *ret_limit)
{
    const char *text = http_query(call, "limit");
    size_t limit = 0;
    if (!text) {
        *ret_limit = MOVERS_DEFAULT;
        return NULL;
    }
    for (const char *at = text; *at && limit <= MOVERS_MAX; at++)
        limit = *at >= '0' && *at <= '9' ? limit * 10 + (size_t)(*at - '0') : MOVERS_MAX + 1;
    if (limit < 1 || limit > MOVERS_MAX)
        return error_member("?limit", "must be 1 to %d", MOVERS_MAX);
    *ret_limit = limit;
    return NULL;
}

static void put_per_mille(json_t *json, const char *name, bool known, int64_t per_mille)
{
    json_put(json, name, known ? json_integer(per_mille) : json_null());
}

static void put_against(json_t *json, const char *since, int64_t now_fen, int64_t before_fen,
                        struct arena *arena)
{
    int64_t per_mille = 0;
    bool known = change_per_mille(now_fen, before_fen, &per_mille);
    json_put_yuan(json, arena_printf(arena, "%s_before_yuan", since), before_fen);
    json_put_yuan(json, arena_printf(arena, "%s_change_yuan", since), now_fen - before_fen);
    put_per_mille(json, arena_printf(arena, "%s_change_per_mille", since), known, per_mille);
}

static json_t *row_json(struct arena *arena, const struct change_row *row)
{
    const struct statement_row *now = &row->sums[CHANGE_NOW];
    struct statement_row keys = {.line_count = 0};
    json_t *json = json_object();
    int64_t per_mille = 0, list_fen = now->amount_fen + now->free_fen;
    memcpy(keys.keys, row->keys, sizeof keys.keys);
    statement_keys_put(json, &keys);
    json_put_yuan(json, "amount_yuan", now->amount_fen);
    put_against(json, "month", now->amount_fen, row->sums[CHANGE_MONTH_BEFORE].amount_fen, arena);
    put_against(json, "year", now->amount_fen, row->sums[CHANGE_YEAR_BEFORE].amount_fen, arena);
    json_put_yuan(json, "free_yuan", now->free_fen);
    json_put_yuan(json, "list_yuan", list_fen);
    bool known = change_share(now->free_fen, list_fen, &per_mille);
    put_per_mille(json, "free_per_mille", known, per_mille);
    return json;
}

static void put_movers(json_t *movers, const char *name, struct arena *arena, const struct change *change,
                       int sign, size_t most)
{
    const struct change_row **list;
    json_t *rows = json_array();
    size_t count = change_movers(arena, change, sign, most, &list);
    for (size_t i = 0; i < count; i++)
        json_push(rows, row_json(arena, list[i]));
    json_put(movers, name, rows);
}

static void put_months(json_t *body, const struct change *change)
{
    static const char *const names[CHANGE_MONTHS] = {"month", "month_before", "year_before"};
    json_t *states = json_object();
    for (int i = 0; i < CHANGE_MONTHS; i++) {
        char text[8];
        month_format(change->months[i], text);
        json_put_text(body, names[i], text);
        json_put_text(states, text, change->closed[i] ? "closed" : "open");
    }
    json_put(body, "months", states);
}

static size_t first_behind(const struct change *change, const char *const *after)
{
    size_t first = 0;
    while (after && first < change->count && statement_compare(change->rows[first].keys, after) <= 0)
        first++;
    return first;
}

static struct error *get_changes(struct http_call *call, struct http_answer *ret_answer)
{
    struct statement_ask ask;
    struct month month;
    struct change change;
    struct http_page page;
    const char *parts[STATEMENT_DIMENSIONS];
    size_t limit, shown = 0;
    TRY(statement_ask_read(call, &ask));
    TRY(error_recode(month_parse(http_param(call, "month"), &month), ERR_NOT_FOUND, "no such month"));
    TRY(read_limit(call, &limit));
    TRY(http_page(call, &page));
    ask.mask &= ~(1u << STATEMENT_MONTH | 1u << STATEMENT_CHARGE_MONTH); /* what is compared */
    if (page.after)
        TRY(cursor_split(call->arena, page.after, parts, STATEMENT_DIMENSIONS));
    TRY(change_read(call->db, call->arena, &ask, month, &change));
    size_t first = first_behind(&change, page.after ? parts : NULL);
    json_t *body = json_object(), *rows = json_array(), *movers = json_object();
    put_months(body, &change);
    json_put(body, "rows", rows);
    for (; first + shown < change.count && shown < (size_t)page.size; shown++)
        json_push(rows, row_json(call->arena, &change.rows[first + shown]));
    put_movers(movers, "rose", call->arena, &change, 1, limit);
    put_movers(movers, "fell", call->arena, &change, -1, limit);
    json_put(body, "movers", movers);
    json_put(body, "total", row_json(call->arena, &change.total));
    if (first + shown < change.count) {
        struct statement_row last = {.line_count = 0};
        memcpy(last.keys, change.rows[first + shown - 1].keys, sizeof last.keys);
        http_page_next(call, body, statement_cursor(call->arena, &last));
    }
    *ret_answer = (struct http_answer){.status = 200, .body = body};
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/statements/{month}/changes", get_changes, "statements:read", 0,
     STATEMENT_QUERY ",limit,page_size,page_token"},
};

const struct http_table change_routes = HTTP_TABLE(routes);
