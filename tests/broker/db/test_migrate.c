/* Migrations on a real PostgreSQL: applied once and in order, together with what they refuse; and that the
 * migrations of the house apply to an empty database. */
#include "broker/db/migrate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/digest.h"
#include "tests/support/pg.h"

static struct pg *pg;

static const struct migration first = {1, "first", "CREATE TABLE one (n int); INSERT INTO one VALUES (1);",
                                       "aaaa"};
static const struct migration second = {20, "second", "CREATE TABLE two (n int);", "bbbb"};
static const struct migration late = {7, "late", "ALTER TABLE one ADD m int;", "cccc"};

static void check_fails(const struct migration *list, size_t count, enum error_code code, const char *words)
{
    struct error *error = migrate(pg_owner_conninfo(pg), list, count, NULL);
    assert_non_null(error);
    assert_string_equal(error_code_name(error_code(error)), error_code_name(code));
    if (!strstr(error_message(error), words))
        print_error("%s\n", error_message(error));
    assert_non_null(strstr(error_message(error), words));
    error_free(error);
}

static size_t apply(const struct migration *list, size_t count)
{
    size_t applied = 99;
    struct error *error = migrate(pg_owner_conninfo(pg), list, count, &applied);
    if (error)
        print_error("%s\n", error_message(error));
    assert_null(error);
    return applied;
}

static int clear(void **state)
{
    (void)state;
    pg_exec(pg, "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC");
    return 0;
}

static void applied_once_and_recorded(void **state)
{
    (void)state;
    const struct migration list[] = {first, second};
    assert_int_equal(apply(list, 1), 1);
    assert_int_equal(apply(list, 2), 1);
    assert_int_equal(apply(list, 2), 0);
    char *record =
        pg_value(pg, "SELECT string_agg(concat_ws(' ', number, name, checksum), ', ' ORDER BY number)"
                     " FROM schema_migration WHERE applied_at <= now()");
    assert_string_equal(record, "1 first aaaa, 20 second bbbb");
    free(record);
    assert_true(pg_number(pg, "SELECT count(*) FROM one") == 1);
}

/* A floor with lower numbers gets a new one after a higher floor's was applied. */
static void a_late_one_is_applied(void **state)
{
    (void)state;
    const struct migration before[] = {first, second}, after[] = {first, late, second};
    assert_int_equal(apply(before, 2), 2);
    assert_int_equal(apply(after, 3), 1);
    assert_true(pg_number(pg, "SELECT count(m) FROM one") == 0);
}

static void a_changed_one_is_refused(void **state)
{
    (void)state;
    const struct migration list[] = {first, second};
    const struct migration changed[] = {{1, "first", "CREATE TABLE one (n bigint);", "dddd"}, second};
    assert_int_equal(apply(list, 1), 1);
    check_fails(changed, 2, ERR_CONFLICT, "0001_first was changed after it had been applied");
    assert_true(pg_number(pg, "SELECT count(*) FROM pg_class WHERE relname = 'two'") ==
                0); /* nothing was done */
}

static void a_newer_database_is_refused(void **state)
{
    (void)state;
    const struct migration list[] = {first, second};
    assert_int_equal(apply(list, 2), 2);
    check_fails(list, 1, ERR_CONFLICT, "0020_second, which this program does not know");
    struct error *error = migrate_check(pg_owner_conninfo(pg), list, 1);
    assert_int_equal(error_code(error), ERR_CONFLICT);
    error_free(error);
}

static void a_failing_one_leaves_nothing(void **state)
{
    (void)state;
    const struct migration list[] = {
        first, {2, "broken", "CREATE TABLE half (n int); SELECT no_such_thing;", "eeee"}, second};
    const struct migration repaired[] = {first, {2, "broken", "CREATE TABLE half (n int);", "ffff"}, second};
    check_fails(list, 3, ERR_INTERNAL, "migration 0002_broken: ");
    assert_true(pg_number(pg, "SELECT count(*) FROM pg_class WHERE relname IN ('half', 'two')") == 0);
    assert_true(pg_number(pg, "SELECT max(number) FROM schema_migration") == 1);
    assert_int_equal(apply(repaired, 3), 2);
    const struct migration own_end[] = {
        first, repaired[1], second, {30, "ends", "CREATE TABLE x (n int); COMMIT;", "0000"}};
    check_fails(own_end, 4, ERR_INTERNAL, "ends its own transaction");
    const struct migration disorder[] = {second, first};
    check_fails(disorder, 2, ERR_INTERNAL, "out of order");
}

static void check_changes_nothing(void **state)
{
    (void)state;
    const struct migration list[] = {first, second};
    assert_int_equal(apply(list, 1), 1);
    pg_exec(pg, "GRANT SELECT ON schema_migration TO PUBLIC");
    struct error *error = migrate_check(pg_owner_conninfo(pg), list, 2);
    assert_int_equal(error_code(error), ERR_CONFLICT);
    assert_non_null(strstr(error_message(error), "lacks migration 0020_second"));
    error_free(error);
    assert_null(migrate_check(pg_owner_conninfo(pg), list, 1));
}

static void *migrate_house(void *ret_applied)
{
    return migrate(pg_owner_conninfo(pg), migrations, migration_count, ret_applied);
}

/* The real ones, by two brokers that start at the same moment. */
static void the_house_migrates(void **state)
{
    (void)state;
    pthread_t threads[2];
    size_t applied[2] = {0, 0};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, migrate_house, &applied[i]), 0);
    for (int i = 0; i < 2; i++) {
        void *error;
        assert_int_equal(pthread_join(threads[i], &error), 0);
        if (error)
            print_error("%s\n", error_message(error));
        assert_null(error);
    }
    assert_int_equal(applied[0] + applied[1], migration_count);
    assert_true(applied[0] == 0 || applied[1] == 0);
    assert_null(
        migrate_check(pg_conninfo(pg), migrations, migration_count)); /* the application's role may look */
    for (size_t i = 0; i < migration_count; i++) {
        char hex[DIGEST_HEX];
        digest_sha256(migrations[i].sql, strlen(migrations[i].sql), hex);
        assert_string_equal(migrations[i].checksum, hex);
    }
    /* The application's role is not above row-level security. */
    assert_true(pg_number(pg, "SELECT count(*) FROM pg_roles WHERE rolname = 'yunqiao_app' AND NOT rolsuper"
                              " AND NOT rolbypassrls AND NOT rolcreaterole AND NOT rolcreatedb") == 1);
    assert_true(pg_number(pg, "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                              " JOIN pg_roles r ON r.oid = c.relowner"
                              " WHERE n.nspname = 'public' AND r.rolname = 'yunqiao_app'") == 0);
    assert_true(
        pg_number(pg, "SELECT count(*) FROM pg_class WHERE relrowsecurity AND NOT relforcerowsecurity") == 0);
}

static int set_up(void **state)
{
    (void)state;
    pg = pg_start_empty();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pg_stop(pg);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(applied_once_and_recorded, clear),
        cmocka_unit_test_setup(a_late_one_is_applied, clear),
        cmocka_unit_test_setup(a_changed_one_is_refused, clear),
        cmocka_unit_test_setup(a_newer_database_is_refused, clear),
        cmocka_unit_test_setup(a_failing_one_leaves_nothing, clear),
        cmocka_unit_test_setup(check_changes_nothing, clear),
        cmocka_unit_test_setup(the_house_migrates, clear),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
