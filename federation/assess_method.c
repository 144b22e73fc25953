/* Which ways there are, and what they take; see assess.h. Times are predictions of whole numbers from the
 * assumptions that assess.h names. */
#include <string.h>

#include "broker/base/money.h"
#include "federation/assess.h"

#define MB (UINT64_C(1) << 20)

static int64_t time_of(uint64_t bytes, int64_t rate)
{
    wide us = ((wide)bytes * MOMENT_SECOND + rate - 1) / rate;
    return us > INT64_MAX / 4 ? INT64_MAX / 4 : (int64_t)us;
}

static bool both_can(const struct assess_facts *f, unsigned source, unsigned target)
{
    return (f->source.capabilities & source) == source && (f->target.capabilities & target) == target;
}

/* Among the hypervisors themselves; NULL: they can. */
static const char *why_not_moved(struct arena *arena, const struct assess_facts *f)
{
    if (assess_crosses(f) || !f->source.driver || !f->target.driver)
        return arena_printf(arena, "from %s to %s: only between endpoints of one kind",
                            f->source.driver ? f->source.driver : "nothing",
                            f->target.driver ? f->target.driver : "nothing");
    if (!both_can(f, DRIVER_CAN_MOVE, DRIVER_CAN_MOVE))
        return arena_printf(arena, "driver %s cannot move machines between endpoints", f->source.driver);
    if (!both_can(f, DRIVER_CAN_FENCE, DRIVER_CAN_FENCE))
        return arena_printf(arena, "driver %s cannot fence", f->source.driver);
    if (f->detail->instance.power != DRIVER_POWER_ON)
        return "the machine does not run";
    if (f->detail->passthrough_count)
        return "the guest holds a device of its host";
    return NULL;
}

bool assess_is_power(const struct assess_facts *f)
{
    const char *name = f->detail->instance.architecture ? f->detail->instance.architecture : f->architecture;
    return name && !strcmp(name, "POWER");
}

bool assess_is_mobile(const struct assess_facts *f)
{
    return assess_is_power(f) && !assess_crosses(f) && both_can(f, DRIVER_CAN_MOVE, DRIVER_CAN_MOVE);
}

static const char *why_not_live(struct assess_work *work)
{
    const struct assess_facts *f = work->facts;
    if (assess_is_power(f))
        return "partitions move by mobility";
    const char *reason = why_not_moved(work->arena, f);
    if (reason)
        return reason;
    if (f->detail->snapshot_count)
        return "it has snapshots";
    for (size_t i = 0; i < work->report->count; i++)
        if (work->report->findings[i].rule == RULE_ARCHITECTURE_VENDOR)
            return "x86 and C86 differ in CPU features: not while it runs";
    return NULL;
}

static const char *why_not_mobility(struct assess_work *work)
{
    return assess_is_power(work->facts) ? why_not_moved(work->arena, work->facts)
                                        : "only of POWER partitions";
}

static const char *why_not_copied(struct assess_work *work)
{
    const struct assess_facts *f = work->facts;
    if (!both_can(f, DRIVER_CAN_READ_DISKS, 0))
        return arena_printf(work->arena, "driver %s cannot read disks",
                            f->source.driver ? f->source.driver : "none");
    if (!both_can(f, 0, DRIVER_CAN_WRITE_DISKS))
        return arena_printf(work->arena, "driver %s cannot write disks",
                            f->target.driver ? f->target.driver : "none");
    if (!both_can(f, DRIVER_CAN_FENCE, DRIVER_CAN_FENCE))
        return "one side cannot fence: both could run";
    if (f->detail->firmware == DRIVER_FIRMWARE_UEFI_SECURE)
        return "secure boot is on";
    for (size_t i = 0; i < f->detail->disk_count; i++)
        if (assess_copied(&f->detail->disks[i]) && f->detail->disks[i].unreadable)
            return arena_printf(work->arena, "disk %s cannot be read", f->detail->disks[i].name);
    return NULL;
}

static const char *why_not_warm(struct assess_work *work)
{
    const char *reason = why_not_copied(work);
    if (!reason && work->facts->detail->instance.power != DRIVER_POWER_ON)
        return "the machine does not run: a cold move is as good";
    return reason;
}

/* Disks whose changes nobody tells are read whole in each pass. */
static uint64_t untracked_bytes(const struct assess_facts *f)
{
    uint64_t bytes = 0;
    bool tracks = f->source.capabilities & DRIVER_CAN_TRACK_CHANGES;
    for (size_t i = 0; i < f->detail->disk_count; i++)
        if (assess_copied(&f->detail->disks[i]) && (!tracks || f->detail->disks[i].untracked))
            bytes += f->detail->disks[i].size_bytes;
    return bytes;
}

/* What is staged goes to the target in whole once the machine is off. */
static int64_t upload_us(const struct assess_work *work)
{
    const struct assess_report *r = work->report;
    return work->facts->target.capabilities & DRIVER_STAGES_WRITES ? time_of(r->disk_bytes, r->rate_bytes_s)
                                                                   : 0;
}

/* Of every cut-over of a copy, besides the last pass: what is staged is sent, and all of the disks is read
 * back from the target, as moves do unless they are told otherwise. */
static int64_t cutover_us(const struct assess_work *work)
{
    return work->report->fixed_us + upload_us(work) + work->report->proof_us;
}

