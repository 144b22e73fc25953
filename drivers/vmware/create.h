/* Making an instance from a template. */
#ifndef DRIVERS_VMWARE_CREATE_H
#define DRIVERS_VMWARE_CREATE_H

#include "drivers/vmware/machine.h"

struct error *vmware_instance_create(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_instance_spec *spec,
                                     struct driver_instance *ret_instance) ERROR_MUST_USE;

#endif
