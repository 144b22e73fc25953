/* See detail.h. Disks are told by mapping: two servers that serve one logical unit are two paths to one disk.
 */
#include "drivers/powervm/detail.h"

#include <ctype.h>
#include <string.h>

#include "drivers/powervm/atom.h"
#include "drivers/powervm/fence.h"
#include "drivers/powervm/instance.h"
#include "drivers/powervm/mapping.h"
#include "drivers/powervm/stamp.h"

#define UNREADABLE "an HMC gives no access to the data of disks"

/* "FA1600000001" as "fa:16:00:00:00:01"; NULL when it is not of that form. */
static const char *mac_of(struct arena *arena, const char *text)
{
    if (!text || strlen(text) != 12 || strspn(text, "0123456789abcdefABCDEF") != 12)
        return NULL;
    char *mac = arena_alloc(arena, 18);
    for (size_t i = 0; i < 12; i++) {
        mac[i / 2 * 3 + i % 2] = (char)tolower((unsigned char)text[i]);
        if (i % 2)
            mac[i / 2 * 3 + 2] = ':';
    }
    mac[17] = '\0';
    return mac;
}

struct error *detail_adapters(struct driver_session *session, const struct driver_call *call,
                              const struct partition *partition, struct adapters *ret_adapters)
{
    struct arena *arena = call->arena;
    xmlNode *root = NULL;
    size_t count = 0;
    TRY(hmc_get(session->hmc, call,
                arena_printf(arena, "LogicalPartition/%s/ClientNetworkAdapter", partition->id), &root));
    for (xmlNode *entry = atom_first_entry(root); entry; entry = atom_next_entry(entry))
        count++;
    struct adapters adapters = {.items = arena_array(arena, count + 1, sizeof *adapters.items)};
    for (xmlNode *entry = atom_first_entry(root); entry; entry = atom_next_entry(entry)) {
        const xmlNode *payload = atom_payload(entry);
        adapters.items[adapters.count++] =
            (struct adapter){.vlan = (unsigned)(atom_micro(payload, "PortVLANID", 0) / ATOM_MICRO),
                             .mac = mac_of(arena, atom_text(arena, payload, "MACAddress"))};
    }
    *ret_adapters = adapters;
    return NULL;
}

static struct error *add_adapters(struct driver_session *session, const struct driver_call *call,
                                  const struct partition *partition, const struct systems *systems,
                                  struct driver_detail *detail)
{
    const struct system *system = system_find(systems, partition->system);
    struct networks networks = {0};
    struct adapters adapters;
    if (system)
        TRY(system_networks(session, call, system, &networks));
    TRY(detail_adapters(session, call, partition, &adapters));
    detail->adapters = arena_array(call->arena, adapters.count + 1, sizeof *detail->adapters);
    for (size_t i = 0; i < adapters.count; i++) {
        struct driver_adapter *adapter = &detail->adapters[detail->adapter_count++];
        *adapter = (struct driver_adapter){.mac = adapters.items[i].mac, .model = "ibmveth"};
        for (size_t j = 0; j < networks.count && !adapter->network; j++)
            if (networks.items[j].vlan == adapters.items[i].vlan)
                adapter->network = networks.items[j].name;
    }
    return NULL;
}

static const struct storage_unit *unit_of(const struct storage *storage, const char *udid)
{
    for (size_t i = 0; i < storage->count; i++)
        for (size_t j = 0; j < storage->pools[i].unit_count; j++)
            if (strcmp(storage->pools[i].units[j].udid, udid) == 0)
                return &storage->pools[i].units[j];
    return NULL;
}

static bool has_disk(const struct driver_detail *detail, const char *ref)
{
    for (size_t i = 0; i < detail->disk_count; i++)
        if (detail->disks[i].ref && strcmp(detail->disks[i].ref, ref) == 0)
            return true;
    return false;
}

