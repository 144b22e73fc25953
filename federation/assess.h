/* Assessments: whether a machine can move to another cloud, by which methods, in what time, at what price,
 * and what stands in the way, before anything is touched (procurement 4.1.1.6, 4.1.3.3). The rules are pure,
 * over facts (assess.c, assess_disk.c, assess_method.c); facts are gathered from the broker's rows and the
 * two providers by assess_facts.c. Findings are data: stable ids with severity, remedy and clause in
 * assess_rule.c. */
#ifndef FEDERATION_ASSESS_H
#define FEDERATION_ASSESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"
#include "broker/base/moment.h"
#include "broker/control/quota.h"
#include "drivers/driver_move.h"

/* What is moved (procurement 3.2.3.15). Software moves cloud hosts; the others are asked for too, and refused
 * with the reason and the way that people go. */
#define ASSESS_KINDS(X)                          \
    X(ASSESS_CLOUD_HOST, "cloud-host")           \
    X(ASSESS_PHYSICAL_HOST, "physical-host")     \
    X(ASSESS_SINGLE_DATABASE, "single-database") \
    X(ASSESS_HA_DATABASE, "ha-database")

enum assess_kind {
#define X(symbol, name) symbol,
    ASSESS_KINDS(X)
#undef X
        ASSESS_KIND_COUNT
};
const char *assess_kind_name(enum assess_kind kind);
/* ASSESS_KIND_COUNT: no such kind. */
enum assess_kind assess_kind_parse(const char *name);

#define ASSESS_METHODS(X)          \
    X(ASSESS_LIVE, "live")         \
    X(ASSESS_MOBILITY, "mobility") \
    X(ASSESS_WARM, "warm")         \
    X(ASSESS_COLD, "cold")

enum assess_method {
#define X(symbol, name) symbol,
    ASSESS_METHODS(X)
#undef X
        ASSESS_METHOD_COUNT
};
const char *assess_method_name(enum assess_method method);

enum assess_severity { ASSESS_INFO, ASSESS_WARNING, ASSESS_BLOCKER };
const char *assess_severity_name(enum assess_severity severity);

/* In the order in which they are told; what decides whether copying is possible at all is looked at first.
 * Their ids, severities and words are rows of assess_rule.c. */
enum assess_rule {
    RULE_PHYSICAL_HOST,
    RULE_DATABASE,
    RULE_DATABASE_ENGINE,
    RULE_HOSTING_AREA,
    RULE_NOT_ACTIVE,
    RULE_BUSY,
    RULE_SAME_ENDPOINT,
    RULE_SOURCE_SILENT,
    RULE_SOURCE_MUTE,
    RULE_TARGET_SILENT,
    RULE_DISK_UNREADABLE,
    RULE_DISK_UNTRACKED,
    RULE_FENCED,
    RULE_SNAPSHOTS,
    RULE_PASSTHROUGH,
    RULE_ARCHITECTURE_UNKNOWN,
    RULE_ARCHITECTURE_REBUILD,
    RULE_ARCHITECTURE_DIFFERS,
    RULE_ARCHITECTURE_VENDOR,
    RULE_FIRMWARE_UNKNOWN,
    RULE_FIRMWARE_UEFI,
    RULE_SECURE_BOOT,
    RULE_DISK_NONE,
    RULE_DISKS_MANY,
    RULE_BOOT_NONE,
    RULE_BOOT_SEVERAL,
    RULE_DISK_SIZE,
    RULE_DISK_LARGE,
    RULE_DISK_FORMAT,
    RULE_DISK_CLASS,
    RULE_DISK_ROOM,
    RULE_ROOM,
    RULE_HOST_SMALL,
    RULE_QUOTA,
    RULE_GUEST_UNKNOWN,
    RULE_GUEST_OLD,
    RULE_GUEST_WINDOWS,
    RULE_GUEST_LINUX,
    RULE_AGENT,
    RULE_LICENCE,
    RULE_PLACEMENT,
    RULE_ZONE_KIND,
    RULE_NETWORK,
    RULE_ADAPTER_NONE,
    RULE_ADAPTERS,
    RULE_MAC,
    RULE_ADDRESS,
    RULE_ADDRESS_INTERNET,
    RULE_CONSENT,
    RULE_CONSENT_IN_FORCE,
    RULE_BANDWIDTH,
    RULE_DELTA,
    RULE_WINDOW,
    RULE_NO_METHOD,
    RULE_PRICE,
    RULE_PRICE_UNKNOWN,
    ASSESS_RULE_COUNT
};

struct assess_rule_text {
    const char *id;
    enum assess_severity severity;
    const char *title, *title_zh;
    const char *remedy, *remedy_zh;
    const char *clause; /* of the procurement; NULL: good sense */
};
const struct assess_rule_text *assess_rule_text(enum assess_rule rule);
/* NULL: none of this id. */
const struct assess_rule_text *assess_rule_find(const char *id);

