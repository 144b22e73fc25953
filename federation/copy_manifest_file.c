/* The file form of copy_manifest.h: writing what the manifest holds, and refusing everything else. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "federation/copy_bytes.h"
#include "federation/copy_file.h"
#include "federation/copy_manifest.h"

#define MAGIC "YQCOPYM1"
#define VERSION 1
#define HEADER 192
#define RUN 9 /* kind and count */

/* Where the members of the header are. */
enum {
    AT_VERSION = 8,
    AT_ALGORITHM = 12,
    AT_SIZE = 16,
    AT_BLOCK_SIZE = 24,
    AT_PASS = 28,
    AT_LABEL = 32,
    AT_ROOT = AT_LABEL + COPY_LABEL_MAX + 1,
    AT_SPARE = AT_ROOT + COPY_DIGEST_SIZE,
    AT_DIGEST = HEADER - COPY_DIGEST_SIZE,
};

static void header_digest(const uint8_t header[HEADER], enum copy_algorithm algorithm,
                          uint8_t ret[COPY_DIGEST_SIZE])
{
    struct copy_digest *digest = copy_digest_new(algorithm);
    copy_digest_of(digest, header, AT_DIGEST, ret);
    copy_digest_free(digest);
}

static void make_header(const struct copy_manifest *manifest, uint8_t header[HEADER])
{
    const struct copy_shape *shape = copy_manifest_shape(manifest);
    memset(header, 0, HEADER);
    memcpy(header, MAGIC, 8);
    bytes_put32(header + AT_VERSION, VERSION);
    bytes_put32(header + AT_ALGORITHM, (uint32_t)shape->algorithm);
    bytes_put64(header + AT_SIZE, shape->size);
    bytes_put32(header + AT_BLOCK_SIZE, shape->block_size);
    bytes_put32(header + AT_PASS, copy_manifest_pass(manifest));
    memcpy(header + AT_LABEL, shape->label, strlen(shape->label));
    copy_manifest_root(manifest, header + AT_ROOT);
    header_digest(header, shape->algorithm, header + AT_DIGEST);
}

struct error *copy_manifest_save(const struct copy_manifest *manifest, FILE *stream)
{
    uint8_t header[HEADER], run[RUN];
    uint64_t blocks = copy_shape_blocks(copy_manifest_shape(manifest));
    make_header(manifest, header);
    bool good = fwrite(header, sizeof header, 1, stream) == 1;
    for (uint64_t block = 0, next; block < blocks && good; block = next) {
        bool zero = copy_manifest_is_zero(manifest, block);
        for (next = block + 1; next < blocks && copy_manifest_is_zero(manifest, next) == zero;)
            next++;
        run[0] = !zero;
        bytes_put64(run + 1, next - block);
        good = fwrite(run, sizeof run, 1, stream) == 1;
        for (uint64_t i = block; !zero && i < next && good; i++)
            good = fwrite(copy_manifest_get(manifest, i), COPY_DIGEST_SIZE, 1, stream) == 1;
    }
    return good ? NULL : copy_file_error("write", "a manifest");
}

static struct error *bad(const char *what)
{
    return error_new(ERR_INVALID, "no manifest: %s", what);
}

static struct error *read_exactly(FILE *stream, void *bytes, size_t length)
{
    if (fread(bytes, length, 1, stream) == 1)
        return NULL;
    return ferror(stream) ? error_new(ERR_IO, "could not read a manifest: %s", strerror(errno))
                          : bad("it is cut short");
}

