/* The peer of drivers/vmware: VMware's own simulator, contrib/vcsim. */
#include "drivers/vmware/vmware.h"
#include "tests/conformance/peer.h"

static void start(struct arena *arena, struct cloud *cloud, const char **ret_skip)
{
    const char *const argv[] = {BINARY_DIR "/vcsim", "-die-with-stdin", "-vm",       "2",
                                "-template",         "debian-12:2",     "-username", "broker",
                                "-password",         "conformance",     NULL};
    *cloud = (struct cloud){
        .username = "broker", .password = "conformance", .image = "debian-12", .network = "VM Network"};
    (void)cloud_start(arena, cloud, argv);
}

const struct peer conformance_peer = {.driver = &vmware_driver,
                                      .architecture = "x86",
                                      .start = start,
                                      .has_foreign = true,
                                      .system_disk_gb = 10,
                                      .refused_url = "https://127.0.0.1:1/sdk"};
