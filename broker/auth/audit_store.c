/* SQL of the audit trail; see audit_store.h. */
#include "broker/auth/audit_store.h"

#include <stdio.h>
#include <string.h>

#include "broker/base/json.h"

/* Every column as text, so that whatever was done to a row can be read and gives another digest. */
#define ROW_COLUMNS                                                                                         \
    "a.unit_id, a.id::text, a.xid::text, to_char(a.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')," \
    " a.principal, a.action, a.method, a.path, a.cloud_id, a.subject, a.request_id, a.status::text,"        \
    " a.details::text"
#define ROW_COLUMN_COUNT 13
#define SEAL_LOCK "1498497357" /* "YQAM": the sealer's advisory lock */

static const struct db_statement insert = {
    "audit_add",
    "INSERT INTO audit (at, principal, action, method, path, unit_id, cloud_id, subject, request_id,"
    " status, details) VALUES ($1, $2, $3, $4, $5, coalesce($6, ''), $7, $8, $9, $10, $11)"};
static const struct db_statement try_lock = {"audit_lock", "SELECT pg_try_advisory_xact_lock(" SEAL_LOCK ")"};
static const struct db_statement select_last = {"audit_last",
                                                "SELECT number, unit_id, audit_id, xid::text, digest,"
                                                " xid >= pg_snapshot_xmin(pg_current_snapshot())"
                                                " FROM audit_link ORDER BY number DESC LIMIT 1"};
static const struct db_statement select_unsealed = {
    "audit_unsealed", "SELECT " ROW_COLUMNS " FROM audit a WHERE (a.xid, a.id) > ($1::text::xid8, $2)"
                      " AND a.xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY a.xid, a.id LIMIT $3"};
static const struct db_statement insert_links = {
    "audit_add_links", "INSERT INTO audit_link (number, unit_id, audit_id, xid, previous, digest)"
                       " SELECT n::bigint, u, i::bigint, x::xid8, p, d FROM unnest($1::text[], $2::text[], "
                       "$3::text[], $4::text[],"
                       " $5::text[], $6::text[]) AS links (n, u, i, x, p, d)"};
static const struct db_statement select_page = {
    "audit_page", "SELECT l.number, l.previous, l.digest, l.audit_id, l.xid::text, a.id IS NULL, " ROW_COLUMNS
                  " FROM audit_link l LEFT JOIN audit a ON a.unit_id = l.unit_id AND a.id = l.audit_id"
                  " WHERE l.number > $1 AND l.number <= $2 ORDER BY l.number LIMIT 1000"};
static const struct db_statement select_stranger = {
    "audit_stranger", "SELECT a.id FROM audit a WHERE (a.xid, a.id) > ($1::text::xid8, $2)"
                      " AND (a.xid, a.id) <= ($3::text::xid8, $4)"
                      " AND NOT EXISTS (SELECT FROM audit_link l WHERE l.audit_id = a.id)"
                      " ORDER BY a.xid, a.id LIMIT 1"};
static const struct db_statement count_after = {
    "audit_count_after", "SELECT count(*) FROM audit a WHERE (a.xid, a.id) > ($1::text::xid8, $2)"};

struct error *audit_store_add(struct db *db, const struct audit_entry *entry)
{
    return db_run(db, &insert,
                  DB_VALUES(db_moment(entry->at), db_text(entry->principal), db_text(entry->action),
                            db_text(entry->method), db_text(entry->path), db_text(entry->unit),
                            db_text(entry->cloud), db_text(entry->subject), db_text(entry->request_id),
                            db_int(entry->status), db_json(entry->details)),
                  NULL);
}

struct error *audit_store_lock(struct db *db, bool *ret_locked)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &try_lock, DB_NO_VALUES, "answer", &rows));
    *ret_locked = db_get_bool(rows, 0, 0);
    return NULL;
}

static void copy_digest(char to[DIGEST_HEX], const char *from)
{
    (void)snprintf(to, DIGEST_HEX, "%s", from); /* a check of the table keeps it at 64 */
}

