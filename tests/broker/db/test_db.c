/* broker/db against a real PostgreSQL: typed values both ways, errors by SQLSTATE, transactions run again on
 * real serialization failures, savepoints, pipelines, and connections that are lost. */
#include "broker/db/db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
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

#define assert_fails(expression, wanted)                                                         \
    do {                                                                                         \
        struct error *assert_error = (expression);                                               \
        assert_non_null(assert_error);                                                           \
        if (error_code(assert_error) != (wanted))                                                \
            print_error("%s\n", error_message(assert_error));                                    \
        assert_string_equal(error_code_name(error_code(assert_error)), error_code_name(wanted)); \
        error_free(assert_error);                                                                \
    } while (0)

static void values_round_trip(void **state)
{
    (void)state;
    static const struct db_statement echo = {
        "echo",
        "SELECT $1::text, $2::bigint, $3::boolean, $4::timestamptz, $5::numeric, $6::jsonb, $7::text[]"};
    static const char *const items[] = {"plain", "a \"quote\", and {brace}", "back\\slash", "", "NULL", NULL,
                                        "云桥"};
    const wide big = ((wide)1 << 100) + 12345;
    const moment at = INT64_C(1795489445123456);
    json_t *json = json_pack("{s:s, s:[i, b]}", "名", "云", "n", 7, 1);
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    assert_good(db_query(db, &echo,
                         DB_VALUES(db_text("it's 云桥\n\\"), db_int(INT64_MIN), db_bool(true), db_moment(at),
                                   db_wide(-big), db_json(json), db_texts(items, 7)),
                         &rows));
    assert_int_equal(db_count(rows), 1);
    assert_string_equal(db_get_text(rows, 0, 0), "it's 云桥\n\\");
    assert_true(db_get_int(rows, 0, 1) == INT64_MIN);
    assert_true(db_get_bool(rows, 0, 2));
    assert_true(db_get_moment(rows, 0, 3) == at);
    assert_true(db_get_wide(rows, 0, 4) == -big);
    json_t *back = db_get_json(rows, 0, 5);
    assert_true(json_equal(back, json));
    json_decref(back);
    json_decref(json);
    ARENA_AUTO struct arena *arena = arena_new();
    size_t count;
    const char **texts = db_get_texts(rows, 0, 6, arena, &count);
    assert_int_equal(count, 7);
    for (size_t i = 0; i < count; i++) {
        if (items[i])
            assert_string_equal(texts[i], items[i]);
        else
            assert_null(texts[i]);
    }
}

static void nulls_round_trip(void **state)
{
    (void)state;
    static const struct db_statement echo = {"echo_null",
                                             "SELECT $1::text, $2::bigint, $3::boolean, $4::timestamptz, "
                                             "$5::numeric, $6::jsonb, $7::text[], $8::text[]"};
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    ARENA_AUTO struct arena *arena = arena_new();
    size_t count = 9;
    assert_good(db_query(db, &echo,
                         DB_VALUES(db_text(NULL), db_null(), db_null(), db_null(), db_null(), db_json(NULL),
                                   db_null(), db_texts(NULL, 0)),
                         &rows));
    for (int column = 0; column < 7; column++)
        assert_true(db_is_null(rows, 0, column));
    assert_false(db_is_null(rows, 0, 7));
    assert_null(db_get_text(rows, 0, 0));
    assert_true(db_get_int(rows, 0, 1) == 0);
    assert_false(db_get_bool(rows, 0, 2));
    assert_true(db_get_moment(rows, 0, 3) == 0);
    assert_true(db_get_wide(rows, 0, 4) == 0);
    assert_null(db_get_json(rows, 0, 5));
    assert_null(db_get_texts(rows, 0, 6, arena, &count));
    assert_int_equal(count, 0);
    assert_non_null(db_get_texts(rows, 0, 7, arena, &count));
    assert_int_equal(count, 0);
}

