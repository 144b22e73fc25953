/* The contract's inventory and capacity; see drivers/driver.h. */
#ifndef DRIVERS_POWERVM_INVENTORY_H
#define DRIVERS_POWERVM_INVENTORY_H

#include "drivers/powervm/session.h"

struct error *inventory_read(struct driver_session *session, const struct driver_call *call,
                             struct driver_inventory *ret_inventory) ERROR_MUST_USE;
struct error *inventory_capacity(struct driver_session *session, const struct driver_call *call,
                                 struct driver_capacity *ret_capacity) ERROR_MUST_USE;

#endif
