/* Operations: one long-running piece of work each, visible as it goes: state, percent, step, eta, error,
 * result. An operation is carried by a job (broker/jobs); cancelling it cancels the job. */
#ifndef BROKER_CONTROL_OPERATION_H
#define BROKER_CONTROL_OPERATION_H

#include "broker/base/moment.h"
#include "broker/db/db.h"
#include "broker/jobs/job.h"

#define OPERATION_STATES(X)             \
    X(OPERATION_QUEUED, "queued")       \
    X(OPERATION_RUNNING, "running")     \
    X(OPERATION_SUCCEEDED, "succeeded") \
    X(OPERATION_FAILED, "failed")       \
    X(OPERATION_CANCELLED, "cancelled")

struct operation_new {
    const char *id;   /* UUID */
    const char *kind; /* "order", "start", "stop", "reboot", "resize", "delete", "attach", "detach" */
    const char *unit, *system, *cloud, *provider, *order, *resource,
        *principal; /* cloud, provider NULL: several */
    const json_t *args;
};

struct operation {
    const char *id, *kind, *unit, *system, *cloud, *provider, *order, *resource, *job, *principal, *state;
    json_t *args; /* held by the arena */
};

/* Adds the row and its job of type `job_type` ("order" or "operate") with args {"unit", "operation"}. In the
 * caller's transaction; tells it as event "operation.queued". */
struct error *operation_start(struct db *db, const struct operation_new *operation, const char *job_type,
                              moment now) ERROR_MUST_USE;

/* ERR_NOT_FOUND "no such operation". `unit` NULL: any that the scope sees. */
struct error *operation_load(struct db *db, struct arena *arena, const char *unit, const char *id,
                             struct operation *ret_operation) ERROR_MUST_USE;

/* From a job: queued → running, and how far it is. Never moves an ended one. Event "operation.progress". */
struct error *operation_progress(struct db *db, const struct operation *operation, int percent,
                                 const char *step, moment now) ERROR_MUST_USE;
/* Ends it once: a second call changes nothing. `error` NULL: succeeded. ERR_CANCELLED: cancelled. Event
 * "operation.ended". */
struct error *operation_end(struct db *db, const struct operation *operation, const struct error *failure,
                            const json_t *result, moment now) ERROR_MUST_USE;

/* Asks: what is done is taken back at the next safe point, and it then ends as cancelled; what is done for
 * good by then ends as it is. ERR_CONFLICT when it has ended. Locks job before operation, as the job itself
 * does. */
struct error *operation_cancel(struct db *db, const struct operation *operation) ERROR_MUST_USE;

/* The job that carries it ends with this, from job_type.progressed: one row, outside a transaction of the
 * job's own. */
void operation_tell(struct job *job, const char *unit, const char *id, int percent, const char *step);

extern const struct db_statement operation_select_one, operation_select_list;

#endif
