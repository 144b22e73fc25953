/* See fence.h. Fencing writes the mark before it takes anything away, releasing takes the mark off last:
 * after a crash the partition counts as fenced and either operation may be repeated. */
#include "drivers/powervm/fence.h"

#include <string.h>
#include <strings.h>

#include "drivers/powervm/mapping.h"
#include "drivers/powervm/stamp.h"

#define MARK " fenced:"
#define PREFIX_LENGTH 3      /* of a partition's name before the digits of its stamp */
#define DESCRIPTION_MAX 1024 /* bytes that an HMC keeps */

struct error *fence_refuses(const struct partition *partition)
{
    return partition->description && strstr(partition->description, MARK)
               ? error_new(ERR_CONFLICT, "the partition %s is fenced", partition->name)
               : NULL;
}

void fence_read(struct arena *arena, const struct partition *partition, struct fence *ret_fence)
{
    const char *description = partition->description ? partition->description : "";
    const char *mark = strstr(description, MARK);
    struct fence fence = {.set = mark != NULL, .words = description};
    if (mark) {
        fence.words = arena_strndup(arena, description, (size_t)(mark - description));
        fence.disks = arena_array(arena, strlen(mark) + 1, sizeof *fence.disks);
        for (const char *at = mark + strlen(MARK); *at;) {
            size_t length = strcspn(at, ",");
            if (length == 1 && *at == 'a')
                fence.autostart = true;
            else if (length)
                fence.disks[fence.disk_count++] = arena_strndup(arena, at, length);
            at += length + (at[length] == ',');
        }
    }
    *ret_fence = fence;
}

static const struct storage_unit *by_udid(const struct storage *storage, const char *udid)
{
    for (size_t i = 0; i < storage->count; i++)
        for (size_t j = 0; j < storage->pools[i].unit_count; j++)
            if (strcmp(storage->pools[i].units[j].udid, udid) == 0)
                return &storage->pools[i].units[j];
    return NULL;
}

const struct storage_unit *fence_unit(struct arena *arena, const struct storage *storage,
                                      const struct partition *partition, const char *disk)
{
    const char *id = partition->stamp;
    if (*disk == 'u')
        return by_udid(storage, disk + 1);
    if (*disk == 'v')
        id = stamp_of_partition(arena, arena_printf(arena, "yq-%s", disk + 1));
    return id ? storage_disk(storage, stamp_unit(arena, *disk == 'b' ? STAMP_BOOT : STAMP_VOLUME, id), NULL)
              : NULL;
}

/* How the description names the unit. */
static const char *name_unit(struct arena *arena, const struct partition *partition,
                             const struct storage_unit *unit)
{
    const char *boot = stamp_of_unit(arena, STAMP_BOOT, unit->name);
    const char *volume = stamp_of_unit(arena, STAMP_VOLUME, unit->name);
    if (boot && partition->stamp && strcmp(boot, partition->stamp) == 0)
        return "b";
    return volume ? arena_printf(arena, "v%s", stamp_partition(arena, volume) + PREFIX_LENGTH)
                  : arena_printf(arena, "u%s", unit->udid);
}

static bool named(const struct fence *fence, const char *disk)
{
    for (size_t i = 0; i < fence->disk_count; i++)
        if (strcmp(fence->disks[i], disk) == 0)
            return true;
    return false;
}

/* Adds what the partition sees at present to the fence's list. */
static struct error *add_mappings(struct arena *arena, const struct partition *partition,
                                  const struct storage *storage, const struct mappings *mappings,
                                  struct fence *fence)
{
    const char **disks = arena_array(arena, fence->disk_count + mappings->count + 1, sizeof *disks);
    if (fence->disk_count)
        memcpy(disks, fence->disks, fence->disk_count * sizeof *disks);
    fence->disks = disks;
    for (size_t i = 0; i < mappings->count; i++) {
        const struct mapping *mapping = &mappings->items[i];
        const struct storage_unit *unit = by_udid(storage, mapping->udid);
        if (!unit)
            return error_new(ERR_UNSUPPORTED,
                             "the partition %s cannot be fenced: its disk %s is not of the storage pools",
                             partition->name, mapping->local ? mapping->local : mapping->udid);
        const char *disk = name_unit(arena, partition, unit);
        if (!named(fence, disk))
            fence->disks[fence->disk_count++] = disk;
    }
    return NULL;
}

