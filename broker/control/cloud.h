/* Clouds, their sites and zones: where things can be deployed. Rows of broker/control/schema/3000_places.sql.
 */
#ifndef BROKER_CONTROL_CLOUD_H
#define BROKER_CONTROL_CLOUD_H

#include "broker/base/moment.h"
#include "broker/db/db.h"

struct cloud_new {
    const char *id, *name, *kind, *provider;
};

/* NULL members stay as they are. */
struct cloud_change {
    const char *name, *state, *state_reason;
};

struct site_new {
    const char *id, *name;
};

struct zone_new {
    const char *id, *kind, *site, *endpoint, *network, *pool_v4, *pool_v6;
};

/* ERR_EXISTS when the id is taken, ERR_CONFLICT when the provider is not known. */
struct error *cloud_insert(struct db *db, const struct cloud_new *cloud, moment now) ERROR_MUST_USE;
/* `version` as seen by the caller: ERR_STALE when it moved on; ERR_NOT_FOUND. */
struct error *cloud_version(struct db *db, const char *id, int64_t *ret_version) ERROR_MUST_USE;
struct error *cloud_update(struct db *db, const char *id, const struct cloud_change *change,
                           moment now) ERROR_MUST_USE;
struct error *site_insert(struct db *db, const char *cloud, const struct site_new *site,
                          moment now) ERROR_MUST_USE;
/* The endpoint must belong to the zone's cloud and site, and an insurance zone needs an enclave endpoint and
 * the other way round (procurement 1.3.1.2); else ERR_INVALID. Two zones of different kinds never share an
 * endpoint (procurement 2.4.1). */
struct error *zone_insert(struct db *db, const char *cloud, const struct zone_new *zone,
                          moment now) ERROR_MUST_USE;

/* "service", "health" or "education": the industry that its usage is billed under. In the arena. */
struct error *cloud_kind(struct db *db, struct arena *arena, const char *id,
                         const char **ret_kind) ERROR_MUST_USE;

extern const struct db_statement cloud_select_one, cloud_select_list;

#endif
