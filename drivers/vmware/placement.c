/* See placement.h. */
#include "drivers/vmware/placement.h"

#include <string.h>

#define NAME_ID_DIGITS 8 /* of the id, in the machine's name */

const char *placement_name(struct arena *arena, const char *name, const char *id)
{
    return arena_printf(arena, "%s-%.*s", name, NAME_ID_DIGITS, id);
}

struct error *placement_pool(const struct driver_session *session, const struct survey *survey,
                             struct moref *ret_pool)
{
    const struct options *options = &session->options;
    const struct survey_place *compute = NULL;
    for (size_t i = 0; i < survey->compute_count; i++) {
        const struct survey_place *candidate = &survey->computes[i];
        if (options->cluster ? strcmp(candidate->name, options->cluster) == 0
                             : !compute || strcmp(candidate->name, compute->name) < 0)
            compute = candidate;
    }
    if (!compute || !compute->pool.value)
        return error_new(ERR_NOT_FOUND, "the provider has no cluster or host %s",
                         options->cluster ? options->cluster : "at all");
    *ret_pool = compute->pool;
    if (!options->resource_pool)
        return NULL;
    for (size_t i = 0; i < survey->pool_count; i++)
        if (strcmp(survey->pools[i].name, options->resource_pool) == 0 &&
            moref_same(survey->pools[i].owner, compute->ref)) {
            *ret_pool = survey->pools[i].ref;
            return NULL;
        }
    return error_new(ERR_NOT_FOUND, "%s has no resource pool %s", compute->name, options->resource_pool);
}

struct error *placement_folder(const struct driver_session *session, const struct survey *survey,
                               struct moref *ret_folder)
{
    *ret_folder = session->vm_folder;
    if (!session->options.folder)
        return NULL;
    for (size_t i = 0; i < survey->folder_count; i++)
        if (strcmp(survey->folders[i].name, session->options.folder) == 0) {
            *ret_folder = survey->folders[i].ref;
            return NULL;
        }
    return error_new(ERR_NOT_FOUND, "the provider has no folder %s", session->options.folder);
}

struct error *placement_network(const struct survey *survey, const char *name, struct placement *placement)
{
    for (size_t i = 0; i < survey->network_count; i++)
        if (!survey->networks[i].uplink && strcmp(survey->networks[i].name, name) == 0)
            placement->network = &survey->networks[i];
    if (!placement->network)
        return error_new(ERR_NOT_FOUND, "the provider has no network %s", name);
    for (size_t i = 0; i < survey->switch_count; i++)
        if (moref_same(survey->switches[i].ref, placement->network->dvs))
            placement->switch_uuid = survey->switches[i].uuid;
    if (placement->network->portgroup && !placement->switch_uuid)
        return error_new(ERR_UNAVAILABLE, "the provider does not tell the switch of the network %s", name);
    return NULL;
}

struct error *placement_architecture(const struct survey *survey, const char *architecture)
{
    for (size_t i = 0; i < survey->host_count; i++)
        if (survey->hosts[i].usable && strcmp(survey->hosts[i].architecture, architecture) == 0)
            return NULL;
    return error_new(ERR_NO_CAPACITY, "no usable host has the architecture %s", architecture);
}

void placement_put_network(struct xml_request *request, const struct placement *placement)
{
    const struct survey_network *network = placement->network;
    if (network->portgroup) {
        xml_open_as(request, "backing", "VirtualEthernetCardDistributedVirtualPortBackingInfo");
        xml_open(request, "port");
        xml_put(request, "switchUuid", placement->switch_uuid);
        xml_put(request, "portgroupKey", network->portgroup);
        xml_close(request);
    } else if (network->opaque_id) {
        xml_open_as(request, "backing", "VirtualEthernetCardOpaqueNetworkBackingInfo");
        xml_put(request, "opaqueNetworkId", network->opaque_id);
        xml_put(request, "opaqueNetworkType", network->opaque_type);
    } else {
        xml_open_as(request, "backing", "VirtualEthernetCardNetworkBackingInfo");
        xml_put(request, "deviceName", network->name);
        xml_put_ref(request, "network", network->ref);
    }
    xml_close(request);
}
