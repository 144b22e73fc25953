/* Shared storage pools and their logical units: images, boot disks and volumes. */
#ifndef DRIVERS_POWERVM_STORAGE_H
#define DRIVERS_POWERVM_STORAGE_H

#include "drivers/powervm/session.h"

struct storage_pool;

struct storage_unit {
    const char *udid, *name;
    unsigned size_gb; /* rounded up */
    bool image;       /* VirtualIO_Image: others are cloned from it */
    bool disk;        /* VirtualIO_Disk */
    bool in_use;      /* mapped somewhere, perhaps by a system that this HMC does not manage */
    const struct storage_pool *pool;
};

/* A Virtual I/O Server that is a node of the pool's cluster. */
struct storage_node {
    const char *server, *system; /* ids */
    bool down;
};

struct storage_pool {
    const char *id, *name, *cluster;
    bool high;
    int64_t total_gb, promised_gb, free_gb; /* promised: sizes of all units, thin ones in full */
    struct storage_unit *units;
    size_t unit_count;
    struct storage_node *nodes;
    size_t node_count;
};

/* The pools that the options name, standard first. */
struct storage {
    struct storage_pool *pools;
    size_t count;
};

/* ERR_NOT_FOUND when the HMC has neither of the pools. */
struct error *storage_load(struct driver_session *session, const struct driver_call *call,
                           struct storage *ret_storage) ERROR_MUST_USE;
/* ERR_NOT_FOUND when there is no pool of that class. */
struct error *storage_pool_of(const struct driver_session *session, const struct storage *storage, bool high,
                              const struct storage_pool **ret_pool) ERROR_MUST_USE;
/* First disk of this name in any pool after `after` (NULL: from the start); NULL. Names may repeat on an HMC.
 */
const struct storage_unit *storage_disk(const struct storage *storage, const char *name,
                                        const struct storage_unit *after);
const struct storage_unit *storage_image(const struct storage_pool *pool, const char *name);

/* Makes a disk; a clone when `image` is not NULL (then at least of the image's size). Looks up what was made.
 * ERR_NO_CAPACITY when the pool has promised too much already. */
struct error *storage_create(struct driver_session *session, const struct driver_call *call,
                             const struct storage_pool *pool, const char *name, unsigned size_gb,
                             const struct storage_unit *image, struct storage *ret_storage,
                             const struct storage_unit **ret_unit) ERROR_MUST_USE;
struct error *storage_grow(struct driver_session *session, const struct driver_call *call,
                           const struct storage_unit *unit, unsigned size_gb) ERROR_MUST_USE;
/* Gone already is success. */
struct error *storage_delete(struct driver_session *session, const struct driver_call *call,
                             const struct storage_unit *unit) ERROR_MUST_USE;

#endif
