/* Streamed answers over real HTTP/2 from a real database: whole at constant memory, bounded by the peer,
 * ended with the caller, never short in silence, few at once, and drained. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <pthread.h>

#include "tests/broker/http/fixture.h"

/* Sources alive and pieces made so far, of all calls. */
static struct {
    int64_t alive, pieces;
} seen;

static int64_t look(const int64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void count(int64_t *counter, int64_t more)
{
    __atomic_add_fetch(counter, more, __ATOMIC_RELAXED);
}

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

/* Until the counter is at most this, or 20 s have passed. */
static void await_most(const int64_t *counter, int64_t most)
{
    for (int i = 0; i < 2000 && look(counter) > most; i++)
        pause_ms(10);
    assert_true(look(counter) <= most);
}

static void await_least(const int64_t *counter, int64_t least)
{
    for (int i = 0; i < 2000 && look(counter) < least; i++)
        pause_ms(10);
    assert_true(look(counter) >= least);
}

/* Rows of a query, a line each. */
struct rows_source {
    struct http_source source;
    struct db_stream *stream;
};

static struct error *rows_next(struct http_source *source, struct buf *piece, bool *ret_end)
{
    struct rows_source *rows_source = (struct rows_source *)source; /* its first member */
    struct db_rows *rows DB_ROWS_AUTO = NULL;
    TRY(db_stream_next(rows_source->stream, &rows));
    for (size_t i = 0; i < db_count(rows); i++)
        buf_printf(piece, "%s\n", db_get_text(rows, i, 0));
    *ret_end = db_count(rows) == 0;
    count(&seen.pieces, 1);
    return NULL;
}

static void rows_done(struct http_source *source)
{
    db_stream_close(((struct rows_source *)source)->stream);
    count(&seen.alive, -1);
}

static struct error *answer_rows(struct http_call *call, const struct db_statement *statement,
                                 const struct db_value *values, size_t value_count,
                                 struct http_answer *ret_answer)
{
    struct rows_source *source = arena_alloc(call->arena, sizeof *source);
    source->source = (struct http_source){rows_next, rows_done};
    TRY(db_stream_open(call->db, statement, values, value_count, &source->stream));
    count(&seen.alive, 1);
    ret_answer->source = &source->source;
    ret_answer->content_type = "text/csv; charset=utf-8";
    ret_answer->file_name = "rows of 2026-11\r\nX: \"云\".csv";
    return NULL;
}

static struct error *series(struct http_call *call, struct http_answer *ret_answer)
{
    static const struct db_statement statement = {
        "test_series", DB_STREAM("SELECT g::text || repeat('.', 100) FROM generate_series(1, $1::bigint) g")};
    int64_t rows = strtoll(http_param(call, "rows"), NULL, 10);
    return answer_rows(call, &statement, DB_VALUES(db_int(rows)), ret_answer);
}

static struct error *things(struct http_call *call, struct http_answer *ret_answer)
{
    static const struct db_statement statement = {"test_things",
                                                  DB_STREAM("SELECT name FROM thing ORDER BY name")};
    return answer_rows(call, &statement, DB_NO_VALUES, ret_answer);
}

/* Pieces of 10,000 bytes; after `good` of them what the pattern's {how} says. */
struct script {
    struct http_source source;
    int64_t good, made;
    const char *how;
    struct db *db;
};

static struct error *script_next(struct http_source *source, struct buf *piece, bool *ret_end)
{
    struct script *script = (struct script *)source;
    if (script->made < script->good) {
        char *room = buf_reserve(piece, 10000);
        memset(room, 'a', 10000);
        buf_added(piece, 10000);
        script->made++;
        count(&seen.pieces, 1);
        return NULL;
    }
    static const struct db_statement broken = {"test_broken", "SELECT 1 / (SELECT 0)"};
    if (strcmp(script->how, "fail") == 0)
        return error_new(ERR_NOT_FOUND, "it went away");
    if (strcmp(script->how, "break") == 0)
        return db_run(script->db, &broken, DB_NO_VALUES, NULL);
    if (strcmp(script->how, "idle") == 0) /* nothing yet, for ever */
        pause_ms(10);
    *ret_end = strcmp(script->how, "end") == 0;
    return NULL;
}

static void script_done(struct http_source *source)
{
    (void)source;
    count(&seen.alive, -1);
}

static struct error *scripted(struct http_call *call, struct http_answer *ret_answer)
{
    struct script *script = arena_alloc(call->arena, sizeof *script);
    *script = (struct script){.source = {script_next, script_done},
                              .good = strtoll(http_param(call, "pieces"), NULL, 10),
                              .how = http_param(call, "how"),
                              .db = call->db};
    count(&seen.alive, 1);
    ret_answer->source = &script->source;
    return NULL;
}

static struct error *plain(struct http_call *call, struct http_answer *ret_answer)
{
    (void)call;
    ret_answer->body = json_object();
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/series/{rows}", series, "orders:read", HTTP_STREAM, NULL},
    {"GET", "/v1/things", things, "orders:read", HTTP_STREAM, NULL},
    {"GET", "/v1/scripts/{pieces}/{how}", scripted, "orders:read", HTTP_STREAM, NULL},
    {"GET", "/v1/unmarked/{pieces}/{how}", scripted, "orders:read", 0, NULL},
    {"GET", "/v1/plain", plain, "orders:read", 0, NULL},
};
static const struct http_table table = HTTP_TABLE(routes);
static const struct http_table *const tables[] = {&table, &server_routes};

static const struct server_settings settings = {.tables = tables, .table_count = 2, .workers = 2};

static void serve(struct server_limits limits)
{
    struct server_settings fresh = settings;
    fresh.limits = limits;
    fixture_serve(fresh);
}

static int start(void **state)
{
    (void)state;
    fixture_start();
    pg_exec(fixture.pg, "CREATE TABLE thing (unit_id text NOT NULL, name text PRIMARY KEY);"
                        "SELECT scope_enable('thing', 'unit_id', NULL, NULL, NULL);"
                        "GRANT SELECT, INSERT ON thing TO yunqiao_app");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fixture_stop();
    return 0;
}

/* After each test: every source was let go. */
static int stop_server(void **state)
{
    (void)state;
    https_stop(&fixture.https);
    fixture.https.server = NULL;
    fixture.https.clock = NULL;
    pg_exec(fixture.pg, "DELETE FROM thing");
    return look(&seen.alive) == 0 ? 0 : -1;
}

static struct h2_client *client_new(const struct h2_options *options)
{
    struct h2_client *client = h2_open(fixture.https.port, options);
    assert_non_null(client);
    return client;
}

static int32_t ask(struct h2_client *client, const char *token, const char *path)
{
    return h2_send(client, &(struct h2_request){.method = "GET", .path = path, .token = token});
}

/* Bytes that are allocated now. An address sanitizer keeps freed memory, so the resident set says nothing. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));
static size_t in_use(void)
{
    return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes()
                                                   : mallinfo2().uordblks;
}

struct series {
    size_t length, most; /* most: memory in use at any look */
    uint64_t sum;
};

