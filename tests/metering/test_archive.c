/* Archives in a real database and real folders: a month goes when it is its turn and not before, what goes is
 * in the files to the byte, what is archived cannot change, and a kill at any point leaves the partition or a
 * verified archive. */
#include "metering/archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "metering/partition.h"
#include "tests/metering/ledger.h"

static struct ledger ledger;
static char *dir;
static const struct month january = {2027, 1}, february = {2027, 2};

static void is(const char *query, const char *wanted)
{
    char *found = pg_value(ledger.pg, query);
    assert_string_equal(found, wanted);
    free(found);
}

static void use(const char *resource, const char *from, const char *to)
{
    ledger_ok(ledger_set(&ledger, "u1", "u1001", "c1", "p1", resource, "1001=1.5,1002=4", at(from)));
    if (to)
        ledger_ok(ledger_end(&ledger, "u1", resource, at(to)));
}

static void close_months(struct month month, int count)
{
    for (int i = 0; i < count; i++, month = month_next(month))
        ledger_ok(ledger_close_month(&ledger, month, month_end(month), NULL));
}

static void remove_folder(const char *path)
{
    char *command = xasprintf("rm -rf '%s'", path);
    FILE *shell = popen(command, "r");
    assert_non_null(shell);
    assert_int_equal(pclose(shell), 0);
    free(command);
}

/* January and February with ended, open and long intervals, in partitions; January to April are closed. */
static int begin(void **state)
{
    ledger_clear(&ledger);
    pg_exec(ledger.pg, "SET session_replication_role = replica; DELETE FROM archive; DELETE FROM rating_run;"
                       " UPDATE usage_archived SET until = '-infinity';"
                       " DROP TABLE IF EXISTS usage_interval_2027_01, usage_interval_2027_02, bill_2027_01,"
                       " bill_2027_02, bill_line_2027_01, bill_line_2027_02");
    pg_exec(ledger.pg, "UPDATE billing_setting SET bill_retention_months = 0");
    pg_exec(ledger.pg, "UPDATE billing_setting SET close_grace_seconds = 0, usage_retention_months = 3");
    ledger_provider(&ledger, "p1", &agreement_default, january, 2);
    ledger_ok(partition_ahead(ledger.db, january));
    use("short", "2027-01-02T00:00:00+08:00", "2027-01-05T01:02:03.456789+08:00");
    use("edge", "2027-01-05T00:00:00+08:00", "2027-02-01T00:00:00+08:00");
    use("long", "2027-01-05T00:00:00+08:00", "2027-03-07T00:00:00+08:00");
    use("open", "2027-01-09T00:00:00+08:00", NULL);
    close_months(january, 4);
    return 0;
}

static int end(void **state)
{
    remove_folder(dir);
    return 0;
}

static int open_ledger(void **state)
{
    ledger_open(&ledger);
    dir = xasprintf("%s/archive", pg_folder(ledger.pg));
    return 0;
}

static int close_ledger(void **state)
{
    free(dir);
    ledger_close(&ledger);
    return 0;
}

static void kill_at(int point, void *given)
{
    if (point == *(int *)given)
        (void)kill(getpid(), SIGKILL);
}

/* All three steps, up to the first that fails. */
static struct error *archive_as(struct db *db, struct month month, int *kill_point)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct archive_work work = {.db = db,
                                .arena = arena,
                                .dir = dir,
                                .month = month,
                                .now = at("2027-05-01T00:00:00+08:00"),
                                .reached = kill_point ? kill_at : NULL,
                                .given = kill_point};
    TRY(archive_export(&work));
    TRY(archive_verify(&work));
    return archive_drop(&work);
}

static struct error *archive(struct month month)
{
    return archive_as(ledger.db, month, NULL);
}

