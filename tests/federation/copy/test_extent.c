/* Extents: what does not cover the disk is refused wherever it goes wrong, and laying over, coarsening and
 * cutting into pieces agree with a plain array of bytes over random disks. */
#include "federation/copy_extent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SIZE 4096

static uint64_t seed = 88172645463325252U;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

static void assert_refused(struct error *error, enum error_code code, const char *says)
{
    assert_non_null(error);
    assert_int_equal(error_code(error), code);
    if (!strstr(error_message(error), says))
        fail_msg("\"%s\" does not say \"%s\"", error_message(error), says);
    error_free(error);
}

static void tiles(void **state)
{
    struct copy_extents extents;
    copy_extents_init(&extents, SIZE, 0);
    assert_refused(copy_extents_check(&extents), ERR_INVALID, "a gap");
    assert_refused(copy_extents_add(&extents, 512, 512, 0), ERR_INVALID, "a gap");
    assert_null(copy_extents_add(&extents, 0, 1024, 0));
    assert_refused(copy_extents_add(&extents, 512, 1024, 0), ERR_INVALID, "an overlap");
    assert_refused(copy_extents_add(&extents, 0, 512, 0), ERR_INVALID, "an overlap");
    assert_refused(copy_extents_add(&extents, 1536, 512, 0), ERR_INVALID, "a gap");
    assert_refused(copy_extents_add(&extents, 1024, 0, 0), ERR_INVALID, "0 bytes");
    assert_refused(copy_extents_add(&extents, 1024, SIZE, 0), ERR_INVALID, "of a disk of 4096");
    assert_refused(copy_extents_add(&extents, 1024, UINT64_MAX, 0), ERR_INVALID, "of a disk of 4096");
    assert_refused(copy_extents_check(&extents), ERR_INVALID, "end at 1024");
    assert_null(copy_extents_add(&extents, 1024, SIZE - 1024, COPY_EXTENT_ZERO));
    assert_null(copy_extents_check(&extents));
    assert_int_equal(extents.count, 2);
    copy_extents_done(&extents);
}

