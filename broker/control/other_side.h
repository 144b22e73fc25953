/* The other side of a resource: while it moves between clouds there are two objects with its stamp, one where
 * the resource's row says that it lives and one that cannot run, or not yet. An inventory that finds the
 * second one takes it for what it is; one that runs and may not is drift like any other. */
#ifndef BROKER_CONTROL_OTHER_SIDE_H
#define BROKER_CONTROL_OTHER_SIDE_H

#include "broker/control/resource.h"

struct other_side {
    const char *resource, *kind;
    bool may_run;
    json_t *spec; /* held by the arena */
};

/* Again changes may_run. */
struct error *other_side_put(struct db *db, const struct resource *resource, const char *endpoint,
                             bool may_run) ERROR_MUST_USE;
/* None is success. */
struct error *other_side_remove(struct db *db, const struct resource *resource,
                                const char *endpoint) ERROR_MUST_USE;
/* Those at an endpoint, by resource. */
struct error *other_side_list(struct db *db, struct arena *arena, const char *endpoint,
                              struct other_side **ret_list, size_t *ret_count) ERROR_MUST_USE;

/* An object there that bears a stamp of the broker's and is no resource's, such as a test boot: it may run,
 * has the spec's room, and is told by other_side_list as an instance. `of` says whose it is. */
struct error *passing_put(struct db *db, const struct resource *of, const char *endpoint, const char *object,
                          const json_t *spec) ERROR_MUST_USE;
/* None is success. */
struct error *passing_remove(struct db *db, const char *unit, const char *object) ERROR_MUST_USE;

#endif