static void a_month_waits_for_its_turn(void **state)
{
    ledger_fails(archive(february), ERR_CONFLICT, "2027-02 is kept until 2027-05 is closed");
    ledger_fails(archive((struct month){2027, 5}), ERR_CONFLICT, "2027-05 is not closed");
    pg_exec(ledger.pg, "UPDATE billing_setting SET usage_retention_months = 0");
    ledger_fails(archive(january), ERR_CONFLICT, "kept for ever");
    pg_exec(ledger.pg, "UPDATE billing_setting SET usage_retention_months = 4");
    ledger_fails(archive(january), ERR_CONFLICT, "2027-01 is kept until 2027-05 is closed");
    pg_exec(ledger.pg, "UPDATE billing_setting SET usage_retention_months = 3");
    close_months((struct month){2027, 5}, 1);
    ledger_fails(archive(february), ERR_CONFLICT, "2027-01 goes before it");
    is("SELECT count(*)::text FROM usage_interval", "8");
    assert_int_equal(access(dir, F_OK), -1);
}

/* A change that the next closing must rate needs the usage: it stays until that is done. */
static void a_change_that_waits_keeps_its_month(void **state)
{
    use("late", "2027-01-20T00:00:00+08:00", "2027-01-21T00:00:00+08:00");
    ledger_fails(archive(january), ERR_CONFLICT, "waits for the next closing");
    close_months((struct month){2027, 5}, 1);
    is("SELECT count(*)::text FROM bill_line WHERE type = 'adjustment' AND charge_month = '2027-01'", "2");
    ledger_ok(archive(january));
}

#define SUMS                                                                                               \
    "SELECT month || ' ' || intervals || ' ' || usage || ' ' || bills || ' ' || lines || ' ' || bills_fen" \
    " FROM archive"

static void what_goes_is_in_the_files(void **state)
{
    char *before = pg_value(ledger.pg, "SELECT count(*) || ' ' || sum(micro * extract(epoch FROM end_at - "
                                       "start_at) * 1000000)::numeric(38, 0) FROM usage_interval_2027_01");
    char *rows = pg_value(ledger.pg,
                          "SELECT string_agg(to_jsonb(u)::text || chr(10), '' ORDER BY unit_id, resource_id,"
                          " item, tariff) FROM usage_interval_2027_01 u");
    char *total = pg_value(ledger.pg, "SELECT ' ' || bills || ' ' || lines || ' ' || total_fen FROM "
                                      "billing_month WHERE month = '2027-01'");
    ledger_ok(archive(january));
    char *wanted = xasprintf("2027-01 %s%s", before, total);
    is(SUMS, wanted);
    is("SELECT to_regclass('usage_interval_2027_01')::text", "");
    is("SELECT string_agg(DISTINCT resource_id, ',' ORDER BY resource_id) FROM usage_interval", "long,open");
    is("SELECT (until AT TIME ZONE 'Asia/Shanghai')::text FROM usage_archived", "2027-02-01 00:00:00");
    is("SELECT count(*)::text FROM bill_line WHERE month = '2027-01'", "2");
    char *path = xasprintf("%s/2027-01/usage.jsonl", dir);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    char *read = xcalloc(1, strlen(rows) + 100);
    assert_int_equal(fread(read, 1, strlen(rows) + 99, file), strlen(rows));
    assert_string_equal(read, rows);
    assert_int_equal(fclose(file), 0);
    struct stat status;
    assert_int_equal(stat(dir, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    free(path);
    free(read);
    free(wanted);
    free(before);
    free(rows);
    free(total);
    ledger_fails(archive(january), ERR_CONFLICT, "bills are kept for ever");
}

static struct error *late_report(struct db *db, void *context)
{
    static const struct db_statement note = {
        "test_note", "INSERT INTO usage_change (unit_id, system_id, cloud_id, provider_id, from_at)"
                     " VALUES ('u1', 'u1001', 'c1', 'p1', '2027-01-31T23:59:59.999999+08:00')"};
    static const struct db_statement ended = {
        "test_ended", /* a reported one leaves no change of its own */
        "INSERT INTO usage_interval (unit_id, system_id, cloud_id, provider_id, resource_id, kind, item, "
        "micro,"
        " start_at, end_at, origin) VALUES ('u1', 'u1001', 'c1', 'p1', 'p1/x', 'instance', '1001', 1000000,"
        " '2027-01-06T00:00:00+08:00', '2027-01-07T00:00:00+08:00', 'reported')"};
    return db_run(db, context ? &note : &ended, DB_NO_VALUES, NULL);
}

/* No way leads into an archived month, and none of its rows waits in a default partition unseen; what is
 * later is corrected as ever, and the archived month is not rated again. */
static void what_is_archived_cannot_change(void **state)
{
    bool made;
    ledger_ok(archive(january));
    ledger_fails(ledger_set(&ledger, "u1", "u1001", "c1", "p1", "new", "1001=1",
                            at("2027-01-31T23:59:59.999999+08:00")),
                 ERR_CONFLICT, "usage up to 2027-01-31T16:00:00.000000Z is archived");
    ledger_fails(ledger_end(&ledger, "u1", "open", at("2027-02-01T00:00:00+08:00")), ERR_CONFLICT,
                 "is archived");
    for (int i = 0; i < 2; i++) {
        ledger_fails(
            db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, late_report, i ? state : NULL),
            ERR_CONFLICT, "usage up to 2027-01-31T16:00:00Z is archived");
        ledger_fails(
            db_transaction(ledger.db, &db_scope_system, DB_SERIALIZABLE, late_report, i ? state : NULL),
            ERR_CONFLICT, "usage_archived");
    }
    ledger_ok(partition_make(ledger.db, january, &made));
    assert_false(made);
    ledger_ok(ledger_end(&ledger, "u1", "open", at("2027-02-01T00:00:00.000001+08:00")));
    use("late", "2027-02-10T00:00:00+08:00", "2027-02-11T00:00:00+08:00");
    close_months((struct month){2027, 5}, 1);
    is("SELECT string_agg(DISTINCT charge_month, ',' ORDER BY charge_month) FROM bill_line WHERE month = "
       "'2027-05'",
       "2027-02,2027-03,2027-04");
    is("SELECT count(*)::text FROM usage_interval_other", "0");
    ledger_ok(archive(february));
    is("SELECT to_regclass('usage_interval_2027_02')::text", "");
}

struct moment_ask {
    moment now, at;
};
static struct error *ask_moment(struct db *db, void *context)
{
    struct moment_ask *ask = context;
    return usage_moment(db, "u1", "gone", ask->now, &ask->at);
}

static void a_late_deletion_is_taken_after_the_archive(void **state)
{
    struct moment_ask ask = {.now = at("2027-01-15T00:00:00+08:00")};
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, ask_moment, &ask));
    assert_int_equal(ask.at, ask.now);
    ledger_ok(archive(january));
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, ask_moment, &ask));
    assert_int_equal(ask.at, at("2027-02-01T00:00:00.000001+08:00"));
}

