/* What a move writes in the rows of the floors below: room, claims, where the resource lives and who is
 * billed for it; see migration_work.h. Rows are locked migration first, then instance, then its volumes. */
#include <string.h>

#include "broker/base/json.h"
#include "broker/control/other_side.h"
#include "broker/control/quota.h"
#include "federation/assess.h"
#include "federation/migration_data.h"
#include "federation/migration_work.h"

#define SOURCE "source"
#define TARGET "target"

/* As it was when the move began: what is resized while the source is held takes its own. */
static void demand_of(const struct migration_work *work, struct demand *demand, int sign)
{
    size_t i;
    json_t *volume;
    demand_add(demand, "instance", json_object_get(work->row.moved, "spec"), sign);
    json_array_foreach (json_object_get(work->row.moved, "volumes"), i, volume)
        demand_add(demand, "volume", json_object_get(volume, "spec"), sign);
}

static struct error *is_open(struct db *db, struct migration_work *work, const char *side, const char *kind,
                             bool *ret_open)
{
    const char **list;
    size_t count;
    TRY(migration_open_entries(db, work->arena, &work->row, side, kind, &list, &count));
    *ret_open = count > 0;
    return NULL;
}

/* On the other cloud the same as here, from its first byte on. */
static struct error *take_room(struct db *db, struct migration_work *work, moment now)
{
    struct demand demand = {0};
    bool taken;
    TRY(is_open(db, work, TARGET, "room", &taken));
    if (taken)
        return NULL;
    demand_of(work, &demand, 1);
    if (strcmp(work->row.source.cloud, work->row.target.cloud))
        TRY(quota_take(db, work->row.unit, work->row.target.cloud, &demand));
    TRY(capacity_take(db, work->row.target.cloud, work->row.target.endpoint, &demand));
    return migration_enter(db, &work->row, TARGET, "room", work->row.name, now);
}

static struct error *give_room(struct db *db, struct migration_work *work, const char *side, moment now)
{
    const struct migration_end *end = !strcmp(side, SOURCE) ? &work->row.source : &work->row.target;
    struct demand demand = {0};
    bool taken;
    TRY(is_open(db, work, side, "room", &taken));
    if (!taken)
        return NULL;
    demand_of(work, &demand, -1);
    if (strcmp(work->row.source.cloud, work->row.target.cloud))
        TRY(quota_take(db, work->row.unit, end->cloud, &demand));
    TRY(capacity_take(db, end->cloud, end->endpoint, &demand));
    return migration_cross_out(db, &work->row, side, "room", work->row.name, now);
}

/* On the target once more what the instance takes, while it is tested; nothing of the unit's quota. */
static struct error *lend(struct db *db, struct migration_work *work, moment now)
{
    const struct migration_row *row = &work->row;
    struct demand demand = {0};
    bool lent;
    if (!work->test.id || work->test.outcome)
        return NULL;
    TRY(is_open(db, work, TARGET, "test", &lent));
    if (lent)
        return NULL;
    demand_of(work, &demand, 1);
    TRY(capacity_take(db, row->target.cloud, row->target.endpoint, &demand));
    TRY(passing_put(db, &work->instance, row->target.endpoint, work->test.id,
                    json_object_get(row->moved, "spec")));
    TRY(migration_enter(db, row, TARGET, "test", work->test.id, now));
    return migration_meter(db, work, now);
}

static struct error *end_loan(struct db *db, struct migration_work *work, moment now)
{
    const struct migration_row *row = &work->row;
    const char **tests;
    size_t count;
    TRY(migration_open_entries(db, work->arena, row, TARGET, "test", &tests, &count));
    for (size_t i = 0; i < count; i++) {
        struct demand demand = {0};
        demand_of(work, &demand, -1);
        TRY(capacity_take(db, row->target.cloud, row->target.endpoint, &demand));
        TRY(passing_remove(db, row->unit, tests[i]));
        TRY(migration_cross_out(db, row, TARGET, "test", tests[i], now));
    }
    return count ? migration_meter(db, work, now) : NULL;
}

static const struct db_statement set_moved = {
    "migration_set_moved", "UPDATE migration SET moved = $3 WHERE unit_id = $1 AND id = $2"};

