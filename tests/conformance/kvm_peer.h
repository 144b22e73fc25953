/* What the peers of drivers/kvm share: private libvirtd with real guests, contrib/kvmcloud. */
#ifndef TESTS_CONFORMANCE_KVM_PEER_H
#define TESTS_CONFORMANCE_KVM_PEER_H

#include "tests/conformance/peer.h"

#define KVM_PEER_SAYS "yunqiao" /* a guest, on its console */
#define KVM_PEER_SYSTEM_DISK_GB 1

/* A folder for a cloud; `*ret_skip` when this is not root. NULL then. */
char *kvm_peer_folder(struct arena *arena, const char **ret_skip);
/* Starts the cloud that `argv` is in cloud->folder, with the options that each of them needs; gives what
 * kvmcloud said. */
const json_t *kvm_peer_start(struct arena *arena, struct cloud *cloud, const char *folder,
                             const char *const *argv);
void kvm_peer_touch(struct arena *arena, const struct cloud *cloud, const struct driver_instance *instance,
                    uint64_t offset, size_t length, unsigned char byte);
void kvm_peer_make_foreign(struct arena *arena, const struct cloud *cloud);

#endif
