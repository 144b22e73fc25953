/* What an image from outside is, from its first bytes, before any program of QEMU sees it: only one that is
 * whole in itself is taken. A header may name other files of the host that reads it (a backing file, a data
 * file, extents), promise sizes that cost memory and time (tables, clusters), or be of another format than
 * was said. Pure. */
#ifndef FEDERATION_TRANSFER_IMAGE_H
#define FEDERATION_TRANSFER_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "broker/base/error.h"

enum transfer_image_format { IMAGE_RAW, IMAGE_QCOW2, IMAGE_VMDK };

#define IMAGE_HEAD_MAX ((size_t)128 * 1024) /* bytes of an image that are looked at */
#define IMAGE_SIZE_MAX (UINT64_C(64) << 40) /* of the disk: 64 TiB, what the catalog's largest volume has */
#define IMAGE_FILE_MIN 512

/* `head`: the first bytes of the image, IMAGE_HEAD_MAX or all that there are; `size`: of the file. *ret_size
 * is what the guest would see. ERR_INVALID that says what is wrong. */
struct error *transfer_image_check(enum transfer_image_format format, const unsigned char *head,
                                   size_t length, uint64_t size, uint64_t *ret_size) ERROR_MUST_USE;

#endif
