/* Files that a reading export leaves beside a disk while it is open: what the guest overwrites meanwhile is
 * kept there as it was. */
#ifndef DRIVERS_KVM_SCRATCH_H
#define DRIVERS_KVM_SCRATCH_H

#include "drivers/kvm/session.h"

/* The path for a disk whose file is `beside`. */
const char *kvm_scratch_path(struct arena *arena, const char *beside, const char *id, const char *target);
/* Takes away all of one instance that are in the two pools. */
struct error *kvm_scratch_delete(struct driver_session *session, const struct driver_call *call,
                                 const char *id) ERROR_MUST_USE;

#endif
