/* Full passes between real servers: whatever the content, the servers and their abilities, the target has the
 * source's bytes and the manifest describes them. */
#include "federation/copy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/base/arena.h"
#include "tests/federation/copy/exports.h"

#define SIZE (24 * MIB + 3 * 512)

static const char *source_file, *target_file;

/* One full pass from raw file to raw file with these filters before them, proved three ways. */
static struct copy_result copy_files(struct export *source, struct export *target,
                                     const struct copy_pass *change)
{
    struct copy_pass pass = pass_between(source, target);
    if (change) {
        pass.algorithm = change->algorithm ? change->algorithm : pass.algorithm;
        pass.tuning = change->tuning;
        pass.block_size = change->block_size ? change->block_size : pass.block_size;
        pass.target_zero = change->target_zero;
        pass.allocate = change->allocate;
    }
    struct copy_result result = pass_run(&pass);
    struct copy_manifest *manifest = manifest_of(&pass);
    verify(target, manifest);
    uint8_t root[COPY_DIGEST_SIZE];
    copy_manifest_root(manifest, root);
    assert_memory_equal(root, result.root, sizeof root);
    assert_describes(manifest, source_file);
    copy_manifest_free(manifest);
    export_stop(target);
    export_stop(source);
    assert_same(source_file, target_file);
    assert_int_equal(access(in_folder("manifest.progress"), F_OK), -1);
    return result;
}

static void contents(void **state)
{
    static const unsigned percents[] = {0, 3, 50, 100};
    for (size_t i = 0; i < 4; i++) {
        disk_make(source_file, SIZE, percents[i], i + 1);
        disk_fill(target_file, SIZE, 0xee); /* stale */
        struct copy_result result =
            copy_files(EXPORT("nbdkit", "file", source_file), EXPORT("nbdkit", "file", target_file), NULL);
        assert_true(percents[i] ? result.progress.written : !result.progress.written);
        assert_true(percents[i] == 100 || result.progress.read < SIZE);
        assert_true(percents[i] == 100 || result.progress.zeroed);
        assert_int_equal(result.progress.total, SIZE);
    }
}

static void small_disks(void **state)
{
    static const uint64_t sizes[] = {1, 511, 512, 65536, 65537, MIB - 1, MIB, MIB + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (unsigned percent = 0; percent <= 100; percent += 100) {
            disk_make(source_file, sizes[i], percent, i);
            disk_fill(target_file, sizes[i], 0xee);
            copy_files(EXPORT("nbdkit", "file", source_file), EXPORT("nbdkit", "file", target_file), NULL);
        }
}

static void larger_target(void **state)
{
    disk_make(source_file, SIZE, 50, 9);
    disk_fill(target_file, SIZE + 3 * MIB, 0xee); /* what is beyond the disk is somebody else's */
    copy_files(EXPORT("nbdkit", "file", source_file), EXPORT("nbdkit", "file", target_file), NULL);
    disk_fill(target_file, 24 * MIB + 4096, 0xee); /* of blocks that the disk's end does not fill */
    copy_files(EXPORT("nbdkit", "file", source_file),
               EXPORT("nbdkit", "--filter=blocksize-policy", "file", target_file, "blocksize-minimum=4096",
                      "blocksize-error-policy=error"),
               NULL);
}

static void abilities(void **state)
{
    static const char *const sources[][3] = {{"--filter=noextents", NULL},
                                             {"--filter=multi-conn", "multi-conn-mode=disable"},
                                             {"--no-sr", NULL},
                                             {"--filter=blocksize-policy", "blocksize-maximum=65536"}};
    static const char *const targets[][3] = {{"--filter=nozero", NULL},
                                             {"--filter=multi-conn", "multi-conn-mode=disable"},
                                             {"--filter=nozero", "zeromode=emulate"},
                                             {"--filter=blocksize-policy", "blocksize-maximum=131072"}};
    disk_make(source_file, SIZE, 40, 17);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) {
            disk_fill(target_file, SIZE, 0xee);
            const char *error = "blocksize-error-policy=error";
            struct export *source = sources[i][1] ? EXPORT("nbdkit", sources[i][0], "file", source_file,
                                                           sources[i][1], i == 3 ? error : NULL)
                                                  : EXPORT("nbdkit", sources[i][0], "file", source_file);
            struct export *target = targets[j][1] ? EXPORT("nbdkit", targets[j][0], "file", target_file,
                                                           targets[j][1], j == 3 ? error : NULL)
                                                  : EXPORT("nbdkit", targets[j][0], "file", target_file);
            copy_files(source, target, NULL);
        }
}

static void tunings(void **state)
{
    static const struct copy_pass changes[] = {
        {.tuning = {.connections = 1, .memory_max = 1}},
        {.tuning = {.connections = 16, .memory_max = 256 << 20, .request_size = 2 << 20}},
        {.tuning = {.connections = 3, .request_size = 65536}, .block_size = 65536},
        {.block_size = 32 << 20, .tuning = {.request_size = 32 << 20}},
        {.algorithm = COPY_SM3},
        {.allocate = true},
        {.tuning = {.checkpoint_us = 1}},
        {.tuning = {.checkpoint_bytes = 1}, .block_size = 65536},
    };
    disk_make(source_file, SIZE, 60, 23);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        disk_fill(target_file, SIZE, 0xee);
        copy_files(EXPORT("nbdkit", "file", source_file), EXPORT("nbdkit", "file", target_file), &changes[i]);
    }
    struct stat thick;
    disk_fill(target_file, SIZE, 0xee);
    copy_files(EXPORT("nbdkit", "file", source_file), EXPORT("nbdkit", "file", target_file), &changes[5]);
    assert_int_equal(stat(target_file, &thick), 0);
    assert_true((uint64_t)thick.st_blocks * 512 >= SIZE / 512 * 512);
}

