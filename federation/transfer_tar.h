/* The archive that an OVA is: POSIX ustar, with a pax header where a member is over 8 GiB. Written so, and
 * read so strictly that nothing is ever unpacked: a member is where it lies in the file, and is served from
 * there. (An unpacking library would write every byte twice, and follow whatever names and kinds it meets.)
 */
#ifndef FEDERATION_TRANSFER_TAR_H
#define FEDERATION_TRANSFER_TAR_H

#include <stddef.h>
#include <stdint.h>

#include "broker/base/arena.h"
#include "broker/base/buf.h"
#include "broker/base/error.h"

#define TAR_BLOCK 512u
#define TAR_NAME_MAX 99      /* bytes that are written without more ado */
#define TAR_MEMBERS_MAX 64   /* that are read */
#define TAR_PAX_MAX 65536u   /* bytes of one extended header that are read */
#define TAR_HEADER_MAX 2048u /* bytes that transfer_tar_header appends at most */

struct transfer_tar_member {
    const char *name; /* as it is there: no path that anybody opens */
    uint64_t offset, size;
};

/* Appends the header of a regular file. Then come its bytes, and transfer_tar_padding zeros; after the last
 * member two blocks of zeros. */
void transfer_tar_header(struct buf *buf, const char *name, uint64_t size, int64_t mtime_s);
static inline size_t transfer_tar_padding(uint64_t size)
{
    return (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

/* How the archive is read: `length` bytes at `offset`, all of them, or an error. */
typedef struct error *transfer_tar_read_fn(void *data, uint64_t offset, void *bytes, size_t length);

/* Every member of an archive of `size` bytes. ERR_INVALID that says what and where: something else than
 * regular files, names that are empty, repeated or have a "/" in them, checksums, sizes beyond the end, too
 * many. *ret_list in the arena. */
struct error *transfer_tar_list(transfer_tar_read_fn *read, void *data, uint64_t size, struct arena *arena,
                                struct transfer_tar_member **ret_list, size_t *ret_count) ERROR_MUST_USE;

#endif
