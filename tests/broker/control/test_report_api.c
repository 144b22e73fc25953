/* POST /v1/usage with the real server and identity: media types, who may report what, what is told of each
 * event of a batch, all or nothing; and the decisions on quarantined ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/auth.h"
#include "broker/auth/principal_store.h"
#include "broker/base/json.h"
#include "broker/control/routes.h"
#include "metering/routes.h"
#include "tests/broker/control/house.h"
#include "tests/support/h2.h"
#include "tests/support/https.h"

#define ONE "application/cloudevents+json"
#define BATCH "application/cloudevents-batch+json"
#define LINES "application/x-ndjson"

static struct auth *auth;
static struct https https;
static struct h2_client *client;

enum who { ADMIN, OPERATOR, OTHER_OPERATOR, UNIT, WHO_COUNT };
static const struct principal_grant grants[] = {
    [ADMIN] = {.id = "boss", .role = ROLE_PLATFORM_ADMIN},
    [OPERATOR] = {.id = "operator", .role = ROLE_PROVIDER_OPERATOR, .provider = "p"},
    [OTHER_OPERATOR] = {.id = "other-operator", .role = ROLE_PROVIDER_OPERATOR, .provider = "q"},
    [UNIT] = {.id = "unit-admin", .role = ROLE_UNIT_ADMIN, .unit = "u"},
};
static char tokens[WHO_COUNT][4096];

static struct error *enrol(struct db *db, void *context)
{
    ARENA_AUTO struct arena *arena = arena_new();
    moment now = clock_now(house.clock);
    for (int i = 0; i < WHO_COUNT; i++) {
        const char *token, *jti;
        TRY(principal_store_insert(db, &(struct principal_row){.grant = grants[i]}, now));
        TRY(auth_issue_token(auth, db, NULL, grants[i].id, MOMENT_HOUR, now, arena, &token, &jti));
        (void)snprintf(tokens[i], sizeof tokens[i], "%s", token);
    }
    return NULL;
}

static int open_api(void **state)
{
    static const struct http_table *const tables[] = {&report_routes, &usage_event_routes, &usage_routes};
    char folder[512];
    house_open(state);
    pg_exec(house.pg,
            "INSERT INTO provider (id, name, created_at, updated_at) VALUES ('q', 'Q', now(), now());"
            "INSERT INTO cloud (id, name, kind, provider_id, created_at, updated_at)"
            " VALUES ('d', 'D', 'health', 'q', now(), now())");
    (void)snprintf(folder, sizeof folder, "%s/keys", pg_folder(house.pg)); /* a short folder */
    ok(auth_new(folder, house.db, clock_now(house.clock), &auth));
    house.services.auth = auth;
    ok(db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, enrol, NULL));
    ok(auth_refresh(auth, house.db, clock_now(house.clock)));
    https_start(&https, (struct server_settings){.tables = tables,
                                                 .table_count = sizeof tables / sizeof *tables,
                                                 .conninfo = pg_conninfo(house.pg),
                                                 .auth = auth,
                                                 .clock = house.clock,
                                                 .context = &house.services,
                                                 .workers = 2});
    client = h2_open(https.port, NULL);
    assert_non_null(client);
    return 0;
}

static int close_api(void **state)
{
    h2_close(client);
    https_stop(&https);
    auth_free(auth);
    return house_close(state);
}

static int reset(void **state)
{
    pg_exec(house.pg, "SET session_replication_role = replica; DELETE FROM usage_event;"
                      " DELETE FROM usage_interval; DELETE FROM usage_superseded");
    return house_reset(state);
}

static json_t *call(struct arena *arena, enum who who, const char *method, const char *path, const char *type,
                    const char *body, int status)
{
    const char *const with[] = {"content-type", type, NULL};
    struct h2_request request = {.method = method, .path = path, .token = tokens[who], .body = body};
    if (body)
        request.headers = with;
    request.length = body ? strlen(body) : 0;
    const struct h2_reply *reply = h2_call(client, &request);
    if (reply->status != status)
        fail_msg("%s %s as %s: %d %s", method, path, grants[who].id, reply->status,
                 reply->body ? reply->body : "");
    json_t *json = json_loads(reply->body, 0, NULL);
    assert_non_null(json);
    return json_hold(arena, json);
}

