/* Hostile and broken peers: each is cut off or told, and others are served meanwhile. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "broker/base/moment.h"
#include "broker/http/limits.h"
#include "tests/support/h2.h"
#include "tests/support/https.h"

static struct error *answer(struct http_call *call, struct http_answer *ret_answer)
{
    (void)call;
    ret_answer->body = json_object();
    return NULL;
}

static const struct http_route routes[] = {
    {"POST", "/v1/things", answer, NULL, HTTP_PUBLIC, NULL},
    {"GET", "/v1/things", answer, NULL, HTTP_PUBLIC, NULL},
};
static const struct http_table table = HTTP_TABLE(routes);
static const struct http_table *const tables[] = {&table, &server_routes};
static const struct server_settings settings = {.tables = tables, .table_count = 2, .workers = 2};

static void frame(unsigned char *out, size_t length, int type, int flags, uint32_t stream)
{
    const unsigned char header[9] = {
        (unsigned char)(length >> 16), (unsigned char)(length >> 8), (unsigned char)length,
        (unsigned char)type,           (unsigned char)flags,         (unsigned char)(stream >> 24),
        (unsigned char)(stream >> 16), (unsigned char)(stream >> 8), (unsigned char)stream};
    memcpy(out, header, sizeof header);
}

/* Others are served while (and after) somebody misbehaves. */
static void still_serves(const struct https *https)
{
    struct h2_client *client = h2_open(https->port, NULL);
    assert_non_null(client);
    assert_int_equal(h2_get(client, "/healthz", NULL)->status, 200);
    assert_int_equal(h2_get(client, "/v1/things", NULL)->status, 200);
    h2_close(client);
}

/* Sends the same bytes again and again until the server closes; how many times it took. */
static int flood(struct h2_client *client, const void *bytes, size_t length, int most)
{
    int sent = 0;
    while (sent < most && h2_raw(client, bytes, length)) {
        sent++;
        if (sent % 64 == 0)
            h2_poll(client, 0);
    }
    assert_true(h2_until_closed(client, 10000));
    return sent;
}

static void flood_with(const struct https *https, const void *bytes, size_t length, const char *what)
{
    struct h2_client *client = h2_open(https->port, NULL);
    assert_int_equal(h2_get(client, "/healthz", NULL)->status, 200);
    int sent = flood(client, bytes, length, 200000);
    if (sent >= 200000)
        fail_msg("a flood of %s was let through", what);
    h2_close(client);
    still_serves(https);
}

static void test_frame_floods(void **state)
{
    struct https https;
    https_start(&https, settings);
    unsigned char ping[17] = {0}, change[9], priority[14] = {0}, empty[9], unknown[10] = {0},
                  window[13] = {0};
    frame(ping, 8, NGHTTP2_PING, 0, 0);
    frame(change, 0, NGHTTP2_SETTINGS, 0, 0);
    frame(priority, 5, NGHTTP2_PRIORITY, 0, 3);
    frame(unknown, 1, 0xfa, 0, 0);
    frame(window, 4, NGHTTP2_WINDOW_UPDATE, 0, 0);
    window[12] = 1;
    flood_with(&https, ping, sizeof ping, "PING");
    flood_with(&https, change, sizeof change, "SETTINGS");
    flood_with(&https, priority, sizeof priority, "PRIORITY");
    flood_with(&https, unknown, sizeof unknown, "unknown frames");
    flood_with(&https, window, sizeof window, "WINDOW_UPDATE");
    /* Empty DATA frames of a body that never ends. */
    struct h2_client *client = h2_open(https.port, NULL);
    static const char *const type[] = {"content-type", "application/json", NULL};
    int32_t stream = h2_send(
        client,
        &(struct h2_request){.method = "POST", .path = "/v1/things", .headers = type, .unfinished = true});
    frame(empty, 0, NGHTTP2_DATA, 0, (uint32_t)stream);
    assert_true(flood(client, empty, sizeof empty, 200000) < 200000);
    h2_close(client);
    still_serves(&https);
    https_stop(&https);
}

/* An answer before the request's end: libcurl, still sending, would tell of a reset stream and not of the
 * answer. So the rest is taken and dropped; but not for ever, and not without end. */
