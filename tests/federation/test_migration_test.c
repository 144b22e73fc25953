/* What is kept of a test's console, whatever its guest printed. */
#include "federation/migration_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "broker/base/arena.h"

static void keeps(const char *text, size_t length, const char *wanted)
{
    ARENA_AUTO struct arena *arena = arena_new();
    assert_string_equal(migration_test_console(arena, text, length), wanted);
}
#define KEEPS(text, wanted) keeps(text, sizeof(text) - 1, wanted)

static void only_text_is_kept(void **state)
{
    KEEPS("", "");
    KEEPS("login: \ttab\n", "login: \ttab\n");
    KEEPS("\r\nDebian\r\n", "\nDebian\n");
    KEEPS("\033[2J\033[1;31mred\033[0m\033cplain", "redplain");
    KEEPS("a\0b\007c\177d", "abcd");
    KEEPS("\033", "");
    KEEPS("x\033[12;", "x"); /* a sequence that is cut off */
    KEEPS("系统就绪", "系统就绪");
    KEEPS("a\xff\xc0\xaf\xed\xa0\x80\xf5z", "az"); /* no UTF-8: overlong, surrogates, beyond */
    KEEPS("ab\xe7\xb3", "ab");                     /* a character that is cut off */
}

static void the_last_lines_are_kept(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char *text = arena_alloc(arena, 3 * MIGRATION_TEST_CONSOLE_MAX);
    memset(text, 'x', 3 * MIGRATION_TEST_CONSOLE_MAX);
    for (size_t i = 99; i < 3 * MIGRATION_TEST_CONSOLE_MAX; i += 100)
        text[i] = '\n';
    const char *kept = migration_test_console(arena, text, 3 * MIGRATION_TEST_CONSOLE_MAX);
    assert_in_range(strlen(kept), MIGRATION_TEST_CONSOLE_MAX - 100, MIGRATION_TEST_CONSOLE_MAX);
    assert_int_equal(strcspn(kept, "\n"), 99); /* begins with a whole line */
    for (size_t i = 0; i + 3 <= 3 * MIGRATION_TEST_CONSOLE_MAX; i += 3)
        memcpy(text + i, "云", 3); /* one line alone */
    kept = migration_test_console(arena, text, 3 * MIGRATION_TEST_CONSOLE_MAX);
    assert_in_range(strlen(kept), MIGRATION_TEST_CONSOLE_MAX - 2, MIGRATION_TEST_CONSOLE_MAX);
    assert_memory_equal(kept, "云", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_text_is_kept),
        cmocka_unit_test(the_last_lines_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
