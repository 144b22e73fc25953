/* See accept.h. */
#include "broker/http/accept.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Length of the type alone, without parameters and spaces. */
static size_t type_length(const char *text, size_t length)
{
    const char *end = memchr(text, ';', length);
    if (end)
        length = (size_t)(end - text);
    while (length && (text[length - 1] == ' ' || text[length - 1] == '\t'))
        length--;
    return length;
}

/* 0: does not match, 1: any, 2: type/any, 3: the type itself. */
static int specificity(const char *range, size_t length, const char *type, size_t type_size)
{
    if (length == 3 && memcmp(range, "*/*", 3) == 0)
        return 1;
    if (length > 2 && memcmp(range + length - 2, "/*", 2) == 0)
        return length - 1 <= type_size && strncasecmp(range, type, length - 1) == 0 ? 2 : 0;
    return length == type_size && strncasecmp(range, type, length) == 0 ? 3 : 0;
}

/* Only "q=0", "q=0." and zeros after it refuse. */
static bool refused(const char *range, size_t length)
{
    for (const char *at = range; (at = memchr(at, ';', length - (size_t)(at - range)));) {
        at++;
        while (at < range + length && (*at == ' ' || *at == '\t'))
            at++;
        size_t left = length - (size_t)(at - range);
        if (left >= 3 && (at[0] == 'q' || at[0] == 'Q') && at[1] == '=') {
            for (at += 2; at < range + length && (*at == '0' || *at == '.'); at++)
                ;
            return at == range + length || *at == ' ' || *at == ';';
        }
    }
    return false;
}

bool accept_allows(const char *accept, const char *content_type)
{
    if (!accept || !*accept)
        return true;
    size_t type_size = type_length(content_type, strlen(content_type));
    int best = 0;
    bool allowed = false;
    for (const char *at = accept; *at;) {
        at += strspn(at, " \t,");
        size_t length = strcspn(at, ",");
        int match = specificity(at, type_length(at, length), content_type, type_size);
        if (match > best) {
            best = match;
            allowed = !refused(at, length);
        }
        at += length;
    }
    return allowed;
}

/* No charset, or UTF-8. `parameters` is what follows the type. */
static bool in_utf8(const char *parameters)
{
    const char *charset = strcasestr(parameters, "charset=");
    if (!charset)
        return true;
    charset += 8 + (charset[8] == '"');
    return strncasecmp(charset, "utf-8", 5) == 0;
}

bool media_is_json(const char *content_type)
{
    size_t length = type_length(content_type, strlen(content_type));
    bool json = length == 16 && strncasecmp(content_type, "application/json", 16) == 0;
    bool suffix = length > 17 && strncasecmp(content_type, "application/", 12) == 0 &&
                  strncasecmp(content_type + length - 5, "+json", 5) == 0;
    return (json || suffix) && in_utf8(content_type + length);
}

enum media_events media_events_of(const char *content_type)
{
    static const struct {
        const char *type;
        enum media_events events;
    } types[] = {{"application/cloudevents+json", MEDIA_EVENTS_ONE},
                 {"application/cloudevents-batch+json", MEDIA_EVENTS_BATCH},
                 {"application/x-ndjson", MEDIA_EVENTS_LINES}};
    size_t length = type_length(content_type, strlen(content_type));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (length == strlen(types[i].type) && strncasecmp(content_type, types[i].type, length) == 0)
            return in_utf8(content_type + length) ? types[i].events : MEDIA_EVENTS_NONE;
    return MEDIA_EVENTS_NONE;
}
