/* See archive_file.h. Rows come as jsonb's text, whose members are in an order of their own that never
 * changes, so that the same row is the same line whenever it is asked for. */
#include "metering/archive_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)64 * 1024)

static const char *const names[ARCHIVE_FILES] = {"usage.jsonl", "bills.jsonl", "lines.jsonl"};
static const struct db_statement statements[ARCHIVE_FILES] = {
    {"archive_usage",
     DB_STREAM("SELECT to_jsonb(u)::text FROM usage_interval u WHERE end_at > billing_month_begin_at($1)"
               " AND end_at <= billing_month_begin_at(billing_month_after($1, 1))"
               " ORDER BY unit_id, resource_id, item, tariff, start_at, end_at")},
    {"archive_bills", DB_STREAM("SELECT to_jsonb(b)::text FROM bill b WHERE month = $1"
                                " ORDER BY unit_id, provider_id")},
    /* usage: beyond what a reader of JSON takes for an integer. */
    {"archive_lines",
     DB_STREAM("SELECT (to_jsonb(l) || jsonb_build_object('usage', l.usage::text))::text FROM bill_line l"
               " WHERE month = $1 ORDER BY unit_id, bill_id, line_no")},
};

const char *archive_file_name(enum archive_file file)
{
    return names[file];
}

static struct error *io_error(const char *doing, const char *path)
{
    return error_new(ERR_IO, "could not %s %s: %s", doing, path, strerror(errno));
}

/* A file of a folder that is open, and what is known of it so far. */
struct open_file {
    char *path;
    FILE *stream;
    struct digest_sm3 *digest;
    struct archive_entry entry;
};

static struct error *open_file(const char *folder, const char *name, const char *mode, struct open_file *file)
{
    *file = (struct open_file){.path = xasprintf("%s/%s", folder, name)};
    file->stream = fopen(file->path, mode);
    if (!file->stream) {
        struct error *error = io_error("open", file->path);
        free(file->path);
        file->path = NULL;
        return error;
    }
    file->digest = digest_sm3_begin();
    return NULL;
}

/* Ends what open_file began; the entry is whole then. */
static struct error *close_file(struct open_file *file, struct error *error, bool sync)
{
    digest_sm3_end(file->digest, file->entry.sm3);
    if (!error && sync && (fflush(file->stream) || fsync(fileno(file->stream))))
        error = io_error("write", file->path);
    if (fclose(file->stream) && !error && sync)
        error = io_error("write", file->path);
    free(file->path);
    return error;
}

static struct error *write_row(struct open_file *file, const char *text)
{
    size_t length = strlen(text);
    if (fwrite(text, 1, length, file->stream) != length || putc('\n', file->stream) == EOF)
        return io_error("write", file->path);
    digest_sm3_add(file->digest, text, length);
    digest_sm3_add(file->digest, "\n", 1);
    file->entry.bytes += (int64_t)length + 1;
    file->entry.rows++;
    return NULL;
}

static struct error *compare_row(struct open_file *file, const char *text)
{
    char piece[PIECE];
    size_t length = strlen(text);
    for (size_t done = 0; done <= length;) {
        size_t most = length + 1 - done < PIECE ? length + 1 - done : PIECE;
        size_t got = fread(piece, 1, most, file->stream);
        size_t in_text = done + got <= length ? got : length - done;
        if (got != most || memcmp(piece, text + done, in_text) != 0 ||
            (in_text < got && piece[in_text] != '\n')) {
            if (ferror(file->stream))
                return io_error("read", file->path);
            return error_new(ERR_CONFLICT, "line %lld of %s is not what the database has",
                             (long long)file->entry.rows + 1, file->path);
        }
        digest_sm3_add(file->digest, piece, got);
        done += got;
    }
    file->entry.bytes += (int64_t)length + 1;
    file->entry.rows++;
    return NULL;
}

/* Gives every row of the month to `each`. */
static struct error *each_row(struct db *db, enum archive_file which, const char *month,
                              struct error *(*each)(struct open_file *file, const char *text),
                              struct open_file *file)
{
    struct db_stream *stream;
    TRY(db_stream_open(db, &statements[which], DB_VALUES(db_text(month)), &stream));
    struct error *error = NULL;
    for (size_t count = 1; !error && count;) {
        struct db_rows *rows = NULL;
        error = db_stream_next(stream, &rows);
        count = error ? 0 : db_count(rows);
        for (size_t i = 0; i < count && !error; i++)
            error = each(file, db_get_text(rows, i, 0));
        db_rows_free(rows);
    }
    db_stream_close(stream);
    return error;
}

