/* Fulfilments: what the provider's operator has to do for a resource whose kind has no driver
 * (kind_external): create it, resize it, delete it. A job asks (order_job.c, operate_job.c) and waits
 * (job_wait); the operator completes it, with a reference of the provider's, or refuses it, with a reason for
 * the unit; that wakes the job, which does the rest under its own scope. What is asked in vain is withdrawn.
 */
#ifndef BROKER_CONTROL_FULFILMENT_H
#define BROKER_CONTROL_FULFILMENT_H

#include "broker/base/moment.h"
#include "broker/control/resource.h"
#include "broker/db/db.h"

/* Resources are given out within so many working days (procurement 4.1.3.1): from the day after it is asked,
 * Monday to Friday in Asia/Shanghai, to the end of the last. Public holidays are not known here. */
#define FULFILMENT_WORKING_DAYS 3
moment fulfilment_due(moment asked);

/* open → completed, refused, withdrawn */
#define FULFILMENT_STATES(X)             \
    X(FULFILMENT_OPEN, "open")           \
    X(FULFILMENT_COMPLETED, "completed") \
    X(FULFILMENT_REFUSED, "refused")     \
    X(FULFILMENT_WITHDRAWN, "withdrawn")

enum fulfilment_state {
#define X(symbol, name) symbol,
    FULFILMENT_STATES(X)
#undef X
        FULFILMENT_STATE_COUNT
};
const char *fulfilment_state_name(enum fulfilment_state state);

struct fulfilment {
    const char *id;
    enum fulfilment_state state;
    const char *reference, *address, *reason; /* as the state has them */
};

/* A job that nobody wakes looks again after so long. */
#define FULFILMENT_LOOK_US (6 * MOMENT_HOUR)

/* Whether the resource is made by the provider's operator. */
bool fulfilment_needed(const struct resource *resource);

/* What is asked for a resource, by an operation. `verb` is "create", "resize" or "delete"; `spec` what shall
 * be. `job` waits for it; NULL: nobody. */
struct fulfilment_wish {
    const struct resource *resource;
    const char *operation, *job, *verb;
    const json_t *spec;
};

/* In the caller's transaction, a job's: asks once; again it tells what became of it. Event
 * "fulfilment.opened". */
struct error *fulfilment_ask(struct db *db, struct arena *arena, const struct fulfilment_wish *wish,
                             moment now, struct fulfilment *ret_fulfilment) ERROR_MUST_USE;
/* ERR_DENIED with the operator's reason when it was refused. */
struct error *fulfilment_refusal(const struct fulfilment_wish *wish,
                                 const struct fulfilment *fulfilment) ERROR_MUST_USE;
/* In the job's transaction: withdraws what is still open. *ret_completed: it was completed before. */
struct error *fulfilment_withdraw(struct db *db, const struct fulfilment_wish *wish, moment now,
                                  bool *ret_completed) ERROR_MUST_USE;

/* An operator's word; the caller's transaction and scope. `reference` of a completion, `reason` of a refusal.
 * ERR_NOT_FOUND "no such fulfilment"; ERR_CONFLICT when it is not open any more. Wakes the job. The unit and
 * the cloud, in the arena, are for the audit row. */
struct fulfilment_answer {
    enum fulfilment_state state;
    const char *reference, *address, *reason;
    const char *principal;
};
struct error *fulfilment_end(struct db *db, struct arena *arena, const char *id,
                             const struct fulfilment_answer *answer, moment now, const char **ret_unit,
                             const char **ret_cloud) ERROR_MUST_USE;

extern const struct db_statement fulfilment_select_one, fulfilment_select_list;

#endif
