/* Keyset cursors; see cursor.h. */
#include "metering/cursor.h"

#include <string.h>

struct error *cursor_split(struct arena *arena, const char *cursor, const char **ret_parts, size_t count)
{
    const char *at = cursor;
    size_t found = 1;
    for (const char *bar = strchr(at, '|'); bar; bar = strchr(bar + 1, '|'))
        found++;
    if (found != count)
        return error_new(ERR_INVALID, "the query member page_token: not of this list");
    for (size_t i = 0; i < count; i++) {
        size_t length = strcspn(at, "|");
        ret_parts[i] = arena_strndup(arena, at, length);
        at += length + 1;
    }
    return NULL;
}
