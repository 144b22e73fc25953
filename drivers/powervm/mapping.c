/* See mapping.h. Mappings have no address of their own: the server's whole list is read, changed and posted
 * back. */
#include "drivers/powervm/mapping.h"

#include <string.h>
#include <strings.h>

#include "drivers/powervm/atom.h"

#define LIST "VirtualSCSIMappings"
#define ITEM "VirtualSCSIMapping"
#define UNIT "Storage/LogicalUnit/UniqueDeviceID"

static const char *server_path(struct arena *arena, const char *server)
{
    return arena_printf(arena, "VirtualIOServer/%s?group=ViosSCSIMapping", server);
}

/* Of a capacity in millionths of a GB. */
static int64_t bytes_of(int64_t capacity)
{
    const int64_t gb = INT64_C(1) << 30;
    return capacity / ATOM_MICRO > INT64_MAX / gb - 1
               ? 0
               : (capacity / ATOM_MICRO * gb + capacity % ATOM_MICRO * gb / ATOM_MICRO) / 512 * 512;
}

static struct mapping read_mapping(struct arena *arena, const xmlNode *item, const char *system)
{
    const char *udid = atom_text(arena, item, UNIT);
    const char *disk = atom_text(arena, item, "Storage/VirtualDisk/DiskName");
    const char *volume = atom_text(arena, item, "Storage/PhysicalVolume/VolumeName");
    const char *optical = atom_at(item, "Storage") ? "a device" : NULL;
    int64_t slot = atom_micro(item, "ClientAdapter/VirtualSlotNumber", 0) / ATOM_MICRO;
    int64_t gb =
        atom_micro(item, udid ? "Storage/LogicalUnit/UnitCapacity" : "Storage/VirtualDisk/DiskCapacity", 0);
    return (struct mapping){.partition = atom_href_id(arena, item, "AssociatedLogicalPartition"),
                            .udid = udid ? udid : "",
                            .local = udid     ? NULL
                                     : disk   ? disk
                                     : volume ? volume
                                              : optical,
                            .system = system,
                            .slot = slot <= UINT16_MAX ? (unsigned)slot : 0,
                            .size_bytes = bytes_of(gb)};
}

/* Those of `partition` alone unless it is NULL; those with storage. */
static void collect(struct arena *arena, const xmlNode *server, const char *system, const char *partition,
                    struct mappings *into)
{
    const xmlNode *list = atom_child(server, LIST);
    size_t more = 0;
    for (const xmlNode *item = atom_child(list, ITEM); item; item = atom_next(item))
        more++;
    struct mapping *items = arena_array(arena, into->count + more + 1, sizeof *items);
    if (into->count)
        memcpy(items, into->items, into->count * sizeof *items);
    into->items = items;
    for (const xmlNode *item = atom_child(list, ITEM); item; item = atom_next(item)) {
        struct mapping mapping = read_mapping(arena, item, system);
        bool wanted = !partition || (mapping.partition && strcasecmp(mapping.partition, partition) == 0);
        if (wanted && (*mapping.udid || mapping.local))
            into->items[into->count++] = mapping;
    }
}

struct error *mapping_list(struct driver_session *session, const struct driver_call *call,
                           const struct storage *storage, struct mappings *ret_mappings)
{
    struct mappings mappings = {0};
    for (size_t i = 0; i < storage->count; i++) {
        for (size_t j = 0; j < storage->pools[i].node_count; j++) {
            const struct storage_node *node = &storage->pools[i].nodes[j];
            xmlNode *root = NULL;
            if (node->down)
                continue;
            TRY(hmc_get(session->hmc, call, server_path(call->arena, node->server), &root));
            collect(call->arena, atom_payload(root), node->system, NULL, &mappings);
        }
    }
    *ret_mappings = mappings;
    return NULL;
}

struct error *mapping_of(struct driver_session *session, const struct driver_call *call, const char *system,
                         const char *partition, struct mappings *ret_mappings)
{
    struct mappings mappings = {0};
    xmlNode *root = NULL;
    TRY(hmc_get(session->hmc, call,
                arena_printf(call->arena, "ManagedSystem/%s/VirtualIOServer?group=ViosSCSIMapping", system),
                &root));
    for (xmlNode *entry = atom_first_entry(root); entry; entry = atom_next_entry(entry))
        collect(call->arena, atom_payload(entry), system, partition, &mappings);
    *ret_mappings = mappings;
    return NULL;
}

bool mapping_elsewhere(const struct mappings *mappings, const struct systems *systems,
                       const struct storage_unit *unit)
{
    for (size_t i = 0; i < mappings->count; i++) {
        if (strcmp(mappings->items[i].udid, unit->udid) == 0 &&
            system_find(systems, mappings->items[i].system))
            return false;
    }
    return unit->in_use;
}

const char *mapping_user(const struct mappings *mappings, const char *udid)
{
    for (size_t i = 0; i < mappings->count; i++) {
        if (mappings->items[i].partition && strcmp(mappings->items[i].udid, udid) == 0)
            return mappings->items[i].partition;
    }
    return NULL;
}

