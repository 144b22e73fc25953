/* Session threads; see lane.h. One mutex guards the pool, its lanes and the jobs handed to them; it is never
 * held while the driver or a caller's progress function runs. The pool is freed by whoever leaves last: its
 * owner, or the thread of a hung session. */
#include "drivers/lane.h"

#include <errno.h>
#include <libxml/parser.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/base/arena.h"
#include "broker/base/log.h"
#include "broker/base/moment.h"

#define ASK_US (MOMENT_SECOND / 2) /* between asking one who waits for a session whether to wait on */

enum lane_state { LANE_IDLE, LANE_BUSY, LANE_LEAVING, LANE_HUNG };

/* One run of a task; shared by the caller and the lane until one of them gives it up. */
struct job {
    struct task *task;
    int64_t deadline_us;
    bool has_progress;
    pthread_cond_t changed; /* the caller waits on it */

    bool done, abandoned;
    struct error *error;
    struct lane_outcome outcome;

    bool told; /* the driver reports progress and waits for the caller's answer */
    int percent;
    const char *step;
    bool answer;
};

struct lane {
    struct lanes *lanes;
    struct lane *next;
    enum lane_state state;
    bool watcher, quit;
    bool opened;                    /* a session is there */
    int64_t since;                  /* when it became idle or leaving */
    struct job *job;                /* handed over by a caller */
    pthread_cond_t wake;            /* the lane's thread waits on it */
    struct driver_session *session; /* the thread's own */
};

struct lanes {
    const struct driver *driver;
    struct driver_endpoint endpoint;
    struct gate_limits limits;
    struct arena *arena; /* of the endpoint's strings */
    char *password;      /* the endpoint's, apart so that it can be wiped */
    json_t *options;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a lane became idle, hung or left */
    struct lane *first;
    unsigned references; /* the owner and each lane */
    unsigned waiting;
    bool proven;  /* a logon has worked once */
    bool proving; /* a caller is trying whether it does */
};

static void lock(struct lanes *lanes)
{
    (void)pthread_mutex_lock(&lanes->lock); /* a default mutex that is not destroyed cannot fail */
}

static void unlock(struct lanes *lanes)
{
    (void)pthread_mutex_unlock(&lanes->lock);
}

static void condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes); /* none of these fail on Linux with these arguments */
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(condition, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

/* Returns at a signal, at `until_us` (monotonic) or earlier; the caller looks again. */
static void wait_until(pthread_cond_t *condition, struct lanes *lanes, int64_t until_us)
{
    struct timespec until = {.tv_sec = until_us / MOMENT_SECOND, .tv_nsec = until_us % MOMENT_SECOND * 1000};
    (void)pthread_cond_timedwait(condition, &lanes->lock, &until);
}

/* libxml2, which the drivers share, makes its tables at the first use, unguarded: two sessions that opened at
 * once made them twice. */
static void xml_start(void)
{
    xmlInitParser();
}

struct lanes *lanes_new(const struct driver *driver, const struct driver_endpoint *endpoint,
                        const struct gate_limits *limits)
{
    static pthread_once_t xml_once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&xml_once, xml_start); /* before any session's thread; cannot fail */
    struct lanes *lanes = xcalloc(1, sizeof *lanes);
    lanes->driver = driver;
    lanes->limits = *limits;
    lanes->arena = arena_new();
    lanes->password = endpoint->password ? xstrdup(endpoint->password) : NULL;
    lanes->options = endpoint->options ? json_deep_copy(endpoint->options) : NULL;
    lanes->endpoint =
        (struct driver_endpoint){.id = arena_strdup(lanes->arena, endpoint->id),
                                 .url = arena_strdup(lanes->arena, endpoint->url),
                                 .username = arena_strdup(lanes->arena, endpoint->username),
                                 .password = lanes->password,
                                 .ca_file = arena_strdup(lanes->arena, endpoint->ca_file),
                                 .fingerprint = arena_strdup(lanes->arena, endpoint->fingerprint),
                                 .options = lanes->options,
                                 .timeout_us = endpoint->timeout_us};
    (void)pthread_mutex_init(&lanes->lock, NULL); /* default attributes cannot fail on Linux */
    condition_init(&lanes->changed);
    lanes->references = 1;
    return lanes;
}

static void destroy(struct lanes *lanes)
{
    (void)pthread_mutex_destroy(&lanes->lock);
    (void)pthread_cond_destroy(&lanes->changed);
    if (lanes->password)
        explicit_bzero(lanes->password, strlen(lanes->password));
    free(lanes->password);
    json_decref(lanes->options);
    arena_free(lanes->arena);
    free(lanes);
}

const struct driver_endpoint *lanes_endpoint(const struct lanes *lanes)
{
    return &lanes->endpoint;
}

static void job_free(struct job *job)
{
    (void)pthread_cond_destroy(&job->changed);
    free(job);
}

