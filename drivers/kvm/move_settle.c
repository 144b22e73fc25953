/* Where an instance lives whose move ended, or did not; see move.h for what is noted where.
 *
 *   target ready, not fenced        it lives there: it may have run. What is left on the source is cut and
 * fenced. source runs                     it lives there; the target, which has never run it, is cleared.
 *   target arrived, source paused
 *   or off                          both have the same: the target is let run.
 *   source paused, not arrived      the source goes on; the target is cleared.
 *   source off, not arrived         it lives on the source, off as after a power cut; the target is cleared.
 *   source gone, not arrived        nothing is touched: whatever the target has may be all there is.
 *
 * "Arrived": paused by the move's own end, its definition lasting, no job of it left. */
#include <string.h>

#include "broker/base/moment.h"
#include "drivers/kvm/events.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/fence.h"
#include "drivers/kvm/instance.h"
#include "drivers/kvm/move.h"
#include "drivers/kvm/qmp.h"
#include "drivers/kvm/storage.h"

#define END_WAIT_US (60 * MOMENT_SECOND) /* for a job to end once it was told to, or to be found ended */
#define LOOK_AGAIN_US (MOMENT_SECOND / 5)

struct side {
    virDomainPtr domain; /* NULL: not there, or not the broker's */
    struct kvm_domain lasting;
    bool active, persistent, job;
    int state, reason;
};

/* Whether a migration's job is on it, in or out; another job is none of the move's. */
static bool moves(virDomainPtr domain)
{
    int type = VIR_DOMAIN_JOB_NONE, count = 0, operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN;
    virTypedParameterPtr parameters = NULL;
    if (virDomainGetJobStats(domain, &type, &parameters, &count, 0) < 0)
        return false; /* gone, which the next question tells */
    (void)virTypedParamsGetInt(parameters, count, VIR_DOMAIN_JOB_OPERATION, &operation);
    virTypedParamsFree(parameters, count);
    return type != VIR_DOMAIN_JOB_NONE && (operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN ||
                                           operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT);
}

static struct error *look(struct driver_session *session, struct arena *arena, const char *id,
                          struct side *ret_side)
{
    struct side side = {.domain =
                            kvm_hold_domain(arena, virDomainLookupByUUIDString(session->connection, id))};
    *ret_side = side;
    if (!side.domain)
        return kvm_fault_is(VIR_ERR_NO_DOMAIN)
                   ? NULL
                   : kvm_fault(session->connection, "could not look for instance %s", id);
    TRY(kvm_domain_read(session, arena, side.domain, true, &side.lasting));
    if (!side.lasting.ours)
        return error_new(ERR_CONFLICT, "a domain that is not the broker's has the id %s", id);
    int active = virDomainIsActive(side.domain), persistent = virDomainIsPersistent(side.domain);
    if (active < 0 || persistent < 0 || virDomainGetState(side.domain, &side.state, &side.reason, 0) < 0)
        return kvm_fault(session->connection, "could not ask for the state of instance %s", id);
    side.active = active == 1;
    side.persistent = persistent == 1;
    side.job = side.active && moves(side.domain);
    *ret_side = side;
    return NULL;
}

/* A domain that went between two questions is looked at again. */
static struct error *look_at(struct driver_session *session, struct arena *arena, const char *id,
                             struct side *ret_side)
{
    struct error *error = look(session, arena, id, ret_side);
    if (!error || error_code(error) != ERR_NOT_FOUND)
        return error;
    error_ignore(error); /* told apart by the second look */
    return look(session, arena, id, ret_side);
}

static bool arrived(const struct side *side)
{
    return side->domain && side->active && side->persistent && !side->job &&
           side->state == VIR_DOMAIN_PAUSED && side->reason != VIR_DOMAIN_PAUSED_MIGRATION;
}

static bool ready(const struct side *side)
{
    return side->domain && kvm_domain_is(&side->lasting, KVM_STATE_READY) && !side->lasting.fenced;
}

static bool runs(const struct side *side)
{
    return side->domain && side->active &&
           (side->state == VIR_DOMAIN_RUNNING || side->state == VIR_DOMAIN_BLOCKED);
}

static bool by_move(const struct side *side, const struct driver_move_spec *spec)
{
    return side->domain && side->lasting.mark.move && strcmp(side->lasting.mark.move, spec->id) == 0;
}

/* Waits until no job of the move is left on the source; ERR_BUSY when one is and may not be ended. */
static struct error *end_job(struct driver_session *source, const struct driver_call *call, const char *id,
                             bool abort, struct side *ret_side)
{
    int64_t until = moment_monotonic() + END_WAIT_US;
    for (;;) {
        uint64_t seen = kvm_events_seen(source->events);
        TRY(look_at(source, call->arena, id, ret_side));
        if (!ret_side->job)
            return NULL;
        if (!abort)
            return error_new(ERR_BUSY, "instance %s is being moved", id);
        (void)virDomainAbortJob(ret_side->domain); /* it may have ended meanwhile: looked at again */
        int64_t now = moment_monotonic();
        if (now >= until)
            return error_new(ERR_BUSY, "the move of instance %s does not end", id);
        TRY(kvm_step(call, 20, "wait for the move to end"));
        kvm_events_wait(source->events, seen, now + LOOK_AGAIN_US);
    }
}

