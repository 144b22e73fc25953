/* The cache of verified tokens; see token_cache.h. */
#include "broker/auth/token_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"
#include "broker/base/digest.h"

#define SHARDS 64
#define SETS 64
#define WAYS (TOKEN_CACHE_SIZE / SHARDS / SETS)
#define SHORTEST 86 /* a signature alone; anything shorter is no token */

struct entry {
    char *token; /* NULL: free */
    size_t length;
    struct token_verdict verdict;
};

struct shard {
    pthread_mutex_t lock;
    struct entry sets[SETS][WAYS];
};

struct token_cache {
    struct shard shards[SHARDS];
};

struct token_cache *token_cache_new(void)
{
    struct token_cache *cache = xcalloc(1, sizeof *cache);
    for (size_t i = 0; i < SHARDS; i++)
        (void)pthread_mutex_init(&cache->shards[i].lock, NULL); /* default attributes cannot fail on Linux */
    return cache;
}

static void forget(struct entry *entry)
{
    principal_unref(entry->verdict.principal);
    free(entry->token);
    *entry = (struct entry){0};
}

void token_cache_free(struct token_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        for (size_t set = 0; set < SETS; set++)
            for (size_t way = 0; way < WAYS; way++)
                forget(&cache->shards[i].sets[set][way]);
        (void)pthread_mutex_destroy(&cache->shards[i].lock);
    }
    free(cache);
}

/* Eight characters from the middle of the signature, which is as good as random for every token that gets in:
 * no digest is needed to find a place. */
static void place(const char *token, size_t length, size_t *ret_shard, size_t *ret_set)
{
    uint64_t bits;
    memcpy(&bits, token + length - 40, sizeof bits);
    bits *= UINT64_C(0x9e3779b97f4a7c15);
    *ret_shard = (size_t)(bits >> 58) % SHARDS;
    *ret_set = (size_t)(bits >> 50) % SETS;
}

static bool is_token(const struct entry *entry, const char *token, size_t length)
{
    return entry->token && entry->length == length && digest_equal(entry->token, token, length);
}

bool token_cache_get(struct token_cache *cache, const char *token, size_t length,
                     struct token_verdict *ret_verdict)
{
    if (length < SHORTEST)
        return false;
    size_t number, set;
    place(token, length, &number, &set);
    struct shard *shard = &cache->shards[number];
    bool found = false;
    (void)pthread_mutex_lock(&shard->lock);
    for (size_t way = 0; way < WAYS && !found; way++) {
        const struct entry *entry = &shard->sets[set][way];
        if (!is_token(entry, token, length))
            continue;
        *ret_verdict = entry->verdict;
        (void)principal_ref(ret_verdict->principal);
        found = true;
    }
    (void)pthread_mutex_unlock(&shard->lock);
    return found;
}

/* The entry of this token, else a free one, else the one that expires first. */
static struct entry *choose(struct entry *ways, const char *token, size_t length)
{
    struct entry *chosen = &ways[0];
    for (size_t way = 0; way < WAYS; way++) {
        if (is_token(&ways[way], token, length))
            return &ways[way];
        if (chosen->token &&
            (!ways[way].token || ways[way].verdict.claims.expires < chosen->verdict.claims.expires))
            chosen = &ways[way];
    }
    return chosen;
}

void token_cache_put(struct token_cache *cache, const char *token, size_t length,
                     const struct token_verdict *verdict)
{
    if (length < SHORTEST)
        return;
    size_t number, set;
    place(token, length, &number, &set);
    struct shard *shard = &cache->shards[number];
    char *copy = xmalloc(length);
    memcpy(copy, token, length);
    struct principal *principal = principal_ref(verdict->principal);
    (void)pthread_mutex_lock(&shard->lock);
    struct entry *entry = choose(shard->sets[set], token, length);
    struct entry old = *entry;
    *entry = (struct entry){.token = copy, .length = length, .verdict = *verdict};
    entry->verdict.principal = principal;
    (void)pthread_mutex_unlock(&shard->lock);
    forget(&old);
}
