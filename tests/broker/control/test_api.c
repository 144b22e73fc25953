/* The API of the control floor with the real server and identity: who sees and does what of jobs, capacity,
 * endpoints, alerts, drift and operations. */
#include "tests/broker/control/house.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/auth.h"
#include "broker/auth/principal_store.h"
#include "broker/base/json.h"
#include "broker/control/identity.h"
#include "broker/control/routes.h"
#include "broker/control/sync.h"
#include "tests/support/h2.h"
#include "tests/support/https.h"

static struct auth *auth;
static struct https https;
static struct h2_client *client;
static int keys;

enum who { ADMIN, OPERATOR, OTHER_OPERATOR, REGULATOR, OTHER_REGULATOR, UNIT, MEMBER, WHO_COUNT };
static const char *const clouds[] = {"c"}, *const other_clouds[] = {"d"}, *const systems[] = {"u002"};
static const struct principal_grant grants[] = {
    [ADMIN] = {.id = "boss", .role = ROLE_PLATFORM_ADMIN},
    [OPERATOR] = {.id = "operator", .role = ROLE_PROVIDER_OPERATOR, .provider = "p"},
    [OTHER_OPERATOR] = {.id = "other-operator", .role = ROLE_PROVIDER_OPERATOR, .provider = "q"},
    [REGULATOR] = {.id = "regulator", .role = ROLE_REGULATOR, .clouds = clouds, .cloud_count = 1},
    [OTHER_REGULATOR] = {.id = "other-regulator",
                         .role = ROLE_REGULATOR,
                         .clouds = other_clouds,
                         .cloud_count = 1},
    [UNIT] = {.id = "unit-admin", .role = ROLE_UNIT_ADMIN, .unit = "u"},
    [MEMBER] =
        {.id = "member", .role = ROLE_UNIT_OPERATOR, .unit = "u", .systems = systems, .system_count = 1},
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
    static const struct http_table *const tables[] = {&capacity_routes, &endpoint_routes,   &operation_routes,
                                                      &drift_routes,    &job_routes,        &resource_routes,
                                                      &order_routes,    &fulfilment_routes, &cloud_routes,
                                                      &quota_routes,    &unit_routes,       &audit_routes};
    char folder[512];
    house_open(state);
    pg_exec(house.pg,
            "INSERT INTO provider (id, name, created_at, updated_at) VALUES ('q', 'Q', now(), now())");
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

static const char *if_match; /* of the next call; NULL: none */

/* The JSON of the answer; fails unless it has the status. */
static json_t *call(struct arena *arena, enum who who, const char *method, const char *path, const char *body,
                    int status)
{
    const char *key = arena_printf(arena, "key-%d", ++keys);
    const char *const with[] = {"idempotency-key", key, body ? "content-type" : NULL, "application/json",
                                NULL};
    const char *const matching[] = {"content-type", "application/json", "if-match", if_match, NULL};
    struct h2_request request = {.method = method, .path = path, .token = tokens[who], .body = body};
    if (strcmp(method, "GET") != 0 && !strstr(path, "/jobs/"))
        request.headers = if_match ? matching : with;
    request.length = body ? strlen(body) : 0;
    const struct h2_reply *reply = h2_call(client, &request);
    if (reply->status != status)
        fail_msg("%s %s as %s: %d %s", method, path, grants[who].id, reply->status,
                 reply->body ? reply->body : "");
    json_t *json = status == 204 ? json_null() : json_loads(reply->body, 0, NULL);
    assert_non_null(json);
    return json_hold(arena, json);
}

static size_t count(struct arena *arena, enum who who, const char *path, const char *noun)
{
    return json_array_size(json_object_get(call(arena, who, "GET", path, NULL, 200), noun));
}

static void who_sees_a_cloud(void **state)
{
    static const struct {
        enum who who;
        size_t capacity, endpoints, alerts;
    } cases[] = {{ADMIN, 9, 2, 1},
                 {OPERATOR, 9, 2, 1},
                 {OTHER_OPERATOR, 0, 0, 0},
                 {REGULATOR, 9, 2, 1},
                 {OTHER_REGULATOR, 0, 0, 0}};
    ARENA_AUTO struct arena *arena = arena_new();
    pg_exec(house.pg,
            "INSERT INTO alert (id, cloud_id, provider_id, kind, subject, details, raised_at) VALUES"
            " (gen_random_uuid(), 'c', 'p', 'capacity', 'vcpu', '{}', now())");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(count(arena, cases[i].who, "/v1/capacity", "capacity"), cases[i].capacity);
        assert_int_equal(count(arena, cases[i].who, "/v1/endpoints", "endpoints"), cases[i].endpoints);
        assert_int_equal(count(arena, cases[i].who, "/v1/alerts", "alerts"), cases[i].alerts);
    }
    call(arena, UNIT, "GET", "/v1/capacity", NULL, 403);
}

