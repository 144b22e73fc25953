/* SQL of identity as auth.c needs it: what tokens are checked against, and the keys' and tokens' own rows. */
#ifndef BROKER_AUTH_AUTH_STORE_H
#define BROKER_AUTH_AUTH_STORE_H

#include "broker/auth/keyring.h"
#include "broker/auth/principal.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"

/* The number that grows with every change of principals, keys and revocations. */
struct error *auth_store_generation(struct db *db, int64_t *ret_generation) ERROR_MUST_USE;

/* id, role, unit_id, provider_id, systems, clouds, certificate of every principal that is not disabled. */
struct error *auth_store_principals(struct db *db, struct db_rows **ret_rows) ERROR_MUST_USE;
/* Those columns of one row as a grant; lists are in the arena, text is the rows'. ERR_INVALID for a role that
 * this version does not know. */
struct error *auth_store_grant(const struct db_rows *rows, size_t row, struct arena *arena,
                               struct principal_grant *ret_grant) ERROR_MUST_USE;
/* The same of one principal that the caller's scope sees, locked against change until the transaction ends;
 * ERR_NOT_FOUND, or ERR_CONFLICT when it is disabled. */
struct error *auth_store_lock_principal(struct db *db, const char *id,
                                        struct db_rows **ret_rows) ERROR_MUST_USE;

/* kid, public_key, signs_from, retires_at (NULL: not retired) of every key that may still verify
 * at `now`. */
struct error *auth_store_keys(struct db *db, moment now, struct db_rows **ret_rows) ERROR_MUST_USE;
/* jti of every token that was revoked and has not expired at `now`. */
struct error *auth_store_revoked(struct db *db, moment now, struct db_rows **ret_rows) ERROR_MUST_USE;

/* Records the public half; a key that is there already stays as it is. */
struct error *auth_store_add_key(struct db *db, const struct keyring_key *key, moment now,
                                 moment signs_from) ERROR_MUST_USE;
/* Whether a key may still sign: *ret_known says whether there is a row, *ret_retires is the end of its
 * signing (0: none was set), a revoked one ended at its beginning. */
struct error *auth_store_key_state(struct db *db, const char *kid, bool *ret_known,
                                   moment *ret_retires) ERROR_MUST_USE;
/* Ends the signing of every key that has no end yet. */
struct error *auth_store_retire_keys(struct db *db, moment at, int64_t *ret_count) ERROR_MUST_USE;
struct error *auth_store_revoke_key(struct db *db, const char *kid, moment now) ERROR_MUST_USE;

struct error *auth_store_add_token(struct db *db, const struct jwt_claims *claims,
                                   const char *unit) ERROR_MUST_USE;
/* The row of the principal that a token is of, for auth_store_grant. ERR_NOT_FOUND "no such token". */
struct error *auth_store_token_owner(struct db *db, const char *jti,
                                     struct db_rows **ret_rows) ERROR_MUST_USE;
struct error *auth_store_revoke_token(struct db *db, const char *jti, moment now) ERROR_MUST_USE;
struct error *auth_store_purge_tokens(struct db *db, moment expired_before,
                                      int64_t *ret_count) ERROR_MUST_USE;

/* Takes the turn of changing identity, which every other change waits for until the transaction ends. */
struct error *auth_store_lock(struct db *db) ERROR_MUST_USE;
struct error *auth_store_any_principal(struct db *db, bool *ret_any) ERROR_MUST_USE;

#endif
