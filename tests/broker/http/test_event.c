/* The outbox and the event stream: scope, order under late commits, resuming, slow readers, ends, purging. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/http/event.h"
#include "broker/http/outbox.h"
#include "tests/broker/http/fixture.h"

static const struct db_statement wait_lock = {"thing_wait", "SELECT pg_advisory_xact_lock(4711)::text"};

static const char *member(const struct http_call *call, const char *name)
{
    return json_string_value(json_object_get(call->body, name));
}

static struct error *emit(struct http_call *call, struct http_answer *ret_answer)
{
    const struct event event = {
        .at = call->now,
        .type = member(call, "type"),
        .unit = member(call, "unit"),
        .system = member(call, "system"),
        .cloud = member(call, "cloud"),
        .subject = "thing",
        .data = call->body,
    };
    TRY(event_add(call->db, &event));
    if (json_is_true(json_object_get(call->body, "wait"))) {
        struct db_rows *rows DB_ROWS_AUTO = NULL;
        TRY(db_query(call->db, &wait_lock, DB_NO_VALUES, &rows));
    }
    ret_answer->status = 204;
    return json_is_true(json_object_get(call->body, "fail")) ? error_new(ERR_CONFLICT, "told to") : NULL;
}

static const struct http_route routes[] = {{"POST", "/v1/emit", emit, "orders:write", 0, NULL}};
static const struct http_table table = HTTP_TABLE(routes);
static const struct http_table *const tables[] = {&table, &server_routes};

static int start(void **state)
{
    fixture_start();
    struct server_settings settings = {.tables = tables, .table_count = 2, .workers = 4};
    settings.limits.event_queue = 20000;
    settings.limits.event_heartbeat_us = 400 * 1000;
    fixture_serve(settings);
    return 0;
}

static int stop(void **state)
{
    fixture_stop();
    return 0;
}

static int32_t send_event(struct h2_client *client, const char *token, const char *body)
{
    static const char *const type[] = {"content-type", "application/json", NULL};
    return h2_send(client, &(struct h2_request){.method = "POST",
                                                .path = "/v1/emit",
                                                .token = token,
                                                .headers = type,
                                                .body = body,
                                                .length = strlen(body)});
}

static void emit_one(struct h2_client *client, const char *token, const char *unit, const char *type)
{
    char body[256];
    snprintf(body, sizeof body, "{\"unit\":\"%s\",\"type\":\"%s\"}", unit, type);
    assert_int_equal(h2_wait(client, send_event(client, token, body))->status, 204);
}

static int32_t listen_after(struct h2_client *client, const char *token, const char *last)
{
    const char *headers[] = {last ? "last-event-id" : NULL, last, NULL};
    int32_t stream = h2_send(
        client,
        &(struct h2_request){.method = "GET", .path = "/v1/events", .token = token, .headers = headers});
    assert_true(h2_wait_text(client, stream, ": welcome\n\n"));
    return stream;
}

/* A live stream: what is emitted once it is placed arrives. The heartbeat comes after the first look. */
static int32_t listen_now(struct h2_client *client, const char *token)
{
    int32_t stream = listen_after(client, token, NULL);
    assert_true(h2_wait_text(client, stream, "\n\n:\n\n"));
    return stream;
}

static const char *body_of(struct h2_client *client, int32_t stream)
{
    return h2_peek(client, stream)->body;
}

/* The id of the event of this type, in a static buffer. */
static const char *id_of(const char *body, const char *type)
{
    static char id[64];
    char line[128];
    snprintf(line, sizeof line, "\nevent: %s\n", type);
    const char *at = strstr(body, line);
    assert_non_null(at);
    while (at > body && at[-1] != '\n')
        at--;
    assert_int_equal(sscanf(at, "id: %63s", id), 1);
    return id;
}

static void test_scope(void **state)
{
    struct h2_client *client = h2_open(fixture.https.port, NULL);
    int32_t alice = listen_now(client, fixture.alice), root = listen_now(client, fixture.root);
    emit_one(client, fixture.alice, "u1", "scope.one");
    emit_one(client, fixture.bob, "u2", "scope.two");
    emit_one(client, fixture.alice, "u1", "scope.three");
    assert_true(h2_wait_text(client, root, "scope.three"));
    assert_true(h2_wait_text(client, alice, "scope.three"));
    assert_non_null(strstr(body_of(client, root), "scope.two"));
    assert_null(strstr(body_of(client, alice), "scope.two"));
    const char *body = body_of(client, alice);
    assert_true(strstr(body, "scope.one") < strstr(body, "scope.three"));
    assert_non_null(strstr(body, "\"unit\":\"u1\""));
    assert_non_null(strstr(body, "\"subject\":\"thing\""));
    assert_string_equal(h2_header(h2_peek(client, alice), "content-type"),
                        "text/event-stream; charset=utf-8");
    h2_close(client);
}

