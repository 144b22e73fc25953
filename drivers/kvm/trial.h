/* Test boots: instances on overlays over the disks of one that waits for its cut-over (drivers/driver_move.h,
 * "Test boots"). kvm_instance_delete takes them away. */
#ifndef DRIVERS_KVM_TRIAL_H
#define DRIVERS_KVM_TRIAL_H

#include "drivers/driver_move.h"
#include "drivers/kvm/session.h"

struct error *kvm_test_create(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *key, const struct driver_test_spec *spec,
                              struct driver_instance *ret_instance);

/* ERR_CONFLICT while a test of this instance is defined: what is under its overlays must not change. */
struct error *kvm_trial_check_none(struct driver_session *session, struct arena *arena,
                                   const char *id) ERROR_MUST_USE;

#endif
