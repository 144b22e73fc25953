/* What an OVA is made of and what images say of themselves: written, read back, and what hostile ones are
 * refused for. */
#include "federation/transfer_tar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "federation/transfer.h"
#include "federation/transfer_image.h"
#include "federation/transfer_ovf.h"
#include "tests/federation/transfer_scene.h"

#define MEBIBYTE ((size_t)1 << 20)

static char folder[] = "/tmp/yunqiao-form-XXXXXX";

/* In the folder. */
static void shell(const char *script)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *const argv[] = {"sh", "-ec", arena_printf(arena, "cd '%s'; %s", folder, script), NULL};
    assert_int_equal(transfer_do(argv), 0);
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int over(void **state)
{
    (void)state;
    shell("rm -f *");
    return rmdir(folder);
}

/* ---------------------------------------------------------------------------------------------------
 * archives
 */

struct bytes {
    const char *data;
    size_t length; /* that are there; beyond them everything is zero */
};

static struct error *read_bytes(void *data, uint64_t offset, void *bytes, size_t length)
{
    const struct bytes *b = data;
    memset(bytes, 0, length);
    if (offset < b->length)
        memcpy(bytes, b->data + offset, b->length - offset < length ? b->length - offset : length);
    return NULL;
}

static void add(struct buf *buf, const char *name, const char *text)
{
    static const char zeros[TAR_BLOCK];
    transfer_tar_header(buf, name, strlen(text), 1700000000);
    buf_puts(buf, text);
    buf_append(buf, zeros, transfer_tar_padding(strlen(text)));
}

static void end(struct buf *buf)
{
    static const char zeros[2 * TAR_BLOCK];
    buf_append(buf, zeros, sizeof zeros);
}

static void an_archive_is_read_as_it_was_written(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    BUF_AUTO struct buf buf = BUF_INIT(MEBIBYTE);
    struct transfer_tar_member *list;
    size_t count;
    (void)state;
    add(&buf, "web.ovf", "descriptor");
    add(&buf, "web-disk1.vmdk", "");
    add(&buf, "web-disk2.vmdk", "bytes of the disk");
    end(&buf);
    struct bytes bytes = {buf.data, buf.length};
    ok(transfer_tar_list(read_bytes, &bytes, buf.length, arena, &list, &count));
    assert_int_equal(count, 3);
    assert_string_equal(list[0].name, "web.ovf");
    assert_memory_equal(buf.data + list[2].offset, "bytes of the disk", list[2].size);
    transfer_save(arena_printf(arena, "%s/t", folder), buf.data, buf.length);
    shell("test \"$(tar -xOf t web-disk2.vmdk)\" = 'bytes of the disk';"
          " python3 -c \"import tarfile; t = tarfile.open('t');"
          " assert [m.size for m in t] == [10, 0, 17]\"");
}

/* Over 8 GiB a size has no place in ustar's header. */
static void a_member_over_8_gib(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    BUF_AUTO struct buf buf = BUF_INIT(MEBIBYTE);
    struct transfer_tar_member *list;
    size_t count;
    const uint64_t size = (UINT64_C(9) << 30) + 5;
    (void)state;
    transfer_tar_header(&buf, "large.vmdk", size, 1700000000);
    assert_int_equal(buf.length, 3 * TAR_BLOCK);
    struct bytes bytes = {buf.data, buf.length};
    uint64_t whole = buf.length + size + transfer_tar_padding(size) + (uint64_t)2 * TAR_BLOCK;
    ok(transfer_tar_list(read_bytes, &bytes, whole, arena, &list, &count));
    assert_int_equal(count, 1);
    assert_true(list[0].size == size && list[0].offset == 3 * TAR_BLOCK);
    /* Others read it likewise: a sparse file of that length. */
    const char *path = arena_printf(arena, "%s/t", folder);
    transfer_save(path, buf.data, buf.length);
    assert_int_equal(truncate(path, (off_t)whole), 0);
    shell("tar -tvf t | grep -q ' 9663676421 ';"
          " python3 -c \"import tarfile; assert tarfile.open('t').next().size == 9663676421\"");
}