static void one_row_wanted(void **state)
{
    (void)state;
    static const struct db_statement series = {"series", "SELECT g FROM generate_series(1, $1::int) g"};
    struct db_rows *rows = NULL;
    struct error *error = db_query_one(db, &series, DB_VALUES(db_int(0)), "cloud \"c9\"", &rows);
    assert_int_equal(error_code(error), ERR_NOT_FOUND);
    assert_string_equal(error_message(error), "no cloud \"c9\"");
    error_free(error);
    assert_fails(db_query_one(db, &series, DB_VALUES(db_int(2)), "x", &rows), ERR_INTERNAL);
    assert_good(db_query_one(db, &series, DB_VALUES(db_int(1)), "x", &rows));
    assert_true(db_get_int(rows, 0, 0) == 1);
    db_rows_free(rows);
}

static void sqlstates_become_codes(void **state)
{
    (void)state;
    static const struct db_statement put = {"t_put", "INSERT INTO t VALUES ($1, $2)"};
    static const struct db_statement refer = {"u_put", "INSERT INTO u VALUES ($1)"};
    static const struct db_statement sleepy = {"sleepy", "SELECT pg_sleep(30)"};
    static const struct db_statement impatient = {"impatient",
                                                  "SELECT set_config('statement_timeout', '50ms', false)"};
    static const struct db_statement patient = {"patient",
                                                "SELECT set_config('statement_timeout', '60s', false)"};
    static const struct db_statement wrong = {"wrong", "SELECT no_such_column"};
    static const struct db_statement forbidden = {"forbidden", "CREATE TABLE public.mine (a int)"};
    struct db_rows *rows;
    int64_t changed = -1;
    assert_good(db_run(db, &put, DB_VALUES(db_int(1), db_int(1)), &changed));
    assert_true(changed == 1);
    assert_fails(db_run(db, &put, DB_VALUES(db_int(1), db_int(1)), NULL), ERR_EXISTS);
    struct error *error = db_run(db, &put, DB_VALUES(db_int(2), db_int(-1)), NULL);
    assert_int_equal(error_code(error), ERR_CONFLICT);
    assert_non_null(strstr(error_message(error), "t_n_positive"));
    error_free(error);
    assert_fails(db_run(db, &refer, DB_VALUES(db_int(77)), NULL), ERR_CONFLICT);
    assert_fails(db_query(db, &wrong, DB_NO_VALUES, &rows), ERR_INTERNAL);
    assert_fails(db_query(db, &wrong, DB_NO_VALUES, &rows), ERR_INTERNAL);
    assert_fails(db_run(db, &forbidden, DB_NO_VALUES, NULL), ERR_DENIED);
    assert_good(db_run(db, &impatient, DB_NO_VALUES, NULL));
    assert_fails(db_run(db, &sleepy, DB_NO_VALUES, NULL), ERR_TIMEOUT);
    assert_good(db_run(db, &patient, DB_NO_VALUES, NULL));
}

static void names_are_not_mixed_up(void **state)
{
    (void)state;
    static const struct db_statement first = {"twice", "SELECT 1"};
    static const struct db_statement same = {"twice", "SELECT 1"};
    static const struct db_statement other = {"twice", "SELECT 2"};
    struct db_rows *rows;
    assert_good(db_query(db, &first, DB_NO_VALUES, &rows));
    db_rows_free(rows);
    assert_good(db_query(db, &same, DB_NO_VALUES, &rows));
    db_rows_free(rows);
    assert_fails(db_query(db, &other, DB_NO_VALUES, &rows), ERR_INTERNAL);
}

static const struct db_statement count_a = {"count_a", "SELECT count(*) FROM a WHERE name = $1"};
static const struct db_statement add_a = {"add_a", "INSERT INTO a (name) VALUES ($1)"};

static int64_t rows_named(const char *name)
{
    struct db_rows *rows;
    assert_good(db_query(db, &count_a, DB_VALUES(db_text(name)), &rows));
    int64_t count = db_get_int(rows, 0, 0);
    db_rows_free(rows);
    return count;
}

