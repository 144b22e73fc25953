/* The audit trail against a real database: late commits, two sealers, grants, scopes, and every way to tamper
 * that the chain must show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/audit.h"
#include "tests/support/pg.h"

#define NOW (INT64_C(1800000000) * MOMENT_SECOND)

static struct pg *pg;

struct fixture {
    struct db *db, *other;
    struct arena *arena;
};

static void ok(struct error *error)
{
    if (error)
        fail_msg("%s", error_message(error));
}

static int start(void **state)
{
    pg = pg_start();
    return 0;
}

static int stop(void **state)
{
    pg_stop(pg);
    return 0;
}

/* What only a superuser can do, and the triggers against it must first be switched off. */
static void tamper(const char *sql)
{
    char *text =
        xasprintf("SET session_replication_role = replica; %s; SET session_replication_role = origin", sql);
    pg_exec(pg, text);
    free(text);
}

static int setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    fixture->arena = arena_new();
    tamper("DELETE FROM audit; DELETE FROM audit_link");
    ok(db_connect(pg_conninfo(pg), &fixture->db));
    ok(db_connect(pg_conninfo(pg), &fixture->other));
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    db_close(fixture->db);
    db_close(fixture->other);
    arena_free(fixture->arena);
    free(fixture);
    return 0;
}

static struct error *add_body(struct db *db, void *context)
{
    const char *unit = context;
    json_t *details = json_pack("{s:s, s:{s:i}}", "z", "数据 \"x\"", "a", "n", 1);
    const struct audit_entry entry = {.at = NOW,
                                      .principal = "alice",
                                      .action = "orders:write",
                                      .method = "POST",
                                      .path = "/v1/orders",
                                      .unit = unit,
                                      .subject = "01890a5d",
                                      .status = 202,
                                      .details = details};
    struct error *error = audit_add(db, &entry);
    json_decref(details);
    return error;
}

static void add(struct db *db, const char *unit, const struct db_scope *scope)
{
    ok(db_transaction(db, scope, DB_READ_COMMITTED, add_body, (void *)(uintptr_t)unit));
}

static void add_many(struct fixture *fixture, int count)
{
    for (int i = 0; i < count; i++)
        add(fixture->db, i % 3 ? "u1" : NULL, &db_scope_system);
}

static size_t seal(struct fixture *fixture)
{
    size_t sealed;
    ok(audit_seal(fixture->db, AUDIT_SEAL_MAX, &sealed));
    return sealed;
}

static struct audit_verdict verify(struct fixture *fixture, const struct audit_anchor *anchor)
{
    struct audit_verdict verdict;
    ok(audit_verify(fixture->db, anchor, fixture->arena, &verdict));
    return verdict;
}

static void assert_whole(struct fixture *fixture, int64_t rows, int64_t unsealed)
{
    struct audit_verdict verdict = verify(fixture, NULL);
    if (!verdict.whole)
        fail_msg("broken at %lld: %s", (long long)verdict.broken_at, verdict.what);
    assert_int_equal(verdict.rows, rows);
    assert_int_equal(verdict.unsealed, unsealed);
}

static void assert_broken(struct fixture *fixture, const struct audit_anchor *anchor, int64_t at,
                          const char *what)
{
    struct audit_verdict verdict = verify(fixture, anchor);
    assert_false(verdict.whole);
    assert_int_equal(verdict.broken_at, at);
    if (!strstr(verdict.what, what))
        fail_msg("\"%s\" lacks \"%s\"", verdict.what, what);
}

static void test_seal_and_verify(void **state)
{
    struct fixture *fixture = *state;
    assert_whole(fixture, 0, 0);
    assert_int_equal(seal(fixture), 0);
    add_many(fixture, 5);
    assert_whole(fixture, 0, 5);
    size_t sealed;
    ok(audit_seal(fixture->db, 3, &sealed));
    assert_int_equal(sealed, 3);
    assert_whole(fixture, 3, 2);
    assert_int_equal(seal(fixture), 2);
    assert_int_equal(seal(fixture), 0);
    assert_whole(fixture, 5, 0);
}