static void list_refused(const struct buf *buf, uint64_t size, const char *why)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct transfer_tar_member *list;
    struct bytes bytes = {buf->data, buf->length};
    size_t count;
    struct error *error = transfer_tar_list(read_bytes, &bytes, size, arena, &list, &count);
    if (!error || error_code(error) != ERR_INVALID || !strstr(error_message(error), why))
        fail_msg("\"%s\" was wanted, not: %s", why, error ? error_message(error) : "it is taken");
    error_free(error);
}

/* With one header changed and its checksum made right again. */
static void change(struct buf *buf, size_t header, size_t at, const void *bytes, size_t length)
{
    char *h = buf->data + header;
    unsigned sum = 0;
    memcpy(h + at, bytes, length);
    memset(h + 148, ' ', 8);
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += (unsigned char)h[i];
    (void)snprintf(h + 148, 7, "%06o", sum);
    h[155] = ' ';
}

static void hostile_archives(void **state)
{
    static const struct {
        size_t at;
        const char *bytes;
        size_t length;
        const char *why;
    } cases[] = {
        {0, "../../etc/passwd", 17, "in a folder"},
        {0, "/etc/passwd", 12, "in a folder"},
        {0, "a\nb", 4, "in a folder"},
        {0, "", 1, "without a name"},
        {345, "folder", 7, "in a folder"},
        {156, "2", 1, "no regular file"}, /* a symbolic link */
        {156, "1", 1, "no regular file"},
        {156, "3", 1, "no regular file"},
        {156, "5", 1, "no regular file"},
        {156, "S", 1, "no regular file"}, /* GNU's sparse file */
        {156, "L", 1, "no regular file"},
        {124, "77777777777", 12, "longer than the archive"},
        {124, "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, "no number"},
        {124, "12x45678901", 12, "no number"},
        {257, "nostar", 6, "no header"},
        {156, "x", 1, "broken extended header"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        BUF_AUTO struct buf buf = BUF_INIT(MEBIBYTE);
        add(&buf, "web.ovf", "descriptor");
        end(&buf);
        change(&buf, 0, cases[i].at, cases[i].bytes, cases[i].length);
        list_refused(&buf, buf.length, cases[i].why);
    }
    BUF_AUTO struct buf buf = BUF_INIT(MEBIBYTE);
    add(&buf, "web.ovf", "one");
    add(&buf, "web.ovf", "two");
    end(&buf);
    list_refused(&buf, buf.length, "twice");
    list_refused(&buf, 2 * TAR_BLOCK, "end that is missing");
    buf.data[3] ^= 1; /* a checksum that is not right */
    list_refused(&buf, buf.length, "checksum");
    buf_clear(&buf);
    for (int i = 0; i < 100; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%d", i);
        add(&buf, name, "x");
    }
    end(&buf);
    list_refused(&buf, buf.length, "too many members");
    buf_clear(&buf);
    end(&buf);
    list_refused(&buf, buf.length, "no member");
    /* An endless row of extended headers. */
    buf_clear(&buf);
    for (int i = 0; i < 300; i++) {
        transfer_tar_header(&buf, "p", 12, 0);
        change(&buf, buf.length - TAR_BLOCK, 156, "x", 1);
        size_t from = buf.length;
        buf_puts(&buf, "12 a=bcdefg\n");
        (void)from;
        static const char zeros[TAR_BLOCK];
        buf_append(&buf, zeros, transfer_tar_padding(12));
    }
    end(&buf);
    list_refused(&buf, buf.length, "too many headers");
}

/* ---------------------------------------------------------------------------------------------------------
 * OVF
 */

static const struct transfer_ovf_machine example = {
    .name = "web",
    .guest_os = "Debian <12> & \"more\"",
    .vcpu = 4,
    .memory_mb = 6144,
    .uefi = true,
    .disks = {{"web-disk1.vmdk", UINT64_C(42949672960), 12345}, {"web-disk2.vmdk", 1048576, 99}},
    .disk_count = 2,
    .macs = {"52:54:00:12:34:56", NULL},
    .networks = {"extranet", "extranet"},
    .card_count = 2};

static void a_descriptor_is_read_as_it_was_written(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    BUF_AUTO struct buf buf = BUF_INIT(MEBIBYTE);
    struct transfer_ovf_machine read;
    (void)state;
    ok(transfer_ovf_write(&example, &buf));
    ok(transfer_ovf_read(buf.data, buf.length, arena, &read));
    assert_string_equal(read.name, "web");
    assert_string_equal(read.guest_os, example.guest_os);
    assert_int_equal(read.vcpu, 4);
    assert_int_equal(read.memory_mb, 6144);
    assert_true(read.uefi && !read.secure);
    assert_int_equal(read.disk_count, 2);
    assert_string_equal(read.disks[1].file, "web-disk2.vmdk");
    assert_true(read.disks[0].bytes == UINT64_C(42949672960) && read.disks[0].size == 12345);
    assert_int_equal(read.card_count, 2);
    assert_string_equal(read.macs[0], "52:54:00:12:34:56");
    assert_null(read.macs[1]);
}

/* As VMware's tool writes it: prefixes everywhere, gigabytes, a CD drive that is no disk. */
static void a_descriptor_of_others(void **state)
{
    static const char text[] =
        "<?xml version='1.0'?><ovf:Envelope xmlns:ovf='http://schemas.dmtf.org/ovf/envelope/1' "
        "xmlns:rasd='r' xmlns:vmw='http://www.vmware.com/schema/ovf'><ovf:References><ovf:File "
        "ovf:href='a.vmdk' "
        "ovf:id='file1' ovf:size='7'/><ovf:File ovf:href='b.iso' ovf:id='file2'/></ovf:References>"
        "<ovf:DiskSection><ovf:Info>x</ovf:Info><ovf:Disk ovf:capacity='16' "
        "ovf:capacityAllocationUnits='byte * 2^30' ovf:diskId='vmdisk1' "
        "ovf:fileRef='file1'/></ovf:DiskSection>"
        "<ovf:VirtualSystem ovf:id='vm'><ovf:Name>old</ovf:Name><ovf:VirtualHardwareSection><ovf:Item>"
        "<rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits><rasd:ResourceType>3</rasd:ResourceType>"
        "<rasd:VirtualQuantity>2</rasd:VirtualQuantity></ovf:Item><ovf:Item><rasd:AllocationUnits>MegaBytes"
        "</rasd:AllocationUnits><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>2048"
        "</rasd:VirtualQuantity></ovf:Item><ovf:Item><rasd:HostResource>ovf:/file/file2</rasd:HostResource>"
        "<rasd:ResourceType>15</rasd:ResourceType></ovf:Item><ovf:Item><rasd:HostResource>ovf:/disk/vmdisk1"
        "</rasd:HostResource><rasd:ResourceType>17</rasd:ResourceType></ovf:Item></"
        "ovf:VirtualHardwareSection>"
        "</ovf:VirtualSystem></ovf:Envelope>";
    ARENA_AUTO struct arena *arena = arena_new();
    struct transfer_ovf_machine read;
    (void)state;
    ok(transfer_ovf_read(text, strlen(text), arena, &read));
    assert_int_equal(read.disk_count, 1);
    assert_string_equal(read.disks[0].file, "a.vmdk");
    assert_true(read.disks[0].bytes == UINT64_C(16) << 30);
    assert_int_equal(read.memory_mb, 2048);
    assert_false(read.uefi);
}

static void ovf_refused(const char *text, const char *why)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct transfer_ovf_machine read;
    struct error *error = transfer_ovf_read(text, strlen(text), arena, &read);
    if (!error || error_code(error) != ERR_INVALID || !strstr(error_message(error), why))
        fail_msg("\"%s\" was wanted, not: %s", why, error ? error_message(error) : "it is taken");
    error_free(error);
}

/* The good one with one text in the place of another. */
static void ovf_with(const char *from, const char *to, const char *why)
{
    BUF_AUTO struct buf buf = BUF_INIT(MEBIBYTE);
    BUF_AUTO struct buf changed = BUF_INIT(MEBIBYTE);
    ok(transfer_ovf_write(&example, &buf));
    const char *text = buf_text(&buf), *at = strstr(text, from);
    assert_non_null(at);
    buf_append(&changed, text, (size_t)(at - text));
    buf_puts(&changed, to);
    buf_puts(&changed, at + strlen(from));
    ovf_refused(buf_text(&changed), why);
}

static void hostile_descriptors(void **state)
{
    (void)state;
    ovf_refused("", "is empty");
    ovf_refused("<Envelope", "well-formed");
    ovf_refused("<a/>", "no OVF envelope");
    ovf_refused("<!DOCTYPE Envelope><Envelope/>", "document type");
    /* An entity is not even looked up: it ends the reading. */
    ovf_refused("<!DOCTYPE Envelope [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><Envelope>&x;</Envelope>",
                "the OVF descriptor");
    ovf_refused("<!DOCTYPE e [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;'>"
                "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;'>]><Envelope>&c;</Envelope>",
                "the OVF descriptor");
    ovf_refused("<Envelope/>", "one virtual machine");
    ovf_with("ovf:/disk/vmdisk1", "ovf:/disk/other", "without a file");
    ovf_with("ovf:/disk/vmdisk1", "/etc/passwd", "names no disk");
    ovf_with("ovf:href=\"web-disk1.vmdk\"", "ovf:href=\"../web-disk1.vmdk\"", "without a file");
    ovf_with("ovf:href=\"web-disk1.vmdk\"", "ovf:href=\"http://x/y\"", "without a file");
    ovf_with("ovf:href=\"web-disk2.vmdk\"", "ovf:href=\"web-disk1.vmdk\"", "two disks");
    ovf_with("ovf:diskId=\"vmdisk1\"", "ovf:diskId=\"vmdisk1\" ovf:parentRef=\"x\"", "of its own");
    ovf_with("ovf:id=\"file1\"", "ovf:id=\"file1\" ovf:compression=\"gzip\"", "packed");
    BUF_AUTO struct buf deep = BUF_INIT(MEBIBYTE);
    for (int i = 0; i < 5000; i++)
        buf_puts(&deep, "<a>");
    ovf_refused(buf_text(&deep), "well-formed");
}

/* ------------------------------------------------------------------------------------------------------
 * images
 */

/* What qemu-img makes, its first bytes and its length. */
struct image {
    unsigned char head[IMAGE_HEAD_MAX];
    size_t length;
    uint64_t size;
};

/* By commands in an empty folder, whose image is "i". */
static void make_image(const char *command, struct image *image)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct stat status;
    const char *path = arena_printf(arena, "%s/i", folder);
    shell(arena_printf(arena, "rm -f *; %s", command));
    assert_int_equal(stat(path, &status), 0);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    image->length = fread(image->head, 1, sizeof image->head, file);
    image->size = (uint64_t)status.st_size;
    assert_int_equal(fclose(file), 0);
}
#define MAKE "qemu-img create -q -f "
#define PATH " i "

