/* The progress file: what was made durable is there again, whatever a crash has done to its end; what belongs
 * to another attempt, or was changed, is not taken over. */
#include "federation/copy_journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/base/arena.h"

#define BLOCK 65536
#define BLOCKS 5000

static char folder[] = "/tmp/copy-journal-XXXXXX";
static char *path;

static struct copy_attempt attempt_of(void)
{
    struct copy_attempt attempt = {.shape = {.size = BLOCKS * (uint64_t)BLOCK,
                                             .block_size = BLOCK,
                                             .algorithm = COPY_SHA256,
                                             .label = "vda"},
                                   .pass = 3,
                                   .changes = 1,
                                   .snapshot = "s1"};
    return attempt;
}

static void digest_for(uint64_t block, uint8_t digest[COPY_DIGEST_SIZE])
{
    memset(digest, (int)(1 + block % 250), COPY_DIGEST_SIZE);
}

static void count_block(void *data, uint64_t block)
{
    ((uint8_t *)data)[block]++;
}

/* Opens and tells how many blocks were taken over, each once and with its digest. */
static size_t open_journal(const struct copy_attempt *attempt, bool *ret_found,
                           struct copy_journal **ret_journal)
{
    static uint8_t seen[BLOCKS];
    struct copy_manifest *manifest;
    size_t count = 0;
    memset(seen, 0, sizeof seen);
    assert_null(copy_manifest_new(&attempt->shape, 1, &manifest));
    assert_null(copy_journal_open(path, attempt, manifest, count_block, seen, ret_found, ret_journal));
    for (uint64_t block = 0; block < BLOCKS; block++) {
        uint8_t digest[COPY_DIGEST_SIZE];
        digest_for(block, digest);
        count += seen[block];
        assert_true(seen[block] <= 1);
        if (seen[block] && block % 3)
            assert_memory_equal(copy_manifest_get(manifest, block), digest, COPY_DIGEST_SIZE);
        if (!seen[block] || block % 3 == 0)
            assert_true(copy_manifest_is_zero(manifest, block));
    }
    copy_manifest_free(manifest);
    return count;
}

/* Blocks 0 to 1499 in three checkpoints, every third one zero. */
static void write_three(void)
{
    struct copy_attempt attempt = attempt_of();
    struct copy_manifest *manifest;
    struct copy_journal *journal;
    bool found;
    (void)unlink(path);
    assert_null(copy_manifest_new(&attempt.shape, 1, &manifest));
    for (uint64_t block = 0; block < BLOCKS; block++) {
        uint8_t digest[COPY_DIGEST_SIZE];
        digest_for(block, digest);
        copy_manifest_set(manifest, block, block % 3 ? digest : NULL);
    }
    assert_int_equal(open_journal(&attempt, &found, &journal), 0);
    assert_false(found);
    for (uint64_t i = 0; i < 3; i++) {
        struct copy_span spans[] = {{i * 500 + 100, 400}, {i * 500, 100}};
        copy_journal_note(journal, manifest, spans, 2);
        assert_null(copy_journal_sync(journal));
    }
    struct copy_span never = {4000, 1};
    copy_journal_note(journal, manifest, &never, 1); /* noted, not synced */
    copy_journal_close(journal);
    copy_manifest_free(manifest);
}

static size_t taken_over(const struct copy_attempt *attempt)
{
    struct copy_journal *journal;
    bool found;
    size_t count = open_journal(attempt, &found, &journal);
    assert_true(found);
    copy_journal_close(journal);
    return count;
}

static void goes_on(void **state)
{
    struct copy_attempt attempt = attempt_of();
    write_three();
    assert_int_equal(taken_over(&attempt), 1500);
    assert_int_equal(taken_over(&attempt), 1500); /* opening changes nothing */
}