static json_t *post(struct arena *arena, enum who who, const char *type, const char *body, int status)
{
    return call(arena, who, "POST", "/v1/usage", type, body, status);
}

/* One event; NULL: the good one's. */
struct told {
    const char *id, *provider, *subject, *at, *system, *cloud, *more, *items;
};

static const char * or (const char *text, const char *other)
{
    return text ? text : other;
}

static const char *event(struct arena *arena, struct told told)
{
    return arena_printf(arena,
                        "{\"specversion\":\"1.0\",\"type\":\"cn.yunqiao.usage.state.v1\",\"source\":"
                        "\"/providers/%s/m\",\"id\":\"%s\",\"subject\":\"%s\",\"time\":\"%s\",\"data\":{"
                        "\"unit\":\"u\",\"system\":\"%s\",\"cloud\":\"%s\"%s,\"items\":[%s]}}",
                        or (told.provider, "p"), or (told.id, "1"), or (told.subject, "lb-1"),
                        or (told.at, "2026-01-10T00:00:00Z"), or (told.system, "u001"), or (told.cloud, "c"),
                        or (told.more, ""), or (told.items, "{\"item\":\"1018\",\"quantity\":\"2\"}"));
}

static void counts(const json_t *answer, int accepted, int duplicates, int quarantined, size_t rejected)
{
    assert_int_equal(json_integer_value(json_object_get(answer, "accepted")), accepted);
    assert_int_equal(json_integer_value(json_object_get(answer, "duplicates")), duplicates);
    assert_int_equal(json_integer_value(json_object_get(answer, "quarantined")), quarantined);
    assert_int_equal(json_array_size(json_object_get(answer, "rejected")), rejected);
}

/* The problem of a rejected event, or the answer itself. */
static const char *pointer_of(const json_t *problem)
{
    const json_t *first = json_array_get(json_object_get(problem, "errors"), 0);
    return or (json_string_value(json_object_get(first, "pointer")), "-");
}

static void every_form_is_taken(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *one = event(arena, (struct told){0}), *two = event(arena, (struct told){.id = "2"});
    counts(post(arena, OPERATOR, ONE, one, 200), 1, 0, 0, 0);
    counts(post(arena, OPERATOR, ONE "; charset=utf-8", one, 200), 0, 1, 0, 0);
    counts(post(arena, OPERATOR, BATCH, "[]", 200), 0, 0, 0, 0);
    counts(post(arena, OPERATOR, BATCH, arena_printf(arena, "[%s,%s]", one, two), 200), 1, 1, 0, 0);
    counts(post(arena, ADMIN, LINES, arena_printf(arena, "%s\n%s\n", one, two), 200), 0, 2, 0, 0);
    post(arena, OPERATOR, "application/json", one, 415);
    post(arena, OPERATOR, BATCH, one, 422);
    post(arena, OPERATOR, ONE, "{", 422);
    call(arena, OPERATOR, "POST", "/v1/usage?atomic=maybe", ONE, one, 400);
    post(arena, UNIT, ONE, one, 403);
    json_t *usage = call(arena, OPERATOR, "GET", "/v1/usage?resource=p/lb-1", NULL, NULL, 200);
    const json_t *row = json_array_get(json_object_get(usage, "usage"), 0);
    assert_string_equal(json_string_value(json_object_get(row, "resource")), "p/lb-1");
    assert_string_equal(json_string_value(json_object_get(row, "quantity")), "2");
    assert_true(json_is_true(json_object_get(row, "open")));
}

