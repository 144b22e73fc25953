/* SQL of drift; see drift.h. Sets travel as arrays, one statement each, however many there are. */
#include <stdlib.h>
#include <string.h>

#include "broker/base/id.h"
#include "broker/base/json.h"
#include "broker/control/alert.h"
#include "broker/control/drift.h"
#include "broker/http/event.h"
#include "metering/usage.h"

#define EVENTS_MAX 100 /* of one inventory; the rows are all kept */

static const struct db_statement lock_open = {
    "drift_lock", "SELECT kind, subject, fingerprint, correct_at FROM drift WHERE endpoint_id = $1"
                  " AND resolved_at IS NULL ORDER BY id FOR UPDATE"};
/* What people said of a difference is of that one alone. */
static const struct db_statement upsert = {
    "drift_upsert",
    "INSERT INTO drift AS d (id, cloud_id, endpoint_id, provider_id, kind, subject, unit_id, resource_id, "
    "expected, seen, reported, billed, stake, correction, no_correction, fingerprint, correct_at,"
    " first_seen, last_seen, since)"
    " SELECT DISTINCT ON (n.kind, n.subject) n.id::uuid, $1, $2, $3, n.kind, n.subject, nullif(n.unit, ''),"
    " nullif(n.resource, '')::uuid, nullif(n.expected, '')::jsonb, nullif(n.seen, '')::jsonb,"
    " nullif(n.reported, '')::jsonb, nullif(n.billed, '')::jsonb, nullif(n.stake, '')::jsonb,"
    " nullif(n.correction, '')::jsonb, nullif(n.none, ''), n.fingerprint,"
    " (nullif(n.correction, '')::jsonb ->> 'at')::timestamptz, $4, $4, $4"
    " FROM unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[],"
    " $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[])"
    " AS n (id, kind, subject, unit, resource, expected, seen, reported, billed, stake, correction, none,"
    " fingerprint)"
    " ON CONFLICT (endpoint_id, kind, subject) WHERE resolved_at IS NULL DO UPDATE SET"
    " last_seen = EXCLUDED.last_seen, expected = EXCLUDED.expected, seen = EXCLUDED.seen,"
    " reported = EXCLUDED.reported, billed = EXCLUDED.billed, stake = EXCLUDED.stake,"
    " correction = EXCLUDED.correction, no_correction = EXCLUDED.no_correction,"
    " fingerprint = EXCLUDED.fingerprint, correct_at = EXCLUDED.correct_at,"
    " since = CASE WHEN d.fingerprint = EXCLUDED.fingerprint THEN d.since ELSE EXCLUDED.since END,"
    " version = d.version + (d.fingerprint <> EXCLUDED.fingerprint)::int,"
    " dismissed = d.dismissed AND d.fingerprint = EXCLUDED.fingerprint,"
    " decision = CASE WHEN d.fingerprint = EXCLUDED.fingerprint THEN d.decision END"};
#define HISTORY "INSERT INTO drift_history (unit_id, drift_id, cloud_id, provider_id, at, event, body) "
#define CASE_JSON                                                                                      \
    "jsonb_build_object('expected', d.expected, 'seen', d.seen, 'billed', d.billed, 'stake', d.stake," \
    " 'correction', d.correction)"
/* Those that are new, or differ in another way than before. */
static const struct db_statement tell_changed = {
    "drift_tell_changed",
    "WITH told AS (SELECT d.* FROM drift d WHERE endpoint_id = $1 AND resolved_at IS NULL AND since = $2),"
    " history AS (" HISTORY "SELECT coalesce(d.unit_id, ''), d.id, d.cloud_id, d.provider_id, $2,"
    " CASE WHEN d.first_seen = d.since THEN 'opened' ELSE 'changed' END, " CASE_JSON " FROM told d)"
    " SELECT kind, subject, unit_id, first_seen = since FROM told ORDER BY id"};
static const struct db_statement resolve_unseen = {
    "drift_resolve_unseen",
    "WITH gone AS (UPDATE drift d SET resolved_at = $2, version = version + 1, resolution = CASE WHEN"
    " d.kind <> 'billed-gone' AND EXISTS (SELECT FROM resource r WHERE r.unit_id = d.unit_id AND r.id ="
    " d.resource_id AND r.state IN ('deleted', 'failed')) THEN 'ended here' ELSE 'seen equal again' END"
    " WHERE endpoint_id = $1 AND resolved_at IS NULL AND last_seen < $2"
    " AND (resource_id IS NULL OR resource_id <> ALL ($3::text[]::uuid[]))"
    " AND NOT ($4 AND kind IN ('unbilled', 'misbilled')) RETURNING *), told AS (" HISTORY
    "SELECT coalesce(unit_id, ''), id, cloud_id, provider_id, $2, 'resolved', "
    "jsonb_build_object('resolution',"
    " resolution) FROM gone)"
    " SELECT id::text, provider_id, unit_id, resource_id::text, first_seen FROM gone"
    " WHERE unit_id IS NOT NULL AND resource_id IS NOT NULL ORDER BY id"};
