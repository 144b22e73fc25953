/* kill -9 of the process that runs a pass, at random moments, and again until it comes through: what the
 * progress file says is on the target, and at the end the target and the manifest are those of a pass that
 * nobody disturbed. */
#include "federation/copy.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/base/arena.h"
#include "broker/base/id.h"
#include "federation/copy_journal.h"
#include "tests/federation/copy/exports.h"

#define SIZE (16 * MIB + 512)
#define BLOCK 65536
#define KILLS 24

static const char *source_file, *target_file;
static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

/* What the child tells. */
struct told {
    struct copy_progress progress;
    bool failed;
};

static bool on_progress(void *data, const struct copy_progress *progress)
{
    ((struct told *)data)->progress = *progress;
    return true;
}

/* True when the child came to its end by itself. */
static bool run_and_kill(struct copy_pass *pass, struct told *told, int64_t after_us)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct copy_result result;
        pass->progress = on_progress;
        pass->data = told;
        struct error *error = copy_pass_run(pass, &result);
        if (error)
            (void)!write(2, error_message(error), strlen(error_message(error)));
        told->failed = error != NULL;
        _exit(error != NULL);
    }
    nanosleep(&(struct timespec){.tv_sec = after_us / 1000000, .tv_nsec = after_us % 1000000 * 1000}, NULL);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_false(told->failed);
    return WIFEXITED(status);
}

struct claim {
    struct copy_manifest *manifest;
    int file;
    struct copy_digest *digest;
    size_t count;
};

static void on_block(void *data, uint64_t block)
{
    struct claim *claim = data;
    static uint8_t bytes[BLOCK];
    uint8_t found[COPY_DIGEST_SIZE];
    uint32_t length = copy_shape_length(copy_manifest_shape(claim->manifest), block);
    assert_int_equal(pread(claim->file, bytes, length, (off_t)(block * BLOCK)), length);
    copy_digest_of(claim->digest, bytes, length, found);
    assert_memory_equal(found, copy_manifest_get(claim->manifest, block), sizeof found);
    claim->count++;
}

/* Reads the progress file as the next attempt will, and the target beside it. */
static size_t check_claims(const struct copy_pass *pass)
{
    struct copy_attempt attempt = {
        .shape = {.size = SIZE, .block_size = BLOCK, .algorithm = COPY_SHA256, .label = "vda"},
        .pass = pass->pass,
        .changes = (uint32_t)pass->changes,
        .snapshot = "s1"};
    const char *path = in_folder("manifest.progress");
    struct claim claim = {.count = 0};
    struct copy_journal *journal;
    bool found;
    if (access(path, F_OK))
        return 0; /* it was killed before it began */
    if (pass->last) {
        copy_manifest_root(pass->last, attempt.last);
        claim.manifest = copy_manifest_next(pass->last, pass->pass);
    } else {
        assert_null(copy_manifest_new(&attempt.shape, pass->pass, &claim.manifest));
    }
    claim.file = open(target_file, O_RDONLY | O_CLOEXEC);
    claim.digest = copy_digest_new(COPY_SHA256);
    assert_null(copy_journal_open(path, &attempt, claim.manifest, on_block, &claim, &found, &journal));
    copy_journal_close(journal);
    copy_digest_free(claim.digest);
    copy_manifest_free(claim.manifest);
    close(claim.file);
    return claim.count;
}

/* Kills attempts of the pass until one comes through. */
static unsigned until_through(struct copy_pass *pass, struct told *told, size_t *claimed)
{
    unsigned kills = 0;
    for (;;) {
        memset(told, 0, sizeof *told);
        if (run_and_kill(pass, told, (int64_t)draw(kills < KILLS ? 300000 : 20000000)))
            break;
        kills++;
        size_t claims = check_claims(pass);
        assert_true(claims >= *claimed || access(pass->manifest_path, F_OK) == 0); /* never goes back */
        *claimed = claims;
    }
    return kills;
}

static struct told *shared(void)
{
    struct told *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(told != MAP_FAILED);
    return told;
}

static void killed_full_pass(void **state)
{
    struct told *told = shared();
    const char *reference = in_folder("reference");
    unsigned kills = 0, rounds = 0;
    disk_make(source_file, SIZE, 60, 1);
    disk_fill(target_file, SIZE, 0xee);
    struct export *source = EXPORT("nbdkit", "--threads=1", "--filter=delay", "file", source_file,
                                   "delay-read=5ms"),
                  *target = EXPORT("nbdkit", "--threads=1", "file", target_file);
    struct copy_pass pass = pass_between(source, target);
    pass.block_size = BLOCK;
    pass.tuning = (struct copy_tuning){.memory_max = 8 * BLOCK, .checkpoint_us = 1000, .connections = 2};
    pass_run(&pass);
    COMMAND("cp", pass.manifest_path, reference);
    while (kills < KILLS) {
        size_t claimed = 0;
        disk_fill(target_file, SIZE, 0xee);
        assert_int_equal(unlink(pass.manifest_path), 0);
        kills += until_through(&pass, told, &claimed);
        assert_same(source_file, target_file);
        assert_true(file_same(reference, pass.manifest_path));
        assert_true(!claimed || told->progress.resumed > 0);
        assert_int_equal(access(in_folder("manifest.progress"), F_OK), -1);
        assert_true(++rounds < 200);
    }
    export_stop(source);
    export_stop(target);
    munmap(told, sizeof *told);
}

