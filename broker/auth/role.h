/* Roles and their permissions. Which role holds which permission is data: roles.csv, a column for each role,
 * embedded in the program. A permission is `resource:verb`, e.g. "orders:write". */
#ifndef BROKER_AUTH_ROLE_H
#define BROKER_AUTH_ROLE_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/base/error.h"

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

const char *role_name(enum role role);
/* ERR_INVALID for any other text. */
struct error *role_parse(const char *name, enum role *ret_role) ERROR_MUST_USE;
/* The three roles that are bound to one unit. */
bool role_of_unit(enum role role);

/* Whether the role holds the permission; false for a permission that roles.csv does not have. */
bool role_may(enum role role, const char *permission);
/* Whether roles.csv has the permission: for checks of route tables, since a misspelt one is held by nobody.
 */
bool role_permission_known(const char *permission);
/* The permissions in the order of roles.csv, for listing: NULL past the last. */
const char *role_permission_at(size_t index);

#endif
