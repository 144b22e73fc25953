/* SQL of migrations; see migration_store.h. */
#include "federation/migration_store.h"

#include <string.h>

#include "broker/base/json.h"
#include "broker/http/event.h"

/* With all that hangs on it. */
const struct db_statement migration_select_one = {
    "migration_select_one",
    "SELECT id::text, version, body || plans || jsonb_build_object("
    "'history', (SELECT coalesce(jsonb_agg(jsonb_build_object('at', rfc3339(h.at), 'event', h.event, 'from', "
    "h.from_state, 'to', h.to_state, 'principal', h.principal, 'reason', h.why) ORDER BY h.number), '[]')"
    " FROM migration_history h WHERE h.unit_id = v.unit_id AND h.migration_id = v.id),"
    "'approved', (SELECT coalesce(jsonb_agg(jsonb_build_object('part', a.part, 'principal', a.principal, "
    "'note', a.note, 'at', rfc3339(a.at)) ORDER BY a.at), '[]') FROM migration_approval a"
    " WHERE a.unit_id = v.unit_id AND a.migration_id = v.id),"
    "'ledger', (SELECT coalesce(jsonb_agg(jsonb_build_object('side', l.side, 'kind', l.kind, 'what', l.what, "
    "'made_at', rfc3339(l.made_at), 'removed_at', rfc3339(l.removed_at)) ORDER BY l.made_at, l.side, l.kind, "
    "l.what), '[]') FROM migration_ledger l WHERE l.unit_id = v.unit_id AND l.migration_id = v.id),"
    "'test_required', (SELECT m.test_required FROM migration m WHERE m.unit_id = v.unit_id AND m.id = v.id),"
    "'tests', (SELECT coalesce(jsonb_agg(jsonb_build_object('number', t.number, 'asked_at', "
    "rfc3339(t.asked_at), 'principal', t.principal, 'seconds', t.seconds, 'stays_seconds', t.stays_seconds, "
    "'expect_console', t.expect_console, 'agent', t.agent, 'pass', t.pass, 'booted_at', "
    "rfc3339(t.booted_at), "
    "'ended_at', rfc3339(t.ended_at), 'outcome', t.outcome, 'reason', t.why, 'checks', t.checks, 'console', "
    "t.console) ORDER BY t.number), '[]') FROM (SELECT * FROM migration_test t WHERE t.unit_id = v.unit_id"
    " AND t.migration_id = v.id ORDER BY t.number DESC LIMIT 20) t),"
    "'disks', (SELECT coalesce(jsonb_agg(jsonb_build_object('disk', p.disk, 'pass', p.pass, 'kind', p.kind, "
    "'reason', p.why, 'bytes', p.disk_bytes, 'read_bytes', p.read_bytes, 'written_bytes', p.written_bytes, "
    "'elapsed_ms', p.elapsed_us / 1000, 'digest', p.digest, 'quiesced', p.quiesced, 'at', rfc3339(p.at))"
    " ORDER BY p.pass, p.disk), '[]') FROM (SELECT * FROM migration_pass p WHERE p.unit_id = v.unit_id"
    " AND p.migration_id = v.id ORDER BY p.pass DESC LIMIT 200) p))"
    " FROM migration_view v WHERE id = $1::uuid"};
/* $3 state, $4 system, $5 cloud, $6 instance. */
const struct db_statement migration_select_list = {
    "migration_select_list",
    "SELECT id::text, version, body FROM migration_view WHERE ($1 = '' OR id > nullif($1, '')::uuid)"
    " AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR system_id = $4)"
    " AND ($5::text IS NULL OR clouds @> ARRAY[$5]) AND ($6::uuid IS NULL OR resource_id = $6)"
    " ORDER BY id LIMIT $2"};

#define COLUMNS                                                                                             \
    "unit_id, id, system_id, resource_id, name, source_cloud_id, source_provider_id, source_zone_id,"       \
    " source_site_id, source_endpoint_id, source_ref, target_cloud_id, target_provider_id, target_zone_id," \
    " target_site_id, target_endpoint_id, target_network, target_ref, method, method_why, state, step,"     \
    " failed_in, version, assessment_id, plan, rollback_plan, approvals, window_from, window_until,"        \
    " downtime_us, hold_us, commits_itself, bandwidth, shape, was_on, predicted_us, passes, passed_at,"     \
    " source_seen, target_seen, accepted_at IS NOT NULL, down_at, live_at, hold_until, hold_told, job_id,"  \
    " principal, moved, proof, conversion"

