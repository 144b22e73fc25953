/* Which secrets an endpoint may name. */
#include "broker/control/secret_reach.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/arena.h"

static struct arena *arena;
static const char *folder, *own, *within;

static const char *make_file(const char *path)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    return path;
}

static int set_up(void **state)
{
    static char template[] = "/tmp/yunqiao-reach-XXXXXX";
    arena = arena_new();
    folder = mkdtemp(template);
    assert_non_null(folder);
    own = arena_printf(arena, "%s/data", folder);
    within = arena_printf(arena, "%s/secrets", folder);
    assert_int_equal(mkdir(own, 0700), 0);
    assert_int_equal(mkdir(within, 0700), 0);
    make_file(arena_printf(arena, "%s/admin.token", own));
    make_file(arena_printf(arena, "%s/good", within));
    assert_int_equal(symlink("../data/admin.token", arena_printf(arena, "%s/link", within)), 0);
    assert_int_equal(symlink("data", arena_printf(arena, "%s/alias", folder)), 0);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {
        "data/admin.token", "secrets/good", "secrets/link", "alias", "data", "secrets", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(remove(arena_printf(arena, "%s/%s", folder, names[i])), 0);
    arena_free(arena);
    return 0;
}

static bool reaches(const char *with_own, const char *with_within, const char *reference)
{
    const struct secret_reach reach = {.own = with_own, .within = with_within};
    struct error *error = secret_reach_check(&reach, reference);
    if (error)
        assert_int_equal(error_code(error), ERR_INVALID);
    bool reached = !error;
    error_free(error);
    return reached;
}

static const char *file(const char *name)
{
    return arena_printf(arena, "file:%s/%s", folder, name);
}

static void the_brokers_own_files_are_out_of_reach(void **state)
{
    assert_true(reaches(own, NULL, file("secrets/good")));
    assert_true(reaches(own, NULL, file("secrets/missing")));
    assert_true(reaches(own, NULL, file("data2/x")));
    assert_false(reaches(own, NULL, file("data/admin.token")));
    assert_false(reaches(own, NULL, file("data/missing")));
    assert_false(reaches(own, NULL, file("alias/admin.token")));
    assert_false(reaches(own, NULL, file("secrets/link")));
    assert_false(reaches(own, NULL, file("secrets/../data/missing")));
    assert_false(reaches(own, NULL, arena_printf(arena, "file:/%s/data/missing", folder)));
    assert_false(reaches(arena_printf(arena, "%s/alias", folder), NULL, file("data/admin.token")));
}

static void a_folder_of_secrets_is_the_only_one(void **state)
{
    assert_true(reaches(own, within, file("secrets/good")));
    assert_true(reaches(own, within, file("secrets/missing")));
    assert_false(reaches(own, within, file("other")));
    assert_false(reaches(own, within, file("secrets2/x")));
    assert_false(reaches(own, within, "file:/etc/passwd"));
    assert_false(reaches(own, within, file("secrets/link")));
    assert_true(reaches(own, within, "credential:vcenter"));
}

static void the_brokers_own_settings_are_out_of_reach(void **state)
{
    assert_true(reaches(own, NULL, "env:HMC_PASSWORD"));
    assert_true(reaches(own, NULL, "env:YUNQIAO_SECRET_HMC"));
    assert_false(reaches(own, NULL, "env:YUNQIAO_DATABASE"));
    assert_false(reaches(own, NULL, "env:PGPASSWORD"));
    assert_false(reaches(own, NULL, "hunter2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_brokers_own_files_are_out_of_reach),
        cmocka_unit_test(a_folder_of_secrets_is_the_only_one),
        cmocka_unit_test(the_brokers_own_settings_are_out_of_reach),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
