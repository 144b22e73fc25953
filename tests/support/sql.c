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

char *sql_value(const char *conninfo, const char *sql)
{
    bool again = fits(conninfo);
    PGconn *connection = again ? kept.connection : connect_to(conninfo);
    PGresult *result = PQexec(connection, sql);
    if (again && PQstatus(connection) != CONNECTION_OK) {
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
