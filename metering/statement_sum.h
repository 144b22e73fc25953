/* The consolidated statement over a range of months: rows and total. Closed months are summed by the
 * database, from the smallest of three sources that has the dimensions asked for (schema/2020: by place, by
 * unit, or the lines themselves), under the caller's row-level security; open ones are rated and added. So a
 * page costs what it shows, not what there is. Within the caller's transaction. */
#ifndef METERING_STATEMENT_SUM_H
#define METERING_STATEMENT_SUM_H

#include "metering/statement.h"

#define STATEMENT_MONTHS_MAX 60 /* of one range */

struct statement_ask {
    struct month from, to; /* of the bills, both included */
    unsigned mask;         /* dimensions of the rows; 0: one row, the total, when there is any line */
    const char *only[STATEMENT_DIMENSIONS]; /* NULL: whatever; that of STATEMENT_MONTH is not looked at */
    bool scope_of_units; /* the scope names units, so that it does not see sums without a unit */
    bool to_the_end;     /* open months as they will be if nothing changes any more, those to come included */
    moment now;
};

/* What became of the months of a range. */
struct statement_months {
    struct month list[STATEMENT_MONTHS_MAX];
    bool closed[STATEMENT_MONTHS_MAX];
    size_t count;
};
/* ERR_INVALID (?to) when the range is empty or longer than STATEMENT_MONTHS_MAX. */
struct error *statement_months(struct db *db, struct month from, struct month to,
                               struct statement_months *ret_months) ERROR_MUST_USE;

/* At most `most` rows behind the keys `after` (NULL: from the start), in the order of statement_compare, and
 * the total over all rows. ERR_SERIALIZATION, which has the transaction run again, when one of the months was
 * closed since they were looked at. */
struct error *statement_sum(struct db *db, struct arena *arena, const struct statement_ask *ask,
                            const struct statement_months *months, const char *const *after, int64_t most,
                            struct statement *ret_statement) ERROR_MUST_USE;

/* For statement_sum: the rows of closed months in [from, to] (statement_store.c). */
enum statement_source { STATEMENT_BY_PLACE, STATEMENT_BY_UNIT, STATEMENT_BY_LINE, STATEMENT_SOURCES };
struct error *statement_read(struct db *db, struct arena *arena, enum statement_source source,
                             const struct statement_ask *ask, struct month from, struct month to,
                             const char *const *after, int64_t most, struct statement_row **ret_rows,
                             size_t *ret_count) ERROR_MUST_USE;
/* Plans each statement for its own arguments from here to the end of the transaction: those of
 * statement_read are made for that. */
struct error *statement_read_begin(struct db *db) ERROR_MUST_USE;

#endif
