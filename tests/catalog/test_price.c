/* Providers, agreements, bids and price books in a real database. */
#include "catalog/price.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/id.h"
#include "broker/base/json.h"
#include "catalog/bid.h"
#include "catalog/provider.h"
#include "tests/support/pg.h"

static struct pg *pg;
static struct db *db;
static const struct month january = {2027, 1}, march = {2027, 3};

static void ok(struct error *error)
{
    if (error)
        fail_msg("%s: %s", error_code_name(error_code(error)), error_message(error));
}

static void fails(struct error *error, enum error_code code, const char *says)
{
    if (!error)
        fail_msg("no error where \"%s\" was expected", says);
    if (error_code(error) != code || !strstr(error_message(error), says))
        fail_msg("%s: %s", error_code_name(error_code(error)), error_message(error));
    error_free(error);
}

static int open_database(void **state)
{
    pg = pg_start();
    ok(db_connect(pg_conninfo(pg), &db));
    return 0;
}

static int close_database(void **state)
{
    db_close(db);
    pg_stop(pg);
    return 0;
}

/* One call in a transaction of its own. */
struct work {
    struct arena *arena;
    const char *provider, *bid, *book;
    const struct agreement *agreement;
    struct agreement found;
    struct month from;
    moment now;
    int64_t less, fen, version;
    struct price_period *periods;
    struct bid *bids;
    size_t count;
};

static struct error *run(struct error *(*body)(struct db *, void *), struct work *work)
{
    return db_transaction(db, &db_scope_system, DB_READ_COMMITTED, body, work);
}

static struct error *add_provider(struct db *in, void *context)
{
    struct work *work = context;
    return provider_add(in, work->provider, "A name", NULL, work->agreement, work->now);
}

static struct error *agree(struct db *in, void *context)
{
    struct work *work = context;
    return provider_agree(in, work->provider, work->agreement, work->now);
}

static struct error *read_agreement(struct db *in, void *context)
{
    struct work *work = context;
    return provider_agreement(in, work->provider, work->now, &work->found);
}

static struct error *rename_provider(struct db *in, void *context)
{
    struct work *work = context;
    return provider_update(in, work->provider, work->version, "Another name", "somebody", work->now);
}

static struct error *add_bid(struct db *in, void *context)
{
    struct work *work = context;
    int64_t fen[ITEM_COUNT];
    json_t *prices = json_hold(work->arena, json_object());
    for (size_t i = 0; i < item_count(); i++)
        json_put_yuan(prices, item_at(i)->code, item_at(i)->cap_fen - work->less);
    TRY(bid_read(prices, fen));
    struct bid bid = {.id = work->bid,
                      .provider = work->provider,
                      .prices = prices,
                      .weighted_total = item_weighted_total(fen),
                      .submitted_by = "test",
                      .submitted_at = work->now};
    return bid_add(in, &bid);
}

static struct error *approve(struct db *in, void *context)
{
    struct work *work = context;
    return bid_approve(in, work->arena, work->bid, work->from, "test", work->now, &work->book);
}

static struct error *read_price(struct db *in, void *context)
{
    struct work *work = context;
    return price_at(in, work->provider, "1001", work->now, &work->fen);
}

static struct error *read_periods(struct db *in, void *context)
{
    struct work *work = context;
    return price_periods(in, work->arena, work->provider, month_start(january), month_end(march),
                         &work->periods, &work->count);
}

static struct error *list_bids(struct db *in, void *context)
{
    struct work *work = context;
    return bid_list(in, work->arena, work->provider, NULL, 10, &work->bids, &work->count);
}

/* A provider (unless it is there) and its book from `from` on, at the caps less `less`. */
static const char *offer(struct arena *arena, const char *provider, struct month from, int64_t less)
{
    struct work work = {.arena = arena,
                        .provider = provider,
                        .bid = id_new_in(arena),
                        .agreement = &agreement_default,
                        .from = from,
                        .now = month_start(from),
                        .less = less};
    struct error *error = run(add_provider, &work);
    if (error && error_code(error) == ERR_EXISTS)
        error_free(error); /* a further bid of it */
    else
        ok(error);
    ok(run(add_bid, &work));
    ok(run(approve, &work));
    return work.bid;
}

static int64_t price_on(const char *provider, moment when)
{
    struct work work = {.provider = provider, .now = when};
    ok(run(read_price, &work));
    return work.fen;
}

static void a_later_bid_supersedes_within_the_term(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct work work = {.arena = arena, .provider = "inspur"};
    const char *first = offer(arena, "inspur", january, 0);
    offer(arena, "inspur", march, 100);
    assert_int_equal(price_on("inspur", month_start(march) - 1), 1402);
    assert_int_equal(price_on("inspur", month_start(march)), 1302);
    /* The term stays two years from January. */
    assert_int_equal(price_on("inspur", month_start((struct month){2029, 1}) - 1), 1302);
    work.now = month_start((struct month){2029, 1});
    fails(run(read_price, &work), ERR_NOT_FOUND, "no price");
    work.now = month_start(january) - 1;
    fails(run(read_price, &work), ERR_NOT_FOUND, "no price");
    ok(run(read_periods, &work));
    assert_int_equal(work.count, 46);
    assert_string_equal(work.periods[0].item, "1001");
    assert_true(work.periods[0].from == month_start(january) && work.periods[0].to == month_start(march));
    assert_true(work.periods[1].fen == 1302 && work.periods[1].to == month_end(march));
    work.bid = first;
    work.from = march;
    work.now = month_start(january);
    fails(run(approve, &work), ERR_CONFLICT, "approved already");
}

