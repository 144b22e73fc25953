/* SQL of units and systems; see unit.h. */
#include "broker/control/unit.h"

#include "broker/control/refusal.h"

const struct db_statement unit_select_one = {"unit_select_one",
                                             "SELECT id, version, body FROM unit_view WHERE id = $1"};
const struct db_statement unit_select_list = {
    "unit_select_list", "SELECT id, version, body FROM unit_view WHERE id > $1 ORDER BY id LIMIT $2"};
const struct db_statement system_select_one = {
    "system_select_one", "SELECT id, version, body FROM system_view WHERE unit_id = $1 AND id = $2"};
const struct db_statement system_select_list = {
    "system_select_list",
    "SELECT id, version, body FROM system_view WHERE id > $1 AND unit_id = $3 ORDER BY id LIMIT $2"};

static const struct db_statement insert_unit = {
    "unit_insert", "INSERT INTO unit (id, name, kind, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)"};
static const struct db_statement select_version = {"unit_version",
                                                   "SELECT version FROM unit WHERE id = $1 FOR UPDATE"};
static const struct db_statement update_unit = {
    "unit_update",
    "UPDATE unit SET name = coalesce($2, name), state = coalesce($3, state), version = version + 1,"
    " updated_at = $4 WHERE id = $1"};
static const struct db_statement insert_system = {
    "system_insert", "INSERT INTO system (unit_id, id, name, insurance, created_at, updated_at)"
                     " VALUES ($1, $2, $3, $4, $5, $5)"};

struct error *unit_insert(struct db *db, const struct unit_new *unit, moment now)
{
    struct error *error =
        db_run(db, &insert_unit,
               DB_VALUES(db_text(unit->id), db_text(unit->name), db_text(unit->kind), db_moment(now)), NULL);
    return refusal_of_insert(error, "unit", unit->id, "", "unit");
}

struct error *unit_version(struct db *db, const char *id, int64_t *ret_version)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &select_version, DB_VALUES(db_text(id)), "such unit", &rows));
    *ret_version = db_get_int(rows, 0, 0);
    return NULL;
}

struct error *unit_update(struct db *db, const char *id, const struct unit_change *change, moment now)
{
    return db_run(db, &update_unit,
                  DB_VALUES(db_text(id), db_text(change->name), db_text(change->state), db_moment(now)),
                  NULL);
}

struct error *system_insert(struct db *db, const char *unit, const struct system_new *system, moment now)
{
    struct error *error = db_run(db, &insert_system,
                                 DB_VALUES(db_text(unit), db_text(system->id), db_text(system->name),
                                           db_bool(system->insurance), db_moment(now)),
                                 NULL);
    return refusal_of_insert(error, "system", system->id, "", "unit");
}
