/* See copy_journal.h. Header: magic "YQCOPYP1", then the attempt, then a SHA-256 over it. Records: kind (0
 * zeros, 1 digests), first block, count, the digests of kind 1, and a SHA-256 over the record. Numbers are
 * big-endian. */
#include "federation/copy_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/buf.h"
#include "federation/copy_bytes.h"
#include "federation/copy_file.h"

#define MAGIC "YQCOPYP1"
#define HEADER 256
#define HEAD 13 /* of a record: kind, first, count */
#define RECORD_BLOCKS 1024
#define RECORD_MAX (HEAD + RECORD_BLOCKS * COPY_DIGEST_SIZE + COPY_DIGEST_SIZE)

struct copy_journal {
    int file;
    char *path;
    struct copy_digest *digest;
    struct buf noted;
};

static void make_header(const struct copy_attempt *attempt, struct copy_digest *digest,
                        uint8_t header[HEADER])
{
    const struct copy_shape *shape = &attempt->shape;
    memset(header, 0, HEADER);
    memcpy(header, MAGIC, 8);
    bytes_put64(header + 8, shape->size);
    bytes_put32(header + 16, shape->block_size);
    bytes_put32(header + 20, (uint32_t)shape->algorithm);
    bytes_put32(header + 24, attempt->pass);
    bytes_put32(header + 28, attempt->changes);
    memcpy(header + 32, shape->label, sizeof shape->label);
    memcpy(header + 96, attempt->snapshot, sizeof attempt->snapshot);
    memcpy(header + 160, attempt->last, sizeof attempt->last);
    copy_digest_of(digest, header, HEADER - COPY_DIGEST_SIZE, header + HEADER - COPY_DIGEST_SIZE);
}

/* The next record; its length, or 0 where the good part of the file ends. */
static size_t read_record(struct copy_journal *journal, FILE *stream, uint64_t blocks,
                          uint8_t record[RECORD_MAX])
{
    uint8_t expected[COPY_DIGEST_SIZE];
    if (fread(record, HEAD, 1, stream) != 1 || record[0] > 1)
        return 0;
    uint64_t first = bytes_get64(record + 1), count = bytes_get32(record + 9);
    if (!count || first >= blocks || count > blocks - first || count > RECORD_BLOCKS)
        return 0;
    size_t length = HEAD + (record[0] ? count * COPY_DIGEST_SIZE : 0);
    if (fread(record + HEAD, length - HEAD + COPY_DIGEST_SIZE, 1, stream) != 1)
        return 0;
    copy_digest_of(journal->digest, record, length, expected);
    return memcmp(expected, record + length, sizeof expected) == 0 ? length + COPY_DIGEST_SIZE : 0;
}

/* Takes over what is good and leaves the length of that. */
static off_t take_over(struct copy_journal *journal, FILE *stream, const uint8_t header[HEADER],
                       struct copy_manifest *manifest, void (*each)(void *data, uint64_t block), void *data)
{
    uint8_t found[HEADER], *record;
    uint64_t blocks = copy_shape_blocks(copy_manifest_shape(manifest));
    off_t good = HEADER;
    if (fread(found, sizeof found, 1, stream) != 1 || memcmp(found, header, sizeof found) != 0)
        return 0;
    record = xmalloc(RECORD_MAX);
    for (size_t length; (length = read_record(journal, stream, blocks, record)); good += (off_t)length) {
        uint64_t first = bytes_get64(record + 1), count = bytes_get32(record + 9);
        for (uint64_t i = 0; i < count; i++) {
            copy_manifest_set(manifest, first + i, record[0] ? record + HEAD + i * COPY_DIGEST_SIZE : NULL);
            each(data, first + i);
        }
    }
    free(record);
    return good;
}