static void only_parked_jobs_are_tried_again(void **state)
{
    char operation[37];
    ARENA_AUTO struct arena *arena = arena_new();
    memory_cloud_fail("instance_create", ERR_INVALID, 1, true);
    ok(house_order(ONE_INSTANCE("web"), operation));
    assert_int_equal(count(arena, ADMIN, "/v1/jobs", "jobs"), 1);
    assert_int_equal(count(arena, ADMIN, "/v1/jobs?state=parked", "jobs"), 0);
    assert_int_equal(count(arena, ADMIN, "/v1/jobs?type=order&state=queued", "jobs"), 1);
    call(arena, ADMIN, "GET", "/v1/jobs?state=lost", NULL, 400);
    call(arena, UNIT, "GET", "/v1/jobs", NULL, 403);
    char *job = house_text("SELECT id FROM job");
    const char *path = arena_printf(arena, "/v1/jobs/%s:retry", job);
    call(arena, ADMIN, "POST", path, NULL, 409);
    call(arena, REGULATOR, "POST", path, NULL, 403);
    house_run();
    house_await(operation, "failed");
    call(arena, ADMIN, "POST", path, NULL, 409);
    house_halt();
    /* What waits parked, undoing, goes on. */
    pg_exec(house.pg, "UPDATE job SET state = 'parked', undoing = true, ended_at = NULL, last_error = 'why'");
    json_t *json = call(arena, ADMIN, "GET", arena_printf(arena, "/v1/jobs/%s", job), NULL, 200);
    assert_string_equal(json_string_value(json_object_get(json, "last_error")), "why");
    json = call(arena, ADMIN, "POST", path, NULL, 202);
    assert_string_equal(json_string_value(json_object_get(json, "state")), "queued");
    house_run();
    jobs_await_state(house.pg, job, "failed");
    free(job);
    call(arena, ADMIN, "GET", "/v1/jobs/nothing", NULL, 404);
    house_check();
}

static void a_console_is_for_its_unit(void **state)
{
    char operation[37];
    ARENA_AUTO struct arena *arena = arena_new();
    ok(house_order(ONE_INSTANCE("web"), operation));
    house_run();
    house_await(operation, "succeeded");
    ok(house_operate("web", VERB_CONSOLE, NULL, operation));
    house_await(operation, "succeeded");
    const char *path = arena_printf(arena, "/v1/operations/%s", operation);
    assert_non_null(json_object_get(call(arena, UNIT, "GET", path, NULL, 200), "result"));
    assert_null(json_object_get(call(arena, REGULATOR, "GET", path, NULL, 200), "result"));
    assert_null(json_object_get(call(arena, OPERATOR, "GET", path, NULL, 200), "result"));
    call(arena, OTHER_OPERATOR, "GET", path, NULL, 404);
    call(arena, MEMBER, "GET", path, NULL, 404);
    json_t *list = json_object_get(call(arena, REGULATOR, "GET", "/v1/operations", NULL, 200), "operations");
    assert_int_equal(json_array_size(list), 2);
    for (size_t i = 0; i < json_array_size(list); i++)
        assert_null(json_object_get(json_object_get(json_array_get(list, i), "result"), "console"));
}

static void nobody_operates_what_is_not_theirs(void **state)
{
    char operation[37], id[37];
    ARENA_AUTO struct arena *arena = arena_new();
    ok(house_order(ONE_INSTANCE("web"), operation));
    house_run();
    house_await(operation, "succeeded");
    house_id("web", id);
    const char *path = arena_printf(arena, "/v1/instances/%s:stop", id);
    call(arena, REGULATOR, "POST", path, NULL, 403);
    call(arena, OPERATOR, "POST", path, NULL, 403);
    call(arena, MEMBER, "POST", path, NULL, 404);
    static const char order[] =
        "{\"unit\":\"u\",\"system\":\"u001\",\"cloud\":\"c\",\"resources\":[{\"kind\":\"volume\","
        "\"name\":\"d\",\"spec\":{\"size_gb\":1,\"performance\":\"high\",\"zone\":\"ext\"}}]}";
    call(arena, MEMBER, "POST", "/v1/orders", order, 404);
    call(arena, OPERATOR, "POST", "/v1/orders", order, 403);
    call(arena, ADMIN, "POST", "/v1/orders", order, 202);
    call(arena, UNIT, "POST", "/v1/orders",
         "{\"unit\":\"v\",\"system\":\"v001\",\"cloud\":\"c\",\"resources\":[{\"kind\":"
         "\"volume\",\"name\":\"d\",\"spec\":{\"size_gb\":1,\"performance\":\"high\",\"zone\":"
         "\"ext\"}}]}",
         404);
}

