/* See move.h. The HMC's own validation has the last word; what is checked here picks the system among the
 * target's and says precisely what is in the way. */
#include <string.h>
#include <strings.h>

#include "drivers/powervm/atom.h"
#include "drivers/powervm/detail.h"
#include "drivers/powervm/mapping.h"
#include "drivers/powervm/move.h"
#include "drivers/powervm/stamp.h"

/* What the partition brings along. */
struct luggage {
    const struct partition *partition;
    const struct driver_move_spec *spec;
    struct system from;
    struct mappings mappings;
    struct storage storage, target_storage;
    struct adapters adapters;
    struct networks networks; /* of the system it comes from */
};

static const struct storage_unit *unit_of(const struct storage *storage, const char *udid)
{
    for (size_t i = 0; i < storage->count; i++)
        for (size_t j = 0; j < storage->pools[i].unit_count; j++)
            if (strcmp(storage->pools[i].units[j].udid, udid) == 0)
                return &storage->pools[i].units[j];
    return NULL;
}

static const struct storage_pool *pool_with(const struct storage *storage, const char *id)
{
    for (size_t i = 0; i < storage->count; i++)
        if (strcasecmp(storage->pools[i].id, id) == 0)
            return &storage->pools[i];
    return NULL;
}

/* The volumes that are to come along have to be attached. */
static struct error *check_volumes(const struct driver_call *call, const struct luggage *luggage)
{
    for (size_t i = 0; i < luggage->spec->disk_count; i++) {
        const char *id = luggage->spec->disks[i].volume_id;
        bool there = !id;
        for (size_t j = 0; j < luggage->mappings.count && !there; j++) {
            const struct storage_unit *unit = unit_of(&luggage->storage, luggage->mappings.items[j].udid);
            there = unit && strcmp(unit->name, stamp_unit(call->arena, STAMP_VOLUME, id)) == 0;
        }
        if (!there)
            return error_new(ERR_CONFLICT, "the volume %s is not attached to the partition %s", id,
                             luggage->partition->name);
    }
    return NULL;
}

/* Disks stay where they are: in pools that the target knows, the boot disk in the wanted class. */
static struct error *check_disks(const struct move *move, const struct luggage *luggage)
{
    for (size_t i = 0; i < luggage->mappings.count; i++) {
        const struct mapping *mapping = &luggage->mappings.items[i];
        const struct storage_unit *unit = unit_of(&luggage->storage, mapping->udid);
        if (mapping->local)
            return error_new(ERR_UNSUPPORTED,
                             "the disk %s is local to its Virtual I/O Server and cannot be moved",
                             mapping->local);
        if (!unit)
            return error_new(ERR_UNSUPPORTED, "the logical unit %s is of none of the endpoint's pools",
                             mapping->udid);
        if (!pool_with(&luggage->target_storage, unit->pool->id))
            return error_new(ERR_UNSUPPORTED, "the target does not share the storage pool %s",
                             unit->pool->name);
        if (strncmp(unit->name, STAMP_BOOT, strlen(STAMP_BOOT)) == 0) {
            const struct storage_pool *wanted = NULL;
            TRY(storage_pool_of(move->target, &luggage->target_storage, luggage->spec->high_performance,
                                &wanted));
            if (strcasecmp(wanted->id, unit->pool->id) != 0)
                return error_new(ERR_UNSUPPORTED,
                                 "the system disk stays in the storage pool %s, which is not of the class "
                                 "that is asked for",
                                 unit->pool->name);
        }
    }
    return NULL;
}

static struct error *check_partition(const struct move *move, const struct driver_call *call,
                                     const struct luggage *luggage)
{
    const struct partition *partition = luggage->partition;
    struct driver_key key = {.id = partition->stamp};
    struct partition other;
    if (luggage->spec->bandwidth)
        return error_new(ERR_UNSUPPORTED, "an HMC does not limit the bandwidth of migrations");
    if (partition->physical)
        return error_new(ERR_UNSUPPORTED, "the partition %s holds physical adapters", partition->name);
    if (partition->active && !partition->rmc)
        return error_new(ERR_CONFLICT, "the partition %s runs without an RMC connection", partition->name);
    if (partition->active && strcasecmp(partition->state, "running") != 0)
        return error_new(ERR_CONFLICT, "the partition %s is in the state \"%s\"", partition->name,
                         partition->state);
    struct error *error = partition_find(move->target, call, &key, &other);
    if (!error)
        return error_new(ERR_CONFLICT, "the target has a partition %s already", other.name);
    if (error_code(error) != ERR_NOT_FOUND)
        return error;
    error_ignore(error); /* that there is none is what was wanted */
    TRY(check_volumes(call, luggage));
    return check_disks(move, luggage);
}

static struct error *check_limit(const struct system *system, bool active)
{
    int64_t most = active ? system->active_max : system->inactive_max;
    int64_t now = active ? system->active_now : system->inactive_now;
    if (most == 0)
        return error_new(ERR_UNSUPPORTED, "the system %s supports no migrations", system->name);
    if (now >= most)
        return error_new(ERR_BUSY, "the system %s has its %lld migrations under way", system->name,
                         (long long)most);
    return NULL;
}

static bool has_mode(const struct system *system, const char *mode)
{
    for (size_t i = 0; i < system->mode_count; i++)
        if (strcasecmp(system->modes[i], mode) == 0)
            return true;
    return !system->mode_count;
}

