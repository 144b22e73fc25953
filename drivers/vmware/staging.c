/* See staging.h. */
#include "drivers/vmware/staging.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ID_TAIL 24 /* where the last part of a UUID begins: the random one */

static struct error *failed(const char *what, const char *path)
{
    int reason = errno;
    enum error_code code = reason == ENOSPC || reason == EDQUOT || reason == EFBIG ? ERR_NO_CAPACITY
                           : reason == ENOENT                                      ? ERR_NOT_FOUND
                                                                                   : ERR_INTERNAL;
    return error_new(code, "could not %s %s: %s", what, path, strerror(reason));
}

/* Removes "PID-….sock" of processes that are gone. */
static void sweep(const char *folder)
{
    DIR *list = opendir(folder);
    if (!list)
        return;
    for (const struct dirent *entry; (entry = readdir(list));) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        size_t length = strlen(entry->d_name);
        if (pid > 0 && *end == '-' && length > 5 && strcmp(entry->d_name + length - 5, ".sock") == 0 &&
            kill((pid_t)pid, 0) < 0 && errno == ESRCH)
            (void)unlinkat(dirfd(list), entry->d_name, 0); /* another broker may be quicker */
    }
    closedir(list);
}

struct error *staging_folder(const struct driver_session *session, struct arena *arena,
                             const char **ret_folder)
{
    const char *chosen = session->options.staging_folder, *temporary = getenv("TMPDIR");
    const char *folder =
        chosen ? chosen
               : arena_printf(arena, "%s/yunqiao-%u", temporary && *temporary ? temporary : "/tmp",
                              (unsigned)geteuid());
    struct stat status;
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return failed("make the folder", folder);
    if (lstat(folder, &status) < 0)
        return failed("look at the folder", folder);
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || status.st_mode & 022)
        return error_new(ERR_INVALID, "%s is no folder that only this user can write to", folder);
    sweep(folder);
    *ret_folder = folder;
    return NULL;
}

const char *staging_socket(struct arena *arena, const char *folder, const char *export_id, size_t index)
{
    return arena_printf(arena, "%s/%ld-%s-%zu.sock", folder, (long)getpid(), export_id + ID_TAIL, index);
}

const char *staging_path(struct arena *arena, const char *folder, const char *export_id, const char *disk)
{
    return arena_printf(arena, "%s/%s-%s.raw", folder, export_id, disk);
}

bool staging_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

struct error *staging_room(const char *folder, uint64_t bytes)
{
    struct statvfs status;
    if (statvfs(folder, &status) < 0)
        return failed("look at the file system of", folder);
    uint64_t room = (uint64_t)status.f_bavail * status.f_frsize;
    if (room < bytes)
        return error_new(ERR_NO_CAPACITY, "%s has %llu MB free, the disks may need %llu MB", folder,
                         (unsigned long long)(room >> 20), (unsigned long long)(bytes >> 20));
    return NULL;
}

static struct error *make_part(const char *part, uint64_t size, staging_fill *fill, void *context)
{
    int file = open(part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return failed("make", part);
    struct error *error = ftruncate(file, (off_t)size) < 0 ? failed("size", part) : NULL;
    if (!error && fill)
        error = fill(context, file);
    if (!error && fsync(file) < 0)
        error = failed("write", part);
    close(file);
    return error;
}

struct error *staging_make(const char *path, uint64_t size, staging_fill *fill, void *context)
{
    if (staging_exists(path))
        return NULL;
    ARENA_AUTO struct arena *arena = arena_new();
    const char *part = arena_printf(arena, "%s.part", path);
    struct error *error = make_part(part, size, fill, context);
    if (!error && rename(part, path) < 0)
        error = failed("name", path);
    if (error)
        (void)unlink(part); /* it may not have been made */
    return error;
}

struct error *staging_open(const char *path, int *ret_file)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return failed("open", path);
    *ret_file = file;
    return NULL;
}

