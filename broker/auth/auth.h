/* Authentication: bearer tokens (JWT, EdDSA, issued by the broker) and client certificates by fingerprint.
 * Principals, public keys and revocations are kept in memory, read again whenever one of them changes (looked
 * for every AUTH_REFRESH_US), so a revocation is in force within that time on every broker. Verified tokens
 * are cached, so a repeated one costs a look-up; a changed state makes each be judged again, without its
 * signature. Thread-safe. */
#ifndef BROKER_AUTH_AUTH_H
#define BROKER_AUTH_AUTH_H

#include "broker/auth/principal.h"
#include "broker/base/arena.h"
#include "broker/base/moment.h"

#define AUTH_REFRESH_US MOMENT_SECOND

struct auth;

/* `key_dir` holds the private signing keys (folder 0700, files 0600); the first is made at first start, also
 * when several brokers that share it start at once. Loads keys, principals and revocations with `db`, which
 * is borrowed for this call only and must not be in a transaction. */
struct error *auth_new(const char *key_dir, struct db *db, moment now, struct auth **ret_auth) ERROR_MUST_USE;
void auth_free(struct auth *auth);

/* Reads changes from the database when there are any; makes this broker a new signing key when its last one
 * was retired, and deletes the private half of what signs no more. Called every AUTH_REFRESH_US by a thread
 * of the composition root, outside a transaction. While it fails the last state stays in force. */
struct error *auth_refresh(struct auth *auth, struct db *db, moment now) ERROR_MUST_USE;

/* From memory alone: safe on an event loop. *ret_principal gets a reference. ERR_UNAUTHENTICATED says why in
 * words that give nothing away (expired, not yet valid, revoked, unknown key, bad signature, malformed). */
struct error *auth_verify_token(struct auth *auth, const char *token, size_t length, moment now,
                                struct principal **ret_principal) ERROR_MUST_USE;
/* `fingerprint`: SHA-256 of the client certificate in DER, 64 lower-case hex digits. */
struct error *auth_verify_certificate(struct auth *auth, const char *fingerprint,
                                      struct principal **ret_principal) ERROR_MUST_USE;

/* A token for a principal that the caller's scope sees, recorded (by jti) in the caller's transaction;
 * lifetime TOKEN_LIFE_MIN to TOKEN_LIFE_MAX, counted from the whole second. `actor` NULL: the broker itself;
 * otherwise principal_may_manage decides. This broker accepts the token at once, others within
 * AUTH_REFRESH_US. */
#define TOKEN_LIFE_MIN (1 * MOMENT_MINUTE)
#define TOKEN_LIFE_MAX (366 * MOMENT_DAY)
#define TOKEN_LIFE_DEFAULT (8 * MOMENT_HOUR)
struct error *auth_issue_token(struct auth *auth, struct db *db, const struct principal *actor,
                               const char *principal_id, int64_t life_us, moment now, struct arena *arena,
                               const char **ret_token, const char **ret_jti) ERROR_MUST_USE;
/* In the caller's transaction and scope; revoking again changes nothing. `actor` may revoke its own tokens
 * and those of whom it manages (principal_may_manage); NULL: the broker. ERR_NOT_FOUND, ERR_DENIED. */
struct error *auth_revoke_token(struct db *db, const struct principal *actor, const char *jti,
                                moment now) ERROR_MUST_USE;

/* Ed25519 over the bytes with the key that signs this broker's tokens at `now`: what is signed for another
 * purpose begins with words that no token begins with. *ret_kid and *ret_signature (base64url) are in the
 * arena. Anyone can check it with the public half (GET /v1/keys). ERR_UNAVAILABLE between two keys. */
struct error *auth_sign(struct auth *auth, moment now, const void *bytes, size_t length, struct arena *arena,
                        const char **ret_kid, const char **ret_signature) ERROR_MUST_USE;

/* In the caller's transaction: every key stops signing after AUTH_KEY_OVERLAP; within AUTH_REFRESH_US each
 * broker makes itself a new one. Old keys verify until their tokens have expired. *ret_count: keys retired.
 */
#define AUTH_KEY_OVERLAP (5 * MOMENT_SECOND)
/* A new key signs this long after it was made, so that every broker knows it by then. */
#define AUTH_KEY_SETTLE (3 * MOMENT_SECOND)
struct error *auth_rotate_keys(struct db *db, moment now, int64_t *ret_count) ERROR_MUST_USE;
/* In the caller's transaction, for a key that leaked: every token that it signed is refused. ERR_NOT_FOUND.
 */
struct error *auth_revoke_key(struct db *db, const char *kid, moment now) ERROR_MUST_USE;

/* In the caller's transaction: forgets at most 1000 tokens that expired more than TOKEN_KEEP ago. */
#define TOKEN_KEEP (30 * MOMENT_DAY)
struct error *auth_purge_tokens(struct db *db, moment now, int64_t *ret_count) ERROR_MUST_USE;

/* First start: when there is no principal at all, makes `admin` (platform-admin) and writes a token for it to
 * data_dir/admin.token (0600, whole or not at all). *ret_made (may be NULL) says whether it did. Not in a
 * transaction. */
#define AUTH_ADMIN "admin"
#define AUTH_ADMIN_TOKEN_LIFE MOMENT_DAY
struct error *auth_bootstrap(struct auth *auth, struct db *db, const char *data_dir, moment now,
                             bool *ret_made) ERROR_MUST_USE;
/* Writes a fresh token for `admin` to the same file: for who can start the daemon but lost the token. */
struct error *auth_reissue_admin(struct auth *auth, struct db *db, const char *data_dir,
                                 moment now) ERROR_MUST_USE;

#endif
