/* Reading CSV (RFC 4180) strictly, for tests of exports: every row must have as many cells as the header. */
#ifndef TESTS_METERING_TABLE_H
#define TESTS_METERING_TABLE_H

#include <stddef.h>

#include "broker/base/arena.h"

struct table {
    const char **cells; /* the header's first */
    size_t columns, rows;
};

/* Fails the test when it is not CSV. */
struct table table_read(struct arena *arena, const char *text);
/* The cell of a row (from 0, without the header) under this name; fails the test when there is none. */
const char *table_cell(const struct table *table, size_t row, const char *column);

#endif
