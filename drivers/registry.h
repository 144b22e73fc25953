/* Which drivers there are. The composition root owns one registry, registers the compiled-in drivers at
 * start, and finds them by the name that an endpoint gives. Not thread-safe while drivers are registered;
 * read-only afterwards. */
#ifndef DRIVERS_REGISTRY_H
#define DRIVERS_REGISTRY_H

#include <stddef.h>

#include "broker/base/error.h"
#include "drivers/driver.h"

#define REGISTRY_MAX 64 /* drivers */

struct registry;

struct registry *registry_new(void);
void registry_free(struct registry *registry);

/* Whether this table keeps the contract's form: ERR_UNSUPPORTED for another ABI; ERR_INVALID for a bad name
 * ([a-z0-9-], at most 63), a missing summary, a missing mandatory operation (named), an operation without its
 * capability or a capability without its operation, unknown capability bits. */
struct error *driver_check(const struct driver *driver) ERROR_MUST_USE;

/* Checks and adds; ERR_EXISTS when the name is taken, ERR_TOO_LARGE beyond REGISTRY_MAX. The table is
 * borrowed and outlives the registry. */
struct error *driver_register(struct registry *registry, const struct driver *driver) ERROR_MUST_USE;

/* NULL when there is none of that name. */
const struct driver *driver_find(const struct registry *registry, const char *name);
size_t driver_count(const struct registry *registry);
/* In the order of registration; index < driver_count. */
const struct driver *driver_at(const struct registry *registry, size_t index);

#endif
