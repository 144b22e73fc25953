/* SQL of resources; see resource.h. */
#include "broker/control/resource.h"

#include <string.h>

#include "broker/base/json.h"

const struct db_statement resource_select_one = {"resource_select_one",
                                                 "SELECT id::text, version, body FROM resource_view WHERE id "
                                                 "= $1::uuid AND ($2::text IS NULL OR kind = $2)"};
/* $3 kind, $4 cloud, $5 system, $6 state; the ended ones only when asked for by state. */
const struct db_statement resource_select_list = {
    "resource_select_list",
    "SELECT id::text, version, body FROM resource_view WHERE ($1 = '' OR id > nullif($1, '')::uuid)"
    " AND ($3::text IS NULL OR kind = $3) AND ($4::text IS NULL OR cloud_id = $4) AND ($5::text IS NULL OR "
    "system_id = $5)"
    " AND (CASE WHEN $6::text IS NULL THEN state NOT IN ('deleted', 'failed') ELSE state = $6 END) ORDER BY "
    "id LIMIT $2"};

#define COLUMNS                                                                                          \
    "unit_id, id, system_id, cloud_id, provider_id, zone_id, endpoint_id, order_id, kind, name, state, " \
    "power, spec,"                                                                                       \
    " attached_to, ref, address, operation_id, version, expansion_days, expansion_base, expansion_until"

static const struct db_statement insert_resource = {
    "resource_insert",
    "INSERT INTO resource (unit_id, id, system_id, cloud_id, provider_id, zone_id, endpoint_id, order_id, "
    "kind, name, state,"
    " power, spec, attached_to, operation_id, address, created_at, touched_at,"
    " expansion_days)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'requested', $11, $12, $13, $14, $15, $16, $16, $17)"};
static const struct db_statement select_resource = {
    "resource_load",
    "SELECT " COLUMNS " FROM resource WHERE id = $2::uuid AND ($1::text IS NULL OR unit_id = $1)"
    " AND ($3::text IS NULL OR kind = $3) FOR UPDATE"};
static const struct db_statement peek_resource = {
    "resource_peek", "SELECT " COLUMNS " FROM resource WHERE unit_id = $1 AND id = $2::uuid"};
static const struct db_statement select_by_name = {
    "resource_find",
    "SELECT " COLUMNS " FROM resource WHERE unit_id = $1 AND system_id = $2 AND kind = $3"
    " AND (name = $4 OR id::text = $4) AND state NOT IN ('deleted', 'failed') ORDER BY (id::text = $4) DESC"
    " FOR UPDATE"};
static const struct db_statement select_of_order = {
    "resource_of_order", "SELECT " COLUMNS " FROM resource WHERE unit_id = $1 AND order_id = $2::uuid"
                         " ORDER BY (kind <> 'instance'), id"};
static const struct db_statement select_attached = {
    "resource_attached", "SELECT " COLUMNS " FROM resource WHERE unit_id = $1 AND attached_to = $2::uuid"
                         " AND state NOT IN ('deleted', 'failed') ORDER BY id FOR UPDATE"};
static const struct db_statement select_of_endpoint = {
    "resource_of_endpoint",
    "SELECT " COLUMNS
    ", touched_at FROM resource WHERE endpoint_id = $1 AND state NOT IN ('deleted', 'failed')"
    " UNION ALL SELECT " COLUMNS ", touched_at FROM resource WHERE endpoint_id = $1"
    " AND state IN ('deleted', 'failed') AND deleted_at >= $2 ORDER BY id"};

static const struct db_statement claim = {
    "resource_claim", "UPDATE resource SET operation_id = $3, version = version + 1, touched_at = $4"
                      " WHERE unit_id = $1 AND id = $2 AND state = 'active' AND operation_id IS NULL"};
static const struct db_statement release = {
    "resource_release",
    "UPDATE resource SET operation_id = NULL, error = $4, version = version + 1, touched_at = $5"
    " WHERE unit_id = $1 AND id = $2 AND operation_id = $3"};
