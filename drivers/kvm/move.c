/* The operations of a live move; see move.h. */
#include "drivers/kvm/move.h"

#include <string.h>

#include "broker/base/moment.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/fence.h"
#include "drivers/kvm/instance.h"

#define AFTERWARDS_US (60 * MOMENT_SECOND) /* to bring a move to one of its ends, whatever time is left */

/* A session to the target; its steps are none of this call's progress. */
static struct error *open_target(const struct driver_call *call, const struct driver_move_spec *spec,
                                 struct driver_session **ret_target)
{
    struct driver_call quiet = *call;
    quiet.progress = NULL;
    TRY_DOING(kvm_open(spec->target, &quiet, ret_target), "the target of the move");
    return NULL;
}

struct error *kvm_move_validate(struct driver_session *session, const struct driver_call *call,
                                const struct driver_key *key, const struct driver_move_spec *spec)
{
    TRY(kvm_step(call, 0, "look at both hosts"));
    struct kvm_move move = {.source = session, .spec = spec};
    TRY(open_target(call, spec, &move.target));
    struct error *error = kvm_move_plan(&move, call, key);
    kvm_close(move.target);
    return error;
}

/* After the job, well or not. An error of the job is kept and told when the instance lives on the source. */
static struct error *conclude(struct kvm_move *move, const struct driver_call *call, struct error *failed)
{
    struct driver_call quiet = *call;
    enum driver_side side;
    int64_t least = moment_monotonic() + AFTERWARDS_US;
    quiet.progress = NULL;
    quiet.deadline_us = call->deadline_us > least ? call->deadline_us : least;
    struct error *error =
        kvm_move_resolve(move->source, move->target, &quiet, move->id, move->spec, true, &side);
    if (error) {
        const char *why = failed ? error_message(failed) : "it was moved";
        error = error_recode(error, ERR_UNAVAILABLE, "nobody knows where the instance lives (%s)", why);
        error_free(failed);
        return error;
    }
    if (side == DRIVER_SIDE_TARGET) {
        error_free(failed); /* it was told too late, or was only the answer that got lost */
        return NULL;
    }
    if (!failed)
        return error_new(ERR_BUSY, "the instance did not arrive and lives on the source");
    if (error_code(failed) == ERR_UNAVAILABLE)
        return error_recode(failed, ERR_BUSY, "the instance lives on the source");
    return failed;
}

static struct error *move_it(struct kvm_move *move, const struct driver_call *call,
                             const struct driver_key *key, struct driver_move_report *report)
{
    int64_t began = moment_monotonic();
    TRY(kvm_move_plan(move, call, key));
    struct error *error = kvm_move_prepare(move, call);
    if (!error)
        error = kvm_fence_set(move->source, call->arena, move->domain, true, move->spec->id);
    if (!error)
        error = kvm_move_job(move, call, report);
    bool failed = error != NULL;
    int64_t moved = moment_monotonic();
    TRY(conclude(move, call, error));
    int64_t ended = moment_monotonic();
    report->elapsed_us = ended - began;
    if (failed)
        report->downtime_us = -1; /* libvirt's figures are of a job that was told to have failed */
    else if (report->downtime_us >= 0)
        report->downtime_us += ended - moved; /* it was paused on the target until here */
    return NULL;
}

static struct error *describe(struct kvm_move *move, const struct driver_call *call,
                              struct driver_move_report *report)
{
    struct driver_instance instance;
    TRY(kvm_instance_find(move->target, call, &(const struct driver_key){.id = move->id}, &instance));
    report->ref = instance.ref;
    report->host = instance.host;
    return NULL;
}

struct error *kvm_move_run(struct driver_session *session, const struct driver_call *call,
                           const struct driver_key *key, const struct driver_move_spec *spec,
                           struct driver_move_report *ret_report)
{
    TRY(kvm_step(call, 0, "look at both hosts"));
    struct kvm_move move = {.source = session, .spec = spec};
    struct driver_move_report report = {.downtime_us = -1};
    TRY(open_target(call, spec, &move.target));
    struct error *error = move_it(&move, call, key, &report);
    if (!error) {
        struct driver_call quiet = *call;
        quiet.progress = NULL;
        quiet.deadline_us = moment_monotonic() + AFTERWARDS_US;
        report.ref = move.id;
        error_ignore(describe(&move, &quiet, &report)); /* it is there: only its host is not told */
    }
    kvm_close(move.target);
    TRY_DOING(error, "could not move instance %s", key->id ? key->id : key->ref);
    *ret_report = report;
    return NULL;
}

struct error *kvm_move_settle(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *key, const struct driver_move_spec *spec, bool abort,
                              enum driver_side *ret_side)
{
    TRY(kvm_step(call, 0, "look at both hosts"));
    struct driver_session *target;
    if (!key->id)
        return error_new(ERR_INVALID, "an instance is named by its id");
    TRY(open_target(call, spec, &target));
    struct error *error = kvm_move_resolve(session, target, call, key->id, spec, abort, ret_side);
    kvm_close(target);
    return error;
}