/* What goes along, from the start on. */
static struct error *note_moved(struct db *db, struct migration_work *work)
{
    json_t *moved = json_hold(work->arena, json_object()), *volumes = json_array();
    json_put(moved, "spec", json_incref(work->instance.spec));
    json_put(moved, "volumes", volumes);
    for (size_t i = 0; i < work->volume_count; i++) {
        json_t *volume = json_object();
        json_put_text(volume, "id", work->volumes[i].id);
        json_put(volume, "spec", json_incref(work->volumes[i].spec));
        json_push(volumes, volume);
    }
    work->row.moved = moved;
    return db_run(db, &set_moved, DB_VALUES(db_text(work->row.unit), db_text(work->row.id), db_json(moved)),
                  NULL);
}

/* The instance and its volumes: held by the move, so that nothing else changes them. */
static struct error *claim(struct db *db, struct migration_work *work, moment now)
{
    TRY(resource_claim(db, &work->instance, work->row.id, now));
    for (size_t i = 0; i < work->volume_count; i++)
        TRY(resource_claim(db, &work->volumes[i], work->row.id, now));
    return NULL;
}

static struct error *let_go(struct db *db, struct migration_work *work, const char *failure, moment now)
{
    TRY(resource_release(db, &work->instance, work->row.id, failure, now));
    for (size_t i = 0; i < work->volume_count; i++)
        TRY(resource_release(db, &work->volumes[i], work->row.id, NULL, now));
    return NULL;
}

/* What an inventory of the other end may show of them without being drift. */
static struct error *note_sides(struct db *db, struct migration_work *work, const struct migration_end *end,
                                bool may_run)
{
    TRY(other_side_put(db, &work->instance, end->endpoint, may_run));
    for (size_t i = 0; i < work->volume_count; i++)
        TRY(other_side_put(db, &work->volumes[i], end->endpoint, may_run));
    return NULL;
}

static struct error *forget_sides(struct db *db, struct migration_work *work, const struct migration_end *end)
{
    TRY(other_side_remove(db, &work->instance, end->endpoint));
    for (size_t i = 0; i < work->volume_count; i++)
        TRY(other_side_remove(db, &work->volumes[i], end->endpoint));
    return NULL;
}

/* Instance and volumes live there from now on: rows and usage change in one. */
static struct error *relocate(struct db *db, struct migration_work *work, const struct migration_end *from,
                              const struct migration_end *to, moment now)
{
    const struct resource_place place = {.cloud = to->cloud,
                                         .provider = to->provider,
                                         .zone = to->zone,
                                         .endpoint = to->endpoint,
                                         .ref = to->ref};
    struct resource_place volume_place = place;
    volume_place.ref = NULL; /* found by its stamp */
    TRY(resource_relocate(db, work->arena, &work->instance, &place, now));
    for (size_t i = 0; i < work->volume_count; i++)
        TRY(resource_relocate(db, work->arena, &work->volumes[i], &volume_place, now));
    TRY(forget_sides(db, work, to));
    return note_sides(db, work, from, false);
}

/* What was made of the one side becomes what is left of the other, if anything is; room is kept for the way
 * back. */
static struct error *swap_entries(struct db *db, struct migration_work *work, const char *from,
                                  const char *to, moment now)
{
    static const char *const kinds[] = {"instance", "room"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *what = i ? work->row.name : work->row.resource;
        TRY(migration_cross_out(db, &work->row, to, kinds[i], what, now));
        if (i || !migration_leaves_nothing(work->row.method))
            TRY(migration_enter(db, &work->row, from, kinds[i], what, now));
    }
    return migration_meter(db, work, now);
}

static const struct db_statement set_live = {
    "migration_set_live", "UPDATE migration SET live_at = $3, hold_until = $4, hold_told = false,"
                          " measured_us = CASE WHEN was_on THEN coalesce(measured_us,"
                          " (extract(epoch FROM $3 - down_at) * 1000000)::bigint) END,"
                          " start_us = CASE WHEN was_on THEN $5::bigint END"
                          " WHERE unit_id = $1 AND id = $2"};

