/* Facts about disks, see disk.h. */
#include "drivers/kvm/disk.h"

#include <string.h>

#include "drivers/kvm/fault.h"
#include "drivers/kvm/storage.h"

static bool is(const char *text, const char *word)
{
    return text && strcmp(text, word) == 0;
}

const char *kvm_disk_file(const struct kvm_disk *disk)
{
    if (!disk->path)
        return disk->volume;
    const char *slash = strrchr(disk->path, '/');
    return slash ? slash + 1 : disk->path;
}

bool kvm_disk_removable(struct arena *arena, const struct kvm_disk *disk)
{
    const char *file = kvm_disk_file(disk);
    return is(disk->device, "cdrom") || is(disk->device, "floppy") ||
           (file && kvm_storage_id(arena, file, KVM_FILE_SEED));
}

const char *kvm_disk_unreadable(const struct kvm_disk *disk)
{
    if (is(disk->device, "lun"))
        return "a device of the host, passed through";
    if (!disk->target)
        return "a disk without a name";
    if (!is(disk->source, "file") && !is(disk->source, "block") && !is(disk->source, "volume"))
        return "its source is neither a file, a block device nor a volume of a pool";
    return kvm_disk_file(disk) ? NULL : "nothing is in it";
}

const char *kvm_disk_untracked(const struct kvm_disk *disk)
{
    return is(disk->format, "qcow2") ? NULL : "only qcow2 has a place for what changed";
}

bool kvm_disk_exported(struct arena *arena, const struct kvm_disk *disk)
{
    return !kvm_disk_removable(arena, disk) && !kvm_disk_unreadable(disk);
}

const char *kvm_disk_volume(struct arena *arena, const struct kvm_disk *disk)
{
    const char *file = kvm_disk_file(disk);
    return file ? kvm_storage_id(arena, file, KVM_FILE_VOLUME) : NULL;
}

bool kvm_disk_system(struct arena *arena, const struct kvm_disk *disk, const char *id)
{
    const char *file = kvm_disk_file(disk);
    return is(file ? kvm_storage_id(arena, file, KVM_FILE_SYSTEM) : NULL, id);
}

const struct kvm_disk *kvm_disk_boot(struct arena *arena, const struct kvm_domain *domain)
{
    const struct kvm_disk *best = NULL;
    for (size_t i = 0; i < domain->disk_count; i++) {
        const struct kvm_disk *disk = &domain->disks[i];
        if (kvm_disk_removable(arena, disk))
            continue;
        if (!best || (disk->order && (!best->order || disk->order < best->order)))
            best = disk;
    }
    return best;
}

struct error *kvm_disk_size(struct driver_session *session, virDomainPtr domain, const struct kvm_disk *disk,
                            uint64_t *ret_bytes)
{
    virDomainBlockInfo info;
    if (virDomainGetBlockInfo(domain, disk->target, &info, 0) < 0)
        return kvm_fault(session->connection, "could not ask for the size of disk \"%s\"", disk->target);
    *ret_bytes = info.capacity;
    return NULL;
}
