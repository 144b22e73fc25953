/* What the files of broker/db share about one connection, and nobody else sees. A connection stays in libpq's
 * pipeline mode for life: every call queues items (BEGIN with the scope when they are due, Parse when a
 * statement is new here, the statement itself), ends them with one sync and collects the answers, so a call
 * is one round trip whatever it carries. */
#ifndef BROKER_DB_SESSION_H
#define BROKER_DB_SESSION_H

#include <libpq-fe.h>

#include "broker/db/db.h"

enum db_item_kind {
    DB_ITEM_BEGIN,
    DB_ITEM_SCOPE,
    DB_ITEM_COMMAND, /* fixed text: COMMIT, ROLLBACK, SAVEPOINT, LISTEN */
    DB_ITEM_PREPARE,
    DB_ITEM_STATEMENT,
};

struct db_item {
    enum db_item_kind kind;
    const struct db_statement *statement;
    int64_t least; /* rows that a statement must change; negative: any number */
};

#define DB_CHANNELS_MAX 8
#define DB_ITEMS_MAX 100000 /* statements in one pipeline */

struct db {
    char *conninfo;
    int64_t idle_us; /* the most inside a transaction, when shorter than the session's; 0: no wish */
    PGconn *conn;    /* NULL: lost, opened again on the next use outside a running transaction */

    const struct db_statement **prepared; /* on this connection: open addressing, a power of two */
    size_t prepared_count, prepared_size;

    struct db_item *items; /* sent and not yet answered */
    size_t item_count, item_size;

    bool in_transaction; /* inside db_transaction */
    bool begin_pending;  /* ... and BEGIN has not travelled yet */
    bool pipelining;     /* between db_pipeline_begin and db_pipeline_end */
    bool serialization;  /* a statement of this transaction got 40001 or 40P01 */
    bool lost_at_begin;  /* the connection was found dead by the batch that carried BEGIN */
    enum db_isolation isolation;
    const char *snapshot; /* of another transaction, to begin at; NULL: none */
    const struct db_scope *scope;

    char *channels[DB_CHANNELS_MAX]; /* listened to, again after each reconnection */
    size_t channel_count;
    struct db_stream *stream; /* of this transaction, or NULL */
    bool reconnected;         /* since the last db_wait: a notification may have been missed */
};

/* connection.c: an open connection, or the error. Inside a transaction whose BEGIN has travelled a lost
 * connection stays lost. */
struct error *db_ready(struct db *db) ERROR_MUST_USE;
/* Drops the connection, which is broken. */
void db_drop(struct db *db);

/* statement.c. Each queues; nothing travels before db_collect. */
struct error *db_send_command(struct db *db, enum db_item_kind kind, const char *sql) ERROR_MUST_USE;
struct error *db_send_statement(struct db *db, const struct db_statement *statement,
                                const struct db_value *values, size_t count, int64_t least) ERROR_MUST_USE;
/* BEGIN and the scope, when they are due. */
struct error *db_send_begin(struct db *db) ERROR_MUST_USE;
/* Syncs, reads every answer, and reports the first failure. *ret_last (may be NULL) gets the result of the
 * last item, on success alone. */
struct error *db_collect(struct db *db, PGresult **ret_last) ERROR_MUST_USE;
/* A fixed command by itself. */
struct error *db_command(struct db *db, const char *sql, PGresult **ret_result) ERROR_MUST_USE;

/* stream.c: the transaction is over. */
void db_stream_forget(struct db *db);

/* prepared.c: what this connection has prepared. */
struct error *db_prepared_find(struct db *db, const struct db_statement *statement,
                               bool *ret_found) ERROR_MUST_USE;
void db_prepared_add(struct db *db, const struct db_statement *statement);
void db_prepared_remove(struct db *db, const struct db_statement *statement);
void db_prepared_clear(struct db *db);

/* values.c: parameters as text, but for columns, which are binary. */
struct db_texts {
    const char *values[DB_PARAMS_MAX];
    int lengths[DB_PARAMS_MAX], formats[DB_PARAMS_MAX]; /* of binary ones; format 0 is text */
    char *owned[DB_PARAMS_MAX];
    char scratch[DB_PARAMS_MAX][WIDE_TEXT + 7];
};
struct error *db_texts_make(struct db_texts *texts, const struct db_value *values,
                            size_t count) ERROR_MUST_USE;
void db_texts_done(struct db_texts *texts);

/* sqlstate.c: the one place that maps SQLSTATEs. `statement` may be NULL. */
struct error *db_error(struct db *db, const PGresult *result,
                       const struct db_statement *statement) ERROR_MUST_USE;
enum error_code db_code_of(const char *sqlstate);
/* libpq's message without its newline and "ERROR:  " prefix, as ERR_UNAVAILABLE. */
struct error *db_lost(const PGconn *conn, const char *doing) ERROR_MUST_USE;

/* rows.c: takes the result over. */
struct db_rows *db_rows_new(PGresult *result, const struct db_statement *statement, bool binary);

#endif
