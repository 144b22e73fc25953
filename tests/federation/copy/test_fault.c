/* What goes wrong: reads and writes that fail, servers that end, hang or lie, a disk that is full. A pass
 * ends with an error that names the side, and never with a success over wrong bytes. */
#include "federation/copy.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/base/moment.h"
#include "tests/federation/copy/exports.h"

#define SIZE (24 * MIB)
#define SLOW "--filter=rate", "file"

static const char *source_file, *target_file;

static void make_disks(uint64_t seed)
{
    disk_make(source_file, SIZE, 50, seed);
    disk_fill(target_file, SIZE, 0xee);
}

/* Tries until it succeeds; every failure is as it must be; then the bytes are right. */
static unsigned until_done(struct copy_pass *pass, const char *says)
{
    struct copy_result result;
    struct error *error;
    unsigned failures = 0;
    while ((error = copy_pass_run(pass, &result))) {
        if (error_code(error) != ERR_IO || !strstr(error_message(error), says))
            fail_msg("%s", error_message(error));
        error_free(error);
        assert_int_equal(access(pass->manifest_path, F_OK), -1); /* no manifest of what is not there */
        if (++failures > 2000)
            fail_msg("it never ends");
    }
    return failures;
}

static void random_errors(void **state)
{
    static const struct {
        const char *source, *target, *says;
    } cases[] = {{"error-pread-rate=2%", "error=EIO", "source"},
                 {"error=EIO", "error-pwrite-rate=2%", "target"},
                 {"error=EIO", "error-zero-rate=2%", "target"},
                 {"error-extents-rate=50%", "error=EIO", "source"},
                 {"error-pread-rate=1%", "error-pwrite-rate=1%", "the "}};
    unsigned failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_disks(i + 1);
        const char *none = "error-rate=0";
        struct export *source = EXPORT("nbdkit", "--filter=error", "file", source_file, cases[i].source,
                                       strchr(cases[i].source, '%') ? NULL : none);
        struct export *target = EXPORT("nbdkit", "--filter=error", "file", target_file, cases[i].target,
                                       strchr(cases[i].target, '%') ? NULL : none);
        struct copy_pass pass = pass_between(source, target);
        pass.tuning.checkpoint_us = 1;
        pass.tuning.memory_max = 2 * MIB;
        failures += until_done(&pass, cases[i].says);
        struct copy_manifest *manifest = manifest_of(&pass);
        export_stop(source);
        export_stop(target);
        assert_same(source_file, target_file);
        assert_describes(manifest, source_file);
        copy_manifest_free(manifest);
    }
    assert_true(failures > 5); /* the filter was at work */
}

static void kinds_of_errors(void **state)
{
    static const struct {
        const char *error;
        enum error_code code;
    } cases[] = {{"error=ENOSPC", ERR_NO_CAPACITY}, {"error=EPERM", ERR_DENIED}, {"error=EIO", ERR_IO}};
    make_disks(3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct export *source = EXPORT("nbdkit", "file", source_file),
                      *target = EXPORT("nbdkit", "--filter=error", "file", target_file, cases[i].error,
                                       "error-pwrite-rate=100%");
        struct copy_pass pass = pass_between(source, target);
        pass_fails(&pass, cases[i].code, "target");
        export_stop(source);
        export_stop(target);
    }
}

static void targets_that_will_not_do(void **state)
{
    make_disks(4);
    struct export *source = EXPORT("nbdkit", "file", source_file),
                  *target = EXPORT("nbdkit", "-r", "file", target_file);
    struct copy_pass pass = pass_between(source, target);
    pass_fails(&pass, ERR_DENIED, "target is read-only");
    export_stop(target);
    target = EXPORT("nbdkit", "memory", "23M");
    pass = pass_between(source, target);
    pass_fails(&pass, ERR_NO_CAPACITY, "target is too small");
    export_stop(target);
    target = EXPORT("nbdkit", "eval", "get_size=echo 24M", "pread=exit 1", "pwrite=cat >/dev/null",
                    "can_flush=exit 3");
    pass = pass_between(source, target);
    pass_fails(&pass, ERR_UNSUPPORTED, "target cannot flush");
    pass.target.socket = in_folder("nobody");
    pass_fails(&pass, ERR_UNAVAILABLE, "target");
    pass.target = (struct copy_end){.host = "127.0.0.1", .port = "1"};
    pass_fails(&pass, ERR_UNAVAILABLE, "target");
    pass.target = (struct copy_end){.host = "127.0.0.1"};
    pass_fails(&pass, ERR_INVALID, "target");
    export_stop(source);
    export_stop(target);
}