static const struct db_statement set_meanwhile = {"drift_set_meanwhile",
                                                  "UPDATE drift SET meanwhile = $2 WHERE id = $1::uuid"};
/* One alert a case, in two statements: of open cases, and of those that a person or an inventory settled. */
static const struct db_statement raise_alerts = {
    "drift_raise_alerts",
    "INSERT INTO alert (id, cloud_id, provider_id, kind, subject, details, raised_at)"
    " SELECT gen_random_uuid(), cloud_id, provider_id, $3, id::text, jsonb_strip_nulls(jsonb_build_object("
    "'endpoint', endpoint_id, 'drift', kind, 'subject', subject, 'resource', resource_id, 'stake', stake)), "
    "$2"
    " FROM drift WHERE endpoint_id = $1 AND resolved_at IS NULL AND NOT dismissed"
    " ON CONFLICT (cloud_id, kind, subject) WHERE cleared_at IS NULL DO NOTHING"
    " RETURNING subject, details"};
static const struct db_statement clear_alerts = {
    "drift_clear_alerts",
    "UPDATE alert a SET cleared_at = $3 FROM drift d WHERE a.cloud_id = $1 AND a.kind = $2"
    " AND a.cleared_at IS NULL AND d.id = CASE a.kind WHEN $2 THEN a.subject::uuid END AND (d.resolved_at IS "
    "NOT NULL OR d.dismissed)"};

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static int compare_known(const void *a, const void *b)
{
    const struct drift_known *left = a, *right = b;
    int order = strcmp(left->kind, right->kind);
    return order ? order : strcmp(left->subject, right->subject);
}

struct error *drift_lock(struct db *db, struct arena *arena, const char *endpoint,
                         struct drift_known **ret_list, size_t *ret_count)
{
    struct db_rows *rows;
    TRY(db_query(db, &lock_open, DB_VALUES(db_text(endpoint)), &rows));
    (void)db_hold(arena, rows);
    size_t count = db_count(rows);
    struct drift_known *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = (struct drift_known){
            .kind = db_get_text(rows, i, 0),
            .subject = db_get_text(rows, i, 1),
            .fingerprint = db_get_text(rows, i, 2),
            .correct_at = db_is_null(rows, i, 3) ? 0 : db_get_moment(rows, i, 3),
        };
    if (count)
        qsort(list, count, sizeof *list, compare_known);
    *ret_list = list;
    *ret_count = count;
    return NULL;
}

static struct error *add_event(struct db *db, const struct endpoint_row *endpoint, const char *type,
                               const char *unit, const char *subject, const json_t *data, moment now)
{
    return event_add(db, &(struct event){.at = now,
                                         .type = type,
                                         .unit = unit,
                                         .cloud = endpoint->cloud,
                                         .provider = endpoint->provider,
                                         .subject = subject,
                                         .data = data});
}

static struct error *tell_new(struct db *db, struct arena *arena, const struct endpoint_row *endpoint,
                              moment now)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    size_t told = 0;
    TRY(db_query(db, &tell_changed, DB_VALUES(db_text(endpoint->id), db_moment(now)), &rows));
    for (size_t i = 0; i < db_count(rows) && told < EVENTS_MAX; i++) {
        if (!db_get_bool(rows, i, 3))
            continue;
        json_t *data = json_hold(arena, json_object());
        json_put_text(data, "kind", db_get_text(rows, i, 0));
        json_put_text(data, "endpoint", endpoint->id);
        TRY(add_event(db, endpoint, "drift.raised", db_get_text(rows, i, 2), db_get_text(rows, i, 1), data,
                      now));
        told++;
    }
    return NULL;
}

static struct error *mind_alerts(struct db *db, struct arena *arena, const struct endpoint_row *endpoint,
                                 moment now)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_run(db, &clear_alerts, DB_VALUES(db_text(endpoint->cloud), db_text(ALERT_DRIFT), db_moment(now)),
               NULL));
    TRY(db_query(db, &raise_alerts, DB_VALUES(db_text(endpoint->id), db_moment(now), db_text(ALERT_DRIFT)),
                 &rows));
    for (size_t i = 0; i < db_count(rows) && i < EVENTS_MAX; i++)
        TRY(add_event(db, endpoint, "alert.raised", NULL, db_get_text(rows, i, 0),
                      json_hold(arena, db_get_json(rows, i, 1)), now));
    return NULL;
}

