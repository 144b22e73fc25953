/* See instance.h. A create is a row of steps, each of which first looks whether it was done: partition (its
 * name is the stamp, and unique), network adapter, boot disk cloned from the image, mapping, power. A crash
 * between any two is healed by the next create, or by delete. */
#include "drivers/powervm/instance.h"

#include <string.h>
#include <strings.h>

#include "broker/base/moment.h"
#include "drivers/powervm/fence.h"
#include "drivers/powervm/mapping.h"
#include "drivers/powervm/stamp.h"

#define MEMORY_STEP_MB 256 /* when the system does not tell its region size */

struct driver_instance instance_view(const struct partition *partition, const struct systems *systems)
{
    const struct system *system = system_find(systems, partition->system);
    return (struct driver_instance){.id = partition->stamp,
                                    .ref = partition->id,
                                    .name = partition->name,
                                    .power = partition_power(partition),
                                    .vcpu = partition->vcpu,
                                    .memory_mb = partition->memory_mb,
                                    .architecture = "POWER",
                                    .host = system ? system->name : NULL,
                                    .address = partition->address,
                                    .detail = partition->state};
}

struct error *instance_find(struct driver_session *session, const struct driver_call *call,
                            const struct driver_key *key, struct driver_instance *ret_instance)
{
    struct partition partition;
    struct systems systems;
    TRY(partition_find(session, call, key, &partition));
    TRY(system_list(session, call, &systems));
    *ret_instance = instance_view(&partition, &systems);
    return NULL;
}

/* What a create works on. */
struct making {
    const struct driver_instance_spec *spec;
    struct systems systems;
    struct storage storage;
    const struct storage_pool *pool;
    const struct storage_unit *image;
    struct partition partition;
    struct network network;
};

static struct error *check_spec(const struct driver_session *session, const struct driver_instance_spec *spec)
{
    const struct powervm_options *options = &session->options;
    if (strcmp(spec->architecture, "POWER") != 0)
        return error_new(ERR_INVALID, "an HMC runs POWER instances, not %s", spec->architecture);
    if (spec->vcpu == 0 || spec->vcpu > options->max_vcpu)
        return error_new(ERR_INVALID, "1 to %lld vCPU are allowed here, not %u", (long long)options->max_vcpu,
                         spec->vcpu);
    if (spec->memory_mb < 1024 || spec->memory_mb > (uint64_t)options->max_memory_mb)
        return error_new(ERR_INVALID, "1024 to %lld MB of memory are allowed here, not %llu",
                         (long long)options->max_memory_mb, (unsigned long long)spec->memory_mb);
    return NULL;
}

static struct error *check_storage(struct driver_session *session, struct making *making)
{
    const struct driver_instance_spec *spec = making->spec;
    TRY(storage_pool_of(session, &making->storage, spec->high_performance, &making->pool));
    making->image = storage_image(making->pool, spec->image);
    if (!making->image)
        return error_new(ERR_NOT_FOUND, "the storage pool %s has no image \"%s\"", making->pool->name,
                         spec->image);
    if (spec->system_disk_gb < making->image->size_gb)
        return error_new(ERR_INVALID, "the system disk of %u GB is smaller than the image %s of %u GB",
                         spec->system_disk_gb, spec->image, making->image->size_gb);
    return NULL;
}

static bool reaches(const struct storage_pool *pool, const char *system)
{
    for (size_t i = 0; i < pool->node_count; i++) {
        if (!pool->nodes[i].down && strcasecmp(pool->nodes[i].system, system) == 0)
            return true;
    }
    return false;
}

static struct error *find_network(struct driver_session *session, const struct driver_call *call,
                                  const struct system *system, const char *name, struct network *ret_network)
{
    struct networks networks;
    TRY(system_networks(session, call, system, &networks));
    for (size_t i = 0; i < networks.count; i++) {
        if (strcmp(networks.items[i].name, name) == 0) {
            *ret_network = networks.items[i];
            return NULL;
        }
    }
    return error_new(ERR_NOT_FOUND, "the system %s has no virtual network \"%s\"", system->name, name);
}

