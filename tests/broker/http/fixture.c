/* See fixture.h. */
#include "tests/broker/http/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "broker/auth/principal_store.h"

struct fixture fixture;

static void ok(struct error *error)
{
    if (error)
        fail_msg("%s", error_message(error));
}

static moment now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    return (moment)at.tv_sec * MOMENT_SECOND;
}

struct caller {
    struct principal_row row;
    const char *token;
};

static struct error *add_caller(struct db *db, void *context)
{
    struct caller *caller = context;
    return principal_store_insert(db, &caller->row, now());
}

static struct error *add_token(struct db *db, void *context)
{
    struct caller *caller = context;
    const char *jti;
    return auth_issue_token(fixture.auth, db, NULL, caller->row.grant.id, MOMENT_HOUR, now(), fixture.arena,
                            &caller->token, &jti);
}

static const char *make_bound(const char *id, enum role role, const char *unit, const char *certificate,
                              const char *const *systems, size_t system_count)
{
    struct caller caller = {
        .row = {
            .grant = {.id = id, .role = role, .unit = unit, .systems = systems, .system_count = system_count},
            .certificate = certificate}};
    ok(db_transaction(fixture.db, &db_scope_system, DB_READ_COMMITTED, add_caller, &caller));
    ok(auth_refresh(fixture.auth, fixture.db, now()));
    ok(db_transaction(fixture.db, &db_scope_system, DB_READ_COMMITTED, add_token, &caller));
    return caller.token;
}

static const char *make(const char *id, enum role role, const char *unit, const char *certificate)
{
    return make_bound(id, role, unit, certificate, NULL, 0);
}

void fixture_start(void)
{
    fixture = (struct fixture){.arena = arena_new()};
    fixture.pg = pg_start();
    ok(db_connect(pg_conninfo(fixture.pg), &fixture.db));
    const char *key_dir = arena_printf(fixture.arena, "%s/keys", pg_folder(fixture.pg));
    ok(auth_new(key_dir, fixture.db, now(), &fixture.auth));
    snprintf(fixture.carol_certificate, sizeof fixture.carol_certificate, "%s/carol.pem",
             pg_folder(fixture.pg));
    snprintf(fixture.carol_key, sizeof fixture.carol_key, "%s/carol.key", pg_folder(fixture.pg));
    char fingerprint[65];
    https_certificate(fixture.carol_certificate, fixture.carol_key, fingerprint);
    fixture.alice = make("alice", ROLE_UNIT_ADMIN, "u1", NULL);
    fixture.bob = make("bob", ROLE_UNIT_ADMIN, "u2", NULL);
    fixture.root = make("root", ROLE_PLATFORM_ADMIN, NULL, NULL);
    static const char *const systems[] = {"s1"};
    fixture.dave = make_bound("dave", ROLE_UNIT_OPERATOR, "u1", NULL, systems, 1);
    (void)make("carol", ROLE_UNIT_OPERATOR, "u1", fingerprint);
    ok(auth_refresh(fixture.auth, fixture.db, now()));
}

void fixture_refresh(void)
{
    ok(auth_refresh(fixture.auth, fixture.db, now()));
}

void fixture_serve(struct server_settings settings)
{
    settings.auth = fixture.auth;
    settings.conninfo = pg_conninfo(fixture.pg);
    https_start(&fixture.https, settings);
}

void fixture_stop(void)
{
    https_stop(&fixture.https);
    auth_free(fixture.auth);
    db_close(fixture.db);
    pg_stop(fixture.pg);
    arena_free(fixture.arena);
}

static const struct db_statement lock = {"test_lock", "SELECT pg_advisory_lock(4711)::text"};
static const struct db_statement unlock = {"test_unlock", "SELECT pg_advisory_unlock(4711)::text"};

static struct error *lock_body(struct db *db, void *context)
{
    struct db_rows *rows DB_ROWS_AUTO = NULL;
    return db_query(db, context ? &lock : &unlock, DB_NO_VALUES, &rows);
}

void fixture_hold_lock(struct db *db, bool held)
{
    ok(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, lock_body, held ? db : NULL));
}

void fixture_until(const char *sql, int64_t least)
{
    int64_t until = moment_monotonic() + 20 * MOMENT_SECOND;
    int64_t found;
    while ((found = pg_number(fixture.pg, sql)) < least && moment_monotonic() < until)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    if (found < least)
        fail_msg("%lld, wanted %lld: %s", (long long)found, (long long)least, sql);
}
