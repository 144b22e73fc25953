/* Networks of test boots: a bridge for one test alone, that leads nowhere. */
#ifndef DRIVERS_KVM_ISOLATE_H
#define DRIVERS_KVM_ISOLATE_H

#include "drivers/kvm/session.h"

/* Makes the network of the test `id`, or finds it; *ret_name is in the arena. It is transient: gone when the
 * host starts anew. */
struct error *kvm_isolate_make(struct driver_session *session, struct arena *arena, const char *id,
                               const char **ret_name) ERROR_MUST_USE;
/* Gone already is success. */
struct error *kvm_isolate_remove(struct driver_session *session, struct arena *arena,
                                 const char *id) ERROR_MUST_USE;
/* Whether a network of that name is one of these: no place for instances. */
bool kvm_isolate_is(const char *name);

#endif
