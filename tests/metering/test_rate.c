/* Rating alone: full months, fractions, prorations, price changes, gaps, and what must not matter (order,
 * splitting). */
#include "metering/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "catalog/agreement.h"

static const struct month months[] = {{2027, 1}, {2027, 2}, {2028, 2}, {2027, 4}, {2027, 12}};
#define MONTHS (sizeof months / sizeof *months)

static struct price_period price(const char *item, int64_t fen, moment from, moment to)
{
    struct price_period period = {.fen = fen, .from = from, .to = to};
    memcpy(period.item, item, ITEM_CODE);
    return period;
}

static struct rate_interval used(const char *resource, const char *item, int64_t micro, moment from,
                                 moment to)
{
    struct rate_interval interval = {.unit = "u1",
                                     .system = "u1001",
                                     .cloud = "c1",
                                     .provider = "p1",
                                     .resource = resource,
                                     .industry = "health",
                                     .zone = "z1",
                                     .architecture = "x86",
                                     .micro = micro,
                                     .from = from,
                                     .to = to};
    memcpy(interval.item, item, ITEM_CODE);
    return interval;
}

struct rated {
    struct rate_line *lines;
    size_t count;
    int64_t total;
};

static struct rated rate(struct arena *arena, const struct rate_interval *intervals, size_t count,
                         int proration, const struct price_period *prices, size_t price_count,
                         struct month month, moment until)
{
    const struct rate_provider provider = {
        .id = "p1", .proration = proration, .prices = prices, .price_count = price_count};
    struct rated rated = {.count = 0};
    assert_null(rate_month(arena, intervals, count, &provider, 1, month, until, &rated.lines, &rated.count));
    for (size_t i = 0; i < rated.count; i++)
        rated.total += rated.lines[i].amount_fen;
    return rated;
}

static void a_full_month_costs_exactly_the_price(void **state)
{
    for (size_t m = 0; m < MONTHS; m++)
        for (int proration = PRORATION_EXACT; proration <= PRORATION_MONTH; proration++)
            for (size_t i = 0; i < item_count(); i++) {
                ARENA_AUTO struct arena *arena = arena_new();
                const struct item *item = item_at(i);
                struct price_period prices[] = {price(item->code, item->cap_fen, MOMENT_MIN, MOMENT_MAX)};
                struct rate_interval whole[] = {
                    used("r1", item->code, QUANTITY_ONE + item->free_micro, MOMENT_MIN, MOMENT_MAX)};
                struct rated rated =
                    rate(arena, whole, 1, proration, prices, 1, months[m], month_end(months[m]));
                assert_int_equal(rated.count, item->free_micro ? 2 : 1);
                assert_int_equal(rated.total, item->cap_fen);
                assert_true(rated.lines[0].priced);
            }
}

/* By hand: one vCPU at 14.02 for 12 hours of a 30-day month is 14.02 × 12/720 = 0.23366… → 0.23; half a
 * microsecond's worth around a half fen decides the rounding. */
static void fractions_round_half_up(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const struct month april = {2027, 4};
    moment start = month_start(april);
    struct price_period prices[] = {price("1001", 1402, MOMENT_MIN, MOMENT_MAX),
                                    price("1017", 1, MOMENT_MIN, MOMENT_MAX)};
    struct rate_interval half_day[] = {used("r1", "1001", QUANTITY_ONE, start, start + 12 * MOMENT_HOUR)};
    assert_int_equal(rate(arena, half_day, 1, PRORATION_EXACT, prices, 2, april, MOMENT_MAX).total, 23);
    /* 14.02 for a day is 0.46733… → 0.47 by day, the price by month. */
    assert_int_equal(rate(arena, half_day, 1, PRORATION_DAY, prices, 2, april, MOMENT_MAX).total, 47);
    assert_int_equal(rate(arena, half_day, 1, PRORATION_MONTH, prices, 2, april, MOMENT_MAX).total, 1402);
    /* At one fen a month, exactly half the month is half a fen → 1; a microsecond less → 0. */
    struct rate_interval half[] = {used("r1", "1017", QUANTITY_ONE, start, start + 15 * MOMENT_DAY)};
    assert_int_equal(rate(arena, half, 1, PRORATION_EXACT, prices, 2, april, MOMENT_MAX).total, 1);
    half[0].to--;
    struct rated less = rate(arena, half, 1, PRORATION_EXACT, prices, 2, april, MOMENT_MAX);
    assert_int_equal(less.total, 0);
    assert_int_equal(less.count, 1);
}

