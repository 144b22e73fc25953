/* SQL of principals; see principal_store.h. */
#include "broker/auth/principal_store.h"

#include "broker/auth/auth_store.h"

static const struct db_statement insert = {
    "principal_insert", "INSERT INTO principal (id, role, name, unit_id, provider_id, systems, clouds,"
                        " certificate, disabled, created_at, updated_at)"
                        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)"};
static const struct db_statement lock = {
    "principal_lock", "SELECT id, role, unit_id, provider_id, systems, clouds, certificate, name, disabled,"
                      " version FROM principal WHERE id = $1 FOR UPDATE"};
static const struct db_statement update = {
    "principal_update", "UPDATE principal SET name = $2, systems = $3, clouds = $4, certificate = $5,"
                        " disabled = $6, version = version + 1, updated_at = $7 WHERE id = $1"};
static const struct db_statement count_admins = {
    "principal_count_admins",
    "SELECT count(*) FROM principal WHERE role = 'platform-admin' AND NOT disabled"};

struct error *principal_store_insert(struct db *db, const struct principal_row *row, moment now)
{
    const struct principal_grant *grant = &row->grant;
    TRY(principal_check(grant));
    struct error *error = db_run(db, &insert,
                                 DB_VALUES(db_text(grant->id), db_text(role_name(grant->role)),
                                           db_text(row->name), db_text(grant->unit), db_text(grant->provider),
                                           db_texts(grant->systems, grant->system_count),
                                           db_texts(grant->clouds, grant->cloud_count),
                                           db_text(row->certificate), db_bool(row->disabled), db_moment(now)),
                                 NULL);
    return error_wrap(error, "could not make principal \"%s\"", grant->id);
}

struct error *principal_store_lock(struct db *db, const char *id, struct arena *arena,
                                   struct principal_row *ret_row)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &lock, DB_VALUES(db_text(id)), "such principal", &rows));
    rows = db_hold(arena, rows);
    struct principal_row row = {
        .certificate = db_get_text(rows, 0, 6),
        .name = db_get_text(rows, 0, 7),
        .disabled = db_get_bool(rows, 0, 8),
        .version = db_get_int(rows, 0, 9),
    };
    TRY(auth_store_grant(rows, 0, arena, &row.grant));
    *ret_row = row;
    return NULL;
}

/* Whoever disables an administrator holds the turn of changing identity, so two cannot disable each other. */
static struct error *keep_an_admin(struct db *db)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &count_admins, DB_NO_VALUES, "count", &rows));
    if (!db_get_int(rows, 0, 0))
        return error_new(ERR_CONFLICT, "no other platform-admin would be left");
    return NULL;
}

struct error *principal_store_update(struct db *db, const struct principal_row *row, moment now)
{
    const struct principal_grant *grant = &row->grant;
    TRY(principal_check(grant));
    TRY(auth_store_lock(db));
    struct error *error = db_run(db, &update,
                                 DB_VALUES(db_text(grant->id), db_text(row->name),
                                           db_texts(grant->systems, grant->system_count),
                                           db_texts(grant->clouds, grant->cloud_count),
                                           db_text(row->certificate), db_bool(row->disabled), db_moment(now)),
                                 NULL);
    if (!error && grant->role == ROLE_PLATFORM_ADMIN && row->disabled)
        error = keep_an_admin(db);
    return error_wrap(error, "could not change principal \"%s\"", grant->id);
}
