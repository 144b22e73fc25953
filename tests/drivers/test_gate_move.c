/* The gate's half for moving instances (gate_move.c, argument_move.c, promise_move.c) against a driver that
 * does what the test says: arguments, capabilities, promises, repeats, deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "broker/base/log.h"
#include "broker/base/moment.h"
#include "drivers/driver_move.h"
#include "drivers/gate.h"
#include "tests/drivers/script_driver.h"

#define ID "0192f0c1-2b3c-7d4e-8f50-a1b2c3d4e5f6"
#define ID_A "0192f0c1-2b3c-7d4e-8f50-00000000000a"
#define ID_B "0192f0c1-2b3c-7d4e-8f50-00000000000b"
#define ID_C "0192f0c1-2b3c-7d4e-8f50-00000000000c"
#define LARGEST (UINT64_C(64) << 40)

static struct gate *gate;
static struct arena *arena;
static struct driver_call call;
static const struct driver_key key = {.id = ID};
static const struct driver_shell_disk good_disks[] = {
    {.size_bytes = 1 << 30, .boot = true},
    {.volume_id = ID_A, .size_bytes = LARGEST},
};
static struct driver_shell_spec good_shell = {.id = ID,
                                              .name = "web-1",
                                              .architecture = "x86",
                                              .vcpu = 2,
                                              .memory_mb = 2048,
                                              .firmware = DRIVER_FIRMWARE_UEFI,
                                              .network = "extranet",
                                              .mac = "52:54:00:0a:0b:0c",
                                              .disks = good_disks,
                                              .disk_count = 2};

static void open_gate(const struct driver *driver)
{
    struct gate_limits limits = {.backoff_us = 2000, .grace_us = 50000, .rate = 100000};
    struct driver_endpoint endpoint = {.id = "e1", .url = "script://here", .timeout_us = 20000};
    gate_free(gate);
    assert_null(gate_new(driver, &endpoint, &limits, &gate));
}

static int setup(void **state)
{
    script_reset();
    arena = arena_new();
    gate = NULL;
    call = (struct driver_call){.arena = arena, .deadline_us = moment_monotonic() + 30 * MOMENT_SECOND};
    open_gate(&script_mover);
    return 0;
}

static int teardown(void **state)
{
    gate_free(gate);
    arena_free(arena);
    return script_now().sessions;
}

static void assert_fails(struct error *error, enum error_code code, const char *words)
{
    assert_non_null(error);
    if (error_code(error) != code || !strstr(error_message(error), words))
        fail_msg("%s: %s", error_code_name(error_code(error)), error_message(error));
    error_free(error);
}

static struct driver_endpoint target(void)
{
    return (struct driver_endpoint){.id = "e2", .url = "script://there", .timeout_us = 20000};
}

static struct driver_move_spec good_move(const struct driver_endpoint *endpoint)
{
    return (struct driver_move_spec){
        .id = ID_B, .target = endpoint, .network = "internet", .disks = good_disks, .disk_count = 2};
}

/* --- arguments --- */

static struct error *prepare(struct driver_shell_spec spec)
{
    struct driver_instance instance;
    return gate_instance_prepare(gate, &call, &spec, &instance);
}

static struct error *export(struct driver_export_spec spec)
{
    struct driver_export opened;
    return gate_export_open(gate, &call, &key, &spec, &opened);
}

static struct error *move(struct driver_move_spec spec)
{
    return gate_move_validate(gate, &call, &key, &spec);
}

static struct error *test(const char *id)
{
    struct driver_instance made;
    return gate_test_create(gate, &call, &key, &(struct driver_test_spec){.id = id, .name = "web-1-test"},
                            &made);
}

#define BAD(function, good, member, value, words)         \
    do {                                                  \
        __typeof__(good) spec = (good);                   \
        spec.member = (value);                            \
        assert_fails(function(spec), ERR_INVALID, words); \
    } while (0)

