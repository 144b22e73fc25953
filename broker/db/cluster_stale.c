/* What a killed postmaster leaves behind; see cluster_clear_stale. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/db/cluster.h"

#define LEFT_US (30 * MOMENT_SECOND) /* for the backends of a killed postmaster to notice and end */

/* Whether a process works in the cluster's folder, as each of PostgreSQL's does; one that has ended and was
 * not reaped works nowhere. */
static struct error *any_left(const struct cluster *cluster, bool *ret_any)
{
    struct stat folder;
    if (stat(cluster->folder, &folder) < 0)
        return error_new(ERR_IO, "could not look at %s: %s", cluster->folder, strerror(errno));
    DIR *processes = opendir("/proc");
    if (!processes)
        return error_new(ERR_IO, "could not read /proc: %s", strerror(errno));
    *ret_any = false;
    for (struct dirent *entry; !*ret_any && (entry = readdir(processes));) {
        struct stat cwd;
        char path[sizeof "/proc//cwd" + sizeof entry->d_name];
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
            continue;
        (void)snprintf(path, sizeof path, "/proc/%s/cwd", entry->d_name); /* fits any name */
        *ret_any = stat(path, &cwd) == 0 && cwd.st_dev == folder.st_dev && cwd.st_ino == folder.st_ino;
    }
    (void)closedir(processes); /* read only */
    return NULL;
}

static struct error *remove_file(const char *folder, const char *name)
{
    char *path = xasprintf("%s/%s", folder, name);
    struct error *error = NULL;
    if (unlink(path) < 0 && errno != ENOENT)
        error = error_new(ERR_IO, "could not remove %s: %s", path, strerror(errno));
    free(path);
    return error;
}

struct error *cluster_clear_stale(const struct cluster *cluster)
{
    int64_t end = moment_monotonic() + LEFT_US;
    bool any;
    for (;;) {
        TRY(any_left(cluster, &any));
        if (!any)
            break;
        if (moment_monotonic() > end)
            return error_new(ERR_BUSY, "processes of a killed PostgreSQL still work in %s", cluster->folder);
        struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
        (void)nanosleep(&pause, NULL); /* they are not our children: nothing tells when they end */
    }
    TRY(remove_file(cluster->folder, "postmaster.pid"));
    return remove_file(cluster->socket, ".s.PGSQL.5432.lock");
}
