/* Moves that the hypervisors do among themselves: live, and partition mobility; see migration_work.h. What
 * became of one is asked of the driver before it is begun and after every doubt. */
#include "broker/base/json.h"
#include "federation/migration_work.h"

#define BUSY_LOOK_US (5 * MOMENT_SECOND)

struct moving {
    struct migration_call call;
    struct migration_shape shape;
    struct driver_endpoint target;
    struct driver_move_spec spec;
    struct driver_key key;
};

static struct error *open_move(struct migration_work *work, struct moving *moving)
{
    const struct federation_services *services = work->job->context;
    const struct migration_row *row = &work->row;
    TRY(migration_read_shape(work, &moving->shape));
    TRY(fleet_endpoint(services->control.fleet, work->job->db, work->arena, row->target.endpoint,
                       &moving->target));
    moving->key = migration_key(work, &row->source);
    moving->spec = (struct driver_move_spec){.id = row->id,
                                             .target = &moving->target,
                                             .network = row->target.network,
                                             .disks = moving->shape.disks,
                                             .disk_count = moving->shape.disk_count,
                                             .downtime_us = row->downtime_us};
    for (size_t i = 0; i < moving->shape.disk_count; i++)
        if (moving->shape.disks[i].boot)
            moving->spec.high_performance = moving->shape.disks[i].high_performance;
    TRY(migration_bandwidth(work, &moving->spec.bandwidth));
    TRY(migration_call_open(work, &row->source, &moving->call));
    moving->call.call.call.deadline_us = moment_monotonic() + MIGRATION_CALL_US;
    return NULL;
}

static struct error *validate(struct migration_work *work)
{
    struct moving moving;
    TRY(migration_note_shape(work));
    TRY(open_move(work, &moving));
    struct error *error = gate_move_validate(provider_gate(&moving.call.call), &moving.call.call.call,
                                             &moving.key, &moving.spec);
    migration_call_close(&moving.call);
    return error;
}

/* Looks where it lives first: an earlier attempt may have got there. */
static struct error *move_opened(struct migration_work *work, struct moving *moving)
{
    struct gate *gate = provider_gate(&moving->call.call);
    const struct driver_call *call = &moving->call.call.call;
    struct driver_move_report report;
    enum driver_side side;
    struct error *error = gate_move_settle(gate, call, &moving->key, &moving->spec, false, &side);
    if (error && error_code(error) == ERR_BUSY) {
        error_free(error);
        work->wait_us = BUSY_LOOK_US;
        return NULL;
    }
    TRY(error);
    if (side == DRIVER_SIDE_TARGET)
        return NULL;
    TRY(gate_move_run(gate, call, &moving->key, &moving->spec, &report));
    work->downtime_us = report.downtime_us;
    work->row.target.ref = report.ref;
    return NULL;
}

static struct error *move(struct migration_work *work)
{
    struct moving moving;
    work->downtime_us = -1;
    TRY(open_move(work, &moving));
    struct error *error = move_opened(work, &moving);
    migration_call_close(&moving.call);
    return error;
}

static struct error *settle(struct migration_work *work)
{
    struct moving moving;
    enum driver_side side;
    if (!work->row.shape)
        return NULL; /* never begun */
    TRY(open_move(work, &moving));
    struct error *error = gate_move_settle(provider_gate(&moving.call.call), &moving.call.call.call,
                                           &moving.key, &moving.spec, true, &side);
    migration_call_close(&moving.call);
    TRY(error);
    if (side == DRIVER_SIDE_TARGET) {
        work->found = MIGRATION_EVENT_TOO_LATE;
        work->found_why = "the instance had arrived on the target before it could be stopped";
    }
    return NULL;
}

struct error *migration_perform_live(struct migration_work *work, enum migration_effect effect)
{
    if (effect == MIGRATION_VALIDATE)
        return validate(work);
    return effect == MIGRATION_MOVE ? move(work) : settle(work);
}
