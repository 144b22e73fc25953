/* A stopped instance whose disks are served: its domain in another form, for only QEMU opens its disks
 * safely, with locks, bitmaps and backing files, wherever the host is.
 *
 * The form is a running definition made from the lasting one: the same UUID, the same disks under the same
 * names and the same memory, started paused, without network cards, serial ports or devices of the host, and
 * with nothing to start from: the only boot device it has is a network that is not there. So not a single
 * instruction of the guest runs, and whoever resumes it by hand gets a firmware that finds nothing. The
 * lasting definition stays as it is, fence included, and is all that is left once the form's process has
 * ended, by whatever. The mark of the running definition says which export it is for. */
#ifndef DRIVERS_KVM_FORM_H
#define DRIVERS_KVM_FORM_H

#include "drivers/kvm/domain.h"

#define KVM_FORM_READ "read"
#define KVM_FORM_WRITE "write" /* its disks may be written beside the paused guest */

/* Starts the form of a domain that is off. */
struct error *kvm_form_start(struct driver_session *session, const struct driver_call *call,
                             virDomainPtr domain, const char *form, const char *export_id) ERROR_MUST_USE;
/* Ends it so that QEMU writes out what it has, bitmaps above all; off already is success. ERR_BUSY when it
 * does not end. */
struct error *kvm_form_end(struct driver_session *session, const struct driver_call *call,
                           virDomainPtr domain) ERROR_MUST_USE;

#endif
