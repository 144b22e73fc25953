/* A server with a database, and callers: alice (unit-admin of u1), bob (unit-admin of u2), root
 * (platform-admin), each with a token, and carol (unit-operator of u1) with a client certificate. */
#ifndef TESTS_BROKER_HTTP_FIXTURE_H
#define TESTS_BROKER_HTTP_FIXTURE_H

#include "broker/auth/auth.h"
#include "broker/db/db.h"
#include "tests/support/h2.h"
#include "tests/support/https.h"
#include "tests/support/pg.h"

struct fixture {
    struct pg *pg;
    struct auth *auth;
    struct db *db; /* the application's role */
    struct arena *arena;
    struct https https;
    const char *alice, *bob, *root, *dave; /* tokens; dave operates system s1 of u1 */
    char carol_certificate[160], carol_key[160];
};
extern struct fixture fixture;

void fixture_start(void);
/* Starts the server with these settings and the fixture's database and callers. */
void fixture_serve(struct server_settings settings);
void fixture_stop(void);

/* Reads changed principals and tokens. */
void fixture_refresh(void);
/* Takes or gives back the advisory lock 4711 in a session of its own. */
void fixture_hold_lock(struct db *db, bool held);
/* Waits until the query gives at least this number; fails the test after 20 s. */
void fixture_until(const char *sql, int64_t least);

#endif
