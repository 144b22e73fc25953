/* The peer of drivers/powervm: contrib/hmcsim, which follows the documented HMC protocol. */
#include "drivers/powervm/powervm.h"
#include "tests/conformance/peer.h"

static void start(struct arena *arena, struct cloud *cloud, const char **ret_skip)
{
    const char *const argv[] = {SOURCE_DIR "/contrib/hmcsim",
                                "--port",
                                "0",
                                "--die-with-stdin",
                                "--job-seconds",
                                "0.05",
                                "--rmc-seconds",
                                "0.05",
                                "--event-wait",
                                "1",
                                NULL};
    *cloud = (struct cloud){
        .username = "hscroot", .password = "abc123", .image = "rhel-9.4", .network = "extranet"};
    (void)cloud_start(arena, cloud, argv);
}

const struct peer conformance_peer = {.driver = &powervm_driver,
                                      .architecture = "POWER",
                                      .start = start,
                                      .has_foreign = false,
                                      .system_disk_gb = 10,
                                      .refused_url = "https://127.0.0.1:1"};
