/* See kvm_peer.h. */
#include "tests/conformance/kvm_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/moment.h"
#include "tests/support/child.h"

char *kvm_peer_folder(struct arena *arena, const char **ret_skip)
{
    char *folder = arena_strdup(arena, "/tmp/yunqiao-conformance-XXXXXX");
    if (geteuid() != 0) {
        *ret_skip = "contrib/kvmcloud needs root";
        return NULL;
    }
    if (!mkdtemp(folder)) {
        perror(folder);
        exit(1);
    }
    return folder;
}

const json_t *kvm_peer_start(struct arena *arena, struct cloud *cloud, const char *folder,
                             const char *const *argv)
{
    *cloud = (struct cloud){.image = "yunqiao-guest", .network = "extranet", .folder = folder};
    const json_t *said = cloud_start(arena, cloud, argv);
    /* What really runs guests on this machine; /dev/kvm may be there and not do it. */
    cloud->options = json_pack("{s:O, s:O}", "accel", json_object_get(said, "accel"), "nbd_folder",
                               json_object_get(said, "nbd_folder"));
    return said;
}

/* Through the device that the guest sees, so that QEMU notes it as the guest's own write. */
void kvm_peer_touch(struct arena *arena, const struct cloud *cloud, const struct driver_instance *instance,
                    uint64_t offset, size_t length, unsigned char byte)
{
    const char *command = arena_printf(arena, "qemu-io -d scsi0-0-0-0 \"write -P 0x%x %llu %zu\"", byte,
                                       (unsigned long long)offset, length);
    const char *const argv[] = {"virsh",       "-q",    "-c",    cloud->url, "qemu-monitor-command",
                                instance->ref, "--hmp", command, NULL};
    if (child_run(argv, 30 * MOMENT_SECOND) != 0) {
        fprintf(stderr, "virsh could not have QEMU write\n");
        exit(1);
    }
}

void kvm_peer_make_foreign(struct arena *arena, const struct cloud *cloud)
{
    const char *file = arena_printf(arena, "%s/foreign.xml", cloud->folder);
    FILE *out = fopen(file, "we");
    if (!out ||
        fputs("<domain type='qemu'><name>somebody-elses</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>"
              "<os><type arch='x86_64'>hvm</type></os></domain>",
              out) < 0 ||
        fclose(out)) {
        perror(file);
        exit(1);
    }
    const char *const argv[] = {"virsh", "-q", "-c", cloud->url, "define", file, NULL};
    if (child_run(argv, 30 * MOMENT_SECOND) != 0) {
        fprintf(stderr, "virsh could not define a foreign domain\n");
        exit(1);
    }
}
