/* Transactions, run again when the database asks for it, and savepoints; see db.h. BEGIN and the scope do not
 * travel by themselves: they go with the first statement of the body. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/base/id.h"
#include "broker/base/log.h"
#include "broker/db/session.h"

#define PAUSE_FIRST_US 1000
#define PAUSE_MOST_US 200000

bool db_in_transaction(const struct db *db)
{
    return db->in_transaction;
}

/* Between 0 and a bound that doubles: whoever collided does not collide again in step. */
static void pause_before(int next_try)
{
    int64_t bound = (int64_t)PAUSE_FIRST_US << next_try;
    if (bound > PAUSE_MOST_US)
        bound = PAUSE_MOST_US;
    uint64_t random;
    random_bytes(&random, sizeof random);
    int64_t wait = (int64_t)(random % (uint64_t)bound);
    struct timespec left = {.tv_nsec = wait * 1000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

static struct error *commit(struct db *db)
{
    if (db->begin_pending)
        return NULL;        /* the body asked nothing of the database */
    db->pipelining = false; /* what is still queued travels with COMMIT */
    if (!db->conn)
        return error_new(ERR_UNAVAILABLE, "the database connection was lost");
    PGresult *result;
    struct error *error = db_command(db, "COMMIT", &result);
    if (error && !db->conn)
        return error_recode(error, ERR_TIMEOUT, "the outcome of the transaction is unknown");
    TRY(error);
    bool committed = strcmp(PQcmdStatus(result), "COMMIT") == 0;
    PQclear(result);
    if (!committed)
        return error_new(ERR_INTERNAL, "the transaction was rolled back: a statement had failed and its "
                                       "error was not passed on");
    return NULL;
}

/* Leaves the connection outside any transaction, whatever it takes. */
static void roll_back(struct db *db)
{
    if (db->pipelining)
        error_ignore(db_pipeline_end(db)); /* the body failed for a reason of its own */
    if (db->begin_pending || !db->conn || PQtransactionStatus(db->conn) == PQTRANS_IDLE)
        return;
    struct error *error = db_command(db, "ROLLBACK", NULL);
    if (error && db->conn)
        db_drop(db); /* the server rolls back what is left of it */
    error_ignore(error);
}

/* COMMIT may travel with what an open pipeline holds: the server does not commit behind a failed statement.
 * Not when rows are to be counted first, and not with BEGIN: a connection that had died while idle is found
 * before anything can have been committed, and opened again. */
static bool takes_commit(const struct db *db)
{
    if (db->item_count && db->items[0].kind == DB_ITEM_BEGIN)
        return false;
    for (size_t i = 0; i < db->item_count; i++)
        if (db->items[i].least >= 0)
            return false;
    return true;
}

static struct error *attempt(struct db *db, struct error *(*body)(struct db *db, void *context),
                             void *context)
{
    db->begin_pending = true;
    db->serialization = db->lost_at_begin = false;
    struct error *error = body(db, context);
    if (!error && db->pipelining && !takes_commit(db))
        error = db_pipeline_end(db);
    bool unknown = false;
    if (!error) {
        error = commit(db);
        unknown = error && error_code(error) == ERR_TIMEOUT;
    }
    db_stream_forget(db);
    if (error)
        roll_back(db);
    if (unknown)
        db->serialization = db->lost_at_begin = false; /* never run again what may have been done */
    db->begin_pending = false;
    return error;
}

struct error *db_transaction(struct db *db, const struct db_scope *scope, enum db_isolation isolation,
                             struct error *(*body)(struct db *db, void *context), void *context)
{
    if (db->in_transaction)
        return error_new(ERR_INTERNAL, "a transaction inside a transaction");
    db->in_transaction = true;
    db->isolation = isolation;
    db->scope = scope;
    struct error *error;
    bool revived = false;
    for (int tries = 1;; tries++) {
        error = attempt(db, body, context);
        if (!error)
            break;
        if (db->lost_at_begin && !revived) { /* an idle connection had died: nothing was done on it */
            revived = true;
        } else if (!db->serialization && error_code(error) != ERR_SERIALIZATION) {
            break;
        } else if (tries == DB_TRANSACTION_TRIES) {
            error = error_wrap(error, "gave up after %d tries", tries);
            break;
        } else {
            pause_before(tries);
        }
        error_free(error);
    }
    db->in_transaction = false;
    db->scope = NULL;
    return error;
}

struct error *db_snapshot_export(struct db *db, char ret_id[DB_SNAPSHOT_ID])
{
    static const struct db_statement export = {"db_snapshot_export", "SELECT pg_export_snapshot()"};
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &export, DB_NO_VALUES, &rows));
    const char *id = db_get_text(rows, 0, 0);
    if (strlen(id) >= DB_SNAPSHOT_ID)
        return error_new(ERR_INTERNAL, "a snapshot's name is too long");
    memcpy(ret_id, id, strlen(id) + 1);
    return NULL;
}

struct error *db_transaction_at(struct db *db, const struct db_scope *scope, const char *snapshot,
                                struct error *(*body)(struct db *db, void *context), void *context)
{
    if (db->in_transaction)
        return error_new(ERR_INTERNAL, "a transaction inside a transaction");
    db->in_transaction = true;
    db->isolation = DB_SNAPSHOT;
    db->scope = scope;
    db->snapshot = snapshot;
    struct error *error = attempt(db, body, context);
    db->in_transaction = false;
    db->scope = NULL;
    db->snapshot = NULL;
    return error;
}

struct error *db_savepoint(struct db *db, struct error *(*body)(struct db *db, void *context), void *context)
{
    if (!db->in_transaction || db->pipelining)
        return error_new(ERR_INTERNAL, "a savepoint outside a transaction or inside a pipeline");
    TRY(db_command(db, "SAVEPOINT part", NULL));
    struct error *error = body(db, context);
    if (!error && db->pipelining)
        error = db_pipeline_end(db);
    if (!error)
        error =
            db_command(db, "RELEASE SAVEPOINT part", NULL); /* fails when the body kept a failure to itself */
    if (!error)
        return NULL;
    if (db->pipelining)
        error_ignore(db_pipeline_end(db)); /* the body failed for a reason of its own */
    if (!db->conn)
        return error;
    /* Names of savepoints nest: the innermost "part" is meant. */
    struct error *failed = db_command(db, "ROLLBACK TO SAVEPOINT part", NULL);
    if (!failed)
        failed = db_command(db, "RELEASE SAVEPOINT part", NULL);
    if (failed) {
        error_free(error);
        return error_wrap(failed, "could not roll back to a savepoint");
    }
    return error;
}
