/* What tokens and certificates are checked against: an immutable snapshot of principals, keys and
 * revocations, shared by reference count. auth.c swaps it for a new one when the database has changed. */
#ifndef BROKER_AUTH_AUTH_STATE_H
#define BROKER_AUTH_AUTH_STATE_H

#include <stdint.h>

#include "broker/auth/jwt.h"
#include "broker/auth/keyring.h"
#include "broker/auth/principal.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"

struct auth_state;

/* Reads everything in the caller's transaction (scope: all). `keyring`: the private keys of this broker;
 * borrowed for the call. */
struct error *auth_state_load(struct db *db, const struct keyring *keyring, moment now,
                              struct auth_state **ret_state) ERROR_MUST_USE;
/* A copy with one principal more, unless it is there already (then another reference). */
struct auth_state *auth_state_with(struct auth_state *state, struct principal *principal);
struct auth_state *auth_state_ref(struct auth_state *state);
void auth_state_unref(struct auth_state *state);

/* The database's generation that it was read at. */
int64_t auth_state_generation(const struct auth_state *state);
/* Set by auth.c before it shares the state: grows with every swap that may take something away. */
void auth_state_set_number(struct auth_state *state, uint64_t number);
uint64_t auth_state_number(const struct auth_state *state);

/* NULL: unknown, or disabled. Borrowed from the state. */
struct principal *auth_state_principal(const struct auth_state *state, const char *id);
struct principal *auth_state_by_certificate(const struct auth_state *state, const char *fingerprint);
/* The public key that verifies; borrowed. */
EVP_PKEY *auth_state_key(const struct auth_state *state, const char *kid);
bool auth_state_revoked(const struct auth_state *state, const char *jti);
/* The private key that signs at `now`: of this broker's keys that are not retired, the newest whose time has
 * come, else the newest. NULL: none. */
EVP_PKEY *auth_state_signer(const struct auth_state *state, moment now, const char **ret_kid);

#endif
