/* Several connections on one view of the database, and rows in binary form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "broker/db/db.h"
#include "tests/support/pg.h"

static struct pg *pg;
static struct db *db;

static int open_db(void **state)
{
    pg = pg_start();
    pg_exec(pg,
            "CREATE TABLE thing (n bigint); GRANT ALL ON thing TO yunqiao_app; INSERT INTO thing VALUES (1)");
    return db_connect(pg_conninfo(pg), &db) ? 1 : 0;
}

static int close_db(void **state)
{
    db_close(db);
    pg_stop(pg);
    return 0;
}

static const struct db_statement count_things = {"snapshot_count", "SELECT count(*) FROM thing"};

struct view {
    enum db_isolation isolation;
    int64_t inside, beside, now;
};

static struct error *count_body(struct db *at, void *context)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(at, &count_things, DB_NO_VALUES, &rows));
    *(int64_t *)context = db_get_int(rows, 0, 0);
    return NULL;
}

/* Exports, lets somebody else commit, and looks from another connection at the snapshot, and without it. */
static struct error *export_body(struct db *at, void *context)
{
    struct view *view = context;
    char id[DB_SNAPSHOT_ID];
    struct db *other;
    TRY(count_body(at, &view->inside));
    TRY(db_snapshot_export(at, id));
    pg_exec(pg, "INSERT INTO thing VALUES (2)");
    TRY(db_connect(db_conninfo(at), &other));
    struct error *error = db_transaction_at(other, &db_scope_system, id, count_body, &view->beside);
    if (!error)
        error = db_transaction(other, &db_scope_system, DB_READ_COMMITTED, count_body, &view->now);
    db_close(other);
    return error;
}

static void connections_share_a_view(void **state)
{
    static const enum db_isolation levels[] = {DB_READ_COMMITTED, DB_SERIALIZABLE, DB_SNAPSHOT};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        struct view view = {.isolation = levels[i]};
        assert_null(db_transaction(db, &db_scope_system, levels[i], export_body, &view));
        assert_int_equal(view.beside, view.inside);
        assert_int_equal(view.now, view.inside + 1);
    }
}

static void odd_snapshots_are_refused(void **state)
{
    static const char *const bad[] = {
        "'; DROP TABLE thing; --", "00000003-0000001B-1x",
        "00000003-0000001B-1", /* well-formed, and nobody's */
        "0000000000000000000000000000000000000000000000000000000000000000000000000"};
    int64_t count;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error *error = db_transaction_at(db, &db_scope_system, bad[i], count_body, &count);
        assert_non_null(error);
        error_free(error);
    }
    assert_null(
        db_transaction(db, &db_scope_system, DB_READ_COMMITTED, count_body, &count)); /* it works still */
}

static void binary_rows_read_the_same(void **state)
{
    static const struct db_statement echo = {
        "echo_binary",
        "SELECT $1::text, $2::bigint, $3::boolean, $4::timestamptz, NULL::text, NULL::bigint, ''::text"};
    static const moment moments[] = {INT64_C(1795489445123456), INT64_C(946684800000000),
                                     INT64_C(4102444800000001)};
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        DB_ROWS_AUTO struct db_rows *rows = NULL;
        struct error *error = db_query_binary(
            db, &echo,
            DB_VALUES(db_text("云桥"), db_int(INT64_MIN + (int64_t)i), db_bool(i % 2), db_moment(moments[i])),
            &rows);
        if (error)
            fail_msg("%s", error_message(error));
        assert_string_equal(db_get_text(rows, 0, 0), "云桥");
        assert_true(db_get_int(rows, 0, 1) == INT64_MIN + (int64_t)i);
        assert_true(db_get_bool(rows, 0, 2) == (i % 2 == 1));
        assert_true(db_get_moment(rows, 0, 3) == moments[i]);
        assert_null(db_get_text(rows, 0, 4));
        assert_true(db_is_null(rows, 0, 5));
        assert_string_equal(db_get_text(rows, 0, 6), "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(connections_share_a_view),
                                       cmocka_unit_test(odd_snapshots_are_refused),
                                       cmocka_unit_test(binary_rows_read_the_same)};
    return cmocka_run_group_tests(tests, open_db, close_db);
}
