/* Checkpoints: points in time since which QEMU notes what a guest changes, in bitmaps that live in its qcow2
 * files. libvirt keeps a record of each; its description says which export made it and how large the disks
 * were, so that a disk that was resized or attached since is noticed. */
#ifndef DRIVERS_KVM_CHECKPOINT_H
#define DRIVERS_KVM_CHECKPOINT_H

#include "drivers/kvm/domain.h"

/* A disk of an export. */
struct kvm_tracked {
    const struct kvm_disk *disk;
    uint64_t bytes;
    const char *full_reason; /* why it has to be read in full; NULL: what changed is known */
};

/* The checkpoint document of an export. */
struct error *kvm_checkpoint_write(struct arena *arena, const struct kvm_domain *domain, const char *name,
                                   const char *export_id, const struct kvm_tracked *disks, size_t count,
                                   const char **ret_text) ERROR_MUST_USE;
/* Sets full_reason of the disks that cannot be told by checkpoint `since`. */
struct error *kvm_checkpoint_judge(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                                   const char *since, struct kvm_tracked *disks, size_t count) ERROR_MUST_USE;

/* Forgets one of an active domain, with its bitmaps where they are still there; gone is success. */
struct error *kvm_checkpoint_drop(struct driver_session *session, virDomainPtr domain,
                                  const char *name) ERROR_MUST_USE;
/* Names of the broker's, oldest first; with `export_id` of that export alone. */
struct error *kvm_checkpoint_list(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                                  const char *export_id, const char ***ret_names,
                                  size_t *ret_count) ERROR_MUST_USE;
/* Those of the list that are still good: of a domain that runs, those whose bitmaps are all there. */
struct error *kvm_checkpoint_good(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                                  const char ***ret_names, size_t *ret_count) ERROR_MUST_USE;
/* Drops these, for which a stopped domain is opened (form.h) and closed again. */
struct error *kvm_checkpoint_drop_all(struct driver_session *session, const struct driver_call *call,
                                      virDomainPtr domain, const char *const *names,
                                      size_t count) ERROR_MUST_USE;

/* The operation of drivers/driver.h. */
struct error *kvm_checkpoint_delete(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_key *key, const char *checkpoint);

#endif
