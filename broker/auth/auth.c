/* Authentication; see auth.h. The state is immutable and swapped under a lock that is held for a pointer's
 * copy alone; locks are never nested. */
#include "broker/auth/auth.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/audit.h"
#include "broker/auth/auth_state.h"
#include "broker/auth/auth_store.h"
#include "broker/auth/principal_store.h"
#include "broker/auth/token_cache.h"
#include "broker/base/log.h"

struct auth {
    char *key_dir;
    pthread_mutex_t refresh; /* one refresh at a time */
    pthread_mutex_t lock;    /* of the pointer */
    struct auth_state *state;
    atomic_uint_fast64_t number; /* of the state, for a look without the lock */
    struct token_cache *cache;
};

static struct auth_state *get_state(struct auth *auth)
{
    (void)pthread_mutex_lock(&auth->lock);
    struct auth_state *state = auth_state_ref(auth->state);
    (void)pthread_mutex_unlock(&auth->lock);
    return state;
}

/* Takes the reference. A state that may take something away gets a new number, which outdates the cache. */
static void set_state(struct auth *auth, struct auth_state *state)
{
    (void)pthread_mutex_lock(&auth->lock);
    struct auth_state *old = auth->state;
    uint64_t number = atomic_load(&auth->number) + 1;
    auth_state_set_number(state, number);
    auth->state = state;
    atomic_store(&auth->number, number);
    (void)pthread_mutex_unlock(&auth->lock);
    auth_state_unref(old);
}

/* One principal more: takes nothing away, so the number stays. A refresh that read the database before the
 * principal was there may displace it again, until the next one a second later. */
static void learn(struct auth *auth, struct principal *principal)
{
    (void)pthread_mutex_lock(&auth->lock);
    struct auth_state *old = auth->state;
    auth->state = auth_state_with(old, principal);
    (void)pthread_mutex_unlock(&auth->lock);
    auth_state_unref(old);
}

/* Records this broker's keys and deletes those that sign no more; *ret_lasting: one has no end yet. */
static struct error *settle_keys(struct db *db, const char *key_dir, const struct keyring *keyring,
                                 moment now, bool *ret_lasting)
{
    bool lasting = false;
    for (size_t i = 0; i < keyring->count; i++) {
        const struct keyring_key *key = &keyring->keys[i];
        bool known;
        moment retires;
        TRY(auth_store_key_state(db, key->kid, &known, &retires));
        if (!known)
            TRY(auth_store_add_key(db, key, now, now + AUTH_KEY_SETTLE));
        else if (retires && retires <= now)
            TRY(keyring_drop(key_dir, key->kid));
        lasting |= !retires;
    }
    *ret_lasting = lasting;
    return NULL;
}

struct refreshing {
    struct auth *auth;
    moment now;
    int64_t known; /* generation in memory; -1: none */
    struct auth_state *state;
};

static struct error *load_with_keys(struct db *db, struct refreshing *refreshing, struct keyring *keyring)
{
    const char *key_dir = refreshing->auth->key_dir;
    bool lasting;
    TRY(settle_keys(db, key_dir, keyring, refreshing->now, &lasting));
    if (!lasting) {
        struct keyring_key *made;
        TRY(keyring_make(key_dir, keyring, &made));
        TRY(auth_store_add_key(db, made, refreshing->now, refreshing->now + AUTH_KEY_SETTLE));
        log_info("auth.key-made", LOG_TEXT("kid", made->kid));
    }
    return auth_state_load(db, keyring, refreshing->now, &refreshing->state);
}

static struct error *refresh_body(struct db *db, void *context)
{
    struct refreshing *refreshing = context;
    int64_t generation;
    TRY(auth_store_generation(db, &generation));
    if (generation == refreshing->known)
        return NULL;
    auth_state_unref(refreshing->state); /* of a run that the database asked to repeat */
    refreshing->state = NULL;
    struct keyring keyring;
    TRY(keyring_open(refreshing->auth->key_dir, &keyring));
    struct error *error = load_with_keys(db, refreshing, &keyring);
    keyring_close(&keyring);
    return error;
}

static struct error *refresh(struct auth *auth, struct db *db, moment now)
{
    struct refreshing refreshing = {.auth = auth, .now = now, .known = -1};
    struct auth_state *state = atomic_load(&auth->number) ? get_state(auth) : NULL;
    if (state)
        refreshing.known = auth_state_generation(state);
    auth_state_unref(state);
    struct error *error = db_transaction(db, &db_scope_system, DB_READ_COMMITTED, refresh_body, &refreshing);
    if (error)
        auth_state_unref(refreshing.state);
    else if (refreshing.state)
        set_state(auth, refreshing.state);
    return error;
}

