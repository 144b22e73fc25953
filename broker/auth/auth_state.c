/* The snapshot that tokens are checked against; see auth_state.h. Everything is a sorted array: it is built
 * rarely and searched often. */
#include "broker/auth/auth_state.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/auth_store.h"
#include "broker/base/digest.h"
#include "broker/base/log.h"

struct known_principal {
    const char *id; /* of the principal */
    struct principal *principal;
};

struct known_certificate {
    char fingerprint[DIGEST_HEX];
    struct principal *principal; /* borrowed from the principals */
};

struct known_key {
    char kid[JWT_KID];
    EVP_PKEY *public_key;
    EVP_PKEY *private_key;      /* NULL: of another broker */
    moment signs_from, retires; /* 0: not retired */
};

struct auth_state {
    atomic_uint references;
    uint64_t number;
    int64_t generation;
    struct known_principal *principals;
    size_t principal_count;
    struct known_certificate *certificates;
    size_t certificate_count;
    struct known_key *keys;
    size_t key_count;
    char (*revoked)[ID_TEXT];
    size_t revoked_count;
};

/* Every item begins with its key: a pointer to text, or the text itself. */
static int by_pointer(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static const void *search(const char *key, const void *items, size_t count, size_t size)
{
    return count ? bsearch(key, items, count, size, by_text) : NULL;
}

static void sort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    if (count)
        qsort(items, count, size, compare);
}

static struct error *load_principals(struct db *db, struct auth_state *state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(auth_store_principals(db, &rows));
    size_t count = db_count(rows);
    state->principals = xcalloc(count + 1, sizeof *state->principals);
    state->certificates = xcalloc(count + 1, sizeof *state->certificates);
    for (size_t i = 0; i < count; i++) {
        struct principal_grant grant;
        struct principal *principal;
        struct error *error = auth_store_grant(rows, i, arena, &grant);
        if (!error)
            error = principal_new(&grant, &principal);
        if (error) { /* one row that a newer version wrote must not lock everybody out */
            log_warning("auth.principal-skipped", LOG_CAUSE(error));
            error_free(error);
            continue;
        }
        state->principals[state->principal_count++] =
            (struct known_principal){principal_id(principal), principal};
        const char *fingerprint = db_get_text(rows, i, 6);
        if (!fingerprint || strlen(fingerprint) != DIGEST_HEX - 1)
            continue;
        struct known_certificate *certificate = &state->certificates[state->certificate_count++];
        memcpy(certificate->fingerprint, fingerprint, DIGEST_HEX);
        certificate->principal = principal;
    }
    sort(state->principals, state->principal_count, sizeof *state->principals, by_pointer);
    sort(state->certificates, state->certificate_count, sizeof *state->certificates, by_text);
    return NULL;
}

/* NULL when the row is not a key whose id is its own. */
static EVP_PKEY *read_public(const char *kid, const char *text)
{
    ARENA_AUTO struct arena *arena = arena_new();
    unsigned char *bytes;
    size_t size;
    char computed[JWT_KID];
    struct error *error = base64url_decode(arena, text, strlen(text), &bytes, &size);
    if (error || size != JWT_PUBLIC) {
        error_free(error);
        return NULL;
    }
    jwt_key_id(bytes, computed);
    return strcmp(computed, kid) ? NULL : EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, size);
}

static EVP_PKEY *find_private(const struct keyring *keyring, const char *kid)
{
    for (size_t i = 0; i < keyring->count; i++)
        if (!strcmp(keyring->keys[i].kid, kid) && EVP_PKEY_up_ref(keyring->keys[i].key) == 1)
            return keyring->keys[i].key;
    return NULL;
}

static struct error *load_keys(struct db *db, const struct keyring *keyring, moment now,
                               struct auth_state *state)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(auth_store_keys(db, now, &rows));
    state->keys = xcalloc(db_count(rows) + 1, sizeof *state->keys);
    for (size_t i = 0; i < db_count(rows); i++) {
        const char *kid = db_get_text(rows, i, 0);
        EVP_PKEY *key = read_public(kid, db_get_text(rows, i, 1));
        if (!key) {
            log_warning("auth.key-skipped", LOG_TEXT("kid", kid));
            continue;
        }
        struct known_key *known = &state->keys[state->key_count++];
        memcpy(known->kid, kid, JWT_KID); /* equal to a computed one, so of its length */
        known->public_key = key;
        known->private_key = find_private(keyring, kid);
        known->signs_from = db_get_moment(rows, i, 2);
        known->retires = db_get_moment(rows, i, 3);
    }
    sort(state->keys, state->key_count, sizeof *state->keys, by_text);
    return NULL;
}

static struct error *load_revoked(struct db *db, moment now, struct auth_state *state)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(auth_store_revoked(db, now, &rows));
    state->revoked_count = db_count(rows);
    state->revoked = xcalloc(state->revoked_count + 1, sizeof *state->revoked);
    for (size_t i = 0; i < state->revoked_count; i++) {
        const char *jti = db_get_text(rows, i, 0);
        memcpy(state->revoked[i], jti, strnlen(jti, ID_TEXT - 1));
    }
    sort(state->revoked, state->revoked_count, sizeof *state->revoked, by_text);
    return NULL;
}

