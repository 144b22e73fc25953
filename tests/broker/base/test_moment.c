/* broker/base/moment: every month boundary against the C library's own reckoning of Asia/Shanghai, the forms
 * of RFC 3339, random round trips. */
#include "broker/base/moment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Asia/Shanghai as a POSIX rule: needs no tzdata. */
static int shanghai(void **state)
{
    setenv("TZ", "CST-8", 1);
    tzset();
    return 0;
}

static moment by_library(int year, int month, int day)
{
    struct tm date = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_isdst = 0};
    return (moment)mktime(&date) * MOMENT_SECOND;
}

static void test_every_month(void **state)
{
    struct month month = {1992, 1};
    for (; month.year <= 9997; month = month_next(month)) {
        moment start = by_library(month.year, month.month, 1),
               end = by_library(month.year, month.month + 1, 1);
        assert_int_equal(month_start(month), start);
        assert_int_equal(month_end(month), end);
        assert_int_equal(month_days(month) * MOMENT_DAY, end - start);
        assert_int_equal(month_compare(month_of(start), month), 0);
        assert_int_equal(month_compare(month_of(end - 1), month), 0);
        assert_int_equal(month_compare(month_of(end), month_next(month)), 0);
        assert_int_equal(month_compare(month_previous(month_next(month)), month), 0);
        assert_true(month_compare(month, month_next(month)) < 0);
        char text[8];
        struct month back;
        month_format(month, text);
        assert_null(month_parse(text, &back));
        assert_int_equal(month_compare(back, month), 0);
    }
}

static void test_random_moments(void **state)
{
    srandom(31);
    for (int i = 0; i < 50000; i++) {
        moment at = MOMENT_MIN + (moment)(((uint64_t)random() << 31 | (uint64_t)random()) %
                                          (uint64_t)(MOMENT_MAX - MOMENT_MIN)),
               back;
        char text[MOMENT_TEXT], local[20], expected[40], shifted[MOMENT_TEXT + 6];
        moment_format(at, text);
        assert_null(moment_parse(text, &back));
        assert_int_equal(back, at);
        time_t seconds = at / MOMENT_SECOND;
        struct tm date;
        assert_non_null(localtime_r(&seconds, &date));
        assert_true(strftime(expected, sizeof expected, "%Y-%m-%d %H:%M:%S", &date) > 0);
        moment_format_shanghai(at, local);
        assert_string_equal(local, expected);
        assert_int_equal(moment_day_start(at),
                         by_library(date.tm_year + 1900, date.tm_mon + 1, date.tm_mday));
        assert_true(strftime(shifted, sizeof shifted, "%Y-%m-%dt%H:%M:%S+08:00", &date) > 0);
        if (moment_parse(shifted, &back) == NULL) /* a lower-case t is allowed to be refused */
            assert_int_equal(back, at - at % MOMENT_SECOND);
    }
}

static void test_forms(void **state)
{
    static const struct {
        const char *text;
        moment at;
    } good[] = {{"2026-11-24T03:04:05Z", INT64_C(1795489445000000)},
                {"2026-11-24T11:04:05+08:00", INT64_C(1795489445000000)},
                {"2026-11-23T22:04:05.5-05:00", INT64_C(1795489445500000)},
                {"2026-11-24T03:04:05.000001Z", INT64_C(1795489445000001)},
                {"2024-02-29T00:00:00Z", INT64_C(1709164800000000)}};
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-11-24",
                                      "2026-11-24T03:04:05",
                                      "2026-11-24 03:04:05",
                                      "2026-13-01T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-02-29T00:00:00Z",
                                      "2026-11-31T00:00:00Z",
                                      "2026-11-24T24:00:00Z",
                                      "2026-11-24T03:60:05Z",
                                      "2026-11-24T03:04:05.Z",
                                      "2026-11-24T03:04:05.1234567Z",
                                      "2026-11-24T03:04:05Zx",
                                      "2026-11-24T03:04:05+0800",
                                      "2026-11-24T03:04:05+24:00",
                                      "1991-09-22T23:59:59Z",
                                      "9999-01-01T00:00:01Z",
                                      "-2026-11-24T03:04:05Z",
                                      "+2026-11-24T03:04:05Z",
                                      "2026-1-24T03:04:05Z",
                                      "0000-00-00T00:00:00Z"};
    moment at = 1;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct error *error = moment_parse(good[i].text, &at);
        if (error)
            fail_msg("%s: %s", good[i].text, error_message(error));
        assert_int_equal(at, good[i].at);
    }
    at = 1;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error *error = moment_parse(bad[i], &at);
        if (!error)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(error_code(error), ERR_INVALID);
        error_free(error);
    }
    assert_int_equal(at, 1);
    static const char *const bad_months[] = {"",        "2026",    "2026-1",   "2026-13", "2026-00",
                                             "1991-12", "9999-01", "2026-11-", "2026/11"};
    for (size_t i = 0; i < sizeof bad_months / sizeof *bad_months; i++) {
        struct month month;
        struct error *error = month_parse(bad_months[i], &month);
        assert_non_null(error);
        error_free(error);
    }
}

static void test_add_months(void **state)
{
    moment end_of_january = by_library(2027, 1, 31) + 13 * MOMENT_HOUR + 7;
    assert_int_equal(moment_add_months(end_of_january, 1), by_library(2027, 2, 28) + 13 * MOMENT_HOUR + 7);
    assert_int_equal(moment_add_months(end_of_january, 13), by_library(2028, 2, 29) + 13 * MOMENT_HOUR + 7);
    assert_int_equal(moment_add_months(end_of_january, -1), by_library(2026, 12, 31) + 13 * MOMENT_HOUR + 7);
    assert_int_equal(moment_add_months(end_of_january, 24), by_library(2029, 1, 31) + 13 * MOMENT_HOUR + 7);
}

static void test_clock(void **state)
{
    struct clock *clock = clock_new(0);
    moment before = clock_now(clock);
    assert_null(clock_set_offset(clock, 40 * MOMENT_DAY));
    moment later = clock_now(clock);
    assert_true(later - before >= 40 * MOMENT_DAY && later - before < 41 * MOMENT_DAY);
    struct error *error = clock_set_offset(clock, 39 * MOMENT_DAY);
    assert_int_equal(error_code(error), ERR_INVALID);
    error_free(error);
    for (int i = 0; i < 1000; i++) {
        moment now = clock_now(clock);
        assert_true(now >= later);
        later = now;
    }
    assert_int_equal(clock_offset(clock), 40 * MOMENT_DAY);
    clock_free(clock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_month),
                                       cmocka_unit_test(test_random_moments), cmocka_unit_test(test_forms),
                                       cmocka_unit_test(test_add_months), cmocka_unit_test(test_clock)};
    return cmocka_run_group_tests(tests, shanghai, NULL);
}