static const struct db_statement insert = {
    "migration_insert",
    "INSERT INTO migration (unit_id, id, system_id, resource_id, name, source_cloud_id, source_provider_id,"
    " source_zone_id, source_site_id, source_endpoint_id, source_ref, target_cloud_id, target_provider_id,"
    " target_zone_id, target_site_id, target_endpoint_id, target_network, method, method_why, state,"
    " assessment_id, plan, rollback_plan, approvals, window_from, window_until, downtime_us, hold_us,"
    " commits_itself, bandwidth, principal, created_at, touched_at, clouds, providers, proof, conversion)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, "
    "'assessed',"
    " $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $31, ARRAY[$6, $12], ARRAY[$7, $13], $32, "
    "$33)"};
static const struct db_statement select_row = {
    "migration_load",
    "SELECT " COLUMNS " FROM migration WHERE id = $2::uuid AND ($1::text IS NULL OR unit_id = $1)"
    " FOR UPDATE"};
static const struct db_statement add_history = {
    "migration_history_add",
    "INSERT INTO migration_history (unit_id, migration_id, number, system_id, clouds, providers, event,"
    " from_state, to_state, principal, why, at) SELECT $1, $2::uuid, 1 + (SELECT count(*) FROM "
    "migration_history"
    " WHERE unit_id = $1 AND migration_id = $2::uuid), system_id, clouds, providers, $3, $4, $5, $6, $7, $8"
    " FROM migration WHERE unit_id = $1 AND id = $2::uuid"};
static const struct db_statement become = {
    "migration_become",
    "UPDATE migration SET state = $5, step = 0, version = version + 1, failed_in = CASE WHEN $5 = 'failed' "
    "THEN"
    " state END, why = $6, error = NULL, progress = NULL, touched_at = $7::timestamptz, ended_at = CASE WHEN "
    "$5 IN "
    "('committed', "
    "'rolled-back',"
    " 'cancelled') THEN $7::timestamptz END WHERE unit_id = $1 AND id = $2 AND state = $3 AND version = $4"};
static const struct db_statement stepped = {
    "migration_stepped", "UPDATE migration SET step = $5, error = NULL, touched_at = $6"
                         " WHERE unit_id = $1 AND id = $2 AND state = $3 AND version = $4"};
static const struct db_statement still = {
    "migration_still",
    "SELECT 1 FROM migration WHERE unit_id = $1 AND id = $2 AND state = $3 AND version = $4"
    " FOR UPDATE"};
static const struct db_statement follow = {
    "migration_follow",
    "SELECT version FROM migration WHERE unit_id = $1 AND id = $2 AND state = $3 AND step = $4 FOR UPDATE"};
static const struct db_statement saw = {
    "migration_saw", "UPDATE migration SET source_seen = $3, target_seen = $4 WHERE unit_id = $1 AND id = $2"
                     " AND (source_seen, target_seen) IS DISTINCT FROM ($3::jsonb, $4::jsonb)"};
static const struct db_statement troubled = {
    "migration_troubled",
    "UPDATE migration SET error = $3 WHERE unit_id = $1 AND id = $2 AND ended_at IS NULL"
    " AND error IS DISTINCT FROM $3"};
static const struct db_statement enter = {
    "migration_enter",
    "INSERT INTO migration_ledger AS l (unit_id, migration_id, side, kind, what, system_id, clouds, "
    "providers,"
    " made_at) SELECT unit_id, id, $3, $4, $5, system_id, clouds, providers, $6 FROM migration"
    " WHERE unit_id = $1 AND id = $2 ON CONFLICT (unit_id, migration_id, side, kind, what)"
    " DO UPDATE SET removed_at = NULL, made_at = EXCLUDED.made_at WHERE l.removed_at IS NOT NULL"};
static const struct db_statement cross_out = {
    "migration_cross_out",
    "UPDATE migration_ledger SET removed_at = $6 WHERE unit_id = $1 AND migration_id = $2"
    " AND side = $3 AND kind = $4 AND what = $5 AND removed_at IS NULL"};
