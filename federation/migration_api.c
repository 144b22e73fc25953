/* /v1/migrations: one instance's move from one cloud to another. People's words want If-Match, so that of two
 * who press at once one is told that it is not any more what they have read. */
#include <string.h>

#include "broker/base/id.h"
#include "broker/control/fleet.h"
#include "broker/control/resource.h"
#include "broker/control/view.h"
#include "federation/migration_new.h"
#include "federation/migration_word.h"
#include "federation/routes.h"
#include "federation/services.h"

#define REASON_MAX 1000
#define EXPECT_MAX 200 /* characters that a console is searched for */
#define DOWNTIME_MAX_S (7 * 86400)
#define HOLD_DAYS_DEFAULT 7
#define HOLD_DAYS_MAX 90
#define BANDWIDTH_MAX (INT64_C(1) << 40)

static struct error *check_uuid(const struct http_call *call, const char *name)
{
    const char *text = http_query(call, name);
    return !text || id_valid(text)
               ? NULL
               : error_member(arena_printf(call->arena, "?%s", name), "must be a lower-case UUID");
}

static struct error *list(struct http_call *call, struct http_answer *answer)
{
    const char *state = http_query(call, "state");
    TRY(check_uuid(call, "instance"));
    if (state && migration_state_find(state) == MIGRATION_STATE_COUNT)
        return error_member("?state", "is no state of a migration");
    return view_list_by_id(call, &migration_select_list,
                           DB_VALUES(db_text(state), db_text(http_query(call, "system")),
                                     db_text(http_query(call, "cloud")),
                                     db_text(http_query(call, "instance"))),
                           answer);
}

static struct error *answer_one(struct http_call *call, const char *id, int status,
                                struct http_answer *answer)
{
    const char *location = status == 200 ? NULL : arena_printf(call->arena, "/v1/migrations/%s", id);
    return view_made(call, &migration_select_one, DB_VALUES(db_text(id)), "such migration", status, location,
                     answer);
}

static struct error *get(struct http_call *call, struct http_answer *answer)
{
    TRY(view_id(call, "migration"));
    return answer_one(call, http_param(call, "migration"), 200, answer);
}

static const struct json_member window_members[] = {
    {JSON_MEMBER(struct migration_window, from), .want = JSON_WANT_MOMENT, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct migration_window, until), .want = JSON_WANT_MOMENT, .flags = JSON_REQUIRED},
};
static const struct json_spec window_spec = JSON_SPEC(struct migration_window, window_members);
static const char *const methods[] = {
#define X(symbol, name) name,
    MIGRATION_METHODS(X)
#undef X
        NULL};
static const char *const proofs[] = {"full", "sampled", NULL};
static const struct json_member new_members[] = {
    {JSON_MEMBER(struct migration_wish, instance), .want = JSON_WANT_UUID, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct migration_wish, assessment), .want = JSON_WANT_UUID, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct migration_wish, method), .want = JSON_WANT_CHOICE, .choices = methods},
    {JSON_MEMBER(struct migration_wish, window), .want = JSON_WANT_OBJECT, .spec = &window_spec},
    {JSON_MEMBER(struct migration_wish, downtime_seconds), .want = JSON_WANT_INT, .min = 0,
     .max = DOWNTIME_MAX_S},
    {JSON_MEMBER(struct migration_wish, hold_days), .want = JSON_WANT_INT, .min = 1, .max = HOLD_DAYS_MAX},
    {JSON_MEMBER(struct migration_wish, commits_itself), .want = JSON_WANT_BOOL},
    {JSON_MEMBER(struct migration_wish, bandwidth), .want = JSON_WANT_INT, .min = 0, .max = BANDWIDTH_MAX},
    {JSON_MEMBER(struct migration_wish, proof), .want = JSON_WANT_CHOICE, .choices = proofs},
    {JSON_MEMBER(struct migration_wish, test_required), .want = JSON_WANT_BOOL},
};
static const struct json_spec new_spec = JSON_SPEC(struct migration_wish, new_members);

static struct error *check_window(const struct migration_window *window)
{
    if ((window->from || window->until) && window->from >= window->until)
        return error_member("/window/until", "must be after /window/from");
    return NULL;
}

static void audit(const struct migration_row *m, struct http_answer *answer)
{
    answer->audit_unit = m->unit;
    answer->audit_cloud = m->source.cloud;
    answer->audit_subject = m->id;
}

