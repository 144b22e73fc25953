/* The manifest: what goes in comes out, one content has one file and one root, and whatever was not written
 * so is refused: every truncation, every flipped bit, another version, a tail. */
#include "federation/copy_manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/base/arena.h"
#include "federation/copy_bytes.h"

#define BLOCK 65536
#define BLOCKS 40

static struct copy_shape shape_of(uint64_t size)
{
    return (struct copy_shape){.size = size, .block_size = BLOCK, .algorithm = COPY_SHA256, .label = "vda"};
}

static void digest_for(uint64_t block, uint8_t digest[COPY_DIGEST_SIZE])
{
    memset(digest, 0, COPY_DIGEST_SIZE);
    bytes_put64(digest, block + 1);
}

/* Blocks of which `mask` has the bit (of 8, again and again) are data. */
static struct copy_manifest *make(uint64_t size, unsigned mask, uint32_t pass)
{
    struct copy_shape shape = shape_of(size);
    struct copy_manifest *manifest;
    assert_null(copy_manifest_new(&shape, pass, &manifest));
    for (uint64_t block = 0; block < copy_shape_blocks(&shape); block++) {
        uint8_t digest[COPY_DIGEST_SIZE];
        digest_for(block, digest);
        if (mask >> block % 8 & 1)
            copy_manifest_set(manifest, block, digest);
    }
    return manifest;
}

static char *saved(const struct copy_manifest *manifest, size_t *ret_length)
{
    char *bytes = NULL;
    FILE *stream = open_memstream(&bytes, ret_length);
    assert_null(copy_manifest_save(manifest, stream));
    assert_int_equal(fclose(stream), 0);
    return bytes;
}

static struct error *load(const void *bytes, size_t length, struct copy_manifest **ret_manifest)
{
    char *copy = xmalloc(length ? length : 1);
    memcpy(copy, bytes, length);
    FILE *stream = length ? fmemopen(copy, length, "r") : fopen("/dev/null", "re");
    assert_non_null(stream);
    struct error *error = copy_manifest_load(stream, ret_manifest);
    assert_int_equal(fclose(stream), 0);
    free(copy);
    return error;
}

static void assert_refused(const void *bytes, size_t length, const char *says)
{
    struct copy_manifest *manifest = NULL;
    struct error *error = load(bytes, length, &manifest);
    assert_non_null(error);
    assert_null(manifest);
    assert_int_equal(error_code(error), ERR_INVALID);
    if (says && !strstr(error_message(error), says))
        fail_msg("\"%s\" does not say \"%s\"", error_message(error), says);
    error_free(error);
}

static void round_trip(void **state)
{
    static const unsigned masks[] = {0, 0xff, 0x0f, 0xaa, 0x80, 0x01};
    static const uint64_t sizes[] = {1, BLOCK - 1, BLOCK, BLOCK + 1, BLOCKS * BLOCK, 2500 * BLOCK - 512};
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            struct copy_manifest *one = make(sizes[j], masks[i], 7), *two;
            size_t length, again;
            char *bytes = saved(one, &length);
            assert_null(load(bytes, length, &two));
            char *same = saved(two, &again);
            assert_int_equal(length, again);
            assert_memory_equal(bytes, same, length);
            assert_int_equal(copy_manifest_pass(two), 7);
            assert_string_equal(copy_manifest_shape(two)->label, "vda");
            for (uint64_t block = 0; block < copy_shape_blocks(copy_manifest_shape(one)); block++) {
                assert_memory_equal(copy_manifest_get(one, block), copy_manifest_get(two, block),
                                    COPY_DIGEST_SIZE);
                assert_int_equal(copy_manifest_is_zero(two, block), !(masks[i] >> block % 8 & 1));
            }
            free(bytes);
            free(same);
            copy_manifest_free(one);
            copy_manifest_free(two);
        }
}

static void zeros_cost_nothing(void **state)
{
    struct copy_shape shape = shape_of(UINT64_C(1) << 40);
    struct copy_manifest *manifest;
    size_t length;
    assert_null(copy_manifest_new(&shape, 1, &manifest));
    free(saved(manifest, &length));
    assert_true(length < 256);
    copy_manifest_free(manifest);
}

