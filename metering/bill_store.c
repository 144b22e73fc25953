/* SQL of months, bills and lines; see bill.h. */
#include <string.h>

#include "catalog/provider.h"
#include "metering/archive.h"
#include "metering/bill.h"

#define PROVIDERS_MAX 1000

static const struct db_statement get_month = {
    "billing_month_get", "SELECT closed_at, bills, lines, total_fen, digest, kid, signature, run_id::text"
                         " FROM billing_month WHERE month = $1 AND state = 'closed'"};
/* Row-level security shows the lines of the caller's clouds and systems; a bill holds lines of several.
 * Unless the caller sees everything, its sums are of the lines that it sees (s), so that no total tells of
 * others. */
#define SELECT_BILL                                                                                  \
    "SELECT b.id, b.number, b.unit_id, b.provider_id, b.month, b.digest, coalesce(s.charges, "       \
    "b.charges_fen),"                                                                                \
    " coalesce(s.adjustments, b.adjustments_fen), coalesce(s.charges + s.adjustments, b.total_fen)," \
    " coalesce(s.lines, b.line_count), b.closed_at, coalesce(s.lines <> b.line_count, false),"       \
    " b.digest_version, b.kid, b.signature FROM bill b"                                              \
    " LEFT JOIN LATERAL (SELECT count(*) AS lines,"                                                  \
    " coalesce(sum(amount_fen) FILTER (WHERE type = 'charge'), 0)::bigint AS charges,"               \
    " coalesce(sum(amount_fen) FILTER (WHERE type = 'adjustment'), 0)::bigint AS adjustments"        \
    " FROM bill_line l WHERE l.unit_id = b.unit_id AND l.month = b.month AND l.bill_id = b.id) s"    \
    " ON (SELECT coalesce(current_setting('yunqiao.all', true), '') <> 'on')"                        \
    " WHERE s.lines IS DISTINCT FROM 0"
static const struct db_statement get_bill = {"bill_get", SELECT_BILL " AND b.id = $1"};
static const struct db_statement list_bills = {
    "bill_list",
    SELECT_BILL " AND ($1::text IS NULL OR b.month = $1)"
                " AND ($2::text IS NULL OR b.unit_id = $2) AND ($3::text IS NULL OR b.provider_id = $3)"
                " AND ($4::text IS NULL OR (b.month, b.unit_id, b.provider_id) > ($4, $5::text, $6::text))"
                " ORDER BY b.month, b.unit_id, b.provider_id LIMIT $7"};

#define LINE_COLUMNS                                                                                     \
    "l.unit_id, l.provider_id, l.cloud_id, l.system_id, l.item, l.type = 'adjustment', l.charge_month, " \
    "l.price_fen, "                                                                                      \
    "l.price_from, l.price_to, l.usage, l.amount_fen, l.corrects_number, l.corrects_line, l.line_no, "   \
    "l.tariff, l.industry, l.zone_id, l.architecture, l.list_fen"
static const struct db_statement get_lines = {
    "bill_lines",
    "SELECT " LINE_COLUMNS " FROM bill_line l WHERE l.unit_id = $1 AND l.bill_id = $2 AND l.line_no > $3"
    " AND l.month = $5 ORDER BY l.line_no LIMIT $4"};
static const struct db_statement get_month_lines = {
    "bill_month_lines", "SELECT " LINE_COLUMNS " FROM bill_line l WHERE l.month = $1"};
static const struct db_statement get_entries = {
    "bill_entries",
    "SELECT " LINE_COLUMNS ", b.number FROM bill_line l JOIN bill b ON b.unit_id = l.unit_id"
    " AND b.month = l.month AND b.id = l.bill_id WHERE l.unit_id = ANY ($1) AND l.month >= $2"
    " AND l.charge_month >= $2 ORDER BY l.unit_id COLLATE \"C\", b.month, b.number, l.line_no"};

