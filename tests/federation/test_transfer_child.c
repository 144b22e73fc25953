/* The children that read images of others: what they cannot do, tried by a shell in their place. */
#include "federation/transfer_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/base/moment.h"
#include "tests/broker/control/house.h"

static char folder[] = "/tmp/yunqiao-child-XXXXXX";
static struct transfer_box box = {.folder = folder};

static int begin(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    ok(transfer_user_find("nobody", &box.user));
    return box.user.change ? chown(folder, box.user.uid, box.user.gid) : 0;
}

static int over(void **state)
{
    (void)state;
    return rmdir(folder);
}

static struct error *run(struct arena *arena, const char *script, const char **ret_output)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    return transfer_child_run(&box, argv, 2, 10000, NULL, arena, ret_output);
}

/* Text that the script wrote. */
static const char *said(struct arena *arena, const char *script)
{
    const char *output;
    ok(run(arena, script, &output));
    return output;
}

static bool confined(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

static void it_is_nobody(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    (void)state;
    if (!box.user.change)
        skip();
    assert_string_equal(
        said(arena, "id -u; id -G; pwd"),
        arena_printf(arena, "%u\n%u\n%s\n", (unsigned)box.user.uid, (unsigned)box.user.gid, folder));
}

/* Not even what everybody may read. */
static void it_sees_one_folder(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    (void)state;
    if (!confined())
        skip();
    assert_string_equal(said(arena, "cat /etc/passwd 2>&-; ls / /tmp /home 2>&-; echo end"), "end\n");
    assert_string_equal(
        said(arena, "for f in /proc/*/environ /proc/self/mem; do cat $f; done 2>&-; echo end"), "end\n");
    assert_string_equal(said(arena, "echo x 2>&- >/tmp/yunqiao-never || echo no"), "no\n");
}

static void it_writes_only_when_it_may(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    (void)state;
    if (!confined())
        skip();
    assert_string_equal(said(arena, "echo x 2>&- >f || echo no"), "no\n");
    box.write = true;
    assert_string_equal(said(arena, "echo x >f && cat f && rm f"), "x\n");
    assert_string_equal(said(arena, "mkdir d 2>&- || echo no"), "no\n");
    box.write = false;
}

/* What the test has open is the broker's: database, listening socket, keys. */
static void it_inherits_nothing(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    (void)state;
    FILE *open_file = fopen("/etc/passwd", "r"); /* not closed by exec */
    assert_non_null(open_file);
    assert_string_equal(
        said(arena, "for i in 3 4 5 6 7 8 9; do (true <&$i) 2>&- && echo $i; done; env | grep -c ="),
        "4\n"); /* PATH, HOME, LC_ALL and the shell's own PWD */
    assert_int_equal(fclose(open_file), 0);
}

static void it_has_limits(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *output;
    (void)state;
    assert_string_equal(said(arena, "ulimit -v; ulimit -c; ulimit -n; ulimit -t"), "4194304\n0\n64\n2\n");
    refused(run(arena, "while :; do :; done", &output), ERR_INVALID); /* two seconds of a processor */
    refused(run(arena, "while :; do echo a lot of words; done", &output), ERR_INVALID);
    struct error *error = run(arena, "echo it is broken >&2; exit 3", &output);
    assert_non_null(strstr(error_message(error), "it is broken"));
    refused(error, ERR_INVALID);
    refused(run(arena, "echo write: No space left on device >&2; exit 1", &output), ERR_NO_CAPACITY);
}

static void no_such_user(void **state)
{
    struct transfer_user user;
    (void)state;
    if (!box.user.change)
        skip();
    refused(transfer_user_find("root", &user), ERR_INVALID);
    refused(transfer_user_find("nobody-of-that-name", &user), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_nobody),
        cmocka_unit_test(it_sees_one_folder),
        cmocka_unit_test(it_writes_only_when_it_may),
        cmocka_unit_test(it_inherits_nothing),
        cmocka_unit_test(it_has_limits),
        cmocka_unit_test(no_such_user),
    };
    return cmocka_run_group_tests(tests, begin, over);
}
