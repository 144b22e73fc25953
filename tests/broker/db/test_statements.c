/* Every static statement of the program, prepared on the migrated schema as a connection of the broker does
 * it: what the server refuses here, a type above all, would be refused at the statement's first use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>
#include <libpq-fe.h>

#include "broker/base/moment.h"
#include "tests/support/pg.h"
#include "tests/support/process.h"

#define STATEMENTS_MAX 5000

/* Whether the server takes it; says why not. */
static bool prepare(PGconn *conn, const char *line)
{
    const char *file, *name, *sql;
    json_t *json = json_loads(line, 0, NULL);
    assert_int_equal(json_unpack(json, "[s, s, s]", &file, &name, &sql), 0);
    PGresult *result = PQprepare(conn, name, sql, 0, NULL);
    bool taken = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!taken)
        print_error("%s: statement \"%s\": %s", file, name, PQresultErrorMessage(result));
    PQclear(result);
    json_decref(json);
    return taken;
}

static void every_statement_is_taken(void **state)
{
    (void)state;
    struct pg *pg = pg_start();
    PGconn *conn = PQconnectdb(pg_conninfo(pg));
    assert_int_equal(PQstatus(conn), CONNECTION_OK);
    const char *const argv[] = {"python3", SOURCE_DIR "/tests/broker/db/statements.py", SOURCE_DIR,
                                BINARY_DIR, NULL};
    struct process *reader = process_start(argv, NULL);
    const char *line;
    long long count = 0, refused = 0;
    while ((line = process_line(reader, 300 * MOMENT_SECOND)) && *line == '[' && count < STATEMENTS_MAX) {
        count++;
        refused += !prepare(conn, line);
    }
    /* The last line counts them; without it the reader stumbled and has said why. */
    assert_non_null(line);
    assert_int_equal(strtoll(line, NULL, 10), count);
    assert_true(count > 0);
    (void)process_stop(reader);
    print_message("%lld statements, %lld refused\n", count, refused);
    assert_int_equal(refused, 0);
    PQfinish(conn);
    pg_stop(pg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_statement_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
