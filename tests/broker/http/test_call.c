/* Calls with a real database: one transaction for everything, idempotency keys, the audit trail, scope,
 * credentials. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/broker/http/fixture.h"

static const struct db_statement insert_thing = {"thing_insert",
                                                 "INSERT INTO thing (unit_id, name) VALUES ($1, $2)"};
static const struct db_statement select_thing = {"thing_select", "SELECT name FROM thing WHERE name = $1"};
static const struct db_statement wait_lock = {"thing_wait", "SELECT pg_advisory_xact_lock(4711)::text"};

static struct error *make(struct http_call *call, struct http_answer *ret_answer)
{
    const char *name = json_string_value(json_object_get(call->body, "name"));
    const char *unit = json_string_value(json_object_get(call->body, "unit"));
    if (json_is_true(json_object_get(call->body, "wait"))) {
        struct db_rows *rows DB_ROWS_AUTO = NULL;
        TRY(db_query(call->db, &wait_lock, DB_NO_VALUES, &rows));
    }
    if (json_is_true(json_object_get(call->body, "check")) && !principal_sees_unit(call->principal, unit))
        return error_new(ERR_DENIED, "that unit is not yours");
    TRY(db_run(call->db, &insert_thing, DB_VALUES(db_text(unit), db_text(name)), NULL));
    if (json_is_true(json_object_get(call->body, "fail")))
        return error_new(ERR_CONFLICT, "told to fail");
    ret_answer->status = 201;
    ret_answer->body = json_object();
    json_put_text(ret_answer->body, "name", name);
    ret_answer->location = arena_printf(call->arena, "/v1/things/%s", name);
    ret_answer->etag = "e1";
    ret_answer->audit_unit = unit;
    ret_answer->audit_subject = name;
    return NULL;
}

static struct error *get(struct http_call *call, struct http_answer *ret_answer)
{
    struct db_rows *rows DB_ROWS_AUTO = NULL;
    TRY(db_query_one(call->db, &select_thing, DB_VALUES(db_text(http_param(call, "name"))), "such thing",
                     &rows));
    ret_answer->body = json_object();
    json_put_text(ret_answer->body, "name", db_get_text(rows, 0, 0));
    json_put_text(ret_answer->body, "caller", principal_id(call->principal));
    return NULL;
}

/* The cloud of the audit row: the handler's word, or the path's. */
static struct error *move(struct http_call *call, struct http_answer *ret_answer)
{
    const char *to = json_string_value(json_object_get(call->body, "to"));
    if (!to)
        return error_new(ERR_NOT_FOUND, "no such place");
    ret_answer->audit_cloud = *to ? arena_strdup(call->arena, to) : NULL;
    ret_answer->status = 204;
    return NULL;
}

static const struct http_route routes[] = {
    {"POST", "/v1/things", make, "orders:write", HTTP_KEYED, NULL},
    {"GET", "/v1/things/{name}", get, "orders:read", 0, NULL},
    {"POST", "/v1/audited", make, "audit:verify", 0, NULL},
    {"POST", "/v1/clouds/{cloud}:move", move, "orders:write", 0, NULL},
    {"DELETE", "/v1/clouds/{cloud}", move, "clouds:write", HTTP_NO_BODY, NULL},
};
static const struct http_table table = HTTP_TABLE(routes);
static const struct http_table *const tables[] = {&table, &server_routes};

static int start(void **state)
{
    fixture_start();
    pg_exec(fixture.pg, "CREATE TABLE thing (unit_id text NOT NULL, name text PRIMARY KEY);"
                        "SELECT scope_enable('thing', 'unit_id', NULL, NULL, NULL);"
                        "GRANT SELECT, INSERT ON thing TO yunqiao_app");
    fixture_serve((struct server_settings){.tables = tables, .table_count = 2, .workers = 4});
    return 0;
}

static int stop(void **state)
{
    fixture_stop();
    return 0;
}

static int clean(void **state)
{
    pg_exec(fixture.pg, "DELETE FROM thing; DELETE FROM http_key");
    return 0;
}

static struct h2_client *client_new(void)
{
    struct h2_client *client = h2_open(fixture.https.port, NULL);
    assert_non_null(client);
    return client;
}