/* The operating system with the most free memory that has room, the network and a way to the pool. */
static struct error *place(struct driver_session *session, const struct driver_call *call,
                           struct making *making, const struct system **ret_system)
{
    const struct driver_instance_spec *spec = making->spec;
    const struct system *best = NULL;
    int64_t units = session->options.units_per_vcpu * spec->vcpu;
    struct error *reason = error_new(ERR_NO_CAPACITY, "no managed system has %u vCPU and %llu MB free",
                                     spec->vcpu, (unsigned long long)spec->memory_mb);
    for (size_t i = 0; i < making->systems.count; i++) {
        struct system *system = &making->systems.items[i];
        struct network network;
        struct error *error = system_measure(session, call, system);
        int64_t step = system->region_mb > 0 ? system->region_mb : MEMORY_STEP_MB;
        if (!error && spec->memory_mb % (uint64_t)step)
            error = error_new(ERR_INVALID, "memory on %s comes in steps of %lld MB", system->name,
                              (long long)step);
        if (!error &&
            (!system->operating || system->units_free < units ||
             system->memory_free_mb < (int64_t)spec->memory_mb || !reaches(making->pool, system->id) ||
             (best && system->memory_free_mb <= best->memory_free_mb)))
            continue;
        if (!error)
            error = find_network(session, call, system, spec->network, &network);
        if (error) {
            error_ignore(reason); /* the last reason is told when no system will do */
            reason = error;
            continue;
        }
        best = system;
        making->network = network;
    }
    if (!best)
        return reason;
    error_ignore(reason); /* one system will do */
    *ret_system = best;
    return NULL;
}

/* The partition of the stamp, made when there is none. */
static struct error *make_partition(struct driver_session *session, const struct driver_call *call,
                                    struct making *making)
{
    struct driver_key key = {.id = making->spec->id};
    struct error *error = partition_find(session, call, &key, &making->partition);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_ignore(error); /* the usual case: it is to be made */
        const struct system *system = NULL;
        TRY(place(session, call, making, &system));
        error = partition_create(session, call, system, making->spec, &making->partition);
        if (!error || error_code(error) != ERR_EXISTS)
            return error;
        error_ignore(error); /* an earlier attempt's request arrived after all */
        error = partition_find(session, call, &key, &making->partition);
    }
    if (error)
        return error;
    TRY(fence_refuses(&making->partition));
    const struct system *system = system_find(&making->systems, making->partition.system);
    if (!system)
        return error_new(ERR_CONFLICT, "the partition %s is on a system that the options leave out",
                         making->partition.name);
    return making->partition.active
               ? NULL
               : find_network(session, call, system, making->spec->network, &making->network);
}

static struct error *make_boot_disk(struct driver_session *session, const struct driver_call *call,
                                    struct making *making, const struct storage_unit **ret_unit)
{
    const struct driver_instance_spec *spec = making->spec;
    const char *name = stamp_unit(call->arena, STAMP_BOOT, spec->id);
    const struct storage_unit *unit = storage_disk(&making->storage, name, NULL);
    if (!unit)
        TRY(storage_create(session, call, making->pool, name, spec->system_disk_gb, making->image,
                           &making->storage, &unit));
    if (unit->size_gb < spec->system_disk_gb)
        TRY(storage_grow(session, call, unit, spec->system_disk_gb));
    *ret_unit = unit;
    return NULL;
}

