/* Parts of streamed answers by Range, and bodies that are bytes, over real HTTP/2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/broker/http/fixture.h"

#define ETAG "0123abcd"
#define SIZE 100000

/* Byte i of the thing is i modulo 251. */
struct part {
    struct http_source source;
    uint64_t at, left;
};

static atomic_uint pulled; /* pieces */

static struct error *part_next(struct http_source *source, struct buf *piece, bool *ret_end)
{
    struct part *part = (struct part *)source;
    atomic_fetch_add(&pulled, 1);
    for (size_t i = 0; i < 30000 && part->left; i++, part->left--)
        buf_putc(piece, (char)(part->at++ % 251));
    *ret_end = !part->left;
    return NULL;
}

static struct error *thing(struct http_call *call, struct http_answer *answer)
{
    struct part *part = arena_alloc(call->arena, sizeof *part);
    *part = (struct part){.source = {part_next, NULL}};
    http_range(call, ETAG, SIZE, answer, &part->at, &part->left);
    part->left -= !strcmp(http_param(call, "how"), "short");
    answer->etag = ETAG;
    if (answer->status != 416)
        answer->source = &part->source;
    return NULL;
}

static struct error *take(struct http_call *call, struct http_answer *answer)
{
    size_t length;
    const char *bytes = http_bytes(call, &length);
    uint64_t sum = h2_sum(H2_SUM, bytes, length);
    assert_null(call->body);
    answer->body = json_object();
    json_put_int(answer->body, "length", (int64_t)length);
    json_put_int(answer->body, "sum", (int64_t)(sum >> 1));
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/thing/{how}", thing, "orders:read", HTTP_STREAM, NULL},
    {"PATCH", "/v1/bytes", take, "orders:write", HTTP_BYTES, NULL},
};
static const struct http_table table = HTTP_TABLE(routes);
static const struct http_table *const tables[] = {&table, &server_routes};
static struct h2_client *client;

static int start(void **state)
{
    (void)state;
    fixture_start();
    fixture_serve((struct server_settings){.tables = tables, .table_count = 2, .workers = 2});
    client = h2_open(fixture.https.port, NULL);
    return client ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    h2_close(client);
    fixture_stop();
    return 0;
}

static const struct h2_reply *ask(const char *method, const char *how, const char *range, const char *only_if)
{
    const char *const headers[] = {"range", range, only_if ? "if-range" : NULL, only_if, NULL};
    char path[64];
    (void)snprintf(path, sizeof path, "/v1/thing/%s", how);
    return h2_call(client, &(struct h2_request){.method = method,
                                                .path = path,
                                                .token = fixture.alice,
                                                .headers = range ? headers : NULL});
}

static void expect(const struct h2_reply *reply, int status, uint64_t from, size_t length)
{
    assert_int_equal(reply->status, status);
    assert_int_equal(reply->length, length);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)reply->body[i] != (from + i) % 251)
            fail_msg("byte %zu is not of %llu", i, (unsigned long long)from);
}

