/* The vmware driver: a vCenter or an ESXi host, spoken to in SOAP (vim25). README.md lists its options,
 * rights and limits. */
#ifndef DRIVERS_VMWARE_VMWARE_H
#define DRIVERS_VMWARE_VMWARE_H

struct driver;
extern const struct driver vmware_driver;

#endif
