/* What http.h offers to handlers, and the life of a call. */
#include "broker/http/call.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/digest.h"

static const char *copy(struct arena *arena, nghttp2_rcbuf *text)
{
    nghttp2_vec vec = nghttp2_rcbuf_get_buf(text);
    return arena_strndup(arena, (const char *)vec.base, vec.len);
}

struct http_internal *call_new(struct stream *stream)
{
    struct connection *connection = stream->connection;
    struct arena *arena = arena_new();
    struct http_internal *call = arena_alloc(arena, sizeof *call);
    call->arena = arena;
    call->loop = connection->loop;
    call->server = connection->loop->server;
    call->connection = connection->id;
    call->stream = stream->id;
    call->body = BUF_INIT(call->server->settings.limits.body);
    call->request_id = arena_strdup(arena, stream->request_id);
    call->header_count = stream->field_count;
    for (unsigned i = 0; i < stream->field_count; i++) {
        call->header_names[i] = copy(arena, stream->names[i]);
        call->header_values[i] = copy(arena, stream->values[i]);
    }
    int method = stream->known[KNOWN_METHOD], path = stream->known[KNOWN_PATH];
    call->method = method < 0 ? "" : call->header_values[method];
    call->path = path < 0 ? "" : call->header_values[path];
    return call;
}

void call_free(struct http_internal *call)
{
    if (!call)
        return;
    __atomic_sub_fetch(&call->server->bodies, call->counted, __ATOMIC_RELAXED);
    principal_unref(call->principal);
    response_unref(call->response);
    buf_done(&call->body);
    arena_free(call->arena);
}

const char *call_header(const struct http_internal *call, const char *name)
{
    for (size_t i = 0; i < call->header_count; i++)
        if (strcmp(call->header_names[i], name) == 0)
            return call->header_values[i];
    return NULL;
}

const char *http_header(const struct http_call *call, const char *name)
{
    return call_header(call->internal, name);
}

static const char *find_param(const struct router_match *match, const char *name)
{
    for (size_t i = 0; i < match->param_count; i++)
        if (strcmp(match->names[i], name) == 0)
            return match->values[i];
    return NULL;
}

const char *call_cloud(const struct http_internal *call)
{
    return find_param(&call->match, "cloud");
}

const char *http_param(const struct http_call *call, const char *name)
{
    const char *value = find_param(&call->internal->match, name);
    if (!value)
        abort(); /* a bug: the pattern has no such parameter */
    return value;
}

const char *http_query(const struct http_call *call, const char *name)
{
    const struct target *target = &call->internal->target;
    for (size_t i = 0; i < target->member_count; i++)
        if (strcmp(target->members[i].name, name) == 0)
            return target->members[i].value;
    return NULL;
}

struct error *http_read_body(struct http_call *call, const struct json_spec *spec, void *ret_value)
{
    if (!call->body)
        return error_member("", "a JSON object is needed as the body");
    return json_read(call->arena, call->body, spec, ret_value);
}

const char *http_bytes(const struct http_call *call, size_t *ret_length)
{
    const struct buf *body = &call->internal->body;
    *ret_length = body->length;
    return buf_text(body);
}

struct error *http_if_match(const struct http_call *call, const char *etag)
{
    const char *given = http_header(call, "if-match");
    if (!given)
        return error_new(ERR_PRECONDITION_REQUIRED, "send If-Match with the ETag that you have read");
    if (!etag_listed(given, arena_printf(call->arena, "\"%s\"", etag), false))
        return error_new(ERR_STALE, "it has changed since it was read; its ETag is \"%s\" now", etag);
    return NULL;
}

/* A page token is base64url of eight characters of digest and the handler's cursor. The digest ties it to the
 * route and finds mistakes; it is no secret, for a cursor gives no right: the scope is checked anew. */
#define TOKEN_CHECK 8
#define CURSOR_MAX 2048

static void token_check(const struct http_call *call, const char *cursor, char check[DIGEST_HEX])
{
    const char *text = arena_printf(call->arena, "%s\n%s", call->internal->route->pattern, cursor);
    digest_sha256(text, strlen(text), check);
}

static struct error *read_size(const char *text, int64_t *ret_size)
{
    int64_t size = 0;
    size_t length = strlen(text);
    for (size_t i = 0; i < length && length <= 4; i++)
        size = text[i] >= '0' && text[i] <= '9' ? size * 10 + (text[i] - '0') : INT64_C(1) << 32;
    if (size < 1 || size > HTTP_PAGE_MAX)
        return error_member("?page_size", "a number from 1 to %d is needed", HTTP_PAGE_MAX);
    *ret_size = size;
    return NULL;
}

struct error *http_page(const struct http_call *call, struct http_page *ret_page)
{
    struct http_page page = {.size = HTTP_PAGE_DEFAULT};
    const char *size = http_query(call, "page_size"), *token = http_query(call, "page_token");
    if (size)
        TRY(read_size(size, &page.size));
    if (token) {
        unsigned char *bytes;
        size_t length;
        struct error *error = base64url_decode(call->arena, token, strlen(token), &bytes, &length);
        bool sound = !error && length >= TOKEN_CHECK && length <= CURSOR_MAX + TOKEN_CHECK &&
                     target_text_clean(bytes, length);
        error_ignore(error); /* told below, in words about the token */
        if (sound) {
            page.after = arena_strndup(call->arena, (const char *)bytes + TOKEN_CHECK, length - TOKEN_CHECK);
            char check[DIGEST_HEX];
            token_check(call, page.after, check);
            sound = memcmp(check, bytes, TOKEN_CHECK) == 0;
        }
        if (!sound)
            return error_member("?page_token", "it is not a token that this list has given out");
    }
    *ret_page = page;
    return NULL;
}

void http_page_next(const struct http_call *call, json_t *body, const char *cursor)
{
    char check[DIGEST_HEX];
    token_check(call, cursor, check);
    check[TOKEN_CHECK] = '\0';
    const char *text = arena_printf(call->arena, "%s%s", check, cursor);
    json_put_text(body, "next_page_token", base64url_encode(call->arena, text, strlen(text)));
}