static void a_part_is_told_and_given(void **state)
{
    static const struct {
        const char *range, *told;
        uint64_t from;
        size_t length;
    } cases[] = {
        {"bytes=0-0", "bytes 0-0/100000", 0, 1},
        {"bytes=99990-", "bytes 99990-99999/100000", 99990, 10},
        {"bytes=5-70000", "bytes 5-70000/100000", 5, 69996},
        {"bytes=-7", "bytes 99993-99999/100000", 99993, 7},
        {"bytes=-200000", "bytes 0-99999/100000", 0, SIZE},
        {"bytes=99999-999999999999", "bytes 99999-99999/100000", 99999, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct h2_reply *reply = ask("GET", "whole", cases[i].range, NULL);
        expect(reply, 206, cases[i].from, cases[i].length);
        assert_string_equal(h2_header(reply, "content-range"), cases[i].told);
        assert_int_equal(strtoull(h2_header(reply, "content-length"), NULL, 10), cases[i].length);
    }
}

/* Nobody pays for what he has already. */
static void what_one_has_is_not_sent(void **state)
{
    static const char *const headers[] = {"if-none-match", "\"" ETAG "\"", NULL};
    (void)state;
    atomic_store(&pulled, 0);
    const struct h2_reply *reply = h2_call(
        client, &(struct h2_request){
                    .method = "GET", .path = "/v1/thing/whole", .token = fixture.alice, .headers = headers});
    assert_int_equal(reply->status, 304);
    assert_int_equal(reply->length, 0);
    assert_int_equal(atomic_load(&pulled), 0);
    expect(ask("GET", "whole", NULL, NULL), 200, 0, SIZE); /* and the stream is as good as ever */
}

static void what_is_no_range_is_ignored(void **state)
{
    static const char *const none[] = {
        NULL,        "bytes=",  "bytes=x-", "bytes=3-2",  "bytes=0-1,5-6",
        "lines=0-1", "bytes=-", "bytes=1",  "bytes=1-2x", "bytes=9999999999999999999-"};
    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        const struct h2_reply *reply = ask("GET", "whole", none[i], NULL);
        expect(reply, 200, 0, SIZE);
        assert_string_equal(h2_header(reply, "accept-ranges"), "bytes");
        assert_null(h2_header(reply, "content-range"));
    }
    const struct h2_reply *head = ask("HEAD", "whole", NULL, NULL);
    assert_int_equal(head->status, 200);
    assert_int_equal(head->length, 0);
    assert_string_equal(h2_header(head, "content-length"), "100000");
}

static void beyond_the_end_is_416(void **state)
{
    static const char *const beyond[] = {"bytes=100000-", "bytes=100000-100001", "bytes=-0"};
    (void)state;
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        const struct h2_reply *reply = ask("GET", "whole", beyond[i], NULL);
        assert_int_equal(reply->status, 416);
        assert_string_equal(h2_header(reply, "content-range"), "bytes */100000");
    }
}

static void only_if_it_is_the_same(void **state)
{
    (void)state;
    expect(ask("GET", "whole", "bytes=5-9", "\"" ETAG "\""), 206, 5, 5);
    expect(ask("GET", "whole", "bytes=5-9", "\"another\""), 200, 0, SIZE);
    expect(ask("GET", "whole", "bytes=5-9", "W/\"" ETAG "\""), 200, 0, SIZE); /* weak ones name no bytes */
}

/* A length that was told and is not kept is never taken for the whole. */
static void a_short_one_is_cut(void **state)
{
    (void)state;
    const struct h2_reply *reply = ask("GET", "short", NULL, NULL);
    assert_true(reply->status == 0 || reply->reset);
}

static void bytes_come_as_they_are(void **state)
{
    static char bytes[5 << 20];
    static const char *const right[] = {"content-type", "application/octet-stream", NULL};
    static const char *const wrong[] = {"content-type", "application/json", NULL};
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    struct h2_request request = {.method = "PATCH",
                                 .path = "/v1/bytes",
                                 .token = fixture.alice,
                                 .headers = right,
                                 .body = bytes,
                                 .length = (size_t)3 << 20};
    const struct h2_reply *reply = h2_call(client, &request);
    char wanted[96];
    (void)snprintf(wanted, sizeof wanted, "{\"length\":%zu,\"sum\":%lld}", request.length,
                   (long long)(h2_sum(H2_SUM, bytes, request.length) >> 1));
    assert_int_equal(reply->status, 200);
    assert_string_equal(reply->body, wanted);
    request.headers = wrong;
    request.length = 10;
    assert_int_equal(h2_call(client, &request)->status, 415);
    request.headers = right;
    request.length = sizeof bytes; /* over the cap of a chunk */
    assert_int_equal(h2_call(client, &request)->status, 413);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_is_told_and_given),    cmocka_unit_test(what_one_has_is_not_sent),
        cmocka_unit_test(what_is_no_range_is_ignored), cmocka_unit_test(beyond_the_end_is_416),
        cmocka_unit_test(only_if_it_is_the_same),      cmocka_unit_test(a_short_one_is_cut),
        cmocka_unit_test(bytes_come_as_they_are),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
