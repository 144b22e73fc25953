/* What a handler of an HTTP resource sees. The server (server.h) owns connections, TLS, framing and limits; a
 * handler runs on a worker thread as straight-line code and returns a value. Every domain folder's noun_api.c
 * ends in a table of routes.
 *
 * Every call that is not GET runs inside ONE transaction that the server opens with the caller's scope: the
 * idempotency key's claim, the handler, the audit row and the stored answer commit together, so a request
 * that fails changes nothing. Handlers therefore never call db_transaction and never talk to providers: they
 * enqueue jobs. GET handlers run in a transaction with the same scope. A handler may run again after a
 * serialization failure or a deadlock. The transaction is READ COMMITTED unless server_settings say
 * otherwise: a handler locks (FOR UPDATE, a conditional UPDATE) what its decision rests on.
 *
 * Errors: ERR_INVALID is 422 with a pointer for each bad member of the body. A detail whose pointer is
 * "?name" speaks of the query member `name`, and then the answer is 400. problem.c has the whole map. */
#ifndef BROKER_HTTP_HTTP_H
#define BROKER_HTTP_HTTP_H

#include <jansson.h>

#include "broker/auth/principal.h"
#include "broker/base/arena.h"
#include "broker/base/buf.h"
#include "broker/base/error.h"
#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"

struct http_call {
    struct arena *arena;         /* dies with the request */
    struct db *db;               /* in a transaction; NULL on HTTP_NO_DB routes */
    struct principal *principal; /* NULL on HTTP_PUBLIC routes without credentials */
    moment now;
    const char *method, *path;
    const char *request_id;
    json_t *body;  /* parsed JSON object, borrowed; NULL when the request had none, or on HTTP_EVENTS and
                      HTTP_BYTES routes */
    void *context; /* of the server: the composition root's services */
    struct http_internal *internal;
};

/* Path parameter of the pattern: "/v1/orders/{id}" → http_param(call, "id"). Never NULL for a name in the
 * pattern. */
const char *http_param(const struct http_call *call, const char *name);
/* Decoded query member or NULL. Members that the route does not declare are refused (400) before the handler
 * runs. */
const char *http_query(const struct http_call *call, const char *name);
/* NULL when absent; name in lower case. */
const char *http_header(const struct http_call *call, const char *name);
/* Reads the body by the spec, all violations at once. A missing body is ERR_INVALID. */
struct error *http_read_body(struct http_call *call, const struct json_spec *spec,
                             void *ret_value) ERROR_MUST_USE;

/* A body that is too large to be a value: made piece by piece, at constant memory, inside the call's
 * transaction, which is one read-only snapshot. Only for GET routes marked HTTP_STREAM; they run on threads
 * of their own, few at once (limits.h), so that no other call waits behind them. The first member of a struct
 * of the handler's own. */
struct http_source {
    /* Appends the next piece, of some ten thousand bytes for preference and at most HTTP_PIECE_MAX, or
     * nothing yet; *ret_end (false before) when that was the last. An error before the first byte is answered
     * as any other; later it resets the stream, so that nobody takes a part for the whole. Called no more
     * after the end, an error, or when the caller has gone, which is looked at between calls. */
    struct error *(*next)(struct http_source *source, struct buf *piece, bool *ret_end);
    void (*done)(struct http_source *source); /* once, however it ends; NULL: nothing to do */
};

/* The bytes of the body as they came, borrowed, "" without one: for HTTP_EVENTS and HTTP_BYTES routes. */
const char *http_bytes(const struct http_call *call, size_t *ret_length);

struct http_answer {
    int status;           /* 200, 201, 202, 204… */
    json_t *body;         /* owned by the answer from now on; NULL: none */
    const char *location; /* arena; NULL: none */
    const char *etag; /* strong, without quotes, arena; the server adds quotes and answers If-None-Match */
    int retry_after;  /* seconds; 0: none */
    const char *content_type; /* with `bytes` or `source`, instead of body */
    const void *bytes;        /* arena or static */
    size_t length;
    struct http_source *source; /* arena; its `done` is called whatever becomes of the answer */
    int64_t source_length;      /* bytes that the source gives, no more and no fewer; 0: not known */
    const char *content_range;  /* of a 206 or 416, arena (http_range); NULL: none */
    bool ranges;                /* a part of it may be asked for (http_range) */
    const char *file_name;      /* arena; for a caller that saves the answer; NULL: not meant to be saved */
    const char *audit_unit;     /* for the audit row: whose thing it was; NULL: none */
    const char *audit_cloud;    /* the one cloud it concerns, whose regulators read the row; NULL: the path's
                                   {cloud}, and without one none or several */
    const char *audit_subject;
};

/* If-Match against the present version: ERR_PRECONDITION_REQUIRED without the header, ERR_STALE when it
 * differs. */
struct error *http_if_match(const struct http_call *call, const char *etag) ERROR_MUST_USE;

/* The part that the call asks for of something of `size` bytes with this strong ETag (RFC 9110 section 14):
 * sets `ranges`, `status` (200, 206, or 416 with an empty answer and no source to be given), `content_range`
 * and `source_length` of the answer. Without Range, with several ranges, or when If-Range is of another
 * version: all of it. */
void http_range(const struct http_call *call, const char *etag, uint64_t size, struct http_answer *answer,
                uint64_t *ret_from, uint64_t *ret_length);

/* Pagination: page_size (1–1000, default 100) and page_token of the query. The token is opaque to callers: it
 * wraps the handler's own keyset cursor text. Ask the database for `size` + 1 rows to know whether there are
 * more. */
#define HTTP_PAGE_DEFAULT 100
#define HTTP_PAGE_MAX 1000
struct http_page {
    int64_t size;
    const char *after; /* the cursor given to http_page_next earlier; NULL: from the start */
};
struct error *http_page(const struct http_call *call, struct http_page *ret_page) ERROR_MUST_USE;
/* Sets "next_page_token" in `body`. */
void http_page_next(const struct http_call *call, json_t *body, const char *cursor);

typedef struct error *(*http_handler)(struct http_call *call, struct http_answer *ret_answer);

enum http_flag {
    HTTP_PUBLIC = 1u << 0,      /* no credentials needed */
    HTTP_KEYED = 1u << 1,       /* Idempotency-Key required: every POST that makes something */
    HTTP_CONDITIONAL = 1u << 2, /* If-Match required: PATCH and DELETE of versioned things */
    HTTP_NO_BODY = 1u << 3,     /* a body is refused: a custom verb without arguments */
    HTTP_NO_DB = 1u << 4,       /* runs without a transaction */
    HTTP_STREAM = 1u << 5,      /* GET that may answer with a source; in a read-only snapshot */
    HTTP_EVENTS = 1u << 6,      /* takes CloudEvents instead of JSON: single, batch or lines
                                   (media_events_of), not parsed here; not with HTTP_KEYED */
    HTTP_BYTES = 1u << 7, /* takes application/octet-stream instead, up to server_limits.chunk; likewise */
};

struct http_route {
    const char *method;
    const char *pattern; /* "/v1/instances/{id}:start" */
    http_handler handler;
    const char *permission; /* "instances:operate"; NULL only with HTTP_PUBLIC */
    unsigned flags;
    const char *query; /* comma-joined names of the query members it takes, page_size and page_token among
                          them; NULL: none */
};

/* What a noun_api.c ends in: `const struct http_table order_routes = HTTP_TABLE(routes);` */
struct http_table {
    const struct http_route *routes;
    size_t count;
};
#define HTTP_TABLE(routes)                          \
    {                                               \
        (routes), sizeof(routes) / sizeof *(routes) \
    }

#endif
