/* broker/base/json: what is read, what is refused and with which pointer, names and text that try to break
 * the answer. */
#include "broker/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "broker/base/moment.h"

struct part {
    const char *name;
    int64_t count;
};
static const struct json_member part_members[] = {
    {.name = "name", .want = JSON_WANT_NAME, .offset = offsetof(struct part, name), .flags = JSON_REQUIRED},
    {.name = "count", .want = JSON_WANT_INT, .offset = offsetof(struct part, count), .min = 1, .max = 16}};
static const struct json_spec part_spec = JSON_SPEC(struct part, part_members);
struct whole {
    const char *text, *id, *color;
    bool on;
    int64_t price, amount;
    moment at;
    struct month month;
    struct part part;
    struct json_list parts;
    struct json_texts tags;
    struct json_ints steps;
    const json_t *any;
};
static const char *const colors[] = {"red", "green", NULL};
#define AT(field) .name = #field, .offset = offsetof(struct whole, field)
static const struct json_member whole_members[] = {
    {AT(text), .want = JSON_WANT_TEXT, .min = 1, .max = 5},
    {AT(id), .want = JSON_WANT_UUID, .flags = JSON_NULLABLE},
    {AT(color), .want = JSON_WANT_CHOICE, .choices = colors},
    {AT(on), .want = JSON_WANT_BOOL},
    {AT(price), .want = JSON_WANT_YUAN, .min = 1, .max = 10000},
    {AT(amount), .want = JSON_WANT_QUANTITY},
    {AT(at), .want = JSON_WANT_MOMENT},
    {AT(month), .want = JSON_WANT_MONTH},
    {AT(part), .want = JSON_WANT_OBJECT, .spec = &part_spec},
    {AT(parts), .want = JSON_WANT_LIST, .spec = &part_spec, .max = 2},
    {AT(tags), .want = JSON_WANT_TEXTS, .min = 1, .max = 3},
    {AT(steps), .want = JSON_WANT_INTS, .min = 1, .max = 3},
    {AT(any), .want = JSON_WANT_ANY}};
static const struct json_spec whole_spec = JSON_SPEC(struct whole, whole_members);

static struct arena *arena;

static int setup(void **state)
{
    arena = arena_new();
    return 0;
}

static int teardown(void **state)
{
    arena_free(arena);
    return 0;
}

static struct error *read_whole(const char *text, struct whole *whole)
{
    json_t *json;
    struct error *error = json_parse_in(arena, text, strlen(text), &json);
    return error ? error : json_read(arena, json, &whole_spec, whole);
}

static void test_reads_everything(void **state)
{
    struct whole whole = {.color = "default"};
    assert_null(read_whole(
        "{\"text\":\"\xe4\xba\x91\xe6\xa1\xa5\xe4\xba\x91\xe6\xa1\xa5!\",\"id\":null,\"on\":true,"
        "\"price\":\"14.02\",\"amount\":\"0.000001\",\"at\":\"2026-11-24T11:04:05+08:00\",\"month\":\"2026-"
        "11\","
        "\"part\":{\"name\":\"a\",\"count\":16},\"parts\":[{\"name\":\"b\"},{\"name\":\"c\",\"count\":2}],"
        "\"tags\":[\"x\"],\"steps\":[-7,9],\"any\":{\"free\":[1]}}",
        &whole));
    assert_string_equal(whole.color, "default");
    assert_null(whole.id);
    assert_true(whole.on);
    assert_int_equal(whole.price, 1402);
    assert_int_equal(whole.amount, 1);
    assert_int_equal(whole.at, INT64_C(1795489445000000));
    assert_int_equal(whole.month.month, 11);
    assert_int_equal(whole.part.count, 16);
    const struct part *parts = whole.parts.items;
    assert_int_equal(whole.parts.count, 2);
    assert_int_equal(parts[0].count, 0);
    assert_string_equal(parts[1].name, "c");
    assert_string_equal(whole.tags.items[0], "x");
    assert_int_equal(whole.steps.count, 2);
    assert_int_equal(whole.steps.items[0], -7);
}

