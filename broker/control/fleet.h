/* The fleet: one gate (drivers/gate.h) per endpoint, made when first needed from the endpoint's row and its
 * secret, and made anew when the row's version moved on. Thread-safe. */
#ifndef BROKER_CONTROL_FLEET_H
#define BROKER_CONTROL_FLEET_H

#include "broker/control/secret_reach.h"
#include "broker/db/db.h"
#include "drivers/gate.h"
#include "drivers/registry.h"

struct fleet;
struct lent_gate; /* a gate in use: it outlives a change of its endpoint until returned */

/* `reach` is copied, its texts are borrowed for the fleet's life. */
struct fleet *fleet_new(const struct registry *registry, const struct secret_reach *reach);
/* Closes every session; no gate may be lent any more. */
void fleet_free(struct fleet *fleet);

/* ERR_NOT_FOUND for no such endpoint, ERR_CONFLICT when it is disabled, ERR_INVALID for an unknown driver or
 * a bad secret. */
struct error *fleet_borrow(struct fleet *fleet, struct db *db, const char *endpoint,
                           struct lent_gate **ret_lent) ERROR_MUST_USE;
void fleet_return(struct lent_gate *lent);
static inline void fleet_return_cleanup(struct lent_gate **lent)
{
    fleet_return(*lent);
}
#define LENT_GATE_AUTO __attribute__((cleanup(fleet_return_cleanup)))

struct gate *lent_gate(const struct lent_gate *lent);

/* How to connect there, with its secret, for a driver that speaks to two endpoints; lives as long as the
 * arena. Errors as of fleet_borrow. */
struct error *fleet_endpoint(struct fleet *fleet, struct db *db, struct arena *arena, const char *endpoint,
                             struct driver_endpoint *ret_endpoint) ERROR_MUST_USE;

const struct secret_reach *fleet_reach(const struct fleet *fleet);
/* Whether the driver is known, and what it can do. */
const struct driver *fleet_driver(const struct fleet *fleet, const char *name);
/* {"state", "failures", "last_error", …} of an endpoint's gate; NULL when none was made yet. The caller's
 * reference. */
json_t *fleet_status(struct fleet *fleet, struct arena *arena, const char *endpoint);

#endif
