/* See disks.h. */
#include "tests/drivers/vmware/disks.h"

#include <libnbd.h>

struct nbd_handle *disk_connect(const struct driver_exported_disk *disk)
{
    struct nbd_handle *nbd = nbd_create();
    nbd_add_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION);
    if (nbd_connect_unix(nbd, disk->socket) != 0)
        fail_msg("%s: %s", disk->socket, nbd_get_error());
    assert_int_equal(nbd_get_size(nbd), disk->size_bytes);
    return nbd;
}

void disk_read(const struct driver_exported_disk *disk, uint64_t offset, void *data, size_t length)
{
    struct nbd_handle *nbd = disk_connect(disk);
    if (nbd_pread(nbd, data, length, offset, 0) != 0)
        fail_msg("%s", nbd_get_error());
    nbd_shutdown(nbd, 0);
    nbd_close(nbd);
}

void disk_write(const struct driver_exported_disk *disk, uint64_t offset, const void *data, size_t length)
{
    struct nbd_handle *nbd = disk_connect(disk);
    if (nbd_pwrite(nbd, data, length, offset, 0) != 0 || nbd_flush(nbd, 0) != 0)
        fail_msg("%s", nbd_get_error());
    nbd_shutdown(nbd, 0);
    nbd_close(nbd);
}

struct driver_export open_read(const char *stamp, const char *id, const char *checkpoint, const char *since)
{
    struct driver_key key = key_of(stamp);
    struct driver_export_spec spec = {
        .id = id, .access = DRIVER_READ, .checkpoint = checkpoint, .since = since};
    struct driver_export opened;
    OK(vmware->export_open(session, &call, &key, &spec, &opened));
    return opened;
}

void close_export(const char *stamp, const char *id, bool keep)
{
    struct driver_key key = key_of(stamp);
    OK(vmware->export_close(session, &call, &key, id, keep));
}

struct driver_detail detail_of(const char *stamp)
{
    struct driver_key key = key_of(stamp);
    struct driver_detail detail;
    OK(vmware->instance_detail(session, &call, &key, &detail));
    return detail;
}

void fill(char *data, size_t length, unsigned seed)
{
    for (size_t i = 0; i < length; i++)
        data[i] = (char)('a' + (i * 7 + seed * 13 + i / 251) % 26);
}
