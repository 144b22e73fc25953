/* From lines down to intervals: random usage under every proration, rated by rate.c and shared out by
 * line_usage.c, which know nothing of each other, must agree on every line to the last micro-unit ×
 * microsecond. */
#include "metering/line_usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/agreement.h"
#include "metering/rate.h"

#define HISTORIES 400
#define INTERVALS 24

static const struct month month = {2027, 2};
static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % below;
}

/* Intervals of three resources of two systems, some begun before the month or running on after it; of one
 * resource and item they do not overlap. */
static size_t random_intervals(struct arena *arena, struct rate_interval *list)
{
    static const char *const items[] = {"1001", "1019", "1016"};
    size_t count = 0;
    for (int r = 0; r < 3; r++)
        for (int i = 0; i < 3; i++) {
            moment at = month_start(month) - 2 * MOMENT_DAY + (moment)draw(3 * MOMENT_DAY);
            for (int k = 0; k < 4 && count < INTERVALS; k++) {
                moment to = at + 1 + (moment)draw(draw(2) ? 12 * MOMENT_DAY : 6 * MOMENT_HOUR);
                struct rate_interval *interval = &list[count++];
                *interval = (struct rate_interval){.unit = "u1",
                                                   .system = r == 2 ? "u1002" : "u1001",
                                                   .cloud = "c1",
                                                   .provider = "p1",
                                                   .resource = arena_printf(arena, "r%d", r),
                                                   .industry = "service",
                                                   .zone = i == 1 ? "" : "z1",
                                                   .architecture = i == 1 ? "" : "x86",
                                                   .tariff = i == 0 && draw(4) == 0 ? TARIFF_EXPANSION
                                                                                    : TARIFF_STANDARD,
                                                   .micro = (int64_t)(1 + draw(3)) * 500000,
                                                   .from = at,
                                                   .to = k == 3 && draw(2) ? MOMENT_MAX : to};
                memcpy(interval->item, items[i], ITEM_CODE);
                at = draw(3) ? to : to + (moment)draw(MOMENT_DAY);
            }
        }
    return count;
}

static void check_history(int proration, size_t *lines_seen)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct rate_interval intervals[INTERVALS];
    size_t count = random_intervals(arena, intervals), line_count;
    moment middle = month_start(month) + (moment)draw((uint64_t)(month_end(month) - month_start(month)));
    struct price_period prices[6];
    static const char *const items[] = {"1001", "1016", "1019"};
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 2; k++) {
            struct price_period *price = &prices[2 * i + k];
            *price = (struct price_period){
                .fen = 100 + k, .from = k ? middle : month_start(month), .to = k ? month_end(month) : middle};
            memcpy(price->item, items[i], ITEM_CODE);
        }
    struct rate_provider provider = {.id = "p1", .proration = proration, .prices = prices, .price_count = 6};
    struct rate_line *lines;
    assert_null(
        rate_month(arena, intervals, count, &provider, 1, month, month_end(month), &lines, &line_count));
    for (size_t i = 0; i < line_count; i++, ++*lines_seen) {
        struct bill_line line = bill_line_of(&lines[i], month, false);
        struct line_share *shares;
        size_t share_count;
        wide sum = 0;
        assert_null(line_usage(arena, &line, proration, intervals, count, &shares, &share_count));
        for (size_t k = 0; k < share_count; k++) {
            assert_true(shares[k].usage > 0);
            assert_int_equal(shares[k].spans > 0, proration != PRORATION_EXACT);
            sum += shares[k].usage;
        }
        if (sum != line.usage)
            fail_msg("proration %d, item %s, %s: another sum", proration, line.item,
                     tariff_name(line.tariff));
    }
}

static void shares_add_up(void **state)
{
    static const int prorations[] = {PRORATION_EXACT, PRORATION_DAY, PRORATION_MONTH};
    size_t lines = 0;
    (void)state;
    for (int i = 0; i < HISTORIES; i++) {
        seed = (uint64_t)i + 1;
        check_history(prorations[i % 3], &lines);
    }
    assert_true(lines > 2000);
}

/* Two accounts of a system, one of them free at any time: the first by name is the free one while it is
 * there, 10 days of 28; then the other is. */
static void who_has_the_allowance(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    moment start = month_start(month), end = month_end(month), half = start + 10 * MOMENT_DAY;
    const struct rate_interval intervals[] = {{.unit = "u1",
                                               .system = "s",
                                               .cloud = "c",
                                               .provider = "p",
                                               .resource = "a",
                                               .industry = "",
                                               .zone = "",
                                               .architecture = "",
                                               .item = "1019",
                                               .micro = QUANTITY_ONE,
                                               .from = start,
                                               .to = half},
                                              {.unit = "u1",
                                               .system = "s",
                                               .cloud = "c",
                                               .provider = "p",
                                               .resource = "b",
                                               .industry = "",
                                               .zone = "",
                                               .architecture = "",
                                               .item = "1019",
                                               .micro = QUANTITY_ONE,
                                               .from = start,
                                               .to = MOMENT_MAX}};
    struct bill_line line = {.unit = "u1",
                             .system = "s",
                             .cloud = "c",
                             .provider = "p",
                             .industry = "",
                             .zone = "",
                             .architecture = "",
                             .item = "1019",
                             .tariff = TARIFF_ALLOWANCE,
                             .charge_month = "2027-02",
                             .price_from = start,
                             .price_to = end};
    struct line_share *shares;
    size_t count;
    (void)state;
    assert_null(line_usage(arena, &line, PRORATION_EXACT, intervals, 2, &shares, &count));
    assert_int_equal(count, 2);
    assert_true(shares[0].usage == (wide)QUANTITY_ONE * 10 * MOMENT_DAY);
    assert_true(shares[1].usage == (wide)QUANTITY_ONE * 18 * MOMENT_DAY);
    line.tariff = TARIFF_STANDARD;
    assert_null(line_usage(arena, &line, PRORATION_EXACT, intervals, 2, &shares, &count));
    assert_int_equal(count, 1);
    assert_string_equal(shares[0].interval->resource, "b");
    assert_true(shares[0].usage == (wide)QUANTITY_ONE * 10 * MOMENT_DAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_add_up),
        cmocka_unit_test(who_has_the_allowance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
