/* GET /v1/statements/{month} and GET /v1/statements?from=&to=: one month and a range. */
#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/base/json_write.h"
#include "metering/cursor.h"
#include "metering/included.h"
#include "metering/routes.h"
#include "metering/statement_sum.h"
#include "metering/statement_view.h"

#define ANSWER_MAX (16u << 20) /* bytes; a page of 1000 rows has some 600 KB */

static void put_open(json_t *body, const struct statement_ask *ask, const struct statement_months *months)
{
    bool any = false;
    for (size_t i = 0; i < months->count; i++)
        any = any || !months->closed[i];
    moment end = month_end(ask->to);
    if (any)
        json_put_moment(body, "until", ask->now < end ? ask->now : end);
}

static void put_range(json_t *body, const struct statement_ask *ask)
{
    json_put_moment(body, "from", month_start(ask->from));
    json_put_moment(body, "to", month_end(ask->to));
    json_put_int(body, "hours", (month_end(ask->to) - month_start(ask->from)) / MOMENT_HOUR);
}

/* Rows, total and the next page; what the month or range is has been put into `body`. */
static struct error *answer_rows(struct http_call *call, const struct statement_ask *ask,
                                 const struct statement_months *months, json_t *body,
                                 struct http_answer *ret_answer)
{
    struct http_page page;
    struct statement statement;
    const char *parts[STATEMENT_DIMENSIONS];
    size_t shown = 0;
    BUF_AUTO struct buf buf = BUF_INIT(ANSWER_MAX);
    char *text;
    TRY(http_page(call, &page));
    if (page.after)
        TRY(cursor_split(call->arena, page.after, parts, STATEMENT_DIMENSIONS));
    TRY(statement_sum(call->db, call->arena, ask, months, page.after ? parts : NULL, page.size + 1,
                      &statement));
    json_write_object(&buf, NULL);
    json_write_array(&buf, "rows");
    for (; shown < statement.count && shown < (size_t)page.size; shown++)
        statement_row_write(&buf, call->arena, &statement.rows[shown], ask);
    json_write_array_end(&buf);
    statement_total_write(&buf, &statement.total);
    included_put(body);
    if (shown < statement.count)
        http_page_next(call, body, statement_cursor(call->arena, &statement.rows[shown - 1]));
    json_write_members(&buf, body);
    json_write_object_end(&buf);
    size_t length = buf.length;
    TRY(buf_take(&buf, "a statement", &text));
    arena_defer(call->arena, free, text);
    *ret_answer = (struct http_answer){
        .status = 200, .content_type = "application/json", .bytes = text, .length = length};
    return NULL;
}

static struct error *get_month(struct http_call *call, struct http_answer *ret_answer)
{
    struct statement_ask ask;
    struct statement_months months;
    struct bill_month state;
    TRY(statement_ask_read(call, &ask));
    TRY(error_recode(month_parse(http_param(call, "month"), &ask.from), ERR_NOT_FOUND, "no such month"));
    ask.to = ask.from;
    TRY(statement_months(call->db, ask.from, ask.to, &months));
    TRY(bill_month_get(call->db, call->arena, ask.from, &state));
    json_t *body = json_hold(call->arena, json_object());
    json_put_text(body, "month", state.month);
    json_put_text(body, "state", state.closed ? "closed" : "open");
    put_range(body, &ask);
    if (state.closed)
        json_put_text(body, "digest_sm3", state.digest);
    put_open(body, &ask, &months);
    return answer_rows(call, &ask, &months, body, ret_answer);
}

static struct error *get_range(struct http_call *call, struct http_answer *ret_answer)
{
    struct statement_ask ask;
    struct statement_months months;
    TRY(statement_ask_read(call, &ask));
    TRY(statement_range_read(call, &ask.from, &ask.to));
    TRY(statement_months(call->db, ask.from, ask.to, &months));
    json_t *body = json_hold(call->arena, json_object()), *states = json_object();
    put_range(body, &ask);
    for (size_t i = 0; i < months.count; i++) {
        char text[8];
        month_format(months.list[i], text);
        json_put_text(states, text, months.closed[i] ? "closed" : "open");
    }
    json_put(body, "months", states);
    put_open(body, &ask, &months);
    return answer_rows(call, &ask, &months, body, ret_answer);
}

static const struct http_route routes[] = {
    {"GET", "/v1/statements", get_range, "statements:read", 0,
     "from,to," STATEMENT_QUERY ",page_size,page_token"},
    {"GET", "/v1/statements/{month}", get_month, "statements:read", 0,
     STATEMENT_QUERY ",page_size,page_token"},
};

const struct http_table statement_routes = HTTP_TABLE(routes);
