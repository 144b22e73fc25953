/* The first step of the job "import": nothing of what somebody sent is believed. Digests first, then the
 * first bytes of every image by our own eyes, and only then QEMU's, confined, with its format said. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/json.h"
#include "federation/transfer_import.h"
#include "federation/transfer_tar.h"

#define INFO_MAX ((size_t)256 * 1024)
#define INFO_CPU_S 60
#define OVF_END ".ovf"

/* --------------------------------------------------------------------------------------------------- digests
 */

struct wrong_file {
    struct import_work *w;
    const char *name;
};

static struct error *again_body(struct db *db, void *context)
{
    const struct wrong_file *wrong = context;
    return transfer_set_received(db, &wrong->w->transfer, wrong->name, 0);
}

static struct error *check_file(struct import_work *w, const struct transfer_file *declared)
{
    struct transfer_file found;
    TRY(transfer_digest(w->folder, declared->name, w->job, w->job->arena, &found));
    bool same = found.size == declared->size && !strcmp(found.sha256, declared->sha256) &&
                (!declared->sm3 || !strcmp(found.sm3, declared->sm3));
    if (same)
        return NULL;
    struct wrong_file wrong = {w, declared->name};
    TRY(job_transaction(w->job, DB_READ_COMMITTED, again_body, &wrong));
    return error_new(ERR_INVALID,
                     "%s is not the file that was declared: it has %lld bytes of SHA-256 %s; send it again",
                     declared->name, (long long)found.size, found.sha256);
}

/* ---------------------------------------------------------------------------------------------------- images
 */

