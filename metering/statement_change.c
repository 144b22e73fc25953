/* Changes between statements; see statement_change.h. */
#include "metering/statement_change.h"

#include <stdlib.h>
#include <string.h>

static struct error *read_one(struct db *db, struct arena *arena, const struct statement_ask *ask,
                              struct month month, bool *ret_closed, struct statement *ret_statement)
{
    struct statement_ask one = *ask;
    struct statement_months months;
    one.from = one.to = month;
    TRY(statement_months(db, month, month, &months));
    *ret_closed = months.closed[0];
    TRY(statement_sum(db, arena, &one, &months, NULL, CHANGE_ROWS_MAX + 1, ret_statement));
    return ret_statement->count > CHANGE_ROWS_MAX
               ? error_member("?group_by", "makes more than %d groups: group by less or filter",
                              CHANGE_ROWS_MAX)
               : NULL;
}

/* Three sorted lists as one. */
static void merge(struct arena *arena, const struct statement statements[CHANGE_MONTHS],
                  struct change *change)
{
    size_t at[CHANGE_MONTHS] = {0}, most = 0;
    for (int i = 0; i < CHANGE_MONTHS; i++) {
        most += statements[i].count;
        change->total.sums[i] = statements[i].total;
    }
    change->rows = arena_array(arena, most, sizeof *change->rows);
    for (;;) {
        const struct statement_row *first = NULL;
        for (int i = 0; i < CHANGE_MONTHS; i++) {
            const struct statement_row *row = &statements[i].rows[at[i]];
            if (at[i] < statements[i].count && (!first || statement_compare(row->keys, first->keys) < 0))
                first = row;
        }
        if (!first)
            return;
        struct change_row *row = &change->rows[change->count++];
        *row = (struct change_row){.keys = {NULL}};
        memcpy(row->keys, first->keys, sizeof row->keys);
        for (int i = 0; i < CHANGE_MONTHS; i++)
            if (at[i] < statements[i].count && !statement_compare(statements[i].rows[at[i]].keys, row->keys))
                row->sums[i] = statements[i].rows[at[i]++];
    }
}

struct error *change_read(struct db *db, struct arena *arena, const struct statement_ask *ask,
                          struct month month, struct change *ret_change)
{
    struct change change = {.count = 0};
    struct statement statements[CHANGE_MONTHS];
    change.months[CHANGE_NOW] = month;
    change.months[CHANGE_MONTH_BEFORE] = month_previous(month);
    change.months[CHANGE_YEAR_BEFORE] = (struct month){month.year - 1, month.month};
    for (int i = 0; i < CHANGE_MONTHS; i++)
        TRY(read_one(db, arena, ask, change.months[i], &change.closed[i], &statements[i]));
    merge(arena, statements, &change);
    *ret_change = change;
    return NULL;
}

static int64_t moved(const struct change_row *row)
{
    return row->sums[CHANGE_NOW].amount_fen - row->sums[CHANGE_MONTH_BEFORE].amount_fen;
}

static int compare_risen(const void *left, const void *right)
{
    const struct change_row *a = *(const struct change_row *const *)left,
                            *b = *(const struct change_row *const *)right;
    int order = (moved(b) > moved(a)) - (moved(b) < moved(a));
    return order ? order : (a > b) - (a < b);
}

static int compare_fallen(const void *left, const void *right)
{
    const struct change_row *a = *(const struct change_row *const *)left,
                            *b = *(const struct change_row *const *)right;
    int order = (moved(a) > moved(b)) - (moved(a) < moved(b));
    return order ? order : (a > b) - (a < b);
}

size_t change_movers(struct arena *arena, const struct change *change, int sign, size_t most,
                     const struct change_row ***ret_movers)
{
    const struct change_row **movers = arena_array(arena, change->count, sizeof *movers);
    size_t count = 0;
    for (size_t i = 0; i < change->count; i++)
        if (sign > 0 ? moved(&change->rows[i]) > 0 : moved(&change->rows[i]) < 0)
            movers[count++] = &change->rows[i];
    if (count)
        qsort(movers, count, sizeof *movers, sign > 0 ? compare_risen : compare_fallen);
    *ret_movers = movers;
    return count < most ? count : most;
}

/* False when there is no such number, or none of 64 bits. */
static bool per_mille(wide part, wide whole, int64_t *ret_per_mille)
{
    bool negative = part < 0;
    if (!whole)
        return false;
    wide value = wide_divide_half_up((negative ? -part : part) * 1000, whole < 0 ? -whole : whole);
    if (value > INT64_MAX)
        return false;
    *ret_per_mille = (int64_t)(negative ? -value : value);
    return true;
}

bool change_per_mille(int64_t now_fen, int64_t before_fen, int64_t *ret_per_mille)
{
    return per_mille((wide)now_fen - before_fen, before_fen, ret_per_mille);
}

bool change_share(int64_t part_fen, int64_t whole_fen, int64_t *ret_per_mille)
{
    return per_mille(part_fen, whole_fen, ret_per_mille);
}
