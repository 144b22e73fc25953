/* What an endpoint has: inventory, capacity, and what changes. */
#ifndef DRIVERS_KVM_INVENTORY_H
#define DRIVERS_KVM_INVENTORY_H

#include "drivers/kvm/session.h"

/* The operations of drivers/driver.h. */
struct error *kvm_inventory(struct driver_session *session, const struct driver_call *call,
                            struct driver_inventory *ret_inventory);
struct error *kvm_capacity(struct driver_session *session, const struct driver_call *call,
                           struct driver_capacity *ret_capacity);
struct error *kvm_watch(struct driver_session *session, const struct driver_call *call,
                        struct driver_change **ret_changes, size_t *ret_count);

#endif
