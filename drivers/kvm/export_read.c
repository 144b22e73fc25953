/* Exports for reading: a backup job of libvirt in pull mode serves the disks as they were when it began,
 * whatever the guest writes meanwhile; a checkpoint made with it lets a later one tell what changed. A
 * stopped instance is opened in its form for reading first. */
#include <stdlib.h>
#include <string.h>

#include "broker/base/id.h"
#include "broker/base/moment.h"
#include "drivers/kvm/disk.h"
#include "drivers/kvm/events.h"
#include "drivers/kvm/export.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/form.h"
#include "drivers/kvm/nbd.h"
#include "drivers/kvm/scratch.h"
#include "drivers/kvm/storage.h"

#define END_WAIT_US (60 * MOMENT_SECOND) /* for a backup job to end once it was told to */
#define LOOK_AGAIN_US (MOMENT_SECOND / 10)

static const struct kvm_tracked *tracked_of(const struct kvm_served *served, const char *target)
{
    for (size_t i = 0; i < served->disk_count; i++)
        if (target && strcmp(served->disks[i].disk->target, target) == 0)
            return &served->disks[i];
    return NULL;
}

/* Where a disk's file is, for its scratch file to be beside it. */
static struct error *beside(struct driver_session *session, struct arena *arena, const struct kvm_disk *disk,
                            const char **ret_path)
{
    if (disk->path && strcmp(disk->source, "file") == 0) {
        *ret_path = disk->path;
        return NULL;
    }
    virStoragePoolPtr pool;
    TRY(kvm_storage_pool(session, arena, disk->pool ? disk->pool : session->options.standard_pool, &pool));
    virStorageVolPtr *volumes;
    size_t count;
    TRY(kvm_storage_list(session, arena, pool, &volumes, &count));
    if (!count)
        return error_new(ERR_UNSUPPORTED, "disk \"%s\" has no folder for a scratch file", disk->target);
    struct kvm_facts facts;
    TRY(kvm_storage_facts(session, arena, volumes[0], &facts));
    *ret_path = facts.path;
    return NULL;
}

static struct error *write_disk(struct driver_session *session, struct arena *arena, struct kvm_out *out,
                                const struct kvm_served *served, const struct kvm_disk *disk,
                                const char *since)
{
    const struct kvm_tracked *tracked = tracked_of(served, disk->target);
    kvm_out_open(out, "disk");
    kvm_out_attribute(out, "name", disk->target);
    kvm_out_attribute(out, "backup", tracked ? "yes" : "no");
    if (tracked) {
        const char *path;
        TRY(beside(session, arena, disk, &path));
        kvm_out_attribute(out, "type", "file");
        kvm_out_attribute(out, "exportname", disk->target);
        bool changes = since && !tracked->full_reason;
        kvm_out_attribute(out, "backupmode", changes ? "incremental" : "full");
        if (changes)
            kvm_out_attribute(out, "incremental", since);
        kvm_out_open(out, "driver");
        kvm_out_attribute(out, "type", "qcow2");
        kvm_out_close(out);
        kvm_out_open(out, "scratch");
        kvm_out_attribute(out, "file", kvm_scratch_path(arena, path, served->live.uuid, disk->target));
        kvm_out_close(out);
    }
    kvm_out_close(out);
    return NULL;
}

static struct error *write_backup(struct driver_session *session, struct arena *arena,
                                  const struct kvm_served *served, const struct kvm_nbd *nbd,
                                  const char *since, const char **ret_text)
{
    struct kvm_out *out = kvm_out_new();
    kvm_out_open(out, "domainbackup");
    kvm_out_attribute(out, "mode", "pull");
    kvm_nbd_write(out, nbd);
    kvm_out_open(out, "disks");
    struct error *error = NULL;
    for (size_t i = 0; !error && i < served->live.disk_count; i++)
        if (served->live.disks[i].target)
            error = write_disk(session, arena, out, served, &served->live.disks[i], since);
    struct error *second = kvm_out_finish(out, arena, ret_text);
    if (!error)
        return second;
    error_ignore(second); /* the first one says why */
    return error;
}

static bool any_tracked(const struct kvm_served *served)
{
    for (size_t i = 0; i < served->disk_count; i++)
        if (!kvm_disk_untracked(served->disks[i].disk))
            return true;
    return false;
}

