/* Orders: several resources at once, all or nothing. order_place checks and writes everything in the caller's
 * transaction; the job "order" (order_job.c) then makes it true at the providers. */
#ifndef BROKER_CONTROL_ORDER_H
#define BROKER_CONTROL_ORDER_H

#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"
#include "broker/jobs/job.h"

#define ORDER_RESOURCES_MAX 50

struct order_item {
    const char *kind, *name, *cloud; /* cloud NULL: the order's */
    const json_t *spec;
    int64_t expansion_days; /* all of it is a free expansion of what the system has; 0: none */
};

struct order_new {
    const char *unit, *system, *cloud, *note;
    struct json_list resources; /* of struct order_item */
    /* Of a job that makes the order's resources in its own way and has begun (an import: no image is looked
     * for, ORDER_IMPORTED stands in its place); NULL: one of its own, carried by the job "order". */
    const char *operation;
};
#define ORDER_IMPORTED "imported"
extern const struct json_spec order_spec;

struct order_made {
    const char *order, *operation; /* UUIDs in the arena */
    const char *cloud;             /* of all resources; NULL: they are on several */
};

/* Everything that is wrong with the request comes at once (ERR_INVALID with pointers); then quota (ERR_QUOTA)
 * and room (ERR_NO_CAPACITY) are taken. `request` is kept with the operation, so that it can be placed again.
 */
struct error *order_place(struct db *db, struct arena *arena, const char *principal,
                          const struct order_new *order, const json_t *request, moment now,
                          struct order_made *ret_made) ERROR_MUST_USE;

/* For such a job, of the same arguments {"unit", "operation"}, in its transaction: everything becomes active
 * and is billed from now on, its instance being `power`; the operation ends with `result`. */
struct error *order_activate(struct db *db, struct job *job, const char *power,
                             const json_t *result) ERROR_MUST_USE;
/* And when nothing of it is left at any provider: rows, room and operation end with the error. */
struct error *order_failed(struct db *db, struct job *job, const struct error *error) ERROR_MUST_USE;

struct error *order_end(struct db *db, const char *unit, const char *order, const char *state,
                        moment now) ERROR_MUST_USE;

extern const struct job_type order_job;
extern const struct db_statement order_select_one, order_select_list;

#endif