/* More than one page of the verifier and one of the sealer. */
static void test_many(void **state)
{
    struct fixture *fixture = *state;
    pg_exec(
        pg,
        "INSERT INTO audit (at, action, status) SELECT now(), 'x:write', 200 FROM generate_series(1, 2300)");
    assert_int_equal(seal(fixture), AUDIT_SEAL_MAX);
    assert_int_equal(seal(fixture), AUDIT_SEAL_MAX);
    assert_int_equal(seal(fixture), 300);
    assert_whole(fixture, 2300, 0);
    tamper("UPDATE audit SET status = 201 WHERE id = (SELECT audit_id FROM audit_link WHERE number = 1700)");
    assert_broken(fixture, NULL, 1700, "changed");
}

struct late {
    struct fixture *fixture;
    size_t sealed_meanwhile;
};

/* A transaction that wrote first and commits last. */
static struct error *late_body(struct db *db, void *context)
{
    struct late *late = context;
    TRY(add_body(db, NULL));
    add(late->fixture->other, NULL, &db_scope_system); /* younger, committed at once */
    return audit_seal(late->fixture->other, AUDIT_SEAL_MAX, &late->sealed_meanwhile);
}

static void test_late_commit(void **state)
{
    struct fixture *fixture = *state;
    struct late late = {.fixture = fixture};
    ok(db_transaction(fixture->db, &db_scope_system, DB_READ_COMMITTED, late_body, &late));
    assert_int_equal(late.sealed_meanwhile, 0);
    assert_int_equal(seal(fixture), 2);
    assert_whole(fixture, 2, 0);
    assert_int_equal(pg_number(pg, "SELECT count(*) FROM audit a JOIN audit_link l ON l.audit_id = a.id"), 2);
}

static struct error *fail_body(struct db *db, void *context)
{
    TRY(add_body(db, NULL));
    return error_new(ERR_CONFLICT, "on purpose");
}

static void test_rollback_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    add_many(fixture, 1);
    struct error *error = db_transaction(fixture->db, &db_scope_system, DB_READ_COMMITTED, fail_body, NULL);
    assert_int_equal(error_code(error), ERR_CONFLICT);
    error_free(error);
    add_many(fixture, 1);
    assert_int_equal(seal(fixture), 2);
    assert_whole(fixture, 2, 0);
}

struct worker {
    pthread_t thread;
    bool seals;
    struct error *error;
    size_t sealed;
};

static void *work(void *context)
{
    struct worker *worker = context;
    struct db *db = NULL;
    worker->error = db_connect(pg_conninfo(pg), &db);
    for (int i = 0; i < 100 && !worker->error; i++) {
        size_t sealed = 0;
        worker->error = worker->seals
                            ? audit_seal(db, 7, &sealed)
                            : db_transaction(db, &db_scope_system, DB_READ_COMMITTED, add_body, NULL);
        worker->sealed += sealed;
    }
    db_close(db);
    return NULL;
}

static void test_sealers_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct worker workers[4] = {{.seals = true}, {.seals = true}, {.seals = false}, {.seals = false}};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    size_t sealed = 0;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        ok(workers[i].error);
        sealed += workers[i].sealed;
    }
    sealed += seal(fixture);
    assert_int_equal(sealed, 200);
    assert_whole(fixture, 200, 0);
}

