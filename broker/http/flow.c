/* See flow.h. The window is a ring: what is taken makes room without moving the rest. */
#include "broker/http/flow.h"

#include <stdlib.h>
#include <string.h>

#include "broker/http/front.h"

struct flow {
    struct mail mail;
    unsigned refs; /* atomic */
    struct server *server;
    struct flow *next; /* of the server's, under its flow_lock */
    struct loop *loop;
    uint64_t connection;
    int32_t stream;
    const struct http_internal *call; /* to be compared alone */
    struct response *head;            /* until the loop has sent it */
    uint64_t bytes;                   /* the worker's */
    int64_t moved;                    /* the loop's; monotonic: something was taken, or there was nothing */

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t room;
    char *ring;
    size_t first, length;
    bool mailed;               /* mail is under way */
    bool deferred;             /* the loop waits for bytes */
    bool ended, whole, closed; /* by the worker, the worker, the loop */
};

static void unref(struct flow *flow)
{
    if (__atomic_sub_fetch(&flow->refs, 1, __ATOMIC_ACQ_REL))
        return;
    response_unref(flow->head);
    pthread_cond_destroy(&flow->room);
    pthread_mutex_destroy(&flow->lock);
    free(flow->ring);
    free(flow);
}

struct flow *flow_new(struct http_internal *call)
{
    struct server *server = call->server;
    struct flow *flow = xcalloc(1, sizeof *flow);
    flow->refs = 1;
    flow->server = server;
    flow->loop = call->loop;
    flow->connection = call->connection;
    flow->stream = call->stream;
    flow->call = call;
    flow->ring = xmalloc(HTTP_FLOW_WINDOW);
    pthread_mutex_init(&flow->lock, NULL);
    pthread_cond_init(&flow->room, NULL);
    pthread_mutex_lock(&server->flow_lock);
    flow->closed = server->flows_over;
    flow->next = server->flows;
    server->flows = flow;
    pthread_mutex_unlock(&server->flow_lock);
    return flow;
}

void flow_cut(struct flow *flow)
{
    pthread_mutex_lock(&flow->lock);
    flow->closed = true;
    pthread_cond_signal(&flow->room);
    pthread_mutex_unlock(&flow->lock);
}

/* On the loop: the stream that waits for this flow, or has it. */
static struct stream *find(struct loop *loop, const struct flow *flow)
{
    struct connection *connection = loop_connection(loop, flow->connection);
    struct stream *stream = connection && connection->session
                                ? nghttp2_session_get_stream_user_data(connection->session, flow->stream)
                                : NULL;
    if (!stream)
        return NULL;
    bool waits = flow->head && stream->call == flow->call && !stream->answered;
    return stream->flow == flow || waits ? stream : NULL;
}

static void deliver(struct loop *loop, struct mail *mail)
{
    struct flow *flow = (struct flow *)mail; /* its first member */
    pthread_mutex_lock(&flow->lock);
    flow->mailed = false;
    bool deferred = flow->deferred;
    flow->deferred = false;
    pthread_mutex_unlock(&flow->lock);
    struct stream *stream = find(loop, flow);
    if (!stream) {
        flow_cut(flow);
    } else if (flow->head) {
        struct response *head = flow->head;
        flow->head = NULL;
        __atomic_add_fetch(&flow->refs, 1, __ATOMIC_RELAXED);
        stream->flow = flow;
        flow->moved = moment_monotonic();
        stream_answer(stream, head);
    } else if (deferred) {
        flow->moved = moment_monotonic();
        (void)nghttp2_session_resume_data(stream->connection->session, stream->id); /* it is deferred */
        connection_touch(stream->connection);
    }
    unref(flow);
}

/* With the lock held: whether the caller is to post the mail after giving the lock back. */
static bool must_mail(struct flow *flow)
{
    if (flow->mailed || !flow->deferred)
        return false;
    flow->mailed = true;
    return true;
}

static void post(struct flow *flow)
{
    flow->mail.deliver = deliver;
    __atomic_add_fetch(&flow->refs, 1, __ATOMIC_RELAXED);
    loop_post(flow->loop, &flow->mail);
}

