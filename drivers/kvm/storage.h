/* Storage pools and the files that the driver keeps in them. Of an instance: its system disk (a clone of an
 * image), its seed (seed.h) and its console's log; of a volume: one disk. All are found by their names, which
 * hold the broker's id. */
#ifndef DRIVERS_KVM_STORAGE_H
#define DRIVERS_KVM_STORAGE_H

#include "drivers/kvm/session.h"

enum kvm_file { KVM_FILE_SYSTEM, KVM_FILE_SEED, KVM_FILE_CONSOLE, KVM_FILE_VOLUME };

/* "yunqiao-ID-system.qcow2" and so on. */
const char *kvm_storage_name(struct arena *arena, const char *id, enum kvm_file file);
/* The id in the name of a file of that kind; NULL: it is none. */
const char *kvm_storage_id(struct arena *arena, const char *name, enum kvm_file file);

/* Handles of libvirt that live as long as the arena. */
struct error *kvm_storage_pool(struct driver_session *session, struct arena *arena, const char *name,
                               virStoragePoolPtr *ret_pool) ERROR_MUST_USE;
const char *kvm_storage_pool_name(const struct driver_session *session, bool high_performance);
/* *ret_volume is NULL when the pool has none of that name. With `refresh` the pool looks at its files again
 * before it says so. */
struct error *kvm_storage_lookup(struct driver_session *session, struct arena *arena, virStoragePoolPtr pool,
                                 const char *name, bool refresh, virStorageVolPtr *ret_volume) ERROR_MUST_USE;

struct kvm_place {
    virStorageVolPtr volume; /* NULL: nowhere */
    virStoragePoolPtr pool;
    const char *pool_name, *name, *path;
    uint64_t bytes; /* what the guest sees */
};

/* Looks for the file in the standard and the high-performance pool. ERR_BUSY while it is being made. */
struct error *kvm_storage_find(struct driver_session *session, struct arena *arena, const char *id,
                               enum kvm_file file, struct kvm_place *ret_place) ERROR_MUST_USE;
/* Gone already is success. One that is still being made, for a caller that died meanwhile, is waited for;
 * ERR_BUSY when it takes longer than KVM_STORAGE_WAIT_US. */
#define KVM_STORAGE_WAIT_US INT64_C(20000000)
struct error *kvm_storage_delete(struct driver_session *session, const struct driver_call *call,
                                 const char *id, enum kvm_file file) ERROR_MUST_USE;

/* A new file. backing: path of a qcow2 image to clone lazily, or NULL. ERR_EXISTS when there is one. */
struct kvm_new_file {
    virStoragePoolPtr pool;
    const char *name;
    const char *format; /* "qcow2", "raw" */
    uint64_t bytes;
    const char *backing, *backing_format;
};
struct error *kvm_storage_create(struct driver_session *session, struct arena *arena,
                                 const struct kvm_new_file *file,
                                 virStorageVolPtr *ret_volume) ERROR_MUST_USE;
/* A full copy of `image` (bytes ≥ its size). */
struct error *kvm_storage_copy(struct driver_session *session, struct arena *arena,
                               const struct kvm_new_file *file, virStorageVolPtr image,
                               virStorageVolPtr *ret_volume) ERROR_MUST_USE;

/* Path, virtual size and format of a volume; path and format in the arena. */
struct kvm_facts {
    const char *path, *name, *format;
    uint64_t bytes;
};
struct error *kvm_storage_facts(struct driver_session *session, struct arena *arena, virStorageVolPtr volume,
                                struct kvm_facts *ret_facts) ERROR_MUST_USE;

/* The volumes of an active pool; an arena array. */
struct error *kvm_storage_list(struct driver_session *session, struct arena *arena, virStoragePoolPtr pool,
                               virStorageVolPtr **ret_volumes, size_t *ret_count) ERROR_MUST_USE;

struct kvm_room {
    uint64_t total, free; /* bytes of the file system */
    uint64_t promised;    /* sum of what its volumes may grow to */
};
struct error *kvm_storage_room(struct driver_session *session, struct arena *arena, virStoragePoolPtr pool,
                               struct kvm_room *ret_room) ERROR_MUST_USE;
/* ERR_NO_CAPACITY unless `bytes` more may be promised by the pool. */
struct error *kvm_storage_check_room(struct driver_session *session, struct arena *arena,
                                     virStoragePoolPtr pool, const char *name, uint64_t bytes) ERROR_MUST_USE;

unsigned kvm_storage_gb(uint64_t bytes); /* rounded up */

/* Ties a libvirt handle to the arena; NULL is fine. */
virDomainPtr kvm_hold_domain(struct arena *arena, virDomainPtr domain);
virStorageVolPtr kvm_hold_volume(struct arena *arena, virStorageVolPtr volume);

#endif
