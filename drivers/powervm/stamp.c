/* See stamp.h. */
#include "drivers/powervm/stamp.h"

#include <stdint.h>
#include <string.h>

#include "broker/base/id.h"

#define PREFIX "yq-"
#define DIGITS 26 /* of base 32 for 128 bits; the last one carries two unused bits, which are zero */

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

static int hex_value(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

const char *stamp_partition(struct arena *arena, const char *id)
{
    char *name = arena_alloc(arena, sizeof PREFIX + DIGITS);
    memcpy(name, PREFIX, strlen(PREFIX));
    char *out = name + strlen(PREFIX);
    unsigned bits = 0, held = 0;
    for (; *id; id++) {
        if (*id == '-')
            continue;
        held = held << 4 | (unsigned)hex_value(*id);
        bits += 4;
        if (bits >= 5) {
            bits -= 5;
            *out++ = alphabet[held >> bits & 31];
        }
    }
    *out++ = alphabet[held << (5 - bits) & 31];
    *out = '\0';
    return name;
}

const char *stamp_of_partition(struct arena *arena, const char *name)
{
    if (!name || strlen(name) != strlen(PREFIX) + DIGITS || strncmp(name, PREFIX, strlen(PREFIX)) != 0)
        return NULL;
    char *id = arena_alloc(arena, ID_TEXT);
    size_t length = 0;
    unsigned bits = 0, held = 0;
    for (const char *c = name + strlen(PREFIX); *c; c++) {
        const char *digit = strchr(alphabet, *c);
        if (!digit)
            return NULL;
        held = held << 5 | (unsigned)(digit - alphabet);
        for (bits += 5; bits >= 4 && length < ID_TEXT - 1; bits -= 4) {
            if (length == 8 || length == 13 || length == 18 || length == 23)
                id[length++] = '-';
            id[length++] = "0123456789abcdef"[held >> (bits - 4) & 15];
        }
    }
    return (held & ((1u << bits) - 1)) == 0 && id_valid(id) ? id : NULL;
}

const char *stamp_unit(struct arena *arena, const char *prefix, const char *id)
{
    return arena_printf(arena, "%s%s", prefix, id);
}

const char *stamp_of_unit(struct arena *arena, const char *prefix, const char *name)
{
    size_t length = strlen(prefix);
    return name && strncmp(name, prefix, length) == 0 && id_valid(name + length)
               ? arena_strdup(arena, name + length)
               : NULL;
}