static void pages(void **state)
{
    struct copy_extents extents;
    const struct copy_area one[] = {{0, 100}, {200, 300}}, two[] = {{2048, 2048}},
                           bad_order[] = {{3000, 10}, {2900, 10}}, overlap[] = {{2048, 100}, {2100, 10}},
                           outside[] = {{2048, 2049}}, before[] = {{2000, 100}}, empty[] = {{2050, 0}},
                           huge[] = {{2050, UINT64_MAX - 100}};
    copy_extents_init(&extents, SIZE, 0);
    assert_refused(copy_extents_page(&extents, 10, SIZE - 10, NULL, 0), ERR_INVALID, "is due");
    assert_refused(copy_extents_page(&extents, 0, SIZE + 1, NULL, 0), ERR_INVALID, "of a disk");
    assert_refused(copy_extents_page(&extents, 0, 0, NULL, 0), ERR_INVALID, "of a disk");
    assert_null(copy_extents_page(&extents, 0, 2048, one, 2));
    assert_refused(copy_extents_check(&extents), ERR_INVALID, "end at 2048"); /* the answer was cut off */
    assert_refused(copy_extents_page(&extents, 0, 2048, one, 2), ERR_INVALID, "is due");
    assert_refused(copy_extents_page(&extents, 4000, 96, NULL, 0), ERR_INVALID, "is due");
    const struct {
        const struct copy_area *areas;
        size_t count;
    } wrong[] = {{bad_order, 2}, {overlap, 2}, {outside, 1}, {before, 1}, {empty, 1}, {huge, 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct copy_extents other;
        copy_extents_init(&other, SIZE, 0);
        assert_null(copy_extents_page(&other, 0, 2048, one, 2));
        assert_refused(copy_extents_page(&other, 2048, 2048, wrong[i].areas, wrong[i].count), ERR_INVALID,
                       "the changed area");
        copy_extents_done(&other);
    }
    assert_null(copy_extents_page(&extents, 2048, 2048, two, 1));
    assert_null(copy_extents_check(&extents));
    uint64_t changed = 0, end;
    for (uint64_t at = 0; at < SIZE; at++)
        changed += copy_extents_find(&extents, at, &end)->flags == COPY_EXTENT_CHANGED;
    assert_int_equal(changed, 100 + 300 + 2048);
    copy_extents_done(&extents);
}

/* A random list beside the same as bytes. */
static void fill(struct copy_extents *extents, uint8_t *bytes, uint64_t longest)
{
    while (extents->covered < extents->size) {
        uint64_t start = extents->covered, length = 1 + draw(longest);
        unsigned flags = (unsigned)draw(4);
        if (length > extents->size - start)
            length = extents->size - start;
        memset(bytes + start, (int)flags, length);
        assert_null(copy_extents_add(extents, start, length, flags));
    }
    assert_null(copy_extents_check(extents));
}

static void overlay_agrees(void **state)
{
    static uint8_t content[SIZE], changes[SIZE];
    for (int round = 0; round < 200; round++) {
        struct copy_extents one, two, both;
        copy_extents_init(&one, SIZE, 0);
        copy_extents_init(&two, SIZE, 0);
        fill(&one, content, 1 + draw(600));
        fill(&two, changes, 1 + draw(600));
        assert_null(copy_extents_overlay(&one, &two, &both));
        assert_null(copy_extents_check(&both));
        for (uint64_t at = 0, end; at < SIZE; at++)
            assert_int_equal(copy_extents_find(&both, at, &end)->flags,
                             (content[at] & COPY_EXTENT_ZERO) | (changes[at] & COPY_EXTENT_CHANGED));
        copy_extents_done(&one);
        copy_extents_done(&two);
        copy_extents_done(&both);
    }
    struct copy_extents small, large, both;
    copy_extents_init(&small, SIZE, 0);
    copy_extents_init(&large, SIZE + 512, 0);
    assert_null(copy_extents_add(&small, 0, SIZE, 0));
    assert_refused(copy_extents_overlay(&small, &large, &both), ERR_INVALID, "a gap");
    assert_null(copy_extents_add(&large, 0, SIZE + 512, 0));
    assert_refused(copy_extents_overlay(&small, &large, &both), ERR_CONFLICT, "resized");
    copy_extents_done(&small);
    copy_extents_done(&large);
}

static void pieces_agree(void **state)
{
    static uint8_t bytes[SIZE];
    for (int round = 0; round < 300; round++) {
        struct copy_extents extents;
        copy_extents_init(&extents, SIZE, 0);
        fill(&extents, bytes, 1 + draw(300));
        uint64_t grain = UINT64_C(1) << draw(7), gap = draw(100), start = draw(SIZE / 2) & ~(grain - 1);
        uint64_t end = start + 1 + draw(SIZE - start), at = start, last = start;
        struct copy_area piece;
        bool taken[SIZE] = {false};
        while (copy_extents_piece(&extents, &at, end, 0, COPY_EXTENT_ZERO, grain, gap, &piece)) {
            assert_true(piece.start >= last && piece.length && piece.start + piece.length <= end);
            assert_int_equal(at, piece.start + piece.length);
            assert_true(piece.start % grain == 0 && (at % grain == 0 || at == end));
            for (uint64_t i = piece.start; i < at; i++)
                taken[i] = true;
            last = at;
        }
        for (uint64_t i = start; i < end; i++)
            if (!(bytes[i] & COPY_EXTENT_ZERO))
                assert_true(taken[i]);
        copy_extents_done(&extents);
    }
}

/* With a cap: still whole, never zero where one is not, never unchanged where one is. */
static void coarse_is_safe(void **state)
{
    enum { LARGE = 1 << 22 };
    static uint8_t bytes[LARGE];
    for (int round = 0; round < 30; round++) {
        struct copy_extents extents;
        size_t most = 4 + draw(40);
        copy_extents_init(&extents, LARGE, most);
        fill(&extents, bytes, 1 + draw(60000));
        assert_true(extents.count <= most);
        uint64_t next;
        for (uint64_t at = 0; at < LARGE; at = next) {
            unsigned flags = copy_extents_find(&extents, at, &next)->flags;
            for (uint64_t i = at; i < next; i++)
                if (((flags & COPY_EXTENT_ZERO) && !(bytes[i] & COPY_EXTENT_ZERO)) ||
                    (!(flags & COPY_EXTENT_CHANGED) && (bytes[i] & COPY_EXTENT_CHANGED)))
                    fail_msg("byte %llu is %u, told %u", (unsigned long long)i, bytes[i], flags);
        }
        copy_extents_done(&extents);
    }
}

static void flags_of_a_range(void **state)
{
    struct copy_extents extents;
    copy_extents_init(&extents, 300, 0);
    assert_null(copy_extents_add(&extents, 0, 100, COPY_EXTENT_ZERO));
    assert_null(copy_extents_add(&extents, 100, 100, COPY_EXTENT_ZERO | COPY_EXTENT_CHANGED));
    assert_null(copy_extents_add(&extents, 200, 100, 0));
    assert_int_equal(copy_extents_flags(&extents, 0, 100), COPY_EXTENT_ZERO);
    assert_int_equal(copy_extents_flags(&extents, 0, 101), COPY_EXTENT_ZERO | COPY_EXTENT_CHANGED);
    assert_int_equal(copy_extents_flags(&extents, 99, 201), COPY_EXTENT_CHANGED);
    assert_int_equal(copy_extents_flags(&extents, 200, 300), 0);
    copy_extents_done(&extents);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiles),        cmocka_unit_test(pages),          cmocka_unit_test(overlay_agrees),
        cmocka_unit_test(pieces_agree), cmocka_unit_test(coarse_is_safe), cmocka_unit_test(flags_of_a_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
