/* Reading more rows than fit in memory, by a cursor; see db.h. The cursor has one name, so there is one at a
 * time, and FETCH is not prepared: its columns are another's the next time. */
#include <stdlib.h>
#include <string.h>

#include "broker/db/session.h"

#define TEXT_OF(number) TEXT_OF_(number)
#define TEXT_OF_(number) #number

struct db_stream {
    struct db *db;
    const struct db_statement *statement;
};

struct error *db_stream_open(struct db *db, const struct db_statement *statement,
                             const struct db_value *values, size_t count, struct db_stream **ret_stream)
{
    if (!db->in_transaction || db->stream)
        return error_new(ERR_INTERNAL, "%s: a stream outside a transaction, or a second one",
                         statement->name);
    TRY(db_run(db, statement, values, count, NULL));
    struct db_stream *stream = xcalloc(1, sizeof *stream);
    stream->db = db;
    stream->statement = statement;
    db->stream = stream;
    *ret_stream = stream;
    return NULL;
}

struct error *db_stream_next(struct db_stream *stream, struct db_rows **ret_rows)
{
    struct db *db = stream->db;
    if (!db || db->pipelining)
        return error_new(ERR_INTERNAL, "%s: its transaction is over, or a pipeline is open",
                         stream->statement->name);
    PGresult *result;
    TRY_DOING(db_command(db, "FETCH FORWARD " TEXT_OF(DB_STREAM_ROWS) " FROM db_stream", &result), "%s",
              stream->statement->name);
    *ret_rows = db_rows_new(result, stream->statement, false);
    return NULL;
}

void db_stream_close(struct db_stream *stream)
{
    if (!stream)
        return;
    struct db *db = stream->db;
    if (db) {
        db->stream = NULL;
        /* In a failed transaction or on a lost connection the cursor is gone by itself. */
        if (!db->pipelining && db->conn && PQtransactionStatus(db->conn) == PQTRANS_INTRANS)
            error_ignore(db_command(db, "CLOSE db_stream", NULL)); /* it ends with the transaction anyway */
    }
    free(stream);
}

void db_stream_forget(struct db *db)
{
    if (db->stream)
        db->stream->db = NULL;
    db->stream = NULL;
}
