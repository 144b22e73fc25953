/* The manifest of a copy: what every block of a disk held, as a digest a block, and one root digest over all
 * of them that stands for the disk's content on the audit chain.
 *
 * A pass makes one (copy.h), the next pass begins from it, and the target is read back against it
 * (copy_check.h). The file has one form for one content: two manifests are the same when their bytes are.
 * A block of zeros costs nothing in memory by the page and nothing in the file by the run.
 *
 * File, numbers big-endian: header (HEADER bytes: magic "YQCOPYM1", version, algorithm, size, block size,
 * pass, label, root digest, digest of the header), then runs until all blocks are told: kind (0 zeros, 1
 * digests), count of blocks, and the digests of a run of kind 1. Neighbouring runs differ in kind. Nothing
 * follows. */
#ifndef FEDERATION_COPY_MANIFEST_H
#define FEDERATION_COPY_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "broker/base/error.h"
#include "federation/copy_digest.h"

#define COPY_BLOCK_MIN UINT32_C(65536)
#define COPY_BLOCK_MAX (UINT32_C(32) << 20) /* what one NBD request may carry */
#define COPY_BLOCKS_MAX (UINT64_C(1) << 24) /* 16 TiB in blocks of 1 MiB, 64 TiB in blocks of 4 MiB */
#define COPY_LABEL_MAX 63

/* What must be the same from pass to pass. */
struct copy_shape {
    uint64_t size;       /* bytes, not 0 */
    uint32_t block_size; /* a power of two */
    enum copy_algorithm algorithm;
    char label[COPY_LABEL_MAX + 1]; /* which disk, in the caller's words */
};

/* The block size that a disk of `size` bytes gets when nobody says otherwise: 256 KiB (what a pass over
 * changes reads for a small write), more where that would be more than a quarter of COPY_BLOCKS_MAX blocks
 * (over 1 TiB). */
uint32_t copy_block_size(uint64_t size);
/* ERR_INVALID when a member is out of range, ERR_TOO_LARGE for too many blocks. */
struct error *copy_shape_check(const struct copy_shape *shape) ERROR_MUST_USE;
/* ERR_CONFLICT that says "resized" when the sizes differ, and what else differs when something does. */
struct error *copy_shape_same(const struct copy_shape *now, const struct copy_shape *then) ERROR_MUST_USE;
uint64_t copy_shape_blocks(const struct copy_shape *shape);
/* The length of a block: the last one may be shorter. */
uint32_t copy_shape_length(const struct copy_shape *shape, uint64_t block);

struct copy_manifest;

/* All blocks zero. */
struct error *copy_manifest_new(const struct copy_shape *shape, uint32_t pass,
                                struct copy_manifest **ret_manifest) ERROR_MUST_USE;
/* The same content as `from`, for the pass that follows it. */
struct copy_manifest *copy_manifest_next(const struct copy_manifest *from, uint32_t pass);
void copy_manifest_free(struct copy_manifest *manifest);
const struct copy_shape *copy_manifest_shape(const struct copy_manifest *manifest);
uint32_t copy_manifest_pass(const struct copy_manifest *manifest);
/* NULL stands for a block of zeros. */
void copy_manifest_set(struct copy_manifest *manifest, uint64_t block, const uint8_t *digest);
/* Owned by the manifest, until the next set. */
const uint8_t *copy_manifest_get(const struct copy_manifest *manifest, uint64_t block);
bool copy_manifest_is_zero(const struct copy_manifest *manifest, uint64_t block);
/* Over size, block size, algorithm and every block's digest; not over pass and label: equal content has an
 * equal root. A tree: pages of COPY_PAGE digests, then the pages' digests. */
#define COPY_PAGE 1024
void copy_manifest_root(const struct copy_manifest *manifest, uint8_t ret_root[COPY_DIGEST_SIZE]);

/* ERR_IO when the stream fails, ERR_NO_CAPACITY when there is no room. */
struct error *copy_manifest_save(const struct copy_manifest *manifest, FILE *stream) ERROR_MUST_USE;
/* ERR_INVALID for anything that copy_manifest_save does not write: truncated, changed by one bit, longer,
 * another version. Memory grows with what is really there. */
struct error *copy_manifest_load(FILE *stream, struct copy_manifest **ret_manifest) ERROR_MUST_USE;
/* Beside, synced, renamed, folder synced: afterwards `path` is the old file or the whole new one. */
struct error *copy_manifest_write(const struct copy_manifest *manifest, const char *path) ERROR_MUST_USE;
/* ERR_NOT_FOUND when there is none. */
struct error *copy_manifest_read(const char *path, struct copy_manifest **ret_manifest) ERROR_MUST_USE;

static inline void copy_manifest_cleanup(struct copy_manifest **manifest)
{
    copy_manifest_free(*manifest);
}
#define COPY_MANIFEST_AUTO __attribute__((cleanup(copy_manifest_cleanup)))

#endif
