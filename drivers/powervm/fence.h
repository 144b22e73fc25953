/* Fencing: an HMC has no lock on a partition, so a fenced one loses its disks. All its mappings are taken
 * away, which leaves an activation in open firmware with nothing to boot from, and they are remembered in the
 * partition's description, which is the mark of the fence, too. */
#ifndef DRIVERS_POWERVM_FENCE_H
#define DRIVERS_POWERVM_FENCE_H

#include "drivers/powervm/partition.h"
#include "drivers/powervm/storage.h"

struct fence {
    bool set;
    bool autostart;     /* it started with its system before */
    const char *words;  /* the description without the mark */
    const char **disks; /* "b" the boot disk, "v…" a volume, "u…" any other unit */
    size_t disk_count;
};

void fence_read(struct arena *arena, const struct partition *partition, struct fence *ret_fence);
/* The unit that an entry of `disks` stands for; NULL: gone. */
const struct storage_unit *fence_unit(struct arena *arena, const struct storage *storage,
                                      const struct partition *partition, const char *disk);
/* ERR_CONFLICT for one that is fenced. */
struct error *fence_refuses(const struct partition *partition) ERROR_MUST_USE;

/* The contract's operations; see drivers/driver.h. */
struct error *instance_fence(struct driver_session *session, const struct driver_call *call,
                             const struct driver_key *key) ERROR_MUST_USE;
struct error *instance_release(struct driver_session *session, const struct driver_call *call,
                               const struct driver_key *key) ERROR_MUST_USE;

#endif
