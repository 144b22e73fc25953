/* The facts that placement decides on, in one row; see placement.h. */
#include "broker/control/placement.h"

static const struct db_statement select_facts = {
    "placement_facts",
    "SELECT u.kind, u.state, s.insurance, c.kind, c.state, c.state_reason, c.provider_id, z.kind, "
    "z.endpoint_id, z.network,"
    " coalesce(e.enabled, false), i.name IS NOT NULL, i.architecture, coalesce(i.size_gb, 0), "
    "coalesce(e.architectures, 0)"
    " FROM unit u JOIN system s ON s.unit_id = u.id AND s.id = $2 CROSS JOIN cloud c"
    " LEFT JOIN zone z ON z.cloud_id = c.id AND z.id = $4"
    " LEFT JOIN endpoint e ON e.id = z.endpoint_id"
    " LEFT JOIN image i ON i.endpoint_id = e.id AND i.name = $5"
    " WHERE u.id = $1 AND c.id = $3"};

struct error *placement_load(struct db *db, struct arena *arena, const char *unit, const char *system,
                             const struct placement_wish *wish, bool *ret_found,
                             struct placement_facts *ret_facts)
{
    struct db_rows *rows;
    TRY(db_query(db, &select_facts,
                 DB_VALUES(db_text(unit), db_text(system), db_text(wish->cloud), db_text(wish->zone),
                           db_text(wish->image)),
                 &rows));
    (void)db_hold(arena, rows);
    *ret_found = db_count(rows) > 0;
    if (!*ret_found)
        return NULL;
    *ret_facts = (struct placement_facts){
        .unit_kind = db_get_text(rows, 0, 0),
        .unit_state = db_get_text(rows, 0, 1),
        .insurance = db_get_bool(rows, 0, 2),
        .cloud_kind = db_get_text(rows, 0, 3),
        .cloud_state = db_get_text(rows, 0, 4),
        .cloud_reason = db_get_text(rows, 0, 5),
        .provider = db_get_text(rows, 0, 6),
        .zone_kind = db_get_text(rows, 0, 7),
        .endpoint = db_get_text(rows, 0, 8),
        .network = db_get_text(rows, 0, 9),
        .endpoint_enabled = db_get_bool(rows, 0, 10),
        .image_known = db_get_bool(rows, 0, 11),
        .image_architecture = db_get_text(rows, 0, 12),
        .image_size_gb = db_get_int(rows, 0, 13),
        .architectures = (unsigned)db_get_int(rows, 0, 14),
    };
    return NULL;
}
