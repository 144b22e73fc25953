/* See wave_sight.h. */
#include "federation/wave_sight.h"

#include <string.h>

#include "federation/migration.h"
#include "federation/wave_json.h"

static bool is_state(const struct wave_member *member, enum migration_state state)
{
    return member->state && !strcmp(member->state, migration_state_name(state));
}

/* How a move that runs stands: what it still copies, or that it is being cut over. */
static void put_running(const struct wave_member *member, moment now, struct wave_begun *begun)
{
    const json_t *eta = json_object_get(member->progress, "eta_seconds");
    begun->state = WAVE_RUNNING;
    begun->worked_us = member->first_pass_us;
    begun->cut_us = member->predicted_us >= 0 ? member->predicted_us : 0;
    begun->cutting = is_state(member, MIGRATION_CUTTING_OVER) || is_state(member, MIGRATION_VERIFYING);
    begun->left_known = begun->cutting || !is_state(member, MIGRATION_COPYING) || eta;
    if (is_state(member, MIGRATION_COPYING))
        begun->left_us = json_integer_value(eta) * MOMENT_SECOND;
    if (begun->cutting && member->down)
        begun->cut_us = begun->cut_us > now - member->down + MOMENT_SECOND
                            ? begun->cut_us - (now - member->down)
                            : MOMENT_SECOND; /* any moment now */
}

/* False: it waits for its turn and for nothing else. */
static bool begun_of(const struct wave_member *member, moment now, struct wave_begun *ret_begun)
{
    struct wave_begun begun = {.instance = member->resource,
                               .started = member->started ? member->started : now,
                               .copied_bytes = member->copied};
    switch (member->class) {
    case WAVE_CLASS_WAITING:
        if (!member->note)
            return false;
        begun.held = true;
        break;
    case WAVE_CLASS_RUNNING:
        put_running(member, now, &begun);
        break;
    case WAVE_CLASS_DONE:
        begun.state = WAVE_DONE;
        begun.ended = member->live ? member->live : now;
        begun.worked_us = member->first_pass_us;
        begun.cut_us = member->measured_us;
        break;
    default:
        begun.state = WAVE_LOST;
    }
    *ret_begun = begun;
    return true;
}

static bool has_system(const struct wave_member *members, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (members[i].class != WAVE_CLASS_OUT && !strcmp(members[i].system, name))
            return true;
    return false;
}

static bool had_system(const struct wave_member *members, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(members[i].system, name))
            return true;
    return false;
}

/* A system all of whose hosts were taken out is nothing to wait for. One that never was of the wave stays,
 * and is refused. */
static void leave_gone(struct arena *arena, const struct wave_member *members, size_t count,
                       struct json_list *list)
{
    const struct wave_follows *all = list->items;
    struct wave_follows *kept = arena_array(arena, list->count, sizeof *kept);
    size_t left = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct wave_follows follows = {all[i].system,
                                       {arena_array(arena, all[i].after.count, sizeof(char *)), 0}};
        for (size_t k = 0; k < all[i].after.count; k++) {
            const char *name = all[i].after.items[k];
            if (has_system(members, count, name) || !had_system(members, count, name))
                follows.after.items[follows.after.count++] = name;
        }
        if (follows.after.count &&
            (has_system(members, count, follows.system) || !had_system(members, count, follows.system)))
            kept[left++] = follows;
    }
    *list = (struct json_list){kept, left};
}

static json_t *method_of(const json_t *report, const char *name)
{
    size_t i;
    json_t *method;
    json_array_foreach (json_object_get(report, "methods"), i, method)
        if (!strcmp(json_string_value(json_object_get(method, "method")), name))
            return method;
    return NULL;
}

/* With the method that all moves of the wave are to take. */
static struct error *report_of(struct arena *arena, const struct wave_member *member, const char *method,
                               const json_t **ret_report)
{
    json_t *report = json_object_get(member->facts, "report");
    *ret_report = report;
    if (!method)
        return NULL;
    if (!json_is_true(json_object_get(method_of(report, method), "possible")))
        return error_member("/moves/method", "is not possible for instance \"%s\"", member->name);
    report = json_hold(arena, json_copy(report));
    json_put_text(report, "preferred", method);
    *ret_report = report;
    return NULL;
}