void flow_start(struct flow *flow, struct response *head)
{
    flow->head = head;
    pthread_mutex_lock(&flow->lock);
    flow->mailed = true;
    pthread_mutex_unlock(&flow->lock);
    post(flow);
}

/* With the lock held. */
static size_t put(struct flow *flow, const char *bytes, size_t length)
{
    size_t room = HTTP_FLOW_WINDOW - flow->length;
    size_t end = (flow->first + flow->length) % HTTP_FLOW_WINDOW;
    size_t straight = HTTP_FLOW_WINDOW - end;
    size_t most = room < straight ? room : straight;
    size_t given = length < most ? length : most;
    memcpy(flow->ring + end, bytes, given);
    flow->length += given;
    return given;
}

bool flow_write(struct flow *flow, const void *bytes, size_t length)
{
    const char *at = bytes;
    pthread_mutex_lock(&flow->lock);
    while (length && !flow->closed) {
        size_t given = put(flow, at, length);
        at += given;
        length -= given;
        flow->bytes += given;
        if (must_mail(flow)) {
            pthread_mutex_unlock(&flow->lock);
            post(flow);
            pthread_mutex_lock(&flow->lock);
        } else if (!given) {
            pthread_cond_wait(&flow->room, &flow->lock);
        }
    }
    bool taken = !flow->closed;
    pthread_mutex_unlock(&flow->lock);
    return taken;
}

void flow_finish(struct flow *flow, bool whole)
{
    struct server *server = flow->server;
    pthread_mutex_lock(&server->flow_lock);
    for (struct flow **at = &server->flows; *at; at = &(*at)->next)
        if (*at == flow) {
            *at = flow->next;
            break;
        }
    pthread_mutex_unlock(&server->flow_lock);
    pthread_mutex_lock(&flow->lock);
    flow->ended = true;
    flow->whole = whole;
    bool mail = must_mail(flow);
    pthread_mutex_unlock(&flow->lock);
    if (mail)
        post(flow);
    unref(flow);
}

uint64_t flow_bytes(const struct flow *flow)
{
    return flow->bytes;
}

ssize_t flow_read(struct flow *flow, uint8_t *bytes, size_t most, uint32_t *flags)
{
    pthread_mutex_lock(&flow->lock);
    ssize_t result;
    if (flow->closed || (flow->ended && !flow->whole)) {
        result = NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    } else if (!flow->length && !flow->ended) {
        flow->deferred = true;
        result = NGHTTP2_ERR_DEFERRED;
    } else {
        size_t straight = HTTP_FLOW_WINDOW - flow->first;
        size_t length = flow->length < most ? flow->length : most;
        if (length > straight)
            length = straight;
        memcpy(bytes, flow->ring + flow->first, length);
        flow->first = (flow->first + length) % HTTP_FLOW_WINDOW;
        flow->length -= length;
        if (flow->ended && !flow->length)
            *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (flow->length <= HTTP_FLOW_WINDOW / 2)
            pthread_cond_signal(&flow->room);
        flow->moved = moment_monotonic();
        result = (ssize_t)length;
    }
    pthread_mutex_unlock(&flow->lock);
    return result;
}

bool flow_stalled(const struct flow *flow, int64_t now, int64_t most_us)
{
    /* `deferred` is set by the loop alone, and that is who asks; a mail that clears it brings bytes. */
    return !flow->deferred && now - flow->moved > most_us;
}

bool flow_was_cut(struct flow *flow)
{
    pthread_mutex_lock(&flow->lock);
    bool closed = flow->closed;
    pthread_mutex_unlock(&flow->lock);
    return closed;
}

void flow_close(struct flow *flow)
{
    if (!flow)
        return;
    flow_cut(flow);
    unref(flow);
}

void flows_cut(struct server *server)
{
    pthread_mutex_lock(&server->flow_lock);
    server->flows_over = true;
    for (struct flow *flow = server->flows; flow; flow = flow->next)
        flow_cut(flow);
    pthread_mutex_unlock(&server->flow_lock);
}