static void test_early_answer(void **state)
{
    (void)state; /* cmocka's form */
    static const char *const type[] = {"content-type", "text/plain", NULL};
    const struct h2_request request = {.method = "POST",
                                       .path = "/v1/things",
                                       .headers = type,
                                       .body = "a",
                                       .length = 1,
                                       .unfinished = true};
    struct https https;
    struct server_settings hurried = settings;
    hurried.limits.body_us = 2 * MOMENT_SECOND;
    https_start(&https, hurried);
    struct h2_client *client = h2_open(https.port, NULL);
    int32_t stream = h2_send(client, &request);
    assert_true(h2_wait_text(client, stream, "}"));
    h2_poll(client, 500);
    assert_false(h2_peek(client, stream)->reset);
    unsigned char end[9], more[9 + 16384] = {0};
    frame(end, 0, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, (uint32_t)stream);
    assert_true(h2_raw(client, end, sizeof end));
    h2_poll(client, 3000);
    assert_int_equal(h2_peek(client, stream)->status, 415);
    assert_false(h2_peek(client, stream)->reset);

    const struct h2_reply *late = h2_call(client, &request);
    assert_int_equal(late->status, 415);
    assert_true(late->reset);
    assert_int_equal(late->reset_code, NGHTTP2_NO_ERROR);

    stream = h2_send(client, &request);
    assert_true(h2_wait_text(client, stream, "}"));
    frame(more, sizeof more - 9, NGHTTP2_DATA, 0, (uint32_t)stream);
    for (int i = 0; i < 5; i++, h2_poll(client, 20)) /* within the windows, as they are opened */
        assert_true(h2_raw(client, more, sizeof more));
    h2_poll(client, 500);
    assert_true(h2_peek(client, stream)->reset);
    assert_int_equal(h2_peek(client, stream)->reset_code, NGHTTP2_NO_ERROR);
    h2_close(client);
    still_serves(&https);
    https_stop(&https);
}

/* A malformed request is its own stream's failure: the header block has ended, and with it its deadline,
 * which would otherwise cut the connection and all that runs on it. */
static void test_malformed_header(void **state)
{
    (void)state; /* cmocka's form */
    static const char *const forbidden[] = {"connection", "close", NULL};
    struct https https;
    struct server_settings hurried = settings;
    hurried.limits.header_us = MOMENT_SECOND;
    https_start(&https, hurried);
    struct h2_client *client = h2_open(https.port, NULL);
    assert_int_equal(h2_get(client, "/v1/things", NULL)->status, 200); /* both sides' SETTINGS are through */
    const struct h2_reply *reply =
        h2_call(client, &(struct h2_request){.method = "GET", .path = "/v1/things", .headers = forbidden});
    assert_true(reply->reset);
    assert_int_equal(reply->reset_code, NGHTTP2_PROTOCOL_ERROR);
    assert_false(h2_until_closed(client, 2000));
    assert_int_equal(h2_get(client, "/v1/things", NULL)->status, 200);
    h2_close(client);
    https_stop(&https);
}

/* Requests that are taken back at once: a burst is fine, what goes on like that is cut off. The peer may have
 * sent all of it before the server has read any. */
static void test_rapid_reset(void **state)
{
    (void)state; /* cmocka's form */
    const struct h2_request request = {.method = "GET", .path = "/v1/things"};
    struct https https;
    https_start(&https, settings);
    struct h2_client *client = h2_open(https.port, NULL);
    for (int sent = 0; sent < HTTP_RESET_BURST / 2; sent++)
        h2_reset(client, h2_send(client, &request));
    int status = 503; /* while what was taken back still fills the queue */
    for (int tries = 0; tries < 100 && status == 503; tries++, h2_poll(client, 50))
        status = h2_get(client, "/v1/things", NULL)->status;
    assert_int_equal(status, 200);
    int64_t began = moment_monotonic();
    for (int sent = 0; sent < 3000 && h2_goaway(client) < 0; sent++) {
        h2_reset(client, h2_send(client, &request));
        if (sent % 16 == 0)
            h2_poll(client, 1);
    }
    assert_true(h2_until_closed(client, 10000));
    /* What the server took: both bursts, the questions between them, and what came back with the time. The
     * word of that may be lost with a connection that is reset. */
    int64_t seconds = (moment_monotonic() - began) / MOMENT_SECOND + 1;
    if (h2_goaway(client) >= 0)
        assert_true(h2_last_stream(client) <
                    2 * (2 * HTTP_RESET_BURST + 100 + HTTP_RESET_PER_SECOND * seconds));
    h2_close(client);
    still_serves(&https);
    https_stop(&https);
}