static struct error *look_body(struct db *db, void *context)
{
    return sync_add_job(db, context);
}

/* A machine of the unit that its provider has lost, and the case that an inventory made of it: its path. */
static const char *lost(struct arena *arena)
{
    char operation[37], id[37];
    ok(house_order(ONE_INSTANCE("web"), operation));
    house_run();
    house_await(operation, "succeeded");
    house_id("web", id);
    memory_cloud_lose(id);
    ok(db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, look_body, (void *)(uintptr_t) "e-ext"));
    jobs_await(house.pg, "SELECT count(*) FROM drift WHERE resolved_at IS NULL", "1");
    char *drift = house_text("SELECT id FROM drift");
    const char *path = arena_printf(arena, "/v1/drift/%s", drift);
    free(drift);
    return path;
}

static const char *text(const json_t *json, const char *member)
{
    const char *value = json_string_value(json_object_get(json, member));
    return value ? value : "";
}

static const char body[] = "{\"reason\":\"host burnt\"}";

static void who_sees_and_settles_a_case(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = lost(arena), *accept = arena_printf(arena, "%s:accept", path);
    assert_int_equal(count(arena, OTHER_OPERATOR, "/v1/drift", "drift"), 0);
    assert_int_equal(count(arena, OTHER_REGULATOR, "/v1/drift", "drift"), 0);
    assert_int_equal(count(arena, OPERATOR, "/v1/drift?kind=missing&cloud=c&unit=u", "drift"), 1);
    assert_int_equal(count(arena, REGULATOR, "/v1/drift?kind=size", "drift"), 0);
    call(arena, ADMIN, "GET", "/v1/drift?state=dismissed", NULL, 400);
    call(arena, OTHER_OPERATOR, "GET", path, NULL, 404);
    call(arena, OTHER_REGULATOR, "GET", path, NULL, 404);
    call(arena, UNIT, "GET", path, NULL, 403);
    json_t *seen = call(arena, REGULATOR, "GET", path, NULL, 200);
    assert_string_equal(text(seen, "state"), "open");
    assert_int_equal(json_array_size(json_object_get(seen, "history")), 1);
    assert_string_equal(text(json_object_get(seen, "stake"), "difference_yuan"), "-6.40");
    call(arena, ADMIN, "POST", accept, body, 428);
    if_match = "\"v1\"";
    call(arena, OPERATOR, "POST", accept, body, 403); /* what a unit owes it is not its own to say */
    call(arena, REGULATOR, "POST", accept, body, 403);
    call(arena, ADMIN, "POST", accept, "{}", 422);
    json_t *done = call(arena, ADMIN, "POST", accept, body, 200);
    assert_string_equal(text(done, "state"), "resolved");
    assert_string_equal(text(json_object_get(done, "decision"), "by"), "boss");
    assert_string_equal(text(json_object_get(done, "decision"), "reason"), "host burnt");
    assert_int_equal(json_array_size(json_object_get(done, "history")), 2);
    call(arena, ADMIN, "POST", accept, body, 409); /* the second of two */
    call(arena, ADMIN, "POST", arena_printf(arena, "%s:refuse", path), body, 409);
    if_match = NULL;
    char *audited =
        house_text("SELECT count(*) FROM audit WHERE principal = 'boss' AND unit_id = 'u' AND path"
                   " LIKE '%:accept' AND status = 200");
    assert_string_equal(audited, "1");
    free(audited);
    jobs_await(house.pg, "SELECT state FROM resource WHERE name = 'web'", "deleted");
    jobs_await(house.pg, "SELECT count(*) FROM operation WHERE ended_at IS NULL", "0");
    house_check();
}

