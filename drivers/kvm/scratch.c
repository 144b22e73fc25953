/* Scratch files, see scratch.h. */
#include "drivers/kvm/scratch.h"

#include <string.h>

#include "drivers/kvm/fault.h"
#include "drivers/kvm/storage.h"

#define SUFFIX ".scratch"
#define OVERLAY_SUFFIX ".overlay"

const char *kvm_scratch_path(struct arena *arena, const char *beside, const char *id, const char *target)
{
    const char *slash = strrchr(beside, '/');
    int folder = slash ? (int)(slash - beside) : 0;
    return arena_printf(arena, "%.*s/yunqiao-%s-%s" SUFFIX, folder, beside, id, target);
}

const char *kvm_scratch_overlay(struct arena *arena, const char *id, const char *target)
{
    return arena_printf(arena, "yunqiao-%s-%s" OVERLAY_SUFFIX, id, target);
}

static bool ends_in(const char *name, const char *suffix)
{
    size_t length = strlen(name), end = strlen(suffix);
    return length > end && strcmp(name + length - end, suffix) == 0;
}

static bool is_scratch(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0 &&
           (ends_in(name, SUFFIX) || ends_in(name, OVERLAY_SUFFIX));
}

static struct error *delete_in(struct driver_session *session, const struct driver_call *call,
                               virStoragePoolPtr pool, const char *prefix)
{
    (void)virStoragePoolRefresh(pool, 0); /* refused while a volume is being made: then the list is older */
    virStorageVolPtr *volumes;
    size_t count;
    TRY(kvm_storage_list(session, call->arena, pool, &volumes, &count));
    for (size_t i = 0; i < count; i++)
        if (is_scratch(virStorageVolGetName(volumes[i]), prefix) && virStorageVolDelete(volumes[i], 0) < 0 &&
            !kvm_fault_is(VIR_ERR_NO_STORAGE_VOL))
            return kvm_fault(session->connection, "could not delete \"%s\"",
                             virStorageVolGetName(volumes[i]));
    return NULL;
}

struct error *kvm_scratch_delete(struct driver_session *session, const struct driver_call *call,
                                 const char *id)
{
    const char *prefix = arena_printf(call->arena, "yunqiao-%s-", id);
    for (int high = 0; high <= 1; high++) {
        virStoragePoolPtr pool;
        struct error *error =
            kvm_storage_pool(session, call->arena, kvm_storage_pool_name(session, high), &pool);
        if (error && error_code(error) == ERR_NOT_FOUND) {
            error_ignore(error); /* a host need not have both */
            continue;
        }
        TRY(error);
        TRY(delete_in(session, call, pool, prefix));
    }
    return NULL;
}