static const struct db_statement become = {
    "resource_become", "UPDATE resource SET state = $4, error = $5, version = version + 1, touched_at = $6,"
                       " active_at = CASE WHEN $4 = 'active' THEN coalesce(active_at, $6) ELSE active_at END,"
                       " deleted_at = CASE WHEN $4 IN ('deleted', 'failed') THEN $6 ELSE deleted_at END,"
                       " operation_id = CASE WHEN $4 IN ('deleted', 'failed') OR ($4 = 'active' AND state = "
                       "'creating') THEN NULL"
                       " ELSE operation_id END"
                       " WHERE unit_id = $1 AND id = $2 AND state = $3"};
static const struct db_statement made = {
    "resource_made",
    "UPDATE resource SET ref = $3, address = coalesce($4, address), version = version + 1, touched_at = $5"
    " WHERE unit_id = $1 AND id = $2"};
static const struct db_statement set_power = {
    "resource_power", "UPDATE resource SET power = $3, version = version + 1, touched_at = $4"
                      " WHERE unit_id = $1 AND id = $2"};
static const struct db_statement set_spec = {
    "resource_spec",
    "UPDATE resource SET spec = $3, version = version + 1, touched_at = $4 WHERE unit_id = $1 AND id = $2"};
static const struct db_statement set_attached = {
    "resource_set_attached", "UPDATE resource SET attached_to = $3, version = version + 1, touched_at = $4"
                             " WHERE unit_id = $1 AND id = $2"};
static const struct db_statement set_address = {
    "resource_address", "UPDATE resource SET address = $3, version = version + 1"
                        " WHERE unit_id = $1 AND id = $2 AND address IS DISTINCT FROM $3"};

static const struct db_statement relocate = {
    "resource_relocate",
    "UPDATE resource SET cloud_id = $3, provider_id = $4, zone_id = $5, endpoint_id = $6, ref = $7,"
    " spec = CASE WHEN spec ? 'zone' THEN jsonb_set(spec, '{zone}', to_jsonb($5::text)) ELSE spec END,"
    " address = NULL, version = version + 1, touched_at = $8 WHERE unit_id = $1 AND id = $2"
    " RETURNING spec"};

static enum resource_state state_of(const char *name)
{
    enum resource_state state = RESOURCE_REQUESTED;
    while (strcmp(resource_state_name(state), name)) /* the table's CHECK keeps it among ours */
        state++;
    return state;
}

static void read_row(struct arena *arena, const struct db_rows *rows, size_t row, struct resource *resource)
{
    *resource = (struct resource){
        .unit = db_get_text(rows, row, 0),
        .id = db_get_text(rows, row, 1),
        .system = db_get_text(rows, row, 2),
        .cloud = db_get_text(rows, row, 3),
        .provider = db_get_text(rows, row, 4),
        .zone = db_get_text(rows, row, 5),
        .endpoint = db_get_text(rows, row, 6),
        .order = db_get_text(rows, row, 7),
        .kind = db_get_text(rows, row, 8),
        .name = db_get_text(rows, row, 9),
        .state = state_of(db_get_text(rows, row, 10)),
        .power = db_get_text(rows, row, 11),
        .spec = json_hold(arena, db_get_json(rows, row, 12)),
        .attached_to = db_get_text(rows, row, 13),
        .ref = db_get_text(rows, row, 14),
        .address = db_get_text(rows, row, 15),
        .operation = db_get_text(rows, row, 16),
        .version = db_get_int(rows, row, 17),
        .expansion_days = db_is_null(rows, row, 18) ? 0 : db_get_int(rows, row, 18),
        .expansion_base = db_is_null(rows, row, 19) ? NULL : json_hold(arena, db_get_json(rows, row, 19)),
        .expansion_until = db_is_null(rows, row, 20) ? 0 : db_get_moment(rows, row, 20),
    };
}

