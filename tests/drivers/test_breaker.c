/* drivers/breaker: the breaker's and the bucket's states, walked with a clock in hand. */
#include "drivers/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const struct gate_limits limits = {
    .breaker_failures = 2, .breaker_open_us = 100, .breaker_open_max_us = 350, .denied_us = 1000};

static void test_opens_doubles_and_closes(void **state)
{
    struct breaker breaker;
    bool probe;
    breaker_init(&breaker, &limits, 0);
    assert_true(breaker_ask(&breaker, 0, &probe));
    assert_false(probe);
    breaker_tell(&breaker, 1, false, BREAKER_FAILED, "one");
    assert_int_equal(breaker.state, GATE_CLOSED);
    breaker_tell(&breaker, 2, false, BREAKER_FAILED, "two");
    assert_int_equal(breaker.state, GATE_OPEN);
    assert_string_equal(breaker.last_error, "two");
    static const int64_t pauses[] = {100, 200, 350, 350};
    int64_t now = 2;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(breaker_retry_in(&breaker, now), pauses[i]);
        assert_false(breaker_ask(&breaker, now + pauses[i] - 1, &probe));
        now += pauses[i];
        assert_true(breaker_ask(&breaker, now, &probe));
        assert_true(probe);
        assert_false(breaker_ask(&breaker, now, &probe)); /* one at a time */
        breaker_tell(&breaker, now, true, BREAKER_FAILED, "again");
        assert_int_equal(breaker.state, GATE_OPEN);
    }
    now += 350;
    assert_true(breaker_ask(&breaker, now, &probe));
    breaker_tell(&breaker, now, true, BREAKER_WORKED, NULL);
    assert_int_equal(breaker.state, GATE_CLOSED);
    assert_int_equal(breaker_retry_in(&breaker, now), 0);
    breaker_tell(&breaker, now, false, BREAKER_FAILED, "three");
    breaker_tell(&breaker, now, false, BREAKER_FAILED, "four");
    assert_int_equal(breaker_retry_in(&breaker, now), 100); /* the doubling is forgotten */
    breaker_done(&breaker);
}

static void test_a_silent_probe_lets_the_next_try(void **state)
{
    struct breaker breaker;
    bool probe;
    breaker_init(&breaker, &limits, 0);
    breaker_tell(&breaker, 0, false, BREAKER_FAILED, "a");
    breaker_tell(&breaker, 0, false, BREAKER_FAILED, "b");
    assert_true(breaker_ask(&breaker, 100, &probe));
    breaker_tell(&breaker, 101, true, BREAKER_SILENT, NULL);
    assert_true(breaker_ask(&breaker, 101, &probe));
    assert_true(probe);
    breaker_done(&breaker);
}

static void test_late_failures_do_not_prolong(void **state)
{
    struct breaker breaker;
    breaker_init(&breaker, &limits, 0);
    for (int i = 0; i < 10; i++)
        breaker_tell(&breaker, i, false, BREAKER_FAILED, "x");
    assert_int_equal(breaker.until, 101);                    /* from the second one */
    breaker_tell(&breaker, 10, false, BREAKER_WORKED, NULL); /* a call that was under way came back well */
    assert_int_equal(breaker.state, GATE_CLOSED);
    breaker_done(&breaker);
}

static void test_one_refused_logon_is_enough(void **state)
{
    struct breaker breaker;
    bool probe;
    breaker_init(&breaker, &limits, 0);
    breaker_tell(&breaker, 0, false, BREAKER_DENIED, "wrong password");
    assert_int_equal(breaker.state, GATE_DENIED);
    assert_false(breaker_ask(&breaker, 999, &probe));
    assert_true(breaker_ask(&breaker, 1000, &probe));
    breaker_tell(&breaker, 1000, true, BREAKER_DENIED, "wrong password");
    assert_int_equal(breaker.state, GATE_DENIED);
    assert_false(breaker_ask(&breaker, 1999, &probe));
    breaker_done(&breaker);
}

static void test_bucket(void **state)
{
    struct bucket bucket;
    bucket_init(&bucket, 10, 3, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(bucket_take(&bucket, 0), 0);
    assert_int_equal(bucket_take(&bucket, 0), 100000);
    assert_int_equal(bucket_take(&bucket, 99999), 1);
    assert_int_equal(bucket_take(&bucket, 100000), 0);
    assert_int_equal(bucket_take(&bucket, 100000), 100000);
    /* A long pause, also one that would overflow a product, saves up no more than the burst. */
    for (int i = 0; i < 3; i++)
        assert_int_equal(bucket_take(&bucket, INT64_MAX), 0);
    assert_int_equal(bucket_take(&bucket, INT64_MAX), 100000);
    /* Never more than burst + rate × time, however the calls come. */
    bucket_init(&bucket, 7, 2, 0);
    int taken = 0;
    for (int64_t now = 0; now <= 10000000; now += 1237)
        taken += bucket_take(&bucket, now) == 0;
    assert_in_range(taken, 70, 72);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_doubles_and_closes),
        cmocka_unit_test(test_a_silent_probe_lets_the_next_try),
        cmocka_unit_test(test_late_failures_do_not_prolong),
        cmocka_unit_test(test_one_refused_logon_is_enough),
        cmocka_unit_test(test_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
