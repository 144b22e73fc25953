/* Who runs the embedded cluster, and the folders that are theirs; see cluster.h. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/db/cluster.h"

#define DEFAULT_USER "postgres"

struct error *cluster_user_choose(struct cluster *cluster, const char *name)
{
    cluster->as_user = geteuid() == 0;
    cluster->uid = geteuid();
    cluster->gid = getegid();
    if (!cluster->as_user)
        return NULL;
    if (!name)
        name = DEFAULT_USER;
    char space[4096];
    struct passwd entry, *found = NULL;
    int failed = getpwnam_r(name, &entry, space, sizeof space, &found);
    if (failed)
        return error_new(ERR_IO, "could not look up the user %s: %s", name, strerror(failed));
    if (!found)
        return error_new(ERR_UNSUPPORTED,
                         "PostgreSQL refuses to run as root and there is no user \"%s\": install postgresql, "
                         "or configure an unprivileged user for the embedded database",
                         name);
    if (entry.pw_uid == 0)
        return error_new(ERR_INVALID, "PostgreSQL refuses to run as root: \"%s\" is root", name);
    cluster->uid = entry.pw_uid;
    cluster->gid = entry.pw_gid;
    cluster->user = xstrdup(name);
    return NULL;
}

struct error *cluster_private_folder(const struct cluster *cluster, const char *path)
{
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST)
        return error_new(ERR_IO, "could not make %s: %s", path, strerror(errno));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_new(ERR_IO, "could not open %s: %s", path, strerror(errno));
    struct error *error = NULL;
    struct stat status;
    if (made && cluster->as_user && fchown(fd, cluster->uid, cluster->gid) < 0)
        error = error_new(ERR_IO, "could not give %s to %s: %s", path, cluster->user, strerror(errno));
    else if (fstat(fd, &status) < 0)
        error = error_new(ERR_IO, "could not look at %s: %s", path, strerror(errno));
    else if (status.st_uid != cluster->uid)
        error = error_new(ERR_DENIED, "%s belongs to user %u, not to %u, who runs the embedded database",
                          path, (unsigned)status.st_uid, (unsigned)cluster->uid);
    else if ((status.st_mode & 07777) != 0700 && fchmod(fd, 0700) < 0)
        error = error_new(ERR_IO, "could not make %s private: %s", path, strerror(errno));
    (void)close(fd); /* nothing was written */
    return error;
}

struct error *cluster_check_reach(const struct cluster *cluster, const char *path)
{
    if (!cluster->as_user)
        return NULL;
    char *part = xstrdup(path);
    struct error *error = NULL;
    for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        struct stat status;
        if (stat(part, &status) < 0) {
            error = error_new(ERR_IO, "could not look at %s: %s", part, strerror(errno));
        } else {
            mode_t bit = status.st_uid == cluster->uid   ? S_IXUSR
                         : status.st_gid == cluster->gid ? S_IXGRP
                                                         : S_IXOTH;
            if (!(status.st_mode & bit))
                error =
                    error_new(ERR_DENIED,
                              "%s does not let the user %s pass, who runs the embedded database: chmod o+x "
                              "it, or put the data directory elsewhere",
                              part, cluster->user);
        }
        if (!slash || error)
            break;
        *slash = '/';
    }
    free(part);
    return error;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status; /* nftw's form */
    (void)type;
    (void)walk;
    return remove(path);
}

struct error *cluster_remove_tree(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0 && errno != ENOENT)
        return error_new(ERR_IO, "could not remove %s: %s", path, strerror(errno));
    return NULL;
}
