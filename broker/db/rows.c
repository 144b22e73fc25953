/* Results and their typed reading; see db.h. A value that does not parse as what is asked for is a bug in the
 * statement, so it ends the process with the statement's and the column's names. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/log.h"
#include "broker/db/session.h"

struct db_rows {
    PGresult *result;
    const struct db_statement *statement;
    bool binary;
};

struct db_rows *db_rows_new(PGresult *result, const struct db_statement *statement, bool binary)
{
    struct db_rows *rows = xcalloc(1, sizeof *rows);
    rows->result = result;
    rows->statement = statement;
    rows->binary = binary;
    return rows;
}

void db_rows_free(struct db_rows *rows)
{
    if (!rows)
        return;
    PQclear(rows->result);
    free(rows);
}

static void release_rows(void *rows)
{
    db_rows_free(rows);
}

struct db_rows *db_hold(struct arena *arena, struct db_rows *rows)
{
    arena_defer(arena, release_rows, rows);
    return rows;
}

static _Noreturn void broken(const struct db_rows *rows, int column, const char *what)
{
    const char *name = PQfname(rows->result, column);
    log_error("db.broken_statement", LOG_TEXT("statement", rows->statement->name), LOG_TEXT("column", name),
              LOG_INT("number", column), LOG_TEXT("what", what));
    abort();
}

size_t db_count(const struct db_rows *rows)
{
    return (size_t)PQntuples(rows->result);
}

/* NULL for SQL NULL. */
static const char *cell(const struct db_rows *rows, size_t row, int column)
{
    const char *value = PQgetvalue(rows->result, (int)row, column);
    if (value && *value) /* the most frequent case, told by one call: in range, and neither NULL nor empty */
        return value;
    if (column < 0 || column >= PQnfields(rows->result))
        broken(rows, column, "there is no such column");
    if (row >= db_count(rows))
        broken(rows, column, "there is no such row");
    return PQgetisnull(rows->result, (int)row, column) ? NULL : value;
}

bool db_is_null(const struct db_rows *rows, size_t row, int column)
{
    return !cell(rows, row, column);
}

const char *db_get_text(const struct db_rows *rows, size_t row, int column)
{
    return cell(rows, row, column);
}

/* A bigint's eight bytes, or a timestamptz's: microseconds since 2000. */
static int64_t binary_int(const struct db_rows *rows, size_t row, int column)
{
    uint64_t big;
    if (PQgetlength(rows->result, (int)row, column) != sizeof big)
        broken(rows, column, "not eight bytes");
    memcpy(&big, PQgetvalue(rows->result, (int)row, column), sizeof big);
    return (int64_t)be64toh(big);
}

int64_t db_get_int(const struct db_rows *rows, size_t row, int column)
{
    const char *text = cell(rows, row, column);
    if (!text)
        return 0;
    if (rows->binary)
        return binary_int(rows, row, column);
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end)
        broken(rows, column, "not an integer of 64 bits");
    return value;
}

bool db_get_bool(const struct db_rows *rows, size_t row, int column)
{
    const char *text = cell(rows, row, column);
    if (text && rows->binary)
        return *text != 0;
    if (text && strcmp(text, "t") != 0 && strcmp(text, "f") != 0)
        broken(rows, column, "not a boolean");
    return text && *text == 't';
}

#define YEAR_2000 (INT64_C(946684800) * MOMENT_SECOND)

static moment binary_moment(const struct db_rows *rows, size_t row, int column)
{
    int64_t since_2000 = binary_int(rows, row, column);
    moment at;
    if (__builtin_add_overflow(since_2000, YEAR_2000, &at) || at < MOMENT_MIN || at > MOMENT_MAX)
        broken(rows, column, "not a moment that we have, or infinity");
    return at;
}

moment db_get_end(const struct db_rows *rows, size_t row, int column)
{
    if (!rows->binary)
        broken(rows, column, "not read in text form");
    if (!cell(rows, row, column) || binary_int(rows, row, column) == INT64_MAX) /* PostgreSQL's infinity */
        return MOMENT_MAX;
    return binary_moment(rows, row, column);
}

moment db_get_moment(const struct db_rows *rows, size_t row, int column)
{
    const char *text = cell(rows, row, column);
    if (!text)
        return 0;
    if (rows->binary)
        return binary_moment(rows, row, column);
    size_t length = strlen(text);
    char rfc3339[40]; /* "2026-11-24 03:04:05.123456+00" to "…Z" */
    moment at;
    if (length < 4 || length >= sizeof rfc3339 || strcmp(text + length - 3, "+00") != 0)
        broken(rows, column, "not a timestamptz");
    memcpy(rfc3339, text, length - 3);
    memcpy(rfc3339 + length - 3, "Z", 2);
    struct error *error = moment_parse(rfc3339, &at);
    if (error)
        broken(rows, column, error_message(error));
    return at;
}

/* For types that are read in text form alone. */
static const char *as_text(const struct db_rows *rows, size_t row, int column)
{
    if (rows->binary)
        broken(rows, column, "not read in binary form");
    return cell(rows, row, column);
}

wide db_get_wide(const struct db_rows *rows, size_t row, int column)
{
    const char *text = as_text(rows, row, column);
    wide value = 0;
    struct error *error = text ? wide_parse(text, &value) : NULL;
    if (error)
        broken(rows, column, error_message(error));
    return value;
}

json_t *db_get_json(const struct db_rows *rows, size_t row, int column)
{
    const char *text = as_text(rows, row, column);
    if (!text)
        return NULL;
    json_error_t why;
    json_t *json = json_loads(text, JSON_DECODE_ANY, &why);
    if (!json)
        broken(rows, column, why.text);
    return json;
}

/* One item of an array's text, unescaped into `out`; returns what follows it, or NULL when it is malformed.
 */
static const char *take_array_item(const char *at, char *out, bool *ret_quoted)
{
    *ret_quoted = *at == '"';
    if (*ret_quoted) {
        for (at++; *at && *at != '"'; at++) {
            if (*at == '\\' && !*++at)
                return NULL;
            *out++ = *at;
        }
        if (*at++ != '"')
            return NULL;
    } else {
        while (*at && *at != ',' && *at != '}' && *at != '{' && *at != '"')
            *out++ = *at++;
    }
    *out = '\0';
    return *at == ',' || *at == '}' ? at : NULL;
}

const char **db_get_texts(const struct db_rows *rows, size_t row, int column, struct arena *arena,
                          size_t *ret_count)
{
    const char *text = as_text(rows, row, column);
    *ret_count = 0;
    if (!text)
        return NULL;
    size_t most = 1, count = 0;
    for (const char *at = text; *at; at++)
        most += *at == ',';
    const char **items = arena_array(arena, most, sizeof *items);
    char *copy = arena_alloc(arena, strlen(text) + 1), *out = copy;
    const char *at = text;
    if (*at++ != '{')
        broken(rows, column, "not an array");
    while (*at != '}') {
        bool quoted;
        at = take_array_item(at, out, &quoted);
        if (!at)
            broken(rows, column, "not an array of one dimension");
        items[count++] = !quoted && strcmp(out, "NULL") == 0 ? NULL : out;
        out += strlen(out) + 1;
        if (*at == ',')
            at++;
    }
    *ret_count = count;
    return items;
}
