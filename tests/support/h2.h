/* A small HTTP/2 client for tests of the server: nghttp2 over blocking TLS with a deadline. It can do what a
 * proper client would not: send raw frames, leave bodies unfinished, not read, offer no ALPN. Failures of the
 * client itself end the test. */
#ifndef TESTS_SUPPORT_H2_H
#define TESTS_SUPPORT_H2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct h2_client;

struct h2_options {
    const char *certificate_file, *key_file; /* NULL: none */
    bool no_alpn;
    int32_t window;        /* initial window of streams; 0: the protocol's default */
    bool no_window_update; /* answers are received but their window is not opened again */
    bool discard;          /* bodies of 200s are counted and summed, not kept */
};

/* NULL when the handshake fails (the reason is h2_alert's). */
struct h2_client *h2_open(int port, const struct h2_options *options);
void h2_close(struct h2_client *client);
/* The TLS alert of the last failed h2_open of this thread; 0: none. */
int h2_alert(void);

struct h2_request {
    const char *method, *path;
    const char *token;          /* bearer; NULL: none */
    const char *const *headers; /* name, value, …, NULL */
    const void *body;           /* NULL: none */
    size_t length;
    bool unfinished; /* END_STREAM is not sent */
};

/* Submits and sends; returns the stream's id. */
int32_t h2_send(struct h2_client *client, const struct h2_request *request);
void h2_reset(struct h2_client *client, int32_t stream);

struct h2_reply {
    int status; /* 0: no answer (reset or connection closed) */
    char *body; /* ended by NUL */
    size_t length;
    uint64_t sum; /* h2_sum of the body */
    bool done, reset;
    uint32_t reset_code;
    char *headers; /* "name: value\n" lines */
};

/* FNV-1a, 64 bits: goes on from `sum`, which begins as H2_SUM. */
#define H2_SUM UINT64_C(14695981039346656037)
uint64_t h2_sum(uint64_t sum, const void *bytes, size_t length);

/* Waits until the stream is over, for at most 20 s. Owned by the client. */
const struct h2_reply *h2_wait(struct h2_client *client, int32_t stream);
/* Waits until the body received so far holds the text; false: the stream or the time is over. */
bool h2_wait_text(struct h2_client *client, int32_t stream, const char *text);
/* What there is so far, without waiting. */
const struct h2_reply *h2_peek(struct h2_client *client, int32_t stream);
/* Whether the body received so far holds the text. */
bool h2_has_text(struct h2_client *client, int32_t stream, const char *text);
/* Value of a header in h2_reply, in a static buffer; NULL: absent. */
const char *h2_header(const struct h2_reply *reply, const char *name);
/* h2_send and h2_wait. */
const struct h2_reply *h2_call(struct h2_client *client, const struct h2_request *request);
const struct h2_reply *h2_get(struct h2_client *client, const char *path, const char *token);

/* Raw bytes inside the TLS stream. False: the server has closed. */
bool h2_raw(struct h2_client *client, const void *bytes, size_t length);
/* Reads until the server closes, at most `ms`; true when it did. */
bool h2_until_closed(struct h2_client *client, int ms);
/* Reads whatever is there now. */
void h2_poll(struct h2_client *client, int ms);
/* Reads once; false when nothing came in `ms` or the server has closed. */
bool h2_poll_once(struct h2_client *client, int ms);
/* Ends no_window_update: what was received opens the windows again, from now on by itself. */
void h2_open_window(struct h2_client *client);
/* Error code of the last GOAWAY; -1: none. */
int64_t h2_goaway(const struct h2_client *client);
/* The last stream that the peer says it took, in its last GOAWAY; 0: none. */
int32_t h2_last_stream(const struct h2_client *client);
int h2_fd(const struct h2_client *client);

#endif
