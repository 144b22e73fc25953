/* SQL of price books; see price.h. */
#include "catalog/price.h"

#include <string.h>

#include "broker/base/id.h"

static const struct db_statement lock_provider = {"price_lock_provider",
                                                  "SELECT id FROM provider WHERE id = $1 FOR UPDATE"};
static const struct db_statement books_after = {
    "price_books_after",
    "SELECT id, valid_from, valid_to FROM price_book WHERE provider_id = $1 AND valid_to > $2"
    " ORDER BY valid_from DESC"};
static const struct db_statement end_book = {"price_end_book",
                                             "UPDATE price_book SET valid_to = $2 WHERE id = $1"};
static const struct db_statement end_prices = {"price_end_prices",
                                               "UPDATE price SET valid_to = $2 WHERE book_id = $1"};
static const struct db_statement add_book = {
    "price_add_book",
    "INSERT INTO price_book (id, provider_id, bid_id, valid_from, valid_to, approved_by, approved_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7)"};
static const struct db_statement add_price = {
    "price_add", "INSERT INTO price (provider_id, item, valid_from, valid_to, fen, book_id)"
                 " VALUES ($1, $2, $3, $4, $5, $6)"};
static const struct db_statement one_price = {
    "price_at",
    "SELECT fen FROM price WHERE provider_id = $1 AND item = $2 AND valid_from <= $3 AND valid_to > $3"};
static const struct db_statement periods = {
    "price_periods",
    "SELECT item, fen, greatest(valid_from, $2), least(valid_to, $3) FROM price"
    " WHERE provider_id = $1 AND valid_to > $2 AND valid_from < $3 ORDER BY item, valid_from"};
static const struct db_statement offers = {
    "price_compare",
    "SELECT p.provider_id, v.name, p.item, p.fen FROM price p JOIN provider v ON v.id = p.provider_id"
    " WHERE p.valid_from <= $1 AND p.valid_to > $1 AND ($2::text IS NULL OR p.item = $2)"
    " AND ($3::text IS NULL OR p.provider_id = $3) ORDER BY p.item, p.fen, p.provider_id"};

/* Ends the book that runs at `from`, if any; *ret_to is where the new one ends. */
static struct error *supersede(struct db *db, const char *provider, moment from, moment *ret_to)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &books_after, DB_VALUES(db_text(provider), db_moment(from)), &rows));
    if (!db_count(rows)) {
        *ret_to = moment_add_months(from, PRICE_BOOK_MONTHS);
        return NULL;
    }
    if (db_get_moment(rows, 0, 1) >= from)
        return error_new(ERR_CONFLICT, "provider \"%s\" has a price book that begins in this month or later",
                         provider);
    const char *old = db_get_text(rows, 0, 0);
    TRY(db_run(db, &end_book, DB_VALUES(db_text(old), db_moment(from)), NULL));
    TRY(db_run(db, &end_prices, DB_VALUES(db_text(old), db_moment(from)), NULL));
    *ret_to = db_get_moment(rows, 0, 2);
    return NULL;
}

struct error *price_book_open(struct db *db, struct arena *arena, const char *provider, const char *bid,
                              const int64_t fen[ITEM_COUNT], struct month from, const char *by, moment now,
                              const char **ret_book)
{
    DB_ROWS_AUTO struct db_rows *locked = NULL;
    moment start = month_start(from), end;
    if (month_compare(from, month_of(now)) < 0)
        return error_member("/valid_from", "must not be a month that is over");
    TRY(db_query_one(db, &lock_provider, DB_VALUES(db_text(provider)), "provider of this id", &locked));
    TRY(supersede(db, provider, start, &end));
    const char *book = id_new_in(arena);
    TRY(db_run(db, &add_book,
               DB_VALUES(db_text(book), db_text(provider), db_text(bid), db_moment(start), db_moment(end),
                         db_text(by), db_moment(now)),
               NULL));
    for (size_t i = 0; i < item_count(); i++)
        TRY(db_run(db, &add_price,
                   DB_VALUES(db_text(provider), db_text(item_at(i)->code), db_moment(start), db_moment(end),
                             db_int(fen[i]), db_text(book)),
                   NULL));
    *ret_book = book;
    return NULL;
}

struct error *price_at(struct db *db, const char *provider, const char *item, moment at, int64_t *ret_fen)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &one_price, DB_VALUES(db_text(provider), db_text(item), db_moment(at)),
                     "price of this item in force", &rows));
    *ret_fen = db_get_int(rows, 0, 0);
    return NULL;
}

struct error *price_periods(struct db *db, struct arena *arena, const char *provider, moment from, moment to,
                            struct price_period **ret_list, size_t *ret_count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &periods, DB_VALUES(db_text(provider), db_moment(from), db_moment(to)), &rows));
    size_t count = db_count(rows);
    struct price_period *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        list[i] = (struct price_period){.fen = db_get_int(rows, i, 1),
                                        .from = db_get_moment(rows, i, 2),
                                        .to = db_get_moment(rows, i, 3)};
        memcpy(list[i].item, db_get_text(rows, i, 0), ITEM_CODE); /* four digits by the table's check */
    }
    *ret_list = list;
    *ret_count = count;
    return NULL;
}

struct error *price_compare(struct db *db, struct arena *arena, const char *item, const char *provider,
                            moment at, struct price_offer **ret_list, size_t *ret_count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &offers, DB_VALUES(db_moment(at), db_text(item), db_text(provider)), &rows));
    size_t count = db_count(rows);
    struct price_offer *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        list[i] = (struct price_offer){.provider = arena_strdup(arena, db_get_text(rows, i, 0)),
                                       .provider_name = arena_strdup(arena, db_get_text(rows, i, 1)),
                                       .fen = db_get_int(rows, i, 3)};
        memcpy(list[i].item, db_get_text(rows, i, 2), ITEM_CODE); /* four digits by the table's check */
    }
    *ret_list = list;
    *ret_count = count;
    return NULL;
}
