/* One disk as an NBD export on a unix socket, served by threads of this process: for drivers whose provider
 * speaks no NBD. Fixed newstyle handshake, one export of the default name, structured replies and the meta
 * context base:allocation where the backend tells holes. The socket is made with mode 0600, so its clients
 * are of this user; what they ask is checked and capped all the same.
 *
 * A connection is a thread that asks its backend in a straight line; parallel clients open several. */
#ifndef DRIVERS_NBD_SERVER_H
#define DRIVERS_NBD_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/error.h"

#define NBD_REQUEST_MAX (32u << 20) /* bytes of one request; more is refused */
#define NBD_CONNECTIONS_MAX 16      /* at once; a further one is closed at once */

struct nbd_backend {
    const char *name; /* for messages and the log; borrowed */
    uint64_t size;
    void *context; /* given to open; may be used by several threads */
    /* A connection's own handle. */
    struct error *(*open)(void *context, void **ret_handle);
    void (*close)(void *handle);
    struct error *(*read)(void *handle, uint64_t offset, void *data, size_t length);
    /* NULL: the disk is read-only, and so are the next two. */
    struct error *(*write)(void *handle, uint64_t offset, const void *data, size_t length);
    struct error *(*zero)(void *handle, uint64_t offset, uint64_t length);
    struct error *(*flush)(void *handle);
    /* Whether the disk reads as zeros at `offset`, and for how long that (or the opposite) goes
     * on, 1..length. NULL: not told. */
    struct error *(*extent)(void *handle, uint64_t offset, uint64_t length, bool *ret_zero,
                            uint64_t *ret_length);
};

struct nbd_server;

/* Listens on `path`, replacing a socket that lies there. `backend` is copied; what it points to outlives the
 * server. */
struct error *nbd_server_start(const char *path, const struct nbd_backend *backend,
                               struct nbd_server **ret_server) ERROR_MUST_USE;
/* Ends connections, waits for their threads and removes the socket. NULL is accepted. */
void nbd_server_stop(struct nbd_server *server);

#endif
