/* Printing results: tables for people, JSON for programs; see cli.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "broker/base/json.h"
#include "broker/cli/cli.h"

int cli_width(const char *text)
{
    int width = 0;
    mbstate_t state = {0};
    while (*text) {
        wchar_t c;
        size_t length = mbrtowc(&c, text, MB_CUR_MAX, &state);
        if (length == 0 || length == (size_t)-1 || length == (size_t)-2)
            return width + (int)strlen(text); /* not text in this locale: count bytes */
        int columns = wcwidth(c);
        width += columns > 0 ? columns : 0;
        text += length;
    }
    return width;
}

/* What a guest or a provider wrote must not drive the terminal. */
static void put_safe(const char *text)
{
    for (; *text; text++)
        (void)fputc((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text, stdout);
}

static const char *value_text(struct arena *arena, const json_t *value)
{
    if (!value || json_is_null(value))
        return "-";
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_integer(value))
        return arena_printf(arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    if (json_is_boolean(value))
        return json_is_true(value) ? "yes" : "no";
    return json_canonical(arena, value);
}

/* "spec.vcpu" below `row`. */
static const json_t *find_path(struct arena *arena, const json_t *row, const char *path)
{
    char *rest = arena_strdup(arena, path), *part;
    while (row && (part = strsep(&rest, ".")))
        row = json_object_get(row, part);
    return row;
}

static const char *cell_text(struct arena *arena, const json_t *row, const char *members)
{
    char *rest = arena_strdup(arena, members), *path;
    const char *text = "";
    while ((path = strsep(&rest, "+"))) {
        const json_t *value = find_path(arena, row, path);
        if (value && !json_is_null(value))
            text = arena_printf(arena, "%s%s%s", text, *text ? " " : "", value_text(arena, value));
    }
    return *text ? text : "-";
}

static void put_cell(const char *text, int width, bool right, bool last)
{
    int spaces = width - cli_width(text);
    if (right)
        (void)printf("%*s", spaces, "");
    put_safe(text);
    if (!last)
        (void)printf("%*s", (right ? 0 : spaces) + 2, "");
}

void cli_print_table(const json_t *items, const struct cli_column *columns)
{
    ARENA_AUTO struct arena *arena = arena_new();
    size_t rows = json_array_size(items), count = 0;
    while (columns[count].title)
        count++;
    const char **cells = arena_array(arena, (rows + 1) * count, sizeof *cells);
    int *widths = arena_array(arena, count, sizeof *widths);
    for (size_t r = 0; r <= rows; r++) {
        for (size_t c = 0; c < count; c++) {
            const char *text =
                r ? cell_text(arena, json_array_get(items, r - 1), columns[c].member) : columns[c].title;
            cells[r * count + c] = text;
            if (cli_width(text) > widths[c])
                widths[c] = cli_width(text);
        }
    }
    for (size_t r = 0; r <= rows; r++) {
        for (size_t c = 0; c < count; c++)
            put_cell(cells[r * count + c], widths[c], columns[c].right, c + 1 == count);
        (void)fputc('\n', stdout);
    }
}

void cli_print(const struct cli *cli, const json_t *json)
{
    ARENA_AUTO struct arena *arena = arena_new();
    if (cli->json || !json_is_object(json)) {
        char *text = json_dumps(json, JSON_INDENT(2) | JSON_ENCODE_ANY);
        if (text)
            (void)puts(text);
        free(text);
        return;
    }
    const char *name;
    json_t *value;
    int width = 0;
    json_object_foreach ((json_t *)(uintptr_t)json, name, value) /* jansson only reads here */
        width = cli_width(name) > width ? cli_width(name) : width;
    json_object_foreach ((json_t *)(uintptr_t)json, name, value) {
        (void)printf("%s:%*s", name, width - cli_width(name) + 1, "");
        put_safe(value_text(arena, value));
        (void)fputc('\n', stdout);
    }
}
