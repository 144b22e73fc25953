/* The peer of drivers/kvm: a private libvirtd on this machine. */
#include "drivers/kvm/kvm.h"
#include "tests/conformance/kvm_peer.h"

static void start(struct arena *arena, struct cloud *cloud, const char **ret_skip)
{
    const char *folder = kvm_peer_folder(arena, ret_skip);
    if (!folder)
        return;
    const char *const argv[] = {SOURCE_DIR "/contrib/kvmcloud/kvmcloud", "hold", folder, NULL};
    (void)kvm_peer_start(arena, cloud, folder, argv);
}

const struct peer conformance_peer = {.driver = &kvm_driver,
                                      .architecture = "x86",
                                      .start = start,
                                      .make_foreign = kvm_peer_make_foreign,
                                      .has_foreign = true,
                                      .console_says = KVM_PEER_SAYS,
                                      .system_disk_gb = KVM_PEER_SYSTEM_DISK_GB,
                                      .moves_between = true,
                                      .touch = kvm_peer_touch,
                                      .refused_url = "qemu+unix:///system?socket=/nonexistent/libvirt-sock"};