static void february_of_a_leap_year_has_29_days(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct price_period prices[] = {price("1002", 2900, MOMENT_MIN, MOMENT_MAX)};
    for (int year = 2027; year <= 2028; year++) {
        struct month february = {year, 2};
        struct rate_interval day[] = {
            used("r1", "1002", QUANTITY_ONE, month_start(february), month_start(february) + MOMENT_DAY)};
        int64_t total = rate(arena, day, 1, PRORATION_EXACT, prices, 1, february, MOMENT_MAX).total;
        assert_int_equal(total, year == 2028 ? 100 : 104); /* 29.00/29 and 29.00/28 = 1.0357… */
    }
}

static void whole_days_count_their_largest_quantity(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const struct month april = {2027, 4};
    moment day = month_start(april) + 4 * MOMENT_DAY;
    struct price_period prices[] = {price("1001", 3000, MOMENT_MIN, MOMENT_MAX)};
    /* Day 5: 2 then 4 then 1; day 6: 1 until one microsecond into it. 30.00 a month is 1.00 a day: 4 + 1
     * days. */
    struct rate_interval list[] = {
        used("r1", "1001", 2 * QUANTITY_ONE, day + 1, day + MOMENT_HOUR),
        used("r1", "1001", 4 * QUANTITY_ONE, day + MOMENT_HOUR, day + MOMENT_HOUR + 1),
        used("r1", "1001", 1 * QUANTITY_ONE, day + MOMENT_HOUR + 1, day + MOMENT_DAY + 1),
    };
    assert_int_equal(rate(arena, list, 3, PRORATION_DAY, prices, 1, april, MOMENT_MAX).total, 500);
    assert_int_equal(rate(arena, list, 3, PRORATION_MONTH, prices, 1, april, MOMENT_MAX).total, 12000);
    /* Two resources count apart. */
    list[1].resource = "r2";
    assert_int_equal(rate(arena, list, 3, PRORATION_DAY, prices, 1, april, MOMENT_MAX).total, 700);
}

static void a_price_change_makes_two_lines(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const struct month april = {2027, 4};
    moment start = month_start(april), middle = start + 10 * MOMENT_DAY;
    struct price_period prices[] = {price("1001", 300, MOMENT_MIN, middle),
                                    price("1001", 600, middle, MOMENT_MAX)};
    struct rate_interval whole[] = {used("r1", "1001", QUANTITY_ONE, MOMENT_MIN, MOMENT_MAX)};
    struct rated rated = rate(arena, whole, 1, PRORATION_EXACT, prices, 2, april, MOMENT_MAX);
    assert_int_equal(rated.count, 2);
    assert_int_equal(rated.lines[0].amount_fen, 100);
    assert_int_equal(rated.lines[1].amount_fen, 400);
    assert_true(rated.lines[0].price_from == start && rated.lines[0].price_to == middle);
    assert_true(rated.lines[1].price_to == month_end(april));
}

