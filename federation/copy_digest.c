/* See copy_digest.h. */
#include "federation/copy_digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "broker/base/arena.h"

struct copy_digest {
    EVP_MD_CTX *context;
    EVP_MD *type;
};

struct copy_digest *copy_digest_new(enum copy_algorithm algorithm)
{
    struct copy_digest *digest = xcalloc(1, sizeof *digest);
    digest->type = EVP_MD_fetch(NULL, algorithm == COPY_SM3 ? "SM3" : "SHA256", NULL);
    digest->context = EVP_MD_CTX_new();
    if (!digest->type || !digest->context)
        abort(); /* the library lacks the digest: the broker cannot keep its promises */
    return digest;
}

void copy_digest_free(struct copy_digest *digest)
{
    if (!digest)
        return;
    EVP_MD_CTX_free(digest->context);
    EVP_MD_free(digest->type);
    free(digest);
}

void copy_digest_begin(struct copy_digest *digest)
{
    if (!EVP_DigestInit_ex2(digest->context, digest->type, NULL))
        abort(); /* as above */
}

void copy_digest_add(struct copy_digest *digest, const void *bytes, size_t length)
{
    if (!EVP_DigestUpdate(digest->context, bytes, length))
        abort();
}

void copy_digest_end(struct copy_digest *digest, uint8_t ret[COPY_DIGEST_SIZE])
{
    unsigned size = 0;
    if (!EVP_DigestFinal_ex(digest->context, ret, &size) || size != COPY_DIGEST_SIZE)
        abort();
}

void copy_digest_of(struct copy_digest *digest, const void *bytes, size_t length,
                    uint8_t ret[COPY_DIGEST_SIZE])
{
    copy_digest_begin(digest);
    copy_digest_add(digest, bytes, length);
    copy_digest_end(digest, ret);
}

void copy_digest_of_zeros(struct copy_digest *digest, size_t length, uint8_t ret[COPY_DIGEST_SIZE])
{
    static const uint8_t zeros[65536];
    copy_digest_begin(digest);
    for (size_t done = 0; done < length;) {
        size_t piece = length - done < sizeof zeros ? length - done : sizeof zeros;
        copy_digest_add(digest, zeros, piece);
        done += piece;
    }
    copy_digest_end(digest, ret);
}
