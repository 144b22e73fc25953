/* The gate's functions for the operations of drivers/driver.h; those of moving are in gate_move.c. */
#include "broker/base/moment.h"
#include "drivers/argument.h"
#include "drivers/gate.h"
#include "drivers/gate_call.h"

static struct error *plain(struct gate *gate, const struct driver_call *call,
                           const struct operation *operation, struct task *ret_done)
{
    struct task *task;
    TRY(gate_prepare(gate, call, operation, &task));
    return gate_finish(gate, call, task, NULL, ret_done);
}

struct error *gate_on_instance(struct gate *gate, const struct driver_call *call,
                               const struct operation *operation, const struct driver_key *key,
                               struct task *ret_done)
{
    struct task *task;
    TRY(gate_prepare(gate, call, operation, &task));
    return gate_finish(gate, call, task, argument_key(task, key, "instance", &task->instance), ret_done);
}

static struct error *on_volume(struct gate *gate, const struct driver_call *call,
                               const struct operation *operation, const struct driver_key *volume,
                               const struct driver_key *instance, struct task *ret_done)
{
    struct task *task;
    TRY(gate_prepare(gate, call, operation, &task));
    struct error *refused = argument_key(task, volume, "volume", &task->volume);
    if (!refused && instance)
        refused = argument_key(task, instance, "instance", &task->instance);
    return gate_finish(gate, call, task, refused, ret_done);
}

struct error *gate_ping(struct gate *gate, const struct driver_call *call)
{
    return plain(gate, call, &operation_ping, NULL);
}

struct error *gate_about(struct gate *gate, const struct driver_call *call, struct driver_about *ret_about)
{
    struct task done;
    TRY(plain(gate, call, &operation_about, &done));
    *ret_about = done.about;
    return NULL;
}

struct error *gate_inventory(struct gate *gate, const struct driver_call *call,
                             struct driver_inventory *ret_inventory)
{
    struct task done;
    TRY(plain(gate, call, &operation_inventory, &done));
    *ret_inventory = done.inventory;
    return NULL;
}

struct error *gate_capacity(struct gate *gate, const struct driver_call *call,
                            struct driver_capacity *ret_capacity)
{
    struct task done;
    TRY(plain(gate, call, &operation_capacity, &done));
    *ret_capacity = done.capacity;
    return NULL;
}

struct error *gate_instance_find(struct gate *gate, const struct driver_call *call,
                                 const struct driver_key *key, struct driver_instance *ret_instance)
{
    struct task done;
    TRY(gate_on_instance(gate, call, &operation_instance_find, key, &done));
    *ret_instance = done.made_instance;
    return NULL;
}

struct error *gate_instance_create(struct gate *gate, const struct driver_call *call,
                                   const struct driver_instance_spec *spec,
                                   struct driver_instance *ret_instance)
{
    struct task *task, done;
    TRY(gate_prepare(gate, call, &operation_instance_create, &task));
    TRY(gate_finish(gate, call, task, argument_instance(task, spec), &done));
    *ret_instance = done.made_instance;
    return NULL;
}

struct error *gate_instance_start(struct gate *gate, const struct driver_call *call,
                                  const struct driver_key *key)
{
    return gate_on_instance(gate, call, &operation_instance_start, key, NULL);
}

struct error *gate_instance_stop(struct gate *gate, const struct driver_call *call,
                                 const struct driver_key *key, int64_t grace_us)
{
    struct task *task;
    TRY(gate_prepare(gate, call, &operation_instance_stop, &task));
    struct error *refused = argument_key(task, key, "instance", &task->instance);
    if (!refused && (grace_us < 0 || grace_us > MOMENT_HOUR))
        refused = error_new(ERR_INVALID, "the time to stop is not within 0 to 1 h");
    task->grace_us = grace_us;
    return gate_finish(gate, call, task, refused, NULL);
}

struct error *gate_instance_reboot(struct gate *gate, const struct driver_call *call,
                                   const struct driver_key *key)
{
    return gate_on_instance(gate, call, &operation_instance_reboot, key, NULL);
}

struct error *gate_instance_resize(struct gate *gate, const struct driver_call *call,
                                   const struct driver_key *key, unsigned vcpu, uint64_t memory_mb)
{
    struct task *task;
    TRY(gate_prepare(gate, call, &operation_instance_resize, &task));
    struct error *refused = argument_key(task, key, "instance", &task->instance);
    if (!refused)
        refused = argument_size(vcpu, memory_mb);
    task->vcpu = vcpu;
    task->memory_mb = memory_mb;
    return gate_finish(gate, call, task, refused, NULL);
}

struct error *gate_instance_delete(struct gate *gate, const struct driver_call *call,
                                   const struct driver_key *key)
{
    return gate_on_instance(gate, call, &operation_instance_delete, key, NULL);
}

struct error *gate_instance_console(struct gate *gate, const struct driver_call *call,
                                    const struct driver_key *key, size_t limit, const char **ret_text,
                                    size_t *ret_length)
{
    struct task *task, done;
    TRY(gate_prepare(gate, call, &operation_instance_console, &task));
    struct error *refused = argument_key(task, key, "instance", &task->instance);
    if (!refused && (!limit || limit > GATE_CONSOLE_MAX))
        refused = error_new(ERR_INVALID, "console text of %zu bytes is not within 1 to %d", limit,
                            GATE_CONSOLE_MAX);
    task->limit = limit;
    TRY(gate_finish(gate, call, task, refused, &done));
    *ret_text = done.text;
    *ret_length = done.length;
    return NULL;
}

struct error *gate_volume_find(struct gate *gate, const struct driver_call *call,
                               const struct driver_key *key, struct driver_volume *ret_volume)
{
    struct task done;
    TRY(on_volume(gate, call, &operation_volume_find, key, NULL, &done));
    *ret_volume = done.made_volume;
    return NULL;
}

struct error *gate_volume_create(struct gate *gate, const struct driver_call *call,
                                 const struct driver_volume_spec *spec, struct driver_volume *ret_volume)
{
    struct task *task, done;
    TRY(gate_prepare(gate, call, &operation_volume_create, &task));
    TRY(gate_finish(gate, call, task, argument_volume(task, spec), &done));
    *ret_volume = done.made_volume;
    return NULL;
}

/* argument_key refuses NULL; on_volume takes it for "no instance wanted". */
static const struct driver_key no_key;

struct error *gate_volume_attach(struct gate *gate, const struct driver_call *call,
                                 const struct driver_key *volume, const struct driver_key *instance)
{
    return on_volume(gate, call, &operation_volume_attach, volume, instance ? instance : &no_key, NULL);
}

struct error *gate_volume_detach(struct gate *gate, const struct driver_call *call,
                                 const struct driver_key *volume, const struct driver_key *instance)
{
    return on_volume(gate, call, &operation_volume_detach, volume, instance ? instance : &no_key, NULL);
}

struct error *gate_volume_resize(struct gate *gate, const struct driver_call *call,
                                 const struct driver_key *volume, unsigned size_gb)
{
    struct task *task;
    TRY(gate_prepare(gate, call, &operation_volume_resize, &task));
    struct error *refused = argument_key(task, volume, "volume", &task->volume);
    if (!refused)
        refused = argument_disk(size_gb);
    task->size_gb = size_gb;
    return gate_finish(gate, call, task, refused, NULL);
}

struct error *gate_volume_delete(struct gate *gate, const struct driver_call *call,
                                 const struct driver_key *volume)
{
    return on_volume(gate, call, &operation_volume_delete, volume, NULL, NULL);
}