static void use_without_a_price_is_shown_not_free(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const struct month april = {2027, 4};
    moment middle = month_start(april) + 10 * MOMENT_DAY;
    struct price_period prices[] = {price("1001", 300, middle, MOMENT_MAX)};
    struct rate_interval whole[] = {used("r1", "1001", QUANTITY_ONE, MOMENT_MIN, MOMENT_MAX)};
    struct rated rated = rate(arena, whole, 1, PRORATION_EXACT, prices, 1, april, MOMENT_MAX);
    assert_int_equal(rated.count, 2);
    assert_false(rated.lines[0].priced);
    assert_true(rated.lines[0].usage == (wide)QUANTITY_ONE * 10 * MOMENT_DAY);
    assert_true(rated.lines[1].priced);
    assert_int_equal(rated.total, 200);
    whole[0].provider = "unknown";
    rated = rate(arena, whole, 1, PRORATION_EXACT, prices, 1, april, MOMENT_MAX);
    assert_int_equal(rated.count, 1);
    assert_false(rated.lines[0].priced);
}

static void an_estimate_counts_up_to_now(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const struct month april = {2027, 4};
    struct price_period prices[] = {price("1001", 3000, MOMENT_MIN, MOMENT_MAX)};
    struct rate_interval open[] = {used("r1", "1001", QUANTITY_ONE, month_start(april), MOMENT_MAX)};
    moment now = month_start(april) + 36 * MOMENT_HOUR;
    assert_int_equal(rate(arena, open, 1, PRORATION_EXACT, prices, 1, april, now).total, 150);
    assert_int_equal(rate(arena, open, 1, PRORATION_DAY, prices, 1, april, now).total, 200);
    assert_int_equal(rate(arena, open, 1, PRORATION_EXACT, prices, 1, april, month_start(april)).count, 0);
}

/* By hand: April has 30 days, an account costs 300 fen. r1 has one account all month, r2 two from day 10 to
 * day 20: 1, then 3, then 1 at a time; above the free one are 2 for 10 days: 2 × 300 × 10/30 = 200. The free
 * one would have cost 300. Day by day it is the same; by the month the largest sum, 3, counts: 600. */
static void the_first_account_of_a_system_is_free(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const struct month april = {2027, 4};
    moment start = month_start(april);
    struct price_period prices[] = {price("1019", 300, MOMENT_MIN, MOMENT_MAX)};
    struct rate_interval list[] = {
        used("r1", "1019", QUANTITY_ONE, start, MOMENT_MAX),
        used("r2", "1019", 2 * QUANTITY_ONE, start + 10 * MOMENT_DAY, start + 20 * MOMENT_DAY)};
    for (int proration = PRORATION_EXACT; proration <= PRORATION_MONTH; proration++) {
        struct rated rated = rate(arena, list, 2, proration, prices, 1, april, MOMENT_MAX);
        assert_int_equal(rated.count, 2);
        assert_int_equal(rated.lines[0].tariff, TARIFF_STANDARD);
        assert_int_equal(rated.lines[0].amount_fen, proration == PRORATION_MONTH ? 600 : 200);
        assert_int_equal(rated.lines[0].list_fen, rated.lines[0].amount_fen);
        assert_int_equal(rated.lines[1].tariff, TARIFF_ALLOWANCE);
        assert_int_equal(rated.lines[1].amount_fen, 0);
        assert_int_equal(rated.lines[1].list_fen, 300);
    }
    list[1].system = "u1002"; /* each system has its own */
    struct rated rated = rate(arena, list, 2, PRORATION_EXACT, prices, 1, april, MOMENT_MAX);
    assert_int_equal(rated.total, 100);
    assert_int_equal(rate(arena, list, 1, PRORATION_EXACT, prices, 1, april, MOMENT_MAX).total, 0);
}

/* By hand: 4 vCPU for the month and a fifth free one for 15 of 30 days; 4 × 300 is owed, 150 would have been.
 */