static void image_refused(enum transfer_image_format format, const struct image *image, const char *why)
{
    uint64_t size;
    struct error *error = transfer_image_check(format, image->head, image->length, image->size, &size);
    if (!error || error_code(error) != ERR_INVALID || !strstr(error_message(error), why))
        fail_msg("\"%s\" was wanted, not: %s", why, error ? error_message(error) : "it is taken");
    error_free(error);
}

static void good_images(void **state)
{
    static const struct {
        const char *command;
        enum transfer_image_format format;
        uint64_t size;
    } cases[] = {
        {MAKE "qcow2" PATH "3G", IMAGE_QCOW2, UINT64_C(3) << 30},
        {MAKE "qcow2 -o compat=0.10" PATH "3G", IMAGE_QCOW2, UINT64_C(3) << 30},
        {MAKE "qcow2 -o extended_l2=on,compression_type=zstd" PATH "2T", IMAGE_QCOW2, UINT64_C(2) << 40},
        {MAKE "qcow2 -o cluster_size=2M" PATH "64T", IMAGE_QCOW2, UINT64_C(64) << 40},
        {MAKE "vmdk -o subformat=streamOptimized" PATH "5G", IMAGE_VMDK, UINT64_C(5) << 30},
        {MAKE "vmdk -o subformat=monolithicSparse" PATH "5G", IMAGE_VMDK, UINT64_C(5) << 30},
        {"truncate -s 7M" PATH, IMAGE_RAW, UINT64_C(7) << 20},
    };
    static struct image image;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t size;
        make_image(cases[i].command, &image);
        ok(transfer_image_check(cases[i].format, image.head, image.length, image.size, &size));
        assert_true(size == cases[i].size);
    }
}

