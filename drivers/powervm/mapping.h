/* SCSI mappings of Virtual I/O Servers: which logical unit which partition sees. */
#ifndef DRIVERS_POWERVM_MAPPING_H
#define DRIVERS_POWERVM_MAPPING_H

#include "drivers/powervm/storage.h"
#include "drivers/powervm/system.h"

struct mapping {
    const char *partition; /* id; NULL: its partition is gone */
    const char *udid;      /* "": not a logical unit */
    const char *local;     /* name of another kind of disk, which hangs on this server alone; NULL */
    const char *system;    /* where the server is */
    unsigned slot;         /* of the partition's adapter; 0: not told */
    int64_t size_bytes;    /* 0: not told */
};

struct mappings {
    struct mapping *items;
    size_t count;
};

/* All mappings of logical units by the nodes of the pools. */
struct error *mapping_list(struct driver_session *session, const struct driver_call *call,
                           const struct storage *storage, struct mappings *ret_mappings) ERROR_MUST_USE;
/* The partition that sees the unit; NULL. */
const char *mapping_user(const struct mappings *mappings, const char *udid);

/* What the partition of that system sees, by all servers of the system, whatever its kind. */
struct error *mapping_of(struct driver_session *session, const struct driver_call *call, const char *system,
                         const char *partition, struct mappings *ret_mappings) ERROR_MUST_USE;
/* Whether the unit is used, but not on any of these systems: it went to another endpoint with its partition,
 * and is nothing of this one's any more. */
bool mapping_elsewhere(const struct mappings *mappings, const struct systems *systems,
                       const struct storage_unit *unit);

/* Makes the partition see the unit through every node of its pool's cluster on the system: two nodes are two
 * paths. There already is success. ERR_UNSUPPORTED when no node is there. */
struct error *mapping_attach(struct driver_session *session, const struct driver_call *call,
                             const struct storage_unit *unit, const char *system,
                             const char *partition) ERROR_MUST_USE;
/* Removes the mappings of `partition` (NULL: any, or none any more) to `udid` (NULL: any) on the pools' nodes
 * on `system` (NULL: on all). */
struct error *mapping_detach(struct driver_session *session, const struct driver_call *call,
                             const struct storage *storage, const char *system, const char *partition,
                             const char *udid) ERROR_MUST_USE;

#endif
