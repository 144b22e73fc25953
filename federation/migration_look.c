/* Looking at both ends of a move, and calls to their providers; see migration_work.h. */
#include <string.h>

#include "broker/base/json.h"
#include "federation/migration_work.h"

#define ASK_US MOMENT_SECOND
#define CONSENT_US (10 * MOMENT_SECOND) /* a consent runs out without a word */

static const struct db_statement select_version = {
    "migration_version",
    "SELECT version, state, coalesce(bandwidth, 0) FROM migration WHERE unit_id = $1 AND id = $2"};

static struct error *version_body(struct db *db, void *context)
{
    struct migration_work *work = context;
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &select_version, DB_VALUES(db_text(work->row.unit), db_text(work->row.id)),
                     "such migration", &rows));
    const struct migration_row *row = &work->row;
    bool changed = db_get_int(rows, 0, 0) != row->version, consented = true;
    bool same = !strcmp(db_get_text(rows, 0, 1), migration_state_name(row->state)) &&
                (!work->whatever_terms_but_rate || db_get_int(rows, 0, 2) == row->bandwidth);
    bool due = changed || moment_monotonic() - work->consent_at >= CONSENT_US;
    work->moved_on = changed && !(work->whatever_terms && same);
    if (work->moved_on || !due || row->state < MIGRATION_COPYING || row->state > MIGRATION_CUTTING_OVER)
        return NULL;
    TRY(migration_consented(db, work, clock_now(work->job->clock), &consented));
    work->consent_at = moment_monotonic();
    work->moved_on = !consented;
    return NULL;
}

bool migration_goes_on(struct migration_work *work)
{
    int64_t now = moment_monotonic();
    if (job_cancelled(work->job))
        return false;
    if (work->moved_on || now - work->asked_at < ASK_US || db_in_transaction(work->job->db))
        return !work->moved_on;
    work->asked_at = now;
    /* A database that cannot be asked now is asked again: the write that follows is what counts. */
    error_ignore(db_transaction(work->job->db, &db_scope_system, DB_READ_COMMITTED, version_body, work));
    return !work->moved_on;
}

static bool progress(void *context, int percent, const char *step)
{
    struct migration_call *call = context;
    return migration_goes_on(call->work);
}

struct error *migration_call_open(struct migration_work *work, const struct migration_end *end,
                                  struct migration_call *ret_call)
{
    ret_call->work = work;
    TRY(provider_call_open(work->job, end->endpoint, NULL, NULL, &ret_call->call));
    ret_call->call.call.arena = work->arena;
    ret_call->call.call.progress = progress;
    ret_call->call.call.context = ret_call;
    return NULL;
}

void migration_call_close(struct migration_call *call)
{
    provider_call_close(&call->call);
}

struct driver_key migration_key(const struct migration_work *work, const struct migration_end *end)
{
    return (struct driver_key){.id = work->row.resource, .ref = end->ref};
}

static struct error *look_at(struct migration_work *work, const struct migration_end *end,
                             struct migration_side *ret_side)
{
    struct migration_call call;
    struct driver_detail detail;
    struct driver_key key = migration_key(work, end);
    TRY(migration_call_open(work, end, &call));
    struct error *error = gate_instance_detail(provider_gate(&call.call), &call.call.call, &key, &detail);
    migration_call_close(&call);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_free(error);
        *ret_side = (struct migration_side){.known = true};
        return NULL;
    }
    TRY(error);
    *ret_side = (struct migration_side){.known = true,
                                        .there = true,
                                        .running = detail.instance.power != DRIVER_POWER_OFF,
                                        .fenced = detail.fenced};
    return NULL;
}

static void look_or_not(struct migration_work *work, const struct migration_end *end, const char *name,
                        struct migration_side *ret_side)
{
    *ret_side = (struct migration_side){.known = false};
    struct error *error = look_at(work, end, ret_side);
    if (error)
        work->unseen = arena_printf(work->arena, "the %s cannot be seen: %s", name, error_message(error));
    error_free(error);
}

void migration_look(struct migration_work *work)
{
    struct migration_facts *facts = &work->facts;
    const struct migration_row *row = &work->row;
    work->unseen = NULL;
    look_or_not(work, &row->source, "source", &facts->source);
    look_or_not(work, &row->target, "target", &facts->target);
    /* A target of ours that was never released is off and fenced, whether or not its provider answers now:
     * the source must be able to come back meanwhile. */
    if (row->state == MIGRATION_CANCELLING && !facts->target.known && !migration_moves(row->method)) {
        facts->target = (struct migration_side){.known = true, .there = true, .fenced = true};
        if (facts->source.known)
            work->unseen = NULL;
    }
    /* Its unit deleted it while the source was held: nothing is there to live, and nothing to go back for. */
    if (work->instance.state == RESOURCE_DELETED && facts->target.known && !facts->target.there)
        facts->target.there = true;
}

json_t *migration_shape(const struct driver_detail *detail)
{
    json_t *shape = json_object(), *disks = json_array();
    json_put_int(shape, "firmware", detail->firmware);
    json_put_text(shape, "guest", detail->guest_os);
    json_put_text(shape, "mac", detail->adapter_count ? detail->adapters[0].mac : NULL);
    json_put(shape, "disks", disks);
    for (size_t i = 0; i < detail->disk_count; i++) {
        const struct driver_disk *disk = &detail->disks[i];
        if (disk->removable)
            continue;
        json_t *json = json_object();
        json_put_text(json, "name", disk->name);
        json_put_text(json, "volume", disk->volume_id);
        json_put_int(json, "bytes", (int64_t)disk->size_bytes);
        json_put_bool(json, "boot", disk->boot);
        json_put_bool(json, "high", disk->high_performance);
        json_push(disks, json);
    }
    return shape;
}

struct error *migration_read_shape(const struct migration_work *work, struct migration_shape *ret_shape)
{
    const json_t *shape = work->row.shape, *disks = json_object_get(shape, "disks");
    struct migration_shape read = {
        .firmware = (enum driver_firmware)json_integer_value(json_object_get(shape, "firmware")),
        .mac = json_string_value(json_object_get(shape, "mac")),
        .disk_count = json_array_size(disks)};
    if (!read.disk_count || read.disk_count > MIGRATION_DISKS_MAX)
        return error_new(ERR_UNSUPPORTED, "instance \"%s\" has %zu disks to move; 1 to %d are possible",
                         work->row.name, read.disk_count, MIGRATION_DISKS_MAX);
    for (size_t i = 0; i < read.disk_count; i++) {
        const json_t *disk = json_array_get(disks, i);
        read.disks[i] = (struct driver_shell_disk){
            .volume_id = json_string_value(json_object_get(disk, "volume")),
            .size_bytes = (uint64_t)json_integer_value(json_object_get(disk, "bytes")),
            .high_performance = json_is_true(json_object_get(disk, "high")),
            .boot = json_is_true(json_object_get(disk, "boot"))};
    }
    *ret_shape = read;
    return NULL;
}

struct error *migration_same_shape(const struct migration_work *work, const struct driver_detail *detail)
{
    json_t *now = json_hold(work->arena, migration_shape(detail));
    const json_t *then = json_object_get(work->row.shape, "disks"), *disks = json_object_get(now, "disks");
    if (json_equal(then, disks))
        return NULL;
    return error_new(ERR_INVALID, "the disks are not any more those that copying began with: %s, then %s",
                     json_canonical(work->arena, disks), json_canonical(work->arena, then));
}
