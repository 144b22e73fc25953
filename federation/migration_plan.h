/* The plan of a move, written before it starts: what will be done in which order by whom, and the way back
 * (procurement 4.1.1.6, 4.1.3.1, 4.1.3.3). Pure. */
#ifndef FEDERATION_MIGRATION_PLAN_H
#define FEDERATION_MIGRATION_PLAN_H

#include "federation/migration_store.h"

/* `report` is the assessment's of this instance. New references. */
json_t *migration_plan(const struct migration_row *migration, const json_t *report, moment now);
json_t *migration_rollback_plan(const struct migration_row *migration);

#endif
