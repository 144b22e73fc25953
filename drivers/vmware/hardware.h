/* A machine's whole hardware as an assessment and a copy of its disks need it, of the machine as it is or as
 * a snapshot has it. What the driver acts on day by day is in machine.h. */
#ifndef DRIVERS_VMWARE_HARDWARE_H
#define DRIVERS_VMWARE_HARDWARE_H

#include <libxml/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/base/arena.h"

#define HARDWARE_DEVICES_MAX 512 /* of one kind that are read of one machine */

struct hardware_disk {
    int64_t key;
    const char *name;      /* the key as text */
    const char *file;      /* "[datastore] path"; "" when it has none */
    const char *backing;   /* "VirtualDiskFlatVer2BackingInfo"… */
    const char *mode;      /* "persistent", "independent_persistent"…; "" when not told */
    const char *change_id; /* NULL: its changes are not tracked */
    uint64_t size_bytes;
    int64_t rank;  /* place in the guest's order: kind of bus, bus, unit */
    bool delta;    /* stands on another file */
    bool shared;   /* several machines may write it */
    bool physical; /* a raw device that the guest speaks to itself */
    bool removable;
};

struct hardware_card {
    const char *model;                        /* "vmxnet3", "e1000"…; NULL: not known */
    const char *mac;                          /* lower case; NULL: none */
    const char *network, *portgroup, *opaque; /* as in machine.h */
};

struct hardware {
    struct hardware_disk *disks; /* in the guest's order, removable ones last */
    size_t disk_count;
    struct hardware_card *cards;
    size_t card_count;
    const char **passthrough; /* labels */
    size_t passthrough_count;
};

/* From config.hardware. */
void hardware_read(struct arena *arena, const xmlNode *hardware, struct hardware *ret_hardware);

/* "VirtualDiskFlatVer2BackingInfo": a file of the datastore with the guest's bytes. */
bool hardware_flat(const struct hardware_disk *disk);
/* A snapshot of the machine leaves it out. */
bool hardware_independent(const struct hardware_disk *disk);
const struct hardware_disk *hardware_disk(const struct hardware *hardware, const char *name);

#endif
