/* One call of a driver as a value: which operation, its arguments, its result. The gate (gate.c) fills a task
 * and checks what comes back (promise.c); a session's thread (lane.c) runs it; a table (operation.c) says how
 * and what may be done with it. Arguments are copies in the task's own arena, so that a task may outlive the
 * caller who gave it up. */
#ifndef DRIVERS_OPERATION_H
#define DRIVERS_OPERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"
#include "drivers/driver.h"
#include "drivers/driver_move.h"

struct task;

struct operation {
    const char *name;    /* "instance_create" */
    unsigned capability; /* enum driver_capability that it needs; 0: mandatory */
    const char *capability_name;
    bool repeatable; /* a second run with an unknown first outcome does no harm */
    bool quiet;      /* its success is logged for debugging only */
    bool lasting;    /* may take hours: its deadline may be up to GATE_LASTING_US away */
    struct error *(*run)(const struct driver *driver, struct driver_session *session,
                         const struct driver_call *call, struct task *task);
    /* Whether the result keeps the contract's promises: ERR_INTERNAL. NULL: nothing to check. */
    struct error *(*check)(const struct task *task);
};

struct task {
    const struct operation *operation;
    struct arena *arena; /* owned: arguments and results */

    struct driver_key instance, volume;
    struct driver_instance_spec instance_spec;
    struct driver_volume_spec volume_spec;
    int64_t grace_us;
    unsigned vcpu, size_gb;
    uint64_t memory_mb;
    size_t limit;
    const char *name, *export_id, *checkpoint;
    bool quiesce, keep, abort;
    struct driver_export_spec export_spec;
    struct driver_shell_spec shell_spec;
    struct driver_move_spec move_spec;
    struct driver_test_spec test_spec;

    struct driver_about about;
    struct driver_inventory inventory;
    struct driver_capacity capacity;
    struct driver_instance made_instance;
    struct driver_volume made_volume;
    const char *text;
    size_t length;
    struct driver_change *changes;
    size_t change_count;
    struct driver_detail detail;
    struct driver_export opened;
    struct driver_move_report moved;
    enum driver_side side;
};

extern const struct operation operation_ping, operation_about, operation_inventory, operation_capacity,
    operation_instance_find, operation_instance_create, operation_instance_start, operation_instance_stop,
    operation_instance_reboot, operation_instance_resize, operation_instance_delete,
    operation_instance_console, operation_volume_find, operation_volume_create, operation_volume_attach,
    operation_volume_detach, operation_volume_resize, operation_volume_delete, operation_watch,
    operation_instance_detail, operation_snapshot_create, operation_snapshot_revert,
    operation_snapshot_delete, operation_export_open, operation_export_close, operation_checkpoint_delete,
    operation_instance_prepare, operation_instance_fence, operation_instance_release, operation_test_create,
    operation_move_validate, operation_move_run, operation_move_settle;

struct task *task_new(const struct operation *operation);
void task_free(struct task *task);
/* The id of the object that it is about; NULL for those of the whole endpoint. */
const char *task_object(const struct task *task);

/* promise.c: what a driver's results must look like whatever the provider sent. */
struct error *promise_about(const struct task *task) ERROR_MUST_USE;
struct error *promise_inventory(const struct task *task) ERROR_MUST_USE;
struct error *promise_capacity(const struct task *task) ERROR_MUST_USE;
struct error *promise_instance_found(const struct task *task) ERROR_MUST_USE;
struct error *promise_instance_created(const struct task *task) ERROR_MUST_USE;
struct error *promise_console(const struct task *task) ERROR_MUST_USE;
struct error *promise_volume_found(const struct task *task) ERROR_MUST_USE;
struct error *promise_volume_created(const struct task *task) ERROR_MUST_USE;
struct error *promise_watch(const struct task *task) ERROR_MUST_USE;
/* promise_move.c */
struct error *promise_detail(const struct task *task) ERROR_MUST_USE;
struct error *promise_export(const struct task *task) ERROR_MUST_USE;
struct error *promise_shell(const struct task *task) ERROR_MUST_USE;
struct error *promise_test(const struct task *task) ERROR_MUST_USE;
struct error *promise_moved(const struct task *task) ERROR_MUST_USE;
struct error *promise_side(const struct task *task) ERROR_MUST_USE;
/* What those of both files use: text that must be there, that may be, an id that must be or NULL, and a found
 * or made instance. `what` is "instance", `field` "name". */
struct error *promise_need(const char *text, const char *what, const char *field) ERROR_MUST_USE;
struct error *promise_may(const char *text, const char *what, const char *field) ERROR_MUST_USE;
struct error *promise_stamp(const char *id, const char *what) ERROR_MUST_USE;
struct error *promise_same_stamp(const char *returned, const char *asked, const char *what) ERROR_MUST_USE;
struct error *promise_good_instance(const struct driver_instance *instance) ERROR_MUST_USE;
/* Whether the code is one that the contract allows. */
bool promise_code(enum error_code code);

#endif
