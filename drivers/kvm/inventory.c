/* Inventory and capacity, see inventory.h. Each part is one listing and one look at each object; what goes
 * while it is looked at is left out. */
#include "drivers/kvm/inventory.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/kvm/fault.h"
#include "drivers/kvm/host.h"
#include "drivers/kvm/instance.h"
#include "drivers/kvm/isolate.h"
#include "drivers/kvm/storage.h"

/* Where the disks of all domains are, to tell where a volume is attached. */
struct disks {
    const struct kvm_domain *domains;
    size_t count;
};

static bool gone(struct error *error)
{
    if (!error || error_code(error) != ERR_NOT_FOUND)
        return false;
    error_ignore(error); /* it went since it was listed */
    return true;
}

static struct error *list_instances(struct driver_session *session, const struct driver_call *call,
                                    struct driver_inventory *inventory, struct disks *ret_disks)
{
    virDomainPtr *domains;
    size_t count;
    TRY(kvm_instance_list(session, call->arena, &domains, &count));
    struct driver_instance *instances = arena_array(call->arena, count + 1, sizeof *instances);
    struct kvm_domain *definitions = arena_array(call->arena, 2 * count + 1, sizeof *definitions);
    size_t instance_count = 0, definition_count = 0;
    for (size_t i = 0; i < count; i++) {
        TRY(kvm_step(call, (int)(60 * i / count), "look at the instances"));
        struct kvm_domain live, lasting;
        struct driver_instance instance;
        struct error *error = kvm_domain_read(session, call->arena, domains[i], false, &live);
        if (!error)
            error = kvm_domain_read(session, call->arena, domains[i], true, &lasting);
        if (!error)
            error = kvm_instance_describe(session, call->arena, domains[i], &live, &instance);
        if (gone(error))
            continue;
        TRY(error);
        definitions[definition_count++] = live;
        definitions[definition_count++] = lasting;
        instances[instance_count++] = instance;
    }
    inventory->instances = instances;
    inventory->instance_count = instance_count;
    *ret_disks = (struct disks){.domains = definitions, .count = definition_count};
    return NULL;
}

static const char *attached_to(const struct disks *disks, const struct kvm_facts *facts, const char *pool)
{
    for (size_t i = 0; i < disks->count; i++)
        if (kvm_domain_disk(&disks->domains[i], facts->path, pool, facts->name))
            return disks->domains[i].uuid;
    return NULL;
}

/* The disks of the broker's own instances are part of these and no volumes; without their instance they are
 * shown, for somebody has to clear them away. */
static bool part_of_instance(struct arena *arena, const char *name, const struct driver_inventory *inventory)
{
    const char *id = kvm_storage_id(arena, name, KVM_FILE_SYSTEM);
    id = id ? id : kvm_storage_id(arena, name, KVM_FILE_SEED);
    id = id ? id : kvm_storage_id(arena, name, KVM_FILE_CONSOLE);
    for (size_t i = 0; id && i < inventory->instance_count; i++)
        if (inventory->instances[i].id && strcmp(inventory->instances[i].id, id) == 0)
            return true;
    return false;
}

static struct error *add_volumes(struct driver_session *session, const struct driver_call *call,
                                 virStoragePoolPtr pool, const char *pool_name, const struct disks *disks,
                                 struct driver_inventory *inventory)
{
    struct arena *arena = call->arena;
    virStorageVolPtr *list;
    size_t count;
    TRY(kvm_storage_list(session, arena, pool, &list, &count));
    struct driver_volume *volumes = arena_array(arena, inventory->volume_count + count + 1, sizeof *volumes);
    if (inventory->volume_count > 0)
        memcpy(volumes, inventory->volumes, inventory->volume_count * sizeof *volumes);
    inventory->volumes = volumes;
    for (size_t i = 0; i < count; i++) {
        struct kvm_facts facts;
        struct error *error = kvm_storage_facts(session, arena, list[i], &facts);
        if (gone(error))
            continue;
        TRY(error);
        if (part_of_instance(arena, facts.name, inventory))
            continue;
        volumes[inventory->volume_count++] =
            (struct driver_volume){.id = kvm_storage_id(arena, facts.name, KVM_FILE_VOLUME),
                                   .ref = arena_printf(arena, "%s/%s", pool_name, facts.name),
                                   .name = facts.name,
                                   .size_gb = kvm_storage_gb(facts.bytes),
                                   .instance_ref = attached_to(disks, &facts, pool_name),
                                   .pool = pool_name};
    }
    return NULL;
}

static struct error *list_images(struct driver_session *session, const struct driver_call *call,
                                 virStoragePoolPtr pool, struct driver_inventory *inventory)
{
    (void)virStoragePoolRefresh(pool,
                                0); /* refused while an image is being made; then the list is as it was */
    virStorageVolPtr *list;
    size_t count;
    TRY(kvm_storage_list(session, call->arena, pool, &list, &count));
    struct driver_image *images = arena_array(call->arena, count + 1, sizeof *images);
    for (size_t i = 0; i < count; i++) {
        struct kvm_facts facts;
        struct error *error = kvm_storage_facts(session, call->arena, list[i], &facts);
        if (gone(error))
            continue;
        TRY(error);
        images[inventory->image_count++] = (struct driver_image){
            .ref = facts.name, .name = facts.name, .size_gb = kvm_storage_gb(facts.bytes)};
    }
    inventory->images = images;
    return NULL;
}

