/* Roles; see role.h. The table is read from the embedded roles.csv once and never changes. */
#include "broker/auth/role.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"

extern const unsigned char roles_csv[];
extern const size_t roles_csv_size;

struct permission {
    const char *name;
    unsigned holders; /* bit per role */
};

static struct {
    char *text; /* the file, cut into fields */
    struct permission *permissions;
    size_t count;
    enum role columns[ROLE_COUNT];
} table;
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static const char *const names[] = {
#define X(symbol, name) [symbol] = (name),
    ROLES(X)
#undef X
};

const char *role_name(enum role role)
{
    return names[role];
}

static bool find_role(const char *name, enum role *ret_role)
{
    for (int i = 0; i < ROLE_COUNT; i++) {
        if (!strcmp(names[i], name)) {
            *ret_role = (enum role)i;
            return true;
        }
    }
    return false;
}

struct error *role_parse(const char *name, enum role *ret_role)
{
    if (!find_role(name, ret_role))
        return error_new(ERR_INVALID, "no such role");
    return NULL;
}

bool role_of_unit(enum role role)
{
    return role == ROLE_UNIT_ADMIN || role == ROLE_UNIT_OPERATOR || role == ROLE_MIGRATION_ENGINEER;
}

/* The file is part of the program: a fault in it is a fault of the build, found by the first run. */
static void refuse(size_t line, const char *what)
{
    (void)fprintf(stderr, "roles.csv line %zu: %s\n", line, what);
    abort();
}

/* The role columns in the order of the file, each role once. */
static void read_header(char *line)
{
    unsigned seen = 0;
    char *rest = line;
    char *field = strsep(&rest, ",");
    if (strcmp(field, "permission"))
        refuse(1, "the first column is not `permission`");
    for (int i = 0; i < ROLE_COUNT; i++) {
        field = strsep(&rest, ",");
        if (!field || !find_role(field, &table.columns[i]) || seen & 1u << table.columns[i])
            refuse(1, "not every role has its one column");
        seen |= 1u << table.columns[i];
    }
    if (rest)
        refuse(1, "a column too many");
}

static void read_permission(size_t number, char *line)
{
    struct permission *permission = &table.permissions[table.count];
    char *rest = line;
    permission->name = strsep(&rest, ",");
    if (!strchr(permission->name, ':') || (table.count && strcmp(permission[-1].name, permission->name) >= 0))
        refuse(number, "permissions are resource:verb, in order, each once");
    for (int i = 0; i < ROLE_COUNT; i++) {
        const char *field = strsep(&rest, ",");
        if (!field || (*field && strcmp(field, "x")))
            refuse(number, "each role has `x` or nothing");
        if (*field)
            permission->holders |= 1u << table.columns[i];
    }
    if (rest)
        refuse(number, "a column too many");
    table.count++;
}

static void load(void)
{
    table.text = xmalloc(roles_csv_size + 1);
    memcpy(table.text, roles_csv, roles_csv_size);
    table.text[roles_csv_size] = '\0';
    size_t lines = 0;
    for (const char *at = table.text; *at; at++)
        lines += *at == '\n';
    table.permissions = xcalloc(lines + 1, sizeof *table.permissions);
    char *rest = table.text;
    for (size_t number = 1; rest && *rest; number++) {
        char *line = strsep(&rest, "\n");
        if (number == 1)
            read_header(line);
        else
            read_permission(number, line);
    }
}

static int compare(const void *key, const void *item)
{
    return strcmp(key, ((const struct permission *)item)->name);
}

static const struct permission *find(const char *permission)
{
    (void)pthread_once(&table_once, load); /* cannot fail on Linux */
    return bsearch(permission, table.permissions, table.count, sizeof *table.permissions, compare);
}

bool role_may(enum role role, const char *permission)
{
    const struct permission *found = find(permission);
    return found && found->holders & 1u << role;
}

bool role_permission_known(const char *permission)
{
    return find(permission) != NULL;
}

const char *role_permission_at(size_t index)
{
    (void)pthread_once(&table_once, load); /* cannot fail on Linux */
    return index < table.count ? table.permissions[index].name : NULL;
}
