/* Queueing statements on a connection and collecting their answers; db_run and db_query on top of it. See
 * session.h for how a call travels. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/db/session.h"

/* One SELECT, so that the four settings are one item. They end with the transaction. */
static const struct db_statement set_scope = {
    "db_set_scope",
    "SELECT set_config('yunqiao.all', $1, true), set_config('yunqiao.units', $2, true),"
    " set_config('yunqiao.systems', $3, true), set_config('yunqiao.clouds', $4, true),"
    " set_config('yunqiao.providers', $5, true)",
};

const struct db_scope db_scope_system = {.all = true};

static struct error *push_item(struct db *db, enum db_item_kind kind, const struct db_statement *statement,
                               int64_t least)
{
    if (db->item_count == DB_ITEMS_MAX)
        return error_new(ERR_TOO_LARGE, "more than %d statements in one pipeline", DB_ITEMS_MAX);
    if (db->item_count == db->item_size) {
        db->item_size = db->item_size ? db->item_size * 2 : 16;
        db->items = xrealloc(db->items, db->item_size, sizeof *db->items);
    }
    db->items[db->item_count++] = (struct db_item){kind, statement, least};
    return NULL;
}

static struct error *sending_failed(struct db *db)
{
    struct error *error = db_lost(db->conn, "the database connection was lost");
    if (db->in_transaction)
        db->lost_at_begin = db->item_count && db->items[0].kind == DB_ITEM_BEGIN;
    db_drop(db);
    return error;
}

struct error *db_send_command(struct db *db, enum db_item_kind kind, const char *sql)
{
    TRY(push_item(db, kind, NULL, -1));
    if (!PQsendQueryParams(db->conn, sql, 0, NULL, NULL, NULL, NULL, 0))
        return sending_failed(db);
    return NULL;
}

static struct error *send_prepare(struct db *db, const struct db_statement *statement)
{
    bool found;
    TRY(db_prepared_find(db, statement, &found));
    if (found)
        return NULL;
    TRY(push_item(db, DB_ITEM_PREPARE, statement, -1));
    db_prepared_add(db, statement); /* taken back by db_collect when the server refuses it */
    if (!PQsendPrepare(db->conn, statement->name, statement->sql, 0, NULL))
        return sending_failed(db);
    return NULL;
}

static struct error *send_prepared(struct db *db, enum db_item_kind kind,
                                   const struct db_statement *statement, const struct db_value *values,
                                   size_t count, int64_t least, bool binary)
{
    struct db_texts texts;
    TRY_DOING(db_texts_make(&texts, values, count), "%s", statement->name);
    struct error *error = send_prepare(db, statement);
    if (!error)
        error = push_item(db, kind, statement, least);
    if (!error && !PQsendQueryPrepared(db->conn, statement->name, (int)count, texts.values, texts.lengths,
                                       texts.formats, binary))
        error = sending_failed(db);
    db_texts_done(&texts);
    return error;
}

/* PostgreSQL takes no parameter here, so the name's characters are checked: hexadecimal digits and hyphens.
 */
static struct error *send_snapshot(struct db *db)
{
    char sql[DB_SNAPSHOT_ID + 32];
    if (!db->snapshot)
        return NULL;
    if (strspn(db->snapshot, "0123456789ABCDEFabcdef-") != strlen(db->snapshot) ||
        strlen(db->snapshot) >= DB_SNAPSHOT_ID)
        return error_new(ERR_INTERNAL, "not a snapshot's name");
    (void)snprintf(sql, sizeof sql, "SET TRANSACTION SNAPSHOT '%s'", db->snapshot); /* fits: checked above */
    return db_send_command(db, DB_ITEM_COMMAND, sql);
}

struct error *db_send_begin(struct db *db)
{
    static const struct db_scope nothing = {0};
    if (!db->begin_pending)
        return NULL;
    db->begin_pending = false;
    static const char *const begin[] = {
        [DB_READ_COMMITTED] = "BEGIN ISOLATION LEVEL READ COMMITTED",
        [DB_SERIALIZABLE] = "BEGIN ISOLATION LEVEL SERIALIZABLE",
        [DB_SNAPSHOT] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    };
    TRY(db_send_command(db, DB_ITEM_BEGIN, begin[db->isolation]));
    TRY(send_snapshot(db));
    const struct db_scope *scope = db->scope ? db->scope : &nothing;
    return send_prepared(
        db, DB_ITEM_SCOPE, &set_scope,
        DB_VALUES(db_text(scope->all ? "on" : "off"), db_text(scope->units ? scope->units : ""),
                  db_text(scope->systems ? scope->systems : ""), db_text(scope->clouds ? scope->clouds : ""),
                  db_text(scope->providers ? scope->providers : "")),
        -1, false);
}

struct error *db_send_statement(struct db *db, const struct db_statement *statement,
                                const struct db_value *values, size_t count, int64_t least)
{
    return send_prepared(db, DB_ITEM_STATEMENT, statement, values, count, least, false);
}

static int64_t rows_changed(PGresult *result)
{
    const char *text = PQcmdTuples(result);
    return *text ? strtoll(text, NULL, 10) : 0;
}

