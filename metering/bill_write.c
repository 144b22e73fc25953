/* Writing bills: thousands of lines with one statement, their columns as arrays; see bill.h. */
#include "metering/bill.h"
#include "metering/bill_make.h"

static const struct db_statement add_bills = {
    "bill_add_all",
    "INSERT INTO bill (unit_id, id, number, provider_id, month, charges_fen, adjustments_fen, total_fen, "
    "line_count,"
    " digest, closed_at, digest_version, kid, signature)"
    " SELECT unit, id, number, provider, $1, charges::bigint, adjustments::bigint, total::bigint, "
    "lines::bigint,"
    " digest, $2, $3, nullif(kid, ''), nullif(signature, '')"
    " FROM unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], "
    "$11::text[],"
    " $12::text[], $13::text[], $14::text[])"
    " AS b (unit, id, number, provider, charges, adjustments, total, lines, digest, kid, signature)"};
static const struct db_statement add_lines = {
    "bill_line_add_all",
    "INSERT INTO bill_line (unit_id, bill_id, line_no, month, type, charge_month, provider_id, cloud_id, "
    "system_id,"
    " item, price_fen, price_from, price_to, usage, amount_fen, corrects_number, corrects_line, tariff, "
    "industry,"
    " zone_id, architecture, list_fen)"
    " SELECT unit, bill, line::integer, $1, type, charge_month, provider, cloud, system, item, price::bigint,"
    " price_from::timestamptz, price_to::timestamptz, usage::numeric, amount::bigint, nullif(corrects, ''),"
    " nullif(corrects_line, '')::integer, tariff, industry, zone, architecture, list::bigint"
    " FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], "
    "$9::text[],"
    " $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[],"
    " $18::text[], $19::text[], $20::text[], $21::text[], $22::text[])"
    " AS l (unit, bill, line, type, charge_month, provider, cloud, system, item, price, price_from, "
    "price_to, usage,"
    " amount, corrects, corrects_line, tariff, industry, zone, architecture, list)"};

enum { BILL_COLUMNS = 11, LINE_COLUMNS = 21 };

struct columns {
    struct arena *arena;
    const char **of[LINE_COLUMNS];
    size_t row;
    int next; /* column of the row */
};

static struct columns make_columns(struct arena *arena, int count, size_t rows)
{
    struct columns columns = {.arena = arena};
    for (int i = 0; i < count; i++)
        columns.of[i] = arena_array(arena, rows, sizeof(char *));
    return columns;
}

static void put(struct columns *columns, const char *text)
{
    columns->of[columns->next++][columns->row] = text ? text : "";
}

static void put_int(struct columns *columns, int64_t value)
{
    put(columns, arena_printf(columns->arena, "%lld", (long long)value));
}

static void next_row(struct columns *columns)
{
    columns->row++;
    columns->next = 0;
}

static void put_line(struct columns *columns, const struct bill *bill, int64_t number,
                     const struct bill_line *line)
{
    char usage[WIDE_TEXT];
    put(columns, bill->unit);
    put(columns, bill->id);
    put_int(columns, number);
    put(columns, line->adjustment ? "adjustment" : "charge");
    put(columns, line->charge_month);
    put(columns, line->provider);
    put(columns, line->cloud);
    put(columns, line->system);
    put(columns, line->item);
    put_int(columns, line->price_fen);
    put(columns, moment_text(columns->arena, line->price_from));
    put(columns, moment_text(columns->arena, line->price_to));
    put(columns, arena_strdup(columns->arena, wide_format(line->usage, usage)));
    put_int(columns, line->amount_fen);
    put(columns, line->corrects_number);
    if (line->corrects_number)
        put_int(columns, line->corrects_line);
    else
        put(columns, NULL);
    put(columns, tariff_name(line->tariff));
    put(columns, line->industry);
    put(columns, line->zone);
    put(columns, line->architecture);
    put_int(columns, line->list_fen);
    next_row(columns);
}

static void put_bill(struct columns *columns, const struct bill *bill)
{
    put(columns, bill->unit);
    put(columns, bill->id);
    put(columns, bill->number);
    put(columns, bill->provider);
    put_int(columns, bill->charges_fen);
    put_int(columns, bill->adjustments_fen);
    put_int(columns, bill->total_fen);
    put_int(columns, bill->line_count);
    put(columns, bill->digest);
    put(columns, bill->kid);
    put(columns, bill->signature);
    next_row(columns);
}

static struct error *write_bills(struct db *db, struct arena *arena, const struct bill_made *made,
                                 size_t count)
{
    struct columns c = make_columns(arena, BILL_COLUMNS, count);
    struct db_value values[3 + BILL_COLUMNS] = {
        db_text(made[0].bill.month), db_moment(made[0].bill.closed_at), db_int(made[0].bill.digest_version)};
    for (size_t i = 0; i < count; i++)
        put_bill(&c, &made[i].bill);
    for (int i = 0; i < BILL_COLUMNS; i++)
        values[3 + i] = db_texts(c.of[i], count);
    return db_run(db, &add_bills, values, 3 + BILL_COLUMNS, NULL);
}

static struct error *write_lines(struct db *db, struct arena *arena, const struct bill_made *made,
                                 size_t count)
{
    size_t lines = 0;
    for (size_t i = 0; i < count; i++)
        lines += (size_t)made[i].bill.line_count;
    struct columns c = make_columns(arena, LINE_COLUMNS, lines);
    struct db_value values[1 + LINE_COLUMNS] = {db_text(made[0].bill.month)};
    for (size_t i = 0; i < count; i++)
        for (int64_t n = 0; n < made[i].bill.line_count; n++)
            put_line(&c, &made[i].bill, n + 1, &made[i].lines[n]);
    for (int i = 0; i < LINE_COLUMNS; i++)
        values[1 + i] = db_texts(c.of[i], lines);
    return db_run(db, &add_lines, values, 1 + LINE_COLUMNS, NULL);
}

struct error *bill_add_all(struct db *db, const struct bill_made *made, size_t count)
{
    ARENA_AUTO struct arena *arena = arena_new();
    if (!count)
        return NULL;
    TRY(write_bills(db, arena, made, count));
    return write_lines(db, arena, made, count);
}
