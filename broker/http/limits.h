/* Everything that a peer controls has a cap, and this is the list of them. Fixed caps are constants; what an
 * operator may want to change is a member of struct server_limits, where 0 means the default beside it. The
 * README shows both as a table: keep it in step. */
#ifndef BROKER_HTTP_LIMITS_H
#define BROKER_HTTP_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "broker/base/moment.h"

/* The request line. */
#define HTTP_TARGET_MAX 8192   /* bytes of :path, query and all: 414 */
#define HTTP_SEGMENTS_MAX 16   /* path segments: 404, no route has more */
#define HTTP_SEGMENT_MAX 512   /* bytes of one decoded segment: 404 */
#define HTTP_QUERY_MEMBERS 16  /* members of the query: 400 */
#define HTTP_QUERY_VALUE 4096  /* bytes of one decoded value: 400 */
#define HTTP_PARAMS_MAX 6      /* {parameters} of one pattern */
#define HTTP_REQUEST_ID_MAX 64 /* a caller's X-Request-Id of other lengths or characters is replaced */
#define HTTP_KEY_MAX 255       /* Idempotency-Key: 1–255 visible ASCII characters, else 400 */
#define HTTP_TOKEN_MAX 8192    /* bytes of a bearer token: 401 */

/* The header block. */
#define HTTP_HEADER_BYTES 32768 /* names + values + 32 each, announced in SETTINGS: 431 */
#define HTTP_HEADER_COUNT 64    /* fields: 431 */
#define HTTP_HEADER_RUIN 4      /* times HTTP_HEADER_BYTES in one block: the connection is closed */
#define HTTP_CONTINUATIONS 8    /* CONTINUATION frames of one block: the connection is closed */

/* Frames that cost us work and give the peer nothing: SETTINGS, PING, PRIORITY, RST_STREAM, WINDOW_UPDATE,
 * empty DATA, CONTINUATION, unknown types. One unit each from a bucket; answers give some back. An empty
 * bucket closes the connection with ENHANCE_YOUR_CALM. */
/* An answer before the request's end leaves the stream open for so much more of a body, which is dropped:
 * there are clients (libcurl 7.88) that lose the answer to an early reset. */
#define HTTP_DROPPED_MAX ((size_t)64 * 1024)
#define HTTP_FLOOD_BURST 4000
#define HTTP_FLOOD_PER_SECOND 400
#define HTTP_FLOOD_PER_DATA 4 /* given back for each DATA frame or header block sent */
#define HTTP_RESET_BURST 400  /* RST_STREAM alone (rapid reset), checked by nghttp2 */
#define HTTP_RESET_PER_SECOND 40
#define HTTP_SETTINGS_ENTRIES 16 /* of one SETTINGS frame */
#define HTTP_ACKS_MAX 256        /* PING and SETTINGS answers waiting to be sent */

/* Output. */
#define HTTP_OUTPUT_HIGH                                                              \
    262144 /* bytes encrypted and not yet taken by the kernel: reading stops above it \
            */
#define HTTP_LINGER_US (2 * MOMENT_SECOND) /* for the peer to close too, so that it loses nothing */
#define HTTP_STREAM_WINDOW 131072
#define HTTP_CONNECTION_WINDOW 1048576
/* Of a streamed answer (http_source): bytes made and not yet taken by the connection, and the largest piece.
 */
#define HTTP_FLOW_WINDOW ((size_t)256 * 1024)
#define HTTP_PIECE_MAX ((size_t)1024 * 1024)

struct server_limits {
    unsigned connections;         /* 4096, of the whole server: further ones are closed at once */
    unsigned connections_loop;    /* 4096, of one event loop */
    unsigned streams;             /* 128, concurrent, of one connection; announced in SETTINGS */
    size_t body;                  /* 1 MiB of one request: 413 */
    size_t chunk;                 /* 4 MiB of one on a HTTP_BYTES route: 413 */
    size_t bodies_connection;     /* 8 MiB of bodies held for one connection: 503 */
    size_t bodies;                /* 256 MiB of bodies held by the server: 503 */
    size_t answers_connection;    /* 32 MiB of answers waiting for one connection: 503 */
    unsigned queue;               /* 1024 calls waiting for a worker: 503 with Retry-After */
    int64_t handshake_us;         /* 10 s, from accept to the end of the TLS handshake */
    int64_t idle_us;              /* 90 s without a stream: GOAWAY */
    int64_t header_us;            /* 10 s for one header block, and for the first one */
    int64_t body_us;              /* 30 s for the whole body: 408 */
    int64_t request_us;           /* 60 s from headers to the last byte of the answer: 504, or reset */
    int64_t stall_us;             /* 20 s in which the peer takes none of the waiting output: closed */
    int64_t key_us;               /* 24 h that an Idempotency-Key is kept */
    unsigned denied_audit_second; /* 50 audit rows a second for denied calls; more are only counted in the log
                                   */
    unsigned event_streams;       /* 256 of the server: 503 */
    size_t event_queue;           /* 256 KiB waiting for one event stream: it is cut */
    int64_t event_heartbeat_us;   /* 15 s between comments on a quiet event stream */
    int64_t event_poll_us;        /* 100 ms between looks at the outbox while somebody listens */
    int64_t event_keep_us;        /* 7 days that events are kept */
    unsigned exports; /* 4 streamed answers at once, of the server, each with a thread and a database
                         connection of its own: 503 */
    unsigned exports_principal; /* 2 of them of one principal: 503 */
    int64_t export_us;          /* 1 h from headers to the last byte of a streamed answer: reset */
};

/* Defaults in the place of zeros. */
void server_limits_fill(struct server_limits *limits);

#endif