static void zero_is_zero_however_it_came(void **state)
{
    struct copy_manifest *one = make(BLOCKS * BLOCK - 1, 0, 1), *two = make(BLOCKS * BLOCK - 1, 0xff, 1);
    static uint8_t zeros[BLOCK];
    struct copy_digest *digest = copy_digest_new(COPY_SHA256);
    uint8_t whole[COPY_DIGEST_SIZE], last[COPY_DIGEST_SIZE], root[2][COPY_DIGEST_SIZE];
    copy_digest_of(digest, zeros, BLOCK, whole);
    copy_digest_of(digest, zeros, BLOCK - 1, last);
    for (uint64_t block = 0; block < BLOCKS; block++)
        copy_manifest_set(two, block, block % 2 ? block + 1 < BLOCKS ? whole : last : NULL);
    copy_manifest_root(one, root[0]);
    copy_manifest_root(two, root[1]);
    assert_memory_equal(root[0], root[1], COPY_DIGEST_SIZE);
    size_t lengths[2];
    char *bytes[2] = {saved(one, &lengths[0]), saved(two, &lengths[1])};
    assert_int_equal(lengths[0], lengths[1]);
    assert_memory_equal(bytes[0], bytes[1], lengths[0]);
    free(bytes[0]);
    free(bytes[1]);
    copy_digest_free(digest);
    copy_manifest_free(one);
    copy_manifest_free(two);
}

static void root_follows_content(void **state)
{
    uint8_t root[6][COPY_DIGEST_SIZE];
    struct copy_manifest *manifests[6] = {make(3000 * BLOCK, 0x55, 1),     make(3000 * BLOCK, 0x55, 2),
                                          make(3000 * BLOCK, 0x55, 1),     make(3000 * BLOCK, 0x55, 1),
                                          make(3000 * BLOCK - 1, 0x55, 1), make(3000 * BLOCK, 0, 1)};
    uint8_t digest[COPY_DIGEST_SIZE];
    digest_for(1, digest);
    copy_manifest_set(manifests[2], 2999, digest);
    copy_manifest_set(manifests[3], 0, copy_manifest_get(manifests[0], 2)); /* the same digests, exchanged */
    copy_manifest_set(manifests[3], 2, copy_manifest_get(manifests[0], 0));
    for (int i = 0; i < 6; i++)
        copy_manifest_root(manifests[i], root[i]);
    assert_memory_equal(root[0], root[1], COPY_DIGEST_SIZE); /* another pass of the same content */
    for (int i = 2; i < 6; i++)
        for (int j = 0; j < i; j++)
            if (j != 1)
                assert_memory_not_equal(root[i], root[j], COPY_DIGEST_SIZE);
    for (int i = 0; i < 6; i++)
        copy_manifest_free(manifests[i]);
}

static void sm3_is_another(void **state)
{
    struct copy_shape shape = shape_of(BLOCK);
    struct copy_manifest *manifests[2];
    uint8_t digest[COPY_DIGEST_SIZE], expected[] = {0x66, 0xc7, 0xf0, 0xf4, 0x62, 0xee, 0xed, 0xd9};
    struct copy_digest *sm3 = copy_digest_new(COPY_SM3); /* GB/T 32905-2016, example 1 */
    copy_digest_of(sm3, "abc", 3, digest);
    assert_memory_equal(digest, expected, sizeof expected);
    assert_null(copy_manifest_new(&shape, 1, &manifests[0]));
    shape.algorithm = COPY_SM3;
    assert_null(copy_manifest_new(&shape, 1, &manifests[1]));
    assert_memory_not_equal(copy_manifest_get(manifests[0], 0), copy_manifest_get(manifests[1], 0),
                            COPY_DIGEST_SIZE);
    copy_manifest_free(manifests[0]);
    copy_manifest_free(manifests[1]);
    copy_digest_free(sm3);
}

static void truncated_is_refused(void **state)
{
    struct copy_manifest *manifest = make(BLOCKS * BLOCK, 0x3c, 1);
    size_t length;
    char *bytes = saved(manifest, &length);
    for (size_t cut = 0; cut < length; cut++)
        assert_refused(bytes, cut, "cut short");
    free(bytes);
    copy_manifest_free(manifest);
}

