/* Exports: the disks of an instance over NBD (drivers/driver_move.h). export.c has the two operations,
 * export_read.c what is special to reading (a pull-mode backup job of libvirt), export_write.c to writing
 * (QEMU's own NBD server beside a paused guest). */
#ifndef DRIVERS_KVM_EXPORT_H
#define DRIVERS_KVM_EXPORT_H

#include "drivers/driver_move.h"
#include "drivers/kvm/checkpoint.h"
#include "drivers/kvm/domain.h"

struct error *kvm_export_open(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *key, const struct driver_export_spec *spec,
                              struct driver_export *ret_export);
struct error *kvm_export_close(struct driver_session *session, const struct driver_call *call,
                               const struct driver_key *key, const char *export_id, bool keep);

/* --- between the three files --- */

/* An instance as an export finds it. */
struct kvm_served {
    virDomainPtr domain;
    bool active;
    struct kvm_domain live;    /* the lasting one when it is not active */
    const char *backup;        /* libvirt's document of the backup job that is there; NULL: none */
    struct kvm_tracked *disks; /* to export, pointing into `live` */
    size_t disk_count;
};

struct error *kvm_export_look(struct driver_session *session, const struct driver_call *call,
                              virDomainPtr domain, struct kvm_served *ret_served) ERROR_MUST_USE;
/* Whether an export of that id is open on it, as far as the provider's side knows. */
bool kvm_export_is_open(const struct kvm_served *served, const char *export_id);

struct error *kvm_export_read_open(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_export_spec *spec, struct kvm_served *served,
                                   struct driver_export *ret_export) ERROR_MUST_USE;
struct error *kvm_export_read_close(struct driver_session *session, const struct driver_call *call,
                                    const struct kvm_served *served, const char *export_id,
                                    bool keep) ERROR_MUST_USE;
struct error *kvm_export_write_open(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_export_spec *spec, struct kvm_served *served,
                                    struct driver_export *ret_export) ERROR_MUST_USE;
struct error *kvm_export_write_close(struct driver_session *session, const struct driver_call *call,
                                     const struct kvm_served *served) ERROR_MUST_USE;

#endif
