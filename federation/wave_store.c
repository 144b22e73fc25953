/* SQL of stored waves; see wave_store.h. Reading hosts is wave_rows.c's. */
#include "federation/wave_store.h"

#include <string.h>

#include "broker/http/event.h"

const struct db_statement wave_select_one = {
    "wave_select_one", "SELECT id::text, version, body FROM wave_view WHERE id = $1::uuid"};
/* Newest first. */
const struct db_statement wave_select_list = {
    "wave_select_list",
    "SELECT id::text, version, body FROM wave_view WHERE ($1 = '' OR id < nullif($1, '')::uuid)"
    " AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR touched @> ARRAY[$4])"
    " AND ($5::text IS NULL OR clouds @> ARRAY[$5]) AND ($6::text IS NULL OR programme = $6)"
    " ORDER BY id DESC LIMIT $2"};
const struct db_statement wave_select_sums = {
    "wave_select_sums",
    "SELECT jsonb_build_object('programme', $1::text, 'waves', count(*), 'finished', count(*) FILTER (WHERE"
    " state = 'done'), 'hosts', coalesce(sum(hosts), 0), 'done', coalesce(sum(done), 0),"
    " 'bytes', coalesce(sum(bytes), 0), 'copied_bytes', coalesce(sum(copied), 0),"
    " 'forecast_at', rfc3339(max(forecast_at)), 'late', coalesce(bool_or(late), false))"
    " FROM wave_view WHERE programme = $1 AND state <> 'cancelled'"};
const struct db_statement wave_select_history = {
    "wave_select_history",
    "SELECT coalesce(jsonb_agg(jsonb_build_object('at', rfc3339(h.at), 'event', h.event, 'state', h.to_state,"
    " 'instance', h.instance, 'principal', h.principal, 'reason', h.why) ORDER BY h.number), '[]')"
    " FROM (SELECT * FROM wave_history h WHERE h.wave_id = $1::uuid ORDER BY number DESC LIMIT 1000) h"};

static const struct db_statement insert = {
    "wave_insert",
    "INSERT INTO wave (unit_id, id, name, programme, touched, clouds, providers, terms, left_out, principal,"
    " created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"};
static const struct db_statement insert_host = {
    "wave_host_insert",
    "INSERT INTO wave_host (unit_id, wave_id, resource_id, number, system_id, name, assessment_id, facts,"
    " bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (unit_id, resource_id) WHERE open"
    " DO NOTHING"};
#define COLUMNS                                                                                            \
    "SELECT unit_id, id, name, programme, state, why, cancels_moves, terms, left_out, told, version,"      \
    " principal, acts_for, job_id, touched, clouds, providers, created_at, started_at, ended_at FROM wave" \
    " WHERE id = $1::uuid"
static const struct db_statement select_row = {"wave_load", COLUMNS};
static const struct db_statement select_locked = {"wave_load_locked", COLUMNS " FOR UPDATE"};
static const struct db_statement add_history = {
    "wave_history_add",
    "INSERT INTO wave_history (unit_id, wave_id, number, event, to_state, instance, principal, why, at)"
    " SELECT $1, $2::uuid, 1 + (SELECT count(*) FROM wave_history WHERE unit_id = $1 AND wave_id = $2::uuid),"
    " $3, state, $4, $5, $6, $7 FROM wave WHERE unit_id = $1 AND id = $2::uuid"};
static const struct db_statement become = {
    "wave_become",
    "UPDATE wave SET state = $5, why = $6, version = version + 1, acts_for = coalesce($7, acts_for),"
    " job_id = coalesce($8::uuid, job_id), cancels_moves = $9,"
    " started_at = CASE WHEN $5 = 'running' THEN coalesce(started_at, $10::timestamptz) ELSE started_at END,"
    " ended_at = CASE WHEN $5 IN ('done', 'cancelled') THEN $10::timestamptz END"
    " WHERE unit_id = $1 AND id = $2::uuid AND state = $3 AND version = $4"};
static const struct db_statement change = {
    "wave_change",
    "UPDATE wave SET name = $4, programme = $5, terms = $6, version = version + 1 WHERE unit_id = $1"
    " AND id = $2::uuid AND version = $3 AND ended_at IS NULL"};
