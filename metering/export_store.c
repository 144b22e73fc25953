/* Reading lines in portions, and what several formats need; see export.h. */
#include <stdlib.h>
#include <string.h>

#include "metering/export.h"

static const struct db_statement stream_lines = {
    "export_lines",
    DB_STREAM("SELECT l.unit_id, l.provider_id, l.cloud_id, l.system_id, l.item, l.type = 'adjustment',"
              " l.charge_month, l.price_fen, l.price_from, l.price_to, l.usage, l.amount_fen,"
              " l.corrects_number, l.corrects_line, l.line_no, l.tariff, l.industry, l.zone_id,"
              " l.architecture, l.list_fen, l.bill_id, l.month, coalesce(p.name, l.provider_id)"
              " FROM bill_line l LEFT JOIN provider p ON p.id = l.provider_id"
              " WHERE ($1::text IS NULL OR l.month = $1) AND ($2::text IS NULL OR l.bill_id = $2)"
              " AND ($3::text IS NULL OR l.unit_id = $3) AND ($4::text IS NULL OR l.system_id = $4)"
              " AND ($5::text IS NULL OR l.cloud_id = $5) AND ($6::text IS NULL OR l.provider_id = $6)"
              " AND ($7::text IS NULL OR l.item = $7) ORDER BY l.unit_id, l.bill_id, l.line_no")};

struct export_lines {
    struct db_stream *stream;
    struct db_rows *rows; /* the portion; NULL before the first */
    size_t next;
    struct export_line line;
};

struct error *export_lines_open(struct db *db, const struct export_filter *filter,
                                struct export_lines **ret_lines)
{
    struct db_stream *stream;
    TRY(db_stream_open(db, &stream_lines,
                       DB_VALUES(db_text(filter->month), db_text(filter->bill), db_text(filter->unit),
                                 db_text(filter->system), db_text(filter->cloud), db_text(filter->provider),
                                 db_text(filter->item)),
                       &stream));
    struct export_lines *lines = xcalloc(1, sizeof *lines);
    lines->stream = stream;
    *ret_lines = lines;
    return NULL;
}

static struct export_line read_line(const struct db_rows *rows, size_t row)
{
    struct export_line read = {
        .line =
            {
                .unit = db_get_text(rows, row, 0),
                .provider = db_get_text(rows, row, 1),
                .cloud = db_get_text(rows, row, 2),
                .system = db_get_text(rows, row, 3),
                .adjustment = db_get_bool(rows, row, 5),
                .price_fen = db_get_int(rows, row, 7),
                .price_from = db_get_moment(rows, row, 8),
                .price_to = db_get_moment(rows, row, 9),
                .usage = db_get_wide(rows, row, 10),
                .amount_fen = db_get_int(rows, row, 11),
                .corrects_number = db_get_text(rows, row, 12),
                .corrects_line = db_get_int(rows, row, 13),
                .tariff = tariff_find(db_get_text(rows, row, 15)),
                .industry = db_get_text(rows, row, 16),
                .zone = db_get_text(rows, row, 17),
                .architecture = db_get_text(rows, row, 18),
                .list_fen = db_get_int(rows, row, 19),
            },
        .number = db_get_int(rows, row, 14),
        .bill = db_get_text(rows, row, 20),
        .month = db_get_text(rows, row, 21),
        .provider_name = db_get_text(rows, row, 22),
    };
    memcpy(read.line.item, db_get_text(rows, row, 4), ITEM_CODE); /* as bill_store.c reads them */
    memcpy(read.line.charge_month, db_get_text(rows, row, 6), sizeof read.line.charge_month);
    return read;
}

struct error *export_lines_next(struct export_lines *lines, const struct export_line **ret_line)
{
    if (!lines->rows || lines->next == db_count(lines->rows)) {
        db_rows_free(lines->rows);
        lines->rows = NULL;
        lines->next = 0;
        TRY(db_stream_next(lines->stream, &lines->rows));
    }
    *ret_line = NULL;
    if (lines->next == db_count(lines->rows))
        return NULL;
    lines->line = read_line(lines->rows, lines->next++);
    *ret_line = &lines->line;
    return NULL;
}

bool export_lines_portion(const struct export_lines *lines)
{
    return lines->rows && lines->next == db_count(lines->rows);
}

void export_lines_close(struct export_lines *lines)
{
    if (!lines)
        return;
    db_rows_free(lines->rows);
    db_stream_close(lines->stream);
    free(lines);
}

void export_cell(struct buf *piece, const char *text)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        buf_puts(piece, text);
        return;
    }
    buf_putc(piece, '"');
    for (const char *quote; (quote = strchr(text, '"')); text = quote + 1) {
        buf_append(piece, text, (size_t)(quote + 1 - text));
        buf_putc(piece, '"');
    }
    buf_puts(piece, text);
    buf_putc(piece, '"');
}

void export_text(struct buf *piece, const char *text)
{
    bool formula = *text && (strchr("=+-@", *text) || (unsigned char)*text < 0x20);
    if (!formula) {
        export_cell(piece, text);
        return;
    }
    char *safe = xasprintf("'%s", text);
    export_cell(piece, safe);
    free(safe);
}

struct error *export_micro(wide usage, int64_t divisor_us, int64_t *ret_micro)
{
    bool negative = usage < 0;
    wide micro = wide_divide_half_up(negative ? -usage : usage, divisor_us);
    if (micro > INT64_MAX)
        return error_new(ERR_TOO_LARGE, "a line's usage is beyond what an export can hold");
    *ret_micro = negative ? -(int64_t)micro : (int64_t)micro;
    return NULL;
}

/* The magnitude, and whether there is a sign; INT64_MIN does not come out of export_micro. */
char *export_six(int64_t micro, char text[EXPORT_SIX])
{
    bool negative = micro < 0;
    uint64_t left = (uint64_t)(negative ? -micro : micro);
    char digits[EXPORT_SIX];
    size_t count = 0;
    while (left || count < 8) {
        digits[count++] = (char)('0' + left % 10);
        left /= 10;
        if (count == 6)
            digits[count++] = '.';
    }
    char *at = text;
    if (negative)
        *at++ = '-';
    while (count)
        *at++ = digits[--count];
    *at = '\0';
    return text;
}