struct error *auth_state_load(struct db *db, const struct keyring *keyring, moment now,
                              struct auth_state **ret_state)
{
    struct auth_state *state = xcalloc(1, sizeof *state);
    atomic_init(&state->references, 1);
    /* The number first: what changes after it was read is found at the next look. */
    struct error *error = auth_store_generation(db, &state->generation);
    if (!error)
        error = load_principals(db, state);
    if (!error)
        error = load_keys(db, keyring, now, state);
    if (!error)
        error = load_revoked(db, now, state);
    if (error) {
        auth_state_unref(state);
        return error_wrap(error, "could not load principals and keys");
    }
    *ret_state = state;
    return NULL;
}

struct auth_state *auth_state_with(struct auth_state *state, struct principal *principal)
{
    if (auth_state_principal(state, principal_id(principal)))
        return auth_state_ref(state);
    struct auth_state *copy = xcalloc(1, sizeof *copy);
    *copy = *state;
    atomic_init(&copy->references, 1);
    copy->principals = xcalloc(state->principal_count + 1, sizeof *copy->principals);
    for (size_t i = 0; i < state->principal_count; i++) {
        copy->principals[i] = state->principals[i];
        (void)principal_ref(copy->principals[i].principal);
    }
    copy->principals[copy->principal_count++] =
        (struct known_principal){principal_id(principal), principal_ref(principal)};
    sort(copy->principals, copy->principal_count, sizeof *copy->principals, by_pointer);
    copy->certificates = xcalloc(state->certificate_count + 1, sizeof *copy->certificates);
    memcpy(copy->certificates, state->certificates, state->certificate_count * sizeof *copy->certificates);
    copy->keys = xcalloc(state->key_count + 1, sizeof *copy->keys);
    for (size_t i = 0; i < state->key_count; i++) {
        copy->keys[i] = state->keys[i];
        (void)EVP_PKEY_up_ref(copy->keys[i].public_key); /* an atomic increment */
        if (copy->keys[i].private_key)
            (void)EVP_PKEY_up_ref(copy->keys[i].private_key);
    }
    copy->revoked = xcalloc(state->revoked_count + 1, sizeof *copy->revoked);
    memcpy(copy->revoked, state->revoked, state->revoked_count * sizeof *copy->revoked);
    return copy;
}

struct auth_state *auth_state_ref(struct auth_state *state)
{
    atomic_fetch_add_explicit(&state->references, 1, memory_order_relaxed);
    return state;
}

void auth_state_unref(struct auth_state *state)
{
    if (!state || atomic_fetch_sub_explicit(&state->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < state->principal_count; i++)
        principal_unref(state->principals[i].principal);
    for (size_t i = 0; i < state->key_count; i++) {
        EVP_PKEY_free(state->keys[i].public_key);
        EVP_PKEY_free(state->keys[i].private_key);
    }
    free(state->principals);
    free(state->certificates);
    free(state->keys);
    free(state->revoked);
    free(state);
}

int64_t auth_state_generation(const struct auth_state *state)
{
    return state->generation;
}

void auth_state_set_number(struct auth_state *state, uint64_t number)
{
    state->number = number;
}

uint64_t auth_state_number(const struct auth_state *state)
{
    return state->number;
}

struct principal *auth_state_principal(const struct auth_state *state, const char *id)
{
    const struct known_principal *known =
        state->principal_count
            ? bsearch(&id, state->principals, state->principal_count, sizeof *known, by_pointer)
            : NULL;
    return known ? known->principal : NULL;
}

struct principal *auth_state_by_certificate(const struct auth_state *state, const char *fingerprint)
{
    const struct known_certificate *known =
        search(fingerprint, state->certificates, state->certificate_count, sizeof *known);
    return known ? known->principal : NULL;
}

EVP_PKEY *auth_state_key(const struct auth_state *state, const char *kid)
{
    const struct known_key *known = search(kid, state->keys, state->key_count, sizeof *known);
    return known ? known->public_key : NULL;
}

bool auth_state_revoked(const struct auth_state *state, const char *jti)
{
    return search(jti, state->revoked, state->revoked_count, sizeof *state->revoked) != NULL;
}

EVP_PKEY *auth_state_signer(const struct auth_state *state, moment now, const char **ret_kid)
{
    const struct known_key *best = NULL;
    for (size_t i = 0; i < state->key_count; i++) {
        const struct known_key *key = &state->keys[i];
        if (!key->private_key || (key->retires && key->retires <= now))
            continue;
        bool ready = key->signs_from <= now;
        bool best_ready = best && best->signs_from <= now;
        if (!best || (ready && !best_ready) || (ready == best_ready && key->signs_from > best->signs_from))
            best = key;
    }
    if (!best)
        return NULL;
    *ret_kid = best->kid;
    return best->private_key;
}
