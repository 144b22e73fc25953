/* Calls from a job to a provider: a gate of the fleet with a deadline, the job's cancellation and its
 * progress. */
#ifndef BROKER_CONTROL_PROVIDER_CALL_H
#define BROKER_CONTROL_PROVIDER_CALL_H

#include "broker/control/fleet.h"
#include "broker/control/resource.h"
#include "broker/jobs/job.h"

#define PROVIDER_CALL_US (10 * MOMENT_MINUTE) /* for one operation at a provider */

/* Told of how far a provider is, 0–100, from within a call. */
typedef void (*provider_progress)(void *context, int percent, const char *step);

struct provider_call {
    struct job *job;
    struct lent_gate *lent;
    struct driver_call call;
    provider_progress told;
    void *told_context;
};

/* Borrows the gate of `endpoint`. `told` may be NULL. The call ends early when job_cancelled says so; a
 * cancelled job that is undoing is not itself cancelled. */
struct error *provider_call_open(struct job *job, const char *endpoint, provider_progress told,
                                 void *told_context, struct provider_call *ret_call) ERROR_MUST_USE;
void provider_call_close(struct provider_call *call);
static inline struct gate *provider_gate(const struct provider_call *call)
{
    return lent_gate(call->lent);
}

static inline struct driver_key resource_key(const struct resource *resource)
{
    return (struct driver_key){.id = resource->id, .ref = resource->ref};
}

#endif