/* The application's role may add and read, nothing else; nor may the owner, while the triggers stand. */
static void test_append_only(void **state)
{
    struct fixture *fixture = *state;
    add_many(fixture, 1);
    assert_int_equal(seal(fixture), 1);
    static const struct db_statement forbidden[] = {
        {"t_update", "UPDATE audit SET status = 200"},
        {"t_delete", "DELETE FROM audit"},
        {"t_truncate", "TRUNCATE audit"},
        {"t_update_link", "UPDATE audit_link SET number = 9"},
        {"t_delete_link", "DELETE FROM audit_link"},
        {"t_truncate_link", "TRUNCATE audit_link"},
        {"t_triggers", "ALTER TABLE audit DISABLE TRIGGER ALL"},
    };
    struct db *owner;
    ok(db_connect(pg_owner_conninfo(pg), &owner));
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        struct error *error = db_run(fixture->db, &forbidden[i], DB_NO_VALUES, NULL);
        assert_int_equal(error_code(error), ERR_DENIED);
        error_free(error);
        if (i == sizeof forbidden / sizeof *forbidden - 1)
            break;
        error = db_run(owner, &forbidden[i], DB_NO_VALUES, NULL);
        assert_int_equal(error_code(error), ERR_DENIED);
        error_free(error);
    }
    db_close(owner);
    assert_whole(fixture, 1, 0);
}

struct counting {
    int64_t seen;
};

static struct error *count_body(struct db *db, void *context)
{
    static const struct db_statement count = {"t_count", "SELECT count(*) FROM audit"};
    struct counting *counting = context;
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &count, DB_NO_VALUES, "count", &rows));
    counting->seen = db_get_int(rows, 0, 0);
    return NULL;
}

/* Every caller's rows are written, also those that it cannot read. */
static void test_scopes(void **state)
{
    struct fixture *fixture = *state;
    const struct db_scope u1 = {.units = "u1"}, none = {0};
    add(fixture->db, "u1", &u1);
    add(fixture->db, "u2", &u1);
    add(fixture->db, NULL, &u1);
    add(fixture->db, NULL, &none);
    const struct {
        const struct db_scope *scope;
        int64_t seen;
    } cases[] = {{&u1, 1}, {&none, 0}, {&db_scope_system, 4}};
    for (size_t i = 0; i < 3; i++) {
        struct counting counting;
        ok(db_transaction(fixture->db, cases[i].scope, DB_READ_COMMITTED, count_body, &counting));
        assert_int_equal(counting.seen, cases[i].seen);
    }
}

#define ROW "(SELECT audit_id FROM audit_link WHERE number = 4)"

