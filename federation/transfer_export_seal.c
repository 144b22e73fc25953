/* The second half of the job "export": packing what cannot be written at random, proving every disk in the
 * form in which it leaves, and the seal over all of it. See transfer_export.c. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "broker/auth/audit.h"
#include "broker/auth/keyring.h"
#include "broker/base/json.h"
#include "broker/base/log.h"
#include "broker/http/event.h"
#include "federation/transfer_export.h"
#include "federation/transfer_manifest.h"
#include "federation/transfer_ovf.h"
#include "federation/transfer_tar.h"

#define PIECE ((size_t)1 << 20)
#define TEXT_MAX ((size_t)256 * 1024)

static const json_t *disk_json(const struct export_work *w, size_t disk)
{
    return json_array_get(json_object_get(w->transfer.machine, "disks"), disk);
}

static int64_t disk_bytes(const struct export_work *w, size_t disk)
{
    return json_integer_value(json_object_get(disk_json(w, disk), "bytes"));
}

static struct error *pack_disk(struct export_work *w, size_t disk)
{
    const char *form = transfer_format_qemu(w->transfer.format);
    const char *file = export_disk_file(w, disk, transfer_format_end(w->transfer.format));
    const char *from = export_disk_file(w, disk, "qcow2");
    if (w->transfer.format == TRANSFER_RAW)
        file = export_disk_file(w, disk, "raw");
    if (export_packs(w))
        TRY(transfer_disk_pack(&w->disk, from, file));
    TRY(export_why(w, transfer_disk_prove(&w->disk, file, form, export_manifest_path(w, disk))));
    json_put_int(w->job->state, "packed", (int64_t)disk + 1);
    TRY(job_save(w->job));
    /* Only once that is written down: another attempt would need it. */
    return export_packs(w) ? transfer_file_remove(w->folder, from) : NULL;
}

/* ------------------------------------------------------------------------------------------------- the
 * archive
 */

static struct error *put(int fd, const void *bytes, size_t length, const char *name)
{
    const char *at = bytes;
    while (length) {
        ssize_t count = write(fd, at, length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return transfer_io_error("write", name);
        at += count;
        length -= (size_t)count;
    }
    return NULL;
}

struct archive {
    struct export_work *w;
    const char *name;
    int fd;
    char *piece;
};

static struct error *put_header(const struct archive *a, const char *name, uint64_t size)
{
    BUF_AUTO struct buf header = BUF_INIT(TAR_HEADER_MAX);
    transfer_tar_header(&header, name, size, a->w->transfer.created_at / MOMENT_SECOND);
    return put(a->fd, header.data, header.length, a->name);
}

static struct error *put_zeros(const struct archive *a, size_t length)
{
    static const char zeros[2 * TAR_BLOCK];
    return put(a->fd, zeros, length, a->name);
}

static struct error *add_text(const struct archive *a, const char *name, const struct buf *text)
{
    TRY(put_header(a, name, text->length));
    TRY(put(a->fd, text->data, text->length, a->name));
    return put_zeros(a, transfer_tar_padding(text->length));
}

static struct error *copy_bytes(const struct archive *a, int from, const char *name, int64_t size)
{
    for (int64_t left = size; left;) {
        ssize_t count = read(from, a->piece, left < (int64_t)PIECE ? (size_t)left : PIECE);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return transfer_io_error("read", name);
        if (!count)
            return error_new(ERR_IO, "%s became shorter meanwhile", name);
        if (job_cancelled(a->w->job))
            return error_new(ERR_CANCELLED, "the broker stops, or somebody cancelled it");
        TRY(put(a->fd, a->piece, (size_t)count, a->name));
        left -= count;
    }
    return NULL;
}

static struct error *add_file(const struct archive *a, const char *name, int64_t size)
{
    const char *path = arena_printf(a->w->job->arena, "%s/%s", a->w->folder, name);
    int from = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0)
        return transfer_io_error("open", name);
    struct error *error = put_header(a, name, (uint64_t)size);
    if (!error)
        error = copy_bytes(a, from, name, size);
    (void)close(from); /* it was only read */
    TRY(error);
    return put_zeros(a, transfer_tar_padding((uint64_t)size));
}