static void weigh(struct arena *arena, struct wave_sight *sight)
{
    const struct wave *wave = &sight->made.wave;
    sight->placed = true;
    for (size_t i = 0; i < wave->host_count; i++) {
        sight->placed = sight->placed && sight->slots[i].placed;
        if (sight->slots[i].placed && sight->slots[i].end > sight->forecast)
            sight->forecast = sight->slots[i].end;
    }
    if (!sight->placed)
        sight->forecast = 0;
    sight->paces = arena_array(arena, wave->system_count, sizeof *sight->paces);
    for (size_t i = 0; i < wave->system_count; i++) {
        wave_pace(wave, sight->slots, i, sight->made.began, &sight->paces[i]);
        sight->late = sight->late || (sight->paces[i].hosts && sight->paces[i].late);
    }
}

/* Hosts keep the members' order, for the request's is that of the rows. */
static void find_places(struct wave_sight *sight)
{
    size_t next = 0;
    for (size_t i = 0; i < sight->count; i++)
        sight->places[i] = sight->members[i].class == WAVE_CLASS_OUT ? WAVE_NOWHERE : next++;
}

struct error *wave_see(struct arena *arena, const struct wave_row *row, struct wave_member *members,
                       size_t count, moment now, struct wave_sight *ret_sight)
{
    struct wave_sight sight = {.row = *row,
                               .members = members,
                               .count = count,
                               .places = arena_array(arena, count, sizeof *sight.places)};
    struct assessment_host *hosts = arena_array(arena, count, sizeof *hosts);
    struct wave_begun *begun = arena_array(arena, count, sizeof *begun);
    size_t host_count = 0, begun_count = 0;
    TRY(wave_terms_read(arena, row->terms, &sight.terms));
    for (size_t i = 0; i < count; i++) {
        if (members[i].class == WAVE_CLASS_OUT)
            continue;
        struct assessment_host *host = &hosts[host_count++];
        *host = (struct assessment_host){.resource = members[i].resource,
                                         .system = members[i].system,
                                         .answers = json_object_get(members[i].facts, "answers")};
        TRY(report_of(arena, &members[i], sight.terms.moves.method, &host->report));
        begun_count += begun_of(&members[i], now, &begun[begun_count]);
    }
    struct wave_ask ask = sight.terms.ask;
    ask.began = ask.began ? ask.began : row->started ? row->started : now;
    ask.begun = (struct json_list){begun, begun_count};
    leave_gone(arena, members, count, &ask.dependencies);
    TRY(wave_of_assessment(arena, &ask, hosts, host_count, now, &sight.made));
    wave_plan(arena, &sight.made.wave, &sight.slots);
    find_places(&sight);
    weigh(arena, &sight);
    *ret_sight = sight;
    return NULL;
}

struct error *wave_look(struct db *db, struct arena *arena, const char *id, moment now,
                        struct wave_sight *ret_sight)
{
    struct wave_row row;
    struct wave_member *members;
    size_t count;
    TRY(wave_load(db, arena, id, false, &row));
    TRY(wave_members(db, arena, &row, &members, &count));
    return wave_see(arena, &row, members, count, now, ret_sight);
}

/* Of the systems that it waits for, those that are not over because a move failed. */
static const char *failed_before(struct arena *arena, const struct wave_sight *sight, size_t system)
{
    const struct wave *wave = &sight->made.wave;
    const char *names = NULL;
    for (size_t k = 0; k < wave->systems[system].after_count; k++) {
        const char *name = wave->systems[wave->systems[system].after[k]].name;
        bool failed = false;
        for (size_t i = 0; i < sight->count; i++)
            failed = failed || (sight->members[i].class == WAVE_CLASS_FAILED &&
                                !strcmp(sight->members[i].system, name));
        if (failed)
            names = names ? arena_printf(arena, "%s, %s", names, name) : name;
    }
    return names;
}

