/* SQL of exports and imports; see transfer.h. */
#include <string.h>

#include "broker/base/json.h"
#include "federation/transfer.h"

const struct db_statement transfer_select_one = {
    "transfer_select_one",
    "SELECT id::text, version, body FROM transfer_view WHERE id = $1::uuid AND direction = $2"};
/* Newest first; deleted ones only when asked for. */
const struct db_statement transfer_select_list = {
    "transfer_select_list",
    "SELECT id::text, version, body FROM transfer_view WHERE ($1 = '' OR id < nullif($1, '')::uuid)"
    " AND direction = $3 AND (CASE WHEN $4::text IS NULL THEN state <> 'deleted' ELSE state = $4 END)"
    " AND ($5::text IS NULL OR system_id = $5) AND ($6::text IS NULL OR cloud_id = $6)"
    " AND ($7::uuid IS NULL OR resource_id = $7) ORDER BY id DESC LIMIT $2"};

#define COLUMNS                                                                                     \
    "unit_id, id, system_id, cloud_id, provider_id, resource_id, name, direction, format, state, "  \
    "request, machine, manifest, bytes, consent_id, operation_id, cleaner_id, principal, version, " \
    "created_at, expires_at"

static const struct db_statement insert = {
    "transfer_insert",
    "INSERT INTO transfer (unit_id, id, system_id, cloud_id, provider_id, direction, resource_id, name, "
    "format,"
    " state, request, machine, manifest, consent_id, operation_id, principal, created_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"};
static const struct db_statement load = {
    "transfer_load", "SELECT " COLUMNS " FROM transfer WHERE ($1::text IS NULL OR unit_id = $1)"
                     " AND id = $2::uuid AND direction = $3 FOR UPDATE"};
static const struct db_statement peek = {
    "transfer_peek", "SELECT " COLUMNS " FROM transfer WHERE id = $1::uuid AND direction = $2"};
static const struct db_statement of_operation = {
    "transfer_of_operation", "SELECT " COLUMNS " FROM transfer WHERE unit_id = $1 AND operation_id = $2::uuid"
                             " FOR UPDATE"};
static const struct db_statement become = {
    "transfer_become",
    "UPDATE transfer SET state = $4, error = $5, version = version + 1,"
    " ready_at = CASE WHEN $4 = 'ready' THEN $6 ELSE ready_at END,"
    " ended_at = CASE WHEN $4 = 'deleted' THEN $6 END, bytes = CASE WHEN $4 = 'deleted' THEN 0 ELSE bytes END"
    " WHERE unit_id = $1 AND id = $2 AND state = $3"};
static const struct db_statement set_machine = {
    "transfer_set_machine", "UPDATE transfer SET machine = $3 WHERE unit_id = $1 AND id = $2"};
static const struct db_statement set_operation = {
    "transfer_set_operation", "UPDATE transfer SET operation_id = $3 WHERE unit_id = $1 AND id = $2"};
static const struct db_statement set_resource = {
    "transfer_set_resource", "UPDATE transfer SET resource_id = $3 WHERE unit_id = $1 AND id = $2"};
static const struct db_statement set_manifest = {
    "transfer_set_manifest", "UPDATE transfer SET manifest = $3 WHERE unit_id = $1 AND id = $2"};
static const struct db_statement set_cleaner = {
    "transfer_set_cleaner",
    "UPDATE transfer SET cleaner_id = $3, expires_at = $4 WHERE unit_id = $1 AND id = $2"};

static const struct db_statement select_files = {
    "transfer_files", "SELECT name, size, sha256, sm3, received FROM transfer_file WHERE unit_id = $1"
                      " AND transfer_id = $2 ORDER BY number"};
static const struct db_statement load_file = {
    "transfer_load_file", "SELECT name, size, sha256, sm3, received FROM transfer_file WHERE unit_id = $1"
                          " AND transfer_id = $2 AND name = $3 FOR UPDATE"};
static const struct db_statement add_file = {
    "transfer_add_file",
    "INSERT INTO transfer_file (unit_id, transfer_id, name, system_id, cloud_id, provider_id, number, size,"
    " sha256, sm3, received) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    " ON CONFLICT (unit_id, transfer_id, name) DO UPDATE SET size = excluded.size, sha256 = excluded.sha256,"
    " sm3 = excluded.sm3, received = excluded.received"};
static const struct db_statement set_received = {
    "transfer_set_received", "UPDATE transfer_file SET received = $4 WHERE unit_id = $1 AND transfer_id = $2"
                             " AND name = $3"};

/* One at a time, so that two cannot both take the last of it. */
static const struct db_statement lock_space = {"transfer_lock_space",
                                               "SELECT pg_advisory_xact_lock(4040, 1)"};
static const struct db_statement sum_space = {
    "transfer_sum_space", "SELECT transfer_space_of_others($1, $2), transfer_space_of_unit($1, $2)"};
static const struct db_statement set_space = {
    "transfer_set_space", "UPDATE transfer SET bytes = $3 WHERE unit_id = $1 AND id = $2"};

