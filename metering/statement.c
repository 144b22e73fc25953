/* Grouping of lines; see statement.h. */
#include "metering/statement.h"

#include <stdlib.h>
#include <string.h>

#include "metering/usage.h"

const char *const statement_dimension_names[STATEMENT_DIMENSIONS] = {
    "month",    "unit", "system",       "cloud",  "provider",    "item",
    "industry", "zone", "architecture", "tariff", "charge_month"};

struct error *statement_parse(const char *group_by, unsigned *ret_mask)
{
    unsigned mask = 0;
    const char *at = group_by ? group_by : "";
    while (*at) {
        size_t length = strcspn(at, ","), i = 0;
        while (i < STATEMENT_DIMENSIONS && (strlen(statement_dimension_names[i]) != length ||
                                            memcmp(statement_dimension_names[i], at, length) != 0))
            i++;
        if (i == STATEMENT_DIMENSIONS || (mask & 1u << i) || (at[length] == ',' && !at[length + 1]))
            return error_new(ERR_INVALID,
                             "the query member group_by: some of month, unit, system, cloud, provider, item,"
                             " industry, zone, architecture, tariff, charge_month, each once, joined by"
                             " commas");
        mask |= 1u << i;
        at += length + (at[length] == ',');
    }
    *ret_mask = mask;
    return NULL;
}

struct keyed {
    const char *keys[STATEMENT_DIMENSIONS]; /* "" when not grouped by */
    const struct bill_line *line;
};

int statement_compare(const char *const a[STATEMENT_DIMENSIONS], const char *const b[STATEMENT_DIMENSIONS])
{
    int order = 0;
    for (int i = 0; i < STATEMENT_DIMENSIONS && !order; i++)
        order = strcmp(a[i] ? a[i] : "", b[i] ? b[i] : "");
    return order;
}

static int compare_keyed(const void *left, const void *right)
{
    const struct keyed *a = left, *b = right;
    return statement_compare(a->keys, b->keys);
}

void statement_keys(const struct bill_line *line, const char *ret_keys[STATEMENT_DIMENSIONS])
{
    ret_keys[STATEMENT_MONTH] = line->charge_month;
    ret_keys[STATEMENT_CHARGE_MONTH] = line->charge_month;
    ret_keys[STATEMENT_UNIT] = line->unit;
    ret_keys[STATEMENT_SYSTEM] = line->system;
    ret_keys[STATEMENT_CLOUD] = line->cloud;
    ret_keys[STATEMENT_PROVIDER] = line->provider;
    ret_keys[STATEMENT_ITEM] = line->item;
    ret_keys[STATEMENT_INDUSTRY] = line->industry;
    ret_keys[STATEMENT_ZONE] = line->zone;
    ret_keys[STATEMENT_ARCHITECTURE] = line->architecture;
    ret_keys[STATEMENT_TARIFF] = tariff_name(line->tariff);
}

static struct keyed key_of(const struct bill_line *line, unsigned mask)
{
    const char *all[STATEMENT_DIMENSIONS];
    statement_keys(line, all);
    struct keyed keyed = {.line = line};
    for (int i = 0; i < STATEMENT_DIMENSIONS; i++)
        keyed.keys[i] = mask & 1u << i ? all[i] : "";
    return keyed;
}

static struct statement_row row_of(const struct bill_line *line)
{
    bool charge = !line->adjustment;
    return (struct statement_row){
        .charges_fen = charge ? line->amount_fen : 0,
        .adjustments_fen = charge ? 0 : line->amount_fen,
        .amount_fen = line->amount_fen,
        .free_fen = line->tariff == TARIFF_STANDARD ? 0 : line->list_fen,
        .line_count = 1,
        .unpriced = charge && line->price_fen == 0,
        .price_fen = charge ? line->price_fen : 0,
        .charge_count = charge,
        .usage = charge ? line->usage : 0,
    };
}

