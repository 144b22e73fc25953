/* See exports.h. */
#include "tests/federation/copy/exports.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "tests/support/process.h"

#define READY_US (60 * MOMENT_SECOND)
#define PIECE 65536
#define EXPORTS 32

extern char **environ;

static char folder[] = "/tmp/copy-XXXXXX";
static struct arena *arena;

struct export
{
    struct process *process;
    const char *socket;
};
static struct export *open_exports[EXPORTS];
static unsigned socket_count; /* of sockets */

int exports_begin(void **state)
{
    arena = arena_new();
    return mkdtemp(folder) ? 0 : -1;
}

static void remove_all(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        char *inner = xasprintf("%s/%s", path, entry->d_name);
        if (entry->d_type == DT_DIR)
            remove_all(inner);
        else
            (void)unlink(inner);
        free(inner);
    }
    if (dir)
        closedir(dir);
    (void)rmdir(path);
}

int exports_end(void **state)
{
    for (size_t i = 0; i < EXPORTS; i++)
        export_stop(open_exports[i]);
    remove_all(folder);
    arena_free(arena);
    return 0;
}

const char *in_folder(const char *name)
{
    return arena_printf(arena, "%s/%s", folder, name);
}

/* Starts `all` and waits until it has written `ready`; false when it ends instead. */
static bool serve(struct export *export, const char *const *all, const char *ready)
{
    size_t slot = 0;
    export->process = process_start(all, NULL);
    int64_t until = moment_monotonic() + READY_US;
    while (access(ready, F_OK)) {
        if (waitpid(process_pid(export->process), NULL, WNOHANG) > 0 || moment_monotonic() > until) {
            (void)process_stop(export->process);
            return false;
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    while (slot < EXPORTS && open_exports[slot])
        slot++;
    assert_true(slot < EXPORTS);
    open_exports[slot] = export;
    return true;
}

/* argv[0], what is ours, the rest of argv. */
static const char *const *join(const char *const *argv, const char *const *ours)
{
    const char **all = arena_array(arena, 64, sizeof *all);
    size_t count = 0;
    all[count++] = argv[0];
    for (; *ours; ours++)
        all[count++] = *ours;
    for (argv++; *argv; argv++) {
        assert_true(count < 62);
        all[count++] = *argv;
    }
    return all;
}

struct export *export_start(const char *const *argv)
{
    struct export *export = xcalloc(1, sizeof *export);
    export->socket = in_folder(arena_printf(arena, "s%u", socket_count++));
    const char *ready = arena_printf(arena, "%s.pid", export->socket); /* both write it when they serve */
    const char *const nbdkit[] = {"--foreground", "--unix", export->socket, "--pidfile", ready, NULL};
    const char *const others[] = {
        "--socket", export->socket, "--persistent", "--shared=16", "--pid-file", ready, NULL};
    if (!serve(export, join(argv, strcmp(argv[0], "nbdkit") ? others : nbdkit), ready))
        fail_msg("%s does not answer", argv[0]);
    return export;
}

struct export *export_start_tcp(const char *const *argv, char ret_port[16])
{
    struct export *export = xcalloc(1, sizeof *export);
    for (int tries = 0; tries < 20; tries++) { /* somebody may be quicker with the port */
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof address;
        int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(probe, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(getsockname(probe, (struct sockaddr *)&address, &length), 0);
        close(probe);
        (void)snprintf(ret_port, 16, "%d", ntohs(address.sin_port));
        export->socket = in_folder(arena_printf(arena, "s%u", socket_count++));
        const char *ready = arena_printf(arena, "%s.pid", export->socket);
        const char *const ours[] = {"--foreground", "--ipaddr",  "127.0.0.1", "--port",
                                    ret_port,       "--pidfile", ready,       NULL};
        if (serve(export, join(argv, ours), ready))
            return export;
    }
    fail_msg("%s does not answer", argv[0]);
    return NULL;
}

struct copy_end export_end(const struct export *export)
{
    return (struct copy_end){.socket = export->socket};
}

void export_signal(struct export *export, int number)
{
    assert_int_equal(kill(process_pid(export->process), number), 0);
}

void export_stop(struct export *export)
{
    if (!export)
        return;
    for (size_t i = 0; i < EXPORTS; i++)
        if (open_exports[i] == export)
            open_exports[i] = NULL;
    (void)kill(process_pid(export->process), SIGCONT);
    (void)process_stop(export->process);
    (void)unlink(export->socket);
    free(export);
}

void command(const char *const *argv)
{
    pid_t pid;
    int status;
    char *copy[32] = {NULL};
    for (size_t i = 0; argv[i]; i++) {
        assert_true(i < 31);
        copy[i] = arena_strdup(arena, argv[i]);
    }
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    if (!strcmp(argv[0], "sh"))
        posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
    assert_int_equal(posix_spawnp(&pid, argv[0], &quiet, NULL, copy, environ), 0);
    posix_spawn_file_actions_destroy(&quiet);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status)
        fail_msg("%s %s ended with %d", argv[0], argv[1], status);
}

/* Never zero at the beginning, so that a written piece is never all zeros. */
static void random_bytes_of(uint8_t *bytes, size_t length, uint64_t seed)
{
    uint64_t value = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t i = 0; i < length; i += sizeof value) {
        value ^= value << 13;
        value ^= value >> 7;
        value ^= value << 17;
        memcpy(bytes + i, &value, length - i < sizeof value ? length - i : sizeof value);
    }
    bytes[0] |= 1;
}

void disk_make(const char *path, uint64_t size, unsigned percent, uint64_t seed)
{
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    static uint8_t bytes[PIECE];
    assert_true(file >= 0 && ftruncate(file, (off_t)size) == 0);
    for (uint64_t at = 0, i = 0; at < size; at += PIECE, i++) {
        random_bytes_of(bytes, PIECE, seed + i);
        size_t length = size - at < PIECE ? size - at : PIECE;
        if (bytes[9] * 100 / 256 < (int)percent)
            assert_int_equal(pwrite(file, bytes, length, (off_t)at), length);
    }
    assert_int_equal(close(file), 0);
}

void disk_write(const char *path, uint64_t start, uint64_t length, uint64_t seed)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    uint8_t *bytes = xmalloc(length);
    random_bytes_of(bytes, length, seed);
    assert_int_equal(pwrite(file, bytes, length, (off_t)start), length);
    free(bytes);
    assert_int_equal(close(file), 0);
}

