/* The gate's functions for the operations that move instances (drivers/driver_move.h). */
#include "drivers/argument.h"
#include "drivers/gate.h"
#include "drivers/gate_call.h"

struct error *gate_instance_detail(struct gate *gate, const struct driver_call *call,
                                   const struct driver_key *key, struct driver_detail *ret_detail)
{
    struct task done;
    TRY(gate_on_instance(gate, call, &operation_instance_detail, key, &done));
    *ret_detail = done.detail;
    return NULL;
}

static struct error *on_snapshot(struct gate *gate, const struct driver_call *call,
                                 const struct operation *operation, const struct driver_key *key,
                                 const char *name, bool quiesce)
{
    struct task *task;
    TRY(gate_prepare(gate, call, operation, &task));
    struct error *refused = argument_key(task, key, "instance", &task->instance);
    if (!refused)
        refused = argument_snapshot(task, name);
    task->quiesce = quiesce;
    return gate_finish(gate, call, task, refused, NULL);
}

struct error *gate_snapshot_create(struct gate *gate, const struct driver_call *call,
                                   const struct driver_key *key, const char *name, bool quiesce)
{
    return on_snapshot(gate, call, &operation_snapshot_create, key, name, quiesce);
}

struct error *gate_snapshot_revert(struct gate *gate, const struct driver_call *call,
                                   const struct driver_key *key, const char *name)
{
    return on_snapshot(gate, call, &operation_snapshot_revert, key, name, false);
}

struct error *gate_snapshot_delete(struct gate *gate, const struct driver_call *call,
                                   const struct driver_key *key, const char *name)
{
    return on_snapshot(gate, call, &operation_snapshot_delete, key, name, false);
}

static struct error *lacks(const struct gate *gate, const char *what)
{
    return error_new(ERR_UNSUPPORTED, "driver %s lacks \"%s\"", gate_driver(gate)->name, what);
}

struct error *gate_export_open(struct gate *gate, const struct driver_call *call,
                               const struct driver_key *key, const struct driver_export_spec *spec,
                               struct driver_export *ret_export)
{
    struct task *task, done;
    TRY(gate_prepare(gate, call, &operation_export_open, &task));
    struct error *refused = argument_key(task, key, "instance", &task->instance);
    if (!refused)
        refused = argument_export(task, spec);
    if (!refused && spec->access == DRIVER_WRITE && !gate_can(gate, DRIVER_CAN_WRITE_DISKS))
        refused = lacks(gate, "write-disks");
    if (!refused && (spec->checkpoint || spec->since) && !gate_can(gate, DRIVER_CAN_TRACK_CHANGES))
        refused = lacks(gate, "track-changes");
    TRY(gate_finish(gate, call, task, refused, &done));
    *ret_export = done.opened;
    return NULL;
}

struct error *gate_export_close(struct gate *gate, const struct driver_call *call,
                                const struct driver_key *key, const char *export_id, bool keep)
{
    struct task *task;
    TRY(gate_prepare(gate, call, &operation_export_close, &task));
    struct error *refused = argument_key(task, key, "instance", &task->instance);
    if (!refused)
        refused = argument_id(export_id, "export");
    if (!refused)
        task->export_id = arena_strdup(task->arena, export_id);
    task->keep = keep;
    return gate_finish(gate, call, task, refused, NULL);
}

struct error *gate_checkpoint_delete(struct gate *gate, const struct driver_call *call,
                                     const struct driver_key *key, const char *checkpoint)
{
    struct task *task;
    TRY(gate_prepare(gate, call, &operation_checkpoint_delete, &task));
    struct error *refused = argument_key(task, key, "instance", &task->instance);
    if (!refused)
        refused = argument_id(checkpoint, "checkpoint");
    if (!refused)
        task->checkpoint = arena_strdup(task->arena, checkpoint);
    return gate_finish(gate, call, task, refused, NULL);
}

struct error *gate_instance_prepare(struct gate *gate, const struct driver_call *call,
                                    const struct driver_shell_spec *spec,
                                    struct driver_instance *ret_instance)
{
    struct task *task, done;
    TRY(gate_prepare(gate, call, &operation_instance_prepare, &task));
    TRY(gate_finish(gate, call, task, argument_shell(task, spec), &done));
    *ret_instance = done.made_instance;
    return NULL;
}

struct error *gate_instance_fence(struct gate *gate, const struct driver_call *call,
                                  const struct driver_key *key)
{
    return gate_on_instance(gate, call, &operation_instance_fence, key, NULL);
}

struct error *gate_instance_release(struct gate *gate, const struct driver_call *call,
                                    const struct driver_key *key)
{
    return gate_on_instance(gate, call, &operation_instance_release, key, NULL);
}

struct error *gate_test_create(struct gate *gate, const struct driver_call *call,
                               const struct driver_key *key, const struct driver_test_spec *spec,
                               struct driver_instance *ret_instance)
{
    struct task *task, done;
    TRY(gate_prepare(gate, call, &operation_test_create, &task));
    struct error *refused = argument_key(task, key, "instance", &task->instance);
    if (!refused)
        refused = argument_test(task, spec);
    TRY(gate_finish(gate, call, task, refused, &done));
    *ret_instance = done.made_instance;
    return NULL;
}

static struct error *on_move(struct gate *gate, const struct driver_call *call,
                             const struct operation *operation, const struct driver_key *key,
                             const struct driver_move_spec *spec, bool abort, struct task *ret_done)
{
    struct task *task;
    TRY(gate_prepare(gate, call, operation, &task));
    struct error *refused = argument_key(task, key, "instance", &task->instance);
    if (!refused)
        refused = argument_move(task, spec);
    task->abort = abort;
    return gate_finish(gate, call, task, refused, ret_done);
}

struct error *gate_move_validate(struct gate *gate, const struct driver_call *call,
                                 const struct driver_key *key, const struct driver_move_spec *spec)
{
    return on_move(gate, call, &operation_move_validate, key, spec, false, NULL);
}

struct error *gate_move_run(struct gate *gate, const struct driver_call *call, const struct driver_key *key,
                            const struct driver_move_spec *spec, struct driver_move_report *ret_report)
{
    struct task done;
    TRY(on_move(gate, call, &operation_move_run, key, spec, false, &done));
    *ret_report = done.moved;
    return NULL;
}

struct error *gate_move_settle(struct gate *gate, const struct driver_call *call,
                               const struct driver_key *key, const struct driver_move_spec *spec, bool abort,
                               enum driver_side *ret_side)
{
    struct task done;
    TRY(on_move(gate, call, &operation_move_settle, key, spec, abort, &done));
    *ret_side = done.side;
    return NULL;
}
