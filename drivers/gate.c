/* The gate; see gate.h. Here: arguments, the order of the steps around one driver call, repeats and the log
 * line. The session threads are in lane.c, the breaker and the rate limit in breaker.c, the checks of results
 * in promise.c, the operations as data in operation.c. */
#include "drivers/gate.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/base/id.h"
#include "broker/base/log.h"
#include "broker/base/moment.h"
#include "drivers/argument.h"
#include "drivers/breaker.h"
#include "drivers/gate_call.h"
#include "drivers/lane.h"
#include "drivers/operation.h"

#define SESSIONS_DEFAULT 4

struct gate {
    const struct driver *driver;
    struct gate_limits limits;
    struct lanes *lanes;

    pthread_mutex_t lock; /* of what follows */
    struct breaker breaker;
    struct bucket bucket;
    uint64_t calls, errors;
    bool watching;
};

static void lock(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock); /* a default mutex that is not destroyed cannot fail */
}

static void unlock(struct gate *gate)
{
    (void)pthread_mutex_unlock(&gate->lock);
}

/* Fills in defaults and checks ranges. */
static struct error *complete_limits(const struct driver *driver, const struct gate_limits *given,
                                     struct gate_limits *ret_limits)
{
    struct gate_limits limits = given ? *given : (struct gate_limits){.sessions = 0};
    unsigned most = driver->max_sessions ? driver->max_sessions : SESSIONS_DEFAULT;
    if (!limits.sessions || limits.sessions > most)
        limits.sessions = most;
    if (!limits.hung_max)
        limits.hung_max = 4;
    if (!limits.rate)
        limits.rate = 50;
    if (!limits.burst)
        limits.burst = 2 * limits.rate;
    if (!limits.attempts)
        limits.attempts = 3;
    if (!limits.breaker_failures)
        limits.breaker_failures = 5;
    const struct {
        int64_t *value, fallback;
    } times[] = {
        {&limits.backoff_us, 200 * 1000},
        {&limits.ping_idle_us, 30 * MOMENT_SECOND},
        {&limits.close_idle_us, 10 * MOMENT_MINUTE},
        {&limits.grace_us, 5 * MOMENT_SECOND},
        {&limits.longest_us, MOMENT_HOUR},
        {&limits.breaker_open_us, 15 * MOMENT_SECOND},
        {&limits.breaker_open_max_us, 5 * MOMENT_MINUTE},
        {&limits.denied_us, MOMENT_MINUTE},
    };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        if (!*times[i].value)
            *times[i].value = times[i].fallback;
        if (*times[i].value < 0 || *times[i].value > MOMENT_DAY)
            return error_new(ERR_INVALID, "a limit of the gate is not within a day");
    }
    if (limits.hung_max > 64 || limits.rate > 100000 || limits.burst > 1000000 || limits.attempts > 10)
        return error_new(ERR_INVALID, "a limit of the gate is out of range");
    *ret_limits = limits;
    return NULL;
}

struct error *gate_new(const struct driver *driver, const struct driver_endpoint *endpoint,
                       const struct gate_limits *limits, struct gate **ret_gate)
{
    struct gate_limits complete;
    if (!endpoint->id || !*endpoint->id)
        return error_new(ERR_INVALID, "an endpoint without an id");
    if (!endpoint->url || !*endpoint->url)
        return error_new(ERR_INVALID, "endpoint %s has no URL", endpoint->id);
    if (endpoint->timeout_us <= 0 || endpoint->timeout_us > MOMENT_HOUR)
        return error_new(ERR_INVALID, "endpoint %s has no timeout of at most an hour", endpoint->id);
    if (endpoint->options && !json_is_object(endpoint->options))
        return error_new(ERR_INVALID, "the options of endpoint %s are not an object", endpoint->id);
    TRY(complete_limits(driver, limits, &complete));
    struct gate *gate = xcalloc(1, sizeof *gate);
    gate->driver = driver;
    gate->limits = complete;
    gate->lanes = lanes_new(driver, endpoint, &complete);
    (void)pthread_mutex_init(&gate->lock, NULL); /* default attributes cannot fail on Linux */
    breaker_init(&gate->breaker, &complete, moment_monotonic());
    bucket_init(&gate->bucket, complete.rate, complete.burst, moment_monotonic());
    *ret_gate = gate;
    return NULL;
}