static struct error *list_pools(struct driver_session *session, const struct driver_call *call,
                                const struct disks *disks, struct driver_inventory *inventory)
{
    const char *const names[] = {session->options.standard_pool, session->options.high_pool,
                                 session->options.image_pool};
    struct driver_pool *pools = arena_array(call->arena, sizeof names / sizeof *names, sizeof *pools);
    inventory->pools = pools;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        TRY(kvm_step(call, 60 + (int)i * 10, "look at the storage pools"));
        virStoragePoolPtr pool;
        struct error *error = kvm_storage_pool(session, call->arena, names[i], &pool);
        if (gone(error))
            continue;
        TRY(error);
        if (virStoragePoolIsActive(pool) != 1)
            continue;
        virStoragePoolInfo info;
        if (virStoragePoolGetInfo(pool, &info) < 0)
            return kvm_fault(session->connection, "could not ask for a storage pool's room");
        const char *name = arena_strdup(call->arena, names[i]);
        pools[inventory->pool_count++] = (struct driver_pool){.ref = name,
                                                              .name = name,
                                                              .high_performance = i == 1,
                                                              .total_gb = info.capacity / KVM_GIB,
                                                              .free_gb = info.available / KVM_GIB};
        TRY(i == 2 ? list_images(session, call, pool, inventory)
                   : add_volumes(session, call, pool, name, disks, inventory));
    }
    return NULL;
}

static struct error *list_networks(struct driver_session *session, const struct driver_call *call,
                                   struct driver_inventory *inventory)
{
    TRY(kvm_step(call, 90, "look at the networks"));
    virNetworkPtr *list;
    int count = virConnectListAllNetworks(session->connection, &list, VIR_CONNECT_LIST_NETWORKS_ACTIVE);
    if (count < 0)
        return kvm_fault(session->connection, "could not list the networks");
    inventory->networks = arena_array(call->arena, (size_t)count + 1, sizeof *inventory->networks);
    for (int i = 0; i < count; i++) {
        const char *name = arena_strdup(call->arena, virNetworkGetName(list[i]));
        if (!kvm_isolate_is(name))
            inventory->networks[inventory->network_count++] =
                (struct driver_network){.ref = name, .name = name};
        (void)virNetworkFree(list[i]);
    }
    free(list);
    return NULL;
}

struct error *kvm_inventory(struct driver_session *session, const struct driver_call *call,
                            struct driver_inventory *ret_inventory)
{
    TRY(kvm_step(call, 0, "look at the host"));
    struct driver_inventory inventory = {0};
    inventory.hosts = arena_alloc(call->arena, sizeof *inventory.hosts);
    inventory.host_count = 1;
    TRY(kvm_host_describe(session, call->arena, inventory.hosts));
    struct disks disks;
    TRY(list_instances(session, call, &inventory, &disks));
    TRY(list_pools(session, call, &disks, &inventory));
    TRY(list_networks(session, call, &inventory));
    *ret_inventory = inventory;
    return NULL;
}

static struct error *add_pool(struct driver_session *session, const struct driver_call *call,
                              const char *name, uint64_t *total_gb, uint64_t *allocated_gb)
{
    virStoragePoolPtr pool;
    struct error *error = kvm_storage_pool(session, call->arena, name, &pool);
    if (gone(error))
        return NULL;
    TRY(error);
    if (virStoragePoolIsActive(pool) != 1)
        return NULL;
    struct kvm_room room;
    TRY(kvm_storage_room(session, call->arena, pool, &room));
    *total_gb = room.total / 100 * (uint64_t)session->options.disk_overcommit / KVM_GIB;
    *allocated_gb = kvm_storage_gb(room.promised);
    return NULL;
}

struct error *kvm_capacity(struct driver_session *session, const struct driver_call *call,
                           struct driver_capacity *ret_capacity)
{
    TRY(kvm_step(call, 0, "look at the host"));
    struct driver_host host;
    TRY(kvm_host_describe(session, call->arena, &host));
    uint64_t reserve_mb = (uint64_t)session->options.memory_reserve_mb;
    struct driver_capacity capacity = {
        .cores_total = host.cores,
        .memory_mb_total = host.memory_mb > reserve_mb ? host.memory_mb - reserve_mb : 0,
        .architectures = session->host.bit,
    };
    virDomainPtr *domains;
    size_t count;
    TRY(kvm_instance_list(session, call->arena, &domains, &count));
    for (size_t i = 0; i < count; i++) {
        TRY(kvm_step(call, (int)(50 * i / count), "look at the instances"));
        struct kvm_domain definition;
        struct error *error = kvm_domain_read(session, call->arena, domains[i], false, &definition);
        if (gone(error))
            continue;
        TRY(error);
        capacity.vcpu_allocated += definition.vcpu;
        capacity.memory_mb_allocated += definition.memory_mb;
    }
    TRY(kvm_step(call, 50, "look at the storage pools"));
    TRY(add_pool(session, call, session->options.standard_pool, &capacity.standard_gb_total,
                 &capacity.standard_gb_allocated));
    TRY(add_pool(session, call, session->options.high_pool, &capacity.high_gb_total,
                 &capacity.high_gb_allocated));
    *ret_capacity = capacity;
    return NULL;
}
