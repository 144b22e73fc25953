/* Calls of the broker's API over HTTP/2 with libcurl, for tests that are its callers. One client a thread. */
#ifndef TESTS_E2E_API_H
#define TESTS_E2E_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct client;

/* `ca_file` and `port` are read anew at each call of client_at. */
struct client *client_new(const char *ca_file, int port);
void client_free(struct client *client);
/* The broker has another port now. */
void client_at(struct client *client, int port);

struct api_request {
    const char *method, *path;
    const char *token;                         /* NULL: none */
    const char *key;                           /* Idempotency-Key; NULL: none */
    const char *if_match;                      /* with quotes; NULL: none */
    const char *body;                          /* NULL: none */
    const char *type;                          /* of the body; NULL: application/json */
    const char *const *headers;                /* whole lines, NULL-ended; NULL: none */
    const char *certificate, *certificate_key; /* files of the client's certificate; NULL: none */
    long timeout_ms;                           /* 0: 60 s */
};

struct api_reply {
    int status; /* 0: no whole answer came */
    json_t *json;
    char *text;
    char *headers; /* "name: value" lines */
};

struct api_reply api_call(struct client *client, const struct api_request *request);
void api_done(struct api_reply *reply);
#define API_AUTO __attribute__((cleanup(api_done)))

/* The shortest forms. api_send takes `body` over (NULL: none), and gives every POST a fresh key. */
struct api_reply api_get(struct client *client, const char *token, const char *path);
struct api_reply api_send(struct client *client, const char *token, const char *method, const char *path,
                          json_t *body);
/* With the If-Match that a GET of the same path gives. */
struct api_reply api_change(struct client *client, const char *token, const char *method, const char *path,
                            json_t *body);

/* Value of a header (lower-case name) in a static buffer of this thread; NULL: absent. */
const char *api_header(const struct api_reply *reply, const char *name);
/* Text member of the answer; "" when absent. */
const char *api_text(const struct api_reply *reply, const char *member);
/* Fails the cmocka test, showing the answer, unless it has this status. */
void api_expect_at(const struct api_reply *reply, int status, const char *file, int line);
#define api_expect(reply, status) api_expect_at(reply, status, __FILE__, __LINE__)

#endif