static void test_header_bombs(void **state)
{
    struct https https;
    https_start(&https, settings);
    /* A little too much: 431, and the connection goes on. */
    struct h2_client *client = h2_open(https.port, NULL);
    char *big = malloc(60001);
    memset(big, 'x', 60000);
    big[40000] = '\0';
    const char *const large[] = {"x-large", big, NULL};
    struct h2_request request = {.method = "GET", .path = "/v1/things", .headers = large};
    assert_int_equal(h2_call(client, &request)->status, 431);
    const char *many[2 * 80 + 1] = {NULL};
    for (int i = 0; i < 80; i++) {
        many[2 * i] = "x-many";
        many[2 * i + 1] = "1";
    }
    request.headers = many;
    assert_int_equal(h2_call(client, &request)->status, 431);
    assert_int_equal(h2_get(client, "/v1/things", NULL)->status, 200);
    /* A path too long. */
    char *path = malloc(10001);
    memset(path, 'a', 10000);
    path[0] = '/';
    path[10000] = '\0';
    assert_int_equal(h2_get(client, path, NULL)->status, 414);
    h2_close(client);
    /* 10 MB: cut off long before its end. */
    client = h2_open(https.port, NULL);
    big[40000] = 'x';
    big[60000] = '\0';
    const char *bomb[2 * 170 + 1] = {NULL};
    for (int i = 0; i < 170; i++) {
        bomb[2 * i] = "x-bomb";
        bomb[2 * i + 1] = big;
    }
    request.headers = bomb;
    int32_t stream = h2_send(client, &request);
    assert_int_equal(h2_wait(client, stream)->status, 0);
    assert_true(h2_until_closed(client, 10000));
    h2_close(client);
    still_serves(&https);
    free(big);
    free(path);
    https_stop(&https);
}

/* HEADERS without END_HEADERS, then CONTINUATION frames without end. */
static void test_continuation_flood(void **state)
{
    struct https https;
    https_start(&https, settings);
    struct h2_client *client = h2_open(https.port, NULL);
    assert_int_equal(h2_get(client, "/healthz", NULL)->status, 200);
    static const unsigned char block[] = {0x82, 0x87, 0x84}; /* :method GET, :scheme https, :path / */
    unsigned char headers[12], more[9 + 8] = {0};
    frame(headers, sizeof block, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 101);
    memcpy(headers + 9, block, sizeof block);
    assert_true(h2_raw(client, headers, sizeof headers));
    frame(more, 8, NGHTTP2_CONTINUATION, 0, 101);
    memcpy(more + 9,
           "\x40\x02xy\x03"
           "abc",
           8); /* x y: abc */
    assert_true(flood(client, more, sizeof more, 100000) < 100000);
    h2_close(client);
    still_serves(&https);
    https_stop(&https);
}

/* A small dynamic-table entry named over and over: few bytes, many headers. */
static void test_compression_bomb(void **state)
{
    struct https https;
    https_start(&https, settings);
    struct h2_client *client = h2_open(https.port, NULL);
    assert_int_equal(h2_get(client, "/healthz", NULL)->status, 200);
    unsigned char *bomb = calloc(1, 9 + 16384);
    size_t length = 3;
    memcpy(bomb + 9, "\x82\x87\x84", 3);
    memcpy(bomb + 9 + length, "\x40\x01z\x7f\xa1\x1e", 6); /* z: 4000 bytes, into the dynamic table */
    length += 6;
    memset(bomb + 9 + length, 'v', 4000);
    length += 4000;
    memset(bomb + 9 + length, 0xbe, 16384 - length); /* the newest entry, again and again: 48 MB */
    frame(bomb, 16384, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS, 101);
    assert_true(h2_raw(client, bomb, 9 + 16384));
    assert_true(h2_until_closed(client, 10000));
    assert_int_equal(h2_goaway(client), NGHTTP2_ENHANCE_YOUR_CALM);
    h2_close(client);
    free(bomb);
    still_serves(&https);
    https_stop(&https);
}

static void test_garbage(void **state)
{
    struct https https;
    https_start(&https, settings);
    struct h2_client *client = h2_open(https.port, NULL);
    unsigned char noise[4096];
    uint32_t seed = 7;
    for (size_t i = 0; i < sizeof noise; i++) {
        seed = seed * 1103515245 + 12345;
        noise[i] = (unsigned char)(seed >> 16);
    }
    (void)h2_raw(client, noise, sizeof noise);
    assert_true(h2_until_closed(client, 10000));
    h2_close(client);
    still_serves(&https);
    https_stop(&https);
}

static int dial(int port, int receive_buffer)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (receive_buffer)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    struct timeval limit = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void test_half_open_tls(void **state)
{
    struct https https;
    struct server_settings quick = settings;
    quick.limits.handshake_us = 300 * 1000;
    https_start(&https, quick);
    int silent = dial(https.port, 0), half = dial(https.port, 0);
    static const unsigned char hello[] = {22, 3, 1,    2, 0, 1,
                                          0,  1, 0xfc, 3, 3}; /* the start of a ClientHello */
    assert_int_equal(write(half, hello, sizeof hello), (ssize_t)sizeof hello);
    still_serves(&https);
    char byte;
    assert_int_equal(read(silent, &byte, 1), 0);
    assert_int_equal(read(half, &byte, 1), 0);
    close(silent);
    close(half);
    https_stop(&https);
}