/* Carries the driver's progress to the caller's thread and its answer back. */
static bool report(void *context, int percent, const char *step)
{
    struct lane *lane = context;
    struct lanes *lanes = lane->lanes;
    bool go_on = false;
    lock(lanes);
    struct job *job = lane->job;
    if (!job->abandoned && !job->has_progress) {
        go_on = true;
    } else if (!job->abandoned) {
        job->percent = percent < 0 ? 0 : percent > 100 ? 100 : percent;
        job->step = step ? step : "";
        job->told = true;
        (void)pthread_cond_signal(&job->changed);
        while (job->told && !job->abandoned) /* the caller answers or gives up, both bounded */
            (void)pthread_cond_wait(&lane->wake, &lanes->lock);
        go_on = !job->abandoned && job->answer;
    }
    unlock(lanes);
    return go_on;
}

static void close_session(struct lane *lane)
{
    if (lane->session)
        lane->lanes->driver->close(lane->session);
    lane->session = NULL;
}

/* A session that was idle for long is asked for a sign of life, within one round trip; a dead one is replaced
 * without anybody noticing. */
static void check_idle_session(struct lane *lane, const struct driver_call *call, int64_t idle_since)
{
    struct lanes *lanes = lane->lanes;
    int64_t now = moment_monotonic();
    if (!lane->session || now - idle_since < lanes->limits.ping_idle_us)
        return;
    struct driver_call ping = {.arena = call->arena, .deadline_us = now + lanes->endpoint.timeout_us};
    if (ping.deadline_us > call->deadline_us)
        ping.deadline_us = call->deadline_us;
    struct error *error = lanes->driver->ping(lane->session, &ping);
    if (!error)
        return;
    error_ignore(error); /* whatever it was, a new session is opened next and says whether that is so */
    close_session(lane);
}

static struct error *open_session(struct lane *lane, const struct driver_call *call, bool *ret_refused)
{
    struct lanes *lanes = lane->lanes;
    struct driver_call quiet = *call;
    quiet.progress = NULL;
    struct driver_session *session = NULL;
    struct error *error = lanes->driver->open(&lanes->endpoint, &quiet, &session);
    if (!error && !session)
        error = error_new(ERR_INTERNAL, "the driver opened no session and gave no error");
    if (error) {
        *ret_refused = error_code(error) == ERR_DENIED;
        return error_wrap(error, "could not log on");
    }
    lane->session = session;
    lock(lanes);
    lane->opened = lanes->proven = true;
    (void)pthread_cond_broadcast(&lanes->changed);
    unlock(lanes);
    return NULL;
}

/* On the lane's thread, without the lock. */
static struct error *run_job(struct lane *lane, struct job *job, int64_t idle_since,
                             struct lane_outcome *ret_outcome)
{
    struct driver_call call = {.arena = job->task->arena,
                               .deadline_us = job->deadline_us,
                               .progress = job->has_progress ? report : NULL,
                               .context = lane};
    struct lane_outcome outcome = {.ran = true};
    struct error *error = NULL;
    check_idle_session(lane, &call, idle_since);
    if (!lane->session)
        error = open_session(lane, &call, &outcome.logon_refused);
    if (!error) {
        outcome.asked = true;
        error = job->task->operation->run(lane->lanes->driver, lane->session, &call, job->task);
    }
    *ret_outcome = outcome;
    return error;
}

/* Whether a session that gave this error is worth keeping. */
static bool keeps_session(const struct error *error)
{
    if (!error)
        return true;
    switch (error_code(error)) {
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
    case ERR_INTERNAL:
        return false;
    default:
        return true;
    }
}

/* Takes the lane's job, runs it and hands the result over; with the lock held before and after. Returns
 * whether the lane goes on. */
static bool serve(struct lane *lane)
{
    struct lanes *lanes = lane->lanes;
    struct job *job = lane->job;
    int64_t idle_since = lane->since;
    struct lane_outcome outcome;
    unlock(lanes);
    struct error *error = run_job(lane, job, idle_since, &outcome);
    bool keep = lane->session && keeps_session(error);
    lock(lanes);
    lane->job = NULL;
    lane->since = moment_monotonic();
    lane->opened = lane->session != NULL;
    (void)pthread_cond_broadcast(&lanes->changed);
    if (job->abandoned) {
        log_warning("driver.returned", LOG_TEXT("endpoint", lanes->endpoint.id),
                    LOG_TEXT("driver", lanes->driver->name),
                    LOG_TEXT("operation", job->task->operation->name),
                    LOG_TEXT("code", error ? error_code_name(error_code(error)) : "ok"),
                    LOG_INT("late_us", lane->since - job->deadline_us));
        error_free(error);
        task_free(job->task);
        job_free(job);
        return false;
    }
    lane->state = keep && !lane->quit ? LANE_IDLE : LANE_LEAVING;
    job->error = error;
    job->outcome = outcome;
    job->done = true;
    (void)pthread_cond_signal(&job->changed);
    return lane->state == LANE_IDLE;
}