static struct resource *read_rows(struct arena *arena, struct db_rows *rows, size_t *ret_count)
{
    (void)db_hold(arena, rows);
    *ret_count = db_count(rows);
    struct resource *resources = arena_array(arena, *ret_count, sizeof *resources);
    for (size_t i = 0; i < *ret_count; i++)
        read_row(arena, rows, i, &resources[i]);
    return resources;
}

struct error *resource_insert(struct db *db, const struct resource *r, moment now)
{
    struct error *error =
        db_run(db, &insert_resource,
               DB_VALUES(db_text(r->unit), db_text(r->id), db_text(r->system), db_text(r->cloud),
                         db_text(r->provider), db_text(r->zone), db_text(r->endpoint), db_text(r->order),
                         db_text(r->kind), db_text(r->name), db_text(r->power), db_json(r->spec),
                         db_text(r->attached_to), db_text(r->operation), db_text(r->address), db_moment(now),
                         r->expansion_days ? db_int(r->expansion_days) : db_null()),
               NULL);
    if (error && error_code(error) == ERR_EXISTS) {
        error_free(error);
        return error_new(ERR_EXISTS, "system \"%s\" has a%s %s named \"%s\" already", r->system,
                         strchr("aeiou", *r->kind) ? "n" : "", r->kind, r->name);
    }
    return error;
}

struct error *resource_load(struct db *db, struct arena *arena, const char *unit, const char *id,
                            const char *kind, struct resource *ret_resource)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &select_resource, DB_VALUES(db_text(unit), db_text(id), db_text(kind)),
                     arena_printf(arena, "such %s", kind ? kind : "resource"), &rows));
    (void)db_hold(arena, rows);
    read_row(arena, rows, 0, ret_resource);
    return NULL;
}

struct error *resource_peek(struct db *db, struct arena *arena, const char *unit, const char *id,
                            struct resource *ret_resource)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &peek_resource, DB_VALUES(db_text(unit), db_text(id)), "such resource", &rows));
    (void)db_hold(arena, rows);
    read_row(arena, rows, 0, ret_resource);
    return NULL;
}

struct error *resource_find(struct db *db, struct arena *arena, const char *unit, const char *system,
                            const char *kind, const char *name_or_id, struct resource *ret_resource)
{
    struct db_rows *rows;
    TRY(db_query(db, &select_by_name,
                 DB_VALUES(db_text(unit), db_text(system), db_text(kind), db_text(name_or_id)), &rows));
    (void)db_hold(arena, rows);
    if (!db_count(rows))
        return error_new(ERR_NOT_FOUND, "system \"%s\" has no %s \"%s\"", system, kind, name_or_id);
    read_row(arena, rows, 0, ret_resource);
    return NULL;
}

struct error *resource_of_order(struct db *db, struct arena *arena, const char *unit, const char *order,
                                struct resource **ret_resources, size_t *ret_count)
{
    struct db_rows *rows;
    TRY(db_query(db, &select_of_order, DB_VALUES(db_text(unit), db_text(order)), &rows));
    *ret_resources = read_rows(arena, rows, ret_count);
    return NULL;
}

struct error *resource_attached(struct db *db, struct arena *arena, const char *unit, const char *instance,
                                struct resource **ret_resources, size_t *ret_count)
{
    struct db_rows *rows;
    TRY(db_query(db, &select_attached, DB_VALUES(db_text(unit), db_text(instance)), &rows));
    *ret_resources = read_rows(arena, rows, ret_count);
    return NULL;
}

struct error *resource_of_endpoint(struct db *db, struct arena *arena, const char *endpoint, moment since,
                                   struct resource **ret_resources, moment **ret_touched, size_t *ret_count)
{
    struct db_rows *rows;
    TRY(db_query(db, &select_of_endpoint, DB_VALUES(db_text(endpoint), db_moment(since)), &rows));
    *ret_resources = read_rows(arena, rows, ret_count);
    *ret_touched = arena_array(arena, *ret_count, sizeof **ret_touched);
    for (size_t i = 0; i < *ret_count; i++)
        (*ret_touched)[i] = db_get_moment(rows, i, 21);
    return NULL;
}