struct error *statement_add(struct statement_row *row, const struct statement_row *more)
{
    TRY(money_add(row->charges_fen, more->charges_fen, &row->charges_fen));
    TRY(money_add(row->adjustments_fen, more->adjustments_fen, &row->adjustments_fen));
    TRY(money_add(row->amount_fen, more->amount_fen, &row->amount_fen));
    TRY(money_add(row->free_fen, more->free_fen, &row->free_fen));
    if (more->charge_count)
        row->price_fen = row->charge_count == 0 || row->price_fen == more->price_fen ? more->price_fen : 0;
    row->charge_count += more->charge_count;
    row->line_count += more->line_count;
    row->unpriced += more->unpriced;
    if (__builtin_add_overflow(row->usage, more->usage, &row->usage))
        return error_new(ERR_TOO_LARGE, "usage beyond 128 bits");
    return NULL;
}

static struct error *add(struct statement_row *row, const struct bill_line *line)
{
    const struct statement_row more = row_of(line);
    return statement_add(row, &more);
}

struct error *statement_group(struct arena *arena, const struct bill_line *lines, size_t count, unsigned mask,
                              struct statement *ret_statement)
{
    struct statement statement = {.rows = arena_array(arena, count, sizeof *statement.rows)};
    struct keyed *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        list[i] = key_of(&lines[i], mask);
        TRY(add(&statement.total, &lines[i]));
    }
    if (count)
        qsort(list, count, sizeof *list, compare_keyed);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || compare_keyed(&list[i], &list[i - 1])) {
            struct statement_row *row = &statement.rows[statement.count++];
            for (int d = 0; d < STATEMENT_DIMENSIONS; d++)
                row->keys[d] = mask & 1u << d ? list[i].keys[d] : NULL;
        }
        TRY(add(&statement.rows[statement.count - 1], list[i].line));
    }
    *ret_statement = statement;
    return NULL;
}

struct error *statement_rated(struct db *db, struct arena *arena, const char *unit, struct month month,
                              moment until, struct bill_line **ret_lines, size_t *ret_count)
{
    struct rate_interval *intervals;
    struct rate_provider *providers;
    struct rate_line *rated;
    size_t interval_count, provider_count, count;
    TRY(usage_intervals(db, arena, unit, month_start(month), month_end(month), &intervals, &interval_count));
    TRY(bill_rates(db, arena, month, &providers, &provider_count));
    TRY(rate_month(arena, intervals, interval_count, providers, provider_count, month, until, &rated,
                   &count));
    struct bill_line *lines = arena_array(arena, count, sizeof *lines);
    for (size_t i = 0; i < count; i++)
        lines[i] = bill_line_of(&rated[i], month, false);
    *ret_lines = lines;
    *ret_count = count;
    return NULL;
}

struct error *statement_lines(struct db *db, struct arena *arena, struct month month, moment now,
                              struct bill_month *ret_month, struct bill_line **ret_lines, size_t *ret_count)
{
    struct bill_month state;
    TRY(bill_month_get(db, arena, month, &state));
    if (state.closed)
        TRY(bill_lines_of_month(db, arena, month, ret_lines, ret_count));
    else
        TRY(statement_rated(db, arena, NULL, month, now, ret_lines, ret_count));
    *ret_month = state;
    return NULL;
}

/* usage ÷ divisor with six decimals, half up in size; the divisor leaves micro-units. */
static const char *six_decimals(struct arena *arena, wide usage, wide divisor)
{
    bool negative = usage < 0;
    wide micro = wide_divide_half_up(negative ? -usage : usage, divisor);
    char whole[WIDE_TEXT];
    return arena_printf(arena, "%s%s.%06d", negative && micro ? "-" : "",
                        wide_format(micro / QUANTITY_ONE, whole), (int)(micro % QUANTITY_ONE));
}

const char *statement_average(struct arena *arena, wide usage, struct month month)
{
    return six_decimals(arena, usage, month_end(month) - month_start(month));
}

const char *statement_average_over(struct arena *arena, wide usage, int64_t length_us)
{
    return six_decimals(arena, usage, length_us);
}

const char *statement_unit_hours(struct arena *arena, wide usage)
{
    return six_decimals(arena, usage, MOMENT_HOUR);
}
