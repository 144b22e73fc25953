/* The operations of the driver contract as data; see operation.h. */
#include "drivers/operation.h"

#include <stdlib.h>

/* One line for each: how the arguments of a task become those of the driver's function. */
#define RUN(op, ...)                                                                           \
    static struct error *run_##op(const struct driver *driver, struct driver_session *session, \
                                  const struct driver_call *call, struct task *task)           \
    {                                                                                          \
        return driver->op(session, call, __VA_ARGS__);                                         \
    }

static struct error *run_ping(const struct driver *driver, struct driver_session *session,
                              const struct driver_call *call, struct task *task)
{
    return driver->ping(session, call);
}

RUN(about, &task->about)
RUN(inventory, &task->inventory)
RUN(capacity, &task->capacity)
RUN(instance_find, &task->instance, &task->made_instance)
RUN(instance_create, &task->instance_spec, &task->made_instance)
RUN(instance_start, &task->instance)
RUN(instance_stop, &task->instance, task->grace_us)
RUN(instance_reboot, &task->instance)
RUN(instance_resize, &task->instance, task->vcpu, task->memory_mb)
RUN(instance_delete, &task->instance)
RUN(instance_console, &task->instance, task->limit, &task->text, &task->length)
RUN(volume_find, &task->volume, &task->made_volume)
RUN(volume_create, &task->volume_spec, &task->made_volume)
RUN(volume_attach, &task->volume, &task->instance)
RUN(volume_detach, &task->volume, &task->instance)
RUN(volume_resize, &task->volume, task->size_gb)
RUN(volume_delete, &task->volume)
RUN(watch, &task->changes, &task->change_count)
RUN(instance_detail, &task->instance, &task->detail)
RUN(snapshot_create, &task->instance, task->name, task->quiesce)
RUN(snapshot_revert, &task->instance, task->name)
RUN(snapshot_delete, &task->instance, task->name)
RUN(export_open, &task->instance, &task->export_spec, &task->opened)
RUN(export_close, &task->instance, task->export_id, task->keep)
RUN(checkpoint_delete, &task->instance, task->checkpoint)
RUN(instance_prepare, &task->shell_spec, &task->made_instance)
RUN(instance_fence, &task->instance)
RUN(instance_release, &task->instance)
RUN(test_create, &task->instance, &task->test_spec, &task->made_instance)
RUN(move_validate, &task->instance, &task->move_spec)
RUN(move_run, &task->instance, &task->move_spec, &task->moved)
RUN(move_settle, &task->instance, &task->move_spec, task->abort, &task->side)

#define OPERATION(op, ...) const struct operation operation_##op = {.name = #op, .run = run_##op, __VA_ARGS__}
#define VOLUMES .capability = DRIVER_CAN_VOLUMES, .capability_name = "volumes"

OPERATION(ping, .repeatable = true, .quiet = true);
OPERATION(about, .repeatable = true, .check = promise_about);
OPERATION(inventory, .repeatable = true, .check = promise_inventory);
OPERATION(capacity, .repeatable = true, .check = promise_capacity);
OPERATION(instance_find, .repeatable = true, .check = promise_instance_found);
OPERATION(instance_create, .repeatable = true, .check = promise_instance_created);
OPERATION(instance_start, .repeatable = true);
OPERATION(instance_stop, .repeatable = true);
OPERATION(instance_reboot, .repeatable = false); /* a second one would cut the guest's start short */
OPERATION(instance_resize, .repeatable = true);
OPERATION(instance_delete, .repeatable = true);
OPERATION(instance_console, .repeatable = true, .check = promise_console, .capability = DRIVER_CAN_CONSOLE,
          .capability_name = "console");
OPERATION(volume_find, .repeatable = true, .check = promise_volume_found, VOLUMES);
OPERATION(volume_create, .repeatable = true, .check = promise_volume_created, VOLUMES);
OPERATION(volume_attach, .repeatable = true, VOLUMES);
OPERATION(volume_detach, .repeatable = true, VOLUMES);
OPERATION(volume_resize, .repeatable = true, VOLUMES);
OPERATION(volume_delete, .repeatable = true, VOLUMES);
/* Its ERR_UNAVAILABLE means "changes may have been missed", which the caller has to hear. */
OPERATION(watch, .repeatable = false, .quiet = true, .check = promise_watch, .capability = DRIVER_CAN_WATCH,
          .capability_name = "watch");

#define SNAPSHOTS .repeatable = true, .capability = DRIVER_CAN_SNAPSHOT, .capability_name = "snapshots"
#define FENCE .repeatable = true, .capability = DRIVER_CAN_FENCE, .capability_name = "fence"
#define MOVE .capability = DRIVER_CAN_MOVE, .capability_name = "move"
/* Of DRIVER_WRITE exports the gate asks for "write-disks" besides, of checkpoints for "track-changes". */
#define EXPORT .capability = DRIVER_CAN_READ_DISKS, .capability_name = "read-disks"

OPERATION(instance_detail, .repeatable = true, .check = promise_detail, .capability = DRIVER_CAN_DETAIL,
          .capability_name = "detail");
OPERATION(snapshot_create, SNAPSHOTS);
OPERATION(snapshot_revert, SNAPSHOTS);
OPERATION(snapshot_delete, SNAPSHOTS);
OPERATION(export_open, .repeatable = true, .check = promise_export, EXPORT);
OPERATION(export_close, .repeatable = true, .lasting = true, EXPORT); /* a staged disk is uploaded then */
OPERATION(checkpoint_delete, .repeatable = true, .capability = DRIVER_CAN_TRACK_CHANGES,
          .capability_name = "track-changes");
OPERATION(instance_prepare, .repeatable = true, .check = promise_shell, .capability = DRIVER_CAN_WRITE_DISKS,
          .capability_name = "write-disks");
OPERATION(instance_fence, FENCE);
OPERATION(instance_release, FENCE);
OPERATION(test_create, .repeatable = true, .check = promise_test, .capability = DRIVER_CAN_TEST,
          .capability_name = "test-boots");
OPERATION(move_validate, .repeatable = true, MOVE);
OPERATION(move_run, .repeatable = false, .lasting = true, .check = promise_moved, MOVE);
OPERATION(move_settle, .repeatable = true, .lasting = true, .check = promise_side, MOVE);

struct task *task_new(const struct operation *operation)
{
    struct task *task = xcalloc(1, sizeof *task);
    task->operation = operation;
    task->arena = arena_new();
    return task;
}

void task_free(struct task *task)
{
    if (!task)
        return;
    arena_free(task->arena);
    free(task);
}

const char *task_object(const struct task *task)
{
    const char *const candidates[] = {task->volume.id, task->instance.id, task->instance_spec.id,
                                      task->volume_spec.id, task->shell_spec.id};
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++)
        if (candidates[i])
            return candidates[i];
    return NULL;
}
