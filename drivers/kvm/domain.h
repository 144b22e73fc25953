/* A domain's definition: written for a new instance, read from libvirt for every other purpose. Both sides of
 * the same document, so that what one writes the other finds. */
#ifndef DRIVERS_KVM_DOMAIN_H
#define DRIVERS_KVM_DOMAIN_H

#include "drivers/kvm/session.h"

struct kvm_disk {
    const char *target; /* "sda" */
    const char *path;   /* of the file or device; NULL for a volume by name or a network disk */
    const char *pool, *volume;
};

struct kvm_domain {
    const char *uuid;
    const char *name;
    const char *arch;   /* libvirt's word */
    bool ours;          /* carries the broker's mark */
    bool ready;         /* it was started once since it was made: creation is complete */
    const char *wanted; /* the name that the broker asked for; NULL: not ours */
    unsigned vcpu;
    uint64_t memory_mb;
    const struct kvm_disk *disks;
    size_t disk_count;
};

/* Reads the running definition, or with `lasting` the one of the next start. ERR_NOT_FOUND when the domain
 * went meanwhile. */
struct error *kvm_domain_read(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                              bool lasting, struct kvm_domain *ret_domain) ERROR_MUST_USE;
struct error *kvm_domain_parse(struct arena *arena, const char *text,
                               struct kvm_domain *ret_domain) ERROR_MUST_USE;

/* The disk that is this volume; NULL: none. */
const struct kvm_disk *kvm_domain_disk(const struct kvm_domain *domain, const char *path, const char *pool,
                                       const char *volume);

/* Paths of the files that a new instance is made of. */
struct kvm_domain_files {
    const char *system, *seed, *console;
};

/* The definition of a new instance, marked as not ready. */
struct error *kvm_domain_write(const struct driver_session *session, struct arena *arena,
                               const struct driver_instance_spec *spec, const char *name,
                               const struct kvm_domain_files *files, const char **ret_text) ERROR_MUST_USE;
/* The mark, an element of the domain's metadata. */
struct error *kvm_domain_mark(struct arena *arena, const char *wanted, bool ready,
                              const char **ret_text) ERROR_MUST_USE;
/* A data volume as a disk of a domain. */
struct error *kvm_domain_write_disk(struct arena *arena, const char *id, const char *path, const char *target,
                                    const char **ret_text) ERROR_MUST_USE;

#define KVM_DATA_DISKS_MAX \
    14 /* sdb…sdo: what one virtio-scsi controller of libvirt's counting takes beside sda */

#endif
