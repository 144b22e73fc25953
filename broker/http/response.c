/* See response.h. */
#include "broker/http/response.h"

#include <stdlib.h>
#include <string.h>

/* For pages of the portal; everything else is data and may load nothing. */
#define POLICY_PAGE \
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
/* For pages that a handler makes of data: they may look like something, and load, run and send nothing. */
#define POLICY_SHEET                                                                       \
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; " \
    "frame-ancestors 'none'"
#define POLICY_DATA "default-src 'none'; frame-ancestors 'none'"

static void add(struct response *response, const char *name, const char *value, size_t length)
{
    if (response->field_count == RESPONSE_FIELDS)
        abort(); /* a bug: the server knows which fields it adds */
    union {
        const char *text;
        uint8_t *bytes;
    } field_name = {.text = name}, field_value = {.text = value}; /* nghttp2 wants them writable; they stay */
    response->fields[response->field_count++] =
        (nghttp2_nv){.name = field_name.bytes,
                     .namelen = strlen(name),
                     .value = field_value.bytes,
                     .valuelen = length,
                     .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

struct response *response_new(int status)
{
    struct arena *arena = arena_new();
    struct response *response = arena_alloc(arena, sizeof *response);
    response->arena = arena;
    response->refs = 1;
    response->status = status >= 100 && status <= 599 ? status : 500;
    response->status_text[0] = (char)('0' + response->status / 100);
    response->status_text[1] = (char)('0' + response->status / 10 % 10);
    response->status_text[2] = (char)('0' + response->status % 10);
    add(response, ":status", response->status_text, 3);
    response_field(response, "strict-transport-security", "max-age=31536000");
    response_field(response, "x-content-type-options", "nosniff");
    return response;
}

void response_field(struct response *response, const char *name, const char *value)
{
    if (value)
        add(response, name, arena_strdup(response->arena, value), strlen(value));
}

static void put_type(struct response *response, const char *content_type, const char *page_policy)
{
    response->type = arena_strdup(response->arena, content_type);
    response_field(response, "content-type", response->type);
    bool page = strncmp(content_type, "text/html", 9) == 0;
    response_field(response, "content-security-policy", page ? page_policy : POLICY_DATA);
}

static void put_bytes(struct response *response, const void *bytes, size_t length, bool owned)
{
    response->length = length;
    if (owned) {
        union {
            const void *given;
            void *ours;
        } body = {.given = bytes};
        arena_defer(response->arena, free, body.ours);
        response->bytes = bytes;
    } else if (length) {
        void *copy = arena_alloc(response->arena, length);
        memcpy(copy, bytes, length);
        response->bytes = copy;
    }
    response_field(response, "content-length", arena_printf(response->arena, "%zu", length));
}

void response_body(struct response *response, const char *content_type, const void *bytes, size_t length,
                   bool owned)
{
    put_bytes(response, bytes, length, owned);
    put_type(response, content_type, POLICY_PAGE);
}

void response_made(struct response *response, const char *content_type, const void *bytes, size_t length)
{
    put_bytes(response, bytes, length, false);
    put_type(response, content_type, POLICY_SHEET);
}

void response_streamed(struct response *response, const char *content_type, uint64_t length)
{
    if (length)
        response_field(response, "content-length",
                       arena_printf(response->arena, "%llu", (unsigned long long)length));
    put_type(response, content_type, POLICY_SHEET);
}

void response_file_name(struct response *response, const char *name)
{
    char *clean = arena_strdup(response->arena, name);
    for (char *c = clean; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *c))
            *c = '_';
    response_field(response, "content-disposition",
                   arena_printf(response->arena, "attachment; filename=\"%s\"", clean));
}

void response_etag(struct response *response, const char *etag)
{
    response->etag = arena_printf(response->arena, "\"%s\"", etag);
    response_field(response, "etag", response->etag);
}

struct response *response_not_modified(const struct response *whole)
{
    struct response *response = response_new(304);
    for (size_t i = 0; i < whole->field_count; i++) {
        const char *name = (const char *)whole->fields[i].name;
        if (strcmp(name, "etag") == 0 || strcmp(name, "cache-control") == 0 || strcmp(name, "vary") == 0)
            response_field(response, name, (const char *)whole->fields[i].value);
    }
    return response;
}

bool etag_listed(const char *list, const char *quoted, bool weak)
{
    for (const char *at = list; *at;) {
        at += strspn(at, " \t,");
        if (*at == '*')
            return true;
        bool is_weak = at[0] == 'W' && at[1] == '/';
        if (is_weak)
            at += 2;
        if (*at != '"')
            return false;
        const char *close = strchr(at + 1, '"');
        if (!close)
            return false;
        size_t length = (size_t)(close + 1 - at);
        if ((weak || !is_weak) && strlen(quoted) == length && memcmp(at, quoted, length) == 0)
            return true;
        at = close + 1;
    }
    return false;
}

struct response *response_ref(struct response *response)
{
    __atomic_add_fetch(&response->refs, 1, __ATOMIC_RELAXED);
    return response;
}

void response_unref(struct response *response)
{
    if (response && __atomic_sub_fetch(&response->refs, 1, __ATOMIC_ACQ_REL) == 0)
        arena_free(response->arena);
}