void gate_free(struct gate *gate)
{
    if (!gate)
        return;
    lanes_free(gate->lanes);
    breaker_done(&gate->breaker);
    (void)pthread_mutex_destroy(&gate->lock);
    free(gate);
}

const struct driver *gate_driver(const struct gate *gate)
{
    return gate->driver;
}

bool gate_can(const struct gate *gate, enum driver_capability capability)
{
    return gate->driver->capabilities & capability;
}

void gate_status(struct gate *gate, struct arena *arena, struct gate_status *ret_status)
{
    struct gate_status status = {.state = GATE_CLOSED};
    lanes_count(gate->lanes, &status.sessions, &status.busy, &status.hung, &status.waiting);
    lock(gate);
    int64_t now = moment_monotonic();
    status.state = gate->breaker.state;
    status.state_age_us = now - gate->breaker.since;
    status.retry_in_us = breaker_retry_in(&gate->breaker, now);
    status.failures = gate->breaker.failures;
    status.last_error = arena_strdup(arena, gate->breaker.last_error);
    status.last_error_age_us = status.last_error ? now - gate->breaker.last_error_at : 0;
    status.calls = gate->calls;
    status.errors = gate->errors;
    unlock(gate);
    *ret_status = status;
}

/* --- one call --- */

static void pause_us(int64_t us)
{
    struct timespec pause = {.tv_sec = us / MOMENT_SECOND, .tv_nsec = us % MOMENT_SECOND * 1000};
    (void)nanosleep(&pause, NULL); /* cut short by a signal: the caller looks at the clock again */
}

/* What the breaker says to a caller that it refuses; with the lock held. */
static struct error *refusal(const struct gate *gate)
{
    const struct breaker *breaker = &gate->breaker;
    int64_t left = breaker_retry_in(breaker, moment_monotonic());
    int seconds = (int)((left + MOMENT_SECOND - 1) / MOMENT_SECOND);
    bool denied = breaker->state == GATE_DENIED;
    struct error *error = error_new(denied ? ERR_DENIED : ERR_UNAVAILABLE,
                                    "not asked for another %d s after %u %s in a row: %s", seconds,
                                    breaker->failures, denied ? "refused logons" : "failures",
                                    breaker->last_error ? breaker->last_error : "none reported");
    error_set_retry_after(error, seconds);
    return error;
}

static struct error *look_at_breaker(struct gate *gate)
{
    lock(gate);
    struct error *error = breaker_peek(&gate->breaker, moment_monotonic()) ? NULL : refusal(gate);
    unlock(gate);
    return error;
}

static struct error *ask_breaker(struct gate *gate, bool *ret_probe)
{
    lock(gate);
    struct error *error = breaker_ask(&gate->breaker, moment_monotonic(), ret_probe) ? NULL : refusal(gate);
    unlock(gate);
    return error;
}

static struct error *take_token(struct gate *gate, int64_t deadline_us)
{
    for (;;) {
        int64_t now = moment_monotonic();
        lock(gate);
        int64_t wait = bucket_take(&gate->bucket, now);
        unlock(gate);
        if (!wait)
            return NULL;
        if (wait > deadline_us - now)
            return error_new(ERR_BUSY, "no room within the limit of %u calls a second", gate->limits.rate);
        pause_us(wait);
    }
}

/* A deadline that the caller set shorter than one round trip says nothing about the endpoint. */
static enum breaker_outcome outcome_of(const struct gate *gate, const struct error *error,
                                       const struct lane_outcome *outcome, int64_t had_us)
{
    if (!error)
        return BREAKER_WORKED;
    switch (error_code(error)) {
    case ERR_UNAVAILABLE:
        return BREAKER_FAILED;
    case ERR_TIMEOUT:
        return outcome->hung || had_us >= lanes_endpoint(gate->lanes)->timeout_us ? BREAKER_FAILED
                                                                                  : BREAKER_SILENT;
    case ERR_DENIED:
        return outcome->logon_refused ? BREAKER_DENIED : BREAKER_WORKED;
    case ERR_CANCELLED:
    case ERR_INTERNAL:
    case ERR_INVALID:
    case ERR_UNSUPPORTED:
        return BREAKER_SILENT;
    default:
        return BREAKER_WORKED;
    }
}