static void a_free_expansion_is_shown_at_zero(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const struct month april = {2027, 4};
    moment start = month_start(april);
    struct price_period prices[] = {price("1001", 300, MOMENT_MIN, MOMENT_MAX)};
    struct rate_interval list[] = {used("r1", "1001", 4 * QUANTITY_ONE, start, MOMENT_MAX),
                                   used("r1", "1001", QUANTITY_ONE, start, start + 15 * MOMENT_DAY)};
    list[1].tariff = TARIFF_EXPANSION;
    struct rated rated = rate(arena, list, 2, PRORATION_EXACT, prices, 1, april, MOMENT_MAX);
    assert_int_equal(rated.count, 2);
    assert_int_equal(rated.total, 1200);
    assert_int_equal(rated.lines[1].tariff, TARIFF_EXPANSION);
    assert_int_equal(rated.lines[1].amount_fen, 0);
    assert_int_equal(rated.lines[1].list_fen, 150);
}

/* The free tariff of a move is free of an allowance, too: only the standard one has it. */
static void what_a_move_has_twice_is_shown_at_zero(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const struct month april = {2027, 4};
    moment start = month_start(april);
    struct price_period prices[] = {price("1001", 300, MOMENT_MIN, MOMENT_MAX),
                                    price("1019", 100, MOMENT_MIN, MOMENT_MAX)};
    struct rate_interval list[] = {used("r1", "1001", 4 * QUANTITY_ONE, start, MOMENT_MAX),
                                   used("m1", "1001", 4 * QUANTITY_ONE, start, start + 3 * MOMENT_DAY),
                                   used("m1", "1019", QUANTITY_ONE, start, MOMENT_MAX)};
    list[1].tariff = list[2].tariff = TARIFF_MIGRATION;
    struct rated rated = rate(arena, list, 3, PRORATION_EXACT, prices, 2, april, MOMENT_MAX);
    assert_int_equal(rated.count, 3);
    assert_int_equal(rated.total, 1200);
    assert_int_equal(rated.lines[1].tariff, TARIFF_MIGRATION);
    assert_int_equal(rated.lines[1].amount_fen, 0);
    assert_int_equal(rated.lines[1].list_fen, 120);
    assert_int_equal(rated.lines[2].tariff, TARIFF_MIGRATION);
    assert_int_equal(rated.lines[2].list_fen, 100);
}

static void zones_and_architectures_have_lines_of_their_own(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const struct month april = {2027, 4};
    struct price_period prices[] = {price("1001", 300, MOMENT_MIN, MOMENT_MAX)};
    struct rate_interval list[] = {used("r1", "1001", QUANTITY_ONE, MOMENT_MIN, MOMENT_MAX),
                                   used("r2", "1001", QUANTITY_ONE, MOMENT_MIN, MOMENT_MAX),
                                   used("r3", "1001", QUANTITY_ONE, MOMENT_MIN, MOMENT_MAX)};
    list[1].zone = "z2";
    list[2].architecture = "ARM";
    struct rated rated = rate(arena, list, 3, PRORATION_EXACT, prices, 1, april, MOMENT_MAX);
    assert_int_equal(rated.count, 3);
    assert_string_equal(rated.lines[0].architecture, "ARM");
    assert_string_equal(rated.lines[2].zone, "z2");
    assert_string_equal(rated.lines[2].industry, "health");
}

static int64_t below(int64_t most)
{
    return (int64_t)((((uint64_t)random() << 31) | (uint64_t)random()) % (uint64_t)most);
}

