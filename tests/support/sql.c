/* See sql.h. */
#include "tests/support/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/arena.h"

#define TRIES 300
#define WAIT_US 100000

static struct {
    PGconn *connection;
    char *conninfo;
    pid_t owner; /* a process that forks from it makes its own */
} kept;

static bool is_main_thread(void)
{
    return gettid() == getpid();
}

void sql_end(void)
{
    if (kept.owner == getpid())
        PQfinish(kept.connection);
    free(kept.conninfo);
    kept.connection = NULL;
    kept.conninfo = NULL;
}

static bool fits(const char *conninfo)
{
    return is_main_thread() && kept.connection && kept.owner == getpid() && !strcmp(kept.conninfo, conninfo);
}

static PGconn *connect_to(const char *conninfo)
{
    PGconn *connection = PQconnectdb(conninfo);
    if (!is_main_thread())
        return connection;
    sql_end();
    kept.connection = connection;
    kept.conninfo = xstrdup(conninfo);
    kept.owner = getpid();
    return connection;
}

static bool worked(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* What the server says of a statement has a SQLSTATE; class 57 is its own end. */
static bool lost(const PGconn *connection, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return PQstatus(connection) != CONNECTION_OK ||
           (!worked(result) && (!state || strncmp(state, "57P", 3) == 0));
}

char *sql_value(const char *conninfo, const char *sql)
{
    PGconn *connection = fits(conninfo) ? kept.connection : connect_to(conninfo);
    PGresult *result = PQexec(connection, sql);
    for (int i = 0; lost(connection, result) && i < TRIES && is_main_thread(); i++) {
        (void)usleep(WAIT_US); /* a server that recovers tells nobody */
        PQclear(result);
        connection = connect_to(conninfo);
        result = PQexec(connection, sql);
    }
    char *value = worked(result) ? xstrdup(PQntuples(result) ? PQgetvalue(result, 0, 0) : "") : NULL;
    if (!value)
        print_error("%s: %s\n", sql, PQerrorMessage(connection));
    PQclear(result);
    if (!is_main_thread()) {
        PQfinish(connection);
    } else {
        result = PQexec(connection, "DISCARD ALL"); /* not in a transaction that was left open */
        if (!worked(result))
            sql_end();
        PQclear(result);
    }
    if (!value)
        fail();
    return value;
}
