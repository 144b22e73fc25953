/* /v1/assessments: reports on machines that are to move to another cloud. */
#include <stdlib.h>
#include <string.h>

#include "broker/base/id.h"
#include "broker/control/view.h"
#include "federation/assess_paper.h"
#include "federation/assess_store.h"
#include "federation/routes.h"

#define BANDWIDTH_MBPS_MAX 1000000
#define CHANGE_MB_MAX 100000000
#define WINDOW_SECONDS_MAX (7 * 86400)
#define ENGINE_MAX 64

struct target {
    const char *cloud, *zone;
};
struct database {
    const char *engine, *target_engine;
};
struct assess_body {
    const char *unit, *kind;
    struct json_texts instances;
    struct target to;
    struct database database;
    bool hosting_area;
    int64_t bandwidth_mbps, change_mb_per_hour, window_seconds;
};

static const char *const kinds[] = {
#define X(symbol, name) name,
    ASSESS_KINDS(X)
#undef X
        NULL};
static const struct json_member target_members[] = {
    {JSON_MEMBER(struct target, cloud), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct target, zone), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
};
static const struct json_spec target_spec = JSON_SPEC(struct target, target_members);
static const struct json_member database_members[] = {
    {JSON_MEMBER(struct database, engine), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = ENGINE_MAX},
    {JSON_MEMBER(struct database, target_engine), .want = JSON_WANT_TEXT, .min = 1, .max = ENGINE_MAX},
};
static const struct json_spec database_spec = JSON_SPEC(struct database, database_members);
static const struct json_member assess_members[] = {
    {JSON_MEMBER(struct assess_body, unit), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct assess_body, kind), .want = JSON_WANT_CHOICE, .choices = kinds},
    {JSON_MEMBER(struct assess_body, instances), .want = JSON_WANT_TEXTS, .flags = JSON_REQUIRED, .min = 1,
     .max = ASSESSMENT_MACHINES_MAX},
    {JSON_MEMBER(struct assess_body, to), .want = JSON_WANT_OBJECT, .flags = JSON_REQUIRED,
     .spec = &target_spec},
    {JSON_MEMBER(struct assess_body, database), .want = JSON_WANT_OBJECT, .spec = &database_spec},
    {JSON_MEMBER(struct assess_body, hosting_area), .want = JSON_WANT_BOOL},
    {JSON_MEMBER(struct assess_body, bandwidth_mbps), .want = JSON_WANT_INT, .min = 1,
     .max = BANDWIDTH_MBPS_MAX},
    {JSON_MEMBER(struct assess_body, change_mb_per_hour), .want = JSON_WANT_INT, .min = 1,
     .max = CHANGE_MB_MAX},
    {JSON_MEMBER(struct assess_body, window_seconds), .want = JSON_WANT_INT, .min = 1,
     .max = WINDOW_SECONDS_MAX},
};
static const struct json_spec assess_spec = JSON_SPEC(struct assess_body, assess_members);

static const struct db_statement find_zone = {"assessment_zone",
                                              "SELECT 1::bigint FROM zone WHERE cloud_id = $1 AND id = $2"};

static struct error *check(struct http_call *call, const struct assess_body *body)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    struct error *errors = NULL;
    if (!principal_sees_unit(call->principal, body->unit))
        return error_new(ERR_NOT_FOUND, "no such unit");
    for (size_t i = 0; i < body->instances.count; i++)
        if (!id_valid(body->instances.items[i]))
            error_collect(&errors, arena_printf(call->arena, "/instances/%zu", i),
                          "must be the id of a machine");
    if (errors)
        return errors;
    TRY(db_query(call->db, &find_zone, DB_VALUES(db_text(body->to.cloud), db_text(body->to.zone)), &rows));
    return db_count(rows) ? NULL : error_member("/to", "there is no such cloud or zone");
}