static struct error *write_mark(struct driver_session *session, const struct driver_call *call,
                                const struct partition *partition, const struct fence *fence)
{
    struct arena *arena = call->arena;
    bool autostart = fence->autostart || partition->autostart;
    const char *text = arena_printf(arena, "%s" MARK "%s", fence->words, autostart ? "a" : "");
    for (size_t i = 0; i < fence->disk_count; i++)
        text = arena_printf(arena, "%s%s%s", text, i || autostart ? "," : "", fence->disks[i]);
    if (strlen(text) > DESCRIPTION_MAX)
        return error_new(ERR_UNSUPPORTED,
                         "the partition %s has too many disks to be fenced: its description cannot name them",
                         partition->name);
    return partition_describe(session, call, partition, text, false);
}

/* Of a partition that is off and stays here. */
static struct error *find_still(struct driver_session *session, const struct driver_call *call,
                                const struct driver_key *key, struct partition *ret_partition)
{
    struct partition partition;
    TRY(partition_find(session, call, key, &partition));
    if (!partition.stamp)
        return error_new(ERR_DENIED, "the partition %s was not made by the broker", partition.name);
    if (partition.migrating)
        return error_new(ERR_CONFLICT, "the partition %s is migrating", partition.name);
    *ret_partition = partition;
    return NULL;
}

struct error *instance_fence(struct driver_session *session, const struct driver_call *call,
                             const struct driver_key *key)
{
    struct partition partition;
    struct storage storage;
    struct mappings mappings;
    struct fence fence;
    TRY(find_still(session, call, key, &partition));
    if (partition.active)
        return error_new(ERR_CONFLICT, "the partition %s runs", partition.name);
    TRY(storage_load(session, call, &storage));
    TRY(mapping_of(session, call, partition.system, partition.id, &mappings));
    fence_read(call->arena, &partition, &fence);
    if (fence.set && !mappings.count && !partition.autostart)
        return NULL;
    TRY(add_mappings(call->arena, &partition, &storage, &mappings, &fence));
    TRY(hmc_progress(session->hmc, call, 30, "marking the partition"));
    TRY_DOING(write_mark(session, call, &partition, &fence), "could not fence %s", partition.name);
    TRY(hmc_progress(session->hmc, call, 60, "taking its disks away"));
    return error_wrap(mapping_detach(session, call, &storage, partition.system, partition.id, NULL),
                      "could not fence %s", partition.name);
}

struct error *instance_release(struct driver_session *session, const struct driver_call *call,
                               const struct driver_key *key)
{
    struct partition partition;
    struct storage storage;
    struct mappings mappings;
    struct systems systems;
    struct fence fence;
    TRY(find_still(session, call, key, &partition));
    fence_read(call->arena, &partition, &fence);
    if (!fence.set)
        return NULL;
    if (partition.active)
        return error_new(ERR_CONFLICT, "the partition %s was activated without its disks: stop it first",
                         partition.name);
    TRY(storage_load(session, call, &storage));
    TRY(mapping_list(session, call, &storage, &mappings));
    TRY(system_list(session, call, &systems));
    for (size_t i = 0; i < fence.disk_count; i++) {
        const struct storage_unit *unit = fence_unit(call->arena, &storage, &partition, fence.disks[i]);
        if (!unit && *fence.disks[i] == 'b')
            return error_new(ERR_NOT_FOUND, "the boot disk of %s is gone", partition.name);
        if (!unit)
            continue; /* a volume that was deleted meanwhile */
        const char *user = mapping_user(&mappings, unit->udid);
        if (mapping_elsewhere(&mappings, &systems, unit) || (user && strcasecmp(user, partition.id) != 0))
            return error_new(ERR_CONFLICT, "the disk %s of %s is used by another partition", unit->name,
                             partition.name);
        TRY(hmc_progress(session->hmc, call, 30, "giving its disks back"));
        TRY(mapping_attach(session, call, unit, partition.system, partition.id));
    }
    return error_wrap(partition_describe(session, call, &partition, fence.words, fence.autostart),
                      "could not release %s", partition.name);
}