/* A transaction that wrote its event first and commits last comes first, and nothing is skipped. */
/* Who is bound to a system sees what is the system's, not what is the whole unit's. */
static void test_scope_of_a_system(void **state)
{
    struct h2_client *client = h2_open(fixture.https.port, NULL);
    int32_t dave = listen_now(client, fixture.dave);
    emit_one(client, fixture.alice, "u1", "bound.unit");
    static const char other[] = "{\"unit\":\"u1\",\"system\":\"s2\",\"type\":\"bound.other\"}",
                      own[] = "{\"unit\":\"u1\",\"system\":\"s1\",\"type\":\"bound.own\"}";
    assert_int_equal(h2_wait(client, send_event(client, fixture.alice, other))->status, 204);
    assert_int_equal(h2_wait(client, send_event(client, fixture.alice, own))->status, 204);
    assert_true(h2_wait_text(client, dave, "bound.own"));
    assert_null(strstr(body_of(client, dave), "bound.unit"));
    assert_null(strstr(body_of(client, dave), "bound.other"));
    h2_close(client);
}

static void test_late_commit(void **state)
{
    struct h2_client *client = h2_open(fixture.https.port, NULL);
    int32_t stream = listen_now(client, fixture.alice);
    struct db *holder;
    assert_null(db_connect(pg_owner_conninfo(fixture.pg), &holder));
    fixture_hold_lock(holder, true);
    int32_t late =
        send_event(client, fixture.alice, "{\"unit\":\"u1\",\"type\":\"late.first\",\"wait\":true}");
    fixture_until("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted", 1);
    emit_one(client, fixture.alice, "u1", "late.second");
    assert_false(h2_until_closed(client, 700)); /* several looks of the feed and a heartbeat */
    assert_null(strstr(body_of(client, stream), "late.second"));
    fixture_hold_lock(holder, false);
    assert_int_equal(h2_wait(client, late)->status, 204);
    assert_true(h2_wait_text(client, stream, "late.second"));
    const char *body = body_of(client, stream);
    assert_non_null(strstr(body, "late.first"));
    assert_true(strstr(body, "late.first") < strstr(body, "late.second"));
    db_close(holder);
    h2_close(client);
}

static void test_resume(void **state)
{
    struct h2_client *client = h2_open(fixture.https.port, NULL);
    int32_t stream = listen_now(client, fixture.alice);
    emit_one(client, fixture.alice, "u1", "resume.one");
    assert_true(h2_wait_text(client, stream, "resume.one"));
    char last[64];
    snprintf(last, sizeof last, "%s", id_of(body_of(client, stream), "resume.one"));
    h2_reset(client, stream);
    /* More than a page of the feed while nobody listens. */
    for (int i = 0; i < 300; i++) {
        char type[32];
        snprintf(type, sizeof type, "resume.n%03d", i);
        emit_one(client, fixture.alice, "u1", type);
    }
    stream = listen_after(client, fixture.alice, last);
    assert_true(h2_wait_text(client, stream, "event: resume.n299"));
    emit_one(client, fixture.alice, "u1", "resume.live");
    assert_true(h2_wait_text(client, stream, "event: resume.live"));
    const char *body = body_of(client, stream), *before = body;
    assert_null(strstr(body, "event: resume.one\n"));
    assert_null(strstr(body, "stream.gap"));
    for (int i = 0; i < 300; i++) { /* each once, in order */
        char type[32];
        snprintf(type, sizeof type, "event: resume.n%03d\n", i);
        const char *at = strstr(body, type);
        assert_non_null(at);
        assert_true(at > before);
        assert_null(strstr(at + 1, type));
        before = at;
    }
    h2_close(client);
}

