/* Rows and total of a statement: which source closed months are read from, and open months merged in; see
 * statement_sum.h. */
#include "metering/statement_sum.h"

#include <string.h>

#include "metering/archive.h"

#define BIT(dimension) (1u << (dimension))
#define PLACE_DIMENSIONS                                                                                   \
    (BIT(STATEMENT_MONTH) | BIT(STATEMENT_CHARGE_MONTH) | BIT(STATEMENT_CLOUD) | BIT(STATEMENT_PROVIDER) | \
     BIT(STATEMENT_ITEM) | BIT(STATEMENT_INDUSTRY) | BIT(STATEMENT_ZONE) | BIT(STATEMENT_ARCHITECTURE) |   \
     BIT(STATEMENT_TARIFF))
#define UNIT_DIMENSIONS                                                                          \
    (BIT(STATEMENT_MONTH) | BIT(STATEMENT_UNIT) | BIT(STATEMENT_SYSTEM) | BIT(STATEMENT_CLOUD) | \
     BIT(STATEMENT_PROVIDER) | BIT(STATEMENT_INDUSTRY))

static unsigned filtered(const struct statement_ask *ask)
{
    unsigned mask = 0;
    for (int i = 0; i < STATEMENT_DIMENSIONS; i++)
        if (i != STATEMENT_MONTH && ask->only[i])
            mask |= BIT(i);
    return mask;
}

static enum statement_source source_of(const struct statement_ask *ask, unsigned mask)
{
    mask |= filtered(ask);
    if (!ask->scope_of_units && !(mask & ~PLACE_DIMENSIONS))
        return STATEMENT_BY_PLACE;
    return mask & ~UNIT_DIMENSIONS ? STATEMENT_BY_LINE : STATEMENT_BY_UNIT;
}

static size_t keep_asked(const struct statement_ask *ask, struct bill_line *lines, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const char *keys[STATEMENT_DIMENSIONS];
        bool keep = true;
        statement_keys(&lines[i], keys);
        for (int d = 0; d < STATEMENT_DIMENSIONS; d++)
            keep = keep && (d == STATEMENT_MONTH || !ask->only[d] || !strcmp(ask->only[d], keys[d]));
        if (keep)
            lines[kept++] = lines[i];
    }
    return kept;
}

/* All open months of the range, grouped: sorted rows and their total. */
static struct error *sum_open(struct db *db, struct arena *arena, const struct statement_ask *ask,
                              const struct statement_months *months, struct statement *ret_open)
{
    struct bill_line *all = NULL;
    size_t count = 0;
    for (size_t i = 0; i < months->count; i++) {
        struct bill_line *lines, *longer;
        size_t more;
        if (months->closed[i] || (month_start(months->list[i]) >= ask->now && !ask->to_the_end))
            continue;
        TRY(statement_rated(db, arena, ask->only[STATEMENT_UNIT], months->list[i],
                            ask->to_the_end ? month_end(months->list[i]) : ask->now, &lines, &more));
        more = keep_asked(ask, lines, more);
        longer = arena_array(arena, count + more, sizeof *longer);
        if (count)
            memcpy(longer, all, count * sizeof *all);
        if (more)
            memcpy(longer + count, lines, more * sizeof *lines);
        all = longer;
        count += more;
    }
    return statement_group(arena, all, count, ask->mask, ret_open);
}

/* The rows of one month, which are by month too: the database groups by the other dimensions, for which it
 * has an order ready. */
static struct error *read_month(struct db *db, struct arena *arena, const struct statement_ask *ask,
                                struct month month, const char *const *after, int64_t most,
                                struct statement_row *ret_rows, size_t *ret_count)
{
    struct statement_ask inner = *ask;
    struct statement_row *rows;
    const char *behind[STATEMENT_DIMENSIONS];
    char text[8];
    month_format(month, text);
    inner.mask &= ~BIT(STATEMENT_MONTH);
    if (after && !strcmp(after[STATEMENT_MONTH], text)) {
        memcpy(behind, after, sizeof behind);
        behind[STATEMENT_MONTH] = "";
        after = behind;
    } else {
        after = NULL;
    }
    TRY(statement_read(db, arena, STATEMENT_BY_LINE, &inner, month, month, after, most, &rows, ret_count));
    for (size_t i = 0; i < *ret_count; i++) {
        ret_rows[i] = rows[i];
        ret_rows[i].keys[STATEMENT_MONTH] = arena_strdup(arena, text);
    }
    return NULL;
}