static const struct db_statement set_order = {
    "wave_set_order",
    "UPDATE wave_host h SET number = o.number FROM unnest($3::text[]) WITH ORDINALITY AS o (id, number)"
    " WHERE h.unit_id = $1 AND h.wave_id = $2::uuid AND h.resource_id = o.id::uuid"};
static const struct db_statement take_out = {
    "wave_take_out", "UPDATE wave_host SET out_at = $4, open = false, note = NULL WHERE unit_id = $1"
                     " AND wave_id = $2::uuid AND resource_id = $3::uuid AND out_at IS NULL"};
static const struct db_statement again = {
    "wave_again", "UPDATE wave_host SET earlier = earlier || migration_id, migration_id = NULL, note = NULL,"
                  " consent_id = NULL WHERE unit_id = $1 AND wave_id = $2::uuid AND resource_id = $3::uuid"
                  " AND migration_id IS NOT NULL"};
static const struct db_statement set_migration = {
    "wave_set_migration", "UPDATE wave_host SET migration_id = $4, note = NULL WHERE unit_id = $1"
                          " AND wave_id = $2::uuid AND resource_id = $3::uuid AND migration_id IS NULL"
                          " AND out_at IS NULL"};
static const struct db_statement set_consent = {
    "wave_set_consent", "UPDATE wave_host SET consent_id = $4, note = NULL WHERE unit_id = $1"
                        " AND wave_id = $2::uuid AND resource_id = $3::uuid"};
static const struct db_statement set_note = {
    "wave_set_note", "UPDATE wave_host SET note = $4 WHERE unit_id = $1 AND wave_id = $2::uuid"
                     " AND resource_id = $3::uuid AND note IS DISTINCT FROM $4"};
static const struct db_statement set_forecast = {
    "wave_set_forecast", "UPDATE wave SET forecast_at = $3, late = $4, told = $5 WHERE unit_id = $1"
                         " AND id = $2::uuid"};
static const struct db_statement release = {
    "wave_release", "UPDATE wave_host SET open = false WHERE unit_id = $1 AND wave_id = $2::uuid AND open"};
static const struct db_statement wake_of = {
    "wave_wake_of",
    "SELECT job_wake(w.job_id) FROM wave_host h JOIN wave w ON w.unit_id = h.unit_id AND w.id = h.wave_id"
    " WHERE h.migration_id = $1::uuid AND w.job_id IS NOT NULL AND w.ended_at IS NULL"};
static const struct db_statement wake_unit = {
    "wave_wake_unit", "SELECT job_wake(job_id) FROM wave WHERE unit_id = $1 AND job_id IS NOT NULL"
                      " AND ended_at IS NULL ORDER BY job_id"};
static const struct db_statement of_move = {
    "wave_of_move",
    "SELECT w.id, w.terms FROM wave_host h JOIN wave w ON w.unit_id = h.unit_id AND w.id = h.wave_id"
    " WHERE h.unit_id = $1 AND h.migration_id = $2::uuid AND h.out_at IS NULL"};

static struct db_value texts(const struct json_texts *list)
{
    return db_texts(list->items, list->count);
}

static struct error *add_host(struct db *db, struct arena *arena, const struct wave_row *wave,
                              const struct wave_member *member, int64_t number)
{
    int64_t changed;
    (void)arena;
    TRY(db_run(db, &insert_host,
               DB_VALUES(db_text(wave->unit), db_text(wave->id), db_text(member->resource), db_int(number),
                         db_text(member->system), db_text(member->name), db_text(member->assessment),
                         db_json(member->facts), db_int(member->bytes)),
               &changed));
    return changed ? NULL
                   : error_new(ERR_CONFLICT, "instance \"%s\" is in a wave that has not ended", member->name);
}

struct error *wave_insert(struct db *db, struct arena *arena, const struct wave_row *wave,
                          const struct wave_member *members, size_t count, moment now)
{
    TRY(db_run(db, &insert,
               DB_VALUES(db_text(wave->unit), db_text(wave->id), db_text(wave->name),
                         db_text(wave->programme), texts(&wave->systems), texts(&wave->clouds),
                         texts(&wave->providers), db_json(wave->terms), db_json(wave->left_out),
                         db_text(wave->principal), db_moment(now)),
               NULL));
    for (size_t i = 0; i < count; i++)
        TRY(add_host(db, arena, wave, &members[i], (int64_t)i + 1));
    return wave_note_history(db, wave, "planned", NULL, wave->principal, NULL, now);
}