static void test_gap_and_bad_ids(void **state)
{
    static const char *const bad[] = {"x", "1", "1-", "-1", "1-2-3", "99999999999999999999999-1"};
    struct h2_client *client = h2_open(fixture.https.port, NULL);
    int32_t stream = listen_after(client, fixture.alice, "1-1");
    assert_true(h2_wait_text(client, stream, "event: stream.gap"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *headers[] = {"last-event-id", bad[i], NULL};
        const struct h2_request request = {
            .method = "GET", .path = "/v1/events", .token = fixture.alice, .headers = headers};
        assert_int_equal(h2_call(client, &request)->status, 400);
    }
    h2_close(client);
}

/* A failed call's event never was. */
static void test_failed(void **state)
{
    struct h2_client *client = h2_open(fixture.https.port, NULL);
    int32_t stream = listen_now(client, fixture.alice);
    static const char body[] = "{\"unit\":\"u1\",\"type\":\"failed.one\",\"fail\":true}";
    assert_int_equal(h2_wait(client, send_event(client, fixture.alice, body))->status, 409);
    emit_one(client, fixture.alice, "u1", "failed.two");
    assert_true(h2_wait_text(client, stream, "failed.two"));
    assert_null(strstr(body_of(client, stream), "failed.one"));
    h2_close(client);
}

/* One that does not read is cut when its queue is full; others go on. */
static void test_slow(void **state)
{
    struct h2_client *client = h2_open(fixture.https.port, NULL);
    const struct h2_options shut = {.window = 200, .no_window_update = true};
    struct h2_client *slow = h2_open(fixture.https.port, &shut);
    int32_t good = listen_now(client, fixture.alice);
    int32_t stuck = listen_after(slow, fixture.alice, NULL);
    char body[3000] = "{\"unit\":\"u1\",\"type\":\"slow.big\",\"text\":\"";
    memset(body + strlen(body), 'x', 2000);
    strcat(body, "\"}");
    for (int i = 0; i < 20; i++)
        assert_int_equal(h2_wait(client, send_event(client, fixture.alice, body))->status, 204);
    const struct h2_reply *reply = h2_wait(slow, stuck);
    assert_true(reply->reset);
    emit_one(client, fixture.alice, "u1", "slow.after");
    assert_true(h2_wait_text(client, good, "slow.after"));
    h2_close(slow);
    h2_close(client);
}

/* A disabled caller's stream ends by itself. */
static void test_disabled(void **state)
{
    struct h2_client *client = h2_open(fixture.https.port, NULL);
    int32_t stream = listen_now(client, fixture.bob);
    pg_exec(fixture.pg, "UPDATE principal SET disabled = true WHERE id = 'bob'");
    fixture_refresh();
    const struct h2_reply *reply = h2_wait(client, stream);
    assert_true(reply->done);
    assert_false(reply->reset);
    assert_int_equal(h2_get(client, "/v1/events", fixture.bob)->status, 401);
    pg_exec(fixture.pg, "UPDATE principal SET disabled = false WHERE id = 'bob'");
    fixture_refresh();
    h2_close(client);
}

static void test_purge(void **state)
{
    pg_exec(fixture.pg, "DELETE FROM event");
    pg_exec(fixture.pg, "INSERT INTO event (at, type, data) SELECT now() - interval '8 days', 'old', '{}' "
                        "FROM generate_series(1, 5)");
    pg_exec(fixture.pg, "INSERT INTO event (at, type, data) VALUES (now(), 'new', '{}')");
    int64_t purged;
    moment before = clock_now(fixture.https.clock) - 7 * MOMENT_DAY;
    assert_null(outbox_purge(fixture.db, before, 3, &purged));
    assert_int_equal(purged, 3);
    assert_null(outbox_purge(fixture.db, before, 3, &purged));
    assert_int_equal(purged, 2);
    assert_int_equal(pg_number(fixture.pg, "SELECT count(*) FROM event WHERE type = 'new'"), 1);
    assert_int_equal(pg_number(fixture.pg, "SELECT count(*) FROM event"), 1);
}

/* Draining ends streams properly. The last test: it stops the server. */
static void test_drain(void **state)
{
    struct h2_client *client = h2_open(fixture.https.port, NULL);
    (void)listen_now(client, fixture.alice);
    assert_true(server_drain(fixture.https.server, 10 * MOMENT_SECOND));
    assert_true(h2_until_closed(client, 1000));
    assert_int_equal(h2_goaway(client), 0);
    h2_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scope),
        cmocka_unit_test(test_scope_of_a_system),
        cmocka_unit_test(test_late_commit),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_gap_and_bad_ids),
        cmocka_unit_test(test_failed),
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_disabled),
        cmocka_unit_test(test_purge),
        cmocka_unit_test(test_drain),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
