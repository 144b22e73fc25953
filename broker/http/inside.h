/* The server's own structs, shared by its files and by nobody else. Three kinds of things: what belongs to
 * the server (shared by threads: immutable, atomic or under a lock), what belongs to one loop (its thread
 * alone touches it), and a call, which is owned by whoever holds it: loop, queue, worker, loop again. */
#ifndef BROKER_HTTP_INSIDE_H
#define BROKER_HTTP_INSIDE_H

#include <nghttp2/nghttp2.h>
#include <pthread.h>
#include <uv.h>

#include "broker/base/buf.h"
#include "broker/base/digest.h"
#include "broker/http/response.h"
#include "broker/http/router.h"
#include "broker/http/server.h"
#include "broker/http/tls.h"

struct loop;
struct connection;
struct stream;
struct documents;
struct feed;
struct workers;

struct server {
    struct server_settings settings;
    struct router *router;
    struct documents *documents;
    struct workers *workers;
    struct workers *exporters; /* of HTTP_STREAM routes; NULL without such */
    struct feed *feed;         /* NULL without a database */
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    pthread_mutex_t tls_lock;
    SSL_CTX *tls;
    struct loop *loops; /* settings.loops of them once started */
    unsigned loop_count;
    int port;
    unsigned connections; /* atomic */
    size_t bodies;        /* atomic: bytes of request bodies held */
    unsigned events;      /* atomic: event streams open */
    uint64_t denials;     /* atomic: denial.c's count */
    pthread_mutex_t flow_lock;
    struct flow *flows; /* that workers write to, under the lock */
    bool flows_over;    /* under the lock: the server stops */
};

/* A message to a loop's thread. */
struct mail {
    struct mail *next;
    void (*deliver)(struct loop *loop, struct mail *mail); /* on the loop, or when it has ended; frees it */
};

#define LOOP_IN 65536
#define LOOP_CLEAR 16384
#define LOOP_PLAIN (65536 + 16384 + 1024)

struct loop {
    struct server *server;
    unsigned index;
    pthread_t thread;
    bool running;
    uv_loop_t uv;
    uv_tcp_t listener;
    uv_timer_t tick;
    uv_async_t wake;
    pthread_mutex_t lock; /* of the next two */
    struct mail *first, **last;
    struct connection **slots; /* by the low half of a connection's id */
    unsigned *generations;
    unsigned slot_count, used;
    struct connection *dirty; /* output to be flushed */
    struct stream *spare;     /* freed streams, for reuse */
    unsigned spare_count;
    struct arena *arena; /* of the request being looked at; reset after each */
    int draining;        /* 0 no, 1 notice given, 2 GOAWAY sent */
    int64_t drain_until; /* monotonic; 0: not draining */
    bool was_cut;        /* the deadline of draining cut something */
    char id_prefix[20];
    uint64_t id_next;
    char date[30];
    int64_t date_second;
    char *in;    /* LOOP_IN: encrypted bytes as they come */
    char *clear; /* LOOP_CLEAR: decrypted */
    char *plain; /* LOOP_PLAIN: frames gathered for one write */
    size_t plain_length;
};

struct connection {
    struct loop *loop;
    uint64_t id; /* slot and generation */
    uv_tcp_t tcp;
    uv_write_t write;
    uv_shutdown_t shutdown;
    char *writing; /* handed to libuv */
    size_t writing_length;
    struct tls tls;
    nghttp2_session *session; /* NULL during the handshake */
    struct connection *dirty_next;
    bool dirty, closing, reading, finished;
    bool calm;   /* to be closed with ENHANCE_YOUR_CALM */
    bool gentle; /* finished by us, not for the peer's fault: it shall get all that was sent */
    struct stream *streams;
    unsigned stream_count, running; /* running: calls of this connection that workers hold */
    size_t bodies, answers;         /* bytes held */
    int64_t opened, idle_since, header_since, stall_since, linger_since; /* monotonic; 0: not so */
    int64_t flood_left, flood_at;
    size_t frame_left; /* of the frame being read; the next two: its header so far */
    unsigned char frame_header[9];
    unsigned char frame_have;
    char fingerprint[DIGEST_HEX]; /* "" : no client certificate */
};

/* Header fields that the server itself looks at. */
enum known {
    KNOWN_METHOD,
    KNOWN_PATH,
    KNOWN_SCHEME,
    KNOWN_AUTHORITY,
    KNOWN_AUTHORIZATION,
    KNOWN_ACCEPT,
    KNOWN_CONTENT_TYPE,
    KNOWN_CONTENT_LENGTH,
    KNOWN_CONTENT_ENCODING,
    KNOWN_IF_MATCH,
    KNOWN_IF_NONE_MATCH,
    KNOWN_IDEMPOTENCY_KEY,
    KNOWN_REQUEST_ID,
    KNOWN_EXPECT,
    KNOWN_LAST_EVENT_ID,
    KNOWN_COUNT
};

struct event_sink;
struct flow;

