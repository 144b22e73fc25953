/* Applying the migrations; see migrate.h. It has a connection of its own in libpq's simple protocol, for a
 * migration is a script of many statements. */
#include "broker/db/migrate.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/log.h"
#include "broker/db/session.h"

/* "yunqiao" in ASCII, so that it collides with nobody's number by accident. */
#define LOCK_SQL "SELECT pg_advisory_lock(x'79756e7169616f'::bigint)"

static const char table_sql[] = "CREATE TABLE IF NOT EXISTS schema_migration ("
                                " number integer PRIMARY KEY,"
                                " name text NOT NULL,"
                                " checksum text NOT NULL,"
                                " applied_at timestamptz NOT NULL DEFAULT now())";

static struct error *failed(PGconn *conn, const PGresult *result, const char *doing)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    struct error *error = db_lost(conn, doing);
    if (!state)
        return error;
    const char *line = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
    if (line)
        return error_recode(error, db_code_of(state), "at character %s", line);
    return error_recode(error, db_code_of(state), "SQLSTATE %s", state);
}

static struct error *run(PGconn *conn, const char *sql, const char *doing)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    struct error *error = NULL;
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        error = failed(conn, result, doing);
    PQclear(result);
    return error;
}

static void quiet(void *arg, const PGresult *result)
{
    (void)arg; /* libpq's form; notices of IF NOT EXISTS tell nothing */
    (void)result;
}

static struct error *open_session(const char *conninfo, PGconn **ret_conn)
{
    static const char *const names[] = {"connect_timeout", "application_name", "client_encoding", "dbname",
                                        NULL};
    const char *values[] = {"10", "yunqiao-migrate", "UTF8", conninfo, NULL};
    PGconn *conn = PQconnectdbParams(names, values, 1);
    struct error *error = NULL;
    if (PQstatus(conn) != CONNECTION_OK)
        error = db_lost(conn, "could not connect to the database");
    if (!error) {
        (void)PQsetNoticeReceiver(conn, quiet, NULL);
        error = run(conn, "SET TimeZone = 'UTC'; SET statement_timeout = 0", "could not set up the session");
    }
    if (error) {
        PQfinish(conn);
        return error;
    }
    *ret_conn = conn;
    return NULL;
}

static const struct migration *find(const struct migration *list, size_t count, int number)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].number == number)
            return &list[i];
    }
    return NULL;
}

/* Compares what the database has with the list; done[i] tells which of the list it has. */
static struct error *compare(PGconn *conn, const struct migration *list, size_t count, bool *done)
{
    PGresult *result = PQexec(conn, "SELECT number, name, checksum FROM schema_migration ORDER BY number");
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        struct error *error = failed(conn, result, "could not read which migrations were applied");
        PQclear(result);
        return error;
    }
    struct error *error = NULL;
    for (int row = 0; row < PQntuples(result) && !error; row++) {
        int number = (int)strtol(PQgetvalue(result, row, 0), NULL, 10); /* an integer column */
        const char *name = PQgetvalue(result, row, 1), *checksum = PQgetvalue(result, row, 2);
        const struct migration *known = find(list, count, number);
        if (!known)
            error = error_new(ERR_CONFLICT,
                              "the database has migration %04d_%s, which this program does not know: a newer "
                              "version has been here; run that version",
                              number, name);
        else if (strcmp(known->checksum, checksum) != 0)
            error =
                error_new(ERR_CONFLICT,
                          "migration %04d_%s was changed after it had been applied (%.12s then, %.12s now); "
                          "put the change into a new migration",
                          number, name, checksum, known->checksum);
        else
            done[known - list] = true;
    }
    PQclear(result);
    return error;
}

static struct error *apply(PGconn *conn, const struct migration *migration)
{
    TRY(run(conn, "BEGIN", "could not begin"));
    TRY(run(conn, migration->sql, "it failed"));
    if (PQtransactionStatus(conn) != PQTRANS_INTRANS)
        return error_new(ERR_INTERNAL, "it ends its own transaction");
    char number[16];
    (void)snprintf(number, sizeof number, "%d", migration->number); /* fits any int */
    const char *values[] = {number, migration->name, migration->checksum};
    PGresult *result =
        PQexecParams(conn, "INSERT INTO schema_migration (number, name, checksum) VALUES ($1, $2, $3)", 3,
                     NULL, values, NULL, NULL, 0);
    struct error *error = NULL;
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        error = failed(conn, result, "could not record it");
    PQclear(result);
    TRY(error);
    return run(conn, "COMMIT", "could not commit");
}

static struct error *apply_missing(PGconn *conn, const struct migration *list, size_t count, const bool *done,
                                   size_t *applied)
{
    for (size_t i = 0; i < count; i++) {
        if (done[i])
            continue;
        TRY_DOING(apply(conn, &list[i]), "migration %04d_%s", list[i].number, list[i].name);
        log_info("db.migrated", LOG_INT("number", list[i].number), LOG_TEXT("name", list[i].name));
        ++*applied;
    }
    return NULL;
}

static struct error *take_lock(PGconn *conn)
{
    char sql[64];
    (void)snprintf(sql, sizeof sql, "SET lock_timeout = '%ds'", MIGRATE_WAIT_SECONDS); /* a constant */
    TRY(run(conn, sql, "could not set the lock timeout"));
    TRY(run(conn, LOCK_SQL, "another process is migrating the database"));
    TRY(run(conn, "SET lock_timeout = '10s'", "could not set the lock timeout"));
    return run(conn, table_sql, "could not make the table of migrations");
}

struct error *migrate(const char *owner_conninfo, const struct migration *list, size_t count,
                      size_t *ret_applied)
{
    for (size_t i = 1; i < count; i++) {
        if (list[i].number <= list[i - 1].number)
            return error_new(ERR_INTERNAL, "migration %04d is out of order", list[i].number);
    }
    PGconn *conn;
    TRY(open_session(owner_conninfo, &conn));
    bool *done = xcalloc(count + 1, sizeof *done);
    size_t applied = 0;
    struct error *error = take_lock(conn);
    if (!error)
        error = compare(conn, list, count, done);
    if (!error)
        error = apply_missing(conn, list, count, done, &applied);
    free(done);
    PQfinish(conn); /* ends the lock and an unfinished transaction */
    if (!error && ret_applied)
        *ret_applied = applied;
    return error_wrap(error, "could not bring the database up to date");
}

struct error *migrate_check(const char *conninfo, const struct migration *list, size_t count)
{
    PGconn *conn;
    TRY(open_session(conninfo, &conn));
    bool *done = xcalloc(count + 1, sizeof *done);
    struct error *error = compare(conn, list, count, done);
    for (size_t i = 0; i < count && !error; i++) {
        if (!done[i])
            error = error_new(ERR_CONFLICT, "the database lacks migration %04d_%s: migrate it first",
                              list[i].number, list[i].name);
    }
    free(done);
    PQfinish(conn);
    return error;
}