static struct error *add_then_fail(struct db *in, void *context)
{
    TRY(db_run(in, &add_a, DB_VALUES(db_text(context)), NULL));
    return error_new(ERR_QUOTA, "changed my mind");
}

static struct error *swallow(struct db *in, void *context)
{
    static const struct db_statement broken = {"broken", "SELECT 1 / 0"};
    TRY(db_run(in, &add_a, DB_VALUES(db_text(context)), NULL));
    error_free(db_run(in, &broken, DB_NO_VALUES, NULL));
    return NULL;
}

static struct error *add(struct db *in, void *context)
{
    return db_run(in, &add_a, DB_VALUES(db_text(context)), NULL);
}

static struct error *nest(struct db *in, void *context)
{
    return db_transaction(in, &db_scope_system, DB_READ_COMMITTED, add, context);
}

static struct error *nothing(struct db *in, void *context)
{
    (void)context;
    assert_true(db_in_transaction(in));
    return NULL;
}

static void transactions_are_whole(void **state)
{
    (void)state;
    char name[] = "whole";
    assert_fails(db_transaction(db, NULL, DB_READ_COMMITTED, add_then_fail, name), ERR_QUOTA);
    assert_true(rows_named(name) == 0);
    assert_fails(db_transaction(db, NULL, DB_READ_COMMITTED, swallow, name), ERR_INTERNAL);
    assert_true(rows_named(name) == 0);
    assert_fails(db_transaction(db, NULL, DB_READ_COMMITTED, nest, name), ERR_INTERNAL);
    assert_good(db_transaction(db, NULL, DB_READ_COMMITTED, nothing, NULL));
    assert_false(db_in_transaction(db));
    assert_good(db_transaction(db, NULL, DB_SERIALIZABLE, add, name));
    assert_true(rows_named(name) == 1);
}

static struct error *part_fails(struct db *in, void *context)
{
    TRY(db_run(in, &add_a, DB_VALUES(db_text("inner")), NULL));
    return add_then_fail(in, context);
}

static struct error *outer_part(struct db *in, void *context)
{
    TRY(db_run(in, &add_a, DB_VALUES(db_text("middle")), NULL));
    struct error *error = db_savepoint(in, part_fails, context);
    assert_int_equal(error_code(error), ERR_QUOTA);
    error_free(error);
    return NULL;
}

static struct error *with_parts(struct db *in, void *context)
{
    TRY(db_savepoint(in, outer_part, context));
    struct error *error = db_savepoint(in, swallow, context); /* its RELEASE fails: the part is aborted */
    assert_non_null(error);
    error_free(error);
    return db_run(in, &add_a, DB_VALUES(db_text("outer")), NULL);
}

static void savepoints_nest(void **state)
{
    (void)state;
    char name[] = "sunk";
    assert_good(db_transaction(db, NULL, DB_READ_COMMITTED, with_parts, name));
    assert_true(rows_named("outer") == 1);
    assert_true(rows_named("middle") == 1);
    assert_true(rows_named("inner") == 0);
    assert_true(rows_named("sunk") == 0);
}

/* Two threads move a counter with read-then-write: without the retry, updates are lost or fail. */
struct mover {
    int times;
    int runs;
    int gave_up;
};

static struct error *read_then_write(struct db *in, void *context)
{
    static const struct db_statement read = {"counter_read", "SELECT n FROM counter"};
    static const struct db_statement write = {"counter_write", "UPDATE counter SET n = $1"};
    struct mover *mover = context;
    mover->runs++;
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(in, &read, DB_NO_VALUES, "counter", &rows));
    return db_run(in, &write, DB_VALUES(db_int(db_get_int(rows, 0, 0) + 1)), NULL);
}

static void *move(void *arg)
{
    struct mover *mover = arg;
    struct db *own;
    struct error *error = db_connect(pg_conninfo(pg), &own);
    for (int i = 0; i < mover->times && !error; i++) {
        do { /* eight tries may not be enough when two fight on two cores; the caller then starts anew */
            error_free(error);
            error = db_transaction(own, NULL, DB_SERIALIZABLE, read_then_write, mover);
            mover->gave_up += error != NULL;
        } while (error && error_code(error) == ERR_SERIALIZATION);
    }
    if (!error)
        db_close(own);
    return error;
}

