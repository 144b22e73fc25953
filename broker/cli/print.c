/* Printing results: tables for people, JSON for programs; see cli.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/cli/cli.h"

#define CELL_MOST 40 /* columns of a table's cell without --wide */

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

static bool is_plain(const json_t *value)
{
    return !json_is_object(value) && !json_is_array(value);
}

/* An array of plain values as "a, b"; NULL when it holds more than that. */
static const char *joined(struct arena *arena, const json_t *array)
{
    const char *text = "";
    size_t i;
    json_t *value;
    json_array_foreach (array, i, value) {
        if (!is_plain(value))
            return NULL;
        text = arena_printf(arena, "%s%s%s", text, i ? ", " : "", value_text(arena, value));
    }
    return *text ? text : "-";
}

/* "spec.vcpu" below `row`. */
static const json_t *find_path(struct arena *arena, const json_t *row, const char *path)
{
    char *rest = arena_strdup(arena, path), *part;
    while (row && (part = strsep(&rest, ".")))
        row = json_object_get(row, part);
    return row;
}

static const char *cell_text(const struct cli *cli, struct arena *arena, const json_t *row,
                             const struct cli_column *column)
{
    char *rest = arena_strdup(arena, column->member), *path;
    const char *text = "";
    while ((path = strsep(&rest, "+"))) {
        const json_t *value = find_path(arena, row, path);
        const char *list = json_is_array(value) ? joined(arena, value) : NULL;
        if (value && !json_is_null(value))
            text =
                arena_printf(arena, "%s%s%s", text, *text ? " " : "", list ? list : value_text(arena, value));
    }
    text = cli_safe(arena, *text ? text : "-", false);
    if (cli->wide)
        return text;
    return cli_cut(arena, cli_short_moment(arena, text), column->most ? column->most : CELL_MOST);
}

static void put_cell(const char *text, int width, bool right, bool last)
{
    int spaces = width - cli_width(text);
    if (right)
        (void)printf("%*s", spaces, "");
    (void)fputs(text, stdout);
    if (!last)
        (void)printf("%*s", (right ? 0 : spaces) + 2, "");
}

void cli_print_table(const struct cli *cli, const json_t *items, const struct cli_column *columns)
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
                r ? cell_text(cli, arena, json_array_get(items, r - 1), &columns[c]) : columns[c].title;
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

static void print_members(struct arena *arena, const json_t *object, int indent, bool listed);

/* What stands behind "name:" — on the same line when it is plain, else on lines of its own. */
static void print_value(struct arena *arena, const json_t *value, int gap, int indent)
{
    const char *list = json_is_array(value) ? joined(arena, value) : NULL;
    if (is_plain(value) || list || (json_is_object(value) && !json_object_size(value))) {
        const char *text = list ? list : json_is_object(value) ? "-" : value_text(arena, value);
        (void)printf("%*s%s\n", gap, "", cli_safe(arena, text, false));
    } else if (json_is_object(value)) {
        (void)fputc('\n', stdout);
        print_members(arena, value, indent + 2, false);
    } else {
        size_t i;
        json_t *item;
        (void)fputc('\n', stdout);
        json_array_foreach (value, i, item) {
            if (json_is_object(item))
                print_members(arena, item, indent + 4, true);
            else
                (void)printf("%*s- %s\n", indent + 2, "", cli_safe(arena, value_text(arena, item), false));
        }
    }
}

/* `listed`: the first member is marked with a dash. Depth is bounded by the JSON parser. */
static void print_members(struct arena *arena, const json_t *object, int indent, bool listed)
{
    const char *name;
    json_t *value;
    int width = 0;
    json_object_foreach ((json_t *)(uintptr_t)object, name, value) /* jansson only reads here */
        width = is_plain(value) && cli_width(name) > width ? cli_width(name) : width;
    json_object_foreach ((json_t *)(uintptr_t)object, name, value) {
        const char *safe = cli_safe(arena, name, false);
        int gap = width - cli_width(safe) + 1;
        (void)printf("%*s%s:", indent, listed ? "- " : "", safe);
        print_value(arena, value, gap > 1 ? gap : 1, indent);
        listed = false;
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
    print_members(arena, json, 0, false);
}
