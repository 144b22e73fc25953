/* Several statements in one round trip; see db.h. */
#include "broker/db/session.h"

struct error *db_pipeline_begin(struct db *db)
{
    if (!db->in_transaction)
        return error_new(ERR_INTERNAL, "a pipeline outside a transaction");
    if (db->pipelining)
        return error_new(ERR_INTERNAL, "a pipeline inside a pipeline");
    TRY(db_ready(db));
    TRY(db_send_begin(db));
    db->pipelining = true;
    return NULL;
}

struct error *db_queue(struct db *db, const struct db_statement *statement, const struct db_value *values,
                       size_t count, int64_t least)
{
    if (!db->pipelining)
        return error_new(ERR_INTERNAL, "%s: db_queue outside a pipeline", statement->name);
    if (!db->conn)
        return error_new(ERR_UNAVAILABLE, "the database connection was lost");
    return db_send_statement(db, statement, values, count, least);
}

struct error *db_pipeline_end(struct db *db)
{
    if (!db->pipelining)
        return error_new(ERR_INTERNAL, "db_pipeline_end outside a pipeline");
    db->pipelining = false;
    if (!db->conn)
        return error_new(ERR_UNAVAILABLE, "the database connection was lost");
    return db->item_count ? db_collect(db, NULL) : NULL;
}
