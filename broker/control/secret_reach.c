/* See secret_reach.h. */
#include "broker/control/secret_reach.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/secret.h"

#define OWN_SETTINGS "YUNQIAO_"
#define FOR_SECRETS "YUNQIAO_SECRET_"

static bool starts(const char *text, const char *with)
{
    return !strncmp(text, with, strlen(with));
}

/* Both are absolute and without links. */
static bool is_below(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    return !strncmp(path, folder, length) && (path[length] == '/' || (length && folder[length - 1] == '/'));
}

/* The folder may be missing yet, or be given by a link. */
static bool is_in(const char *path, const char *folder)
{
    char *real = realpath(folder, NULL);
    bool in = is_below(path, real ? real : folder);
    free(real);
    return in;
}

static struct error *check_file(const struct secret_reach *reach, const char *path)
{
    if (strstr(path, "/../") || strstr(path, "/./") || strstr(path, "//"))
        return error_new(ERR_INVALID, "a secret's file is named without \".\", \"..\" and \"//\"");
    char *real = realpath(path, NULL);
    const char *meant = real ? real : path;
    struct error *error = NULL;
    if (reach->own && (is_in(meant, reach->own) || is_below(path, reach->own)))
        error = error_new(ERR_INVALID, "what lies in the broker's own data folder is no endpoint's secret");
    else if (reach->within && !is_in(meant, reach->within))
        error = error_new(ERR_INVALID, "secrets are read from files in the folder secret_dir alone");
    free(real);
    return error;
}

struct error *secret_reach_check(const struct secret_reach *reach, const char *reference)
{
    TRY(secret_check(reference));
    const char *rest = strchr(reference, ':') + 1; /* secret_check saw it */
    if (starts(reference, "file:"))
        return check_file(reach, rest);
    if (starts(reference, "env:") &&
        (starts(rest, "PG") || (starts(rest, OWN_SETTINGS) && !starts(rest, FOR_SECRETS))))
        return error_new(ERR_INVALID,
                         "the broker's own settings are no endpoint's secret: name the variable " FOR_SECRETS
                         "…");
    return NULL;
}