static void describe(const struct export_work *w, const struct transfer_file *disks,
                     struct transfer_ovf_machine *m)
{
    const json_t *machine = w->transfer.machine, *cards = json_object_get(machine, "cards");
    const char *firmware = json_string_value(json_object_get(machine, "firmware"));
    *m = (struct transfer_ovf_machine){
        .name = w->transfer.name,
        .guest_os = json_string_value(json_object_get(machine, "guest_os")),
        .vcpu = (unsigned)json_integer_value(json_object_get(machine, "vcpu")),
        .memory_mb = (uint64_t)json_integer_value(json_object_get(machine, "memory_mb")),
        .uefi = !strncmp(firmware, "uefi", 4),
        .secure = !strcmp(firmware, "uefi-secure"),
        .disk_count = export_disk_count(w),
        .card_count = json_array_size(cards)};
    for (size_t i = 0; i < m->disk_count; i++)
        m->disks[i] = (struct transfer_ovf_disk){
            .file = disks[i].name, .bytes = (uint64_t)disk_bytes(w, i), .size = (uint64_t)disks[i].size};
    if (m->card_count > OVF_CARDS_MAX)
        m->card_count = OVF_CARDS_MAX;
    for (size_t i = 0; i < m->card_count; i++) {
        m->macs[i] = json_string_value(json_object_get(json_array_get(cards, i), "mac"));
        m->networks[i] = json_string_value(json_object_get(json_array_get(cards, i), "network"));
    }
}

static void put_sum(struct buf *sums, const char *name, const char *sha256)
{
    buf_printf(sums, "SHA256(%s)= %s\n", name, sha256);
}

/* Descriptor, its manifest, the disks: in this order, as OVF has it. */
static struct error *fill_archive(const struct archive *a, const struct transfer_file *disks)
{
    struct export_work *w = a->w;
    BUF_AUTO struct buf ovf = BUF_INIT(TEXT_MAX);
    BUF_AUTO struct buf sums = BUF_INIT(TEXT_MAX);
    struct transfer_ovf_machine machine;
    char digest[DIGEST_HEX];
    const char *name = arena_printf(w->job->arena, "%s.ovf", w->transfer.name);
    describe(w, disks, &machine);
    TRY(transfer_ovf_write(&machine, &ovf));
    digest_sha256(ovf.data, ovf.length, digest);
    put_sum(&sums, name, digest);
    for (size_t i = 0; i < machine.disk_count; i++)
        put_sum(&sums, disks[i].name, disks[i].sha256);
    TRY(add_text(a, name, &ovf));
    TRY(add_text(a, arena_printf(w->job->arena, "%s.mf", w->transfer.name), &sums));
    for (size_t i = 0; i < machine.disk_count; i++)
        TRY(add_file(a, disks[i].name, disks[i].size));
    TRY(put_zeros(a, (size_t)2 * TAR_BLOCK));
    return fsync(a->fd) ? transfer_io_error("write", a->name) : NULL;
}

static const char *archive_name(const struct export_work *w)
{
    return arena_printf(w->job->arena, "%s.ova", w->transfer.name);
}

/* Begun anew after a crash: all that it is made of is there until it is whole. */
static struct error *make_archive(struct export_work *w)
{
    struct transfer_file disks[TRANSFER_DISKS_MAX];
    struct archive a = {.w = w, .name = archive_name(w)};
    for (size_t i = 0; i < export_disk_count(w); i++)
        TRY(transfer_digest(w->folder, export_disk_file(w, i, "vmdk"), w->job, w->job->arena, &disks[i]));
    TRY(transfer_file_remove(w->folder, a.name));
    TRY(transfer_file_open(w->disk.services, w->folder, a.name, &a.fd));
    a.piece = arena_alloc(w->job->arena, PIECE);
    struct error *error = fill_archive(&a, disks);
    (void)close(a.fd); /* it was synced, or is begun anew */
    return error;
}

struct error *export_pack(struct job *job)
{
    struct export_work w;
    TRY(export_begin(job, &w));
    w.step = "packing";
    w.from = 60;
    w.to = 85;
    size_t packed = (size_t)json_integer_value(json_object_get(job->state, "packed"));
    for (size_t i = 0; i < export_disk_count(&w); i++)
        w.total += (uint64_t)disk_bytes(&w, i);
    for (size_t i = 0; i < export_disk_count(&w); i++) {
        if (i >= packed)
            TRY(pack_disk(&w, i));
        else if (export_packs(&w)) /* the broker may have died before it was removed */
            TRY(transfer_file_remove(w.folder, export_disk_file(&w, i, "qcow2")));
        w.done_before += (uint64_t)disk_bytes(&w, i);
    }
    return w.transfer.format == TRANSFER_OVA ? make_archive(&w) : NULL;
}

