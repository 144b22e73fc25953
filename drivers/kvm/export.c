/* Opening and closing of exports, see export.h.
 *
 * What is open is known on the provider's side alone: the mark of the running definition names the export,
 * and a backup job (reading) or the form of the domain (writing) says that it is there. So an opener that was
 * cut off anywhere, or another one, finds what there is. */
#include "drivers/kvm/export.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/kvm/disk.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/form.h"
#include "drivers/kvm/instance.h"
#include "drivers/kvm/nbd.h"
#include "drivers/kvm/scratch.h"

static struct error *find_backup(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                                 const char **ret_backup)
{
    char *text = virDomainBackupGetXMLDesc(domain, 0);
    *ret_backup = NULL;
    if (!text)
        return kvm_fault_is(VIR_ERR_NO_DOMAIN_BACKUP)
                   ? NULL
                   : kvm_fault(session->connection, "could not ask for a backup job");
    *ret_backup = arena_strdup(arena, text);
    free(text);
    return NULL;
}

struct error *kvm_export_look(struct driver_session *session, const struct driver_call *call,
                              virDomainPtr domain, struct kvm_served *ret_served)
{
    struct kvm_served served = {.domain = domain};
    TRY(kvm_domain_read(session, call->arena, domain, false, &served.live));
    int active = virDomainIsActive(domain);
    if (active < 0)
        return kvm_fault(session->connection, "could not ask whether an instance runs");
    served.active = active == 1;
    if (served.active)
        TRY(find_backup(session, call->arena, domain, &served.backup));
    served.disks = arena_array(call->arena, served.live.disk_count + 1, sizeof *served.disks);
    for (size_t i = 0; i < served.live.disk_count; i++) {
        const struct kvm_disk *disk = &served.live.disks[i];
        if (!kvm_disk_exported(call->arena, disk))
            continue;
        struct kvm_tracked *tracked = &served.disks[served.disk_count++];
        tracked->disk = disk;
        TRY(kvm_disk_size(session, domain, disk, &tracked->bytes));
    }
    *ret_served = served;
    return NULL;
}

bool kvm_export_is_open(const struct kvm_served *served, const char *export_id)
{
    const struct kvm_mark *mark = &served->live.mark;
    bool there = served->backup || (mark->form && strcmp(mark->form, KVM_FORM_WRITE) == 0);
    return served->active && there && mark->export_id && strcmp(mark->export_id, export_id) == 0;
}

/* A backup job or a form for writing that is not this export's. */
static struct error *check_busy(const struct kvm_served *served, const char *export_id)
{
    const struct kvm_mark *mark = &served->live.mark;
    if (!served->active || kvm_export_is_open(served, export_id))
        return NULL;
    if (mark->form && strcmp(mark->form, KVM_FORM_WRITE) == 0)
        return error_new(ERR_BUSY, "instance %s is open for export %s", served->live.uuid,
                         mark->export_id ? mark->export_id : "(unknown)");
    if (served->backup)
        return error_new(ERR_BUSY, "instance %s is backed up by %s", served->live.uuid,
                         mark->export_id ? mark->export_id : "somebody else");
    return NULL;
}

struct error *kvm_export_open(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *key, const struct driver_export_spec *spec,
                              struct driver_export *ret_export)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    virDomainPtr domain;
    struct kvm_domain definition;
    struct kvm_served served;
    TRY(kvm_instance_get(session, call, key, &domain, &definition));
    TRY(kvm_export_look(session, call, domain, &served));
    TRY(check_busy(&served, spec->id));
    if (!served.disk_count)
        return error_new(ERR_UNSUPPORTED, "instance %s has no disk that can be exported", definition.uuid);
    return spec->access == DRIVER_WRITE ? kvm_export_write_open(session, call, spec, &served, ret_export)
                                        : kvm_export_read_open(session, call, spec, &served, ret_export);
}

struct error *kvm_export_close(struct driver_session *session, const struct driver_call *call,
                               const struct driver_key *key, const char *export_id, bool keep)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    virDomainPtr domain;
    struct kvm_domain definition;
    struct error *error = kvm_instance_get(session, call, key, &domain, &definition);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_ignore(error); /* nothing is open on what is gone */
        return NULL;
    }
    TRY(error);
    struct kvm_served served;
    TRY(kvm_export_look(session, call, domain, &served));
    const char *form = served.live.mark.form;
    bool open = kvm_export_is_open(&served, export_id);
    if (open && form && strcmp(form, KVM_FORM_WRITE) == 0)
        TRY(kvm_export_write_close(session, call, &served));
    else
        TRY(kvm_export_read_close(session, call, &served, export_id, keep));
    kvm_nbd_clear(session, call->arena, export_id);
    return NULL;
}