const char *wave_sight_reason(struct arena *arena, const struct wave_sight *sight, size_t number)
{
    const struct wave_member *member = &sight->members[number];
    if (member->class == WAVE_CLASS_OUT)
        return "it was taken out of the wave";
    if (member->class == WAVE_CLASS_FAILED)
        return arena_printf(arena, "its move is %s%s%s", member->state, member->trouble ? ": " : "",
                            member->trouble ? member->trouble : "");
    if (member->class == WAVE_CLASS_RUNNING && !member->note)
        return member->trouble;
    if (member->note || member->class != WAVE_CLASS_WAITING)
        return member->note;
    const struct wave_slot *slot = &sight->slots[sight->places[number]];
    if (slot->placed)
        return NULL;
    const char *failed = failed_before(arena, sight, sight->made.wave.hosts[sight->places[number]].system);
    if (failed)
        return arena_printf(arena, "a move of a system that it waits for has failed: %s", failed);
    return slot->never == WAVE_MOVE
               ? "a system that it waits for waits for a move that has failed"
               : "no window is long enough for its cut-over, or for one that it waits for";
}

/* Progress is of the pass or proof that was told last: it stays behind when that was the last one. */
static bool moves_data(const struct wave_member *member)
{
    return is_state(member, MIGRATION_COPYING) || is_state(member, MIGRATION_CUTTING_OVER);
}

static void put_move(json_t *json, const struct wave_member *member)
{
    if (!member->migration)
        return;
    json_t *move = json_object(), *downtime = json_object();
    json_put_text(move, "id", member->migration);
    json_put_text(move, "state", member->state);
    json_put_text(move, "approvals", member->approvals);
    json_put_int(move, "passes", member->passes);
    if (member->progress && moves_data(member))
        json_put(move, "progress", json_deep_copy(member->progress));
    if (member->predicted_us >= 0)
        json_put_int(downtime, "predicted_ms", member->predicted_us / 1000);
    if (member->measured_us)
        json_put_int(downtime, "measured_ms", member->measured_us / 1000);
    json_put_int(downtime, "agreed_seconds", member->agreed_us / MOMENT_SECOND);
    json_put(move, "downtime", downtime);
    json_put(json, "move", move);
}

static json_t *host_json(struct arena *arena, const struct wave_sight *sight, size_t i, moment now)
{
    const struct wave_member *member = &sight->members[i];
    json_t *json = json_object();
    json_put_text(json, "instance", member->resource);
    json_put_text(json, "name", member->name);
    json_put_text(json, "system", member->system);
    json_put_text(json, "assessment", member->assessment);
    json_put_text(json, "state", wave_class_name(member->class));
    json_put_int(json, "bytes", member->bytes);
    json_put_int(json, "copied_bytes", member->copied);
    json_put_text(json, "reason", wave_sight_reason(arena, sight, i));
    put_move(json, member);
    if (sight->places[i] == WAVE_NOWHERE || member->class == WAVE_CLASS_FAILED)
        return json;
    const struct wave_slot *slot = &sight->slots[sight->places[i]];
    wave_put_slot(json, slot);
    if (slot->placed && member->class != WAVE_CLASS_DONE)
        json_put_int(json, "eta_seconds", slot->end > now ? (slot->end - now) / MOMENT_SECOND : 0);
    return json;
}

void wave_sight_put(struct arena *arena, json_t *body, const struct wave_sight *sight, moment now)
{
    const struct wave *wave = &sight->made.wave;
    json_t *hosts = json_array(), *systems = json_array(), *forecast = json_object();
    for (size_t i = 0; i < sight->count; i++)
        json_push(hosts, host_json(arena, sight, i, now));
    for (size_t i = 0; i < wave->system_count; i++)
        if (sight->paces[i].hosts)
            json_push(systems, wave_pace_json(wave, i, &sight->paces[i]));
    json_put_bool(forecast, "placed", sight->placed);
    if (sight->forecast)
        json_put_moment(forecast, "ends_at", sight->forecast);
    if (sight->forecast && sight->forecast > now && !wave_life_ended(sight->row.life))
        json_put_int(forecast, "eta_seconds", (sight->forecast - now) / MOMENT_SECOND);
    json_put_bool(forecast, "late", sight->late);
    json_put_moment(body, "now", now);
    json_put_moment(body, "began_at", sight->made.began);
    if (sight->made.rate)
        json_put_int(body, "measured_bytes_per_second", sight->made.rate);
    json_put(body, "terms", json_deep_copy(sight->row.terms));
    json_put(body, "left_out", json_deep_copy(sight->row.left_out));
    json_put(body, "forecast", forecast);
    json_put(body, "pace", systems);
    json_put(body, "hosts", hosts);
}