static int32_t post(struct h2_client *client, const char *token, const char *key, const char *body)
{
    const char *headers[] = {"content-type", "application/json", key ? "idempotency-key" : NULL, key, NULL};
    return h2_send(client, &(struct h2_request){.method = "POST",
                                                .path = "/v1/things",
                                                .token = token,
                                                .headers = headers,
                                                .body = body,
                                                .length = strlen(body)});
}

static int64_t count_of(const char *sql)
{
    return pg_number(fixture.pg, sql);
}

static void test_key(void **state)
{
    struct h2_client *client = client_new();
    const struct h2_reply *first =
        h2_wait(client, post(client, fixture.alice, "k1", "{\"unit\":\"u1\",\"name\":\"a\"}"));
    assert_int_equal(first->status, 201);
    assert_null(h2_header(first, "idempotency-replayed"));
    /* The same members in another order are the same request. */
    const struct h2_reply *again =
        h2_wait(client, post(client, fixture.alice, "k1", "{ \"name\": \"a\", \"unit\": \"u1\" }"));
    assert_int_equal(again->status, 201);
    assert_string_equal(again->body, first->body);
    assert_string_equal(h2_header(again, "location"), "/v1/things/a");
    assert_string_equal(h2_header(again, "etag"), "\"e1\"");
    assert_string_equal(h2_header(again, "content-type"), "application/json");
    assert_string_equal(h2_header(again, "idempotency-replayed"), "true");
    assert_int_equal(count_of("SELECT count(*) FROM thing"), 1);
    const struct h2_reply *other =
        h2_wait(client, post(client, fixture.alice, "k1", "{\"unit\":\"u1\",\"name\":\"b\"}"));
    assert_int_equal(other->status, 422);
    /* Keys belong to callers. */
    other = h2_wait(client, post(client, fixture.bob, "k1", "{\"unit\":\"u2\",\"name\":\"b\"}"));
    assert_int_equal(other->status, 201);
    /* A key that has had its time is forgotten. */
    pg_exec(fixture.pg, "UPDATE http_key SET made_at = made_at - interval '25 hours'");
    other = h2_wait(client, post(client, fixture.alice, "k1", "{\"unit\":\"u1\",\"name\":\"c\"}"));
    assert_int_equal(other->status, 201);
    assert_null(h2_header(other, "idempotency-replayed"));
    h2_close(client);
}

static void test_failure_keeps_nothing(void **state)
{
    struct h2_client *client = client_new();
    static const char bad[] = "{\"unit\":\"u1\",\"name\":\"a\",\"fail\":true}";
    int64_t audited = count_of("SELECT count(*) FROM audit");
    assert_int_equal(h2_wait(client, post(client, fixture.alice, "k2", bad))->status, 409);
    assert_int_equal(count_of("SELECT count(*) FROM thing"), 0);
    assert_int_equal(count_of("SELECT count(*) FROM http_key"), 0);
    assert_int_equal(count_of("SELECT count(*) FROM audit"), audited);
    /* The key is free for another try, with another body even. */
    assert_int_equal(
        h2_wait(client, post(client, fixture.alice, "k2", "{\"unit\":\"u1\",\"name\":\"a\"}"))->status, 201);
    assert_int_equal(h2_wait(client, post(client, fixture.alice, NULL, bad))->status, 400);
    h2_close(client);
}

static void test_running_duplicate(void **state)
{
    struct h2_client *client = client_new();
    struct db *holder;
    assert_null(db_connect(pg_owner_conninfo(fixture.pg), &holder));
    fixture_hold_lock(holder, true);
    static const char body[] = "{\"unit\":\"u1\",\"name\":\"w\",\"wait\":true}";
    int32_t first = post(client, fixture.alice, "k3", body);
    fixture_until("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted", 1);
    assert_int_equal(h2_wait(client, post(client, fixture.alice, "k3", body))->status, 409);
    fixture_hold_lock(holder, false);
    assert_int_equal(h2_wait(client, first)->status, 201);
    const struct h2_reply *again = h2_wait(client, post(client, fixture.alice, "k3", body));
    assert_int_equal(again->status, 201);
    assert_string_equal(h2_header(again, "idempotency-replayed"), "true");
    db_close(holder);
    h2_close(client);
}

