/* Streams of rows (db.h): portions, values, errors, transactions that end before the stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/db/db.h"
#include "tests/support/pg.h"

static struct pg *pg;
static struct db *db;

static const struct db_statement numbers = {
    "test_numbers", DB_STREAM("SELECT g, $2::text FROM generate_series(1, $1::bigint) g")};
static const struct db_statement words = {"test_words", DB_STREAM("SELECT 'a', 'b', 'c'")};
static const struct db_statement breaks = {
    "test_breaks", DB_STREAM("SELECT 100 / (1500 - g) FROM generate_series(1, 3000) g")};
static const struct db_statement one = {"test_one", "SELECT 1"};

static void ok(struct error *error)
{
    if (error)
        fail_msg("%s", error_message(error));
}

static struct error *run(struct error *(*body)(struct db *db, void *context), void *context)
{
    return db_transaction(db, &db_scope_system, DB_SNAPSHOT, body, context);
}

static int64_t portion(struct db_stream *stream, int64_t after)
{
    struct db_rows *rows DB_ROWS_AUTO = NULL;
    ok(db_stream_next(stream, &rows));
    for (size_t i = 0; i < db_count(rows); i++) {
        assert_int_equal(db_get_int(rows, i, 0), after + 1 + (int64_t)i);
        assert_string_equal(db_get_text(rows, i, 1), "云");
    }
    return (int64_t)db_count(rows);
}

static struct error *read_all(struct db *session, void *context)
{
    struct db_stream *stream = NULL, *second = NULL;
    TRY(db_stream_open(session, &numbers, DB_VALUES(db_int(2500), db_text("云")), &stream));
    struct error *error = db_stream_open(session, &words, DB_NO_VALUES, &second);
    assert_int_equal(error_code(error), ERR_INTERNAL); /* one at a time */
    error_free(error);
    assert_int_equal(portion(stream, 0), DB_STREAM_ROWS);
    struct db_rows *rows DB_ROWS_AUTO = NULL;
    TRY(db_query(session, &one, DB_NO_VALUES, &rows)); /* others may run between */
    assert_int_equal(portion(stream, 1000), DB_STREAM_ROWS);
    assert_int_equal(portion(stream, 2000), 500);
    assert_int_equal(portion(stream, 2500), 0);
    assert_int_equal(portion(stream, 2500), 0);
    db_stream_close(stream);
    /* Another, of other columns, in the same transaction. */
    TRY(db_stream_open(session, &words, DB_NO_VALUES, &stream));
    struct db_rows *letters DB_ROWS_AUTO = NULL;
    TRY(db_stream_next(stream, &letters));
    assert_string_equal(db_get_text(letters, 0, 2), "c");
    db_stream_close(stream);
    (void)context;
    return NULL;
}

static void portions(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        ok(run(read_all, NULL));
}

static struct error *leave_open(struct db *session, void *context)
{
    struct db_stream **ret_stream = context;
    return db_stream_open(session, &numbers, DB_VALUES(db_int(5), db_text("云")), ret_stream);
}

static void after_its_transaction(void **state)
{
    (void)state;
    struct db_stream *stream = NULL;
    ok(run(leave_open, &stream));
    struct db_rows *rows = NULL;
    struct error *error = db_stream_next(stream, &rows);
    assert_int_equal(error_code(error), ERR_INTERNAL);
    error_free(error);
    db_stream_close(stream);
    ok(run(read_all, NULL));
    error = leave_open(db, &stream);
    assert_int_equal(error_code(error), ERR_INTERNAL);
    error_free(error);
}

static struct error *break_off(struct db *session, void *context)
{
    struct db_stream **stream = context;
    TRY(db_stream_open(session, &breaks, DB_NO_VALUES, stream));
    struct db_rows *rows DB_ROWS_AUTO = NULL;
    TRY(db_stream_next(*stream, &rows));
    assert_int_equal(db_count(rows), DB_STREAM_ROWS);
    struct db_rows *more = NULL;
    return db_stream_next(*stream, &more);
}

static void errors(void **state)
{
    (void)state;
    struct db_stream *stream = NULL;
    struct error *error = run(break_off, &stream);
    assert_non_null(error);
    assert_non_null(strstr(error_message(error), "test_breaks"));
    error_free(error);
    db_stream_close(stream);
    ok(run(read_all, NULL));
}

static struct error *write_something(struct db *session, void *context)
{
    (void)context;
    static const struct db_statement write = {"test_write", "INSERT INTO event_made_up SELECT 1"};
    return db_run(session, &write, DB_NO_VALUES, NULL);
}

static void reads_only(void **state)
{
    (void)state;
    pg_exec(pg, "CREATE TABLE event_made_up (n int); GRANT INSERT ON event_made_up TO yunqiao_app");
    ok(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, write_something, NULL));
    struct error *error = run(write_something, NULL);
    assert_int_equal(error_code(error), ERR_UNAVAILABLE); /* 25006 */
    error_free(error);
}

static int start(void **state)
{
    (void)state;
    pg = pg_start();
    ok(db_connect(pg_conninfo(pg), &db));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    db_close(db);
    pg_stop(pg);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(portions),
        cmocka_unit_test(after_its_transaction),
        cmocka_unit_test(errors),
        cmocka_unit_test(reads_only),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