/* The driver's word against its contract. */
static struct error *check_promise(const struct gate *gate, const struct task *task, struct error *error)
{
    if (error && !promise_code(error_code(error)))
        return error_recode(error, ERR_INTERNAL, "driver %s broke its promise with an error of code \"%s\"",
                            gate->driver->name, error_code_name(error_code(error)));
    if (!error && task->operation->check)
        return error_wrap(task->operation->check(task), "driver %s broke its promise", gate->driver->name);
    return error;
}

/* On an acquired lane: asks the breaker again, for others may have failed meanwhile, and tells it the end. */
static struct error *run_on(struct gate *gate, struct lane *lane, struct task **task,
                            const struct driver_call *call, struct lane_outcome *ret_outcome)
{
    bool probe = false;
    int64_t had_us = call->deadline_us - moment_monotonic();
    struct error *error = ask_breaker(gate, &probe);
    if (error) {
        lanes_release(lane);
        return error;
    }
    error = lanes_run(lane, task, call, ret_outcome);
    if (*task)
        error = check_promise(gate, *task, error);
    enum breaker_outcome outcome = outcome_of(gate, error, ret_outcome, had_us);
    lock(gate);
    breaker_tell(&gate->breaker, moment_monotonic(), probe, outcome, error ? error_message(error) : NULL);
    unlock(gate);
    return error;
}

static struct error *attempt(struct gate *gate, struct task **task, const struct driver_call *call,
                             bool watcher, struct lane_outcome *ret_outcome)
{
    struct lane *lane;
    bool first;
    if (call->deadline_us <= moment_monotonic())
        return error_new(ERR_TIMEOUT, "no time left");
    TRY(look_at_breaker(gate));
    TRY(take_token(gate, call->deadline_us));
    TRY(lanes_acquire(gate->lanes, call, watcher, &lane, &first));
    struct error *error = run_on(gate, lane, task, call, ret_outcome);
    if (first)
        lanes_settle(gate->lanes);
    return error;
}

/* The pause before the next attempt, or -1 when there is none. Only what the driver itself reported as
 * unavailable is repeated, and what is not repeatable only when it was not started. */
static int64_t next_pause(const struct gate *gate, const struct operation *operation,
                          const struct error *error, const struct lane_outcome *outcome, unsigned attempts,
                          const struct driver_call *call)
{
    if (!error || error_code(error) != ERR_UNAVAILABLE || !outcome->ran ||
        attempts >= gate->limits.attempts || (outcome->asked && !operation->repeatable) ||
        (call->progress && !call->progress(call->context, 0, "waiting")))
        return -1;
    int64_t pause = gate->limits.backoff_us;
    for (unsigned i = 1; i < attempts && pause < MOMENT_MINUTE; i++)
        pause *= 4;
    uint32_t random;
    random_bytes(&random, sizeof random);
    pause +=
        pause * (int64_t)(random % 1000) / 2000; /* up to half more, so that callers do not march in step */
    return moment_monotonic() + pause < call->deadline_us ? pause : -1;
}

static void report(struct gate *gate, const struct operation *operation, const char *object, int64_t started,
                   unsigned attempts, const struct error *error)
{
    int64_t us = moment_monotonic() - started;
    const char *id = lanes_endpoint(gate->lanes)->id;
    if (error)
        log_warning("driver.call", LOG_TEXT("endpoint", id), LOG_TEXT("driver", gate->driver->name),
                    LOG_TEXT("operation", operation->name), LOG_TEXT("object", object), LOG_INT("us", us),
                    LOG_INT("attempts", attempts), LOG_CAUSE(error));
    else
        log_write(operation->quiet ? LOG_DEBUG : LOG_INFO, "driver.call",
                  LOG_FIELDS(LOG_TEXT("endpoint", id), LOG_TEXT("driver", gate->driver->name),
                             LOG_TEXT("operation", operation->name), LOG_TEXT("object", object),
                             LOG_INT("us", us), LOG_INT("attempts", attempts), LOG_TEXT("code", "ok")));
}

