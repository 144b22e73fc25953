/* SQL of the statement: one text over three sources; see statement_sum.h. A dimension that is not asked for
 * is the constant '' in the plan, so that grouping and order are those of the ones that are. */
#include "metering/statement_sum.h"

#include <string.h>

#define KEY(bit, column) "CASE WHEN ($3::bigint & " #bit ") <> 0 THEN s." column " ELSE '' END COLLATE \"C\""
#define KEYS                                                                                                                \
    KEY(1, "month")                                                                                                         \
    ", " KEY(2, "unit_id") ", " KEY(4, "system_id") ", " KEY(8, "cloud_id") ", " KEY(                                       \
        16,                                                                                                                 \
        "provider_id") ", " KEY(32,                                                                                         \
                                "item") ", " KEY(64,                                                                        \
                                                 "industry") ", " KEY(128,                                                  \
                                                                      "zone_id") ", " KEY(256,                              \
                                                                                          "architectur"                     \
                                                                                          "e") ", " KEY(512,                \
                                                                                                        "ta"                \
                                                                                                        "ri"                \
                                                                                                        "f"                 \
                                                                                                        "f") ", " KEY(1024, \
                                                                                                                      "charge_month")
#define ONLY(parameter, column) " AND (" parameter "::text IS NULL OR s." column " = " parameter ")"
#define SUM_OF(source)                                                                                       \
    "SELECT " KEYS ", sum(s.charges_fen)::bigint, sum(s.adjustments_fen)::bigint, sum(s.free_fen)::bigint,"  \
    " sum(s.line_count)::bigint, sum(CASE WHEN ($3::bigint & 32) <> 0 THEN s.usage ELSE 0 END),"             \
    " min(s.price_low), max(s.price_high) FROM " source                                                      \
    " s WHERE s.month >= $1 AND s.month <= $2" ONLY("$4", "unit_id") ONLY("$5", "system_id")                 \
        ONLY("$6", "cloud_id") ONLY("$7", "provider_id") ONLY("$8", "item") ONLY("$9", "industry")           \
            ONLY("$10", "zone_id") ONLY("$11", "architecture") ONLY("$12", "tariff") ONLY(                   \
                "$13", "charge_month") " AND ($14::text IS NULL OR (" KEYS                                   \
                                       ") > ($14::text, $15::text, $16::text, $17::text, $18::text,"         \
                                       " $19::text, $20::text, $21::text, $22::text, $23::text, $24::text))" \
                                       " AND ($25::text IS NULL OR s.unit_id COLLATE \"C\" >= $25)"          \
                                       " GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 ORDER BY 1, 2, 3, 4, "   \
                                       "5, 6, 7, 8, 9, 10, 11 LIMIT $26"

static const struct db_statement sums[STATEMENT_SOURCES] = {
    [STATEMENT_BY_PLACE] =
        {"statement_by_place",
         SUM_OF("(SELECT *, ''::text AS unit_id, ''::text AS system_id FROM statement_place)")},
    [STATEMENT_BY_UNIT] =
        {"statement_by_unit",
         SUM_OF(
             "(SELECT *, ''::text AS item, ''::text AS zone_id, ''::text AS architecture, ''::text AS tariff,"
             " ''::text AS charge_month, 0::numeric AS usage, NULL::bigint AS price_low,"
             " NULL::bigint AS price_high FROM statement_unit)")},
    [STATEMENT_BY_LINE] =
        {"statement_by_line",
         SUM_OF("(SELECT month, unit_id, system_id, cloud_id, provider_id, item, industry, zone_id,"
                " architecture, tariff, charge_month,"
                " CASE type WHEN 'charge' THEN amount_fen ELSE 0 END AS charges_fen,"
                " CASE type WHEN 'adjustment' THEN amount_fen ELSE 0 END AS adjustments_fen,"
                " CASE tariff WHEN 'standard' THEN 0 ELSE list_fen END AS free_fen, 1::bigint AS line_count,"
                " CASE type WHEN 'charge' THEN usage ELSE 0 END AS usage,"
                " CASE type WHEN 'charge' THEN price_fen END AS price_low,"
                " CASE type WHEN 'charge' THEN price_fen END AS price_high FROM bill_line)")},
};
static const struct db_statement plan_each = {
    "statement_plan", "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"};
static const struct db_statement closed_months = {
    "statement_closed",
    "SELECT month FROM billing_month WHERE state = 'closed' AND month >= $1 AND month <= $2"};

