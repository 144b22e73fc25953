/* The real virt-v2v-in-place over a real guest: one that boots from IDE alone gets the drivers that its new
 * hypervisor wants. It takes minutes where guests are emulated, and is skipped where the converter is not
 * installed. */
#include "federation/convert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/moment.h"
#include "tests/support/process.h"

#define PROGRAM "/usr/bin/virt-v2v-in-place"
#define SKIPPED 77

static struct arena *arena;
static char folder[64];
static const char *image;

/* What it says, or NULL when it fails. */
static const char *shell(const char *command)
{
    struct process *process = process_start((const char *const[]){"/bin/bash", "-c", command, NULL}, NULL);
    const char *said = "";
    for (const char *line; (line = process_line(process, 60 * MOMENT_MINUTE));)
        said = arena_printf(arena, "%s%s\n", said, line);
    int status = -1;
    (void)waitpid(process_pid(process), &status, 0); /* else the status stays bad */
    (void)process_stop(process);                     /* it has ended */
    return status == 0 ? said : NULL;
}

static bool always(void *context)
{
    return true;
}

/* Drivers in the initial RAM disks, one a line. */
static const char *drivers(void)
{
    return shell(arena_printf(
        arena,
        "cd %s && dd if=disk.raw of=part bs=1M skip=1 conv=sparse status=none && name=$(debugfs -R 'ls -p "
        "/boot' part"
        " 2>/dev/null | grep -o 'initrd.img-[^/]*' | head -n 1) && debugfs -R \"dump /boot/$name initrd\" "
        "part"
        " 2>/dev/null && { zcat initrd 2>/dev/null || zstdcat initrd; } | cpio -t --quiet | grep '\\.ko'",
        folder));
}

static void it_gets_the_drivers_that_it_needs(void **state)
{
    assert_non_null(shell(
        arena_printf(arena, "cp --sparse=always '%s' %s/disk.raw && mkdir %s/own", image, folder, folder)));
    const char *before = drivers();
    assert_non_null(before);
    assert_null(strstr(before, "virtio_scsi.ko"));
    const char *socket_path = arena_printf(arena, "%s/disk.sock", folder);
    const char *const argv[] = {
        "qemu-nbd", "--persistent", "--shared=8", "-f",
        "raw",      "-k",           socket_path,  arena_printf(arena, "%s/disk.raw", folder),
        NULL};
    struct process *served = process_start(argv, NULL);
    for (int i = 0; access(socket_path, F_OK) != 0; i++) {
        assert_true(i < 6000);
        (void)usleep(10000); /* a socket tells nobody that it came */
    }
    const char *sockets[] = {socket_path}, *exports[] = {""}, *log;
    const struct convert_guest guest = {.name = "old-vm",
                                        .vcpu = 1,
                                        .memory_mb = 1024,
                                        .mac = "52:54:00:00:00:01",
                                        .sockets = sockets,
                                        .exports = exports,
                                        .disk_count = 1};
    const struct convert_run run = {.program = PROGRAM,
                                    .folder = arena_printf(arena, "%s/own", folder),
                                    .xml = convert_describe(arena, &guest),
                                    .timeout_us = 40 * MOMENT_MINUTE,
                                    .goes_on = always};
    struct error *error = convert_guest_run(arena, &run, &log);
    (void)process_stop(served); /* it ends by our signal */
    if (error)
        fail_msg("%s\n%s", error_message(error), log);
    const char *after = drivers();
    assert_non_null(after);
    assert_non_null(strstr(after, "virtio_scsi.ko"));
    assert_non_null(strstr(after, "virtio_net.ko"));
    print_message("%s", log);
}

static int leave_out(const char *why)
{
    fprintf(stderr, "skipped: %s\n", why);
    return SKIPPED;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_gets_the_drivers_that_it_needs)};
    if (!convert_installed(PROGRAM))
        return leave_out(PROGRAM " is not installed (virt-v2v)");
    arena = arena_new();
    (void)setenv("LIBGUESTFS_BACKEND", "direct", 0);
    const char *accel = shell(SOURCE_DIR "/contrib/kvmcloud/kvmcloud accel 2>/dev/null");
    if (!accel || strcmp(accel, "kvm\n") != 0)
        (void)setenv("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg", 0); /* /dev/kvm may be there and not work */
    const char *path =
        shell(SOURCE_DIR "/contrib/guest/debian"
                         " \"${YUNQIAO_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/yunqiao/guest}\"");
    if (!path) {
        arena_free(arena);
        return leave_out("contrib/guest/debian could not build a guest here");
    }
    image = arena_printf(arena, "%.*s", (int)strcspn(path, "\n"), path);
    (void)snprintf(folder, sizeof folder, "/tmp/yunqiao-convert-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)shell(arena_printf(arena, "rm -r %s", folder)); /* in /tmp */
    arena_free(arena);
    return failed;
}