static void serialization_failures_are_retried(void **state)
{
    (void)state;
    struct mover movers[3] = {{.times = 100}, {.times = 100}, {.times = 100}};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, move, &movers[i]), 0);
    int runs = 0, gave_up = 0;
    for (int i = 0; i < 3; i++) {
        void *error;
        assert_int_equal(pthread_join(threads[i], &error), 0);
        assert_good(error);
        runs += movers[i].runs;
        gave_up += movers[i].gave_up;
    }
    assert_true(pg_number(pg, "SELECT n FROM counter") == 300);
    assert_true(runs > 300 + gave_up);        /* they did collide, and were run again from within */
    assert_true(gave_up <= (runs - 300) / 4); /* giving up takes eight tries, so it is rare */
}

struct pipe_case {
    const char *name;
    int64_t least;
    bool broken;
    int64_t count_before;
};

static struct error *piped(struct db *in, void *context)
{
    static const struct db_statement rename = {"rename_a", "UPDATE a SET name = $2 WHERE name = $1"};
    static const struct db_statement divide = {"divide", "SELECT 1 / $1::int"};
    const struct pipe_case *wanted = context;
    TRY(db_pipeline_begin(in));
    for (int i = 0; i < 50; i++)
        TRY(db_queue(in, &add_a, DB_VALUES(db_text(wanted->name)), 1));
    TRY(db_queue(in, &divide, DB_VALUES(db_int(wanted->broken ? 0 : 1)), -1));
    struct db_rows *rows;
    assert_fails(db_query(in, &count_a, DB_VALUES(db_text("x")), &rows), ERR_INTERNAL);
    TRY(db_queue(in, &rename, DB_VALUES(db_text("nobody"), db_text("somebody")), wanted->least));
    return db_pipeline_end(in);
}

static void pipelines(void **state)
{
    (void)state;
    struct pipe_case good = {.name = "piped", .least = 0}, few = {.name = "few", .least = 1},
                     broken = {.name = "cut", .broken = true};
    assert_fails(db_pipeline_begin(db), ERR_INTERNAL);
    assert_good(db_transaction(db, NULL, DB_READ_COMMITTED, piped, &good));
    assert_true(rows_named("piped") == 50);
    assert_fails(db_transaction(db, NULL, DB_READ_COMMITTED, piped, &few), ERR_CONFLICT);
    assert_true(rows_named("few") == 0);
    struct error *error = db_transaction(db, NULL, DB_READ_COMMITTED, piped, &broken);
    assert_int_equal(error_code(error), ERR_INTERNAL);
    assert_non_null(strstr(error_message(error), "division by zero"));
    error_free(error);
    assert_true(rows_named("cut") == 0);
    assert_good(db_transaction(db, NULL, DB_READ_COMMITTED, piped, &good)); /* the connection is still good */
    assert_true(rows_named("piped") == 100);
}

static struct error *forget_the_end(struct db *in, void *context)
{
    TRY(db_pipeline_begin(in));
    return db_queue(in, &add_a, DB_VALUES(db_text(context)), 1);
}

static void an_open_pipeline_is_ended(void **state)
{
    (void)state;
    char name[] = "left open";
    assert_good(db_transaction(db, NULL, DB_READ_COMMITTED, forget_the_end, name));
    assert_true(rows_named(name) == 1);
}

/* Left open, with BEGIN answered before: COMMIT travels with what is queued, and must not take effect when a
 * statement before it fails or changes too few rows. */
struct open_case {
    const char *name;
    bool broken;
    int64_t least;
};