static void full_target(void **state)
{
    const char *folder = in_folder("small");
    assert_int_equal(mkdir(folder, 0700), 0);
    if (mount("tmpfs", folder, "tmpfs", 0, "size=8m"))
        skip();
    const char *file = in_folder("small/target");
    disk_make(source_file, SIZE, 100, 6);
    disk_make(file, SIZE, 0, 0);
    struct export *source = EXPORT("nbdkit", "file", source_file), *target = EXPORT("nbdkit", "file", file);
    struct copy_pass pass = pass_between(source, target);
    struct copy_result result;
    struct error *error = copy_pass_run(&pass, &result);
    export_stop(target);
    assert_int_equal(umount(folder), 0);
    export_stop(source);
    assert_non_null(error);
    assert_int_equal(error_code(error), ERR_NO_CAPACITY);
    assert_non_null(strstr(error_message(error), "target"));
    error_free(error);
}

static void full_folder(void **state)
{
    const char *folder = in_folder("smaller");
    assert_int_equal(mkdir(folder, 0700), 0);
    if (mount("tmpfs", folder, "tmpfs", 0, "size=4k"))
        skip();
    make_disks(7);
    struct export *source = EXPORT("nbdkit", "file", source_file),
                  *target = EXPORT("nbdkit", "file", target_file);
    struct copy_pass pass = pass_between(source, target);
    pass.manifest_path = in_folder("smaller/manifest");
    pass.block_size = 65536;
    struct copy_result result;
    struct error *error = copy_pass_run(&pass, &result);
    assert_int_equal(umount(folder), 0);
    export_stop(target);
    export_stop(source);
    assert_non_null(error);
    assert_int_equal(error_code(error), ERR_NO_CAPACITY);
    assert_non_null(strstr(error_message(error), "smaller/manifest"));
    error_free(error);
}

/* Does something to a server when the first bytes have moved, and goes on watching. */
struct accident {
    struct export *export;
    int signal;
    unsigned calls, after;
    bool cancel;
};

static bool on_progress(void *data, const struct copy_progress *progress)
{
    struct accident *accident = data;
    accident->calls++;
    if (!progress->done)
        return true;
    if (accident->export) {
        export_signal(accident->export, accident->signal);
        accident->export = NULL;
    } else {
        accident->after++;
    }
    return !accident->cancel;
}

/* The server's file is cut while it is read: what is beyond cannot be. */
static bool cut_source(void *data, const struct copy_progress *progress)
{
    if (progress->done && progress->done < SIZE / 2)
        assert_int_equal(truncate(source_file, SIZE / 2), 0);
    return true;
}

static void truncated_source(void **state)
{
    disk_make(source_file, SIZE, 100, 5);
    disk_fill(target_file, SIZE, 0xee);
    struct export *source = EXPORT("nbdkit", "--filter=noextents", SLOW, source_file, "rate=24M"),
                  *target = EXPORT("nbdkit", "file", target_file);
    struct copy_pass pass = pass_between(source, target);
    pass.progress = cut_source;
    pass.tuning.memory_max = 4 * MIB;
    pass_fails(&pass, ERR_IO, "source");
    export_stop(source);
    export_stop(target);
}

static void ends_in_the_middle(void **state)
{
    for (int i = 0; i < 2; i++) {
        make_disks(8);
        struct export *source = EXPORT("nbdkit", SLOW, source_file, i ? "rate=500M" : "rate=16M"),
                      *target = EXPORT("nbdkit", SLOW, target_file, i ? "rate=16M" : "rate=500M");
        struct accident accident = {.export = i ? target : source, .signal = SIGKILL};
        struct copy_pass pass = pass_between(source, target);
        pass.progress = on_progress;
        pass.data = &accident;
        pass.tuning.checkpoint_us = 1;
        pass.tuning.memory_max = 4 * MIB;
        pass_fails(&pass, ERR_UNAVAILABLE, i ? "target" : "source");
        export_stop(source);
        export_stop(target);
        source = EXPORT("nbdkit", "file", source_file);
        target = EXPORT("nbdkit", "file", target_file);
        pass.source = export_end(source);
        pass.target = export_end(target);
        pass.progress = NULL;
        struct copy_result result = pass_run(&pass);
        assert_true(result.progress.resumed > 0);
        export_stop(source);
        export_stop(target);
        assert_same(source_file, target_file);
    }
}