struct error *resource_claim(struct db *db, const struct resource *r, const char *operation, moment now)
{
    int64_t changed;
    TRY(db_run(db, &claim, DB_VALUES(db_text(r->unit), db_text(r->id), db_text(operation), db_moment(now)),
               &changed));
    if (!changed && r->state != RESOURCE_ACTIVE)
        return error_new(ERR_CONFLICT, "%s \"%s\" is %s, not active", r->kind, r->name,
                         resource_state_name(r->state));
    if (!changed)
        return error_new(ERR_CONFLICT, "another operation is at work on %s \"%s\"", r->kind, r->name);
    return NULL;
}

struct error *resource_release(struct db *db, const struct resource *r, const char *operation,
                               const char *failure, moment now)
{
    return db_run(
        db, &release,
        DB_VALUES(db_text(r->unit), db_text(r->id), db_text(operation), db_text(failure), db_moment(now)),
        NULL);
}

struct error *resource_become(struct db *db, const struct resource *r, enum resource_state from,
                              enum resource_state to, const char *failure, moment now)
{
    if (!resource_may_become(from, to))
        return error_new(ERR_INTERNAL, "no resource goes from %s to %s", resource_state_name(from),
                         resource_state_name(to));
    int64_t changed;
    TRY(db_run(db, &become,
               DB_VALUES(db_text(r->unit), db_text(r->id), db_text(resource_state_name(from)),
                         db_text(resource_state_name(to)), db_text(failure), db_moment(now)),
               &changed));
    if (!changed)
        return error_new(ERR_CONFLICT, "%s \"%s\" is not %s", r->kind, r->name, resource_state_name(from));
    return NULL;
}

struct error *resource_made(struct db *db, const struct resource *r, const char *ref, const char *address,
                            moment now)
{
    return db_run(db, &made,
                  DB_VALUES(db_text(r->unit), db_text(r->id), db_text(ref), db_text(address), db_moment(now)),
                  NULL);
}

struct error *resource_set_power(struct db *db, const struct resource *r, const char *power, moment now)
{
    return db_run(db, &set_power, DB_VALUES(db_text(r->unit), db_text(r->id), db_text(power), db_moment(now)),
                  NULL);
}

struct error *resource_set_spec(struct db *db, const struct resource *r, const json_t *spec, moment now)
{
    return db_run(db, &set_spec, DB_VALUES(db_text(r->unit), db_text(r->id), db_json(spec), db_moment(now)),
                  NULL);
}

struct error *resource_set_attached(struct db *db, const struct resource *r, const char *instance, moment now)
{
    return db_run(db, &set_attached,
                  DB_VALUES(db_text(r->unit), db_text(r->id), db_text(instance), db_moment(now)), NULL);
}

struct error *resource_set_address(struct db *db, const struct resource *r, const char *address)
{
    return db_run(db, &set_address, DB_VALUES(db_text(r->unit), db_text(r->id), db_text(address)), NULL);
}

struct error *resource_relocate(struct db *db, struct arena *arena, struct resource *r,
                                const struct resource_place *place, moment now)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &relocate,
                     DB_VALUES(db_text(r->unit), db_text(r->id), db_text(place->cloud),
                               db_text(place->provider), db_text(place->zone), db_text(place->endpoint),
                               db_text(place->ref), db_moment(now)),
                     "such resource", &rows));
    (void)db_hold(arena, rows);
    r->cloud = place->cloud;
    r->provider = place->provider;
    r->zone = place->zone;
    r->endpoint = place->endpoint;
    r->ref = place->ref;
    r->address = NULL;
    r->spec = json_hold(arena, db_get_json(rows, 0, 0));
    return resource_meter(db, r, now);
}
