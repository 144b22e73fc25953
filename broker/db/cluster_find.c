/* Where PostgreSQL's server programs are; see embedded_find_binaries. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
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

/* The major version of `folder`'s server, from "postgres (PostgreSQL) 15.20 (Debian …)"; 0 when it tells
 * none. */
static long version_of(const char *folder)
{
    char *program = xasprintf("%s/postgres", folder);
    long version = 0;
    int ends[2];
    posix_spawn_file_actions_t actions;
    char flag[] = "-V", none[] = "LC_ALL=C";
    char *argv[] = {program, flag, NULL}, *env[] = {none, NULL};
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        free(program);
        return 0;
    }
    bool started = posix_spawn_file_actions_init(&actions) == 0 &&
                   posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO) == 0 &&
                   posix_spawn(&pid, program, &actions, NULL, argv, env) == 0;
    (void)posix_spawn_file_actions_destroy(&actions); /* cannot fail once made */
    (void)close(ends[1]);
    char line[128];
    ssize_t length = started ? read(ends[0], line, sizeof line - 1) : -1;
    (void)close(ends[0]);
    while (started && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    line[length > 0 ? length : 0] = '\0';
    const char *number = strpbrk(line, "0123456789");
    if (number)
        version = strtol(number, NULL, 10);
    free(program);
    return version;
}

static bool fits(const char *folder, const char *version)
{
    if (!has_programs(folder))
        return false;
    long found = version_of(folder);
    return version ? found == strtol(version, NULL, 10) : found >= OLDEST;
}

/* What pg_config says; NULL when it is not there or points to where no server is (libpq-dev's does). */
static char *ask_pg_config(const char *version)
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
    return fits(line, version) ? xstrdup(line) : NULL;
}

static char *search_debian(const char *version)
{
    glob_t found;
    char *best = NULL;
    long best_version = OLDEST - 1;
    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            long number = strtol(found.gl_pathv[i] + strlen("/usr/lib/postgresql/"), NULL, 10);
            if (number > best_version && fits(found.gl_pathv[i], version)) {
                best_version = number;
                free(best);
                best = xstrdup(found.gl_pathv[i]);
            }
        }
        globfree(&found);
    }
    return best;
}

struct error *embedded_find_binaries(const char *bin_dir, const char *version, char **ret_bin_dir)
{
    char *folder = NULL;
    if (bin_dir) {
        if (fits(bin_dir, version))
            folder = xstrdup(bin_dir);
    } else {
        folder = ask_pg_config(version);
        if (!folder)
            folder = search_debian(version);
    }
    if (!folder)
        return error_new(ERR_UNSUPPORTED,
                         "no PostgreSQL server programs (initdb, postgres) of version %s%s in %s: install "
                         "postgresql%s%s, or configure a database",
                         version ? version : "15", version ? "" : " or later",
                         bin_dir ? bin_dir : "the folders of pg_config and /usr/lib/postgresql",
                         version ? "-" : "", version ? version : "");
    *ret_bin_dir = folder;
    return NULL;
}
