/* SQL of principals as the API changes them. Rules are principal.h's; scope is row-level security's. */
#ifndef BROKER_AUTH_PRINCIPAL_STORE_H
#define BROKER_AUTH_PRINCIPAL_STORE_H

#include "broker/auth/principal.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"

struct principal_row {
    struct principal_grant grant;
    const char *name;        /* for people; NULL: none */
    const char *certificate; /* fingerprint as in auth_verify_certificate; NULL: none */
    bool disabled;
    int64_t version;
};

/* Checks by principal_check. ERR_EXISTS when the id or the certificate is taken. */
struct error *principal_store_insert(struct db *db, const struct principal_row *row,
                                     moment now) ERROR_MUST_USE;
/* Locks the row against change. Text and lists are in the arena. ERR_NOT_FOUND "no such principal". */
struct error *principal_store_lock(struct db *db, const char *id, struct arena *arena,
                                   struct principal_row *ret_row) ERROR_MUST_USE;
/* Writes name, certificate, disabled, systems and clouds. ERR_CONFLICT when it would leave no platform-admin
 * that is not disabled. */
struct error *principal_store_update(struct db *db, const struct principal_row *row,
                                     moment now) ERROR_MUST_USE;

#endif
