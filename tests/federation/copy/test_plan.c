/* The plan against a plain rule, block by block, over random disks and every kind of pass; and samples. */
#include "federation/copy_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BLOCK UINT64_C(65536)
#define BLOCKS 3000

static uint64_t seed = 4101842887655102017U;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

struct disk {
    struct copy_shape shape;
    struct copy_extents extents;
    struct copy_manifest *last;
    struct copy_plan plan;
    bool zero[BLOCKS], changed[BLOCKS], was_zero[BLOCKS], skip[BLOCKS];
};

static void make(struct disk *disk, enum copy_changes changes)
{
    memset(disk, 0, sizeof *disk);
    disk->shape = (struct copy_shape){
        .size = BLOCKS * BLOCK - draw(2) * 512, .block_size = BLOCK, .algorithm = COPY_SHA256};
    copy_extents_init(&disk->extents, disk->shape.size, 0);
    memset(disk->zero, 1, sizeof disk->zero);
    while (disk->extents.covered < disk->shape.size) {
        uint64_t start = disk->extents.covered, length = (1 + draw(1 + draw(64 * 128))) * 512;
        if (length > disk->shape.size - start)
            length = disk->shape.size - start;
        unsigned flags = (unsigned)draw(4);
        for (uint64_t block = start / BLOCK; block <= (start + length - 1) / BLOCK; block++) {
            disk->zero[block] &= flags & COPY_EXTENT_ZERO;
            disk->changed[block] |= (flags & COPY_EXTENT_CHANGED) != 0;
        }
        assert_null(copy_extents_add(&disk->extents, start, length, flags));
    }
    assert_null(copy_manifest_new(&disk->shape, 1, &disk->last));
    copy_plan_init(&disk->plan, &disk->extents, &disk->shape);
    disk->plan.changes = changes;
    disk->plan.last = disk->last;
    for (uint64_t block = 0; block < BLOCKS; block++) {
        disk->was_zero[block] = draw(2);
        if (!disk->was_zero[block])
            copy_manifest_set(disk->last, block, (const uint8_t *)"a digest of something or other..");
        disk->skip[block] = draw(4) == 0;
        if (disk->skip[block])
            copy_plan_skip(&disk->plan, block);
    }
}

static void done(struct disk *disk)
{
    copy_plan_done(&disk->plan);
    copy_extents_done(&disk->extents);
    copy_manifest_free(disk->last);
}

static void agrees(void **state)
{
    static struct disk disk;
    for (int round = 0; round < 200; round++) {
        enum copy_changes changes = (enum copy_changes)(round % 4);
        make(&disk, changes);
        bool delta = changes == COPY_BITMAP || changes == COPY_AREAS;
        struct copy_job job;
        uint64_t at = 0, blocks, zeros, seen_blocks = 0, seen_zeros = 0;
        copy_plan_total(&disk.plan, &blocks, &zeros);
        for (bool more = true; more;) {
            more = copy_plan_next(&disk.plan, &job);
            for (; at < (more ? job.first : BLOCKS); at++)
                assert_true(disk.skip[at] || (delta && !disk.changed[at]) ||
                            (changes == COPY_COMPARE && disk.zero[at] && disk.was_zero[at]));
            if (!more)
                break;
            assert_true(job.zero ? job.count * BLOCK <= COPY_ZERO_RUN : job.count == 1);
            *(job.zero ? &seen_zeros : &seen_blocks) += copy_job_length(&disk.plan, &job);
            for (; at < job.first + job.count; at++)
                assert_true(disk.zero[at] == job.zero && !disk.skip[at] && (!delta || disk.changed[at]));
        }
        assert_int_equal(blocks, seen_blocks);
        assert_int_equal(zeros, seen_zeros);
        done(&disk);
    }
}

static void samples(void **state)
{
    static struct disk disk;
    static unsigned often[BLOCKS];
    uint64_t first_sum = 0;
    for (uint64_t round = 0; round < 300; round++) {
        make(&disk, COPY_ALL);
        memset(disk.plan.skip, 0, BLOCKS / 8 + 1);
        copy_plan_sample(&disk.plan, 100, round);
        uint64_t count = 0, sum = 0;
        for (uint64_t block = 0; block < BLOCKS; block++)
            if (!copy_plan_skips(&disk.plan, block)) {
                often[block]++;
                count++;
                sum += block;
            }
        assert_int_equal(count, 100);
        if (round == 0)
            first_sum = sum;
        else
            assert_int_not_equal(sum, first_sum); /* another seed, another sample */
        done(&disk);
    }
    unsigned most = 0, halves[2] = {0};
    for (uint64_t block = 0; block < BLOCKS; block++) {
        most = often[block] > most ? often[block] : most;
        halves[block >= BLOCKS / 2] += often[block];
    }
    assert_true(most < 40 && halves[0] > 14000 && halves[1] > 14000); /* 10 each, 15000 a half */
    make(&disk, COPY_ALL);
    memset(disk.plan.skip, 0, BLOCKS / 8 + 1);
    copy_plan_sample(&disk.plan, BLOCKS + 1, 1);
    for (uint64_t block = 0; block < BLOCKS; block++)
        assert_false(copy_plan_skips(&disk.plan, block));
    done(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees), cmocka_unit_test(samples)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