/* One attempt; on its failure libvirt has undone everything. */
static struct error *begin_at(struct driver_session *session, struct arena *arena,
                              const struct driver_export_spec *spec, struct kvm_served *served,
                              const struct kvm_nbd *nbd)
{
    const char *backup, *checkpoint = NULL;
    TRY(write_backup(session, arena, served, nbd, spec->since, &backup));
    if (spec->checkpoint && any_tracked(served))
        TRY(kvm_checkpoint_write(arena, &served->live, spec->checkpoint, spec->id, served->disks,
                                 served->disk_count, &checkpoint));
    if (virDomainBackupBegin(served->domain, backup, checkpoint, 0) == 0)
        return NULL;
    bool lost = kvm_fault_is(VIR_ERR_CHECKPOINT_INCONSISTENT);
    struct error *error =
        kvm_fault(session->connection, "could not open the disks of instance %s", served->live.uuid);
    if (!lost || !spec->since)
        return error;
    error_ignore(error); /* a killed QEMU loses its bitmaps: everything has to be read once */
    for (size_t i = 0; i < served->disk_count; i++)
        if (!served->disks[i].full_reason)
            served->disks[i].full_reason = "the bitmap of that checkpoint was lost";
    TRY(write_backup(session, arena, served, nbd, NULL, &backup));
    if (virDomainBackupBegin(served->domain, backup, checkpoint, 0) < 0)
        return kvm_fault(session->connection, "could not open the disks of instance %s in full",
                         served->live.uuid);
    return NULL;
}

static struct error *begin(struct driver_session *session, struct arena *arena,
                           const struct driver_export_spec *spec, struct kvm_served *served)
{
    struct error *error = NULL;
    for (unsigned attempt = 0; attempt < KVM_NBD_ATTEMPTS; attempt++) {
        struct kvm_nbd nbd;
        error_free(error);
        TRY(kvm_nbd_choose(session, arena, spec->id, attempt, &nbd));
        error = begin_at(session, arena, spec, served, &nbd);
        if (!kvm_nbd_taken(error))
            break;
    }
    return error;
}

/* Around the moment itself: file systems frozen where an agent answers. */
static struct error *begin_quiesced(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_export_spec *spec, struct kvm_served *served,
                                    bool *ret_quiesced)
{
    bool frozen = spec->quiesce && !served->live.mark.form &&
                  virDomainFSFreeze(served->domain, NULL, 0, 0) >= 0; /* no agent is no error */
    struct error *error = begin(session, call->arena, spec, served);
    if (frozen)
        (void)virDomainFSThaw(served->domain, NULL, 0, 0); /* a guest thaws itself after some seconds else */
    *ret_quiesced = frozen;
    return error;
}

/* What the job's own document says of it. */
static struct error *describe(struct driver_session *session, const struct driver_call *call,
                              const struct driver_export_spec *spec, const struct kvm_served *served,
                              struct driver_export *ret_export)
{
    struct arena *arena = call->arena;
    XML_AUTO struct kvm_xml *xml = NULL;
    TRY(kvm_xml_parse(served->backup, "domainbackup", &xml));
    const struct kvm_nbd nbd = kvm_nbd_read(xml, arena);
    size_t count;
    const struct kvm_xml_node *const *nodes =
        kvm_xml_nodes(xml, arena, NULL, "/domainbackup/disks/disk[@backup='yes']", &count);
    struct driver_export opened = {.disks = arena_array(arena, count + 1, sizeof *opened.disks),
                                   .running = !served->live.mark.form,
                                   .moment = served->live.mark.moment};
    for (size_t i = 0; i < count; i++) {
        struct driver_exported_disk *disk = &opened.disks[opened.disk_count];
        disk->disk = kvm_xml_text(xml, arena, nodes[i], "@name");
        const struct kvm_tracked *tracked = tracked_of(served, disk->disk);
        const char *bitmap = kvm_xml_text(xml, arena, nodes[i], "@exportbitmap");
        if (!tracked)
            continue;
        opened.disk_count++;
        disk->size_bytes = tracked->bytes;
        kvm_nbd_tell(session, arena, &nbd, disk);
        if (!spec->since)
            continue;
        if (bitmap)
            disk->dirty_context = arena_printf(arena, "qemu:dirty-bitmap:%s", bitmap);
        else
            disk->full_reason =
                tracked->full_reason ? tracked->full_reason : "the bitmap of that checkpoint was lost";
    }
    *ret_export = opened;
    return NULL;
}

