/* SQL of other sides; see other_side.h. */
#include "broker/control/other_side.h"

#include "broker/base/json.h"

static const struct db_statement put = {
    "other_side_put", "INSERT INTO other_side (unit_id, resource_id, endpoint_id, system_id, may_run)"
                      " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (unit_id, resource_id, endpoint_id)"
                      " DO UPDATE SET may_run = EXCLUDED.may_run"};
static const struct db_statement take_away = {
    "other_side_remove",
    "DELETE FROM other_side WHERE unit_id = $1 AND resource_id = $2 AND endpoint_id = $3"};
static const struct db_statement list = {
    "other_side_list",
    "SELECT id::text, kind, may_run, spec FROM (SELECT s.resource_id AS id, r.kind, s.may_run, r.spec"
    " FROM other_side s JOIN resource r ON r.unit_id = s.unit_id AND r.id = s.resource_id"
    " WHERE s.endpoint_id = $1 UNION ALL SELECT object_id, kind, true, spec FROM passing_object"
    " WHERE endpoint_id = $1) AS s ORDER BY s.id"};
static const struct db_statement put_passing = {
    "passing_object_put",
    "INSERT INTO passing_object (unit_id, object_id, endpoint_id, system_id, kind, spec)"
    " VALUES ($1, $2, $3, $4, 'instance', $5) ON CONFLICT DO NOTHING"};
static const struct db_statement remove_passing = {
    "passing_object_remove", "DELETE FROM passing_object WHERE unit_id = $1 AND object_id = $2"};

struct error *other_side_put(struct db *db, const struct resource *r, const char *endpoint, bool may_run)
{
    return db_run(
        db, &put,
        DB_VALUES(db_text(r->unit), db_text(r->id), db_text(endpoint), db_text(r->system), db_bool(may_run)),
        NULL);
}

struct error *other_side_remove(struct db *db, const struct resource *r, const char *endpoint)
{
    return db_run(db, &take_away, DB_VALUES(db_text(r->unit), db_text(r->id), db_text(endpoint)), NULL);
}

struct error *other_side_list(struct db *db, struct arena *arena, const char *endpoint,
                              struct other_side **ret_list, size_t *ret_count)
{
    struct db_rows *rows;
    TRY(db_query(db, &list, DB_VALUES(db_text(endpoint)), &rows));
    (void)db_hold(arena, rows);
    *ret_count = db_count(rows);
    *ret_list = arena_array(arena, *ret_count, sizeof **ret_list);
    for (size_t i = 0; i < *ret_count; i++)
        (*ret_list)[i] = (struct other_side){.resource = db_get_text(rows, i, 0),
                                             .kind = db_get_text(rows, i, 1),
                                             .may_run = db_get_bool(rows, i, 2),
                                             .spec = json_hold(arena, db_get_json(rows, i, 3))};
    return NULL;
}

struct error *passing_put(struct db *db, const struct resource *of, const char *endpoint, const char *object,
                          const json_t *spec)
{
    return db_run(
        db, &put_passing,
        DB_VALUES(db_text(of->unit), db_text(object), db_text(endpoint), db_text(of->system), db_json(spec)),
        NULL);
}

struct error *passing_remove(struct db *db, const char *unit, const char *object)
{
    return db_run(db, &remove_passing, DB_VALUES(db_text(unit), db_text(object)), NULL);
}
