/* See hardware.h. */
#include "drivers/vmware/hardware.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/vmware/xml.h"

#define RANK_BUS 1000    /* units of a bus */
#define RANK_KIND 100000 /* of buses of a kind */
#define KB 1024

struct bus {
    int64_t key, number;
    int kind; /* its place in the order in which firmware looks */
    bool shared;
};

struct reading {
    struct arena *arena;
    struct hardware *hardware;
    struct bus *buses;
    size_t bus_count;
    int64_t *controllers; /* of the disks, parallel */
    int64_t *units;
};

static bool ends_in(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static int bus_kind(const char *type)
{
    static const char *const kinds[] = {"VirtualIDEController", "VirtualAHCIController",
                                        "VirtualNVMEController"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(type, kinds[i]) == 0)
            return (int)i + 1;
    return ends_in(type, "SCSIController") || strstr(type, "LsiLogic") || strstr(type, "BusLogic") ? 0 : -1;
}

static void read_bus(struct reading *reading, const xmlNode *device, int kind)
{
    const char *sharing = xml_child_text(device, "sharedBus");
    if (reading->bus_count == HARDWARE_DEVICES_MAX)
        return;
    reading->buses[reading->bus_count++] = (struct bus){
        .key = xml_number(xml_child(device, "key"), 0),
        .number = xml_number(xml_child(device, "busNumber"), 0),
        .kind = kind,
        .shared = sharing && strcmp(sharing, "noSharing") != 0,
    };
}

static const char *text_or_empty(struct arena *arena, const xmlNode *node, const char *name)
{
    const char *text = xml_child_text(node, name);
    return text ? arena_strdup(arena, text) : "";
}

static void read_disk(struct reading *reading, const xmlNode *device, bool removable)
{
    struct arena *arena = reading->arena;
    struct hardware *hardware = reading->hardware;
    if (hardware->disk_count == HARDWARE_DEVICES_MAX)
        return;
    const xmlNode *backing = xml_child(device, "backing");
    const char *type = xml_xsi_type(arena, backing), *mode = xml_child_text(backing, "compatibilityMode");
    const char *sharing = xml_child_text(backing, "sharing"), *change = xml_child_text(backing, "changeId");
    int64_t bytes = xml_number(xml_child(device, "capacityInBytes"), 0);
    if (bytes <= 0)
        bytes = xml_number(xml_child(device, "capacityInKB"), 0) * KB;
    reading->controllers[hardware->disk_count] = xml_number(xml_child(device, "controllerKey"), 0);
    reading->units[hardware->disk_count] = xml_number(xml_child(device, "unitNumber"), 0);
    struct hardware_disk *disk = &hardware->disks[hardware->disk_count++];
    disk->key = xml_number(xml_child(device, "key"), 0);
    disk->name = arena_printf(arena, "%lld", (long long)disk->key);
    disk->file = text_or_empty(arena, backing, "fileName");
    disk->backing = type ? type : "";
    disk->mode = text_or_empty(arena, backing, "diskMode");
    disk->change_id = change && *change ? arena_strdup(arena, change) : NULL;
    disk->size_bytes = bytes > 0 ? (uint64_t)bytes : 0;
    disk->delta = xml_child(backing, "parent") != NULL;
    disk->shared = sharing && *sharing && strcmp(sharing, "sharingNone") != 0;
    disk->physical = mode && strcmp(mode, "physicalMode") == 0;
    disk->removable = removable;
}

static const char *lower(struct arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);
    for (char *at = copy; at && *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return copy && *copy ? copy : NULL;
}

/* "VirtualVmxnet3" is the model vmxnet3. */
static void read_card(struct reading *reading, const xmlNode *device, const char *type)
{
    struct arena *arena = reading->arena;
    struct hardware *hardware = reading->hardware;
    if (hardware->card_count == HARDWARE_DEVICES_MAX)
        return;
    const xmlNode *backing = xml_child(device, "backing");
    struct hardware_card *card = &hardware->cards[hardware->card_count++];
    card->model = strncmp(type, "Virtual", 7) == 0 ? lower(arena, type + 7) : NULL;
    card->mac = lower(arena, xml_child_text(device, "macAddress"));
    card->network = arena_strdup(arena, xml_child_text(backing, "deviceName"));
    card->portgroup = arena_strdup(arena, xml_child_text(xml_child(backing, "port"), "portgroupKey"));
    card->opaque = arena_strdup(arena, xml_child_text(backing, "opaqueNetworkId"));
}

/* Of the host, and staying there. */
static bool is_passthrough(const char *type, const xmlNode *device, struct arena *arena)
{
    static const char *const types[] = {"VirtualPCIPassthrough", "VirtualSriovEthernetCard",
                                        "VirtualSCSIPassthrough", "VirtualUSB", "VirtualTPM"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    const char *backing = xml_xsi_type(arena, xml_child(device, "backing"));
    /* a port of the host's; drives are told as removable disks */
    return backing && (strcmp(backing, "VirtualSerialPortDeviceBackingInfo") == 0 ||
                       strcmp(backing, "VirtualParallelPortDeviceBackingInfo") == 0);
}

static void read_device(struct reading *reading, const xmlNode *device)
{
    static const char *const cards[] = {
        "VirtualVmxnet3", "VirtualVmxnet2", "VirtualVmxnet",           "VirtualE1000",
        "VirtualE1000e",  "VirtualPCNet32", "VirtualSriovEthernetCard"};
    struct hardware *hardware = reading->hardware;
    const char *type = xml_xsi_type(reading->arena, device);
    if (!type)
        return;
    int kind = bus_kind(type);
    if (kind >= 0)
        read_bus(reading, device, kind);
    else if (strcmp(type, "VirtualDisk") == 0)
        read_disk(reading, device, false);
    else if (strcmp(type, "VirtualCdrom") == 0 || strcmp(type, "VirtualFloppy") == 0)
        read_disk(reading, device, true);
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++)
        if (strcmp(type, cards[i]) == 0)
            read_card(reading, device, type);
    if (is_passthrough(type, device, reading->arena) && hardware->passthrough_count < HARDWARE_DEVICES_MAX) {
        const char *label = xml_child_text(xml_child(device, "deviceInfo"), "label");
        hardware->passthrough[hardware->passthrough_count++] =
            label && *label ? arena_strdup(reading->arena, label) : type;
    }
}

static int by_rank(const void *left, const void *right)
{
    const struct hardware_disk *a = left, *b = right;
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}

/* Now that all buses are known. */
static void place_disks(struct reading *reading)
{
    struct hardware *hardware = reading->hardware;
    for (size_t i = 0; i < hardware->disk_count; i++) {
        struct hardware_disk *disk = &hardware->disks[i];
        disk->rank = INT64_MAX;
        for (size_t b = 0; b < reading->bus_count; b++) {
            const struct bus *bus = &reading->buses[b];
            if (bus->key != reading->controllers[i])
                continue;
            disk->rank = bus->kind * RANK_KIND + bus->number * RANK_BUS + reading->units[i];
            disk->shared = disk->shared || bus->shared;
        }
        if (disk->removable)
            disk->rank = INT64_MAX;
    }
    qsort(hardware->disks, hardware->disk_count, sizeof *hardware->disks, by_rank);
}

void hardware_read(struct arena *arena, const xmlNode *node, struct hardware *ret_hardware)
{
    struct hardware hardware = {.disks = arena_array(arena, HARDWARE_DEVICES_MAX, sizeof *hardware.disks),
                                .cards = arena_array(arena, HARDWARE_DEVICES_MAX, sizeof *hardware.cards),
                                .passthrough =
                                    arena_array(arena, HARDWARE_DEVICES_MAX, sizeof *hardware.passthrough)};
    struct reading reading = {.arena = arena,
                              .hardware = &hardware,
                              .buses = arena_array(arena, HARDWARE_DEVICES_MAX, sizeof *reading.buses),
                              .controllers =
                                  arena_array(arena, HARDWARE_DEVICES_MAX, sizeof *reading.controllers),
                              .units = arena_array(arena, HARDWARE_DEVICES_MAX, sizeof *reading.units)};
    for (const xmlNode *device = xml_child(node, "device"); device; device = xml_next(device))
        read_device(&reading, device);
    place_disks(&reading);
    *ret_hardware = hardware;
}

bool hardware_flat(const struct hardware_disk *disk)
{
    return strcmp(disk->backing, "VirtualDiskFlatVer2BackingInfo") == 0 && *disk->file;
}

bool hardware_independent(const struct hardware_disk *disk)
{
    return strncmp(disk->mode, "independent", 11) == 0;
}

const struct hardware_disk *hardware_disk(const struct hardware *hardware, const char *name)
{
    for (size_t i = 0; i < hardware->disk_count; i++)
        if (strcmp(hardware->disks[i].name, name) == 0)
            return &hardware->disks[i];
    return NULL;
}
