/* The transmission phase of one NBD connection (nbd_server.h): requests are read, checked, done and answered,
 * one after the other. */
#ifndef DRIVERS_NBD_SERVE_H
#define DRIVERS_NBD_SERVE_H

#include "drivers/nbd_server.h"

#define NBD_CONTEXT_ID 1u

struct nbd_session {
    void *handle; /* the backend's */
    bool structured;
    bool contexts; /* base:allocation was asked for */
};

/* Until the client leaves or breaks the protocol. */
void nbd_serve(int socket, const struct nbd_backend *backend, const struct nbd_session *session);

/* The export's transmission flags. */
uint16_t nbd_flags(const struct nbd_backend *backend);

/* All of it or false. A length of 0 is true. */
bool nbd_send(int socket, const void *data, size_t length);
bool nbd_receive(int socket, void *data, size_t length);

#endif