static void who_may_report_what(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    pg_exec(house.pg,
            "INSERT INTO resource (unit_id, id, system_id, cloud_id, provider_id, zone_id, endpoint_id,"
            " order_id, kind, name, state, spec, ref, created_at, touched_at) SELECT 'u',"
            " '00000000-0000-4000-8000-00000000000a', 'u001', 'c', 'p', 'ext', 'e-ext',"
            " gen_random_uuid(), 'instance', 'own', 'active', '{}', 'vm-own', now(), now()");
    const struct {
        enum who who;
        struct told told;
        const char *pointer;
    } cases[] = {
        {OPERATOR, {.provider = "q"}, "/source"},
        {OPERATOR, {.cloud = "d"}, "/data/cloud"},
        {OPERATOR, {.cloud = "nowhere"}, "/data/cloud"},
        {ADMIN, {.cloud = "d"}, "/data/cloud"},
        {OPERATOR, {.more = ",\"zone\":\"moon\""}, "/data/zone"},
        {OPERATOR, {.system = "u009"}, "/data/system"},
        {OPERATOR, {.at = "2019-12-31T00:00:00Z"}, "/time"},
        {OTHER_OPERATOR, {.provider = "q", .cloud = "d"}, "/time"}, /* q has no prices */
        {OPERATOR, {.subject = "vm-own"}, "/subject"},
        {OPERATOR, {.subject = "00000000-0000-4000-8000-00000000000a"}, "/subject"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *problem = post(arena, cases[i].who, ONE, event(arena, cases[i].told), 422);
        assert_string_equal(pointer_of(problem), cases[i].pointer);
    }
    assert_int_equal(pg_number(house.pg, "SELECT count(*) FROM usage_event"), 0);
    counts(post(arena, OPERATOR, ONE, event(arena, (struct told){.more = ",\"zone\":\"ext\""}), 200), 1, 0, 0,
           0);
    pg_exec(house.pg, "DELETE FROM resource WHERE name = 'own'");
}

/* What was reported before the broker took the resource over would be charged twice for ever, could its
 * provider not say that it is nothing any more. */
static void what_became_our_own_can_be_ended(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *first = event(arena, (struct told){.subject = "vm-own"});
    counts(post(arena, OPERATOR, ONE, first, 200), 1, 0, 0, 0);
    pg_exec(house.pg,
            "INSERT INTO resource (unit_id, id, system_id, cloud_id, provider_id, zone_id, endpoint_id,"
            " order_id, kind, name, state, spec, ref, created_at, touched_at) SELECT 'u',"
            " '00000000-0000-4000-8000-00000000000a', 'u001', 'c', 'p', 'ext', 'e-ext',"
            " gen_random_uuid(), 'instance', 'own', 'active', '{}', 'vm-own', now(), now()");
    struct told more = {.id = "2", .subject = "vm-own", .at = "2026-01-11T00:00:00Z"}, none = more;
    none.items = " ";
    assert_string_equal(pointer_of(post(arena, OPERATOR, ONE, event(arena, more), 422)), "/subject");
    counts(post(arena, OPERATOR, ONE, event(arena, none), 200), 1, 0, 0, 0);
    counts(post(arena, OPERATOR, ONE, first, 200), 0, 1, 0, 0); /* which could not be told any more */
    const char *other = event(arena, (struct told){.subject = "vm-own", .more = ",\"zone\":\"ext\""});
    (void)post(arena, OPERATOR, ONE, other, 409);
    assert_int_equal(pg_number(house.pg, "SELECT count(*) FROM usage_interval WHERE resource_id = 'p/vm-own'"
                                         " AND end_at = '2026-01-11T00:00:00Z'"),
                     1);
    assert_int_equal(
        pg_number(house.pg, "SELECT count(*) FROM usage_interval WHERE resource_id = 'p/vm-own'"), 1);
    pg_exec(house.pg, "DELETE FROM resource WHERE name = 'own'");
}

static void bad_ones_are_told_by_index(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char at[MOMENT_TEXT];
    moment_format(clock_now(house.clock) + MOMENT_DAY, at);
    const char *good = event(arena, (struct told){0}),
               *bad = event(arena, (struct told){.id = "2", .cloud = "d"}),
               *other = event(arena, (struct told){.items = ""}),
               *ahead = event(arena, (struct told){.id = "3", .at = at});
    const char *batch = arena_printf(arena, "[%s,%s,7,%s,%s]", good, bad, other, ahead);
    const char *lines = arena_printf(arena, "%s\n%s\n", bad, good);
    json_t *problem = call(arena, OPERATOR, "POST", "/v1/usage?atomic=true", BATCH, batch, 422);
    assert_string_equal(pointer_of(problem), "/1/data/cloud");
    assert_int_equal(pg_number(house.pg, "SELECT count(*) FROM usage_event"), 0);
    json_t *answer = post(arena, OPERATOR, BATCH, batch, 200),
           *rejected = json_object_get(answer, "rejected");
    counts(answer, 1, 0, 1, 3);
    const json_t *first = json_array_get(rejected, 0), *last = json_array_get(rejected, 2);
    assert_int_equal(json_integer_value(json_object_get(first, "index")), 1);
    assert_string_equal(json_string_value(json_object_get(first, "id")), "2");
    assert_string_equal(pointer_of(json_object_get(first, "problem")), "/data/cloud");
    assert_int_equal(json_integer_value(json_object_get(last, "index")), 3);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(last, "problem"), "status")), 409);
    post(arena, OPERATOR, ONE, other, 409);
    call(arena, OPERATOR, "POST", "/v1/usage?atomic=true", LINES, other, 409);
    counts(post(arena, OPERATOR, LINES, lines, 200), 0, 1, 0, 1);
}

