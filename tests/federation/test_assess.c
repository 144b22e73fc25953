/* The rules of an assessment: a machine that can move whatever is asked, and each rule by the one thing that
 * breaks it; predictions in figures; and that no rule is without a case here. */
#include "federation/assess.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define GB (UINT64_C(1) << 30)
#define ALL_CAN                                                                                      \
    (DRIVER_CAN_DETAIL | DRIVER_CAN_READ_DISKS | DRIVER_CAN_WRITE_DISKS | DRIVER_CAN_TRACK_CHANGES | \
     DRIVER_CAN_FENCE | DRIVER_CAN_MOVE)

/* Everything that a case may change. */
struct scene {
    struct assess_facts facts;
    struct driver_detail detail;
    struct driver_disk disks[20];
    struct driver_adapter adapters[2];
    struct driver_inventory inventory;
    struct driver_host hosts[2];
    struct driver_pool pools[3];
    struct driver_network networks[1];
    const char *texts[2];
};

/* Between two KVM clouds, nothing in the way: 20 GB on one disk, 1 Gbps between the sites. */
static void set(struct scene *s)
{
    *s = (struct scene){
        .facts = {.kind = ASSESS_CLOUD_HOST,
                  .id = "m",
                  .name = "web",
                  .unit = "u",
                  .system = "u001",
                  .state = "active",
                  .power = "on",
                  .architecture = "x86",
                  .vcpu = 4,
                  .memory_mb = 8192,
                  .source = {.cloud = "c",
                             .site = "s",
                             .zone = "ext",
                             .zone_kind = "extranet",
                             .endpoint = "e1",
                             .driver = "kvm",
                             .capabilities = ALL_CAN,
                             .architectures = DRIVER_X86},
                  .target = {.cloud = "d",
                             .site = "t",
                             .zone = "ext",
                             .zone_kind = "extranet",
                             .network = "n",
                             .endpoint = "e2",
                             .driver = "kvm",
                             .capabilities = ALL_CAN,
                             .architectures = DRIVER_X86},
                  .demand = {.amount = {4, 8, 20, 0}},
                  .room_known = true,
                  .room = {100, 100, 1000, 1000, 0},
                  .bandwidth_bytes_s = 125000000,
                  .before_fen = 10000,
                  .after_fen = 10000},
        .detail = {.instance = {.id = "m", .power = DRIVER_POWER_ON, .architecture = "x86"},
                   .firmware = DRIVER_FIRMWARE_BIOS,
                   .guest_os = "debian12",
                   .disk_count = 1,
                   .adapter_count = 1,
                   .agent = true},
        .disks = {{.name = "sda", .format = "qcow2", .size_bytes = 20 * GB, .boot = true}},
        .adapters = {{.network = "n"}, {.network = "o"}},
        .inventory = {.host_count = 1, .pool_count = 1, .network_count = 1},
        .hosts = {{.name = "h", .architecture = "x86", .cores = 16, .memory_mb = 65536, .usable = true}},
        .pools = {{.name = "std", .free_gb = 500},
                  {.name = "std2", .free_gb = 15},
                  {.name = "ssd", .high_performance = true, .free_gb = 30}},
        .networks = {{.name = "n"}},
        .texts = {"one", "two"}};
    for (int i = 0; i < METRIC_COUNT; i++)
        s->facts.quota_left[i] = INT64_MAX;
    s->detail.disks = s->disks;
    s->detail.adapters = s->adapters;
    s->inventory.hosts = s->hosts;
    s->inventory.pools = s->pools;
    s->inventory.networks = s->networks;
    s->facts.detail = &s->detail;
    s->facts.inventory = &s->inventory;
}

static void cross(struct scene *s)
{
    s->facts.source.driver = "vmware";
    s->disks[0].format = "vmdk";
}

/* Another disk of the machine. */
static void add_disk(struct scene *s, uint64_t gb, bool boot)
{
    s->disks[s->detail.disk_count++] =
        (struct driver_disk){.name = "sdb", .format = "qcow2", .size_bytes = gb * GB, .boot = boot};
}

