/* Changed block tracking. A checkpoint is what tracking calls a changeId, one for each disk, written down
 * with the disks' sizes as a mark of the machine: "KEY|CHANGEID|BYTES;…". vSphere keeps nothing for it, so
 * forgetting one costs nothing there. */
#ifndef DRIVERS_VMWARE_TRACKING_H
#define DRIVERS_VMWARE_TRACKING_H

#include "drivers/driver_move.h"
#include "drivers/vmware/hardware.h"
#include "drivers/vmware/session.h"

#define TRACKING_EXTENTS_MAX (4u << 20) /* of one disk; more is told as a reason to read everything */
#define TRACKING_ALL "*"                /* instead of a changeId: what is allocated at all */

/* Writes down the changeIds of the disks; NULL when none has one. */
const char *tracking_record(struct arena *arena, const struct hardware *hardware);
/* What a record says of a disk; false when it says nothing. */
bool tracking_recorded(struct arena *arena, const char *record, const char *disk, const char **ret_change_id,
                       uint64_t *ret_size);

struct tracking_question {
    struct moref machine, snapshot;
    const struct hardware_disk *disk; /* as the snapshot has it */
    const char *change_id;
};
struct tracking_answer {
    struct driver_extent *extents; /* sorted, apart, within the disk; in call->arena */
    size_t count;
    const char *reason; /* not NULL: the provider cannot tell any more, and why */
};
/* Asks until the whole disk is covered. Errors are those that asking again may heal. */
struct error *tracking_ask(struct driver_session *session, const struct driver_call *call,
                           const struct tracking_question *question,
                           struct tracking_answer *ret_answer) ERROR_MUST_USE;

#endif
