/* What the job "operate" shares with its calls to the provider (operate_provider.c); nobody else includes it.
 */
#ifndef BROKER_CONTROL_OPERATE_WORK_H
#define BROKER_CONTROL_OPERATE_WORK_H

#include "broker/control/operate.h"
#include "broker/control/operation.h"

struct operate_work {
    struct job *job;
    struct operation operation;
    bool ended; /* the operation has: nothing is to be done any more */
    struct resource resource;
    struct resource owner; /* the instance that a volume is, or shall be, attached to; id NULL: none */
    enum verb verb;
};

/* What the provider shows of the resource. */
struct operate_seen {
    bool done;         /* what the verb wants is so */
    const char *power; /* of an instance: "on", "off"; NULL: not told */
    bool detached;     /* a volume that is there and hangs on nothing */
};

/* Does it at the provider. */
struct error *operate_run(struct operate_work *work) ERROR_MUST_USE;
/* Looks whether it is done, whatever became of operate_run. */
struct error *operate_look(struct operate_work *work, struct operate_seen *ret_seen) ERROR_MUST_USE;

#endif
