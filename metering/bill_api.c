/* /v1/months/{month}, /v1/bills and /v1/bills/{id}. */
#include "broker/base/id.h"
#include "broker/base/json.h"
#include "metering/archive.h"
#include "metering/bill.h"
#include "metering/cursor.h"
#include "metering/included.h"
#include "metering/line_json.h"
#include "metering/rating_run.h"
#include "metering/routes.h"
#include "metering/services.h"
#include "metering/setting.h"

static void put_signature(json_t *json, const char *kid, const char *signature)
{
    if (!kid)
        return;
    json_t *member = json_object();
    json_put_text(member, "algorithm", "Ed25519");
    json_put_text(member, "kid", kid);
    json_put_text(member, "value", signature);
    json_put(json, "signature", member);
}

/* What all units together owe is for those who see all. */
static json_t *month_json(const struct bill_month *month, bool sees_all)
{
    json_t *json = json_object();
    json_put_text(json, "month", month->month);
    if (!month->closed)
        return json;
    json_put_text(json, "state", "closed");
    json_put_moment(json, "closed_at", month->closed_at);
    if (sees_all) {
        json_put_int(json, "bills", month->bills);
        json_put_int(json, "lines", month->lines);
        json_put_yuan(json, "total_yuan", month->total_fen);
    }
    json_put_text(json, "digest_sm3", month->digest);
    json_put_text(json, "run", month->run);
    put_signature(json, month->kid, month->signature);
    return json;
}

static struct error *param_month(struct http_call *call, struct month *ret_month)
{
    return error_recode(month_parse(http_param(call, "month"), ret_month), ERR_NOT_FOUND, "no such month");
}

static struct error *close_month(struct http_call *call, struct http_answer *ret_answer)
{
    struct month month;
    struct bill_month closed;
    TRY(param_month(call, &month));
    TRY(bill_close_month(call->db, call->arena, call->context, month, call->now, &closed));
    *ret_answer = (struct http_answer){.status = 200,
                                       .body = month_json(&closed, principal_sees_all(call->principal)),
                                       .audit_subject = arena_strdup(call->arena, closed.month)};
    return NULL;
}

static struct error *get_month(struct http_call *call, struct http_answer *ret_answer)
{
    struct month month;
    struct bill_month state;
    struct archive archive;
    int64_t grace;
    bool rated, archived;
    TRY(param_month(call, &month));
    TRY(bill_month_get(call->db, call->arena, month, &state));
    TRY(setting_close_grace(call->db, &grace));
    TRY(rating_run_current(call->db, month, &rated));
    TRY(archive_get(call->db, call->arena, month, &archived, &archive));
    json_t *json = month_json(&state, principal_sees_all(call->principal));
    if (!state.closed) {
        json_put_text(json, "state", call->now < month_end(month) ? "open" : rated ? "rated" : "collecting");
        json_put_moment(json, "closes_from", month_end(month) + grace);
    }
    if (archived)
        json_put(json, "archive", archive_json(&archive, principal_sees_all(call->principal)));
    *ret_answer = (struct http_answer){.status = 200, .body = json};
    return NULL;
}

static json_t *run_json(const struct rating_run *run)
{
    char usage[WIDE_TEXT];
    json_t *json = json_object();
    json_put_text(json, "id", run->id);
    json_put_text(json, "month", run->month);
    json_put_text(json, "purpose", run->purpose);
    json_put_text(json, "program", run->program);
    json_put_int(json, "workers", run->workers);
    json_put_moment(json, "started_at", run->started_at);
    json_put_int(json, "took_us", run->took_us);
    json_put_int(json, "units", run->units);
    json_put_int(json, "intervals", run->intervals);
    json_put_text(json, "usage_exact", wide_format(run->usage, usage));
    json_put_text(json, "prices_sm3", run->prices_digest);
    json_put_int(json, "bills", run->bills);
    json_put_int(json, "lines", run->lines);
    json_put_yuan(json, "total_yuan", run->total_fen);
    json_put_text(json, "digest_sm3", run->digest);
    return json;
}

static struct error *rate_month_now(struct http_call *call, struct http_answer *ret_answer)
{
    struct month month;
    struct rating_run run;
    TRY(param_month(call, &month));
    TRY(bill_rate_month(call->db, call->arena, call->context, month, call->now, &run));
    *ret_answer = (struct http_answer){.status = 200, .body = run_json(&run), .audit_subject = run.id};
    return NULL;
}

static struct error *list_runs(struct http_call *call, struct http_answer *ret_answer)
{
    struct http_page page;
    struct rating_run *list;
    size_t count;
    struct month month;
    char text[8];
    TRY(param_month(call, &month));
    TRY(http_page(call, &page));
    if (page.after && !id_valid(page.after))
        return error_new(ERR_INVALID, "the query member page_token: not of this list");
    month_format(month, text);
    TRY(rating_run_list(call->db, call->arena, text, page.after, page.size + 1, &list, &count));
    json_t *body = json_object(), *rows = json_array();
    json_put(body, "runs", rows);
    for (size_t i = 0; i < count && i < (size_t)page.size; i++)
        json_push(rows, run_json(&list[i]));
    if (count > (size_t)page.size)
        http_page_next(call, body, list[page.size - 1].id);
    *ret_answer = (struct http_answer){.status = 200, .body = body};
    return NULL;
}