static void flipped_bit_is_refused(void **state)
{
    struct copy_manifest *manifest = make(BLOCKS * BLOCK, 0x3c, 1);
    size_t length;
    char *bytes = saved(manifest, &length);
    for (size_t bit = 0; bit < length * 8; bit++) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        assert_refused(bytes, length, NULL);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    free(bytes);
    copy_manifest_free(manifest);
}

static void other_forms_are_refused(void **state)
{
    struct copy_manifest *manifest = make(BLOCKS * BLOCK, 0x3c, 1);
    size_t length;
    char *bytes = saved(manifest, &length), *longer = xcalloc(1, length + 1);
    memcpy(longer, bytes, length);
    assert_refused(longer, length + 1, "follows");
    bytes_put32((uint8_t *)longer + 8, 2);
    assert_refused(longer, length, "version 2");
    memcpy(longer, bytes, length);
    longer[0] = 'X';
    assert_refused(longer, length, "something else");
    free(longer);
    free(bytes);
    copy_manifest_free(manifest);
}

static void shapes(void **state)
{
    struct copy_shape shape = shape_of(10 * BLOCK), other = shape;
    assert_null(copy_shape_check(&shape));
    assert_null(copy_shape_same(&shape, &other));
    other.size += 512;
    struct error *error = copy_shape_same(&other, &shape);
    assert_int_equal(error_code(error), ERR_CONFLICT);
    assert_non_null(strstr(error_message(error), "resized"));
    error_free(error);
    static const struct copy_shape wrong[] = {
        {.size = 0, .block_size = BLOCK, .algorithm = COPY_SHA256},
        {.size = UINT64_MAX, .block_size = BLOCK, .algorithm = COPY_SHA256},
        {.size = 1, .block_size = BLOCK - 1, .algorithm = COPY_SHA256},
        {.size = 1, .block_size = 3 * BLOCK, .algorithm = COPY_SHA256},
        {.size = 1, .block_size = 64 << 20, .algorithm = COPY_SHA256},
        {.size = 1, .block_size = BLOCK, .algorithm = COPY_NONE},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        error = copy_shape_check(&wrong[i]);
        assert_int_equal(error_code(error), ERR_INVALID);
        error_free(error);
    }
    other = (struct copy_shape){.size = UINT64_C(1) << 50, .block_size = BLOCK, .algorithm = COPY_SM3};
    error = copy_shape_check(&other);
    assert_int_equal(error_code(error), ERR_TOO_LARGE);
    error_free(error);
    assert_int_equal(copy_block_size(UINT64_C(40) << 30), 256 << 10);
    assert_int_equal(copy_block_size(UINT64_C(16) << 40), 4 << 20);
}

static void file_is_whole_or_old(void **state)
{
    char folder[] = "/tmp/copy-manifest-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = xasprintf("%s/m", folder), *beside = xasprintf("%s/m.new", folder);
    struct copy_manifest *manifest = make(BLOCKS * BLOCK, 0x3c, 1), *read = NULL;
    struct error *error = copy_manifest_read(path, &read);
    assert_int_equal(error_code(error), ERR_NOT_FOUND);
    error_free(error);
    assert_null(copy_manifest_write(manifest, path));
    assert_int_equal(access(beside, F_OK), -1);
    assert_int_equal(mkdir(beside, 0700), 0); /* in the way of the next write */
    error = copy_manifest_write(manifest, path);
    assert_int_equal(error_code(error), ERR_IO);
    error_free(error);
    assert_null(copy_manifest_read(path, &read));
    uint8_t roots[2][COPY_DIGEST_SIZE];
    copy_manifest_root(manifest, roots[0]);
    copy_manifest_root(read, roots[1]);
    assert_memory_equal(roots[0], roots[1], COPY_DIGEST_SIZE);
    assert_int_equal(rmdir(beside), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    free(path);
    free(beside);
    copy_manifest_free(manifest);
    copy_manifest_free(read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(zeros_cost_nothing),
        cmocka_unit_test(zero_is_zero_however_it_came),
        cmocka_unit_test(root_follows_content),
        cmocka_unit_test(sm3_is_another),
        cmocka_unit_test(truncated_is_refused),
        cmocka_unit_test(flipped_bit_is_refused),
        cmocka_unit_test(other_forms_are_refused),
        cmocka_unit_test(shapes),
        cmocka_unit_test(file_is_whole_or_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