/* --------------------------------------------------------------------------------------------------------
 * files that are not what they should be */

static void change_file(const char *name, const char *sed)
{
    char *command = xasprintf("sed -i '%s' %s/2027-01/%s", sed, dir, name);
    FILE *shell = popen(command, "r");
    assert_non_null(shell);
    assert_int_equal(pclose(shell), 0);
    free(command);
}

static void a_file_that_differs_keeps_the_month(void **state)
{
    static const struct {
        const char *name, *sed, *says;
    } changes[] = {{"usage.jsonl", "2s/\"1002\"/\"1003\"/", "line 2 of"},
                   {"usage.jsonl", "$d", "line 4 of"},
                   {"usage.jsonl", "$p", "more lines"},
                   {"bills.jsonl", "1s/$/ /", "line 1 of"},
                   {"lines.jsonl", "1s/\"micro\\|\"usage\": \"./\"usage\": \"9/", "line 1 of"},
                   {"manifest.json", "s/\"bytes\":/\"bytes\":1/", "does not tell"},
                   {"manifest.json", "s/total_fen\":\"./total_fen\":\"9/", "does not tell"},
                   {"manifest.json", "s/^./[/", "JSON"}};
    ARENA_AUTO struct arena *arena = arena_new();
    struct archive_work work = {
        .db = ledger.db, .arena = arena, .dir = dir, .month = january, .now = month_end(february)};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        ledger_ok(archive_export(&work));
        change_file(changes[i].name, changes[i].sed);
        struct error *error = archive_verify(&work);
        if (!error || !strstr(error_message(error), changes[i].says))
            fail_msg("%s, %s: %s", changes[i].name, changes[i].sed, error ? error_message(error) : "taken");
        error_free(error);
        ledger_fails(archive_drop(&work), ERR_CONFLICT, "was not archived");
        is("SELECT count(*)::text FROM usage_interval_2027_01", "4");
    }
    ledger_ok(archive(january));
}

