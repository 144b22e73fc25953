/* One request and its answer on a connection. Streams are reused from the loop's store, so that the usual
 * request costs no allocation of ours. */
#include <stdlib.h>
#include <string.h>

#include "broker/base/log.h"
#include "broker/http/event_stream.h"
#include "broker/http/flow.h"
#include "broker/http/inside.h"
#include "broker/http/problem.h"

#define SPARE_MAX 1024

struct stream *stream_new(struct connection *connection, int32_t id)
{
    struct loop *loop = connection->loop;
    struct stream *stream = loop->spare;
    if (stream) {
        loop->spare = stream->next;
        loop->spare_count--;
    } else {
        stream = xmalloc(sizeof *stream);
    }
    /* The arrays of fields are left as they are: field_count says how much of them counts. */
    stream->connection = connection;
    stream->id = id;
    stream->field_count = 0;
    stream->field_bytes = 0;
    memset(stream->known, -1, sizeof stream->known);
    stream->too_large = stream->repeated = stream->has_regular = false;
    stream->head_only = stream->answered = stream->ended = false;
    stream->call = NULL;
    stream->call_away = false;
    stream->response = NULL;
    stream->sent = stream->counted = stream->dropped = 0;
    stream->sink = NULL;
    stream->flow = NULL;
    stream->began = connection->header_since;
    stream->body_until = 0;
    stream->request_id[0] = '\0';
    stream->previous = NULL;
    stream->next = connection->streams;
    if (stream->next)
        stream->next->previous = stream;
    connection->streams = stream;
    connection->stream_count++;
    return stream;
}

static void drop_fields(struct stream *stream)
{
    for (unsigned i = 0; i < stream->field_count; i++) {
        nghttp2_rcbuf_decref(stream->names[i]);
        nghttp2_rcbuf_decref(stream->values[i]);
    }
    stream->field_count = 0;
    memset(stream->known, -1, sizeof stream->known);
}

/* A call that no worker holds. */
static void drop_call(struct stream *stream)
{
    if (stream->call)
        stream->connection->bodies -= stream->call->counted;
    call_free(stream->call);
    stream->call = NULL;
}

void stream_free(struct stream *stream)
{
    if (!stream)
        return;
    struct connection *connection = stream->connection;
    struct loop *loop = connection->loop;
    if (connection->session)
        (void)nghttp2_session_set_stream_user_data(connection->session, stream->id, NULL); /* may be gone */
    drop_fields(stream);
    if (stream->call && stream->call_away)
        __atomic_store_n(&stream->call->abandoned, true, __ATOMIC_RELAXED);
    else
        drop_call(stream);
    event_sink_close(stream->sink);
    flow_close(stream->flow);
    connection->answers -= stream->counted;
    response_unref(stream->response);
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        connection->streams = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    if (--connection->stream_count == 0)
        connection->idle_since = moment_monotonic();
    if (loop->spare_count < SPARE_MAX) {
        stream->next = loop->spare;
        loop->spare = stream;
        loop->spare_count++;
    } else {
        free(stream);
    }
}

static enum known known_field(const char *name, size_t length)
{
    static const struct {
        const char *name;
        unsigned char length;
        unsigned char known;
    } fields[] = {
        {":method", 7, KNOWN_METHOD},
        {":path", 5, KNOWN_PATH},
        {":scheme", 7, KNOWN_SCHEME},
        {":authority", 10, KNOWN_AUTHORITY},
        {"authorization", 13, KNOWN_AUTHORIZATION},
        {"accept", 6, KNOWN_ACCEPT},
        {"content-type", 12, KNOWN_CONTENT_TYPE},
        {"content-length", 14, KNOWN_CONTENT_LENGTH},
        {"content-encoding", 16, KNOWN_CONTENT_ENCODING},
        {"if-match", 8, KNOWN_IF_MATCH},
        {"if-none-match", 13, KNOWN_IF_NONE_MATCH},
        {"idempotency-key", 15, KNOWN_IDEMPOTENCY_KEY},
        {"x-request-id", 12, KNOWN_REQUEST_ID},
        {"expect", 6, KNOWN_EXPECT},
        {"last-event-id", 13, KNOWN_LAST_EVENT_ID},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].length == length && memcmp(fields[i].name, name, length) == 0)
            return (enum known)fields[i].known;
    return KNOWN_COUNT;
}

void stream_field(struct stream *stream, nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
    if (stream->field_bytes > HTTP_HEADER_BYTES || stream->field_count == HTTP_HEADER_COUNT) {
        stream->too_large = true;
        return;
    }
    nghttp2_vec text = nghttp2_rcbuf_get_buf(name);
    enum known known = known_field((const char *)text.base, text.len);
    if (known < KNOWN_COUNT) {
        /* Accept may come in several lines; the first is looked at. The others must be single. */
        if (stream->known[known] >= 0)
            stream->repeated = stream->repeated || known != KNOWN_ACCEPT;
        else
            stream->known[known] = (signed char)stream->field_count;
    }
    nghttp2_rcbuf_incref(name);
    nghttp2_rcbuf_incref(value);
    stream->names[stream->field_count] = name;
    stream->values[stream->field_count++] = value;
}

