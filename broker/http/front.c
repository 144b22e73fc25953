/* The front desk, on the loop: what a request means as soon as its headers are whole. Documents are answered
 * here; everything else is checked as far as memory allows (target, route, caller, permission, media type,
 * preconditions), so that a body is read only for a call that will run, and then handed to a worker. */
#include "broker/http/front.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/log.h"
#include "broker/http/accept.h"
#include "broker/http/call.h"
#include "broker/http/denial.h"
#include "broker/http/event_stream.h"

static void take_request_id(struct stream *stream)
{
    const char *given = stream_header(stream, KNOWN_REQUEST_ID);
    size_t length = given ? strlen(given) : 0;
    bool usable = length > 0 && length <= HTTP_REQUEST_ID_MAX;
    for (size_t i = 0; usable && i < length; i++)
        usable = (given[i] >= '0' && given[i] <= '9') || (given[i] >= 'a' && given[i] <= 'z') ||
                 (given[i] >= 'A' && given[i] <= 'Z') || strchr("-._", given[i]);
    if (usable) {
        memcpy(stream->request_id, given, length + 1);
        return;
    }
    struct loop *loop = stream->connection->loop;
    memcpy(stream->request_id, loop->id_prefix, 16);
    uint64_t number = ++loop->id_next;
    for (int i = 0; i < 10; i++, number >>= 4)
        stream->request_id[25 - i] = "0123456789abcdef"[number & 15];
    stream->request_id[26] = '\0';
}

struct error *front_authenticate(const struct stream *stream, bool needed, struct principal **ret_principal)
{
    const struct connection *connection = stream->connection;
    const struct server_settings *settings = &connection->loop->server->settings;
    const char *given = stream_header(stream, KNOWN_AUTHORIZATION);
    struct principal *principal = NULL;
    if (given && strncasecmp(given, "bearer ", 7) == 0) {
        const char *token = given + 7 + strspn(given + 7, " ");
        size_t length = strlen(token);
        if (!settings->auth || length > HTTP_TOKEN_MAX)
            return error_new(ERR_UNAUTHENTICATED, "the token is not accepted here");
        TRY(auth_verify_token(settings->auth, token, length, clock_now(settings->clock), &principal));
    } else if (given) {
        return error_new(ERR_UNAUTHENTICATED, "only bearer tokens and client certificates are accepted");
    } else if (connection->fingerprint[0] && settings->auth) {
        struct error *error = auth_verify_certificate(settings->auth, connection->fingerprint, &principal);
        if (error && needed)
            return error;
        error_ignore(error); /* a public resource is public to a stranger's certificate too */
    }
    if (!principal && needed)
        return error_new(ERR_UNAUTHENTICATED, "send a bearer token or use a client certificate");
    *ret_principal = principal;
    return NULL;
}

static void answer_document(struct stream *stream, const struct document *document)
{
    if (!document->is_public) {
        struct principal *principal = NULL;
        struct error *error = front_authenticate(stream, true, &principal);
        if (!error && !principal_may(principal, document->permission))
            error = error_new(ERR_DENIED, "this needs the permission %s", document->permission);
        if (error)
            denial_record(stream, document->permission, principal, NULL, problem_status(error));
        principal_unref(principal);
        if (error) {
            stream_problem(stream, error, 0);
            return;
        }
    }
    const char *etags = stream_header(stream, KNOWN_IF_NONE_MATCH);
    if (etags && etag_listed(etags, document->whole->etag, true)) {
        stream_answer(stream, response_ref(document->unchanged));
        return;
    }
    const char *accept = stream_header(stream, KNOWN_ACCEPT);
    if (accept && !accept_allows(accept, response_type(document->whole)))
        stream_problem(
            stream, error_new(ERR_INVALID, "it can be had as %s only", response_type(document->whole)), 406);
    else
        stream_answer(stream, response_ref(document->whole));
}

/* The fast path. False: no document, go on. */
static bool try_document(struct stream *stream, const char *path, size_t length)
{
    struct document document;
    if (!documents_find(stream->connection->loop->server->documents, path, length, &document))
        return false;
    answer_document(stream, &document);
    response_unref(document.whole);
    response_unref(document.unchanged);
    return true;
}

static void answer_options(struct stream *stream, const char *allow)
{
    struct response *response = response_new(204);
    response_field(response, "allow", allow);
    stream_answer(stream, response);
}

static void answer_wrong_method(struct stream *stream, const char *allow)
{
    struct error *error = error_new(ERR_INVALID, "this resource knows %s", allow);
    struct response *response = problem_response(error, 405, stream->request_id);
    error_free(error);
    response_field(response, "allow", allow);
    stream_answer(stream, response);
}

static struct error *check_query(const struct http_internal *call)
{
    struct error *errors = NULL;
    for (size_t i = 0; i < call->target.member_count; i++) {
        const char *name = call->target.members[i].name;
        if (!router_takes(call->route, name))
            error_collect(&errors, arena_printf(call->arena, "?%s", name), "this resource does not know it");
    }
    return errors;
}

