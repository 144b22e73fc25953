/* The digest of a block: SHA-256, or SM3 where the rules of the site ask for it. One `copy_digest` belongs to
 * one thread. */
#ifndef FEDERATION_COPY_DIGEST_H
#define FEDERATION_COPY_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define COPY_DIGEST_SIZE 32 /* both are 256 bits */

/* The numbers are those of the files: they stay. */
enum copy_algorithm {
    COPY_NONE = 0, /* no digest: nothing is known of what was copied afterwards */
    COPY_SHA256 = 1,
    COPY_SM3 = 2,
};

struct copy_digest;

/* `algorithm` is not COPY_NONE. */
struct copy_digest *copy_digest_new(enum copy_algorithm algorithm);
void copy_digest_free(struct copy_digest *digest);
/* In pieces: begin, add…, end. */
void copy_digest_begin(struct copy_digest *digest);
void copy_digest_add(struct copy_digest *digest, const void *bytes, size_t length);
void copy_digest_end(struct copy_digest *digest, uint8_t ret[COPY_DIGEST_SIZE]);
/* At once. */
void copy_digest_of(struct copy_digest *digest, const void *bytes, size_t length,
                    uint8_t ret[COPY_DIGEST_SIZE]);
/* The digest of `length` zeros. */
void copy_digest_of_zeros(struct copy_digest *digest, size_t length, uint8_t ret[COPY_DIGEST_SIZE]);

#endif