static const struct db_statement open_entries = {
    "migration_open_entries", "SELECT what FROM migration_ledger WHERE unit_id = $1 AND migration_id = $2"
                              " AND side = $3 AND kind = $4 AND removed_at IS NULL ORDER BY what"};
static const struct db_statement select_known = {
    "migration_known",
    "SELECT NOT EXISTS (SELECT FROM migration_ledger l WHERE l.unit_id = $1 AND l.migration_id = $2"
    " AND l.removed_at IS NULL), (SELECT count(*) FROM migration_approval a WHERE a.unit_id = $1"
    " AND a.migration_id = $2 AND ($3 = 'unit+platform' OR a.part = $3))"
    " >= CASE $3 WHEN 'none' THEN 0 WHEN 'unit' THEN 1 ELSE 2 END, m.test_required, coalesce((SELECT"
    " t.outcome = 'passed' FROM migration_test t WHERE t.unit_id = $1 AND t.migration_id = $2"
    " AND t.outcome IN ('passed', 'failed') ORDER BY t.number DESC LIMIT 1), false)"
    " FROM migration m WHERE m.unit_id = $1 AND m.id = $2"};
static const struct db_statement approve = {
    "migration_approve",
    "INSERT INTO migration_approval (unit_id, migration_id, part, system_id, clouds, providers, principal, "
    "note, at)"
    " SELECT unit_id, id, $3, system_id, clouds, providers, $4, $5, $6 FROM migration"
    " WHERE unit_id = $1 AND id = $2 ON CONFLICT (unit_id, migration_id, part) DO NOTHING"};
static const struct db_statement accept = {
    "migration_accept", "UPDATE migration SET accepted_at = $3, accepted_by = $4, version = version + 1"
                        " WHERE unit_id = $1 AND id = $2 AND accepted_at IS NULL"};
static const struct db_statement set_job = {
    "migration_set_job", "UPDATE migration SET job_id = $3 WHERE unit_id = $1 AND id = $2"};
static const struct db_statement set_terms = {
    "migration_set_terms",
    "UPDATE migration SET window_from = $3, window_until = $4, downtime_us = $5, bandwidth = $6, hold_us = "
    "$7,"
    " hold_until = live_at + $7::bigint * interval '1 microsecond', hold_told = false, version = version + 1"
    " WHERE unit_id = $1 AND id = $2"};

static moment moment_or_0(const struct db_rows *rows, int column)
{
    return db_is_null(rows, 0, column) ? 0 : db_get_moment(rows, 0, column);
}

static struct db_value moment_or_null(moment at)
{
    return at ? db_moment(at) : db_null();
}

static struct migration_side read_side(struct arena *arena, const struct db_rows *rows, int column)
{
    json_t *json = db_is_null(rows, 0, column) ? NULL : json_hold(arena, db_get_json(rows, 0, column));
    return (struct migration_side){.known = json_is_true(json_object_get(json, "known")),
                                   .there = json_is_true(json_object_get(json, "there")),
                                   .running = json_is_true(json_object_get(json, "running")),
                                   .fenced = json_is_true(json_object_get(json, "fenced"))};
}

static json_t *side_json(const struct migration_side *side)
{
    json_t *json = json_object();
    json_put_bool(json, "known", side->known);
    json_put_bool(json, "there", side->there);
    json_put_bool(json, "running", side->running);
    json_put_bool(json, "fenced", side->fenced);
    return json;
}

static json_t *json_or_null(struct arena *arena, const struct db_rows *rows, int column)
{
    return db_is_null(rows, 0, column) ? NULL : json_hold(arena, db_get_json(rows, 0, column));
}

static void read_ends(const struct db_rows *rows, struct migration_row *m)
{
    m->source = (struct migration_end){.cloud = db_get_text(rows, 0, 5),
                                       .provider = db_get_text(rows, 0, 6),
                                       .zone = db_get_text(rows, 0, 7),
                                       .site = db_get_text(rows, 0, 8),
                                       .endpoint = db_get_text(rows, 0, 9),
                                       .ref = db_get_text(rows, 0, 10)};
    m->target = (struct migration_end){.cloud = db_get_text(rows, 0, 11),
                                       .provider = db_get_text(rows, 0, 12),
                                       .zone = db_get_text(rows, 0, 13),
                                       .site = db_get_text(rows, 0, 14),
                                       .endpoint = db_get_text(rows, 0, 15),
                                       .network = db_get_text(rows, 0, 16),
                                       .ref = db_get_text(rows, 0, 17)};
}