static struct error *leave_open(struct db *in, void *context)
{
    static const struct db_statement divide = {"divide_open", "SELECT 1 / $1::int"};
    static const struct db_statement rename = {"rename_open", "UPDATE a SET name = $2 WHERE name = $1"};
    const struct open_case *wanted = context;
    TRY(db_run(in, &add_a, DB_VALUES(db_text(wanted->name)), NULL));
    TRY(db_pipeline_begin(in));
    TRY(db_run(in, &add_a, DB_VALUES(db_text(wanted->name)), NULL)); /* joins the pipeline */
    int64_t changed;
    assert_fails(db_run(in, &add_a, DB_VALUES(db_text(wanted->name)), &changed), ERR_INTERNAL);
    TRY(db_run(in, &divide, DB_VALUES(db_int(wanted->broken ? 0 : 1)), NULL));
    return db_queue(in, &rename, DB_VALUES(db_text("nobody"), db_text("somebody")), wanted->least);
}

static void commit_travels_with_an_open_pipeline(void **state)
{
    (void)state;
    struct open_case good = {"open good", false, -1}, broken = {"open broken", true, -1},
                     few = {"open few", false, 1};
    assert_good(db_transaction(db, NULL, DB_READ_COMMITTED, leave_open, &good));
    assert_true(rows_named(good.name) == 2);
    assert_fails(db_transaction(db, NULL, DB_READ_COMMITTED, leave_open, &few), ERR_CONFLICT);
    assert_true(rows_named(few.name) == 0);
    struct error *error = db_transaction(db, NULL, DB_READ_COMMITTED, leave_open, &broken);
    assert_int_equal(error_code(error), ERR_INTERNAL);
    assert_non_null(strstr(error_message(error), "division by zero"));
    error_free(error);
    assert_true(rows_named(broken.name) == 0);
    assert_good(
        db_transaction(db, NULL, DB_READ_COMMITTED, leave_open, &good)); /* and the connection is good */
    assert_true(rows_named(good.name) == 4);
}

