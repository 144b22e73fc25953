/* The HTTP/2 session of a connection: nghttp2's callbacks turned into calls on streams (front.c decides what
 * a request means), the budget for frames that only cost, and frames gathered for sending. */
#include <stdlib.h>
#include <string.h>

#include "broker/base/log.h"
#include "broker/http/inside.h"

/* True when the budget is used up. */
static bool session_spend(struct connection *connection, int64_t cost)
{
    if (connection->flood_left < HTTP_FLOOD_BURST / 2) {
        int64_t now = moment_monotonic();
        int64_t back = (now - connection->flood_at) * HTTP_FLOOD_PER_SECOND / MOMENT_SECOND;
        if (back > 0) {
            connection->flood_left += back < HTTP_FLOOD_BURST ? back : HTTP_FLOOD_BURST;
            connection->flood_at = now;
        }
    }
    connection->flood_left -= cost;
    if (connection->flood_left >= 0)
        return false;
    if (!connection->calm)
        log_warning("http.flood", LOG_TEXT("action", "connection closed"));
    connection->calm = connection->finished = true;
    (void)nghttp2_session_terminate_session(connection->session, NGHTTP2_ENHANCE_YOUR_CALM); /* only memory */
    return true;
}

/* A frame that asks something of us, as against one that only costs. */
static bool useful(const unsigned char header[9], size_t length)
{
    if (header[3] == NGHTTP2_DATA)
        return length > 0 || (header[4] & NGHTTP2_FLAG_END_STREAM);
    return header[3] == NGHTTP2_HEADERS;
}

bool session_count(struct connection *connection, const char *bytes, size_t length)
{
    while (length) {
        size_t skipped = connection->frame_left < length ? connection->frame_left : length;
        connection->frame_left -= skipped;
        bytes += skipped;
        length -= skipped;
        if (!length)
            break;
        connection->frame_header[connection->frame_have++] = (unsigned char)*bytes++;
        length--;
        if (connection->frame_have < 9)
            continue;
        const unsigned char *header = connection->frame_header;
        connection->frame_have = 0;
        connection->frame_left = (size_t)header[0] << 16 | (size_t)header[1] << 8 | header[2];
        if (!useful(header, connection->frame_left) && session_spend(connection, 1))
            return false;
    }
    return true;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct connection *connection = context;
    connection->header_since = moment_monotonic();
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        struct stream *stream = stream_new(connection, frame->hd.stream_id);
        (void)nghttp2_session_set_stream_user_data(session, stream->id, stream); /* the stream exists */
    }
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *context)
{
    (void)flags;
    struct stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!stream)
        return 0;
    stream->field_bytes += nghttp2_rcbuf_get_buf(name).len + nghttp2_rcbuf_get_buf(value).len + 32;
    if (stream->field_bytes > (size_t)HTTP_HEADER_RUIN * HTTP_HEADER_BYTES) {
        struct connection *connection = context;
        connection->finished = true;
        (void)nghttp2_session_terminate_session(session,
                                                NGHTTP2_ENHANCE_YOUR_CALM); /* fails without memory */
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        stream_field(stream, name, value); /* trailers are of no interest */
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct connection *connection = context;
    if (frame->hd.type == NGHTTP2_SETTINGS)
        connection->header_since = 0;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_HEADERS) {
        connection->header_since = 0;
        if (stream && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
            stream->ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
            front_headers(stream);
            return 0;
        }
    }
    if (stream && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        stream->ended = true;
        front_end(stream);
    }
    return 0;
}

/* A malformed header block is answered by RST_STREAM and seen by nobody else. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int reason, void *context)
{
    (void)session, (void)reason;
    if (frame->hd.type == NGHTTP2_HEADERS)
        ((struct connection *)context)->header_since = 0;
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *bytes,
                   size_t length, void *context)
{
    (void)flags, (void)context;
    struct stream *stream = nghttp2_session_get_stream_user_data(session, stream_id);
    if (stream)
        front_body(stream, bytes, length);
    return 0;
}

static int on_stream_closed(nghttp2_session *session, int32_t stream_id, uint32_t reason, void *context)
{
    (void)reason, (void)context;
    stream_free(nghttp2_session_get_stream_user_data(session, stream_id));
    return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct connection *connection = context;
    if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    if (connection->flood_left < HTTP_FLOOD_BURST)
        connection->flood_left += HTTP_FLOOD_PER_DATA;
    /* An answer before the request's end: the rest is dropped, within HTTP_DROPPED_MAX and the body's time.
     */
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        struct stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
        if (stream && !stream->ended)
            stream->body_until = moment_monotonic() + connection->loop->server->settings.limits.body_us;
    }
    return 0;
}

static void append(struct loop *loop, const void *bytes, size_t length)
{
    memcpy(loop->plain + loop->plain_length, bytes, length);
    loop->plain_length += length;
}

/* A DATA frame whose bytes nghttp2 never saw (stream.c's provider says NO_COPY). */
static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header, size_t length,
                        nghttp2_data_source *source, void *context)
{
    (void)session, (void)frame;
    struct loop *loop = ((struct connection *)context)->loop;
    struct stream *stream = source->ptr;
    if (LOOP_PLAIN - loop->plain_length < length + 9)
        return NGHTTP2_ERR_WOULDBLOCK;
    append(loop, header, 9);
    append(loop, (const char *)stream->response->bytes + stream->sent, length);
    stream->sent += length;
    return 0;
}

bool session_gather(struct connection *connection)
{
    struct loop *loop = connection->loop;
    while (loop->plain_length < LOOP_IN) {
        const uint8_t *bytes;
        ssize_t length = nghttp2_session_mem_send(connection->session, &bytes);
        if (length < 0)
            return false;
        if (length == 0)
            return true; /* nothing more, or what there is waits for the peer's window */
        if ((size_t)length > LOOP_PLAIN - loop->plain_length)
            return false; /* a frame beyond our own SETTINGS_MAX_FRAME_SIZE: not possible */
        append(loop, bytes, (size_t)length);
    }
    return true;
}

void session_callbacks(struct server *server)
{
    if (nghttp2_session_callbacks_new(&server->callbacks) || nghttp2_option_new(&server->option))
        abort(); /* out of memory at the start */
    nghttp2_session_callbacks *callbacks = server->callbacks;
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_closed);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
    nghttp2_option *option = server->option;
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_settings(option, HTTP_SETTINGS_ENTRIES);
    nghttp2_option_set_max_outbound_ack(option, HTTP_ACKS_MAX);
    nghttp2_option_set_max_continuations(option, HTTP_CONTINUATIONS);
    nghttp2_option_set_stream_reset_rate_limit(option, HTTP_RESET_BURST, HTTP_RESET_PER_SECOND);
}

bool session_start(struct connection *connection)
{
    const struct server *server = connection->loop->server;
    connection->frame_left = NGHTTP2_CLIENT_MAGIC_LEN;
    if (nghttp2_session_server_new2(&connection->session, server->callbacks, connection, server->option))
        abort(); /* out of memory */
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, server->settings.limits.streams},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEADER_BYTES},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    return nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, settings,
                                   sizeof settings / sizeof *settings) == 0 &&
           nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE, 0,
                                                 HTTP_CONNECTION_WINDOW) == 0;
}
