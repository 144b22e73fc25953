/* See wave_report.h. */
#include "federation/wave_report.h"

#include <string.h>

#include "broker/base/digest.h"
#include "federation/wave_json.h"

/* A host with all that is known of its move. What the caller's scope does not have (a consent, for a
 * provider) is left out. */
static const struct db_statement select_hosts = {
    "wave_report_hosts",
    "SELECT h.system_id, jsonb_strip_nulls(jsonb_build_object('instance', h.resource_id, 'name', h.name, "
    "'state',"
    " h.class, 'bytes', h.bytes,"
    " 'attempts', cardinality(h.earlier) + (h.migration_id IS NOT NULL)::integer, 'assessment', "
    "h.assessment_id,"
    " 'from', h.facts #> '{report,from}', 'to', h.facts #> '{report,to}',"
    " 'month', h.facts #> '{report,month}', 'move', CASE WHEN m.id IS NOT NULL THEN jsonb_build_object('id', "
    "m.id,"
    " 'state', m.state, 'method', m.method, 'principal', m.principal, 'started_at', rfc3339(h.started_at),"
    " 'down_at', rfc3339(m.down_at), 'live_at', rfc3339(m.live_at), 'hold_until', rfc3339(m.hold_until),"
    " 'ended_at', rfc3339(m.ended_at), 'passes', m.passes, 'read_bytes', p.read, 'written_bytes', p.written,"
    " 'copy_ms', p.elapsed / 1000, 'downtime', jsonb_build_object('assessed_ms', (SELECT a -> 'downtime_ms' "
    "FROM"
    " jsonb_array_elements(h.facts #> '{report,methods}') a WHERE a ->> 'method' = m.method LIMIT 1),"
    " 'predicted_ms', CASE WHEN m.predicted_us >= 0 THEN m.predicted_us / 1000 END, 'agreed_seconds',"
    " m.downtime_us / 1000000, 'measured_ms', m.measured_us / 1000), 'verification', "
    "jsonb_build_object('proof',"
    " m.proof, 'proved_at', (SELECT rfc3339(max(t.at)) FROM migration_history t WHERE t.unit_id = m.unit_id "
    "AND"
    " t.migration_id = m.id AND t.event = 'copied'), 'healthy_at', (SELECT rfc3339(max(t.at)) FROM"
    " migration_history t WHERE t.unit_id = m.unit_id AND t.migration_id = m.id AND t.event = 'healthy'), "
    "'disks',"
    " p.disks), 'test', m.test, 'accepted_at', rfc3339(m.accepted_at), 'accepted_by', m.accepted_by, "
    "'policy',"
    " m.approvals, 'approvals', (SELECT jsonb_agg(jsonb_build_object('part', a.part, 'principal', "
    "a.principal,"
    " 'at', rfc3339(a.at)) ORDER BY a.at) FROM migration_approval a WHERE a.unit_id = m.unit_id AND"
    " a.migration_id = m.id), 'consent', (SELECT jsonb_build_object('id', c.id, 'reference', c.reference,"
    " 'algorithm', c.algorithm, 'digest', c.digest, 'signer', c.signer_name) FROM consent c WHERE c.unit_id ="
    " h.unit_id AND c.id = h.consent_id), 'overlap', (SELECT jsonb_agg(jsonb_build_object('cloud', "
    "u.cloud_id,"
    " 'item', u.item, 'micro', u.micro, 'tariff', u.tariff, 'from', rfc3339(u.start_at), 'until', CASE WHEN"
    " u.end_at <> 'infinity' THEN rfc3339(u.end_at) END) ORDER BY u.start_at, u.item) FROM usage_interval u "
    "WHERE"
    " u.unit_id = m.unit_id AND u.resource_id = m.id::text)) END))"
    " FROM wave_host_view h LEFT JOIN migration m ON m.unit_id = h.unit_id AND m.id = h.migration_id"
    " LEFT JOIN LATERAL (SELECT sum(p.read_bytes)::bigint AS read, sum(p.written_bytes)::bigint AS written,"
    " sum(p.elapsed_us)::bigint AS elapsed, (SELECT jsonb_agg(jsonb_build_object('disk', d.disk, 'bytes',"
    " d.disk_bytes, 'digest', d.digest) ORDER BY d.disk) FROM (SELECT DISTINCT ON (disk) * FROM "
    "migration_pass l"
    " WHERE l.unit_id = m.unit_id AND l.migration_id = m.id ORDER BY disk, pass DESC) d) AS disks"
    " FROM migration_pass p WHERE p.unit_id = m.unit_id AND p.migration_id = m.id) p ON m.id IS NOT NULL"
    " WHERE h.unit_id = $1 AND h.wave_id = $2::uuid ORDER BY h.system_id, h.number, h.resource_id"};
static const struct db_statement select_names = {
    "wave_report_systems", "SELECT id, name FROM system WHERE unit_id = $1 AND id = ANY ($2::text[])"};

static int64_t number_of(const json_t *json, const char *member)
{
    return json_integer_value(json_object_get(json, member));
}

static const char *text_of(const json_t *json, const char *member)
{
    return json_string_value(json_object_get(json, member));
}

static void keep_least(const char **text, const char *other)
{
    if (other && (!*text || strcmp(other, *text) < 0))
        *text = other;
}

static void keep_most(const char **text, const char *other)
{
    if (other && (!*text || strcmp(other, *text) > 0))
        *text = other;
}