/* ----------------------------------------------------------------------------------------------------- the
 * seal
 */

static const char *hex(struct arena *arena, const uint8_t *bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *text = arena_alloc(arena, DIGEST_HEX);
    for (size_t i = 0; i < COPY_DIGEST_SIZE; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    return text;
}

static const char *disk_name(const struct export_work *w, size_t disk)
{
    return export_disk_file(
        w, disk, w->transfer.format == TRANSFER_RAW ? "raw" : transfer_format_end(w->transfer.format));
}

/* What the disk held, as its copy's manifest has it. */
static struct error *put_content(const struct export_work *w, size_t disk, json_t *json)
{
    COPY_MANIFEST_AUTO struct copy_manifest *manifest = NULL;
    uint8_t root[COPY_DIGEST_SIZE];
    json_t *content = json_object();
    struct error *error = copy_manifest_read(export_manifest_path(w, disk), &manifest);
    if (error) {
        json_decref(content);
        return error;
    }
    const struct copy_shape *shape = copy_manifest_shape(manifest);
    copy_manifest_root(manifest, root);
    json_put_text(content, "algorithm", shape->algorithm == COPY_SM3 ? "sm3" : "sha256");
    json_put_int(content, "block_size", shape->block_size);
    json_put_text(content, "root", hex(w->job->arena, root));
    json_put(json, "content", content);
    json_put_text(json, "file", disk_name(w, disk));
    return NULL;
}

static json_t *files_json(const struct transfer_file *files, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *file = json_object();
        json_put_text(file, "name", files[i].name);
        json_put_int(file, "size", files[i].size);
        json_put_text(file, "sha256", files[i].sha256);
        json_put_text(file, "sm3", files[i].sm3);
        json_push(list, file);
    }
    return list;
}

static struct error *build(struct export_work *w, const struct transfer_file *files, size_t count, moment now,
                           json_t *manifest)
{
    const json_t *state = w->job->state;
    json_t *machine = json_deep_copy(w->transfer.machine);
    json_put(manifest, "machine", machine);
    for (size_t i = 0; i < export_disk_count(w); i++)
        TRY(put_content(w, i, json_array_get(json_object_get(machine, "disks"), i)));
    bool running = json_is_true(json_object_get(state, "running"));
    bool quiesced = json_is_true(json_object_get(state, "quiesced"));
    json_put_int(manifest, "version", 1);
    json_put_text(manifest, "export", w->transfer.id);
    json_put_text(manifest, "unit", w->unit);
    json_put_text(manifest, "system", w->transfer.system);
    json_put_text(manifest, "cloud", w->transfer.cloud);
    json_put_text(manifest, "provider", w->transfer.provider);
    json_put_text(manifest, "format", transfer_format_name(w->transfer.format));
    json_put_text(manifest, "consent", w->transfer.consent);
    json_put_text(manifest, "by", w->transfer.principal);
    json_put_text(manifest, "taken", !running ? "off" : quiesced ? "quiesced" : "crash-consistent");
    json_put_moment(manifest, "ordered_at", w->transfer.created_at);
    json_put_moment(manifest, "sealed_at", now);
    json_put(manifest, "files", files_json(files, count));
    return NULL;
}

struct sealing {
    struct export_work *w;
    const struct transfer_file *files;
    size_t count;
    const json_t *sealed;
    int64_t bytes;
};

static struct error *tell(struct db *db, const struct export_work *w, const json_t *sealed, moment now)
{
    json_t *data = json_hold(w->job->arena, json_object());
    json_put_text(data, "export", w->transfer.id);
    json_put_text(data, "instance", w->instance.id);
    json_put_text(data, "consent", w->transfer.consent);
    json_put_text(data, "digest_sm3", json_string_value(json_object_get(sealed, "digest_sm3")));
    const struct audit_entry entry = {.at = now,
                                      .principal = "system",
                                      .action = "exports:seal",
                                      .unit = w->unit,
                                      .cloud = w->transfer.cloud,
                                      .subject = w->transfer.id,
                                      .details = data};
    TRY(audit_add(db, &entry));
    return event_add(db, &(struct event){.at = now,
                                         .type = "export.ready",
                                         .unit = w->unit,
                                         .system = w->transfer.system,
                                         .cloud = w->transfer.cloud,
                                         .provider = w->transfer.provider,
                                         .subject = w->transfer.id,
                                         .data = data});
}

