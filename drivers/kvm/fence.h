/* Fencing: an instance that nobody starts until it is released (drivers/driver_move.h). */
#ifndef DRIVERS_KVM_FENCE_H
#define DRIVERS_KVM_FENCE_H

#include "drivers/kvm/domain.h"

struct error *kvm_instance_fence(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key);
struct error *kvm_instance_release(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key);

/* Puts the fence on the lasting definition, also of a domain that runs (it cannot start again once it has
 * ended), or takes it off, which makes the instance "ready" as well. Done already is success. `move`: the
 * fence is that move's, and noted as such; NULL: it is not. */
struct error *kvm_fence_set(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                            bool fenced, const char *move) ERROR_MUST_USE;

#endif
