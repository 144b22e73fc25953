/* Text written straight is what a tree of the same would say. */
#include "broker/base/json_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "broker/base/json.h"

static void the_text_is_that_of_a_tree(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",  "plain", "a \"quote\"", "back\\slash", "tab\tline\n", "\x01\x1f\x7f", "云桥", "é \"云\"", "/",
        "[", "{"};
    BUF_AUTO struct buf buf = BUF_INIT(65536);
    json_t *tree = json_object(), *rows = json_array(), *rest = json_pack("{s:i, s:[s]}", "n", 7, "m", "x");
    json_put(tree, "rows", rows);
    json_write_object(&buf, NULL);
    json_write_array(&buf, "rows");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *row = json_object();
        json_put_text(row, "text", texts[i]);
        json_put_text(row, "none", NULL);
        json_put_int(row, "int", i % 2 ? INT64_MIN : INT64_MAX);
        json_put_yuan(row, "yuan", -5);
        json_push(rows, row);
        json_write_object(&buf, NULL);
        json_write_text(&buf, "text", texts[i]);
        json_write_text(&buf, "none", NULL);
        json_write_int(&buf, "int", i % 2 ? INT64_MIN : INT64_MAX);
        json_write_yuan(&buf, "yuan", -5);
        json_write_object_end(&buf);
    }
    json_write_array_end(&buf);
    json_t *empty = json_object();
    json_write_members(&buf, empty);
    json_write_members(&buf, rest);
    json_write_object_end(&buf);
    assert_int_equal(json_object_update(tree, rest), 0);
    char *wanted = json_dumps(tree, JSON_COMPACT);
    assert_string_equal(buf_text(&buf), wanted);
    free(wanted);
    json_decref(empty);
    json_decref(rest);
    json_decref(tree);
}

static void what_is_not_utf_8_becomes_ascii(void **state)
{
    (void)state;
    BUF_AUTO struct buf buf = BUF_INIT(64);
    json_write_array(&buf, NULL);
    json_write_text(&buf, NULL, "a\xffz");
    json_write_text(&buf, NULL, "b");
    json_write_array_end(&buf);
    assert_string_equal(buf_text(&buf), "[\"a?z\",\"b\"]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_is_that_of_a_tree),
        cmocka_unit_test(what_is_not_utf_8_becomes_ascii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
