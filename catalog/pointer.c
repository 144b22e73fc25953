/* JSON pointers; see pointer.h. */
#include "catalog/pointer.h"

#include <string.h>

const char *pointer_member(struct arena *arena, const char *parent, const char *name)
{
    size_t length = strnlen(name, POINTER_NAME_MAX), at = 0;
    while (length && name[length] && ((unsigned char)name[length] & 0xc0) == 0x80)
        length--; /* never in the middle of a character */
    char *escaped = arena_alloc(arena, 2 * length + 1);
    for (size_t i = 0; i < length; i++) {
        if (name[i] == '~' || name[i] == '/') {
            escaped[at++] = '~';
            escaped[at++] = name[i] == '~' ? '0' : '1';
        } else {
            escaped[at++] = name[i];
        }
    }
    return arena_printf(arena, "%s/%s", parent, escaped);
}
