/* Exports: the lines of closed bills in the formats that others read, at constant memory. What reads the
 * lines is here; every format is a file of its own (export_csv.c, export_jsonl.c, export_focus.c,
 * export_xlsx.c), and export_api.c streams them. Within the caller's transaction, whose scope says which
 * lines there are. */
#ifndef METERING_EXPORT_H
#define METERING_EXPORT_H

#include <stdbool.h>

#include "broker/base/buf.h"
#include "broker/http/http.h"
#include "metering/bill.h"

/* NULL: whatever; `month` or `bill` (with its `unit`) is given. */
struct export_filter {
    const char *month; /* of the bill */
    const char *bill, *unit, *system, *cloud, *provider, *item;
};

/* A line as it is read: text lives until the next portion. */
struct export_line {
    struct bill_line line;
    const char *bill; /* id */
    const char *month;
    const char *provider_name;
    int64_t number; /* of the line on its bill */
};

/* Lines by unit, bill and number. */
struct export_lines;
struct error *export_lines_open(struct db *db, const struct export_filter *filter,
                                struct export_lines **ret_lines) ERROR_MUST_USE;
/* The next line, valid until the next call; NULL: the end. */
struct error *export_lines_next(struct export_lines *lines,
                                const struct export_line **ret_line) ERROR_MUST_USE;
/* Whether the next line is another portion, so a good moment to hand over what there is. */
bool export_lines_portion(const struct export_lines *lines);
void export_lines_close(struct export_lines *lines);

/* A format that is text, line by line. */
struct export_format {
    const char *name, *suffix, *content_type;
    void (*begin)(struct buf *piece, bool bom); /* the header; NULL: none */
    struct error *(*line)(struct buf *piece, const struct export_line *line);
};
extern const struct export_format export_csv, export_jsonl, export_focus;

/* export_xlsx.c: makes a workbook in a temporary file and then sends it. In the call's arena; `filter` is
 * copied, its text borrowed. */
#define EXPORT_XLSX_TYPE "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
struct http_source *export_xlsx_source(struct http_call *call, const struct export_filter *filter);

/* One cell of RFC 4180, quoted when it must be. `export_text` is for what people wrote: a spreadsheet would
 * take text that begins with = + - @ or a control character for a formula, so that is led by an apostrophe.
 */
void export_cell(struct buf *piece, const char *text);
void export_text(struct buf *piece, const char *text);

/* usage ÷ divisor in micro-units, half up in size; the divisor leaves micro-units (statement.h). Refused
 * beyond 64 bits. */
struct error *export_micro(wide usage, int64_t divisor_us, int64_t *ret_micro) ERROR_MUST_USE;
/* "-12.500000": always six decimals. */
#define EXPORT_SIX 28
char *export_six(int64_t micro, char text[EXPORT_SIX]);

#endif