static void many(struct scene *s)
{
    while (s->detail.disk_count < 17)
        add_disk(s, 1, false);
}

#define CASE(name, what)              \
    static void name(struct scene *s) \
    {                                 \
        what;                         \
    }
CASE(physical, s->facts.kind = ASSESS_PHYSICAL_HOST)
CASE(database, s->facts.kind = ASSESS_SINGLE_DATABASE)
CASE(ha_database, s->facts.kind = ASSESS_HA_DATABASE)
CASE(engine, s->facts.kind = ASSESS_HA_DATABASE; s->facts.engine = "Oracle"; s->facts.target_engine = "DM8")
CASE(hosting, s->facts.hosting_area = true)
CASE(inactive, s->facts.state = "deleting")
CASE(busy, s->facts.operation = "op")
CASE(same, s->facts.target.endpoint = "e1")
CASE(silent, s->facts.detail = NULL; s->facts.detail_error = "timeout")
CASE(mute, s->facts.detail = NULL; s->facts.detail_unsupported = true; s->facts.detail_error = "no detail")
CASE(target_silent, s->facts.inventory = NULL; s->facts.target_error = "refused")
CASE(unreadable, s->disks[0].unreadable = "independent")
CASE(untracked, s->disks[0].untracked = "raw format")
CASE(fenced, s->detail.fenced = true)
CASE(snapshot, s->detail.snapshots = s->texts; s->detail.snapshot_count = 2)
CASE(device, s->detail.passthrough = s->texts; s->detail.passthrough_count = 1)
CASE(no_architecture, s->facts.target.architectures = 0)
CASE(to_power, s->facts.target.architectures = DRIVER_POWER)
CASE(from_power, s->detail.instance.architecture = "POWER")
CASE(to_arm, s->facts.target.architectures = DRIVER_ARM)
CASE(from_arm, s->detail.instance.architecture = "ARM";
     s->facts.target.architectures = DRIVER_X86 | DRIVER_C86)
CASE(to_c86, s->facts.target.architectures = DRIVER_C86)
CASE(no_firmware, s->detail.firmware = DRIVER_FIRMWARE_UNKNOWN)
CASE(uefi, s->detail.firmware = DRIVER_FIRMWARE_UEFI)
CASE(secure, s->detail.firmware = DRIVER_FIRMWARE_UEFI_SECURE)
CASE(no_disk, s->disks[0].removable = true)
CASE(no_boot, s->disks[0].boot = false)
CASE(two_boot, add_disk(s, 1, true))
CASE(all_room, add_disk(s, 20, false); s->pools[0].free_gb = 30)
CASE(odd, s->disks[0].size_bytes = GB + 100)
CASE(huge, s->disks[0].size_bytes = 65 * 1024 * GB; s->pools[0].free_gb = 100000)
CASE(format, cross(s))
CASE(class, s->disks[0].high_performance = true)
CASE(no_pool_room, s->pools[0].free_gb = 19)
CASE(scattered_room, s->pools[0].free_gb = 15; s->inventory.pool_count = 2)
CASE(room, s->facts.room[METRIC_MEMORY_GB] = 7)
CASE(small_host, s->hosts[0].memory_mb = 4096)
CASE(unusable_host, s->hosts[0].usable = false)
CASE(quota, s->facts.quota_left[METRIC_VCPU] = 3)
CASE(no_guest, cross(s); s->detail.guest_os = NULL)
CASE(old_guest, cross(s); s->detail.guest_os = "winNetEnterpriseGuest")
CASE(windows_guest, cross(s); s->detail.guest_os = "windows9Server64Guest")
CASE(linux_guest, cross(s); s->detail.guest_os = "centos7_64Guest")
CASE(no_agent, s->detail.agent = false)
CASE(licence, s->detail.guest_os = "windows2019")
CASE(placement, s->facts.placement = s->texts; s->facts.placement_count = 1)
CASE(zone_kind, s->facts.target.zone_kind = "internet")
CASE(no_network, s->facts.target.network = NULL)
CASE(other_network, s->networks[0].name = "m")
CASE(no_adapter, s->detail.adapter_count = 0)
CASE(two_adapters, s->detail.adapter_count = 2)
CASE(mac, s->adapters[0].mac = "52:54:00:00:00:01")
CASE(address, s->detail.instance.address = "10.0.0.5")
CASE(internet, s->facts.internet_addresses = s->texts; s->facts.internet_address_count = 1)
CASE(no_consent, s->facts.consent_missing = "no consent")
CASE(consent, s->facts.consent = "paper")
CASE(bandwidth, s->facts.bandwidth_bytes_s = 0)
CASE(busy_disk, s->facts.change_bytes_s = 200000000)
CASE(window, s->facts.window_us = MOMENT_SECOND; s->facts.target.capabilities &= ~(unsigned)DRIVER_CAN_MOVE)
CASE(no_way, s->facts.source.capabilities = DRIVER_CAN_DETAIL)
CASE(price, s->facts.after_fen = 12345)
CASE(no_price, s->facts.after_fen = -1; s->facts.price_missing = "no book")