static struct error *read_header(FILE *stream, uint8_t header[HEADER], struct copy_shape *shape)
{
    uint8_t expected[COPY_DIGEST_SIZE];
    TRY(read_exactly(stream, header, HEADER));
    if (memcmp(header, MAGIC, 8) != 0)
        return bad("it begins with something else");
    if (bytes_get32(header + AT_VERSION) != VERSION)
        return error_new(ERR_INVALID, "a manifest of version %" PRIu32 " is not known here",
                         bytes_get32(header + AT_VERSION));
    memset(shape, 0, sizeof *shape);
    shape->size = bytes_get64(header + AT_SIZE);
    shape->block_size = bytes_get32(header + AT_BLOCK_SIZE);
    uint32_t algorithm = bytes_get32(header + AT_ALGORITHM);
    shape->algorithm = algorithm == COPY_SM3 ? COPY_SM3 : algorithm == COPY_SHA256 ? COPY_SHA256 : COPY_NONE;
    memcpy(shape->label, header + AT_LABEL, sizeof shape->label);
    TRY(error_recode(copy_shape_check(shape), ERR_INVALID, "no manifest"));
    header_digest(header, shape->algorithm, expected);
    if (memcmp(expected, header + AT_DIGEST, sizeof expected) != 0)
        return bad("its header was changed");
    size_t label = strlen(shape->label);
    for (size_t i = AT_LABEL + label; i < AT_DIGEST; i++)
        if ((i < AT_ROOT || i >= AT_SPARE) && header[i])
            return bad("its header holds what has no meaning");
    return NULL;
}

static struct error *read_digests(FILE *stream, struct copy_manifest *manifest, uint64_t block,
                                  uint64_t count)
{
    uint8_t digest[COPY_DIGEST_SIZE];
    for (uint64_t end = block + count; block < end; block++) {
        TRY(read_exactly(stream, digest, sizeof digest));
        copy_manifest_set(manifest, block, digest);
        if (copy_manifest_is_zero(manifest, block))
            return bad("a block of zeros is in a run of others");
    }
    return NULL;
}

static struct error *read_runs(FILE *stream, struct copy_manifest *manifest)
{
    uint64_t blocks = copy_shape_blocks(copy_manifest_shape(manifest));
    int last = -1;
    for (uint64_t block = 0; block < blocks;) {
        uint8_t run[RUN];
        TRY(read_exactly(stream, run, sizeof run));
        uint64_t count = bytes_get64(run + 1);
        if (run[0] > 1 || run[0] == last || !count || count > blocks - block)
            return bad("a run of blocks is wrong");
        last = run[0];
        if (last)
            TRY(read_digests(stream, manifest, block, count));
        block += count;
    }
    return getc(stream) == EOF ? NULL : bad("something follows its end");
}

struct error *copy_manifest_load(FILE *stream, struct copy_manifest **ret_manifest)
{
    uint8_t header[HEADER], root[COPY_DIGEST_SIZE];
    struct copy_shape shape;
    COPY_MANIFEST_AUTO struct copy_manifest *manifest = NULL;
    TRY(read_header(stream, header, &shape));
    TRY(copy_manifest_new(&shape, bytes_get32(header + AT_PASS), &manifest));
    TRY(read_runs(stream, manifest));
    copy_manifest_root(manifest, root);
    if (memcmp(root, header + AT_ROOT, sizeof root) != 0)
        return bad("its digests are not those that its root was made of");
    *ret_manifest = manifest;
    manifest = NULL;
    return NULL;
}

struct error *copy_manifest_write(const struct copy_manifest *manifest, const char *path)
{
    char *beside = xasprintf("%s.new", path);
    FILE *stream = fopen(beside, "we");
    struct error *error = NULL;
    if (!stream)
        error = copy_file_error("make", beside);
    else
        error = error_wrap(copy_manifest_save(manifest, stream), "%s", beside);
    if (!error && (fflush(stream) || fsync(fileno(stream))))
        error = copy_file_error("write", beside);
    if (stream && fclose(stream) && !error)
        error = copy_file_error("write", beside);
    if (!error && rename(beside, path))
        error = copy_file_error("write", path);
    if (!error)
        error = copy_file_sync_folder(path);
    else if (stream)
        (void)remove(beside); /* it may be gone already */
    free(beside);
    return error;
}

struct error *copy_manifest_read(const char *path, struct copy_manifest **ret_manifest)
{
    FILE *stream = fopen(path, "re");
    if (!stream)
        return errno == ENOENT ? error_new(ERR_NOT_FOUND, "there is no manifest %s", path)
                               : copy_file_error("open", path);
    struct error *error = copy_manifest_load(stream, ret_manifest);
    (void)fclose(stream); /* was only read */
    return error_wrap(error, "%s", path);
}
