/* What must hold in every world once nothing is at work, whatever happened before. Each fails the cmocka test
 * with what it found. */
#ifndef TESTS_E2E_WORLD_CHECK_H
#define TESTS_E2E_WORLD_CHECK_H

#include "tests/e2e/world.h"

/* All operations have ended and no job but inventories is left to run, within `seconds`. */
void check_settled(const struct world *world, int seconds);
/* Usage intervals cover each resource's life from active_at to deleted_at (or until now) without a gap, for
 * every item its kind carries (procurement 3.1.3); what never became active has none. Meant for histories
 * without stops, whose usage depends on the agreement. */
void check_usage(const struct world *world);
/* quota.used and capacity.reserved are the sums over the live resources. */
void check_counters(const struct world *world);
/* What the providers hold is exactly the active resources: asked through the drivers in the test's own
 * process, of hmcsim in its own words, and through the broker's list of drift after a fresh inventory. */
void check_providers(struct world *world);
/* GET /v1/audit:verify: whole, and everything sealed. */
void check_audit(struct world *world);

#endif