static struct series take_series(int64_t rows)
{
    struct h2_client *client = client_new(&(struct h2_options){.discard = true, .window = 1 << 20});
    char path[64];
    snprintf(path, sizeof path, "/v1/series/%lld", (long long)rows);
    int32_t stream = ask(client, fixture.alice, path);
    const struct h2_reply *reply = h2_peek(client, stream);
    struct series series = {0};
    int64_t until = moment_monotonic() + 200 * MOMENT_SECOND;
    while (!reply->done && moment_monotonic() < until) {
        (void)h2_poll_once(client, 100);
        size_t now = in_use();
        series.most = now > series.most ? now : series.most;
    }
    assert_true(reply->done);
    assert_false(reply->reset);
    assert_int_equal(reply->status, 200);
    series.length = reply->length;
    series.sum = reply->sum;
    h2_close(client);
    return series;
}

static void check_series(struct series series, int64_t rows)
{
    char dots[101];
    memset(dots, '.', 100);
    dots[100] = '\0';
    size_t length = 0;
    uint64_t sum = H2_SUM;
    for (int64_t i = 1; i <= rows; i++) {
        char line[160];
        int size = snprintf(line, sizeof line, "%lld%s\n", (long long)i, dots);
        sum = h2_sum(sum, line, (size_t)size);
        length += (size_t)size;
    }
    assert_int_equal(series.length, length);
    assert_true(series.sum == sum);
}

