/* Reading back: every block that is not as the manifest says is found, in full or by a sample; limits of a
 * link. */
#include "federation/copy_check.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/base/moment.h"
#include "tests/federation/copy/exports.h"

#define SIZE (24 * MIB + 512)
#define BLOCK 65536
#define BLOCKS 385

static const char *source_file, *target_file;
static struct copy_manifest *manifest;

/* A copy that is right. */
static void make_copy(void)
{
    disk_make(source_file, SIZE, 50, 4);
    disk_fill(target_file, SIZE + 4096, 0xee);
    struct export *source = EXPORT("nbdkit", "file", source_file),
                  *target = EXPORT("nbdkit", "file", target_file);
    struct copy_pass pass = pass_between(source, target);
    pass.block_size = BLOCK;
    pass_run(&pass);
    copy_manifest_free(manifest);
    manifest = manifest_of(&pass);
    export_stop(source);
    export_stop(target);
}

static struct copy_check_result check_now(const char *filter, uint64_t sample, uint64_t seed, bool wrong)
{
    struct export *target = filter ? EXPORT("nbdkit", "-r", filter, "file", target_file)
                                   : EXPORT("nbdkit", "-r", "file", target_file);
    struct copy_check check = {
        .target = export_end(target), .manifest = manifest, .sample = sample, .seed = seed};
    struct copy_check_result result = {.mismatches = 0};
    struct error *error = copy_verify(&check, &result);
    if (wrong != (error != NULL) || (error && error_code(error) != ERR_CONFLICT))
        fail_msg("%s", error ? error_message(error) : "nothing was found");
    assert_int_equal(result.mismatches != 0, wrong);
    error_free(error);
    export_stop(target);
    return result;
}

static void right_is_right(void **state)
{
    make_copy();
    assert_int_equal(check_now(NULL, 0, 0, false).progress.done, SIZE);
    assert_int_equal(check_now("--filter=noextents", 0, 0, false).progress.read >= SIZE, 1);
    assert_int_equal(check_now(NULL, 10, 1, false).progress.total, 10 * BLOCK);
}

static void one_bit(void **state)
{
    static const uint64_t places[] = {0, 65535, 65536, 10 * MIB + 77, SIZE - 1, SIZE, SIZE + 4095};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        make_copy();
        disk_write(target_file, places[i], 1, 200 + i); /* never zero, and below not what was there */
        struct copy_check_result result = check_now(NULL, 0, 0, true);
        assert_int_equal(result.mismatches, 1);
        assert_int_equal(result.count, 1);
        if (places[i] < SIZE)
            assert_int_equal(result.offsets[0], places[i] / BLOCK * BLOCK);
        else
            assert_true(result.offsets[0] >= SIZE / BLOCK * BLOCK);
    }
}

static void what_became_a_hole(void **state)
{
    make_copy();
    COMMAND("fallocate", "--punch-hole", "--offset", "0", "--length", "25165824", target_file);
    struct copy_check_result result = check_now(NULL, 0, 0, true);
    assert_true(result.mismatches > BLOCKS / 3 && result.mismatches < BLOCKS);
    assert_int_equal(result.count,
                     result.mismatches < COPY_MISMATCHES_MAX ? result.mismatches : COPY_MISMATCHES_MAX);
    for (size_t i = 1; i < result.count; i++)
        assert_true(result.offsets[i] > result.offsets[i - 1]);
}

static void samples_find_their_part(void **state)
{
    make_copy();
    for (uint64_t block = 0; block < BLOCKS - 1; block += 2)
        disk_write(target_file, block * BLOCK + 5, 1000, block);
    struct copy_check_result one = check_now(NULL, 100, 1, true), again = check_now(NULL, 100, 1, true),
                             other = check_now(NULL, 100, 2, true);
    assert_true(one.mismatches > 25 && one.mismatches < 75); /* half of 100 */
    assert_int_equal(one.mismatches, again.mismatches);
    assert_memory_equal(one.offsets, again.offsets, one.count * sizeof *one.offsets);
    assert_true(one.count != other.count ||
                memcmp(one.offsets, other.offsets, one.count * sizeof *one.offsets) != 0);
}