struct error *auth_refresh(struct auth *auth, struct db *db, moment now)
{
    (void)pthread_mutex_lock(&auth->refresh);
    struct error *error = refresh(auth, db, now);
    (void)pthread_mutex_unlock(&auth->refresh);
    return error_wrap(error, "could not refresh identity");
}

struct error *auth_new(const char *key_dir, struct db *db, moment now, struct auth **ret_auth)
{
    struct auth *auth = xcalloc(1, sizeof *auth);
    auth->key_dir = xstrdup(key_dir);
    (void)pthread_mutex_init(&auth->refresh, NULL); /* default attributes cannot fail on Linux */
    (void)pthread_mutex_init(&auth->lock, NULL);
    auth->cache = token_cache_new();
    struct error *error = auth_refresh(auth, db, now);
    if (error) {
        auth_free(auth);
        return error;
    }
    *ret_auth = auth;
    return NULL;
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    token_cache_free(auth->cache);
    auth_state_unref(auth->state);
    (void)pthread_mutex_destroy(&auth->lock);
    (void)pthread_mutex_destroy(&auth->refresh);
    free(auth->key_dir);
    free(auth);
}

static EVP_PKEY *find_key(void *context, const char *kid)
{
    return auth_state_key(context, kid);
}

/* Whether a rightly signed token is accepted by this state. */
static struct error *admit(const struct auth_state *state, struct token_verdict *verdict)
{
    if (!auth_state_key(state, verdict->claims.kid))
        return error_new(ERR_UNAUTHENTICATED, "the token's key is unknown");
    struct principal *principal = auth_state_principal(state, verdict->claims.subject);
    if (!principal || auth_state_revoked(state, verdict->claims.jti))
        return error_new(ERR_UNAUTHENTICATED, "the token was revoked");
    verdict->principal = principal_ref(principal);
    verdict->number = auth_state_number(state);
    return NULL;
}

/* The slow way: a token seen for the first time (`seen` false), or since the state changed. */
static struct error *judge(struct auth *auth, const struct auth_state *state, const char *token,
                           size_t length, bool seen, struct token_verdict *verdict)
{
    if (!seen) {
        void *keys = (void *)(uintptr_t)state; /* find_key only reads it */
        TRY(jwt_verify(token, length, find_key, keys, &verdict->claims));
    }
    TRY(admit(state, verdict));
    token_cache_put(auth->cache, token, length, verdict);
    return NULL;
}

struct error *auth_verify_token(struct auth *auth, const char *token, size_t length, moment now,
                                struct principal **ret_principal)
{
    struct token_verdict verdict = {0};
    bool seen = token_cache_get(auth->cache, token, length, &verdict);
    if (!seen || verdict.number != atomic_load(&auth->number)) {
        principal_unref(verdict.principal);
        verdict.principal = NULL;
        struct auth_state *state = get_state(auth);
        struct error *error = judge(auth, state, token, length, seen, &verdict);
        auth_state_unref(state);
        TRY(error);
    }
    struct error *error = jwt_check_time(&verdict.claims, now);
    if (error) {
        principal_unref(verdict.principal);
        return error;
    }
    *ret_principal = verdict.principal;
    return NULL;
}

struct error *auth_verify_certificate(struct auth *auth, const char *fingerprint,
                                      struct principal **ret_principal)
{
    struct auth_state *state = get_state(auth);
    struct principal *principal = auth_state_by_certificate(state, fingerprint);
    if (principal)
        (void)principal_ref(principal);
    auth_state_unref(state);
    if (!principal)
        return error_new(ERR_UNAUTHENTICATED, "the client certificate is not known");
    *ret_principal = principal;
    return NULL;
}

struct error *auth_sign(struct auth *auth, moment now, const void *bytes, size_t length, struct arena *arena,
                        const char **ret_kid, const char **ret_signature)
{
    struct auth_state *state = get_state(auth);
    const char *kid;
    EVP_PKEY *signer = auth_state_signer(state, now, &kid);
    struct error *error =
        signer ? jwt_sign_bytes(signer, bytes, length, arena, ret_signature)
               : error_new(ERR_UNAVAILABLE, "the signing key was retired and the next is not there yet");
    if (!error)
        *ret_kid = arena_strdup(arena, kid);
    auth_state_unref(state);
    return error;
}

/* Signs and records; the principal's row is locked by the caller's transaction, so what is learnt here cannot
 * have been disabled meanwhile: who disables it waits, and the next refresh sees it. */
static struct error *issue(struct auth *auth, struct db *db, const struct principal_grant *grant,
                           struct jwt_claims *claims, struct arena *arena, const char **ret_token)
{
    struct auth_state *state = get_state(auth);
    const char *kid;
    EVP_PKEY *signer = auth_state_signer(state, claims->issued, &kid);
    struct error *error = NULL;
    if (!signer)
        error = error_new(ERR_UNAVAILABLE, "the signing key was retired and the next is not there yet");
    else
        memcpy(claims->kid, kid, JWT_KID);
    if (!error)
        error = jwt_sign(signer, claims, arena, ret_token);
    auth_state_unref(state);
    TRY(error);
    TRY(auth_store_add_token(db, claims, grant->unit));
    struct principal *principal;
    TRY(principal_new(grant, &principal));
    learn(auth, principal);
    principal_unref(principal);
    return NULL;
}