/* The tables' CHECKs keep names among ours. */
static void read_row(struct arena *arena, const struct db_rows *rows, struct migration_row *m)
{
    *m = (struct migration_row){
        .unit = db_get_text(rows, 0, 0),
        .id = db_get_text(rows, 0, 1),
        .system = db_get_text(rows, 0, 2),
        .resource = db_get_text(rows, 0, 3),
        .name = db_get_text(rows, 0, 4),
        .method = migration_method_find(db_get_text(rows, 0, 18)),
        .method_why = db_get_text(rows, 0, 19),
        .state = migration_state_find(db_get_text(rows, 0, 20)),
        .step = (size_t)db_get_int(rows, 0, 21),
        .failed_in =
            db_is_null(rows, 0, 22) ? MIGRATION_FAILED : migration_state_find(db_get_text(rows, 0, 22)),
        .version = db_get_int(rows, 0, 23),
        .assessment = db_get_text(rows, 0, 24),
        .plan = json_hold(arena, db_get_json(rows, 0, 25)),
        .rollback_plan = json_hold(arena, db_get_json(rows, 0, 26)),
        .approvals = db_get_text(rows, 0, 27),
        .window_from = moment_or_0(rows, 28),
        .window_until = moment_or_0(rows, 29),
        .downtime_us = db_get_int(rows, 0, 30),
        .hold_us = db_get_int(rows, 0, 31),
        .commits_itself = db_get_bool(rows, 0, 32),
        .bandwidth = db_get_int(rows, 0, 33),
        .shape = json_or_null(arena, rows, 34),
        .was_on = db_get_bool(rows, 0, 35),
        .predicted_us = db_get_int(rows, 0, 36),
        .passes = db_get_int(rows, 0, 37),
        .passed_at = moment_or_0(rows, 38),
        .source_seen = read_side(arena, rows, 39),
        .target_seen = read_side(arena, rows, 40),
        .accepted = db_get_bool(rows, 0, 41),
        .down_at = moment_or_0(rows, 42),
        .live_at = moment_or_0(rows, 43),
        .hold_until = moment_or_0(rows, 44),
        .hold_told = db_get_bool(rows, 0, 45),
        .job = db_get_text(rows, 0, 46),
        .principal = db_get_text(rows, 0, 47),
        .moved = json_or_null(arena, rows, 48),
        .proof = db_get_text(rows, 0, 49),
        .conversion = json_or_null(arena, rows, 50),
    };
    read_ends(rows, m);
}

struct error *migration_insert(struct db *db, const struct migration_row *m, moment now)
{
    const struct migration_end *s = &m->source, *t = &m->target;
    struct error *error = db_run(
        db, &insert,
        DB_VALUES(db_text(m->unit), db_text(m->id), db_text(m->system), db_text(m->resource),
                  db_text(m->name), db_text(s->cloud), db_text(s->provider), db_text(s->zone),
                  db_text(s->site), db_text(s->endpoint), db_text(s->ref), db_text(t->cloud),
                  db_text(t->provider), db_text(t->zone), db_text(t->site), db_text(t->endpoint),
                  db_text(t->network), db_text(migration_method_name(m->method)), db_text(m->method_why),
                  db_text(m->assessment), db_json(m->plan), db_json(m->rollback_plan), db_text(m->approvals),
                  moment_or_null(m->window_from), moment_or_null(m->window_until), db_int(m->downtime_us),
                  db_int(m->hold_us), db_bool(m->commits_itself), db_int(m->bandwidth), db_text(m->principal),
                  db_moment(now), db_text(m->proof), m->conversion ? db_json(m->conversion) : db_null()),
        NULL);
    if (error && error_code(error) == ERR_EXISTS) {
        error_free(error);
        return error_new(ERR_CONFLICT, "instance \"%s\" has a migration that has not ended", m->name);
    }
    TRY(error);
    return db_run(db, &add_history,
                  DB_VALUES(db_text(m->unit), db_text(m->id), db_text("planned"), db_null(),
                            db_text(migration_state_name(MIGRATION_ASSESSED)), db_text(m->principal),
                            db_null(), db_moment(now)),
                  NULL);
}