/* What comes in between the comparison and the drop is seen by the drop, under its lock. */
static void a_change_after_the_comparison_keeps_the_month(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct archive_work work = {
        .db = ledger.db, .arena = arena, .dir = dir, .month = january, .now = at("2027-05-01T00:00:00Z")};
    ledger_ok(archive_export(&work));
    ledger_ok(archive_verify(&work));
    use("late", "2027-01-20T00:00:00+08:00", "2027-01-21T00:00:00+08:00");
    ledger_fails(archive_drop(&work), ERR_CONFLICT, "waits for the next closing");
    pg_exec(ledger.pg, "DELETE FROM usage_change");
    ledger_fails(archive_drop(&work), ERR_CONFLICT, "is not what the database holds");
    is("SELECT count(*)::text FROM usage_interval_2027_01", "6");
    ledger_ok(archive(january));
    is("SELECT intervals::text FROM archive", "6");
}

/* --------------------------------------------------------------------------------------------------------
 * crashes */

/* Runs it in a process that is killed at the point; false: it was not reached. */
static bool killed_at(int point)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        struct db *db;
        struct error *error = db_connect(pg_conninfo(ledger.pg), &db);
        if (!error)
            error = archive_as(db, january, &point);
        _exit(error ? 1 : 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status);
}

/* The partition is whole, or the archive is verified and stands in its folder. */
static void nothing_is_lost(int point)
{
    int64_t left = pg_number(
        ledger.pg, "SELECT count(*) FROM usage_interval WHERE end_at <= '2027-02-01T00:00:00+08:00'");
    int64_t dropped = pg_number(ledger.pg, "SELECT count(*) FROM archive WHERE usage_dropped_at IS NOT NULL");
    char *manifest = xasprintf("%s/2027-01/manifest.json", dir);
    if (!(left == 4 && !dropped) && !(left == 0 && dropped == 1 && access(manifest, F_OK) == 0))
        fail_msg("after point %d: %lld intervals, %lld dropped", point, (long long)left, (long long)dropped);
    free(manifest);
}

static void a_kill_at_any_point_loses_nothing(void **state)
{
    for (int point = 1; point <= ARCHIVE_POINTS; point++) {
        if (!killed_at(point))
            fail_msg("point %d was not reached", point);
        nothing_is_lost(point);
    }
    is("SELECT usage_dropped_at IS NOT NULL FROM archive", "t"); /* killed after the drop at last */
    ARENA_AUTO struct arena *arena = arena_new();
    struct archive_work work = {
        .db = ledger.db, .arena = arena, .dir = dir, .month = january, .part = ARCHIVE_USAGE};
    ledger_ok(archive_drop(&work)); /* as a job that goes on */
    is("SELECT count(*)::text FROM bill_line WHERE month = '2027-01'", "2");
}

/* --------------------------------------------------------------------------------------------------------
 * bills */

static struct error *statement_total(struct db *db, void *context)
{
    static const struct db_statement total = {
        "test_total",
        "SELECT sum(charges_fen + adjustments_fen)::bigint FROM statement_place WHERE month = '2027-01'"};
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &total, DB_NO_VALUES, &rows));
    *(int64_t *)context = db_get_int(rows, 0, 0);
    return NULL;
}

static void bills_go_later_and_the_sums_stay(void **state)
{
    int64_t before, after;
    pg_exec(ledger.pg, "UPDATE billing_setting SET bill_retention_months = 24");
    ledger_ok(archive(january));
    ledger_fails(archive(january), ERR_CONFLICT, "2027-01 is kept until 2029-01 is closed");
    ledger_reprice(&ledger, "p1", (struct month){2029, 1}, 3);
    close_months((struct month){2027, 5}, 21);
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, statement_total, &before));
    change_file("usage.jsonl", "1s/.$/ /"); /* the only copy was damaged: nothing more goes */
    ledger_fails(archive(january), ERR_CONFLICT, "does not tell");
    change_file("usage.jsonl", "1s/.$/}/");
    change_file("bills.jsonl", "1s/p1/p2/");
    ledger_fails(archive(january), ERR_CONFLICT, "line 1 of");
    change_file("bills.jsonl", "1s/p2/p1/");
    is("SELECT count(*)::text FROM bill WHERE month = '2027-01'", "1");
    ledger_ok(archive(january));
    is("SELECT count(*)::text FROM bill WHERE month = '2027-01'", "0");
    is("SELECT concat(to_regclass('bill_line_2027_01'), to_regclass('bill_2027_01'))", "");
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, statement_total, &after));
    assert_int_equal(before, after);
    assert_true(after > 0);
    ledger_fails(archive(january), ERR_CONFLICT, "with its bills");
    use("fresh", "2029-02-03T00:00:00+08:00", NULL);
    close_months((struct month){2029, 2}, 1);
    is("SELECT count(*)::text FROM bill WHERE month = '2029-02'", "1");
}

