/* The gate: the only place that calls a driver. One gate per endpoint; everything above (control, metering,
 * federation) speaks to a provider through it and never through drivers/driver.h's table.
 *
 * For every operation the gate, in this order: checks the arguments (ERR_INVALID, nothing is asked of the
 * provider); refuses what the driver lacks (ERR_UNSUPPORTED, naming the capability); asks the breaker
 * (ERR_UNAVAILABLE, or ERR_DENIED after a failed logon, with error_retry_after set); takes a token of the
 * rate limit and a session, waiting for both at most until the call's deadline (ERR_BUSY); runs the driver on
 * the session's own thread; checks the result (a broken promise is ERR_INTERNAL naming the driver); repeats
 * what is safe to repeat on ERR_UNAVAILABLE; writes one log line, event "driver.call". Who waits for a
 * session is asked through call->progress (0, "waiting") and may cancel: ERR_CANCELLED. It is asked before
 * each further try too, and when it cancels there is none: the last error stays.
 *
 * Hanging drivers. A session lives on a thread of the gate, with its own copy of the arguments and its own
 * arena. A driver that has not returned `grace_us` after the deadline is left behind: the caller gets
 * ERR_TIMEOUT, the session is hung, and its thread closes it whenever the driver returns. Hung sessions do
 * not count against `sessions` but there are at most `hung_max` of them; from then on calls are
 * ERR_UNAVAILABLE at once, until one returns. So a caller never waits longer than its deadline + grace_us.
 *
 * All errors are wrapped with `endpoint ID (DRIVER): `. Beyond the driver's own codes a caller may see
 * ERR_BUSY (no session or token in time) and ERR_INTERNAL (broken promise).
 *
 * Thread-safe but for gate_free. call->progress runs on the caller's own thread. Results live in call->arena.
 */
#ifndef DRIVERS_GATE_H
#define DRIVERS_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"
#include "drivers/driver.h"

struct gate;

/* 0 in any member stands for its default. */
struct gate_limits {
    unsigned sessions;           /* at once; default and most: the driver's max_sessions (0 there: 4) */
    unsigned hung_max;           /* sessions left behind by their callers; default 4, most 64 */
    unsigned rate;               /* calls a second, on the long run; default 50, most 100000 */
    unsigned burst;              /* calls at once after a pause; default 2 × rate */
    unsigned attempts;           /* of one call, first included; default 3, most 10 */
    int64_t backoff_us;          /* before the second attempt, × 4 for each further one; default 200 ms */
    int64_t ping_idle_us;        /* a session idle for longer is pinged before it is used; default 30 s */
    int64_t close_idle_us;       /* a session idle for longer is closed; default 10 min */
    int64_t grace_us;            /* after the deadline, for a driver to notice; default 5 s */
    int64_t longest_us;          /* deadlines further away are brought to this; default 1 h */
    unsigned breaker_failures;   /* ERR_UNAVAILABLE or ERR_TIMEOUT in a row that open it; default 5 */
    int64_t breaker_open_us;     /* before one call may try again; doubles while it fails; default 15 s */
    int64_t breaker_open_max_us; /* default 5 min */
    int64_t denied_us; /* after a refused logon nobody tries again for so long: providers lock accounts;
                          default 1 min */
};

/* Copies the endpoint, options included; nothing is opened yet. `limits` may be NULL. ERR_INVALID for a
 * missing id or URL, a timeout ≤ 0, options that are not an object, limits out of range. The driver is one
 * that driver_check (drivers/registry.h) accepts and outlives the gate. */
struct error *gate_new(const struct driver *driver, const struct driver_endpoint *endpoint,
                       const struct gate_limits *limits, struct gate **ret_gate) ERROR_MUST_USE;
/* Closes the sessions. No call may be running or start any more. Waits for the drivers' bounded close; hung
 * sessions get 2 × `grace_us` and are then left to end on their own (their memory is freed when they do).
 * Accepts NULL. */
void gate_free(struct gate *gate);

const struct driver *gate_driver(const struct gate *gate);
bool gate_can(const struct gate *gate, enum driver_capability capability);

#define GATE_STATES(X)                                                                 \
    X(GATE_CLOSED, "closed")       /* calls go through */                              \
    X(GATE_OPEN, "open")           /* the endpoint keeps failing: calls are refused */ \
    X(GATE_HALF_OPEN, "half-open") /* one call is trying whether it works again */     \
    X(GATE_DENIED, "denied")       /* the logon was refused: calls are refused */