static struct error *check_system(const struct luggage *luggage, const struct system *system)
{
    const struct partition *partition = luggage->partition;
    bool active = partition->active;
    if (!system->operating)
        return error_new(ERR_CONFLICT, "the system %s is not operating", system->name);
    TRY(check_limit(&luggage->from, active));
    TRY(check_limit(system, active));
    if (system->region_mb != luggage->from.region_mb)
        return error_new(ERR_UNSUPPORTED, "memory comes in steps of %lld MB on %s but of %lld MB on %s",
                         (long long)luggage->from.region_mb, luggage->from.name, (long long)system->region_mb,
                         system->name);
    if (active && partition->mode && !has_mode(system, partition->mode))
        return error_new(ERR_UNSUPPORTED, "the system %s does not support the processor mode %s",
                         system->name, partition->mode);
    if (active && (!system->mover || !luggage->from.mover))
        return error_new(ERR_UNSUPPORTED, "the system %s has no mover service partition",
                         system->mover ? luggage->from.name : system->name);
    if (active &&
        (system->memory_free_mb < (int64_t)partition->memory_mb || system->units_free < partition->units))
        return error_new(ERR_NO_CAPACITY, "the system %s has not %llu MB and %.2f processing units free",
                         system->name, (unsigned long long)partition->memory_mb,
                         (double)partition->units / ATOM_MICRO);
    return NULL;
}

/* Every disk by a server of the system. */
static struct error *check_paths(const struct luggage *luggage, const struct system *system)
{
    for (size_t i = 0; i < luggage->mappings.count; i++) {
        const struct storage_unit *unit = unit_of(&luggage->storage, luggage->mappings.items[i].udid);
        const struct storage_pool *pool = pool_with(&luggage->target_storage, unit->pool->id);
        bool reached = false;
        for (size_t j = 0; j < pool->node_count && !reached; j++)
            reached = !pool->nodes[j].down && strcasecmp(pool->nodes[j].system, system->id) == 0;
        if (!reached)
            return error_new(ERR_UNSUPPORTED,
                             "no Virtual I/O Server of the system %s reaches the storage pool %s",
                             system->name, pool->name);
    }
    return NULL;
}

static const struct network *network_with(const struct networks *networks, unsigned vlan)
{
    for (size_t i = 0; i < networks->count; i++)
        if (networks->items[i].vlan == vlan)
            return &networks->items[i];
    return NULL;
}

/* LPM keeps the VLAN of every adapter. */
static struct error *check_networks(const struct move *move, const struct driver_call *call,
                                    const struct luggage *luggage, const struct system *system)
{
    struct networks networks;
    TRY(system_networks(move->target, call, system, &networks));
    for (size_t i = 0; i < luggage->adapters.count; i++) {
        unsigned vlan = luggage->adapters.items[i].vlan;
        const struct network *from = network_with(&luggage->networks, vlan);
        const struct network *to = network_with(&networks, vlan);
        const char *wanted = i == 0 && luggage->spec->network ? luggage->spec->network
                             : from                           ? from->name
                                                              : NULL;
        if (!to)
            return error_new(ERR_CONFLICT, "the system %s has no virtual network of the VLAN %u",
                             system->name, vlan);
        if (wanted && strcmp(to->name, wanted) != 0)
            return error_new(ERR_CONFLICT,
                             "the VLAN %u, which a migration keeps, is the network \"%s\" on %s, not \"%s\"",
                             vlan, to->name, system->name, wanted);
    }
    return NULL;
}

static struct error *pack(const struct move *move, const struct driver_call *call, struct luggage *luggage)
{
    const struct partition *partition = luggage->partition;
    struct systems systems;
    TRY(system_list(move->source, call, &systems));
    const struct system *from = system_find(&systems, partition->system);
    if (!from)
        return error_new(ERR_CONFLICT, "the partition %s is on a system that the options leave out",
                         partition->name);
    luggage->from = *from;
    TRY(system_measure(move->source, call, &luggage->from));
    TRY(system_networks(move->source, call, &luggage->from, &luggage->networks));
    TRY(detail_adapters(move->source, call, partition, &luggage->adapters));
    TRY(storage_load(move->source, call, &luggage->storage));
    TRY(mapping_of(move->source, call, partition->system, partition->id, &luggage->mappings));
    return storage_load(move->target, call, &luggage->target_storage);
}

struct error *move_place(const struct move *move, const struct driver_call *call,
                         const struct partition *partition, const struct driver_move_spec *spec,
                         struct system *ret_system)
{
    struct luggage luggage = {.partition = partition, .spec = spec};
    struct systems systems;
    const struct system *best = NULL;
    TRY(pack(move, call, &luggage));
    TRY(check_partition(move, call, &luggage));
    TRY(system_list(move->target, call, &systems));
    struct error *reason = error_new(ERR_NO_CAPACITY, "the target has no managed system");
    for (size_t i = 0; i < systems.count; i++) {
        struct system *system = &systems.items[i];
        struct error *error = system_measure(move->target, call, system);
        if (!error)
            error = check_system(&luggage, system);
        if (!error)
            error = check_paths(&luggage, system);
        if (!error)
            error = check_networks(move, call, &luggage, system);
        if (error) {
            error_ignore(reason); /* the last one is told when no system will do */
            reason = error;
        } else if (!best || system->memory_free_mb > best->memory_free_mb) {
            best = system;
        }
    }
    if (!best)
        return reason;
    error_ignore(reason); /* one system will do */
    *ret_system = *best;
    return NULL;
}
