/* What moving wants to know of one disk of a domain: whose it is, and whether it can be read and tracked. */
#ifndef DRIVERS_KVM_DISK_H
#define DRIVERS_KVM_DISK_H

#include "drivers/kvm/domain.h"

/* Never copied: CD, floppy, the driver's own seed. */
bool kvm_disk_removable(struct arena *arena, const struct kvm_disk *disk);
/* Why no export can show it, why its changes cannot be tracked; NULL: they can. */
const char *kvm_disk_unreadable(const struct kvm_disk *disk);
const char *kvm_disk_untracked(const struct kvm_disk *disk);
/* Neither removable nor unreadable. */
bool kvm_disk_exported(struct arena *arena, const struct kvm_disk *disk);

/* Name of its file; NULL: none. The broker's volume that it is, and whether it is the system disk of `id`. */
const char *kvm_disk_file(const struct kvm_disk *disk);
const char *kvm_disk_volume(struct arena *arena, const struct kvm_disk *disk);
bool kvm_disk_system(struct arena *arena, const struct kvm_disk *disk, const char *id);

/* The one that the guest starts from by the definition's order; NULL: none. */
const struct kvm_disk *kvm_disk_boot(struct arena *arena, const struct kvm_domain *domain);
/* What the guest sees, in bytes. */
struct error *kvm_disk_size(struct driver_session *session, virDomainPtr domain, const struct kvm_disk *disk,
                            uint64_t *ret_bytes) ERROR_MUST_USE;

#endif
