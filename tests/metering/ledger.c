/* What the metering tests share; see ledger.h. */
#include "tests/metering/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/id.h"
#include "broker/base/json.h"
#include "catalog/bid.h"
#include "catalog/provider.h"

void ledger_ok(struct error *error)
{
    if (error)
        fail_msg("%s: %s", error_code_name(error_code(error)), error_message(error));
}

void ledger_fails(struct error *error, enum error_code code, const char *says)
{
    if (!error)
        fail_msg("no error where \"%s\" was expected", says);
    if (error_code(error) != code || !strstr(error_message(error), says))
        fail_msg("%s: %s", error_code_name(error_code(error)), error_message(error));
    error_free(error);
}

moment at(const char *text)
{
    moment result = 0;
    ledger_ok(moment_parse(text, &result));
    return result;
}

void ledger_open(struct ledger *ledger)
{
    ledger->pg = pg_start();
    ledger_ok(db_connect(pg_conninfo(ledger->pg), &ledger->db));
}

void ledger_close(struct ledger *ledger)
{
    db_close(ledger->db);
    pg_stop(ledger->pg);
}

void ledger_clear(struct ledger *ledger)
{
    pg_exec(ledger->pg,
            "SET session_replication_role = replica; DELETE FROM bill_line; DELETE FROM bill;"
            " DELETE FROM statement_unit; DELETE FROM statement_place;"
            " DELETE FROM billing_month; DELETE FROM usage_interval; DELETE FROM usage_change;"
            " DELETE FROM usage_event; DELETE FROM usage_superseded;"
            " DELETE FROM price;"
            " DELETE FROM price_book; DELETE FROM bid; DELETE FROM agreement; DELETE FROM provider;"
            " UPDATE billing_setting SET close_grace_seconds = 0");
}

struct offer {
    struct ledger *ledger;
    const char *id;
    const struct agreement *agreement; /* NULL: the provider is there */
    struct month from;
    int64_t less;
};

static struct error *make_offer(struct db *db, void *context)
{
    const struct offer *offer = context;
    ARENA_AUTO struct arena *arena = arena_new();
    int64_t fen[ITEM_COUNT];
    json_t *prices = json_hold(arena, json_object());
    const char *book;
    moment now = month_start(offer->from);
    for (size_t i = 0; i < item_count(); i++)
        json_put_yuan(prices, item_at(i)->code, item_at(i)->cap_fen - offer->less);
    TRY(bid_read(prices, fen));
    if (offer->agreement)
        TRY(provider_add(db, offer->id, offer->id, NULL, offer->agreement, now));
    struct bid bid = {.id = id_new_in(arena),
                      .provider = offer->id,
                      .prices = prices,
                      .weighted_total = item_weighted_total(fen),
                      .submitted_by = "test",
                      .submitted_at = now};
    TRY(bid_add(db, &bid));
    return bid_approve(db, arena, bid.id, offer->from, "test", now, &book);
}

void ledger_provider(struct ledger *ledger, const char *id, const struct agreement *agreement,
                     struct month from, int64_t less)
{
    struct offer offer = {ledger, id, agreement, from, less};
    ledger_ok(db_transaction(ledger->db, &db_scope_system, DB_READ_COMMITTED, make_offer, &offer));
}

void ledger_reprice(struct ledger *ledger, const char *id, struct month from, int64_t less)
{
    struct offer offer = {ledger, id, NULL, from, less};
    ledger_ok(db_transaction(ledger->db, &db_scope_system, DB_READ_COMMITTED, make_offer, &offer));
}

struct change {
    struct usage_subject subject;
    const char *quantities; /* NULL: end */
    moment at;
};

static struct error *make_change(struct db *db, void *context)
{
    const struct change *change = context;
    ARENA_AUTO struct arena *arena = arena_new();
    struct item_quantity items[ITEM_COUNT];
    size_t count = 0;
    if (!change->quantities)
        return usage_end(db, change->subject.unit, change->subject.resource, change->at);
    for (const char *text = change->quantities; *text;) {
        size_t length = strcspn(text, ",");
        struct item_quantity *item = &items[count++];
        *item = (struct item_quantity){.micro = 0};
        memcpy(item->item, text, ITEM_CODE - 1);
        char mark = text[ITEM_CODE - 1];
        size_t plus = mark == '+' || mark == '~';
        item->tariff = mark == '+' ? TARIFF_EXPANSION : mark == '~' ? TARIFF_MIGRATION : TARIFF_STANDARD;
        ledger_ok(quantity_parse(arena_strndup(arena, text + ITEM_CODE + plus, length - ITEM_CODE - plus),
                                 &item->micro));
        text += length + (text[length] == ',');
    }
    return usage_set(db, &change->subject, items, count, change->at);
}

struct error *ledger_put(struct ledger *ledger, const struct usage_subject *subject, const char *quantities,
                         moment when)
{
    struct change change = {*subject, quantities, when};
    return db_transaction(ledger->db, &db_scope_system, DB_READ_COMMITTED, make_change, &change);
}

struct error *ledger_set(struct ledger *ledger, const char *unit, const char *system, const char *cloud,
                         const char *provider, const char *resource, const char *quantities, moment when)
{
    return ledger_put(ledger,
                      &(struct usage_subject){.unit = unit,
                                              .system = system,
                                              .cloud = cloud,
                                              .provider = provider,
                                              .resource = resource,
                                              .kind = "instance",
                                              .industry = "service",
                                              .zone = "z1",
                                              .architecture = "x86"},
                      quantities, when);
}

struct error *ledger_end(struct ledger *ledger, const char *unit, const char *resource, moment when)
{
    struct change change = {{.unit = unit, .resource = resource}, NULL, when};
    return db_transaction(ledger->db, &db_scope_system, DB_READ_COMMITTED, make_change, &change);
}

struct month_work {
    const struct metering_services *services;
    struct arena *arena;
    struct month month;
    moment now;
    struct bill_month *ret_month;
    struct bill_line **ret_lines;
    size_t *ret_count;
};

static struct error *close_body(struct db *db, void *context)
{
    struct month_work *work = context;
    ARENA_AUTO struct arena *arena = arena_new();
    return bill_close_month(db, arena, work->services, work->month, work->now, work->ret_month);
}

struct error *ledger_close_month(struct ledger *ledger, struct month month, moment now,
                                 struct bill_month *ret_month)
{
    struct bill_month ignored;
    struct month_work work = {.services = ledger->services,
                              .month = month,
                              .now = now,
                              .ret_month = ret_month ? ret_month : &ignored};
    return db_transaction(ledger->db, &db_scope_system, DB_SERIALIZABLE, close_body, &work);
}

static struct error *lines_body(struct db *db, void *context)
{
    struct month_work *work = context;
    return statement_lines(db, work->arena, work->month, work->now, work->ret_month, work->ret_lines,
                           work->ret_count);
}

struct error *ledger_lines(struct ledger *ledger, struct arena *arena, const struct db_scope *scope,
                           struct month month, moment now, struct bill_month *ret_month,
                           struct bill_line **ret_lines, size_t *ret_count)
{
    struct bill_month ignored;
    struct month_work work = {NULL,      arena,    month, now, ret_month ? ret_month : &ignored,
                              ret_lines, ret_count};
    return db_transaction(ledger->db, scope, DB_READ_COMMITTED, lines_body, &work);
}
