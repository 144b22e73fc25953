/* CSV tables; see csv.h. */
#include "catalog/csv.h"

#include <stdint.h>
#include <string.h>

struct reader {
    struct arena *arena;
    const char *at, *end;
    size_t line;
    const char **cells;
    size_t count, capacity;
};

static void add_cell(struct reader *reader, const char *cell)
{
    if (reader->count == reader->capacity) {
        size_t capacity = reader->capacity ? reader->capacity * 2 : 256;
        const char **cells = arena_array(reader->arena, capacity, sizeof *cells);
        if (reader->count)
            memcpy(cells, reader->cells, reader->count * sizeof *cells);
        reader->cells = cells;
        reader->capacity = capacity;
    }
    reader->cells[reader->count++] = cell;
}

/* From the opening quote to behind the closing one. */
static struct error *read_quoted(struct reader *reader, const char **ret_cell)
{
    size_t line = reader->line, length = 0;
    char *cell = arena_alloc(reader->arena, (size_t)(reader->end - reader->at) + 1);
    for (reader->at++; reader->at < reader->end; reader->at++) {
        if (*reader->at == '"') {
            if (reader->at + 1 == reader->end || reader->at[1] != '"') {
                reader->at++;
                *ret_cell = cell;
                return NULL;
            }
            reader->at++;
        }
        reader->line += *reader->at == '\n';
        cell[length++] = *reader->at;
    }
    return error_new(ERR_INVALID, "line %zu: a quote is never closed", line);
}

static const char *read_plain(struct reader *reader)
{
    const char *start = reader->at;
    while (reader->at < reader->end && *reader->at != ',' && *reader->at != '\n')
        reader->at++;
    size_t length = (size_t)(reader->at - start);
    if (length && start[length - 1] == '\r')
        length--;
    return arena_strndup(reader->arena, start, length);
}

/* One row up to behind its line end; *ret_width cells. */
static struct error *read_row(struct reader *reader, size_t *ret_width)
{
    size_t width = 0;
    for (;;) {
        const char *cell;
        if (reader->at < reader->end && *reader->at == '"')
            TRY(read_quoted(reader, &cell));
        else
            cell = read_plain(reader);
        if (reader->at < reader->end && *reader->at == '\r')
            reader->at++;
        if (reader->at < reader->end && *reader->at != ',' && *reader->at != '\n')
            return error_new(ERR_INVALID, "line %zu: text after a closing quote", reader->line);
        if (++width > CSV_COLUMNS_MAX)
            return error_new(ERR_TOO_LARGE, "line %zu: more than %d columns", reader->line, CSV_COLUMNS_MAX);
        add_cell(reader, cell);
        if (reader->at == reader->end || *reader->at++ == '\n')
            break;
    }
    *ret_width = width;
    return NULL;
}

struct error *csv_parse(struct arena *arena, const char *text, size_t length, struct csv *ret_csv)
{
    struct reader reader = {.arena = arena, .at = text, .end = text + length, .line = 1};
    size_t columns = 0, rows = 0;
    if (memchr(text, '\0', length))
        return error_new(ERR_INVALID, "a table with a NUL in it");
    if (!length)
        return error_new(ERR_INVALID, "a table without a header");
    while (reader.at < reader.end) {
        size_t width, line = reader.line;
        TRY(read_row(&reader, &width));
        reader.line++;
        if (!columns)
            columns = width;
        else if (width != columns)
            return error_new(ERR_INVALID, "line %zu: %zu cells where the header has %zu", line, width,
                             columns);
        else if (++rows > CSV_ROWS_MAX)
            return error_new(ERR_TOO_LARGE, "more than %d rows", CSV_ROWS_MAX);
    }
    for (size_t i = 0; i < columns; i++)
        for (size_t j = 0; j < i; j++)
            if (!strcmp(reader.cells[i], reader.cells[j]))
                return error_new(ERR_INVALID, "two columns are called \"%s\"", reader.cells[i]);
    *ret_csv = (struct csv){.columns = columns, .rows = rows, .cells = reader.cells};
    return NULL;
}

const char *csv_cell(const struct csv *csv, size_t row, const char *column)
{
    for (size_t i = 0; i < csv->columns; i++)
        if (!strcmp(csv->cells[i], column))
            return csv->cells[(row + 1) * csv->columns + i];
    return NULL;
}
