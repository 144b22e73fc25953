/* Writes a FAT12 file system of two files by hand: no tool is needed on the broker's side, and the image goes
 * to the host through libvirt like any other volume. Layout (sectors of 512 bytes): boot sector, two FATs of
 * two sectors, a root directory of 16 entries, then clusters of one sector. */
#include "drivers/kvm/seed.h"

#include <stdint.h>
#include <string.h>

#define SECTOR 512u
#define SECTORS (KVM_SEED_BYTES / SECTOR)
#define FAT_SECTORS 2u
#define FAT_START 1u
#define ROOT_START (FAT_START + 2 * FAT_SECTORS)
#define ROOT_ENTRIES 16u
#define DATA_START (ROOT_START + ROOT_ENTRIES * 32 / SECTOR)
#define CLUSTERS (SECTORS - DATA_START)
#define CLUSTER_FIRST 2u
#define CLUSTER_LAST_MARK 0xFFFu
#define FAT_DATE 0x0021u /* 1980-01-01, the first day that FAT knows: equal input makes equal bytes */

struct volume {
    unsigned char *bytes;
    unsigned entries;      /* used in the root directory */
    unsigned next_cluster; /* free from here on */
};

static void put16(unsigned char *at, unsigned value)
{
    at[0] = (unsigned char)(value & 0xFF);
    at[1] = (unsigned char)(value >> 8 & 0xFF);
}

static void put32(unsigned char *at, uint32_t value)
{
    put16(at, value & 0xFFFF);
    put16(at + 2, value >> 16);
}

static void put_fat(struct volume *volume, unsigned cluster, unsigned value)
{
    for (unsigned copy = 0; copy < 2; copy++) {
        unsigned char *at =
            volume->bytes + (size_t)(FAT_START + copy * FAT_SECTORS) * SECTOR + (size_t)cluster * 3 / 2;
        if (cluster % 2 == 0) {
            at[0] = (unsigned char)(value & 0xFF);
            at[1] = (unsigned char)((at[1] & 0xF0) | (value >> 8 & 0x0F));
        } else {
            at[0] = (unsigned char)((at[0] & 0x0F) | (value << 4 & 0xF0));
            at[1] = (unsigned char)(value >> 4 & 0xFF);
        }
    }
}

static void put_boot_sector(unsigned char *at)
{
    static const unsigned char jump[] = {0xEB, 0x3C, 0x90};
    memcpy(at, jump, sizeof jump);
    memcpy(at + 3, "YUNQIAO ", 8);
    put16(at + 11, SECTOR);
    at[13] = 1; /* sectors a cluster */
    put16(at + 14, FAT_START);
    at[16] = 2; /* FATs */
    put16(at + 17, ROOT_ENTRIES);
    put16(at + 19, SECTORS);
    at[21] = 0xF8; /* a fixed disk */
    put16(at + 22, FAT_SECTORS);
    put16(at + 24, 32); /* sectors a track, heads: of no use, but some readers refuse 0 */
    put16(at + 26, 2);
    at[36] = 0x80;
    at[38] = 0x29; /* serial number, label and type follow */
    put32(at + 39, 0x59514252);
    memcpy(at + 43, "CIDATA     ", 11);
    memcpy(at + 54, "FAT12   ", 8);
    at[510] = 0x55;
    at[511] = 0xAA;
}

static unsigned char *entry_new(struct volume *volume)
{
    return volume->bytes + (size_t)ROOT_START * SECTOR + (size_t)volume->entries++ * 32;
}

/* One entry of a long name: up to 13 UTF-16 characters at their odd places. */
static void put_long_name(unsigned char *entry, const char *name, const unsigned char short_name[11])
{
    static const unsigned char places[13] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
    unsigned char sum = 0;
    for (int i = 0; i < 11; i++)
        sum = (unsigned char)(((sum & 1) << 7) + (sum >> 1) + short_name[i]);
    entry[0] = 0x41; /* first and last part */
    entry[11] = 0x0F;
    entry[13] = sum;
    size_t length = strlen(name);
    for (size_t i = 0; i < 13; i++)
        put16(entry + places[i], i < length ? (unsigned char)name[i] : i == length ? 0 : 0xFFFF);
}

static struct error *put_file(struct volume *volume, const char *name, const char *short_name,
                              const char *text)
{
    size_t length = strlen(text);
    unsigned clusters = (unsigned)((length + SECTOR - 1) / SECTOR);
    if (length > KVM_SEED_BYTES || volume->next_cluster + clusters > CLUSTER_FIRST + CLUSTERS)
        return error_new(ERR_INVALID, "%s of %zu bytes does not fit the seed of %u", name, length,
                         KVM_SEED_BYTES);
    put_long_name(entry_new(volume), name, (const unsigned char *)short_name);
    unsigned char *entry = entry_new(volume);
    memcpy(entry, short_name, 11);
    entry[11] = 0x20;
    put16(entry + 16, FAT_DATE);
    put16(entry + 18, FAT_DATE);
    put16(entry + 24, FAT_DATE);
    put16(entry + 26, clusters > 0 ? volume->next_cluster : 0);
    put32(entry + 28, (uint32_t)length);
    memcpy(volume->bytes + (size_t)(DATA_START + volume->next_cluster - CLUSTER_FIRST) * SECTOR, text,
           length);
    for (unsigned i = 0; i < clusters; i++)
        put_fat(volume, volume->next_cluster + i,
                i + 1 < clusters ? volume->next_cluster + i + 1 : CLUSTER_LAST_MARK);
    volume->next_cluster += clusters;
    return NULL;
}

struct error *kvm_seed_build(struct arena *arena, const char *id, const char *name, const char *user_data,
                             const unsigned char **ret_image)
{
    struct volume volume = {.bytes = arena_alloc(arena, KVM_SEED_BYTES), .next_cluster = CLUSTER_FIRST};
    put_boot_sector(volume.bytes);
    put_fat(&volume, 0, 0xFF8);
    put_fat(&volume, 1, CLUSTER_LAST_MARK);
    unsigned char *label = entry_new(&volume);
    memcpy(label, "CIDATA     ", 11);
    label[11] = 0x08;
    put16(label + 24, FAT_DATE);
    const char *meta = arena_printf(arena, "instance-id: %s\nlocal-hostname: %s\n", id, name);
    TRY(put_file(&volume, "meta-data", "META-D~1   ", meta));
    TRY(put_file(&volume, "user-data", "USER-D~1   ", user_data ? user_data : "#cloud-config\n"));
    *ret_image = volume.bytes;
    return NULL;
}
