/* Private signing keys in files; see keyring.h. */
#include "broker/auth/keyring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/id.h"

static struct error *io_error(const char *doing, const char *path)
{
    return error_new(ERR_IO, "could not %s %s: %s", doing, path, strerror(errno));
}

static struct error *check_private(const char *path, const struct stat *about)
{
    if (about->st_uid != geteuid())
        return error_new(ERR_INVALID, "%s belongs to another user", path);
    if (about->st_mode & 077)
        return error_new(ERR_INVALID, "%s can be read by others (mode %o): chmod go= it", path,
                         (unsigned)about->st_mode & 0777);
    return NULL;
}

static struct error *open_folder(const char *folder)
{
    struct stat about;
    if (mkdir(folder, 0700) && errno != EEXIST)
        return io_error("make the key folder", folder);
    if (stat(folder, &about))
        return io_error("read", folder);
    if (!S_ISDIR(about.st_mode))
        return error_new(ERR_INVALID, "%s is not a folder", folder);
    return check_private(folder, &about);
}

static struct error *take_lock(const char *folder, int *ret_lock)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = arena_printf(arena, "%s/lock", folder);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0)
        return io_error("open", path);
    while (flock(lock, LOCK_EX)) {
        if (errno != EINTR) {
            struct error *error = io_error("lock", path);
            (void)close(lock); /* nothing was written */
            return error;
        }
    }
    *ret_lock = lock;
    return NULL;
}

/* The key's id is computed, not believed; `key` is owned by the keyring afterwards. */
static struct error *add_key(struct keyring *keyring, EVP_PKEY *key, struct keyring_key **ret_key)
{
    struct keyring_key *added = &keyring->keys[keyring->count];
    size_t size = JWT_PUBLIC;
    if (keyring->count == KEYRING_MAX || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519 ||
        EVP_PKEY_get_raw_public_key(key, added->public_key, &size) != 1 || size != JWT_PUBLIC) {
        EVP_PKEY_free(key);
        return error_new(ERR_INVALID,
                         keyring->count == KEYRING_MAX ? "more than 64 keys" : "not an Ed25519 key");
    }
    added->key = key;
    jwt_key_id(added->public_key, added->kid);
    keyring->count++;
    *ret_key = added;
    return NULL;
}

static struct error *read_key(struct keyring *keyring, const char *path, const char *kid)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return io_error("open", path);
    struct stat about;
    struct error *error = fstat(fileno(file), &about) ? io_error("read", path) : check_private(path, &about);
    /* A passphrase is never asked for: the callback gives none. */
    EVP_PKEY *key = error ? NULL : PEM_read_PrivateKey(file, NULL, NULL, (void *)(uintptr_t) "");
    (void)fclose(file); /* was only read */
    if (!error && !key)
        error = error_new(ERR_INVALID, "%s holds no private key", path);
    struct keyring_key *added = NULL;
    if (!error)
        error = error_wrap(add_key(keyring, key, &added), "%s", path);
    if (!error && strcmp(added->kid, kid))
        error = error_new(ERR_INVALID, "%s holds another key than its name says", path);
    return error;
}

static struct error *read_keys(const char *folder, struct keyring *keyring)
{
    DIR *entries = opendir(folder);
    if (!entries)
        return io_error("list", folder);
    struct error *error = NULL;
    const struct dirent *entry;
    while (!error && (entry = readdir(entries))) {
        size_t length = strlen(entry->d_name);
        if (length != JWT_KID - 1 + 4 || strcmp(entry->d_name + length - 4, ".pem"))
            continue;
        ARENA_AUTO struct arena *arena = arena_new();
        error = read_key(keyring, arena_printf(arena, "%s/%s", folder, entry->d_name),
                         arena_strndup(arena, entry->d_name, length - 4));
    }
    (void)closedir(entries); /* was only read */
    return error;
}

struct error *keyring_open(const char *folder, struct keyring *ret_keyring)
{
    struct keyring keyring = {.lock = -1};
    struct error *error = open_folder(folder);
    if (!error)
        error = take_lock(folder, &keyring.lock);
    if (!error)
        error = read_keys(folder, &keyring);
    if (error) {
        keyring_close(&keyring);
        return error_wrap(error, "could not open the signing keys");
    }
    *ret_keyring = keyring;
    return NULL;
}

void keyring_close(struct keyring *keyring)
{
    for (size_t i = 0; i < keyring->count; i++)
        EVP_PKEY_free(keyring->keys[i].key);
    keyring->count = 0;
    if (keyring->lock >= 0)
        (void)close(keyring->lock); /* the lock goes with it */
    keyring->lock = -1;
}

static bool write_all(int file, const char *bytes, size_t length)
{
    while (length) {
        ssize_t wrote = write(file, bytes, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return false;
        bytes += wrote;
        length -= (size_t)wrote;
    }
    return true;
}

/* The rename itself is on disk once its folder is. */
static bool sync_folder(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? arena_strndup(arena, path, (size_t)(slash - path) + 1) : ".";
    int folder = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = folder >= 0 && !fsync(folder);
    if (folder >= 0)
        (void)close(folder); /* was only synced */
    return synced;
}

struct error *keyring_write_file(const char *path, const void *bytes, size_t length)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *beside = arena_printf(arena, "%s.%s", path, id_new_in(arena));
    int file = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return io_error("make", beside);
    struct error *error = NULL;
    if (!write_all(file, bytes, length) || fsync(file))
        error = io_error("write", beside);
    if (close(file) && !error)
        error = io_error("write", beside);
    if (!error && (rename(beside, path) || !sync_folder(arena, path)))
        error = io_error("write", path);
    if (error)
        (void)unlink(beside); /* it may be gone already */
    return error;
}

struct error *keyring_make(const char *folder, struct keyring *keyring, struct keyring_key **ret_key)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    BIO *pem = BIO_new(BIO_s_secmem());
    char *text;
    long length = 0;
    if (key && pem && PEM_write_bio_PKCS8PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) == 1)
        length = BIO_get_mem_data(pem, &text);
    struct keyring_key *made = NULL;
    struct error *error =
        length > 0 ? add_key(keyring, key, &made) : error_new(ERR_INTERNAL, "could not make a signing key");
    if (!length)
        EVP_PKEY_free(key);
    if (!error) {
        ARENA_AUTO struct arena *arena = arena_new();
        error = keyring_write_file(arena_printf(arena, "%s/%s.pem", folder, made->kid), text, (size_t)length);
    }
    BIO_free(pem);
    if (!error)
        *ret_key = made;
    return error;
}

struct error *keyring_drop(const char *folder, const char *kid)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *path = arena_printf(arena, "%s/%s.pem", folder, kid);
    if (unlink(path) && errno != ENOENT)
        return io_error("delete", path);
    return NULL;
}
