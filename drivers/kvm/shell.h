/* Shells: new instances that wait for their disks to be written (drivers/driver_move.h). */
#ifndef DRIVERS_KVM_SHELL_H
#define DRIVERS_KVM_SHELL_H

#include "drivers/driver_move.h"
#include "drivers/kvm/domain.h"

struct error *kvm_instance_prepare(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_shell_spec *spec,
                                   struct driver_instance *ret_instance);

/* The rooms that these disks need are there, else ERR_NO_CAPACITY. The class of the instance's own disk and
 * seed is `high_performance`. */
struct error *kvm_shell_check_room(struct driver_session *session, struct arena *arena,
                                   const struct driver_shell_disk *disks, size_t count) ERROR_MUST_USE;
/* Deletes the volumes among the disks of a domain that was never released. They must not be in use. */
struct error *kvm_shell_delete_volumes(struct driver_session *session, const struct driver_call *call,
                                       const struct kvm_domain *definition) ERROR_MUST_USE;

#endif