static void test_memory_is_flat(void **state)
{
    (void)state;
    serve((struct server_limits){0});
    struct series few = take_series(100000);
    check_series(few, 100000);
    struct series many = take_series(2000000);
    check_series(many, 2000000);
    print_message("most memory in use: %zu bytes at 100,000 rows, %zu at 2,000,000\n", few.most, many.most);
    assert_true(many.most < few.most + (512 << 10));
}

static void test_head(void **state)
{
    (void)state;
    serve((struct server_limits){0});
    struct h2_client *client = client_new(NULL);
    const struct h2_reply *reply = h2_get(client, "/v1/series/3", fixture.alice);
    assert_int_equal(reply->status, 200);
    assert_string_equal(h2_header(reply, "content-type"), "text/csv; charset=utf-8");
    assert_string_equal(h2_header(reply, "content-disposition"),
                        "attachment; filename=\"rows_of_2026-11__X_______.csv\"");
    assert_string_equal(h2_header(reply, "cache-control"), "no-store");
    assert_null(h2_header(reply, "content-length"));
    /* Nothing at all is a whole answer too. */
    reply = h2_get(client, "/v1/series/0", fixture.alice);
    assert_int_equal(reply->status, 200);
    assert_int_equal(reply->length, 0);
    assert_false(reply->reset);
    int64_t pieces = look(&seen.pieces);
    reply = h2_call(client,
                    &(struct h2_request){.method = "HEAD", .path = "/v1/series/9", .token = fixture.alice});
    assert_int_equal(reply->status, 200);
    assert_int_equal(reply->length, 0);
    assert_int_equal(look(&seen.pieces), pieces);
    static const char *const other[] = {"accept", "application/json", NULL};
    reply = h2_call(client,
                    &(struct h2_request){
                        .method = "GET", .path = "/v1/series/9", .token = fixture.alice, .headers = other});
    assert_int_equal(reply->status, 406);
    assert_int_equal(h2_get(client, "/v1/series/9", NULL)->status, 401);
    assert_int_equal(h2_get(client, "/v1/unmarked/1/end", fixture.alice)->status, 500);
    h2_close(client);
}

/* One snapshot, in the caller's scope: what others write meanwhile is not in it. */
static void test_snapshot(void **state)
{
    (void)state;
    serve((struct server_limits){0});
    pg_exec(fixture.pg, "INSERT INTO thing SELECT 'u1', 'a' || lpad(g::text, 7, '0') || repeat('.', 200)"
                        " FROM generate_series(1, 20000) g;"
                        "INSERT INTO thing SELECT 'u2', 'b' || g FROM generate_series(1, 10) g");
    struct h2_client *client = client_new(&(struct h2_options){.no_window_update = true});
    int32_t stream = ask(client, fixture.alice, "/v1/things");
    assert_true(h2_wait_text(client, stream, "a0000100"));
    pg_exec(fixture.pg, "INSERT INTO thing SELECT 'u1', 'c' || g FROM generate_series(1, 10) g;"
                        "DELETE FROM thing WHERE name LIKE 'a0019%'");
    h2_open_window(client);
    const struct h2_reply *reply = h2_wait(client, stream);
    assert_true(reply->done && !reply->reset);
    size_t lines = 0;
    for (const char *at = reply->body; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, 20000);
    assert_non_null(strstr(reply->body, "a0019999"));
    assert_null(strstr(reply->body, "\nc"));
    assert_null(strstr(reply->body, "\nb"));
    h2_close(client);
}

