/* See volume.h. A volume is a logical unit whose name carries the stamp. */
#include "drivers/powervm/volume.h"

#include <string.h>
#include <strings.h>

#include "drivers/powervm/fence.h"
#include "drivers/powervm/partition.h"
#include "drivers/powervm/stamp.h"

struct driver_volume volume_view(struct arena *arena, const struct storage_unit *unit,
                                 const struct mappings *mappings)
{
    return (struct driver_volume){.id = stamp_of_unit(arena, STAMP_VOLUME, unit->name),
                                  .ref = unit->udid,
                                  .name = unit->name,
                                  .size_gb = unit->size_gb,
                                  .instance_ref = mapping_user(mappings, unit->udid),
                                  .pool = unit->pool->name};
}

/* The broker's volume of this key: by its stamp, or by the reference alone when there is no id. */
static const struct storage_unit *pick(struct arena *arena, const struct storage *storage,
                                       const struct driver_key *key)
{
    const char *name = key->id ? stamp_unit(arena, STAMP_VOLUME, key->id) : NULL;
    const struct storage_unit *by_name = name ? storage_disk(storage, name, NULL) : NULL;
    for (size_t i = 0; key->ref && i < storage->count; i++) {
        for (size_t j = 0; j < storage->pools[i].unit_count; j++) {
            const struct storage_unit *unit = &storage->pools[i].units[j];
            if (strcmp(unit->udid, key->ref) == 0 &&
                (name ? strcmp(unit->name, name) == 0
                      : stamp_of_unit(arena, STAMP_VOLUME, unit->name) != NULL))
                return unit;
        }
    }
    return by_name;
}

/* Whether the volume went to another endpoint with the instance that it is attached to. */
static struct error *is_elsewhere(struct driver_session *session, const struct driver_call *call,
                                  const struct storage *storage, const struct storage_unit *unit,
                                  bool *ret_elsewhere)
{
    struct mappings mappings;
    struct systems systems;
    *ret_elsewhere = false;
    if (!unit->in_use)
        return NULL;
    TRY(mapping_list(session, call, storage, &mappings));
    TRY(system_list(session, call, &systems));
    *ret_elsewhere = mapping_elsewhere(&mappings, &systems, unit);
    return NULL;
}

static struct error *look_up(struct driver_session *session, const struct driver_call *call,
                             const struct driver_key *key, struct storage *ret_storage,
                             struct storage_unit *ret_unit)
{
    struct storage storage;
    bool elsewhere = false;
    TRY(storage_load(session, call, &storage));
    const struct storage_unit *unit = pick(call->arena, &storage, key);
    if (unit)
        TRY(is_elsewhere(session, call, &storage, unit, &elsewhere));
    if (!unit || elsewhere)
        return error_new(ERR_NOT_FOUND, "there is no volume %s",
                         key->id    ? key->id
                         : key->ref ? key->ref
                                    : "without a name");
    *ret_storage = storage;
    *ret_unit = *unit;
    return NULL;
}

struct error *volume_find(struct driver_session *session, const struct driver_call *call,
                          const struct driver_key *key, struct driver_volume *ret_volume)
{
    struct storage storage;
    struct mappings mappings;
    struct storage_unit unit = {0};
    TRY(look_up(session, call, key, &storage, &unit));
    TRY(mapping_list(session, call, &storage, &mappings));
    *ret_volume = volume_view(call->arena, &unit, &mappings);
    return NULL;
}

struct error *volume_create(struct driver_session *session, const struct driver_call *call,
                            const struct driver_volume_spec *spec, struct driver_volume *ret_volume)
{
    const char *name = stamp_unit(call->arena, STAMP_VOLUME, spec->id);
    const struct storage_pool *pool = NULL;
    struct storage storage;
    struct mappings mappings;
    if (spec->size_gb == 0)
        return error_new(ERR_INVALID, "a volume has at least 1 GB");
    TRY(storage_load(session, call, &storage));
    const struct storage_unit *unit = storage_disk(&storage, name, NULL);
    if (!unit) {
        TRY(storage_pool_of(session, &storage, spec->high_performance, &pool));
        TRY(hmc_progress(session->hmc, call, 20, "creating the logical unit"));
        TRY(storage_create(session, call, pool, name, spec->size_gb, NULL, &storage, &unit));
    }
    TRY(mapping_list(session, call, &storage, &mappings));
    *ret_volume = volume_view(call->arena, unit, &mappings);
    return NULL;
}

