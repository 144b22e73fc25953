/* What comes as a machine's files: archive, descriptor, first bytes of images. The first byte chooses. What
 * is taken keeps its promises, what is refused is ERR_INVALID; an archive's checksums are put right where the
 * fuzzer cannot guess them. */
#include <string.h>

#include "federation/transfer_image.h"
#include "federation/transfer_ovf.h"
#include "federation/transfer_tar.h"
#include "tests/fuzz/fuzz.h"

struct bytes {
    uint8_t *data;
    size_t size;
};

static struct error *read_bytes(void *data, uint64_t offset, void *bytes, size_t length)
{
    const struct bytes *b = data;
    PROMISE(offset <= b->size && length <= b->size - offset); /* never beyond what there is */
    memcpy(bytes, b->data + offset, length);
    return NULL;
}

static void put_right(uint8_t *data, size_t size)
{
    for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
        unsigned sum = 0;
        if (memcmp(data + at + 257, "ustar", 5) != 0)
            continue;
        memset(data + at + 148, ' ', 8);
        for (size_t i = 0; i < TAR_BLOCK; i++)
            sum += data[at + i];
        for (size_t i = 0; i < 6; i++, sum >>= 3)
            data[at + 153 - i] = (uint8_t)('0' + (sum & 7));
        data[at + 154] = 0;
    }
}

static bool refused(struct error *error)
{
    if (!error)
        return false;
    PROMISE(error_code(error) == ERR_INVALID);
    error_free(error);
    return true;
}

static void try_archive(const uint8_t *data, size_t size)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct transfer_tar_member *list;
    size_t count;
    struct bytes bytes = {malloc(size + 1), size};
    PROMISE(bytes.data);
    memcpy(bytes.data, data, size);
    put_right(bytes.data, size);
    if (!refused(transfer_tar_list(read_bytes, &bytes, size, arena, &list, &count))) {
        PROMISE(count && count <= TAR_MEMBERS_MAX);
        for (size_t i = 0; i < count; i++)
            PROMISE(*list[i].name && !strchr(list[i].name, '/') && list[i].offset <= size &&
                    list[i].size <= size - list[i].offset);
    }
    free(bytes.data);
}

static void try_descriptor(const uint8_t *data, size_t size)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct transfer_ovf_machine read;
    if (refused(transfer_ovf_read((const char *)data, size, arena, &read)))
        return;
    PROMISE(read.disk_count && read.disk_count <= OVF_DISKS_MAX && read.card_count <= OVF_CARDS_MAX);
    for (size_t i = 0; i < read.disk_count; i++)
        PROMISE(read.disks[i].file && !strchr(read.disks[i].file, '/'));
}

static void try_image(enum transfer_image_format format, const uint8_t *data, size_t size)
{
    uint64_t disk = 0;
    uint8_t *head = malloc(size + 1); /* of exactly that length, so that a read beyond is seen */
    PROMISE(head);
    memcpy(head, data, size);
    if (!refused(transfer_image_check(format, head, size, size, &disk)))
        PROMISE(disk && disk % 512 == 0 && disk <= IMAGE_SIZE_MAX);
    free(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    switch (*data % 4) {
    case 0:
        try_archive(data + 1, size - 1);
        break;
    case 1:
        try_descriptor(data + 1, size - 1);
        break;
    case 2:
        try_image(IMAGE_QCOW2, data + 1, size - 1 < IMAGE_HEAD_MAX ? size - 1 : IMAGE_HEAD_MAX);
        break;
    default:
        try_image(IMAGE_VMDK, data + 1, size - 1 < IMAGE_HEAD_MAX ? size - 1 : IMAGE_HEAD_MAX);
    }
    return 0;
}
