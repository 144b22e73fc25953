/* SQL of identity; see auth_store.h. */
#include "broker/auth/auth_store.h"

#include <string.h>

#include "broker/base/digest.h"

#define PRINCIPAL_COLUMNS "id, role, unit_id, provider_id, systems, clouds, certificate"

static const struct db_statement select_generation = {"auth_generation", "SELECT value FROM auth_generation"};
static const struct db_statement lock_generation = {"auth_lock",
                                                    "SELECT value FROM auth_generation FOR UPDATE"};
static const struct db_statement select_any = {"auth_any_principal", "SELECT EXISTS (SELECT FROM principal)"};
static const struct db_statement select_principals = {
    "auth_principals", "SELECT " PRINCIPAL_COLUMNS " FROM principal WHERE NOT disabled"};
static const struct db_statement lock_principal = {
    "auth_lock_principal", "SELECT " PRINCIPAL_COLUMNS ", disabled FROM principal WHERE id = $1 FOR SHARE"};
static const struct db_statement select_keys = {
    "auth_keys", "SELECT kid, public_key, signs_from, retires_at FROM signing_key k"
                 " WHERE revoked_at IS NULL AND (retires_at IS NULL OR retires_at > $1 OR EXISTS"
                 " (SELECT FROM token t WHERE t.kid = k.kid AND t.expires_at > $1))"};
static const struct db_statement select_revoked = {
    "auth_revoked", "SELECT jti::text FROM token WHERE revoked_at IS NOT NULL AND expires_at > $1"};
static const struct db_statement insert_key = {
    "auth_add_key",
    "INSERT INTO signing_key (kid, public_key, created_at, signs_from) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (kid) DO NOTHING"};
static const struct db_statement select_key = {
    "auth_key_state", "SELECT CASE WHEN revoked_at IS NOT NULL THEN created_at ELSE retires_at END"
                      " FROM signing_key WHERE kid = $1"};
static const struct db_statement retire_keys = {
    "auth_retire_keys", "UPDATE signing_key SET retires_at = $1 WHERE retires_at IS NULL"};
static const struct db_statement revoke_key = {"auth_revoke_key",
                                               "UPDATE signing_key SET revoked_at = coalesce(revoked_at, $2),"
                                               " retires_at = least(retires_at, $2) WHERE kid = $1"};
static const struct db_statement insert_token = {
    "auth_add_token", "INSERT INTO token (jti, principal_id, unit_id, kid, issued_at, expires_at)"
                      " VALUES ($1::text::uuid, $2, $3, $4, $5, $6)"};
static const struct db_statement select_owner = {
    "auth_token_owner", "SELECT " PRINCIPAL_COLUMNS " FROM principal WHERE id ="
                        " (SELECT principal_id FROM token WHERE jti = $1::text::uuid)"};
static const struct db_statement revoke_token = {
    "auth_revoke_token", "UPDATE token SET revoked_at = coalesce(revoked_at, $2) WHERE jti = $1::text::uuid"};
static const struct db_statement purge_tokens = {
    "auth_purge_tokens", "DELETE FROM token WHERE jti IN"
                         " (SELECT jti FROM token WHERE expires_at < $1 ORDER BY expires_at LIMIT 1000)"};

struct error *auth_store_generation(struct db *db, int64_t *ret_generation)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &select_generation, DB_NO_VALUES, "generation of identity", &rows));
    *ret_generation = db_get_int(rows, 0, 0);
    return NULL;
}

struct error *auth_store_lock(struct db *db)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    return db_query_one(db, &lock_generation, DB_NO_VALUES, "generation of identity", &rows);
}

struct error *auth_store_any_principal(struct db *db, bool *ret_any)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &select_any, DB_NO_VALUES, "answer", &rows));
    *ret_any = db_get_bool(rows, 0, 0);
    return NULL;
}

struct error *auth_store_principals(struct db *db, struct db_rows **ret_rows)
{
    return db_query(db, &select_principals, DB_NO_VALUES, ret_rows);
}

