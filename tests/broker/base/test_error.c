/* broker/base/error: chains, codes, details. */
#include "broker/base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void test_chain(void **state)
{
    struct error *error = error_new(ERR_UNAVAILABLE, "connection %s", "refused");
    error_set_retry_after(error, 7);
    error = error_wrap(error, "could not open %d", 5);
    assert_string_equal(error_message(error), "could not open 5: connection refused");
    error = error_recode(error, ERR_BUSY, "later");
    assert_string_equal(error_message(error), "later: could not open 5: connection refused");
    assert_string_equal(error_message(error), "later: could not open 5: connection refused");
    assert_int_equal(error_code(error), ERR_BUSY);
    assert_int_equal(error_retry_after(error), 7);
    error_free(error);
    assert_null(error_wrap(NULL, "x"));
    assert_null(error_recode(NULL, ERR_IO, "x"));
    assert_null(error_under(NULL, "/x"));
    error_free(NULL);
}

static void test_details(void **state)
{
    struct error *errors = NULL;
    char pointer[16];
    size_t count;
    for (int i = 0; i < ERROR_DETAILS_MAX + 10; i++) {
        pointer[0] = '/';
        pointer[1] = (char)('a' + i % 26);
        pointer[2] = '\0';
        error_collect(&errors, pointer, "rule %d", i);
    }
    errors = error_under(error_wrap(errors, "outer"), "/items/3");
    const struct error_detail *details = error_details(errors, &count);
    assert_int_equal(count, ERROR_DETAILS_MAX);
    assert_string_equal(details[0].pointer, "/items/3/a");
    assert_string_equal(details[27].pointer, "/items/3/b");
    assert_string_equal(details[27].message, "rule 27");
    assert_int_equal(error_code(errors), ERR_INVALID);
    error_free(errors);
    struct error *one = error_member("", "must be an object");
    assert_non_null(strstr(error_message(one), "the body: must be an object"));
    error_free(one);
}

static void test_code_names(void **state)
{
    assert_string_equal(error_code_name(ERR_INVALID), "invalid");
    assert_string_equal(error_code_name(ERR_INTERNAL), "internal");
    assert_string_equal(error_code_name((enum error_code)1000), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chain), cmocka_unit_test(test_details),
                                       cmocka_unit_test(test_code_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