static void test_refuses_bad_snapshots_and_keys(void **state)
{
    char longest[65];
    memset(longest, 'a', 64);
    longest[64] = '\0';
    static const char *const names[] = {NULL, "", "Big", "a b", "../a"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_fails(gate_snapshot_create(gate, &call, &key, names[i], false), ERR_INVALID, "snapshot name");
        assert_fails(gate_snapshot_revert(gate, &call, &key, names[i]), ERR_INVALID, "snapshot name");
        assert_fails(gate_snapshot_delete(gate, &call, &key, names[i]), ERR_INVALID, "snapshot name");
    }
    assert_fails(gate_snapshot_create(gate, &call, &key, longest, false), ERR_INVALID, "snapshot name");
    const struct driver_key bad = {.id = "one"};
    struct driver_detail detail;
    struct driver_export opened;
    struct driver_export_spec spec = {.id = ID_A};
    assert_fails(gate_snapshot_create(gate, &call, &bad, "one", false), ERR_INVALID, "instance id");
    assert_fails(gate_instance_detail(gate, &call, &bad, &detail), ERR_INVALID, "instance id");
    assert_fails(gate_instance_detail(gate, &call, NULL, &detail), ERR_INVALID, "no instance");
    assert_fails(gate_instance_fence(gate, &call, &bad), ERR_INVALID, "instance id");
    assert_fails(gate_instance_release(gate, &call, &bad), ERR_INVALID, "instance id");
    assert_fails(gate_export_open(gate, &call, &bad, &spec, &opened), ERR_INVALID, "instance id");
    assert_fails(gate_export_close(gate, &call, &bad, ID_A, false), ERR_INVALID, "instance id");
    assert_fails(gate_checkpoint_delete(gate, &call, &bad, ID_A), ERR_INVALID, "instance id");
    assert_int_equal(script_now().asked + script_now().opens, 0);
}

static void test_refuses_bad_exports(void **state)
{
    struct driver_export_spec good = {.id = ID_A, .access = DRIVER_READ, .checkpoint = ID_B, .since = ID_C};
    struct driver_export_spec writing = {.id = ID_A, .access = DRIVER_WRITE};
    struct driver_export opened;
    BAD(export, good, id, NULL, "export id");
    BAD(export, good, id, "0192F0C1-2B3C-7D4E-8F50-A1B2C3D4E5F6", "export id");
    BAD(export, good, checkpoint, "one", "checkpoint id");
    BAD(export, good, since, "one", "earlier checkpoint id");
    BAD(export, good, access, (enum driver_access)7, "access");
    BAD(export, writing, checkpoint, ID_B, "for writing");
    BAD(export, writing, since, ID_B, "for writing");
    BAD(export, writing, quiesce, true, "for writing");
    assert_fails(gate_export_open(gate, &call, &key, NULL, &opened), ERR_INVALID, "no export");
    assert_fails(gate_export_close(gate, &call, &key, NULL, true), ERR_INVALID, "export id");
    assert_fails(gate_export_close(gate, &call, &key, "one", true), ERR_INVALID, "export id");
    assert_fails(gate_checkpoint_delete(gate, &call, &key, "one"), ERR_INVALID, "checkpoint id");
    assert_int_equal(script_now().asked, 0);
}

/* Disk lists that neither a shell nor a move may have. */
static void refuses_disks(struct driver_shell_disk one, struct driver_shell_disk two, size_t count,
                          const char *words)
{
    struct driver_shell_disk disks[GATE_SHELL_DISKS_MAX + 1] = {one, two};
    struct driver_endpoint there = target();
    struct driver_shell_spec shell = good_shell;
    struct driver_move_spec moved = good_move(&there);
    shell.disks = moved.disks = disks;
    shell.disk_count = moved.disk_count = count;
    assert_fails(prepare(shell), ERR_INVALID, words);
    assert_fails(move(moved), ERR_INVALID, words);
}

static void test_refuses_bad_disks(void **state)
{
    const struct driver_shell_disk boot = {.size_bytes = 1 << 20, .boot = true};
    struct driver_shell_disk bad = {.size_bytes = 1 << 20};
    refuses_disks(bad, bad, 2, "0 boot disks");
    refuses_disks(boot, boot, 2, "2 boot disks");
    refuses_disks(boot, bad, GATE_SHELL_DISKS_MAX + 1, "more than 16 disks");
    static const uint64_t sizes[] = {0, 511, 513, LARGEST + 512, UINT64_MAX - 511};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        bad.size_bytes = sizes[i];
        refuses_disks(boot, bad, 2, "512 B to 64 TiB");
    }
    bad = (struct driver_shell_disk){.volume_id = "one", .size_bytes = 512};
    refuses_disks(boot, bad, 2, "volume id");
    assert_int_equal(script_now().asked, 0);
}