static void hangs_in_the_middle(void **state)
{
    for (int i = 0; i < 2; i++) {
        make_disks(9);
        struct export *source = EXPORT("nbdkit", SLOW, source_file, i ? "rate=500M" : "rate=16M"),
                      *target = EXPORT("nbdkit", SLOW, target_file, i ? "rate=16M" : "rate=500M");
        struct accident accident = {.export = i ? target : source, .signal = SIGSTOP};
        struct copy_pass pass = pass_between(source, target);
        pass.progress = on_progress;
        pass.data = &accident;
        pass.tuning.stall_us = 4 * MOMENT_SECOND;
        pass.tuning.memory_max = 4 * MIB;
        pass_fails(&pass, ERR_TIMEOUT, i ? "target is stalled" : "source is stalled");
        assert_true(accident.after >= 2); /* told although nothing moved */
        pass.progress = NULL;
        pass.tuning.stall_us = MOMENT_SECOND;
        pass_fails(&pass, ERR_TIMEOUT,
                   i ? "target is stalled" : "source is stalled"); /* it does not even greet */
        export_stop(source);
        export_stop(target);
    }
}

static void cancelled(void **state)
{
    make_disks(10);
    struct export *source = EXPORT("nbdkit", SLOW, source_file, "rate=16M"),
                  *target = EXPORT("nbdkit", "file", target_file);
    struct accident accident = {.cancel = true};
    struct copy_pass pass = pass_between(source, target);
    pass.progress = on_progress;
    pass.data = &accident;
    pass.tuning.checkpoint_us = 1;
    pass.tuning.memory_max = 4 * MIB;
    pass_fails(&pass, ERR_CANCELLED, "cancelled");
    export_stop(source);
    source = EXPORT("nbdkit", "file", source_file);
    pass.source = export_end(source);
    pass.progress = NULL;
    struct copy_result result = pass_run(&pass);
    assert_true(result.progress.resumed > 0 && result.progress.resumed < SIZE);
    export_stop(source);
    export_stop(target);
    assert_same(source_file, target_file);
}

static struct export *liar(const char *lie)
{
    return EXPORT(SOURCE_DIR "/tests/federation/copy/liar.py", "--lie", lie);
}

static void liars(void **state)
{
    static const struct {
        const char *lie;
        bool as_target;
        enum error_code code;
        const char *says;
    } cases[] = {
        {"short-read", false, ERR_UNAVAILABLE, "source left out part"},
        {"double-read", false, ERR_UNAVAILABLE, "source"},
        {"empty-extent", false, ERR_UNAVAILABLE, "source"},
        {"far-extent", false, ERR_UNAVAILABLE, "source"},
        {"no-extents", false, ERR_UNAVAILABLE, "source"},
        {"garbage", false, ERR_UNAVAILABLE, "source"},
        {"size", false, ERR_CONFLICT, "resized"},
        {"bad-flush", true, ERR_IO, "target could not flush"},
        {"silent-flush", true, ERR_TIMEOUT, "target is stalled"},
    };
    disk_fill(source_file, 8 * MIB, 0x5a);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        disk_fill(target_file, 8 * MIB + 65536, 0xee);
        struct export *one = liar(cases[i].lie),
                      *other = EXPORT("nbdkit", "file", cases[i].as_target ? source_file : target_file);
        struct copy_pass pass = cases[i].as_target ? pass_between(other, one) : pass_between(one, other);
        pass.tuning.stall_us = cases[i].code == ERR_TIMEOUT ? MOMENT_SECOND : 60 * MOMENT_SECOND;
        pass_fails(&pass, cases[i].code, cases[i].says);
        export_stop(one);
        export_stop(other);
    }
    disk_fill(target_file, 8 * MIB, 0xee); /* and one that does not lie, to show that it is the lie */
    struct export *honest = liar("none"), *target = EXPORT("nbdkit", "file", target_file);
    struct copy_pass pass = pass_between(honest, target);
    pass_run(&pass);
    export_stop(honest);
    export_stop(target);
    assert_same(source_file, target_file);
}

static int begin(void **state)
{
    if (exports_begin(state))
        return -1;
    source_file = in_folder("source");
    target_file = in_folder("target");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_errors),
        cmocka_unit_test(kinds_of_errors),
        cmocka_unit_test(targets_that_will_not_do),
        cmocka_unit_test(truncated_source),
        cmocka_unit_test(full_target),
        cmocka_unit_test(full_folder),
        cmocka_unit_test(ends_in_the_middle),
        cmocka_unit_test(hangs_in_the_middle),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(liars),
    };
    return cmocka_run_group_tests(tests, begin, exports_end);
}
