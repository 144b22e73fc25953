/* Files of an instance, see parts.h. */
#include "drivers/kvm/parts.h"

#include "drivers/kvm/scratch.h"
#include "drivers/kvm/seed.h"
#include "drivers/kvm/storage.h"
#include "drivers/kvm/stream.h"

static struct error *path_of(struct driver_session *session, const struct driver_call *call,
                             virStorageVolPtr volume, const char **ret_path)
{
    struct kvm_facts facts;
    TRY(kvm_storage_facts(session, call->arena, volume, &facts));
    *ret_path = facts.path;
    return NULL;
}

struct error *kvm_parts_seed(struct driver_session *session, const struct driver_call *call,
                             virStoragePoolPtr pool, const char *id, const char *name, const char *user_data,
                             const char **ret_path)
{
    const unsigned char *image;
    TRY(kvm_seed_build(call->arena, id, name, user_data, &image));
    const struct kvm_new_file file = {.pool = pool,
                                      .name = kvm_storage_name(call->arena, id, KVM_FILE_SEED),
                                      .format = "raw",
                                      .bytes = KVM_SEED_BYTES};
    virStorageVolPtr volume;
    TRY(kvm_storage_create(session, call->arena, &file, &volume));
    TRY_DOING(kvm_stream_upload(session, volume, image, KVM_SEED_BYTES), "could not fill \"%s\"", file.name);
    return path_of(session, call, volume, ret_path);
}

struct error *kvm_parts_console(struct driver_session *session, const struct driver_call *call,
                                virStoragePoolPtr pool, const char *id, const char **ret_path)
{
    const struct kvm_new_file file = {
        .pool = pool, .name = kvm_storage_name(call->arena, id, KVM_FILE_CONSOLE), .format = "raw"};
    virStorageVolPtr volume;
    TRY(kvm_storage_create(session, call->arena, &file, &volume));
    return path_of(session, call, volume, ret_path);
}

struct error *kvm_parts_disk(struct driver_session *session, const struct driver_call *call,
                             virStoragePoolPtr pool, const char *name, uint64_t bytes, const char **ret_path)
{
    const struct kvm_new_file file = {.pool = pool, .name = name, .format = "qcow2", .bytes = bytes};
    virStorageVolPtr volume;
    TRY(kvm_storage_create(session, call->arena, &file, &volume));
    return path_of(session, call, volume, ret_path);
}

struct error *kvm_parts_delete(struct driver_session *session, const struct driver_call *call, const char *id)
{
    static const enum kvm_file files[] = {KVM_FILE_SYSTEM, KVM_FILE_SEED, KVM_FILE_CONSOLE};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        TRY(kvm_storage_delete(session, call, id, files[i]));
    return kvm_scratch_delete(session, call, id);
}