static void books_do_not_overlap_or_reach_back(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct work work = {
        .arena = arena, .provider = "taiji", .bid = id_new_in(arena), .from = march, .less = 1};
    offer(arena, "taiji", march, 0);
    work.now = month_start(january);
    ok(run(add_bid, &work));
    fails(run(approve, &work), ERR_CONFLICT, "begins in this month or later");
    work.from = january;
    fails(run(approve, &work), ERR_CONFLICT, "begins in this month or later");
    work.now = month_end(january);
    fails(run(approve, &work), ERR_INVALID, "");
    /* A refused approval leaves the bid as it was. */
    ok(run(list_bids, &work));
    for (size_t i = 0; i < work.count; i++)
        assert_string_equal(work.bids[i].state, strcmp(work.bids[i].id, work.bid) ? "approved" : "submitted");
    assert_int_equal(pg_number(pg, "SELECT count(*) FROM price_book WHERE provider_id = 'taiji'"), 1);
}

static void agreements_change_from_the_next_month(void **state)
{
    struct agreement daily = agreement_default;
    struct work work = {
        .provider = "kingsoft", .agreement = &agreement_default, .now = month_start(january) + 1};
    daily.proration = PRORATION_DAY;
    ok(run(add_provider, &work));
    work.agreement = &daily;
    ok(run(agree, &work));
    work.now = month_end(january) - 1;
    ok(run(read_agreement, &work));
    assert_int_equal(work.found.proration, PRORATION_EXACT);
    work.now = month_end(january);
    ok(run(read_agreement, &work));
    assert_int_equal(work.found.proration, PRORATION_DAY);
    /* Changed again before it came into force: the last word counts. */
    daily.proration = PRORATION_MONTH;
    work.now = month_end(january) - 1;
    ok(run(agree, &work));
    work.now = month_end(january);
    ok(run(read_agreement, &work));
    assert_int_equal(work.found.proration, PRORATION_MONTH);
    work.provider = "nobody";
    fails(run(read_agreement, &work), ERR_NOT_FOUND, "no provider");
}

static void two_changes_at_once_are_told(void **state)
{
    struct work work = {
        .provider = "unicom", .agreement = &agreement_default, .now = month_start(january), .version = 1};
    ok(run(add_provider, &work));
    fails(run(add_provider, &work), ERR_EXISTS, "unicom");
    ok(run(rename_provider, &work));
    fails(run(rename_provider, &work), ERR_STALE, "changed meanwhile");
}

static void bids_are_their_providers_affair(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct work work = {.arena = arena, .provider = "mobile", .now = month_start(january)};
    static const struct db_scope own = {.providers = "mobile"}, other = {.providers = "telecom"},
                                 unit = {.units = "u1"};
    offer(arena, "mobile", january, 0);
    ok(db_transaction(db, &own, DB_READ_COMMITTED, list_bids, &work));
    assert_int_equal(work.count, 1);
    assert_int_equal(work.bids[0].weighted_total, 790430);
    ok(db_transaction(db, &other, DB_READ_COMMITTED, list_bids, &work));
    assert_int_equal(work.count, 0);
    /* Nor may another write one; but everybody may read the price that came of it. */
    work.bid = id_new_in(arena);
    fails(db_transaction(db, &other, DB_READ_COMMITTED, add_bid, &work), ERR_DENIED, "");
    ok(db_transaction(db, &unit, DB_READ_COMMITTED, read_price, &work));
    assert_int_equal(work.fen, 1402);
}

static void the_database_refuses_prices_of_its_own(void **state)
{
    static const struct db_statement
        overlap =
            {"test_price_overlap",
             "INSERT INTO price SELECT provider_id, item, valid_from + interval '1 s', valid_to, 1, book_id"
             " FROM price WHERE provider_id = 'inspur' AND item = '1001' LIMIT 1"},
        above = {"test_bid_above",
                 "INSERT INTO bid (id, provider_id, prices, weighted_total, submitted_by, submitted_at)"
                 " VALUES ('x', 'inspur', '{}', 790431, 'test', now())"};
    struct db *owner;
    ok(db_connect(pg_owner_conninfo(pg), &owner));
    fails(db_run(owner, &overlap, DB_NO_VALUES, NULL), ERR_EXISTS, "price_overlap");
    fails(db_run(owner, &above, DB_NO_VALUES, NULL), ERR_CONFLICT, "weighted_total");
    db_close(owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_later_bid_supersedes_within_the_term),
        cmocka_unit_test(books_do_not_overlap_or_reach_back),
        cmocka_unit_test(agreements_change_from_the_next_month),
        cmocka_unit_test(two_changes_at_once_are_told),
        cmocka_unit_test(bids_are_their_providers_affair),
        cmocka_unit_test(the_database_refuses_prices_of_its_own),
    };
    return cmocka_run_group_tests(tests, open_database, close_database);
}
