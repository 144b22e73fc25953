/* SQL of endpoints; see endpoint.h. */
#include "broker/control/endpoint.h"

#include "broker/base/json.h"
#include "broker/control/alert.h"
#include "broker/control/refusal.h"

const struct db_statement endpoint_select_one = {
    "endpoint_select_one", "SELECT id, version, body, cloud_id FROM endpoint_view WHERE id = $1"};
const struct db_statement endpoint_select_list = {
    "endpoint_select_list",
    "SELECT e.id, e.version, e.body FROM endpoint_view e JOIN cloud c ON c.id = e.cloud_id"
    " WHERE e.id > $1 AND ($3::text IS NULL OR e.cloud_id = $3)"
    " AND scope_sees(NULL, NULL, e.cloud_id, c.provider_id)"
    " ORDER BY e.id LIMIT $2"};

static const struct db_statement insert_endpoint = {
    "endpoint_insert", "INSERT INTO endpoint (id, cloud_id, site_id, driver, url, username, secret, ca_file, "
                       "fingerprint, options,"
                       " timeout_us, enabled, enclave, created_at, updated_at)"
                       " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14)"};
static const struct db_statement update_endpoint = {
    "endpoint_update",
    "UPDATE endpoint SET url = $2, username = $3, secret = $4, ca_file = $5, fingerprint = $6, options = $7,"
    " timeout_us = $8, enabled = $9, version = version + 1, updated_at = $10 WHERE id = $1 AND version = "
    "$11"};
static const struct db_statement select_row = {"endpoint_row",
                                               "SELECT e.id, e.cloud_id, e.site_id, c.provider_id, e.driver, "
                                               "e.url, e.username, e.secret, e.ca_file, e.fingerprint,"
                                               " e.options, e.timeout_us, e.version, e.enabled FROM endpoint "
                                               "e JOIN cloud c ON c.id = e.cloud_id WHERE e.id = $1"};
static const struct db_statement select_enabled = {"endpoint_enabled",
                                                   "SELECT id FROM endpoint WHERE enabled ORDER BY id"};
/* The last factor is the jitter: the same for a failure whoever asks, another for the next one. */
static const struct db_statement select_due = {
    "endpoint_due",
    "SELECT id FROM endpoint WHERE enabled AND (tried_at IS NULL OR tried_at < $1::timestamptz"
    " - interval '1 microsecond' * CASE WHEN sync_failures = 0 THEN $2::bigint"
    " ELSE least(least($2::bigint, $3::bigint) * 2 ^ least(sync_failures - 1, 20), $4::bigint)"
    " * (1 + (hashtextextended(id, sync_failures) & 255) / 1024.0) END) ORDER BY id"};
static const struct db_statement select_failing = {"endpoint_failing",
                                                   "SELECT sync_failures > 0 FROM endpoint WHERE id = $1"};
static const struct db_statement update_synced = {
    "endpoint_synced", "UPDATE endpoint SET synced_at = $4, tried_at = $4, about = $2, architectures = $3, "
                       "sync_error = NULL, sync_failures = 0 WHERE id = $1 RETURNING cloud_id"};
static const struct db_statement update_not_synced = {
    "endpoint_not_synced", "UPDATE endpoint SET sync_error = $2, tried_at = $3, sync_failures = "
                           "sync_failures + 1 WHERE id = $1 RETURNING cloud_id, sync_failures"};

struct error *endpoint_insert(struct db *db, const struct endpoint_new *e, moment now)
{
    struct error *error =
        db_run(db, &insert_endpoint,
               DB_VALUES(db_text(e->id), db_text(e->cloud), db_text(e->site), db_text(e->driver),
                         db_text(e->url), db_text(e->username), db_text(e->secret), db_text(e->ca_file),
                         db_text(e->fingerprint), db_json(e->options), db_int(e->timeout_ms * 1000),
                         db_bool(e->enabled), db_bool(e->enclave), db_moment(now)),
               NULL);
    return refusal_of_insert(error, "endpoint", e->id, "/site", "site of that cloud");
}

