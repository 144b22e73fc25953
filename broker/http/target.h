/* The request target (:path) taken apart: path segments and query members, percent-decoded strictly. Pure;
 * the router (router.h) works on what comes out of here. */
#ifndef BROKER_HTTP_TARGET_H
#define BROKER_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"
#include "broker/http/limits.h"

struct target_segment {
    const char *raw; /* as sent, not ended by NUL */
    size_t length;
};

struct target_member {
    const char *name;
    const char *value; /* "" when the member has no "=" */
};

struct target {
    const char *path; /* as sent, without the query, in the arena */
    bool odd;         /* empty, "." or ".." segments, or more than HTTP_SEGMENTS_MAX: no route can match */
    struct target_segment segments[HTTP_SEGMENTS_MAX];
    size_t segment_count;
    struct target_member members[HTTP_QUERY_MEMBERS];
    size_t member_count;
};

/* ERR_INVALID (an answer of 400): not starting with "/", bytes outside visible ASCII, "#", bad percent
 * escapes, members that decode to invalid UTF-8 or control characters, an empty name, the same name twice,
 * too many or too long members. */
struct error *target_parse(struct arena *arena, const char *text, size_t length,
                           struct target *ret_target) ERROR_MUST_USE;

/* Whether it is UTF-8 without control characters. */
bool target_text_clean(const void *bytes, size_t length);

/* Percent-decodes; `plus` makes "+" a space, as in query members. ERR_INVALID for bad escapes and for results
 * that are not UTF-8 or hold control characters; ERR_TOO_LARGE over `most` bytes. */
struct error *target_decode(struct arena *arena, const char *text, size_t length, bool plus, size_t most,
                            const char **ret_text) ERROR_MUST_USE;

#endif
