/* See archive.h and archive_store.h. */
#include "metering/archive_store.h"

#include <string.h>

static const struct db_statement get_sums = {
    "archive_sums", "SELECT intervals, usage::text, bills, bills_fen::text, lines, lines_usage::text,"
                    " lines_fen::text FROM archive_sums($1)"};
static const struct db_statement forget = {
    "archive_forget", "DELETE FROM archive WHERE month = $1 AND usage_dropped_at IS NULL"};
static const struct db_statement record = {
    "archive_record",
    "INSERT INTO archive (month, manifest_sm3, program, verified_at, intervals, usage, bills, bills_fen,"
    " lines, lines_usage, lines_fen) VALUES ($1, $2, $3, $4, $5, $6::text::numeric, $7, $8::text::numeric,"
    " $9, $10::text::numeric, $11::text::numeric) ON CONFLICT (month) DO NOTHING"};
static const struct db_statement same_manifest = {
    "archive_same", "SELECT EXISTS (SELECT FROM archive WHERE month = $1 AND manifest_sm3 = $2)"};
static const struct db_statement drop = {"archive_drop", "SELECT billing_partition_drop($1, $2)"};

/* Usage first, then bills; NULL of both reasons: everything was dropped. */
static const struct db_statement part_next = {
    "archive_part_next",
    "SELECT w.what, billing_kept_because($1, w.what) FROM (SELECT CASE WHEN a.bills_dropped_at IS NOT NULL"
    " THEN '' WHEN a.usage_dropped_at IS NOT NULL THEN 'bills' ELSE 'usage' END AS what FROM (SELECT) one"
    " LEFT JOIN archive a ON a.month = $1) w"};
static const struct db_statement find_due = {
    "archive_due",
    "SELECT month FROM (SELECT min(m.month COLLATE \"C\") AS month, w.what FROM billing_month m"
    " CROSS JOIN (VALUES ('usage'), ('bills')) w (what) LEFT JOIN archive a ON a.month = m.month"
    " WHERE m.state = 'closed' AND CASE w.what WHEN 'usage' THEN a.usage_dropped_at ELSE a.bills_dropped_at"
    " END IS NULL GROUP BY w.what) due WHERE billing_kept_because(month, what) IS NULL"
    " ORDER BY what DESC LIMIT 1"};

#define COLUMNS                                                                                        \
    "month, manifest_sm3, program, verified_at, usage_dropped_at, bills_dropped_at, intervals, bills," \
    " lines, usage::text, bills_fen::bigint"
static const struct db_statement get = {"archive_get", "SELECT " COLUMNS " FROM archive WHERE month = $1"};
static const struct db_statement list = {"archive_list",
                                         "SELECT " COLUMNS " FROM archive WHERE month > $1 ORDER BY month "
                                         "LIMIT $2"};
static const struct db_statement bounds = {
    "archive_bounds",
    "SELECT nullif(until, '-infinity'), (SELECT billing_month_begin_at(billing_month_after(max(month), 1))"
    " FROM archive WHERE bills_dropped_at IS NOT NULL) FROM usage_archived"};

struct error *archive_sums(struct db *db, struct arena *arena, const char *month,
                           struct archive_sums *ret_sums)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &get_sums, DB_VALUES(db_text(month)), "sums", &rows));
    *ret_sums = (struct archive_sums){
        .intervals = db_get_int(rows, 0, 0),
        .usage = arena_strdup(arena, db_get_text(rows, 0, 1)),
        .bills = db_get_int(rows, 0, 2),
        .bills_fen = arena_strdup(arena, db_get_text(rows, 0, 3)),
        .lines = db_get_int(rows, 0, 4),
        .lines_usage = arena_strdup(arena, db_get_text(rows, 0, 5)),
        .lines_fen = arena_strdup(arena, db_get_text(rows, 0, 6)),
    };
    return NULL;
}

struct error *archive_forget(struct db *db, const char *month)
{
    return db_run(db, &forget, DB_VALUES(db_text(month)), NULL);
}

struct error *archive_record(struct db *db, const char *month, const char *manifest_sm3,
                             const struct archive_sums *sums, moment now)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_run(db, &record,
               DB_VALUES(db_text(month), db_text(manifest_sm3), db_text(YUNQIAO_VERSION), db_moment(now),
                         db_int(sums->intervals), db_text(sums->usage), db_int(sums->bills),
                         db_text(sums->bills_fen), db_int(sums->lines), db_text(sums->lines_usage),
                         db_text(sums->lines_fen)),
               NULL));
    TRY(db_query(db, &same_manifest, DB_VALUES(db_text(month), db_text(manifest_sm3)), &rows));
    return db_get_bool(rows, 0, 0)
               ? NULL
               : error_new(ERR_CONFLICT, "the manifest of %s is not the one that was verified", month);
}

