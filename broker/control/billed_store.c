/* SQL of what is billed; see billed.h. */
#include "broker/control/billed.h"

#include <string.h>

#include "catalog/price.h"

#define COLUMNS                                                                                       \
    " u.unit_id, u.resource_id, r.kind, r.name, r.state IN ('deleted', 'failed'), u.item, u.tariff, " \
    "u.micro, u.start_at"
#define OPEN_USAGE                                                                                   \
    " FROM resource r JOIN usage_interval u ON u.unit_id = r.unit_id AND u.resource_id = r.id::text" \
    " AND u.end_at = 'infinity' WHERE "

/* In two parts, for each of which the table of resources has an index. */
static const struct db_statement select_of_endpoint = {
    "billed_of_endpoint",
    "SELECT * FROM (SELECT" COLUMNS OPEN_USAGE "r.endpoint_id = $1 AND r.state NOT IN ('deleted', 'failed')"
    " UNION ALL SELECT" COLUMNS OPEN_USAGE "r.endpoint_id = $1 AND r.state IN ('deleted', 'failed')) AS b"
    " ORDER BY b.resource_id COLLATE \"C\", b.item, b.tariff"};
static const struct db_statement select_of_resource = {
    "billed_of_resource",
    "SELECT" COLUMNS OPEN_USAGE "r.unit_id = $1 AND r.id = $2::uuid ORDER BY u.item, u.tariff"};
static const struct db_statement select_lag = {
    "billed_lags", "SELECT EXISTS (SELECT FROM agreement WHERE provider_id = $1 AND valid_from <= $2"
                   " AND metered_at IS NULL)"};

/* The rows of one resource from `first` on; the row after them. */
static size_t read_one(const struct db_rows *rows, size_t first, struct billed *billed)
{
    size_t row = first;
    *billed = (struct billed){.unit = db_get_text(rows, first, 0),
                              .resource = db_get_text(rows, first, 1),
                              .kind = db_get_text(rows, first, 2),
                              .name = db_get_text(rows, first, 3),
                              .gone = db_get_bool(rows, first, 4)};
    for (; row < db_count(rows) && !strcmp(db_get_text(rows, row, 1), billed->resource); row++) {
        struct billed_item *item = &billed->items[billed->count++];        /* unique by the table's index */
        memcpy(item->quantity.item, db_get_text(rows, row, 5), ITEM_CODE); /* four digits by its check */
        item->quantity.tariff = tariff_find(db_get_text(rows, row, 6));
        item->quantity.micro = db_get_int(rows, row, 7);
        item->since = db_get_moment(rows, row, 8);
    }
    return row;
}

struct error *billed_of_endpoint(struct db *db, struct arena *arena, const char *endpoint,
                                 struct billed **ret_list, size_t *ret_count)
{
    struct db_rows *rows;
    TRY(db_query(db, &select_of_endpoint, DB_VALUES(db_text(endpoint)), &rows));
    (void)db_hold(arena, rows);
    size_t count = 0, resources = 0;
    for (size_t row = 0; row < db_count(rows); row++)
        resources += !row || strcmp(db_get_text(rows, row, 1), db_get_text(rows, row - 1, 1)) != 0;
    struct billed *list = arena_array(arena, resources, sizeof *list);
    for (size_t row = 0; row < db_count(rows); count++)
        row = read_one(rows, row, &list[count]);
    *ret_list = list;
    *ret_count = count;
    return NULL;
}

struct error *billed_of_resource(struct db *db, struct arena *arena, const char *unit, const char *resource,
                                 struct billed *ret_billed)
{
    struct db_rows *rows;
    TRY(db_query(db, &select_of_resource, DB_VALUES(db_text(unit), db_text(resource)), &rows));
    (void)db_hold(arena, rows);
    *ret_billed = (struct billed){.unit = unit, .resource = resource};
    if (db_count(rows))
        (void)read_one(rows, 0, ret_billed); /* all rows are of it */
    return NULL;
}

struct error *billed_lags(struct db *db, const char *provider, moment now, bool *ret_lags)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &select_lag, DB_VALUES(db_text(provider), db_moment(now)), "row", &rows));
    *ret_lags = db_get_bool(rows, 0, 0);
    return NULL;
}

struct error *billed_prices(struct db *db, struct arena *arena, const char *provider, moment at,
                            int64_t ret_fen[ITEM_COUNT])
{
    struct price_period *prices;
    size_t count;
    TRY(price_periods(db, arena, provider, at, at + 1, &prices, &count));
    memset(ret_fen, 0, ITEM_COUNT * sizeof *ret_fen);
    for (size_t i = 0; i < count; i++)
        ret_fen[item_index(item_find(prices[i].item))] = prices[i].fen; /* the table's items are ours */
    return NULL;
}