struct error *archive_file_write(struct db *db, const char *folder, enum archive_file which,
                                 const char *month, struct archive_entry *ret_entry)
{
    struct open_file file;
    TRY(open_file(folder, names[which], "wxe", &file));
    TRY(close_file(&file, each_row(db, which, month, write_row, &file), true));
    *ret_entry = file.entry;
    return NULL;
}

struct error *archive_file_compare(struct db *db, const char *folder, enum archive_file which,
                                   const char *month, struct archive_entry *ret_entry)
{
    struct open_file file;
    TRY(open_file(folder, names[which], "re", &file));
    struct error *error = each_row(db, which, month, compare_row, &file);
    if (!error && getc(file.stream) != EOF)
        error = error_new(ERR_CONFLICT, "%s has more lines than the database has rows", file.path);
    TRY(close_file(&file, error, false));
    *ret_entry = file.entry;
    return NULL;
}

static struct error *read_all(struct open_file *file)
{
    char piece[PIECE];
    size_t got;
    while ((got = fread(piece, 1, sizeof piece, file->stream))) {
        digest_sm3_add(file->digest, piece, got);
        file->entry.bytes += (int64_t)got;
        for (const char *at = piece; (at = memchr(at, '\n', got - (size_t)(at - piece))); at++)
            file->entry.rows++;
    }
    return ferror(file->stream) ? io_error("read", file->path) : NULL;
}

struct error *archive_file_read(const char *folder, enum archive_file which, struct archive_entry *ret_entry)
{
    struct open_file file;
    TRY(open_file(folder, names[which], "re", &file));
    TRY(close_file(&file, read_all(&file), false));
    *ret_entry = file.entry;
    return NULL;
}

struct error *archive_manifest_write(const char *folder, const char *text)
{
    struct open_file file;
    TRY(open_file(folder, ARCHIVE_MANIFEST, "wxe", &file));
    return close_file(&file, write_row(&file, text), true);
}

struct error *archive_manifest_read(struct arena *arena, const char *folder, const char **ret_text,
                                    char ret_sm3[DIGEST_HEX])
{
    struct open_file file;
    char *text = arena_alloc(arena, ARCHIVE_MANIFEST_MAX + 1);
    TRY(open_file(folder, ARCHIVE_MANIFEST, "re", &file));
    size_t length = fread(text, 1, ARCHIVE_MANIFEST_MAX + 1, file.stream);
    struct error *error = NULL;
    if (ferror(file.stream))
        error = io_error("read", file.path);
    else if (length > ARCHIVE_MANIFEST_MAX)
        error = error_new(ERR_TOO_LARGE, "%s is longer than %zu bytes", file.path, ARCHIVE_MANIFEST_MAX);
    else
        digest_sm3_add(file.digest, text, length);
    TRY(close_file(&file, error, false));
    text[length] = '\0';
    memcpy(ret_sm3, file.entry.sm3, DIGEST_HEX);
    *ret_text = text;
    return NULL;
}

struct error *archive_folder_make(const char *path)
{
    return mkdir(path, 0700) && errno != EEXIST ? io_error("make", path) : NULL;
}

struct error *archive_folder_remove(struct arena *arena, const char *path)
{
    for (size_t i = 0; i < ARCHIVE_FILES + 1; i++) {
        const char *name = i < ARCHIVE_FILES ? names[i] : ARCHIVE_MANIFEST;
        const char *file = arena_printf(arena, "%s/%s", path, name);
        if (unlink(file) && errno != ENOENT)
            return io_error("remove", file);
    }
    return rmdir(path) && errno != ENOENT ? io_error("remove", path) : NULL;
}

struct error *archive_folder_sync(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = folder >= 0 && fsync(folder) == 0;
    int why = errno;
    if (folder >= 0)
        (void)close(folder); /* it was only read */
    errno = why;
    return good ? NULL : io_error("write", path);
}
