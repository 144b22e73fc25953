/* Rating runs: the same inputs give the same bytes, however many workers share them, and what a rating says
 * is what the closing writes; bills are signed, and the signature is of this bill and no other. */
#include "metering/rating_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "broker/auth/auth.h"
#include "tests/metering/ledger.h"

#define UNITS 90 /* several groups for several workers */

static const struct month january = {2027, 1}, february = {2027, 2};
static struct ledger ledger;
static struct auth *auth;
static char folder[] = "/tmp/yunqiao-keys-XXXXXX";

static int open_ledger(void **state)
{
    ledger_open(&ledger);
    if (!mkdtemp(folder))
        return 1;
    return auth_new(folder, ledger.db, at("2027-01-01T00:00:00Z"), &auth) ? 1 : 0;
}

static int close_ledger(void **state)
{
    auth_free(auth);
    ledger_close(&ledger);
    DIR *entries = opendir(folder);
    for (const struct dirent *entry; entries && (entry = readdir(entries));)
        (void)unlinkat(dirfd(entries), entry->d_name, 0); /* "." and ".." refuse */
    (void)closedir(entries);
    return rmdir(folder);
}

/* Every unit with machines at two providers, changing at odd moments. */
static int begin(void **state)
{
    ledger_clear(&ledger);
    pg_exec(ledger.pg, "SET session_replication_role = replica; DELETE FROM rating_run");
    ledger.services = NULL;
    ledger_provider(&ledger, "p1", &agreement_default, january, 3);
    ledger_provider(&ledger, "p2", &agreement_default, january, 5);
    for (int u = 0; u < UNITS; u++) {
        ARENA_AUTO struct arena *arena = arena_new();
        const char *unit = arena_printf(arena, "u%02d", u), *system = arena_printf(arena, "u%02d001", u);
        moment start = month_start(january) + u * 7919 * MOMENT_SECOND;
        ledger_ok(ledger_set(&ledger, unit, system, "c1", "p1", "r1", "1001=4,1002=8,1019=3", start));
        ledger_ok(
            ledger_set(&ledger, unit, system, "c1", "p1", "r1", "1001=2,1002=8,1001+=1", start + MOMENT_DAY));
        ledger_ok(ledger_set(&ledger, unit, system, "c2", "p2", "r2", "1011=0.5", start));
        if (u % 3 == 0)
            ledger_ok(ledger_end(&ledger, unit, "r2", start + 3 * MOMENT_DAY));
    }
    return 0;
}

struct rating {
    unsigned workers;
    struct month month;
    struct rating_run run;
    struct bill_month closed;
    bool current;
};

static struct error *rate_body(struct db *db, void *context)
{
    struct rating *rating = context;
    ARENA_AUTO struct arena *arena = arena_new();
    const struct metering_services services = {.auth = auth, .rate_workers = rating->workers};
    return bill_rate_month(db, arena, &services, rating->month, month_end(rating->month), &rating->run);
}

static struct error *close_body(struct db *db, void *context)
{
    struct rating *rating = context;
    ARENA_AUTO struct arena *arena = arena_new();
    const struct metering_services services = {.auth = auth, .rate_workers = rating->workers};
    return bill_close_month(db, arena, &services, rating->month, month_end(rating->month), &rating->closed);
}

static struct error *current_body(struct db *db, void *context)
{
    struct rating *rating = context;
    return rating_run_current(db, rating->month, &rating->current);
}

static struct rating rate(unsigned workers, struct month month)
{
    struct rating rating = {.workers = workers, .month = month};
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, rate_body, &rating));
    return rating;
}

static bool is_current(struct month month)
{
    struct rating rating = {.month = month};
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, current_body, &rating));
    return rating.current;
}

static void same_inputs_give_the_same_bytes(void **state)
{
    assert_false(is_current(january));
    struct rating one = rate(1, january), many = rate(5, january);
    assert_string_equal(one.run.digest, many.run.digest);
    assert_string_equal(one.run.prices_digest, many.run.prices_digest);
    assert_true(one.run.usage == many.run.usage && one.run.usage > 0);
    assert_int_equal(one.run.intervals, many.run.intervals);
    assert_int_equal(many.run.units, UNITS);
    assert_int_equal(many.run.workers, 5);
    assert_int_equal(many.run.bills, 2 * UNITS);
    assert_true(is_current(january));
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM bill"), 0);
    struct rating closing = {.workers = 3, .month = january};
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_SERIALIZABLE, close_body, &closing));
    assert_string_equal(closing.closed.digest, one.run.digest);
    assert_int_equal(closing.closed.total_fen, one.run.total_fen);
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM bill"), 2 * UNITS);
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM bill_line"), one.run.lines);
    assert_int_equal(pg_number(ledger.pg, "SELECT sum(amount_fen)::bigint FROM bill_line"),
                     one.run.total_fen);
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM rating_run"), 3);
}

