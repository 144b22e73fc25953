/* How a month's statement differs from the month before and from the same month a year before: row by row,
 * and which rows moved most. Pure, but for reading the three statements. */
#ifndef METERING_STATEMENT_CHANGE_H
#define METERING_STATEMENT_CHANGE_H

#include "metering/statement_sum.h"

/* Groups of one statement; with more the caller groups by less or filters. */
#define CHANGE_ROWS_MAX 20000

enum change_month { CHANGE_NOW, CHANGE_MONTH_BEFORE, CHANGE_YEAR_BEFORE, CHANGE_MONTHS };

struct change_row {
    const char *keys[STATEMENT_DIMENSIONS];   /* as statement_row's */
    struct statement_row sums[CHANGE_MONTHS]; /* zeros where there was nothing */
};

struct change {
    struct month months[CHANGE_MONTHS];
    bool closed[CHANGE_MONTHS];
    struct change_row *rows; /* by their keys */
    size_t count;
    struct change_row total;
};

/* `ask` with its grouping and filters; its range is not looked at. ERR_INVALID (?group_by) with more than
 * CHANGE_ROWS_MAX groups. */
struct error *change_read(struct db *db, struct arena *arena, const struct statement_ask *ask,
                          struct month month, struct change *ret_change) ERROR_MUST_USE;

/* The rows whose amount rose (sign 1) or fell (−1) most since the month before, the furthest first, at most
 * `most`; rows that did not move are none of them. Equal ones in the order of their keys. */
size_t change_movers(struct arena *arena, const struct change *change, int sign, size_t most,
                     const struct change_row ***ret_movers);

/* (now − before) × 1000 ÷ |before|, rounded half away from zero; false when there was nothing before. */
bool change_per_mille(int64_t now_fen, int64_t before_fen, int64_t *ret_per_mille);
/* part × 1000 ÷ whole, likewise; false when the whole is nothing. */
bool change_share(int64_t part_fen, int64_t whole_fen, int64_t *ret_per_mille);

#endif
