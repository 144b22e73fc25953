/* The contract's instance operations; see drivers/driver.h for what each promises. */
#ifndef DRIVERS_POWERVM_INSTANCE_H
#define DRIVERS_POWERVM_INSTANCE_H

#include "drivers/powervm/partition.h"

/* The contract's view of a partition; `systems` gives the host's name. */
struct driver_instance instance_view(const struct partition *partition, const struct systems *systems);

struct error *instance_find(struct driver_session *session, const struct driver_call *call,
                            const struct driver_key *key,
                            struct driver_instance *ret_instance) ERROR_MUST_USE;
struct error *instance_create(struct driver_session *session, const struct driver_call *call,
                              const struct driver_instance_spec *spec,
                              struct driver_instance *ret_instance) ERROR_MUST_USE;
struct error *instance_start(struct driver_session *session, const struct driver_call *call,
                             const struct driver_key *key) ERROR_MUST_USE;
struct error *instance_stop(struct driver_session *session, const struct driver_call *call,
                            const struct driver_key *key, int64_t grace_us) ERROR_MUST_USE;
struct error *instance_reboot(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *key) ERROR_MUST_USE;
struct error *instance_resize(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *key, unsigned vcpu, uint64_t memory_mb) ERROR_MUST_USE;
struct error *instance_delete(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *key) ERROR_MUST_USE;

#endif