static void long_runs(void **state)
{
    struct copy_attempt attempt = attempt_of();
    struct copy_manifest *manifest;
    struct copy_journal *journal;
    bool found;
    (void)unlink(path);
    assert_null(copy_manifest_new(&attempt.shape, 1, &manifest));
    assert_int_equal(open_journal(&attempt, &found, &journal), 0);
    for (uint64_t block = 0; block < BLOCKS; block++) {
        uint8_t digest[COPY_DIGEST_SIZE];
        digest_for(block, digest);
        copy_manifest_set(manifest, block, block >= BLOCKS / 2 ? digest : NULL);
    }
    copy_journal_note(journal, manifest, &(struct copy_span){0, BLOCKS}, 1);
    assert_null(copy_journal_sync(journal));
    copy_journal_close(journal);
    static uint8_t seen[BLOCKS];
    memset(seen, 0, sizeof seen);
    struct copy_manifest *again;
    assert_null(copy_manifest_new(&attempt.shape, 1, &again));
    assert_null(copy_journal_open(path, &attempt, again, count_block, seen, &found, &journal));
    uint8_t roots[2][COPY_DIGEST_SIZE];
    copy_manifest_root(manifest, roots[0]);
    copy_manifest_root(again, roots[1]);
    assert_memory_equal(roots[0], roots[1], COPY_DIGEST_SIZE);
    copy_journal_close(journal);
    copy_manifest_free(manifest);
    copy_manifest_free(again);
}

/* Cut anywhere: what is whole before the cut is taken over, and the file can be added to. */
static void cut_anywhere(void **state)
{
    struct copy_attempt attempt = attempt_of();
    write_three();
    FILE *file = fopen(path, "r");
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long length = ftell(file);
    (void)fclose(file);
    size_t last = SIZE_MAX;
    for (long cut = length - 1; cut >= 0; cut -= cut > 1400 ? 997 : cut > 330 ? 37 : cut > 3 ? 3 : 1) {
        write_three();
        assert_int_equal(truncate(path, cut), 0);
        struct copy_journal *journal;
        bool found;
        size_t count = open_journal(&attempt, &found, &journal);
        assert_int_equal(found, cut > 0);
        assert_true(count <= 1500 && count <= last);
        last = count;
        struct copy_manifest *manifest;
        assert_null(copy_manifest_new(&attempt.shape, 1, &manifest));
        uint8_t digest[COPY_DIGEST_SIZE];
        digest_for(4999, digest);
        copy_manifest_set(manifest, 4999, digest);
        copy_journal_note(journal, manifest, &(struct copy_span){4999, 1}, 1);
        assert_null(copy_journal_sync(journal));
        copy_journal_close(journal);
        copy_manifest_free(manifest);
        assert_int_equal(taken_over(&attempt), count + 1);
    }
    assert_int_equal(last, 0);
}

static void flipped_anywhere(void **state)
{
    struct copy_attempt attempt = attempt_of();
    for (long at = 0; at < 40000; at += at < 300 ? 3 : 811) {
        write_three();
        FILE *file = fopen(path, "r+");
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        int byte = getc(file);
        if (byte == EOF) {
            (void)fclose(file);
            break;
        }
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        putc(byte ^ 4, file);
        assert_int_equal(fclose(file), 0);
        size_t count = taken_over(&attempt); /* checks what it takes over */
        assert_true(at < 256 ? count == 0 : count < 1500);
    }
}

static void other_attempts(void **state)
{
    struct copy_attempt others[6];
    for (size_t i = 0; i < 6; i++)
        others[i] = attempt_of();
    others[0].pass = 4;
    others[1].snapshot[0] = 'x';
    others[2].changes = 2;
    others[3].last[31] = 1;
    others[4].shape.algorithm = COPY_SM3;
    others[5].shape.label[0] = 'x';
    for (size_t i = 0; i < 6; i++) {
        write_three();
        assert_int_equal(taken_over(&others[i]), 0);
        assert_int_equal(taken_over(&others[i]), 0); /* it is that attempt's now */
    }
}

static int start(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    path = xasprintf("%s/p", folder);
    return 0;
}

static int stop(void **state)
{
    (void)unlink(path);
    free(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on),          cmocka_unit_test(long_runs),      cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(flipped_anywhere), cmocka_unit_test(other_attempts),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