static const struct {
    void (*change)(struct scene *s);
    enum assess_rule rule;
    const char *subject;  /* NULL: none */
    const char *evidence; /* a part of it */
} cases[] = {
    {physical, RULE_PHYSICAL_HOST, NULL, "physical-host"},
    {database, RULE_DATABASE, NULL, "single-database"},
    {ha_database, RULE_DATABASE, NULL, "ha-database"},
    {engine, RULE_DATABASE_ENGINE, "Oracle", "from Oracle to DM8"},
    {hosting, RULE_HOSTING_AREA, NULL, "hosting area"},
    {inactive, RULE_NOT_ACTIVE, NULL, "deleting"},
    {busy, RULE_BUSY, NULL, "operation op"},
    {same, RULE_SAME_ENDPOINT, "e1", "e1"},
    {silent, RULE_SOURCE_SILENT, "e1", "timeout"},
    {mute, RULE_SOURCE_MUTE, "e1", "no detail"},
    {target_silent, RULE_TARGET_SILENT, "e2", "refused"},
    {unreadable, RULE_DISK_UNREADABLE, "sda", "independent"},
    {untracked, RULE_DISK_UNTRACKED, "sda", "raw format"},
    {fenced, RULE_FENCED, NULL, "fenced"},
    {snapshot, RULE_SNAPSHOTS, "one", "one"},
    {device, RULE_PASSTHROUGH, "one", "one"},
    {no_architecture, RULE_ARCHITECTURE_UNKNOWN, NULL, "not known"},
    {to_power, RULE_ARCHITECTURE_REBUILD, NULL, "x86, hosts of the target: POWER"},
    {from_power, RULE_ARCHITECTURE_REBUILD, NULL, "POWER, hosts of the target: x86"},
    {to_arm, RULE_ARCHITECTURE_DIFFERS, NULL, "ARM"},
    {from_arm, RULE_ARCHITECTURE_DIFFERS, NULL, "x86, C86"},
    {to_c86, RULE_ARCHITECTURE_VENDOR, NULL, "C86"},
    {no_firmware, RULE_FIRMWARE_UNKNOWN, NULL, ""},
    {uefi, RULE_FIRMWARE_UEFI, NULL, "UEFI"},
    {secure, RULE_SECURE_BOOT, NULL, "secure"},
    {no_disk, RULE_DISK_NONE, NULL, "1 disks"},
    {many, RULE_DISKS_MANY, NULL, "17 disks"},
    {no_boot, RULE_BOOT_NONE, NULL, "1 disks"},
    {two_boot, RULE_BOOT_SEVERAL, "sdb", "2 disks"},
    {odd, RULE_DISK_SIZE, "sda", "1073741924"},
    {huge, RULE_DISK_LARGE, "sda", "66560 GB; 65536"},
    {format, RULE_DISK_FORMAT, "sda", "vmdk, 20 GB"},
    {class, RULE_DISK_CLASS, "sda", "20 GB are high-performance"},
    {no_pool_room, RULE_DISK_ROOM, "sda", "20 GB wanted, the roomiest standard pool has 19"},
    {scattered_room, RULE_DISK_ROOM, "sda", "roomiest standard pool has 15"},
    {all_room, RULE_DISK_ROOM, "standard", "40 GB wanted, all pools have 30"},
    {room, RULE_ROOM, "memory_gb", "8 wanted, 7 left"},
    {small_host, RULE_HOST_SMALL, NULL, "8192 MB wanted; 1 usable"},
    {unusable_host, RULE_HOST_SMALL, NULL, "0 usable"},
    {quota, RULE_QUOTA, "vcpu", "4 wanted, 3 left"},
    {no_guest, RULE_GUEST_UNKNOWN, NULL, ""},
    {old_guest, RULE_GUEST_OLD, NULL, "winNet"},
    {windows_guest, RULE_GUEST_WINDOWS, NULL, "from vmware to kvm"},
    {linux_guest, RULE_GUEST_LINUX, NULL, "centos7"},
    {no_agent, RULE_AGENT, NULL, ""},
    {licence, RULE_LICENCE, NULL, "windows2019"},
    {placement, RULE_PLACEMENT, NULL, "one"},
    {zone_kind, RULE_ZONE_KIND, NULL, "from extranet to internet"},
    {no_network, RULE_NETWORK, "ext", "no network"},
    {other_network, RULE_NETWORK, "n", "1 networks"},
    {no_adapter, RULE_ADAPTER_NONE, NULL, ""},
    {two_adapters, RULE_ADAPTERS, NULL, "2 adapters"},
    {mac, RULE_MAC, "52:54:00:00:00:01", "52:54"},
    {address, RULE_ADDRESS, "10.0.0.5", "zone ext of c"},
    {internet, RULE_ADDRESS_INTERNET, "one", "one of c"},
    {no_consent, RULE_CONSENT, NULL, "no consent"},
    {consent, RULE_CONSENT_IN_FORCE, "paper", "paper"},
    {bandwidth, RULE_BANDWIDTH, NULL, "s to t"},
    {busy_disk, RULE_DELTA, NULL, "200000000"},
    {window, RULE_WINDOW, "warm", "291 s predicted, 1 s agreed"},
    {no_way, RULE_NO_METHOD, NULL, "none of 4"},
    {price, RULE_PRICE, NULL, "123.45 yuan a month, 100.00"},
    {no_price, RULE_PRICE_UNKNOWN, NULL, "no book"},
};