static struct driver_disk unit_disk(struct arena *arena, const struct partition *partition,
                                    const struct storage_unit *unit)
{
    const char *boot = stamp_of_unit(arena, STAMP_BOOT, unit->name);
    return (struct driver_disk){.volume_id = stamp_of_unit(arena, STAMP_VOLUME, unit->name),
                                .ref = unit->udid,
                                .format = "logical-unit",
                                .size_bytes = (uint64_t)unit->size_gb << 30,
                                .boot = boot && partition->stamp && strcmp(boot, partition->stamp) == 0,
                                .high_performance = unit->pool->high,
                                .unreadable = UNREADABLE,
                                .untracked = UNREADABLE};
}

static void add_mapped(struct arena *arena, const struct partition *partition, const struct storage *storage,
                       const struct mappings *mappings, struct driver_detail *detail)
{
    for (size_t i = 0; i < mappings->count; i++) {
        const struct mapping *mapping = &mappings->items[i];
        const struct storage_unit *unit = unit_of(storage, mapping->udid);
        struct driver_disk disk = {.ref = *mapping->udid ? mapping->udid : mapping->local,
                                   .format = *mapping->udid ? "logical-unit" : "local",
                                   .unreadable = UNREADABLE,
                                   .untracked = UNREADABLE};
        if (*mapping->udid && has_disk(detail, mapping->udid))
            continue; /* a second path */
        if (unit)
            disk = unit_disk(arena, partition, unit);
        if (mapping->size_bytes > 0)
            disk.size_bytes = (uint64_t)mapping->size_bytes;
        /* slots are the partition's own and differ; one that is not told gets a name that no slot has */
        disk.name = mapping->slot ? arena_printf(arena, "%u", mapping->slot) : arena_printf(arena, "x%zu", i);
        detail->disks[detail->disk_count++] = disk;
    }
}

/* A fenced partition's disks are not mapped, but still its own. */
static void add_fenced(struct arena *arena, const struct partition *partition, const struct storage *storage,
                       const struct fence *fence, struct driver_detail *detail)
{
    for (size_t i = 0; i < fence->disk_count; i++) {
        const struct storage_unit *unit = fence_unit(arena, storage, partition, fence->disks[i]);
        if (!unit || has_disk(detail, unit->udid))
            continue;
        struct driver_disk disk = unit_disk(arena, partition, unit);
        disk.name = arena_printf(arena, "f%zu", i);
        detail->disks[detail->disk_count++] = disk;
    }
}

static void add_physical(struct arena *arena, const struct partition *partition, struct driver_detail *detail)
{
    detail->passthrough = arena_array(arena, 1, sizeof *detail->passthrough);
    if (partition->physical)
        detail->passthrough[detail->passthrough_count++] = "physical I/O adapters";
}

struct error *detail_read(struct driver_session *session, const struct driver_call *call,
                          const struct driver_key *key, struct driver_detail *ret_detail)
{
    struct partition partition;
    struct systems systems;
    struct storage storage;
    struct mappings mappings;
    struct fence fence;
    TRY(partition_find(session, call, key, &partition));
    TRY(system_list(session, call, &systems));
    TRY(hmc_progress(session->hmc, call, 30, "reading the storage"));
    TRY(storage_load(session, call, &storage));
    TRY(mapping_of(session, call, partition.system, partition.id, &mappings));
    fence_read(call->arena, &partition, &fence);
    struct driver_detail detail = {.instance = instance_view(&partition, &systems),
                                   .firmware = DRIVER_FIRMWARE_OPEN,
                                   .machine = partition.mode,
                                   .guest_os = partition.os,
                                   .fenced = fence.set,
                                   .agent = partition.rmc};
    detail.disks = arena_array(call->arena, mappings.count + fence.disk_count + 1, sizeof *detail.disks);
    add_mapped(call->arena, &partition, &storage, &mappings, &detail);
    add_fenced(call->arena, &partition, &storage, &fence, &detail);
    add_physical(call->arena, &partition, &detail);
    TRY(hmc_progress(session->hmc, call, 70, "reading the network adapters"));
    TRY(add_adapters(session, call, &partition, &systems, &detail));
    *ret_detail = detail;
    return NULL;
}
