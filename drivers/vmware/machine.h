/* A virtual machine as the driver needs it to act on: found by its stamp, with the devices that matter. The
 * stamp is the broker's id, kept twice: as config.instanceUuid, by which the provider finds it in one call,
 * and in config.extraConfig as MACHINE_STAMP, which proves that the broker made it. */
#ifndef DRIVERS_VMWARE_MACHINE_H
#define DRIVERS_VMWARE_MACHINE_H

#include "drivers/vmware/marks.h"
#include "drivers/vmware/session.h"

#define MACHINE_STAMP "yunqiao.id"
#define MACHINE_DEVICES_MAX 64 /* disks, controllers or network cards that are read of one machine */

struct machine_disk {
    int64_t key, controller, unit;
    int64_t capacity_kb;
    const char *file; /* "[datastore] path" */
    const char *label;
    const char *mode; /* "persistent"… */
    bool base;        /* the file is not a snapshot's delta */
};

struct machine_controller {
    int64_t key;
};

struct machine_card {
    const char *type; /* "VirtualVmxnet3"… */
    int64_t key, controller, unit;
    const char *label;
    const char *network;   /* of a standard network, its name */
    const char *portgroup; /* of a distributed one, its key */
    const char *opaque;    /* of an opaque one, its id */
};

struct machine {
    struct moref ref;
    struct driver_instance instance; /* as the broker is told */
    struct moref host;
    bool template;
    bool tracking; /* changes of its disks are to be tracked */
    struct marks marks;
    int64_t cpu_reservation;    /* MHz */
    bool cpu_hot, memory_hot;   /* may grow while running */
    struct machine_disk *disks; /* in the order of the provider: the first is the system's */
    size_t disk_count;
    struct machine_controller *controllers; /* SCSI */
    size_t controller_count;
    struct machine_card *cards;
    size_t card_count;
};

/* ERR_NOT_FOUND when there is none; the reference in the key is tried first. Never finds a template. */
struct error *machine_find(struct driver_session *session, const struct driver_call *call,
                           const struct driver_key *key, struct machine *ret_machine) ERROR_MUST_USE;
/* Reads it again. ERR_NOT_FOUND when it is gone. */
struct error *machine_read(struct driver_session *session, const struct driver_call *call, struct moref ref,
                           struct machine *ret_machine) ERROR_MUST_USE;

/* What is one property of a machine, into *instance (and the stamp); shared with the inventory. */
void machine_property(struct driver_instance *instance, struct arena *arena, const char *name,
                      const xmlNode *value);
enum driver_power machine_power(const char *state);
/* MACHINE_STAMP in an extraConfig value; NULL when absent or not a UUID. */
const char *machine_stamp(struct arena *arena, const xmlNode *extra_config);

#endif