static void test_refuses_bad_shells(void **state)
{
    static const char *const macs[] = {"",
                                       "52:54:00:0A:0B:0C",
                                       "52:54:00:0a:0b",
                                       "52:54:00:0a:0b:0c:0d",
                                       "52-54-00-0a-0b-0c",
                                       "52:54:00:0a:0b:0g",
                                       "525:4:00:0a:0b:0c"};
    struct driver_instance instance;
    BAD(prepare, good_shell, id, "one", "instance id");
    BAD(prepare, good_shell, name, "Web", "instance name");
    BAD(prepare, good_shell, architecture, "sparc", "architecture");
    BAD(prepare, good_shell, vcpu, 17, "vCPU");
    BAD(prepare, good_shell, vcpu, 0, "vCPU");
    BAD(prepare, good_shell, memory_mb, 1023, "memory");
    BAD(prepare, good_shell, firmware, (enum driver_firmware)(DRIVER_FIRMWARE_OPEN + 1), "firmware");
    BAD(prepare, good_shell, network, "", "network");
    BAD(prepare, good_shell, network, "a\nb", "control character");
    BAD(prepare, good_shell, disk_count, 0, "without disks");
    for (size_t i = 0; i < sizeof macs / sizeof *macs; i++)
        BAD(prepare, good_shell, mac, macs[i], "hardware address");
    assert_fails(gate_instance_prepare(gate, &call, NULL, &instance), ERR_INVALID, "no instance");
    assert_int_equal(script_now().asked, 0);
}

static void test_refuses_bad_moves(void **state)
{
    struct driver_endpoint there = target(), bad = target();
    struct driver_move_spec good = good_move(&there);
    struct driver_move_report report;
    enum driver_side side;
    BAD(move, good, id, "one", "move id");
    BAD(move, good, target, NULL, "no target");
    BAD(move, good, network, "", "network");
    BAD(move, good, downtime_us, -1, "downtime");
    good.target = &bad;
    bad.id = NULL;
    assert_fails(move(good), ERR_INVALID, "no id, URL or timeout");
    bad = target();
    bad.url = "";
    assert_fails(move(good), ERR_INVALID, "no id, URL or timeout");
    bad = target();
    bad.timeout_us = 0;
    assert_fails(move(good), ERR_INVALID, "no id, URL or timeout");
    assert_fails(gate_move_validate(gate, &call, &key, NULL), ERR_INVALID, "no move");
    assert_fails(gate_move_run(gate, &call, &key, NULL, &report), ERR_INVALID, "no move");
    assert_fails(gate_move_settle(gate, &call, &key, NULL, true, &side), ERR_INVALID, "no move");
    assert_fails(gate_move_run(gate, &call, NULL, &good, &report), ERR_INVALID, "no instance");
    assert_int_equal(script_now().asked, 0);
}

/* --- arguments that pass, and what comes back --- */

static const struct driver_extent good_changes[] = {{0, 512}, {512, 1024}, {4096, 4096}};
static const struct driver_exported_disk good_exported = {.disk = "sda",
                                                          .size_bytes = 8192,
                                                          .socket = "/run/one.sock",
                                                          .export_name = "",
                                                          .changed = good_changes,
                                                          .changed_count = 3,
                                                          .changed_known = true};
/* Lives longer than a call: the scripted driver hands it out. */
static struct driver_exported_disk answered[2];
static struct driver_disk answered_disks[2];
static struct script wanted;

static void set_wanted(struct script *script)
{
    script->detail = wanted.detail;
    script->opened = wanted.opened;
    script->moved = wanted.moved;
    script->side = wanted.side;
    script->shell_power = wanted.shell_power;
    script->broken = wanted.broken;
    script->fails = wanted.fails;
    script->code = wanted.code;
}

static void answer_well(void)
{
    answered[0] = answered[1] = good_exported;
    answered[1].disk = "sdb";
    answered_disks[0] = (struct driver_disk){.name = "sda", .size_bytes = 8192, .boot = true};
    answered_disks[1] = (struct driver_disk){.name = "sdb", .volume_id = ID_A, .size_bytes = 8192};
    wanted = (struct script){
        .code = ERR_UNAVAILABLE,
        .shell_power = DRIVER_POWER_OFF,
        .opened = {.disks = answered, .disk_count = 2, .running = true},
        .detail = {.firmware = DRIVER_FIRMWARE_BIOS, .disks = answered_disks, .disk_count = 2},
        .moved = {.elapsed_us = 5, .downtime_us = -1, .ref = "there"},
        .side = DRIVER_SIDE_TARGET};
    script_change(set_wanted);
}

