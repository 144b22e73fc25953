/* Columns of many rows as one parameter, against a real PostgreSQL: what goes in comes out, value by value,
 * and what cannot be sent is refused before anything is. */
#include "broker/db/column.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/pg.h"

static struct pg *pg;
static struct db *db;

#define assert_good(expression)                               \
    do {                                                      \
        struct error *assert_error = (expression);            \
        if (assert_error) {                                   \
            print_error("%s\n", error_message(assert_error)); \
            error_free(assert_error);                         \
            fail();                                           \
        }                                                     \
    } while (0)

static const struct db_statement echo = {
    "column_echo", "SELECT * FROM (SELECT unnest($1::text[]) AS t, unnest($2::bigint[]) AS i,"
                   " unnest($3::timestamptz[]) AS m, unnest($4::numeric[]) AS w) x"};

struct columns {
    struct db_column text, integer, moment, wide;
};

static struct columns make(void)
{
    return (struct columns){db_column_make(DB_COLUMN_TEXT), db_column_make(DB_COLUMN_INT),
                            db_column_make(DB_COLUMN_MOMENT), db_column_make(DB_COLUMN_WIDE)};
}

static void done(struct columns *columns)
{
    db_column_done(&columns->text);
    db_column_done(&columns->integer);
    db_column_done(&columns->moment);
    db_column_done(&columns->wide);
}

static struct error *ask(struct columns *columns, struct db_rows **ret_rows)
{
    return db_query(db, &echo,
                    DB_VALUES(db_column_value(&columns->text), db_column_value(&columns->integer),
                              db_column_value(&columns->moment), db_column_value(&columns->wide)),
                    ret_rows);
}

#define WIDE_MOST ((wide)(~(unsigned __int128)0 >> 1))

static void rows_round_trip(void **state)
{
    (void)state;
    static const char *const texts[] = {"plain", "", "NULL", "{\"a\",\\b}", "云桥", NULL, "last"};
    static const int64_t integers[] = {0, 1, -1, INT64_MAX, INT64_MIN, 256, 42};
    static const moment moments[] = {MOMENT_MIN,
                                     MOMENT_MAX,
                                     MOMENT_MAX - 1,
                                     INT64_C(946684800000000),
                                     INT64_C(946684799999999),
                                     INT64_C(1795489445123456),
                                     INT64_C(1795489445000000)};
    const wide wides[] = {0, 1, -9999, 10000, -WIDE_MOST - 1, WIDE_MOST, (wide)70000000 * 100000000 * 10000};
    struct columns columns = make();
    for (size_t round = 0; round < 2; round++) { /* the second in the room of the first */
        DB_ROWS_AUTO struct db_rows *rows = NULL;
        for (size_t i = 0; i < 7; i++) {
            db_column_text(&columns.text, texts[i]);
            db_column_int(&columns.integer, integers[i]);
            db_column_moment(&columns.moment, moments[i]);
            db_column_wide(&columns.wide, wides[i]);
        }
        assert_good(ask(&columns, &rows));
        assert_int_equal(db_count(rows), 7);
        for (size_t i = 0; i < 7; i++) {
            assert_true(db_is_null(rows, i, 0) == !texts[i]);
            if (texts[i])
                assert_string_equal(db_get_text(rows, i, 0), texts[i]);
            assert_true(db_get_int(rows, i, 1) == integers[i]);
            assert_true(db_get_moment(rows, i, 2) == moments[i]);
            assert_true(db_get_wide(rows, i, 3) == wides[i]);
        }
        db_column_clear(&columns.text);
        db_column_clear(&columns.integer);
        db_column_clear(&columns.moment);
        db_column_clear(&columns.wide);
    }
    done(&columns);
}

static void ends_may_be_infinite(void **state)
{
    (void)state;
    static const struct db_statement finite = {
        "column_infinite", "SELECT string_agg(to_char(m, 'YYYY-MM-DD'), ' '), bool_or(NOT isfinite(m))"
                           " FROM unnest($1::timestamptz[]) m WHERE isfinite(m) OR m > '9999-12-31'"};
    ARENA_AUTO struct arena *arena = arena_new();
    struct db_column *ends = db_column_in(arena, DB_COLUMN_MOMENT);
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    db_column_end(ends, INT64_C(1795489445000000));
    assert_good(db_query(db, &finite, DB_VALUES(db_column_value(ends)), &rows));
    assert_string_equal(db_get_text(rows, 0, 0), "2026-11-24");
    assert_false(db_get_bool(rows, 0, 1));
    db_rows_free(rows);
    db_column_end(ends, MOMENT_MAX);
    assert_good(db_query(db, &finite, DB_VALUES(db_column_value(ends)), &rows));
    assert_true(db_get_bool(rows, 0, 1));
}

