/* SQL of tests' own, over one connection that is kept: to look every few milliseconds makes no process each
 * time. */
#ifndef TESTS_SUPPORT_SQL_H
#define TESTS_SUPPORT_SQL_H

/* Runs `sql` (several statements allowed); each call finds the session as new. A server that is started anew,
 * or recovers, is waited for, half a minute at most. The first column of the first row as text, "" for NULL
 * or no row; the caller frees. Fails the cmocka test when it fails. */
char *sql_value(const char *conninfo, const char *sql);
/* Lets go of the connection. */
void sql_end(void);

#endif
