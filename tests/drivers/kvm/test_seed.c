/* The seed, read back by another implementation of FAT (mtools). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above before it. */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/kvm/seed.h"
#include "tests/support/process.h"

#define WAIT_US 20000000

static char folder[] = "/tmp/yqseed.XXXXXX";

static int make_folder(void **state)
{
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    return rmdir(folder);
}

/* All that a tool says about the image, line by line. */
static char *ask(struct arena *arena, const unsigned char *image, const char *tool, const char *argument,
                 const char *name)
{
    char *path = arena_printf(arena, "%s/seed.img", folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(image, 1, KVM_SEED_BYTES, file), KVM_SEED_BYTES);
    assert_int_equal(fclose(file), 0);
    struct process *process = process_start((const char *const[]){tool, argument, path, name, NULL}, NULL);
    char *text = arena_strdup(arena, "");
    for (const char *line; (line = process_line(process, WAIT_US));)
        text = arena_printf(arena, "%s%s\n", text, line);
    (void)process_stop(process);
    assert_int_equal(unlink(path), 0);
    return text;
}

static void test_read_back(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const unsigned char *image;
    assert_null(kvm_seed_build(arena, "the-id", "web-1", "#!/bin/sh\necho hello\n", &image));
    assert_string_equal(ask(arena, image, "mtype", "-i", "::meta-data"),
                        "instance-id: the-id\nlocal-hostname: web-1\n");
    assert_string_equal(ask(arena, image, "mtype", "-i", "::user-data"), "#!/bin/sh\necho hello\n");
    assert_non_null(strstr(ask(arena, image, "mlabel", "-si", "::"), "CIDATA"));
}

static void test_long_user_data(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const size_t length = 65536;
    char *data = arena_alloc(arena, length + 1);
    for (size_t i = 0; i < length; i++)
        data[i] = i % 64 == 63 ? '\n' : (char)('a' + i / 64 % 26);
    const unsigned char *image;
    assert_null(kvm_seed_build(arena, "the-id", "web-1", data, &image));
    assert_string_equal(ask(arena, image, "mtype", "-i", "::user-data"), data);
    char *more = arena_alloc(arena, KVM_SEED_BYTES + 1);
    memset(more, 'x', KVM_SEED_BYTES);
    struct error *error = kvm_seed_build(arena, "the-id", "web-1", more, &image);
    assert_non_null(error);
    assert_int_equal(error_code(error), ERR_INVALID);
    error_free(error);
}

static void test_without_user_data(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const unsigned char *image, *again;
    assert_null(kvm_seed_build(arena, "the-id", "web-1", NULL, &image));
    assert_string_equal(ask(arena, image, "mtype", "-i", "::user-data"), "#cloud-config\n");
    assert_null(kvm_seed_build(arena, "the-id", "web-1", NULL, &again));
    assert_memory_equal(image, again, KVM_SEED_BYTES);
    assert_null(kvm_seed_build(arena, "the-id", "web-1", "", &again));
    assert_string_equal(ask(arena, again, "mtype", "-i", "::user-data"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_back),
        cmocka_unit_test(test_long_user_data),
        cmocka_unit_test(test_without_user_data),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