static struct json_texts texts_of(struct arena *arena, const struct db_rows *rows, int column)
{
    struct json_texts list;
    list.items = db_get_texts(rows, 0, column, arena, &list.count);
    return list;
}

static moment moment_or_0(const struct db_rows *rows, int column)
{
    return db_is_null(rows, 0, column) ? 0 : db_get_moment(rows, 0, column);
}

struct error *wave_load(struct db *db, struct arena *arena, const char *id, bool lock,
                        struct wave_row *ret_wave)
{
    struct db_rows *rows;
    TRY(db_query_one(db, lock ? &select_locked : &select_row, DB_VALUES(db_text(id)), "such wave", &rows));
    (void)db_hold(arena, rows);
    *ret_wave = (struct wave_row){
        .unit = db_get_text(rows, 0, 0),
        .id = db_get_text(rows, 0, 1),
        .name = db_get_text(rows, 0, 2),
        .programme = db_get_text(rows, 0, 3),
        .life = wave_life_find(db_get_text(rows, 0, 4)), /* the table's CHECK keeps it among ours */
        .why = db_get_text(rows, 0, 5),
        .cancels_moves = db_get_bool(rows, 0, 6),
        .terms = json_hold(arena, db_get_json(rows, 0, 7)),
        .left_out = json_hold(arena, db_get_json(rows, 0, 8)),
        .told = json_hold(arena, db_get_json(rows, 0, 9)),
        .version = db_get_int(rows, 0, 10),
        .principal = db_get_text(rows, 0, 11),
        .acts_for = db_get_text(rows, 0, 12),
        .job = db_get_text(rows, 0, 13),
        .systems = texts_of(arena, rows, 14),
        .clouds = texts_of(arena, rows, 15),
        .providers = texts_of(arena, rows, 16),
        .created = db_get_moment(rows, 0, 17),
        .started = moment_or_0(rows, 18),
        .ended = moment_or_0(rows, 19),
    };
    return NULL;
}

struct error *wave_event(struct db *db, const struct wave_row *wave, const char *type, const json_t *data,
                         moment now)
{
    for (size_t i = 0; i < wave->clouds.count; i++) /* each cloud's people are told */
        TRY(event_add(db, &(struct event){.at = now,
                                          .type = type,
                                          .unit = wave->unit,
                                          .system = wave->systems.count == 1 ? wave->systems.items[0] : NULL,
                                          .cloud = wave->clouds.items[i],
                                          .subject = wave->id,
                                          .data = data}));
    return NULL;
}

static struct error *stale(const struct wave_row *wave)
{
    return error_new(ERR_STALE, "the wave has moved on: it is not any more %s in version %lld",
                     wave_life_name(wave->life), (long long)wave->version);
}

struct error *wave_tell(struct db *db, struct wave_row *wave, const struct wave_telling *telling, moment now)
{
    enum wave_life from = wave->life, to;
    bool goes = telling->word == WAVE_WORD_START || telling->word == WAVE_WORD_RESUME;
    int64_t changed;
    TRY(wave_life_next(from, telling->word, &to));
    TRY(db_run(db, &become,
               DB_VALUES(db_text(wave->unit), db_text(wave->id), db_text(wave_life_name(from)),
                         db_int(wave->version), db_text(wave_life_name(to)), db_text(telling->why),
                         db_text(goes ? telling->principal : NULL), db_text(telling->job),
                         db_bool(telling->cancels_moves), db_moment(now)),
               &changed));
    if (!changed)
        return stale(wave);
    wave->life = to;
    wave->version++;
    wave->why = telling->why;
    wave->cancels_moves = telling->cancels_moves;
    wave->acts_for = goes ? telling->principal : wave->acts_for;
    wave->job = telling->job ? telling->job : wave->job;
    wave->started = to == WAVE_LIFE_RUNNING && !wave->started ? now : wave->started;
    wave->ended = wave_life_ended(to) ? now : 0;
    TRY(wave_note_history(db, wave, wave_word_name(telling->word), NULL, telling->principal, telling->why,
                          now));
    json_t *data = json_object();
    json_put_text(data, "wave", wave->id);
    json_put_text(data, "event", wave_word_name(telling->word));
    json_put_text(data, "from", wave_life_name(from));
    json_put_text(data, "state", wave_life_name(to));
    json_put_text(data, "reason", telling->why);
    struct error *error = wave_event(db, wave, "wave.changed", data, now);
    json_decref(data);
    return error;
}

