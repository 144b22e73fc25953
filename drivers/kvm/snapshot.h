/* Snapshots of an instance's disks (drivers/driver.h): inside its qcow2 files, with a record in libvirt. */
#ifndef DRIVERS_KVM_SNAPSHOT_H
#define DRIVERS_KVM_SNAPSHOT_H

#include "drivers/kvm/session.h"

struct error *kvm_snapshot_create(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, const char *name, bool quiesce);
struct error *kvm_snapshot_revert(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, const char *name);
struct error *kvm_snapshot_delete(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, const char *name);

#endif