static struct error *finish(struct driver_session *session, const struct driver_call *call,
                            struct making *making)
{
    const struct storage_unit *unit = NULL;
    TRY(hmc_progress(session->hmc, call, 25, "connecting to the network"));
    TRY(partition_connect(session, call, &making->partition, &making->network));
    TRY(hmc_progress(session->hmc, call, 35, "cloning the image"));
    TRY(make_boot_disk(session, call, making, &unit));
    TRY(hmc_progress(session->hmc, call, 65, "attaching the system disk"));
    TRY(mapping_attach(session, call, unit, making->partition.system, making->partition.id));
    TRY(hmc_progress(session->hmc, call, 80, "powering on"));
    return partition_power_on(session, call, &making->partition);
}

/* Whether a partition that is gone has left the unit mapped here. */
static bool orphaned(const struct mappings *mappings, const struct systems *systems,
                     const struct storage_unit *unit)
{
    for (size_t i = 0; i < mappings->count; i++) {
        const struct mapping *mapping = &mappings->items[i];
        if (!mapping->partition && strcmp(mapping->udid, unit->udid) == 0 &&
            system_find(systems, mapping->system))
            return true;
    }
    return false;
}

/* The boot disks of the stamp. Without its partition (`orphans`) only those that it left mapped: one that is
 * free may belong to a partition that went to another endpoint and is fenced there. */
static struct error *remove_disks(struct driver_session *session, const struct driver_call *call,
                                  const char *id, bool orphans)
{
    const char *name = stamp_unit(call->arena, STAMP_BOOT, id);
    struct storage storage;
    struct mappings mappings;
    struct systems systems;
    TRY(storage_load(session, call, &storage));
    const struct storage_unit *unit = storage_disk(&storage, name, NULL);
    if (!unit)
        return NULL;
    TRY(mapping_list(session, call, &storage, &mappings));
    TRY(system_list(session, call, &systems));
    for (; unit; unit = storage_disk(&storage, name, unit)) {
        if (orphans ? !orphaned(&mappings, &systems, unit) : mapping_elsewhere(&mappings, &systems, unit))
            continue;                              /* its partition lives on another endpoint now */
        for (size_t i = 0; i < systems.count; i++) /* also what has lost its partition */
            TRY(mapping_detach(session, call, &storage, systems.items[i].id, NULL, unit->udid));
        TRY(storage_delete(session, call, unit));
    }
    return NULL;
}

/* The partition goes last: while it is there a repeated delete knows the disks for its own. */
static struct error *remove_partition(struct driver_session *session, const struct driver_call *call,
                                      const struct partition *partition)
{
    struct storage storage;
    if (partition->migrating)
        return error_new(ERR_CONFLICT, "the partition %s is migrating", partition->name);
    TRY(partition_power_off(session, call, partition, false, false));
    TRY(storage_load(session, call, &storage));
    TRY(mapping_detach(session, call, &storage, partition->system, partition->id, NULL));
    TRY(hmc_progress(session->hmc, call, 50, "removing the system disk"));
    TRY(remove_disks(session, call, partition->stamp, false));
    TRY(hmc_progress(session->hmc, call, 80, "removing the partition"));
    return partition_delete(session, call, partition);
}

/* Whether repeating the create could succeed one day without anybody changing something. */
static bool heals(enum error_code code)
{
    return code == ERR_UNAVAILABLE || code == ERR_TIMEOUT || code == ERR_BUSY || code == ERR_CANCELLED ||
           code == ERR_DENIED;
}

/* Removes what a create that cannot succeed has made; its own failures are told beside the first one. */
static struct error *give_up(struct driver_session *session, const struct driver_call *call,
                             const struct making *making, struct error *error)
{
    if (making->partition.active)
        return error; /* it ran before this call: not ours to take down */
    struct driver_call quiet = *call;
    quiet.progress = NULL; /* a cancelled clean-up would leave an orphan */
    struct partition now;
    struct error *failed = partition_get(session, &quiet, making->partition.id, &now);
    if (!failed && (!now.active || partition_power(&now) == DRIVER_POWER_ERROR))
        failed = remove_partition(session, &quiet, &now);
    else if (!failed)
        return error; /* it runs after all */
    if (failed && error_code(failed) == ERR_NOT_FOUND) {
        error_ignore(failed); /* somebody removed it */
        failed = remove_disks(session, &quiet, making->spec->id, true);
    }
    if (!failed)
        return error;
    struct error *both = error_wrap(error, "left behind (%s)", error_message(failed));
    error_ignore(failed); /* told in the message */
    return both;
}

