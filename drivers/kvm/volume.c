/* Volumes, see volume.h. Whether a volume is attached is read from the domains' definitions, the running one
 * and the one of the next start; there is no other record that could disagree. */
#include "drivers/kvm/volume.h"

#include <libvirt/virterror.h>
#include <string.h>

#include "broker/base/moment.h"
#include "drivers/kvm/events.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/instance.h"
#include "drivers/kvm/storage.h"

#define DETACH_WAIT_US (30 * MOMENT_SECOND) /* for the guest to let a disk go */
#define LOOK_AGAIN_US MOMENT_SECOND

/* Where a volume is in one domain: its target there, NULL when absent. */
struct attachment {
    virDomainPtr domain;
    const char *uuid;
    bool active;
    const char *live, *lasting;
};

static struct error *look_in(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                             const struct kvm_place *place, struct attachment *ret_attachment,
                             struct kvm_domain *ret_live, struct kvm_domain *ret_lasting)
{
    TRY(kvm_domain_read(session, arena, domain, false, ret_live));
    TRY(kvm_domain_read(session, arena, domain, true, ret_lasting));
    int active = virDomainIsActive(domain);
    if (active < 0)
        return kvm_fault(session->connection, "could not ask whether an instance runs");
    const struct kvm_disk *live = kvm_domain_disk(ret_live, place->path, place->pool_name, place->name);
    const struct kvm_disk *lasting = kvm_domain_disk(ret_lasting, place->path, place->pool_name, place->name);
    *ret_attachment = (struct attachment){.domain = domain,
                                          .uuid = ret_live->uuid,
                                          .active = active == 1,
                                          .live = active == 1 && live ? live->target : NULL,
                                          .lasting = lasting ? lasting->target : NULL};
    return NULL;
}

/* The first domain that has the volume; ret_attachment->domain is NULL when none has. */
static struct error *attached_to(struct driver_session *session, struct arena *arena,
                                 const struct kvm_place *place, struct attachment *ret_attachment)
{
    virDomainPtr *domains;
    size_t count;
    TRY(kvm_instance_list(session, arena, &domains, &count));
    for (size_t i = 0; i < count; i++) {
        struct attachment attachment;
        struct kvm_domain live, lasting;
        struct error *error = look_in(session, arena, domains[i], place, &attachment, &live, &lasting);
        if (error && error_code(error) == ERR_NOT_FOUND) {
            error_ignore(error); /* the domain went since it was listed */
            continue;
        }
        TRY(error);
        if (attachment.live || attachment.lasting) {
            *ret_attachment = attachment;
            return NULL;
        }
    }
    *ret_attachment = (struct attachment){0};
    return NULL;
}

static struct error *get(struct driver_session *session, const struct driver_call *call,
                         const struct driver_key *key, struct kvm_place *ret_place)
{
    if (!key->id)
        return error_new(ERR_INVALID, "a volume is named by its id");
    struct kvm_place place;
    TRY(kvm_storage_find(session, call->arena, key->id, KVM_FILE_VOLUME, &place));
    if (!place.volume)
        return error_new(ERR_NOT_FOUND, "there is no volume %s", key->id);
    *ret_place = place;
    return NULL;
}

static void describe(struct arena *arena, const char *id, const struct kvm_place *place, const char *instance,
                     struct driver_volume *ret_volume)
{
    *ret_volume = (struct driver_volume){.id = arena_strdup(arena, id),
                                         .ref = arena_printf(arena, "%s/%s", place->pool_name, place->name),
                                         .name = place->name,
                                         .size_gb = kvm_storage_gb(place->bytes),
                                         .instance_ref = instance,
                                         .pool = arena_strdup(arena, place->pool_name)};
}

struct error *kvm_volume_find(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *key, struct driver_volume *ret_volume)
{
    TRY(kvm_step(call, 0, "look up the volume"));
    struct kvm_place place;
    TRY(get(session, call, key, &place));
    struct attachment attachment;
    TRY(attached_to(session, call->arena, &place, &attachment));
    describe(call->arena, key->id, &place, attachment.uuid, ret_volume);
    return NULL;
}

/* A volume that was cut off while it was made has no qcow2 header yet: nothing can have been written to it.
 */
