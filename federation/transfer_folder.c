/* See transfer_folder.h. */
#include "federation/transfer_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)
#define SPARE ((uint64_t)64 << 20) /* of the file system that nobody is to use up */

const char *transfer_folder(const struct federation_services *services, const char *id, struct arena *arena)
{
    return arena_printf(arena, "%s/%s", services->transfer_dir, id);
}

struct error *transfer_io_error(const char *doing, const char *name)
{
    int number = errno;
    bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
    return error_new(full ? ERR_NO_CAPACITY : ERR_IO, "could not %s %s: %s", doing, name, strerror(number));
}

struct error *transfer_folder_make(const struct federation_services *services, const char *folder)
{
    const struct transfer_user *user = &services->transfer_user;
    if (mkdir(services->transfer_dir, 0700) && errno != EEXIST)
        return transfer_io_error("make", services->transfer_dir);
    if (mkdir(folder, 0700) && errno != EEXIST)
        return transfer_io_error("make", folder);
    if (user->change && chown(folder, user->uid, user->gid))
        return transfer_io_error("give away", folder);
    return NULL;
}

/* Folders have no folders in them. */
static struct error *empty(int fd, const char *folder)
{
    DIR *list = fdopendir(fd);
    struct error *error = NULL;
    if (!list) {
        error = transfer_io_error("read", folder);
        (void)close(fd);
        return error;
    }
    for (struct dirent *entry; !error && (entry = readdir(list));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
            unlinkat(dirfd(list), entry->d_name, 0) && errno != ENOENT)
            error = transfer_io_error("remove", entry->d_name);
    (void)closedir(list); /* it was only read */
    return error;
}

struct error *transfer_folder_remove(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? NULL : transfer_io_error("open", folder);
    TRY(empty(fd, folder));
    return rmdir(folder) && errno != ENOENT ? transfer_io_error("remove", folder) : NULL;
}

struct error *transfer_file_remove(const char *folder, const char *name)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = arena_printf(arena, "%s/%s", folder, name);
    return unlink(path) && errno != ENOENT ? transfer_io_error("remove", name) : NULL;
}

struct error *transfer_file_open(const struct federation_services *services, const char *folder,
                                 const char *name, int *ret_fd)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const struct transfer_user *user = &services->transfer_user;
    const char *path = arena_printf(arena, "%s/%s", folder, name);
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return transfer_io_error("open", name);
    if (user->change && fchown(fd, user->uid, user->gid)) {
        struct error *error = transfer_io_error("give away", name);
        (void)close(fd);
        return error;
    }
    *ret_fd = fd;
    return NULL;
}

struct error *transfer_folder_fits(const char *folder, uint64_t bytes)
{
    struct statvfs room;
    if (statvfs(folder, &room))
        return transfer_io_error("look at", folder);
    uint64_t free_bytes = (uint64_t)room.f_bavail * room.f_frsize;
    if (free_bytes >= SPARE && free_bytes - SPARE >= bytes)
        return NULL;
    return error_new(ERR_NO_CAPACITY,
                     "it needs %llu MB on the broker's disk, which has %llu MB left (64 MB stay free)",
                     (unsigned long long)(bytes / 1000000), (unsigned long long)(free_bytes / 1000000));
}

static const char *hex_of(struct arena *arena, EVP_MD_CTX *context)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_DigestFinal_ex(context, bytes, &length) != 1 || length != (DIGEST_HEX - 1) / 2)
        abort(); /* only without memory */
    char *text = arena_alloc(arena, DIGEST_HEX);
    for (unsigned i = 0; i < length; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    return text;
}

static struct error *add_all(int fd, const char *name, EVP_MD_CTX *sha256, EVP_MD_CTX *sm3, struct job *job,
                             char *piece, int64_t *ret_size)
{
    int64_t size = 0;
    for (;;) {
        ssize_t count = read(fd, piece, PIECE);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return transfer_io_error("read", name);
        if (!count)
            break;
        if (job && job_cancelled(job))
            return error_new(ERR_CANCELLED, "the broker stops, or somebody cancelled it");
        if (EVP_DigestUpdate(sha256, piece, (size_t)count) != 1 ||
            EVP_DigestUpdate(sm3, piece, (size_t)count) != 1)
            abort(); /* only without memory */
        size += count;
    }
    *ret_size = size;
    return NULL;
}

struct error *transfer_digest(const char *folder, const char *name, struct job *job, struct arena *arena,
                              struct transfer_file *ret_file)
{
    int fd = open(arena_printf(arena, "%s/%s", folder, name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return transfer_io_error("open", name);
    EVP_MD_CTX *sha256 = EVP_MD_CTX_new(), *sm3 = EVP_MD_CTX_new();
    char *piece = xmalloc(PIECE);
    struct transfer_file file = {.name = name};
    if (!sha256 || !sm3 || EVP_DigestInit_ex(sha256, EVP_sha256(), NULL) != 1 ||
        EVP_DigestInit_ex(sm3, EVP_sm3(), NULL) != 1)
        abort(); /* only without memory */
    struct error *error = add_all(fd, name, sha256, sm3, job, piece, &file.size);
    if (!error) {
        file.sha256 = hex_of(arena, sha256);
        file.sm3 = hex_of(arena, sm3);
        file.received = file.size;
        *ret_file = file;
    }
    free(piece);
    EVP_MD_CTX_free(sha256);
    EVP_MD_CTX_free(sm3);
    (void)close(fd); /* it was only read */
    return error;
}