struct error *auth_issue_token(struct auth *auth, struct db *db, const struct principal *actor,
                               const char *principal_id, int64_t life_us, moment now, struct arena *arena,
                               const char **ret_token, const char **ret_jti)
{
    if (life_us < TOKEN_LIFE_MIN || life_us > TOKEN_LIFE_MAX)
        return error_member("/expires_in", "must be between 60 seconds and 366 days");
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    struct principal_grant grant;
    TRY(auth_store_lock_principal(db, principal_id, &rows));
    TRY(auth_store_grant(rows, 0, arena, &grant));
    if (actor)
        TRY(principal_may_manage(actor, &grant));
    moment issued = now - now % MOMENT_SECOND;
    struct jwt_claims claims = {.issued = issued, .not_before = issued, .expires = issued + life_us};
    claims.expires -= claims.expires % MOMENT_SECOND;
    memcpy(claims.subject, grant.id, strlen(grant.id) + 1); /* a name: principal_check */
    id_new(claims.jti);
    const char *token;
    TRY(issue(auth, db, &grant, &claims, arena, &token));
    *ret_token = token;
    *ret_jti = arena_strdup(arena, claims.jti);
    return NULL;
}

struct error *auth_revoke_token(struct db *db, const struct principal *actor, const char *jti, moment now)
{
    if (!id_valid(jti))
        return error_new(ERR_NOT_FOUND, "no such token");
    if (actor) {
        ARENA_AUTO struct arena *arena = arena_new();
        DB_ROWS_AUTO struct db_rows *rows = NULL;
        struct principal_grant grant;
        TRY(auth_store_token_owner(db, jti, &rows));
        TRY(auth_store_grant(rows, 0, arena, &grant));
        if (strcmp(grant.id, principal_id(actor)) != 0)
            TRY(principal_may_manage(actor, &grant));
    }
    return auth_store_revoke_token(db, jti, now);
}

struct error *auth_rotate_keys(struct db *db, moment now, int64_t *ret_count)
{
    return auth_store_retire_keys(db, now + AUTH_KEY_OVERLAP, ret_count);
}

struct error *auth_revoke_key(struct db *db, const char *kid, moment now)
{
    return auth_store_revoke_key(db, kid, now);
}

struct error *auth_purge_tokens(struct db *db, moment now, int64_t *ret_count)
{
    return auth_store_purge_tokens(db, now - TOKEN_KEEP, ret_count);
}

struct administering {
    struct auth *auth;
    const char *data_dir;
    moment now;
    bool first; /* only when there is no principal */
    bool made;
};

/* The file is written before the transaction ends: a broker that dies between the two starts over. */
static struct error *write_admin_token(struct db *db, const struct administering *administering)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *token, *jti;
    TRY(auth_issue_token(administering->auth, db, NULL, AUTH_ADMIN, AUTH_ADMIN_TOKEN_LIFE, administering->now,
                         arena, &token, &jti));
    const struct audit_entry entry = {
        .at = administering->now, .principal = "system", .action = "tokens:issue", .subject = jti};
    TRY(audit_add(db, &entry));
    const char *path = arena_printf(arena, "%s/admin.token", administering->data_dir);
    return keyring_write_file(path, token, strlen(token));
}

static struct error *administer(struct db *db, void *context)
{
    struct administering *administering = context;
    administering->made = false;
    TRY(auth_store_lock(db));
    if (administering->first) {
        bool any;
        TRY(auth_store_any_principal(db, &any));
        if (any)
            return NULL;
        const struct principal_row row = {.grant = {.id = AUTH_ADMIN, .role = ROLE_PLATFORM_ADMIN},
                                          .name = "first administrator"};
        TRY(principal_store_insert(db, &row, administering->now));
    }
    TRY(write_admin_token(db, administering));
    administering->made = true;
    return NULL;
}

struct error *auth_bootstrap(struct auth *auth, struct db *db, const char *data_dir, moment now,
                             bool *ret_made)
{
    struct administering administering = {.auth = auth, .data_dir = data_dir, .now = now, .first = true};
    TRY_DOING(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, administer, &administering),
              "could not make the first administrator");
    if (ret_made)
        *ret_made = administering.made;
    return NULL;
}

struct error *auth_reissue_admin(struct auth *auth, struct db *db, const char *data_dir, moment now)
{
    struct administering administering = {.auth = auth, .data_dir = data_dir, .now = now};
    return error_wrap(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, administer, &administering),
                      "could not write the administrator's token");
}