struct error *migration_load(struct db *db, struct arena *arena, const char *unit, const char *id,
                             struct migration_row *ret_migration)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &select_row, DB_VALUES(db_text(unit), db_text(id)), "such migration", &rows));
    (void)db_hold(arena, rows);
    read_row(arena, rows, ret_migration);
    return NULL;
}

struct error *migration_known(struct db *db, const struct migration_row *m, bool consented, moment now,
                              struct migration_facts *ret_facts)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &select_known, DB_VALUES(db_text(m->unit), db_text(m->id), db_text(m->approvals)),
                     "such migration", &rows));
    const char *conversion = json_string_value(json_object_get(m->conversion, "state"));
    /* One that failed has touched the disks as well, until the move is told that it is broken. */
    bool torn = conversion && (!strcmp(conversion, "running") || !strcmp(conversion, "failed"));
    *ret_facts = (struct migration_facts){
        .method = m->method,
        .convert = torn || (conversion && !strcmp(conversion, "planned")),
        .torn = torn,
        .assessed = m->assessment != NULL,
        .planned = json_object_size(m->plan) > 0,
        .way_back = json_object_size(m->rollback_plan) > 0,
        .consented = consented,
        .approved = db_get_bool(rows, 0, 1),
        .window = !m->window_from || (m->window_from <= now && now < m->window_until),
        .accepted = m->accepted,
        .clean = db_get_bool(rows, 0, 0),
        .copied = m->passes > 0,
        .predicted_us = m->predicted_us,
        .agreed_us = m->downtime_us,
        .test_required = db_get_bool(rows, 0, 2),
        .test_passed = db_get_bool(rows, 0, 3),
        .failed_in = m->failed_in,
        .source = m->source_seen,
        .target = m->target_seen,
    };
    return NULL;
}

static struct error *add_event(struct db *db, const struct migration_row *m,
                               const struct migration_word *word, enum migration_state from, moment now)
{
    json_t *data = json_object();
    json_put_text(data, "migration", m->id);
    json_put_text(data, "instance", m->resource);
    json_put_text(data, "event", migration_event_name(word->event));
    json_put_text(data, "from", migration_state_name(from));
    json_put_text(data, "state", migration_state_name(m->state));
    json_put_text(data, "reason", word->why);
    struct error *error = NULL;
    const struct migration_end *ends[] = {&m->source, &m->target}; /* each cloud's people are told */
    for (int i = 0; !error && i < 2; i++)
        if (!i || strcmp(m->source.cloud, m->target.cloud))
            error = event_add(db, &(struct event){.at = now,
                                                  .type = "migration.changed",
                                                  .unit = m->unit,
                                                  .system = m->system,
                                                  .cloud = ends[i]->cloud,
                                                  .provider = ends[i]->provider,
                                                  .subject = m->id,
                                                  .data = data});
    json_decref(data);
    return error;
}

static struct error *stale(const struct migration_row *m)
{
    return error_new(ERR_STALE, "migration %s is not any more %s in version %lld", m->id,
                     migration_state_name(m->state), (long long)m->version);
}

struct error *migration_tell(struct db *db, struct migration_row *m, const struct migration_word *word,
                             const struct migration_facts *facts, moment now)
{
    enum migration_state from = m->state, to;
    int64_t changed;
    TRY(migration_next(from, word->event, facts, &to));
    TRY(db_run(db, &become,
               DB_VALUES(db_text(m->unit), db_text(m->id), db_text(migration_state_name(from)),
                         db_int(m->version), db_text(migration_state_name(to)), db_text(word->why),
                         db_moment(now)),
               &changed));
    if (!changed)
        return stale(m);
    m->failed_in = to == MIGRATION_FAILED ? from : MIGRATION_FAILED;
    m->state = to;
    m->step = 0;
    m->version++;
    TRY(db_run(db, &add_history,
               DB_VALUES(db_text(m->unit), db_text(m->id), db_text(migration_event_name(word->event)),
                         db_text(migration_state_name(from)), db_text(migration_state_name(to)),
                         db_text(word->principal), db_text(word->why), db_moment(now)),
               NULL));
    return add_event(db, m, word, from, now);
}