static struct error *add(struct http_call *call, struct http_answer *answer)
{
    const struct federation_services *services = call->context;
    struct migration_wish wish = {.hold_days = HOLD_DAYS_DEFAULT,
                                  .proof = "full",
                                  .approvals = services->migration_approvals,
                                  .conversion = services->conversion,
                                  .conversion_program = services->conversion_program,
                                  .principal = principal_id(call->principal)};
    struct migration_row made;
    struct resource instance;
    TRY(http_read_body(call, &new_spec, &wish));
    TRY(check_window(&wish.window));
    TRY(resource_load(call->db, call->arena, NULL, wish.instance, "instance", &instance));
    if (!principal_sees_system(call->principal, instance.unit, instance.system))
        return error_new(ERR_NOT_FOUND, "no such instance");
    TRY(migration_new(call->db, call->arena, &wish, call->now, &made));
    audit(&made, answer);
    return answer_one(call, made.id, 201, answer);
}

static const struct db_statement peek = {
    "migration_peek", "SELECT unit_id, system_id, version FROM migration WHERE id = $1::uuid"};

/* Who it is of, without a lock: the job's row is locked before the migration's. */
static struct error *find(struct http_call *call, struct migration_saying *saying)
{
    struct db_rows *rows;
    TRY(view_id(call, "migration"));
    TRY(db_query_one(call->db, &peek, DB_VALUES(db_text(http_param(call, "migration"))), "such migration",
                     &rows));
    (void)db_hold(call->arena, rows);
    if (!principal_sees_system(call->principal, db_get_text(rows, 0, 0), db_get_text(rows, 0, 1)))
        return error_new(ERR_NOT_FOUND, "no such migration");
    saying->unit = db_get_text(rows, 0, 0);
    saying->id = http_param(call, "migration");
    saying->version = db_get_int(rows, 0, 2);
    saying->principal = principal_id(call->principal);
    return http_if_match(call, view_etag(call->arena, saying->version));
}

struct reason {
    const char *reason;
};
static const struct json_member reason_members[] = {
    {JSON_MEMBER(struct reason, reason), .want = JSON_WANT_TEXT, .min = 1, .max = REASON_MAX},
};
static const struct json_spec reason_spec = JSON_SPEC(struct reason, reason_members);

static struct error *read_reason(struct http_call *call, struct migration_saying *saying)
{
    struct reason reason = {0};
    if (call->body)
        TRY(http_read_body(call, &reason_spec, &reason));
    saying->why = reason.reason;
    return NULL;
}

static struct error *say(struct http_call *call, enum migration_event event, struct http_answer *answer)
{
    struct migration_saying saying = {.event = event};
    struct migration_row after;
    TRY(read_reason(call, &saying));
    TRY(find(call, &saying));
    TRY(migration_say(call->db, call->arena, &saying, call->now, &after));
    audit(&after, answer);
    return answer_one(call, after.id, 200, answer);
}

struct testing {
    const char *reason;
    struct migration_test_terms terms;
};
#define TEST(field) .name = #field, .offset = offsetof(struct testing, terms.field)
static const struct json_member test_members[] = {
    {JSON_MEMBER(struct testing, reason), .want = JSON_WANT_TEXT, .min = 1, .max = REASON_MAX},
    {TEST(seconds), .want = JSON_WANT_INT, .min = 1, .max = MIGRATION_TEST_SECONDS_MAX},
    {TEST(stays_seconds), .want = JSON_WANT_INT, .min = 1, .max = MIGRATION_TEST_SECONDS_MAX},
    {TEST(expect_console), .want = JSON_WANT_TEXT, .min = 1, .max = EXPECT_MAX},
    {TEST(agent), .want = JSON_WANT_BOOL},
};
static const struct json_spec test_spec = JSON_SPEC(struct testing, test_members);
#undef TEST

static const struct db_statement select_driver = {
    "migration_target_driver",
    "SELECT e.driver, m.method FROM migration m JOIN endpoint e ON e.id = m.target_endpoint_id"
    " WHERE m.id = $1::uuid"};

