/* Files beside a disk that hold what differs from it: while a reading export is open, as it was, what the
 * guest overwrites meanwhile; of a test boot, what its guest writes. */
#ifndef DRIVERS_KVM_SCRATCH_H
#define DRIVERS_KVM_SCRATCH_H

#include "drivers/kvm/session.h"

/* The path for a disk whose file is `beside`. */
const char *kvm_scratch_path(struct arena *arena, const char *beside, const char *id, const char *target);
/* The name of a test boot's overlay over the disk `target`. */
const char *kvm_scratch_overlay(struct arena *arena, const char *id, const char *target);
/* Takes away all of one instance, of both kinds, that are in the two pools. */
struct error *kvm_scratch_delete(struct driver_session *session, const struct driver_call *call,
                                 const char *id) ERROR_MUST_USE;

#endif