static void test_errors(void **state)
{
    (void)state;
    serve((struct server_limits){0});
    struct h2_client *client = client_new(NULL);
    const struct h2_reply *reply = h2_get(client, "/v1/scripts/0/fail", fixture.alice);
    assert_int_equal(reply->status, 404);
    assert_non_null(strstr(reply->body, "it went away"));
    static const char *const ways[] = {"fail", "break"};
    static const int pieces[] = {1, 5, 200};
    for (size_t i = 0; i < 6; i++) {
        char path[64];
        snprintf(path, sizeof path, "/v1/scripts/%d/%s", pieces[i / 2], ways[i % 2]);
        reply = h2_get(client, path, fixture.alice);
        assert_true(reply->done && reply->reset);
        assert_int_equal(reply->status, 200);
        assert_int_equal(reply->reset_code, 2); /* INTERNAL_ERROR */
        await_most(&seen.alive, 0);
    }
    /* The connection, and the worker's one to the database, go on. */
    assert_int_equal(h2_get(client, "/v1/series/9", fixture.alice)->status, 200);
    assert_int_equal(h2_get(client, "/v1/scripts/3/end", fixture.alice)->length, 30000);
    h2_close(client);
}

/* A peer that takes nothing stops the worker at the window, and is reset when it goes on so. */
static void test_slow_reader(void **state)
{
    (void)state;
    serve((struct server_limits){.stall_us = 2 * MOMENT_SECOND});
    struct h2_client *client = client_new(&(struct h2_options){.no_window_update = true});
    int64_t before = look(&seen.pieces);
    int32_t stream = ask(client, fixture.alice, "/v1/scripts/100000/end");
    h2_poll(client, 500);
    int64_t made = look(&seen.pieces) - before;
    /* 65,535 bytes are the peer's window, 262,144 ours, and one piece waits to be put into it. */
    assert_true(made >= 6 && made <= 34);
    const struct h2_reply *reply = h2_wait(client, stream);
    assert_true(reply->reset);
    assert_int_equal(reply->reset_code, 8); /* CANCEL */
    await_most(&seen.alive, 0);
    h2_close(client);
    /* One that takes little at a time, and always some, gets all. */
    client = client_new(&(struct h2_options){.window = 3000});
    reply = h2_get(client, "/v1/scripts/100/end", fixture.alice);
    assert_true(reply->done && !reply->reset);
    assert_int_equal(reply->length, 1000000);
    h2_close(client);
}

static void test_time_limit(void **state)
{
    (void)state;
    serve((struct server_limits){.export_us = MOMENT_SECOND});
    struct h2_client *client = client_new(NULL);
    const struct h2_reply *reply = h2_get(client, "/v1/scripts/1/idle", fixture.alice);
    assert_int_equal(reply->status, 200);
    assert_true(reply->reset);
    reply = h2_get(client, "/v1/scripts/0/idle", fixture.alice);
    assert_int_equal(reply->status, 504);
    await_most(&seen.alive, 1);
    h2_close(client); /* only now does nobody wait for the second */
    await_most(&seen.alive, 0);
}

static void test_disconnect(void **state)
{
    (void)state;
    serve((struct server_limits){.exports = 1, .exports_principal = 1});
    static const char *const paths[] = {"/v1/scripts/100000000/end", "/v1/scripts/1/idle",
                                        "/v1/scripts/0/idle"};
    for (size_t i = 0; i < 6; i++) {
        struct h2_client *client = client_new(&(struct h2_options){.discard = true});
        int32_t stream = ask(client, fixture.alice, paths[i / 2]);
        await_least(&seen.alive, 1);
        h2_poll_once(client, 50);
        if (i % 2)
            h2_reset(client, stream);
        else
            h2_close(client);
        await_most(&seen.alive, 0);
        if (i % 2)
            h2_close(client);
    }
    /* Its place is free again. */
    struct h2_client *client = client_new(NULL);
    assert_int_equal(h2_get(client, "/v1/scripts/1/end", fixture.alice)->status, 200);
    h2_close(client);
}

