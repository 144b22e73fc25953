/* A domain's definition: written for a new instance, read from libvirt for every other purpose. Both sides of
 * the same document, so that what one writes the other finds. */
#ifndef DRIVERS_KVM_DOMAIN_H
#define DRIVERS_KVM_DOMAIN_H

#include "drivers/kvm/session.h"

struct kvm_disk {
    const char *target; /* "sda" */
    const char *path;   /* of the file or device; NULL for a volume by name or a network disk */
    const char *pool, *volume;
    const char *source; /* "file", "block", "volume", "network"… */
    const char *device; /* "disk", "cdrom", "floppy", "lun" */
    const char *format; /* "qcow2", "raw" */
    const char *alias;  /* QEMU's name of it; NULL: it does not run */
    bool readonly;
    uint64_t order; /* among what the guest starts from; 0: by the domain's own rule */
};

/* What the broker notes in a domain's metadata. */
struct kvm_mark {
    const char *name;  /* that the broker asked for */
    const char *state; /* one of the KVM_STATE_… */
    const char *move;  /* KVM_STATE_MOVING: the move that brings it here */
    const char *of;    /* KVM_STATE_TEST: the instance that it is a test of */
    /* Of the running definition alone: */
    const char *form;      /* KVM_FORM_…: the domain exists only to serve its disks (form.h) */
    const char *export_id; /* of the export that is open, or half way there */
    const char *moment;    /* of that export: made anew whenever it is begun anew (UUID) */
};

#define KVM_STATE_CREATING "creating"
#define KVM_STATE_READY "ready"   /* complete: it was started once since it was made */
#define KVM_STATE_SHELL "shell"   /* prepared, not released yet */
#define KVM_STATE_MOVING "moving" /* on its way here and never run here */
#define KVM_STATE_TEST "test"     /* on overlays over the disks of another (trial.h) */

struct kvm_domain {
    const char *uuid;
    const char *name;
    const char *arch; /* libvirt's word */
    bool ours;        /* carries the broker's mark */
    struct kvm_mark mark;
    bool fenced; /* meaningful in the lasting definition */
    unsigned vcpu;
    uint64_t memory_mb;
    const struct kvm_disk *disks;
    size_t disk_count;
};

bool kvm_domain_is(const struct kvm_domain *domain, const char *state);

/* Reads the running definition, or with `lasting` the one of the next start. ERR_NOT_FOUND when the domain
 * went meanwhile. */
struct error *kvm_domain_read(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                              bool lasting, struct kvm_domain *ret_domain) ERROR_MUST_USE;
struct error *kvm_domain_parse(struct arena *arena, const char *text,
                               struct kvm_domain *ret_domain) ERROR_MUST_USE;

/* The disk that is this volume; NULL: none. */
const struct kvm_disk *kvm_domain_disk(const struct kvm_domain *domain, const char *path, const char *pool,
                                       const char *volume);

/* A new domain. */
struct kvm_new_disk {
    const char *path, *target, *serial;
    bool boot;
};

struct kvm_new_domain {
    const char *id, *name; /* the name in libvirt */
    struct kvm_mark mark;
    bool fenced;
    unsigned vcpu;
    uint64_t memory_mb;
    bool uefi;
    const char *network, *mac; /* network NULL: no card; mac NULL: libvirt's choice */
    const struct kvm_new_disk *disks;
    size_t disk_count;
    const char *seed, *console; /* paths */
};

struct error *kvm_domain_write(const struct driver_session *session, struct arena *arena,
                               const struct kvm_new_domain *wanted, const char **ret_text) ERROR_MUST_USE;
/* Whether new domains are run with KVM, else by emulation. */
bool kvm_domain_accelerated(const struct driver_session *session);
/* "web-12345678" of the wanted name and the id. */
const char *kvm_domain_name(struct arena *arena, const char *wanted, const char *id);
/* The mark as libvirt's metadata functions want it, and setting it: `flags` are VIR_DOMAIN_AFFECT_…. */
struct error *kvm_domain_mark(struct arena *arena, const struct kvm_mark *mark,
                              const char **ret_text) ERROR_MUST_USE;
struct error *kvm_domain_set_mark(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                                  const struct kvm_mark *mark, unsigned flags) ERROR_MUST_USE;

/* The fence, an element of a definition: a security label of a model that no host has, so that libvirt
 * refuses to start it, by whomever. */
#define KVM_FENCE_MODEL "yunqiao-fenced"
struct error *kvm_domain_fence(struct arena *arena, const char **ret_text) ERROR_MUST_USE;

/* A data volume as a disk of a domain. */
struct error *kvm_domain_write_disk(struct arena *arena, const char *id, const char *path, const char *target,
                                    const char **ret_text) ERROR_MUST_USE;

#define KVM_DATA_DISKS_MAX \
    14 /* sdb…sdo: what one virtio-scsi controller of libvirt's counting takes beside sda */

#endif
