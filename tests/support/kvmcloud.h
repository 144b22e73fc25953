/* contrib/kvmcloud as a child of a test: a private libvirtd with pools, networks and the tiny guest's image,
 * in a temporary folder. It dies with the test. */
#ifndef TESTS_SUPPORT_KVMCLOUD_H
#define TESTS_SUPPORT_KVMCLOUD_H

#include "drivers/driver.h"

struct kvmcloud;

#define KVMCLOUD_IMAGE "yunqiao-guest" /* 64 MB */
#define KVMCLOUD_NETWORK "extranet"

/* The first one on a machine builds the guest's image and tries KVM. Ends the test as skipped (77) when it is
 * not run as root; aborts when the cloud does not come up. */
struct kvmcloud *kvmcloud_start(void);
/* A cloud that is a host of its own: its endpoint, disks and moves are reached with TLS at this address
 * ("10.90.0.10/24") of the hub (tests/support/hub.h). `authority` is a folder; who has the same one trusts
 * each other. */
struct kvmcloud *kvmcloud_start_at(const char *address, const char *authority);
/* Ends daemon and guests, and removes the folder. NULL is fine. */
void kvmcloud_stop(struct kvmcloud *cloud);

/* The daemon's socket; kvmcloud_endpoint has the address of one that has one. */
const char *kvmcloud_url(const struct kvmcloud *cloud);
const char *kvmcloud_folder(const struct kvmcloud *cloud);
const char *kvmcloud_cable(const struct kvmcloud *cloud); /* of one at an address */
/* With the option `accel` as this machine needs it; borrowed. 10 seconds for a round trip. */
struct driver_endpoint kvmcloud_endpoint(const struct kvmcloud *cloud);
/* "crash", "freeze", "thaw"; aborts when it fails. */
void kvmcloud_command(const struct kvmcloud *cloud, const char *command);
/* A line of shell in its mounts and processes; output and exit status as below. */
int kvmcloud_run(const struct kvmcloud *cloud, char *output, size_t size, const char *script);
/* virsh on this cloud with further arguments, NULL-ended: the driver's other pair of eyes. Gives its exit
 * status; its output goes to `output` (cut at `size`) unless that is NULL. */
int kvmcloud_virsh(const struct kvmcloud *cloud, char *output, size_t size, const char *const *arguments);

#endif