static void test_how_many(void **state)
{
    (void)state;
    serve((struct server_limits){.exports = 3, .exports_principal = 2});
    struct h2_client *client = client_new(&(struct h2_options){.discard = true});
    int32_t first = ask(client, fixture.alice, "/v1/scripts/1/idle");
    int32_t second = ask(client, fixture.alice, "/v1/scripts/0/idle");
    await_least(&seen.alive, 2);
    const struct h2_reply *reply = h2_get(client, "/v1/scripts/1/end", fixture.alice);
    assert_int_equal(reply->status, 503);
    assert_non_null(h2_header(reply, "retry-after"));
    assert_non_null(strstr(reply->body, "as many exports"));
    int32_t third = ask(client, fixture.bob, "/v1/scripts/1/idle");
    await_least(&seen.alive, 3);
    assert_int_equal(h2_get(client, "/v1/scripts/1/end", fixture.root)->status, 503);
    /* Other calls do not wait behind them. */
    for (int i = 0; i < 20; i++)
        assert_int_equal(h2_get(client, "/v1/plain", fixture.alice)->status, 200);
    h2_reset(client, first);
    await_most(&seen.alive, 2);
    /* One after another, at once: a place is free as soon as the end was heard. */
    for (int i = 0; i < 50; i++) {
        pause_ms(i ? 0 : 100);
        assert_int_equal(h2_get(client, "/v1/scripts/1/end", fixture.root)->status, 200);
    }
    h2_reset(client, second);
    h2_reset(client, third);
    await_most(&seen.alive, 0);
    h2_close(client);
}

static void *drain(void *argument)
{
    return server_drain(fixture.https.server, *(int64_t *)argument) ? argument : NULL;
}

static bool drained_with(struct h2_client *client, int64_t deadline_us)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, drain, &deadline_us), 0);
    (void)h2_until_closed(client, 20000);
    void *whole = NULL;
    assert_int_equal(pthread_join(thread, &whole), 0);
    return whole != NULL;
}

static void test_drain(void **state)
{
    (void)state;
    serve((struct server_limits){0});
    struct h2_client *client = client_new(&(struct h2_options){.discard = true});
    int32_t stream = ask(client, fixture.alice, "/v1/series/300000");
    await_least(&seen.alive, 1);
    assert_true(drained_with(client, 20 * MOMENT_SECOND));
    const struct h2_reply *reply = h2_peek(client, stream);
    assert_true(reply->done && !reply->reset && reply->reset_code == 0);
    assert_true(reply->length > 30000000);
    h2_close(client);
    stop_server(state);

    serve((struct server_limits){0});
    client = client_new(&(struct h2_options){.discard = true});
    stream = ask(client, fixture.alice, "/v1/scripts/1/idle");
    int32_t unanswered = ask(client, fixture.alice, "/v1/scripts/0/idle");
    await_least(&seen.alive, 2);
    assert_false(drained_with(client, MOMENT_SECOND));
    assert_false(h2_peek(client, stream)->done && h2_peek(client, stream)->reset_code == 0);
    assert_int_equal(h2_peek(client, unanswered)->status, 0);
    assert_int_equal(look(&seen.alive), 0);
    h2_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_head, stop_server),
        cmocka_unit_test_teardown(test_errors, stop_server),
        cmocka_unit_test_teardown(test_snapshot, stop_server),
        cmocka_unit_test_teardown(test_slow_reader, stop_server),
        cmocka_unit_test_teardown(test_time_limit, stop_server),
        cmocka_unit_test_teardown(test_disconnect, stop_server),
        cmocka_unit_test_teardown(test_how_many, stop_server),
        cmocka_unit_test_teardown(test_drain, stop_server),
        cmocka_unit_test_teardown(test_memory_is_flat, stop_server),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
