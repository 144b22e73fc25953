/* A real PostgreSQL of a test executable's own: the broker's embedded cluster in a new folder under TMPDIR
 * (or /tmp), without fsync, migrated with every migration of the house. It is stopped and its folder removed
 * on every ending: by pg_stop, at exit, or, when the test is killed, by a small process that waits for that.
 */
#ifndef TESTS_SUPPORT_PG_H
#define TESTS_SUPPORT_PG_H

#include <sys/types.h>

#include "broker/db/db.h"

struct pg;

/* Ends the test executable with a message when PostgreSQL cannot be had: exit code 77 (skipped) without its
 * programs, 1 otherwise. */
struct pg *pg_start(void);
/* Without the migrations: an empty database. */
struct pg *pg_start_empty(void);
void pg_stop(struct pg *pg);

/* For db_connect: the application's role, under row-level security. */
const char *pg_conninfo(const struct pg *pg);
/* The owner, who bypasses row-level security: for arranging and for looking at everything. */
const char *pg_owner_conninfo(const struct pg *pg);
/* A folder of this test's own, removed with it. */
const char *pg_folder(const struct pg *pg);
pid_t pg_postmaster(const struct pg *pg);

/* Runs SQL as the owner (several statements allowed); fails the cmocka test when it fails. */
void pg_exec(const struct pg *pg, const char *sql);
/* The first column of the first row as text, "" for NULL or no row; the caller frees. */
char *pg_value(const struct pg *pg, const char *sql);
int64_t pg_number(const struct pg *pg, const char *sql);

#endif
