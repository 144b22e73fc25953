/* One TCP connection: moves bytes between socket, TLS and the HTTP/2 session, and watches the clock. Output
 * is gathered into large TLS records once per turn of the loop; while the peer takes none, nothing more is
 * read from it. */
#include <stdlib.h>
#include <string.h>

#include "broker/base/log.h"
#include "broker/http/inside.h"

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    struct loop *loop = connection->loop;
    loop->slots[(uint32_t)connection->id] = NULL;
    loop->used--;
    __atomic_sub_fetch(&loop->server->connections, 1, __ATOMIC_RELAXED);
    free(connection->writing);
    free(connection);
}

void connection_close(struct connection *connection)
{
    if (connection->closing)
        return;
    connection->closing = true;
    struct loop *loop = connection->loop;
    for (struct connection **at = &loop->dirty; connection->dirty && *at; at = &(*at)->dirty_next)
        if (*at == connection) {
            *at = connection->dirty_next;
            break;
        }
    while (connection->streams)
        stream_free(connection->streams);
    nghttp2_session_del(connection->session);
    connection->session = NULL;
    tls_done(&connection->tls);
    uv_close((uv_handle_t *)&connection->tcp, on_closed);
}

void connection_touch(struct connection *connection)
{
    if (connection->dirty || connection->closing)
        return;
    connection->dirty = true;
    connection->dirty_next = connection->loop->dirty;
    connection->loop->dirty = connection;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    (void)suggested;
    struct connection *connection = handle->data;
    *ret_buffer = uv_buf_init(connection->loop->in, LOOP_IN);
}

static enum tls_result greet(struct connection *connection)
{
    enum tls_result result = tls_handshake(&connection->tls);
    if (result != TLS_OK)
        return result;
    if (!tls_fingerprint(&connection->tls, connection->fingerprint))
        connection->fingerprint[0] = '\0';
    connection->idle_since = connection->header_since = moment_monotonic();
    return session_start(connection) ? TLS_OK : TLS_BROKEN;
}

/* All that was fed: handshake first, then frames. */
static enum tls_result take_input(struct connection *connection)
{
    if (!connection->session) {
        enum tls_result result = greet(connection);
        if (result != TLS_OK)
            return result;
    }
    for (;;) {
        size_t length;
        enum tls_result result = tls_read(&connection->tls, connection->loop->clear, LOOP_CLEAR, &length);
        if (result != TLS_OK)
            return result;
        if (!session_count(connection, connection->loop->clear, length))
            return TLS_WAIT;
        ssize_t used =
            nghttp2_session_mem_recv(connection->session, (const uint8_t *)connection->loop->clear, length);
        if (used < 0) {
            log_debug("http.session", LOG_TEXT("error", nghttp2_strerror((int)used)));
            connection->finished = true; /* a GOAWAY may be waiting to be sent */
            return TLS_WAIT;
        }
    }
}

static void flush_raw(struct connection *connection);

static void on_read(uv_stream_t *tcp, ssize_t length, const uv_buf_t *buffer)
{
    struct connection *connection = tcp->data;
    if (length < 0)
        connection_close(connection);
    if (length <= 0 || connection->linger_since)
        return;
    connection->tls.in = buffer->base;
    connection->tls.in_length = (size_t)length;
    enum tls_result result = take_input(connection);
    connection->tls.in_length = 0;
    if (result == TLS_BROKEN) {
        flush_raw(connection); /* the alert */
        connection_close(connection);
    } else if (result == TLS_CLOSED) {
        connection_close(connection);
    } else {
        connection_flush(connection);
    }
}

static void reading(struct connection *connection, bool wanted)
{
    if (connection->reading == wanted)
        return;
    int status = wanted ? uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read)
                        : uv_read_stop((uv_stream_t *)&connection->tcp);
    if (status == 0)
        connection->reading = wanted;
}

static void on_written(uv_write_t *write, int status)
{
    struct connection *connection = write->data;
    free(connection->writing);
    connection->writing = NULL;
    connection->stall_since = 0;
    if (connection->closing)
        return;
    if (status < 0)
        connection_close(connection);
    else
        connection_flush(connection);
}

/* Sends tls.out: at once what the kernel takes, the rest by libuv. False when the peer is gone. */
static bool send_out(struct connection *connection)
{
    struct tls *tls = &connection->tls;
    size_t length = tls->out_length - tls->out_sent;
    if (!length || connection->writing)
        return true;
    uv_buf_t buffer = uv_buf_init(tls->out + tls->out_sent, (unsigned)length);
    int sent = uv_try_write((uv_stream_t *)&connection->tcp, &buffer, 1);
    if (sent < 0 && sent != UV_EAGAIN)
        return false;
    if (sent > 0)
        tls->out_sent += (size_t)sent;
    length = tls->out_length - tls->out_sent;
    if (!length) {
        tls->out_length = tls->out_sent = 0;
        return true;
    }
    connection->writing = tls->out;
    connection->writing_length = length;
    buffer = uv_buf_init(tls->out + tls->out_sent, (unsigned)length);
    tls->out = NULL;
    tls->out_length = tls->out_sent = tls->out_capacity = 0;
    connection->stall_since = moment_monotonic();
    connection->write.data = connection;
    return uv_write(&connection->write, (uv_stream_t *)&connection->tcp, &buffer, 1, on_written) == 0;
}

static void flush_raw(struct connection *connection)
{
    (void)send_out(connection); /* the connection is closed right after */
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)request, (void)status; /* it only has to be on its way */
}

