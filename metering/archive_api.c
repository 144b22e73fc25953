/* POST /v1/months/{month}:archive and GET /v1/archives. */
#include "broker/base/json.h"
#include "metering/archive.h"
#include "metering/routes.h"
#include "metering/services.h"

json_t *archive_json(const struct archive *archive, bool sees_all)
{
    json_t *json = json_object();
    json_put_text(json, "month", archive->month);
    json_put_text(json, "folder", archive->month);
    json_put_text(json, "manifest_sm3", archive->manifest_sm3);
    json_put_text(json, "program", archive->program);
    json_put_moment(json, "verified_at", archive->verified_at);
    if (archive->usage_dropped_at)
        json_put_moment(json, "usage_dropped_at", archive->usage_dropped_at);
    if (archive->bills_dropped_at)
        json_put_moment(json, "bills_dropped_at", archive->bills_dropped_at);
    if (!sees_all)
        return json;
    json_put_int(json, "intervals", archive->intervals);
    json_put_text(json, "usage_exact", archive->usage);
    json_put_int(json, "bills", archive->bills);
    json_put_int(json, "lines", archive->lines);
    json_put_yuan(json, "total_yuan", archive->total_fen);
    return json;
}

void archive_put_until(json_t *body, moment until)
{
    if (until)
        json_put_moment(body, "archived_until", until);
}

static struct error *archive_month(struct http_call *call, struct http_answer *ret_answer)
{
    const struct metering_services *services = call->context;
    struct month month;
    enum archive_part part;
    const char *why;
    char text[8], id[37];
    TRY(error_recode(month_parse(http_param(call, "month"), &month), ERR_NOT_FOUND, "no such month"));
    month_format(month, text);
    if (!services || !services->archive_dir)
        return error_new(ERR_CONFLICT, "this broker has no archive_dir");
    TRY(archive_part_next(call->db, call->arena, month, &part, &why));
    if (why)
        return error_new(ERR_CONFLICT, "%s is not archived now: %s", text, why);
    TRY(error_recode(archive_add_job(call->db, month, id), ERR_CONFLICT, "%s is not archived now", text));
    json_t *body = json_object();
    json_put_text(body, "month", text);
    json_put_text(body, "drops", part == ARCHIVE_USAGE ? "usage" : "bills");
    json_put_text(body, "job", id);
    *ret_answer = (struct http_answer){.status = 202,
                                       .body = body,
                                       .location = arena_printf(call->arena, "/v1/jobs/%s", id),
                                       .retry_after = 1,
                                       .audit_subject = arena_strdup(call->arena, text)};
    return NULL;
}

static struct error *list_archives(struct http_call *call, struct http_answer *ret_answer)
{
    struct http_page page;
    struct archive *list;
    size_t count;
    TRY(http_page(call, &page));
    TRY(archive_list(call->db, call->arena, page.after, page.size + 1, &list, &count));
    json_t *body = json_object(), *rows = json_array();
    json_put(body, "archives", rows);
    for (size_t i = 0; i < count && i < (size_t)page.size; i++)
        json_push(rows, archive_json(&list[i], true));
    if (count > (size_t)page.size)
        http_page_next(call, body, list[page.size - 1].month);
    *ret_answer = (struct http_answer){.status = 200, .body = body};
    return NULL;
}

static const struct http_route routes[] = {
    {"POST", "/v1/months/{month}:archive", archive_month, "months:archive", HTTP_NO_BODY, NULL},
    {"GET", "/v1/archives", list_archives, "runs:read", 0, "page_size,page_token"},
};

const struct http_table archive_routes = HTTP_TABLE(routes);
