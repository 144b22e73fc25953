/* The manifest that seals an export: what the machine is, what every disk held (the copy manifest's root, so
 * that a later copy can be compared with it), size and digests of every file, the consent, who and when.
 * Kept as {"manifest": {…}, "digest_sm3": …, "signature": {"kid", "value"}}: the digest is SM3 over the
 * canonical text of "manifest", the signature Ed25519 over "yunqiao export|ID|DIGEST", by the key that signs
 * bills. Anyone checks it with the public keys (GET /v1/keys): `yunqiao image verify`. */
#ifndef FEDERATION_TRANSFER_MANIFEST_H
#define FEDERATION_TRANSFER_MANIFEST_H

#include "broker/auth/auth.h"
#include "federation/transfer.h"

#define TRANSFER_MANIFEST_FILE "manifest.json"
#define TRANSFER_MANIFEST_MAX ((size_t)512 * 1024)

/* Takes `manifest`. *ret_sealed belongs to the arena. */
struct error *transfer_seal(struct auth *auth, moment now, const char *id, json_t *manifest,
                            struct arena *arena, json_t **ret_sealed) ERROR_MUST_USE;

/* What a sealed manifest says of one disk. */
struct transfer_sealed_disk {
    const char *file;
    uint64_t bytes;
    const char *algorithm, *root; /* "sha256" or "sm3"; 64 hex digits */
    int64_t block_size;
    bool high_performance;
};

struct transfer_sealed {
    const char *id, *format, *name, *architecture, *firmware, *mac; /* mac NULL: none */
    int64_t vcpu, memory_mb;
    struct transfer_sealed_disk disks[TRANSFER_DISKS_MAX]; /* the boot disk first */
    size_t disk_count;
    struct transfer_file files[TRANSFER_FILES_MAX]; /* that are to come, without the manifest's own */
    size_t file_count;
    const char *kid;
};

/* Reads and checks form, digest and signature of what somebody brings; `keys` of the broker's: the signature
 * of a key that is among them must hold (ERR_INVALID), one of another broker's is *ret_known false. Pointers
 * of details begin with "/manifest". */
struct error *transfer_sealed_read(struct db *db, const json_t *sealed, struct arena *arena,
                                   struct transfer_sealed *ret_sealed, bool *ret_known) ERROR_MUST_USE;

#endif
