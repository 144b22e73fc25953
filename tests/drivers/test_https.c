/* drivers/https against a real TLS server in this process (tests/support/tls_peer): certificates are judged
 * before a request is sent, connections are kept, answers are capped, time is bounded, and a broken
 * connection says whether the request may have had its effect. */
#include "drivers/https.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/moment.h"
#include "tests/support/tls_peer.h"

static struct tls_peer *peer;
static char last_headers[4096], last_body[4096], last_method[16];

static bool reply(struct tls_peer *to, const char *status, const char *headers, const char *body)
{
    char head[512];
    int length = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status,
                          strlen(body), headers);
    return tls_peer_write(to, head, (size_t)length) && tls_peer_write(to, body, strlen(body));
}

static bool many_headers(struct tls_peer *to)
{
    char line[1024];
    memset(line, 'a', sizeof line);
    memcpy(line, "X-Filler: ", 10);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    bool good = tls_peer_write(to, "HTTP/1.1 200 OK\r\n", 17);
    for (int i = 0; good && i < 80; i++)
        good = tls_peer_write(to, line, sizeof line);
    return good && tls_peer_write(to, "\r\n", 2);
}

static bool handle(struct tls_peer *to, const struct tls_peer_request *request)
{
    snprintf(last_headers, sizeof last_headers, "%s", request->headers);
    snprintf(last_body, sizeof last_body, "%.*s", (int)request->length, request->body);
    snprintf(last_method, sizeof last_method, "%s", request->method);
    if (strcmp(request->path, "/ok") == 0)
        return reply(to, "200 OK", "ETag:  \"7\" \r\nX-Empty:\r\n", "hello");
    if (strcmp(request->path, "/empty") == 0)
        return tls_peer_write(to, "HTTP/1.1 204 No Content\r\n\r\n", 27);
    if (strcmp(request->path, "/redirect") == 0)
        return reply(to, "302 Found", "Location: /ok\r\nSet-Cookie: a=b\r\n", "moved");
    if (strcmp(request->path, "/truncated") == 0) {
        (void)tls_peer_write(to, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
                             44); /* closing anyway */
        return false;
    }
    if (strcmp(request->path, "/headers") == 0)
        return many_headers(to);
    if (strcmp(request->path, "/garbage") == 0) {
        (void)tls_peer_write(to, "\x01\x02nonsense\r\n\r\n", 14); /* closing anyway */
        return false;
    }
    if (strcmp(request->path, "/hang") == 0)
        tls_peer_hang(to);
    return false; /* /drop and /hang: no answer at all */
}

struct supply {
    size_t given, fail_at;
};

/* "abcabc…" in pieces of at most 7 bytes. */
static size_t supply(void *context, char *buffer, size_t size)
{
    struct supply *supply = context;
    if (supply->given >= supply->fail_at)
        return 0;
    if (size > 7)
        size = 7;
    for (size_t i = 0; i < size; i++)
        buffer[i] = "abc"[(supply->given + i) % 3];
    supply->given += size;
    return size;
}

static int setup(void **state)
{
    peer = tls_peer_start(handle);
    return 0;
}

static int teardown(void **state)
{
    tls_peer_stop(peer);
    return 0;
}

static struct https *open_with(const char *ca_file, const char *fingerprint)
{
    struct https *https = NULL;
    struct https_options options = {
        .ca_file = ca_file, .fingerprint = fingerprint, .timeout_us = 5 * MOMENT_SECOND};
    assert_null(https_open(&options, &https));
    return https;
}

static struct https *open_pinned(void)
{
    return open_with(NULL, tls_peer_fingerprint(peer));
}

/* Sends to `path` of the peer by `host`; the other members of `request` are the caller's. */
static struct error *send_to(struct https *https, const char *host, const char *path,
                             struct https_request request, struct https_answer *answer)
{
    char url[128];
    snprintf(url, sizeof url, "https://%s:%d%s", host, tls_peer_port(peer), path);
    request.url = url;
    request.method = request.method ? request.method : "GET";
    request.limit = request.limit ? request.limit : 1000;
    request.deadline_us = request.deadline_us ? request.deadline_us : moment_monotonic() + 10 * MOMENT_SECOND;
    return https_send(https, &request, answer);
}

