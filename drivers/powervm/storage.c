/* See storage.h. */
#include "drivers/powervm/storage.h"

#include <string.h>
#include <strings.h>

#include "drivers/powervm/atom.h"

static unsigned gb_up(int64_t micro)
{
    return micro < 0 ? 0 : (unsigned)((micro + ATOM_MICRO - 1) / ATOM_MICRO);
}

static size_t count_children(const xmlNode *parent, const char *name)
{
    size_t count = 0;
    for (const xmlNode *node = atom_child(parent, name); node; node = atom_next(node))
        count++;
    return count;
}

static void read_units(struct arena *arena, const xmlNode *payload, struct storage_pool *pool)
{
    const xmlNode *list = atom_child(payload, "LogicalUnits");
    pool->units = arena_array(arena, count_children(list, "LogicalUnit") + 1, sizeof *pool->units);
    for (const xmlNode *node = atom_child(list, "LogicalUnit"); node; node = atom_next(node)) {
        struct storage_unit unit = {.udid = atom_text(arena, node, "UniqueDeviceID"),
                                    .name = atom_text(arena, node, "UnitName"),
                                    .size_gb = gb_up(atom_micro(node, "UnitCapacity", 0)),
                                    .image = atom_is(node, "LogicalUnitType", "VirtualIO_Image"),
                                    .disk = atom_is(node, "LogicalUnitType", "VirtualIO_Disk"),
                                    .in_use = atom_is(node, "InUse", "true"),
                                    .pool = pool};
        if (unit.udid && unit.name)
            pool->units[pool->unit_count++] = unit;
    }
}

static void read_nodes(struct arena *arena, const xmlNode *cluster, struct storage_pool *pool)
{
    const xmlNode *list = atom_child(cluster, "Node");
    pool->nodes = arena_array(arena, count_children(list, "Node") + 1, sizeof *pool->nodes);
    for (const xmlNode *node = atom_child(list, "Node"); node; node = atom_next(node)) {
        const char *href = atom_href(arena, node, "VirtualIOServer");
        const char *server = atom_href_id(arena, node, "VirtualIOServer");
        const char *system = href ? strstr(href, "/ManagedSystem/") : NULL;
        if (!server || !system)
            continue; /* a node of a system that this HMC does not manage */
        system += strlen("/ManagedSystem/");
        pool->nodes[pool->node_count++] =
            (struct storage_node){.server = server,
                                  .system = arena_strndup(arena, system, strcspn(system, "/")),
                                  .down = atom_is(node, "State", "Down")};
    }
}

/* The cluster that owns the pool, from the feed of clusters; NULL. */
static xmlNode *cluster_of(struct arena *arena, xmlNode *clusters, const char *pool)
{
    for (xmlNode *entry = atom_first_entry(clusters); entry; entry = atom_next_entry(entry)) {
        const char *owned = atom_href_id(arena, atom_payload(entry), "ClusterSharedStoragePool");
        if (owned && strcasecmp(owned, pool) == 0)
            return entry;
    }
    return NULL;
}

static struct error *read_pool(struct arena *arena, xmlNode *entry, xmlNode *clusters,
                               struct storage_pool *pool)
{
    const xmlNode *payload = atom_payload(entry);
    int64_t total = atom_micro(payload, "Capacity", -1);
    pool->id = atom_text(arena, entry, "id");
    pool->name = atom_text(arena, payload, "StoragePoolName");
    xmlNode *cluster = pool->id ? cluster_of(arena, clusters, pool->id) : NULL;
    pool->cluster = atom_text(arena, cluster, "id");
    if (!pool->cluster || total < 0)
        return error_new(ERR_UNAVAILABLE, "the HMC tells no cluster or capacity of the storage pool %s",
                         pool->name);
    pool->total_gb = total / ATOM_MICRO;
    pool->promised_gb = gb_up(atom_micro(payload, "TotalLogicalUnitSize", 0));
    pool->free_gb = atom_micro(payload, "FreeSpace", 0) / ATOM_MICRO;
    read_units(arena, payload, pool);
    read_nodes(arena, atom_payload(cluster), pool);
    return NULL;
}

struct error *storage_load(struct driver_session *session, const struct driver_call *call,
                           struct storage *ret_storage)
{
    const struct powervm_pools *names = &session->options.pools;
    struct arena *arena = call->arena;
    xmlNode *pools = NULL, *clusters = NULL;
    TRY(hmc_get(session->hmc, call, "SharedStoragePool?ignoreError=true", &pools));
    TRY(hmc_get(session->hmc, call, "Cluster?ignoreError=true", &clusters));
    struct storage storage = {.pools = arena_array(arena, 2, sizeof *storage.pools)};
    const char *wanted[] = {names->standard, names->high};
    for (size_t i = 0; i < 2; i++) {
        if (i == 1 && strcmp(wanted[0], wanted[1]) == 0)
            break;
        for (xmlNode *entry = atom_first_entry(pools); entry; entry = atom_next_entry(entry)) {
            if (!atom_is(atom_payload(entry), "StoragePoolName", wanted[i]))
                continue;
            struct storage_pool *pool = &storage.pools[storage.count];
            pool->high = i == 1;
            TRY(read_pool(arena, entry, clusters, pool));
            storage.count++;
            break;
        }
    }
    if (storage.count == 0)
        return error_new(ERR_NOT_FOUND, "the HMC has neither a storage pool \"%s\" nor \"%s\"",
                         names->standard, names->high);
    *ret_storage = storage;
    return NULL;
}

