/* The rules of an assessment for disks, storage and room; see assess.h. */
#include <string.h>

#include "drivers/gate.h"
#include "federation/assess.h"

#define GB (UINT64_C(1) << 30)
#define DISK_BYTES_MAX (UINT64_C(64) << 40) /* as the gate has it for a disk of a new machine */
#define VCPU_PER_CORE 4                     /* procurement 3.1.3, item 1001 */

bool assess_copied(const struct driver_disk *disk)
{
    return !disk->removable;
}

static uint64_t gb_of(uint64_t bytes)
{
    return (bytes + GB - 1) / GB;
}

/* Whether every disk can be read and its changes told, before anything else is promised. */
void assess_disks_first(struct assess_work *work)
{
    const struct driver_detail *d = work->facts->detail;
    for (size_t i = 0; i < d->disk_count; i++) {
        const struct driver_disk *disk = &d->disks[i];
        if (!assess_copied(disk))
            continue;
        if (disk->unreadable && assess_is_mobile(work->facts))
            continue;
        if (disk->unreadable)
            assess_find(work, RULE_DISK_UNREADABLE, disk->name, "%s", disk->unreadable);
        else if (disk->untracked)
            assess_find(work, RULE_DISK_UNTRACKED, disk->name, "%s", disk->untracked);
    }
}

/* Of pools of a class: whether there are any, the roomiest, and all. */
static bool pools_of(const struct driver_inventory *inventory, bool high, uint64_t *ret_most,
                     uint64_t *ret_all)
{
    bool any = false;
    *ret_most = *ret_all = 0;
    for (size_t i = 0; i < inventory->pool_count; i++) {
        const struct driver_pool *pool = &inventory->pools[i];
        if (pool->high_performance != high)
            continue;
        any = true;
        *ret_all += pool->free_gb;
        if (pool->free_gb > *ret_most)
            *ret_most = pool->free_gb;
    }
    return any;
}

static void judge_disk(struct assess_work *work, const struct driver_disk *disk)
{
    const char *format = disk->format ? disk->format : "unknown";
    if (disk->size_bytes % 512)
        assess_find(work, RULE_DISK_SIZE, disk->name, "%llu bytes", (unsigned long long)disk->size_bytes);
    if (disk->size_bytes > DISK_BYTES_MAX)
        assess_find(work, RULE_DISK_LARGE, disk->name, "%llu GB; %llu GB at most",
                    (unsigned long long)gb_of(disk->size_bytes), (unsigned long long)(DISK_BYTES_MAX / GB));
    if (assess_crosses(work->facts))
        assess_find(work, RULE_DISK_FORMAT, disk->name, "%s, %llu GB", format,
                    (unsigned long long)gb_of(disk->size_bytes));
}

static void judge_class(struct assess_work *work, bool high)
{
    const struct driver_detail *d = work->facts->detail;
    const struct driver_inventory *inventory = work->facts->inventory;
    uint64_t wanted = 0, most, all;
    const char *first = NULL;
    if (!inventory)
        return;
    bool any = pools_of(inventory, high, &most, &all);
    for (size_t i = 0; i < d->disk_count; i++) {
        const struct driver_disk *disk = &d->disks[i];
        if (!assess_copied(disk) || disk->high_performance != high)
            continue;
        uint64_t gb = gb_of(disk->size_bytes);
        first = first ? first : disk->name;
        wanted += gb;
        if (any && gb > most)
            assess_find(work, RULE_DISK_ROOM, disk->name,
                        "%llu GB wanted, the roomiest %s pool has %llu GB left", (unsigned long long)gb,
                        high ? "high-performance" : "standard", (unsigned long long)most);
    }
    if (first && !any)
        assess_find(work, RULE_DISK_CLASS, first, "%llu GB are %s", (unsigned long long)wanted,
                    high ? "high-performance" : "standard");
    else if (first && wanted > all)
        assess_find(work, RULE_DISK_ROOM, high ? "high-performance" : "standard",
                    "%llu GB wanted, all pools have %llu GB left", (unsigned long long)wanted,
                    (unsigned long long)all);
}

void assess_disks(struct assess_work *work)
{
    const struct driver_detail *d = work->facts->detail;
    size_t copied = 0, boot = 0;
    const char *second = NULL;
    for (size_t i = 0; i < d->disk_count; i++) {
        if (!assess_copied(&d->disks[i]))
            continue;
        copied++;
        boot += d->disks[i].boot;
        if (d->disks[i].boot && boot == 2)
            second = d->disks[i].name;
        work->report->disk_bytes += d->disks[i].size_bytes;
        judge_disk(work, &d->disks[i]);
    }
    if (!copied)
        assess_find(work, RULE_DISK_NONE, NULL, "%zu disks, none that is copied", d->disk_count);
    else if (!boot)
        assess_find(work, RULE_BOOT_NONE, NULL, "none of %zu disks", copied);
    if (copied > GATE_SHELL_DISKS_MAX)
        assess_find(work, RULE_DISKS_MANY, NULL, "%zu disks; %d at most", copied, GATE_SHELL_DISKS_MAX);
    if (boot > 1)
        assess_find(work, RULE_BOOT_SEVERAL, second, "%zu disks", boot);
    judge_class(work, false);
    judge_class(work, true);
}

/* A host of the machine's kind that holds it whole: memory is never over-committed. */
static void judge_hosts(struct assess_work *work)
{
    const struct assess_facts *f = work->facts;
    unsigned most_vcpu = 0;
    uint64_t most_memory = 0;
    size_t usable = 0;
    for (size_t i = 0; i < f->inventory->host_count; i++) {
        const struct driver_host *host = &f->inventory->hosts[i];
        if (!host->usable)
            continue;
        usable++;
        if (host->cores * VCPU_PER_CORE >= f->vcpu && host->memory_mb >= f->memory_mb)
            return;
        most_vcpu = host->cores * VCPU_PER_CORE > most_vcpu ? host->cores * VCPU_PER_CORE : most_vcpu;
        most_memory = host->memory_mb > most_memory ? host->memory_mb : most_memory;
    }
    assess_find(work, RULE_HOST_SMALL, NULL,
                "%u vCPU and %llu MB wanted; %zu usable hosts, of at most %u vCPU and %llu MB", f->vcpu,
                (unsigned long long)f->memory_mb, usable, most_vcpu, (unsigned long long)most_memory);
}

void assess_room(struct assess_work *work)
{
    const struct assess_facts *f = work->facts;
    for (int i = 0; f->room_known && i < METRIC_CAPACITY_COUNT; i++)
        if (f->demand.amount[i] > f->room[i])
            assess_find(work, RULE_ROOM, metric_name((enum metric)i), "%lld wanted, %lld left",
                        (long long)f->demand.amount[i], (long long)(f->room[i] > 0 ? f->room[i] : 0));
    for (int i = 0; i < METRIC_COUNT; i++)
        if (f->demand.amount[i] > f->quota_left[i])
            assess_find(work, RULE_QUOTA, metric_name((enum metric)i), "%lld wanted, %lld left",
                        (long long)f->demand.amount[i],
                        (long long)(f->quota_left[i] > 0 ? f->quota_left[i] : 0));
    if (f->inventory)
        judge_hosts(work);
}