static void assert_fails(struct error *error, enum error_code code, const char *words)
{
    assert_non_null(error);
    if (error_code(error) != code || !strstr(error_message(error), words))
        fail_msg("%s: %s", error_code_name(error_code(error)), error_message(error));
    error_free(error);
}

static void test_answers_and_keeps_the_connection(void **state)
{
    struct https *https = open_pinned();
    struct https_answer answer;
    const char *headers[] = {"X-Mine: yes", "Content-Type: text/plain"};
    for (int i = 0; i < 3; i++) {
        assert_null(send_to(https, "127.0.0.1", "/ok",
                            (struct https_request){.headers = headers, .header_count = 2}, &answer));
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.body, "hello");
        assert_int_equal(answer.length, 5);
    }
    assert_string_equal(https_header(https, "etag"), "\"7\"");
    assert_string_equal(https_header(https, "x-empty"), "");
    assert_null(https_header(https, "ETa"));
    assert_int_equal(https_outcome(https), HTTPS_ANSWERED);
    assert_non_null(strstr(last_headers, "X-Mine: yes\r\n"));
    assert_int_equal(tls_peer_connections(peer), 1);
    assert_int_equal(tls_peer_requests(peer), 3);
    https_close(https);
}

static void test_streams_a_body(void **state)
{
    struct https *https = open_pinned();
    struct https_answer answer;
    for (int i = 0; i < 2; i++) {
        struct supply whole = {.fail_at = SIZE_MAX};
        struct https_request request = {
            .method = "PUT", .body_length = 300, .source = supply, .context = &whole};
        assert_null(send_to(https, "127.0.0.1", "/ok", request, &answer));
        assert_int_equal(answer.status, 200);
        assert_int_equal(strlen(last_body), 300);
        for (size_t at = 0; at < 300; at++)
            assert_int_equal(last_body[at], "abc"[at % 3]);
        assert_int_equal(whole.given, 300);
    }
    struct supply broken = {.fail_at = 100};
    struct https_request request = {
        .method = "PUT", .body_length = 300, .source = supply, .context = &broken};
    assert_fails(send_to(https, "127.0.0.1", "/ok", request, &answer), ERR_CANCELLED, "outcome is unknown");
    assert_null(send_to(https, "127.0.0.1", "/ok", (struct https_request){0}, &answer));
    https_close(https);
    struct https_options options = {.fingerprint = tls_peer_fingerprint(peer), .timeout_us = MOMENT_SECOND};
    assert_null(https_open(&options, &https)); /* nothing moves for longer than a round trip may take */
    struct supply slow = {.fail_at = SIZE_MAX};
    request = (struct https_request){.method = "PUT",
                                     .body_length = 300,
                                     .source = supply,
                                     .context = &slow,
                                     .timeout_us = 60 * MOMENT_SECOND,
                                     .deadline_us = moment_monotonic() + 60 * MOMENT_SECOND};
    assert_fails(send_to(https, "127.0.0.1", "/hang", request, &answer), ERR_TIMEOUT, "in time");
    https_close(https);
}

static void test_methods_and_bodies(void **state)
{
    struct https *https = open_pinned();
    struct https_answer answer;
    static const char *const methods[] = {"PUT", "POST", "PATCH", "DELETE"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        struct https_request request = {.method = methods[i], .body = "payload", .body_length = 7};
        assert_null(send_to(https, "127.0.0.1", "/ok", request, &answer));
        assert_string_equal(last_method, methods[i]);
        assert_string_equal(last_body, "payload");
        assert_null(strcasestr(last_headers, "Expect:"));
        assert_null(strcasestr(last_headers, "Transfer-Encoding:"));
        request.body = NULL;
        assert_null(send_to(https, "127.0.0.1", "/empty", request, &answer));
        assert_int_equal(answer.status, 204);
        assert_string_equal(answer.body, "");
        assert_string_equal(last_method, methods[i]);
        assert_string_equal(last_body, "");
    }
    https_close(https);
}