struct error *storage_pool_of(const struct driver_session *session, const struct storage *storage, bool high,
                              const struct storage_pool **ret_pool)
{
    const char *name = high ? session->options.pools.high : session->options.pools.standard;
    for (size_t i = 0; i < storage->count; i++) {
        if (strcmp(storage->pools[i].name, name) == 0) {
            *ret_pool = &storage->pools[i];
            return NULL;
        }
    }
    return error_new(ERR_NOT_FOUND, "the HMC has no storage pool \"%s\"", name);
}

const struct storage_unit *storage_disk(const struct storage *storage, const char *name,
                                        const struct storage_unit *after)
{
    for (size_t i = 0; i < storage->count; i++) {
        const struct storage_pool *pool = &storage->pools[i];
        for (size_t j = 0; j < pool->unit_count; j++) {
            if (after) {
                after = after == &pool->units[j] ? NULL : after;
                continue;
            }
            if (pool->units[j].disk && strcmp(pool->units[j].name, name) == 0)
                return &pool->units[j];
        }
    }
    return NULL;
}

const struct storage_unit *storage_image(const struct storage_pool *pool, const char *name)
{
    for (size_t i = 0; i < pool->unit_count; i++) {
        if (pool->units[i].image && strcmp(pool->units[i].name, name) == 0)
            return &pool->units[i];
    }
    return NULL;
}

struct error *storage_create(struct driver_session *session, const struct driver_call *call,
                             const struct storage_pool *pool, const char *name, unsigned size_gb,
                             const struct storage_unit *image, struct storage *ret_storage,
                             const struct storage_unit **ret_unit)
{
    if (pool->promised_gb + size_gb > pool->total_gb)
        return error_new(ERR_NO_CAPACITY,
                         "the storage pool %s has promised %lld of %lld GB, %u more do not fit", pool->name,
                         (long long)pool->promised_gb, (long long)pool->total_gb, size_gb);
    const struct hmc_parameter parameters[] = {
        {"TierUDID", ""},
        {"LUName", name},
        {"LUSize", arena_printf(call->arena, "%u", size_gb)},
        {"LUType", session->options.thin ? "THIN" : "THICK"},
        {"DeviceType", "VirtualIO_Disk"},
        {"ClonedFrom", image ? image->udid : ""},
    };
    TRY_DOING(
        hmc_job(session->hmc, call, "Cluster", pool->cluster, "CreateLogicalUnit", parameters, image ? 6 : 5),
        "could not create the logical unit %s", name);
    struct storage storage;
    TRY(storage_load(session, call, &storage));
    const struct storage_unit *unit = storage_disk(&storage, name, NULL);
    if (!unit)
        return error_new(ERR_UNAVAILABLE, "the logical unit %s was made but the HMC does not show it yet",
                         name);
    *ret_storage = storage;
    *ret_unit = unit;
    return NULL;
}

struct error *storage_grow(struct driver_session *session, const struct driver_call *call,
                           const struct storage_unit *unit, unsigned size_gb)
{
    const struct storage_pool *pool = unit->pool;
    if (pool->promised_gb + size_gb - unit->size_gb > pool->total_gb)
        return error_new(ERR_NO_CAPACITY, "the storage pool %s has promised %lld of %lld GB already",
                         pool->name, (long long)pool->promised_gb, (long long)pool->total_gb);
    const struct hmc_parameter parameters[] = {
        {"LogicalUnitUDID", unit->udid},
        {"Capacity", arena_printf(call->arena, "%u", size_gb)},
    };
    return error_wrap(hmc_job(session->hmc, call, "Cluster", pool->cluster, "GrowLogicalUnit", parameters, 2),
                      "could not grow the logical unit %s", unit->name);
}

struct error *storage_delete(struct driver_session *session, const struct driver_call *call,
                             const struct storage_unit *unit)
{
    const struct hmc_parameter parameters[] = {{"LogicalUnitUDID", unit->udid}};
    struct error *error =
        hmc_job(session->hmc, call, "Cluster", unit->pool->cluster, "DeleteLogicalUnit", parameters, 1);
    if (!error || error_code(error) == ERR_TIMEOUT || error_code(error) == ERR_CANCELLED)
        return error;
    struct storage
        storage; /* another attempt may have removed it meanwhile: only what is still there failed */
    struct error *unread = storage_load(session, call, &storage);
    bool gone = !unread;
    const struct storage_unit *left = unread ? NULL : storage_disk(&storage, unit->name, NULL);
    for (; left; left = storage_disk(&storage, unit->name, left))
        gone = gone && strcmp(left->udid, unit->udid) != 0;
    error_ignore(unread); /* the first error says more */
    if (gone) {
        error_ignore(error); /* gone is what was wanted */
        return NULL;
    }
    return error_wrap(error, "could not delete the logical unit %s", unit->name);
}