/* How long it took to be there again; of one that arrived running there is nothing to tell. */
static struct db_value start_time(const struct migration_work *work, moment now)
{
    const json_t *started = json_object_get(work->job->state, "started");
    bool measured = started && !migration_moves(work->row.method) && json_integer_value(started) <= now;
    return measured ? db_int(now - json_integer_value(started)) : db_null();
}

static struct error *go_over(struct db *db, struct migration_work *work, moment now)
{
    const struct migration_row *row = &work->row;
    TRY(relocate(db, work, &row->source, &row->target, now));
    TRY(swap_entries(db, work, SOURCE, TARGET, now));
    TRY(db_run(db, &set_live,
               DB_VALUES(db_text(row->unit), db_text(row->id), db_moment(now), db_moment(now + row->hold_us),
                         start_time(work, now)),
               NULL));
    return let_go(db, work, NULL, now);
}

/* What was resized on the other side: here it is as it was. What the hypervisors move back is as large as it
 * is, and takes the difference on this side. What is given back on the other one in the end is what was taken
 * at first. */
static struct error *size_back(struct db *db, struct migration_work *work, struct resource *resource,
                               json_t *spec, moment now)
{
    const struct migration_row *row = &work->row;
    struct demand less = {0}, more = {0};
    demand_add(&less, resource->kind, spec, 1);
    demand_add(&less, resource->kind, resource->spec, -1);
    TRY(quota_count(db, row->unit, row->target.cloud, row->target.endpoint, &less));
    if (migration_leaves_nothing(row->method)) {
        demand_add(&more, resource->kind, resource->spec, 1);
        demand_add(&more, resource->kind, spec, -1);
        return quota_count(db, row->unit, row->source.cloud, row->source.endpoint, &more);
    }
    TRY(resource_set_spec(db, resource, spec, now));
    resource->spec = spec;
    return NULL;
}

static struct error *sizes_back(struct db *db, struct migration_work *work, moment now)
{
    const json_t *moved = work->row.moved, *volumes = json_object_get(moved, "volumes");
    TRY(size_back(db, work, &work->instance, json_object_get(moved, "spec"), now));
    for (size_t i = 0; i < work->volume_count; i++) /* in the same order: migration_load_work */
        TRY(size_back(db, work, &work->volumes[i], json_object_get(json_array_get(volumes, i), "spec"), now));
    return NULL;
}

/* Also when it never went over: then nothing changes. */
static struct error *go_back(struct db *db, struct migration_work *work, moment now)
{
    const struct migration_row *row = &work->row;
    if (strcmp(work->instance.endpoint, row->source.endpoint)) {
        TRY(sizes_back(db, work, now));
        TRY(relocate(db, work, &row->target, &row->source, now));
        TRY(swap_entries(db, work, TARGET, SOURCE, now));
    }
    const char *power = row->was_on ? "on" : "off";
    if (!strcmp(work->instance.power, power))
        return NULL;
    TRY(resource_set_power(db, &work->instance, power, now));
    work->instance.power = power;
    return resource_meter(db, &work->instance, now);
}

static const struct db_statement set_down = {
    "migration_set_down",
    "UPDATE migration SET down_at = coalesce(down_at, $3) WHERE unit_id = $1 AND id = $2"};

struct error *migration_before(struct db *db, struct migration_work *work, enum migration_effect effect,
                               moment now)
{
    const struct migration_row *row = &work->row;
    switch (effect) {
    case MIGRATION_SHELL_MAKE:
    case MIGRATION_MOVE:
        TRY(migration_enter(db, row, TARGET, "instance", row->resource, now));
        TRY(migration_meter(db, work, now));
        return note_sides(db, work, &row->target, effect == MIGRATION_MOVE);
    case MIGRATION_CONVERT:
        return migration_convert_begun(db, work);
    case MIGRATION_TARGET_RELEASE:
        return note_sides(db, work, &row->target, true);
    case MIGRATION_SOURCE_STOP: /* its service ends with the word to shut down */
        return db_run(db, &set_down, DB_VALUES(db_text(row->unit), db_text(row->id), db_moment(now)), NULL);
    case MIGRATION_TARGET_START:
        if (json_object_get(work->job->state, "started"))
            return NULL;
        json_put_int(work->job->state, "started", now);
        return job_save(work->job);
    case MIGRATION_TEST_MAKE:
        return lend(db, work, now);
    case MIGRATION_MOVE_BACK:
        return note_sides(db, work, &row->source, true);
    default:
        return NULL;
    }
}