/* What the target's driver cannot do is told at once; the rest is the state machine's to say. */
static struct error *check_driver(struct http_call *call, const struct migration_saying *saying)
{
    const struct federation_services *services = call->context;
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(call->db, &select_driver, DB_VALUES(db_text(saying->id)), "such migration", &rows));
    const char *name = db_get_text(rows, 0, 0);
    const struct driver *driver = fleet_driver(services->control.fleet, name);
    unsigned can = driver ? driver->capabilities : 0;
    if (migration_moves(migration_method_find(db_get_text(rows, 0, 1))))
        return NULL;
    if (!(can & DRIVER_CAN_TEST))
        return error_new(ERR_CONFLICT, "the target's driver %s cannot boot tests", name);
    if (saying->test->expect_console && !(can & DRIVER_CAN_CONSOLE))
        return error_member("/expect_console", "cannot be looked for: the target's driver shows no console");
    return NULL;
}

static struct error *test(struct http_call *call, struct http_answer *answer)
{
    struct testing testing = {.terms = {.seconds = MIGRATION_TEST_SECONDS_DEFAULT}};
    struct migration_saying saying = {.event = MIGRATION_EVENT_TEST, .test = &testing.terms};
    struct migration_row after;
    if (call->body)
        TRY(http_read_body(call, &test_spec, &testing));
    if (!testing.terms.stays_seconds)
        testing.terms.stays_seconds = testing.terms.seconds < MIGRATION_TEST_STAYS_DEFAULT
                                          ? testing.terms.seconds
                                          : MIGRATION_TEST_STAYS_DEFAULT;
    if (testing.terms.stays_seconds > testing.terms.seconds)
        return error_member("/stays_seconds", "must not be more than /seconds");
    saying.why = testing.reason;
    TRY(find(call, &saying));
    TRY(check_driver(call, &saying));
    TRY(migration_say(call->db, call->arena, &saying, call->now, &after));
    audit(&after, answer);
    return answer_one(call, after.id, 200, answer);
}

#define WORD(name, event)                                                         \
    static struct error *name(struct http_call *call, struct http_answer *answer) \
    {                                                                             \
        return say(call, event, answer);                                          \
    }
WORD(start, MIGRATION_EVENT_START)
WORD(cutover, MIGRATION_EVENT_CUTOVER)
WORD(rollback, MIGRATION_EVENT_ROLLBACK)
WORD(commit, MIGRATION_EVENT_COMMIT)
WORD(cancel, MIGRATION_EVENT_CANCEL)
#undef WORD

static struct error *change(struct http_call *call, struct migration_saying *saying,
                            struct error *(*what)(struct db *db, struct migration_row *migration,
                                                  void *context),
                            void *context, struct http_answer *answer)
{
    struct migration_row after;
    TRY(migration_change(call->db, call->arena, saying, what, context, call->now, &after));
    audit(&after, answer);
    return answer_one(call, after.id, 200, answer);
}

struct giving {
    const struct http_call *call;
    const struct migration_saying *saying;
};

static struct error *give_approval(struct db *db, struct migration_row *m, void *context)
{
    const struct giving *giving = context;
    bool platform = principal_role(giving->call->principal) == ROLE_PLATFORM_ADMIN;
    if (m->state > MIGRATION_APPROVED)
        return error_new(ERR_CONFLICT, "it needs no approval any more: it is %s",
                         migration_state_name(m->state));
    return migration_approve(db, m, platform ? "platform" : "unit", giving->saying->principal,
                             giving->saying->why, giving->call->now);
}

static struct error *approve(struct http_call *call, struct http_answer *answer)
{
    struct migration_saying saying = {0};
    struct giving giving = {call, &saying};
    TRY(read_reason(call, &saying));
    TRY(find(call, &saying));
    return change(call, &saying, give_approval, &giving, answer);
}

static struct error *take_over(struct db *db, struct migration_row *m, void *context)
{
    const struct giving *giving = context;
    if (m->state != MIGRATION_HOLDING)
        return error_new(ERR_CONFLICT, "there is nothing to accept yet, or any more: it is %s",
                         migration_state_name(m->state));
    return migration_accept(db, m, giving->saying->principal, giving->call->now);
}

static struct error *accept(struct http_call *call, struct http_answer *answer)
{
    struct migration_saying saying = {0};
    struct giving giving = {call, &saying};
    TRY(find(call, &saying));
    return change(call, &saying, take_over, &giving, answer);
}

