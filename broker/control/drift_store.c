/* SQL of drift; see drift.h. Sets travel as arrays, one statement each, however many there are. */
#include "broker/control/drift.h"

#include <string.h>

#include "broker/base/id.h"
#include "broker/base/json.h"
#include "broker/http/event.h"

#define EVENTS_MAX 100 /* of one inventory; the rows are all kept */

static const struct db_statement upsert = {
    "drift_upsert",
    "INSERT INTO drift (id, cloud_id, endpoint_id, provider_id, kind, subject, unit_id, resource_id, "
    "expected, seen,"
    " first_seen, last_seen)"
    " SELECT DISTINCT ON (d.kind, d.subject) d.id::uuid, $1, $2, $3, d.kind, d.subject, nullif(d.unit, ''), "
    "nullif(d.resource, '')::uuid,"
    " nullif(d.expected, '')::jsonb, nullif(d.seen, '')::jsonb, $4, $4"
    " FROM unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])"
    " AS d (id, kind, subject, unit, resource, expected, seen)"
    " ON CONFLICT (endpoint_id, kind, subject) WHERE resolved_at IS NULL"
    " DO UPDATE SET last_seen = EXCLUDED.last_seen, expected = EXCLUDED.expected, seen = EXCLUDED.seen"
    " RETURNING kind, subject, unit_id, (xmax = 0)"};
static const struct db_statement resolve_unseen = {
    "drift_resolve_unseen", "UPDATE drift SET resolved_at = $2, resolution = 'seen equal again'"
                            " WHERE endpoint_id = $1 AND resolved_at IS NULL AND last_seen < $2"};

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static struct error *tell_new(struct db *db, const struct endpoint_row *endpoint, const struct db_rows *rows,
                              moment now)
{
    size_t told = 0;
    for (size_t i = 0; i < db_count(rows) && told < EVENTS_MAX; i++) {
        if (!db_get_bool(rows, i, 3))
            continue;
        json_t *data = json_object();
        json_put_text(data, "kind", db_get_text(rows, i, 0));
        json_put_text(data, "endpoint", endpoint->id);
        struct error *error = event_add(db, &(struct event){.at = now,
                                                            .type = "drift.raised",
                                                            .unit = db_get_text(rows, i, 2),
                                                            .cloud = endpoint->cloud,
                                                            .provider = endpoint->provider,
                                                            .subject = db_get_text(rows, i, 1),
                                                            .data = data});
        json_decref(data);
        TRY(error);
        told++;
    }
    return NULL;
}

struct error *drift_replace(struct db *db, struct arena *arena, const struct endpoint_row *endpoint,
                            const struct drift *drifts, size_t count, moment now)
{
    enum { ID, KIND, SUBJECT, UNIT, RESOURCE, EXPECTED, SEEN, COLUMN_COUNT };
    const char **columns[COLUMN_COUNT];
    for (int c = 0; c < COLUMN_COUNT; c++)
        columns[c] = arena_array(arena, count, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        columns[ID][i] = id_new_in(arena);
        columns[KIND][i] = drifts[i].kind;
        columns[SUBJECT][i] = drifts[i].subject;
        columns[UNIT][i] = or_empty(drifts[i].unit);
        columns[RESOURCE][i] = or_empty(drifts[i].resource);
        columns[EXPECTED][i] = or_empty(drifts[i].expected);
        columns[SEEN][i] = or_empty(drifts[i].seen);
    }
    if (count) {
        DB_ROWS_AUTO struct db_rows *rows = NULL;
        TRY(db_query(db, &upsert,
                     DB_VALUES(db_text(endpoint->cloud), db_text(endpoint->id), db_text(endpoint->provider),
                               db_moment(now), db_texts(columns[ID], count), db_texts(columns[KIND], count),
                               db_texts(columns[SUBJECT], count), db_texts(columns[UNIT], count),
                               db_texts(columns[RESOURCE], count), db_texts(columns[EXPECTED], count),
                               db_texts(columns[SEEN], count)),
                     &rows));
        TRY(tell_new(db, endpoint, rows, now));
    }
    return db_run(db, &resolve_unseen, DB_VALUES(db_text(endpoint->id), db_moment(now)), NULL);
}
