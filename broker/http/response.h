/* A response ready to be sent: status, header fields and bytes, immutable once made, shared by counting, so
 * that a static document is sent by every loop without a copy. Date and X-Request-Id are added for each
 * stream. */
#ifndef BROKER_HTTP_RESPONSE_H
#define BROKER_HTTP_RESPONSE_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/arena.h"

#define RESPONSE_FIELDS 16

struct response {
    unsigned refs; /* atomic */
    int status;
    char status_text[4];
    nghttp2_nv fields[RESPONSE_FIELDS]; /* :status first, content-length among them */
    size_t field_count;
    const void *bytes; /* in the arena, or NULL */
    size_t length;
    const char *etag; /* with quotes; NULL: none */
    const char *type; /* Content-Type; NULL: no body */
    struct arena *arena;
};

/* With the security headers that every answer carries. */
struct response *response_new(int status);
/* `name` lower case and static; `value` is copied; NULL: nothing is added. */
void response_field(struct response *response, const char *name, const char *value);
/* Content type, length and bytes; `owned` bytes were malloc'd and now belong to the response, others are
 * copied. */
void response_body(struct response *response, const char *content_type, const void *bytes, size_t length,
                   bool owned);
/* What a handler made, copied: a page of it may have a style of its own and nothing else. */
void response_made(struct response *response, const char *content_type, const void *bytes, size_t length);
/* Content type, and the number of bytes when it is known (0: it is not): the bytes are still to come. */
void response_streamed(struct response *response, const char *content_type, uint64_t length);
/* To be saved under this name; characters that a header or a file system may mind become "_". */
void response_file_name(struct response *response, const char *name);
/* Strong; `etag` without quotes. */
void response_etag(struct response *response, const char *etag);
/* 304 for `whole`: the same validators, no body. */
struct response *response_not_modified(const struct response *whole);
/* Whether an If-None-Match or If-Match list (RFC 9110 section 13.1) names the quoted etag or "*". Weak ones
 * match only when `weak`. */
bool etag_listed(const char *list, const char *quoted, bool weak);

static inline const char *response_type(const struct response *response)
{
    return response->type;
}

struct response *response_ref(struct response *response);
void response_unref(struct response *response);

#endif