static struct error *clear_half_made(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_volume_spec *spec, struct kvm_place *place)
{
    if (!place->volume)
        return NULL;
    struct kvm_facts facts;
    TRY(kvm_storage_facts(session, call->arena, place->volume, &facts));
    if (strcmp(facts.format, "qcow2") == 0 && place->bytes > 0)
        return NULL;
    place->volume = NULL;
    return kvm_storage_delete(session, call, spec->id, KVM_FILE_VOLUME);
}

struct error *kvm_volume_create(struct driver_session *session, const struct driver_call *call,
                                const struct driver_volume_spec *spec, struct driver_volume *ret_volume)
{
    TRY(kvm_step(call, 0, "look up the volume"));
    struct kvm_place place;
    TRY(kvm_storage_find(session, call->arena, spec->id, KVM_FILE_VOLUME, &place));
    TRY(clear_half_made(session, call, spec, &place));
    if (!place.volume) {
        place.pool_name = kvm_storage_pool_name(session, spec->high_performance);
        TRY(kvm_storage_pool(session, call->arena, place.pool_name, &place.pool));
        place.bytes = spec->size_gb * KVM_GIB;
        TRY(kvm_storage_check_room(session, call->arena, place.pool, place.pool_name, place.bytes));
        TRY(kvm_step(call, 20, "make the volume"));
        const struct kvm_new_file file = {
            .pool = place.pool, .name = place.name, .format = "qcow2", .bytes = place.bytes};
        TRY_DOING(kvm_storage_create(session, call->arena, &file, &place.volume),
                  "could not create volume %s", spec->name);
        struct kvm_facts facts;
        TRY(kvm_storage_facts(session, call->arena, place.volume, &facts));
        place.path = facts.path;
    }
    struct attachment attachment;
    TRY(attached_to(session, call->arena, &place, &attachment));
    describe(call->arena, spec->id, &place, attachment.uuid, ret_volume);
    return NULL;
}

static bool target_used(const struct kvm_domain *domain, const char *target)
{
    for (size_t i = 0; i < domain->disk_count; i++)
        if (domain->disks[i].target && strcmp(domain->disks[i].target, target) == 0)
            return true;
    return false;
}

/* A name that neither the running nor the lasting definition uses; NULL when all are. */
static const char *free_target(struct arena *arena, const struct kvm_domain *live,
                               const struct kvm_domain *lasting)
{
    for (int i = 0; i < KVM_DATA_DISKS_MAX; i++) {
        const char *target = arena_printf(arena, "sd%c", 'b' + i);
        if (!target_used(live, target) && !target_used(lasting, target))
            return target;
    }
    return NULL;
}

struct error *kvm_volume_attach(struct driver_session *session, const struct driver_call *call,
                                const struct driver_key *volume, const struct driver_key *instance)
{
    TRY(kvm_step(call, 0, "look up the volume and the instance"));
    struct kvm_place place;
    TRY(get(session, call, volume, &place));
    virDomainPtr domain;
    struct kvm_domain live, lasting;
    TRY(kvm_instance_get(session, call, instance, &domain, &live));
    TRY(kvm_instance_check_served(&live));
    struct attachment there, here;
    TRY(attached_to(session, call->arena, &place, &there));
    if (there.domain && strcmp(there.uuid, live.uuid) != 0)
        return error_new(ERR_CONFLICT, "volume %s is attached to instance %s", volume->id, there.uuid);
    TRY(look_in(session, call->arena, domain, &place, &here, &live, &lasting));
    unsigned flags = (here.active && !here.live ? VIR_DOMAIN_AFFECT_LIVE : 0u) |
                     (here.lasting ? 0u : VIR_DOMAIN_AFFECT_CONFIG);
    if (flags == 0)
        return NULL;
    const char *target = here.live      ? here.live
                         : here.lasting ? here.lasting
                                        : free_target(call->arena, &live, &lasting);
    if (!target)
        return error_new(ERR_NO_CAPACITY, "an instance has at most %d volumes", KVM_DATA_DISKS_MAX);
    const char *text;
    TRY(kvm_domain_write_disk(call->arena, volume->id, place.path, target, &text));
    TRY(kvm_step(call, 40, "attach the volume"));
    if (virDomainAttachDeviceFlags(domain, text, flags) < 0)
        return kvm_fault(session->connection, "could not attach volume %s to instance %s", volume->id,
                         live.uuid);
    return NULL;
}

