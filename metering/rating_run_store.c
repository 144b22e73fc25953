/* SQL of rating runs; see rating_run.h. */
#include <string.h>

#include "metering/rating_run.h"

#define COLUMNS                                                                                  \
    "id::text, month, purpose, program, workers, started_at, took_us, units, intervals, usage, " \
    "prices_digest, bills,"                                                                      \
    " lines, total_fen, digest"
static const struct db_statement add_run = {
    "rating_run_add", "INSERT INTO rating_run (id, month, purpose, program, workers, started_at, took_us, "
                      "units, intervals, usage,"
                      " prices_digest, bills, lines, total_fen, digest)"
                      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"};
static const struct db_statement list_runs = {
    "rating_run_list",
    "SELECT " COLUMNS " FROM rating_run r WHERE r.month = $1 AND ($2::uuid IS NULL OR (r.started_at, r.id) <"
    " (SELECT a.started_at, a.id FROM rating_run a WHERE a.id = $2)) ORDER BY r.started_at DESC, r.id DESC "
    "LIMIT $3"};
static const struct db_statement current_run = {
    "rating_run_current",
    "SELECT max(r.began_at) IS NOT NULL AND NOT EXISTS (SELECT FROM usage_change c WHERE c.from_at < $2"
    " AND c.made_at > max(r.began_at)) FROM rating_run r WHERE r.month = $1"};

struct error *rating_run_add(struct db *db, const struct rating_run *run)
{
    return db_run(db, &add_run,
                  DB_VALUES(db_text(run->id), db_text(run->month), db_text(run->purpose),
                            db_text(run->program), db_int(run->workers), db_moment(run->started_at),
                            db_int(run->took_us), db_int(run->units), db_int(run->intervals),
                            db_wide(run->usage), db_text(run->prices_digest), db_int(run->bills),
                            db_int(run->lines), db_int(run->total_fen), db_text(run->digest)),
                  NULL);
}

static void copy_digest(char hex[DIGEST_HEX], const char *text)
{
    memcpy(hex, text, strnlen(text, DIGEST_HEX - 1));
}

static struct rating_run read_run(const struct db_rows *rows, size_t row)
{
    struct rating_run run = {.id = db_get_text(rows, row, 0),
                             .month = db_get_text(rows, row, 1),
                             .purpose = db_get_text(rows, row, 2),
                             .program = db_get_text(rows, row, 3),
                             .workers = db_get_int(rows, row, 4),
                             .started_at = db_get_moment(rows, row, 5),
                             .took_us = db_get_int(rows, row, 6),
                             .units = db_get_int(rows, row, 7),
                             .intervals = db_get_int(rows, row, 8),
                             .usage = db_get_wide(rows, row, 9),
                             .bills = db_get_int(rows, row, 11),
                             .lines = db_get_int(rows, row, 12),
                             .total_fen = db_get_int(rows, row, 13)};
    copy_digest(run.prices_digest, db_get_text(rows, row, 10));
    copy_digest(run.digest, db_get_text(rows, row, 14));
    return run;
}

struct error *rating_run_list(struct db *db, struct arena *arena, const char *month, const char *after,
                              int64_t most, struct rating_run **ret_list, size_t *ret_count)
{
    struct db_rows *rows;
    TRY(db_query(db, &list_runs, DB_VALUES(db_text(month), db_text(after), db_int(most)), &rows));
    (void)db_hold(arena, rows);
    size_t count = db_count(rows);
    struct rating_run *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = read_run(rows, i);
    *ret_list = list;
    *ret_count = count;
    return NULL;
}

struct error *rating_run_current(struct db *db, struct month month, bool *ret_current)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    char text[8];
    month_format(month, text);
    TRY(db_query_one(db, &current_run, DB_VALUES(db_text(text), db_moment(month_end(month))), "answer",
                     &rows));
    *ret_current = db_get_bool(rows, 0, 0);
    return NULL;
}