/* Each on a fresh chain of eight. */
static void test_tampering(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *sql;
        int64_t at;
        const char *what;
    } cases[] = {
        {"UPDATE audit SET unit_id = 'u9' WHERE id = " ROW, 4, "removed"},
        {"UPDATE audit SET at = at + interval '1 microsecond' WHERE id = " ROW, 4, "changed"},
        {"UPDATE audit SET at = 'infinity' WHERE id = " ROW, 4, "changed"},
        {"UPDATE audit SET principal = 'bob' WHERE id = " ROW, 4, "changed"},
        {"UPDATE audit SET principal = NULL WHERE id = " ROW, 4, "changed"},
        {"UPDATE audit SET action = 'orders:read' WHERE id = " ROW, 4, "changed"},
        {"UPDATE audit SET method = 'GET' WHERE id = " ROW, 4, "changed"},
        {"UPDATE audit SET path = path || ' ' WHERE id = " ROW, 4, "changed"},
        {"UPDATE audit SET cloud_id = '' WHERE id = " ROW, 4, "changed"},
        {"UPDATE audit SET subject = NULL WHERE id = " ROW, 4, "changed"},
        {"UPDATE audit SET request_id = '' WHERE id = " ROW, 4, "changed"},
        {"UPDATE audit SET status = 403 WHERE id = " ROW, 4, "changed"},
        {"UPDATE audit SET details = details || '{\"z\": 1e400}' WHERE id = " ROW, 4, "changed"},
        {"UPDATE audit SET details = NULL WHERE id = " ROW, 4, "changed"},
        {"UPDATE audit SET xid = '1' WHERE id = " ROW, 4, "changed"},
        /* A value moved to the column beside it. */
        {"UPDATE audit SET method = path, path = method WHERE id = " ROW, 4, "changed"},
        {"DELETE FROM audit WHERE id = " ROW, 4, "removed"},
        {"DELETE FROM audit_link WHERE number = 4", 4, "link was removed"},
        {"DELETE FROM audit WHERE id = " ROW "; DELETE FROM audit_link WHERE number = 4", 4,
         "link was removed"},
        {"DELETE FROM audit_link WHERE number = 1", 1, "link was removed"},
        {"DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)", 8, "removed"},
        {"UPDATE audit_link SET digest = repeat('0', 64) WHERE number = 4", 4, "changed"},
        {"UPDATE audit_link SET previous = repeat('0', 64) WHERE number = 4", 4, "does not follow"},
        /* Two rows change places. */
        {"UPDATE audit_link SET number = CASE number WHEN 4 THEN -5 ELSE -4 END WHERE number IN (4, 5);"
         "UPDATE audit_link SET number = -number WHERE number < 0",
         4, "does not follow"},
        {"UPDATE audit_link l SET unit_id = o.unit_id, audit_id = o.audit_id + 1000 FROM audit_link o WHERE "
         "l.number IN (4, 5) AND"
         " o.number = 9 - l.number; UPDATE audit_link SET audit_id = audit_id - 1000 WHERE number IN (4, 5)",
         4, "changed"},
        /* A row put in among the sealed ones: with a number of its own, and a copy of another. */
        {"INSERT INTO audit (xid, at, action, status) SELECT xid, at, action, status FROM audit WHERE id "
         "= " ROW,
         1, "was put in"},
    };
    pg_exec(pg, "ALTER TABLE audit_link DROP CONSTRAINT audit_link_number_check"); /* for the swap below */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tamper("DELETE FROM audit; DELETE FROM audit_link");
        add_many(fixture, 8);
        assert_int_equal(seal(fixture), 8);
        assert_whole(fixture, 8, 0);
        tamper(cases[i].sql);
        struct audit_verdict verdict = verify(fixture, NULL);
        if (verdict.whole || verdict.broken_at != cases[i].at || !strstr(verdict.what, cases[i].what))
            fail_msg("%s: %s at %lld", cases[i].sql, verdict.whole ? "whole" : verdict.what,
                     (long long)verdict.broken_at);
    }
}

static void test_cut_tail(void **state)
{
    struct fixture *fixture = *state;
    add_many(fixture, 6);
    assert_int_equal(seal(fixture), 6);
    struct audit_verdict before = verify(fixture, NULL);
    const struct audit_anchor anchor = {.rows = before.rows, .head = before.head};
    assert_true(verify(fixture, &anchor).whole);
    add_many(fixture, 2);
    assert_int_equal(seal(fixture), 2);
    assert_true(verify(fixture, &anchor).whole); /* the chain has grown since */
    tamper("DELETE FROM audit WHERE id IN (SELECT audit_id FROM audit_link WHERE number > 4);"
           "DELETE FROM audit_link WHERE number > 4");
    assert_whole(fixture, 4, 0); /* as documented: without an anchor nobody can know */
    assert_broken(fixture, &anchor, 5, "ends before");
    add_many(fixture, 3);
    assert_int_equal(seal(fixture), 3);
    assert_broken(fixture, &anchor, 6, "anchor");
}

static void test_restored_from_a_dump(void **state)
{
    struct fixture *fixture = *state;
    add_many(fixture, 1);
    assert_int_equal(seal(fixture), 1);
    tamper("UPDATE audit_link SET xid = '9000000000000000'");
    add_many(fixture, 1);
    size_t sealed;
    struct error *error = audit_seal(fixture->db, 10, &sealed);
    assert_int_equal(error_code(error), ERR_CONFLICT);
    assert_non_null(strstr(error_message(error), "restored from a dump"));
    error_free(error);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_seal_and_verify),
        TEST(test_many),
        TEST(test_late_commit),
        TEST(test_rollback_leaves_nothing),
        TEST(test_sealers_at_once),
        TEST(test_append_only),
        TEST(test_scopes),
        TEST(test_cut_tail),
        TEST(test_restored_from_a_dump),
        TEST(test_tampering),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
