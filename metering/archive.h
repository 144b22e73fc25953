/* Archives: a closed month that is older than its retention is written to a folder of files, read back from
 * the disk and compared with the database row by row, and only then dropped from it, by a function of the
 * database that checks everything again (schema/2030_archive.sql). First its usage intervals go, later its
 * bills and their lines; the statement's sums and the month itself stay. What a month's archive is written
 * from cannot change any more: usage up to its end is refused (usage.h).
 *
 * A crash at any point leaves the partitions whole, or the archive whole and verified. The steps below are
 * those of the job "archive", each safe to repeat. README.md has the files' form. */
#ifndef METERING_ARCHIVE_H
#define METERING_ARCHIVE_H

#include <stdbool.h>

#include "broker/base/arena.h"
#include "broker/base/digest.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"
#include "broker/jobs/job.h"

/* A month's archive as it is recorded. */
struct archive {
    char month[8]; /* also the folder's name */
    const char *manifest_sm3, *program;
    moment verified_at, usage_dropped_at, bills_dropped_at; /* 0: not dropped */
    int64_t intervals, bills, lines;
    const char *usage; /* of the intervals: micro-units × microseconds, exact */
    int64_t total_fen; /* of the bills */
};

/* What goes next of a month. */
enum archive_part { ARCHIVE_NOTHING, ARCHIVE_USAGE, ARCHIVE_BILLS };

struct archive_work {
    struct db *db; /* not in a transaction */
    struct arena *arena;
    const char *dir; /* of all archives; made when missing, 0700 */
    struct month month;
    moment now;
    enum archive_part part;                  /* archive_export says it, the other steps want it */
    struct job *job;                         /* fences what is written; NULL: nobody does */
    void (*reached)(int point, void *given); /* tests: at every point where a crash leaves something else */
    void *given;
};
#define ARCHIVE_POINTS 12 /* points 1 to this are told */

/* Writes the month's folder aside and renames it when it is whole and on the disk. Nothing when its bills are
 * what goes next: the folder is there. ERR_CONFLICT says why nothing of the month may go. */
struct error *archive_export(struct archive_work *work) ERROR_MUST_USE;
/* Reads the files back and compares each line with its row; then records the archive. ERR_CONFLICT when they
 * are not the same: then nothing goes. */
struct error *archive_verify(struct archive_work *work) ERROR_MUST_USE;
/* Drops what was verified; what was dropped before is success. */
struct error *archive_drop(struct archive_work *work) ERROR_MUST_USE;

/* Within the caller's transaction, whose scope must see everything. `*ret_why` NULL: it may go; else why
 * nothing of the month may. */
struct error *archive_part_next(struct db *db, struct arena *arena, struct month month,
                                enum archive_part *ret_part, const char **ret_why) ERROR_MUST_USE;
/* The oldest month of which something may go. */
struct error *archive_due(struct db *db, bool *ret_found, struct month *ret_month) ERROR_MUST_USE;
/* Adds the job, within the caller's transaction; one at a time: ERR_EXISTS while there is another. */
struct error *archive_add_job(struct db *db, struct month month, char ret_id[37]) ERROR_MUST_USE;
/* The same for the oldest month of which something may go, if any, and unless one failed within the last
 * hour. */
struct error *archive_add_due(struct db *db) ERROR_MUST_USE;
extern const struct job_type archive_job;

/* Within the caller's transaction. At most `most` by month, after the month `after` (NULL: from the first).
 */
struct error *archive_list(struct db *db, struct arena *arena, const char *after, int64_t most,
                           struct archive **ret_list, size_t *ret_count) ERROR_MUST_USE;
/* *ret_found false: the month was not archived. */
struct error *archive_get(struct db *db, struct arena *arena, struct month month, bool *ret_found,
                          struct archive *ret_archive) ERROR_MUST_USE;

/* Up to where the database lacks something: intervals that ended at or before `usage`, bills of months before
 * `bills`; 0: nothing is archived. Within any transaction. */
struct archive_bounds {
    moment usage;
    moment bills;
};
/* Nothing younger is ever archived: three whole months are closed after it. */
#define ARCHIVE_AGE_LEAST (80 * MOMENT_DAY)
struct error *archive_bounds(struct db *db, struct archive_bounds *ret_bounds) ERROR_MUST_USE;
/* ERR_NOT_FOUND, saying in which files they are, when the month's bills were dropped, or intervals that were
 * used in it. */
struct error *archive_refuse_bills(struct db *db, struct month month) ERROR_MUST_USE;
struct error *archive_refuse_usage(struct db *db, struct month month) ERROR_MUST_USE;

/* For GET /v1/months/{month} and GET /v1/archives; sums are for those who see all. */
json_t *archive_json(const struct archive *archive, bool sees_all);
/* Says in the answer of a list that older things are archived: member `archived_until`; 0: nothing is. */
void archive_put_until(json_t *body, moment until);

#endif
