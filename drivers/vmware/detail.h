/* All that an assessment asks of one machine. */
#ifndef DRIVERS_VMWARE_DETAIL_H
#define DRIVERS_VMWARE_DETAIL_H

#include "drivers/driver_move.h"
#include "drivers/vmware/machine.h"

struct error *vmware_instance_detail(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key,
                                     struct driver_detail *ret_detail) ERROR_MUST_USE;

#endif