static struct error *seal_body(struct db *db, void *context)
{
    const struct sealing *s = context;
    struct export_work *w = s->w;
    const struct federation_services *services = w->job->context;
    moment now = clock_now(w->job->clock);
    struct transfer transfer = w->transfer; /* a transaction may run again */
    for (size_t i = 0; i < s->count; i++)
        TRY(transfer_add_file(db, &transfer, i + 1, &s->files[i]));
    TRY(transfer_set_manifest(db, &transfer, s->sealed));
    TRY(transfer_take_space(db, &transfer, s->bytes, services));
    TRY(transfer_become(db, &transfer, "ready", NULL, now));
    TRY(transfer_clean_add(db, w->job->arena, &transfer, now + services->transfer_keep_us, now));
    TRY(resource_release(db, &w->instance, w->operation.id, NULL, now));
    TRY(tell(db, w, s->sealed, now));
    json_t *result = json_hold(w->job->arena, json_object());
    json_put_text(result, "export", w->transfer.id);
    return operation_end(db, &w->operation, NULL, result, now);
}

/* What it was made of. */
static struct error *tidy(const struct export_work *w)
{
    for (size_t i = 0; i < export_disk_count(w); i++) {
        const char *blocks = strrchr(export_manifest_path(w, i), '/') + 1;
        if (w->transfer.format == TRANSFER_OVA)
            TRY(transfer_file_remove(w->folder, export_disk_file(w, i, "vmdk")));
        TRY(transfer_file_remove(w->folder, blocks));
    }
    return NULL;
}

static struct error *seal_files(struct export_work *w, struct transfer_file *files, size_t *ret_count)
{
    struct arena *arena = w->job->arena;
    size_t count = 0;
    if (w->transfer.format == TRANSFER_OVA)
        TRY(transfer_digest(w->folder, archive_name(w), w->job, arena, &files[count++]));
    else
        for (size_t i = 0; i < export_disk_count(w); i++)
            TRY(transfer_digest(w->folder, disk_name(w, i), w->job, arena, &files[count++]));
    *ret_count = count;
    return NULL;
}

/* It is ready, whatever becomes of what only the making needed: the job that cleans takes it in the end. */
static void tidy_up(const struct export_work *w)
{
    struct error *error = tidy(w);
    if (error)
        log_warning("transfer.left", LOG_TEXT("export", w->transfer.id), LOG_CAUSE(error));
    error_free(error);
}

struct error *export_seal(struct job *job)
{
    struct export_work w;
    const struct federation_services *services = job->context;
    struct transfer_file files[TRANSFER_DISKS_MAX + 1];
    struct sealing sealing = {.w = &w, .files = files};
    json_t *sealed;
    TRY(export_begin(job, &w));
    if (strcmp(w.transfer.state, "working") != 0) { /* the step ran before a crash */
        tidy_up(&w);
        return NULL;
    }
    moment now = clock_now(job->clock);
    TRY(seal_files(&w, files, &sealing.count));
    json_t *manifest = json_object();
    struct error *error = build(&w, files, sealing.count, now, manifest);
    if (error) {
        json_decref(manifest);
        return error;
    }
    TRY(transfer_seal(services->control.auth, now, w.transfer.id, manifest, job->arena, &sealed));
    const char *path = arena_printf(job->arena, "%s/%s", w.folder, TRANSFER_MANIFEST_FILE);
    const char *text = json_canonical(job->arena, sealed);
    TRY(keyring_write_file(path, text, strlen(text)));
    TRY(transfer_digest(w.folder, TRANSFER_MANIFEST_FILE, job, job->arena, &files[sealing.count]));
    sealing.count++;
    sealing.sealed = sealed;
    for (size_t i = 0; i < sealing.count; i++)
        sealing.bytes += files[i].size;
    TRY(job_transaction(job, DB_READ_COMMITTED, seal_body, &sealing));
    tidy_up(&w);
    return NULL;
}
