/* See copy_manifest.h. Digests live in pages of COPY_PAGE blocks; a page that is not there is all zeros. The
 * file form is in copy_manifest_file.c. */
#include "federation/copy_manifest.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"
#include "federation/copy_bytes.h"

struct copy_manifest {
    struct copy_shape shape;
    uint32_t pass;
    uint64_t blocks;
    uint8_t (**pages)[COPY_DIGEST_SIZE];
    uint8_t zero[COPY_DIGEST_SIZE], zero_last[COPY_DIGEST_SIZE];
};

uint32_t copy_block_size(uint64_t size)
{
    uint32_t block = UINT32_C(256) << 10;
    while (size / block > COPY_BLOCKS_MAX / 4 && block < COPY_BLOCK_MAX)
        block *= 2;
    return block;
}

struct error *copy_shape_check(const struct copy_shape *shape)
{
    if (!shape->size || shape->size > INT64_MAX)
        return error_new(ERR_INVALID, "a disk of %" PRIu64 " bytes cannot be copied", shape->size);
    if (shape->block_size < COPY_BLOCK_MIN || shape->block_size > COPY_BLOCK_MAX ||
        (shape->block_size & (shape->block_size - 1)))
        return error_new(ERR_INVALID,
                         "the block size %" PRIu32 " is no power of two from %" PRIu32 " to %" PRIu32,
                         shape->block_size, COPY_BLOCK_MIN, COPY_BLOCK_MAX);
    if (shape->algorithm != COPY_SHA256 && shape->algorithm != COPY_SM3)
        return error_new(ERR_INVALID, "there is no digest %d", (int)shape->algorithm);
    if (!memchr(shape->label, '\0', sizeof shape->label))
        return error_new(ERR_INVALID, "the label has no end");
    if (copy_shape_blocks(shape) > COPY_BLOCKS_MAX)
        return error_new(ERR_TOO_LARGE, "%" PRIu64 " blocks are more than %" PRIu64 ": choose a larger block",
                         copy_shape_blocks(shape), COPY_BLOCKS_MAX);
    return NULL;
}

struct error *copy_shape_same(const struct copy_shape *now, const struct copy_shape *then)
{
    if (now->size != then->size)
        return error_new(ERR_CONFLICT,
                         "the disk was resized: %" PRIu64 " bytes now, %" PRIu64 " at the last pass",
                         now->size, then->size);
    if (now->block_size != then->block_size || now->algorithm != then->algorithm)
        return error_new(ERR_CONFLICT, "the last pass had another block size or digest");
    if (strcmp(now->label, then->label) != 0)
        return error_new(ERR_CONFLICT, "the last pass was of disk \"%s\", not of \"%s\"", then->label,
                         now->label);
    return NULL;
}

uint64_t copy_shape_blocks(const struct copy_shape *shape)
{
    return shape->size / shape->block_size + (shape->size % shape->block_size != 0);
}

uint32_t copy_shape_length(const struct copy_shape *shape, uint64_t block)
{
    uint64_t left = shape->size - block * shape->block_size;
    return left < shape->block_size ? (uint32_t)left : shape->block_size;
}

static uint64_t page_count(const struct copy_manifest *manifest)
{
    return (manifest->blocks + COPY_PAGE - 1) / COPY_PAGE;
}

static uint64_t page_length(const struct copy_manifest *manifest, uint64_t page)
{
    uint64_t left = manifest->blocks - page * COPY_PAGE;
    return left < COPY_PAGE ? left : COPY_PAGE;
}

struct error *copy_manifest_new(const struct copy_shape *shape, uint32_t pass,
                                struct copy_manifest **ret_manifest)
{
    TRY(copy_shape_check(shape));
    struct copy_manifest *manifest = xcalloc(1, sizeof *manifest);
    manifest->shape = *shape;
    manifest->pass = pass;
    manifest->blocks = copy_shape_blocks(shape);
    manifest->pages = xcalloc(page_count(manifest), sizeof *manifest->pages);
    struct copy_digest *digest = copy_digest_new(shape->algorithm);
    copy_digest_of_zeros(digest, shape->block_size, manifest->zero);
    copy_digest_of_zeros(digest, copy_shape_length(shape, manifest->blocks - 1), manifest->zero_last);
    copy_digest_free(digest);
    *ret_manifest = manifest;
    return NULL;
}

