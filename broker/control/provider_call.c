/* Calls from a job to a provider; see provider_call.h. */
#include "broker/control/provider_call.h"

#include "broker/control/services.h"

static bool progress(void *context, int percent, const char *step)
{
    struct provider_call *call = context;
    if (call->told)
        call->told(call->told_context, percent, step);
    return !job_cancelled(call->job);
}

struct error *provider_call_open(struct job *job, const char *endpoint, provider_progress told,
                                 void *told_context, struct provider_call *ret_call)
{
    const struct services *services = job->context;
    struct lent_gate *lent;
    TRY(fleet_borrow(services->fleet, job->db, endpoint, &lent));
    *ret_call = (struct provider_call){
        .job = job,
        .lent = lent,
        .told = told,
        .told_context = told_context,
        .call = {.arena = job->arena,
                 .deadline_us = moment_monotonic() + PROVIDER_CALL_US,
                 .progress = progress,
                 .context = ret_call},
    };
    return NULL;
}

void provider_call_close(struct provider_call *call)
{
    fleet_return(call->lent);
    call->lent = NULL;
}