static const struct db_statement find_lines = {
    "bill_find_lines",
    "SELECT " LINE_COLUMNS ", l.month, l.bill_id FROM bill_line l"
    " WHERE ($1::text IS NULL OR l.month = $1) AND ($2::text IS NULL OR l.type = $2)"
    " AND ($3::text IS NULL OR l.charge_month = $3) AND ($4::text IS NULL OR l.unit_id = $4)"
    " AND ($5::text IS NULL OR l.system_id = $5) AND ($6::text IS NULL OR l.cloud_id = $6)"
    " AND ($7::text IS NULL OR l.provider_id = $7) AND ($8::text IS NULL OR l.item = $8)"
    " AND ($9::text IS NULL OR l.industry = $9) AND ($10::text IS NULL OR l.zone_id = $10)"
    " AND ($11::text IS NULL OR l.architecture = $11) AND ($12::text IS NULL OR l.tariff = $12)"
    " AND ($13::text IS NULL OR (l.unit_id, l.bill_id, l.line_no, l.month) > ($13, $15::text, $16, "
    "$14::text))"
    " ORDER BY l.unit_id, l.bill_id, l.line_no, l.month LIMIT $17"};
static const struct db_statement find_line = {
    "bill_find_line", "SELECT " LINE_COLUMNS ", l.month, l.bill_id FROM bill b JOIN bill_line l"
                      " ON l.unit_id = b.unit_id AND l.month = b.month AND l.bill_id = b.id"
                      " WHERE b.id = $1 AND l.line_no = $2"};
static const struct db_statement usage_billed = {
    "bill_usage_billed",
    "SELECT coalesce(sum(usage), 0) FROM bill_line WHERE unit_id = $1 AND charge_month = $2"
    " AND provider_id = $3 AND cloud_id = $4 AND system_id = $5 AND item = $6 AND zone_id = $7"
    " AND architecture = $8 AND industry = $9 AND tariff = $10 AND price_from = $11"};

struct error *bill_month_get(struct db *db, struct arena *arena, struct month month,
                             struct bill_month *ret_month)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    struct bill_month found = {.closed = false};
    month_format(month, found.month);
    TRY(db_query(db, &get_month, DB_VALUES(db_text(found.month)), &rows));
    if (db_count(rows)) {
        found.closed = true;
        found.closed_at = db_get_moment(rows, 0, 0);
        found.bills = db_get_int(rows, 0, 1);
        found.lines = db_get_int(rows, 0, 2);
        found.total_fen = db_get_int(rows, 0, 3);
        memcpy(found.digest, db_get_text(rows, 0, 4), strnlen(db_get_text(rows, 0, 4), DIGEST_HEX - 1));
        found.kid = arena_strdup(arena, db_get_text(rows, 0, 5));
        found.signature = arena_strdup(arena, db_get_text(rows, 0, 6));
        found.run = arena_strdup(arena, db_get_text(rows, 0, 7));
    }
    *ret_month = found;
    return NULL;
}

static struct bill read_bill(struct arena *arena, const struct db_rows *rows, size_t row)
{
    bool partial = db_get_bool(rows, row, 11);
    return (struct bill){
        .id = arena_strdup(arena, db_get_text(rows, row, 0)),
        .number = arena_strdup(arena, db_get_text(rows, row, 1)),
        .unit = arena_strdup(arena, db_get_text(rows, row, 2)),
        .provider = arena_strdup(arena, db_get_text(rows, row, 3)),
        .month = arena_strdup(arena, db_get_text(rows, row, 4)),
        .digest = partial ? NULL : arena_strdup(arena, db_get_text(rows, row, 5)),
        .charges_fen = db_get_int(rows, row, 6),
        .adjustments_fen = db_get_int(rows, row, 7),
        .total_fen = db_get_int(rows, row, 8),
        .line_count = db_get_int(rows, row, 9),
        .closed_at = db_get_moment(rows, row, 10),
        .partial = partial,
        .digest_version = (int)db_get_int(rows, row, 12),
        .kid = partial ? NULL : arena_strdup(arena, db_get_text(rows, row, 13)),
        .signature = partial ? NULL : arena_strdup(arena, db_get_text(rows, row, 14)),
    };
}