static const struct db_statement set_stopped = {
    "migration_set_stopped",
    "UPDATE migration SET stop_us = (extract(epoch FROM $3 - down_at) * 1000000)::bigint"
    " WHERE unit_id = $1 AND id = $2 AND was_on AND down_at <= $3 AND stop_us IS NULL"};

static const struct db_statement set_predicted = {
    "migration_set_predicted", "UPDATE migration SET predicted_us = $3 WHERE unit_id = $1 AND id = $2"};
static const struct db_statement set_found_ref = {
    "migration_found_ref", "UPDATE migration SET target_ref = $3 WHERE unit_id = $1 AND id = $2"};
static const struct db_statement set_moved_live = {
    "migration_set_moved_live", "UPDATE migration SET measured_us = $3, target_ref = coalesce($4, target_ref)"
                                " WHERE unit_id = $1 AND id = $2"};

/* A live move keeps within what is agreed, or fails. */
static struct error *predict_live(struct db *db, const struct migration_row *row)
{
    int64_t usual = row->method == MIGRATION_MOBILITY ? ASSESS_MOBILITY_DOWNTIME_US : ASSESS_LIVE_DOWNTIME_US;
    bool within = row->downtime_us && row->downtime_us < usual;
    return db_run(db, &set_predicted,
                  DB_VALUES(db_text(row->unit), db_text(row->id), db_int(within ? row->downtime_us : usual)),
                  NULL);
}

struct error *migration_after(struct db *db, struct migration_work *work, enum migration_effect effect,
                              moment now)
{
    const struct migration_row *row = &work->row;
    switch (effect) {
    case MIGRATION_ROOM_TAKE:
        return take_room(db, work, now);
    case MIGRATION_SOURCE_STOP:
        return db_run(db, &set_stopped, DB_VALUES(db_text(row->unit), db_text(row->id), db_moment(now)),
                      NULL);
    case MIGRATION_LAST_PASS:
        TRY(migration_convert_again(db, work));
        return migration_pass_write(db, work, now);
    case MIGRATION_PASS:
        return migration_pass_write(db, work, now);
    case MIGRATION_CONVERT:
        TRY(migration_convert_ended(db, work));
        return migration_cross_out(db, row, TARGET, "export", work->plan.target, now);
    case MIGRATION_PROVE:
        return migration_cross_out(db, row, TARGET, "export", work->plan.target, now);
    case MIGRATION_TEST_RUN:
        return work->tested.outcome ? migration_test_end(db, row, &work->tested, now) : NULL;
    case MIGRATION_TEST_REMOVE:
        return end_loan(db, work, now);
    case MIGRATION_VALIDATE:
        return predict_live(db, row);
    case MIGRATION_MOVE:
        return db_run(db, &set_moved_live,
                      DB_VALUES(db_text(row->unit), db_text(row->id),
                                work->downtime_us >= 0 ? db_int(work->downtime_us) : db_null(),
                                db_text(row->target.ref)),
                      NULL);
    case MIGRATION_HEALTH:
        return db_run(db, &set_found_ref,
                      DB_VALUES(db_text(row->unit), db_text(row->id), db_text(row->target.ref)), NULL);
    case MIGRATION_ROW_BACK:
        return go_back(db, work, now);
    case MIGRATION_TARGET_DELETE:
        TRY(forget_sides(db, work, &row->target));
        TRY(migration_cross_out(db, row, TARGET, "instance", row->resource, now));
        return migration_meter(db, work, now);
    case MIGRATION_SOURCE_DELETE:
        TRY(forget_sides(db, work, &row->source));
        TRY(migration_cross_out(db, row, SOURCE, "instance", row->resource, now));
        return migration_meter(db, work, now);
    case MIGRATION_ROOM_GIVE:
        return give_room(db, work, row->state == MIGRATION_COMMITTING ? SOURCE : TARGET, now);
    default:
        return NULL;
    }
}

