/* Tokens as compact JWS (RFC 7515, 7519, 8037): Ed25519 alone, strict where the standards leave room. No
 * database and no state: auth.c decides which keys and which tokens are in force.
 *
 * A token is refused unless its header has exactly alg "EdDSA", typ "JWT" and a kid that names one of our
 * keys (an unknown member, `crit` among them, is refused), and its claims are exactly iss, aud, sub, jti,
 * iat, nbf and exp, each of its type. Every refusal is ERR_UNAUTHENTICATED. */
#ifndef BROKER_AUTH_JWT_H
#define BROKER_AUTH_JWT_H

#include <openssl/evp.h>
#include <stddef.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"
#include "broker/base/id.h"
#include "broker/base/moment.h"

#define JWT_LENGTH_MAX 1024 /* ours have about 420 bytes */
#define JWT_ISSUER "yunqiao"
#define JWT_AUDIENCE "yunqiao"
#define JWT_SUBJECT 64 /* bytes of a principal's id with the end */
/* How far ahead another broker's clock may be, for iat and nbf; exp has no leeway. */
#define JWT_LEEWAY (5 * MOMENT_SECOND)

/* A key's id: "k-" and 32 hex digits of the SHA-256 of the public key, so that an id can never come to mean
 * another key. */
#define JWT_KID 35
#define JWT_PUBLIC 32 /* bytes of a raw public key */

struct jwt_claims {
    char subject[JWT_SUBJECT]; /* id of the principal */
    char jti[ID_TEXT];
    char kid[JWT_KID];
    moment issued, not_before, expires; /* whole seconds */
};

/* kid of a raw public key. */
void jwt_key_id(const unsigned char public_key[JWT_PUBLIC], char kid[JWT_KID]);

/* claims->kid is the id of `key`, a private Ed25519 key; times are cut to seconds. Text in the arena. */
struct error *jwt_sign(EVP_PKEY *key, const struct jwt_claims *claims, struct arena *arena,
                       const char **ret_token) ERROR_MUST_USE;

/* The public key of that id, borrowed for the call; NULL: unknown. */
typedef EVP_PKEY *(*jwt_find_key)(void *context, const char *kid);

/* The bare signature of any bytes, base64url; jwt_sign's own step. */
struct error *jwt_sign_bytes(EVP_PKEY *key, const void *bytes, size_t length, struct arena *arena,
                             const char **ret_signature) ERROR_MUST_USE;
/* Form, key, signature and claims; not the time. */
struct error *jwt_verify(const char *token, size_t length, jwt_find_key find, void *context,
                         struct jwt_claims *ret_claims) ERROR_MUST_USE;
/* Whether the claims are in force at `now`: nbf and iat have come, exp has not. */
struct error *jwt_check_time(const struct jwt_claims *claims, moment now) ERROR_MUST_USE;

#endif
