/* Row-level security by scope, as every schema file uses it: what a scope sees and may write, and that
 * without one nothing is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "broker/db/db.h"
#include "tests/support/pg.h"

static struct pg *pg;
static struct db *db;

struct look {
    const struct db_statement *statement;
    char *seen;
};

static struct error *look(struct db *in, void *context)
{
    struct look *wanted = context;
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(in, wanted->statement, DB_NO_VALUES, "row", &rows));
    free(wanted->seen);
    wanted->seen = xstrdup(db_get_text(rows, 0, 0));
    return NULL;
}

static const struct db_statement see_things = {
    "see_things", "SELECT coalesce(string_agg(id, ' ' ORDER BY id), '') FROM thing"};
static const struct db_statement see_notes = {
    "see_notes", "SELECT coalesce(string_agg(id, ' ' ORDER BY id), '') FROM note"};
static const struct db_statement see_by_function = {
    "see_by_function", "SELECT coalesce(string_agg(id, ' ' ORDER BY id), '') FROM plain"
                       " WHERE scope_sees(unit_id, system_id, cloud_id, provider_id)"};

static void check(const struct db_statement *statement, const struct db_scope *scope, const char *wanted)
{
    struct look what = {.statement = statement};
    struct error *error = db_transaction(db, scope, DB_READ_COMMITTED, look, &what);
    if (error)
        print_error("%s\n", error_message(error));
    assert_null(error);
    assert_string_equal(what.seen, wanted);
    free(what.seen);
}

/* thing: u1 has systems s1 and s2 and one row of no system; u2 is on another cloud of another provider. */
static const struct {
    struct db_scope scope;
    const char *things, *notes;
} views[] = {
    {{0}, "", ""},
    {{.all = true}, "a b c d", "m n"},
    {{.units = "u1"}, "a b c", "m"},
    {{.units = "u2"}, "d", "n"},
    {{.units = "u1,u2"}, "a b c d", "m n"},
    {{.units = "u"}, "", ""},
    {{.units = ""}, "", ""},
    {{.units = "u1", .systems = "s1"}, "a", "m"}, /* a note has no system: its unit decides */
    {{.units = "u1", .systems = "s2,s9"}, "b", "m"},
    {{.units = "u2", .systems = "s1"}, "", "n"},
    {{.systems = "s1"}, "", ""},
    {{.clouds = "c1"}, "a c", ""},
    {{.clouds = "c1,c2"}, "a b c d", ""},
    {{.providers = "p2"}, "b d", ""},
    {{.units = "u2", .clouds = "c1"}, "a c d", "n"},
    {{.units = "u1' OR true --"}, "", ""},
};

static void scopes_see_their_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        check(&see_things, &views[i].scope, views[i].things);
        check(&see_notes, &views[i].scope, views[i].notes);
        check(&see_by_function, &views[i].scope, views[i].things);
    }
    check(&see_things, NULL, "");
    check(&see_things, &db_scope_system, "a b c d");
}

static void nothing_is_seen_without_a_transaction(void **state)
{
    (void)state;
    check(&see_things, &db_scope_system, "a b c d"); /* leaves nothing behind on this connection */
    struct look what = {.statement = &see_things};
    assert_null(look(db, &what));
    assert_string_equal(what.seen, "");
    free(what.seen);
}

static struct error *write_one(struct db *in, void *context)
{
    static const struct db_statement put = {"put_thing",
                                            "INSERT INTO thing VALUES ($1, 'u2', 's9', 'c2', 'p2')"};
    return db_run(in, &put, DB_VALUES(db_text(context)), NULL);
}

static struct error *write_others(struct db *in, void *context)
{
    static const struct db_statement move = {"move_thing", "UPDATE thing SET unit_id = 'u1' WHERE id = 'd'"};
    static const struct db_statement erase = {"erase_thing", "DELETE FROM thing WHERE unit_id = 'u1'"};
    int64_t *changed = context;
    TRY(db_run(in, &erase, DB_NO_VALUES, changed));
    return db_run(in, &move, DB_NO_VALUES, NULL);
}

static void writes_are_checked_too(void **state)
{
    (void)state;
    const struct db_scope first = {.units = "u1"}, second = {.units = "u2"};
    char id[] = "e";
    struct error *error = db_transaction(db, &first, DB_READ_COMMITTED, write_one, id);
    assert_int_equal(error_code(error), ERR_DENIED);
    error_free(error);
    int64_t changed = -1; /* the deletion sees none of u1; moving its own row to u1 is refused */
    error = db_transaction(db, &second, DB_READ_COMMITTED, write_others, &changed);
    assert_int_equal(error_code(error), ERR_DENIED);
    error_free(error);
    assert_true(changed == 0);
    assert_true(pg_number(pg, "SELECT count(*) FROM thing") == 4);
    error = db_transaction(db, &second, DB_READ_COMMITTED, write_one, id);
    assert_null(error);
    pg_exec(pg, "DELETE FROM thing WHERE id = 'e'");
}