static struct error *add(struct http_call *call, struct http_answer *answer)
{
    struct assess_body body = {.kind = kinds[ASSESS_CLOUD_HOST]};
    TRY(http_read_body(call, &assess_spec, &body));
    TRY(check(call, &body));
    struct assessment assessment = {.id = id_new_in(call->arena),
                                    .unit = body.unit,
                                    .kind = body.kind,
                                    .to_cloud = body.to.cloud,
                                    .to_zone = body.to.zone,
                                    .machines = body.instances,
                                    .request = call->body,
                                    .principal = principal_id(call->principal),
                                    .created_at = call->now};
    TRY(assessment_add(call->db, call->arena, &assessment));
    TRY(view_made(call, &assessment_select_one, DB_VALUES(db_text(assessment.id)), "such assessment", 202,
                  arena_printf(call->arena, "/v1/operations/%s", assessment.operation), answer));
    answer->etag = NULL;
    answer->retry_after = 1;
    answer->audit_unit = assessment.unit;
    answer->audit_cloud = assessment.to_cloud;
    answer->audit_subject = assessment.id;
    return NULL;
}

static struct error *list(struct http_call *call, struct http_answer *answer)
{
    return view_list_by_id(call, &assessment_select_list,
                           DB_VALUES(db_text(http_query(call, "unit")), db_text(http_query(call, "system")),
                                     db_text(http_query(call, "cloud"))),
                           answer);
}

/* What providers said is of those who may look into their clouds. */
static void put_hosts(struct http_call *call, json_t *body, const struct assessment_host *hosts, size_t count)
{
    bool inside = principal_may(call->principal, "capacity:read");
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *row = json_deep_copy(hosts[i].report);
        json_put_int(row, "number", hosts[i].number);
        json_put_text(row, "digest", hosts[i].digest);
        json_put_moment(row, "assessed_at", hosts[i].assessed_at);
        if (inside)
            json_put(row, "answers", json_deep_copy(hosts[i].answers));
        json_push(rows, row);
    }
    json_put(body, "reports", rows);
}

/* The member of the query decides, else the first of these that the Accept header names. */
static struct error *format_of(const struct http_call *call, const char **ret_format)
{
    static const char *const formats[][2] = {
        {"json", "application/json"}, {"html", "text/html"}, {"csv", "text/csv"}};
    const char *wanted = http_query(call, "format"), *accept = http_header(call, "accept"), *first = NULL;
    *ret_format = "json";
    for (size_t i = 0; i < 3; i++) {
        if (wanted && !strcmp(wanted, formats[i][0])) {
            *ret_format = formats[i][0];
            return NULL;
        }
        const char *at = wanted || !accept ? NULL : strstr(accept, formats[i][1]);
        if (at && (!first || at < first)) {
            first = at;
            *ret_format = formats[i][0];
        }
    }
    return wanted ? error_member("?format", "json, html or csv is needed") : NULL;
}

static struct error *get(struct http_call *call, struct http_answer *answer)
{
    struct assessment assessment;
    struct assessment_host *hosts;
    size_t count;
    const char *format;
    TRY(view_id(call, "assessment"));
    TRY(format_of(call, &format));
    TRY(assessment_get(call->db, call->arena, http_param(call, "assessment"), &assessment));
    TRY(assessment_hosts(call->db, call->arena, &assessment, &hosts, &count));
    if (!strcmp(format, "json")) {
        TRY(view_one(call, &assessment_select_one, DB_VALUES(db_text(assessment.id)), "such assessment",
                     answer));
        answer->etag = NULL;
        put_hosts(call, answer->body, hosts, count);
        return NULL;
    }
    bool html = !strcmp(format, "html");
    BUF_AUTO struct buf buf = BUF_INIT(ASSESS_PAPER_MAX);
    if (html)
        assess_html(&assessment, hosts, count, &buf);
    else
        assess_csv(&assessment, hosts, count, &buf);
    char *text;
    size_t length = buf.length;
    TRY(buf_take(&buf, "the report", &text));
    arena_defer(call->arena, free, text);
    *answer = (struct http_answer){
        .status = 200,
        .content_type = html ? "text/html; charset=utf-8" : "text/csv; charset=utf-8",
        .bytes = text,
        .length = length,
        .file_name = html ? NULL : arena_printf(call->arena, "assessment-%s.csv", assessment.id),
    };
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/assessments", list, "assessments:read", 0, "unit,system,cloud,page_size,page_token"},
    {"POST", "/v1/assessments", add, "assessments:write", HTTP_KEYED, NULL},
    {"GET", "/v1/assessments/{assessment}", get, "assessments:read", 0, "format"},
};
const struct http_table assessment_routes = HTTP_TABLE(routes);
