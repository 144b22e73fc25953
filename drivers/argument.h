/* What the gate lets through to a driver: arguments are checked against the limits in gate.h and copied into
 * the task's arena, because a task may outlive the caller who gave it up. All errors are ERR_INVALID. */
#ifndef DRIVERS_ARGUMENT_H
#define DRIVERS_ARGUMENT_H

#include <stdint.h>

#include "broker/base/error.h"
#include "drivers/driver.h"
#include "drivers/operation.h"

struct error *argument_call(const struct driver_call *call) ERROR_MUST_USE;
/* `what` is "instance" or "volume"; NULL keys and keys without an id are refused. */
struct error *argument_key(struct task *task, const struct driver_key *key, const char *what,
                           struct driver_key *ret_key) ERROR_MUST_USE;
/* Into task->instance_spec and task->volume_spec. */
struct error *argument_instance(struct task *task, const struct driver_instance_spec *spec) ERROR_MUST_USE;
struct error *argument_volume(struct task *task, const struct driver_volume_spec *spec) ERROR_MUST_USE;
struct error *argument_size(unsigned vcpu, uint64_t memory_mb) ERROR_MUST_USE;
struct error *argument_disk(unsigned size_gb) ERROR_MUST_USE;

/* argument_move.c: into task->name, ->export_spec, ->shell_spec, ->test_spec, ->move_spec. */
struct error *argument_snapshot(struct task *task, const char *name) ERROR_MUST_USE;
struct error *argument_export(struct task *task, const struct driver_export_spec *spec) ERROR_MUST_USE;
struct error *argument_shell(struct task *task, const struct driver_shell_spec *spec) ERROR_MUST_USE;
struct error *argument_test(struct task *task, const struct driver_test_spec *spec) ERROR_MUST_USE;
struct error *argument_move(struct task *task, const struct driver_move_spec *spec) ERROR_MUST_USE;

/* What those of both files use. 1..most bytes without control characters; a UUID; a name; an architecture. */
struct error *argument_text(const char *text, size_t most, const char *what) ERROR_MUST_USE;
struct error *argument_id(const char *id, const char *what) ERROR_MUST_USE;
struct error *argument_name(const char *name, const char *what) ERROR_MUST_USE;
struct error *argument_architecture(const char *architecture) ERROR_MUST_USE;

#endif
