/* See column.h. An array travels as its number of dimensions (0 when it is empty), whether it has NULLs, its
 * elements' type, its length and lower bound, then each element with its length before it. */
#include "broker/db/column.h"

#include <endian.h>
#include <string.h>

#define HEAD ((size_t)20) /* five numbers of 32 bits */
#define HEAD_EMPTY 12     /* without length and lower bound */
#define NUMERIC_BASE 10000
#define NUMERIC_DIGITS 10 /* of base 10000 in 128 bits */
#define NUMERIC_NEGATIVE 0x4000
#define YEAR_2000 (INT64_C(946684800) * MOMENT_SECOND)

/* The catalog's numbers of the types, which are fixed in every PostgreSQL. */
static const uint32_t oid_of[] = {
    [DB_COLUMN_TEXT] = 25, [DB_COLUMN_INT] = 20, [DB_COLUMN_MOMENT] = 1184, [DB_COLUMN_WIDE] = 1700};

struct db_column db_column_make(enum db_column_type type)
{
    struct db_column column = {.type = type, .bytes = BUF_INIT(DB_COLUMN_BYTES_MAX)};
    return column;
}

/* The next element: its length, then `length` bytes. */
static void add(struct db_column *column, const void *bytes, size_t length)
{
    static const char head[HEAD] = {0};
    if (!column->bytes.length)
        buf_append(&column->bytes, head, HEAD);
    char *room = buf_reserve(&column->bytes, sizeof(uint32_t) + length);
    if (!room)
        return;
    uint32_t big = htobe32((uint32_t)length);
    memcpy(room, &big, sizeof big);
    memcpy(room + sizeof big, bytes, length);
    buf_added(&column->bytes, sizeof big + length);
    column->count++;
}

/* A value of another type than the column's is a bug of the caller; it makes the call fail. */
static bool fits(struct db_column *column, enum db_column_type type)
{
    if (column->type != type)
        column->bytes.overflowed = true;
    return column->type == type;
}

void db_column_null(struct db_column *column)
{
    static const uint32_t none = UINT32_MAX; /* a length of −1, in either order of bytes */
    static const char head[HEAD] = {0};
    if (!column->bytes.length)
        buf_append(&column->bytes, head, HEAD);
    buf_append(&column->bytes, &none, sizeof none);
    column->nulls = true;
    column->count++;
}

void db_column_text(struct db_column *column, const char *text)
{
    if (!text)
        db_column_null(column);
    else if (fits(column, DB_COLUMN_TEXT))
        add(column, text, strlen(text));
}

static void add_int64(struct db_column *column, int64_t value)
{
    uint64_t big = htobe64((uint64_t)value);
    add(column, &big, sizeof big);
}

void db_column_int(struct db_column *column, int64_t value)
{
    if (fits(column, DB_COLUMN_INT))
        add_int64(column, value);
}

void db_column_moment(struct db_column *column, moment at)
{
    if (!fits(column, DB_COLUMN_MOMENT))
        return;
    if (at < MOMENT_MIN || at > MOMENT_MAX)
        column->bytes.overflowed = true;
    else
        add_int64(column, at - YEAR_2000);
}

void db_column_end(struct db_column *column, moment at)
{
    if (at != MOMENT_MAX)
        db_column_moment(column, at);
    else if (fits(column, DB_COLUMN_MOMENT))
        add_int64(column, INT64_MAX);
}

/* numeric: how many digits of base 10000, the first one's power, the sign, decimals to show; the digits. */
void db_column_wide(struct db_column *column, wide value)
{
    uint16_t digits[NUMERIC_DIGITS], out[4 + NUMERIC_DIGITS];
    unsigned __int128 rest = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    size_t count = 0, kept = 0;
    if (!fits(column, DB_COLUMN_WIDE))
        return;
    for (; rest; rest /= NUMERIC_BASE)
        digits[count++] = (uint16_t)(rest % NUMERIC_BASE);
    while (kept < count && !digits[kept]) /* zeros at the end are not sent */
        kept++;
    out[0] = htobe16((uint16_t)(count - kept));
    out[1] = htobe16((uint16_t)(count ? count - 1 : 0));
    out[2] = htobe16(value < 0 ? NUMERIC_NEGATIVE : 0);
    out[3] = 0;
    for (size_t i = 0; i < count - kept; i++)
        out[4 + i] = htobe16(digits[count - 1 - i]);
    add(column, out, (4 + count - kept) * sizeof *out);
}

struct db_value db_column_value(struct db_column *column)
{
    uint32_t head[] = {htobe32(column->count ? 1 : 0), htobe32(column->nulls ? 1 : 0),
                       htobe32(oid_of[column->type]), htobe32((uint32_t)column->count), htobe32(1)};
    if (!column->bytes.length)
        buf_append(&column->bytes, head, sizeof head);
    if (!buf_overflowed(&column->bytes))
        memcpy(column->bytes.data, head, sizeof head);
    return (struct db_value){.type = DB_COLUMN, .column = column};
}

size_t db_column_length(const struct db_column *column)
{
    return column->count ? column->bytes.length : HEAD_EMPTY;
}

void db_column_clear(struct db_column *column)
{
    buf_clear(&column->bytes);
    column->count = 0;
    column->nulls = false;
}

void db_column_done(struct db_column *column)
{
    buf_done(&column->bytes);
}

static void release_column(void *column)
{
    db_column_done(column);
}

struct db_column *db_column_in(struct arena *arena, enum db_column_type type)
{
    struct db_column *column = arena_alloc(arena, sizeof *column);
    *column = db_column_make(type);
    arena_defer(arena, release_column, column);
    return column;
}
