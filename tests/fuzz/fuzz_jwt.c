/* Tokens: any bytes as a token, and any header and claims under a good signature (the first NUL parts them).
 */
#include <string.h>

#include "broker/auth/jwt.h"
#include "broker/base/buf.h"
#include "broker/base/digest.h"
#include "tests/fuzz/fuzz.h"

static const unsigned char seed[32] = "a key that is known to everybody";

static EVP_PKEY *find(void *context, const char *kid)
{
    PROMISE(strlen(kid) < JWT_KID);
    return context;
}

static void verify(EVP_PKEY *key, const char *token, size_t length)
{
    struct jwt_claims claims;
    struct error *error = jwt_verify(token, length, find, key, &claims);
    if (error) {
        PROMISE(error_code(error) == ERR_UNAUTHENTICATED);
        error_free(error);
        return;
    }
    PROMISE(memchr(claims.subject, 0, sizeof claims.subject) && memchr(claims.kid, 0, sizeof claims.kid));
    error_free(jwt_check_time(&claims, INT64_C(1795489445000000)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    PROMISE(key && context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1);
    verify(key, (const char *)data, size);
    const uint8_t *parting = size ? memchr(data, 0, size) : NULL;
    size_t head = parting ? (size_t)(parting - data) : size, skip = parting ? head + 1 : size;
    BUF_AUTO struct buf token = BUF_INIT(1 << 20);
    buf_puts(&token, base64url_encode(arena, data, head));
    buf_putc(&token, '.');
    buf_puts(&token, base64url_encode(arena, data + skip, size - skip));
    unsigned char signature[64];
    size_t length = sizeof signature;
    PROMISE(EVP_DigestSign(context, signature, &length, (const unsigned char *)buf_text(&token),
                           token.length) == 1);
    buf_putc(&token, '.');
    buf_puts(&token, base64url_encode(arena, signature, length));
    verify(key, buf_text(&token), token.length);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    arena_free(arena);
    return 0;
}
