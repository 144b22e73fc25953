/* Promises of the operations that move instances; see operation.h and promise.c. */
#include <string.h>

#include "drivers/operation.h"

#define ITEMS_MAX 4096       /* disks, adapters, snapshots… of one instance */
#define EXTENTS_MAX 16777216 /* of one disk */

static struct error *countable(const void *items, size_t count, const char *what)
{
    if (count > ITEMS_MAX || (count && !items))
        return error_new(ERR_INTERNAL, "an instance with %zu %s, more than there may be or without a list",
                         count, what);
    return NULL;
}

static struct error *good_disks(const struct driver_detail *detail)
{
    for (size_t i = 0; i < detail->disk_count; i++) {
        const struct driver_disk *disk = &detail->disks[i];
        TRY(promise_need(disk->name, "disk", "name"));
        TRY(promise_stamp(disk->volume_id, "disk"));
        TRY(promise_may(disk->ref, "disk", "reference"));
        TRY(promise_may(disk->format, "disk", "format"));
        TRY(promise_may(disk->unreadable, "disk", "reason"));
        TRY(promise_may(disk->untracked, "disk", "reason"));
        for (size_t j = 0; j < i; j++)
            if (strcmp(detail->disks[j].name, disk->name) == 0)
                return error_new(ERR_INTERNAL, "two disks named \"%s\"", disk->name);
    }
    return NULL;
}

struct error *promise_detail(const struct task *task)
{
    const struct driver_detail *detail = &task->detail;
    TRY(promise_good_instance(&detail->instance));
    TRY(promise_same_stamp(detail->instance.id, task->instance.id, "instance"));
    if ((unsigned)detail->firmware > DRIVER_FIRMWARE_OPEN)
        return error_new(ERR_INTERNAL, "firmware %u", (unsigned)detail->firmware);
    TRY(countable(detail->disks, detail->disk_count, "disks"));
    TRY(countable(detail->adapters, detail->adapter_count, "adapters"));
    TRY(countable(detail->snapshots, detail->snapshot_count, "snapshots"));
    TRY(countable(detail->checkpoints, detail->checkpoint_count, "checkpoints"));
    TRY(countable(detail->passthrough, detail->passthrough_count, "devices"));
    TRY(promise_may(detail->machine, "instance", "machine"));
    TRY(promise_may(detail->guest_os, "instance", "guest"));
    TRY(good_disks(detail));
    for (size_t i = 0; i < detail->adapter_count; i++) {
        TRY(promise_may(detail->adapters[i].network, "adapter", "network"));
        TRY(promise_may(detail->adapters[i].mac, "adapter", "hardware address"));
        TRY(promise_may(detail->adapters[i].model, "adapter", "model"));
    }
    for (size_t i = 0; i < detail->snapshot_count; i++)
        TRY(promise_need(detail->snapshots[i], "snapshot", "name"));
    for (size_t i = 0; i < detail->checkpoint_count; i++)
        TRY(promise_need(detail->checkpoints[i], "checkpoint", "id"));
    for (size_t i = 0; i < detail->passthrough_count; i++)
        TRY(promise_need(detail->passthrough[i], "device", "name"));
    return NULL;
}

/* Sorted, without overlap, within the disk: a list that is not would lose changes. */
static struct error *good_changes(const struct driver_exported_disk *disk)
{
    uint64_t end = 0;
    if (disk->changed_count > EXTENTS_MAX)
        return error_new(ERR_INTERNAL, "more than %d changes of disk \"%s\"", EXTENTS_MAX, disk->disk);
    if (disk->changed_count && !disk->changed)
        return error_new(ERR_INTERNAL, "%zu changes of disk \"%s\" without a list", disk->changed_count,
                         disk->disk);
    for (size_t i = 0; i < disk->changed_count; i++) {
        const struct driver_extent *extent = &disk->changed[i];
        if (extent->offset < end || !extent->length || extent->length > disk->size_bytes ||
            extent->offset > disk->size_bytes - extent->length)
            return error_new(ERR_INTERNAL,
                             "change %zu of disk \"%s\" is not after the last and within the disk", i,
                             disk->disk);
        end = extent->offset + extent->length;
    }
    return NULL;
}

struct error *promise_export(const struct task *task)
{
    const struct driver_export *opened = &task->opened;
    if (!opened->disk_count)
        return error_new(ERR_INTERNAL, "an export of 0 disks");
    TRY(countable(opened->disks, opened->disk_count, "exported disks"));
    for (size_t i = 0; i < opened->disk_count; i++) {
        const struct driver_exported_disk *disk = &opened->disks[i];
        TRY(promise_need(disk->disk, "exported disk", "name"));
        if (!disk->size_bytes)
            return error_new(ERR_INTERNAL, "exported disk \"%s\" has no size", disk->disk);
        if (!disk->socket == !disk->host ||
            (disk->host && (!disk->port || disk->port > 65535 || !disk->tls_dir)))
            return error_new(ERR_INTERNAL, "exported disk \"%s\" is neither on a socket nor behind TLS",
                             disk->disk);
        if (!disk->export_name)
            return error_new(ERR_INTERNAL, "exported disk \"%s\" has no export name", disk->disk);
        TRY(promise_may(disk->full_reason, "exported disk", "reason"));
        if (task->export_spec.since && !disk->dirty_context && !disk->changed_known && !disk->full_reason)
            return error_new(ERR_INTERNAL, "exported disk \"%s\" tells neither what changed nor why not",
                             disk->disk);
        TRY(good_changes(disk));
    }
    return NULL;
}

struct error *promise_shell(const struct task *task)
{
    TRY(promise_good_instance(&task->made_instance));
    if (task->made_instance.power == DRIVER_POWER_ON)
        return error_new(ERR_INTERNAL, "a prepared instance that runs");
    return promise_same_stamp(task->made_instance.id, task->shell_spec.id, "instance");
}

struct error *promise_test(const struct task *task)
{
    TRY(promise_good_instance(&task->made_instance));
    return promise_same_stamp(task->made_instance.id, task->test_spec.id, "instance");
}

struct error *promise_moved(const struct task *task)
{
    TRY(promise_may(task->moved.ref, "moved instance", "reference"));
    TRY(promise_may(task->moved.host, "moved instance", "host"));
    if (task->moved.downtime_us < -1 || task->moved.elapsed_us < 0)
        return error_new(ERR_INTERNAL, "a move of %lld us with a downtime of %lld us",
                         (long long)task->moved.elapsed_us, (long long)task->moved.downtime_us);
    return NULL;
}

struct error *promise_side(const struct task *task)
{
    if (task->side != DRIVER_SIDE_SOURCE && task->side != DRIVER_SIDE_TARGET)
        return error_new(ERR_INTERNAL, "a move that ended on side %u", (unsigned)task->side);
    return NULL;
}