struct stream {
    struct stream *next, *previous;
    struct connection *connection;
    int32_t id;
    unsigned field_count;
    size_t field_bytes;
    nghttp2_rcbuf *names[HTTP_HEADER_COUNT], *values[HTTP_HEADER_COUNT];
    signed char known[KNOWN_COUNT];        /* index of the field, -1: absent */
    bool too_large, repeated, has_regular; /* of the header block */
    size_t dropped;                        /* bytes of a body that came after the answer */
    bool head_only, answered, ended;       /* HEAD; response submitted; the peer's side is closed */
    struct http_internal *call;            /* being put together, or (call_away) held by a worker */
    bool call_away;
    struct response *response;
    size_t sent, counted; /* of the response; bytes counted in connection->answers */
    struct event_sink *sink;
    struct flow *flow;
    int64_t began, body_until; /* monotonic; 0: no body expected */
    char date[30];
    char request_id[HTTP_REQUEST_ID_MAX + 1];
};

/* A call on its way (http.h's "internal"). */
struct http_internal {
    struct mail mail;
    struct http_internal *next;
    struct server *server;
    struct loop *loop;
    uint64_t connection;
    int32_t stream;
    bool abandoned;  /* atomic: nobody waits for the answer any more */
    bool audit_only; /* a denied call: the worker only writes its audit row */
    int denied_status;
    const char *denied_permission; /* NULL: none was asked */
    const char *denied_cloud;      /* that the path names; NULL: none */
    struct arena *arena;
    const struct http_route *route;
    struct target target;
    struct router_match match;
    struct principal *principal;
    const char *method, *path, *request_id, *key;
    const char *key_digest; /* of the request that the key stands for */
    size_t header_count;
    const char *header_names[HTTP_HEADER_COUNT], *header_values[HTTP_HEADER_COUNT];
    bool has_body;
    struct buf body;
    size_t counted;            /* of body, in server->bodies and connection->bodies */
    struct response *response; /* the result */
    struct flow *flow;         /* or this, once it is being streamed */
    bool flow_whole;           /* its body came to its end */
};

static inline const char *stream_header(const struct stream *stream, enum known which)
{
    int index = stream->known[which];
    return index < 0 ? NULL : (const char *)nghttp2_rcbuf_get_buf(stream->values[index]).base;
}

/* server.c */
SSL_CTX *server_tls(struct server *server); /* a reference */

/* loop.c */
struct error *loop_open(struct loop *loop, struct server *server, unsigned index) ERROR_MUST_USE;
struct error *loop_start(struct loop *loop) ERROR_MUST_USE;
void loop_post(struct loop *loop, struct mail *mail);
void loop_drain(struct loop *loop, int64_t deadline_us);
/* Joins the thread. */
void loop_join(struct loop *loop);
void loop_close(struct loop *loop);
struct connection *loop_connection(struct loop *loop, uint64_t id);
const char *loop_date(struct loop *loop);

/* connection.c */
void connection_accept(struct loop *loop);
/* Output may be waiting: flushed once at the end of the loop's turn. */
void connection_touch(struct connection *connection);
void connection_flush(struct connection *connection);
void connection_tick(struct connection *connection, int64_t now);
void connection_close(struct connection *connection);

/* session.c */
void session_callbacks(struct server *server);
bool session_start(struct connection *connection);
/* Frames into loop->plain; false when the session is broken. */
bool session_gather(struct connection *connection);
/* Walks the frames of what was decrypted, nghttp2 not showing all of them, and takes the cost of each from
 * the budget. False when it is used up: the connection has been told to calm down. */
bool session_count(struct connection *connection, const char *bytes, size_t length);

/* stream.c */
struct stream *stream_new(struct connection *connection, int32_t id);
void stream_free(struct stream *stream);
void stream_field(struct stream *stream, nghttp2_rcbuf *name, nghttp2_rcbuf *value);
/* Submits; takes the reference to the response. */
void stream_answer(struct stream *stream, struct response *response);
void stream_problem(struct stream *stream, struct error *error, int status);
void stream_tick(struct stream *stream, int64_t now);

/* front.c */
void front_headers(struct stream *stream); /* the header block is whole */
void front_body(struct stream *stream, const void *bytes, size_t length);
void front_end(struct stream *stream); /* the request is whole */

/* call.c */
void call_free(struct http_internal *call);

/* worker.c. `waiting`: calls that may wait for a worker; `each`: calls of one principal that may wait or run
 * at once, 0: any number. */
struct error *workers_start(struct server *server, unsigned count, unsigned waiting, unsigned each,
                            struct workers **ret_workers) ERROR_MUST_USE;
/* False: there is no room, the call is still the caller's. */
bool workers_push(struct workers *workers, struct http_internal *call);
/* Lets queued and running calls end until the deadline, then abandons what is queued. */
void workers_stop(struct workers *workers, int64_t deadline_us);
/* transaction.c: runs the handler and sets call->response. */
void call_run(struct http_internal *call, struct db *db);

/* document.c */
struct documents *documents_new(void);
void documents_free(struct documents *documents);
struct error *documents_set(struct documents *documents, const char *path, const char *permission,
                            const char *content_type, const void *bytes, size_t length) ERROR_MUST_USE;
/* References to the whole answer and the 304; `ret_permission` is copied (NULL: public). False: none. */
struct document {
    struct response *whole, *unchanged;
    char permission[64];
    bool is_public;
};
bool documents_find(struct documents *documents, const char *path, size_t length,
                    struct document *ret_document);

#endif
