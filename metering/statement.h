/* The consolidated statement: the lines of all bills that the caller may see (closed months), or what rating
 * says now (open ones), added up along any of eleven dimensions. Lines are rounded once, before they are
 * added up, so the sum over any grouping is the same to the fen. Here: what dimensions and rows are, and
 * grouping of lines in memory (open months); statement_sum.h has the whole. */
#ifndef METERING_STATEMENT_H
#define METERING_STATEMENT_H

#include <jansson.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"
#include "metering/bill.h"

enum statement_dimension {
    STATEMENT_MONTH, /* of the bill; an adjustment belongs to the bill that it is on */
    STATEMENT_UNIT,
    STATEMENT_SYSTEM,
    STATEMENT_CLOUD,
    STATEMENT_PROVIDER,
    STATEMENT_ITEM,
    STATEMENT_INDUSTRY, /* the cloud's kind */
    STATEMENT_ZONE,
    STATEMENT_ARCHITECTURE,
    STATEMENT_TARIFF,
    STATEMENT_CHARGE_MONTH, /* when it was used: an adjustment belongs to the month that it corrects */
    STATEMENT_DIMENSIONS
};
extern const char *const statement_dimension_names[STATEMENT_DIMENSIONS];

/* "unit,item" in any order, each at most once; "" or NULL: none, the total alone. *ret_mask has bit 1 <<
 * dimension. */
struct error *statement_parse(const char *group_by, unsigned *ret_mask) ERROR_MUST_USE;

struct statement_row {
    const char *keys[STATEMENT_DIMENSIONS]; /* NULL for a dimension that is not grouped by */
    int64_t charges_fen, adjustments_fen, amount_fen;
    int64_t free_fen; /* what its free lines would have cost by the list, corrections included */
    int64_t line_count, unpriced;
    int64_t price_fen; /* when all charges of the row have one price, else 0 */
    int64_t charge_count;
    wide usage; /* of the charges; means something only when grouped by item */
};

struct statement {
    struct statement_row *rows; /* by their keys, in the order of the dimensions */
    size_t count;
    struct statement_row total;
};

/* What a line has along every dimension; borrowed, "" for none. Lines of an open month: charges, whose bill
 * will be of the month that they were used in. */
void statement_keys(const struct bill_line *line, const char *ret_keys[STATEMENT_DIMENSIONS]);

/* The order of rows, along all dimensions; NULL keys count as "". */
int statement_compare(const char *const a[STATEMENT_DIMENSIONS], const char *const b[STATEMENT_DIMENSIONS]);
/* Adds what `more` has to *row; keys stay. */
struct error *statement_add(struct statement_row *row, const struct statement_row *more) ERROR_MUST_USE;

/* Pure. A line without a price (price_fen 0) counts as unpriced. */
struct error *statement_group(struct arena *arena, const struct bill_line *lines, size_t count, unsigned mask,
                              struct statement *ret_statement) ERROR_MUST_USE;

/* What rating says of a month up to `until`, as lines; `unit` NULL: of all that the scope sees. */
struct error *statement_rated(struct db *db, struct arena *arena, const char *unit, struct month month,
                              moment until, struct bill_line **ret_lines, size_t *ret_count) ERROR_MUST_USE;

/* The lines behind a statement: of the bills when the month is closed, else rated up to `now`. */
struct error *statement_lines(struct db *db, struct arena *arena, struct month month, moment now,
                              struct bill_month *ret_month, struct bill_line **ret_lines,
                              size_t *ret_count) ERROR_MUST_USE;

/* Numbers for a person with a calculator: usage ÷ length of the month ("average quantity") and usage in
 * unit·hours, both with six decimals, half up. */
const char *statement_average(struct arena *arena, wide usage, struct month month);
const char *statement_average_over(struct arena *arena, wide usage, int64_t length_us);
const char *statement_unit_hours(struct arena *arena, wide usage);

#endif
