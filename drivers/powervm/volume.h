/* The contract's volume operations; see drivers/driver.h for what each promises. */
#ifndef DRIVERS_POWERVM_VOLUME_H
#define DRIVERS_POWERVM_VOLUME_H

#include "drivers/powervm/mapping.h"

struct driver_volume volume_view(struct arena *arena, const struct storage_unit *unit,
                                 const struct mappings *mappings);

struct error *volume_find(struct driver_session *session, const struct driver_call *call,
                          const struct driver_key *key, struct driver_volume *ret_volume) ERROR_MUST_USE;
struct error *volume_create(struct driver_session *session, const struct driver_call *call,
                            const struct driver_volume_spec *spec,
                            struct driver_volume *ret_volume) ERROR_MUST_USE;
struct error *volume_attach(struct driver_session *session, const struct driver_call *call,
                            const struct driver_key *volume,
                            const struct driver_key *instance) ERROR_MUST_USE;
struct error *volume_detach(struct driver_session *session, const struct driver_call *call,
                            const struct driver_key *volume,
                            const struct driver_key *instance) ERROR_MUST_USE;
struct error *volume_resize(struct driver_session *session, const struct driver_call *call,
                            const struct driver_key *volume, unsigned size_gb) ERROR_MUST_USE;
struct error *volume_delete(struct driver_session *session, const struct driver_call *call,
                            const struct driver_key *volume) ERROR_MUST_USE;

#endif
