/* Parts of a streamed answer by Range (RFC 9110 section 14); see http_range in http.h. */
#include <string.h>

#include "broker/http/http.h"
#include "broker/http/response.h"

#define DIGITS_MAX 18

/* Digits from *at on; false when there are none or too many. */
static bool read_number(const char **at, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t count = strspn(*at, "0123456789");
    if (!count || count > DIGITS_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        value = value * 10 + (uint64_t)((*at)[i] - '0');
    *at += count;
    *ret_value = value;
    return true;
}

enum range { RANGE_NONE, RANGE_PART, RANGE_BEYOND };

/* "bytes=FROM-", "bytes=FROM-TO" or "bytes=-LAST"; what is anything else counts as absent. */
static enum range read_range(const char *text, uint64_t size, uint64_t *ret_from, uint64_t *ret_length)
{
    static const char unit[] = "bytes=";
    uint64_t from = 0, to = size ? size - 1 : 0, last;
    if (strncmp(text, unit, strlen(unit)) != 0)
        return RANGE_NONE;
    const char *at = text + strlen(unit);
    if (*at == '-') {
        at++;
        if (!read_number(&at, &last) || *at)
            return RANGE_NONE;
        if (!last || !size)
            return RANGE_BEYOND;
        from = last < size ? size - last : 0;
    } else {
        if (!read_number(&at, &from) || *at++ != '-')
            return RANGE_NONE;
        if (*at && (!read_number(&at, &to) || *at || to < from))
            return RANGE_NONE;
        if (from >= size)
            return RANGE_BEYOND;
        to = to < size ? to : size - 1;
    }
    *ret_from = from;
    *ret_length = to - from + 1;
    return RANGE_PART;
}

void http_range(const struct http_call *call, const char *etag, uint64_t size, struct http_answer *answer,
                uint64_t *ret_from, uint64_t *ret_length)
{
    const char *range = http_header(call, "range"), *only_if = http_header(call, "if-range");
    uint64_t from = 0, length = size;
    enum range kind = RANGE_NONE;
    if (range && (!only_if || etag_listed(only_if, arena_printf(call->arena, "\"%s\"", etag), false)))
        kind = read_range(range, size, &from, &length);
    answer->ranges = true;
    if (kind == RANGE_BEYOND) {
        answer->status = 416;
        answer->content_range = arena_printf(call->arena, "bytes */%llu", (unsigned long long)size);
        length = 0;
    } else if (kind == RANGE_PART) {
        answer->status = 206;
        answer->content_range =
            arena_printf(call->arena, "bytes %llu-%llu/%llu", (unsigned long long)from,
                         (unsigned long long)(from + length - 1), (unsigned long long)size);
    }
    answer->source_length = (int64_t)length;
    *ret_from = from;
    *ret_length = length;
}
