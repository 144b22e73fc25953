/* What links carry (schema/4030_link.sql). Within the caller's transaction. */
#ifndef FEDERATION_LINK_STORE_H
#define FEDERATION_LINK_STORE_H

#include "broker/base/moment.h"
#include "broker/db/db.h"
#include "federation/link.h"

struct link_place {
    const char *cloud, *site;
};

/* A rate of 0 lifts the limit. ERR_INVALID for a site that there is not ("/from", "/to"), or twice the same.
 */
struct error *link_set(struct db *db, const struct link_place *from, const struct link_place *to,
                       int64_t bytes_per_second, const char *principal, moment now) ERROR_MUST_USE;
/* 0: no limit. */
struct error *link_get(struct db *db, const struct link_place *from, const struct link_place *to,
                       uint64_t *ret_bytes_per_second) ERROR_MUST_USE;

/* $1 "CLOUD/SITE CLOUD/SITE" */
extern const struct db_statement link_select_one;
extern const struct db_statement link_select_list;

#endif