static void *lane_main(void *argument)
{
    struct lane *lane = argument;
    struct lanes *lanes = lane->lanes;
    lock(lanes);
    for (bool on = true; on;) {
        if (lane->job) {
            on = serve(lane);
        } else if (lane->state == LANE_IDLE &&
                   (lane->quit || moment_monotonic() - lane->since >= lanes->limits.close_idle_us)) {
            lane->state = LANE_LEAVING;
            lane->since = moment_monotonic();
            on = false;
        } else if (lane->state == LANE_IDLE) {
            wait_until(&lane->wake, lanes, lane->since + lanes->limits.close_idle_us);
        } else { /* acquired: its job is on the way */
            (void)pthread_cond_wait(&lane->wake, &lanes->lock);
        }
    }
    unlock(lanes);
    close_session(lane);
    lock(lanes);
    for (struct lane **link = &lanes->first; *link; link = &(*link)->next)
        if (*link == lane) {
            *link = lane->next;
            break;
        }
    bool last = --lanes->references == 0;
    (void)pthread_cond_broadcast(&lanes->changed);
    unlock(lanes);
    (void)pthread_cond_destroy(&lane->wake);
    free(lane);
    if (last)
        destroy(lanes);
    return NULL;
}

/* A new lane, acquired; with the lock held. */
static struct error *start_lane(struct lanes *lanes, bool watcher, struct lane **ret_lane)
{
    struct lane *lane = xcalloc(1, sizeof *lane);
    *lane = (struct lane){.lanes = lanes, .state = LANE_BUSY, .watcher = watcher, .next = lanes->first};
    condition_init(&lane->wake);
    pthread_attr_t attributes;
    pthread_t thread;
    (void)pthread_attr_init(&attributes); /* does not fail on Linux */
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int status = pthread_create(&thread, &attributes, lane_main, lane);
    (void)pthread_attr_destroy(&attributes);
    if (status) {
        (void)pthread_cond_destroy(&lane->wake);
        free(lane);
        return error_new(ERR_BUSY, "no thread for a session: %s", strerror(status));
    }
    lanes->first = lane;
    lanes->references++;
    *ret_lane = lane;
    return NULL;
}

struct census {
    struct lane *free;  /* the idle one that was used last */
    struct lane *spare; /* an idle one of the other sort */
    unsigned live, hung, watchers;
    bool leaving;
};

/* Counts, and calls hung what takes too long to leave; with the lock held. */
static struct census count(struct lanes *lanes, bool watcher)
{
    struct census census = {.free = NULL};
    int64_t now = moment_monotonic();
    for (struct lane *lane = lanes->first; lane; lane = lane->next) {
        if (lane->state == LANE_LEAVING && now - lane->since > lanes->limits.grace_us)
            lane->state = LANE_HUNG;
        if (lane->state == LANE_HUNG) {
            census.hung++;
            continue;
        }
        census.live++;
        census.watchers += lane->watcher;
        census.leaving |= lane->state == LANE_LEAVING;
        if (lane->state == LANE_IDLE && !lane->quit) {
            struct lane **slot = lane->watcher == watcher ? &census.free : &census.spare;
            if (!*slot || (*slot)->since < lane->since)
                *slot = lane;
        }
    }
    return census;
}

/* One look: a lane, an error, or neither (wait and look again); with the lock held. */
static struct error *try_acquire(struct lanes *lanes, const struct census *census, bool watcher,
                                 struct lane **ret_lane)
{
    if (census->free) {
        census->free->state = LANE_BUSY;
        *ret_lane = census->free;
        return NULL;
    }
    if (census->hung >= lanes->limits.hung_max)
        return error_new(ERR_UNAVAILABLE, "%u sessions hang in the driver", census->hung);
    if (!lanes->proven && lanes->proving)
        return NULL;
    if (census->live < lanes->limits.sessions)
        return start_lane(lanes, watcher, ret_lane);
    if (watcher && !census->watchers && census->spare) {
        census->spare->quit = true; /* makes room for the watcher */
        (void)pthread_cond_signal(&census->spare->wake);
    }
    return NULL;
}

void lanes_settle(struct lanes *lanes)
{
    lock(lanes);
    lanes->proving = false;
    (void)pthread_cond_broadcast(&lanes->changed);
    unlock(lanes);
}