static void hostile_images(void **state)
{
    static const struct {
        const char *command;
        enum transfer_image_format format;
        const char *why;
    } cases[] = {
        {MAKE "qcow2 -b /etc/passwd -F raw" PATH "1M", IMAGE_QCOW2, "backing file"},
        {"truncate -s 1M d; " MAKE "qcow2 -o data_file=d,data_file_raw=on" PATH "1M", IMAGE_QCOW2,
         "in another file"},
        {MAKE "qcow2" PATH "1M; qemu-img snapshot -c s" PATH, IMAGE_QCOW2, "snapshots"},
        {MAKE "qcow2" PATH "1M", IMAGE_VMDK, "no VMDK"},
        {MAKE "vmdk -o subformat=streamOptimized" PATH "1M", IMAGE_QCOW2, "no qcow2"},
        {MAKE "vmdk -o subformat=monolithicFlat" PATH "1M", IMAGE_VMDK,
         "descriptor of a VMDK in other files"},
        {MAKE "vmdk base 1M; " MAKE "vmdk -b base -F vmdk" PATH, IMAGE_VMDK, "child of another"},
        {"truncate -s 1000" PATH, IMAGE_RAW, "whole sectors"},
        {"truncate -s 100" PATH, IMAGE_RAW, "shorter than a sector"},
        {"truncate -s 1M" PATH, IMAGE_QCOW2, "no qcow2"},
    };
    static struct image image;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_image(cases[i].command, &image);
        image_refused(cases[i].format, &image, cases[i].why);
    }
}

