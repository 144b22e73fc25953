/* Making a machine that waits for its disks. */
#ifndef DRIVERS_VMWARE_PREPARE_H
#define DRIVERS_VMWARE_PREPARE_H

#include "drivers/driver_move.h"
#include "drivers/vmware/machine.h"

struct error *vmware_instance_prepare(struct driver_session *session, const struct driver_call *call,
                                      const struct driver_shell_spec *spec,
                                      struct driver_instance *ret_instance) ERROR_MUST_USE;

#endif