static void test_wrong_pin_is_refused_before_anything_is_sent(void **state)
{
    char wrong[65];
    snprintf(wrong, sizeof wrong, "%s", tls_peer_fingerprint(peer));
    wrong[63] = wrong[63] == '0' ? '1' : '0';
    struct https *https = open_with(NULL, wrong);
    struct https_answer answer;
    struct error *error = send_to(https, "127.0.0.1", "/ok", (struct https_request){0}, &answer);
    assert_non_null(strstr(error_message(error), tls_peer_fingerprint(peer)));
    assert_fails(error, ERR_DENIED, "not the pinned");
    assert_int_equal(https_outcome(https), HTTPS_NOT_SENT);
    assert_int_equal(tls_peer_requests(peer), 0);
    https_close(https);
}

static void test_ca_checks_chain_and_name(void **state)
{
    struct https_answer answer;
    struct https *https = open_with(tls_peer_ca_file(peer), NULL);
    assert_null(send_to(https, "localhost", "/ok", (struct https_request){0}, &answer));
    assert_int_equal(answer.status, 200);
    https_close(https);
    https = open_with(tls_peer_ca_file(peer), NULL);
    assert_fails(send_to(https, "127.0.0.1", "/ok", (struct https_request){0}, &answer), ERR_DENIED,
                 "not trusted");
    https_close(https);
    https = open_with(NULL, NULL);
    assert_fails(send_to(https, "localhost", "/ok", (struct https_request){0}, &answer), ERR_DENIED,
                 "not trusted");
    https_close(https);
    https = open_with("/nonexistent/ca.pem", NULL);
    assert_fails(send_to(https, "localhost", "/ok", (struct https_request){0}, &answer), ERR_INVALID,
                 "CA file");
    https_close(https);
    assert_int_equal(tls_peer_requests(peer), 1);
}

static void test_no_redirects_no_cookies(void **state)
{
    struct https *https = open_pinned();
    struct https_answer answer;
    assert_null(send_to(https, "127.0.0.1", "/redirect", (struct https_request){0}, &answer));
    assert_int_equal(answer.status, 302);
    assert_string_equal(https_header(https, "Location"), "/ok");
    assert_null(send_to(https, "127.0.0.1", "/ok", (struct https_request){0}, &answer));
    assert_null(strcasestr(last_headers, "Cookie:"));
    https_close(https);
}

static void test_caps(void **state)
{
    struct https *https = open_pinned();
    struct https_answer answer;
    assert_null(send_to(https, "127.0.0.1", "/ok", (struct https_request){.limit = 5}, &answer));
    assert_fails(send_to(https, "127.0.0.1", "/ok", (struct https_request){.limit = 4}, &answer),
                 ERR_UNAVAILABLE, "over 4 bytes");
    assert_fails(send_to(https, "127.0.0.1", "/headers", (struct https_request){0}, &answer), ERR_UNAVAILABLE,
                 "headers are over");
    assert_null(send_to(https, "127.0.0.1", "/ok", (struct https_request){0}, &answer));
    assert_string_equal(answer.body, "hello");
    https_close(https);
}