static const struct assess_finding *finding_of(const struct assess_report *report, enum assess_rule rule)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->findings[i].rule == rule)
            return &report->findings[i];
    return NULL;
}

static void nothing_in_the_way(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct scene scene;
    struct assess_report report;
    (void)state;
    set(&scene);
    assess_judge(arena, &scene.facts, &report);
    for (size_t i = 0; i < report.count; i++)
        print_error("%s: %s\n", assess_rule_text(report.findings[i].rule)->id, report.findings[i].evidence);
    assert_int_equal(report.count, 0);
    assert_true(report.movable);
    assert_int_equal(report.preferred, ASSESS_LIVE);
    assert_true(report.ways[ASSESS_LIVE].possible && report.ways[ASSESS_WARM].possible &&
                report.ways[ASSESS_COLD].possible);
    assert_false(report.ways[ASSESS_MOBILITY].possible);
}

static void each_rule_by_what_breaks_it(void **state)
{
    bool covered[ASSESS_RULE_COUNT] = {false};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ARENA_AUTO struct arena *arena = arena_new();
        struct scene scene;
        struct assess_report report;
        set(&scene);
        cases[i].change(&scene);
        assess_judge(arena, &scene.facts, &report);
        const char *id = assess_rule_text(cases[i].rule)->id;
        const struct assess_finding *finding = finding_of(&report, cases[i].rule);
        if (!finding)
            fail_msg("case %zu: no %s", i, id);
        else if (!strstr(finding->evidence, cases[i].evidence))
            fail_msg("case %zu: %s: \"%s\" is not in \"%s\"", i, id, cases[i].evidence, finding->evidence);
        else if (cases[i].subject ? !finding->subject || strcmp(finding->subject, cases[i].subject) != 0
                                  : finding->subject != NULL && cases[i].rule != RULE_DATABASE)
            fail_msg("case %zu: %s is of %s", i, id, finding->subject ? finding->subject : "nothing");
        bool blocks = assess_rule_text(cases[i].rule)->severity == ASSESS_BLOCKER;
        if (blocks && (report.movable || !report.blockers))
            fail_msg("case %zu: movable in spite of %s", i, id);
        covered[cases[i].rule] = true;
    }
    for (int i = 0; i < ASSESS_RULE_COUNT; i++)
        if (!covered[i])
            fail_msg("no case of %s", assess_rule_text((enum assess_rule)i)->id);
}

