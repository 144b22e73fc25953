/* The contract's watch; see drivers/driver.h. */
#ifndef DRIVERS_POWERVM_WATCH_H
#define DRIVERS_POWERVM_WATCH_H

#include "drivers/powervm/session.h"

struct error *watch_changes(struct driver_session *session, const struct driver_call *call,
                            struct driver_change **ret_changes, size_t *ret_count) ERROR_MUST_USE;

#endif
