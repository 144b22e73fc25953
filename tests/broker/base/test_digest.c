/* broker/base/digest and id: published vectors, random round trips, one text for each value. */
#include "broker/base/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/id.h"

static void test_vectors(void **state)
{
    char hex[DIGEST_HEX];
    digest_sha256("abc", 3, hex); /* FIPS 180-4 */
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_sm3("abc", 3, hex); /* GB/T 32905-2016, A.1 */
    assert_string_equal(hex, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
    char long_text[65] = "";
    for (int i = 0; i < 16; i++)
        memcpy(long_text + (size_t)i * 4, "abcd", 4);
    digest_sm3(long_text, 64, hex); /* A.2 */
    assert_string_equal(hex, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732");
    struct digest_sm3 *pieces = digest_sm3_begin();
    for (size_t at = 0, size = 0; at < 64; at += size, size = (size + 1) % 9)
        digest_sm3_add(pieces, long_text + at, at + size < 64 ? size : 64 - at);
    digest_sm3_end(pieces, hex);
    assert_string_equal(hex, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732");
    digest_sm3_end(digest_sm3_begin(), NULL);
    digest_sm3_end(NULL, hex);
}

static void test_base64url(void **state)
{
    struct arena *arena = arena_new();
    static const char *const pairs[][2] = {{"", ""},        {"f", "Zg"},        {"fo", "Zm8"},
                                           {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"\xff\xef\xbe", "_---"}};
    static const char *const bad[] = {
        "A", "Zh", "Zm9", "Zg==", "Zm 9v", "+/+/", "Zm9v\n", "\xc3\xa9\xc3\xa9"};
    unsigned char *bytes;
    size_t length = 0;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_string_equal(base64url_encode(arena, pairs[i][0], strlen(pairs[i][0])), pairs[i][1]);
        assert_null(base64url_decode(arena, pairs[i][1], strlen(pairs[i][1]), &bytes, &length));
        assert_int_equal(length, strlen(pairs[i][0]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error *error = base64url_decode(arena, bad[i], strlen(bad[i]), &bytes, &length);
        if (!error)
            fail_msg("taken: %s", bad[i]);
        error_free(error);
    }
    for (size_t size = 0; size < 300; size++) {
        unsigned char random[300];
        random_bytes(random, size);
        const char *text = base64url_encode(arena, random, size);
        assert_null(base64url_decode(arena, text, strlen(text), &bytes, &length));
        assert_int_equal(length, size);
        assert_true(digest_equal(bytes, random, size));
    }
    assert_false(digest_equal("a", "b", 1));
    arena_free(arena);
}

static void test_ids(void **state)
{
    char last[ID_TEXT] = "", id[ID_TEXT];
    for (int i = 0; i < 5000; i++) {
        id_new(id);
        assert_true(id_valid(id));
        assert_int_equal(id[14], '7');
        assert_non_null(strchr("89ab", id[19]));
        assert_string_not_equal(id, last);
        assert_true(strncmp(id, last, 13) >= 0); /* the milliseconds do not go back */
        memcpy(last, id, sizeof id);
    }
    static const char *const bad[] = {"",
                                      "0192f0c1-2b3c-7d4e-8f50-a1b2c3d4e5f",
                                      "0192f0c1-2b3c-7d4e-8f50-a1b2c3d4e5f66",
                                      "0192F0C1-2b3c-7d4e-8f50-a1b2c3d4e5f6",
                                      "0192f0c12b3c7d4e8f50a1b2c3d4e5f6",
                                      "0192f0c1-2b3c-7d4e-8f50-a1b2c3d4e5fg",
                                      "0192f0c1-2b3c-7d4e-8f50_a1b2c3d4e5f6"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(id_valid(bad[i]));
    assert_true(name_valid("a", 63));
    assert_true(name_valid("a-b-0", 5));
    static const char *const bad_names[] = {"", "-a", "a-", "A", "a_b", "a b", "abcdef"};
    for (size_t i = 0; i < sizeof bad_names / sizeof *bad_names; i++)
        assert_false(name_valid(bad_names[i], 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_base64url),
                                       cmocka_unit_test(test_ids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