/* What was attached since the cut-over is on the other side alone; what was detached may be another's by now.
 */
static struct error *check_attached(struct db *db, struct migration_work *work)
{
    struct resource *attached;
    size_t count;
    TRY(resource_attached(db, work->arena, work->row.unit, work->row.resource, &attached, &count));
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (k < work->volume_count && strcmp(work->volumes[k].id, attached[i].id))
            k++;
        if (k == work->volume_count)
            return error_new(ERR_CONFLICT, "%s \"%s\" was attached since the cut-over: detach it first",
                             attached[i].kind, attached[i].name);
    }
    for (size_t i = 0; i < work->volume_count; i++) {
        const struct resource *volume = &work->volumes[i];
        if (volume->state != RESOURCE_ACTIVE)
            return error_new(ERR_CONFLICT, "volume \"%s\", which came along, is %s", volume->name,
                             resource_state_name(volume->state));
        if (!volume->attached_to || strcmp(volume->attached_to, work->instance.id) != 0)
            return error_new(ERR_CONFLICT,
                             "volume \"%s\", which came along, is not attached any more: attach it first",
                             volume->name);
    }
    return work->instance.state == RESOURCE_ACTIVE
               ? NULL
               : error_new(ERR_CONFLICT, "instance \"%s\" is %s", work->instance.name,
                           resource_state_name(work->instance.state));
}

static const struct db_statement set_was_on = {
    "migration_set_was_on", "UPDATE migration SET was_on = $3, down_at = NULL, measured_us = NULL"
                            " WHERE unit_id = $1 AND id = $2"};

struct error *migration_load_work(struct db *db, struct migration_work *work, const char *unit,
                                  const char *id)
{
    struct migration_row *row = &work->row;
    TRY(migration_load(db, work->arena, unit, id, row));
    TRY(resource_load(db, work->arena, row->unit, row->resource, "instance", &work->instance));
    if (!row->moved)
        return resource_attached(db, work->arena, row->unit, row->resource, &work->volumes,
                                 &work->volume_count);
    const json_t *volumes = json_object_get(row->moved, "volumes");
    work->volume_count = json_array_size(volumes);
    work->volumes = arena_array(work->arena, work->volume_count, sizeof *work->volumes);
    for (size_t i = 0; i < work->volume_count; i++)
        TRY(resource_load(db, work->arena, row->unit,
                          json_string_value(json_object_get(json_array_get(volumes, i), "id")), NULL,
                          &work->volumes[i]));
    return NULL;
}

/* Whether it has to run where the move ends, whichever end that is. */
static struct error *note_power(struct db *db, struct migration_work *work)
{
    struct migration_row *row = &work->row;
    row->was_on = !strcmp(work->instance.power, "on");
    return db_run(db, &set_was_on, DB_VALUES(db_text(row->unit), db_text(row->id), db_bool(row->was_on)),
                  NULL);
}

struct error *migration_entered(struct db *db, struct migration_work *work, enum migration_state from,
                                moment now)
{
    struct migration_row *row = &work->row;
    switch (row->state) {
    case MIGRATION_COPYING:
        if (from != MIGRATION_APPROVED)
            return NULL;
        TRY(note_moved(db, work));
        TRY(note_power(db, work)); /* of one that is cancelled before its cut-over */
        return claim(db, work, now);
    case MIGRATION_CUTTING_OVER:
        return note_power(db, work);
    case MIGRATION_HOLDING:
        return go_over(db, work, now);
    case MIGRATION_ROLLING_BACK:
        if (from != MIGRATION_HOLDING)
            return NULL;
        TRY(check_attached(db, work));
        return claim(db, work, now);
    case MIGRATION_CANCELLING:
        return migration_test_end(
            db, row, &(struct migration_test_result){.outcome = "cancelled", .why = "the move was cancelled"},
            now);
    case MIGRATION_ROLLED_BACK:
    case MIGRATION_CANCELLED:
        return let_go(db, work, NULL, now);
    default:
        return NULL;
    }
}