/* Numbers that qemu-img would never write. */
static void hostile_numbers(void **state)
{
    static const struct {
        size_t at;
        unsigned char bytes[8];
        size_t length;
        const char *why;
    } cases[] = {
        {24, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0}, 8, "larger than 64 TiB"},
        {24, {0, 0, 0, 0, 0, 0, 0, 7}, 8, "whole sectors"},
        {8, {0, 0, 0, 0, 0, 0, 1, 0}, 8, "backing file"},
        {32, {0, 0, 0, 2}, 4, "encrypted"},
        {20, {0, 0, 0, 63}, 4, "clusters"},
        {20, {0, 0, 0, 1}, 4, "clusters"},
        {36, {0x7f, 0xff, 0xff, 0xff}, 4, "first table"},    /* 16 GiB of entries */
        {24, {0, 0, 0x3f, 0, 0, 0, 0, 0}, 8, "first table"}, /* 63 TiB with the table of 1 MiB */
        {72, {0, 0, 0, 0, 0, 0, 0, 4}, 8, "in another file"},
        {72, {0, 0, 0, 0, 0, 0, 0, 2}, 8, "corrupt"},
        {72, {0x80, 0, 0, 0, 0, 0, 0, 0}, 8, "not known"},
        {4, {0, 0, 0, 9}, 4, "version"},
        {96, {0, 0, 0, 7}, 4, "header is broken"},
        {100, {0xff, 0xff, 0xff, 0xf8}, 4, "header is broken"},
        {112, {0xe2, 0x79, 0x2a, 0xca, 0, 0, 0, 4}, 8, "backing file"},
        {112, {0x12, 0x34, 0x56, 0x78, 0xff, 0xff, 0xff, 0xff}, 8, "header extension"},
    };
    static struct image good, bad;
    (void)state;
    make_image(MAKE "qcow2" PATH "1M", &good);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bad = good;
        memcpy(bad.head + cases[i].at, cases[i].bytes, cases[i].length);
        image_refused(IMAGE_QCOW2, &bad, cases[i].why);
    }
    static const struct {
        size_t at;
        unsigned char bytes[8];
        size_t length;
        const char *why;
    } sparse[] = {
        {12, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, 8, "larger than 64 TiB"},
        {20, {3, 0, 0, 0, 0, 0, 0, 0}, 8, "grains"},
        {20, {0, 0, 0, 0x80}, 4, "grains"},
        {44, {1, 0, 0, 0}, 4, "grains"},
        {28, {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, 8, "descriptor"},
        {36, {0xff, 0xff, 0xff, 0, 0, 0, 0, 0}, 8, "descriptor"},
        {4, {77, 0, 0, 0}, 4, "version"},
    };
    make_image(MAKE "vmdk -o subformat=streamOptimized" PATH "1M", &good);
    for (size_t i = 0; i < sizeof sparse / sizeof *sparse; i++) {
        bad = good;
        memcpy(bad.head + sparse[i].at, sparse[i].bytes, sparse[i].length);
        image_refused(IMAGE_VMDK, &bad, sparse[i].why);
    }
    static const char *const descriptors[][2] = {
        {"RW 2048 SPARSE \"a\"\nRW 2048 SPARSE \"/etc/shadow\"\n", "several files"},
        {"RW 2048 FLAT \"/etc/shadow\" 0\n", "several files"},
        {"parentFileNameHint=\"/etc/shadow\"\n", "child of another"},
        {"parentCID=12345678\n", "child of another"},
        {"createType=\"twoGbMaxExtentFlat\"\n", "several files"},
    };
    for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++) {
        bad = good;
        memset(bad.head + 512, 0, 20 * 512);
        memcpy(bad.head + 512, descriptors[i][0], strlen(descriptors[i][0]));
        image_refused(IMAGE_VMDK, &bad, descriptors[i][1]);
    }
}

static void names_of_files(void **state)
{
    (void)state;
    assert_true(transfer_name_valid("web-disk1.vmdk"));
    assert_true(transfer_name_valid("A_1.b"));
    static const char *const bad[] = {"",    ".hidden", "..",   "a/b",         "a b",
                                      "a,b", "-rf",     "a\nb", "\xe4\xba\x91"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(transfer_name_valid(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_archive_is_read_as_it_was_written),
        cmocka_unit_test(a_member_over_8_gib),
        cmocka_unit_test(hostile_archives),
        cmocka_unit_test(a_descriptor_is_read_as_it_was_written),
        cmocka_unit_test(a_descriptor_of_others),
        cmocka_unit_test(hostile_descriptors),
        cmocka_unit_test(good_images),
        cmocka_unit_test(hostile_images),
        cmocka_unit_test(hostile_numbers),
        cmocka_unit_test(names_of_files),
    };
    return cmocka_run_group_tests(tests, begin, over);
}