/* Takes the disk out and waits until the running guest has let it go. */
static struct error *take_out(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *volume, const struct kvm_place *place,
                              const struct attachment *here)
{
    unsigned flags =
        (here->live ? VIR_DOMAIN_AFFECT_LIVE : 0u) | (here->lasting ? VIR_DOMAIN_AFFECT_CONFIG : 0u);
    const char *text;
    TRY(kvm_domain_write_disk(call->arena, volume->id, place->path, here->live ? here->live : here->lasting,
                              &text));
    if (virDomainDetachDeviceFlags(here->domain, text, flags) < 0 && !kvm_fault_is(VIR_ERR_DEVICE_MISSING))
        return kvm_fault(session->connection, "could not detach volume %s", volume->id);
    int64_t until = moment_monotonic() + DETACH_WAIT_US;
    for (;;) {
        uint64_t seen = kvm_events_seen(session->events);
        struct attachment now;
        struct kvm_domain live, lasting;
        TRY(look_in(session, call->arena, here->domain, place, &now, &live, &lasting));
        if (!now.live && !now.lasting)
            return NULL;
        int64_t at = moment_monotonic();
        if (at >= until)
            return error_new(ERR_BUSY, "the guest has not let volume %s go within %d s", volume->id,
                             (int)(DETACH_WAIT_US / MOMENT_SECOND));
        TRY(kvm_step(call, 60, "wait for the guest to let the volume go"));
        kvm_events_wait(session->events, seen, at + LOOK_AGAIN_US < until ? at + LOOK_AGAIN_US : until);
    }
}

struct error *kvm_volume_detach(struct driver_session *session, const struct driver_call *call,
                                const struct driver_key *volume, const struct driver_key *instance)
{
    TRY(kvm_step(call, 0, "look up the volume and the instance"));
    struct kvm_place place;
    TRY(get(session, call, volume, &place));
    virDomainPtr domain;
    struct kvm_domain live, lasting;
    struct error *error = kvm_instance_get(session, call, instance, &domain, &live);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_ignore(error); /* an instance that is gone has no disks */
        return NULL;
    }
    TRY(error);
    TRY(kvm_instance_check_served(&live));
    struct attachment here;
    TRY(look_in(session, call->arena, domain, &place, &here, &live, &lasting));
    if (!here.live && !here.lasting)
        return NULL;
    TRY(kvm_step(call, 30, "detach the volume"));
    return take_out(session, call, volume, &place, &here);
}

struct error *kvm_volume_resize(struct driver_session *session, const struct driver_call *call,
                                const struct driver_key *volume, unsigned size_gb)
{
    TRY(kvm_step(call, 0, "look up the volume"));
    struct kvm_place place;
    TRY(get(session, call, volume, &place));
    uint64_t bytes = size_gb * KVM_GIB;
    if (bytes == place.bytes)
        return NULL;
    if (bytes < place.bytes)
        return error_new(ERR_INVALID, "volume %s has %u GB and cannot shrink to %u", volume->id,
                         kvm_storage_gb(place.bytes), size_gb);
    TRY(kvm_storage_check_room(session, call->arena, place.pool, place.pool_name, bytes - place.bytes));
    struct attachment there;
    TRY(attached_to(session, call->arena, &place, &there));
    TRY(kvm_step(call, 40, "grow the volume"));
    if (there.live) {
        if (virDomainBlockResize(there.domain, there.live, bytes, VIR_DOMAIN_BLOCK_RESIZE_BYTES) < 0)
            return kvm_fault(session->connection, "could not grow volume %s in instance %s", volume->id,
                             there.uuid);
    } else if (virStorageVolResize(place.volume, bytes, 0) < 0) {
        return kvm_fault(session->connection, "could not grow volume %s", volume->id);
    }
    return NULL;
}

struct error *kvm_volume_delete(struct driver_session *session, const struct driver_call *call,
                                const struct driver_key *volume)
{
    TRY(kvm_step(call, 0, "look up the volume"));
    struct kvm_place place;
    struct error *error = get(session, call, volume, &place);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_ignore(error); /* gone already */
        return NULL;
    }
    TRY(error);
    struct attachment there;
    TRY(attached_to(session, call->arena, &place, &there));
    if (there.domain)
        return error_new(ERR_CONFLICT, "volume %s is attached to instance %s", volume->id, there.uuid);
    TRY(kvm_step(call, 40, "delete the volume"));
    return kvm_storage_delete(session, call, volume->id, KVM_FILE_VOLUME);
}