static void a_case_is_settled_as_it_was_read(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = lost(arena), *accept = arena_printf(arena, "%s:accept", path);
    const char *refuse = arena_printf(arena, "%s:refuse", path);
    pg_exec(house.pg, "UPDATE drift SET version = 2");
    if_match = "\"v1\"";
    call(arena, ADMIN, "POST", accept, body, 412);
    call(arena, ADMIN, "POST", refuse, body, 412);
    if_match = "\"v2\"";
    json_t *refused = call(arena, ADMIN, "POST", refuse, body, 200);
    assert_string_equal(text(refused, "state"), "refused");
    assert_int_equal(count(arena, ADMIN, "/v1/drift", "drift"), 0);
    assert_int_equal(count(arena, REGULATOR, "/v1/drift?state=refused", "drift"), 1);
    call(arena, ADMIN, "POST", accept, body, 409); /* who has not read the refusal */
    if_match = "\"v3\"";
    call(arena, ADMIN, "POST", accept, body, 200);
    if_match = NULL;
    jobs_await(house.pg, "SELECT state FROM resource WHERE name = 'web'", "deleted");
    jobs_await(house.pg, "SELECT count(*) FROM operation WHERE ended_at IS NULL", "0");
}

#define ACCOUNTS "[{\"kind\":\"remote-account\",\"name\":\"ops\",\"spec\":{\"accounts\":3}}]"

/* From the order to its end over HTTP, by those who may. */
static void the_operator_fulfils_what_waits(void **state)
{
    char operation[37], id[37];
    ARENA_AUTO struct arena *arena = arena_new();
    ok(house_order(ACCOUNTS, operation));
    house_run();
    jobs_await(house.pg, "SELECT count(*) FROM fulfilment WHERE state = 'open'", "1");
    json_t *list =
        json_object_get(call(arena, OPERATOR, "GET", "/v1/fulfilments?cloud=c", NULL, 200), "fulfilments");
    assert_int_equal(json_array_size(list), 1);
    const json_t *first = json_array_get(list, 0);
    assert_string_equal(text(first, "verb"), "create");
    assert_true(json_is_false(json_object_get(first, "overdue")));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(first, "spec"), "accounts")), 3);
    const char *path = arena_printf(arena, "/v1/fulfilments/%s", text(first, "id"));
    const char *done = arena_printf(arena, "%s:complete", path), *no = arena_printf(arena, "%s:refuse", path);
    assert_int_equal(count(arena, OTHER_OPERATOR, "/v1/fulfilments", "fulfilments"), 0);
    assert_int_equal(count(arena, ADMIN, "/v1/fulfilments?kind=remote-account", "fulfilments"), 1);
    assert_int_equal(count(arena, ADMIN, "/v1/fulfilments?kind=waf", "fulfilments"), 0);
    assert_int_equal(count(arena, ADMIN, "/v1/fulfilments?state=completed", "fulfilments"), 0);
    call(arena, ADMIN, "GET", "/v1/fulfilments?state=done", NULL, 400);
    call(arena, UNIT, "GET", "/v1/fulfilments", NULL, 403);
    call(arena, UNIT, "POST", done, "{\"reference\":\"r\"}", 403);
    call(arena, OTHER_OPERATOR, "GET", path, NULL, 404);
    call(arena, OTHER_OPERATOR, "POST", done, "{\"reference\":\"r\"}", 404);
    call(arena, OPERATOR, "POST", done, "{}", 422);
    call(arena, OPERATOR, "POST", done, "{\"reference\":\"\"}", 422);
    call(arena, OPERATOR, "POST", no, "{\"reference\":\"r\"}", 422);
    /* Asked long ago. */
    pg_exec(house.pg, "UPDATE fulfilment SET due_at = now() - interval '1 second'");
    assert_true(json_is_true(json_object_get(call(arena, OPERATOR, "GET", path, NULL, 200), "overdue")));
    json_t *completed =
        call(arena, OPERATOR, "POST", done, "{\"reference\":\"ACC-1\",\"address\":\"vpn.example.cn\"}", 200);
    assert_string_equal(text(completed, "state"), "completed");
    assert_string_equal(text(completed, "ended_by"), "operator");
    assert_true(json_is_false(json_object_get(completed, "overdue")));
    call(arena, OPERATOR, "POST", no, "{\"reason\":\"r\"}", 409);
    house_await(operation, "succeeded");
    house_id("ops", id);
    const char *resource = arena_printf(arena, "/v1/resources/%s", id);
    assert_string_equal(text(call(arena, UNIT, "GET", resource, NULL, 200), "address"), "vpn.example.cn");
    const char *resize = arena_printf(arena, "%s:resize", resource);
    call(arena, OPERATOR, "POST", resize, "{\"accounts\":5}", 403);
    call(arena, MEMBER, "POST", resize, "{\"accounts\":5}", 404);
    call(arena, UNIT, "POST", resize, "{\"accounts\":0}", 422);
    call(arena, UNIT, "POST", resize, "{\"accounts\":5}", 202);
    jobs_await(house.pg, "SELECT count(*) FROM fulfilment WHERE state = 'open' AND verb = 'resize'", "1");
    char *asked = house_text("SELECT id FROM fulfilment WHERE state = 'open'");
    json_t *refused_one =
        call(arena, OPERATOR, "POST", arena_printf(arena, "/v1/fulfilments/%s:refuse", asked),
             "{\"reason\":\"no licences\"}", 200);
    assert_string_equal(text(refused_one, "reason"), "no licences");
    free(asked);
    jobs_await(house.pg, "SELECT count(*) FROM operation WHERE ended_at IS NULL", "0");
    assert_string_equal(text(call(arena, UNIT, "GET", resource, NULL, 200), "error"),
                        "the provider refused to resize remote-account \"ops\": no licences");
    house_check();
}