struct change {
    const struct storage_unit *unit; /* attach */
    const char *partition_href;
    const char *partition, *udid; /* whom and what; see mapping_detach */
};

static bool matches(struct arena *arena, const xmlNode *item, const struct change *change)
{
    const char *partition = atom_href_id(arena, item, "AssociatedLogicalPartition");
    if (change->udid && !atom_is(item, UNIT, change->udid))
        return false;
    return !change->partition || (partition && strcasecmp(partition, change->partition) == 0);
}

static xmlNode *list_of(xmlNode *server)
{
    xmlNode *list = atom_child(server, LIST);
    if (list)
        return list;
    static const char *const after[] = {"FreeIOAdaptersForLinkAggregation", "FreeEthenetBackingDevicesForSEA",
                                        "VirtualNICBackingDevices", "VirtualIOServerCapabilities"};
    list = atom_add_part(server, LIST);
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
        xmlNode *follower = atom_child(server, after[i]);
        if (follower) { /* the schema demands its place */
            xmlUnlinkNode(list);
            (void)xmlAddPrevSibling(follower, list); /* cannot fail: both are elements of one tree */
            break;
        }
    }
    return list;
}

static void add_adapter(xmlNode *mapping, const char *name, const char *type)
{
    xmlNode *adapter = atom_add_part(mapping, name);
    atom_add(adapter, "AdapterType", type);
    atom_add(adapter, "UseNextAvailableSlotID", "true");
}

static struct error *edit_attach(void *context, struct arena *arena, xmlNode *server, bool *ret_changed)
{
    const struct change *change = context;
    xmlNode *list = list_of(server);
    for (const xmlNode *item = atom_child(list, ITEM); item; item = atom_next(item)) {
        if (matches(arena, item, change)) {
            *ret_changed = false;
            return NULL;
        }
    }
    xmlNode *mapping = atom_add_part(list, ITEM);
    xmlNode *partition = atom_add(mapping, "AssociatedLogicalPartition", NULL);
    /* without memory the link is missing, which the HMC refuses */
    (void)xmlNewProp(partition, (const xmlChar *)"href", (const xmlChar *)change->partition_href);
    (void)xmlNewProp(partition, (const xmlChar *)"rel", (const xmlChar *)"related");
    add_adapter(mapping, "ClientAdapter", "Client");
    add_adapter(mapping, "ServerAdapter", "Server");
    xmlNode *unit = atom_add_part(atom_add_part(mapping, "Storage"), "LogicalUnit");
    atom_add(unit, "UniqueDeviceID", change->unit->udid);
    atom_add(unit, "UnitName", change->unit->name);
    return NULL;
}

static struct error *edit_detach(void *context, struct arena *arena, xmlNode *server, bool *ret_changed)
{
    const struct change *change = context;
    *ret_changed = false;
    for (xmlNode *item = atom_child(atom_child(server, LIST), ITEM); item;) {
        xmlNode *next = atom_next(item);
        if (matches(arena, item, change)) {
            xmlUnlinkNode(item);
            xmlFreeNode(item);
            *ret_changed = true;
        }
        item = next;
    }
    return NULL;
}

struct error *mapping_attach(struct driver_session *session, const struct driver_call *call,
                             const struct storage_unit *unit, const char *system, const char *partition)
{
    struct change change = {.unit = unit,
                            .partition = partition,
                            .udid = unit->udid,
                            .partition_href =
                                arena_printf(call->arena, "%sManagedSystem/%s/LogicalPartition/%s",
                                             hmc_base(session->hmc), system, partition)};
    size_t paths = 0;
    for (size_t i = 0; i < unit->pool->node_count; i++) {
        const struct storage_node *node = &unit->pool->nodes[i];
        if (node->down || strcasecmp(node->system, system) != 0)
            continue;
        TRY_DOING(hmc_update(session->hmc, call, server_path(call->arena, node->server), "VirtualIOServer",
                             edit_attach, &change),
                  "could not attach %s", unit->name);
        paths++;
    }
    if (paths == 0)
        return error_new(ERR_UNSUPPORTED, "no Virtual I/O Server of the system reaches the storage pool %s",
                         unit->pool->name);
    return NULL;
}

struct error *mapping_detach(struct driver_session *session, const struct driver_call *call,
                             const struct storage *storage, const char *system, const char *partition,
                             const char *udid)
{
    struct change change = {.partition = partition, .udid = udid};
    for (size_t i = 0; i < storage->count; i++) {
        for (size_t j = 0; j < storage->pools[i].node_count; j++) {
            const struct storage_node *node = &storage->pools[i].nodes[j];
            if (!node->down && (!system || strcasecmp(node->system, system) == 0))
                TRY_DOING(hmc_update(session->hmc, call, server_path(call->arena, node->server),
                                     "VirtualIOServer", edit_detach, &change),
                          "could not detach");
        }
    }
    return NULL;
}
