/* See reader.h. */
#include "drivers/vmware/reader.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/moment.h"
#include "drivers/vmware/folder.h"

#define READ_US (60 * MOMENT_SECOND) /* for one request, with its repetitions */

struct reader {
    struct reader_disk *disk;
    struct driver_session *session;
    struct arena *arena;
};

static struct driver_call new_call(struct reader *reader)
{
    arena_reset(reader->arena);
    return (struct driver_call){.arena = reader->arena, .deadline_us = moment_monotonic() + READ_US};
}

static void reader_close(void *handle)
{
    struct reader *reader = handle;
    vmware_close(reader->session);
    arena_free(reader->arena);
    free(reader);
}

static struct error *check_denied(struct reader_disk *disk, struct error *error)
{
    if (error && error_code(error) == ERR_DENIED)
        atomic_store(&disk->denied, true);
    return error;
}

static struct error *reader_open(void *context, void **ret_handle)
{
    struct reader_disk *disk = context;
    if (atomic_load(&disk->denied))
        return error_new(ERR_DENIED, "an earlier logon was refused");
    struct reader *reader = xcalloc(1, sizeof *reader);
    reader->disk = disk;
    reader->arena = arena_new();
    struct driver_call call = new_call(reader);
    struct error *error = check_denied(disk, vmware_open(&disk->endpoint, &call, &reader->session));
    if (error) {
        reader_close(reader);
        return error;
    }
    *ret_handle = reader;
    return NULL;
}

/* The allocated extent that ends after `offset`, or the number of all. */
static size_t find_extent(const struct reader_disk *disk, uint64_t offset)
{
    size_t low = 0, high = disk->allocated_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct driver_extent *extent = &disk->allocated[middle];
        if (extent->offset + extent->length > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static struct error *reader_extent(void *handle, uint64_t offset, uint64_t length, bool *ret_zero,
                                   uint64_t *ret_length)
{
    const struct reader_disk *disk = ((struct reader *)handle)->disk;
    size_t index = find_extent(disk, offset);
    bool inside = index < disk->allocated_count && disk->allocated[index].offset <= offset;
    uint64_t end = disk->size_bytes;
    if (index < disk->allocated_count)
        end = inside ? disk->allocated[index].offset + disk->allocated[index].length
                     : disk->allocated[index].offset;
    *ret_zero = !inside;
    *ret_length = end - offset < length ? end - offset : length;
    return NULL;
}

/* Holes are known to be zeros and not asked for. */
static struct error *reader_read(void *handle, uint64_t offset, void *data, size_t length)
{
    struct reader *reader = handle;
    struct reader_disk *disk = reader->disk;
    for (size_t done = 0; done < length;) {
        bool zero = false;
        uint64_t part = length - done;
        if (disk->allocated_known)
            TRY(reader_extent(handle, offset + done, length - done, &zero, &part));
        if (zero) {
            memset((char *)data + done, 0, part);
        } else {
            if (atomic_load(&disk->denied))
                return error_new(ERR_DENIED, "an earlier logon was refused");
            struct driver_call call = new_call(reader);
            TRY(check_denied(disk, folder_read(reader->session, &call, disk->file, offset + done,
                                               (char *)data + done, part)));
        }
        done += part;
    }
    return NULL;
}

void reader_backend(struct reader_disk *disk, struct nbd_backend *ret_backend)
{
    *ret_backend = (struct nbd_backend){.name = disk->file,
                                        .size = disk->size_bytes,
                                        .context = disk,
                                        .open = reader_open,
                                        .close = reader_close,
                                        .read = reader_read,
                                        .extent = disk->allocated_known ? reader_extent : NULL};
}
