/* SQL of links; see link_store.h. */
#include "federation/link_store.h"

#include <string.h>

const struct db_statement link_select_one = {
    "link_select_one", "SELECT key, version, body FROM migration_link_view WHERE key = $1"};
const struct db_statement link_select_list = {
    "link_select_list",
    "SELECT key, version, body FROM migration_link_view WHERE key > $1 ORDER BY key LIMIT $2"};

static const struct db_statement find_site = {"link_site",
                                              "SELECT 1::bigint FROM site WHERE cloud_id = $1 AND id = $2"};
static const struct db_statement set = {
    "link_set",
    "INSERT INTO migration_link AS l (source_cloud_id, source_site_id, target_cloud_id, target_site_id,"
    " bytes_per_second, changed_by, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)"
    " ON CONFLICT (source_cloud_id, source_site_id, target_cloud_id, target_site_id) DO UPDATE SET"
    " bytes_per_second = EXCLUDED.bytes_per_second, changed_by = EXCLUDED.changed_by,"
    " changed_at = EXCLUDED.changed_at, version = l.version + 1"};
static const struct db_statement get = {
    "link_get",
    "SELECT bytes_per_second FROM migration_link WHERE source_cloud_id = $1 AND source_site_id = $2"
    " AND target_cloud_id = $3 AND target_site_id = $4"};

static struct error *check_site(struct db *db, const struct link_place *place, const char *pointer)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &find_site, DB_VALUES(db_text(place->cloud), db_text(place->site)), &rows));
    return db_count(rows) ? NULL : error_member(pointer, "there is no such cloud or site");
}

struct error *link_set(struct db *db, const struct link_place *from, const struct link_place *to,
                       int64_t bytes_per_second, const char *principal, moment now)
{
    TRY(check_site(db, from, "/from"));
    TRY(check_site(db, to, "/to"));
    if (!strcmp(from->cloud, to->cloud) && !strcmp(from->site, to->site))
        return error_member("/to", "must be another site than /from");
    return db_run(db, &set,
                  DB_VALUES(db_text(from->cloud), db_text(from->site), db_text(to->cloud), db_text(to->site),
                            db_int(bytes_per_second), db_text(principal), db_moment(now)),
                  NULL);
}

struct error *link_get(struct db *db, const struct link_place *from, const struct link_place *to,
                       uint64_t *ret_bytes_per_second)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &get,
                 DB_VALUES(db_text(from->cloud), db_text(from->site), db_text(to->cloud), db_text(to->site)),
                 &rows));
    *ret_bytes_per_second = db_count(rows) ? (uint64_t)db_get_int(rows, 0, 0) : 0;
    return NULL;
}