/* A unit is in a run for use within the month alone, or for a change of an earlier one. */
static void units_are_those_with_usage(void **state)
{
    moment end = month_end(january);
    struct rating before = rate(2, january);
    assert_int_equal(before.run.units, UNITS);
    ledger_ok(ledger_set(&ledger, "a0", "a0001", "c1", "p1", "r1", "1001=1", end)); /* the first by name */
    ledger_ok(ledger_set(&ledger, "z0", "z0001", "c1", "p1", "r1", "1001=1", end + MOMENT_DAY));
    ledger_ok(ledger_end(&ledger, "z0", "r1", end + 40 * MOMENT_DAY)); /* in a later month's partition */
    pg_exec(ledger.pg,
            "SET session_replication_role = replica; DELETE FROM usage_change WHERE unit_id IN ('a0', 'z0')");
    struct rating after = rate(2, january);
    assert_int_equal(after.run.units, UNITS);
    assert_string_equal(after.run.digest, before.run.digest);
    ledger_ok(ledger_set(&ledger, "z1", "z1001", "c1", "p1", "r1", "1001=1", end - 1));
    pg_exec(ledger.pg,
            "SET session_replication_role = replica; DELETE FROM usage_change WHERE unit_id = 'z1'");
    struct rating last = rate(2, january);
    assert_int_equal(last.run.units, UNITS + 1);
    assert_int_equal(last.run.bills, before.run.bills + 1);
    (void)state;
}

/* What a line must be, whoever writes it: each change of a good one breaks one rule. */
static void a_line_that_breaks_a_rule_is_refused(void **state)
{
    static const char *const broken[] = {
        "line_no = 0",
        "price_fen = 0",
        "type = 'gift'",
        "tariff = 'gift'",
        "usage = 0",
        "amount_fen = -1, list_fen = -1",
        "charge_month = '2026-12'",
        "amount_fen = 6",
        "tariff = 'expansion'",
        "tariff = 'allowance'",
        "tariff = 'gift', amount_fen = 0",
        "corrects_number = 'YQ1', corrects_line = 1",
        "corrects_number = 'YQ1'",
        "corrects_line = 1",
        "type = 'adjustment'",
        "type = 'adjustment', charge_month = '2027-02'",
        "type = 'adjustment', charge_month = '2026-12', corrects_line = 1",
        "type = 'adjustment', charge_month = '2026-12', corrects_number = 'YQ1'",
    };
    static const char *const good[] = {
        "tariff = 'expansion', amount_fen = 0",
        "type = 'adjustment', charge_month = '2026-12', usage = -5, amount_fen = -7, list_fen = -7",
        "type = 'adjustment', charge_month = '2026-12', corrects_number = 'YQ1', corrects_line = 1",
    };
    static const char line[] =
        "CREATE TEMP TABLE l (LIKE bill_line); INSERT INTO l (unit_id, bill_id, line_no, month, type, "
        "charge_month,"
        " provider_id, cloud_id, system_id, item, price_fen, price_from, price_to, usage, amount_fen, tariff,"
        " industry, zone_id, architecture, list_fen) VALUES ('u', 'b', 1, '2027-01', 'charge', '2027-01', "
        "'p', 'c',"
        " 's', '1001', 100, now(), now(), 5, 5, 'standard', '', '', '', 5);"
        " INSERT INTO billing_month (month, state) VALUES ('2027-01', 'closing');";
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        ARENA_AUTO struct arena *arena = arena_new();
        pg_exec(ledger.pg,
                arena_printf(
                    arena,
                    "BEGIN; %s DO $$ BEGIN UPDATE l SET %s; INSERT INTO bill_line SELECT * FROM l;"
                    " RAISE 'a line was taken'; EXCEPTION WHEN check_violation THEN NULL; END $$; ROLLBACK",
                    line, broken[i]));
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ARENA_AUTO struct arena *arena = arena_new();
        pg_exec(ledger.pg,
                arena_printf(arena,
                             "BEGIN; %s UPDATE l SET %s; INSERT INTO bill_line SELECT * FROM l; ROLLBACK",
                             line, good[i]));
    }
}

static void what_comes_in_later_asks_for_another_run(void **state)
{
    struct rating before = rate(2, january);
    assert_true(is_current(january));
    ledger_ok(ledger_end(&ledger, "u01", "r2", at("2027-01-20T00:00:00+08:00")));
    assert_false(is_current(january));
    struct rating after = rate(2, january);
    assert_string_not_equal(before.run.digest, after.run.digest);
    assert_true(after.run.total_fen < before.run.total_fen);
    assert_true(is_current(january));
    ledger_ok(ledger_end(&ledger, "u02", "r2", at("2027-02-02T00:00:00+08:00"))); /* no change of January */
    assert_true(is_current(january));
}