static void a_person_decides(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char at[MOMENT_TEXT];
    moment_format(clock_now(house.clock) + 30 * MOMENT_DAY, at);
    const char *one = event(arena, (struct told){.at = at}),
               *two = event(arena, (struct told){.id = "2", .at = at});
    const char *name = "{\"source\":\"/providers/p/m\",\"id\":\"1\"}",
               *other = "{\"source\":\"/providers/p/m\",\"id\":\"2\"}", *json = "application/json";
    counts(post(arena, OPERATOR, LINES, arena_printf(arena, "%s\n%s", one, two), 200), 0, 0, 2, 0);
    json_t *list =
        call(arena, OPERATOR, "GET", "/v1/usage-events?state=quarantined&page_size=1", NULL, NULL, 200);
    assert_int_equal(json_array_size(json_object_get(list, "events")), 1);
    const char *token = json_string_value(json_object_get(list, "next_page_token"));
    list = call(arena, OPERATOR, "GET",
                arena_printf(arena, "/v1/usage-events?state=quarantined&page_size=1&page_token=%s", token),
                NULL, NULL, 200);
    const json_t *row = json_array_get(json_object_get(list, "events"), 0);
    assert_string_equal(json_string_value(json_object_get(row, "id")), "2");
    assert_null(json_object_get(list, "next_page_token"));
    call(arena, OPERATOR, "POST", "/v1/usage-events:release", json, name, 403);
    call(arena, ADMIN, "POST", "/v1/usage-events:release", json, name, 200);
    call(arena, ADMIN, "POST", "/v1/usage-events:release", json, name, 200);
    call(arena, ADMIN, "POST", "/v1/usage-events:discard", json, name, 409);
    call(arena, ADMIN, "POST", "/v1/usage-events:discard", json, other, 200);
    call(arena, ADMIN, "POST", "/v1/usage-events:release", json, other, 409);
    call(arena, ADMIN, "POST", "/v1/usage-events:release", json, "{\"source\":\"x\",\"id\":\"1\"}", 404);
    call(arena, OPERATOR, "GET", "/v1/usage-events?state=lost", NULL, NULL, 400);
    list = call(arena, OTHER_OPERATOR, "GET", "/v1/usage-events", NULL, NULL, 200);
    assert_int_equal(json_array_size(json_object_get(list, "events")), 0);
    list = call(arena, UNIT, "GET", "/v1/usage-events", NULL, NULL, 200);
    assert_int_equal(json_array_size(json_object_get(list, "events")), 2);
    assert_int_equal(pg_number(house.pg, "SELECT count(*) FROM usage_interval"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_form_is_taken, reset, house_rest),
        cmocka_unit_test_setup_teardown(who_may_report_what, reset, house_rest),
        cmocka_unit_test_setup_teardown(what_became_our_own_can_be_ended, reset, house_rest),
        cmocka_unit_test_setup_teardown(bad_ones_are_told_by_index, reset, house_rest),
        cmocka_unit_test_setup_teardown(a_person_decides, reset, house_rest),
    };
    return cmocka_run_group_tests(tests, open_api, close_api);
}
