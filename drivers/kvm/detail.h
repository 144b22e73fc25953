/* All that an assessment asks of one instance (drivers/driver_move.h). */
#ifndef DRIVERS_KVM_DETAIL_H
#define DRIVERS_KVM_DETAIL_H

#include "drivers/driver_move.h"
#include "drivers/kvm/session.h"

struct error *kvm_instance_detail(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, struct driver_detail *ret_detail);

#endif
