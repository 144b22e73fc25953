/* One PostgreSQL connection, used by one thread: static prepared statements, typed parameters and results,
 * transactions that are retried on serialization failure, and the caller's scope, which row-level security
 * repeats under every query.
 *
 * Statements are static const and prepared on first use of each connection; SQL is never formatted. A lost
 * connection is ERR_UNAVAILABLE and is opened again by the next use outside a transaction; one that died
 * while idle (the server was restarted) is opened again without anybody noticing. SQLSTATEs map to codes in
 * one place, sqlstate.c: 40001 and 40P01 ERR_SERIALIZATION, 23505 and 23P01 ERR_EXISTS, 23503 and 23514
 * ERR_CONFLICT (with the constraint's name in the message), 57014 ERR_TIMEOUT, 55P03 (lock_timeout) ERR_BUSY,
 * class 08, 57P0x, 53xxx, 25P03 and 25006 ERR_UNAVAILABLE, 42501 ERR_DENIED (what
 * exactly is logged, not told), everything else ERR_INTERNAL.
 *
 * Sessions run in UTC with statement_timeout 60s, lock_timeout 10s and idle_in_transaction_session_timeout
 * 60s, each unless the conninfo (options='-c …') or the role sets its own. Outside db_transaction no scope is
 * set: tables under row-level security look empty. */
#ifndef BROKER_DB_DB_H
#define BROKER_DB_DB_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"
#include "broker/base/moment.h"
#include "broker/base/money.h"

struct db;

/* `conninfo` is libpq's; several hosts with target_session_attrs=read-write work. */
struct error *db_connect(const char *conninfo, struct db **ret_db) ERROR_MUST_USE;
/* The same, for transactions that hold what others wait for: a client that stalls inside one, its machine
 * asleep or its network gone, keeps its locks for `idle_us` at most, or for less where the conninfo or the
 * role says so. Its next use of the connection is ERR_UNAVAILABLE. */
struct error *db_connect_idle(const char *conninfo, int64_t idle_us, struct db **ret_db) ERROR_MUST_USE;
void db_close(struct db *db);

struct db_statement {
    const char *name; /* unique in the program: "order_insert" */
    const char *sql;
};

struct db_column; /* column.h */
enum db_type { DB_NULL, DB_TEXT, DB_INT, DB_BOOL, DB_MOMENT, DB_WIDE, DB_JSON, DB_TEXTS, DB_COLUMN };

struct db_value {
    enum db_type type;
    union {
        const char *text;
        int64_t integer; /* DB_INT, DB_BOOL, DB_MOMENT */
        wide number;
        const json_t *json;
        struct {
            const char *const *items;
            size_t count;
        } texts;
        const struct db_column *column;
    };
};

/* NULL pointers become SQL NULL. */
static inline struct db_value db_text(const char *text)
{
    return text ? (struct db_value){.type = DB_TEXT, .text = text} : (struct db_value){.type = DB_NULL};
}
static inline struct db_value db_int(int64_t value)
{
    return (struct db_value){.type = DB_INT, .integer = value};
}
static inline struct db_value db_bool(bool value)
{
    return (struct db_value){.type = DB_BOOL, .integer = value};
}
static inline struct db_value db_moment(moment at) /* timestamptz */
{
    return (struct db_value){.type = DB_MOMENT, .integer = at};
}
static inline struct db_value db_wide(wide value) /* numeric */
{
    return (struct db_value){.type = DB_WIDE, .number = value};
}
static inline struct db_value db_json(const json_t *json) /* jsonb */
{
    return json ? (struct db_value){.type = DB_JSON, .json = json} : (struct db_value){.type = DB_NULL};
}
static inline struct db_value db_texts(const char *const *items, size_t count) /* text[] */
{
    return (struct db_value){.type = DB_TEXTS, .texts = {items, count}};
}
static inline struct db_value db_null(void)
{
    return (struct db_value){.type = DB_NULL};
}
#define DB_PARAMS_MAX 40
/* The parameter list of a call: db_run(db, &statement, DB_VALUES(db_text(id), db_int(n)), NULL). */
#define DB_VALUES(...)                      \
    (const struct db_value[]){__VA_ARGS__}, \
        sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value)
#define DB_NO_VALUES NULL, 0

/* Runs; `ret_changed` (may be NULL) gets the number of rows changed. Inside a pipeline and without
 * `ret_changed` it is queued instead, so that a store's functions can be used in both ways; its failure is
 * then told by the pipeline's end. */
struct error *db_run(struct db *db, const struct db_statement *statement, const struct db_value *values,
                     size_t count, int64_t *ret_changed) ERROR_MUST_USE;

struct db_rows;
struct error *db_query(struct db *db, const struct db_statement *statement, const struct db_value *values,
                       size_t count, struct db_rows **ret_rows) ERROR_MUST_USE;
/* The same, with results in binary form, which is several times cheaper for many rows: columns of text,
 * boolean, bigint and finite timestamptz alone. */
struct error *db_query_binary(struct db *db, const struct db_statement *statement,
                              const struct db_value *values, size_t count,
                              struct db_rows **ret_rows) ERROR_MUST_USE;
/* Exactly one row wanted: none is ERR_NOT_FOUND "no `what`". */
struct error *db_query_one(struct db *db, const struct db_statement *statement, const struct db_value *values,
                           size_t count, const char *what, struct db_rows **ret_rows) ERROR_MUST_USE;
void db_rows_free(struct db_rows *rows);
static inline void db_rows_cleanup(struct db_rows **rows)
{
    db_rows_free(*rows);
}
#define DB_ROWS_AUTO __attribute__((cleanup(db_rows_cleanup)))

