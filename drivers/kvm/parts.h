/* What belongs to an instance beside its definition: the files of its id, made and taken away. */
#ifndef DRIVERS_KVM_PARTS_H
#define DRIVERS_KVM_PARTS_H

#include "drivers/kvm/session.h"

/* The disk that names the guest (seed.h), and the empty log of its console; *ret_path is in the arena. */
struct error *kvm_parts_seed(struct driver_session *session, const struct driver_call *call,
                             virStoragePoolPtr pool, const char *id, const char *name, const char *user_data,
                             const char **ret_path) ERROR_MUST_USE;
struct error *kvm_parts_console(struct driver_session *session, const struct driver_call *call,
                                virStoragePoolPtr pool, const char *id, const char **ret_path) ERROR_MUST_USE;
/* An empty qcow2 disk, which reads as zeros. */
struct error *kvm_parts_disk(struct driver_session *session, const struct driver_call *call,
                             virStoragePoolPtr pool, const char *name, uint64_t bytes,
                             const char **ret_path) ERROR_MUST_USE;

/* System disk, seed, console log and what exports of the instance left. Gone already is success. */
struct error *kvm_parts_delete(struct driver_session *session, const struct driver_call *call,
                               const char *id) ERROR_MUST_USE;

#endif