/* What one item's answer says. Items behind the first failure come back as aborted. */
static struct error *judge(struct db *db, const struct db_item *item, PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        break;
    case PGRES_PIPELINE_ABORTED:
        if (item->kind == DB_ITEM_PREPARE)
            db_prepared_remove(db, item->statement);
        return NULL; /* the failure before it is what to tell */
    default:
        if (item->kind == DB_ITEM_PREPARE)
            db_prepared_remove(db, item->statement);
        return db_error(db, result, item->statement);
    }
    if (item->least >= 0) {
        int64_t changed = rows_changed(result);
        if (changed < item->least)
            return error_new(ERR_CONFLICT, "%s changed %lld rows, at least %lld wanted",
                             item->statement->name, (long long)changed, (long long)item->least);
    }
    return NULL;
}

/* The answer to one item: a result, then NULL. False when the connection is gone. */
static bool take_answer(struct db *db, PGresult **ret_result)
{
    PGresult *result = PQgetResult(db->conn);
    if (!result)
        return false;
    for (PGresult *extra; (extra = PQgetResult(db->conn));)
        PQclear(extra);
    *ret_result = result;
    return true;
}

struct error *db_collect(struct db *db, PGresult **ret_last)
{
    if (!PQpipelineSync(db->conn))
        return sending_failed(db);
    struct error *error = NULL;
    PGresult *last = NULL;
    bool lost = false;
    size_t answered = 0;
    for (size_t i = 0; i < db->item_count && !lost; i++) {
        PQclear(last);
        last = NULL;
        lost = !take_answer(db, &last) || PQstatus(db->conn) != CONNECTION_OK;
        struct error *failed = last ? judge(db, &db->items[i], last) : NULL;
        if (error)
            error_free(failed);
        else
            error = failed;
        answered +=
            last && (PQresultStatus(last) == PGRES_COMMAND_OK || PQresultStatus(last) == PGRES_TUPLES_OK);
    }
    if (!lost) {
        PGresult *sync = PQgetResult(db->conn);
        lost = PQresultStatus(sync) != PGRES_PIPELINE_SYNC || PQstatus(db->conn) != CONNECTION_OK;
        PQclear(sync);
    }
    if (lost) {
        bool began = db->item_count && db->items[0].kind == DB_ITEM_BEGIN;
        PQclear(last);
        if (!error || error_code(error) != ERR_UNAVAILABLE) {
            error_free(error);
            error = db_lost(db->conn, "the database connection was lost");
        }
        db->lost_at_begin = began && answered == 0;
        db_drop(db);
        return error;
    }
    db->item_count = 0;
    if (ret_last && !error)
        *ret_last = last;
    else
        PQclear(last);
    return error;
}

struct error *db_command(struct db *db, const char *sql, PGresult **ret_result)
{
    TRY(db_ready(db));
    TRY(db_send_begin(db));
    TRY(db_send_command(db, DB_ITEM_COMMAND, sql));
    return db_collect(db, ret_result);
}

static struct error *execute(struct db *db, const struct db_statement *statement,
                             const struct db_value *values, size_t count, bool binary, PGresult **ret_result)
{
    if (db->pipelining)
        return error_new(ERR_INTERNAL, "%s: its answer cannot be had inside a pipeline", statement->name);
    TRY(db_ready(db));
    struct error *error = db_send_begin(db);
    if (!error)
        error = send_prepared(db, DB_ITEM_STATEMENT, statement, values, count, -1, binary);
    if (error && db->conn && db->item_count) { /* what was queued before must still be answered */
        error_ignore(db_collect(db, NULL));    /* the reason is what stopped the sending */
        return error;
    }
    TRY(error);
    return db_collect(db, ret_result);
}

struct error *db_run(struct db *db, const struct db_statement *statement, const struct db_value *values,
                     size_t count, int64_t *ret_changed)
{
    if (db->pipelining && !ret_changed)
        return db_queue(db, statement, values, count, -1);
    PGresult *result;
    TRY(execute(db, statement, values, count, false, &result));
    if (ret_changed)
        *ret_changed = rows_changed(result);
    PQclear(result);
    return NULL;
}

struct error *db_query(struct db *db, const struct db_statement *statement, const struct db_value *values,
                       size_t count, struct db_rows **ret_rows)
{
    PGresult *result;
    TRY(execute(db, statement, values, count, false, &result));
    *ret_rows = db_rows_new(result, statement, false);
    return NULL;
}

struct error *db_query_binary(struct db *db, const struct db_statement *statement,
                              const struct db_value *values, size_t count, struct db_rows **ret_rows)
{
    PGresult *result;
    TRY(execute(db, statement, values, count, true, &result));
    *ret_rows = db_rows_new(result, statement, true);
    return NULL;
}

struct error *db_query_one(struct db *db, const struct db_statement *statement, const struct db_value *values,
                           size_t count, const char *what, struct db_rows **ret_rows)
{
    struct db_rows *rows;
    TRY(db_query(db, statement, values, count, &rows));
    size_t found = db_count(rows);
    if (found == 1) {
        *ret_rows = rows;
        return NULL;
    }
    db_rows_free(rows);
    if (found)
        return error_new(ERR_INTERNAL, "%s gave %zu rows, one wanted", statement->name, found);
    return error_new(ERR_NOT_FOUND, "no %s", what);
}