struct error *audit_store_last(struct db *db, struct arena *arena, struct audit_link *ret_last,
                               bool *ret_behind)
{
    struct db_rows *rows;
    TRY(db_query(db, &select_last, DB_NO_VALUES, &rows));
    rows = db_hold(arena, rows);
    struct audit_link last = {.unit = "", .xid = "0"};
    memset(last.digest, '0', DIGEST_HEX - 1);
    *ret_behind = false;
    if (db_count(rows)) {
        last.number = db_get_int(rows, 0, 0);
        last.unit = db_get_text(rows, 0, 1);
        last.id = db_get_int(rows, 0, 2);
        last.xid = db_get_text(rows, 0, 3);
        copy_digest(last.digest, db_get_text(rows, 0, 4));
        *ret_behind = db_get_bool(rows, 0, 5);
    }
    *ret_last = last;
    return NULL;
}

struct error *audit_store_unsealed(struct db *db, const struct audit_link *last, size_t most,
                                   struct db_rows **ret_rows)
{
    return db_query(db, &select_unsealed,
                    DB_VALUES(db_text(last->xid), db_int(last->id), db_int((int64_t)most)), ret_rows);
}

struct error *audit_store_add_links(struct db *db, const struct audit_link *links, size_t count,
                                    struct arena *arena)
{
    enum { NUMBER, UNIT, ID, XID, PREVIOUS, DIGEST, COLUMNS };
    const char **columns[COLUMNS];
    for (size_t i = 0; i < COLUMNS; i++)
        columns[i] = arena_array(arena, count, sizeof **columns);
    for (size_t i = 0; i < count; i++) {
        columns[NUMBER][i] = arena_printf(arena, "%lld", (long long)links[i].number);
        columns[UNIT][i] = links[i].unit;
        columns[ID][i] = arena_printf(arena, "%lld", (long long)links[i].id);
        columns[XID][i] = links[i].xid;
        columns[PREVIOUS][i] = links[i].previous;
        columns[DIGEST][i] = links[i].digest;
    }
    return db_run(db, &insert_links,
                  DB_VALUES(db_texts(columns[NUMBER], count), db_texts(columns[UNIT], count),
                            db_texts(columns[ID], count), db_texts(columns[XID], count),
                            db_texts(columns[PREVIOUS], count), db_texts(columns[DIGEST], count)),
                  NULL);
}

/* What the digest covers: a JSON array of the version of this rule, the link's number, the digest before it
 * and every column of the row in the order of ROW_COLUMNS; text or null. */
static const char *canonical(const struct db_rows *rows, size_t row, int column, struct arena *arena,
                             const struct audit_link *link)
{
    json_t *array = json_array();
    json_push(array, json_string("yunqiao-audit-1"));
    json_push(array, json_integer(link->number));
    json_push(array, json_string(link->previous));
    for (int i = 0; i < ROW_COLUMN_COUNT; i++) {
        const char *text = db_get_text(rows, row, column + i);
        json_push(array, text ? json_string(text) : json_null());
    }
    return json_canonical(arena, json_hold(arena, array));
}

static int64_t parse_id(const char *text)
{
    long long id = 0;
    return sscanf(text, "%lld", &id) == 1 ? id : 0; /* a bigint printed by the database */
}

void audit_store_link(const struct db_rows *rows, size_t row, int column, struct arena *arena,
                      const struct audit_link *previous, struct audit_link *ret_link)
{
    struct audit_link link = {
        .number = previous->number + 1,
        .unit = db_get_text(rows, row, column),
        .id = parse_id(db_get_text(rows, row, column + 1)),
        .xid = db_get_text(rows, row, column + 2),
    };
    memcpy(link.previous, previous->digest, DIGEST_HEX);
    const char *text = canonical(rows, row, column, arena, &link);
    digest_sm3(text, strlen(text), link.digest);
    *ret_link = link;
}

struct error *audit_store_page(struct db *db, int64_t after, int64_t last, struct db_rows **ret_rows)
{
    return db_query(db, &select_page, DB_VALUES(db_int(after), db_int(last)), ret_rows);
}

struct error *audit_store_stranger(struct db *db, const struct audit_link *after,
                                   const struct audit_link *until, int64_t *ret_id)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &select_stranger,
                 DB_VALUES(db_text(after->xid), db_int(after->id), db_text(until->xid), db_int(until->id)),
                 &rows));
    *ret_id = db_count(rows) ? db_get_int(rows, 0, 0) : 0;
    return NULL;
}

struct error *audit_store_count_after(struct db *db, const struct audit_link *last, int64_t *ret_count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &count_after, DB_VALUES(db_text(last->xid), db_int(last->id)), "count", &rows));
    *ret_count = db_get_int(rows, 0, 0);
    return NULL;
}