static void test_deadlines(void **state)
{
    struct https https;
    struct server_settings quick = settings;
    quick.limits.body_us = 300 * 1000;
    quick.limits.header_us = 300 * 1000;
    quick.limits.idle_us = 900 * 1000;
    https_start(&https, quick);
    /* A body that does not come. */
    static const char *const type[] = {"content-type", "application/json", NULL};
    struct h2_client *client = h2_open(https.port, NULL);
    struct h2_request request = {.method = "POST",
                                 .path = "/v1/things",
                                 .headers = type,
                                 .body = "{",
                                 .length = 1,
                                 .unfinished = true};
    assert_int_equal(h2_call(client, &request)->status, 408);
    /* Nothing more: idle, told to go. */
    assert_true(h2_until_closed(client, 10000));
    assert_int_equal(h2_goaway(client), NGHTTP2_NO_ERROR);
    h2_close(client);
    /* A header block that does not end. */
    client = h2_open(https.port, NULL);
    unsigned char headers[12];
    frame(headers, 3, NGHTTP2_HEADERS, 0, 1);
    memcpy(headers + 9, "\x82\x87\x84", 3);
    assert_true(h2_raw(client, headers, sizeof headers));
    assert_true(h2_until_closed(client, 10000));
    assert_int_equal(h2_goaway(client), -1);
    h2_close(client);
    still_serves(&https);
    https_stop(&https);
}

/* One that asks and does not read, and one whose window stays shut. */
static void test_slow_readers(void **state)
{
    struct https https;
    struct server_settings quick = settings;
    quick.limits.stall_us = 500 * 1000;
    quick.limits.request_us = 1500 * 1000;
    https_start(&https, quick);
    size_t length = (size_t)2 << 20;
    char *page = calloc(1, length);
    assert_null(server_document(https.server, "/v1/page", NULL, "text/plain", page, length));
    const struct h2_options open_wide = {.window = 0x7fffffff};
    struct h2_client *deaf = h2_open(https.port, &open_wide);
    unsigned char window[13] = {0};
    frame(window, 4, NGHTTP2_WINDOW_UPDATE, 0, 0);
    memcpy(window + 9, "\x7f\x00\x00\x00", 4);
    for (int i = 0; i < 20; i++)
        (void)h2_send(deaf, &(struct h2_request){.method = "GET", .path = "/v1/page"});
    assert_true(h2_raw(deaf, window, sizeof window));
    const struct h2_options shut = {.no_window_update = true};
    struct h2_client *shy = h2_open(https.port, &shut);
    const struct h2_reply *reply = h2_get(shy, "/v1/page", NULL);
    assert_true(reply->reset);
    assert_true(reply->length < length);
    still_serves(&https);
    h2_close(shy);
    /* By now the deaf one has been cut: what it reads ends before all 40 MB. */
    assert_true(h2_until_closed(deaf, 20000));
    h2_close(deaf);
    free(page);
    https_stop(&https);
}

static void test_too_many_connections(void **state)
{
    struct https https;
    struct server_settings few = settings;
    few.limits.connections = 3;
    https_start(&https, few);
    struct h2_client *clients[3];
    for (int i = 0; i < 3; i++) {
        clients[i] = h2_open(https.port, NULL);
        assert_int_equal(h2_get(clients[i], "/healthz", NULL)->status, 200);
    }
    assert_null(h2_open(https.port, NULL));
    h2_close(clients[0]);
    struct h2_client *next = NULL;
    for (int tries = 0; tries < 200 && !next; tries++) /* until the server has seen the end of the first */
        next = h2_open(https.port, NULL);
    assert_non_null(next);
    h2_close(next);
    h2_close(clients[1]);
    h2_close(clients[2]);
    https_stop(&https);
}

static void test_too_many_bodies(void **state)
{
    struct https https;
    struct server_settings small = settings;
    small.limits.bodies_connection = 20000;
    https_start(&https, small);
    static const char *const type[] = {"content-type", "application/json", NULL};
    char body[12000];
    memset(body, ' ', sizeof body);
    struct h2_request request = {.method = "POST",
                                 .path = "/v1/things",
                                 .headers = type,
                                 .body = body,
                                 .length = sizeof body,
                                 .unfinished = true};
    struct h2_client *client = h2_open(https.port, NULL);
    int32_t first = h2_send(client, &request), second = h2_send(client, &request);
    assert_int_equal(h2_wait(client, second)->status, 503);
    h2_reset(client, first);
    body[0] = '{';
    body[11999] = '}';
    request.unfinished = false; /* the room of the others is free again */
    assert_int_equal(h2_call(client, &request)->status, 200);
    h2_close(client);
    https_stop(&https);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_floods),     cmocka_unit_test(test_rapid_reset),
        cmocka_unit_test(test_malformed_header), cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_header_bombs),     cmocka_unit_test(test_continuation_flood),
        cmocka_unit_test(test_compression_bomb), cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_half_open_tls),    cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_slow_readers),     cmocka_unit_test(test_too_many_connections),
        cmocka_unit_test(test_too_many_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
