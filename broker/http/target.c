/* See target.h. Characters: RFC 3986; "+" in queries as in the WHATWG form encoding, which browsers send. */
#include "broker/http/target.h"

#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* RFC 3629: no surrogates, no overlong forms, at most U+10FFFF. */
bool target_text_clean(const void *bytes, size_t length)
{
    const unsigned char *text = bytes;
    for (size_t i = 0; i < length;) {
        unsigned char c = text[i];
        if (c < 0x20 || c == 0x7f)
            return false;
        if (c < 0x80) {
            i++;
            continue;
        }
        size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        if (c < 0xc2 || c > 0xf4 || length - i <= more)
            return false;
        unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
        unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        if (text[i + 1] < low || text[i + 1] > high)
            return false;
        for (size_t k = 2; k <= more; k++)
            if ((text[i + k] & 0xc0) != 0x80)
                return false;
        if (c == 0xc2 && text[i + 1] < 0xa0) /* C1 control characters */
            return false;
        i += more + 1;
    }
    return true;
}

struct error *target_decode(struct arena *arena, const char *text, size_t length, bool plus, size_t most,
                            const char **ret_text)
{
    if (length > most * 3)
        return error_new(ERR_TOO_LARGE, "longer than %zu bytes", most);
    char *out = arena_alloc(arena, length + 1);
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < length ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < length ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return error_new(ERR_INVALID, "a %% is not followed by two hexadecimal digits");
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        out[used++] = c;
    }
    if (used > most)
        return error_new(ERR_TOO_LARGE, "longer than %zu bytes", most);
    if (!target_text_clean(out, used))
        return error_new(ERR_INVALID, "it is not clean UTF-8 text");
    *ret_text = out;
    return NULL;
}

static void split_path(const char *path, size_t length, struct target *target)
{
    if (length == 1)
        return;
    const char *at = path + 1, *end = path + length;
    for (;;) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        size_t size = (size_t)((slash ? slash : end) - at);
        if (size == 0 || (size == 1 && at[0] == '.') || (size == 2 && at[0] == '.' && at[1] == '.') ||
            target->segment_count == HTTP_SEGMENTS_MAX) {
            target->odd = true;
            return;
        }
        target->segments[target->segment_count++] = (struct target_segment){at, size};
        if (!slash)
            return;
        at = slash + 1;
    }
}

static struct error *add_member(struct arena *arena, const char *text, size_t length, struct target *target)
{
    if (target->member_count == HTTP_QUERY_MEMBERS)
        return error_new(ERR_INVALID, "the query has more than %d members", HTTP_QUERY_MEMBERS);
    const char *equals = memchr(text, '=', length);
    size_t name_length = equals ? (size_t)(equals - text) : length;
    struct target_member member = {.value = ""};
    TRY_DOING(target_decode(arena, text, name_length, true, 64, &member.name),
              "the name of query member %zu is malformed", target->member_count + 1);
    if (!*member.name)
        return error_new(ERR_INVALID, "a query member has no name");
    if (equals)
        TRY_DOING(
            target_decode(arena, equals + 1, length - name_length - 1, true, HTTP_QUERY_VALUE, &member.value),
            "the query member \"%s\" is malformed", member.name);
    for (size_t i = 0; i < target->member_count; i++)
        if (strcmp(target->members[i].name, member.name) == 0)
            return error_new(ERR_INVALID, "the query member \"%s\" is given twice", member.name);
    target->members[target->member_count++] = member;
    return NULL;
}

struct error *target_parse(struct arena *arena, const char *text, size_t length, struct target *ret_target)
{
    if (length == 0 || text[0] != '/')
        return error_new(ERR_INVALID, "the request target is not a path");
    for (size_t i = 0; i < length; i++)
        if (text[i] < 0x21 || text[i] > 0x7e || text[i] == '#')
            return error_new(ERR_INVALID, "the request target holds a byte that must be percent-encoded");
    struct target target = {0};
    const char *question = memchr(text, '?', length);
    size_t path_length = question ? (size_t)(question - text) : length;
    target.path = arena_strndup(arena, text, path_length);
    split_path(target.path, path_length, &target);
    if (question) {
        const char *at = question + 1, *end = text + length;
        while (at < end) {
            const char *amp = memchr(at, '&', (size_t)(end - at));
            size_t size = (size_t)((amp ? amp : end) - at);
            TRY(add_member(arena, at, size, &target));
            at += size + 1;
        }
    }
    *ret_target = target;
    return NULL;
}
