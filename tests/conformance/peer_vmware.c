/* The peer of drivers/vmware: VMware's own simulator, contrib/vcsim. */
#include "drivers/vmware/vmware.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/moment.h"
#include "drivers/https.h"
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

/* By a control path of the simulator, which writes as the guest does. */
static void touch(struct arena *arena, const struct cloud *cloud, const struct driver_instance *instance,
                  uint64_t offset, size_t length, unsigned char byte)
{
    struct https_options options = {.fingerprint = cloud->fingerprint, .timeout_us = 30 * MOMENT_SECOND};
    const char *root = strstr(cloud->url, "/sdk");
    unsigned char *bytes = arena_alloc(arena, length);
    memset(bytes, byte, length);
    struct https_request request = {.method = "POST",
                                    .url = arena_printf(arena, "%.*s/__write?vm=%s&disk=0&offset=%llu",
                                                        (int)(root - cloud->url), cloud->url, instance->ref,
                                                        (unsigned long long)offset),
                                    .body = bytes,
                                    .body_length = length,
                                    .limit = 4096,
                                    .deadline_us = moment_monotonic() + 30 * MOMENT_SECOND};
    struct https_answer answer = {0};
    struct https *https;
    struct error *error = https_open(&options, &https);
    if (!error) {
        error = https_send(https, &request, &answer);
        if (error || answer.status != 200) {
            fprintf(stderr, "vcsim does not write: %s\n", error ? error_message(error) : answer.body);
            exit(1);
        }
        https_close(https);
    }
    error_free(error);
}

const struct peer conformance_peer = {.driver = &vmware_driver,
                                      .architecture = "x86",
                                      .start = start,
                                      .has_foreign = true,
                                      .system_disk_gb = 10,
                                      .touch = touch,
                                      .refused_url = "https://127.0.0.1:1/sdk"};
