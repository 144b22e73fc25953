/* Waiting for changes: libvirt's events say which instances to look at, and libvirt itself how they are now,
 * so an event that is late or doubled does no harm. */
#include "broker/base/moment.h"
#include "drivers/kvm/events.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/instance.h"
#include "drivers/kvm/inventory.h"
#include "drivers/kvm/storage.h"

#define LISTEN_US (MOMENT_SECOND / 2) /* between two looks whether the caller wants to stop */

/* How one instance is now. A domain without the broker's mark has no id; one that is gone cannot be asked,
 * and its UUID is the id that it had if it was the broker's. */
static struct error *look_at(struct driver_session *session, struct arena *arena, const char *uuid,
                             struct driver_change *ret_change)
{
    struct driver_change change = {.id = uuid, .ref = uuid, .power = DRIVER_POWER_OFF, .gone = true};
    virDomainPtr domain = kvm_hold_domain(arena, virDomainLookupByUUIDString(session->connection, uuid));
    struct error *error = NULL;
    struct kvm_domain definition = {0};
    if (!domain)
        error = kvm_fault(session->connection, "could not look up instance %s", uuid);
    else
        error = kvm_domain_read(session, arena, domain, false, &definition);
    if (!error)
        error = kvm_instance_power(session, domain, &definition, &change.power, NULL);
    if (!error) {
        change.id = definition.ours ? uuid : NULL;
        change.gone = false;
    } else if (error_code(error) == ERR_NOT_FOUND) {
        error_ignore(error); /* that is the news */
        change.power = DRIVER_POWER_OFF;
    } else {
        return error;
    }
    *ret_change = change;
    return NULL;
}

/* The first watch: everything, so that nothing that happened before is missed. */
static struct error *tell_all(struct driver_session *session, const struct driver_call *call,
                              struct driver_change **ret_changes, size_t *ret_count)
{
    kvm_events_note(session->events);
    virDomainPtr *domains;
    size_t count;
    TRY(kvm_instance_list(session, call->arena, &domains, &count));
    struct driver_change *changes = arena_array(call->arena, count + 1, sizeof *changes);
    for (size_t i = 0; i < count; i++) {
        char uuid[VIR_UUID_STRING_BUFLEN];
        if (virDomainGetUUIDString(domains[i], uuid) < 0)
            return kvm_fault(session->connection, "could not ask for an instance's UUID");
        TRY(look_at(session, call->arena, arena_strdup(call->arena, uuid), &changes[i]));
    }
    session->watched = true;
    *ret_changes = changes;
    *ret_count = count;
    return NULL;
}

struct error *kvm_watch(struct driver_session *session, const struct driver_call *call,
                        struct driver_change **ret_changes, size_t *ret_count)
{
    if (!session->watched)
        return tell_all(session, call, ret_changes, ret_count);
    for (;;) {
        uint64_t seen = kvm_events_seen(session->events);
        const char *const *uuids;
        size_t count;
        TRY(kvm_events_take(session->events, call->arena, &uuids, &count));
        if (count > 0) {
            struct driver_change *changes = arena_array(call->arena, count, sizeof *changes);
            for (size_t i = 0; i < count; i++)
                TRY(look_at(session, call->arena, uuids[i], &changes[i]));
            *ret_changes = changes;
            *ret_count = count;
            return NULL;
        }
        int64_t now = moment_monotonic();
        if (now >= call->deadline_us) {
            *ret_changes = NULL;
            *ret_count = 0;
            return NULL;
        }
        if (call->progress && !call->progress(call->context, 0, "wait for changes"))
            return error_new(ERR_CANCELLED, "cancelled while waiting for changes");
        int64_t until = now + LISTEN_US;
        kvm_events_wait(session->events, seen, until < call->deadline_us ? until : call->deadline_us);
    }
}
