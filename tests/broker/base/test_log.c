/* broker/base/log: every line is one JSON object, whatever is in its fields. */
#include "broker/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/json.h"

static char captured[65536];

/* What log_write puts on standard error. */
static void capture(const char *event, const char *text, int64_t integer)
{
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    assert_non_null(file);
    assert_true(saved >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    log_info(event, LOG_TEXT("text", text), LOG_INT("integer", integer));
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    assert_int_equal(close(saved), 0);
    rewind(file);
    size_t length = fread(captured, 1, sizeof captured - 1, file);
    captured[length] = '\0';
    assert_int_equal(fclose(file), 0);
}

static json_t *parsed(struct arena *arena)
{
    json_t *json;
    size_t length = strlen(captured);
    assert_true(length && captured[length - 1] == '\n');
    assert_ptr_equal(strchr(captured, '\n'), captured + length - 1); /* one line */
    assert_null(json_parse_in(arena, captured, length, &json));
    return json;
}

static void test_lines(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    static const char nasty[] = "a\"b\\c\nd\te\x01\x7f \xe4\xba\x91";
    capture("some.event", nasty, INT64_MIN);
    json_t *json = parsed(arena);
    assert_string_equal(json_string_value(json_object_get(json, "text")), nasty);
    assert_string_equal(json_string_value(json_object_get(json, "event")), "some.event");
    assert_string_equal(json_string_value(json_object_get(json, "level")), "info");
    assert_int_equal(json_integer_value(json_object_get(json, "integer")), INT64_MIN);
    capture("e", NULL, 0);
    assert_string_equal(json_string_value(json_object_get(parsed(arena), "text")), "-");
    for (size_t size = 16000; size < 16500; size++) { /* around the longest line */
        char *text = arena_alloc(arena, size + 1);
        memset(text, size % 2 ? 'x' : '"', size);
        capture("e", text, 1);
        (void)parsed(arena);
    }
}

static void test_levels(void **state)
{
    enum log_level level;
    log_set_level(LOG_WARNING);
    capture("e", "x", 1);
    assert_string_equal(captured, "");
    log_set_level(LOG_INFO);
    assert_null(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_DEBUG);
    struct error *error = log_level_parse("loud", &level);
    assert_int_equal(error_code(error), ERR_INVALID);
    error_free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_levels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
