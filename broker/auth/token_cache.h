/* Tokens whose signature was found good, so that a repeated one costs a look-up. Bounded: TOKEN_CACHE_SIZE
 * entries of fixed places, a new one displaces the one of its place that expires first. It says only that
 * the signature is right and what was decided under which number of the state; the caller checks time and
 * number. Thread-safe; a shard's lock is held for a look-up alone. */
#ifndef BROKER_AUTH_TOKEN_CACHE_H
#define BROKER_AUTH_TOKEN_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/auth/jwt.h"
#include "broker/auth/principal.h"

#define TOKEN_CACHE_SIZE 16384

struct token_cache;

struct token_cache *token_cache_new(void);
void token_cache_free(struct token_cache *cache);

struct token_verdict {
    struct jwt_claims claims;
    struct principal *principal;
    uint64_t number; /* of the state that admitted it */
};

/* False: not there. *ret_verdict holds a reference to the principal. */
bool token_cache_get(struct token_cache *cache, const char *token, size_t length,
                     struct token_verdict *ret_verdict);
/* Takes a reference of its own to the principal. */
void token_cache_put(struct token_cache *cache, const char *token, size_t length,
                     const struct token_verdict *verdict);

#endif
