/* The driver `kvm`: QEMU/KVM hosts through libvirt. The only header of this folder for others. */
#ifndef DRIVERS_KVM_KVM_H
#define DRIVERS_KVM_KVM_H

#include "drivers/driver.h"

extern const struct driver kvm_driver;

#endif
