/* Where PostgreSQL's server programs are; see embedded_find_binaries. */
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/db/embedded.h"

#define OLDEST 15

static bool has_programs(const char *folder)
{
    char *initdb = xasprintf("%s/initdb", folder), *postgres = xasprintf("%s/postgres", folder);
    bool both = access(initdb, X_OK) == 0 && access(postgres, X_OK) == 0;
    free(initdb);
    free(postgres);
    return both;
}

/* What pg_config says; NULL when it is not there or points to where no server is (libpq-dev's does). */
static char *ask_pg_config(void)
{
    FILE *answer = popen("pg_config --bindir 2>/dev/null", "re"); /* a constant, nobody's input */
    if (!answer)
        return NULL;
    char line[PATH_MAX];
    bool got = fgets(line, sizeof line, answer) != NULL;
    bool good = pclose(answer) == 0;
    if (!got || !good)
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    return has_programs(line) ? xstrdup(line) : NULL;
}

static char *search_debian(void)
{
    glob_t found;
    char *best = NULL;
    long best_version = OLDEST - 1;
    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            long version = strtol(found.gl_pathv[i] + strlen("/usr/lib/postgresql/"), NULL, 10);
            if (version > best_version && has_programs(found.gl_pathv[i])) {
                best_version = version;
                free(best);
                best = xstrdup(found.gl_pathv[i]);
            }
        }
        globfree(&found);
    }
    return best;
}

struct error *embedded_find_binaries(char **ret_bin_dir)
{
    char *folder = ask_pg_config();
    if (!folder)
        folder = search_debian();
    if (!folder)
        return error_new(ERR_UNSUPPORTED,
                         "no PostgreSQL server programs (initdb, postgres) of version %d or later: install "
                         "postgresql, or configure a database",
                         OLDEST);
    *ret_bin_dir = folder;
    return NULL;
}