static struct error *cut(struct driver_session *session, const struct side *side, const char *what)
{
    if (!side->active || virDomainDestroy(side->domain) == 0)
        return NULL;
    struct error *error = kvm_fault(session->connection, "could not cut the power of %s", what);
    int active = virDomainIsActive(
        side->domain); /* asked after the reason was taken: libvirt forgets it with the next call */
    if (active == 1 || (active < 0 && !kvm_fault_is(VIR_ERR_NO_DOMAIN)))
        return error;
    error_ignore(error); /* it is as wanted, by whomever */
    return NULL;
}

/* The end on the target. The source is off before the target runs. */
static struct error *finish(struct driver_session *source, struct driver_session *target,
                            const struct driver_call *call, const struct driver_move_spec *spec,
                            const struct side *here, const struct side *there)
{
    if (here->domain) {
        TRY(kvm_step(call, 96, "fence the source"));
        if (!here->lasting.fenced || !by_move(here, spec))
            TRY(kvm_fence_set(source, call->arena, here->domain, true, spec->id));
        TRY(cut(source, here, "the source"));
    }
    if (!ready(there)) {
        /* From the mark on the target's files are the truth: QEMU writes out what it still has of them. That
         * it does when it stops, of a guest that is stopped already as well. */
        struct error *error = kvm_qmp(target, call->arena, there->domain, "stop", NULL, NULL);
        if (error)
            return error_recode(error, ERR_UNAVAILABLE, "the target's disks could not be written out");
        const struct kvm_mark mark = {
            .name = there->lasting.mark.name, .state = KVM_STATE_READY, .move = spec->id};
        TRY(kvm_domain_set_mark(target, call->arena, there->domain, &mark,
                                VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG));
    }
    if (there->active && there->state == VIR_DOMAIN_PAUSED && virDomainResume(there->domain) < 0)
        return kvm_fault(target->connection, "could not let the instance run on the target");
    if (virDomainSetAutostart(there->domain, 1) < 0)
        return kvm_fault(target->connection, "could not have the instance started with the target host");
    return kvm_move_forget(target, call, spec);
}

/* The end on the source. What is on the target has never run: it is the move's, by its mark and record. */
static struct error *take_back(struct driver_session *source, struct driver_session *target,
                               const struct driver_call *call, const char *id,
                               const struct driver_move_spec *spec, const struct side *here,
                               const struct side *there)
{
    TRY(kvm_step(call, 96, "clear the target"));
    if (there->domain && kvm_domain_is(&there->lasting, KVM_STATE_MOVING)) {
        const unsigned flags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_NVRAM;
        TRY(cut(target, there, "the target"));
        if (there->persistent && virDomainUndefineFlags(there->domain, flags) < 0 &&
            !kvm_fault_is(VIR_ERR_NO_DOMAIN))
            return kvm_fault(target->connection, "could not remove the definition on the target");
    }
    if (!there->domain || kvm_domain_is(&there->lasting, KVM_STATE_MOVING))
        TRY(kvm_move_clear(target, call, id, spec));
    if (here->active && here->state == VIR_DOMAIN_PAUSED && here->reason != VIR_DOMAIN_PAUSED_USER &&
        virDomainResume(here->domain) < 0)
        return kvm_fault(source->connection, "could not let the instance go on on the source");
    if (by_move(here, spec))
        TRY(kvm_fence_set(source, call->arena, here->domain, false, NULL));
    return NULL;
}

struct error *kvm_move_resolve(struct driver_session *source, struct driver_session *target,
                               const struct driver_call *call, const char *id,
                               const struct driver_move_spec *spec, bool abort, enum driver_side *ret_side)
{
    struct side here, there;
    TRY(end_job(source, call, id, abort, &here));
    TRY_DOING(look_at(target, call->arena, id, &there), "the target");
    bool lives_there = by_move(&there, spec) && (ready(&there) || (!runs(&here) && arrived(&there)));
    if (!lives_there && !here.domain)
        return there.domain ? error_new(ERR_CONFLICT,
                                        "instance %s is gone from the source and not whole on the target", id)
                            : error_new(ERR_NOT_FOUND, "instance %s is on neither side", id);
    if (lives_there)
        TRY(finish(source, target, call, spec, &here, &there));
    else
        TRY(take_back(source, target, call, id, spec, &here, &there));
    *ret_side = lives_there ? DRIVER_SIDE_TARGET : DRIVER_SIDE_SOURCE;
    return NULL;
}
