/* See disk.h. */
#include "tests/conformance/disk.h"

#include <libnbd.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/conformance/bench.h"

#define ASK_BYTES (UINT64_C(1) << 30) /* of one question about extents */
#define READ_BYTES (UINT64_C(8) << 20)

static struct nbd_handle *connect_to(const struct driver_exported_disk *disk, const char *context)
{
    struct nbd_handle *nbd = nbd_create();
    assert_non_null(nbd);
    bool good = nbd_set_export_name(nbd, disk->export_name) == 0 &&
                (!context || nbd_add_meta_context(nbd, context) == 0);
    if (good && disk->socket)
        good = nbd_connect_unix(nbd, disk->socket) == 0;
    else if (good)
        good = nbd_set_tls(nbd, LIBNBD_TLS_REQUIRE) == 0 &&
               nbd_set_tls_certificates(nbd, disk->tls_dir) == 0 &&
               nbd_connect_tcp(nbd, disk->host, arena_printf(arena, "%u", disk->port)) == 0;
    if (!good)
        fail_msg("no connection to disk \"%s\": %s", disk->disk, nbd_get_error());
    assert_int_equal(nbd_get_size(nbd), disk->size_bytes);
    return nbd;
}

bool disk_admits(const struct driver_exported_disk *disk, const char *tls_dir)
{
    struct nbd_handle *nbd = nbd_create();
    char byte;
    assert_non_null(nbd);
    assert_int_equal(nbd_set_export_name(nbd, disk->export_name), 0);
    assert_int_equal(nbd_set_tls(nbd, tls_dir ? LIBNBD_TLS_REQUIRE : LIBNBD_TLS_DISABLE), 0);
    if (tls_dir)
        assert_int_equal(nbd_set_tls_certificates(nbd, tls_dir), 0);
    bool good = nbd_connect_tcp(nbd, disk->host, arena_printf(arena, "%u", disk->port)) == 0 &&
                nbd_pread(nbd, &byte, 1, 0, 0) == 0;
    nbd_close(nbd);
    return good;
}

static void done(struct nbd_handle *nbd)
{
    (void)nbd_shutdown(nbd, 0); /* the server may close first */
    nbd_close(nbd);
}

void disk_fill(const struct driver_exported_disk *disk, uint64_t offset, size_t length, unsigned char byte)
{
    struct nbd_handle *nbd = connect_to(disk, NULL);
    unsigned char *bytes = arena_alloc(arena, length);
    memset(bytes, byte, length);
    if (nbd_pwrite(nbd, bytes, length, offset, 0) < 0 || nbd_flush(nbd, 0) < 0)
        fail_msg("disk \"%s\" cannot be written: %s", disk->disk, nbd_get_error());
    done(nbd);
}

void disk_expect(const struct driver_exported_disk *disk, uint64_t offset, size_t length, unsigned char byte)
{
    struct nbd_handle *nbd = connect_to(disk, NULL);
    unsigned char *bytes = arena_alloc(arena, length);
    if (nbd_pread(nbd, bytes, length, offset, 0) < 0)
        fail_msg("disk \"%s\" cannot be read: %s", disk->disk, nbd_get_error());
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != byte)
            fail_msg("byte %zu of disk \"%s\" is %02x, not %02x", (size_t)offset + i, disk->disk, bytes[i],
                     byte);
    done(nbd);
}

const char *disk_digest(const struct driver_exported_disk *disk)
{
    struct nbd_handle *nbd = connect_to(disk, NULL);
    unsigned char *bytes = arena_alloc(arena, READ_BYTES), digest[EVP_MAX_MD_SIZE];
    char *text = arena_alloc(arena, 2 * EVP_MAX_MD_SIZE + 1);
    unsigned length;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_true(context && EVP_DigestInit_ex(context, EVP_sha256(), NULL));
    for (uint64_t at = 0; at < disk->size_bytes; at += READ_BYTES) {
        size_t piece = disk->size_bytes - at < READ_BYTES ? (size_t)(disk->size_bytes - at) : READ_BYTES;
        if (nbd_pread(nbd, bytes, piece, at, 0) < 0)
            fail_msg("disk \"%s\" cannot be read: %s", disk->disk, nbd_get_error());
        assert_true(EVP_DigestUpdate(context, bytes, piece));
    }
    assert_true(EVP_DigestFinal_ex(context, digest, &length));
    EVP_MD_CTX_free(context);
    done(nbd);
    for (unsigned i = 0; i < length; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return text;
}

struct question {
    const char *context;
    uint64_t end;   /* of the range that is asked about */
    uint64_t at;    /* how far the answers go */
    uint64_t dirty; /* bytes of it that have changed */
};

static int note(void *user_data, const char *metacontext, uint64_t offset, uint32_t *entries,
                size_t nr_entries, int *error)
{
    struct question *question = user_data;
    if (strcmp(metacontext, question->context) != 0)
        return 0;
    uint64_t at = offset;
    for (size_t i = 0; i + 1 < nr_entries && at < question->end; i += 2) {
        uint64_t length = entries[i] < question->end - at ? entries[i] : question->end - at;
        question->dirty += entries[i + 1] & 1 ? length : 0;
        at += length;
    }
    question->at = at;
    return 0;
}

static uint64_t ask(const struct driver_exported_disk *disk, uint64_t offset, uint64_t length)
{
    struct nbd_handle *nbd = connect_to(disk, disk->dirty_context);
    assert_int_equal(nbd_can_meta_context(nbd, disk->dirty_context), 1);
    struct question question = {.context = disk->dirty_context, .end = offset + length, .at = offset};
    while (question.at < question.end) {
        uint64_t from = question.at, left = question.end - from;
        nbd_extent_callback callback = {.callback = note, .user_data = &question};
        if (nbd_block_status(nbd, left < ASK_BYTES ? left : ASK_BYTES, from, callback, 0) < 0)
            fail_msg("disk \"%s\" tells no extents: %s", disk->disk, nbd_get_error());
        assert_true(question.at > from);
    }
    done(nbd);
    return question.dirty;
}

uint64_t disk_changed(const struct driver_exported_disk *disk, uint64_t offset, uint64_t length)
{
    uint64_t sum = 0;
    if (disk->dirty_context)
        return ask(disk, offset, length);
    if (!disk->changed_known)
        return length;
    for (size_t i = 0; i < disk->changed_count; i++) {
        uint64_t from = disk->changed[i].offset, end = from + disk->changed[i].length;
        from = from > offset ? from : offset;
        end = end < offset + length ? end : offset + length;
        sum += end > from ? end - from : 0;
    }
    return sum;
}

const struct driver_exported_disk *disk_named(const struct driver_export *opened, const char *name)
{
    for (size_t i = 0; i < opened->disk_count; i++)
        if (strcmp(opened->disks[i].disk, name) == 0)
            return &opened->disks[i];
    fail_msg("the export has no disk \"%s\"", name);
    return NULL;
}