static struct error *start(struct copy_journal *journal, const struct copy_attempt *attempt,
                           struct copy_manifest *manifest, void (*each)(void *data, uint64_t block),
                           void *data, bool *ret_found)
{
    uint8_t header[HEADER];
    make_header(attempt, journal->digest, header);
    journal->file = open(journal->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int again = journal->file < 0 ? -1 : dup(journal->file);
    FILE *stream = again < 0 ? NULL : fdopen(again, "re");
    if (!stream) {
        if (again >= 0)
            (void)close(again); /* nothing was done with it */
        return copy_file_error("open", journal->path);
    }
    off_t there = lseek(journal->file, 0, SEEK_END), good = -1;
    if (there >= 0 && lseek(journal->file, 0, SEEK_SET) == 0)
        good = take_over(journal, stream, header, manifest, each, data);
    bool failed = good < 0 || ferror(stream);
    (void)fclose(stream); /* was only read */
    if (failed || ftruncate(journal->file, good) || lseek(journal->file, 0, SEEK_END) < 0)
        return copy_file_error("read", journal->path);
    if (!good)
        TRY(copy_file_write(journal->file, journal->path, header, sizeof header));
    if (fsync(journal->file))
        return copy_file_error("write", journal->path);
    *ret_found = there > 0;
    return copy_file_sync_folder(journal->path);
}

struct error *copy_journal_open(const char *path, const struct copy_attempt *attempt,
                                struct copy_manifest *manifest, void (*each)(void *data, uint64_t block),
                                void *data, bool *ret_found, struct copy_journal **ret_journal)
{
    struct copy_journal *journal = xcalloc(1, sizeof *journal);
    journal->path = xstrdup(path);
    journal->digest = copy_digest_new(COPY_SHA256);
    journal->noted = BUF_INIT(SIZE_MAX / 2); /* by a checkpoint's length */
    journal->file = -1;
    struct error *error = start(journal, attempt, manifest, each, data, ret_found);
    if (error) {
        copy_journal_close(journal);
        return error;
    }
    *ret_journal = journal;
    return NULL;
}

static void put_record(struct copy_journal *journal, const struct copy_manifest *manifest, uint64_t first,
                       uint64_t count, bool zero)
{
    uint8_t head[HEAD] = {!zero}, digest[COPY_DIGEST_SIZE];
    bytes_put64(head + 1, first);
    bytes_put32(head + 9, (uint32_t)count);
    copy_digest_begin(journal->digest);
    copy_digest_add(journal->digest, head, sizeof head);
    buf_append(&journal->noted, head, sizeof head);
    for (uint64_t i = 0; i < count && !zero; i++) {
        copy_digest_add(journal->digest, copy_manifest_get(manifest, first + i), COPY_DIGEST_SIZE);
        buf_append(&journal->noted, copy_manifest_get(manifest, first + i), COPY_DIGEST_SIZE);
    }
    copy_digest_end(journal->digest, digest);
    buf_append(&journal->noted, digest, sizeof digest);
}

void copy_journal_note(struct copy_journal *journal, const struct copy_manifest *manifest,
                       const struct copy_span *spans, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (uint64_t at = spans[i].first, end = at + spans[i].count, next; at < end; at = next) {
            bool zero = copy_manifest_is_zero(manifest, at);
            for (next = at + 1; next < end && next - at < RECORD_BLOCKS;)
                if (copy_manifest_is_zero(manifest, next) == zero)
                    next++;
                else
                    break;
            put_record(journal, manifest, at, next - at, zero);
        }
}

struct error *copy_journal_sync(struct copy_journal *journal)
{
    TRY(copy_file_write(journal->file, journal->path, journal->noted.data, journal->noted.length));
    buf_clear(&journal->noted);
    return fdatasync(journal->file) ? copy_file_error("write", journal->path) : NULL;
}

void copy_journal_close(struct copy_journal *journal)
{
    if (!journal)
        return;
    if (journal->file >= 0)
        (void)close(journal->file); /* what counts was synced */
    copy_digest_free(journal->digest);
    buf_done(&journal->noted);
    free(journal->path);
    free(journal);
}