/* Rows of closed months. A statement of lines by month is read a month at a time: its first rows need no
 * sums over the others. */
static struct error *read_closed(struct db *db, struct arena *arena, const struct statement_ask *ask,
                                 const char *const *after, int64_t most, struct statement_row **ret_rows,
                                 size_t *ret_count)
{
    enum statement_source source = source_of(ask, ask->mask);
    if (source != STATEMENT_BY_LINE || !(ask->mask & BIT(STATEMENT_MONTH)))
        return statement_read(db, arena, source, ask, ask->from, ask->to, after, most, ret_rows, ret_count);
    struct month month = ask->from;
    if (after)
        TRY(error_recode(month_parse(after[STATEMENT_MONTH], &month), ERR_INVALID,
                         "the query member page_token: not of this list"));
    if (month_compare(month, ask->from) < 0)
        month = ask->from;
    struct statement_row *list = arena_array(arena, (size_t)most, sizeof *list);
    size_t count = 0;
    for (; month_compare(month, ask->to) <= 0 && count < (size_t)most; month = month_next(month)) {
        size_t more;
        TRY(read_month(db, arena, ask, month, after, most - (int64_t)count, list + count, &more));
        count += more;
    }
    *ret_rows = list;
    *ret_count = count;
    return NULL;
}

/* The first `most` of two sorted lists behind `after`; a key of both is one row. */
static struct error *merge(struct arena *arena, const struct statement_row *closed, size_t closed_count,
                           const struct statement *open, const char *const *after, int64_t most,
                           struct statement *ret_statement)
{
    struct statement_row *rows = arena_array(arena, (size_t)most, sizeof *rows);
    size_t count = 0, i = 0, k = 0;
    while (after && k < open->count && statement_compare(open->rows[k].keys, after) <= 0)
        k++;
    for (; count < (size_t)most && (i < closed_count || k < open->count); count++) {
        int order = i == closed_count  ? 1
                    : k == open->count ? -1
                                       : statement_compare(closed[i].keys, open->rows[k].keys);
        rows[count] = order <= 0 ? closed[i] : open->rows[k];
        if (!order)
            TRY(statement_add(&rows[count], &open->rows[k]));
        i += order <= 0;
        k += order >= 0;
    }
    ret_statement->rows = rows;
    ret_statement->count = count;
    return NULL;
}

/* A month that closed while it was read is rated and summed both: read all again. */
static struct error *check_months(struct db *db, const struct statement_months *months)
{
    struct statement_months now;
    TRY(statement_months(db, months->list[0], months->list[months->count - 1], &now));
    for (size_t i = 0; i < months->count; i++)
        if (months->closed[i] != now.closed[i])
            return error_new(ERR_SERIALIZATION, "a month of the statement was closed meanwhile");
    return NULL;
}

struct error *statement_sum(struct db *db, struct arena *arena, const struct statement_ask *ask,
                            const struct statement_months *months, const char *const *after, int64_t most,
                            struct statement *ret_statement)
{
    struct statement open, sum = {.rows = NULL};
    struct statement_row *rows = NULL;
    size_t count = 0;
    struct statement_ask whole = *ask;
    whole.mask = 0;
    if (source_of(ask, ask->mask) == STATEMENT_BY_LINE) /* also where the total is not */
        TRY(archive_refuse_bills(db, ask->from));
    TRY(sum_open(db, arena, ask, months, &open));
    TRY(statement_read_begin(db));
    if (ask->mask) {
        TRY(read_closed(db, arena, ask, after, most, &rows, &count));
        TRY(merge(arena, rows, count, &open, after, most, &sum));
    }
    if (!ask->mask || after || count == (size_t)most) /* else these rows are all there are */
        TRY(statement_read(db, arena, source_of(ask, 0), &whole, ask->from, ask->to, NULL, 1, &rows, &count));
    TRY(check_months(db, months));
    sum.total = open.total;
    for (size_t i = 0; i < count; i++)
        TRY(statement_add(&sum.total, &rows[i]));
    if (!ask->mask && !after && sum.total.line_count) {
        sum.rows = arena_array(arena, 1, sizeof *sum.rows);
        sum.rows[0] = sum.total;
        sum.count = 1;
    }
    *ret_statement = sum;
    return NULL;
}
