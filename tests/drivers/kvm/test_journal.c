/* What the reader of a guest's journal makes of one whose clocks are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"
#include "broker/base/digest.h"
#include "broker/base/moment.h"
#include "tests/support/child.h"
#include "tests/support/journal.h"

#define NAME "known"
#define MS 1000
#define BEGAN (1800000000 * INT64_C(1000000) + 370 * MS) /* the hardware clock at uptime 0 */
#define STEP_US (173 * MS)                               /* from record to record */
#define LOOK_US (14 * MS)                                /* from one look at uptime to the other */

static void make(const char *command, const char *folder)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *line = arena_printf(arena, "cd %s && %s", folder, command);
    assert_int_equal(child_run((const char *const[]){"/bin/sh", "-ec", line, NULL}, MOMENT_MINUTE), 0);
}

/* Records `first`…`last` of a boot, the first at uptime `up`; `ahead` is the hardware clock at uptime 0. */
static void write_records(FILE *log, const char *boot, unsigned first, unsigned last, int64_t up,
                          int64_t ahead)
{
    ARENA_AUTO struct arena *arena = arena_new();
    for (unsigned number = first; number <= last; number++, up += STEP_US) {
        char sum[DIGEST_HEX];
        int64_t before = up / (10 * MS), after = (up + LOOK_US) / (10 * MS);
        const char *text =
            arena_printf(arena, "%u %s %lld.%02lld %lld %lld.%02lld", number, boot, (long long)before / 100,
                         (long long)before % 100, (long long)((ahead + up + LOOK_US / 2) / MOMENT_SECOND),
                         (long long)after / 100, (long long)after % 100);
        const char *sealed = arena_printf(arena, "%s " NAME "\n", text);
        digest_sha256(sealed, strlen(sealed), sum);
        (void)fprintf(log, "%s %s\n", text, sum);
    }
}

struct scene {
    char folder[64];
    FILE *log;
};

static struct scene begin(void)
{
    struct scene scene = {.folder = "/tmp/yunqiao-journal-XXXXXX"};
    assert_non_null(mkdtemp(scene.folder));
    make("mkdir tree", scene.folder);
    ARENA_AUTO struct arena *arena = arena_new();
    scene.log = fopen(arena_printf(arena, "%s/tree/log", scene.folder), "we");
    assert_non_null(scene.log);
    return scene;
}

static struct journal_gap end(const struct scene *scene, unsigned count, unsigned left_at)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct journal_gap gap;
    assert_int_equal(fclose(scene->log), 0);
    make("truncate -s 16M raw && mke2fs -q -t ext4 -d tree raw && qemu-img convert -q -O qcow2 raw disk",
         scene->folder);
    const char *file = arena_printf(arena, "%s/disk", scene->folder);
    assert_int_equal(journal_verify(file, scene->folder, NAME, count), count);
    assert_int_equal(journal_verify_gap(file, scene->folder, NAME, count, left_at, &gap), count);
    make("rm -r \"$PWD\"", scene->folder);
    return gap;
}

static void expect_in(struct journal_range range, int64_t value, int64_t width)
{
    if (range.least > value || range.most < value || range.most - range.least > width)
        fail_msg("%lld to %lld is not %lld to %lld", (long long)range.least, (long long)range.most,
                 (long long)value, (long long)width);
}

/* Of whole seconds it makes hundredths. */
static void a_pause(void **state)
{
    (void)state;
    static const int64_t pauses[] = {40 * MS, 526 * MS, 7312 * MS};
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
        struct scene scene = begin();
        int64_t up = 8423 * MS, then = up + 60 * STEP_US;
        write_records(scene.log, "0aa1b2c3", 1, 60, up, BEGAN);
        write_records(scene.log, "0aa1b2c3", 61, 120, then, BEGAN + pauses[i]);
        struct journal_gap gap = end(&scene, 120, 60);
        assert_false(gap.booted);
        expect_in(gap.paused, pauses[i], 150 * MS);
        expect_in(gap.step, pauses[i] + STEP_US, pauses[i] + 300 * MS);
        expect_in(gap.last, BEGAN + then - STEP_US, MOMENT_SECOND + 100 * MS);
        expect_in(gap.next, BEGAN + pauses[i] + then, MOMENT_SECOND + pauses[i] + 100 * MS);
    }
}

/* The record that it said last is not the last that it wrote. */
static void a_boot(void **state)
{
    (void)state;
    struct scene scene = begin();
    int64_t up = 8423 * MS, again = 4211 * MS, down = 12345 * MS;
    int64_t last = BEGAN + up + 44 * STEP_US; /* of record 45 */
    write_records(scene.log, "0aa1b2c3", 1, 45, up, BEGAN);
    write_records(scene.log, "ffa1b2c3", 46, 70, again, last + down - again);
    struct journal_gap gap = end(&scene, 70, 43);
    assert_true(gap.booted);
    assert_true(llabs(gap.up_us - again) <= 10 * MS);
    expect_in(gap.last, last, MOMENT_SECOND + 100 * MS);
    expect_in(gap.next, last + down, MOMENT_SECOND + 150 * MS);
    expect_in(gap.step, down, 2 * MOMENT_SECOND + 250 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_pause), cmocka_unit_test(a_boot)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