/* --------------------------------------------------------------------------------------------------------
 * who may */

static struct error *run_statement(struct db *db, void *context)
{
    return db_run(db, context, DB_NO_VALUES, NULL);
}

static void the_broker_has_no_way_around(void **state)
{
    static struct db_statement before[] = {
        {"archive_drop_now", "SELECT billing_partition_drop('2027-01', 'usage')"},
        {"archive_drop_bills", "SELECT billing_partition_drop('2027-01', 'bills')"},
        {"archive_inject", "SELECT billing_partition_drop('2027-01; DROP TABLE bill', 'usage')"},
        {"archive_what", "SELECT billing_partition_drop('2027-01', 'audit')"},
        {"archive_until", "UPDATE usage_archived SET until = 'infinity'"},
        {"archive_fake",
         "INSERT INTO archive (month, manifest_sm3, program, verified_at, intervals, usage, bills,"
         " bills_fen, lines, lines_usage, lines_fen, usage_dropped_at)"
         " VALUES ('2027-01', '', '', now(), 0, 0, 0, 0, 0, 0, 0, now())"}};
    static struct db_statement after[] = {
        {"archive_erase", "DELETE FROM archive"},
        {"archive_rewrite", "UPDATE archive SET manifest_sm3 = ''"},
        {"archive_february", "SELECT billing_partition_drop('2027-02', 'usage')"}};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        struct error *error =
            db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, run_statement, &before[i]);
        if (!error)
            fail_msg("allowed: %s", before[i].sql);
        error_free(error);
    }
    ARENA_AUTO struct arena *arena = arena_new();
    struct archive_work work = {
        .db = ledger.db, .arena = arena, .dir = dir, .month = january, .now = month_end(february)};
    ledger_ok(archive_export(&work));
    ledger_ok(archive_verify(&work));
    ledger_fails(db_transaction(ledger.db, &db_scope_system, DB_SERIALIZABLE, run_statement, &before[0]),
                 ERR_CONFLICT, "read committed");
    ledger_ok(archive_drop(&work));
    for (size_t i = 0; i < sizeof after / sizeof *after; i++) {
        struct error *error =
            db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, run_statement, &after[i]);
        if (!error)
            fail_msg("allowed: %s", after[i].sql);
        error_free(error);
    }
    is("SELECT count(*)::text FROM archive", "1");
}

struct due {
    bool found;
    struct month month;
};
static struct error *due_body(struct db *db, void *context)
{
    struct due *due = context;
    return archive_due(db, &due->found, &due->month);
}

static void the_oldest_is_due(void **state)
{
    struct due due = {0};
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, due_body, &due));
    assert_true(due.found && !month_compare(due.month, january));
    ledger_ok(archive(january));
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, due_body, &due));
    assert_false(due.found);
    close_months((struct month){2027, 5}, 1);
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, due_body, &due));
    assert_true(due.found && !month_compare(due.month, february));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_month_waits_for_its_turn),
        TEST(a_change_that_waits_keeps_its_month),
        TEST(what_goes_is_in_the_files),
        TEST(what_is_archived_cannot_change),
        TEST(a_late_deletion_is_taken_after_the_archive),
        TEST(a_file_that_differs_keeps_the_month),
        TEST(a_change_after_the_comparison_keeps_the_month),
        TEST(a_kill_at_any_point_loses_nothing),
        TEST(bills_go_later_and_the_sums_stay),
        TEST(the_broker_has_no_way_around),
        TEST(the_oldest_is_due),
    };
    return cmocka_run_group_tests(tests, open_ledger, close_ledger);
}