struct terms {
    struct migration_window window;
    int64_t downtime_seconds, hold_days, bandwidth;
    bool test_required, test_told;
    bool no_window; /* the one that was agreed is taken off again */
};
static const struct json_member terms_members[] = {
    {JSON_MEMBER(struct terms, window), .want = JSON_WANT_OBJECT, .spec = &window_spec,
     .flags = JSON_NULLABLE},
    {JSON_MEMBER(struct terms, downtime_seconds), .want = JSON_WANT_INT, .min = 0, .max = DOWNTIME_MAX_S},
    {JSON_MEMBER(struct terms, hold_days), .want = JSON_WANT_INT, .min = 1, .max = HOLD_DAYS_MAX},
    {JSON_MEMBER(struct terms, bandwidth), .want = JSON_WANT_INT, .min = 0, .max = BANDWIDTH_MAX},
    {JSON_MEMBER(struct terms, test_required), .want = JSON_WANT_BOOL},
};
static const struct json_spec terms_spec = JSON_SPEC(struct terms, terms_members);

static struct error *set_terms(struct db *db, struct migration_row *m, void *context)
{
    const struct terms *terms = context;
    if (terms->window.from || terms->no_window) {
        m->window_from = terms->window.from;
        m->window_until = terms->window.until;
    }
    if (terms->downtime_seconds >= 0)
        m->downtime_us = terms->downtime_seconds * MOMENT_SECOND;
    if (terms->hold_days >= 0)
        m->hold_us = terms->hold_days * MOMENT_DAY;
    if (terms->bandwidth >= 0)
        m->bandwidth = terms->bandwidth;
    if (terms->test_required && m->method != MIGRATION_WARM)
        return error_member("/test_required",
                            "cannot be: by the method %s there is nothing to boot before "
                            "the cut-over",
                            migration_method_name(m->method));
    if (terms->test_told)
        TRY(migration_test_require(db, m, terms->test_required));
    return migration_set_terms(db, m);
}

static struct error *patch(struct http_call *call, struct http_answer *answer)
{
    struct migration_saying saying = {0};
    struct terms terms = {.downtime_seconds = -1, .hold_days = -1, .bandwidth = -1};
    TRY(http_read_body(call, &terms_spec, &terms));
    terms.test_told = json_object_get(call->body, "test_required") != NULL;
    terms.no_window = json_is_null(json_object_get(call->body, "window"));
    TRY(check_window(&terms.window));
    TRY(find(call, &saying));
    return change(call, &saying, set_terms, &terms, answer);
}

#define PLAN "migrations:plan"
#define OPERATE "migrations:operate"

static const struct http_route routes[] = {
    {"GET", "/v1/migrations", list, "migrations:read", 0, "state,system,cloud,instance,page_size,page_token"},
    {"POST", "/v1/migrations", add, PLAN, HTTP_KEYED, NULL},
    {"GET", "/v1/migrations/{migration}", get, "migrations:read", 0, NULL},
    {"PATCH", "/v1/migrations/{migration}", patch, PLAN, HTTP_CONDITIONAL, NULL},
    {"DELETE", "/v1/migrations/{migration}", cancel, OPERATE, HTTP_CONDITIONAL, NULL},
    {"POST", "/v1/migrations/{migration}:approve", approve, "migrations:approve", HTTP_CONDITIONAL, NULL},
    {"POST", "/v1/migrations/{migration}:start", start, OPERATE, HTTP_CONDITIONAL, NULL},
    {"POST", "/v1/migrations/{migration}:test", test, OPERATE, HTTP_CONDITIONAL, NULL},
    {"POST", "/v1/migrations/{migration}:cutover", cutover, OPERATE, HTTP_CONDITIONAL, NULL},
    {"POST", "/v1/migrations/{migration}:rollback", rollback, OPERATE, HTTP_CONDITIONAL, NULL},
    {"POST", "/v1/migrations/{migration}:commit", commit, OPERATE, HTTP_CONDITIONAL, NULL},
    {"POST", "/v1/migrations/{migration}:accept", accept, "migrations:accept",
     HTTP_CONDITIONAL | HTTP_NO_BODY, NULL},
    {"POST", "/v1/migrations/{migration}:cancel", cancel, OPERATE, HTTP_CONDITIONAL, NULL},
};
const struct http_table migration_routes = HTTP_TABLE(routes);
