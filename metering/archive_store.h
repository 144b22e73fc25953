/* SQL of archives, for archive.c. Within the caller's transaction, whose scope sees everything. */
#ifndef METERING_ARCHIVE_STORE_H
#define METERING_ARCHIVE_STORE_H

#include "metering/archive.h"

/* Rows and exact sums of what the database has of a month; text is in the arena. */
struct archive_sums {
    int64_t intervals, bills, lines;
    const char *usage, *bills_fen, *lines_usage, *lines_fen;
};
struct error *archive_sums(struct db *db, struct arena *arena, const char *month,
                           struct archive_sums *ret_sums) ERROR_MUST_USE;

/* Forgets an archive of which nothing was dropped: it is about to be written anew. */
struct error *archive_forget(struct db *db, const char *month) ERROR_MUST_USE;
/* Records a verified one; again with the same manifest changes nothing, ERR_CONFLICT with another. */
struct error *archive_record(struct db *db, const char *month, const char *manifest_sm3,
                             const struct archive_sums *sums, moment now) ERROR_MUST_USE;
struct error *archive_drop_part(struct db *db, const char *month, enum archive_part part) ERROR_MUST_USE;

#endif