static struct error *check_key(struct http_internal *call, const char *key, int *ret_status)
{
    if (!(call->route->flags & HTTP_KEYED))
        return NULL;
    size_t length = key ? strlen(key) : 0;
    bool good = length > 0 && length <= HTTP_KEY_MAX;
    for (size_t i = 0; good && i < length; i++)
        good = key[i] > 0x20 && key[i] < 0x7f;
    if (good) {
        call->key = arena_strdup(call->arena, key);
        return NULL;
    }
    *ret_status = 400;
    return error_new(ERR_PRECONDITION_REQUIRED,
                     "send an Idempotency-Key of 1 to %d visible characters, a new one for each new thing",
                     HTTP_KEY_MAX);
}

static struct error *check_body(const struct stream *stream, const struct http_internal *call,
                                int *ret_status)
{
    const char *type = stream_header(stream, KNOWN_CONTENT_TYPE);
    const char *encoding = stream_header(stream, KNOWN_CONTENT_ENCODING);
    const char *length = stream_header(stream, KNOWN_CONTENT_LENGTH);
    if (stream->ended)
        return NULL;
    if ((call->route->flags & HTTP_NO_BODY) || strcmp(call->route->method, "GET") == 0) {
        if (length && strcmp(length, "0") == 0)
            return NULL;
        *ret_status = 400;
        return error_new(ERR_INVALID, "this call takes no body");
    }
    if (encoding && strcmp(encoding, "identity") != 0) {
        *ret_status = 415;
        return error_new(ERR_UNSUPPORTED, "bodies are taken without Content-Encoding only");
    }
    if (call->route->flags & HTTP_EVENTS) {
        if (!type || media_events_of(type) == MEDIA_EVENTS_NONE) {
            *ret_status = 415;
            return error_new(ERR_UNSUPPORTED, "the body must be application/cloudevents+json, "
                                              "application/cloudevents-batch+json or application/x-ndjson");
        }
    } else if (call->route->flags & HTTP_BYTES) {
        if (!type || strcasecmp(type, "application/octet-stream") != 0) {
            *ret_status = 415;
            return error_new(ERR_UNSUPPORTED, "the body must be application/octet-stream");
        }
    } else if (!type || !media_is_json(type)) {
        *ret_status = 415;
        return error_new(ERR_UNSUPPORTED, "the body must be application/json in UTF-8");
    }
    if (length && strtoull(length, NULL, 10) > call->body.cap)
        return error_new(ERR_TOO_LARGE, "the body is larger than %zu bytes", call->body.cap);
    return NULL;
}

/* Everything that can be refused before the body. *ret_status 0: the error's own. */
static struct error *check_call(struct stream *stream, struct http_internal *call, int *ret_status)
{
    const struct http_route *route = call->route;
    struct error *error = front_authenticate(stream, !(route->flags & HTTP_PUBLIC), &call->principal);
    if (!error && route->permission && call->principal && !principal_may(call->principal, route->permission))
        error = error_new(ERR_DENIED, "this needs the permission %s", route->permission);
    if (error) {
        denial_record(stream, route->permission, call->principal, call_cloud(call), problem_status(error));
        return error;
    }
    TRY(check_query(call));
    TRY(check_body(stream, call, ret_status));
    TRY(check_key(call, stream_header(stream, KNOWN_IDEMPOTENCY_KEY), ret_status));
    if ((route->flags & HTTP_CONDITIONAL) && !stream_header(stream, KNOWN_IF_MATCH))
        return error_new(ERR_PRECONDITION_REQUIRED, "send If-Match with the ETag that you have read");
    return NULL;
}

static void dispatch(struct stream *stream)
{
    struct connection *connection = stream->connection;
    struct server *server = connection->loop->server;
    const struct server_limits *limits = &server->settings.limits;
    struct http_internal *call = stream->call;
    stream->body_until = 0;
    if (call->route->handler == event_stream_handler) {
        event_stream_open(stream);
        return;
    }
    if (connection->running >= limits->streams || connection->answers > limits->answers_connection) {
        stream_problem(stream, error_new(ERR_BUSY, "this connection has too much under way"), 0);
        return;
    }
    stream->call_away = true;
    connection->running++;
    bool streams = call->route->flags & HTTP_STREAM;
    if (workers_push(streams ? server->exporters : server->workers, call))
        return;
    stream->call_away = false;
    connection->running--;
    if (streams)
        stream_problem(stream, error_new(ERR_BUSY, "as many exports are under way as may at once"), 0);
    else
        stream_problem(stream, error_new(ERR_BUSY, "all workers are busy"), 0);
}

static void expect_body(struct stream *stream)
{
    struct connection *connection = stream->connection;
    stream->body_until = stream->began + connection->loop->server->settings.limits.body_us;
    const char *expect = stream_header(stream, KNOWN_EXPECT);
    if (!expect || strcasecmp(expect, "100-continue") != 0)
        return;
    static uint8_t name[] = ":status", value[] = "100";
    const nghttp2_nv field = {name, value, 7, 3, NGHTTP2_NV_FLAG_NONE};
    (void)nghttp2_submit_headers(connection->session, NGHTTP2_FLAG_NONE, stream->id, NULL, &field, 1,
                                 NULL); /* fails only without memory; the client then waits a second */
    connection_touch(connection);
}

