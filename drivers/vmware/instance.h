/* Life of instances after their creation (create.h). Each operation reads the state first and does only what
 * is missing, so a repeat after an unknown outcome is safe; the contracts are those of drivers/driver.h. */
#ifndef DRIVERS_VMWARE_INSTANCE_H
#define DRIVERS_VMWARE_INSTANCE_H

#include "drivers/vmware/machine.h"

struct error *vmware_instance_find(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key,
                                   struct driver_instance *ret_instance) ERROR_MUST_USE;
struct error *vmware_instance_start(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_key *key) ERROR_MUST_USE;
struct error *vmware_instance_stop(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, int64_t grace_us) ERROR_MUST_USE;
struct error *vmware_instance_reboot(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key) ERROR_MUST_USE;
struct error *vmware_instance_resize(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, unsigned vcpu,
                                     uint64_t memory_mb) ERROR_MUST_USE;
struct error *vmware_instance_delete(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key) ERROR_MUST_USE;

#endif
