/* Sessions of one endpoint, each on a thread of its own (a lane): opened when first needed, pinged after a
 * long pause, dropped when they fail, closed when nobody needs them, left behind when the driver hangs. It
 * knows nothing of breakers, rates and repeats: that is drivers/gate.c, its only caller.
 *
 *   idle → busy (lanes_acquire) → idle          the driver answered
 *                               → leaving       the session failed: closed, then gone
 *                               → hung          the caller gave up: closed when the driver returns, then gone
 *   leaving → hung                              the driver's close takes longer than grace_us */
#ifndef DRIVERS_LANE_H
#define DRIVERS_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/base/error.h"
#include "drivers/driver.h"
#include "drivers/gate.h"
#include "drivers/operation.h"

struct lane;
struct lanes;

/* `endpoint` is deep-copied. `limits` has no zeros left. */
struct lanes *lanes_new(const struct driver *driver, const struct driver_endpoint *endpoint,
                        const struct gate_limits *limits);
/* See gate_free. Accepts NULL. */
void lanes_free(struct lanes *lanes);
const struct driver_endpoint *lanes_endpoint(const struct lanes *lanes);

/* A lane for one call; the watcher's is kept apart. Waits until the call's deadline, then ERR_BUSY, or until
 * its progress, asked twice a second ("waiting"), cancels; ERR_UNAVAILABLE at once when hung_max sessions
 * hang. Until a logon has worked only one caller at a time gets a lane, so
 * that a wrong password is tried once and not once by each of them: *ret_first says that it is this caller,
 * who calls lanes_settle when everybody can know what came of it. */
struct error *lanes_acquire(struct lanes *lanes, const struct driver_call *call, bool watcher,
                            struct lane **ret_lane, bool *ret_first) ERROR_MUST_USE;
void lanes_settle(struct lanes *lanes);
/* Gives an acquired lane back unused. */
void lanes_release(struct lane *lane);

struct lane_outcome {
    bool ran;           /* the driver was called at all, be it to open a session */
    bool asked;         /* the operation itself was started; false: it was not, opening the session failed */
    bool logon_refused; /* ERR_DENIED from open */
    bool hung;          /* the driver did not return; *task is gone */
};

/* Runs *task on an acquired lane and gives the lane back. When the driver hangs the lane keeps the task and
 * *task becomes NULL. call->arena is not used; call->progress runs on this thread. */
struct error *lanes_run(struct lane *lane, struct task **task, const struct driver_call *call,
                        struct lane_outcome *ret_outcome) ERROR_MUST_USE;

void lanes_count(struct lanes *lanes, unsigned *ret_sessions, unsigned *ret_busy, unsigned *ret_hung,
                 unsigned *ret_waiting);

#endif
