/* The files of an archive: a line for each row, as the database says it in JSON, and the manifest that names
 * them with their digests and sums. For archive.c; README.md has the form. */
#ifndef METERING_ARCHIVE_FILE_H
#define METERING_ARCHIVE_FILE_H

#include "broker/base/arena.h"
#include "broker/base/digest.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"

enum archive_file { ARCHIVE_FILE_USAGE, ARCHIVE_FILE_BILLS, ARCHIVE_FILE_LINES, ARCHIVE_FILES };
#define ARCHIVE_MANIFEST "manifest.json"
#define ARCHIVE_MANIFEST_MAX ((size_t)64 * 1024)

const char *archive_file_name(enum archive_file file);

struct archive_entry {
    int64_t rows, bytes;
    char sm3[DIGEST_HEX];
};

/* Within the caller's snapshot. Writes the month's rows, on the disk when it returns. Constant memory. */
struct error *archive_file_write(struct db *db, const char *folder, enum archive_file file, const char *month,
                                 struct archive_entry *ret_entry) ERROR_MUST_USE;
/* Reads the file and asks of every line that it is the next row, to the byte: ERR_CONFLICT when one is not,
 * or when one has more than the other. */
struct error *archive_file_compare(struct db *db, const char *folder, enum archive_file file,
                                   const char *month, struct archive_entry *ret_entry) ERROR_MUST_USE;
/* Reads a file whose rows are not in the database any more. */
struct error *archive_file_read(const char *folder, enum archive_file file,
                                struct archive_entry *ret_entry) ERROR_MUST_USE;

/* On the disk when it returns. */
struct error *archive_manifest_write(const char *folder, const char *text) ERROR_MUST_USE;
/* Its text in the arena, and its digest. */
struct error *archive_manifest_read(struct arena *arena, const char *folder, const char **ret_text,
                                    char ret_sm3[DIGEST_HEX]) ERROR_MUST_USE;

/* Makes the folder `path`, 0700; there already is fine. */
struct error *archive_folder_make(const char *path) ERROR_MUST_USE;
/* Removes a folder with the files of an archive in it; none is fine. */
struct error *archive_folder_remove(struct arena *arena, const char *path) ERROR_MUST_USE;
/* Puts a folder's names on the disk. */
struct error *archive_folder_sync(const char *path) ERROR_MUST_USE;

#endif