static struct error *find_route(struct stream *stream, const char *method, const char *path, size_t length,
                                struct http_internal **ret_call, int *ret_status)
{
    if (length > HTTP_TARGET_MAX) {
        *ret_status = 414;
        return error_new(ERR_TOO_LARGE, "the request target is longer than %d bytes", HTTP_TARGET_MAX);
    }
    struct http_internal *call = call_new(stream);
    struct error *error = target_parse(call->arena, path, length, &call->target);
    if (!error)
        error = router_find(call->server->router, call->arena, method, &call->target, &call->match);
    if (error) {
        *ret_status = error_code(error) == ERR_NOT_FOUND ? 404 : 400;
        call_free(call);
        return error;
    }
    call->path = call->target.path;
    call->route = call->match.route;
    if (call->route && (call->route->flags & HTTP_BYTES))
        call->body.cap = call->server->settings.limits.chunk;
    *ret_call = call;
    return NULL;
}

static void begin_call(struct stream *stream, const char *method, const char *path, size_t length)
{
    int status = 0;
    struct http_internal *call = NULL;
    struct error *error = find_route(stream, method, path, length, &call, &status);
    if (error) {
        stream_problem(stream, error, status);
        return;
    }
    stream->call = call;
    if (strcmp(method, "OPTIONS") == 0) {
        answer_options(stream, call->match.allow);
    } else if (!call->route) {
        answer_wrong_method(stream, call->match.allow);
    } else if ((error = check_call(stream, call, &status))) {
        if (!status && error_code(error) == ERR_INVALID)
            status = 400;
        stream_problem(stream, error, status);
    } else if (stream->ended) {
        dispatch(stream);
    } else {
        expect_body(stream);
    }
}

void front_headers(struct stream *stream)
{
    take_request_id(stream);
    const char *method = stream_header(stream, KNOWN_METHOD), *path = stream_header(stream, KNOWN_PATH);
    if (stream->too_large) {
        stream_problem(stream,
                       error_new(ERR_TOO_LARGE, "at most %d header fields of %d bytes are taken",
                                 HTTP_HEADER_COUNT, HTTP_HEADER_BYTES),
                       431);
        return;
    }
    if (stream->repeated || !method || !path) {
        stream_problem(stream,
                       error_new(ERR_INVALID, "a header field that must be single is repeated, or "
                                              "the request line is not whole"),
                       400);
        return;
    }
    stream->head_only = strcmp(method, "HEAD") == 0;
    size_t length = nghttp2_rcbuf_get_buf(stream->values[stream->known[KNOWN_PATH]]).len;
    if ((stream->head_only || strcmp(method, "GET") == 0) && try_document(stream, path, length))
        return;
    begin_call(stream, method, path, length);
}

void front_body(struct stream *stream, const void *bytes, size_t length)
{
    struct http_internal *call = stream->call;
    struct connection *connection = stream->connection;
    if (stream->answered || !call || stream->call_away) {
        /* Refused already: what still comes is dropped, and beyond measure not wanted (RFC 9113 section 8.1).
         */
        stream->dropped += length;
        if (stream->dropped > HTTP_DROPPED_MAX)
            (void)nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, stream->id,
                                            NGHTTP2_NO_ERROR); /* fails only without memory */
        return;
    }
    struct server *server = call->server;
    const struct server_limits *limits = &server->settings.limits;
    buf_append(&call->body, bytes, length);
    if (buf_overflowed(&call->body)) {
        stream_problem(stream, error_new(ERR_TOO_LARGE, "the body is larger than %zu bytes", call->body.cap),
                       0);
        return;
    }
    call->has_body = true;
    call->counted += length;
    connection->bodies += length;
    size_t held = __atomic_add_fetch(&server->bodies, length, __ATOMIC_RELAXED);
    if (connection->bodies > limits->bodies_connection || held > limits->bodies)
        stream_problem(stream, error_new(ERR_BUSY, "too many bodies are being read at once"), 0);
}

void front_end(struct stream *stream)
{
    if (!stream->answered && stream->call && !stream->call_away)
        dispatch(stream);
}

void front_deliver(struct loop *loop, struct mail *mail)
{
    struct http_internal *call = (struct http_internal *)mail; /* its first member */
    struct connection *connection = loop_connection(loop, call->connection);
    if (connection && !call->audit_only) {
        connection->running--;
        connection->bodies -= call->counted;
        struct stream *stream = connection->session
                                    ? nghttp2_session_get_stream_user_data(connection->session, call->stream)
                                    : NULL;
        if (stream && stream->call == call) {
            stream->call = NULL;
            stream->call_away = false;
            if (stream->flow)
                ; /* the worker has written the whole answer, or cut it */
            else if (call->response)
                stream_answer(stream, response_ref(call->response));
            else
                stream_problem(stream, error_new(ERR_BUSY, "the server is stopping"), 0);
        }
    }
    call_free(call);
}