static struct error *prepare(struct driver_session *session, const struct driver_call *call,
                             const struct driver_export_spec *spec, struct kvm_served *served)
{
    virDomainPtr domain = served->domain;
    if (served->active && served->live.mark.form) /* what somebody who was cut off left */
        TRY(kvm_form_end(session, call, domain));
    if (!served->active || served->live.mark.form) {
        TRY(kvm_step(call, 20, "open the disks of the stopped instance"));
        TRY(kvm_form_start(session, call, domain, KVM_FORM_READ, spec->id));
    } else {
        struct kvm_mark mark = served->live.mark;
        mark.export_id = spec->id;
        mark.moment = id_new_in(call->arena);
        TRY(kvm_domain_set_mark(session, call->arena, domain, &mark, VIR_DOMAIN_AFFECT_LIVE));
    }
    TRY(kvm_export_look(session, call, domain, served));
    TRY(kvm_step(call, 50, "clear what an earlier attempt left"));
    if (spec->checkpoint)
        TRY(kvm_checkpoint_drop(session, domain, spec->checkpoint));
    return kvm_scratch_delete(session, call, served->live.uuid);
}

struct error *kvm_export_read_open(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_export_spec *spec, struct kvm_served *served,
                                   struct driver_export *ret_export)
{
    if (served->live.mark.form && strcmp(served->live.mark.form, KVM_FORM_WRITE) == 0)
        return error_new(ERR_CONFLICT, "export %s is open for writing", spec->id);
    bool quiesced = false, there = kvm_export_is_open(served, spec->id);
    struct kvm_nbd nbd;
    TRY(kvm_nbd_choose(session, call->arena, spec->id, 0, &nbd)); /* whether it can be served at all */
    if (!there)
        TRY(prepare(session, call, spec, served));
    if (spec->since)
        TRY(kvm_checkpoint_judge(session, call->arena, served->domain, spec->since, served->disks,
                                 served->disk_count));
    if (!there) {
        TRY(kvm_step(call, 70, "begin the export"));
        TRY(begin_quiesced(session, call, spec, served, &quiesced));
        char *text = virDomainBackupGetXMLDesc(served->domain, 0);
        if (!text)
            return kvm_fault(session->connection, "the export ended as soon as it had begun");
        served->backup = arena_strdup(call->arena, text);
        free(text);
    }
    TRY(describe(session, call, spec, served, ret_export));
    ret_export->quiesced = quiesced;
    return NULL;
}

static struct error *end_job(struct driver_session *session, const struct driver_call *call,
                             virDomainPtr domain)
{
    if (virDomainAbortJob(domain) < 0 && !kvm_fault_is(VIR_ERR_OPERATION_INVALID))
        return kvm_fault(session->connection, "could not end a backup job");
    int64_t until = moment_monotonic() + END_WAIT_US;
    for (;;) {
        uint64_t seen = kvm_events_seen(session->events);
        char *text = virDomainBackupGetXMLDesc(domain, 0);
        free(text);
        if (!text) /* ended, or the domain with it */
            return kvm_fault_is(VIR_ERR_NO_DOMAIN_BACKUP) || kvm_fault_is(VIR_ERR_OPERATION_INVALID)
                       ? NULL
                       : kvm_fault(session->connection, "could not ask for a backup job");
        int64_t now = moment_monotonic();
        if (now >= until)
            return error_new(ERR_BUSY, "the backup job has not ended yet");
        TRY(kvm_step(call, 30, "wait for the backup job to end"));
        kvm_events_wait(session->events, seen, now + LOOK_AGAIN_US);
    }
}

struct error *kvm_export_read_close(struct driver_session *session, const struct driver_call *call,
                                    const struct kvm_served *served, const char *export_id, bool keep)
{
    bool open = kvm_export_is_open(served, export_id);
    const struct kvm_mark *found = &served->live.mark;
    bool own = served->active && found->export_id && strcmp(found->export_id, export_id) == 0;
    if (open) {
        TRY(kvm_step(call, 10, "end the export"));
        TRY(end_job(session, call, served->domain));
    }
    if (!keep) {
        const char **names;
        size_t count;
        TRY(kvm_checkpoint_list(session, call->arena, served->domain, export_id, &names, &count));
        if (own || (count && !served->backup && !(served->active && found->form)))
            TRY(kvm_checkpoint_drop_all(session, call, served->domain, names, count));
    }
    if (!own)
        return NULL;
    if (found->form) {
        TRY(kvm_form_end(session, call, served->domain));
    } else {
        struct kvm_mark mark = *found;
        mark.export_id = mark.moment = NULL;
        TRY(kvm_domain_set_mark(session, call->arena, served->domain, &mark, VIR_DOMAIN_AFFECT_LIVE));
    }
    return kvm_scratch_delete(session, call, served->live.uuid);
}