enum gate_state {
#define X(state, name) state,
    GATE_STATES(X)
#undef X
};
const char *gate_state_name(enum gate_state state);

struct gate_status {
    enum gate_state state;
    int64_t state_age_us;   /* how long it has been in that state */
    int64_t retry_in_us;    /* until the next call may try; 0 when closed */
    unsigned failures;      /* in a row */
    const char *last_error; /* the latest failure that counted, in the arena; NULL: none ever */
    int64_t last_error_age_us;
    unsigned sessions, busy, hung, waiting; /* sessions there are, in use, left behind; callers that wait */
    uint64_t calls, errors;                 /* since gate_new: operations asked for, and those that failed */
};
void gate_status(struct gate *gate, struct arena *arena, struct gate_status *ret_status);

/* The operations: each means what the driver's operation of that name means (drivers/driver.h). Outputs are
 * untouched on failure.
 *
 * Argument limits: ids are lower-case UUIDs; a key's ref is at most GATE_REF_MAX bytes; names
 * [a-z0-9-]{1,63}; images and networks 1..GATE_REF_MAX bytes; vCPU 1–16, memory 1024–65536 MB
 * (procurement 3.2.1.1); disks and volumes 1..GATE_DISK_GB_MAX; user data at most GATE_USER_DATA_MAX bytes;
 * console 1..GATE_CONSOLE_MAX bytes. */
#define GATE_REF_MAX 1024
#define GATE_DISK_GB_MAX 65536
#define GATE_USER_DATA_MAX 65536
#define GATE_CONSOLE_MAX (1024 * 1024)

/* Opens a session if there is none and asks the provider for a sign of life. */
struct error *gate_ping(struct gate *gate, const struct driver_call *call) ERROR_MUST_USE;
struct error *gate_about(struct gate *gate, const struct driver_call *call,
                         struct driver_about *ret_about) ERROR_MUST_USE;
struct error *gate_inventory(struct gate *gate, const struct driver_call *call,
                             struct driver_inventory *ret_inventory) ERROR_MUST_USE;
struct error *gate_capacity(struct gate *gate, const struct driver_call *call,
                            struct driver_capacity *ret_capacity) ERROR_MUST_USE;

struct error *gate_instance_find(struct gate *gate, const struct driver_call *call,
                                 const struct driver_key *key,
                                 struct driver_instance *ret_instance) ERROR_MUST_USE;
struct error *gate_instance_create(struct gate *gate, const struct driver_call *call,
                                   const struct driver_instance_spec *spec,
                                   struct driver_instance *ret_instance) ERROR_MUST_USE;
struct error *gate_instance_start(struct gate *gate, const struct driver_call *call,
                                  const struct driver_key *key) ERROR_MUST_USE;
/* grace_us 0..1 h */
struct error *gate_instance_stop(struct gate *gate, const struct driver_call *call,
                                 const struct driver_key *key, int64_t grace_us) ERROR_MUST_USE;
/* Repeated only when it is known that the driver was not asked. */
struct error *gate_instance_reboot(struct gate *gate, const struct driver_call *call,
                                   const struct driver_key *key) ERROR_MUST_USE;
struct error *gate_instance_resize(struct gate *gate, const struct driver_call *call,
                                   const struct driver_key *key, unsigned vcpu,
                                   uint64_t memory_mb) ERROR_MUST_USE;
struct error *gate_instance_delete(struct gate *gate, const struct driver_call *call,
                                   const struct driver_key *key) ERROR_MUST_USE;
struct error *gate_instance_console(struct gate *gate, const struct driver_call *call,
                                    const struct driver_key *key, size_t limit, const char **ret_text,
                                    size_t *ret_length) ERROR_MUST_USE;

struct error *gate_volume_find(struct gate *gate, const struct driver_call *call,
                               const struct driver_key *key, struct driver_volume *ret_volume) ERROR_MUST_USE;
struct error *gate_volume_create(struct gate *gate, const struct driver_call *call,
                                 const struct driver_volume_spec *spec,
                                 struct driver_volume *ret_volume) ERROR_MUST_USE;