static void killed_delta_pass(void **state)
{
    struct told *told = shared();
    const char *first = in_folder("first"), *reference = in_folder("reference");
    unsigned kills = 0, rounds = 0;
    disk_make(source_file, SIZE, 60, 1);
    struct export *source = EXPORT("nbdkit", "--threads=1", "--filter=delay", "file", source_file,
                                   "delay-read=5ms"),
                  *target = EXPORT("nbdkit", "--threads=1", "file", target_file);
    COMMAND("cp", source_file, target_file);
    COMMAND("cp", source_file, first);
    struct copy_pass pass = pass_between(source, target);
    pass.block_size = BLOCK;
    pass.tuning = (struct copy_tuning){.memory_max = 8 * BLOCK, .checkpoint_us = 1000, .connections = 2};
    pass_run(&pass);
    struct copy_manifest *last = manifest_of(&pass);
    struct copy_extents areas;
    copy_extents_init(&areas, SIZE, 0);
    for (uint64_t page = 0; page < 16; page++) {
        struct copy_area changed[] = {{page * MIB + 512 * 9, 100000}, {page * MIB + 600000, 200000}};
        disk_write(source_file, changed[0].start, changed[0].length, page);
        disk_write(source_file, changed[1].start, changed[1].length, page + 100);
        assert_null(copy_extents_page(&areas, page * MIB, page == 15 ? MIB + 512 : MIB, changed, 2));
    }
    pass.pass = 2;
    pass.changes = COPY_AREAS;
    pass.areas = &areas;
    pass.last = last;
    pass_run(&pass);
    assert_same(source_file, target_file);
    COMMAND("cp", pass.manifest_path, reference);
    while (kills < KILLS) {
        size_t claimed = 0;
        COMMAND("cp", first, target_file);
        assert_int_equal(unlink(pass.manifest_path), 0);
        kills += until_through(&pass, told, &claimed);
        assert_same(source_file, target_file);
        assert_true(file_same(reference, pass.manifest_path));
        assert_true(++rounds < 200);
    }
    copy_extents_done(&areas);
    copy_manifest_free(last);
    export_stop(source);
    export_stop(target);
    munmap(told, sizeof *told);
}

/* The server of the target dies with what it had not flushed yet: nothing of that may be in the progress
 * file. */
static void target_dies(void **state)
{
    unsigned deaths = 0;
    size_t most = 0;
    disk_make(source_file, SIZE, 60, 1);
    struct export *source =
        EXPORT("nbdkit", "--threads=1", "--filter=delay", "file", source_file, "delay-read=5ms");
    while (deaths < 12) {
        disk_fill(target_file, SIZE, 0xee);
        struct copy_pass pass = {.changes = COPY_ALL};
        for (bool through = false, first = true; !through; first = false) {
            struct export *target =
                EXPORT("nbdkit", "--threads=1", "--filter=cache", "file", target_file, "cache=writeback");
            if (first)
                pass = pass_between(source, target);
            pass.target = export_end(target);
            pass.block_size = BLOCK;
            pass.tuning =
                (struct copy_tuning){.memory_max = 8 * BLOCK, .checkpoint_us = 1000, .connections = 2};
            int status;
            pid_t pid = fork();
            assert_true(pid >= 0);
            if (pid == 0) {
                struct copy_result result;
                _exit(copy_pass_run(&pass, &result) != NULL);
            }
            int64_t after = (int64_t)draw(deaths < 12 ? 300000 : 20000000);
            nanosleep(&(struct timespec){.tv_sec = after / 1000000, .tv_nsec = after % 1000000 * 1000}, NULL);
            export_signal(target, SIGKILL);
            assert_int_equal(waitpid(pid, &status, 0), pid);
            through = status == 0;
            deaths += !through;
            export_stop(target);
            size_t claims = through ? 0 : check_claims(&pass);
            most = claims > most ? claims : most;
        }
        assert_same(source_file, target_file);
    }
    assert_true(most > 0);
    export_stop(source);
}

static int begin(void **state)
{
    if (exports_begin(state))
        return -1;
    source_file = in_folder("source");
    target_file = in_folder("target");
    random_bytes(&seed, sizeof seed);
    seed |= 1;
    fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed_full_pass),
                                       cmocka_unit_test(killed_delta_pass), cmocka_unit_test(target_dies)};
    return cmocka_run_group_tests(tests, begin, exports_end);
}