/* One row each, found by its id, in words of both languages. */
static void rules_are_whole(void **state)
{
    (void)state;
    for (int i = 0; i < ASSESS_RULE_COUNT; i++) {
        const struct assess_rule_text *text = assess_rule_text((enum assess_rule)i);
        assert_non_null(text->id);
        assert_ptr_equal(assess_rule_find(text->id), text);
        assert_true(*text->title && *text->title_zh && *text->remedy && *text->remedy_zh);
        assert_int_equal(strspn(text->id, "abcdefghijklmnopqrstuvwxyz-"), strlen(text->id));
    }
    assert_null(assess_rule_find("none"));
    assert_int_equal(assess_kind_parse("ha-database"), ASSESS_HA_DATABASE);
    assert_int_equal(assess_kind_parse("boat"), ASSESS_KIND_COUNT);
}

/* Whether copying is possible at all stands before everything that is said of the copy. */
static void disks_are_told_first(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct scene scene;
    struct assess_report report;
    (void)state;
    set(&scene);
    untracked(&scene);
    snapshot(&scene);
    secure(&scene);
    no_agent(&scene);
    assess_judge(arena, &scene.facts, &report);
    assert_int_equal(report.findings[0].rule, RULE_DISK_UNTRACKED);
    for (size_t i = 1; i < report.count; i++)
        assert_true(report.findings[i - 1].rule <= report.findings[i].rule);
}

static struct assess_report judged(struct arena *arena, struct scene *scene)
{
    struct assess_report report;
    assess_judge(arena, &scene->facts, &report);
    return report;
}