/* Passes until the delta is short, or no longer gets shorter. */
static void predict_warm(struct assess_work *work, struct assess_way *way)
{
    struct assess_report *r = work->report;
    int64_t least = time_of(untracked_bytes(work->facts), ASSESS_READ_BYTES_S);
    int64_t last = time_of(r->disk_bytes, r->rate_bytes_s);
    way->copy_us = last;
    for (int pass = 1; pass < ASSESS_PASSES_MAX && last > ASSESS_DELTA_US; pass++) {
        wide changed = (wide)last * r->change_bytes_s / MOMENT_SECOND;
        uint64_t bytes = changed > (wide)r->disk_bytes ? r->disk_bytes : (uint64_t)changed;
        int64_t next = time_of(bytes, r->rate_bytes_s);
        next = next > least ? next : least;
        if (next >= last)
            break;
        way->copy_us += next;
        last = next;
    }
    wide changed = (wide)last * r->change_bytes_s / MOMENT_SECOND;
    int64_t delta =
        time_of(changed > (wide)r->disk_bytes ? r->disk_bytes : (uint64_t)changed, r->rate_bytes_s);
    way->downtime_us = (delta > least ? delta : least) + cutover_us(work);
    if (r->change_bytes_s >= r->rate_bytes_s)
        assess_find(work, RULE_DELTA, NULL, "%lld bytes a second written, %lld copied",
                    (long long)r->change_bytes_s, (long long)r->rate_bytes_s);
}

static void predict(struct assess_work *work, enum assess_method method, struct assess_way *way)
{
    const struct assess_facts *f = work->facts;
    const struct assess_report *r = work->report;
    int64_t memory = time_of(f->memory_mb * MB, r->rate_bytes_s),
            disks = time_of(r->disk_bytes, r->rate_bytes_s);
    switch (method) {
    case ASSESS_LIVE:
        way->copy_us = disks + memory;
        way->downtime_us = ASSESS_LIVE_DOWNTIME_US;
        return;
    case ASSESS_MOBILITY: /* the storage is shared */
        way->copy_us = memory;
        way->downtime_us = ASSESS_MOBILITY_DOWNTIME_US;
        return;
    case ASSESS_WARM:
        predict_warm(work, way);
        return;
    default:
        way->copy_us = disks;
        way->downtime_us = disks + cutover_us(work);
    }
}

static void set_rates(struct assess_work *work)
{
    const struct assess_facts *f = work->facts;
    struct assess_report *r = work->report;
    r->rate_bytes_s = ASSESS_READ_BYTES_S;
    if (f->bandwidth_bytes_s && f->bandwidth_bytes_s < r->rate_bytes_s)
        r->rate_bytes_s = f->bandwidth_bytes_s;
    if (!f->bandwidth_bytes_s)
        assess_find(work, RULE_BANDWIDTH, NULL, "%s to %s", f->source.site ? f->source.site : f->source.cloud,
                    f->target.site ? f->target.site : f->target.cloud);
    r->proof_us = time_of(r->disk_bytes, r->rate_bytes_s);
    r->fixed_us = ASSESS_FIXED_US + (f->converts ? ASSESS_CONVERT_US : 0);
    r->change_bytes_s = f->change_bytes_s;
    if (!r->change_bytes_s)
        r->change_bytes_s = (int64_t)((wide)r->disk_bytes * ASSESS_CHANGE_PPM_HOUR / 1000000 / 3600);
}

static void choose(struct assess_work *work)
{
    struct assess_report *r = work->report;
    const struct assess_facts *f = work->facts;
    int best = -1;
    for (int i = 0; i < ASSESS_METHOD_COUNT; i++)
        if (r->ways[i].possible && (best < 0 || r->ways[i].downtime_us < r->ways[best].downtime_us))
            best = i;
    if (best < 0)
        assess_find(work, RULE_NO_METHOD, NULL, "none of %d is possible", ASSESS_METHOD_COUNT);
    else if (f->window_us && r->ways[best].downtime_us > f->window_us)
        assess_find(work, RULE_WINDOW, assess_method_name((enum assess_method)best),
                    "%lld s predicted, %lld s agreed", (long long)(r->ways[best].downtime_us / MOMENT_SECOND),
                    (long long)(f->window_us / MOMENT_SECOND));
    r->preferred = best < 0 ? ASSESS_COLD : (enum assess_method)best;
    r->movable = best >= 0 && !r->blockers;
}

void assess_ways(struct assess_work *work)
{
    const struct assess_facts *f = work->facts;
    struct assess_way *ways = work->report->ways;
    bool software = f->kind == ASSESS_CLOUD_HOST;
    set_rates(work);
    for (int i = 0; i < ASSESS_METHOD_COUNT; i++) {
        if (!software || !f->detail) {
            ways[i].reason = software ? "the source did not tell of it" : "not by software";
            continue;
        }
        ways[i].reason = i == ASSESS_LIVE       ? why_not_live(work)
                         : i == ASSESS_MOBILITY ? why_not_mobility(work)
                         : i == ASSESS_WARM     ? why_not_warm(work)
                                                : why_not_copied(work);
        ways[i].possible = !ways[i].reason;
        if (ways[i].possible)
            predict(work, (enum assess_method)i, &ways[i]);
    }
    choose(work);
}
