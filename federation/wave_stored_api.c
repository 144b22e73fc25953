/* /v1/waves: stored waves. Every change wants If-Match, so that of two who press at once one is told that it
 * is not any more what they have read. */
#include <stdlib.h>
#include <string.h>

#include "broker/control/view.h"
#include "federation/routes.h"
#include "federation/wave_new.h"
#include "federation/wave_report.h"

#define NAME_MAX_CHARS 200
#define REASON_MAX 1000

static struct error *list(struct http_call *call, struct http_answer *answer)
{
    const char *state = http_query(call, "state"), *programme = http_query(call, "programme");
    if (state && wave_life_find(state) == WAVE_LIFE_COUNT)
        return error_member("?state", "is no state of a wave");
    TRY(view_list_by_id(call, &wave_select_list,
                        DB_VALUES(db_text(state), db_text(http_query(call, "system")),
                                  db_text(http_query(call, "cloud")), db_text(programme)),
                        answer));
    if (!programme)
        return NULL;
    struct db_rows *rows;
    TRY(db_query_one(call->db, &wave_select_sums, DB_VALUES(db_text(programme)), "sums", &rows));
    (void)db_hold(call->arena, rows);
    json_put(answer->body, "sums", db_get_json(rows, 0, 0));
    return NULL;
}

/* The row, its plan and its history. */
static struct error *answer_one(struct http_call *call, const char *id, int status,
                                struct http_answer *answer)
{
    struct wave_sight sight;
    struct db_rows *rows;
    const char *location = status == 200 ? NULL : arena_printf(call->arena, "/v1/waves/%s", id);
    TRY(view_made(call, &wave_select_one, DB_VALUES(db_text(id)), "such wave", status, location, answer));
    TRY(wave_look(call->db, call->arena, id, call->now, &sight));
    wave_sight_put(call->arena, answer->body, &sight, call->now);
    TRY(db_query_one(call->db, &wave_select_history, DB_VALUES(db_text(id)), "history", &rows));
    (void)db_hold(call->arena, rows);
    json_put(answer->body, "history", db_get_json(rows, 0, 0));
    return NULL;
}

static struct error *get(struct http_call *call, struct http_answer *answer)
{
    TRY(view_id(call, "wave"));
    return answer_one(call, http_param(call, "wave"), 200, answer);
}

/* The member of the query decides, else the first of these that the Accept header names. */
static struct error *format_of(const struct http_call *call, const char **ret_format)
{
    static const char *const formats[][2] = {
        {"json", "application/json"}, {"html", "text/html"}, {"csv", "text/csv"}};
    const char *wanted = http_query(call, "format"), *accept = http_header(call, "accept"), *first = NULL;
    *ret_format = formats[0][0];
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
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

static struct error *report(struct http_call *call, struct http_answer *answer)
{
    const char *format, *id = http_param(call, "wave");
    json_t *made;
    TRY(view_id(call, "wave"));
    TRY(format_of(call, &format));
    TRY(wave_report(call->db, call->arena, id, call->now, &made));
    if (!strcmp(format, "json")) {
        *answer = (struct http_answer){.status = 200, .body = json_incref(made)};
        return NULL;
    }
    bool html = !strcmp(format, "html");
    BUF_AUTO struct buf buf = BUF_INIT(WAVE_PAPER_MAX);
    if (html)
        wave_report_html(made, &buf);
    else
        wave_report_csv(made, &buf);
    char *text;
    size_t length = buf.length;
    TRY(buf_take(&buf, "the report", &text));
    arena_defer(call->arena, free, text);
    *answer = (struct http_answer){
        .status = 200,
        .content_type = html ? "text/html; charset=utf-8" : "text/csv; charset=utf-8",
        .bytes = text,
        .length = length,
        .file_name = html ? NULL : arena_printf(call->arena, "wave-%s.csv", id),
    };
    return NULL;
}

static void audit(const struct wave_row *wave, struct http_answer *answer)
{
    answer->audit_unit = wave->unit;
    answer->audit_subject = wave->id;
}

static const struct json_member host_members[] = {
    {JSON_MEMBER(struct wave_host_wish, instance), .want = JSON_WANT_UUID, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct wave_host_wish, assessment), .want = JSON_WANT_UUID, .flags = JSON_REQUIRED},
};
static const struct json_spec host_spec = JSON_SPEC(struct wave_host_wish, host_members);
#define ORDER_MEMBER                                                                                         \
    {                                                                                                        \
        JSON_MEMBER(struct wave_ask, order), .want = JSON_WANT_TEXTS, .min = 0, .max = WAVE_STORED_HOSTS_MAX \
    }
static const struct json_member new_members[] = {
    WAVE_TERMS_MEMBERS,
    ORDER_MEMBER,
    {JSON_MEMBER(struct wave_wish, name), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = NAME_MAX_CHARS},
    {JSON_MEMBER(struct wave_wish, programme), .want = JSON_WANT_TEXT, .flags = JSON_NULLABLE, .min = 1,
     .max = NAME_MAX_CHARS},
    {JSON_MEMBER(struct wave_wish, assessments), .want = JSON_WANT_TEXTS, .min = 0,
     .max = WAVE_STORED_HOSTS_MAX},
    {JSON_MEMBER(struct wave_wish, hosts), .want = JSON_WANT_LIST, .min = 0, .max = WAVE_STORED_HOSTS_MAX,
     .spec = &host_spec},
};
static const struct json_spec new_spec = JSON_SPEC(struct wave_wish, new_members);