struct error *lanes_acquire(struct lanes *lanes, const struct driver_call *call, bool watcher,
                            struct lane **ret_lane, bool *ret_first)
{
    struct error *error = NULL;
    struct lane *lane = NULL;
    int64_t ask_at = moment_monotonic() + ASK_US;
    lock(lanes);
    lanes->waiting++;
    for (;;) {
        struct census census = count(lanes, watcher);
        error = try_acquire(lanes, &census, watcher, &lane);
        if (error || lane)
            break;
        int64_t now = moment_monotonic(), until = call->deadline_us;
        if (now >= until) {
            error = error_new(ERR_BUSY, "all %u sessions are in use", lanes->limits.sessions);
            break;
        }
        if (census.leaving && until > now + lanes->limits.grace_us)
            until = now + lanes->limits.grace_us;
        if (call->progress && now >= ask_at) {
            unlock(lanes);
            bool on = call->progress(call->context, 0, "waiting");
            lock(lanes);
            if (!on) {
                error = error_new(ERR_CANCELLED, "cancelled while waiting for a session");
                break;
            }
            ask_at = now + ASK_US;
            continue; /* much may have changed meanwhile */
        }
        if (call->progress && until > ask_at)
            until = ask_at;
        wait_until(&lanes->changed, lanes, until);
    }
    lanes->waiting--;
    bool first = !error && !lanes->proven;
    lanes->proving |= first;
    unlock(lanes);
    if (error)
        return error;
    *ret_lane = lane;
    *ret_first = first;
    return NULL;
}

void lanes_release(struct lane *lane)
{
    struct lanes *lanes = lane->lanes;
    lock(lanes);
    lane->state = LANE_IDLE;
    lane->quit |= !lane->opened; /* one without a session has nothing to keep */
    (void)pthread_cond_signal(&lane->wake);
    (void)pthread_cond_broadcast(&lanes->changed);
    unlock(lanes);
}

/* Until the job is done (true) or given up (false), answering progress; with the lock held. */
static bool attend(struct lane *lane, struct job *job, const struct driver_call *call)
{
    struct lanes *lanes = lane->lanes;
    int64_t until = job->deadline_us + lanes->limits.grace_us;
    while (!job->done) {
        if (job->told) {
            int percent = job->percent;
            const char *step = job->step; /* stays: the driver waits in report() */
            unlock(lanes);
            bool answer = call->progress(call->context, percent, step);
            lock(lanes);
            job->answer = answer;
            job->told = false;
            (void)pthread_cond_signal(&lane->wake);
        } else if (moment_monotonic() >= until) {
            return false;
        } else {
            wait_until(&job->changed, lanes, until);
        }
    }
    return true;
}

struct error *lanes_run(struct lane *lane, struct task **task, const struct driver_call *call,
                        struct lane_outcome *ret_outcome)
{
    struct lanes *lanes = lane->lanes;
    struct job *job = xcalloc(1, sizeof *job);
    *job =
        (struct job){.task = *task, .deadline_us = call->deadline_us, .has_progress = call->progress != NULL};
    condition_init(&job->changed);
    lock(lanes);
    lane->job = job;
    (void)pthread_cond_signal(&lane->wake);
    if (!attend(lane, job, call)) {
        job->abandoned = true;
        lane->state = LANE_HUNG;
        (void)pthread_cond_broadcast(&lanes->changed);
        unlock(lanes);
        *task = NULL;
        *ret_outcome = (struct lane_outcome){.ran = true, .asked = true, .hung = true};
        return error_new(ERR_TIMEOUT, "the driver did not return in time and was left behind");
    }
    unlock(lanes);
    struct error *error = job->error;
    *ret_outcome = job->outcome;
    job_free(job);
    return error;
}

void lanes_count(struct lanes *lanes, unsigned *ret_sessions, unsigned *ret_busy, unsigned *ret_hung,
                 unsigned *ret_waiting)
{
    *ret_sessions = *ret_busy = 0;
    lock(lanes);
    *ret_hung = count(lanes, false).hung;
    for (struct lane *lane = lanes->first; lane; lane = lane->next) {
        *ret_sessions += lane->opened && lane->state != LANE_HUNG;
        *ret_busy += lane->state == LANE_BUSY;
    }
    *ret_waiting = lanes->waiting;
    unlock(lanes);
}

void lanes_free(struct lanes *lanes)
{
    if (!lanes)
        return;
    lock(lanes);
    for (struct lane *lane = lanes->first; lane; lane = lane->next) {
        lane->quit = true;
        (void)pthread_cond_signal(&lane->wake);
    }
    int64_t until = moment_monotonic() + 2 * lanes->limits.grace_us;
    while (lanes->first && moment_monotonic() < until)
        wait_until(&lanes->changed, lanes, until);
    if (lanes->first)
        log_warning("driver.left", LOG_TEXT("endpoint", lanes->endpoint.id),
                    LOG_TEXT("driver", lanes->driver->name), LOG_INT("sessions", lanes->references - 1));
    bool last = --lanes->references == 0;
    unlock(lanes);
    if (last)
        destroy(lanes);
}