static void assert_asked(const char *line)
{
    struct script now = script_now();
    assert_string_equal(now.move, line);
    assert_string_equal(now.stamp, ID);
}

static void test_passes_arguments_and_results(void **state)
{
    struct driver_detail detail;
    struct driver_export opened;
    struct driver_export_spec spec = {
        .id = ID_A, .access = DRIVER_READ, .checkpoint = ID_B, .since = ID_C, .quiesce = true};
    answer_well();
    assert_null(gate_instance_detail(gate, &call, &key, &detail));
    assert_string_equal(detail.instance.id, ID);
    assert_string_equal(detail.disks[1].name, "sdb");
    assert_null(gate_snapshot_create(gate, &call, &key, "one", true));
    assert_asked("create one quiesced");
    assert_null(gate_snapshot_revert(gate, &call, &key, "two"));
    assert_asked("revert two");
    assert_null(gate_snapshot_delete(gate, &call, &key, "three"));
    assert_asked("delete three");
    assert_null(gate_export_open(gate, &call, &key, &spec, &opened));
    assert_asked("open " ID_A " read " ID_B " " ID_C " quiesced");
    assert_true(opened.running);
    assert_int_equal(opened.disks[0].changed[2].offset, 4096);
    assert_null(export((struct driver_export_spec){.id = ID_B, .access = DRIVER_WRITE}));
    assert_asked("open " ID_B " write - -");
    assert_null(gate_export_close(gate, &call, &key, ID_A, true));
    assert_asked("close " ID_A " kept");
    assert_null(gate_export_close(gate, &call, &key, ID_A, false));
    assert_asked("close " ID_A);
    assert_null(gate_checkpoint_delete(gate, &call, &key, ID_B));
    assert_asked("forget " ID_B);
    assert_null(gate_instance_fence(gate, &call, &key));
    assert_asked("fence");
    assert_null(gate_instance_release(gate, &call, &key));
    assert_asked("release");
    assert_null(prepare(good_shell));
    assert_asked("prepare web-1 extranet 52:54:00:0a:0b:0c 2 -");
    struct driver_shell_spec bare = good_shell;
    bare.network = bare.mac = NULL;
    assert_null(prepare(bare));
    assert_asked("prepare web-1 - - 2 -");
}

static void tells_another(struct script *now)
{
    now->broken = BROKEN_STAMP;
}

static void test_passes_test_boots(void **state)
{
    struct driver_test_spec spec = {.id = ID_A, .name = "web-1-test"};
    struct driver_instance made;
    answer_well();
    assert_null(gate_test_create(gate, &call, &key, &spec, &made));
    assert_asked("test " ID_A " web-1-test");
    assert_string_equal(made.id, ID_A);
    script_change(tells_another);
    assert_fails(gate_test_create(gate, &call, &key, &spec, &made), ERR_INTERNAL, "was asked for");
    spec.id = ID; /* the original's */
    assert_fails(gate_test_create(gate, &call, &key, &spec, &made), ERR_INVALID, "stamp of its own");
    spec.id = "one";
    assert_fails(gate_test_create(gate, &call, &key, &spec, &made), ERR_INVALID, "test id");
    spec = (struct driver_test_spec){.id = ID_A, .name = "Web 1"};
    assert_fails(gate_test_create(gate, &call, &key, &spec, &made), ERR_INVALID, "test name");
    assert_fails(gate_test_create(gate, &call, &key, NULL, &made), ERR_INVALID, "no test");
}

