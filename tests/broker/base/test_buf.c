/* broker/base/buf and arena: caps, growth, order of release. */
#include "broker/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"

static void test_cap(void **state)
{
    BUF_AUTO struct buf buf = BUF_INIT(10);
    char *text = NULL;
    assert_string_equal(buf_text(&buf), "");
    buf_puts(&buf, "12345");
    buf_printf(&buf, "%s", "67890");
    assert_string_equal(buf_text(&buf), "1234567890");
    assert_false(buf_overflowed(&buf));
    buf_putc(&buf, 'x');
    assert_true(buf_overflowed(&buf));
    assert_string_equal(buf_text(&buf), "1234567890");
    struct error *error = buf_take(&buf, "the answer", &text);
    assert_int_equal(error_code(error), ERR_TOO_LARGE);
    assert_non_null(strstr(error_message(error), "the answer"));
    error_free(error);
    buf_clear(&buf);
    buf_append(&buf, "a\0b", 3);
    assert_int_equal(buf.length, 3);
    assert_null(buf_take(&buf, "x", &text));
    assert_memory_equal(text, "a\0b", 4);
    free(text);
    assert_null(buf_reserve(&buf, SIZE_MAX));
}

static void test_random_use(void **state)
{
    BUF_AUTO struct buf buf = BUF_INIT(100000);
    char model[100001];
    size_t length = 0;
    srandom(5);
    for (int i = 0; i < 20000; i++) {
        char bytes[64];
        size_t count = (size_t)random() % sizeof bytes;
        memset(bytes, 'a' + i % 26, sizeof bytes);
        if (random() % 3 == 0 && length) {
            size_t drop = (size_t)random() % length;
            memmove(model, model + drop, length - drop);
            length -= drop;
            buf_consume(&buf, drop);
        } else if (length + count <= 100000) {
            memcpy(model + length, bytes, count);
            length += count;
            buf_append(&buf, bytes, count);
        }
        assert_int_equal(buf.length, length);
    }
    assert_memory_equal(buf_text(&buf), model, length);
    assert_false(buf_overflowed(&buf));
}

static int released[3], order;

static void release(void *object)
{
    *(int *)object = ++order;
}

static void test_arena(void **state)
{
    struct arena *arena = arena_new();
    unsigned char *last = NULL;
    for (size_t size = 1; size < 300000; size = size * 2 + 1) {
        unsigned char *memory = arena_alloc(arena, size);
        assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0xff, size);
        assert_ptr_not_equal(memory, last);
        last = memory;
    }
    assert_string_equal(arena_printf(arena, "%s-%d", "x", 5), "x-5");
    assert_string_equal(arena_strndup(arena, "abcdef", 3), "abc");
    assert_null(arena_strdup(arena, NULL));
    for (size_t i = 0; i < 3; i++)
        arena_defer(arena, release, &released[i]);
    arena_reset(arena);
    assert_int_equal(released[2], 1); /* the latest first */
    assert_int_equal(released[0], 3);
    assert_int_equal(arena_used(arena), 0);
    const unsigned char *again = arena_alloc(arena, 64);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(again[i], 0); /* also where old contents were */
    arena_free(arena);
    assert_int_equal(order, 3); /* once */
    arena_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cap), cmocka_unit_test(test_random_use),
                                       cmocka_unit_test(test_arena)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