struct error *auth_store_grant(const struct db_rows *rows, size_t row, struct arena *arena,
                               struct principal_grant *ret_grant)
{
    struct principal_grant grant = {
        .id = db_get_text(rows, row, 0),
        .unit = db_get_text(rows, row, 2),
        .provider = db_get_text(rows, row, 3),
    };
    TRY_DOING(role_parse(db_get_text(rows, row, 1), &grant.role), "principal \"%s\"", grant.id);
    grant.systems = db_get_texts(rows, row, 4, arena, &grant.system_count);
    grant.clouds = db_get_texts(rows, row, 5, arena, &grant.cloud_count);
    *ret_grant = grant;
    return NULL;
}

struct error *auth_store_lock_principal(struct db *db, const char *id, struct db_rows **ret_rows)
{
    struct db_rows *rows = NULL;
    TRY(db_query_one(db, &lock_principal, DB_VALUES(db_text(id)), "such principal", &rows));
    if (db_get_bool(rows, 0, 7)) {
        db_rows_free(rows);
        return error_new(ERR_CONFLICT, "principal \"%s\" is disabled", id);
    }
    *ret_rows = rows;
    return NULL;
}

struct error *auth_store_keys(struct db *db, moment now, struct db_rows **ret_rows)
{
    return db_query(db, &select_keys, DB_VALUES(db_moment(now)), ret_rows);
}

struct error *auth_store_revoked(struct db *db, moment now, struct db_rows **ret_rows)
{
    return db_query(db, &select_revoked, DB_VALUES(db_moment(now)), ret_rows);
}

struct error *auth_store_add_key(struct db *db, const struct keyring_key *key, moment now, moment signs_from)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *text = base64url_encode(arena, key->public_key, JWT_PUBLIC);
    return db_run(db, &insert_key,
                  DB_VALUES(db_text(key->kid), db_text(text), db_moment(now), db_moment(signs_from)), NULL);
}

struct error *auth_store_key_state(struct db *db, const char *kid, bool *ret_known, moment *ret_retires)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &select_key, DB_VALUES(db_text(kid)), &rows));
    *ret_known = db_count(rows) == 1;
    *ret_retires = *ret_known ? db_get_moment(rows, 0, 0) : 0;
    return NULL;
}

struct error *auth_store_retire_keys(struct db *db, moment at, int64_t *ret_count)
{
    return db_run(db, &retire_keys, DB_VALUES(db_moment(at)), ret_count);
}

struct error *auth_store_revoke_key(struct db *db, const char *kid, moment now)
{
    int64_t changed;
    TRY(db_run(db, &revoke_key, DB_VALUES(db_text(kid), db_moment(now)), &changed));
    return changed ? NULL : error_new(ERR_NOT_FOUND, "no such key");
}

struct error *auth_store_add_token(struct db *db, const struct jwt_claims *claims, const char *unit)
{
    return db_run(db, &insert_token,
                  DB_VALUES(db_text(claims->jti), db_text(claims->subject), db_text(unit),
                            db_text(claims->kid), db_moment(claims->issued), db_moment(claims->expires)),
                  NULL);
}

struct error *auth_store_token_owner(struct db *db, const char *jti, struct db_rows **ret_rows)
{
    return db_query_one(db, &select_owner, DB_VALUES(db_text(jti)), "such token", ret_rows);
}

struct error *auth_store_revoke_token(struct db *db, const char *jti, moment now)
{
    int64_t changed;
    TRY(db_run(db, &revoke_token, DB_VALUES(db_text(jti), db_moment(now)), &changed));
    return changed ? NULL : error_new(ERR_NOT_FOUND, "no such token");
}

struct error *auth_store_purge_tokens(struct db *db, moment expired_before, int64_t *ret_count)
{
    return db_run(db, &purge_tokens, DB_VALUES(db_moment(expired_before)), ret_count);
}
