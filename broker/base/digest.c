/* Digests and base64url; see digest.h. */
#include "broker/base/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void put_hex(const unsigned char digest[32], char hex[DIGEST_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < 32; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[64] = '\0';
}

static void digest_hex(const EVP_MD *type, const void *bytes, size_t length, char hex[DIGEST_HEX])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!EVP_Digest(bytes, length, digest, &size, type, NULL) || size != 32)
        abort(); /* the library lacks the digest: the broker cannot keep its promises */
    put_hex(digest, hex);
}

void digest_sha256(const void *bytes, size_t length, char hex[DIGEST_HEX])
{
    digest_hex(EVP_sha256(), bytes, length, hex);
}

/* Looked up in the library's providers once: with EVP_sm3() every digest would be such a search, which costs
 * more than the digest of a short text. Set once and shared by all threads. */
static EVP_MD *sm3_found;
static void find_sm3(void)
{
    sm3_found = EVP_MD_fetch(NULL, "SM3", NULL);
    if (!sm3_found)
        abort(); /* the library lacks the digest: the broker cannot keep its promises */
}
static const EVP_MD *sm3(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (pthread_once(&once, find_sm3))
        abort(); /* cannot be: the arguments are fixed */
    return sm3_found;
}

void digest_sm3(const void *bytes, size_t length, char hex[DIGEST_HEX])
{
    digest_hex(sm3(), bytes, length, hex);
}

struct digest_sm3 {
    EVP_MD_CTX *context;
};

struct digest_sm3 *digest_sm3_begin(void)
{
    struct digest_sm3 *digest = xcalloc(1, sizeof *digest);
    digest->context = EVP_MD_CTX_new();
    if (!digest->context || !EVP_DigestInit_ex(digest->context, sm3(), NULL))
        abort(); /* as above */
    return digest;
}

void digest_sm3_add(struct digest_sm3 *digest, const void *bytes, size_t length)
{
    if (!EVP_DigestUpdate(digest->context, bytes, length))
        abort();
}

void digest_sm3_end(struct digest_sm3 *digest, char hex[DIGEST_HEX])
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!digest)
        return;
    if (!EVP_DigestFinal_ex(digest->context, bytes, &size) || size != 32)
        abort();
    if (hex)
        put_hex(bytes, hex);
    EVP_MD_CTX_free(digest->context);
    free(digest);
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const char *base64url_encode(struct arena *arena, const void *bytes, size_t length)
{
    const unsigned char *in = bytes;
    char *text = arena_alloc(arena, (length + 2) / 3 * 4 + 1), *out = text;
    for (size_t i = 0; i < length; i += 3) {
        size_t have = length - i < 3 ? length - i : 3;
        unsigned group = (unsigned)in[i] << 16 | (have > 1 ? (unsigned)in[i + 1] << 8 : 0) |
                         (have > 2 ? (unsigned)in[i + 2] : 0);
        for (size_t k = 0; k <= have; k++)
            *out++ = alphabet[group >> (18 - 6 * k) & 63];
    }
    *out = '\0';
    return text;
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

struct error *base64url_decode(struct arena *arena, const char *text, size_t length,
                               unsigned char **ret_bytes, size_t *ret_length)
{
    if (length % 4 == 1)
        return error_new(ERR_INVALID, "not base64url");
    unsigned char *bytes = arena_alloc(arena, length / 4 * 3 + 3);
    size_t count = 0;
    unsigned group = 0, bits = 0;
    for (size_t i = 0; i < length; i++) {
        int value = value_of(text[i]);
        if (value < 0)
            return error_new(ERR_INVALID, "not base64url");
        group = (group << 6 | (unsigned)value) & 0xffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[count++] = (unsigned char)(group >> bits);
        }
    }
    if (group & ((1u << bits) - 1)) /* spare bits must be zero, so that each value has one text */
        return error_new(ERR_INVALID, "not base64url");
    *ret_bytes = bytes;
    *ret_length = count;
    return NULL;
}

bool digest_equal(const void *a, const void *b, size_t length)
{
    return CRYPTO_memcmp(a, b, length) == 0;
}
