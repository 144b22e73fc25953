/* Request targets: strict decoding of paths and queries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/http/target.h"

static bool parse(struct arena *arena, const char *text, struct target *ret_target)
{
    struct error *error = target_parse(arena, text, strlen(text), ret_target);
    bool good = !error;
    error_free(error);
    return good;
}

static void test_good(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct target target;
    assert_true(parse(arena, "/v1/units/a%20b?page_size=10&filter=%E4%BA%91+x&flag", &target));
    assert_string_equal(target.path, "/v1/units/a%20b");
    assert_int_equal(target.segment_count, 3);
    assert_memory_equal(target.segments[2].raw, "a%20b", 5);
    assert_int_equal(target.member_count, 3);
    assert_string_equal(target.members[1].name, "filter");
    assert_string_equal(target.members[1].value, "云 x");
    assert_string_equal(target.members[2].value, "");
    assert_true(parse(arena, "/", &target));
    assert_int_equal(target.segment_count, 0);
    assert_false(target.odd);
    assert_true(parse(arena, "/a?", &target));
    assert_int_equal(target.member_count, 0);
}

static void test_odd_paths(void **state)
{
    static const char *const odd[] = {"//",   "/a/",   "/a//b",
                                      "/./a", "/a/..", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"};
    ARENA_AUTO struct arena *arena = arena_new();
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct target target;
        assert_true(parse(arena, odd[i], &target));
        assert_true(target.odd);
    }
}

static void test_bad(void **state)
{
    static const char *const bad[] = {
        "",         "*",          "a/b",          "/a#b",           "/a?b=%",         "/a?b=%4",
        "/a?b=%zz", "/a?b=%00",   "/a?b=%0a",     "/a?b=%ff",       "/a?b=%C0%80",    "/a?b=%ED%A0%80",
        "/a?=1",    "/a?b=1&b=2", "/a?b=1&%62=2", "/a?b=%F5%80%80", "/a?b=%E4%BA",    "/a b",
        "/a?&b=1",  "/\xe4\xba",  "/a?b=%7f",     "/a?b=%c2%85",    "/a?b=%e0%80%80",
    };
    ARENA_AUTO struct arena *arena = arena_new();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct target target;
        if (parse(arena, bad[i], &target))
            fail_msg("accepted: %s", bad[i]);
    }
}

static void test_caps(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct target target;
    char text[HTTP_QUERY_VALUE + 64] = "/a?b=";
    memset(text + 5, 'x', HTTP_QUERY_VALUE);
    assert_true(parse(arena, text, &target));
    memset(text + 5, 'x', HTTP_QUERY_VALUE + 1);
    assert_false(parse(arena, text, &target));
    assert_true(parse(arena, "/a?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p", &target));
    assert_false(parse(arena, "/a?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q", &target));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_odd_paths),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
