/* Volumes: data disks of their own life, one qcow2 file each. */
#ifndef DRIVERS_KVM_VOLUME_H
#define DRIVERS_KVM_VOLUME_H

#include "drivers/kvm/session.h"

/* The operations of drivers/driver.h. */
struct error *kvm_volume_find(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *key, struct driver_volume *ret_volume);
struct error *kvm_volume_create(struct driver_session *session, const struct driver_call *call,
                                const struct driver_volume_spec *spec, struct driver_volume *ret_volume);
struct error *kvm_volume_attach(struct driver_session *session, const struct driver_call *call,
                                const struct driver_key *volume, const struct driver_key *instance);
struct error *kvm_volume_detach(struct driver_session *session, const struct driver_call *call,
                                const struct driver_key *volume, const struct driver_key *instance);
struct error *kvm_volume_resize(struct driver_session *session, const struct driver_call *call,
                                const struct driver_key *volume, unsigned size_gb);
struct error *kvm_volume_delete(struct driver_session *session, const struct driver_call *call,
                                const struct driver_key *volume);

#endif