/* Typed results. A value that does not parse as the type asked for is a bug in the statement: the process
 * ends, saying which statement and column. SQL NULL: NULL for text and json, 0 or false for the rest (ask
 * db_is_null first). */
size_t db_count(const struct db_rows *rows);
bool db_is_null(const struct db_rows *rows, size_t row, int column);
const char *db_get_text(const struct db_rows *rows, size_t row, int column); /* lives as long as the rows */
int64_t db_get_int(const struct db_rows *rows, size_t row, int column);
bool db_get_bool(const struct db_rows *rows, size_t row, int column);
moment db_get_moment(const struct db_rows *rows, size_t row, int column);
/* Of a query in binary form: MOMENT_MAX for 'infinity' and for NULL. */
moment db_get_end(const struct db_rows *rows, size_t row, int column);
wide db_get_wide(const struct db_rows *rows, size_t row, int column);
json_t *db_get_json(const struct db_rows *rows, size_t row, int column); /* new reference, the caller's */
/* text[] into an arena. */
const char **db_get_texts(const struct db_rows *rows, size_t row, int column, struct arena *arena,
                          size_t *ret_count);
/* Frees the rows when the arena dies, so that their text may be borrowed until then. Returns rows. */
struct db_rows *db_hold(struct arena *arena, struct db_rows *rows);

/* Who asks, for row-level security. Ids are comma-joined lists; NULL: none. `all`: sees every row (the
 * broker's own work, platform-admin, auditor). A row is seen when its unit is listed (and its system too,
 * when `systems` is given), or its cloud is, or its provider is. */
struct db_scope {
    bool all;
    const char *units;
    const char *systems;
    const char *clouds;
    const char *providers;
};
extern const struct db_scope db_scope_system; /* all */

/* DB_SNAPSHOT is repeatable read and read only: all statements see the database as it was at the first. */
enum db_isolation { DB_READ_COMMITTED, DB_SERIALIZABLE, DB_SNAPSHOT };

/* Runs `body` between BEGIN (with the scope set) and COMMIT; rolls back when it fails. BEGIN and the scope
 * travel with the body's first statement, and a body without statements costs no trip. `scope` NULL sees
 * nothing. ERR_SERIALIZATION, from the body or from COMMIT, runs it again up to DB_TRANSACTION_TRIES times
 * with jitter, so the body must not keep state between runs. Must not be nested. A connection lost during
 * COMMIT: ERR_TIMEOUT, "the outcome is unknown". */
#define DB_TRANSACTION_TRIES 8
struct error *db_transaction(struct db *db, const struct db_scope *scope, enum db_isolation isolation,
                             struct error *(*body)(struct db *db, void *context),
                             void *context) ERROR_MUST_USE;
bool db_in_transaction(const struct db *db);

/* One view of the database for several connections: exported inside a transaction, in force while that lasts.
 */
#define DB_SNAPSHOT_ID 64
struct error *db_snapshot_export(struct db *db, char ret_id[DB_SNAPSHOT_ID]) ERROR_MUST_USE;
/* A read-only transaction that sees what the exporting one saw. Run once: ERR_SERIALIZATION is the caller's.
 */
struct error *db_transaction_at(struct db *db, const struct db_scope *scope, const char *snapshot,
                                struct error *(*body)(struct db *db, void *context),
                                void *context) ERROR_MUST_USE;
/* What db_connect got; borrowed. */
const char *db_conninfo(const struct db *db);

/* A part of a transaction that may fail without failing the whole. */
struct error *db_savepoint(struct db *db, struct error *(*body)(struct db *db, void *context),
                           void *context) ERROR_MUST_USE;

/* Pipeline, inside a transaction alone: statements queued between begin and end travel together; end reports
 * the first failure. Only db_queue, and db_run without `ret_changed`, between the two. At least `least` rows
 * must change (negative: any number will do), else ERR_CONFLICT; what was queued behind has run by then, so
 * the transaction must fail. A pipeline still open when the body returns is ended there, and COMMIT travels
 * with it when it can (no counts to judge first, BEGIN answered before). At most 100,000 statements. */
struct error *db_pipeline_begin(struct db *db) ERROR_MUST_USE;
struct error *db_queue(struct db *db, const struct db_statement *statement, const struct db_value *values,
                       size_t count, int64_t least) ERROR_MUST_USE;
struct error *db_pipeline_end(struct db *db) ERROR_MUST_USE;

/* Rows that need not fit in memory: a cursor of the transaction, read in portions. The statement's text is
 * DB_STREAM("SELECT …"). One at a time on a connection; other statements may run between portions. Each
 * portion is a statement of its own to the timeouts. Outside a transaction ERR_INTERNAL. */
#define DB_STREAM(select) "DECLARE db_stream NO SCROLL CURSOR FOR " select
#define DB_STREAM_ROWS 1000 /* of a portion */
struct db_stream;
struct error *db_stream_open(struct db *db, const struct db_statement *statement,
                             const struct db_value *values, size_t count,
                             struct db_stream **ret_stream) ERROR_MUST_USE;
/* The next rows, the caller's; none: the end. */
struct error *db_stream_next(struct db_stream *stream, struct db_rows **ret_rows) ERROR_MUST_USE;
/* Also after its transaction has ended. NULL is fine. */
void db_stream_close(struct db_stream *stream);

/* LISTEN on a channel, outside transactions, at most 8 a connection, again after a reconnection; and wait for
 * a notification on any: *ret_notified when one came before the timeout, or when some may have been missed
 * because the connection had to be opened again. Returns early, not notified, when `wake_fd` (-1: none) is
 * readable. */
struct error *db_listen(struct db *db, const char *channel) ERROR_MUST_USE;
struct error *db_wait(struct db *db, int64_t timeout_us, int wake_fd, bool *ret_notified) ERROR_MUST_USE;

#endif