/* Over the hosts of one system, or of all: counts, bytes, the longest downtime, from when until when. */
static json_t *sums_of(const json_t *hosts)
{
    json_t *sums = json_object();
    int64_t counts[WAVE_CLASS_COUNT] = {0}, bytes = 0, read = 0, written = 0, longest = 0, whole = 0;
    const char *from = NULL, *until = NULL;
    const json_t *host;
    size_t i;
    json_array_foreach (hosts, i, host) {
        const json_t *move = json_object_get(host, "move");
        int64_t down = number_of(json_object_get(move, "downtime"), "measured_ms");
        for (int k = 0; k < WAVE_CLASS_COUNT; k++)
            counts[k] += !strcmp(text_of(host, "state"), wave_class_name((enum wave_class)k));
        if (!strcmp(text_of(host, "state"), wave_class_name(WAVE_CLASS_OUT)))
            continue;
        bytes += number_of(host, "bytes");
        read += number_of(move, "read_bytes");
        written += number_of(move, "written_bytes");
        longest = down > longest ? down : longest;
        whole += down;
        keep_least(&from, text_of(move, "started_at"));
        keep_most(&until, text_of(move, "live_at"));
    }
    for (int k = 0; k < WAVE_CLASS_COUNT; k++)
        json_put_int(sums, wave_class_name((enum wave_class)k), counts[k]);
    json_put_int(sums, "bytes", bytes);
    json_put_int(sums, "read_bytes", read);
    json_put_int(sums, "written_bytes", written);
    json_put_int(sums, "longest_downtime_ms", longest);
    json_put_int(sums, "downtime_ms", whole);
    json_put_text(sums, "from", from);
    json_put_text(sums, "until", until);
    return sums;
}

/* Whether the contract's pace was kept: by the plan as long as something is left. */
static void put_pace(json_t *system, const struct wave_sight *sight, const char *name)
{
    const struct wave *wave = &sight->made.wave;
    for (size_t i = 0; i < wave->system_count; i++)
        if (!strcmp(wave->systems[i].name, name) && sight->paces[i].hosts)
            json_put(system, "pace", wave_pace_json(wave, i, &sight->paces[i]));
}

static const char *name_of(const struct db_rows *names, const char *system)
{
    for (size_t i = 0; i < db_count(names); i++)
        if (!strcmp(db_get_text(names, i, 0), system))
            return db_get_text(names, i, 1);
    return NULL;
}

/* As the wave itself tells why a host does not go on: also of one that waits for another's move. */
static void put_reason(struct arena *arena, json_t *host, const struct wave_sight *sight)
{
    for (size_t i = 0; i < sight->count; i++)
        if (!strcmp(sight->members[i].resource, text_of(host, "instance")))
            json_put_text(host, "reason", wave_sight_reason(arena, sight, i));
}

static json_t *systems_of(struct arena *arena, const struct db_rows *rows, const struct db_rows *names,
                          const struct wave_sight *sight, json_t *all)
{
    json_t *systems = json_array(), *system = NULL, *hosts = NULL;
    for (size_t i = 0; i < db_count(rows); i++) {
        const char *name = db_get_text(rows, i, 0);
        if (!system || strcmp(text_of(system, "system"), name) != 0) {
            system = json_object();
            hosts = json_array();
            json_put_text(system, "system", name);
            json_put_text(system, "name", name_of(names, name));
            put_pace(system, sight, name);
            json_put(system, "hosts", hosts);
            json_push(systems, system);
        }
        json_t *host = db_get_json(rows, i, 1);
        put_reason(arena, host, sight);
        json_push(all, json_incref(host));
        json_push(hosts, host);
    }
    size_t i;
    json_array_foreach (systems, i, system)
        json_put(system, "sums", sums_of(json_object_get(system, "hosts")));
    return systems;
}

static void put_wave(json_t *report, const struct wave_sight *sight)
{
    const struct wave_row *row = &sight->row;
    json_put_text(report, "wave", row->id);
    json_put_text(report, "name", row->name);
    json_put_text(report, "programme", row->programme);
    json_put_text(report, "unit", row->unit);
    json_put_text(report, "state", wave_life_name(row->life));
    json_put_bool(report, "finished", wave_life_ended(row->life));
    json_put_text(report, "cutover", sight->terms.cutover);
    json_put_text(report, "planned_by", row->principal);
    json_put_text(report, "acts_for", row->acts_for);
    json_put_moment(report, "began_at", sight->made.began);
    if (row->started)
        json_put_moment(report, "started_at", row->started);
    if (row->ended)
        json_put_moment(report, "ended_at", row->ended);
    json_put(report, "left_out", json_deep_copy(row->left_out));
}

struct error *wave_report(struct db *db, struct arena *arena, const char *id, moment now, json_t **ret_report)
{
    struct wave_sight sight;
    struct db_rows *rows, *names;
    TRY(wave_look(db, arena, id, now, &sight));
    TRY(db_query(db, &select_hosts, DB_VALUES(db_text(sight.row.unit), db_text(id)), &rows));
    (void)db_hold(arena, rows);
    TRY(db_query(
        db, &select_names,
        DB_VALUES(db_text(sight.row.unit), db_texts(sight.row.systems.items, sight.row.systems.count)),
        &names));
    (void)db_hold(arena, names);
    json_t *report = json_hold(arena, json_object()), *all = json_hold(arena, json_array());
    put_wave(report, &sight);
    json_put(report, "systems", systems_of(arena, rows, names, &sight, all));
    json_put(report, "sums", sums_of(all));
    const char *text = json_canonical(arena, report);
    char *hex = arena_alloc(arena, DIGEST_HEX);
    digest_sm3(text, strlen(text), hex);
    json_put_text(report, "digest_sm3", hex);
    json_put_moment(report, "made_at", now);
    *ret_report = report;
    return NULL;
}
