/* broker/base/money: limits of parsing, rounding, 128 bits; against exact arithmetic done another way. */
#include "broker/base/money.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define WIDEST ((wide)(~(unsigned __int128)0 >> 1))

static void refused(struct error *error, enum error_code code)
{
    assert_non_null(error);
    assert_int_equal(error_code(error), code);
    error_free(error);
}

static void test_money_text(void **state)
{
    static const struct {
        const char *text;
        int64_t fen;
    } good[] = {{"0", 0},
                {"0.5", 50},
                {"14.02", 1402},
                {"14", 1400},
                {"007.10", 710},
                {"0.01", 1},
                {"10000000000000000", MONEY_MAX},
                {"10000000000000000.00", MONEY_MAX}};
    static const char *const bad[] = {"",
                                      ".",
                                      "1.",
                                      ".5",
                                      "-1",
                                      "+1",
                                      "1.005",
                                      "1,00",
                                      "1e3",
                                      " 1",
                                      "1 ",
                                      "1.0.0",
                                      "10000000000000000.01",
                                      "0x10",
                                      "99999999999999999999999999999999999999",
                                      "11111111111111111111111111111111111111111",
                                      "\xef\xbc\x91"};
    int64_t fen = -7;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_null(money_parse(good[i].text, &fen));
        assert_int_equal(fen, good[i].fen);
    }
    fen = -7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(money_parse(bad[i], &fen), ERR_INVALID);
    assert_int_equal(fen, -7);
    char text[MONEY_TEXT];
    assert_string_equal(money_format(INT64_MIN, text), "-92233720368547758.08");
    assert_string_equal(money_format(-5, text), "-0.05");
    assert_string_equal(money_format(INT64_MAX, text), "92233720368547758.07");
}

static void test_random_round_trips(void **state)
{
    srandom(20261124);
    for (int i = 0; i < 20000; i++) {
        int64_t value = (int64_t)(((uint64_t)random() << 31 | (uint64_t)random()) >> (random() % 60)), back;
        char text[MONEY_TEXT];
        if (value <= MONEY_MAX) {
            assert_null(money_parse(money_format(value, text), &back));
            assert_int_equal(back, value);
        }
        if (value <= QUANTITY_MAX) {
            assert_null(quantity_parse(quantity_format(value, text), &back));
            assert_int_equal(back, value);
        }
        wide big = (wide)value * random() * (random() % 2 ? 1 : -1), again;
        char digits[WIDE_TEXT];
        assert_null(wide_parse(wide_format(big, digits), &again));
        assert_true(big == again);
    }
}

static void test_wide_limits(void **state)
{
    char text[WIDE_TEXT];
    wide back = 0;
    const wide edges[] = {0, 1, -1, WIDEST, -WIDEST, -WIDEST - 1, INT64_MAX, INT64_MIN};
    assert_string_equal(wide_format(WIDEST, text), "170141183460469231731687303715884105727");
    assert_string_equal(wide_format(-WIDEST - 1, text), "-170141183460469231731687303715884105728");
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        assert_null(wide_parse(wide_format(edges[i], text), &back));
        assert_true(back == edges[i]);
    }
    refused(wide_parse("170141183460469231731687303715884105728", &back), ERR_TOO_LARGE);
    refused(wide_parse("-170141183460469231731687303715884105729", &back), ERR_TOO_LARGE);
    refused(wide_parse("", &back), ERR_INVALID);
    refused(wide_parse("-", &back), ERR_INVALID);
    refused(wide_parse("1.5", &back), ERR_INVALID);
}

static void test_sums_and_usage(void **state)
{
    int64_t sum = 3;
    assert_null(money_add(MONEY_MAX - 1, 1, &sum));
    assert_int_equal(sum, MONEY_MAX);
    refused(money_add(MONEY_MAX, 1, &sum), ERR_TOO_LARGE);
    refused(money_add(INT64_MAX, INT64_MAX, &sum), ERR_TOO_LARGE);
    refused(money_add(-MONEY_MAX, -1, &sum), ERR_TOO_LARGE);
    assert_int_equal(sum, MONEY_MAX);
    wide usage = WIDEST - 6;
    assert_null(usage_add(&usage, 2, 3));
    assert_true(usage == WIDEST);
    refused(usage_add(&usage, 1, 1), ERR_TOO_LARGE);
    assert_true(usage == WIDEST);
    refused(usage_add(&usage, -1, 1), ERR_INTERNAL);
    refused(usage_amount(PRICE_MAX, WIDEST, 1, &sum), ERR_TOO_LARGE);
    refused(usage_amount(1, 1, 0, &sum), ERR_INTERNAL);
}

/* round half up of p ÷ q is the n with 2nq ≤ 2p + q < 2(n+1)q: no division is asked to agree with itself. */
static void test_one_rounding(void **state)
{
    static const int64_t days[] = {28, 29, 30, 31};
    srandom(7);
    for (int i = 0; i < 50000; i++) {
        int64_t month = days[random() % 4] * INT64_C(86400000000), price = random() % 10000000, fen;
        wide usage = (wide)random() * random() % ((wide)month * 64 * QUANTITY_ONE);
        assert_null(usage_amount(price, usage, month, &fen));
        wide p = (wide)price * usage, q = (wide)QUANTITY_ONE * month;
        assert_true(2 * (wide)fen * q <= 2 * p + q && 2 * p + q < 2 * ((wide)fen + 1) * q);
    }
    int64_t fen;
    assert_null(usage_amount(1, (wide)QUANTITY_ONE * 5, 10, &fen)); /* exactly half */
    assert_int_equal(fen, 1);
    assert_null(usage_amount(1, (wide)QUANTITY_ONE * 5 - 1, 10, &fen));
    assert_int_equal(fen, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_money_text), cmocka_unit_test(test_random_round_trips),
        cmocka_unit_test(test_wide_limits), cmocka_unit_test(test_sums_and_usage),
        cmocka_unit_test(test_one_rounding)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
