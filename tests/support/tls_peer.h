/* A small HTTPS server inside the test's process, for tests of clients: a thread of its own on 127.0.0.1 with
 * a fresh self-signed certificate for "localhost", one connection at a time, kept alive, and a handler that
 * writes what it likes. It sees what a client really sends, and can misbehave in ways that a proper server
 * cannot. */
#ifndef TESTS_SUPPORT_TLS_PEER_H
#define TESTS_SUPPORT_TLS_PEER_H

#include <stdbool.h>
#include <stddef.h>

struct tls_peer;

struct tls_peer_request {
    const char *method;
    const char *path;
    const char *headers; /* the lines after the request line, CR LF ended */
    const char *body;
    size_t length;
};

/* Writes raw bytes to the client; false when it is gone. */
bool tls_peer_write(struct tls_peer *peer, const void *data, size_t length);
/* Waits until the client closes or the peer is stopped. */
void tls_peer_hang(struct tls_peer *peer);

/* Answers one request; false closes the connection. Runs in the peer's thread. */
typedef bool tls_peer_handler(struct tls_peer *peer, const struct tls_peer_request *request);

struct tls_peer *tls_peer_start(tls_peer_handler *handler);
void tls_peer_stop(struct tls_peer *peer);

int tls_peer_port(const struct tls_peer *peer);
/* SHA-256 of the certificate, lower-case hex. */
const char *tls_peer_fingerprint(const struct tls_peer *peer);
/* A PEM file with the certificate; removed by tls_peer_stop. */
const char *tls_peer_ca_file(const struct tls_peer *peer);
/* Connections whose handshake ended well, and requests read, so far. */
unsigned tls_peer_connections(const struct tls_peer *peer);
unsigned tls_peer_requests(const struct tls_peer *peer);

#endif