struct error *gate_volume_attach(struct gate *gate, const struct driver_call *call,
                                 const struct driver_key *volume,
                                 const struct driver_key *instance) ERROR_MUST_USE;
struct error *gate_volume_detach(struct gate *gate, const struct driver_call *call,
                                 const struct driver_key *volume,
                                 const struct driver_key *instance) ERROR_MUST_USE;
struct error *gate_volume_resize(struct gate *gate, const struct driver_call *call,
                                 const struct driver_key *volume, unsigned size_gb) ERROR_MUST_USE;
struct error *gate_volume_delete(struct gate *gate, const struct driver_call *call,
                                 const struct driver_key *volume) ERROR_MUST_USE;

/* One watcher at a time (another is ERR_BUSY), on a session of its own that outlives the call, so that
 * changes between two calls are not lost; it counts among `sessions`, and with a single session there is no
 * room for it (ERR_UNSUPPORTED). Never repeated by the gate. */
struct error *gate_watch(struct gate *gate, const struct driver_call *call,
                         struct driver_change **ret_changes, size_t *ret_count) ERROR_MUST_USE;

/* Moving (drivers/driver_move.h). Snapshot names are [a-z0-9-]{1,63}; exports, checkpoints and moves are
 * named by UUIDs; at most GATE_SHELL_DISKS_MAX disks of 512 B to 64 TiB. move_run, move_settle and
 * export_close may take up to a day; the first is never repeated by the gate. */
#define GATE_SHELL_DISKS_MAX 16
struct driver_detail;
struct driver_shell_spec;
struct driver_export_spec;
struct driver_export;
struct driver_move_spec;
struct driver_move_report;
struct driver_test_spec;

struct error *gate_instance_detail(struct gate *gate, const struct driver_call *call,
                                   const struct driver_key *key,
                                   struct driver_detail *ret_detail) ERROR_MUST_USE;
struct error *gate_snapshot_create(struct gate *gate, const struct driver_call *call,
                                   const struct driver_key *key, const char *name,
                                   bool quiesce) ERROR_MUST_USE;
struct error *gate_snapshot_revert(struct gate *gate, const struct driver_call *call,
                                   const struct driver_key *key, const char *name) ERROR_MUST_USE;
struct error *gate_snapshot_delete(struct gate *gate, const struct driver_call *call,
                                   const struct driver_key *key, const char *name) ERROR_MUST_USE;
struct error *gate_export_open(struct gate *gate, const struct driver_call *call,
                               const struct driver_key *key, const struct driver_export_spec *spec,
                               struct driver_export *ret_export) ERROR_MUST_USE;
struct error *gate_export_close(struct gate *gate, const struct driver_call *call,
                                const struct driver_key *key, const char *export_id,
                                bool keep) ERROR_MUST_USE;
struct error *gate_checkpoint_delete(struct gate *gate, const struct driver_call *call,
                                     const struct driver_key *key, const char *checkpoint) ERROR_MUST_USE;
struct error *gate_instance_prepare(struct gate *gate, const struct driver_call *call,
                                    const struct driver_shell_spec *spec,
                                    struct driver_instance *ret_instance) ERROR_MUST_USE;
struct error *gate_instance_fence(struct gate *gate, const struct driver_call *call,
                                  const struct driver_key *key) ERROR_MUST_USE;
struct error *gate_instance_release(struct gate *gate, const struct driver_call *call,
                                    const struct driver_key *key) ERROR_MUST_USE;
struct error *gate_test_create(struct gate *gate, const struct driver_call *call,
                               const struct driver_key *key, const struct driver_test_spec *spec,
                               struct driver_instance *ret_instance) ERROR_MUST_USE;
struct error *gate_move_validate(struct gate *gate, const struct driver_call *call,
                                 const struct driver_key *key,
                                 const struct driver_move_spec *spec) ERROR_MUST_USE;
struct error *gate_move_run(struct gate *gate, const struct driver_call *call, const struct driver_key *key,
                            const struct driver_move_spec *spec,
                            struct driver_move_report *ret_report) ERROR_MUST_USE;
struct error *gate_move_settle(struct gate *gate, const struct driver_call *call,
                               const struct driver_key *key, const struct driver_move_spec *spec, bool abort,
                               enum driver_side *ret_side) ERROR_MUST_USE;

#endif