struct error *wave_change(struct db *db, struct wave_row *wave, const char *principal, const char *why,
                          moment now)
{
    int64_t changed;
    TRY(db_run(db, &change,
               DB_VALUES(db_text(wave->unit), db_text(wave->id), db_int(wave->version), db_text(wave->name),
                         db_text(wave->programme), db_json(wave->terms)),
               &changed));
    if (!changed)
        return stale(wave);
    wave->version++;
    return wave_note_history(db, wave, "changed", NULL, principal, why, now);
}

struct error *wave_note_history(struct db *db, const struct wave_row *wave, const char *event,
                                const char *instance, const char *principal, const char *why, moment now)
{
    return db_run(db, &add_history,
                  DB_VALUES(db_text(wave->unit), db_text(wave->id), db_text(event), db_text(instance),
                            db_text(principal), db_text(why), db_moment(now)),
                  NULL);
}

struct error *wave_set_order(struct db *db, const struct wave_row *wave, const char *const *resources,
                             size_t count)
{
    return db_run(db, &set_order,
                  DB_VALUES(db_text(wave->unit), db_text(wave->id), db_texts(resources, count)), NULL);
}

struct error *wave_take_out(struct db *db, const struct wave_row *wave, const char *resource, moment now)
{
    return db_run(db, &take_out,
                  DB_VALUES(db_text(wave->unit), db_text(wave->id), db_text(resource), db_moment(now)), NULL);
}

struct error *wave_again(struct db *db, const struct wave_row *wave, const char *resource)
{
    return db_run(db, &again, DB_VALUES(db_text(wave->unit), db_text(wave->id), db_text(resource)), NULL);
}

struct error *wave_set_migration(struct db *db, const struct wave_row *wave, const char *resource,
                                 const char *migration)
{
    int64_t changed;
    TRY(db_run(db, &set_migration,
               DB_VALUES(db_text(wave->unit), db_text(wave->id), db_text(resource), db_text(migration)),
               &changed));
    return changed ? NULL : error_new(ERR_CONFLICT, "host %s has a migration, or was taken out", resource);
}

struct error *wave_set_consent(struct db *db, const struct wave_row *wave, const char *resource,
                               const char *consent)
{
    return db_run(db, &set_consent,
                  DB_VALUES(db_text(wave->unit), db_text(wave->id), db_text(resource), db_text(consent)),
                  NULL);
}

struct error *wave_set_note(struct db *db, const struct wave_row *wave, const char *resource,
                            const char *note)
{
    return db_run(db, &set_note,
                  DB_VALUES(db_text(wave->unit), db_text(wave->id), db_text(resource), db_text(note)), NULL);
}

struct error *wave_set_forecast(struct db *db, const struct wave_row *wave, moment forecast, bool late,
                                const json_t *told)
{
    return db_run(db, &set_forecast,
                  DB_VALUES(db_text(wave->unit), db_text(wave->id),
                            forecast ? db_moment(forecast) : db_null(), db_bool(late), db_json(told)),
                  NULL);
}

struct error *wave_release(struct db *db, const struct wave_row *wave)
{
    return db_run(db, &release, DB_VALUES(db_text(wave->unit), db_text(wave->id)), NULL);
}

static struct error *wake(struct db *db, const struct db_statement *statement, const char *key)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    return db_query(db, statement, DB_VALUES(db_text(key)), &rows);
}

struct error *wave_wake_of(struct db *db, const char *migration)
{
    return wake(db, &wake_of, migration);
}

struct error *wave_wake_unit(struct db *db, const char *unit)
{
    return wake(db, &wake_unit, unit);
}

struct error *wave_of_move(struct db *db, struct arena *arena, const char *unit, const char *migration,
                           const char **ret_wave, json_t **ret_terms)
{
    struct db_rows *rows;
    TRY(db_query(db, &of_move, DB_VALUES(db_text(unit), db_text(migration)), &rows));
    (void)db_hold(arena, rows);
    *ret_wave = db_count(rows) ? db_get_text(rows, 0, 0) : NULL;
    *ret_terms = db_count(rows) ? json_hold(arena, db_get_json(rows, 0, 1)) : NULL;
    return NULL;
}