/* Cuts every interval into random pieces and shuffles all: the lines must be the same, byte for byte. */
static void order_and_splitting_change_nothing(void **state)
{
    srandom(20271);
    for (int round = 0; round < 300; round++) {
        ARENA_AUTO struct arena *arena = arena_new();
        struct month month = months[round % (int)MONTHS];
        moment start = month_start(month), length = month_end(month) - start;
        static const char *const resources[] = {"r1", "r2", "r3"}, *const systems[] = {"s1", "s2"},
                                 *const items[] = {"1001", "1002", "1011", "1019"};
        struct rate_interval whole[12], pieces[64];
        size_t count = 0, piece_count = 0;
        struct price_period prices[] = {price("1001", 1 + below(1402), MOMENT_MIN, start + length / 3),
                                        price("1001", 1 + below(1402), start + length / 3, MOMENT_MAX),
                                        price("1002", 1 + below(4115), MOMENT_MIN, MOMENT_MAX),
                                        price("1011", 1 + below(2860), MOMENT_MIN, MOMENT_MAX),
                                        price("1019", 1 + below(35637), MOMENT_MIN, MOMENT_MAX)};
        for (; count < 12; count++) {
            moment from = start - MOMENT_DAY + below(length), to = from + 1 + below(length / 4);
            whole[count] = used(resources[below(3)], items[below(4)], 1 + below(64 * QUANTITY_ONE), from, to);
            whole[count].system = systems[below(2)];
            moment at = from;
            for (int cuts = (int)below(5); cuts > 0 && at < to - 1; cuts--) {
                moment next = at + 1 + below(to - at - 1);
                pieces[piece_count] = whole[count];
                pieces[piece_count].from = at;
                pieces[piece_count++].to = next;
                at = next;
            }
            pieces[piece_count] = whole[count];
            pieces[piece_count++].from = at;
        }
        for (size_t i = piece_count - 1; i > 0; i--) {
            size_t j = (size_t)below((int64_t)i + 1);
            struct rate_interval swap = pieces[i];
            pieces[i] = pieces[j];
            pieces[j] = swap;
        }
        for (int proration = PRORATION_EXACT; proration <= PRORATION_MONTH; proration++) {
            struct rated a = rate(arena, whole, count, proration, prices, 5, month, MOMENT_MAX);
            struct rated b = rate(arena, pieces, piece_count, proration, prices, 5, month, MOMENT_MAX);
            assert_int_equal(a.count, b.count);
            for (size_t i = 0; i < a.count; i++) {
                assert_string_equal(a.lines[i].system, b.lines[i].system);
                assert_string_equal(a.lines[i].item, b.lines[i].item);
                assert_true(a.lines[i].usage == b.lines[i].usage);
                assert_int_equal(a.lines[i].amount_fen, b.lines[i].amount_fen);
            }
        }
    }
}

static void the_largest_figures_fit_or_are_refused(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const struct month month = {2027, 12};
    struct price_period prices[] = {price("1001", PRICE_MAX, MOMENT_MIN, MOMENT_MAX)};
    struct rate_interval most[] = {used("r1", "1001", QUANTITY_MAX / 1000, MOMENT_MIN, MOMENT_MAX)};
    assert_true(rate(arena, most, 1, PRORATION_EXACT, prices, 1, month, MOMENT_MAX).total ==
                PRICE_MAX * 1000000);
    most[0].micro = QUANTITY_MAX;
    const struct rate_provider provider = {.id = "p1", .prices = prices, .price_count = 1};
    struct rate_line *lines;
    size_t count;
    struct error *error = rate_month(arena, most, 1, &provider, 1, month, MOMENT_MAX, &lines, &count);
    assert_non_null(error);
    assert_int_equal(error_code(error), ERR_TOO_LARGE);
    error_free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_month_costs_exactly_the_price),
        cmocka_unit_test(fractions_round_half_up),
        cmocka_unit_test(february_of_a_leap_year_has_29_days),
        cmocka_unit_test(whole_days_count_their_largest_quantity),
        cmocka_unit_test(a_price_change_makes_two_lines),
        cmocka_unit_test(use_without_a_price_is_shown_not_free),
        cmocka_unit_test(an_estimate_counts_up_to_now),
        cmocka_unit_test(the_first_account_of_a_system_is_free),
        cmocka_unit_test(a_free_expansion_is_shown_at_zero),
        cmocka_unit_test(what_a_move_has_twice_is_shown_at_zero),
        cmocka_unit_test(zones_and_architectures_have_lines_of_their_own),
        cmocka_unit_test(order_and_splitting_change_nothing),
        cmocka_unit_test(the_largest_figures_fit_or_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
