/* SCSI mappings of Virtual I/O Servers: which logical unit which partition sees. */
#ifndef DRIVERS_POWERVM_MAPPING_H
#define DRIVERS_POWERVM_MAPPING_H

#include "drivers/powervm/storage.h"

struct mapping {
    const char *partition; /* id; NULL: its partition is gone */
    const char *udid;
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