/* A token that may not operate instances does not do it on /v1/resources. */
static void kinds_with_a_path_are_operated_there(void **state)
{
    char operation[37], id[37];
    ARENA_AUTO struct arena *arena = arena_new();
    ok(house_order(ONE_INSTANCE("web"), operation));
    house_run();
    house_await(operation, "succeeded");
    house_id("web", id);
    call(arena, UNIT, "POST", arena_printf(arena, "/v1/resources/%s:resize", id), "{\"vcpu\":1}", 409);
    house_check();
}

/* As the unit itself, under its own scope. */
static void a_unit_expands_for_free(void **state)
{
    char operation[37], id[37];
    ARENA_AUTO struct arena *arena = arena_new();
    ok(house_order("[{\"kind\":\"bandwidth\",\"name\":\"line\",\"spec\":{\"mbps\":10,\"zone\":\"net\"}}]",
                   operation));
    house_run();
    house_await(operation, "succeeded");
    house_id("line", id);
    const char *line = arena_printf(arena, "/v1/bandwidths/%s", id);
    const char *resize = arena_printf(arena, "%s:resize", line);
    call(arena, UNIT, "POST", resize, "{\"mbps\":12,\"expansion_days\":91}", 422);
    call(arena, UNIT, "POST", resize, "{\"mbps\":12,\"expansion_days\":\"7\"}", 422);
    call(arena, UNIT, "POST", resize, "{\"mbps\":13,\"expansion_days\":7}", 409);
    call(arena, UNIT, "POST", resize, "{\"mbps\":12,\"expansion_days\":7}", 202);
    jobs_await(house.pg, "SELECT count(*) FROM operation WHERE ended_at IS NULL", "0");
    const json_t *expansion = json_object_get(call(arena, UNIT, "GET", line, NULL, 200), "expansion");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(expansion, "charged"), "mbps")), 10);
    assert_int_equal(strlen(text(expansion, "until")), 27);
    static const char more[] =
        "{\"system\":\"u001\",\"cloud\":\"c\",\"resources\":[{\"kind\":\"bandwidth\","
        "\"name\":\"more\",\"expansion_days\":%d,\"spec\":{\"mbps\":1,\"zone\":\"net\"}}]}";
    call(arena, UNIT, "POST", "/v1/orders", arena_printf(arena, more, 7), 409); /* all 20 % are taken */
    call(arena, UNIT, "POST", "/v1/orders", arena_printf(arena, more, 0), 422);
    house_check();
}

/* "action status" of what the trail tells the caller, oldest first; every row must be of the cloud. */
static const char *trail(struct arena *arena, enum who who, const char *cloud)
{
    const json_t *rows = json_object_get(call(arena, who, "GET", "/v1/audit", NULL, 200), "audit");
    const char *told = "";
    size_t index;
    json_t *row;
    json_array_foreach (rows, index, row) {
        assert_string_equal(text(row, "cloud"), cloud);
        told = arena_printf(arena, "%s %d\n%s", text(row, "action"),
                            (int)json_integer_value(json_object_get(row, "status")), told);
    }
    return told;
}

#define ORDER_OF(clouds) "{\"unit\":\"u\",\"system\":\"u001\",\"resources\":[" clouds "]}"
#define ACCOUNT_ON(cloud)                                                                       \
    "{\"kind\":\"remote-account\",\"name\":\"ops-" cloud "\",\"cloud\":\"" cloud "\",\"spec\":" \
    "{\"accounts\":3}}"