struct error *migration_stepped(struct db *db, struct migration_row *m, size_t step, moment now)
{
    int64_t changed;
    TRY(db_run(db, &stepped,
               DB_VALUES(db_text(m->unit), db_text(m->id), db_text(migration_state_name(m->state)),
                         db_int(m->version), db_int((int64_t)step), db_moment(now)),
               &changed));
    if (!changed)
        return stale(m);
    m->step = step;
    return NULL;
}

struct error *migration_still(struct db *db, const struct migration_row *m)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &still,
                 DB_VALUES(db_text(m->unit), db_text(m->id), db_text(migration_state_name(m->state)),
                           db_int(m->version)),
                 &rows));
    return db_count(rows) ? NULL : stale(m);
}

struct error *migration_follow(struct db *db, struct migration_row *m)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &follow,
                 DB_VALUES(db_text(m->unit), db_text(m->id), db_text(migration_state_name(m->state)),
                           db_int((int64_t)m->step)),
                 &rows));
    if (!db_count(rows))
        return stale(m);
    m->version = db_get_int(rows, 0, 0);
    return NULL;
}

struct error *migration_saw(struct db *db, struct migration_row *m, const struct migration_side *source,
                            const struct migration_side *target)
{
    json_t *source_json = side_json(source), *target_json = side_json(target);
    struct error *error =
        db_run(db, &saw,
               DB_VALUES(db_text(m->unit), db_text(m->id), db_json(source_json), db_json(target_json)), NULL);
    json_decref(source_json);
    json_decref(target_json);
    TRY(error);
    m->source_seen = *source;
    m->target_seen = *target;
    return NULL;
}

struct error *migration_troubled(struct db *db, const struct migration_row *m, const char *text)
{
    return db_run(db, &troubled, DB_VALUES(db_text(m->unit), db_text(m->id), db_text(text)), NULL);
}

struct error *migration_enter(struct db *db, const struct migration_row *m, const char *side,
                              const char *kind, const char *what, moment now)
{
    return db_run(db, &enter,
                  DB_VALUES(db_text(m->unit), db_text(m->id), db_text(side), db_text(kind), db_text(what),
                            db_moment(now)),
                  NULL);
}

struct error *migration_cross_out(struct db *db, const struct migration_row *m, const char *side,
                                  const char *kind, const char *what, moment now)
{
    return db_run(db, &cross_out,
                  DB_VALUES(db_text(m->unit), db_text(m->id), db_text(side), db_text(kind), db_text(what),
                            db_moment(now)),
                  NULL);
}

struct error *migration_open_entries(struct db *db, struct arena *arena, const struct migration_row *m,
                                     const char *side, const char *kind, const char ***ret_list,
                                     size_t *ret_count)
{
    struct db_rows *rows;
    TRY(db_query(db, &open_entries, DB_VALUES(db_text(m->unit), db_text(m->id), db_text(side), db_text(kind)),
                 &rows));
    (void)db_hold(arena, rows);
    *ret_count = db_count(rows);
    *ret_list = arena_array(arena, *ret_count, sizeof **ret_list);
    for (size_t i = 0; i < *ret_count; i++)
        (*ret_list)[i] = db_get_text(rows, i, 0);
    return NULL;
}

struct error *migration_approve(struct db *db, const struct migration_row *m, const char *part,
                                const char *principal, const char *note, moment now)
{
    return db_run(db, &approve,
                  DB_VALUES(db_text(m->unit), db_text(m->id), db_text(part), db_text(principal),
                            db_text(note), db_moment(now)),
                  NULL);
}

struct error *migration_accept(struct db *db, struct migration_row *m, const char *principal, moment now)
{
    int64_t changed;
    TRY(db_run(db, &accept, DB_VALUES(db_text(m->unit), db_text(m->id), db_moment(now), db_text(principal)),
               &changed));
    m->version += changed;
    m->accepted = true;
    return NULL;
}

struct error *migration_set_job(struct db *db, struct migration_row *m, const char *job)
{
    m->job = job;
    return db_run(db, &set_job, DB_VALUES(db_text(m->unit), db_text(m->id), db_text(job)), NULL);
}

struct error *migration_set_terms(struct db *db, struct migration_row *m)
{
    m->version++;
    return db_run(db, &set_terms,
                  DB_VALUES(db_text(m->unit), db_text(m->id), moment_or_null(m->window_from),
                            moment_or_null(m->window_until), db_int(m->downtime_us), db_int(m->bandwidth),
                            db_int(m->hold_us)),
                  NULL);
}
