/* A disk's content over HTTPS as the backend of an NBD server: each connection logs in for itself, so that
 * several read at once and none depends on the session that opened the export. */
#ifndef DRIVERS_VMWARE_READER_H
#define DRIVERS_VMWARE_READER_H

#include <stdatomic.h>

#include "drivers/driver_move.h"
#include "drivers/nbd_server.h"

/* Outlives the server. */
struct reader_disk {
    struct driver_endpoint endpoint; /* all of it owned by whoever owns this */
    const char *file;                /* the content's, "[datastore] folder/NAME-flat.vmdk" */
    uint64_t size_bytes;
    /* What is not in it reads as zeros; allocated_known false: nothing is known. */
    const struct driver_extent *allocated;
    size_t allocated_count;
    bool allocated_known;
    atomic_bool denied; /* a logon was refused: no further ones, for providers lock accounts */
};

void reader_backend(struct reader_disk *disk, struct nbd_backend *ret_backend);

#endif
