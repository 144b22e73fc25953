/* Machines that move between libvirt and a vCenter by the real broker and the real client: warm and cold, in
 * both directions, with what their guests wrote meanwhile. vcsim runs no guests: there "the guest writes" is
 * its control path, and a guest that comes back to libvirt boots from what it was brought. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "tests/e2e/move.h"
#include "tests/e2e/world_check.h"
#include "tests/support/process.h"

#define MIB (UINT64_C(1) << 20)
#define BLOCK 65536u     /* what vcsim tracks changes in */
#define FAR (1000 * MIB) /* where the tiny guest has nothing; below every disk's end but the journal's */
#define NEXT_PASS_S 660  /* the clock's step after which a synced move takes another pass */

static int begin(void **state)
{
    static const char *const vcsim[] = {"-extents-max", "4", "-tools", NULL};
    /* The tiny guest is no system that a converter knows, whatever vcsim says that it is. */
    const struct world_options options = {.vcsim = vcsim, .settings = "conversion = off\n"};
    *state = moves_start_in(&options, true);
    return 0;
}

static int end(void **state)
{
    moves_stop(*state);
    return 0;
}

static void shell(const char *command)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct process *process = process_start((const char *const[]){"/bin/sh", "-c", command, NULL}, NULL);
    const char *said = "";
    for (const char *line; (line = process_line(process, MOVE_SECONDS * MOMENT_SECOND));)
        said = arena_printf(arena, "%s%s\n", said, line);
    if (process_stop(process) != 0)
        fail_msg("%s\n%s", command, said);
}

/* The disk at libvirt and the one at the vCenter, byte for byte; the one that a guest runs on is compared as
 * it is on disk. */
static void expect_same(const struct moves *moves, const struct kvmcloud *cloud, const char *id,
                        const struct machine *machine, int disk)
{
    char *qcow2 = moves_disk_file(cloud, id);
    char *flat = vcsim_disk_file(moves->world->vcsim, machine->id, disk);
    char *command = xasprintf("exec 2>&1; exec qemu-img compare -U -f qcow2 -F raw '%s' '%s'", qcow2, flat);
    shell(command);
    free(command);
    free(flat);
    free(qcow2);
}

/* What the guest on the vCenter writes: `count` pieces, none beside another, so that each is an extent of its
 * own. */
static void guest_writes(const struct moves *moves, const struct machine *machine, int disk, uint64_t from,
                         unsigned count, char byte)
{
    char piece[4096];
    for (unsigned i = 0; i < count; i++) {
        for (size_t k = 0; k < sizeof piece; k++)
            piece[k] = (char)(byte + (char)((i + k / 512) % 64));
        vcsim_guest_write(moves->world->vcsim, machine->id, disk, from + i * 3 * BLOCK + 512 * i, piece,
                          sizeof piece);
    }
}

/* "": it was started. */
static const char *operators_start(const struct moves *moves, const struct machine *machine)
{
    char *path = xasprintf("/__power-on?vm=%s", machine->id);
    const char *fault = vcsim_control(moves->world->vcsim, path);
    free(path);
    return fault;
}

static void inject(const struct moves *moves, const char *what)
{
    char *path = xasprintf("/__inject?%s", what);
    (void)vcsim_control(moves->world->vcsim, path);
    free(path);
}

/* Nothing of ours is at the vCenter: neither machine nor volume nor a disk's file but the template's, and
 * nothing is staged for it. */
static void expect_vcenter_empty(const struct moves *moves)
{
    check_providers(moves->world);
    shell("exec 2>&1; cd \"${TMPDIR:-/tmp}/yunqiao-$(id -u)\" 2>/dev/null || exit 0; "
          "left=$(find . -name '*.raw*'); [ -z \"$left\" ] || { echo \"staged: $left\"; exit 1; }");
}

static void plan(struct moves *moves, struct machine *machine, const char *from, const char *to,
                 const char *method)
{
    machine->from = from;
    machine->to = to;
    move_plan(moves, machine, method);
    free(move_consent(moves, machine));
}

