/* Watching the power state of instances by the provider's own updates; contract in drivers/driver.h. */
#ifndef DRIVERS_VMWARE_WATCH_H
#define DRIVERS_VMWARE_WATCH_H

#include "drivers/vmware/session.h"

struct error *vmware_watch_changes(struct driver_session *session, const struct driver_call *call,
                                   struct driver_change **ret_changes, size_t *ret_count) ERROR_MUST_USE;

#endif
