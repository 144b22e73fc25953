/* Rows of test boots; see migration_test.h. */
#include <string.h>

#include "broker/base/id.h"
#include "broker/base/json.h"
#include "federation/migration_store.h"
#include "federation/migration_test.h"

static const struct db_statement add = {
    "migration_test_add",
    "INSERT INTO migration_test (unit_id, migration_id, number, id, system_id, clouds, providers, seconds,"
    " stays_seconds, expect_console, agent, principal, asked_at) SELECT m.unit_id, m.id, 1 + (SELECT count(*)"
    " FROM migration_test t WHERE t.unit_id = $1 AND t.migration_id = $2::uuid), $3, m.system_id, m.clouds,"
    " m.providers, $4, $5, $6, $7, $8, $9 FROM migration m WHERE m.unit_id = $1 AND m.id = $2::uuid"
    " AND (SELECT count(*) FROM migration_test t WHERE t.unit_id = $1 AND t.migration_id = $2::uuid) < $10"};
static const struct db_statement newest = {
    "migration_test_newest",
    "SELECT id, number, seconds, stays_seconds, expect_console, agent, booted_at, outcome, why"
    " FROM migration_test WHERE unit_id = $1 AND migration_id = $2 ORDER BY number DESC LIMIT 1"};
static const struct db_statement booted = {
    "migration_test_booted",
    "UPDATE migration_test t SET booted_at = $3, pass = m.passes FROM migration m WHERE t.unit_id = $1"
    " AND t.migration_id = $2 AND t.outcome IS NULL AND t.booted_at IS NULL AND m.unit_id = t.unit_id"
    " AND m.id = t.migration_id"};
static const struct db_statement end = {
    "migration_test_end", "UPDATE migration_test SET outcome = $3, why = $4, checks = $5, console = $6,"
                          " ended_at = $7 WHERE unit_id = $1 AND migration_id = $2 AND outcome IS NULL"};
/* Before the row's ending, which nothing changes any more. */
static const struct db_statement tell = {
    "migration_test_tell",
    "UPDATE migration m SET test = jsonb_build_object('number', t.number, 'outcome', $3::text, 'reason',"
    " $4::text, 'ended_at', rfc3339($5)) FROM migration_test t WHERE m.unit_id = $1 AND m.id = $2"
    " AND t.unit_id = m.unit_id AND t.migration_id = m.id AND t.outcome IS NULL"};
static const struct db_statement require = {
    "migration_test_require", "UPDATE migration SET test_required = $3 WHERE unit_id = $1 AND id = $2"};

struct error *migration_test_add(struct db *db, struct arena *arena, const struct migration_row *m,
                                 const struct migration_test_terms *terms, const char *principal, moment now)
{
    int64_t added;
    TRY(db_run(db, &add,
               DB_VALUES(db_text(m->unit), db_text(m->id), db_text(id_new_in(arena)), db_int(terms->seconds),
                         db_int(terms->stays_seconds), db_text(terms->expect_console), db_bool(terms->agent),
                         db_text(principal), db_moment(now), db_int(MIGRATION_TESTS_MAX)),
               &added));
    return added ? NULL
                 : error_new(ERR_CONFLICT, "it has been tested %d times, which is the most",
                             MIGRATION_TESTS_MAX);
}

struct error *migration_test_load(struct db *db, struct arena *arena, const struct migration_row *m,
                                  struct migration_test *ret_test)
{
    struct db_rows *rows;
    TRY(db_query(db, &newest, DB_VALUES(db_text(m->unit), db_text(m->id)), &rows));
    (void)db_hold(arena, rows);
    *ret_test = (struct migration_test){0};
    if (!db_count(rows))
        return NULL;
    *ret_test = (struct migration_test){.id = db_get_text(rows, 0, 0),
                                        .number = db_get_int(rows, 0, 1),
                                        .terms = {.seconds = db_get_int(rows, 0, 2),
                                                  .stays_seconds = db_get_int(rows, 0, 3),
                                                  .expect_console = db_get_text(rows, 0, 4),
                                                  .agent = db_get_bool(rows, 0, 5)},
                                        .booted_at = db_is_null(rows, 0, 6) ? 0 : db_get_moment(rows, 0, 6),
                                        .outcome = db_get_text(rows, 0, 7),
                                        .why = db_get_text(rows, 0, 8)};
    return NULL;
}

struct error *migration_test_booted(struct db *db, const struct migration_row *m, struct migration_test *test,
                                    moment now)
{
    TRY(db_run(db, &booted, DB_VALUES(db_text(m->unit), db_text(m->id), db_moment(now)), NULL));
    test->booted_at = now;
    return NULL;
}

struct error *migration_test_end(struct db *db, const struct migration_row *m,
                                 const struct migration_test_result *result, moment now)
{
    TRY(db_run(db, &tell,
               DB_VALUES(db_text(m->unit), db_text(m->id), db_text(result->outcome), db_text(result->why),
                         db_moment(now)),
               NULL));
    return db_run(db, &end,
                  DB_VALUES(db_text(m->unit), db_text(m->id), db_text(result->outcome), db_text(result->why),
                            result->checks ? db_json(result->checks) : db_null(), db_text(result->console),
                            db_moment(now)),
                  NULL);
}

struct error *migration_test_require(struct db *db, const struct migration_row *m, bool required)
{
    return db_run(db, &require, DB_VALUES(db_text(m->unit), db_text(m->id), db_bool(required)), NULL);
}
