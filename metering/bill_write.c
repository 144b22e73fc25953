/* Writing bills: thousands of lines with one statement, a parameter for each of their columns; see bill.h. */
#include "broker/db/column.h"
#include "metering/bill.h"
#include "metering/bill_make.h"

/* Set-returning functions of one SELECT list go in step: row i has the i-th value of every column. */
static const struct db_statement add_bills = {
    "bill_add_all",
    "INSERT INTO bill (month, closed_at, digest_version, unit_id, id, number, provider_id, charges_fen,"
    " adjustments_fen, total_fen, line_count, digest, kid, signature)"
    " SELECT $1, $2, $3, unnest($4::text[]), unnest($5::text[]), unnest($6::text[]), unnest($7::text[]),"
    " unnest($8::bigint[]), unnest($9::bigint[]), unnest($10::bigint[]), unnest($11::bigint[]),"
    " unnest($12::text[]), unnest($13::text[]), unnest($14::text[])"};
static const struct db_statement add_lines = {
    "bill_line_add_all",
    "INSERT INTO bill_line (month, unit_id, bill_id, line_no, type, charge_month, provider_id, cloud_id,"
    " system_id, item, price_fen, price_from, price_to, usage, amount_fen, corrects_number, corrects_line,"
    " tariff, industry, zone_id, architecture, list_fen)"
    " SELECT $1, unnest($2::text[]), unnest($3::text[]), unnest($4::bigint[])::integer, unnest($5::text[]),"
    " unnest($6::text[]), unnest($7::text[]), unnest($8::text[]), unnest($9::text[]), unnest($10::text[]),"
    " unnest($11::bigint[]), unnest($12::timestamptz[]), unnest($13::timestamptz[]), unnest($14::numeric[]),"
    " unnest($15::bigint[]), unnest($16::text[]), unnest($17::bigint[])::integer, unnest($18::text[]),"
    " unnest($19::text[]), unnest($20::text[]), unnest($21::text[]), unnest($22::bigint[])"};

enum bill_column {
    BILL_UNIT,
    BILL_ID,
    BILL_NUMBER,
    BILL_PROVIDER,
    BILL_CHARGES,
    BILL_ADJUSTMENTS,
    BILL_TOTAL,
    BILL_LINES,
    BILL_DIGEST_SM3,
    BILL_KID,
    BILL_SIGNATURE,
    BILL_COLUMNS
};
static const enum db_column_type bill_types[BILL_COLUMNS] = {
    /* text is the default */
    [BILL_CHARGES] = DB_COLUMN_INT,
    [BILL_ADJUSTMENTS] = DB_COLUMN_INT,
    [BILL_TOTAL] = DB_COLUMN_INT,
    [BILL_LINES] = DB_COLUMN_INT,
};

enum line_column {
    LINE_UNIT,
    LINE_BILL,
    LINE_NO,
    LINE_TYPE,
    LINE_CHARGE_MONTH,
    LINE_PROVIDER,
    LINE_CLOUD,
    LINE_SYSTEM,
    LINE_ITEM,
    LINE_PRICE,
    LINE_PRICE_FROM,
    LINE_PRICE_TO,
    LINE_USAGE,
    LINE_AMOUNT,
    LINE_CORRECTS,
    LINE_CORRECTS_LINE,
    LINE_TARIFF,
    LINE_INDUSTRY,
    LINE_ZONE,
    LINE_ARCHITECTURE,
    LINE_LIST,
    LINE_COLUMNS
};
static const enum db_column_type line_types[LINE_COLUMNS] = {
    [LINE_NO] = DB_COLUMN_INT,
    [LINE_PRICE] = DB_COLUMN_INT,
    [LINE_PRICE_FROM] = DB_COLUMN_MOMENT,
    [LINE_PRICE_TO] = DB_COLUMN_MOMENT,
    [LINE_USAGE] = DB_COLUMN_WIDE,
    [LINE_AMOUNT] = DB_COLUMN_INT,
    [LINE_CORRECTS_LINE] = DB_COLUMN_INT,
    [LINE_LIST] = DB_COLUMN_INT,
};