static void other_sizes(void **state)
{
    make_copy();
    assert_int_equal(truncate(target_file, SIZE - 512), 0);
    struct copy_check_result result = {.mismatches = 0};
    struct export *target = EXPORT("nbdkit", "-r", "file", target_file);
    struct copy_check check = {.target = export_end(target), .manifest = manifest};
    struct error *error = copy_verify(&check, &result);
    assert_int_equal(error_code(error), ERR_CONFLICT);
    assert_non_null(strstr(error_message(error), "resized"));
    error_free(error);
    export_stop(target);
}

static void reading_fails(void **state)
{
    make_copy();
    struct copy_check_result result;
    struct export *target =
        EXPORT("nbdkit", "-r", "--filter=error", "file", target_file, "error-pread-rate=100%");
    struct copy_check check = {.target = export_end(target), .manifest = manifest};
    struct error *error = copy_verify(&check, &result);
    assert_int_equal(error_code(error), ERR_IO);
    assert_non_null(strstr(error_message(error), "target"));
    error_free(error);
    export_stop(target);
}

/* A pass in a thread of its own. */
struct mover {
    struct copy_pass pass;
    pthread_t thread;
    struct copy_result result;
    struct error *error;
};

static void *move(void *data)
{
    struct mover *mover = data;
    mover->error = copy_pass_run(&mover->pass, &mover->result);
    return NULL;
}

static void limit_holds_for_all(void **state)
{
    enum { MOVES = 3, RATE = 16 << 20 };
    struct copy_link *link = copy_link_new(RATE);
    struct mover movers[MOVES] = {0};
    struct export *exports[MOVES][2];
    static const char *const names[] = {"t0", "t1", "t2", "m0", "m1", "m2"};
    disk_make(source_file, 12 * MIB, 100, 8);
    int64_t start = moment_monotonic();
    for (size_t i = 0; i < MOVES; i++) {
        disk_fill(in_folder(names[i]), 12 * MIB, 0xee);
        exports[i][0] = EXPORT("nbdkit", "file", source_file);
        exports[i][1] = EXPORT("nbdkit", "file", in_folder(names[i]));
        movers[i].pass = pass_between(exports[i][0], exports[i][1]);
        movers[i].pass.manifest_path = in_folder(names[3 + i]);
        (i == 1 ? &movers[i].pass.source : &movers[i].pass.target)->link = link;
        assert_int_equal(pthread_create(&movers[i].thread, NULL, move, &movers[i]), 0);
    }
    for (size_t i = 0; i < MOVES; i++) {
        assert_int_equal(pthread_join(movers[i].thread, NULL), 0);
        assert_null(movers[i].error);
        export_stop(exports[i][0]);
        export_stop(exports[i][1]);
        assert_same(source_file, in_folder(names[i]));
    }
    /* 36 MiB at 16 MiB/s; a tenth of a second and the last blocks may be owed */
    assert_true(moment_monotonic() - start > 36 * MOMENT_SECOND / 16 * 8 / 10);
    copy_link_free(link);
}

static bool lift(void *data, const struct copy_progress *progress)
{
    copy_link_set_rate(data, 0, moment_monotonic());
    return true;
}

/* At a byte a second it would take a year. */
static void limit_changes_on_the_way(void **state)
{
    struct copy_link *link = copy_link_new(1);
    disk_make(source_file, SIZE, 80, 9);
    disk_fill(target_file, SIZE, 0xee);
    struct export *source = EXPORT("nbdkit", "file", source_file),
                  *target = EXPORT("nbdkit", "file", target_file);
    struct copy_pass pass = pass_between(source, target);
    pass.source.link = link;
    pass.progress = lift;
    pass.data = link;
    pass_run(&pass);
    export_stop(source);
    export_stop(target);
    assert_same(source_file, target_file);
    copy_link_free(link);
}

static int begin(void **state)
{
    if (exports_begin(state))
        return -1;
    source_file = in_folder("source");
    target_file = in_folder("target");
    return 0;
}

static int end(void **state)
{
    copy_manifest_free(manifest);
    return exports_end(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_is_right),      cmocka_unit_test(one_bit),
        cmocka_unit_test(what_became_a_hole),  cmocka_unit_test(samples_find_their_part),
        cmocka_unit_test(other_sizes),         cmocka_unit_test(reading_fails),
        cmocka_unit_test(limit_holds_for_all), cmocka_unit_test(limit_changes_on_the_way),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
