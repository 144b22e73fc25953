/* Text on a terminal: what is safe to print, how wide it is, how it is cut; see cli.h. */
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "broker/cli/cli.h"

#define ELLIPSIS "…"
#define MOMENT_TEXT "0000-00-00T00:00:00.000000Z"

/* The next character: its bytes, and itself in *ret_c; L'\0' for a byte that is not text in this locale. */
static size_t next_character(const char *text, wchar_t *ret_c)
{
    mbstate_t state = {0};
    size_t length = mbrtowc(ret_c, text, strlen(text), &state);
    if (length > 0 && length != (size_t)-1 && length != (size_t)-2)
        return length;
    *ret_c = L'\0';
    return 1;
}

/* Controls of both sets, and marks that turn the direction of what follows: what a guest or a provider wrote
 * must neither drive the terminal nor disguise itself. */
static bool is_hostile(wchar_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
           (c >= 0x202a && c <= 0x202e) || (c >= 0x2028 && c <= 0x2029) || (c >= 0x2066 && c <= 0x2069);
}

const char *cli_safe(struct arena *arena, const char *text, bool lines)
{
    char *safe = arena_alloc(arena, strlen(text) + 1), *at = safe;
    while (*text) {
        wchar_t c;
        size_t length = next_character(text, &c);
        if (lines && (c == L'\n' || c == L'\t')) {
            *at++ = *text;
        } else if (!c) {
            *at++ = '?';
        } else if (is_hostile(c)) {
            *at++ = ' ';
        } else {
            memcpy(at, text, length);
            at += length;
        }
        text += length;
    }
    *at = '\0';
    return safe;
}

int cli_width(const char *text)
{
    int width = 0;
    while (*text) {
        wchar_t c;
        text += next_character(text, &c);
        int columns = c ? wcwidth(c) : 1;
        width += columns > 0 ? columns : 0;
    }
    return width;
}

const char *cli_cut(struct arena *arena, const char *text, int most)
{
    int width = 0;
    const char *at = text;
    if (cli_width(text) <= most)
        return text;
    while (*at) {
        wchar_t c;
        size_t length = next_character(at, &c);
        int columns = c ? wcwidth(c) : 1;
        if (width + (columns > 0 ? columns : 0) > most - 1)
            break;
        width += columns > 0 ? columns : 0;
        at += length;
    }
    return arena_printf(arena, "%.*s" ELLIPSIS, (int)(at - text), text);
}

const char *cli_short_moment(struct arena *arena, const char *text)
{
    static const char shape[] = MOMENT_TEXT;
    for (size_t i = 0; i < sizeof shape; i++)
        if (shape[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i])
            return text;
    return arena_printf(arena, "%.10s %.8sZ", text, text + 11);
}
