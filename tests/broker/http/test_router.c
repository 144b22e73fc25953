/* Route tables: which route answers which path, and which tables are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/http/router.h"

static struct error *handler(struct http_call *call, struct http_answer *ret_answer)
{
    (void)call, (void)ret_answer;
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/", handler, "p", 0, NULL},
    {"GET", "/v1/instances", handler, "p", 0, "page_size,page_token"},
    {"POST", "/v1/instances", handler, "p", HTTP_KEYED, NULL},
    {"GET", "/v1/instances/{id}", handler, "p", 0, NULL},
    {"PATCH", "/v1/instances/{id}", handler, "p", 0, NULL},
    {"DELETE", "/v1/instances/{id}", handler, "p", 0, NULL},
    {"GET", "/v1/instances/newest", handler, "p", 0, NULL},
    {"POST", "/v1/instances/{id}:start", handler, "p", HTTP_NO_BODY, NULL},
    {"POST", "/v1/instances/{id}:stop", handler, "p", HTTP_NO_BODY, NULL},
    {"GET", "/v1/{kind}/{id}/{part}", handler, "p", 0, NULL},
    {"GET", "/v1/units/{unit}/systems", handler, "p", 0, NULL},
    {"GET", "/v1/openapi.yaml", handler, NULL, HTTP_PUBLIC, NULL},
};
static const struct http_table table = HTTP_TABLE(routes);
static const struct http_table *const tables[] = {&table};

struct expectation {
    const char *method, *path;
    int route;         /* index, -1: none there, -2: other methods only */
    const char *value; /* of the first parameter */
};

static void test_find(void **state)
{
    static const struct expectation expectations[] = {
        {"GET", "/", 0, NULL},
        {"GET", "/v1/instances", 1, NULL},
        {"HEAD", "/v1/instances", 1, NULL},
        {"POST", "/v1/instances", 2, NULL},
        {"PUT", "/v1/instances", -2, NULL},
        {"GET", "/v1/instances/i-1", 3, "i-1"},
        {"GET", "/v1/instances/a%3Ab", 3, "a:b"},
        {"DELETE", "/v1/instances/x", 5, "x"},
        {"GET", "/v1/instances/newest", 6, NULL},
        {"PATCH", "/v1/instances/newest", -2, NULL},
        {"POST", "/v1/instances/i-1:start", 7, "i-1"},
        {"POST", "/v1/instances/i-1:stop", 8, "i-1"},
        {"GET", "/v1/instances/i-1:stop", -2, "i-1"},
        {"POST", "/v1/instances/i-1:fly", -1, NULL},
        {"POST", "/v1/instances/:start", -1, NULL},
        {"GET", "/v1/units/u/systems", 10, "u"},
        {"GET", "/v1/units/u/other", 9, "units"},
        {"GET", "/v1/openapi.yaml", 11, NULL},
        {"GET", "/v1/openapiXyaml", -1, NULL},
        {"GET", "/v1/instances/", -1, NULL},
        {"GET", "/v2/instances", -1, NULL},
        {"GET", "/v1", -1, NULL},
    };
    struct router *router;
    assert_null(router_new(tables, 1, &router));
    for (size_t i = 0; i < sizeof expectations / sizeof *expectations; i++) {
        const struct expectation *want = &expectations[i];
        ARENA_AUTO struct arena *arena = arena_new();
        struct target target;
        struct router_match match = {0};
        assert_null(target_parse(arena, want->path, strlen(want->path), &target));
        struct error *error = router_find(router, arena, want->method, &target, &match);
        int got = error ? -1 : match.route ? (int)(match.route - routes) : -2;
        if (got != want->route)
            fail_msg("%s %s: route %d, wanted %d", want->method, want->path, got, want->route);
        if (error)
            assert_int_equal(error_code(error), ERR_NOT_FOUND);
        if (want->value)
            assert_string_equal(match.values[0], want->value);
        error_free(error);
    }
    router_free(router);
}