static void test_passes_moves_and_their_target(void **state)
{
    json_t *options = json_pack("{s:s}", "x", "option");
    struct driver_endpoint there = target();
    there.password = "secret";
    there.options = options;
    struct driver_move_spec spec = good_move(&there);
    struct driver_move_report report;
    enum driver_side side = DRIVER_SIDE_SOURCE;
    answer_well();
    assert_null(gate_move_validate(gate, &call, &key, &spec));
    assert_asked("validate " ID_B " to e2 script://there secret option, internet, 2");
    assert_null(gate_move_run(gate, &call, &key, &spec, &report));
    assert_asked("run " ID_B " to e2 script://there secret option, internet, 2");
    assert_string_equal(report.ref, "there");
    spec.network = NULL;
    spec.disk_count = 0;
    assert_null(gate_move_settle(gate, &call, &key, &spec, true, &side));
    assert_asked("abort " ID_B " to e2 script://there secret option, -, 0");
    assert_int_equal(side, DRIVER_SIDE_TARGET);
    assert_null(gate_move_settle(gate, &call, &key, &spec, false, &side));
    assert_asked("settle " ID_B " to e2 script://there secret option, -, 0");
    json_decref(options);
}

/* --- capabilities --- */

static void test_asks_for_capabilities(void **state)
{
    struct driver_export_spec reading = {.id = ID_A}, writing = {.id = ID_A, .access = DRIVER_WRITE};
    struct driver_export_spec marking = {.id = ID_A, .checkpoint = ID_B}, since = {.id = ID_A, .since = ID_B};
    struct driver_endpoint there = target();
    struct driver_detail detail;
    open_gate(&script_driver);
    assert_fails(gate_instance_detail(gate, &call, &key, &detail), ERR_UNSUPPORTED, "\"detail\"");
    assert_fails(gate_snapshot_create(gate, &call, &key, "one", false), ERR_UNSUPPORTED, "\"snapshots\"");
    assert_fails(export(reading), ERR_UNSUPPORTED, "\"read-disks\"");
    assert_fails(gate_export_close(gate, &call, &key, ID_A, false), ERR_UNSUPPORTED, "\"read-disks\"");
    assert_fails(gate_checkpoint_delete(gate, &call, &key, ID_A), ERR_UNSUPPORTED, "\"track-changes\"");
    assert_fails(prepare(good_shell), ERR_UNSUPPORTED, "\"write-disks\"");
    assert_fails(gate_instance_fence(gate, &call, &key), ERR_UNSUPPORTED, "\"fence\"");
    assert_fails(move(good_move(&there)), ERR_UNSUPPORTED, "\"move\"");
    assert_fails(test(ID_A), ERR_UNSUPPORTED, "\"test-boots\"");
    struct driver reader = script_mover;
    reader.capabilities &= ~(unsigned)(DRIVER_CAN_WRITE_DISKS | DRIVER_CAN_TRACK_CHANGES);
    reader.instance_prepare = NULL;
    reader.checkpoint_delete = NULL;
    open_gate(&reader);
    answer_well();
    assert_null(export(reading));
    assert_int_equal(script_now().asked, 1);
    assert_fails(export(writing), ERR_UNSUPPORTED, "\"write-disks\"");
    assert_fails(export(marking), ERR_UNSUPPORTED, "\"track-changes\"");
    assert_fails(export(since), ERR_UNSUPPORTED, "\"track-changes\"");
    assert_int_equal(script_now().asked, 1);
    gate_free(gate); /* before the table on the stack goes */
    gate = NULL;
}

/* --- promises --- */

/* The driver answers `answered[0]` to an export since a checkpoint. */
static void breaks_export(const char *words)
{
    script_change(set_wanted);
    assert_fails(export((struct driver_export_spec){.id = ID_A, .since = ID_C}), ERR_INTERNAL, words);
    answer_well();
}

static void breaks_changes(const struct driver_extent *changes, size_t count)
{
    answered[0].changed = changes;
    answered[0].changed_count = count;
    breaks_export("not after the last and within the disk");
}