static struct error *read_at(int fd, uint64_t offset, void *bytes, size_t length, const char *name)
{
    char *at = bytes;
    while (length) {
        ssize_t count = pread(fd, at, length, (off_t)offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return transfer_io_error("read", name);
        if (!count)
            return error_new(ERR_INVALID, "%s ends too early", name);
        at += count;
        offset += (uint64_t)count;
        length -= (size_t)count;
    }
    return NULL;
}

struct opened {
    int fd;
    const char *name;
};

static struct error *read_tar(void *data, uint64_t offset, void *bytes, size_t length)
{
    const struct opened *file = data;
    return read_at(file->fd, offset, bytes, length, file->name);
}

static enum transfer_image_format format_of(const char *qemu)
{
    return !strcmp(qemu, "raw") ? IMAGE_RAW : !strcmp(qemu, "qcow2") ? IMAGE_QCOW2 : IMAGE_VMDK;
}

static struct error *check_head(struct import_work *w, int fd, struct import_disk *disk, uint64_t size)
{
    size_t length = size < IMAGE_HEAD_MAX ? (size_t)size : IMAGE_HEAD_MAX;
    unsigned char *head = arena_alloc(w->job->arena, length + 1);
    TRY(read_at(fd, disk->offset, head, length, disk->name));
    TRY_DOING(transfer_image_check(format_of(disk->format), head, length, size, &disk->bytes), "%s",
              disk->name);
    return NULL;
}

/* QEMU's image options; names have no comma. */
static const char *options_of(const struct import_work *w, const struct import_disk *disk)
{
    if (!disk->length)
        return arena_printf(w->job->arena, "driver=%s,file.driver=file,file.filename=./%s", disk->format,
                            disk->file);
    return arena_printf(w->job->arena,
                        "driver=%s,file.driver=raw,file.offset=%llu,file.size=%llu,file.file.driver=file,"
                        "file.file.filename=./%s",
                        disk->format, (unsigned long long)disk->offset, (unsigned long long)disk->length,
                        disk->file);
}

static struct error *bad_image(const struct import_disk *disk, const char *what)
{
    return error_new(ERR_INVALID, "%s: the image is not taken: %s", disk->name, what);
}

static struct error *judge_info(const struct import_disk *disk, const json_t *info)
{
    static const char *const others[] = {"backing-filename", "full-backing-filename", "backing-image"};
    const json_t *format = json_object_get(json_object_get(info, "format-specific"), "data");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (json_object_get(info, others[i]))
            return bad_image(disk, "it has a backing file");
    if (json_object_get(format, "data-file") || json_array_size(json_object_get(format, "extents")) > 1)
        return bad_image(disk, "its data are in other files");
    if (json_is_true(json_object_get(info, "encrypted")))
        return bad_image(disk, "it is encrypted");
    const char *name = json_string_value(json_object_get(info, "format"));
    if (!name || strcmp(name, disk->format) != 0)
        return bad_image(disk, "it is of another format");
    json_int_t size = json_integer_value(json_object_get(info, "virtual-size"));
    return size == (json_int_t)disk->bytes ? NULL : bad_image(disk, "two ways to read its size differ");
}

static struct error *ask_qemu(struct import_work *w, const struct import_disk *disk)
{
    struct transfer_box box = transfer_box(&w->disk, false);
    const char *said;
    json_t *info;
    const char *const argv[] = {"/usr/bin/qemu-img", "info", "--output=json", "--image-opts",
                                options_of(w, disk), NULL};
    TRY_DOING(transfer_child_run(&box, argv, INFO_CPU_S, INFO_MAX, w->job, w->job->arena, &said), "%s",
              disk->name);
    TRY(json_parse_in(w->job->arena, said, strlen(said), &info));
    return judge_info(disk, info);
}

struct error *import_serve(const struct import_work *w, const struct import_disk *disk,
                           struct transfer_server *ret_server)
{
    struct transfer_box box = transfer_box(&w->disk, false);
    return transfer_serve(&box, disk->file, disk->format, options_of(w, disk), w->job->arena, ret_server);
}

static struct error *open_file(const struct import_work *w, const char *name, int *ret_fd)
{
    const char *path = arena_printf(w->job->arena, "%s/%s", w->folder, name);
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return transfer_io_error("open", name);
    *ret_fd = fd;
    return NULL;
}

static struct error *take_images(struct import_work *w)
{
    const char *format = transfer_format_qemu(w->transfer.format);
    if (w->file_count > TRANSFER_DISKS_MAX)
        return error_new(ERR_INVALID, "%zu files are more disks than %d", w->file_count, TRANSFER_DISKS_MAX);
    for (size_t i = 0; i < w->file_count; i++) {
        const struct transfer_file *file = &w->files[i];
        int fd;
        w->disks[i] = (struct import_disk){.file = file->name, .name = file->name, .format = format};
        TRY(open_file(w, file->name, &fd));
        struct error *error = check_head(w, fd, &w->disks[i], (uint64_t)file->size);
        (void)close(fd); /* it was only read */
        TRY(error);
    }
    w->disk_count = w->file_count;
    return NULL;
}

/* ----------------------------------------------------------------------------------------------------
 * archives
 */

static bool ends(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length > tail && !strcasecmp(text + length - tail, end);
}

static struct error *read_descriptor(struct import_work *w, struct opened *file,
                                     const struct transfer_tar_member *list, size_t count,
                                     struct transfer_ovf_machine *machine)
{
    const struct transfer_tar_member *found = NULL;
    for (size_t i = 0; i < count; i++)
        if (ends(list[i].name, OVF_END)) {
            if (found)
                return error_new(ERR_INVALID, "%s has two descriptors", file->name);
            found = &list[i];
        }
    if (!found || found->size > OVF_BYTES_MAX)
        return error_new(ERR_INVALID, "%s has no OVF descriptor of at most %zu bytes", file->name,
                         OVF_BYTES_MAX);
    char *text = arena_alloc(w->job->arena, (size_t)found->size + 1);
    TRY(read_tar(file, found->offset, text, (size_t)found->size));
    return transfer_ovf_read(text, (size_t)found->size, w->job->arena, machine);
}

static struct error *take_member(struct import_work *w, const struct opened *file,
                                 const struct transfer_ovf_disk *said, const struct transfer_tar_member *list,
                                 size_t count)
{
    struct import_disk *disk = &w->disks[w->disk_count];
    size_t i = 0;
    while (i < count && strcmp(list[i].name, said->file) != 0)
        i++;
    if (i == count)
        return error_new(ERR_INVALID, "%s has no member %s, which its descriptor names", file->name,
                         said->file);
    if (said->size && said->size != list[i].size)
        return error_new(ERR_INVALID, "%s is not as long as its descriptor says", said->file);
    *disk = (struct import_disk){.file = file->name,
                                 .name = said->file,
                                 .offset = list[i].offset,
                                 .length = list[i].size,
                                 .format = "vmdk"};
    if (!list[i].size)
        return error_new(ERR_INVALID, "%s is empty", said->file);
    TRY(check_head(w, file->fd, disk, list[i].size));
    if (said->bytes && said->bytes != disk->bytes)
        return error_new(ERR_INVALID, "%s is not of the size that its descriptor says", said->file);
    w->disk_count++;
    return NULL;
}

static json_t *ovf_json(const struct transfer_ovf_machine *m)
{
    json_t *json = json_object(), *cards = json_array();
    json_put_text(json, "name", m->name);
    json_put_text(json, "guest_os", m->guest_os);
    json_put_int(json, "vcpu", m->vcpu);
    json_put_int(json, "memory_mb", (int64_t)m->memory_mb);
    json_put_text(json, "firmware", m->secure ? "uefi-secure" : m->uefi ? "uefi" : "bios");
    json_put(json, "cards", cards);
    for (size_t i = 0; i < m->card_count; i++) {
        json_t *card = json_object();
        json_put_text(card, "mac", m->macs[i]);
        json_put_text(card, "network", m->networks[i]);
        json_push(cards, card);
    }
    return json;
}

static struct error *take_opened(struct import_work *w, struct opened *file, uint64_t size, json_t **ret_ovf)
{
    struct transfer_tar_member *list;
    struct transfer_ovf_machine machine;
    size_t count;
    TRY(transfer_tar_list(read_tar, file, size, w->job->arena, &list, &count));
    TRY(read_descriptor(w, file, list, count, &machine));
    for (size_t i = 0; i < machine.disk_count; i++)
        TRY(take_member(w, file, &machine.disks[i], list, count));
    *ret_ovf = ovf_json(&machine);
    return NULL;
}

static struct error *take_archive(struct import_work *w, json_t **ret_ovf)
{
    struct opened file = {.name = w->files[0].name};
    if (w->file_count != 1)
        return error_new(ERR_INVALID, "an OVA is one file");
    TRY(open_file(w, file.name, &file.fd));
    struct error *error = take_opened(w, &file, (uint64_t)w->files[0].size, ret_ovf);
    (void)close(file.fd); /* it was only read */
    return error;
}

/* --------------------------------------------------------------------------------------------- what was
 * found
 */

static json_t *found_json(const struct import_work *w, json_t *ovf)
{
    json_t *found = json_object(), *disks = json_array();
    if (ovf)
        json_put(found, "ovf", ovf);
    json_put(found, "disks", disks);
    for (size_t i = 0; i < w->disk_count; i++) {
        const struct import_disk *d = &w->disks[i];
        json_t *disk = json_object();
        json_put_text(disk, "file", d->file);
        json_put_text(disk, "name", d->name);
        json_put_int(disk, "offset", (int64_t)d->offset);
        json_put_int(disk, "length", (int64_t)d->length);
        json_put_int(disk, "bytes", (int64_t)d->bytes);
        json_put_text(disk, "format", d->format);
        json_push(disks, disk);
    }
    return found;
}

struct error *import_read_found(struct import_work *w)
{
    size_t i;
    json_t *disk;
    json_array_foreach (json_object_get(w->transfer.machine, "disks"), i, disk) {
        if (i == TRANSFER_DISKS_MAX)
            return error_new(ERR_INTERNAL, "an import of too many disks");
        w->disks[i] =
            (struct import_disk){.file = json_string_value(json_object_get(disk, "file")),
                                 .name = json_string_value(json_object_get(disk, "name")),
                                 .offset = (uint64_t)json_integer_value(json_object_get(disk, "offset")),
                                 .length = (uint64_t)json_integer_value(json_object_get(disk, "length")),
                                 .bytes = (uint64_t)json_integer_value(json_object_get(disk, "bytes")),
                                 .format = json_string_value(json_object_get(disk, "format"))};
        w->disk_count = i + 1;
    }
    return w->disk_count ? NULL : error_new(ERR_INTERNAL, "an import whose disks are not known");
}

struct noting {
    struct import_work *w;
    const json_t *found;
};

static struct error *check_sealed(const struct import_work *w, const struct transfer_sealed *sealed)
{
    if (!sealed->disk_count)
        return NULL;
    if (sealed->disk_count != w->disk_count)
        return error_new(ERR_INVALID, "the manifest is of %zu disks; %zu came", sealed->disk_count,
                         w->disk_count);
    for (size_t i = 0; i < w->disk_count; i++)
        if (sealed->disks[i].bytes != w->disks[i].bytes ||
            strcmp(sealed->disks[i].file, w->disks[i].name) != 0)
            return error_new(ERR_INVALID, "disk %s is not what the manifest says", w->disks[i].name);
    return NULL;
}

static struct error *note_body(struct db *db, void *context)
{
    const struct noting *noting = context;
    struct transfer_sealed sealed;
    TRY(import_sealed(db, noting->w, &sealed));
    TRY(check_sealed(noting->w, &sealed));
    return transfer_set_machine(db, &noting->w->transfer, noting->found);
}

struct error *import_check(struct job *job)
{
    struct import_work w;
    json_t *ovf = NULL;
    TRY(import_begin(job, &w));
    for (size_t i = 0; i < w.file_count; i++)
        TRY(check_file(&w, &w.files[i]));
    TRY(w.transfer.format == TRANSFER_OVA ? take_archive(&w, &ovf) : take_images(&w));
    json_t *found = json_hold(job->arena, found_json(&w, ovf));
    for (size_t i = 0; i < w.disk_count; i++)
        TRY(ask_qemu(&w, &w.disks[i]));
    struct noting noting = {&w, found};
    return job_transaction(job, DB_READ_COMMITTED, note_body, &noting);
}
