/* One effect at one end of a move: shell, power, fence, health, removal; see migration_work.h. Each looks
 * first or relies on the contract of drivers/driver.h that already so is success. */
#include <string.h>

#include "broker/base/json.h"
#include "federation/migration_work.h"

#define STOP_GRACE_US (2 * MOMENT_MINUTE)  /* for the guest to shut down by itself */
#define HEALTH_MOST_US (2 * MOMENT_MINUTE) /* for something in the guest to answer */
#define HEALTH_LOOK_US (2 * MOMENT_SECOND)
#define CONSOLE_LOOK 4096

static struct error *gone_is_good(struct error *error)
{
    if (!error || error_code(error) != ERR_NOT_FOUND)
        return error;
    error_free(error);
    return NULL;
}

struct shape_made {
    struct migration_work *work;
    json_t *shape;
};

static const struct db_statement set_shape = {
    "migration_set_shape",
    "UPDATE migration SET shape = $3 WHERE unit_id = $1 AND id = $2 AND shape IS NULL"};

static struct error *shape_body(struct db *db, void *context)
{
    const struct shape_made *made = context;
    const struct migration_row *row = &made->work->row;
    TRY(migration_still(db, row));
    return db_run(db, &set_shape, DB_VALUES(db_text(row->unit), db_text(row->id), db_json(made->shape)),
                  NULL);
}

/* What the instance is when copying begins; later passes are of the same. */
struct error *migration_note_shape(struct migration_work *work)
{
    struct migration_call call;
    struct driver_detail detail;
    struct driver_key key = migration_key(work, &work->row.source);
    TRY(migration_call_open(work, &work->row.source, &call));
    struct error *error = gate_instance_detail(provider_gate(&call.call), &call.call.call, &key, &detail);
    migration_call_close(&call);
    TRY(error);
    bool copies = !migration_leaves_nothing(work->row.method);
    for (size_t i = 0; i < detail.disk_count && copies; i++)
        if (!detail.disks[i].removable && detail.disks[i].unreadable)
            return error_new(ERR_UNSUPPORTED, "disk %s cannot be copied: %s", detail.disks[i].name,
                             detail.disks[i].unreadable);
    if (work->row.shape)
        return migration_same_shape(work, &detail);
    struct shape_made made = {work, json_hold(work->arena, migration_shape(&detail))};
    TRY(job_transaction(work->job, DB_READ_COMMITTED, shape_body, &made));
    work->row.shape = made.shape;
    return NULL;
}

static const struct db_statement set_target_ref = {
    "migration_target_ref", "UPDATE migration SET target_ref = $3 WHERE unit_id = $1 AND id = $2"};

static struct error *target_ref_body(struct db *db, void *context)
{
    const struct migration_row *row = &((struct migration_work *)context)->row;
    return db_run(db, &set_target_ref,
                  DB_VALUES(db_text(row->unit), db_text(row->id), db_text(row->target.ref)), NULL);
}

static struct error *make_shell(struct migration_work *work)
{
    struct migration_call call;
    struct migration_shape shape;
    struct driver_instance made;
    const json_t *spec = work->instance.spec;
    TRY(migration_note_shape(work));
    TRY(migration_read_shape(work, &shape));
    const struct driver_shell_spec shell = {
        .id = work->row.resource,
        .name = work->row.name,
        .architecture = json_string_value(json_object_get(spec, "architecture")),
        .vcpu = (unsigned)json_integer_value(json_object_get(spec, "vcpu")),
        .memory_mb = (uint64_t)json_integer_value(json_object_get(spec, "memory_gb")) * 1024,
        .firmware = shape.firmware,
        .network = work->row.target.network,
        .mac = shape.mac,
        .disks = shape.disks,
        .disk_count = shape.disk_count};
    TRY(migration_call_open(work, &work->row.target, &call));
    struct error *error = gate_instance_prepare(provider_gate(&call.call), &call.call.call, &shell, &made);
    migration_call_close(&call);
    TRY(error);
    work->row.target.ref = made.ref;
    return job_transaction(work->job, DB_READ_COMMITTED, target_ref_body, work);
}