struct error *archive_drop_part(struct db *db, const char *month, enum archive_part part)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    return db_query(db, &drop, DB_VALUES(db_text(month), db_text(part == ARCHIVE_USAGE ? "usage" : "bills")),
                    &rows);
}

struct error *archive_part_next(struct db *db, struct arena *arena, struct month month,
                                enum archive_part *ret_part, const char **ret_why)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    char text[8];
    month_format(month, text);
    TRY(db_query_one(db, &part_next, DB_VALUES(db_text(text)), "month", &rows));
    const char *what = db_get_text(rows, 0, 0);
    *ret_part = !*what ? ARCHIVE_NOTHING : strcmp(what, "usage") ? ARCHIVE_BILLS : ARCHIVE_USAGE;
    *ret_why = *ret_part == ARCHIVE_NOTHING ? arena_printf(arena, "%s is archived, with its bills", text)
                                            : arena_strdup(arena, db_get_text(rows, 0, 1));
    return NULL;
}

struct error *archive_due(struct db *db, bool *ret_found, struct month *ret_month)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &find_due, DB_NO_VALUES, &rows));
    *ret_found = db_count(rows) > 0;
    return *ret_found ? month_parse(db_get_text(rows, 0, 0), ret_month) : NULL;
}

static struct archive read_archive(struct arena *arena, const struct db_rows *rows, size_t row)
{
    struct archive archive = {
        .manifest_sm3 = arena_strdup(arena, db_get_text(rows, row, 1)),
        .program = arena_strdup(arena, db_get_text(rows, row, 2)),
        .verified_at = db_get_moment(rows, row, 3),
        .usage_dropped_at = db_get_moment(rows, row, 4),
        .bills_dropped_at = db_get_moment(rows, row, 5),
        .intervals = db_get_int(rows, row, 6),
        .bills = db_get_int(rows, row, 7),
        .lines = db_get_int(rows, row, 8),
        .usage = arena_strdup(arena, db_get_text(rows, row, 9)),
        .total_fen = db_get_int(rows, row, 10),
    };
    memcpy(archive.month, db_get_text(rows, row, 0), sizeof archive.month); /* seven by the table's check */
    return archive;
}

struct error *archive_list(struct db *db, struct arena *arena, const char *after, int64_t most,
                           struct archive **ret_list, size_t *ret_count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &list, DB_VALUES(db_text(after ? after : ""), db_int(most)), &rows));
    size_t count = db_count(rows);
    struct archive *archives = arena_array(arena, count, sizeof *archives);
    for (size_t i = 0; i < count; i++)
        archives[i] = read_archive(arena, rows, i);
    *ret_list = archives;
    *ret_count = count;
    return NULL;
}

struct error *archive_get(struct db *db, struct arena *arena, struct month month, bool *ret_found,
                          struct archive *ret_archive)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    char text[8];
    month_format(month, text);
    TRY(db_query(db, &get, DB_VALUES(db_text(text)), &rows));
    *ret_found = db_count(rows) > 0;
    if (*ret_found)
        *ret_archive = read_archive(arena, rows, 0);
    return NULL;
}

struct error *archive_bounds(struct db *db, struct archive_bounds *ret_bounds)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &bounds, DB_NO_VALUES, "bounds", &rows));
    *ret_bounds = (struct archive_bounds){db_get_moment(rows, 0, 0), db_get_moment(rows, 0, 1)};
    return NULL;
}

struct error *archive_refuse_bills(struct db *db, struct month month)
{
    struct archive_bounds found;
    char text[8];
    TRY(archive_bounds(db, &found));
    if (month_start(month) >= found.bills)
        return NULL;
    month_format(month, text);
    return error_new(ERR_NOT_FOUND, "the bills of %s are archived: %s/bills.jsonl, %s/lines.jsonl", text,
                     text, text);
}

struct error *archive_refuse_usage(struct db *db, struct month month)
{
    struct archive_bounds found;
    char text[8], last[8];
    TRY(archive_bounds(db, &found));
    if (month_start(month) >= found.usage)
        return NULL;
    month_format(month, text);
    month_format(month_of(found.usage - 1), last);
    return error_new(
        ERR_NOT_FOUND,
        "intervals of %s are archived: each is in usage.jsonl of the month that it ended in, %s/usage.jsonl"
        " to %s/usage.jsonl",
        text, text, last);
}
