/* SQL of clouds, sites and zones; see cloud.h. */
#include "broker/control/cloud.h"

#include <string.h>

#include "broker/control/refusal.h"

const struct db_statement cloud_select_one = {"cloud_select_one",
                                              "SELECT id, version, body FROM cloud_view WHERE id = $1"};
const struct db_statement cloud_select_list = {
    "cloud_select_list",
    "SELECT id, version, body FROM cloud_view"
    " WHERE id > $1 AND ($3::text IS NULL OR kind = $3) AND ($4::text IS NULL OR provider_id = $4)"
    " ORDER BY id LIMIT $2"};

static const struct db_statement insert_cloud = {
    "cloud_insert", "INSERT INTO cloud (id, name, kind, provider_id, created_at, updated_at)"
                    " VALUES ($1, $2, $3, $4, $5, $5)"};
static const struct db_statement select_kind = {"cloud_kind", "SELECT kind FROM cloud WHERE id = $1"};
static const struct db_statement select_version = {"cloud_version",
                                                   "SELECT version FROM cloud WHERE id = $1 FOR UPDATE"};
static const struct db_statement update_cloud = {
    "cloud_update", "UPDATE cloud SET name = coalesce($2, name), state = coalesce($3, state),"
                    " state_reason = CASE WHEN $3::text IS NULL THEN state_reason ELSE $4 END,"
                    " version = version + 1, updated_at = $5 WHERE id = $1"};
static const struct db_statement insert_site = {
    "site_insert", "INSERT INTO site (cloud_id, id, name, created_at) VALUES ($1, $2, $3, $4)"};
static const struct db_statement select_zone_endpoint = {
    "zone_endpoint", "SELECT e.cloud_id, e.site_id, e.enclave,"
                     " EXISTS (SELECT FROM zone z WHERE z.endpoint_id = e.id AND z.kind <> $2)"
                     " FROM endpoint e WHERE e.id = $1"};
static const struct db_statement insert_zone = {
    "zone_insert",
    "INSERT INTO zone (cloud_id, id, kind, site_id, endpoint_id, network, pool_v4, pool_v6, created_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"};

struct error *cloud_insert(struct db *db, const struct cloud_new *cloud, moment now)
{
    struct error *error = db_run(db, &insert_cloud,
                                 DB_VALUES(db_text(cloud->id), db_text(cloud->name), db_text(cloud->kind),
                                           db_text(cloud->provider), db_moment(now)),
                                 NULL);
    return refusal_of_insert(error, "cloud", cloud->id, "/provider", "provider");
}

struct error *cloud_kind(struct db *db, struct arena *arena, const char *id, const char **ret_kind)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &select_kind, DB_VALUES(db_text(id)), "such cloud", &rows));
    *ret_kind = arena_strdup(arena, db_get_text(rows, 0, 0));
    return NULL;
}

struct error *cloud_version(struct db *db, const char *id, int64_t *ret_version)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &select_version, DB_VALUES(db_text(id)), "such cloud", &rows));
    *ret_version = db_get_int(rows, 0, 0);
    return NULL;
}

struct error *cloud_update(struct db *db, const char *id, const struct cloud_change *change, moment now)
{
    return db_run(db, &update_cloud,
                  DB_VALUES(db_text(id), db_text(change->name), db_text(change->state),
                            db_text(change->state_reason), db_moment(now)),
                  NULL);
}

struct error *site_insert(struct db *db, const char *cloud, const struct site_new *site, moment now)
{
    struct error *error =
        db_run(db, &insert_site,
               DB_VALUES(db_text(cloud), db_text(site->id), db_text(site->name), db_moment(now)), NULL);
    return refusal_of_insert(error, "site", site->id, "", "cloud");
}

static struct error *check_endpoint(struct db *db, const char *cloud, const struct zone_new *zone)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &select_zone_endpoint, DB_VALUES(db_text(zone->endpoint), db_text(zone->kind)), &rows));
    if (!db_count(rows) || strcmp(db_get_text(rows, 0, 0), cloud) ||
        strcmp(db_get_text(rows, 0, 1), zone->site))
        return error_member("/endpoint", "must be an endpoint of the zone's own cloud and site");
    bool enclave = db_get_bool(rows, 0, 2), insurance = !strcmp(zone->kind, "insurance");
    if (enclave != insurance)
        return error_member(
            "/endpoint", enclave ? "is an enclave endpoint, kept for insurance zones (procurement 1.3.1.2)"
                                 : "must be an enclave endpoint for an insurance zone (procurement 1.3.1.2)");
    if (db_get_bool(rows, 0, 3))
        return error_member("/endpoint", "serves a zone of another kind already (procurement 2.4.1)");
    return NULL;
}

struct error *zone_insert(struct db *db, const char *cloud, const struct zone_new *zone, moment now)
{
    if (zone->endpoint)
        TRY(check_endpoint(db, cloud, zone));
    struct error *error =
        db_run(db, &insert_zone,
               DB_VALUES(db_text(cloud), db_text(zone->id), db_text(zone->kind), db_text(zone->site),
                         db_text(zone->endpoint), db_text(zone->network), db_text(zone->pool_v4),
                         db_text(zone->pool_v6), db_moment(now)),
               NULL);
    return refusal_of_insert(error, "zone", zone->id, "/site", "site of this cloud");
}