/* Which ways there are, by the one thing that closes or opens each. */
static void ways_by_capability(void **state)
{
    static const struct {
        void (*change)(struct scene *s);
        bool live, mobility, warm, cold;
    } ways[] = {
        {busy, true, false, true, true},       {snapshot, false, false, true, true},
        {device, false, false, true, true},    {to_c86, false, false, true, true},
        {secure, true, false, false, false},   {unreadable, true, false, false, false},
        {format, false, false, true, true},    {window, false, false, true, true},
        {from_power, false, true, true, true}, {physical, false, false, false, false},
        {silent, false, false, false, false},  {no_way, false, false, false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        ARENA_AUTO struct arena *arena = arena_new();
        struct scene scene;
        set(&scene);
        ways[i].change(&scene);
        struct assess_report report = judged(arena, &scene);
        const bool wanted[] = {ways[i].live, ways[i].mobility, ways[i].warm, ways[i].cold};
        for (int k = 0; k < ASSESS_METHOD_COUNT; k++) {
            if (report.ways[k].possible != wanted[k])
                fail_msg("case %zu: %s: %s", i, assess_method_name((enum assess_method)k),
                         report.ways[k].reason ? report.ways[k].reason : "possible");
            assert_true(report.ways[k].possible == !report.ways[k].reason);
        }
    }
    ARENA_AUTO struct arena *arena = arena_new();
    struct scene scene;
    set(&scene);
    scene.detail.instance.power = DRIVER_POWER_OFF;
    struct assess_report report = judged(arena, &scene);
    assert_true(!report.ways[ASSESS_LIVE].possible && !report.ways[ASSESS_WARM].possible &&
                report.ways[ASSESS_COLD].possible);
}

/* Partition mobility copies no disk: none has to be readable. From elsewhere it would have to be. */
static void a_partition_moves_with_disks_that_nobody_reads(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct scene scene;
    (void)state;
    set(&scene);
    scene.facts.source.driver = scene.facts.target.driver = "powervm";
    scene.facts.source.capabilities = scene.facts.target.capabilities =
        DRIVER_CAN_DETAIL | DRIVER_CAN_FENCE | DRIVER_CAN_MOVE;
    scene.facts.target.architectures = DRIVER_POWER;
    scene.detail.instance.architecture = "POWER";
    scene.detail.firmware = DRIVER_FIRMWARE_OPEN;
    scene.disks[0].unreadable = "a logical unit";
    struct assess_report report = judged(arena, &scene);
    assert_true(report.movable);
    assert_int_equal(report.preferred, ASSESS_MOBILITY);
    scene.facts.source.capabilities &= ~(unsigned)DRIVER_CAN_MOVE;
    report = judged(arena, &scene);
    assert_false(report.movable);
    assert_non_null(finding_of(&report, RULE_DISK_UNREADABLE));
}

/* 20 GB at 125 MB/s are 171.8 s, to copy and to read back; at 1 % an hour the next pass is 10 MB. */
#define DISKS_US 171798692
static void times_in_figures(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct scene scene;
    (void)state;
    set(&scene);
    struct assess_report report = judged(arena, &scene);
    assert_int_equal(report.change_bytes_s, 59652);
    assert_int_equal(report.ways[ASSESS_COLD].copy_us, DISKS_US);
    assert_int_equal(report.ways[ASSESS_COLD].downtime_us, 2 * DISKS_US + ASSESS_FIXED_US);
    assert_int_equal(report.ways[ASSESS_WARM].copy_us, DISKS_US + 81986);
    assert_int_equal(report.ways[ASSESS_WARM].downtime_us, 40 + DISKS_US + ASSESS_FIXED_US);
    assert_int_equal(report.ways[ASSESS_LIVE].copy_us, DISKS_US + 68719477); /* and 8 GB of memory */
    assert_int_equal(report.ways[ASSESS_LIVE].downtime_us, ASSESS_LIVE_DOWNTIME_US);
    scene.facts.target.capabilities |= DRIVER_STAGES_WRITES; /* sent in whole while it is off */
    struct assess_report staged = judged(arena, &scene);
    assert_int_equal(staged.ways[ASSESS_COLD].downtime_us, 3 * DISKS_US + ASSESS_FIXED_US);
    assert_int_equal(staged.ways[ASSESS_WARM].downtime_us, report.ways[ASSESS_WARM].downtime_us + DISKS_US);
    scene.facts.target.capabilities &= ~(unsigned)DRIVER_STAGES_WRITES;
    untracked(&scene); /* each pass reads all of it at 140 MB/s, the last one too */
    report = judged(arena, &scene);
    assert_int_equal(report.ways[ASSESS_WARM].copy_us, DISKS_US + 153391690);
    assert_int_equal(report.ways[ASSESS_WARM].downtime_us, 153391690 + DISKS_US + ASSESS_FIXED_US);
    set(&scene);
    scene.facts.change_bytes_s =
        62500000; /* half of the link: passes halve until 10 s: 85.9, 42.9, 21.5, 10.7, 5.4 */
    report = judged(arena, &scene);
    assert_in_range(report.ways[ASSESS_WARM].copy_us, 338228000, 338228900);
    assert_in_range(report.ways[ASSESS_WARM].downtime_us - DISKS_US - ASSESS_FIXED_US, 2684350, 2684360);
}

/* Only of a guest that is converted, and only where its disks are copied. */
static void a_conversion_takes_its_time(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct scene scene;
    (void)state;
    set(&scene);
    struct assess_report before = judged(arena, &scene);
    scene.facts.converts = true;
    struct assess_report after = judged(arena, &scene);
    for (int i = 0; i < ASSESS_METHOD_COUNT; i++)
        assert_int_equal(after.ways[i].downtime_us - before.ways[i].downtime_us,
                         i == ASSESS_WARM || i == ASSESS_COLD ? ASSESS_CONVERT_US : 0);
    assert_int_equal(after.fixed_us, 3 * MOMENT_MINUTE);
}

/* A window that is long enough for all but the proof is not long enough. */
static void the_proof_has_to_be_over_within_the_window(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct scene scene;
    (void)state;
    set(&scene);
    scene.facts.target.capabilities &= ~(unsigned)DRIVER_CAN_MOVE;
    scene.facts.window_us = 5 * MOMENT_MINUTE;
    struct assess_report report = judged(arena, &scene);
    assert_null(finding_of(&report, RULE_WINDOW));
    scene.facts.window_us = 4 * MOMENT_MINUTE;
    report = judged(arena, &scene);
    assert_non_null(finding_of(&report, RULE_WINDOW));
}

/* splitmix64: the same cases in every run. */
static uint64_t roll(uint64_t *seed)
{
    uint64_t mixed = *seed += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

/* A warm move is never down longer than a cold one, but for what must be read again whole; nothing overflows.
 */
static void warm_is_no_worse_than_cold(void **state)
{
    (void)state;
    uint64_t seed = 20261126;
    for (int i = 0; i < 3000; i++) {
        ARENA_AUTO struct arena *arena = arena_new();
        struct scene scene;
        set(&scene);
        scene.disks[0].size_bytes = (roll(&seed) >> (17 + roll(&seed) % 20)) % (64 * 1024 * GB) + 512;
        scene.facts.bandwidth_bytes_s = (int64_t)(roll(&seed) >> (26 + roll(&seed) % 20)) + 1;
        scene.facts.change_bytes_s = (int64_t)(roll(&seed) >> (34 + roll(&seed) % 20));
        if (roll(&seed) % 4 == 0)
            scene.disks[0].untracked = "raw";
        struct assess_report report = judged(arena, &scene);
        const struct assess_way *warm = &report.ways[ASSESS_WARM], *cold = &report.ways[ASSESS_COLD];
        int64_t again = scene.disks[0].untracked
                            ? (int64_t)(scene.disks[0].size_bytes / (ASSESS_READ_BYTES_S / 1000000)) + 1000000
                            : 0;
        assert_true(warm->copy_us >= cold->copy_us);
        int64_t least = ASSESS_FIXED_US + cold->copy_us; /* which is also the time of the proof */
        assert_true(warm->downtime_us >= least);
        if (warm->downtime_us > cold->downtime_us && warm->downtime_us > again + least)
            fail_msg("warm %lld, cold %lld, again %lld", (long long)warm->downtime_us,
                     (long long)cold->downtime_us, (long long)again);
        assert_int_equal(finding_of(&report, RULE_DELTA) != NULL,
                         report.change_bytes_s >= report.rate_bytes_s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_in_the_way),
        cmocka_unit_test(each_rule_by_what_breaks_it),
        cmocka_unit_test(rules_are_whole),
        cmocka_unit_test(disks_are_told_first),
        cmocka_unit_test(ways_by_capability),
        cmocka_unit_test(a_partition_moves_with_disks_that_nobody_reads),
        cmocka_unit_test(times_in_figures),
        cmocka_unit_test(a_conversion_takes_its_time),
        cmocka_unit_test(the_proof_has_to_be_over_within_the_window),
        cmocka_unit_test(warm_is_no_worse_than_cold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
