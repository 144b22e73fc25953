/* The client's connection to a broker: HTTP/2 over TLS 1.3 by libcurl, JSON in and out. */
#ifndef BROKER_CLI_CLIENT_H
#define BROKER_CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"

#define CLIENT_ANSWER_MAX ((size_t)64 * 1024 * 1024)
#define CLIENT_TIMEOUT_S 120 /* of a call; of a download, without a byte */

struct client;

struct client_settings {
    const char *url;               /* "https://broker.example:8443" */
    const char *token;             /* NULL: none */
    const char *ca_file;           /* the broker's certificate or its authority's, PEM; NULL: the system's */
    const char *certificate, *key; /* of a client that is known by its certificate; NULL: none */
};

struct error *client_new(const struct client_settings *settings, struct client **ret_client) ERROR_MUST_USE;
void client_free(struct client *client);

struct client_request {
    const char *method, *path; /* path with its query, escaped */
    const json_t *body;        /* NULL: none */
    const char *lines;         /* NDJSON instead of body; NULL: none */
    const char *bytes;         /* application/octet-stream instead of body, `length` of them; NULL: none */
    size_t length;
    const char *offset;           /* Upload-Offset; NULL: none */
    const char *range, *if_range; /* of a download in parts; NULL: none */
    const char *key;              /* Idempotency-Key; NULL: a fresh one with every POST */
    const char *if_match;         /* ETag as it was given, with quotes; NULL: none */
    FILE *out; /* the body of a 2xx goes here as it comes, however much; NULL: into the answer */
};

struct client_answer {
    int status;
    json_t *body; /* NULL: none, or not JSON */
    char *text;   /* the bytes, for what is not JSON */
    char *etag, *location;
    int retry_after;
};

/* Any answer is success here; ERR_UNAVAILABLE when there was none. */
struct error *client_call(struct client *client, const struct client_request *request,
                          struct client_answer *ret_answer) ERROR_MUST_USE;
void client_answer_done(struct client_answer *answer);

/* An answer that is not 2xx as an error: the problem's detail, and a line for every bad member. */
struct error *client_problem(const struct client_answer *answer) ERROR_MUST_USE;

/* A path segment or query value, percent-encoded; in the arena. */
const char *client_escape(struct arena *arena, const char *text);

#endif