/* Many callers with the same key at once: one thing is made, everybody hears 201 or 409. */
static void test_race(void **state)
{
    enum { CLIENTS = 4, CALLS = 8 };
    struct h2_client *clients[CLIENTS];
    int32_t streams[CLIENTS][CALLS];
    int made = 0, replayed = 0, running = 0;
    for (int c = 0; c < CLIENTS; c++) {
        clients[c] = client_new();
        for (int i = 0; i < CALLS; i++)
            streams[c][i] = post(clients[c], fixture.alice, "race", "{\"unit\":\"u1\",\"name\":\"r\"}");
    }
    for (int c = 0; c < CLIENTS; c++) {
        for (int i = 0; i < CALLS; i++) {
            const struct h2_reply *reply = h2_wait(clients[c], streams[c][i]);
            bool replay = h2_header(reply, "idempotency-replayed") != NULL;
            made += reply->status == 201 && !replay;
            replayed += reply->status == 201 && replay;
            running += reply->status == 409;
        }
        h2_close(clients[c]);
    }
    assert_int_equal(made, 1);
    assert_int_equal(made + replayed + running, CLIENTS * CALLS);
    assert_int_equal(count_of("SELECT count(*) FROM thing"), 1);
}

static void test_scope_and_audit(void **state)
{
    struct h2_client *client = client_new();
    int64_t before = count_of("SELECT count(*) FROM audit");
    assert_int_equal(
        h2_wait(client, post(client, fixture.alice, "k4", "{\"unit\":\"u1\",\"name\":\"s\"}"))->status, 201);
    assert_int_equal(
        count_of("SELECT count(*) FROM audit WHERE principal = 'alice' AND subject = 's' AND "
                 "unit_id = 'u1' AND status = 201 AND action = 'orders:write' AND method = 'POST' "
                 "AND path = '/v1/things' AND request_id IS NOT NULL"),
        1);
    assert_int_equal(count_of("SELECT count(*) FROM audit"), before + 1);
    assert_int_equal(h2_get(client, "/v1/things/s", fixture.alice)->status, 200);
    assert_int_equal(count_of("SELECT count(*) FROM audit"), before + 1); /* reading is not audited */
    /* Another unit's: not there, and audited. */
    assert_int_equal(h2_get(client, "/v1/things/s", fixture.bob)->status, 404);
    assert_int_equal(
        count_of("SELECT count(*) FROM audit WHERE principal = 'bob' AND status = 404 AND path = "
                 "'/v1/things/s' AND action = 'orders:read'"),
        1);
    /* A denial is found in the trail of the caller's unit. */
    assert_int_equal(
        count_of("SELECT count(*) FROM audit WHERE principal = 'bob' AND status = 404 AND unit_id = 'u2'"),
        1);
    /* Writing into another unit, refused by the handler: audited. */
    static const char checked[] = "{\"unit\":\"u1\",\"name\":\"x\",\"check\":true}";
    assert_int_equal(h2_wait(client, post(client, fixture.bob, "k5", checked))->status, 403);
    assert_int_equal(
        count_of("SELECT count(*) FROM audit WHERE principal = 'bob' AND status = 403 AND method = 'POST'"),
        1);
    /* By a handler that forgot to ask: row-level security refuses, nothing changes, nothing is told. */
    const struct h2_reply *reply =
        h2_wait(client, post(client, fixture.bob, "k6", "{\"unit\":\"u1\",\"name\":\"x\"}"));
    assert_int_equal(reply->status, 403);
    assert_null(strstr(reply->body, "thing"));
    assert_int_equal(count_of("SELECT count(*) FROM thing WHERE name = 'x'"), 0);
    h2_close(client);
}

static void test_denied(void **state)
{
    struct h2_client *client = client_new();
    const struct h2_request request = {.method = "POST", .path = "/v1/audited", .token = fixture.alice};
    assert_int_equal(h2_call(client, &request)->status, 403);
    fixture_until("SELECT count(*) FROM audit WHERE principal = 'alice' AND status = 403 AND action = "
                  "'audit:verify' AND unit_id = 'u1'",
                  1);
    assert_int_equal(h2_get(client, "/v1/things/zz", NULL)->status, 401);
    assert_int_equal(h2_get(client, "/v1/things/zz", "eyJhbGciOiJub25lIn0.e30.")->status, 401);
    fixture_until("SELECT count(*) FROM audit WHERE principal IS NULL AND status = 401 AND path = "
                  "'/v1/things/zz'",
                  2);
    h2_close(client);
}

