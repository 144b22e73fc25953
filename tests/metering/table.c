/* See table.h. */
#include "tests/metering/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* One cell; *text is left at what ends it. */
static const char *read_cell(struct arena *arena, const char **text)
{
    const char *at = *text;
    if (*at != '"') {
        size_t length = strcspn(at, ",\r\n");
        assert_null(memchr(at, '"', length));
        *text = at + length;
        return arena_strndup(arena, at, length);
    }
    char *cell = arena_alloc(arena, strlen(at) + 1), *end = cell;
    for (at++; *at != '"' || at[1] == '"'; at++) {
        assert_true(*at != '\0');
        at += *at == '"';
        *end++ = *at;
    }
    *end = '\0';
    *text = at + 1;
    return cell;
}

struct table table_read(struct arena *arena, const char *text)
{
    struct table table = {0};
    size_t count = 0, size = strlen(text) + 1, rows = 0;
    table.cells = arena_array(arena, size, sizeof *table.cells);
    while (*text) {
        size_t before = count;
        for (;;) {
            table.cells[count++] = read_cell(arena, &text);
            if (*text != ',')
                break;
            text++;
        }
        assert_memory_equal(text, "\r\n", 2);
        text += 2;
        if (!rows++)
            table.columns = count;
        assert_int_equal(count - before, table.columns);
    }
    assert_true(rows > 0);
    table.rows = rows - 1;
    return table;
}

const char *table_cell(const struct table *table, size_t row, const char *column)
{
    assert_true(row < table->rows);
    for (size_t i = 0; i < table->columns; i++)
        if (!strcmp(table->cells[i], column))
            return table->cells[(row + 1) * table->columns + i];
    fail_msg("no column %s", column);
    return NULL;
}