static struct bill_line read_line(struct arena *arena, const struct db_rows *rows, size_t row)
{
    struct bill_line line = {
        .unit = arena_strdup(arena, db_get_text(rows, row, 0)),
        .provider = arena_strdup(arena, db_get_text(rows, row, 1)),
        .cloud = arena_strdup(arena, db_get_text(rows, row, 2)),
        .system = arena_strdup(arena, db_get_text(rows, row, 3)),
        .adjustment = db_get_bool(rows, row, 5),
        .price_fen = db_get_int(rows, row, 7),
        .price_from = db_get_moment(rows, row, 8),
        .price_to = db_get_moment(rows, row, 9),
        .usage = db_get_wide(rows, row, 10),
        .amount_fen = db_get_int(rows, row, 11),
        .corrects_number = arena_strdup(arena, db_get_text(rows, row, 12)),
        .corrects_line = db_get_int(rows, row, 13),
        .tariff = tariff_find(db_get_text(rows, row, 15)),
        .industry = arena_strdup(arena, db_get_text(rows, row, 16)),
        .zone = arena_strdup(arena, db_get_text(rows, row, 17)),
        .architecture = arena_strdup(arena, db_get_text(rows, row, 18)),
        .list_fen = db_get_int(rows, row, 19),
    };
    memcpy(line.item, db_get_text(rows, row, 4), ITEM_CODE);                        /* written by bill_add */
    memcpy(line.charge_month, db_get_text(rows, row, 6), sizeof line.charge_month); /* likewise */
    return line;
}

struct error *bill_list(struct db *db, struct arena *arena, const struct bill_filter *filter,
                        const struct bill_cursor *after, int64_t most, struct bill **ret_list,
                        size_t *ret_count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    const struct bill_cursor none = {0}, *cursor = after ? after : &none;
    TRY(db_query(db, &list_bills,
                 DB_VALUES(db_text(filter->month), db_text(filter->unit), db_text(filter->provider),
                           db_text(cursor->month), db_text(cursor->unit), db_text(cursor->provider),
                           db_int(most)),
                 &rows));
    size_t count = db_count(rows);
    struct bill *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = read_bill(arena, rows, i);
    *ret_list = list;
    *ret_count = count;
    return NULL;
}

struct error *bill_get(struct db *db, struct arena *arena, const char *id, struct bill *ret_bill)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    struct archive_bounds archived;
    TRY(db_query(db, &get_bill, DB_VALUES(db_text(id)), &rows));
    if (!db_count(rows)) {
        char text[8];
        TRY(archive_bounds(db, &archived));
        if (!archived.bills)
            return error_new(ERR_NOT_FOUND, "no bill of this id");
        month_format(month_of(archived.bills), text);
        return error_new(ERR_NOT_FOUND, "no bill of this id; those of months before %s are archived", text);
    }
    *ret_bill = read_bill(arena, rows, 0);
    return NULL;
}

struct error *bill_lines(struct db *db, struct arena *arena, const struct bill *bill, int64_t after,
                         int64_t most, struct bill_line **ret_lines, int64_t **ret_numbers, size_t *ret_count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(
        db, &get_lines,
        DB_VALUES(db_text(bill->unit), db_text(bill->id), db_int(after), db_int(most), db_text(bill->month)),
        &rows));
    size_t count = db_count(rows);
    struct bill_line *lines = arena_array(arena, count, sizeof *lines);
    int64_t *numbers = arena_array(arena, count, sizeof *numbers);
    for (size_t i = 0; i < count; i++) {
        lines[i] = read_line(arena, rows, i);
        numbers[i] = db_get_int(rows, i, 14);
    }
    *ret_lines = lines;
    *ret_numbers = numbers;
    *ret_count = count;
    return NULL;
}