static const struct db_statement consent_now = {
    "transfer_consent_now",
    "SELECT consent_state(withdrawn_at, valid_from, valid_until, $3), reference FROM consent"
    " WHERE unit_id = $1 AND id = $2::uuid"};

static const char *direction(bool is_export)
{
    return is_export ? "export" : "import";
}

struct error *transfer_insert(struct db *db, const struct transfer *t, moment now)
{
    return db_run(db, &insert,
                  DB_VALUES(db_text(t->unit), db_text(t->id), db_text(t->system), db_text(t->cloud),
                            db_text(t->provider), db_text(direction(t->is_export)), db_text(t->resource),
                            db_text(t->name), db_text(transfer_format_name(t->format)), db_text(t->state),
                            db_json(t->request), db_json(t->machine), db_json(t->manifest),
                            db_text(t->consent), db_text(t->operation), db_text(t->principal),
                            db_moment(now)),
                  NULL);
}

static void read(struct arena *arena, struct db_rows *rows, struct transfer *t)
{
    (void)db_hold(arena, rows);
    *t = (struct transfer){.unit = db_get_text(rows, 0, 0),
                           .id = db_get_text(rows, 0, 1),
                           .system = db_get_text(rows, 0, 2),
                           .cloud = db_get_text(rows, 0, 3),
                           .provider = db_get_text(rows, 0, 4),
                           .resource = db_get_text(rows, 0, 5),
                           .name = db_get_text(rows, 0, 6),
                           .is_export = !strcmp(db_get_text(rows, 0, 7), "export"),
                           .format = transfer_format_find(db_get_text(rows, 0, 8)),
                           .state = db_get_text(rows, 0, 9),
                           .request = json_hold(arena, db_get_json(rows, 0, 10)),
                           .machine = json_hold(arena, db_get_json(rows, 0, 11)),
                           .manifest = json_hold(arena, db_get_json(rows, 0, 12)),
                           .bytes = db_get_int(rows, 0, 13),
                           .consent = db_get_text(rows, 0, 14),
                           .operation = db_get_text(rows, 0, 15),
                           .cleaner = db_get_text(rows, 0, 16),
                           .principal = db_get_text(rows, 0, 17),
                           .version = db_get_int(rows, 0, 18),
                           .created_at = db_get_moment(rows, 0, 19),
                           .expires_at = db_get_moment(rows, 0, 20)};
}

static const char *what_of(bool is_export)
{
    return is_export ? "such export" : "such import";
}

struct error *transfer_load(struct db *db, struct arena *arena, const char *unit, bool is_export,
                            const char *id, struct transfer *ret_transfer)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &load, DB_VALUES(db_text(unit), db_text(id), db_text(direction(is_export))),
                     what_of(is_export), &rows));
    read(arena, rows, ret_transfer);
    return NULL;
}

struct error *transfer_peek(struct db *db, struct arena *arena, bool is_export, const char *id,
                            struct transfer *ret_transfer)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &peek, DB_VALUES(db_text(id), db_text(direction(is_export))), what_of(is_export),
                     &rows));
    read(arena, rows, ret_transfer);
    return NULL;
}

struct error *transfer_of_operation(struct db *db, struct arena *arena, const char *unit,
                                    const char *operation, struct transfer *ret_transfer)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &of_operation, DB_VALUES(db_text(unit), db_text(operation)), "such transfer",
                     &rows));
    read(arena, rows, ret_transfer);
    return NULL;
}

struct error *transfer_become(struct db *db, struct transfer *t, const char *state, const char *failure,
                              moment now)
{
    int64_t changed;
    TRY(db_run(db, &become,
               DB_VALUES(db_text(t->unit), db_text(t->id), db_text(t->state), db_text(state),
                         db_text(failure), db_moment(now)),
               &changed));
    if (!changed)
        return error_new(ERR_CONFLICT, "the %s is not %s any more", direction(t->is_export), t->state);
    t->state = state;
    t->version++;
    return NULL;
}

struct error *transfer_set_machine(struct db *db, const struct transfer *t, const json_t *machine)
{
    return db_run(db, &set_machine, DB_VALUES(db_text(t->unit), db_text(t->id), db_json(machine)), NULL);
}

struct error *transfer_set_operation(struct db *db, const struct transfer *t, const char *operation)
{
    return db_run(db, &set_operation, DB_VALUES(db_text(t->unit), db_text(t->id), db_text(operation)), NULL);
}

struct error *transfer_set_resource(struct db *db, const struct transfer *t, const char *resource)
{
    return db_run(db, &set_resource, DB_VALUES(db_text(t->unit), db_text(t->id), db_text(resource)), NULL);
}

struct error *transfer_set_manifest(struct db *db, const struct transfer *t, const json_t *manifest)
{
    return db_run(db, &set_manifest, DB_VALUES(db_text(t->unit), db_text(t->id), db_json(manifest)), NULL);
}

