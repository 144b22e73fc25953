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

/* From one end to the other, which has the adapters on that network; NULL: of the same name. */
static struct error *open_between(struct migration_work *work, const struct migration_end *from,
                                  const struct migration_end *to, const char *network, struct moving *moving)
{
    const struct federation_services *services = work->job->context;
    const struct migration_row *row = &work->row;
    TRY(migration_read_shape(work, &moving->shape));
    TRY(fleet_endpoint(services->control.fleet, work->job->db, work->arena, to->endpoint, &moving->target));
    moving->key = migration_key(work, from);
    moving->spec = (struct driver_move_spec){.id = row->id,
                                             .target = &moving->target,
                                             .network = network,
                                             .disks = moving->shape.disks,
                                             .disk_count = moving->shape.disk_count,
                                             .downtime_us = row->downtime_us};
    for (size_t i = 0; i < moving->shape.disk_count; i++)
        if (moving->shape.disks[i].boot)
            moving->spec.high_performance = moving->shape.disks[i].high_performance;
    TRY(migration_bandwidth(work, &moving->spec.bandwidth));
    TRY(migration_call_open(work, from, &moving->call));
    moving->call.call.call.deadline_us =
        moment_monotonic() + (migration_leaves_nothing(row->method) ? MIGRATION_CALL_US : MIGRATION_MOVE_US);
    return NULL;
}

static struct error *open_move(struct migration_work *work, struct moving *moving)
{
    const struct migration_row *row = &work->row;
    return open_between(work, &row->source, &row->target, row->target.network, moving);
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

static const struct db_statement select_network = {
    "migration_source_network", "SELECT network FROM zone WHERE cloud_id = $1 AND id = $2"};

struct wanted {
    struct migration_work *work;
    const char *network;
};

static struct error *network_body(struct db *db, void *context)
{
    struct wanted *wanted = context;
    const struct migration_end *source = &wanted->work->row.source;
    struct db_rows *rows;
    TRY(db_query(db, &select_network, DB_VALUES(db_text(source->cloud), db_text(source->zone)), &rows));
    (void)db_hold(wanted->work->arena, rows);
    wanted->network = db_count(rows) ? db_get_text(rows, 0, 0) : NULL;
    return NULL;
}

/* As there: the way back is a move of its own, from the target to the source. */
static struct error *move_back(struct migration_work *work)
{
    struct wanted wanted = {work, NULL};
    struct moving moving;
    const char *there = work->row.target.ref;
    work->downtime_us = -1;
    work->whatever_terms = work->whatever_terms_but_rate = true;
    TRY(job_transaction(work->job, DB_READ_COMMITTED, network_body, &wanted));
    TRY(open_between(work, &work->row.target, &work->row.source, wanted.network, &moving));
    struct error *error = move_opened(work, &moving);
    migration_call_close(&moving.call);
    work->row.target.ref = there;
    return error;
}

static struct error *move(struct migration_work *work)
{
    struct moving moving;
    work->downtime_us = -1;
    work->whatever_terms = work->whatever_terms_but_rate = true;
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
    if (effect == MIGRATION_MOVE_BACK)
        return move_back(work);
    return effect == MIGRATION_MOVE ? move(work) : settle(work);
}