/* With the volumes that went, or came, along. */
static struct error *delete_end(struct migration_work *work, struct gate *gate,
                                const struct driver_call *call, const struct driver_key *key)
{
    const json_t *disks = json_object_get(work->row.shape, "disks");
    TRY(gone_is_good(gate_instance_delete(gate, call, key)));
    for (size_t i = 0; i < json_array_size(disks) && gate_can(gate, DRIVER_CAN_VOLUMES); i++) {
        const char *volume = json_string_value(json_object_get(json_array_get(disks, i), "volume"));
        if (volume)
            TRY(gone_is_good(gate_volume_delete(gate, call, &(struct driver_key){.id = volume})));
    }
    return NULL;
}

/* Whether something in the guest answers: its agent, an address, its console. */
static bool answers(struct gate *gate, const struct driver_call *call, const struct driver_key *key,
                    const struct driver_detail *detail)
{
    const char *text;
    size_t length = 0;
    if (detail->agent || detail->instance.address)
        return true;
    if (!gate_can(gate, DRIVER_CAN_CONSOLE))
        return false;
    struct error *error = gate_instance_console(gate, call, key, CONSOLE_LOOK, &text, &length);
    error_free(error); /* a console that cannot be read is no sign of illness */
    return !error && length > 0;
}

static struct error *check_health(struct migration_work *work, struct gate *gate,
                                  const struct driver_call *call, const struct driver_key *key)
{
    struct driver_detail detail;
    moment now = clock_now(work->job->clock);
    json_t *since = json_object_get(work->job->state, "health_since");
    TRY(gate_instance_detail(gate, call, key, &detail));
    work->row.target.ref = detail.instance.ref; /* of one that arrived without its move's report, too */
    if (!work->row.was_on)
        return NULL; /* it was off, and stays so */
    if (detail.instance.power != DRIVER_POWER_ON) {
        work->found = MIGRATION_EVENT_UNHEALTHY;
        work->found_why = "the target does not keep running";
        return NULL;
    }
    if (!since)
        json_put_int(work->job->state, "health_since", now);
    moment began = since ? json_integer_value(since) : now;
    if (answers(gate, call, key, &detail))
        return NULL;
    if (now - began < HEALTH_MOST_US)
        work->wait_us = HEALTH_LOOK_US;
    else
        work->found_why = "it runs; nothing in the guest has answered yet";
    return NULL;
}

static struct error *perform_at(struct migration_work *work, enum migration_effect effect,
                                struct migration_call *at, const struct driver_key *key)
{
    struct gate *gate = provider_gate(&at->call);
    const struct driver_call *call = &at->call.call;
    switch (effect) {
    case MIGRATION_SOURCE_STOP:
        return gate_instance_stop(gate, call, key, STOP_GRACE_US);
    case MIGRATION_TARGET_STOP:
        return gone_is_good(gate_instance_stop(gate, call, key, STOP_GRACE_US));
    case MIGRATION_SOURCE_FENCE:
        return gate_instance_fence(gate, call, key);
    case MIGRATION_TARGET_FENCE:
        return gone_is_good(gate_instance_fence(gate, call, key));
    case MIGRATION_SOURCE_RELEASE:
    case MIGRATION_TARGET_RELEASE:
        return gate_instance_release(gate, call, key);
    case MIGRATION_SOURCE_START:
    case MIGRATION_TARGET_START:
        return work->row.was_on ? gate_instance_start(gate, call, key) : NULL;
    case MIGRATION_HEALTH:
        return check_health(work, gate, call, key);
    case MIGRATION_SOURCE_DELETE:
    case MIGRATION_TARGET_DELETE:
        return delete_end(work, gate, call, key);
    default:
        return error_new(ERR_INTERNAL, "%s is no effect at one end", migration_effect_name(effect));
    }
}

static bool is_at_source(enum migration_effect effect)
{
    return effect == MIGRATION_SOURCE_STOP || effect == MIGRATION_SOURCE_FENCE ||
           effect == MIGRATION_SOURCE_RELEASE || effect == MIGRATION_SOURCE_START ||
           effect == MIGRATION_SOURCE_DELETE;
}

struct error *migration_perform_side(struct migration_work *work, enum migration_effect effect)
{
    struct migration_call call;
    const struct migration_end *end = is_at_source(effect) ? &work->row.source : &work->row.target;
    if (effect == MIGRATION_SHELL_MAKE)
        return make_shell(work);
    struct driver_key key = migration_key(work, end);
    TRY(migration_call_open(work, end, &call));
    struct error *error = perform_at(work, effect, &call, &key);
    migration_call_close(&call);
    return error;
}