static void commit(struct moves *moves, const struct machine *machine)
{
    move_say(moves, machine, "accept");
    move_say(moves, machine, "commit");
    move_await(moves, machine, "committed");
    move_expect_closed(moves, machine);
    move_expect_rows(moves, machine, machine->to);
    move_expect_usage(moves, machine);
}

/* To the vCenter, up to holding, and back: it lives there with both disks the same, here it is off and
 * fenced; then it is here again as it was stopped. */
static void there_and_back(void **state)
{
    struct moves *moves = *state;
    struct machine machine = moves_machine_start(moves, "returns");
    machine.sampled = true; /* 11 GiB without a hole are compared below */
    plan(moves, &machine, "here", "health", "warm");
    move_say(moves, &machine, "start");
    move_await(moves, &machine, "synced");
    /* What was staged goes there in the last pass, and that is told before anybody agrees to it. */
    move_expect(moves, &machine, "SELECT predicted_us > 60000000 FROM migration WHERE id = '%s'", "t");
    (void)moves_journal_writes(moves, moves->here, &machine,
                               moves_journal_said(moves, moves->here, &machine));
    move_say(moves, &machine, "cutover");
    move_await(moves, &machine, "holding");
    unsigned said = moves_journal_said(moves, moves->here, &machine);
    move_expect_passes(moves, &machine, "full changed full changed");
    move_expect_rows(moves, &machine, "health");
    move_expect_usage(moves, &machine);
    move_expect_fenced(moves->here, &machine);
    move_expect_show(moves, &machine, "holding");
    expect_same(moves, moves->here, machine.id, &machine, 0);
    expect_same(moves, moves->here, machine.volume, &machine, 1);
    move_say(moves, &machine, "rollback");
    move_await(moves, &machine, "rolled-back");
    move_expect_closed(moves, &machine);
    move_expect_rows(moves, &machine, "here");
    expect_vcenter_empty(moves);
    assert_string_equal(moves_power(moves->here, &machine), "running");
    said = moves_journal_writes(moves, moves->here, &machine, said);
    moves_journal_check(moves, moves->here, &machine, said);
    moves_machine_end(moves, &machine);
    moves_expect_empty(moves->here);
}

/* The content of a raw file becomes that of a running machine's disk. */
static void guest_becomes(const struct moves *moves, const struct machine *machine, int disk, const char *raw)
{
    static char piece[MIB], zeros[MIB];
    FILE *file = fopen(raw, "re");
    assert_non_null(file);
    uint64_t at = 0;
    for (size_t length; (length = fread(piece, 1, sizeof piece, file)); at += length)
        if (memcmp(piece, zeros, length) != 0)
            vcsim_guest_write(moves->world->vcsim, machine->id, disk, at, piece, length);
    (void)fclose(file); /* read only */
}

/* A machine that was born at the vCenter, runs there and has on its disks what boots, and an empty journal.
 */
static struct machine vcenter_machine(struct moves *moves, const char *name)
{
    struct world *w = moves->world;
    struct machine machine = {.name = name, .from = "health", .to = "there"};
    char *journal = xasprintf("%s-journal", name), *raw = xasprintf("%s/%s.raw", w->folder, name);
    json_t *items = json_array();
    json_array_append_new(items, world_instance("health", name, 1, 1));
    json_array_append_new(items, world_volume(journal, 1, name));
    world_succeeds(w, w->operator_, world_order(w, w->operator_, WORLD_SYSTEM, "health", items));
    machine.id = world_id(w, "instance", name);
    machine.volume = world_id(w, "volume", journal);
    char *command = xasprintf("exec 2>&1; set -e; qemu-img convert -O raw '%s/images/%s' '%s'; truncate -s 1G"
                              " '%s.journal'; mke2fs -q -t ext4 '%s.journal'",
                              kvmcloud_folder(moves->here), KVMCLOUD_IMAGE, raw, raw, raw);
    char *second = xasprintf("%s.journal", raw);
    shell(command);
    guest_becomes(moves, &machine, 0, raw);
    guest_becomes(moves, &machine, 1, second);
    (void)unlink(raw); /* the folder goes with the world */
    (void)unlink(second);
    free(second);
    free(command);
    free(raw);
    free(journal);
    return machine;
}

