/* See transfer_image.h. Layouts: QEMU's docs/interop/qcow2.txt; VMware's "Virtual Disk Format 5.0". */
#include "federation/transfer_image.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static uint32_t be32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint64_t be64(const unsigned char *at)
{
    return (uint64_t)be32(at) << 32 | be32(at + 4);
}

static uint32_t le32(const unsigned char *at)
{
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

static uint64_t le64(const unsigned char *at)
{
    return (uint64_t)le32(at + 4) << 32 | le32(at);
}

static struct error *bad(const char *what)
{
    return error_new(ERR_INVALID, "the image is not taken: %s", what);
}

static struct error *check_size(uint64_t size)
{
    if (!size || size % 512)
        return bad("its disk is not whole sectors of 512 bytes");
    return size > IMAGE_SIZE_MAX ? bad("its disk is larger than 64 TiB") : NULL;
}

/* ---------------------------------------------------------------------------------------------------- qcow2
 */

#define QCOW2_MAGIC 0x514649fbu
#define QCOW2_V2_HEADER 72
#define QCOW2_V3_HEADER 104
#define QCOW2_DIRTY 1u
#define QCOW2_CORRUPT 2u
#define QCOW2_DATA_FILE 4u
#define QCOW2_KNOWN 0x1fu /* these, compression type and extended entries */
#define QCOW2_L1_MAX (UINT64_C(32) << 20)
#define EXTENSION_BACKING 0xe2792acau
#define EXTENSION_DATA_FILE 0x44415441u
#define EXTENSION_CRYPTO 0x0537be77u

static struct error *check_extensions(const unsigned char *head, size_t length, size_t at, size_t most)
{
    size_t end = length < most ? length : most;
    while (at + 8 <= end) {
        uint32_t kind = be32(head + at), size = be32(head + at + 4);
        if (!kind)
            return NULL;
        if (kind == EXTENSION_BACKING)
            return bad("it has a backing file");
        if (kind == EXTENSION_DATA_FILE)
            return bad("its data are in another file");
        if (kind == EXTENSION_CRYPTO)
            return bad("it is encrypted");
        if (size > most || at + 8 + size > end)
            return bad("a header extension is longer than the header");
        at += 8 + ((size + 7) & ~(size_t)7);
    }
    return NULL;
}

static struct error *check_features(const unsigned char *head, size_t *ret_header)
{
    uint64_t features = be64(head + 72);
    uint32_t header = be32(head + 100), order = be32(head + 96);
    if (features & QCOW2_DATA_FILE)
        return bad("its data are in another file");
    if (features & QCOW2_CORRUPT)
        return bad("it is marked as corrupt");
    if (features & ~(uint64_t)QCOW2_KNOWN)
        return bad("it has features that are not known");
    if (order > 6 || header < QCOW2_V3_HEADER || header % 8 || header > 4096)
        return bad("its header is broken");
    *ret_header = header;
    return NULL;
}

static struct error *check_qcow2(const unsigned char *head, size_t length, uint64_t *ret_size)
{
    size_t header = QCOW2_V2_HEADER;
    if (length < QCOW2_V3_HEADER || be32(head) != QCOW2_MAGIC)
        return bad("it is no qcow2");
    uint32_t version = be32(head + 4), bits = be32(head + 20), l1 = be32(head + 36);
    uint64_t size = be64(head + 24);
    if (version != 2 && version != 3)
        return bad("it is a qcow2 of an unknown version");
    if (be64(head + 8) || be32(head + 16))
        return bad("it has a backing file");
    if (be32(head + 32))
        return bad("it is encrypted");
    if (bits < 9 || bits > 21)
        return bad("its clusters are too small or too large");
    TRY(check_size(size));
    /* A table of 8-byte entries a cluster; 16-byte ones halve what it covers. */
    uint64_t covers = UINT64_C(1) << (2 * bits - 4), needed = (size + covers - 1) / covers;
    if (l1 < needed / 2 || (uint64_t)l1 * 8 > QCOW2_L1_MAX)
        return bad("its first table does not fit its disk");
    if (be32(head + 60))
        return bad("it has snapshots inside: make one without them");
    if (version == 3)
        TRY(check_features(head, &header));
    TRY(check_extensions(head, length, header, (size_t)1 << bits));
    *ret_size = size;
    return NULL;
}

/* ----------------------------------------------------------------------------------------------------- VMDK
 */

#define VMDK_MAGIC 0x564d444bu /* "KDMV" in the file */
#define VMDK_HEADER 512
#define SECTOR 512
#define VMDK_DESCRIPTOR_MAX 128 /* sectors */
#define GRAIN_MIN 8             /* sectors: 4 KiB … */
#define GRAIN_MAX 2048          /* … 1 MiB */

/* A line of the descriptor without the spaces around it. */
struct line {
    const char *text;
    size_t length;
};

static bool next_line(const char **at, const char *end, struct line *ret_line)
{
    if (*at >= end || !**at)
        return false;
    const char *from = *at, *stop = from;
    while (stop < end && *stop && *stop != '\n')
        stop++;
    *at = stop < end && *stop ? stop + 1 : end;
    while (from < stop && isspace((unsigned char)*from))
        from++;
    while (stop > from && isspace((unsigned char)stop[-1]))
        stop--;
    *ret_line = (struct line){from, (size_t)(stop - from)};
    return true;
}

static bool begins(const struct line *line, const char *text)
{
    size_t length = strlen(text);
    return line->length >= length && !strncasecmp(line->text, text, length);
}

static bool holds(const struct line *line, const char *text)
{
    return memmem(line->text, line->length, text, strlen(text)) != NULL;
}

static bool is_extent(const struct line *line)
{
    return begins(line, "RW ") || begins(line, "RDONLY ") || begins(line, "NOACCESS ");
}

static struct error *check_descriptor(const char *text, size_t length)
{
    const char *end = text + length;
    struct line line;
    size_t extents = 0;
    while (next_line(&text, end, &line)) {
        if (begins(&line, "parentFileNameHint"))
            return bad("it is the child of another disk");
        if (begins(&line, "parentCID") && !holds(&line, "ffffffff") && !holds(&line, "FFFFFFFF"))
            return bad("it is the child of another disk");
        if (begins(&line, "createType") && !holds(&line, "streamOptimized") &&
            !holds(&line, "monolithicSparse"))
            return bad("it is a VMDK in several files, or of a kind that is not taken");
        if (is_extent(&line) && (++extents > 1 || !holds(&line, " SPARSE ")))
            return bad("it is a VMDK in several files");
    }
    return NULL;
}

static struct error *check_vmdk(const unsigned char *head, size_t length, uint64_t file, uint64_t *ret_size)
{
    if (length < VMDK_HEADER || le32(head) != VMDK_MAGIC)
        return bad("it is no VMDK in one file");
    uint32_t version = le32(head + 4), entries = le32(head + 44);
    uint64_t capacity = le64(head + 12), grain = le64(head + 20), at = le64(head + 28),
             sectors = le64(head + 36);
    if (version < 1 || version > 3)
        return bad("it is a VMDK of an unknown version");
    if (capacity > IMAGE_SIZE_MAX / SECTOR)
        return bad("its disk is larger than 64 TiB");
    TRY(check_size(capacity * SECTOR));
    if (grain < GRAIN_MIN || grain > GRAIN_MAX || (grain & (grain - 1)) || entries != 512)
        return bad("its grains are of a size that is not taken");
    if (!at || !sectors || sectors > VMDK_DESCRIPTOR_MAX || at > file / SECTOR ||
        (at + sectors) * SECTOR > length)
        return bad("its descriptor is not at its beginning");
    TRY(check_descriptor((const char *)head + at * SECTOR, (size_t)sectors * SECTOR));
    *ret_size = capacity * SECTOR;
    return NULL;
}

struct error *transfer_image_check(enum transfer_image_format format, const unsigned char *head,
                                   size_t length, uint64_t size, uint64_t *ret_size)
{
    static const char descriptor[] = "# Disk DescriptorFile";
    if (format == IMAGE_VMDK && length >= sizeof descriptor - 1 &&
        !memcmp(head, descriptor, sizeof descriptor - 1))
        return bad("it is only the descriptor of a VMDK in other files");
    if (length > size || size < IMAGE_FILE_MIN)
        return bad("it is shorter than a sector");
    if (format == IMAGE_QCOW2)
        return check_qcow2(head, length, ret_size);
    if (format == IMAGE_VMDK)
        return check_vmdk(head, length, size, ret_size);
    TRY(check_size(size));
    *ret_size = size;
    return NULL;
}
