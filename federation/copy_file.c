/* See copy_file.h. */
#include "federation/copy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/arena.h"

struct error *copy_file_error(const char *doing, const char *path)
{
    enum error_code code = errno == ENOSPC || errno == EDQUOT ? ERR_NO_CAPACITY : ERR_IO;
    return error_new(code, "could not %s %s: %s", doing, path, strerror(errno));
}

struct error *copy_file_sync_folder(const char *path)
{
    char *name = xstrdup(path);
    char *slash = strrchr(name, '/');
    if (slash)
        slash[1] = '\0';
    int folder = open(slash ? name : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(name);
    bool good = folder >= 0 && fsync(folder) == 0;
    int why = errno;
    if (folder >= 0)
        (void)close(folder); /* was only synced */
    errno = why;
    return good ? NULL : copy_file_error("write the folder of", path);
}

struct error *copy_file_write(int file, const char *path, const void *bytes, size_t length)
{
    for (const char *at = bytes; length;) {
        ssize_t wrote = write(file, at, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return copy_file_error("write", path);
        at += wrote;
        length -= (size_t)wrote;
    }
    return NULL;
}
