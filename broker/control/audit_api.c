/* /v1/audit: the trail, newest first, within the caller's scope; and the proof of its chain. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/audit.h"
#include "broker/control/identity.h"
#include "broker/control/view.h"

/* The cursor is "time/id". Each filter has its statement, so that each has its index. */
#define SELECT                                                                                         \
    "SELECT key, 1::bigint, body FROM audit_view"                                                      \
    " WHERE (at, id) < (CASE $1 WHEN '' THEN 'infinity' ELSE split_part($1, '/', 1) END::timestamptz," \
    " CASE $1 WHEN '' THEN '0' ELSE split_part($1, '/', 2) END::bigint)"                               \
    " AND at >= coalesce($3, '-infinity'::timestamptz) AND at < coalesce($4, 'infinity'::timestamptz)"
#define ORDER " ORDER BY at DESC, id DESC LIMIT $2"
static const struct db_statement select_all = {"audit_select", SELECT ORDER};
static const struct db_statement select_unit = {"audit_select_unit", SELECT " AND unit_id = $5" ORDER};
static const struct db_statement select_principal = {"audit_select_principal",
                                                     SELECT " AND principal = $5" ORDER};
static const struct db_statement select_both = {"audit_select_both",
                                                SELECT " AND unit_id = $5 AND principal = $6" ORDER};

static struct error *read_moment(const struct http_call *call, const char *name, struct db_value *ret_value)
{
    const char *text = http_query(call, name);
    moment at;
    if (!text) {
        *ret_value = db_null();
        return NULL;
    }
    TRY_DOING(moment_parse(text, &at), "%s", name);
    *ret_value = db_moment(at);
    return NULL;
}

/* "2026-11-24T03:04:05.123456Z/17", as the list itself wrote it. */
static struct error *check_cursor(struct http_call *call)
{
    struct http_page page;
    TRY(http_page(call, &page));
    const char *slash = page.after ? strchr(page.after, '/') : NULL;
    moment at;
    if (!page.after)
        return NULL;
    struct error *error =
        slash ? moment_parse(arena_strndup(call->arena, page.after, (size_t)(slash - page.after)), &at)
              : NULL;
    if (error || !slash || !slash[1] || strlen(slash + 1) > 18 ||
        strspn(slash + 1, "0123456789") != strlen(slash + 1)) {
        error_free(error);
        return error_new(ERR_INVALID, "page_token is not one of this list");
    }
    return NULL;
}

static struct error *list_audit(struct http_call *call, struct http_answer *answer)
{
    const char *unit = http_query(call, "unit"), *principal = http_query(call, "principal");
    struct db_value from, until;
    TRY(check_cursor(call));
    TRY(read_moment(call, "from", &from));
    TRY(read_moment(call, "until", &until));
    if (unit && principal)
        return view_list(call, &select_both, DB_VALUES(from, until, db_text(unit), db_text(principal)),
                         answer);
    if (unit)
        return view_list(call, &select_unit, DB_VALUES(from, until, db_text(unit)), answer);
    if (principal)
        return view_list(call, &select_principal, DB_VALUES(from, until, db_text(principal)), answer);
    return view_list(call, &select_all, DB_VALUES(from, until), answer);
}

/* ?rows=…&head=…: what an earlier answer said, kept by the caller. */
static struct error *read_anchor(const struct http_call *call, struct audit_anchor *ret_anchor,
                                 bool *ret_given)
{
    const char *rows = http_query(call, "rows"), *head = http_query(call, "head");
    *ret_given = rows || head;
    if (!rows && !head)
        return NULL;
    if (!rows || !head || strspn(head, "0123456789abcdef") != 64 || head[64])
        return error_new(ERR_INVALID, "an anchor is rows and head, 64 lower-case hex digits, together");
    char *end;
    errno = 0;
    long long count = strtoll(rows, &end, 10);
    if (errno || *end || end == rows || count < 1)
        return error_new(ERR_INVALID, "rows must be a whole number from 1");
    *ret_anchor = (struct audit_anchor){.rows = count, .head = head};
    return NULL;
}

static struct error *verify_audit(struct http_call *call, struct http_answer *answer)
{
    struct audit_anchor anchor;
    bool given;
    struct audit_verdict verdict;
    TRY(read_anchor(call, &anchor, &given));
    TRY(audit_verify(call->db, given ? &anchor : NULL, call->arena, &verdict));
    answer->status = 200;
    answer->body = json_object();
    json_put_bool(answer->body, "whole", verdict.whole);
    json_put_int(answer->body, "rows", verdict.rows);
    json_put_int(answer->body, "unsealed", verdict.unsealed);
    json_put_text(answer->body, "head", verdict.head);
    if (!verdict.whole) {
        json_put_int(answer->body, "broken_at", verdict.broken_at);
        json_put_text(answer->body, "what", verdict.what);
    }
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/audit", list_audit, "audit:read", 0, "page_size,page_token,unit,principal,from,until"},
    {"GET", "/v1/audit:verify", verify_audit, "audit:verify", 0, "rows,head"},
};
const struct http_table audit_routes = HTTP_TABLE(routes);
