/* The converter as a child: what it is given, what it says, and that it ends whatever it does. The converters
 * here are scripts; the real one is test_convert_guest's. */
#include "federation/convert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/moment.h"
#include "tests/support/process.h"

static char folder[64];
static struct arena *arena;

static int begin(void **state)
{
    arena = arena_new();
    (void)snprintf(folder, sizeof folder, "/tmp/yunqiao-convert-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state)
{
    const char *const argv[] = {"/bin/rm", "-r", folder, NULL};
    struct process *removing = process_start(argv, NULL);
    int status = -1;
    (void)waitpid(process_pid(removing), &status, 0); /* else the status stays bad */
    (void)process_stop(removing);                     /* it has ended */
    arena_free(arena);
    return status;
}

static const char *script(const char *body)
{
    const char *path = arena_printf(arena, "%s/converter", folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fprintf(file, "#!/bin/bash\n%s\n", body) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0700), 0);
    return path;
}

static bool always(void *context)
{
    return true;
}

static struct error *run(const char *body, int64_t timeout_us, bool (*goes_on)(void *), const char **ret_log)
{
    const struct convert_run what = {.program = script(body),
                                     .folder = folder,
                                     .xml = "<domain/>",
                                     .timeout_us = timeout_us,
                                     .goes_on = goes_on};
    return convert_guest_run(arena, &what, ret_log);
}

static void fails(struct error *error, enum error_code code, const char *text)
{
    assert_non_null(error);
    if (error_code(error) != code || !strstr(error_message(error), text))
        fail_msg("\"%s\" is not \"%s\"", error_message(error), text);
    error_free(error);
}

/* As virt-v2v-in-place is called, with an environment of its own. */
static void what_it_is_given(void **state)
{
    const char *log;
    (void)setenv("LIBGUESTFS_BACKEND", "direct", 1);
    (void)setenv("A_SECRET", "no", 1);
    assert_null(run("echo \"$@\"; cat \"$3\"; pwd; env; ls /proc/self/fd | wc -l; read -r line || echo no "
                    "input; ulimit -c; echo ü",
                    MOMENT_MINUTE, always, &log));
    const char *wanted[] = {arena_printf(arena, "-i libvirtxml %s/guest.xml\n", folder), "<domain/>",
                            arena_printf(arena, "TMPDIR=%s\n", folder), "LIBGUESTFS_BACKEND=direct\n",
                            "no input\n0\n??\n"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!strstr(log, wanted[i]))
            fail_msg("\"%s\" is not in:\n%s", wanted[i], log);
    assert_null(strstr(log, "A_SECRET"));
}

static void only_the_last_of_what_it_says_is_kept(void **state)
{
    const char *log;
    assert_null(run("head -c 3000000 /dev/zero | tr '\\0' 'x'; echo the end", MOMENT_MINUTE, always, &log));
    assert_int_equal(strlen(log), CONVERT_LOG_MAX);
    assert_string_equal(log + CONVERT_LOG_MAX - 8, "the end\n");
}

static void a_failure_is_told_by_its_last_line(void **state)
{
    const char *log;
    fails(run("echo first; echo 'virt-v2v-in-place: error: no root device' >&2; exit 1", MOMENT_MINUTE,
              always, &log),
          ERR_INTERNAL, "ended with 1: virt-v2v-in-place: error: no root device");
    assert_string_equal(log, "first\nvirt-v2v-in-place: error: no root device\n");
    fails(run("echo 'it: error: no kernel'; echo; echo 'Run it with -v and report that'; exit 1",
              MOMENT_MINUTE, always, &log),
          ERR_INTERNAL, "ended with 1: it: error: no kernel");
    fails(run("kill -SEGV $$", MOMENT_MINUTE, always, &log), ERR_INTERNAL, "was ended by signal 11");
    const struct convert_run none = {.program = "/nonexistent",
                                     .folder = folder,
                                     .xml = "",
                                     .timeout_us = MOMENT_SECOND,
                                     .goes_on = always};
    fails(convert_guest_run(arena, &none, &log), ERR_INTERNAL, "ended with 127");
}

/* Whatever its helpers do: none of them is alive then. */
static void expect_helper_gone(void)
{
    char number[32] = "";
    FILE *file = fopen(arena_printf(arena, "%s/helper", folder), "re");
    assert_non_null(file);
    assert_non_null(fgets(number, sizeof number, file));
    (void)fclose(file); /* read only */
    const char *path = arena_printf(arena, "/proc/%ld/stat", strtol(number, NULL, 10));
    for (int i = 0; access(path, F_OK) == 0 && i < 500; i++) {
        char line[256] = "";
        FILE *stat = fopen(path, "re");
        if (stat && fgets(line, sizeof line, stat) && strstr(line, ") Z "))
            i = 500; /* dead, and nobody's child here */
        if (stat)
            (void)fclose(stat); /* read only */
        if (i == 499)
            fail_msg("the helper %s is alive", number);
        (void)usleep(10000); /* a process tells only its parent that it ends */
    }
}

static void one_that_hangs_is_killed(void **state)
{
    const char *log;
    int64_t began = moment_monotonic();
    fails(run("sleep 600 & echo $! >\"$TMPDIR/helper\"; trap '' TERM; echo begun; wait", MOMENT_SECOND,
              always, &log),
          ERR_INTERNAL, "longer than 1 s");
    assert_true(moment_monotonic() - began < 60 * MOMENT_SECOND);
    assert_string_equal(log, "begun\n");
    expect_helper_gone();
    /* One that ends and leaves a helper that holds the pipe. */
    assert_null(run("sleep 600 & echo $! >\"$TMPDIR/helper\"", MOMENT_MINUTE, always, &log));
    expect_helper_gone();
}

static bool until_begun(void *context)
{
    return access(arena_printf(arena, "%s/helper", folder), F_OK) != 0;
}

static void a_word_stops_it(void **state)
{
    const char *log;
    (void)unlink(arena_printf(arena, "%s/helper", folder)); /* it may not be there */
    fails(run("sleep 600 & echo $! >\"$TMPDIR/helper\"; wait", 10 * MOMENT_MINUTE, until_begun, &log),
          ERR_CANCELLED, "was to stop");
    expect_helper_gone();
}

static void expect_text(xmlXPathContext *context, const char *path, const char *wanted)
{
    xmlXPathObject *found = xmlXPathEvalExpression((const xmlChar *)path, context);
    xmlChar *text = xmlXPathCastToString(found);
    assert_string_equal((const char *)text, wanted);
    xmlFree(text);
    xmlXPathFreeObject(found);
}

static void the_guest_in_libvirts_words(void **state)
{
    const char *sockets[] = {"/run/a&b.sock", "/run/c.sock"}, *exports[] = {"", "sdb"};
    const struct convert_guest guest = {.name = "<web>",
                                        .vcpu = 2,
                                        .memory_mb = 2048,
                                        .uefi = true,
                                        .mac = "52:54:00:00:00:01",
                                        .sockets = sockets,
                                        .exports = exports,
                                        .disk_count = 2};
    const char *xml = convert_describe(arena, &guest);
    xmlDoc *doc = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, XML_PARSE_NONET);
    assert_non_null(doc);
    xmlXPathContext *context = xmlXPathNewContext(doc);
    expect_text(context, "/domain/name", "<web>");
    expect_text(context, "concat(/domain/memory, /domain/memory/@unit, /domain/vcpu)", "2048MiB2");
    expect_text(context, "/domain/os/@firmware", "efi");
    expect_text(context, "count(/domain/devices/disk)", "2");
    expect_text(context, "/domain/devices/disk[1]/source/@file", "nbd+unix:///?socket=/run/a&b.sock");
    expect_text(context, "/domain/devices/disk[2]/source/@file", "nbd+unix:///sdb?socket=/run/c.sock");
    expect_text(context, "/domain/devices/disk[2]/driver/@type", "nbd");
    expect_text(context, "/domain/devices/interface/mac/@address", "52:54:00:00:00:01");
    xmlXPathFreeContext(context);
    xmlFreeDoc(doc);
}