static void a_regulator_reads_the_trail_of_its_clouds(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    pg_exec(house.pg, "INSERT INTO cloud (id, name, kind, provider_id, created_at, updated_at)"
                      " VALUES ('d', 'D', 'health', 'p', now(), now())");
    const char *before = trail(arena, REGULATOR, "c");
    assert_string_equal(trail(arena, OTHER_REGULATOR, "d"), "");
    for (int i = 0; i < 2; i++) {
        const char *cloud = i ? "d" : "c";
        call(arena, ADMIN, "POST", arena_printf(arena, "/v1/clouds/%s/sites", cloud),
             "{\"id\":\"second\",\"name\":\"S\"}", 201);
        call(arena, ADMIN, "PUT", arena_printf(arena, "/v1/clouds/%s/capacity", cloud),
             "{\"bandwidth_mbps\":90}", 204);
        call(arena, ADMIN, "PATCH", arena_printf(arena, "/v1/units/u/quotas/%s", cloud), "{\"vcpu\":-1}",
             204);
        call(arena, UNIT, "POST", "/v1/orders", i ? ORDER_OF(ACCOUNT_ON("d")) : ORDER_OF(ACCOUNT_ON("c")),
             202);
    }
    /* Of no cloud, and of two. */
    call(arena, ADMIN, "POST", "/v1/units/u/systems", "{\"id\":\"u009\",\"name\":\"S\",\"classified\":false}",
         201);
    call(arena, UNIT, "POST", "/v1/orders",
         "{\"unit\":\"u\",\"system\":\"u002\",\"resources\":[" ACCOUNT_ON("c") "," ACCOUNT_ON("d") "]}", 202);
    house_run();
    jobs_await(house.pg, "SELECT count(*) FROM fulfilment WHERE state = 'open'", "4");
    char *asked = house_text("SELECT id FROM fulfilment WHERE name = 'ops-c' AND system_id = 'u001'");
    call(arena, OPERATOR, "POST", arena_printf(arena, "/v1/fulfilments/%s:complete", asked),
         "{\"reference\":\"r\"}", 200);
    free(asked);
    jobs_await(house.pg, "SELECT count(*) FROM resource WHERE state = 'active'", "1");
    if_match = "\"v1\"";
    call(arena, ADMIN, "PATCH", "/v1/endpoints/e-ext", "{\"timeout_ms\":2000}", 200);
    if_match = NULL;
    asked = house_text("SELECT id FROM resource WHERE state = 'active'");
    call(arena, UNIT, "POST", arena_printf(arena, "/v1/resources/%s:resize", asked), "{\"accounts\":4}", 202);
    free(asked);
    asked = house_text("SELECT id FROM operation WHERE cloud_id = 'd'");
    call(arena, UNIT, "DELETE", arena_printf(arena, "/v1/operations/%s", asked), NULL, 202);
    free(asked);
    call(arena, UNIT, "PUT", "/v1/clouds/c/capacity", "{\"bandwidth_mbps\":1}", 403);
    jobs_await(house.pg, "SELECT count(*) FROM audit WHERE cloud_id = 'c' AND status = 403", "1");
    assert_string_equal(trail(arena, REGULATOR, "c"),
                        arena_printf(arena, "%s%s", before,
                                     "clouds:write 201\ncapacity:write 204\nquotas:write 204\n"
                                     "orders:write 202\nfulfilments:write 200\nendpoints:write 200\n"
                                     "resources:operate 202\ncapacity:write 403\n"));
    assert_string_equal(trail(arena, OTHER_REGULATOR, "d"),
                        "clouds:write 201\ncapacity:write 204\nquotas:write 204\norders:write 202\n"
                        "operations:cancel 202\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, house_reset, house_rest)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_sees_a_cloud),
        TEST(only_parked_jobs_are_tried_again),
        TEST(a_console_is_for_its_unit),
        TEST(nobody_operates_what_is_not_theirs),
        TEST(who_sees_and_settles_a_case),
        TEST(a_case_is_settled_as_it_was_read),
        TEST(the_operator_fulfils_what_waits),
        TEST(kinds_with_a_path_are_operated_there),
        TEST(a_unit_expands_for_free),
        TEST(a_regulator_reads_the_trail_of_its_clouds),
    };
    return cmocka_run_group_tests(tests, open_api, close_api);
}
