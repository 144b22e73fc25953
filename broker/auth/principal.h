/* Who calls, with which role, over which scope. A principal is an immutable, reference-counted value made by
 * auth.c from the database's row; everything that decides on access asks this header. Roles and their
 * permissions are data: roles.csv. */
#ifndef BROKER_AUTH_PRINCIPAL_H
#define BROKER_AUTH_PRINCIPAL_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/base/error.h"
#include "broker/db/db.h"

#define ROLES(X)                                     \
    X(ROLE_PLATFORM_ADMIN, "platform-admin")         \
    X(ROLE_REGULATOR, "regulator")                   \
    X(ROLE_PROVIDER_OPERATOR, "provider-operator")   \
    X(ROLE_UNIT_ADMIN, "unit-admin")                 \
    X(ROLE_UNIT_OPERATOR, "unit-operator")           \
    X(ROLE_MIGRATION_ENGINEER, "migration-engineer") \
    X(ROLE_AUDITOR, "auditor")

enum role {
#define X(symbol, name) symbol,
    ROLES(X)
#undef X
        ROLE_COUNT
};

struct principal;

const char *principal_id(const struct principal *principal); /* "alice", a name of ours */
enum role principal_role(const struct principal *principal);
const char *role_name(enum role role);
struct error *role_parse(const char *name, enum role *ret_role) ERROR_MUST_USE;

/* Whether the role holds a permission such as "orders:write". */
bool principal_may(const struct principal *principal, const char *permission);

/* Whether the scope holds the thing. platform-admin and auditor see all; a regulator its clouds (none listed:
 * all); a provider-operator its provider; unit roles and migration-engineer their unit (and systems, when
 * listed). */
bool principal_sees_unit(const struct principal *principal, const char *unit);
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

#endif
