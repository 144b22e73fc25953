/* See event_stream.h: everything here but event_post runs on the stream's loop. */
#include "broker/http/event_stream.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/log.h"
#include "broker/http/front.h"

#define RETRY_MS "2000" /* clients come back after it */
#define VERIFY_US MOMENT_SECOND

struct event_sink {
    struct stream *stream;
    struct subscription *subscription;
    struct buf queue;
    bool deferred, ended;
    int64_t written, verified; /* monotonic */
};

struct parcel {
    struct mail mail;
    struct subscription *subscription;
    char *text;
    size_t length;
    bool cut;
};

struct error *event_stream_handler(struct http_call *call, struct http_answer *ret_answer)
{
    (void)call, (void)ret_answer;
    return error_new(ERR_INTERNAL, "event streams are answered on the loop");
}

void subscription_unref(struct subscription *subscription)
{
    if (!subscription || __atomic_sub_fetch(&subscription->refs, 1, __ATOMIC_ACQ_REL))
        return;
    principal_unref(subscription->principal);
    pthread_mutex_destroy(&subscription->lock);
    free(subscription);
}

static bool read_number(const char **text, uint64_t most, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *at = *text;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (number > (most - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    bool any = at != *text;
    *text = at;
    *ret_number = number;
    return any;
}

/* "tx-id", as given out in id: lines. */
static bool read_place(const char *text, struct event_place *ret_place)
{
    uint64_t tx, id;
    if (!read_number(&text, UINT64_MAX, &tx) || *text++ != '-' || !read_number(&text, INT64_MAX, &id) ||
        *text)
        return false;
    *ret_place = (struct event_place){tx, (int64_t)id};
    return true;
}

static struct subscription *subscription_new(struct stream *stream, struct principal *principal)
{
    struct subscription *subscription = xcalloc(1, sizeof *subscription);
    subscription->refs = 1;
    subscription->loop = stream->connection->loop;
    subscription->connection = stream->connection->id;
    subscription->stream = stream->id;
    subscription->principal = principal_ref(principal);
    pthread_mutex_init(&subscription->lock, NULL);
    return subscription;
}

static struct response *stream_head(void)
{
    struct response *response = response_new(200);
    response_field(response, "content-type", "text/event-stream; charset=utf-8");
    response_field(response, "cache-control", "no-store");
    return response;
}

void event_stream_open(struct stream *stream)
{
    struct server *server = stream->connection->loop->server;
    const char *last = stream_header(stream, KNOWN_LAST_EVENT_ID);
    struct event_place place = {0};
    if (last && *last && !read_place(last, &place)) {
        stream_problem(stream, error_new(ERR_INVALID, "Last-Event-ID is not one that was given out here"),
                       400);
        return;
    }
    if (stream->head_only) {
        stream_answer(stream, stream_head());
        return;
    }
    unsigned open = __atomic_add_fetch(&server->events, 1, __ATOMIC_RELAXED);
    if (!server->feed || open > server->settings.limits.event_streams) {
        __atomic_sub_fetch(&server->events, 1, __ATOMIC_RELAXED);
        stream_problem(stream, error_new(ERR_BUSY, "no more event streams at present"), 0);
        return;
    }
    struct event_sink *sink = xcalloc(1, sizeof *sink);
    sink->stream = stream;
    sink->subscription = subscription_new(stream, stream->call->principal);
    sink->subscription->resumes = last && *last;
    sink->subscription->place = place;
    sink->queue = BUF_INIT(server->settings.limits.event_queue + 65536); /* room for comments */
    sink->written = sink->verified = moment_monotonic();
    buf_puts(&sink->queue, "retry: " RETRY_MS "\n: welcome\n\n");
    stream->sink = sink;
    stream_answer(stream, stream_head());
    feed_subscribe(server->feed, sink->subscription);
}

ssize_t event_sink_read(struct event_sink *sink, uint8_t *bytes, size_t most, uint32_t *flags)
{
    size_t length = sink->queue.length < most ? sink->queue.length : most;
    if (!length && !sink->ended) {
        sink->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    memcpy(bytes, sink->queue.data, length);
    buf_consume(&sink->queue, length);
    /* Comments are not counted as pending, so the count may not go below zero. */
    size_t pending = __atomic_load_n(&sink->subscription->pending, __ATOMIC_RELAXED);
    size_t taken = length < pending ? length : pending;
    __atomic_sub_fetch(&sink->subscription->pending, taken, __ATOMIC_RELAXED);
    if (sink->ended && !sink->queue.length)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)length;
}

static void resume(struct event_sink *sink)
{
    struct connection *connection = sink->stream->connection;
    if (sink->deferred)
        (void)nghttp2_session_resume_data(connection->session, sink->stream->id); /* it is deferred */
    sink->deferred = false;
    connection_touch(connection);
}

/* Credentials that have run out or were revoked end the stream within VERIFY_US. */
static bool verify(struct event_sink *sink)
{
    struct principal *principal = NULL;
    struct error *error = front_authenticate(sink->stream, true, &principal);
    if (error) {
        error_free(error); /* the caller hears it at the next request */
        return false;
    }
    struct subscription *subscription = sink->subscription;
    pthread_mutex_lock(&subscription->lock);
    struct principal *old = subscription->principal;
    subscription->principal = principal;
    pthread_mutex_unlock(&subscription->lock);
    principal_unref(old);
    return true;
}

void event_sink_tick(struct event_sink *sink, int64_t now)
{
    struct loop *loop = sink->stream->connection->loop;
    if (sink->ended)
        return;
    bool over = loop->draining > 0;
    if (!over && now - sink->verified > VERIFY_US) {
        sink->verified = now;
        over = !verify(sink);
    }
    if (over) {
        sink->ended = true;
        resume(sink);
    } else if (now - sink->written > loop->server->settings.limits.event_heartbeat_us) {
        if (!sink->queue.length)
            buf_puts(&sink->queue, ":\n\n");
        sink->written = now;
        resume(sink);
    }
}

void event_sink_close(struct event_sink *sink)
{
    if (!sink)
        return;
    struct server *server = sink->stream->connection->loop->server;
    __atomic_sub_fetch(&server->events, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&sink->subscription->closed, true, __ATOMIC_RELEASE);
    subscription_unref(sink->subscription);
    buf_done(&sink->queue);
    free(sink);
}

static void open_parcel(struct loop *loop, struct mail *mail)
{
    struct parcel *parcel = (struct parcel *)mail; /* its first member */
    struct subscription *subscription = parcel->subscription;
    struct connection *connection = loop_connection(loop, subscription->connection);
    struct stream *stream =
        connection && connection->session
            ? nghttp2_session_get_stream_user_data(connection->session, subscription->stream)
            : NULL;
    if (stream && stream->sink && stream->sink->subscription == subscription && !stream->sink->ended) {
        struct event_sink *sink = stream->sink;
        if (parcel->length)
            buf_append(&sink->queue, parcel->text, parcel->length);
        sink->written = moment_monotonic();
        if (parcel->cut || buf_overflowed(&sink->queue)) {
            sink->ended = true;
            log_info("http.events.cut", LOG_TEXT("request", stream->request_id));
            (void)nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, stream->id,
                                            NGHTTP2_ENHANCE_YOUR_CALM); /* fails only without memory */
        }
        resume(sink);
    }
    subscription_unref(subscription);
    free(parcel->text);
    free(parcel);
}

void event_post(struct subscription *subscription, char *text, size_t length, bool cut)
{
    struct parcel *parcel = xmalloc(sizeof *parcel);
    *parcel = (struct parcel){
        .mail.deliver = open_parcel,
        .subscription = subscription,
        .text = text,
        .length = length,
        .cut = cut,
    };
    __atomic_add_fetch(&subscription->refs, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&subscription->pending, length, __ATOMIC_RELAXED);
    loop_post(subscription->loop, &parcel->mail);
}
