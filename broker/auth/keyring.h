/* The private signing keys of one broker: a folder of files, <kid>.pem, each an Ed25519 key in PKCS #8. No
 * database: which keys are in force is in the table signing_key (auth_store.h). Several brokers may share the
 * folder. */
#ifndef BROKER_AUTH_KEYRING_H
#define BROKER_AUTH_KEYRING_H

#include <openssl/evp.h>
#include <stddef.h>

#include "broker/auth/jwt.h"
#include "broker/base/error.h"

#define KEYRING_MAX 64 /* files */

struct keyring_key {
    char kid[JWT_KID];
    unsigned char public_key[JWT_PUBLIC];
    EVP_PKEY *key;
};

struct keyring {
    struct keyring_key keys[KEYRING_MAX];
    size_t count;
    int lock; /* held from keyring_open to keyring_close: one broker at a time changes the folder */
};

/* Makes the folder (0700) when it is missing, locks it and reads every key. A folder or file that others can
 * read, or that belongs to somebody else, is refused (ERR_INVALID), so that a careless restore is noticed. */
struct error *keyring_open(const char *folder, struct keyring *ret_keyring) ERROR_MUST_USE;
/* Makes a key and writes its file, whole or not at all, before it returns. */
struct error *keyring_make(const char *folder, struct keyring *keyring,
                           struct keyring_key **ret_key) ERROR_MUST_USE;
/* Deletes the file of a key that signs no more. */
struct error *keyring_drop(const char *folder, const char *kid) ERROR_MUST_USE;
/* Unlocks and frees. */
void keyring_close(struct keyring *keyring);

/* Writes a file of 0600 beside `path` and renames it there: readers see the old or the new content, never a
 * part. */
struct error *keyring_write_file(const char *path, const void *bytes, size_t length) ERROR_MUST_USE;

#endif
