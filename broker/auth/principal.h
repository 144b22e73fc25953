/* Who calls, with which role, over which scope. A principal is an immutable, reference-counted value made
 * from the database's row; everything that decides on access asks this header. Which role holds which
 * permission is data: roles.csv (role.h). */
#ifndef BROKER_AUTH_PRINCIPAL_H
#define BROKER_AUTH_PRINCIPAL_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/auth/role.h"
#include "broker/base/error.h"
#include "broker/db/db.h"

struct principal;

const char *principal_id(const struct principal *principal); /* "alice", a name of ours */
enum role principal_role(const struct principal *principal);

/* Whether the role holds a permission such as "orders:write". */
bool principal_may(const struct principal *principal, const char *permission);

/* Whether the scope holds the thing. platform-admin and auditor see all; a regulator its clouds (none listed:
 * all); a provider-operator its provider; unit roles and migration-engineer their unit (and systems, when
 * listed). They tell whose rows a caller sees, as row-level security does; the clouds and providers
 * themselves are open to all who hold clouds:read and providers:read. A NULL name is in no scope but that of
 * those who see all. */
bool principal_sees_all(const struct principal *principal);
bool principal_sees_unit(const struct principal *principal, const char *unit);
/* `system` NULL: the unit's own things, outside its systems; not seen by who is bound to listed systems. */
bool principal_sees_system(const struct principal *principal, const char *unit, const char *system);
bool principal_sees_cloud(const struct principal *principal, const char *cloud);
bool principal_sees_provider(const struct principal *principal, const char *provider);
const char *principal_unit(const struct principal *principal); /* of a unit role; NULL for the others */
const char *
principal_provider(const struct principal *principal); /* of a provider-operator; NULL for the others */

/* For row-level security; lives as long as the principal. */
const struct db_scope *principal_scope(const struct principal *principal);

struct principal *principal_ref(struct principal *principal);
void principal_unref(struct principal *principal);

/* What a principal is made of: a row of the database or of a request. Text is borrowed. */
struct principal_grant {
    const char *id;
    enum role role;
    const char *unit;     /* unit roles: required; others: NULL */
    const char *provider; /* provider-operator: required; others: NULL */
    const char *const *systems;
    size_t system_count; /* unit roles only; 0: all of the unit */
    const char *const *clouds;
    size_t cloud_count; /* regulator only; 0: all clouds */
};
#define PRINCIPAL_LIST_MAX 200 /* systems or clouds of one principal */

/* The rules above, every violation with its JSON pointer ("/unit"). */
struct error *principal_check(const struct principal_grant *grant) ERROR_MUST_USE;
/* Checks and copies; the caller gets the one reference. */
struct error *principal_new(const struct principal_grant *grant,
                            struct principal **ret_principal) ERROR_MUST_USE;

/* Whether `actor` may make, change or issue tokens for such a principal: a platform-admin any; a unit-admin
 * those of unit roles in its own unit, and within its own systems when it is bound to some; else ERR_DENIED.
 * The permission itself (principals:write) is the route's business. */
struct error *principal_may_manage(const struct principal *actor,
                                   const struct principal_grant *grant) ERROR_MUST_USE;

#endif
