/* TLS 1.3 of one connection over memory: encrypted bytes are fed in and come out in `out`; connection.c moves
 * them to and from the socket. ALPN must be h2. A client certificate is asked for but not needed; it counts
 * by its fingerprint alone (auth.h), so no authority is checked, only its dates and the proof of its key. */
#ifndef BROKER_HTTP_TLS_H
#define BROKER_HTTP_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "broker/base/digest.h"
#include "broker/base/error.h"

/* ERR_INVALID when certificate and key cannot be read or do not belong together. */
struct error *tls_context_new(const char *certificate_file, const char *key_file,
                              SSL_CTX **ret_context) ERROR_MUST_USE;

struct tls {
    SSL *ssl;
    const char *in; /* not yet decrypted */
    size_t in_length;
    char *out; /* encrypted, to be sent from out_sent on */
    size_t out_sent, out_length, out_capacity;
};

void tls_start(struct tls *tls, SSL_CTX *context);
void tls_done(struct tls *tls);

enum tls_result { TLS_OK, TLS_WAIT, TLS_CLOSED, TLS_BROKEN };

/* Goes on with the handshake on what was fed. TLS_OK: it is done and h2 is spoken. */
enum tls_result tls_handshake(struct tls *tls);
/* Reads decrypted bytes. TLS_WAIT: all that was fed is used up. */
enum tls_result tls_read(struct tls *tls, void *bytes, size_t most, size_t *ret_length);
bool tls_write(struct tls *tls, const void *bytes, size_t length);
/* Says goodbye, into `out`. */
void tls_shutdown(struct tls *tls);
/* SHA-256 of the client's certificate; false when there is none or its dates exclude now. */
bool tls_fingerprint(const struct tls *tls, char hex[DIGEST_HEX]);

#endif
