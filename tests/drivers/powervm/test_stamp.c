/* Ids in names, both ways, and what is not the broker's. */
#include "drivers/powervm/stamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "broker/base/id.h"
#include "drivers/powervm/powervm.h"
#include "drivers/registry.h"

static void test_there_and_back(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    for (int i = 0; i < 2000; i++) {
        char id[ID_TEXT];
        id_new(id);
        const char *name = stamp_partition(arena, id);
        assert_int_equal(strlen(name), 29); /* of 31 allowed */
        assert_string_equal(stamp_of_partition(arena, name), id);
        assert_string_equal(stamp_of_unit(arena, STAMP_VOLUME, stamp_unit(arena, STAMP_VOLUME, id)), id);
        assert_null(stamp_of_unit(arena, STAMP_BOOT, stamp_unit(arena, STAMP_VOLUME, id)));
    }
    /* as Python's base64.b32encode(uuid.bytes) has it */
    assert_string_equal(stamp_partition(arena, "018f3a5c-7b1d-7c3e-9a4f-0123456789ab"),
                        "yq-aghtuxd3dv6d5gspaerukz4jvm");
}

static void test_foreign_names(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    static const char *const names[] = {"",
                                        "yq-",
                                        "vios1",
                                        "yq-aghtuxd3dv6d5gspaerukz4jv",
                                        "yq-aghtuxd3dv6d5gspaerukz4jvma",
                                        "yq-aghtuxd3dv6d5gspaerukz4jvn", /* bits that no id has */
                                        "yq-aghtuxd3dv6d5gspaerukz4jv1",
                                        "YQ-aghtuxd3dv6d5gspaerukz4jvm"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_null(stamp_of_partition(arena, names[i]));
    assert_null(stamp_of_partition(arena, NULL));
    static const char *const units[] = {"", "yqv-", "yqv-018f3a5c",
                                        "yqv-018F3A5C-7B1D-7C3E-9A4F-0123456789AB", "rhel-9.4"};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        assert_null(stamp_of_unit(arena, STAMP_VOLUME, units[i]));
    assert_null(stamp_of_unit(arena, STAMP_VOLUME, NULL));
}

static void test_the_table_keeps_the_contract(void **state)
{
    struct error *error = driver_check(&powervm_driver);
    if (error)
        fail_msg("%s", error_message(error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_foreign_names),
        cmocka_unit_test(test_the_table_keeps_the_contract),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