/* A partition that has just booted gets its RMC connection a while later, and a running one without it cannot
 * be changed: ERR_BUSY, for trying again is what helps. */
static struct error *mind_rmc(struct error *error, const struct partition *partition)
{
    if (error && error_code(error) == ERR_CONFLICT && partition->active && !partition->rmc)
        return error_recode(error, ERR_BUSY, "the RMC connection of partition %s is not up (yet)",
                            partition->name);
    return error;
}

struct error *volume_attach(struct driver_session *session, const struct driver_call *call,
                            const struct driver_key *volume, const struct driver_key *instance)
{
    struct storage storage;
    struct mappings mappings;
    struct partition partition;
    struct storage_unit unit = {0};
    TRY(look_up(session, call, volume, &storage, &unit));
    TRY(partition_find(session, call, instance, &partition));
    TRY(fence_refuses(&partition));
    TRY(mapping_list(session, call, &storage, &mappings));
    const char *user = mapping_user(&mappings, unit.udid);
    if (user && strcasecmp(user, partition.id) != 0)
        return error_new(ERR_CONFLICT, "the volume %s is attached to another partition, %s", unit.name, user);
    TRY(hmc_progress(session->hmc, call, 40, "attaching"));
    if (!user) /* what an earlier partition left is in the way */
        for (size_t i = 0; i < mappings.count; i++) {
            if (strcmp(mappings.items[i].udid, unit.udid) == 0) {
                TRY(mapping_detach(session, call, &storage, NULL, NULL, unit.udid));
                break;
            }
        }
    return mind_rmc(mapping_attach(session, call, &unit, partition.system, partition.id), &partition);
}

struct error *volume_detach(struct driver_session *session, const struct driver_call *call,
                            const struct driver_key *volume, const struct driver_key *instance)
{
    struct storage storage;
    struct partition partition;
    struct storage_unit unit = {0};
    TRY(look_up(session, call, volume, &storage, &unit));
    struct error *error = partition_find(session, call, instance, &partition);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_ignore(error); /* without its partition nothing is attached to it */
        return NULL;
    }
    if (error)
        return error;
    TRY(fence_refuses(&partition));
    TRY(hmc_progress(session->hmc, call, 40, "detaching"));
    return mind_rmc(mapping_detach(session, call, &storage, partition.system, partition.id, unit.udid),
                    &partition);
}

struct error *volume_resize(struct driver_session *session, const struct driver_call *call,
                            const struct driver_key *volume, unsigned size_gb)
{
    struct storage storage;
    struct storage_unit unit = {0};
    TRY(look_up(session, call, volume, &storage, &unit));
    if (size_gb < unit.size_gb)
        return error_new(ERR_INVALID, "the volume %s has %u GB and only grows", unit.name, unit.size_gb);
    if (size_gb == unit.size_gb)
        return NULL;
    TRY(hmc_progress(session->hmc, call, 20, "growing the logical unit"));
    return storage_grow(session, call, &unit, size_gb);
}

struct error *volume_delete(struct driver_session *session, const struct driver_call *call,
                            const struct driver_key *volume)
{
    struct storage storage;
    struct mappings mappings;
    TRY(storage_load(session, call, &storage));
    const struct storage_unit *unit = pick(call->arena, &storage, volume);
    bool elsewhere = false;
    if (unit)
        TRY(is_elsewhere(session, call, &storage, unit, &elsewhere));
    if (!unit || elsewhere)
        return NULL;
    TRY(mapping_list(session, call, &storage, &mappings));
    const char *name = unit->name;
    for (unit = storage_disk(&storage, name, NULL); unit; unit = storage_disk(&storage, name, unit)) {
        const char *user = mapping_user(&mappings, unit->udid);
        if (user)
            return error_new(ERR_CONFLICT, "the volume %s is attached to the partition %s", name, user);
    }
    TRY(hmc_progress(session->hmc, call, 30, "deleting the logical unit"));
    /* a create whose answer was lost may have made a second unit of the name: all of them go */
    for (unit = storage_disk(&storage, name, NULL); unit; unit = storage_disk(&storage, name, unit)) {
        TRY(mapping_detach(session, call, &storage, NULL, NULL, unit->udid));
        TRY(storage_delete(session, call, unit));
    }
    return NULL;
}