struct error *instance_create(struct driver_session *session, const struct driver_call *call,
                              const struct driver_instance_spec *spec, struct driver_instance *ret_instance)
{
    struct making making = {.spec = spec};
    TRY(check_spec(session, spec));
    TRY(hmc_progress(session->hmc, call, 5, "looking for a place"));
    TRY(system_list(session, call, &making.systems));
    TRY(storage_load(session, call, &making.storage));
    TRY(check_storage(session, &making));
    TRY(make_partition(session, call, &making));
    struct error *error = making.partition.active ? partition_power_on(session, call, &making.partition)
                                                  : finish(session, call, &making);
    if (error)
        return heals(error_code(error)) ? error : give_up(session, call, &making, error);
    TRY(partition_get(session, call, making.partition.id, &making.partition));
    *ret_instance = instance_view(&making.partition, &making.systems);
    return NULL;
}

struct error *instance_start(struct driver_session *session, const struct driver_call *call,
                             const struct driver_key *key)
{
    struct partition partition;
    TRY(partition_find(session, call, key, &partition));
    TRY(fence_refuses(&partition));
    TRY(hmc_progress(session->hmc, call, 20, "powering on"));
    return partition_power_on(session, call, &partition);
}

struct error *instance_stop(struct driver_session *session, const struct driver_call *call,
                            const struct driver_key *key, int64_t grace_us)
{
    struct partition partition;
    TRY(partition_find(session, call, key, &partition));
    if (grace_us > 0 && partition.active && partition.rmc) {
        TRY(hmc_progress(session->hmc, call, 10, "asking the guest to shut down"));
        struct driver_call grace = *call;
        int64_t end = moment_monotonic() + grace_us;
        grace.deadline_us = end < call->deadline_us ? end : call->deadline_us;
        struct error *error = partition_power_off(session, &grace, &partition, true, false);
        if (!error || error_code(error) == ERR_CANCELLED || error_code(error) == ERR_DENIED)
            return error;
        error_ignore(error); /* the guest did not follow in time: the power is cut */
    }
    TRY(hmc_progress(session->hmc, call, 60, "cutting the power"));
    return partition_power_off(session, call, &partition, false, false);
}

struct error *instance_reboot(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *key)
{
    struct partition partition;
    TRY(partition_find(session, call, key, &partition));
    if (!partition.active)
        return error_new(ERR_CONFLICT, "the partition %s is off", partition.name);
    TRY(hmc_progress(session->hmc, call, 20, "restarting"));
    return partition_power_off(session, call, &partition, partition.rmc, true);
}

struct error *instance_resize(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *key, unsigned vcpu, uint64_t memory_mb)
{
    struct partition partition;
    TRY(partition_find(session, call, key, &partition));
    TRY(hmc_progress(session->hmc, call, 20, "changing processors and memory"));
    return error_wrap(partition_resize(session, call, &partition, vcpu, memory_mb), "could not resize %s",
                      partition.name);
}

struct error *instance_delete(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *key)
{
    struct partition partition;
    struct error *error = partition_find(session, call, key, &partition);
    bool found = !error;
    if (found && !partition.stamp)
        return error_new(ERR_DENIED, "the partition %s was not made by the broker", partition.name);
    if (found) {
        TRY(hmc_progress(session->hmc, call, 20, "cutting the power"));
        return remove_partition(session, call, &partition);
    }
    if (error_code(error) != ERR_NOT_FOUND)
        return error;
    error_ignore(error); /* gone already; its disk may have been left by whoever removed it */
    return key->id ? remove_disks(session, call, key->id, true) : NULL;
}
