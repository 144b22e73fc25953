/* Providers and what their agreement settles, in the database. Within the caller's transaction. */
#ifndef CATALOG_PROVIDER_H
#define CATALOG_PROVIDER_H

#include <jansson.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"
#include "catalog/agreement.h"

struct provider {
    const char *id, *name, *contact; /* contact NULL: none */
    int64_t version;
    moment created_at, updated_at;
};

/* With the settings in force from the beginning on. ERR_EXISTS when the id is taken. */
struct error *provider_add(struct db *db, const char *id, const char *name, const char *contact,
                           const struct agreement *agreement, moment now) ERROR_MUST_USE;
struct error *provider_get(struct db *db, struct arena *arena, const char *id,
                           struct provider *ret_provider) ERROR_MUST_USE;
/* At most `most` after the id `after` (NULL: from the start), by id. */
struct error *provider_list(struct db *db, struct arena *arena, const char *after, int64_t most,
                            struct provider **ret_list, size_t *ret_count) ERROR_MUST_USE;
/* Replaces name and contact and counts the version up. ERR_STALE when `version` is not the present one. */
struct error *provider_update(struct db *db, const char *id, int64_t version, const char *name,
                              const char *contact, moment now) ERROR_MUST_USE;

/* The settings in force at `at`. ERR_NOT_FOUND when there is no such provider. */
struct error *provider_agreement(struct db *db, const char *id, moment at,
                                 struct agreement *ret_agreement) ERROR_MUST_USE;
/* From the start of the month after `now` on: a month that runs is billed by the settings it began with. */
struct error *provider_agree(struct db *db, const char *id, const struct agreement *agreement,
                             moment now) ERROR_MUST_USE;

/* Settings that have come into force and have not reached all resources that were running then: what a
 * resource uses depends on them. Walked in pages, by resource id. */
struct agreement_due {
    const char *provider;
    moment from;       /* in force since */
    const char *after; /* resources up to this id are done; "": none yet */
};
/* The oldest that no other transaction is at work on, locked. */
struct error *provider_agreement_due(struct db *db, struct arena *arena, moment now, bool *ret_found,
                                     struct agreement_due *ret_due) ERROR_MUST_USE;
/* Resources up to the id `after` are done; NULL: all of them. */
struct error *provider_agreement_metered(struct db *db, const struct agreement_due *due, const char *after,
                                         moment now) ERROR_MUST_USE;

#endif