/* The end of what we send; what still comes is dropped. Closing with input unread would make the kernel tell
 * the peer to forget what it has not read yet. */
static void linger(struct connection *connection)
{
    connection->linger_since = moment_monotonic();
    if (!send_out(connection) ||
        uv_shutdown(&connection->shutdown, (uv_stream_t *)&connection->tcp, on_shutdown) != 0)
        connection_close(connection);
    else
        reading(connection, true);
}

/* Gathers frames and encrypts them while the peer keeps up. */
static bool encrypt_out(struct connection *connection)
{
    struct loop *loop = connection->loop;
    while (connection->tls.out_length - connection->tls.out_sent < LOOP_PLAIN) {
        loop->plain_length = 0;
        if (!session_gather(connection))
            return false;
        if (!loop->plain_length)
            return true;
        if (!tls_write(&connection->tls, loop->plain, loop->plain_length))
            return false;
    }
    return true;
}

void connection_flush(struct connection *connection)
{
    if (connection->closing || connection->linger_since)
        return;
    for (;;) {
        if (connection->session && !connection->writing && !encrypt_out(connection)) {
            connection_close(connection);
            return;
        }
        bool any = connection->tls.out_length > connection->tls.out_sent;
        if (!send_out(connection)) {
            connection_close(connection);
            return;
        }
        if (connection->writing || !any)
            break;
    }
    bool over = connection->session && !connection->writing &&
                (connection->finished || (!nghttp2_session_want_read(connection->session) &&
                                          !nghttp2_session_want_write(connection->session)));
    if (over) {
        tls_shutdown(&connection->tls);
        if (connection->gentle && !connection->calm) {
            linger(connection);
        } else {
            (void)send_out(connection); /* a courtesy */
            connection_close(connection);
        }
        return;
    }
    /* A peer that does not take its answers is not listened to either: its frames would only add more. */
    reading(connection, !connection->writing);
}

/* Which deadline has passed; NULL: none. */
static const char *overdue(const struct connection *connection, int64_t now)
{
    const struct server_limits *limits = &connection->loop->server->settings.limits;
    if (connection->linger_since)
        return now - connection->linger_since > HTTP_LINGER_US ? "linger" : NULL;
    if (!connection->session)
        return now - connection->opened > limits->handshake_us ? "handshake" : NULL;
    if (connection->stall_since && now - connection->stall_since > limits->stall_us)
        return "stall";
    if (connection->header_since && now - connection->header_since > limits->header_us)
        return "header";
    return NULL;
}

void connection_tick(struct connection *connection, int64_t now)
{
    if (connection->closing)
        return;
    const struct server_limits *limits = &connection->loop->server->settings.limits;
    const char *late = overdue(connection, now);
    if (late) {
        log_debug("http.late", LOG_TEXT("deadline", late));
        connection_close(connection);
        return;
    }
    for (struct stream *stream = connection->streams, *next; stream; stream = next) {
        next = stream->next;
        stream_tick(stream, now);
    }
    if (connection->linger_since)
        return;
    bool idle = !connection->streams && now - connection->idle_since > limits->idle_us;
    if (connection->session && (idle || connection->loop->draining == 2)) {
        (void)nghttp2_submit_goaway(connection->session, NGHTTP2_FLAG_NONE,
                                    nghttp2_session_get_last_proc_stream_id(connection->session),
                                    NGHTTP2_NO_ERROR, NULL, 0); /* fails only without memory */
        connection->gentle = true;
    }
    if (connection->session && (idle || (connection->loop->draining == 2 && !connection->streams)))
        connection->finished = true;
    connection_flush(connection);
}

static void refuse_one(uv_handle_t *handle)
{
    free(handle);
}

static void refuse(struct loop *loop)
{
    uv_tcp_t *tcp = xmalloc(sizeof *tcp);
    if (uv_tcp_init(&loop->uv, tcp)) {
        free(tcp);
        return;
    }
    (void)uv_accept((uv_stream_t *)&loop->listener, (uv_stream_t *)tcp); /* closed next anyway */
    uv_close((uv_handle_t *)tcp, refuse_one);
}

void connection_accept(struct loop *loop)
{
    struct server *server = loop->server;
    const struct server_limits *limits = &server->settings.limits;
    unsigned now_open = __atomic_add_fetch(&server->connections, 1, __ATOMIC_RELAXED);
    if (now_open > limits->connections || loop->used == loop->slot_count || loop->draining) {
        __atomic_sub_fetch(&server->connections, 1, __ATOMIC_RELAXED);
        refuse(loop);
        return;
    }
    unsigned slot = 0;
    while (loop->slots[slot])
        slot++;
    struct connection *connection = xcalloc(1, sizeof *connection);
    connection->loop = loop;
    connection->id = ((uint64_t)++loop->generations[slot] << 32) | slot;
    connection->opened = moment_monotonic();
    connection->flood_left = HTTP_FLOOD_BURST;
    connection->flood_at = connection->opened;
    loop->slots[slot] = connection;
    loop->used++;
    SSL_CTX *context = server_tls(server);
    tls_start(&connection->tls, context);
    SSL_CTX_free(context);
    if (uv_tcp_init(&loop->uv, &connection->tcp))
        abort(); /* allocates nothing */
    connection->tcp.data = connection;
    if (uv_accept((uv_stream_t *)&loop->listener, (uv_stream_t *)&connection->tcp)) {
        connection_close(connection);
        return;
    }
    (void)uv_tcp_nodelay(&connection->tcp, 1); /* slower without, not wrong */
    reading(connection, true);
}