struct error *bill_lines_of_month(struct db *db, struct arena *arena, struct month month,
                                  struct bill_line **ret_lines, size_t *ret_count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    char text[8];
    month_format(month, text);
    TRY(db_query(db, &get_month_lines, DB_VALUES(db_text(text)), &rows));
    size_t count = db_count(rows);
    struct bill_line *lines = arena_array(arena, count, sizeof *lines);
    for (size_t i = 0; i < count; i++)
        lines[i] = read_line(arena, rows, i);
    *ret_lines = lines;
    *ret_count = count;
    return NULL;
}

struct error *bill_entries(struct db *db, struct arena *arena, const char *const *units, size_t unit_count,
                           struct month from, struct bill_entry **ret_list, size_t *ret_count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    char text[8];
    month_format(from, text);
    TRY(db_query(db, &get_entries, DB_VALUES(db_texts(units, unit_count), db_text(text)), &rows));
    size_t count = db_count(rows);
    struct bill_entry *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = (struct bill_entry){.line = read_line(arena, rows, i),
                                      .line_no = db_get_int(rows, i, 14),
                                      .number = arena_strdup(arena, db_get_text(rows, i, 20))};
    *ret_list = list;
    *ret_count = count;
    return NULL;
}

static struct bill_found read_found(struct arena *arena, const struct db_rows *rows, size_t row)
{
    return (struct bill_found){.line = read_line(arena, rows, row),
                               .number = db_get_int(rows, row, 14),
                               .month = arena_strdup(arena, db_get_text(rows, row, 20)),
                               .bill = arena_strdup(arena, db_get_text(rows, row, 21))};
}

struct error *bill_find_lines(struct db *db, struct arena *arena, const struct bill_line_filter *filter,
                              const struct bill_found *after, int64_t most, struct bill_found **ret_list,
                              size_t *ret_count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    const struct bill_found none = {.number = 0}, *cursor = after ? after : &none;
    TRY(db_query(db, &find_lines,
                 DB_VALUES(db_text(filter->month), db_text(filter->type), db_text(filter->charge_month),
                           db_text(filter->unit), db_text(filter->system), db_text(filter->cloud),
                           db_text(filter->provider), db_text(filter->item), db_text(filter->industry),
                           db_text(filter->zone), db_text(filter->architecture), db_text(filter->tariff),
                           db_text(cursor->line.unit), db_text(cursor->month), db_text(cursor->bill),
                           db_int(cursor->number), db_int(most)),
                 &rows));
    size_t count = db_count(rows);
    struct bill_found *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = read_found(arena, rows, i);
    *ret_list = list;
    *ret_count = count;
    return NULL;
}

struct error *bill_find_line(struct db *db, struct arena *arena, const char *bill, int64_t number,
                             struct bill_found *ret_found)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &find_line, DB_VALUES(db_text(bill), db_int(number)), "such line of a bill", &rows));
    *ret_found = read_found(arena, rows, 0);
    return NULL;
}

struct error *bill_usage_billed(struct db *db, const struct bill_line *line, wide *ret_usage)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &usage_billed,
                     DB_VALUES(db_text(line->unit), db_text(line->charge_month), db_text(line->provider),
                               db_text(line->cloud), db_text(line->system), db_text(line->item),
                               db_text(line->zone), db_text(line->architecture), db_text(line->industry),
                               db_text(tariff_name(line->tariff)), db_moment(line->price_from)),
                     "sum", &rows));
    *ret_usage = db_get_wide(rows, 0, 0);
    return NULL;
}

struct error *bill_rates(struct db *db, struct arena *arena, struct month month,
                         struct rate_provider **ret_list, size_t *ret_count)
{
    struct provider *providers;
    size_t count;
    TRY(provider_list(db, arena, NULL, PROVIDERS_MAX, &providers, &count));
    struct rate_provider *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        struct agreement agreement;
        struct price_period *prices;
        TRY(provider_agreement(db, providers[i].id, month_start(month), &agreement));
        TRY(price_periods(db, arena, providers[i].id, month_start(month), month_end(month), &prices,
                          &list[i].price_count));
        list[i].prices = prices;
        list[i].id = providers[i].id;
        list[i].proration = agreement.proration;
    }
    *ret_list = list;
    *ret_count = count;
    return NULL;
}
