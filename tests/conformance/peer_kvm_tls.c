/* The peer of drivers/kvm as it is between hosts: libvirtd behind a network, reached with TLS and
 * certificates of both sides, as are the disks that it serves and the moves that it takes. The network is a
 * bridge in a namespace of this program's own. */
#include "drivers/kvm/kvm.h"
#include "tests/conformance/kvm_peer.h"
#include "tests/support/hub.h"

static void start(struct arena *arena, struct cloud *cloud, const char **ret_skip)
{
    static const char *authority; /* of all, in the folder of the first, which goes last */
    const char *folder = kvm_peer_folder(arena, ret_skip);
    if (!folder)
        return;
    if (!authority) {
        hub_make();
        authority = arena_printf(arena, "%s/authority", folder);
    }
    const char *address = arena_strdup(arena, hub_address());
    const char *const argv[] = {
        SOURCE_DIR "/contrib/kvmcloud/kvmcloud", "hold", folder, address, authority, NULL};
    const json_t *said = kvm_peer_start(arena, cloud, folder, argv);
    json_t *pki = json_object_get(said, "pki");
    cloud->url = arena_strdup(arena, json_string_value(json_object_get(said, "remote_url")));
    json_object_set(cloud->options, "nbd_tls", pki);
    json_object_set(cloud->options, "nbd_tls_server", pki);
    json_object_set(cloud->options, "move_host", json_object_get(said, "address"));
}

const struct peer conformance_peer = {.driver = &kvm_driver,
                                      .architecture = "x86",
                                      .start = start,
                                      .moves_only = true,
                                      .system_disk_gb = KVM_PEER_SYSTEM_DISK_GB,
                                      .moves_between = true,
                                      .touch = kvm_peer_touch,
                                      .refused_url = "qemu+tls://127.0.0.1:1/system"};