struct copy_manifest *copy_manifest_next(const struct copy_manifest *from, uint32_t pass)
{
    struct copy_manifest *manifest = xcalloc(1, sizeof *manifest);
    *manifest = *from;
    manifest->pass = pass;
    manifest->pages = xcalloc(page_count(from), sizeof *manifest->pages);
    for (uint64_t page = 0; page < page_count(from); page++) {
        if (!from->pages[page])
            continue;
        manifest->pages[page] = xcalloc(COPY_PAGE, COPY_DIGEST_SIZE);
        memcpy(manifest->pages[page], from->pages[page], (size_t)COPY_PAGE * COPY_DIGEST_SIZE);
    }
    return manifest;
}

void copy_manifest_free(struct copy_manifest *manifest)
{
    if (!manifest)
        return;
    for (uint64_t page = 0; page < page_count(manifest); page++)
        free(manifest->pages[page]);
    free(manifest->pages);
    free(manifest);
}

const struct copy_shape *copy_manifest_shape(const struct copy_manifest *manifest)
{
    return &manifest->shape;
}

uint32_t copy_manifest_pass(const struct copy_manifest *manifest)
{
    return manifest->pass;
}

static const uint8_t *zero_of(const struct copy_manifest *manifest, uint64_t block)
{
    return block + 1 == manifest->blocks ? manifest->zero_last : manifest->zero;
}

static void make_page(struct copy_manifest *manifest, uint64_t page)
{
    manifest->pages[page] = xcalloc(COPY_PAGE, COPY_DIGEST_SIZE);
    for (uint64_t i = 0; i < page_length(manifest, page); i++)
        memcpy(manifest->pages[page][i], zero_of(manifest, page * COPY_PAGE + i), COPY_DIGEST_SIZE);
}

void copy_manifest_set(struct copy_manifest *manifest, uint64_t block, const uint8_t *digest)
{
    uint64_t page = block / COPY_PAGE;
    const uint8_t *zero = zero_of(manifest, block);
    if (!digest)
        digest = zero;
    if (!manifest->pages[page]) {
        if (memcmp(digest, zero, COPY_DIGEST_SIZE) == 0)
            return;
        make_page(manifest, page);
    }
    memcpy(manifest->pages[page][block % COPY_PAGE], digest, COPY_DIGEST_SIZE);
}

const uint8_t *copy_manifest_get(const struct copy_manifest *manifest, uint64_t block)
{
    uint64_t page = block / COPY_PAGE;
    return manifest->pages[page] ? manifest->pages[page][block % COPY_PAGE] : zero_of(manifest, block);
}

bool copy_manifest_is_zero(const struct copy_manifest *manifest, uint64_t block)
{
    return !manifest->pages[block / COPY_PAGE] ||
           memcmp(copy_manifest_get(manifest, block), zero_of(manifest, block), COPY_DIGEST_SIZE) == 0;
}

/* The first byte keeps a page's digest and the root from standing for each other. */
static void page_root(const struct copy_manifest *manifest, struct copy_digest *digest, uint64_t page,
                      uint8_t ret[COPY_DIGEST_SIZE])
{
    copy_digest_begin(digest);
    copy_digest_add(digest, "\x01", 1);
    for (uint64_t i = 0; i < page_length(manifest, page); i++)
        copy_digest_add(digest, copy_manifest_get(manifest, page * COPY_PAGE + i), COPY_DIGEST_SIZE);
    copy_digest_end(digest, ret);
}

void copy_manifest_root(const struct copy_manifest *manifest, uint8_t ret_root[COPY_DIGEST_SIZE])
{
    struct copy_digest *digest = copy_digest_new(manifest->shape.algorithm);
    uint64_t pages = page_count(manifest);
    uint8_t(*roots)[COPY_DIGEST_SIZE] = xcalloc(pages, COPY_DIGEST_SIZE);
    uint64_t zeros = UINT64_MAX; /* a whole page of zeros, once it was met */
    for (uint64_t page = 0; page < pages; page++) {
        bool plain = !manifest->pages[page] && page + 1 < pages;
        if (plain && zeros != UINT64_MAX)
            memcpy(roots[page], roots[zeros], COPY_DIGEST_SIZE);
        else
            page_root(manifest, digest, page, roots[page]);
        if (plain)
            zeros = page;
    }
    uint8_t head[17] = {2};
    bytes_put64(head + 1, manifest->shape.size);
    bytes_put32(head + 9, manifest->shape.block_size);
    bytes_put32(head + 13, (uint32_t)manifest->shape.algorithm);
    copy_digest_begin(digest);
    copy_digest_add(digest, head, sizeof head);
    copy_digest_add(digest, roots, pages * COPY_DIGEST_SIZE);
    copy_digest_end(digest, ret_root);
    free(roots);
    copy_digest_free(digest);
}