static void test_allow(void **state)
{
    struct router *router;
    ARENA_AUTO struct arena *arena = arena_new();
    struct target target;
    struct router_match match;
    assert_null(router_new(tables, 1, &router));
    assert_null(target_parse(arena, "/v1/instances/a", 15, &target));
    assert_null(router_find(router, arena, "PUT", &target, &match));
    assert_null(match.route);
    assert_string_equal(match.allow, "DELETE, GET, HEAD, PATCH, OPTIONS");
    router_free(router);
}

static void test_bad_parameter(void **state)
{
    static const char *const bad[] = {"/v1/instances/%zz", "/v1/instances/a%2Fb", "/v1/instances/%00"};
    struct router *router;
    assert_null(router_new(tables, 1, &router));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ARENA_AUTO struct arena *arena = arena_new();
        struct target target;
        struct router_match match;
        assert_null(target_parse(arena, bad[i], strlen(bad[i]), &target));
        struct error *error = router_find(router, arena, "GET", &target, &match);
        assert_non_null(error);
        assert_int_equal(error_code(error), ERR_INVALID);
        error_free(error);
    }
    router_free(router);
}

static void refused(const struct http_route *one, size_t count)
{
    const struct http_table bad = {one, count};
    const struct http_table *const list[] = {&bad};
    struct router *router = NULL;
    struct error *error = router_new(list, 1, &router);
    if (!error)
        fail_msg("accepted: %s %s", one->method, one->pattern);
    assert_int_equal(error_code(error), ERR_INVALID);
    assert_non_null(strstr(error_message(error), "route "));
    error_free(error);
}

static void test_refused(void **state)
{
    static const struct http_route bad[] = {
        {"GET", "v1", handler, "p", 0, NULL},
        {"GET", "/v1/", handler, "p", 0, NULL},
        {"GET", "/v1//x", handler, "p", 0, NULL},
        {"GET", "/v1/{}", handler, "p", 0, NULL},
        {"GET", "/v1/{ID}", handler, "p", 0, NULL},
        {"GET", "/v1/x", NULL, "p", 0, NULL},
        {"GET", "/v1/x", handler, NULL, 0, NULL},
        {"FLY", "/v1/x", handler, "p", 0, NULL},
        {"PUT", "/v1/x", handler, "p", HTTP_KEYED, NULL},
        {"POST", "/v1/x", handler, "p", HTTP_NO_DB, NULL},
        {"POST", "/v1/x", handler, "p", HTTP_EVENTS | HTTP_KEYED, NULL},
        {"GET", "/v1/x", handler, "p", HTTP_EVENTS, NULL},
        {"GET", "/v1/x", handler, "p", HTTP_BYTES, NULL},
        {"POST", "/v1/x", handler, "p", HTTP_BYTES | HTTP_KEYED, NULL},
        {"GET", "/v1/{a}/{b}/{c}/{d}/{e}/{f}/{g}", handler, "p", 0, NULL},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(&bad[i], 1);
    static const struct http_route twice[] = {{"GET", "/v1/{id}", handler, "p", 0, NULL},
                                              {"GET", "/v1/{id}", handler, "p", 0, NULL}};
    refused(twice, 2);
    static const struct http_route two_names[] = {{"GET", "/v1/{id}", handler, "p", 0, NULL},
                                                  {"POST", "/v1/{name}", handler, "p", 0, NULL}};
    refused(two_names, 2);
}

static void test_takes(void **state)
{
    assert_true(router_takes(&routes[1], "page_size"));
    assert_true(router_takes(&routes[1], "page_token"));
    assert_false(router_takes(&routes[1], "page"));
    assert_false(router_takes(&routes[1], ""));
    assert_false(router_takes(&routes[0], "page_size"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),    cmocka_unit_test(test_allow), cmocka_unit_test(test_bad_parameter),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