static void put_line(struct db_column *columns, const struct bill *bill, int64_t number,
                     const struct bill_line *line)
{
    db_column_text(&columns[LINE_UNIT], bill->unit);
    db_column_text(&columns[LINE_BILL], bill->id);
    db_column_int(&columns[LINE_NO], number);
    db_column_text(&columns[LINE_TYPE], line->adjustment ? "adjustment" : "charge");
    db_column_text(&columns[LINE_CHARGE_MONTH], line->charge_month);
    db_column_text(&columns[LINE_PROVIDER], line->provider);
    db_column_text(&columns[LINE_CLOUD], line->cloud);
    db_column_text(&columns[LINE_SYSTEM], line->system);
    db_column_text(&columns[LINE_ITEM], line->item);
    db_column_int(&columns[LINE_PRICE], line->price_fen);
    db_column_moment(&columns[LINE_PRICE_FROM], line->price_from);
    db_column_moment(&columns[LINE_PRICE_TO], line->price_to);
    db_column_wide(&columns[LINE_USAGE], line->usage);
    db_column_int(&columns[LINE_AMOUNT], line->amount_fen);
    db_column_text(&columns[LINE_CORRECTS], line->corrects_number);
    if (line->corrects_number)
        db_column_int(&columns[LINE_CORRECTS_LINE], line->corrects_line);
    else
        db_column_null(&columns[LINE_CORRECTS_LINE]);
    db_column_text(&columns[LINE_TARIFF], tariff_name(line->tariff));
    db_column_text(&columns[LINE_INDUSTRY], line->industry);
    db_column_text(&columns[LINE_ZONE], line->zone);
    db_column_text(&columns[LINE_ARCHITECTURE], line->architecture);
    db_column_int(&columns[LINE_LIST], line->list_fen);
}

static void put_bill(struct db_column *columns, const struct bill *bill)
{
    db_column_text(&columns[BILL_UNIT], bill->unit);
    db_column_text(&columns[BILL_ID], bill->id);
    db_column_text(&columns[BILL_NUMBER], bill->number);
    db_column_text(&columns[BILL_PROVIDER], bill->provider);
    db_column_int(&columns[BILL_CHARGES], bill->charges_fen);
    db_column_int(&columns[BILL_ADJUSTMENTS], bill->adjustments_fen);
    db_column_int(&columns[BILL_TOTAL], bill->total_fen);
    db_column_int(&columns[BILL_LINES], bill->line_count);
    db_column_text(&columns[BILL_DIGEST_SM3], bill->digest);
    db_column_text(&columns[BILL_KID], bill->kid);
    db_column_text(&columns[BILL_SIGNATURE], bill->signature);
}

static void make_columns(struct db_column *columns, const enum db_column_type *types, int count)
{
    for (int i = 0; i < count; i++)
        columns[i] = db_column_make(types[i]);
}

/* Runs the statement with the columns as its last parameters, and frees them. */
static struct error *write_columns(struct db *db, const struct db_statement *statement,
                                   struct db_value *values, size_t before, struct db_column *columns,
                                   int count)
{
    for (int i = 0; i < count; i++)
        values[before + (size_t)i] = db_column_value(&columns[i]);
    struct error *error = db_run(db, statement, values, before + (size_t)count, NULL);
    for (int i = 0; i < count; i++)
        db_column_done(&columns[i]);
    return error;
}

static struct error *write_bills(struct db *db, const struct bill_made *made, size_t count)
{
    struct db_column columns[BILL_COLUMNS];
    struct db_value values[3 + BILL_COLUMNS] = {
        db_text(made[0].bill.month), db_moment(made[0].bill.closed_at), db_int(made[0].bill.digest_version)};
    make_columns(columns, bill_types, BILL_COLUMNS);
    for (size_t i = 0; i < count; i++)
        put_bill(columns, &made[i].bill);
    return write_columns(db, &add_bills, values, 3, columns, BILL_COLUMNS);
}

static struct error *write_lines(struct db *db, const struct bill_made *made, size_t count)
{
    struct db_column columns[LINE_COLUMNS];
    struct db_value values[1 + LINE_COLUMNS] = {db_text(made[0].bill.month)};
    make_columns(columns, line_types, LINE_COLUMNS);
    for (size_t i = 0; i < count; i++)
        for (int64_t n = 0; n < made[i].bill.line_count; n++)
            put_line(columns, &made[i].bill, n + 1, &made[i].lines[n]);
    return write_columns(db, &add_lines, values, 1, columns, LINE_COLUMNS);
}

struct error *bill_add_all(struct db *db, const struct bill_made *made, size_t count)
{
    if (!count)
        return NULL;
    TRY(write_bills(db, made, count));
    return write_lines(db, made, count);
}