static void test_names_each_violation(void **state)
{
    static const struct {
        const char *text, *pointer;
    } bad[] = {{"{\"text\":1}", "/text"},
               {"{\"text\":\"\"}", "/text"},
               {"{\"text\":\"123456\"}", "/text"},
               {"{\"text\":\"a\\u0001\"}", "/text"},
               {"{\"text\":null}", "/text"},
               {"{\"id\":\"0192F0C1-2b3c-7d4e-8f50-a1b2c3d4e5f6\"}", "/id"},
               {"{\"color\":\"blue\"}", "/color"},
               {"{\"on\":1}", "/on"},
               {"{\"price\":14.02}", "/price"},
               {"{\"price\":\"14.025\"}", "/price"},
               {"{\"price\":\"100.01\"}", "/price"},
               {"{\"price\":\"0\"}", "/price"},
               {"{\"amount\":\"0.0000001\"}", "/amount"},
               {"{\"at\":\"yesterday\"}", "/at"},
               {"{\"month\":\"2026-13\"}", "/month"},
               {"{\"part\":{}}", "/part/name"},
               {"{\"part\":[]}", "/part"},
               {"{\"part\":{\"name\":\"a\",\"count\":17}}", "/part/count"},
               {"{\"part\":{\"name\":\"a\",\"count\":1.0}}", "/part/count"},
               {"{\"parts\":[{\"name\":\"a\"},{\"name\":\"-\"}]}", "/parts/1/name"},
               {"{\"parts\":[{},{},{}]}", "/parts"},
               {"{\"tags\":[]}", "/tags"},
               {"{\"steps\":[]}", "/steps"},
               {"{\"steps\":[1,2,3,4]}", "/steps"},
               {"{\"steps\":[1,\"2\"]}", "/steps/1"},
               {"{\"steps\":[1.5]}", "/steps/0"},
               {"{\"tags\":[\"a\",7]}", "/tags/1"},
               {"{\"any\":[]}", "/any"},
               {"{\"a/b~c\":1}", "/a~1b~0c"},
               {"[]", ""}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct whole whole = {.text = NULL};
        struct error *error = read_whole(bad[i].text, &whole);
        size_t count = 0;
        if (!error)
            fail_msg("taken: %s", bad[i].text);
        assert_int_equal(error_code(error), ERR_INVALID);
        const struct error_detail *details = error_details(error, &count);
        assert_int_equal(count, 1);
        assert_string_equal(details[0].pointer, bad[i].pointer);
        error_free(error);
    }
    struct whole whole = {.text = NULL};
    struct error *error = read_whole("{\"text\":1,\"on\":1,\"x\":1,\"y\":1}", &whole);
    size_t count;
    (void)error_details(error, &count);
    assert_int_equal(count, 4); /* all at once */
    error_free(error);
}

static void test_parse_limits(void **state)
{
    static const char *const bad[] = {"",
                                      "{",
                                      "{} {}",
                                      "{\"a\":1,\"a\":2}",
                                      "nul",
                                      "[1,]",
                                      "\"\xff\"",
                                      "{\"a\":\"\\ud800\"}",
                                      "[99999999999999999999]",
                                      "[1e999]",
                                      "{\"a\":[{\"b\":1e308}]}",
                                      "[-9.3e18]",
                                      "{\"a\\u0000b\":1}"};
    json_t *json;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error *error = json_parse(bad[i], strlen(bad[i]), &json);
        if (!error)
            fail_msg("taken: %s", bad[i]);
        error_free(error);
    }
    char deep[2 * (JSON_DEPTH_MAX + 1)];
    memset(deep, '[', JSON_DEPTH_MAX + 1);
    memset(deep + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    struct error *error = json_parse(deep, sizeof deep, &json);
    assert_non_null(strstr(error_message(error), "deeper"));
    error_free(error);
    assert_null(json_parse(deep + 1, sizeof deep - 2, &json));
    json_decref(json);
}

/* A long unknown name is cut in the pointer, and never within a character: the pointer goes into an answer.
 */
static void test_long_names_stay_text(void **state)
{
    for (size_t ascii = 55; ascii < 66; ascii++) {
        char text[200] = "{\"";
        memset(text + 2, 'n', ascii);
        strncat(text, "\xe4\xba\x91\xf0\x9f\x8c\x89\xc3\xa9\":1}", 20);
        struct whole whole = {.text = NULL};
        struct error *error = read_whole(text, &whole);
        size_t count;
        const struct error_detail *details = error_details(error, &count);
        json_t *answer = json_string(details[0].pointer); /* NULL when it is not UTF-8 */
        assert_non_null(answer);
        json_decref(answer);
        error_free(error);
    }
}

static void test_builders(void **state)
{
    json_t *json = json_hold(arena, json_object());
    json_put_yuan(json, "yuan", -105);
    json_put_quantity(json, "quantity", 500000);
    json_put_moment(json, "at", 1795489445000001);
    json_put_text(json, "absent", NULL);
    json_put_text(json, "broken", "a\xff\xe4\xba\x91\xe4"); /* a provider's bytes do not end the process */
    json_put_int(json, "int", INT64_MIN);
    json_put_bool(json, "bool", false);
    const char *text = json_canonical(arena, json);
    assert_non_null(strstr(text, "\"at\":\"2026-11-24T03:04:05.000001Z\",\"bool\":false,\"broken\":\"a"));
    assert_non_null(strstr(text, "\"int\":-9223372036854775808,\"quantity\":\"0.5\",\"yuan\":\"-1.05\"}"));
    assert_null(strstr(text, "absent"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {CASE(test_reads_everything), CASE(test_names_each_violation),
                                       CASE(test_parse_limits), CASE(test_long_names_stay_text),
                                       CASE(test_builders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
