/* Authentication: bearer tokens (JWT, EdDSA, issued by the broker) and client certificates by fingerprint.
 * Verified tokens are cached, so a repeated one costs a hash look-up; the cache is emptied whenever a token,
 * key or principal changes (checked every AUTH_REFRESH_US), so a revocation is in force within that time on
 * every broker. Thread-safe. */
#ifndef BROKER_AUTH_AUTH_H
#define BROKER_AUTH_AUTH_H

#include "broker/auth/principal.h"
#include "broker/base/moment.h"

#define AUTH_REFRESH_US MOMENT_SECOND

struct auth;

/* `key_dir` holds the private signing keys (folder 0700, files 0600); the first is made at first start. Loads
 * keys, principals and revocations with `db`, which is borrowed for this call only. */
struct error *auth_new(const char *key_dir, struct db *db, moment now, struct auth **ret_auth) ERROR_MUST_USE;
void auth_free(struct auth *auth);

/* Reads changes from the database when there are any. Called every AUTH_REFRESH_US by a thread of the
 * composition root. */
struct error *auth_refresh(struct auth *auth, struct db *db) ERROR_MUST_USE;

/* From memory alone: safe on an event loop. *ret_principal gets a reference. ERR_UNAUTHENTICATED says why in
 * words that give nothing away (expired, not yet valid, revoked, unknown key, bad signature, malformed). */
struct error *auth_verify_token(struct auth *auth, const char *token, size_t length, moment now,
                                struct principal **ret_principal) ERROR_MUST_USE;
/* `fingerprint`: SHA-256 of the client certificate in DER, 64 lower-case hex digits. */
struct error *auth_verify_certificate(struct auth *auth, const char *fingerprint,
                                      struct principal **ret_principal) ERROR_MUST_USE;

/* A token for a principal, recorded (by jti) in the caller's transaction; lifetime at most TOKEN_LIFE_MAX. */
#define TOKEN_LIFE_MAX (366 * MOMENT_DAY)
#define TOKEN_LIFE_DEFAULT (8 * MOMENT_HOUR)
struct error *auth_issue_token(struct auth *auth, struct db *db, const char *principal_id, int64_t life_us,
                               moment now, struct arena *arena, const char **ret_token,
                               const char **ret_jti) ERROR_MUST_USE;

#endif