/* It lives at libvirt, where it really boots, and is off and fenced at the vCenter. Returns the last record
 * that it said. */
static unsigned expect_lives_at_libvirt(struct moves *moves, const struct machine *machine)
{
    move_expect_rows(moves, machine, "there");
    assert_string_equal(operators_start(moves, machine), "InsufficientCpuResourcesFault");
    unsigned said = moves_journal_writes(moves, moves->there, machine, 3);
    expect_same(moves, moves->there, machine->id, machine, 0); /* the guest writes to its journal alone */
    return said;
}

static void end_at_libvirt(struct moves *moves, struct machine *machine, unsigned said)
{
    commit(moves, machine);
    expect_vcenter_empty(moves);
    moves_journal_check(moves, moves->there, machine, said);
    moves_machine_end(moves, machine);
    moves_expect_empty(moves->there);
}

/* Three passes, the later ones of what changed, in answers of four areas each, with sessions that end. */
static void a_warm_move_from_the_vcenter(void **state)
{
    struct moves *moves = *state;
    struct world *w = moves->world;
    struct machine machine = vcenter_machine(moves, "warm");
    plan(moves, &machine, "health", "there", "warm");
    guest_writes(moves, &machine, 0, FAR, 30, '0');
    inject(moves, "method=GetFile&kind=expire&after=20");
    move_say(moves, &machine, "start");
    move_await(moves, &machine, "synced");
    guest_writes(moves, &machine, 0, FAR + 5 * BLOCK, 21, 'A');
    guest_writes(moves, &machine, 1, 700 * MIB, 9, 'a'); /* where the journal's file system has nothing */
    long asked = vcsim_calls(w->vcsim, "QueryChangedDiskAreas");
    inject(moves, "method=QueryChangedDiskAreas&kind=expire&after=2");
    world_clock(w, NEXT_PASS_S); /* a synced move waits longer than that, unless a word wakes it */
    json_decref(
        moves_client(moves, w->admin, 0,
                     (const char *const[]){"migrate", "terms", machine.migration, "--hold-days", "9", NULL}));
    char *passes = xasprintf("SELECT passes FROM migration WHERE id = '%s'", machine.migration);
    world_await(w, passes, "2", MOVE_SECONDS);
    free(passes);
    assert_true(vcsim_calls(w->vcsim, "QueryChangedDiskAreas") - asked >= 21 / 4 + 9 / 4);
    guest_writes(moves, &machine, 0, FAR + 50 * BLOCK, 13, 'P');
    (void)vcsim_control(w->vcsim, "/__expire");
    move_say(moves, &machine, "cutover");
    move_await(moves, &machine, "holding");
    move_expect_passes(moves, &machine, "full changed changed full changed changed");
    unsigned said = expect_lives_at_libvirt(moves, &machine);
    move_expect_show(moves, &machine, "holding");
    end_at_libvirt(moves, &machine, said);
}

/* It is off: all is copied in one pass, and it stays off until somebody starts it. */
static void a_cold_move_from_the_vcenter(void **state)
{
    struct moves *moves = *state;
    struct machine machine = vcenter_machine(moves, "cold");
    moves_power_off(moves, &machine);
    plan(moves, &machine, "health", "there", NULL);
    move_expect(moves, &machine, "SELECT method FROM migration WHERE id = '%s'", "cold");
    move_say(moves, &machine, "start");
    move_await(moves, &machine, "synced");
    move_say(moves, &machine, "cutover");
    move_await(moves, &machine, "holding");
    move_expect_passes(moves, &machine, "full full");
    assert_string_equal(moves_power(moves->there, &machine), "shut off");
    expect_same(moves, moves->there, machine.volume, &machine, 1);
    moves_power_on(moves, &machine);
    end_at_libvirt(moves, &machine, expect_lives_at_libvirt(moves, &machine));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warm_move_from_the_vcenter),
        cmocka_unit_test(a_cold_move_from_the_vcenter),
        cmocka_unit_test(there_and_back),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, begin, end);
}