/* A late change of January is corrected by February's closing, the same with one worker as with many. */
static void corrections_are_the_same_for_any_number_of_workers(void **state)
{
    struct rating closing = {.workers = 4, .month = january};
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, close_body, &closing));
    for (int u = 0; u < UNITS; u += 7) {
        ARENA_AUTO struct arena *arena = arena_new();
        ledger_ok(ledger_set(&ledger, arena_printf(arena, "u%02d", u), arena_printf(arena, "u%02d001", u),
                             "c1", "p1", "late", "1001=1", at("2027-01-10T00:00:00+08:00")));
    }
    struct rating one = rate(1, february), many = rate(6, february);
    assert_string_equal(one.run.digest, many.run.digest);
    closing = (struct rating){.workers = 6, .month = february};
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, close_body, &closing));
    assert_string_equal(closing.closed.digest, one.run.digest);
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM bill_line WHERE type = 'adjustment'"),
                     (UNITS + 6) / 7);
}

static void one_unpriced_use_fails_all_and_writes_nothing(void **state)
{
    ledger_ok(ledger_set(&ledger, "u50", "u50001", "c9", "nobody", "r9", "1001=1",
                         at("2027-01-10T00:00:00+08:00")));
    struct rating closing = {.workers = 4, .month = january};
    ledger_fails(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, close_body, &closing),
                 ERR_CONFLICT, "no price");
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM bill"), 0);
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM rating_run"), 0);
    assert_true(pg_number(ledger.pg, "SELECT count(*) FROM usage_change") > 0);
}

static bool verifies(const char *public_key, const char *signature, const char *text)
{
    ARENA_AUTO struct arena *arena = arena_new();
    unsigned char *key_bytes, *signature_bytes;
    size_t key_size, signature_size;
    ledger_ok(base64url_decode(arena, public_key, strlen(public_key), &key_bytes, &key_size));
    ledger_ok(base64url_decode(arena, signature, strlen(signature), &signature_bytes, &signature_size));
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key_bytes, key_size);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(context, signature_bytes, signature_size, (const unsigned char *)text,
                                 strlen(text)) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return good;
}

static void bills_and_months_are_signed(void **state)
{
    struct rating closing = {.workers = 2, .month = january};
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, close_body, &closing));
    char *key = pg_value(ledger.pg, "SELECT public_key FROM signing_key");
    char *one = pg_value(ledger.pg, "SELECT signature FROM bill ORDER BY number LIMIT 1");
    char *text = pg_value(
        ledger.pg, "SELECT 'yunqiao bill|' || number || '|' || digest FROM bill ORDER BY number LIMIT 1");
    char *other =
        pg_value(ledger.pg,
                 "SELECT 'yunqiao bill|' || number || '|' || digest FROM bill ORDER BY number DESC LIMIT 1");
    assert_true(verifies(key, one, text));
    assert_false(verifies(key, one, other));
    char *month = pg_value(ledger.pg, "SELECT signature FROM billing_month");
    char *month_text =
        pg_value(ledger.pg, "SELECT 'yunqiao month|' || month || '|' || digest FROM billing_month");
    assert_true(verifies(key, month, month_text));
    assert_int_equal(pg_number(ledger.pg, "SELECT count(*) FROM bill WHERE kid IS NULL"), 0);
    free(key);
    free(one);
    free(text);
    free(other);
    free(month);
    free(month_text);
}

static void runs_are_kept(void **state)
{
    (void)rate(1, january);
    static const struct db_statement erase = {"test_erase_run", "DELETE FROM rating_run"};
    struct db *owner;
    ledger_ok(db_connect(pg_owner_conninfo(ledger.pg), &owner));
    ledger_fails(db_run(owner, &erase, DB_NO_VALUES, NULL), ERR_CONFLICT, "never changes");
    db_close(owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(same_inputs_give_the_same_bytes, begin),
        cmocka_unit_test_setup(units_are_those_with_usage, begin),
        cmocka_unit_test_setup(a_line_that_breaks_a_rule_is_refused, begin),
        cmocka_unit_test_setup(what_comes_in_later_asks_for_another_run, begin),
        cmocka_unit_test_setup(corrections_are_the_same_for_any_number_of_workers, begin),
        cmocka_unit_test_setup(one_unpriced_use_fails_all_and_writes_nothing, begin),
        cmocka_unit_test_setup(bills_and_months_are_signed, begin),
        cmocka_unit_test_setup(runs_are_kept, begin),
    };
    return cmocka_run_group_tests(tests, open_ledger, close_ledger);
}