static void known_zero(void **state)
{
    static const struct copy_pass change = {.target_zero = true};
    disk_make(source_file, SIZE, 30, 5);
    disk_make(target_file, SIZE + MIB, 0, 0);
    struct copy_result result =
        copy_files(EXPORT("nbdkit", "file", source_file), EXPORT("nbdkit", "file", target_file), &change);
    assert_int_equal(result.progress.zeroed, 0);
    assert_true(result.progress.written < SIZE / 2);
}

/* Written over the network as zeros, which the source does not say: they are found in what is read. */
static void zeros_that_are_data(void **state)
{
    disk_fill(source_file, SIZE, 0);
    disk_write(source_file, 5 * MIB + 70000, 512, 3);
    disk_fill(target_file, SIZE, 0xee);
    struct copy_result result = copy_files(EXPORT("nbdkit", "--filter=noextents", "file", source_file),
                                           EXPORT("nbdkit", "file", target_file), NULL);
    assert_int_equal(result.progress.read, SIZE);
    assert_int_equal(result.progress.written, 65536);
}

static void between_formats(void **state)
{
    const char *qcow = in_folder("q.qcow2"), *back = in_folder("back");
    disk_make(source_file, 16 * MIB, 50, 77);
    COMMAND("qemu-img", "create", "-q", "-f", "qcow2", qcow, "16M");
    struct export *source = EXPORT("qemu-nbd", "-f", "raw", "-r", source_file),
                  *target = EXPORT("qemu-nbd", "-f", "qcow2", qcow);
    struct copy_pass pass = pass_between(source, target);
    pass.target_zero = true;
    pass_run(&pass);
    struct copy_manifest *manifest = manifest_of(&pass);
    verify(target, manifest);
    export_stop(target);
    export_stop(source);
    COMMAND("qemu-img", "check", "-q", qcow);
    COMMAND("qemu-img", "convert", "-f", "qcow2", "-O", "raw", qcow, back);
    assert_same(source_file, back);
    /* and back, over a stale target */
    disk_fill(target_file, 16 * MIB, 0xee);
    copy_files(EXPORT("qemu-nbd", "-f", "qcow2", "-r", qcow), EXPORT("qemu-nbd", "-f", "raw", target_file),
               NULL);
    copy_manifest_free(manifest);
}

static void named_exports(void **state)
{
    disk_make(source_file, SIZE, 30, 6);
    disk_fill(target_file, SIZE, 0xee);
    struct export *source = EXPORT("qemu-nbd", "-f", "raw", "-x", "disk-1", "-r", source_file),
                  *target = EXPORT("qemu-nbd", "-f", "raw", "-x", "disk-2", target_file);
    struct copy_pass pass = pass_between(source, target);
    pass_fails(&pass, ERR_NOT_FOUND, "source");
    pass.source.export_name = "disk-1";
    pass_fails(&pass, ERR_NOT_FOUND, "target");
    pass.target.export_name = "disk-2";
    pass_run(&pass);
    export_stop(source);
    export_stop(target);
    assert_same(source_file, target_file);
}

static void without_digests(void **state)
{
    disk_make(source_file, SIZE, 60, 29);
    disk_fill(target_file, SIZE, 0xee);
    struct export *source = EXPORT("nbdkit", "file", source_file),
                  *target = EXPORT("nbdkit", "file", target_file);
    struct copy_pass pass = pass_between(source, target);
    pass.algorithm = COPY_NONE;
    pass_fails(&pass, ERR_INVALID, "manifest");
    pass.manifest_path = NULL;
    pass_run(&pass);
    export_stop(source);
    export_stop(target);
    assert_same(source_file, target_file);
}

static void same_content_same_manifest(void **state)
{
    disk_make(source_file, SIZE, 60, 31);
    for (int i = 0; i < 2; i++) {
        disk_fill(target_file, SIZE, 0xee);
        struct export *source = EXPORT("nbdkit", "file", source_file),
                      *target = EXPORT("nbdkit", "file", target_file);
        struct copy_pass pass = pass_between(source, target);
        pass.tuning.connections = i ? 4 : 1;
        pass_run(&pass);
        export_stop(source);
        export_stop(target);
        COMMAND("cp", in_folder("manifest"), in_folder(i ? "m1" : "m0"));
    }
    assert_true(file_same(in_folder("m0"), in_folder("m1")));
}

static int begin(void **state)
{
    if (exports_begin(state))
        return -1;
    source_file = in_folder("source");
    target_file = in_folder("target");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents),
        cmocka_unit_test(small_disks),
        cmocka_unit_test(larger_target),
        cmocka_unit_test(abilities),
        cmocka_unit_test(tunings),
        cmocka_unit_test(known_zero),
        cmocka_unit_test(zeros_that_are_data),
        cmocka_unit_test(between_formats),
        cmocka_unit_test(named_exports),
        cmocka_unit_test(without_digests),
        cmocka_unit_test(same_content_same_manifest),
    };
    return cmocka_run_group_tests(tests, begin, exports_end);
}