/* The settings are read once a query, not once a row: as initial plans. */
static void the_rule_is_cheap(void **state)
{
    (void)state;
    char *plan = pg_value(pg, "SET ROLE yunqiao_app; CREATE TEMP TABLE plans (line text);"
                              "DO $$ DECLARE line text; BEGIN FOR line IN EXPLAIN SELECT * FROM thing LOOP"
                              " INSERT INTO plans VALUES (line); END LOOP; END $$;"
                              "SELECT string_agg(line, E'\\n') FROM plans");
    assert_non_null(strstr(plan, "InitPlan"));
    const char *filter = strstr(plan, "Filter:");
    assert_non_null(filter);
    size_t length = strcspn(filter, "\n");
    assert_null(memmem(filter, length, "current_setting", 15));
    assert_null(memmem(filter, length, "scope_list", 10));
    free(plan);
}

static int set_up(void **state)
{
    (void)state;
    pg = pg_start();
    pg_exec(pg, "CREATE TABLE thing (id text, unit_id text, system_id text, cloud_id text, provider_id text);"
                "INSERT INTO thing VALUES ('a', 'u1', 's1', 'c1', 'p1'), ('b', 'u1', 's2', 'c2', 'p2'),"
                " ('c', 'u1', NULL, 'c1', 'p1'), ('d', 'u2', 's9', 'c2', 'p2');"
                "CREATE TABLE plain AS TABLE thing;"
                "CREATE TABLE note (id text, unit_id text);"
                "INSERT INTO note VALUES ('m', 'u1'), ('n', 'u2');"
                "SELECT scope_enable('thing', 'unit_id', 'system_id', 'cloud_id', 'provider_id');"
                "SELECT scope_enable('note', 'unit_id', NULL, NULL, NULL);"
                "GRANT ALL ON thing, note, plain TO yunqiao_app");
    struct error *error = db_connect(pg_conninfo(pg), &db);
    assert_null(error);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    db_close(db);
    pg_stop(pg);
    return 0;
}

/* Tables outside of row-level security, and why each may be. A new table is under it, or stands here. */
static const char *const open_tables[] = {
    /* reference: one catalog and one view of clouds, prices and their agreements for all who call */
    "cloud", "site", "zone", "provider", "agreement", "price_book", "price",
    /* every order of every unit is placed by them; the API narrows endpoints and capacity to those in charge
     */
    "endpoint", "image", "capacity",
    /* what a link between two sites carries: for all whose moves share it; the API tells those who run moves
     */
    "migration_link",
    /* an address is free or taken whoever asks; no route shows it */
    "address_lease",
    /* the broker's own, without anybody's rows, or asked for by the caller's own name alone */
    "auth_generation", "signing_key", "audit_link", "http_key", "billing_month", "billing_setting",
    "rating_run", "archive", "usage_archived", "schema_migration",
    /* reached by the trigger of usage_interval alone: nobody has a grant on it */
    "usage_turn"};

static void every_table_has_a_scope_or_a_reason(void **state)
{
    (void)state;
    char *list =
        pg_value(pg, "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class"
                     " WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
                     " AND NOT (relispartition AND NOT has_table_privilege('yunqiao_app', oid,"
                     " 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE'))" /* reached through the whole alone */
                     " AND NOT (relrowsecurity AND relforcerowsecurity"
                     " AND EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid))");
    char *rest = list, *name;
    int bare = 0;
    while ((name = strsep(&rest, " "))) {
        bool known = !strcmp(name, "plain"); /* this test's own */
        for (size_t i = 0; i < sizeof open_tables / sizeof *open_tables; i++)
            known |= !strcmp(name, open_tables[i]);
        if (!known)
            print_error("table %s is under no scope\n", name);
        bare += !known;
    }
    free(list);
    assert_int_equal(bare, 0);
    assert_int_equal(pg_number(pg, "SELECT count(*) FROM pg_roles WHERE rolname = 'yunqiao_app'"
                                   " AND NOT rolsuper AND NOT rolbypassrls AND NOT rolcreaterole"),
                     1);
    assert_int_equal(pg_number(pg, "SELECT count(*) FROM pg_class WHERE pg_get_userbyid(relowner) = "
                                   "'yunqiao_app'"),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scopes_see_their_rows),
        cmocka_unit_test(nothing_is_seen_without_a_transaction),
        cmocka_unit_test(writes_are_checked_too),
        cmocka_unit_test(the_rule_is_cheap),
        cmocka_unit_test(every_table_has_a_scope_or_a_reason),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
