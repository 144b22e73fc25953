/* See jobs.h. */
#include "tests/support/jobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AWAIT_US (60 * MOMENT_SECOND)

struct adding {
    const char *type, *key;
    const json_t *args;
    char *id;
};

static struct error *add_body(struct db *db, void *context)
{
    struct adding *adding = context;
    return job_add(db, adding->type, NULL, adding->key, adding->args, 0, adding->id);
}

void jobs_add(struct db *db, const char *type, const char *key, json_t *args, char ret_id[37])
{
    struct adding adding = {type, key, args, ret_id};
    struct error *error = db_transaction(db, &db_scope_system, DB_READ_COMMITTED, add_body, &adding);
    json_decref(args);
    if (error) {
        print_error("%s\n", error_message(error));
        error_free(error);
        fail();
    }
}

struct doing {
    struct error *(*what)(struct db *db, const char *id);
    const char *id;
};

static struct error *do_body(struct db *db, void *context)
{
    struct doing *doing = context;
    return doing->what(db, doing->id);
}

struct error *jobs_do(struct db *db, struct error *(*what)(struct db *db, const char *id), const char *id)
{
    struct doing doing = {what, id};
    return db_transaction(db, &db_scope_system, DB_READ_COMMITTED, do_body, &doing);
}

void jobs_await(const struct pg *pg, const char *query, const char *wanted)
{
    int64_t end = moment_monotonic() + AWAIT_US;
    PGconn *conn = PQconnectdb(pg_owner_conninfo(pg));
    for (;;) {
        PGresult *result = PQexec(conn, query);
        const char *got = PQntuples(result) ? PQgetvalue(result, 0, 0) : PQerrorMessage(conn);
        bool good = strcmp(got, wanted) == 0;
        if (good || moment_monotonic() > end) {
            if (!good)
                print_error("%s: \"%s\", wanted \"%s\"\n", query, got, wanted);
            PQclear(result);
            PQfinish(conn);
            if (!good)
                fail();
            return;
        }
        PQclear(result);
        struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
        (void)nanosleep(&pause, NULL); /* between looks; the loop has its bound */
    }
}

void jobs_await_state(const struct pg *pg, const char *id, const char *wanted)
{
    char *query = xasprintf("SELECT state FROM job WHERE id = '%s'", id);
    jobs_await(pg, query, wanted);
    free(query);
}
