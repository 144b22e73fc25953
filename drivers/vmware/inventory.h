/* Inventory and capacity: a survey in the broker's words. */
#ifndef DRIVERS_VMWARE_INVENTORY_H
#define DRIVERS_VMWARE_INVENTORY_H

#include "drivers/vmware/session.h"

struct error *inventory_take(struct driver_session *session, const struct driver_call *call,
                             struct driver_inventory *ret_inventory) ERROR_MUST_USE;
struct error *vmware_inventory_capacity(struct driver_session *session, const struct driver_call *call,
                                        struct driver_capacity *ret_capacity) ERROR_MUST_USE;

#endif