static void test_names_broken_exports(void **state)
{
    static const struct driver_extent unsorted[] = {{4096, 512}, {0, 512}},
                                      overlap[] = {{0, 1024}, {512, 512}}, empty[] = {{0, 0}},
                                      beyond[] = {{8192 - 512, 1024}}, after[] = {{8192, 512}},
                                      wraps[] = {{UINT64_MAX - 511, 512}}, longer[] = {{0, 8704}};
    answer_well();
    assert_null(export((struct driver_export_spec){.id = ID_A, .since = ID_C}));
    breaks_changes(unsorted, 2);
    breaks_changes(overlap, 2);
    breaks_changes(empty, 1);
    breaks_changes(beyond, 1);
    breaks_changes(after, 1);
    breaks_changes(wraps, 1);
    breaks_changes(longer, 1);
    answered[0].changed_count = 1 << 24 | 1;
    breaks_export("more than 16777216 changes");
    answered[0].changed = NULL;
    breaks_export("without a list");
    wanted.opened.disk_count = 0;
    breaks_export("0 disks");
    wanted.opened.disks = NULL;
    breaks_export("without a list");
    answered[0].disk = NULL;
    breaks_export("without a name");
    answered[0].size_bytes = 0;
    breaks_export("no size");
    answered[0].socket = NULL;
    breaks_export("neither on a socket nor behind TLS");
    answered[0].host = "there";
    breaks_export("neither on a socket nor behind TLS");
    answered[0] = (struct driver_exported_disk){
        .disk = "sda", .size_bytes = 8192, .host = "there", .port = 10809, .export_name = "a"};
    breaks_export("neither on a socket nor behind TLS"); /* no certificates */
    answered[0] = (struct driver_exported_disk){
        .disk = "sda", .size_bytes = 8192, .host = "there", .tls_dir = "/tls", .export_name = "a"};
    breaks_export("neither on a socket nor behind TLS"); /* no port */
    answered[0].port = 65536;
    answered[0].host = "there";
    answered[0].tls_dir = "/tls";
    answered[0].socket = NULL;
    breaks_export("neither on a socket nor behind TLS");
    answered[0].export_name = NULL;
    breaks_export("no export name");
    answered[0].changed_known = false;
    breaks_export("neither what changed nor why not");
    answered[0].full_reason = "\xff";
    breaks_export("not UTF-8");
}

static void test_takes_every_good_export(void **state)
{
    const struct driver_export_spec since = {.id = ID_A, .since = ID_C};
    answer_well();
    answered[0].changed_known = false;
    answered[0].changed_count = 0;
    answered[0].full_reason = "bitmap lost";
    assert_null(export(since));
    answered[0].full_reason = NULL;
    answered[0].dirty_context = "qemu:dirty-bitmap:one";
    assert_null(export(since));
    answered[0].dirty_context = NULL;
    assert_null(export((struct driver_export_spec){.id = ID_A})); /* nobody asked what changed */
    answered[0].socket = NULL;
    answered[0].host = "there";
    answered[0].port = 65535;
    answered[0].tls_dir = "/tls";
    assert_null(export((struct driver_export_spec){.id = ID_A}));
}

static void breaks_detail(const char *words)
{
    struct driver_detail detail;
    script_change(set_wanted);
    assert_fails(gate_instance_detail(gate, &call, &key, &detail), ERR_INTERNAL, words);
    answer_well();
}

static void test_names_broken_details(void **state)
{
    static const char *nothing[] = {""};
    static struct driver_adapter adapter = {.network = "\xff"};
    answer_well();
    wanted.broken = BROKEN_STAMP;
    breaks_detail("where " ID " was asked for");
    wanted.detail.firmware = (enum driver_firmware)9;
    breaks_detail("firmware 9");
    answered_disks[0].name = "";
    breaks_detail("disk without a name");
    answered_disks[1].name = "sda";
    breaks_detail("two disks named");
    answered_disks[1].volume_id = "one";
    breaks_detail("stamp is no id");
    answered_disks[1].unreadable = "\xff";
    breaks_detail("not UTF-8");
    wanted.detail.adapters = &adapter;
    wanted.detail.adapter_count = 1;
    breaks_detail("not UTF-8");
    wanted.detail.snapshots = nothing;
    wanted.detail.snapshot_count = 1;
    breaks_detail("snapshot without a name");
    wanted.detail.checkpoints = nothing;
    wanted.detail.checkpoint_count = 1;
    breaks_detail("checkpoint without a id");
    wanted.detail.passthrough = nothing;
    wanted.detail.passthrough_count = 1;
    breaks_detail("device without a name");
    wanted.detail.disk_count = 4097;
    breaks_detail("4097 disks, more than there may be");
    wanted.detail.disks = NULL;
    breaks_detail("2 disks, more than there may be or without a list");
}

