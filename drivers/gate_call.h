/* What the gate's functions for single operations share; nobody else includes it. */
#ifndef DRIVERS_GATE_CALL_H
#define DRIVERS_GATE_CALL_H

#include "drivers/gate.h"
#include "drivers/operation.h"

#define GATE_LASTING_US (24 * INT64_C(3600) * 1000000) /* the longest deadline of a lasting operation */

/* A task for this operation, once the call itself is good and the driver has the operation. */
struct error *gate_prepare(struct gate *gate, const struct driver_call *call,
                           const struct operation *operation, struct task **ret_task) ERROR_MUST_USE;
/* Runs the task unless its arguments were refused; consumes both. The results stay in the task's arena, which
 * the call's arena takes over. ret_done may be NULL. */
struct error *gate_finish(struct gate *gate, const struct driver_call *call, struct task *task,
                          struct error *refused, struct task *ret_done) ERROR_MUST_USE;
/* Both, for an operation on an instance without further arguments. */
struct error *gate_on_instance(struct gate *gate, const struct driver_call *call,
                               const struct operation *operation, const struct driver_key *key,
                               struct task *ret_done) ERROR_MUST_USE;

#endif
