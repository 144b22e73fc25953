/* GET /v1/events. A sink is the loop's side of one event stream: a bounded queue of text waiting for the
 * peer. The feed is one thread that reads the outbox for everybody and posts to sinks what their callers may
 * see. */
#ifndef BROKER_HTTP_EVENT_STREAM_H
#define BROKER_HTTP_EVENT_STREAM_H

#include "broker/http/inside.h"

/* The route's handler, which front.c recognises: it runs on the loop instead. */
struct error *event_stream_handler(struct http_call *call, struct http_answer *ret_answer) ERROR_MUST_USE;
/* Answers the stream's call (already authorised) with an event stream. */
void event_stream_open(struct stream *stream);

struct event_sink;
/* nghttp2's way of reading: bytes, NGHTTP2_ERR_DEFERRED while there are none, or the end by *flags. */
ssize_t event_sink_read(struct event_sink *sink, uint8_t *bytes, size_t most, uint32_t *flags);
/* Heartbeat, credentials checked again, the end when the server drains. */
void event_sink_tick(struct event_sink *sink, int64_t now);
void event_sink_close(struct event_sink *sink);

/* Place in the outbox: rows after (tx, id). */
struct event_place {
    uint64_t tx;
    int64_t id;
};

/* Shared by a sink and the feed; the last to let go frees it. */
struct subscription {
    unsigned refs; /* atomic */
    struct subscription *next;
    struct loop *loop;
    uint64_t connection;
    int32_t stream;
    size_t pending; /* atomic: bytes posted and not yet taken by the peer */
    bool closed;    /* atomic: the stream is gone */
    pthread_mutex_t lock;
    struct principal *principal; /* under the lock: renewed when credentials are checked again */
    bool resumes;                /* from `place`; else from now on */
    struct event_place place;    /* the feed's from here on */
    bool placed;
};
void subscription_unref(struct subscription *subscription);

struct error *feed_start(struct server *server, struct feed **ret_feed) ERROR_MUST_USE;
/* Takes a reference. */
void feed_subscribe(struct feed *feed, struct subscription *subscription);
/* Something was committed: look now. */
void feed_poke(struct feed *feed);
void feed_stop(struct feed *feed);
void feed_free(struct feed *feed);

/* A text for a sink; posted to its loop. `cut`: the caller is too slow, the stream is reset. */
void event_post(struct subscription *subscription, char *text, size_t length, bool cut);

#endif
