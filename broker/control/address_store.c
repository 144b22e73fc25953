/* Internet addresses out of the pools of zones; see resource.h. The zone's row is locked while an address is
 * chosen, so two orders never get the same one; the primary key of address_lease says so once more. */
#include "broker/control/resource.h"

static const struct db_statement lock_pool = {
    "address_pool", "SELECT CASE $3::int WHEN 4 THEN pool_v4 ELSE pool_v6 END FROM zone "
                    "WHERE cloud_id = $1 AND id = $2 FOR UPDATE"};
/* The first host after the gateway, or the successor of a leased address, that is free and inside the pool.
 */
static const struct db_statement take = {
    "address_take", "WITH pool AS (SELECT $3::cidr AS net), candidate AS ("
                    " SELECT host(network(net))::inet + 2 AS address FROM pool"
                    " UNION ALL SELECT l.address + 1 FROM address_lease l, pool WHERE l.cloud_id = $1 AND "
                    "l.zone_id = $2 AND l.address <<= net)"
                    " INSERT INTO address_lease (cloud_id, zone_id, address, unit_id, resource_id)"
                    " SELECT $1, $2, c.address, $4, $5::uuid FROM candidate c, pool"
                    " WHERE c.address <<= net AND (family(net) = 6 OR c.address <> broadcast(net)::inet)"
                    " AND host(c.address) <> host(broadcast(net))"
                    " AND NOT EXISTS (SELECT FROM address_lease l WHERE l.cloud_id = $1 AND l.zone_id = $2 "
                    "AND l.address = c.address)"
                    " ORDER BY c.address LIMIT 1 RETURNING host(address)"};
static const struct db_statement give_back = {"address_give_back",
                                              "DELETE FROM address_lease WHERE resource_id = $1"};

struct error *address_take(struct db *db, struct arena *arena, const struct resource *resource, int family,
                           const char **ret_address)
{
    DB_ROWS_AUTO struct db_rows *pool = NULL, *rows = NULL;
    TRY(db_query_one(db, &lock_pool,
                     DB_VALUES(db_text(resource->cloud), db_text(resource->zone), db_int(family)),
                     "such zone", &pool));
    if (db_is_null(pool, 0, 0))
        return error_new(ERR_NO_CAPACITY, "zone \"%s\" of cloud \"%s\" has no pool of IPv%d addresses",
                         resource->zone, resource->cloud, family);
    TRY(db_query(db, &take,
                 DB_VALUES(db_text(resource->cloud), db_text(resource->zone),
                           db_text(db_get_text(pool, 0, 0)), db_text(resource->unit), db_text(resource->id)),
                 &rows));
    if (!db_count(rows))
        return error_new(ERR_NO_CAPACITY, "zone \"%s\" of cloud \"%s\" has no IPv%d address left",
                         resource->zone, resource->cloud, family);
    *ret_address = arena_strdup(arena, db_get_text(rows, 0, 0));
    return NULL;
}

struct error *address_give_back(struct db *db, const struct resource *resource)
{
    return db_run(db, &give_back, DB_VALUES(db_text(resource->id)), NULL);
}