static void when_it_is_asked_and_when_it_runs(void **state)
{
    const char *there = script("exit 0");
    static const struct {
        const char *mode, *from, *to, *guest, *why;
        bool installed, asked, runs;
    } cases[] = {
        {"auto", "vmware", "kvm", "centos7_64Guest", NULL, true, true, true},
        {"required", "vmware", "kvm", "windows2019srv_64Guest", NULL, true, true, true},
        {"auto", "kvm", "kvm", "centos7_64Guest", NULL, true, false, false},
        {"off", "vmware", "kvm", "centos7_64Guest", "is off", true, false, false},
        {NULL, "vmware", "kvm", "centos7_64Guest", "is off", true, false, false},
        {"auto", "kvm", "vmware", "debian12", "for vmware", true, false, false},
        {"auto", "vmware", "kvm", "centos7_64Guest", "not installed", false, true, false},
        {"auto", "vmware", "kvm", "otherGuest64", "otherGuest64", true, true, false},
        {"auto", "vmware", "kvm", NULL, "not told", true, true, false},
        {"auto", NULL, "kvm", "debian12", NULL, true, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct convert_plan plan =
            convert_plan(arena, cases[i].mode, cases[i].installed ? there : "/nonexistent", cases[i].from,
                         cases[i].to, cases[i].guest);
        if (plan.asked != cases[i].asked || plan.runs != cases[i].runs || !plan.why != !cases[i].why ||
            (plan.why && !strstr(plan.why, cases[i].why)))
            fail_msg("case %zu: asked %d, runs %d, %s", i, plan.asked, plan.runs, plan.why ? plan.why : "");
    }
    assert_false(convert_installed("virt-v2v-in-place")); /* no search */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_is_given),
        cmocka_unit_test(only_the_last_of_what_it_says_is_kept),
        cmocka_unit_test(a_failure_is_told_by_its_last_line),
        cmocka_unit_test(one_that_hangs_is_killed),
        cmocka_unit_test(a_word_stops_it),
        cmocka_unit_test(the_guest_in_libvirts_words),
        cmocka_unit_test(when_it_is_asked_and_when_it_runs),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
