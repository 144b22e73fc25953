/* Snapshots of a machine: those of the contract, named as the caller says, and those that exports stand on,
 * named after the export (export.h). */
#ifndef DRIVERS_VMWARE_SNAPSHOT_H
#define DRIVERS_VMWARE_SNAPSHOT_H

#include "drivers/vmware/machine.h"

#define SNAPSHOTS_MAX 256 /* of one machine; vSphere allows 32 in a chain */

struct snapshot {
    struct moref ref;
    const char *name;
    const char *description;
};

struct snapshots {
    struct snapshot items[SNAPSHOTS_MAX];
    size_t count;
    bool pending; /* deltas of removed snapshots wait to be merged */
};

/* In call->arena, oldest branch first. */
struct error *snapshots_read(struct driver_session *session, const struct driver_call *call,
                             struct moref machine, struct snapshots **ret_snapshots) ERROR_MUST_USE;
/* NULL when there is none of that name. */
const struct snapshot *snapshots_named(const struct snapshots *snapshots, const char *name);

struct snapshot_spec {
    const char *name;
    const char *description;
    bool quiesce; /* asked of the guest; when it cannot, the snapshot is made all the same… */
    const char *quiet_description; /* …and this is the description of one where it could */
};
/* Without memory. */
struct error *snapshot_make(struct driver_session *session, const struct driver_call *call,
                            struct moref machine, const struct snapshot_spec *spec) ERROR_MUST_USE;
/* And merges what it held. Gone is success. */
struct error *snapshot_drop(struct driver_session *session, const struct driver_call *call,
                            struct moref ref) ERROR_MUST_USE;
/* Merges what earlier removals left. */
struct error *snapshot_consolidate(struct driver_session *session, const struct driver_call *call,
                                   struct moref machine) ERROR_MUST_USE;

struct error *vmware_snapshot_create(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, const char *name,
                                     bool quiesce) ERROR_MUST_USE;
struct error *vmware_snapshot_revert(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, const char *name) ERROR_MUST_USE;
struct error *vmware_snapshot_delete(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, const char *name) ERROR_MUST_USE;

#endif