static void test_names_broken_shells_and_moves(void **state)
{
    struct driver_endpoint there = target();
    struct driver_move_spec spec = good_move(&there);
    struct driver_move_report report;
    enum driver_side side = DRIVER_SIDE_SOURCE;
    answer_well();
    wanted.shell_power = DRIVER_POWER_ON;
    script_change(set_wanted);
    assert_fails(prepare(good_shell), ERR_INTERNAL, "that runs");
    answer_well();
    wanted.broken = BROKEN_STAMP;
    script_change(set_wanted);
    assert_fails(prepare(good_shell), ERR_INTERNAL, "where " ID " was asked for");
    answer_well();
    wanted.side = (enum driver_side)7;
    script_change(set_wanted);
    assert_fails(gate_move_settle(gate, &call, &key, &spec, false, &side), ERR_INTERNAL, "side 7");
    assert_int_equal(side, DRIVER_SIDE_SOURCE);
    static const struct driver_move_report bad[] = {
        {.elapsed_us = -1}, {.downtime_us = -2}, {.host = "\xff"}, {.ref = "\xff"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        wanted.moved = bad[i];
        script_change(set_wanted);
        assert_fails(gate_move_run(gate, &call, &key, &spec, &report), ERR_INTERNAL, "promise");
    }
}

/* --- repeats and deadlines --- */

static void fail_next(int times)
{
    answer_well();
    wanted.fails = times;
    script_change(set_wanted);
}

static int asked_after(int before)
{
    return script_now().asked - before;
}

static void test_repeats_all_but_the_move_itself(void **state)
{
    struct driver_endpoint there = target();
    struct driver_move_spec spec = good_move(&there);
    struct driver_move_report report;
    enum driver_side side;
    fail_next(1);
    assert_fails(gate_move_run(gate, &call, &key, &spec, &report), ERR_UNAVAILABLE, "scripted");
    assert_int_equal(asked_after(0), 1);
    fail_next(1);
    assert_null(gate_move_validate(gate, &call, &key, &spec));
    assert_int_equal(asked_after(1), 2);
    fail_next(1);
    assert_null(gate_move_settle(gate, &call, &key, &spec, false, &side));
    assert_int_equal(asked_after(3), 2);
    fail_next(1);
    assert_null(gate_instance_fence(gate, &call, &key));
    assert_int_equal(asked_after(5), 2);
    fail_next(1);
    assert_null(prepare(good_shell));
    assert_int_equal(asked_after(7), 2);
    fail_next(1);
    assert_null(gate_export_close(gate, &call, &key, ID_A, true));
    assert_int_equal(asked_after(9), 2);
    fail_next(1);
    assert_null(test(ID_A));
    assert_int_equal(asked_after(11), 2);
}

static void assert_left(int64_t hours)
{
    int64_t left = script_now().left_us;
    if (left > hours * MOMENT_HOUR || left < hours * MOMENT_HOUR - 5 * MOMENT_MINUTE)
        fail_msg("%lld us are left of %lld h", (long long)left, (long long)hours);
}

static void test_lasting_operations_have_a_day(void **state)
{
    struct driver_endpoint there = target();
    struct driver_move_spec spec = good_move(&there);
    struct driver_move_report report;
    enum driver_side side;
    answer_well();
    call.deadline_us = moment_monotonic() + 20 * MOMENT_HOUR;
    assert_null(gate_move_run(gate, &call, &key, &spec, &report));
    assert_left(20);
    assert_null(gate_move_settle(gate, &call, &key, &spec, true, &side));
    assert_left(20);
    assert_null(gate_export_close(gate, &call, &key, ID_A, true));
    assert_left(20);
    assert_null(gate_move_validate(gate, &call, &key, &spec));
    assert_left(1);
    assert_null(gate_instance_fence(gate, &call, &key));
    assert_left(1);
    call.deadline_us = moment_monotonic() + 100 * MOMENT_HOUR;
    assert_null(gate_move_run(gate, &call, &key, &spec, &report));
    assert_left(24);
}

int main(void)
{
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(test_refuses_bad_snapshots_and_keys),
        CASE(test_refuses_bad_exports),
        CASE(test_refuses_bad_disks),
        CASE(test_refuses_bad_shells),
        CASE(test_refuses_bad_moves),
        CASE(test_passes_arguments_and_results),
        CASE(test_passes_test_boots),
        CASE(test_passes_moves_and_their_target),
        CASE(test_asks_for_capabilities),
        CASE(test_names_broken_exports),
        CASE(test_takes_every_good_export),
        CASE(test_names_broken_details),
        CASE(test_names_broken_shells_and_moves),
        CASE(test_repeats_all_but_the_move_itself),
        CASE(test_lasting_operations_have_a_day),
#undef CASE
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