struct error *statement_read_begin(struct db *db)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    return db_query(db, &plan_each, DB_NO_VALUES, &rows);
}

static struct statement_row read_row(struct arena *arena, unsigned mask, const struct db_rows *rows, size_t i)
{
    struct statement_row row = {.charges_fen = db_get_int(rows, i, STATEMENT_DIMENSIONS),
                                .adjustments_fen = db_get_int(rows, i, STATEMENT_DIMENSIONS + 1),
                                .free_fen = db_get_int(rows, i, STATEMENT_DIMENSIONS + 2),
                                .line_count = db_get_int(rows, i, STATEMENT_DIMENSIONS + 3),
                                .usage = db_get_wide(rows, i, STATEMENT_DIMENSIONS + 4)};
    int64_t low = db_get_int(rows, i, STATEMENT_DIMENSIONS + 5);
    row.charge_count = low != 0; /* whether there is any */
    row.price_fen = low == db_get_int(rows, i, STATEMENT_DIMENSIONS + 6) ? low : 0;
    for (int d = 0; d < STATEMENT_DIMENSIONS; d++)
        row.keys[d] = mask & 1u << d ? arena_strdup(arena, db_get_text(rows, i, d)) : NULL;
    return row;
}

/* A key of the row to go on after; NULL without one. */
static struct db_value after_key(const char *const *after, int dimension)
{
    return db_text(!after ? NULL : after[dimension] ? after[dimension] : "");
}

struct error *statement_read(struct db *db, struct arena *arena, enum statement_source source,
                             const struct statement_ask *ask, struct month from, struct month to,
                             const char *const *after, int64_t most, struct statement_row **ret_rows,
                             size_t *ret_count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    char first[8], last[8];
    const char *const *only = ask->only;
    bool units_first = (ask->mask & (1u << STATEMENT_MONTH | 1u << STATEMENT_UNIT)) == 1u << STATEMENT_UNIT;
    month_format(from, first);
    month_format(to, last);
    TRY(db_query(db, &sums[source],
                 DB_VALUES(db_text(first), db_text(last), db_int(ask->mask), db_text(only[STATEMENT_UNIT]),
                           db_text(only[STATEMENT_SYSTEM]), db_text(only[STATEMENT_CLOUD]),
                           db_text(only[STATEMENT_PROVIDER]), db_text(only[STATEMENT_ITEM]),
                           db_text(only[STATEMENT_INDUSTRY]), db_text(only[STATEMENT_ZONE]),
                           db_text(only[STATEMENT_ARCHITECTURE]), db_text(only[STATEMENT_TARIFF]),
                           db_text(only[STATEMENT_CHARGE_MONTH]), after_key(after, 0), after_key(after, 1),
                           after_key(after, 2), after_key(after, 3), after_key(after, 4), after_key(after, 5),
                           after_key(after, 6), after_key(after, 7), after_key(after, 8), after_key(after, 9),
                           after_key(after, 10), units_first ? after_key(after, STATEMENT_UNIT) : db_null(),
                           db_int(most)),
                 &rows));
    size_t count = db_count(rows);
    struct statement_row *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        list[i] = read_row(arena, ask->mask, rows, i);
        TRY(money_add(list[i].charges_fen, list[i].adjustments_fen, &list[i].amount_fen));
    }
    *ret_rows = list;
    *ret_count = count;
    return NULL;
}

struct error *statement_months(struct db *db, struct month from, struct month to,
                               struct statement_months *ret_months)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    struct statement_months months = {.count = 0};
    char first[8], last[8];
    for (struct month month = from; month_compare(month, to) <= 0; month = month_next(month)) {
        if (months.count == STATEMENT_MONTHS_MAX)
            return error_member("?to", "must be at most 60 months from the first one");
        months.list[months.count++] = month;
    }
    if (!months.count)
        return error_member("?to", "must not be before the first month");
    month_format(from, first);
    month_format(to, last);
    TRY(db_query(db, &closed_months, DB_VALUES(db_text(first), db_text(last)), &rows));
    for (size_t row = 0; row < db_count(rows); row++)
        for (size_t i = 0; i < months.count; i++) {
            char text[8];
            month_format(months.list[i], text);
            months.closed[i] = months.closed[i] || !strcmp(text, db_get_text(rows, row, 0));
        }
    *ret_months = months;
    return NULL;
}
