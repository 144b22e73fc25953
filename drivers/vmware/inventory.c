/* See inventory.h. */
#include "drivers/vmware/inventory.h"

#include <string.h>

#include "drivers/vmware/survey.h"
#include "drivers/vmware/volume.h"

#define GB_SHIFT 30

static void fill_pools(struct driver_session *session, struct arena *arena, const struct survey *survey,
                       struct driver_inventory *inventory)
{
    inventory->pools = arena_array(arena, survey->datastore_count + 1, sizeof *inventory->pools);
    for (size_t i = 0; i < survey->datastore_count; i++) {
        const struct survey_datastore *datastore = &survey->datastores[i];
        bool high = options_high(&session->options, datastore->name);
        if (!high && !options_standard(&session->options, datastore->name))
            continue;
        inventory->pools[inventory->pool_count++] = (struct driver_pool){
            .ref = datastore->ref.value,
            .name = datastore->name,
            .high_performance = high,
            .total_gb = (uint64_t)datastore->total_bytes >> GB_SHIFT,
            .free_gb = (uint64_t)datastore->free_bytes >> GB_SHIFT,
        };
    }
}

static void fill_networks(struct arena *arena, const struct survey *survey,
                          struct driver_inventory *inventory)
{
    inventory->networks = arena_array(arena, survey->network_count + 1, sizeof *inventory->networks);
    for (size_t i = 0; i < survey->network_count; i++)
        if (!survey->networks[i].uplink)
            inventory->networks[inventory->network_count++] =
                (struct driver_network){survey->networks[i].ref.value, survey->networks[i].name};
}

struct error *inventory_take(struct driver_session *session, const struct driver_call *call,
                             struct driver_inventory *ret_inventory)
{
    struct survey survey;
    TRY_DOING(survey_take(session, call, SURVEY_INSTANCES, &survey), "could not read the inventory");
    struct driver_inventory inventory = {
        .hosts = survey.hosts,
        .host_count = survey.host_count,
        .images = survey.images,
        .image_count = survey.image_count,
        .instances = survey.instances,
        .instance_count = survey.instance_count,
    };
    fill_pools(session, call->arena, &survey, &inventory);
    fill_networks(call->arena, &survey, &inventory);
    TRY_DOING(volume_list(session, call, &survey, &inventory.volumes, &inventory.volume_count),
              "could not list the volumes");
    *ret_inventory = inventory;
    return NULL;
}

static unsigned architecture_bit(const char *name)
{
    return strcmp(name, "C86") == 0 ? DRIVER_C86 : DRIVER_X86;
}

struct error *vmware_inventory_capacity(struct driver_session *session, const struct driver_call *call,
                                        struct driver_capacity *ret_capacity)
{
    struct survey survey;
    TRY_DOING(survey_take(session, call, SURVEY_INSTANCES, &survey), "could not read the capacity");
    struct driver_capacity capacity = {0};
    for (size_t i = 0; i < survey.host_count; i++) {
        const struct driver_host *host = &survey.hosts[i];
        if (!host->usable)
            continue;
        capacity.cores_total += host->cores;
        capacity.memory_mb_total += host->memory_mb;
        capacity.architectures |= architecture_bit(host->architecture);
    }
    for (size_t i = 0; i < survey.instance_count; i++) {
        capacity.vcpu_allocated += survey.instances[i].vcpu;
        capacity.memory_mb_allocated += survey.instances[i].memory_mb;
    }
    int64_t standard_used = 0, high_used = 0;
    for (size_t i = 0; i < survey.datastore_count; i++) {
        const struct survey_datastore *datastore = &survey.datastores[i];
        /* What thin disks may still claim counts as allocated: it is sold. */
        int64_t used = datastore->total_bytes - datastore->free_bytes + datastore->promised_bytes;
        if (options_high(&session->options, datastore->name)) {
            capacity.high_gb_total += (uint64_t)datastore->total_bytes >> GB_SHIFT;
            high_used += used;
        } else if (options_standard(&session->options, datastore->name)) {
            capacity.standard_gb_total += (uint64_t)datastore->total_bytes >> GB_SHIFT;
            standard_used += used;
        }
    }
    int64_t round_up = (INT64_C(1) << GB_SHIFT) - 1;
    capacity.standard_gb_allocated = (uint64_t)(standard_used + round_up) >> GB_SHIFT;
    capacity.high_gb_allocated = (uint64_t)(high_used + round_up) >> GB_SHIFT;
    *ret_capacity = capacity;
    return NULL;
}