void staging_remove(const char *path)
{
    (void)unlink(path); /* gone is as good */
}

static bool all_zero(const char *data, size_t length)
{
    return length == 0 || (data[0] == 0 && memcmp(data, data + 1, length - 1) == 0);
}

struct error *staging_write(int file, uint64_t offset, const void *data, size_t length)
{
    enum { BLOCK = 64 << 10 };
    for (size_t done = 0; done < length;) {
        size_t part = length - done < BLOCK ? length - done : BLOCK;
        const char *at = (const char *)data + done;
        if (!all_zero(at, part) && pwrite(file, at, part, (off_t)(offset + done)) != (ssize_t)part)
            return failed("write to", "the staging file");
        done += part;
    }
    return NULL;
}

/* --- the backend: a file for each connection --- */

struct handle {
    int file;
};

static struct error *handle_open(void *context, void **ret_handle)
{
    const char *path = context;
    int file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return failed("open", path);
    struct handle *handle = xcalloc(1, sizeof *handle);
    handle->file = file;
    *ret_handle = handle;
    return NULL;
}

static void handle_close(void *data)
{
    struct handle *handle = data;
    close(handle->file);
    free(handle);
}

static struct error *handle_read(void *data, uint64_t offset, void *into, size_t length)
{
    const struct handle *handle = data;
    for (size_t done = 0; done < length;) {
        ssize_t got = pread(handle->file, (char *)into + done, length - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return failed("read from", "the staging file");
        done += (size_t)got;
    }
    return NULL;
}

static struct error *handle_write(void *data, uint64_t offset, const void *from, size_t length)
{
    const struct handle *handle = data;
    for (size_t done = 0; done < length;) {
        ssize_t put = pwrite(handle->file, (const char *)from + done, length - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return failed("write to", "the staging file");
        done += (size_t)put;
    }
    return NULL;
}

static struct error *handle_zero(void *data, uint64_t offset, uint64_t length)
{
    const struct handle *handle = data;
    if (fallocate(handle->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) ==
        0)
        return NULL;
    if (errno != EOPNOTSUPP)
        return failed("make a hole in", "the staging file");
    char zeros[64 << 10] = {0};
    for (uint64_t done = 0; done < length;) {
        size_t part = length - done < sizeof zeros ? (size_t)(length - done) : sizeof zeros;
        TRY(handle_write(data, offset + done, zeros, part));
        done += part;
    }
    return NULL;
}

static struct error *handle_flush(void *data)
{
    const struct handle *handle = data;
    return fdatasync(handle->file) < 0 ? failed("write to", "the staging file") : NULL;
}

static struct error *handle_extent(void *data, uint64_t offset, uint64_t length, bool *ret_zero,
                                   uint64_t *ret_length)
{
    const struct handle *handle = data;
    off_t at = (off_t)offset, content = lseek(handle->file, at, SEEK_DATA);
    uint64_t end = offset + length;
    bool zero = content != at;
    if (content < 0 && errno != ENXIO)
        return failed("look into", "the staging file");
    if (zero && content >= 0 && (uint64_t)content < end)
        end = (uint64_t)content;
    if (!zero) {
        off_t hole = lseek(handle->file, at, SEEK_HOLE);
        if (hole < 0)
            return failed("look into", "the staging file");
        if ((uint64_t)hole < end)
            end = (uint64_t)hole;
    }
    *ret_zero = zero;
    *ret_length = end - offset;
    return NULL;
}

void staging_backend(const char *path, uint64_t size, struct nbd_backend *ret_backend)
{
    *ret_backend = (struct nbd_backend){.name = path,
                                        .size = size,
                                        .context = (void *)(uintptr_t)path,
                                        .open = handle_open,
                                        .close = handle_close,
                                        .read = handle_read,
                                        .write = handle_write,
                                        .zero = handle_zero,
                                        .flush = handle_flush,
                                        .extent = handle_extent};
}
