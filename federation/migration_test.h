/* Test boots of a move: what somebody wants to see, and what was seen. The target's disks as the last pass
 * left them are started under another stamp, without a way to anything (drivers/driver_move.h, "Test boots"),
 * looked at, and taken away again; the move goes on afterwards whatever came out. Rows of migration_test
 * (schema/4001_test_boot.sql), within the caller's transaction; the effects are migration_test.c's. */
#ifndef FEDERATION_MIGRATION_TEST_H
#define FEDERATION_MIGRATION_TEST_H

#include <jansson.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"

struct migration_row;

#define MIGRATION_TESTS_MAX 100 /* of one move */
#define MIGRATION_TEST_SECONDS_DEFAULT 300
#define MIGRATION_TEST_SECONDS_MAX 3600
#define MIGRATION_TEST_STAYS_DEFAULT 30
#define MIGRATION_TEST_CONSOLE_MAX 4096 /* bytes that are kept of what the guest printed last */

/* It passes once it has run for `stays_seconds` without a break and everything else was seen; what was not
 * seen `seconds` after its start has failed. */
struct migration_test_terms {
    int64_t seconds, stays_seconds;
    const char
        *expect_console; /* text that its console must show; NULL: anything, where there is a console */
    bool agent;          /* a guest agent must answer */
};

struct migration_test {
    const char *id; /* stamp of its instance; NULL: there is no test */
    int64_t number;
    struct migration_test_terms terms;
    moment booted_at;    /* 0: not yet */
    const char *outcome; /* "passed", "failed", "cancelled"; NULL: it is not over */
    const char *why;
};

/* What a test has shown. */
struct migration_test_result {
    const char *outcome, *why; /* why NULL: it passed */
    json_t *checks;            /* [{"check", "passed", "detail"}]; NULL: it was not looked at */
    const char *console;       /* cleaned; NULL: none */
};

/* ERR_CONFLICT when it has been tested MIGRATION_TESTS_MAX times. */
struct error *migration_test_add(struct db *db, struct arena *arena, const struct migration_row *migration,
                                 const struct migration_test_terms *terms, const char *principal,
                                 moment now) ERROR_MUST_USE;
/* The newest one. */
struct error *migration_test_load(struct db *db, struct arena *arena, const struct migration_row *migration,
                                  struct migration_test *ret_test) ERROR_MUST_USE;
struct error *migration_test_booted(struct db *db, const struct migration_row *migration,
                                    struct migration_test *test, moment now) ERROR_MUST_USE;
/* The test that is not over, if there is one: it is from now on. Also tells it in migration.test, for lists.
 */
struct error *migration_test_end(struct db *db, const struct migration_row *migration,
                                 const struct migration_test_result *result, moment now) ERROR_MUST_USE;
/* Whether there is no cut-over without a test that has passed. */
struct error *migration_test_require(struct db *db, const struct migration_row *migration,
                                     bool required) ERROR_MUST_USE;

/* What of a console is kept: its last lines, at most MIGRATION_TEST_CONSOLE_MAX bytes, as UTF-8 without
 * escape sequences and control characters. */
const char *migration_test_console(struct arena *arena, const char *text, size_t length);

#endif
