/* A column of many rows as one array parameter, in PostgreSQL's binary form: for a statement that writes
 * thousands of rows at once, `INSERT … SELECT unnest($1::text[]), unnest($2::bigint[]) …`. Several times
 * cheaper than arrays of text that are cast there, on both sides. The statement's parameter must be an array
 * of exactly the column's type. */
#ifndef BROKER_DB_COLUMN_H
#define BROKER_DB_COLUMN_H

#include "broker/base/buf.h"
#include "broker/db/db.h"

enum db_column_type {
    DB_COLUMN_TEXT,   /* text[] */
    DB_COLUMN_INT,    /* bigint[] */
    DB_COLUMN_MOMENT, /* timestamptz[] */
    DB_COLUMN_WIDE,   /* numeric[] */
};

#define DB_COLUMN_BYTES_MAX ((size_t)64 << 20) /* of one column */

struct db_column {
    enum db_column_type type;
    size_t count;
    bool nulls;
    struct buf bytes; /* the array as it travels; its head is written by db_column_value */
};

struct db_column db_column_make(enum db_column_type type);
/* Adds the next row's value, of the column's type; a NULL text is SQL NULL. */
void db_column_text(struct db_column *column, const char *text);
void db_column_int(struct db_column *column, int64_t value);
void db_column_moment(struct db_column *column, moment at);
void db_column_end(struct db_column *column, moment at); /* of a column of moments; MOMENT_MAX is infinity */
void db_column_wide(struct db_column *column, wide value);
void db_column_null(struct db_column *column);
/* The parameter, borrowed from the column. A column that came to more than DB_COLUMN_BYTES_MAX, or that was
 * given a value of another type, makes the call that gets it fail, ERR_TOO_LARGE. */
struct db_value db_column_value(struct db_column *column);
/* How many of its bytes travel; after db_column_value. */
size_t db_column_length(const struct db_column *column);
/* Forgets the rows and keeps the room. */
void db_column_clear(struct db_column *column);
void db_column_done(struct db_column *column);
/* A new one that is done when the arena dies. */
struct db_column *db_column_in(struct arena *arena, enum db_column_type type);

#endif