/* One side of the move. */
struct assess_side {
    const char *cloud, *provider, *site, *zone, *zone_kind, *network, *endpoint;
    const char *driver;     /* NULL: no endpoint */
    const char *product;    /* as the provider names itself; NULL: not asked */
    unsigned capabilities;  /* of the driver */
    unsigned architectures; /* of its hosts; 0: not known */
};

struct assess_facts {
    enum assess_kind kind;
    const char *engine, *target_engine; /* of a database; NULL: not told */
    bool hosting_area;
    const char *id, *name, *unit, *system;
    const char *state, *power, *operation; /* operation NULL: free */
    const char *architecture;              /* as ordered; NULL: not told */
    unsigned vcpu;
    uint64_t memory_mb;
    struct assess_side source, target;
    const char *conversion; /* of the guest, between two kinds of hypervisor, in words; NULL: not known */
    bool converts;          /* it is converted on the way, as far as is known */
    const struct driver_detail *detail; /* NULL: detail_error says why */
    const char *detail_error;
    bool detail_unsupported;                  /* the driver has no such operation */
    const struct driver_inventory *inventory; /* of the target; NULL: target_error says why */
    const char *target_error;
    const char *const *internet_addresses; /* rented on the source and attached */
    size_t internet_address_count;
    const char *const *placement; /* rules of placement that the target breaks */
    size_t placement_count;
    struct demand demand; /* of the machine and its volumes, by what was ordered */
    bool room_known;
    int64_t room[METRIC_CAPACITY_COUNT];
    int64_t quota_left[METRIC_COUNT]; /* INT64_MAX: no limit */
    const char *consent;              /* id of the one that covers it; NULL: */
    const char *consent_missing;      /* why none does; both NULL: none is needed */
    int64_t bandwidth_bytes_s;        /* declared; 0: not known */
    int64_t change_bytes_s;           /* what the guest writes; 0: assumed */
    int64_t window_us;                /* of downtime that was agreed; 0: none told */
    int64_t before_fen, after_fen;    /* a month; −1: price_missing says why */
    const char *price_missing;
};

/* What the predictions assume when nothing better is told. They stand in every report. */
#define ASSESS_READ_BYTES_S (INT64_C(140) * 1000 * 1000) /* one disk, whatever the read size */
#define ASSESS_CHANGE_PPM_HOUR 10000                     /* of the disks: 1 % an hour */
#define ASSESS_FIXED_US (2 * MOMENT_MINUTE)              /* stop, fence, switch, boot and check */
#define ASSESS_CONVERT_US MOMENT_MINUTE                  /* of a guest that is converted */
#define ASSESS_LIVE_DOWNTIME_US (300 * INT64_C(1000))    /* QEMU's default limit */
#define ASSESS_MOBILITY_DOWNTIME_US (2 * MOMENT_SECOND)
#define ASSESS_DELTA_US (10 * MOMENT_SECOND) /* a delta as short as this is not made shorter */
#define ASSESS_PASSES_MAX 16

struct assess_finding {
    enum assess_rule rule;
    const char *subject;  /* the disk, device, network, metric; NULL: the machine */
    const char *evidence; /* what was seen */
};

struct assess_way {
    bool possible;
    const char *reason; /* why not; else NULL */
    int64_t copy_us;    /* until the target may take over */
    int64_t downtime_us;
};

struct assess_report {
    struct assess_finding *findings; /* in the order of enum assess_rule */
    size_t count;
    size_t blockers, warnings;
    struct assess_way ways[ASSESS_METHOD_COUNT];
    uint64_t disk_bytes;          /* to be copied */
    int64_t rate_bytes_s;         /* that the predictions use */
    int64_t change_bytes_s;       /* likewise */
    int64_t proof_us;             /* of reading all disks back; in the downtime of warm and cold */
    int64_t fixed_us;             /* likewise, whatever the disks */
    bool movable;                 /* no blocker, and a way */
    enum assess_method preferred; /* of a movable one: the least downtime */
};

/* Pure. Everything in the arena. */
void assess_judge(struct arena *arena, const struct assess_facts *facts, struct assess_report *ret_report);

/* --- inside: shared by the files of the rules --- */

struct assess_work {
    struct arena *arena;
    const struct assess_facts *facts;
    struct assess_report *report;
    size_t room; /* of report->findings */
};
void assess_find(struct assess_work *work, enum assess_rule rule, const char *subject, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));
bool assess_copied(const struct driver_disk *disk);
/* Between the two hypervisors' kinds the guest needs other drivers. */
bool assess_crosses(const struct assess_facts *facts);
/* Whether it is a partition of POWER, between endpoints that move those by themselves: no disk is copied. */
bool assess_is_mobile(const struct assess_facts *facts);
bool assess_is_power(const struct assess_facts *facts);
void assess_disks_first(struct assess_work *work);
void assess_disks(struct assess_work *work);
void assess_room(struct assess_work *work);
void assess_ways(struct assess_work *work);

#endif