static void kill_sessions(void)
{
    pg_exec(pg, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'yunqiao_app'");
}

static struct error *lose_it_midway(struct db *in, void *context)
{
    int *runs = context;
    ++*runs;
    TRY(db_run(in, &add_a, DB_VALUES(db_text("midway")), NULL));
    kill_sessions();
    return db_run(in, &add_a, DB_VALUES(db_text("midway")), NULL);
}

static void lost_connections(void **state)
{
    (void)state;
    kill_sessions(); /* while idle: nobody notices */
    assert_true(rows_named("whole") == 1);
    kill_sessions();
    char name[] = "after";
    assert_good(db_transaction(db, NULL, DB_READ_COMMITTED, add, name));
    assert_true(rows_named(name) == 1);
    int runs = 0; /* within a transaction: it fails, nothing is written, the next one works */
    assert_fails(db_transaction(db, NULL, DB_READ_COMMITTED, lose_it_midway, &runs), ERR_UNAVAILABLE);
    assert_int_equal(runs, 1);
    assert_true(rows_named("midway") == 0);
    assert_good(db_transaction(db, NULL, DB_READ_COMMITTED, add, name));
    assert_true(rows_named(name) == 2);
}

static struct error *deferred_suicide(struct db *in, void *context)
{
    static const struct db_statement fuse = {"fuse", "INSERT INTO suicide VALUES (1)"};
    (void)context;
    return db_run(in, &fuse, DB_NO_VALUES, NULL);
}

static void a_commit_without_answer_is_unknown(void **state)
{
    (void)state;
    assert_fails(db_transaction(db, NULL, DB_READ_COMMITTED, deferred_suicide, NULL), ERR_TIMEOUT);
    assert_true(rows_named("whole") == 1);
}

static void notifications(void **state)
{
    (void)state;
    bool notified = true;
    assert_good(db_listen(db, "bell"));
    assert_good(db_wait(db, 0, -1, &notified)); /* a reconnection of an earlier test counts as one */
    assert_good(db_wait(db, 20000, -1, &notified));
    assert_false(notified);
    pg_exec(pg, "NOTIFY bell");
    assert_good(db_wait(db, 10 * MOMENT_SECOND, -1, &notified));
    assert_true(notified);
    assert_good(db_wait(db, 0, -1, &notified));
    assert_false(notified);
    kill_sessions(); /* what was missed meanwhile counts as notified, and listening goes on */
    struct error *error = db_wait(db, 10 * MOMENT_SECOND, -1, &notified);
    if (error) { /* it saw the end while waiting */
        error_free(error);
        assert_good(db_wait(db, 10 * MOMENT_SECOND, -1, &notified));
    }
    assert_true(notified);
    pg_exec(pg, "NOTIFY bell");
    assert_good(db_wait(db, 10 * MOMENT_SECOND, -1, &notified));
    assert_true(notified);
}

static void sessions_are_set_up(void **state)
{
    (void)state;
    static const struct db_statement show = {
        "show", "SELECT current_setting('TimeZone'), current_setting('statement_timeout'),"
                " current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'),"
                " current_setting('application_name'), current_user::text"};
    static const char *const wanted[] = {"UTC", "1min", "10s", "1min", "yunqiao", "yunqiao_app"};
    struct db_rows *rows;
    assert_good(db_query(db, &show, DB_NO_VALUES, &rows));
    for (int i = 0; i < 6; i++)
        assert_string_equal(db_get_text(rows, 0, i), wanted[i]);
    db_rows_free(rows);
    static const struct db_statement idle = {"idle",
                                             "SELECT current_setting('idle_in_transaction_session_timeout')"};
    static const struct {
        int64_t asked;
        const char *got;
    } limits[] = {{2 * MOMENT_SECOND, "2s"}, {1, "1ms"}, {MOMENT_HOUR, "1min"}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct db *limited;
        assert_good(db_connect_idle(pg_conninfo(pg), limits[i].asked, &limited));
        assert_good(db_query(limited, &idle, DB_NO_VALUES, &rows));
        assert_string_equal(db_get_text(rows, 0, 0), limits[i].got);
        db_rows_free(rows);
        db_close(limited);
    }
    struct db *none;
    assert_fails(db_connect("host=/nonexistent", &none), ERR_UNAVAILABLE);
    assert_fails(db_connect("no such=option here", &none), ERR_UNAVAILABLE);
}

static int set_up(void **state)
{
    (void)state;
    pg = pg_start();
    pg_exec(pg, "CREATE TABLE t (id int PRIMARY KEY, n int CONSTRAINT t_n_positive CHECK (n > 0));"
                "CREATE TABLE u (id int REFERENCES t (id));"
                "CREATE TABLE a (id bigserial PRIMARY KEY, name text);"
                "CREATE TABLE counter (n int); INSERT INTO counter VALUES (0);"
                "CREATE TABLE suicide (n int);"
                "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
                " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';"
                "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON suicide DEFERRABLE INITIALLY DEFERRED"
                " FOR EACH ROW EXECUTE FUNCTION die();"
                "GRANT ALL ON ALL TABLES IN SCHEMA public TO yunqiao_app;"
                "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO yunqiao_app");
    assert_good(db_connect(pg_conninfo(pg), &db));
    return 0;
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
        cmocka_unit_test(sessions_are_set_up),
        cmocka_unit_test(values_round_trip),
        cmocka_unit_test(nulls_round_trip),
        cmocka_unit_test(one_row_wanted),
        cmocka_unit_test(sqlstates_become_codes),
        cmocka_unit_test(names_are_not_mixed_up),
        cmocka_unit_test(transactions_are_whole),
        cmocka_unit_test(savepoints_nest),
        cmocka_unit_test(serialization_failures_are_retried),
        cmocka_unit_test(pipelines),
        cmocka_unit_test(an_open_pipeline_is_ended),
        cmocka_unit_test(commit_travels_with_an_open_pipeline),
        cmocka_unit_test(lost_connections),
        cmocka_unit_test(a_commit_without_answer_is_unknown),
        cmocka_unit_test(notifications),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
