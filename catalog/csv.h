/* Reads a CSV table with a header row (RFC 4180: quoted cells, doubled quotes, CR LF or LF). The one loader
 * of the catalog's data files; item.c gives the cells their meaning. */
#ifndef CATALOG_CSV_H
#define CATALOG_CSV_H

#include <stddef.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"

#define CSV_COLUMNS_MAX 64
#define CSV_ROWS_MAX 100000

struct csv {
    size_t columns, rows; /* rows without the header */
    const char **cells;   /* (1 + rows) × columns, the header first; in the arena */
};

/* ERR_INVALID, with the line, for a row of another width, an open quote, text after a closing quote, two
 * columns of one name or a NUL; ERR_TOO_LARGE beyond the caps. */
struct error *csv_parse(struct arena *arena, const char *text, size_t length,
                        struct csv *ret_csv) ERROR_MUST_USE;
/* NULL when the table has no such column; row < rows. */
const char *csv_cell(const struct csv *csv, size_t row, const char *column);

#endif