static ssize_t provide(nghttp2_session *session, int32_t id, uint8_t *bytes, size_t most, uint32_t *flags,
                       nghttp2_data_source *source, void *context)
{
    (void)session, (void)id, (void)context;
    struct stream *stream = source->ptr;
    if (stream->sink)
        return event_sink_read(stream->sink, bytes, most, flags);
    if (stream->flow)
        return flow_read(stream->flow, bytes, most, flags);
    size_t left = stream->response->length - stream->sent;
    size_t length = left < most ? left : most;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY | (length == left ? (uint32_t)NGHTTP2_DATA_FLAG_EOF : 0);
    return (ssize_t)length;
}

static void log_access(const struct stream *stream, const struct response *response)
{
    const char *method = stream_header(stream, KNOWN_METHOD), *path = stream_header(stream, KNOWN_PATH);
    bool quiet = response->status < 400 && method && (*method == 'G' || *method == 'H');
    log_write(quiet ? LOG_DEBUG : LOG_INFO, "http.request",
              LOG_FIELDS(LOG_TEXT("request", stream->request_id), LOG_TEXT("method", method),
                         LOG_TEXT("path", path), LOG_INT("status", response->status),
                         LOG_INT("bytes", (int64_t)response->length),
                         LOG_INT("us", moment_monotonic() - stream->began)));
}

static nghttp2_nv extra(const char *name, size_t name_length, char *value, size_t length, uint8_t flags)
{
    union {
        const char *text;
        uint8_t *bytes;
    } field = {.text = name};
    return (nghttp2_nv){.name = field.bytes,
                        .namelen = name_length,
                        .value = (uint8_t *)value,
                        .valuelen = length,
                        .flags =
                            (uint8_t)(NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE | flags)};
}

void stream_answer(struct stream *stream, struct response *response)
{
    struct connection *connection = stream->connection;
    if (stream->answered) {
        response_unref(response);
        return;
    }
    stream->answered = true;
    stream->body_until = 0;
    if (!stream->call_away)
        drop_call(stream);
    stream->response = response;
    log_access(stream, response);
    nghttp2_nv fields[RESPONSE_FIELDS + 2];
    size_t count = response->field_count;
    memcpy(fields, response->fields, count * sizeof *fields);
    memcpy(stream->date, loop_date(connection->loop), sizeof stream->date);
    fields[count++] = extra("date", 4, stream->date, 29, 0);
    fields[count++] =
        extra("x-request-id", 12, stream->request_id, strlen(stream->request_id), NGHTTP2_NV_FLAG_NO_INDEX);
    bool body = (response->length || stream->sink || stream->flow) && !stream->head_only;
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = provide};
    if (body && !stream->sink && !stream->flow) {
        stream->counted = response->length;
        connection->answers += stream->counted;
    }
    int status =
        nghttp2_submit_response(connection->session, stream->id, fields, count, body ? &provider : NULL);
    if (status)
        (void)nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, stream->id,
                                        NGHTTP2_INTERNAL_ERROR); /* fails only without memory */
    connection_touch(connection);
}

void stream_problem(struct stream *stream, struct error *error, int status)
{
    stream_answer(stream, problem_response(error, status, stream->request_id));
    error_free(error);
}

/* Resets an answer that is being sent. */
static void cut(struct stream *stream)
{
    (void)nghttp2_submit_rst_stream(stream->connection->session, NGHTTP2_FLAG_NONE, stream->id,
                                    NGHTTP2_CANCEL); /* fails only without memory */
    if (stream->flow)
        flow_cut(stream->flow);
    connection_touch(stream->connection);
}

/* From headers to the last byte. */
static int64_t time_of(const struct stream *stream, const struct server_limits *limits)
{
    bool waits = !stream->answered && stream->call_away && (stream->call->route->flags & HTTP_STREAM);
    return stream->flow || waits ? limits->export_us : limits->request_us;
}

void stream_tick(struct stream *stream, int64_t now)
{
    const struct server_limits *limits = &stream->connection->loop->server->settings.limits;
    if (stream->sink) {
        event_sink_tick(stream->sink, now);
        return;
    }
    if (stream->body_until && now > stream->body_until && stream->answered) {
        stream->body_until = 0;
        (void)nghttp2_submit_rst_stream(stream->connection->session, NGHTTP2_FLAG_NONE, stream->id,
                                        NGHTTP2_NO_ERROR); /* fails only without memory */
        connection_touch(stream->connection);
        return;
    }
    if (stream->body_until && now > stream->body_until) {
        stream_problem(stream, error_new(ERR_TIMEOUT, "the body did not arrive in time"), 408);
        return;
    }
    if (stream->flow && flow_was_cut(stream->flow))
        return;
    bool late = now - stream->began > time_of(stream, limits);
    if (!late && !(stream->flow && flow_stalled(stream->flow, now, limits->stall_us)))
        return;
    if (!stream->answered) {
        stream_problem(stream, error_new(ERR_TIMEOUT, "no answer in time"), 0);
        stream->began = now; /* so much again to take the answer */
        connection_touch(stream->connection);
    } else {
        if (stream->flow)
            log_info("http.stream.cut", LOG_TEXT("request", stream->request_id),
                     LOG_TEXT("deadline", late ? "export" : "stall"));
        cut(stream);
    }
}
