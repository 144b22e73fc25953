/* Passes over changes: by a dirty bitmap of qcow2, by areas that the caller names, by comparison of digests.
 * After each the target has the source's bytes, and no more was written than what changed asks for. */
#include "federation/copy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/base/arena.h"
#include "tests/federation/copy/exports.h"

#define SIZE (32 * MIB)

static const char *qcow, *raw, *target_file;

static void io(const char *what)
{
    COMMAND("qemu-io", "-f", "qcow2", "-c", what, qcow);
}

static void convert(void)
{
    COMMAND("qemu-img", "convert", "-f", "qcow2", "-O", "raw", qcow, raw);
}

/* A qcow2 disk with content, and a full pass of it done; then a bitmap on it. */
static struct copy_manifest *first_pass(struct export *target)
{
    disk_make(raw, SIZE, 50, 3);
    COMMAND("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, qcow);
    struct export *source = EXPORT("qemu-nbd", "-f", "qcow2", "-r", qcow);
    struct copy_pass pass = pass_between(source, target);
    pass_run(&pass);
    export_stop(source);
    assert_same(raw, target_file);
    COMMAND("qemu-img", "bitmap", "--add", "-f", "qcow2", qcow, "b0");
    return manifest_of(&pass);
}

static struct copy_pass second(const struct export *source, const struct export *target,
                               const struct copy_manifest *last)
{
    struct copy_pass pass = pass_between(source, target);
    pass.pass = 2;
    pass.last = last;
    pass.snapshot = "s2";
    return pass;
}

static void check(const struct copy_pass *pass, struct export *target)
{
    struct copy_manifest *manifest = manifest_of(pass);
    convert();
    assert_same(raw, target_file);
    assert_describes(manifest, raw);
    assert_int_equal(copy_manifest_pass(manifest), 2);
    verify(target, manifest);
    copy_manifest_free(manifest);
}

static void by_bitmap(void **state)
{
    disk_fill(target_file, SIZE, 0xee);
    struct export *target = EXPORT("nbdkit", "file", target_file);
    struct copy_manifest *last = first_pass(target);
    io("write -P 0x11 1M 64k");
    io("write -P 0x22 9500k 200k");
    io("write -z 20M 2M"); /* becomes a hole of zeros */
    io("discard 25M 1M");
    io("write -P 0x33 32767k 1k");
    struct export *source = EXPORT("qemu-nbd", "-f", "qcow2", "-r", "-B", "b0", qcow);
    struct copy_pass pass = second(source, target, last);
    pass.changes = COPY_BITMAP;
    pass.bitmap = "b0";
    uint64_t blocks, zeros;
    assert_null(copy_pass_measure(&pass, &blocks, &zeros));
    struct copy_result result = pass_run(&pass);
    assert_int_equal(result.progress.total, blocks + zeros);
    assert_true(result.progress.written <= 64 * 1024 + 65536 * 5 + 65536);
    assert_true(blocks <= 4 * MIB && zeros >= 2 * MIB && zeros <= 4 * MIB);
    check(&pass, target);
    export_stop(source);
    export_stop(target);
    copy_manifest_free(last);
}

static void nothing_changed(void **state)
{
    disk_fill(target_file, SIZE, 0xee);
    struct export *target = EXPORT("nbdkit", "file", target_file);
    struct copy_manifest *last = first_pass(target), *now;
    struct export *source = EXPORT("qemu-nbd", "-f", "qcow2", "-r", "-B", "b0", qcow);
    struct copy_pass pass = second(source, target, last);
    pass.changes = COPY_BITMAP;
    pass.bitmap = "b0";
    struct copy_result result = pass_run(&pass);
    assert_int_equal(result.progress.total, 0);
    assert_int_equal(result.progress.read, 0);
    now = manifest_of(&pass);
    uint8_t roots[2][COPY_DIGEST_SIZE];
    copy_manifest_root(last, roots[0]);
    copy_manifest_root(now, roots[1]);
    assert_memory_equal(roots[0], roots[1], COPY_DIGEST_SIZE);
    export_stop(source);
    export_stop(target);
    copy_manifest_free(last);
    copy_manifest_free(now);
}

/* A killed hypervisor loses its bitmaps: that is said, and the comparison does the same without. */
static void bitmap_lost(void **state)
{
    disk_fill(target_file, SIZE, 0xee);
    struct export *target = EXPORT("nbdkit", "file", target_file);
    struct copy_manifest *last = first_pass(target);
    io("write -P 0x11 1M 64k");
    io("write -z 20M 1M");
    struct export *source = EXPORT("qemu-nbd", "-f", "qcow2", "-r", qcow);
    struct copy_pass pass = second(source, target, last);
    pass.changes = COPY_BITMAP;
    pass.bitmap = "b0";
    pass_fails(&pass, ERR_NOT_FOUND, "qemu:dirty-bitmap:b0");
    pass.changes = COPY_COMPARE;
    pass.bitmap = NULL;
    struct copy_result result = pass_run(&pass);
    assert_true(result.progress.written <= MIB && result.progress.zeroed <= 2 * MIB);
    check(&pass, target);
    export_stop(source);
    export_stop(target);
    copy_manifest_free(last);
}

/* Many passes with random changes: every kind after every other. */
static void many_passes(void **state)
{
    const char *source_file = in_folder("live");
    disk_make(source_file, SIZE, 40, 1);
    disk_fill(target_file, SIZE, 0xee);
    struct export *source = EXPORT("nbdkit", "file", source_file),
                  *target = EXPORT("nbdkit", "file", target_file);
    struct copy_pass pass = pass_between(source, target);
    pass_run(&pass);
    struct copy_manifest *last = manifest_of(&pass);
    for (uint64_t round = 0; round < 12; round++) {
        struct copy_extents areas;
        copy_extents_init(&areas, SIZE, 0);
        uint64_t changed = 0;
        for (uint64_t page = 0; page < 4; page++) { /* as an answer in four pages */
            uint64_t start = page * (SIZE / 4), at = start + 512 * ((round * 7919 + page * 104729) % 9000);
            struct copy_area area[] = {{at, 512 * (1 + (round * 31 + page) % 300)},
                                       {start + SIZE / 4 - 4096, 4096}};
            disk_write(source_file, area[0].start, area[0].length, round * 10 + page);
            if ((round + page) % 3)
                disk_write(source_file, area[1].start, area[1].length, round * 10 + page + 5);
            assert_null(copy_extents_page(&areas, start, SIZE / 4, area, 2));
            changed += area[0].length + area[1].length;
        }
        struct copy_pass next = second(source, target, last);
        next.changes = round % 2 ? COPY_AREAS : COPY_COMPARE;
        next.areas = &areas;
        struct copy_result result = pass_run(&next);
        if (next.changes == COPY_AREAS)
            assert_true(result.progress.written <= changed + 8 * 65536);
        else
            assert_true(result.progress.written <= 8 * 2 * MIB);
        assert_same(source_file, target_file);
        copy_manifest_free(last);
        last = manifest_of(&next);
        assert_describes(last, source_file);
        verify(target, last);
        copy_extents_done(&areas);
    }
    copy_manifest_free(last);
    export_stop(source);
    export_stop(target);
}

/* What does not cover the disk, or is of another, is refused before anything is written. */
static void wrong_arguments(void **state)
{
    const char *source_file = in_folder("live"), *before = in_folder("before");
    disk_make(source_file, SIZE, 40, 1);
    disk_fill(target_file, SIZE, 0xee);
    struct export *source = EXPORT("nbdkit", "file", source_file),
                  *target = EXPORT("nbdkit", "file", target_file);
    struct copy_pass pass = pass_between(source, target);
    pass_run(&pass);
    struct copy_manifest *last = manifest_of(&pass);
    COMMAND("cp", target_file, before);
    disk_write(source_file, MIB, 100 * 1024, 99);
    struct copy_pass next = second(source, target, last);
    struct copy_extents areas;
    struct copy_area area = {MIB, 100 * 1024};
    next.changes = COPY_AREAS;
    pass_fails(&next, ERR_INVALID, "needs them");
    copy_extents_init(&areas, SIZE, 0);
    assert_null(copy_extents_page(&areas, 0, SIZE / 2, &area, 1)); /* the answer stopped half way */
    next.areas = &areas;
    pass_fails(&next, ERR_INVALID, "a gap");
    copy_extents_done(&areas);
    copy_extents_init(&areas, SIZE + 512, 0);
    assert_null(copy_extents_page(&areas, 0, SIZE + 512, &area, 1));
    pass_fails(&next, ERR_CONFLICT, "resized");
    next.last = NULL;
    pass_fails(&next, ERR_INVALID, "needs the manifest");
    next.last = last;
    next.label = "vdb";
    pass_fails(&next, ERR_CONFLICT, "vdb");
    next.label = "vda";
    next.algorithm = COPY_SM3;
    pass_fails(&next, ERR_CONFLICT, "digest");
    next.algorithm = COPY_SHA256;
    next.changes = COPY_BITMAP;
    pass_fails(&next, ERR_INVALID, "needs its name");
    copy_extents_done(&areas);
    export_stop(source);
    assert_int_equal(truncate(source_file, SIZE + MIB), 0);
    source = EXPORT("nbdkit", "file", source_file);
    next = second(source, target, last);
    next.changes = COPY_COMPARE;
    pass_fails(&next, ERR_CONFLICT, "resized");
    export_stop(source);
    export_stop(target);
    assert_true(file_same(before, target_file));
    copy_manifest_free(last);
}

static int begin(void **state)
{
    if (exports_begin(state))
        return -1;
    qcow = in_folder("disk.qcow2");
    raw = in_folder("disk.raw");
    target_file = in_folder("target");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_bitmap),   cmocka_unit_test(nothing_changed), cmocka_unit_test(bitmap_lost),
        cmocka_unit_test(many_passes), cmocka_unit_test(wrong_arguments),
    };
    return cmocka_run_group_tests(tests, begin, exports_end);
}
