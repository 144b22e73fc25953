/* Digests and text encodings over OpenSSL. */
#ifndef BROKER_BASE_DIGEST_H
#define BROKER_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"

#define DIGEST_HEX 65 /* 64 lower-case hex digits and the end; both digests are 256 bits */

void digest_sha256(const void *bytes, size_t length, char hex[DIGEST_HEX]);
void digest_sm3(const void *bytes, size_t length, char hex[DIGEST_HEX]);

/* SM3 over bytes that come in pieces. The end gives the digest (hex NULL: nobody asks) and frees; NULL is
 * fine there. */
struct digest_sm3;
struct digest_sm3 *digest_sm3_begin(void);
void digest_sm3_add(struct digest_sm3 *digest, const void *bytes, size_t length);
void digest_sm3_end(struct digest_sm3 *digest, char hex[DIGEST_HEX]);

/* base64url without padding (RFC 7515). */
const char *base64url_encode(struct arena *arena, const void *bytes, size_t length);
struct error *base64url_decode(struct arena *arena, const char *text, size_t length,
                               unsigned char **ret_bytes, size_t *ret_length) ERROR_MUST_USE;
/* Same length and bytes, in time that depends on the length alone. */
bool digest_equal(const void *a, const void *b, size_t length);

#endif