struct error *endpoint_update(struct db *db, const struct endpoint_new *e, int64_t version, moment now)
{
    int64_t changed;
    TRY(db_run(db, &update_endpoint,
               DB_VALUES(db_text(e->id), db_text(e->url), db_text(e->username), db_text(e->secret),
                         db_text(e->ca_file), db_text(e->fingerprint), db_json(e->options),
                         db_int(e->timeout_ms * 1000), db_bool(e->enabled), db_moment(now), db_int(version)),
               &changed));
    return changed ? NULL : error_new(ERR_STALE, "endpoint \"%s\" was changed meanwhile", e->id);
}

struct error *endpoint_load(struct db *db, struct arena *arena, const char *id, struct endpoint_row *ret_row)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &select_row, DB_VALUES(db_text(id)), "such endpoint", &rows));
    (void)db_hold(arena, rows);
    *ret_row = (struct endpoint_row){
        .id = db_get_text(rows, 0, 0),
        .cloud = db_get_text(rows, 0, 1),
        .site = db_get_text(rows, 0, 2),
        .provider = db_get_text(rows, 0, 3),
        .driver = db_get_text(rows, 0, 4),
        .url = db_get_text(rows, 0, 5),
        .username = db_get_text(rows, 0, 6),
        .secret = db_get_text(rows, 0, 7),
        .ca_file = db_get_text(rows, 0, 8),
        .fingerprint = db_get_text(rows, 0, 9),
        .options = json_hold(arena, db_get_json(rows, 0, 10)),
        .timeout_us = db_get_int(rows, 0, 11),
        .version = db_get_int(rows, 0, 12),
        .enabled = db_get_bool(rows, 0, 13),
    };
    return NULL;
}

static void take_ids(struct db_rows *rows, struct arena *arena, const char ***ret_ids, size_t *ret_count)
{
    (void)db_hold(arena, rows);
    const char **ids = arena_array(arena, db_count(rows), sizeof *ids);
    for (size_t i = 0; i < db_count(rows); i++)
        ids[i] = db_get_text(rows, i, 0);
    *ret_ids = ids;
    *ret_count = db_count(rows);
}

struct error *endpoint_list_enabled(struct db *db, struct arena *arena, const char ***ret_ids,
                                    size_t *ret_count)
{
    struct db_rows *rows;
    TRY(db_query(db, &select_enabled, DB_NO_VALUES, &rows));
    take_ids(rows, arena, ret_ids, ret_count);
    return NULL;
}

struct error *endpoint_list_due(struct db *db, struct arena *arena, moment now, int64_t interval_us,
                                const char ***ret_ids, size_t *ret_count)
{
    struct db_rows *rows;
    TRY(db_query(db, &select_due,
                 DB_VALUES(db_moment(now), db_int(interval_us), db_int(ENDPOINT_RETRY_US),
                           db_int(ENDPOINT_RETRY_MOST_US)),
                 &rows));
    take_ids(rows, arena, ret_ids, ret_count);
    return NULL;
}

struct error *endpoint_is_failing(struct db *db, const char *id, bool *ret_failing)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &select_failing, DB_VALUES(db_text(id)), "such endpoint", &rows));
    *ret_failing = db_get_bool(rows, 0, 0);
    return NULL;
}

struct error *endpoint_synced(struct db *db, const char *id, const json_t *about, unsigned architectures,
                              moment now)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &update_synced,
                     DB_VALUES(db_text(id), db_json(about), db_int(architectures), db_moment(now)),
                     "such endpoint", &rows));
    return alert_clear(db, db_get_text(rows, 0, 0), ALERT_INVENTORY, id, now);
}

struct error *endpoint_not_synced(struct db *db, const char *id, const char *failure, moment now)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &update_not_synced, DB_VALUES(db_text(id), db_text(failure), db_moment(now)),
                     "such endpoint", &rows));
    int64_t failures = db_get_int(rows, 0, 1);
    if (failures < ENDPOINT_ALERT_FAILURES)
        return NULL;
    ARENA_AUTO struct arena *arena = arena_new();
    json_t *details = json_hold(arena, json_object());
    json_put_text(details, "endpoint", id);
    json_put_text(details, "error", failure);
    json_put_int(details, "failures", failures);
    json_put_text(details, "rule", "no inventory can be taken: what the broker shows of it grows old");
    const struct alert alert = {
        .cloud = db_get_text(rows, 0, 0), .kind = ALERT_INVENTORY, .subject = id, .details = details};
    return alert_raise(db, &alert, now);
}