/* Everything around the call of a checked task. On success the task's arena is the caller's; *task is freed
 * on failure and set to NULL. */
static struct error *pass(struct gate *gate, const struct driver_call *call, bool watcher, struct task **task)
{
    const struct operation *operation = (*task)->operation;
    int64_t started = moment_monotonic();
    struct driver_call bounded = *call;
    int64_t longest = operation->lasting ? GATE_LASTING_US : gate->limits.longest_us;
    if (bounded.deadline_us > started + longest)
        bounded.deadline_us = started + longest;
    const char *object = arena_strdup(call->arena, task_object(*task)); /* the task may go */
    struct error *error = NULL;
    unsigned attempts = 0;
    for (int64_t pause = 0; pause >= 0;) {
        struct lane_outcome outcome = {.ran = false};
        if (pause)
            pause_us(pause);
        struct error *latest = attempt(gate, task, &bounded, watcher, &outcome);
        if (latest && error &&
            !outcome.ran) { /* refused by the gate itself: the driver's own word says more */
            error_ignore(latest);
            break;
        }
        error_free(error);
        error = latest;
        attempts++;
        pause = next_pause(gate, operation, error, &outcome, attempts, &bounded);
    }
    report(gate, operation, object, started, attempts, error);
    lock(gate);
    gate->calls++;
    gate->errors += error != NULL;
    unlock(gate);
    if (!error)
        return NULL;
    task_free(*task);
    *task = NULL;
    return error_wrap(error, "endpoint %s (%s)", lanes_endpoint(gate->lanes)->id, gate->driver->name);
}

/* --- what the operations share (gate_call.h) --- */

struct error *gate_prepare(struct gate *gate, const struct driver_call *call,
                           const struct operation *operation, struct task **ret_task)
{
    TRY(argument_call(call));
    if (operation->capability && !gate_can(gate, operation->capability))
        return error_new(ERR_UNSUPPORTED, "endpoint %s (%s) cannot %s: its driver lacks \"%s\"",
                         lanes_endpoint(gate->lanes)->id, gate->driver->name, operation->name,
                         operation->capability_name);
    *ret_task = task_new(operation);
    return NULL;
}

static void free_arena(void *arena)
{
    arena_free(arena);
}

struct error *gate_finish(struct gate *gate, const struct driver_call *call, struct task *task,
                          struct error *refused, struct task *ret_done)
{
    if (refused) {
        task_free(task);
        return refused;
    }
    TRY(pass(gate, call, task->operation == &operation_watch, &task));
    arena_defer(call->arena, free_arena, task->arena);
    if (ret_done)
        *ret_done = *task;
    free(task);
    return NULL;
}

struct error *gate_watch(struct gate *gate, const struct driver_call *call,
                         struct driver_change **ret_changes, size_t *ret_count)
{
    struct task done = {.changes = NULL};
    if (gate_can(gate, DRIVER_CAN_WATCH) && gate->limits.sessions < 2)
        return error_new(ERR_UNSUPPORTED, "endpoint %s (%s) allows one session: there is none for a watcher",
                         lanes_endpoint(gate->lanes)->id, gate->driver->name);
    lock(gate);
    bool taken = gate->watching;
    gate->watching = true;
    unlock(gate);
    if (taken)
        return error_new(ERR_BUSY, "endpoint %s (%s) is being watched already",
                         lanes_endpoint(gate->lanes)->id, gate->driver->name);
    struct task *task;
    struct error *error = gate_prepare(gate, call, &operation_watch, &task);
    if (!error)
        error = gate_finish(gate, call, task, NULL, &done);
    lock(gate);
    gate->watching = false;
    unlock(gate);
    TRY(error);
    *ret_changes = done.changes;
    *ret_count = done.change_count;
    return NULL;
}
