/* See inventory.h. */
#include "drivers/powervm/inventory.h"

#include <string.h>

#include "drivers/powervm/atom.h"
#include "drivers/powervm/instance.h"
#include "drivers/powervm/volume.h"

static bool has_network(const struct driver_inventory *inventory, const char *name)
{
    for (size_t i = 0; i < inventory->network_count; i++) {
        if (strcmp(inventory->networks[i].name, name) == 0)
            return true;
    }
    return false;
}

static void *longer(struct arena *arena, const void *items, size_t count, size_t more, size_t size)
{
    void *grown = arena_array(arena, count + more + 1, size);
    if (count)
        memcpy(grown, items, count * size);
    return grown;
}

/* A network of the same name on several systems is one network to the broker. */
static struct error *add_networks(struct driver_session *session, const struct driver_call *call,
                                  const struct system *system, struct driver_inventory *inventory)
{
    struct networks networks;
    TRY(system_networks(session, call, system, &networks));
    inventory->networks = longer(call->arena, inventory->networks, inventory->network_count, networks.count,
                                 sizeof *inventory->networks);
    for (size_t i = 0; i < networks.count; i++) {
        const char *name = networks.items[i].name;
        if (!has_network(inventory, name))
            inventory->networks[inventory->network_count++] =
                (struct driver_network){.ref = name, .name = name};
    }
    return NULL;
}

static struct error *add_instances(struct driver_session *session, const struct driver_call *call,
                                   const struct systems *systems, const struct system *system,
                                   struct driver_inventory *inventory)
{
    struct partitions partitions;
    TRY(partition_list(session, call, system, &partitions));
    inventory->instances = longer(call->arena, inventory->instances, inventory->instance_count,
                                  partitions.count, sizeof *inventory->instances);
    for (size_t i = 0; i < partitions.count; i++)
        inventory->instances[inventory->instance_count++] = instance_view(&partitions.items[i], systems);
    return NULL;
}

static bool has_image(const struct driver_inventory *inventory, const char *name)
{
    for (size_t i = 0; i < inventory->image_count; i++) {
        if (strcmp(inventory->images[i].name, name) == 0)
            return true;
    }
    return false;
}

static void add_units(struct arena *arena, const struct storage_pool *pool, const struct mappings *mappings,
                      const struct systems *systems, struct driver_inventory *inventory)
{
    inventory->images =
        longer(arena, inventory->images, inventory->image_count, pool->unit_count, sizeof *inventory->images);
    inventory->volumes = longer(arena, inventory->volumes, inventory->volume_count, pool->unit_count,
                                sizeof *inventory->volumes);
    for (size_t i = 0; i < pool->unit_count; i++) {
        const struct storage_unit *unit = &pool->units[i];
        if (unit->image && !has_image(inventory, unit->name))
            inventory->images[inventory->image_count++] = (struct driver_image){
                .ref = unit->udid, .name = unit->name, .architecture = "POWER", .size_gb = unit->size_gb};
        else if (unit->disk && !mapping_elsewhere(mappings, systems, unit))
            inventory->volumes[inventory->volume_count++] = volume_view(arena, unit, mappings);
    }
}

static struct error *add_storage(struct driver_session *session, const struct driver_call *call,
                                 const struct systems *systems, struct driver_inventory *inventory)
{
    struct storage storage;
    struct mappings mappings;
    TRY(storage_load(session, call, &storage));
    TRY(mapping_list(session, call, &storage, &mappings));
    inventory->pools = arena_array(call->arena, storage.count + 1, sizeof *inventory->pools);
    for (size_t i = 0; i < storage.count; i++) {
        const struct storage_pool *pool = &storage.pools[i];
        int64_t unpromised = pool->total_gb > pool->promised_gb ? pool->total_gb - pool->promised_gb : 0;
        int64_t free_gb = pool->free_gb < unpromised ? pool->free_gb : unpromised;
        inventory->pools[inventory->pool_count++] = (struct driver_pool){.ref = pool->id,
                                                                         .name = pool->name,
                                                                         .high_performance = pool->high,
                                                                         .total_gb = (uint64_t)pool->total_gb,
                                                                         .free_gb = (uint64_t)free_gb};
        add_units(call->arena, pool, &mappings, systems, inventory);
    }
    return NULL;
}

struct error *inventory_read(struct driver_session *session, const struct driver_call *call,
                             struct driver_inventory *ret_inventory)
{
    struct driver_inventory inventory = {0};
    struct systems systems;
    TRY(system_list(session, call, &systems));
    inventory.hosts = arena_array(call->arena, systems.count + 1, sizeof *inventory.hosts);
    for (size_t i = 0; i < systems.count; i++) {
        struct system *system = &systems.items[i];
        TRY(hmc_progress(session->hmc, call, (int)(80 * i / systems.count), "reading a managed system"));
        TRY(system_measure(session, call, system));
        inventory.hosts[inventory.host_count++] =
            (struct driver_host){.ref = system->id,
                                 .name = system->name,
                                 .architecture = "POWER",
                                 .cores = (unsigned)(system->units / ATOM_MICRO),
                                 .memory_mb = (uint64_t)system->memory_mb,
                                 .usable = system->operating};
        TRY(add_networks(session, call, system, &inventory));
        TRY(add_instances(session, call, &systems, system, &inventory));
    }
    TRY(hmc_progress(session->hmc, call, 80, "reading the storage"));
    TRY(add_storage(session, call, &systems, &inventory));
    *ret_inventory = inventory;
    return NULL;
}

struct error *inventory_capacity(struct driver_session *session, const struct driver_call *call,
                                 struct driver_capacity *ret_capacity)
{
    struct driver_capacity capacity = {.architectures = DRIVER_POWER};
    struct systems systems;
    struct storage storage;
    int64_t units = 0;
    TRY(system_list(session, call, &systems));
    for (size_t i = 0; i < systems.count; i++) {
        struct partitions partitions;
        TRY(system_measure(session, call, &systems.items[i]));
        TRY(partition_list(session, call, &systems.items[i], &partitions));
        units += systems.items[i].units;
        capacity.memory_mb_total += (uint64_t)systems.items[i].memory_mb;
        for (size_t j = 0; j < partitions.count; j++) {
            capacity.vcpu_allocated += partitions.items[j].vcpu;
            capacity.memory_mb_allocated += partitions.items[j].memory_mb;
        }
    }
    capacity.cores_total = (unsigned)(units / ATOM_MICRO);
    TRY(storage_load(session, call, &storage));
    for (size_t i = 0; i < storage.count; i++) {
        const struct storage_pool *pool = &storage.pools[i];
        *(pool->high ? &capacity.high_gb_total : &capacity.standard_gb_total) += (uint64_t)pool->total_gb;
        *(pool->high ? &capacity.high_gb_allocated : &capacity.standard_gb_allocated) +=
            (uint64_t)pool->promised_gb;
    }
    *ret_capacity = capacity;
    return NULL;
}