void disk_fill(const char *path, uint64_t size, uint8_t byte)
{
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    static uint8_t bytes[PIECE];
    memset(bytes, byte, sizeof bytes);
    for (uint64_t at = 0; at < size; at += PIECE) {
        size_t length = size - at < PIECE ? size - at : PIECE;
        assert_int_equal(pwrite(file, bytes, length, (off_t)at), length);
    }
    assert_int_equal(close(file), 0);
}

static bool same(const char *one, const char *two, bool tail)
{
    FILE *files[2] = {fopen(one, "re"), fopen(two, "re")};
    static uint8_t bytes[2][PIECE];
    assert_true(files[0] && files[1]);
    bool good = true;
    for (size_t got[2]; good;) {
        got[0] = fread(bytes[0], 1, PIECE, files[0]);
        got[1] = fread(bytes[1], 1, PIECE, files[1]);
        if (!got[0] && !got[1])
            break;
        good = got[1] >= got[0] && memcmp(bytes[0], bytes[1], got[0]) == 0 && (tail || got[0] == got[1]);
        for (size_t i = got[0]; i < got[1] && good; i++)
            good = bytes[1][i] == 0;
    }
    (void)fclose(files[0]);
    (void)fclose(files[1]);
    return good;
}

bool disk_same(const char *one, const char *two)
{
    return same(one, two, true);
}

bool file_same(const char *one, const char *two)
{
    return same(one, two, false);
}

void assert_same(const char *one, const char *two)
{
    if (!disk_same(one, two))
        fail_msg("%s and %s differ", one, two);
}

struct copy_pass pass_between(const struct export *source, const struct export *target)
{
    struct copy_pass pass = {.source = export_end(source),
                             .target = export_end(target),
                             .label = "vda",
                             .snapshot = "s1",
                             .pass = 1,
                             .algorithm = COPY_SHA256,
                             .block_size = 1 << 20,
                             .manifest_path = in_folder("manifest"),
                             .tuning = {.stall_us = 60 * MOMENT_SECOND}};
    (void)unlink(pass.manifest_path);
    assert_null(copy_pass_forget(pass.manifest_path));
    return pass;
}

struct copy_result pass_run(const struct copy_pass *pass)
{
    struct copy_result result;
    struct error *error = copy_pass_run(pass, &result);
    if (error)
        fail_msg("%s", error_message(error));
    assert_int_equal(result.progress.done, result.progress.total);
    return result;
}

void pass_fails(const struct copy_pass *pass, enum error_code code, const char *says)
{
    struct copy_result result;
    struct error *error = copy_pass_run(pass, &result);
    if (!error)
        fail_msg("a pass that must fail with %s has not", error_code_name(code));
    if (error_code(error) != code || !strstr(error_message(error), says))
        fail_msg("%s: \"%s\" is not %s with \"%s\"", error_code_name(error_code(error)), error_message(error),
                 error_code_name(code), says);
    error_free(error);
}

struct copy_manifest *manifest_of(const struct copy_pass *pass)
{
    struct copy_manifest *manifest;
    assert_null(copy_manifest_read(pass->manifest_path, &manifest));
    return manifest;
}

void verify(const struct export *target, const struct copy_manifest *manifest)
{
    struct copy_check check = {.target = export_end(target), .manifest = manifest};
    struct copy_check_result result;
    struct error *error = copy_verify(&check, &result);
    if (error)
        fail_msg("%s", error_message(error));
    assert_int_equal(result.mismatches, 0);
}

void assert_describes(const struct copy_manifest *manifest, const char *path)
{
    const struct copy_shape *shape = copy_manifest_shape(manifest);
    struct copy_digest *digest = copy_digest_new(shape->algorithm);
    uint8_t *bytes = xmalloc(shape->block_size), found[COPY_DIGEST_SIZE];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    for (uint64_t block = 0; block < copy_shape_blocks(shape); block++) {
        uint32_t length = copy_shape_length(shape, block);
        assert_int_equal(pread(file, bytes, length, (off_t)(block * shape->block_size)), length);
        copy_digest_of(digest, bytes, length, found);
        if (memcmp(found, copy_manifest_get(manifest, block), COPY_DIGEST_SIZE) != 0)
            fail_msg("block %llu is not as the manifest says", (unsigned long long)block);
    }
    close(file);
    free(bytes);
    copy_digest_free(digest);
}
