/* libvirt's last error as an error value. The table from virErrorNumber to our codes is in fault.c. */
#ifndef DRIVERS_KVM_FAULT_H
#define DRIVERS_KVM_FAULT_H

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "broker/base/error.h"

/* The calling thread's last libvirt error, wrapped with what was being done. ERR_UNAVAILABLE whenever the
 * connection is no longer alive. `connection` may be NULL (while opening). */
struct error *kvm_fault(virConnectPtr connection, const char *format, ...) ERROR_PRINTF(2, 3) ERROR_MUST_USE;

/* Whether the calling thread's last libvirt error is this one. */
bool kvm_fault_is(virErrorNumber number);

/* The code for one libvirt error; pure. */
enum error_code kvm_fault_code(const virError *error);

/* Whether trying again may find another outcome, so that what was made so far is kept for the repeat. */
bool kvm_fault_heals(const struct error *error);

#endif
