/* Principals; see principal.h. */
#include "broker/auth/principal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"
#include "broker/base/buf.h"
#include "broker/base/id.h"

#define LIST_TEXT_MAX (PRINCIPAL_LIST_MAX * 64)

struct principal {
    atomic_uint references;
    enum role role;
    char *id;
    char *unit;
    char *provider;
    char *systems; /* comma-joined; NULL: none listed */
    char *clouds;
    struct db_scope scope;
};

static void check_list(struct error **errors, const char *pointer, bool allowed, const char *const *items,
                       size_t count)
{
    if (count && !allowed)
        error_collect(errors, pointer, "not for this role");
    if (count > PRINCIPAL_LIST_MAX)
        error_collect(errors, pointer, "at most %d", PRINCIPAL_LIST_MAX);
    for (size_t i = 0; i < count && i < PRINCIPAL_LIST_MAX; i++)
        if (!name_valid(items[i], 63))
            error_collect(errors, pointer, "item %zu is not a name", i);
}

static void check_owner(struct error **errors, const char *pointer, bool wanted, const char *name)
{
    if (wanted && !name)
        error_collect(errors, pointer, "required for this role");
    else if (!wanted && name)
        error_collect(errors, pointer, "not for this role");
    else if (name && !name_valid(name, 63))
        error_collect(errors, pointer, "not a name");
}

struct error *principal_check(const struct principal_grant *grant)
{
    struct error *errors = NULL;
    bool of_unit = role_of_unit(grant->role);
    if (!name_valid(grant->id, 63))
        error_collect(&errors, "/id", "not a name");
    check_owner(&errors, "/unit", of_unit, grant->unit);
    check_owner(&errors, "/provider", grant->role == ROLE_PROVIDER_OPERATOR, grant->provider);
    check_list(&errors, "/systems", of_unit, grant->systems, grant->system_count);
    check_list(&errors, "/clouds", grant->role == ROLE_REGULATOR, grant->clouds, grant->cloud_count);
    return errors;
}

/* Items are names, so a comma never is part of one. NULL when there is none. */
static char *join(const char *const *items, size_t count)
{
    if (!count)
        return NULL;
    struct buf text = BUF_INIT(LIST_TEXT_MAX);
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%s%s", i ? "," : "", items[i]);
    return text.data; /* within the cap: principal_check counted */
}

static bool listed(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (!strncmp(at, name, length) && (at[length] == ',' || !at[length]))
            return true;
    }
    return false;
}

static char *copy(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

struct error *principal_new(const struct principal_grant *grant, struct principal **ret_principal)
{
    TRY(principal_check(grant));
    struct principal *principal = xcalloc(1, sizeof *principal);
    atomic_init(&principal->references, 1);
    principal->role = grant->role;
    principal->id = xstrdup(grant->id);
    principal->unit = copy(grant->unit);
    principal->provider = copy(grant->provider);
    principal->systems = join(grant->systems, grant->system_count);
    principal->clouds = join(grant->clouds, grant->cloud_count);
    principal->scope = (struct db_scope){
        .all = principal->role == ROLE_PLATFORM_ADMIN || principal->role == ROLE_AUDITOR ||
               (principal->role == ROLE_REGULATOR && !principal->clouds),
        .units = principal->unit,
        .systems = principal->systems,
        .clouds = principal->clouds,
        .providers = principal->provider,
    };
    *ret_principal = principal;
    return NULL;
}

struct principal *principal_ref(struct principal *principal)
{
    atomic_fetch_add_explicit(&principal->references, 1, memory_order_relaxed);
    return principal;
}

void principal_unref(struct principal *principal)
{
    if (!principal || atomic_fetch_sub_explicit(&principal->references, 1, memory_order_acq_rel) != 1)
        return;
    free(principal->id);
    free(principal->unit);
    free(principal->provider);
    free(principal->systems);
    free(principal->clouds);
    free(principal);
}

const char *principal_id(const struct principal *principal)
{
    return principal->id;
}

enum role principal_role(const struct principal *principal)
{
    return principal->role;
}

bool principal_may(const struct principal *principal, const char *permission)
{
    return role_may(principal->role, permission);
}

bool principal_sees_all(const struct principal *principal)
{
    return principal->scope.all;
}

bool principal_sees_unit(const struct principal *principal, const char *unit)
{
    return principal->scope.all || (unit && principal->unit && !strcmp(principal->unit, unit));
}

bool principal_sees_system(const struct principal *principal, const char *unit, const char *system)
{
    if (!principal_sees_unit(principal, unit))
        return false;
    return principal->scope.all || !principal->systems || (system && listed(principal->systems, system));
}

bool principal_sees_cloud(const struct principal *principal, const char *cloud)
{
    return principal->scope.all || (cloud && principal->clouds && listed(principal->clouds, cloud));
}

bool principal_sees_provider(const struct principal *principal, const char *provider)
{
    return principal->scope.all ||
           (provider && principal->provider && !strcmp(principal->provider, provider));
}

const char *principal_unit(const struct principal *principal)
{
    return principal->unit;
}

const char *principal_provider(const struct principal *principal)
{
    return principal->provider;
}

const struct db_scope *principal_scope(const struct principal *principal)
{
    return &principal->scope;
}

struct error *principal_may_manage(const struct principal *actor, const struct principal_grant *grant)
{
    if (actor->role == ROLE_PLATFORM_ADMIN)
        return NULL;
    if (actor->role != ROLE_UNIT_ADMIN)
        return error_new(ERR_DENIED, "only a platform-admin or a unit-admin manages principals");
    if (!role_of_unit(grant->role) || !grant->unit || strcmp(actor->unit, grant->unit))
        return error_new(ERR_DENIED, "a unit-admin manages the unit roles of its own unit");
    if (!actor->systems)
        return NULL;
    if (!grant->system_count)
        return error_new(ERR_DENIED, "a unit-admin of listed systems cannot grant the whole unit");
    for (size_t i = 0; i < grant->system_count; i++)
        if (!listed(actor->systems, grant->systems[i]))
            return error_new(ERR_DENIED, "a unit-admin of listed systems grants only those");
    return NULL;
}