static int32_t move_to(struct h2_client *client, const char *body)
{
    const char *headers[] = {"content-type", "application/json", NULL};
    return h2_send(client, &(struct h2_request){.method = "POST",
                                                .path = "/v1/clouds/c1:move",
                                                .token = fixture.alice,
                                                .headers = headers,
                                                .body = body,
                                                .length = strlen(body)});
}

static void test_cloud_of_the_row(void **state)
{
    struct h2_client *client = client_new();
    assert_int_equal(h2_wait(client, move_to(client, "{\"to\":\"c2\"}"))->status, 204);
    assert_int_equal(count_of("SELECT count(*) FROM audit WHERE cloud_id = 'c2' AND status = 204"), 1);
    assert_int_equal(h2_wait(client, move_to(client, "{\"to\":\"\"}"))->status, 204);
    assert_int_equal(count_of("SELECT count(*) FROM audit WHERE cloud_id = 'c1' AND status = 204"), 1);
    assert_int_equal(h2_wait(client, move_to(client, "{}"))->status, 404);
    assert_int_equal(count_of("SELECT count(*) FROM audit WHERE cloud_id = 'c1' AND status = 404"), 1);
    const struct h2_request denied = {.method = "DELETE", .path = "/v1/clouds/c3", .token = fixture.alice};
    assert_int_equal(h2_call(client, &denied)->status, 403);
    fixture_until("SELECT count(*) FROM audit WHERE cloud_id = 'c3' AND status = 403", 1);
    assert_int_equal(
        count_of("SELECT count(*) FROM audit WHERE path = '/v1/things' AND cloud_id IS NOT NULL"), 0);
    h2_close(client);
}

/* Knocking on a closed door does not fill the trail. */
static void test_denials_capped(void **state)
{
    struct h2_client *client = client_new();
    int32_t last = 0;
    for (int i = 0; i < 400; i++)
        last = h2_send(client, &(struct h2_request){.method = "GET", .path = "/v1/things/capped"});
    assert_int_equal(h2_wait(client, last)->status, 401);
    /* Within at most two or three seconds of 50 rows each. */
    assert_int_equal(h2_get(client, "/v1/things/after", fixture.alice)->status, 404);
    int64_t rows = count_of("SELECT count(*) FROM audit WHERE path = '/v1/things/capped'");
    assert_in_range(rows, 1, 200);
    h2_close(client);
}

static void test_certificate(void **state)
{
    const struct h2_options known = {.certificate_file = fixture.carol_certificate,
                                     .key_file = fixture.carol_key};
    struct h2_client *client = h2_open(fixture.https.port, &known);
    assert_non_null(client);
    pg_exec(fixture.pg, "INSERT INTO thing (unit_id, name) VALUES ('u1', 'cert')");
    const struct h2_reply *reply = h2_get(client, "/v1/things/cert", NULL);
    assert_int_equal(reply->status, 200);
    assert_non_null(strstr(reply->body, "\"caller\":\"carol\""));
    /* A token says more than the certificate. */
    assert_non_null(strstr(h2_get(client, "/v1/things/cert", fixture.alice)->body, "\"caller\":\"alice\""));
    h2_close(client);
    const struct h2_options stranger = {.certificate_file = fixture.https.certificate_file,
                                        .key_file = fixture.https.key_file};
    client = h2_open(fixture.https.port, &stranger);
    assert_int_equal(h2_get(client, "/v1/things/cert", NULL)->status, 401);
    assert_int_equal(h2_get(client, "/healthz", NULL)->status, 200);
    h2_close(client);
}

static void test_ready(void **state)
{
    struct h2_client *client = client_new();
    assert_int_equal(h2_get(client, "/readyz", NULL)->status, 200);
    h2_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_key, clean),
        cmocka_unit_test_setup(test_failure_keeps_nothing, clean),
        cmocka_unit_test_setup(test_running_duplicate, clean),
        cmocka_unit_test_setup(test_race, clean),
        cmocka_unit_test_setup(test_scope_and_audit, clean),
        cmocka_unit_test_setup(test_denied, clean),
        cmocka_unit_test_setup(test_cloud_of_the_row, clean),
        cmocka_unit_test_setup(test_denials_capped, clean),
        cmocka_unit_test_setup(test_certificate, clean),
        cmocka_unit_test_setup(test_ready, clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
