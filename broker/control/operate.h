/* Operating what is there: start, stop, reboot, resize, delete, attach, detach, console. operate_begin
 * checks, claims the resource and starts the operation in the caller's transaction; the job "operate"
 * (operate_job.c) does it at the provider. */
#ifndef BROKER_CONTROL_OPERATE_H
#define BROKER_CONTROL_OPERATE_H

#include "broker/control/resource.h"
#include "broker/jobs/job.h"

#define OPERATE_VERBS(X)     \
    X(VERB_START, "start")   \
    X(VERB_STOP, "stop")     \
    X(VERB_REBOOT, "reboot") \
    X(VERB_RESIZE, "resize") \
    X(VERB_DELETE, "delete") \
    X(VERB_ATTACH, "attach") \
    X(VERB_DETACH, "detach") \
    X(VERB_CONSOLE, "console")

enum verb {
#define X(symbol, name) symbol,
    OPERATE_VERBS(X)
#undef X
        VERB_COUNT
};
const char *verb_name(enum verb verb);
/* ERR_INVALID for a name that is none. */
struct error *verb_parse(const char *name, enum verb *ret_verb) ERROR_MUST_USE;

#define CONSOLE_MAX 65536 /* bytes of console text in an operation's result */

/* `args` by verb: stop {"grace_us"}; resize {"spec": the whole new spec, "allow_restart",
 * "expansion_days": what grows is free for so long (expansion.h)}; attach
 * {"instance": id}; others {}. *ret_operation is in the arena. ERR_CONFLICT when the resource is not active
 * or is held by another operation; ERR_QUOTA and ERR_NO_CAPACITY when it would grow beyond. */
struct error *operate_begin(struct db *db, struct arena *arena, const struct resource *resource,
                            enum verb verb, const json_t *args, const char *principal, moment now,
                            const char **ret_operation) ERROR_MUST_USE;

extern const struct job_type operate_job;

#endif
