/* SQL of bids; see bid.h. */
#include "broker/base/json.h"
#include "catalog/bid.h"
#include "catalog/price.h"

#define COLUMNS                                                                                       \
    "id, provider_id, state, prices, weighted_total, note, submitted_by, submitted_at, approved_by, " \
    "approved_at"

static const struct db_statement add_bid = {
    "bid_add", "INSERT INTO bid (id, provider_id, prices, weighted_total, note, submitted_by, submitted_at)"
               " VALUES ($1, $2, $3, $4, $5, $6, $7)"};
static const struct db_statement get_bid = {"bid_get", "SELECT " COLUMNS " FROM bid WHERE id = $1"};
static const struct db_statement list_bids = {
    "bid_list", "SELECT " COLUMNS " FROM bid WHERE provider_id = $1 AND ($2::text IS NULL OR id < $2)"
                " ORDER BY id DESC LIMIT $3"};
static const struct db_statement approve_bid = {
    "bid_approve", "UPDATE bid SET state = 'approved', approved_by = $2, approved_at = $3"
                   " WHERE id = $1 AND state = 'submitted'"};

struct error *bid_add(struct db *db, const struct bid *bid)
{
    return db_run(db, &add_bid,
                  DB_VALUES(db_text(bid->id), db_text(bid->provider), db_json(bid->prices),
                            db_int(bid->weighted_total), db_text(bid->note), db_text(bid->submitted_by),
                            db_moment(bid->submitted_at)),
                  NULL);
}

static struct bid read_row(struct arena *arena, const struct db_rows *rows, size_t row)
{
    return (struct bid){
        .id = arena_strdup(arena, db_get_text(rows, row, 0)),
        .provider = arena_strdup(arena, db_get_text(rows, row, 1)),
        .state = arena_strdup(arena, db_get_text(rows, row, 2)),
        .prices = json_hold(arena, db_get_json(rows, row, 3)),
        .weighted_total = db_get_int(rows, row, 4),
        .note = arena_strdup(arena, db_get_text(rows, row, 5)),
        .submitted_by = arena_strdup(arena, db_get_text(rows, row, 6)),
        .submitted_at = db_get_moment(rows, row, 7),
        .approved_by = arena_strdup(arena, db_get_text(rows, row, 8)),
        .approved_at = db_is_null(rows, row, 9) ? 0 : db_get_moment(rows, row, 9),
    };
}

struct error *bid_get(struct db *db, struct arena *arena, const char *id, struct bid *ret_bid)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &get_bid, DB_VALUES(db_text(id)), "bid of this id", &rows));
    *ret_bid = read_row(arena, rows, 0);
    return NULL;
}

struct error *bid_list(struct db *db, struct arena *arena, const char *provider, const char *after,
                       int64_t most, struct bid **ret_list, size_t *ret_count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &list_bids, DB_VALUES(db_text(provider), db_text(after), db_int(most)), &rows));
    size_t count = db_count(rows);
    struct bid *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = read_row(arena, rows, i);
    *ret_list = list;
    *ret_count = count;
    return NULL;
}

struct error *bid_approve(struct db *db, struct arena *arena, const char *id, struct month from,
                          const char *by, moment now, const char **ret_book)
{
    struct bid bid;
    int64_t fen[ITEM_COUNT], changed;
    TRY(bid_get(db, arena, id, &bid));
    TRY(db_run(db, &approve_bid, DB_VALUES(db_text(id), db_text(by), db_moment(now)), &changed));
    if (!changed)
        return error_new(ERR_CONFLICT, "the bid is approved already");
    TRY_DOING(bid_read(bid.prices, fen), "the stored bid is not valid");
    return price_book_open(db, arena, bid.provider, bid.id, fen, from, by, now, ret_book);
}