/* From when on a correction counts: the inventory that first saw this difference, or the resource's latest
 * change of usage when clocks say that it was later. */
static struct error *correction_from(struct db *db, const struct drift_round *round,
                                     const struct drift *drift, moment now, moment *ret_at)
{
    const struct drift_known key = {.kind = drift->kind, .subject = drift->subject};
    const struct drift_known *known =
        round->known_count ? bsearch(&key, round->known, round->known_count, sizeof key, compare_known)
                           : NULL;
    if (known && known->correct_at && !strcmp(known->fingerprint, drift->fingerprint)) {
        *ret_at = known->correct_at;
        return NULL;
    }
    *ret_at = now;
    return drift->resource ? usage_moment(db, drift->unit, drift->resource, now, ret_at) : NULL;
}

static const char *text_of(struct arena *arena, const json_t *json)
{
    return json ? json_canonical(arena, json) : "";
}

enum column {
    ID,
    KIND,
    SUBJECT,
    UNIT,
    RESOURCE,
    EXPECTED,
    SEEN,
    REPORTED,
    BILLED,
    STAKE,
    CORRECTION,
    NONE,
    FINGERPRINT,
    COLUMN_COUNT
};

static struct error *fill_row(struct db *db, struct arena *arena, const struct drift_round *round,
                              const struct drift *drift, moment now, const char *row[COLUMN_COUNT])
{
    moment at;
    TRY(correction_from(db, round, drift, now, &at));
    row[ID] = id_new_in(arena);
    row[KIND] = drift->kind;
    row[SUBJECT] = drift->subject;
    row[UNIT] = or_empty(drift->unit);
    row[RESOURCE] = or_empty(drift->resource);
    row[EXPECTED] = text_of(arena, drift->expected);
    row[SEEN] = text_of(arena, drift->seen);
    row[REPORTED] = text_of(arena, drift->reported);
    row[BILLED] = text_of(arena, drift_billed_json(arena, drift, round->fen));
    row[STAKE] = text_of(arena, drift_stake_json(arena, drift, round->fen));
    row[CORRECTION] = text_of(arena, drift_correction_json(arena, drift, at));
    row[NONE] = or_empty(drift->none);
    row[FINGERPRINT] = drift->fingerprint;
    return NULL;
}

static struct error *write_all(struct db *db, struct arena *arena, const struct drift_round *round,
                               moment now)
{
    const struct endpoint_row *endpoint = round->endpoint;
    const char **columns[COLUMN_COUNT], *row[COLUMN_COUNT];
    struct db_value values[4 + COLUMN_COUNT] = {db_text(endpoint->cloud), db_text(endpoint->id),
                                                db_text(endpoint->provider), db_moment(now)};
    for (int c = 0; c < COLUMN_COUNT; c++) {
        columns[c] = arena_array(arena, round->count, sizeof(char *));
        values[4 + c] = db_texts(columns[c], round->count);
    }
    for (size_t i = 0; i < round->count; i++) {
        TRY(fill_row(db, arena, round, &round->drifts[i], now, row));
        for (int c = 0; c < COLUMN_COUNT; c++)
            columns[c][i] = row[c];
    }
    return db_run(db, &upsert, values, sizeof values / sizeof *values, NULL);
}

/* Cases that ended by themselves say what was billed while they lasted. */
static struct error *resolve(struct db *db, struct arena *arena, const struct drift_round *round, moment now)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &resolve_unseen,
                 DB_VALUES(db_text(round->endpoint->id), db_moment(now),
                           db_texts(round->unjudged, round->unjudged_count), db_bool(round->lags)),
                 &rows));
    for (size_t i = 0; i < db_count(rows); i++) {
        const struct drift_lasted lasted = {.provider = db_get_text(rows, i, 1),
                                            .unit = db_get_text(rows, i, 2),
                                            .resource = db_get_text(rows, i, 3),
                                            .from = db_get_moment(rows, i, 4),
                                            .to = now};
        json_t *meanwhile;
        TRY_DOING(drift_meanwhile(db, arena, &lasted, &meanwhile), "could not tell what was billed of %s",
                  lasted.resource);
        TRY(db_run(db, &set_meanwhile, DB_VALUES(db_text(db_get_text(rows, i, 0)), db_json(meanwhile)),
                   NULL));
    }
    return NULL;
}

struct error *drift_replace(struct db *db, struct arena *arena, const struct drift_round *round, moment now)
{
    if (round->count)
        TRY(write_all(db, arena, round, now));
    TRY(tell_new(db, arena, round->endpoint, now));
    TRY(resolve(db, arena, round, now));
    return mind_alerts(db, arena, round->endpoint, now);
}