static json_t *bill_json(const struct bill *bill)
{
    json_t *json = json_object();
    json_put_text(json, "id", bill->id);
    json_put_text(json, "number", bill->number);
    json_put_text(json, "unit", bill->unit);
    json_put_text(json, "provider", bill->provider);
    json_put_text(json, "month", bill->month);
    json_put_yuan(json, "charges_yuan", bill->charges_fen);
    json_put_yuan(json, "adjustments_yuan", bill->adjustments_fen);
    json_put_yuan(json, "total_yuan", bill->total_fen);
    json_put_int(json, "line_count", bill->line_count);
    json_put_moment(json, "closed_at", bill->closed_at);
    json_put_text(json, "digest_sm3", bill->digest);
    json_put_int(json, "digest_version", bill->digest_version);
    put_signature(json, bill->kid, bill->signature);
    if (bill->partial)
        json_put_bool(json, "partial", true);
    return json;
}

static struct error *list_bills(struct http_call *call, struct http_answer *ret_answer)
{
    struct http_page page;
    struct bill_cursor cursor;
    const char *parts[3];
    struct bill *list;
    size_t count;
    struct bill_filter filter = {.month = http_query(call, "month"),
                                 .unit = http_query(call, "unit"),
                                 .provider = http_query(call, "provider")};
    struct archive_bounds bounds;
    TRY(http_page(call, &page));
    TRY(archive_bounds(call->db, &bounds));
    if (page.after) {
        TRY(cursor_split(call->arena, page.after, parts, 3));
        cursor = (struct bill_cursor){parts[0], parts[1], parts[2]};
    }
    TRY(bill_list(call->db, call->arena, &filter, page.after ? &cursor : NULL, page.size + 1, &list, &count));
    json_t *body = json_object(), *rows = json_array();
    json_put(body, "bills", rows);
    archive_put_until(body, bounds.bills);
    for (size_t i = 0; i < count && i < (size_t)page.size; i++)
        json_push(rows, bill_json(&list[i]));
    if (count > (size_t)page.size) {
        const struct bill *last = &list[page.size - 1];
        http_page_next(call, body,
                       arena_printf(call->arena, "%s|%s|%s", last->month, last->unit, last->provider));
    }
    *ret_answer = (struct http_answer){.status = 200, .body = body};
    return NULL;
}

static struct error *read_line_cursor(struct http_call *call, const char *text, int64_t *ret_after)
{
    int64_t value = 0;
    for (const char *at = text; *at; at++) {
        if (*at < '0' || *at > '9' || value > INT32_MAX)
            return error_new(ERR_INVALID, "the query member page_token: not of this list");
        value = value * 10 + (*at - '0');
    }
    *ret_after = value;
    return NULL;
}

static struct error *get_bill(struct http_call *call, struct http_answer *ret_answer)
{
    struct bill bill;
    struct http_page page;
    struct bill_line *lines;
    int64_t *numbers, after = 0;
    size_t count;
    TRY(bill_get(call->db, call->arena, http_param(call, "id"), &bill));
    TRY(http_page(call, &page));
    if (page.after)
        TRY(read_line_cursor(call, page.after, &after));
    TRY(bill_lines(call->db, call->arena, &bill, after, page.size + 1, &lines, &numbers, &count));
    json_t *body = json_hold(call->arena, bill_json(&bill)), *rows = json_array();
    json_put(body, "lines", rows);
    for (size_t i = 0; i < count && i < (size_t)page.size; i++) {
        json_t *json = json_object();
        json_push(rows, json);
        TRY(line_json_put(call->arena, json, &lines[i], numbers[i]));
    }
    included_put(body);
    if (count > (size_t)page.size)
        http_page_next(call, body, arena_printf(call->arena, "%lld", (long long)numbers[page.size - 1]));
    *ret_answer = (struct http_answer){.status = 200, .body = json_incref(body)};
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/months/{month}", get_month, "bills:read", 0, NULL},
    {"POST", "/v1/months/{month}:close", close_month, "bills:close", HTTP_NO_BODY, NULL},
    {"POST", "/v1/months/{month}:rate", rate_month_now, "bills:close", HTTP_NO_BODY, NULL},
    {"GET", "/v1/months/{month}/runs", list_runs, "runs:read", 0, "page_size,page_token"},
    {"GET", "/v1/bills", list_bills, "bills:read", 0, "month,unit,provider,page_size,page_token"},
    {"GET", "/v1/bills/{id}", get_bill, "bills:read", 0, "page_size,page_token"},
};

const struct http_table bill_routes = HTTP_TABLE(routes);
