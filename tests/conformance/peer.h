/* What differs from one driver's peer to the next; everything else of the suite is the same for all. Each
 * peer_NAME.c defines `conformance_peer`, and the executable conformance.NAME is made of it and the suite. */
#ifndef TESTS_CONFORMANCE_PEER_H
#define TESTS_CONFORMANCE_PEER_H

#include <stdbool.h>

#include "broker/base/arena.h"
#include "drivers/driver.h"

/* One running cloud of the peer's kind. */
struct cloud {
    const char *url, *username, *password, *fingerprint; /* of its endpoint; NULL as in driver_endpoint */
    json_t *options;                                     /* of its endpoint, or NULL */
    const char *image, *network;                         /* good names in it */
    struct child *child;
    const char *folder; /* its own, removed after it; NULL: none */
};

struct peer {
    const struct driver *driver;
    const char *architecture;
    /* Starts another cloud; strings live in the arena. `*ret_skip` says what the machine lacks, if it does.
     */
    void (*start)(struct arena *arena, struct cloud *cloud, const char **ret_skip);
    /* Makes one instance that the broker knows nothing of, or is NULL when the cloud has one from the start.
     */
    void (*make_foreign)(struct arena *arena, const struct cloud *cloud);
    bool has_foreign;         /* after that, or from the start */
    const char *console_says; /* what a guest of the image writes; NULL without DRIVER_CAN_CONSOLE */
    unsigned system_disk_gb;  /* ≥ the image's */
    const char *refused_url;  /* where nobody listens */
    bool moves_only;          /* the other cases are another peer's */
    bool moves_between;       /* two clouds as started move running instances to each other */
    /* Writes these bytes to the instance's boot disk as its guest would, while it runs; NULL: it cannot. */
    void (*touch)(struct arena *arena, const struct cloud *cloud, const struct driver_instance *instance,
                  uint64_t offset, size_t length, unsigned char byte);
};

extern const struct peer conformance_peer;

/* For the peers: runs `argv` (see tests/support/child.h) and fills url and fingerprint from its line of JSON.
 */
const json_t *cloud_start(struct arena *arena, struct cloud *cloud, const char *const *argv);

#endif