static struct transfer_file file_of(const struct db_rows *rows, size_t row)
{
    return (struct transfer_file){.name = db_get_text(rows, row, 0),
                                  .size = db_get_int(rows, row, 1),
                                  .sha256 = db_get_text(rows, row, 2),
                                  .sm3 = db_get_text(rows, row, 3),
                                  .received = db_get_int(rows, row, 4)};
}

struct error *transfer_files(struct db *db, struct arena *arena, const struct transfer *t,
                             struct transfer_file **ret_files, size_t *ret_count)
{
    struct db_rows *rows;
    TRY(db_query(db, &select_files, DB_VALUES(db_text(t->unit), db_text(t->id)), &rows));
    (void)db_hold(arena, rows);
    struct transfer_file *files = arena_array(arena, db_count(rows), sizeof *files);
    for (size_t i = 0; i < db_count(rows); i++)
        files[i] = file_of(rows, i);
    *ret_files = files;
    *ret_count = db_count(rows);
    return NULL;
}

struct error *transfer_load_file(struct db *db, struct arena *arena, const struct transfer *t,
                                 const char *name, struct transfer_file *ret_file)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &load_file, DB_VALUES(db_text(t->unit), db_text(t->id), db_text(name)), "such file",
                     &rows));
    *ret_file = file_of(db_hold(arena, rows), 0);
    return NULL;
}

struct error *transfer_add_file(struct db *db, const struct transfer *t, size_t number,
                                const struct transfer_file *file)
{
    return db_run(db, &add_file,
                  DB_VALUES(db_text(t->unit), db_text(t->id), db_text(file->name), db_text(t->system),
                            db_text(t->cloud), db_text(t->provider), db_int((int64_t)number),
                            db_int(file->size), db_text(file->sha256), db_text(file->sm3),
                            db_int(file->received)),
                  NULL);
}

struct error *transfer_set_received(struct db *db, const struct transfer *t, const char *name,
                                    int64_t received)
{
    return db_run(db, &set_received,
                  DB_VALUES(db_text(t->unit), db_text(t->id), db_text(name), db_int(received)), NULL);
}

struct error *transfer_take_space(struct db *db, const struct transfer *t, int64_t bytes,
                                  const struct federation_services *services)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    DB_ROWS_AUTO struct db_rows *locked = NULL;
    TRY(db_query(db, &lock_space, DB_NO_VALUES, &locked));
    TRY(db_query_one(db, &sum_space, DB_VALUES(db_text(t->unit), db_text(t->id)), "sum", &rows));
    int64_t most = services->transfer_space, others = db_get_int(rows, 0, 0);
    int64_t unit_most = services->transfer_unit_space, own = db_get_int(rows, 0, 1);
    if (bytes > t->bytes && (others > most || bytes > most - others))
        return error_new(ERR_NO_CAPACITY,
                         "it needs %lld MB of the broker's space for exports and imports; of %lld MB"
                         " (transfer_space_gb) others have %lld MB",
                         (long long)(bytes / 1000000), (long long)(most / 1000000),
                         (long long)(others / 1000000));
    if (bytes > t->bytes && (own > unit_most || bytes > unit_most - own))
        return error_new(ERR_NO_CAPACITY,
                         "it needs %lld MB of the unit's space for exports and imports; of %lld MB"
                         " (transfer_unit_space_gb) its others have %lld MB",
                         (long long)(bytes / 1000000), (long long)(unit_most / 1000000),
                         (long long)(own / 1000000));
    return db_run(db, &set_space, DB_VALUES(db_text(t->unit), db_text(t->id), db_int(bytes)), NULL);
}

struct error *transfer_consented(struct db *db, const struct transfer *t, moment now)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &consent_now, DB_VALUES(db_text(t->unit), db_text(t->consent), db_moment(now)), &rows));
    const char *state = db_count(rows) ? db_get_text(rows, 0, 0) : "gone";
    if (!strcmp(state, "in-force"))
        return NULL;
    return error_new(ERR_DENIED, "the consent that the export rests on (%s) is %s (procurement 2.1.1)",
                     db_count(rows) ? db_get_text(rows, 0, 1) : "none", state);
}

struct error *transfer_clean_add(struct db *db, struct arena *arena, struct transfer *t, moment expires_at,
                                 moment now)
{
    char *job = arena_alloc(arena, 37);
    json_t *args = json_object();
    json_put_text(args, "unit", t->unit);
    json_put_text(args, "transfer", t->id);
    json_put_bool(args, "export", t->is_export);
    struct error *error = job_add(db, transfer_clean_job.name, t->unit, NULL, args, expires_at - now, job);
    json_decref(args);
    TRY(error);
    t->cleaner = job;
    t->expires_at = expires_at;
    return db_run(db, &set_cleaner,
                  DB_VALUES(db_text(t->unit), db_text(t->id), db_text(job), db_moment(expires_at)), NULL);
}

struct error *transfer_clean_now(struct db *db, const struct transfer *t)
{
    return t->cleaner ? job_wake(db, t->cleaner)
                      : error_new(ERR_CONFLICT, "the %s is not over yet", direction(t->is_export));
}