static void test_broken_connections_say_the_outcome(void **state)
{
    struct https *https = open_pinned();
    struct https_answer answer;
    struct https_request post = {.method = "POST", .body = "make one", .body_length = 8};
    static const char *const paths[] = {"/drop", "/truncated", "/garbage"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_null(send_to(https, "127.0.0.1", "/ok", (struct https_request){0}, &answer));
        unsigned before = tls_peer_requests(peer);
        assert_fails(send_to(https, "127.0.0.1", paths[i], post, &answer), ERR_UNAVAILABLE,
                     "outcome is unknown");
        assert_int_equal(https_outcome(https), HTTPS_UNKNOWN);
        assert_int_equal(tls_peer_requests(peer) - before, 1); /* not sent twice behind the caller's back */
    }
    https_close(https);
    struct https_options options = {.fingerprint = tls_peer_fingerprint(peer), .timeout_us = MOMENT_SECOND};
    assert_null(https_open(&options, &https));
    struct https_request request = {.method = "POST",
                                    .url = "https://127.0.0.1:1/",
                                    .body = "x",
                                    .body_length = 1,
                                    .limit = 10,
                                    .deadline_us = moment_monotonic() + MOMENT_SECOND};
    assert_fails(https_send(https, &request, &answer), ERR_UNAVAILABLE, "onnect");
    assert_int_equal(https_outcome(https), HTTPS_NOT_SENT);
    https_close(https);
}

static bool never(void *context)
{
    atomic_fetch_add((atomic_uint *)context, 1);
    return false;
}

static void test_time_and_cancellation(void **state)
{
    struct https *https = open_pinned();
    struct https_answer answer;
    int64_t start = moment_monotonic();
    assert_fails(send_to(https, "127.0.0.1", "/hang",
                         (struct https_request){.deadline_us = start + MOMENT_SECOND / 2}, &answer),
                 ERR_TIMEOUT, "no answer in time");
    assert_int_equal(https_outcome(https), HTTPS_UNKNOWN);
    assert_true(moment_monotonic() - start < 4 * MOMENT_SECOND);
    assert_fails(send_to(https, "127.0.0.1", "/hang", (struct https_request){.timeout_us = MOMENT_SECOND / 5},
                         &answer),
                 ERR_TIMEOUT, "no answer in time");
    unsigned before = tls_peer_requests(peer);
    assert_fails(send_to(https, "127.0.0.1", "/ok", (struct https_request){.deadline_us = start}, &answer),
                 ERR_TIMEOUT, "no time is left");
    assert_int_equal(tls_peer_requests(peer), before);
    atomic_uint asked = 0;
    assert_fails(send_to(https, "127.0.0.1", "/hang",
                         (struct https_request){.keep_going = never, .context = &asked}, &answer),
                 ERR_CANCELLED, "cancelled");
    assert_int_equal(asked, 1);
    https_close(https);
}

static void test_bad_input(void **state)
{
    struct https *https = NULL;
    static const char *const pins[] = {"", "abc",
                                       "ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ"};
    for (size_t i = 0; i < sizeof pins / sizeof pins[0]; i++) {
        struct https_options options = {.fingerprint = pins[i], .timeout_us = 1};
        assert_fails(https_open(&options, &https), ERR_INVALID, "fingerprint");
    }
    https = open_pinned();
    struct https_answer answer;
    const char *split[] = {"X-A: b\r\nX-C: d"};
    assert_fails(send_to(https, "127.0.0.1", "/ok",
                         (struct https_request){.headers = split, .header_count = 1}, &answer),
                 ERR_INVALID, "line end");
    struct https_request plain = {.method = "GET",
                                  .url = "http://127.0.0.1/",
                                  .limit = 10,
                                  .deadline_us = moment_monotonic() + MOMENT_SECOND};
    assert_fails(https_send(https, &plain, &answer), ERR_INVALID, "URL");
    assert_int_equal(tls_peer_requests(peer), 0);
    https_close(https);
    https_close(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_answers_and_keeps_the_connection),
        TEST(test_streams_a_body),
        TEST(test_methods_and_bodies),
        TEST(test_wrong_pin_is_refused_before_anything_is_sent),
        TEST(test_ca_checks_chain_and_name),
        TEST(test_no_redirects_no_cookies),
        TEST(test_caps),
        TEST(test_broken_connections_say_the_outcome),
        TEST(test_time_and_cancellation),
        TEST(test_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