/* Every power of ten and its neighbours, for zeros within and at the end of the digits; against text. */
static void numbers_are_exact(void **state)
{
    (void)state;
    static const struct db_statement same = {
        "column_same", "SELECT count(*) FILTER (WHERE w = t::numeric AND w::text = t), count(*)"
                       " FROM (SELECT unnest($1::text[]) AS t, unnest($2::numeric[]) AS w) x"};
    struct columns columns = make();
    wide power = 1;
    for (int i = 0; i < 38; i++, power *= 10) {
        for (int near = -1; near <= 1; near++) {
            char text[WIDE_TEXT];
            db_column_text(&columns.text, wide_format(power + near, text));
            db_column_wide(&columns.wide, power + near);
            db_column_text(&columns.text, wide_format(-power + near, text));
            db_column_wide(&columns.wide, -power + near);
        }
    }
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    assert_good(db_query(db, &same, DB_VALUES(db_column_value(&columns.text), db_column_value(&columns.wide)),
                         &rows));
    assert_int_equal(db_get_int(rows, 0, 0), 38 * 6);
    assert_int_equal(db_get_int(rows, 0, 1), 38 * 6);
    done(&columns);
}

static void empty_and_null(void **state)
{
    (void)state;
    struct columns columns = make();
    DB_ROWS_AUTO struct db_rows *none = NULL, *nulls = NULL;
    assert_good(ask(&columns, &none));
    assert_int_equal(db_count(none), 0);
    db_column_null(&columns.integer);
    db_column_null(&columns.moment);
    db_column_null(&columns.wide);
    assert_good(ask(&columns, &nulls)); /* the text column has no row: NULL beside the others */
    assert_int_equal(db_count(nulls), 1);
    for (int i = 0; i < 4; i++)
        assert_true(db_is_null(nulls, 0, i));
    done(&columns);
}

static void refused(struct columns *columns)
{
    struct db_rows *rows = NULL;
    struct error *error = ask(columns, &rows);
    assert_non_null(error);
    assert_string_equal(error_code_name(error_code(error)), error_code_name(ERR_TOO_LARGE));
    error_free(error);
    done(columns);
}

static void what_cannot_be_sent_is_refused(void **state)
{
    (void)state;
    struct columns other = make(), late = make(), large = make();
    db_column_int(&other.text, 1);
    refused(&other);
    db_column_moment(&late.moment, MOMENT_MAX + 1);
    refused(&late);
    size_t half = DB_COLUMN_BYTES_MAX / 2;
    char *text = xmalloc(half + 1);
    memset(text, 'x', half);
    text[half] = '\0';
    db_column_text(&large.text, text);
    db_column_text(&large.text, text);
    free(text);
    refused(&large);
    struct columns columns = make(); /* the connection goes on */
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    db_column_text(&columns.text, "x");
    assert_good(ask(&columns, &rows));
    assert_int_equal(db_count(rows), 1);
    done(&columns);
}

static void ends_are_read(void **state)
{
    (void)state;
    static const struct db_statement ends = {
        "column_ends", "SELECT 'infinity'::timestamptz, NULL::timestamptz, $1::timestamptz"};
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    assert_good(db_query_binary(db, &ends, DB_VALUES(db_moment(INT64_C(1795489445123456))), &rows));
    assert_true(db_get_end(rows, 0, 0) == MOMENT_MAX);
    assert_true(db_get_end(rows, 0, 1) == MOMENT_MAX);
    assert_true(db_get_end(rows, 0, 2) == INT64_C(1795489445123456));
}

static int set_up(void **state)
{
    (void)state;
    pg = pg_start();
    return db_connect(pg_conninfo(pg), &db) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    db_close(db);
    pg_stop(pg);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_round_trip),
        cmocka_unit_test(ends_may_be_infinite),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(empty_and_null),
        cmocka_unit_test(what_cannot_be_sent_is_refused),
        cmocka_unit_test(ends_are_read),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