static struct error *add(struct http_call *call, struct http_answer *answer)
{
    struct wave_wish wish = {.terms = wave_terms_default()};
    struct wave_row made;
    TRY(http_read_body(call, &new_spec, &wish));
    TRY(wave_new(call->db, call->arena, call->principal, &wish, call->body, call->now, &made));
    audit(&made, answer);
    return answer_one(call, made.id, 201, answer);
}

/* If-Match against what there is, before anything is locked: the job's row comes before the wave's. */
static struct error *find(struct http_call *call, struct wave_row *ret_wave)
{
    TRY(view_id(call, "wave"));
    TRY(wave_load(call->db, call->arena, http_param(call, "wave"), false, ret_wave));
    for (size_t i = 0; i < ret_wave->systems.count; i++)
        if (!principal_sees_system(call->principal, ret_wave->unit, ret_wave->systems.items[i]))
            return error_new(ERR_NOT_FOUND, "no such wave");
    return http_if_match(call, view_etag(call->arena, ret_wave->version));
}

static const struct json_member change_members[] = {
    WAVE_TERMS_MEMBERS,
    ORDER_MEMBER,
    {JSON_MEMBER(struct wave_changes, name), .want = JSON_WANT_TEXT, .min = 1, .max = NAME_MAX_CHARS},
    {JSON_MEMBER(struct wave_changes, programme), .want = JSON_WANT_TEXT, .flags = JSON_NULLABLE, .min = 1,
     .max = NAME_MAX_CHARS},
    {JSON_MEMBER(struct wave_changes, take_out), .want = JSON_WANT_TEXTS, .min = 0,
     .max = WAVE_STORED_HOSTS_MAX},
    {JSON_MEMBER(struct wave_changes, again), .want = JSON_WANT_TEXTS, .min = 0,
     .max = WAVE_STORED_HOSTS_MAX},
    {JSON_MEMBER(struct wave_changes, reason), .want = JSON_WANT_TEXT, .min = 1, .max = REASON_MAX},
};
static const struct json_spec change_spec = JSON_SPEC(struct wave_changes, change_members);

static struct error *patch(struct http_call *call, struct http_answer *answer)
{
    struct wave_changes changes = {.terms = wave_terms_default()};
    struct wave_row wave;
    TRY(http_read_body(call, &change_spec, &changes));
    TRY(find(call, &wave));
    TRY(wave_hold(call->db, call->arena, wave.id, wave.version, &wave));
    TRY(wave_alter(call->db, call->arena, &wave, &changes, call->body, principal_id(call->principal),
                   call->now));
    audit(&wave, answer);
    return answer_one(call, wave.id, 200, answer);
}

struct word {
    const char *reason;
    const char *running; /* of a cancel: "keep" or "cancel" */
};
static const char *const runnings[] = {"keep", "cancel", NULL};
static const struct json_member word_members[] = {
    {JSON_MEMBER(struct word, reason), .want = JSON_WANT_TEXT, .min = 1, .max = REASON_MAX},
};
static const struct json_spec word_spec = JSON_SPEC(struct word, word_members);
static const struct json_member cancel_members[] = {
    {JSON_MEMBER(struct word, reason), .want = JSON_WANT_TEXT, .min = 1, .max = REASON_MAX},
    {JSON_MEMBER(struct word, running), .want = JSON_WANT_CHOICE, .choices = runnings},
};
static const struct json_spec cancel_spec = JSON_SPEC(struct word, cancel_members);

static struct error *say(struct http_call *call, enum wave_word what, struct http_answer *answer)
{
    struct word word = {.running = runnings[0]};
    struct wave_row wave;
    if (call->body)
        TRY(http_read_body(call, what == WAVE_WORD_CANCEL ? &cancel_spec : &word_spec, &word));
    TRY(find(call, &wave));
    const struct wave_telling telling = {.word = what,
                                         .principal = principal_id(call->principal),
                                         .why = word.reason,
                                         .cancels_moves = !strcmp(word.running, runnings[1])};
    TRY(wave_say(call->db, call->arena, wave.id, wave.version, &telling, call->now, &wave));
    audit(&wave, answer);
    return answer_one(call, wave.id, 200, answer);
}

#define WORD(name, what)                                                          \
    static struct error *name(struct http_call *call, struct http_answer *answer) \
    {                                                                             \
        return say(call, what, answer);                                           \
    }
WORD(start, WAVE_WORD_START)
WORD(pause_it, WAVE_WORD_PAUSE)
WORD(resume, WAVE_WORD_RESUME)
WORD(cancel, WAVE_WORD_CANCEL)
#undef WORD

#define PLAN "waves:plan"
#define OPERATE "waves:operate"

static const struct http_route routes[] = {
    {"GET", "/v1/waves", list, "waves:read", 0, "state,system,cloud,programme,page_size,page_token"},
    {"POST", "/v1/waves", add, PLAN, HTTP_KEYED, NULL},
    {"GET", "/v1/waves/{wave}", get, "waves:read", 0, NULL},
    {"GET", "/v1/waves/{wave}/report", report, "waves:read", 0, "format"},
    {"PATCH", "/v1/waves/{wave}", patch, PLAN, HTTP_CONDITIONAL, NULL},
    {"POST", "/v1/waves/{wave}:start", start, OPERATE, HTTP_CONDITIONAL, NULL},
    {"POST", "/v1/waves/{wave}:pause", pause_it, OPERATE, HTTP_CONDITIONAL, NULL},
    {"POST", "/v1/waves/{wave}:resume", resume, OPERATE, HTTP_CONDITIONAL, NULL},
    {"POST", "/v1/waves/{wave}:cancel", cancel, OPERATE, HTTP_CONDITIONAL, NULL},
};
const struct http_table stored_wave_routes = HTTP_TABLE(routes);
