/* The runner's threads: workers that lease and run jobs, and one thread that renews their leases and listens
 * for new work and for cancellations; see job.h. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/jobs/owner.h"
#include "broker/jobs/work.h"

#define WORKERS_MAX 256
#define POLL_US (5 * MOMENT_SECOND) /* between looks for work when nothing wakes a worker */
#define RECONNECT_US MOMENT_SECOND  /* between tries while the database is away */
#define RENEW_LEAST_US (200 * 1000) /* between renewals that notifications ask for */
#define PRUNE_US (10 * MOMENT_MINUTE)

struct worker {
    struct job_runner *runner;
    struct job_slot *slot;
    pthread_t thread;
};

struct job_runner {
    struct job_runner_settings settings;
    char *conninfo;
    const struct job_type **types;
    const char **names, **first_steps;
    struct job_owner owner;
    char who[HOST_NAME_MAX + 128]; /* "HOST:PID OWNER" */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool pending;  /* a worker should look for work */
    unsigned left; /* workers that have not ended */

    atomic_bool stopping, stop_hard;
    struct worker *workers;
    struct job_slot *slots;
    unsigned started;
    pthread_t beat;
    bool beating;
    int wake; /* eventfd: ends the beat */
};

/* What this broker's transactions hold of jobs, another broker waits for: should this one stall inside one,
 * it is as good as a lease, and ends like a lease. */
static struct error *connect_database(const struct job_runner *runner, struct db **ret_db)
{
    return db_connect_idle(runner->conninfo, runner->settings.lease_us, ret_db);
}

static const struct job_type *find_type(const struct job_runner *runner, const char *name)
{
    for (size_t i = 0; i < runner->settings.type_count; i++) {
        if (strcmp(runner->types[i]->name, name) == 0)
            return runner->types[i];
    }
    return NULL;
}

static struct timespec in_us(int64_t wait_us)
{
    int64_t at = moment_monotonic() + wait_us;
    return (struct timespec){.tv_sec = at / MOMENT_SECOND, .tv_nsec = at % MOMENT_SECOND * 1000};
}

/* Until there may be work, the time is over, or the runner stops. */
static void wait_for_work(struct job_runner *runner, int64_t wait_us)
{
    struct timespec until = in_us(wait_us);
    (void)pthread_mutex_lock(&runner->lock); /* a plain mutex, never held for long */
    while (!runner->pending && !runner->stopping &&
           pthread_cond_timedwait(&runner->changed, &runner->lock, &until) != ETIMEDOUT)
        ;
    runner->pending = false;
    (void)pthread_mutex_unlock(&runner->lock);
}

/* One waiting worker looks; when it finds something it wakes the next. */
static void wake_one(struct job_runner *runner)
{
    (void)pthread_mutex_lock(&runner->lock);
    runner->pending = true;
    (void)pthread_cond_signal(&runner->changed);
    (void)pthread_mutex_unlock(&runner->lock);
}

static void take_slot(struct job_slot *slot, const struct job_row *row, int64_t deadline)
{
    (void)pthread_mutex_lock(&slot->lock);
    memcpy(slot->id, row->id, sizeof slot->id);
    slot->fence = row->fence;
    slot->deadline = deadline;
    slot->cancel = slot->lost = false;
    slot->busy = true;
    (void)pthread_mutex_unlock(&slot->lock);
}

static void leave_slot(struct job_slot *slot)
{
    (void)pthread_mutex_lock(&slot->lock);
    slot->busy = false;
    (void)pthread_mutex_unlock(&slot->lock);
}

static void run_one(struct worker *worker, struct db *db, struct job_row *row, int64_t deadline)
{
    struct job_runner *runner = worker->runner;
    const struct job_type *type = find_type(runner, row->type); /* leased by its type: it is there */
    struct job_work work = {.db = db,
                            .type = type,
                            .slot = worker->slot,
                            .context = runner->settings.context,
                            .clock = runner->settings.clock,
                            .stopping = &runner->stopping,
                            .stop_hard = &runner->stop_hard,
                            .lease_us = runner->settings.lease_us};
    take_slot(worker->slot, row, deadline);
    job_work(&work, row);
    leave_slot(worker->slot);
    job_row_done(row);
}

/* Leases and runs one job; *ret_wait_us is how long to wait before the next look, 0 after a job. */
static struct error *look_for_work(struct worker *worker, struct db *db, int64_t *ret_wait_us)
{
    struct job_runner *runner = worker->runner;
    struct job_lease lease = {.types = runner->names,
                              .first_steps = runner->first_steps,
                              .type_count = runner->settings.type_count,
                              .who = runner->who,
                              .lease_us = runner->settings.lease_us,
                              .most_us = POLL_US};
    struct job_row row;
    bool found;
    int64_t deadline =
        moment_monotonic() + lease.lease_us; /* from before: never longer than the database's */
    TRY(job_lease_next(db, &lease, &row, &found, ret_wait_us));
    if (!found)
        return NULL;
    wake_one(runner);
    run_one(worker, db, &row, deadline);
    *ret_wait_us = 0;
    return NULL;
}

static void *be_worker(void *arg)
{
    struct worker *worker = arg;
    struct job_runner *runner = worker->runner;
    struct db *db = NULL;
    while (!runner->stopping) {
        int64_t wait = 0;
        struct error *error = db ? NULL : connect_database(runner, &db);
        if (!error)
            error = look_for_work(worker, db, &wait);
        if (error) {
            log_warning("job.no_lease", LOG_CAUSE(error));
            error_free(error);
            wait = RECONNECT_US;
        }
        if (wait)
            wait_for_work(runner, wait);
    }
    db_close(db);
    (void)pthread_mutex_lock(&runner->lock);
    runner->left--;
    (void)pthread_cond_broadcast(&runner->changed);
    (void)pthread_mutex_unlock(&runner->lock);
    return NULL;
}

struct beating {
    struct db *db;
    int64_t renew_at, prune_at; /* monotonic */
    bool ended;
};

static struct error *beat_once(struct job_runner *runner, struct beating *beating)
{
    if (!beating->db)
        TRY(connect_database(runner, &beating->db));
    TRY(db_listen(beating->db, "job_ready")); /* nothing to do once it did */
    int64_t lease = runner->settings.lease_us, now = moment_monotonic();
    if (now >= beating->renew_at) {
        TRY(job_renew(beating->db, runner->slots, runner->settings.workers, lease));
        beating->renew_at = now + lease / 3;
    }
    if (now >= beating->prune_at) {
        TRY(job_prune(beating->db));
        beating->prune_at = now + PRUNE_US;
    }
    bool notified;
    int64_t wait = beating->renew_at - moment_monotonic();
    TRY(db_wait(beating->db, wait > 0 ? wait : 0, runner->wake, &notified));
    if (notified) { /* new work, or somebody asked to cancel: the renewal tells */
        wake_one(runner);
        int64_t soon = now + RENEW_LEAST_US;
        beating->renew_at = soon < beating->renew_at ? soon : beating->renew_at;
    }
    return NULL;
}

static bool told_to_end(const struct job_runner *runner)
{
    uint64_t count;
    return read(runner->wake, &count, sizeof count) == (ssize_t)sizeof count; /* non-blocking */
}

static void *be_beat(void *arg)
{
    struct job_runner *runner = arg;
    struct beating beating = {.prune_at = moment_monotonic() + MOMENT_MINUTE};
    while (!told_to_end(runner)) {
        struct error *error = beat_once(runner, &beating);
        if (!error)
            continue;
        log_warning("job.no_heartbeat", LOG_CAUSE(error));
        error_free(error);
        beating.renew_at = 0;
        struct timespec pause = {.tv_nsec = RENEW_LEAST_US * 1000L};
        (void)nanosleep(&pause, NULL); /* the database is away; how long hardly matters */
    }
    db_close(beating.db);
    return NULL;
}

static struct error *check(const struct job_runner_settings *settings)
{
    if (!settings->workers || settings->workers > WORKERS_MAX)
        return error_new(ERR_INVALID, "a runner has 1 to %d workers", WORKERS_MAX);
    if (!settings->type_count)
        return error_new(ERR_INVALID, "a runner without job types");
    for (size_t i = 0; i < settings->type_count; i++) {
        const struct job_type *type = settings->types[i];
        if (!type->step_count || type->max_attempts < 1)
            return error_new(ERR_INVALID, "job type \"%s\" has no steps or no attempts", type->name);
        for (size_t k = 0; k < type->step_count; k++) {
            if (!type->steps[k].run || !type->steps[k].name)
                return error_new(ERR_INVALID, "job type \"%s\": step %zu does nothing", type->name, k);
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(type->name, settings->types[k]->name) == 0)
                return error_new(ERR_INVALID, "two job types are named \"%s\"", type->name);
        }
    }
    struct db *db; /* a wrong conninfo is told now, not in a log */
    TRY_DOING(db_connect(settings->conninfo, &db), "could not start the job runner");
    db_close(db);
    return NULL;
}

/* Before any worker looks: what this broker's last process was at goes on at once. */
static struct error *take_over(struct job_runner *runner)
{
    struct db *db;
    int64_t count = 0;
    char host[HOST_NAME_MAX + 1] = "?";
    TRY(job_owner_open(runner->settings.lock_path, &runner->owner));
    (void)gethostname(host, sizeof host - 1); /* for people alone */
    (void)snprintf(runner->who, sizeof runner->who, "%s:%ld%s%s", host, (long)getpid(),
                   *runner->owner.name ? " " : "", runner->owner.name);
    TRY(db_connect(runner->conninfo, &db));
    struct error *error = job_owner_take_over(&runner->owner, db, &count);
    db_close(db);
    if (count)
        log_info("job.taken_over", LOG_INT("jobs", count));
    return error;
}

static struct job_runner *make(const struct job_runner_settings *settings)
{
    struct job_runner *runner = xcalloc(1, sizeof *runner);
    size_t count = settings->type_count;
    runner->settings = *settings;
    if (!runner->settings.lease_us)
        runner->settings.lease_us = JOB_LEASE_US;
    runner->conninfo = xstrdup(settings->conninfo);
    runner->types = xcalloc(count, sizeof *runner->types);
    runner->names = xcalloc(count, sizeof *runner->names);
    runner->first_steps = xcalloc(count, sizeof *runner->first_steps);
    for (size_t i = 0; i < count; i++) {
        runner->types[i] = settings->types[i];
        runner->names[i] = settings->types[i]->name;
        runner->first_steps[i] = settings->types[i]->steps[0].name;
    }
    runner->owner.lock = -1;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic); /* these cannot fail on Linux */
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&runner->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&runner->lock, NULL);
    runner->workers = xcalloc(settings->workers, sizeof *runner->workers);
    runner->slots = xcalloc(settings->workers, sizeof *runner->slots);
    for (unsigned i = 0; i < settings->workers; i++) {
        (void)pthread_mutex_init(&runner->slots[i].lock, NULL);
        runner->workers[i] = (struct worker){.runner = runner, .slot = &runner->slots[i]};
    }
    runner->wake = -1;
    return runner;
}

static struct error *start_threads(struct job_runner *runner)
{
    runner->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (runner->wake < 0)
        return error_new(ERR_IO, "could not make an eventfd: %s", strerror(errno));
    int failed = pthread_create(&runner->beat, NULL, be_beat, runner);
    runner->beating = !failed;
    while (!failed && runner->started < runner->settings.workers) {
        struct worker *worker = &runner->workers[runner->started];
        (void)pthread_mutex_lock(&runner->lock);
        runner->left++;
        (void)pthread_mutex_unlock(&runner->lock);
        failed = pthread_create(&worker->thread, NULL, be_worker, worker);
        if (failed)
            runner->left--; /* nobody else counts: it never ran */
        else
            runner->started++;
    }
    if (failed)
        return error_new(ERR_IO, "could not start a thread: %s", strerror(failed));
    return NULL;
}

struct error *job_runner_start(const struct job_runner_settings *settings, struct job_runner **ret_runner)
{
    TRY(check(settings));
    struct job_runner *runner = make(settings);
    struct error *error = take_over(runner);
    if (!error)
        error = start_threads(runner);
    if (error) {
        job_runner_stop(runner, 0);
        return error;
    }
    *ret_runner = runner;
    return NULL;
}

/* Whether all workers have ended within the time. */
static bool wait_for_workers(struct job_runner *runner, int64_t wait_us)
{
    struct timespec until = in_us(wait_us);
    (void)pthread_mutex_lock(&runner->lock);
    while (runner->left && pthread_cond_timedwait(&runner->changed, &runner->lock, &until) != ETIMEDOUT)
        ;
    bool all = !runner->left;
    (void)pthread_mutex_unlock(&runner->lock);
    return all;
}

void job_runner_stop(struct job_runner *runner, int64_t grace_us)
{
    if (!runner)
        return;
    (void)pthread_mutex_lock(&runner->lock);
    runner->stopping = true;
    (void)pthread_cond_broadcast(&runner->changed);
    (void)pthread_mutex_unlock(&runner->lock);
    if (!wait_for_workers(runner, grace_us > 0 ? grace_us : 0))
        runner->stop_hard = true;
    for (unsigned i = 0; i < runner->started; i++)
        (void)pthread_join(runner->workers[i].thread, NULL); /* ours, and joined once */
    if (runner->beating) { /* last: it keeps the leases until the steps have ended */
        uint64_t one = 1;
        if (write(runner->wake, &one, sizeof one) == (ssize_t)sizeof one)
            (void)pthread_join(runner->beat, NULL);
    }
    if (runner->wake >= 0)
        (void)close(runner->wake); /* nothing was written to a file */
    for (unsigned i = 0; i < runner->settings.workers; i++)
        (void)pthread_mutex_destroy(&runner->slots[i].lock);
    (void)pthread_mutex_destroy(&runner->lock);
    (void)pthread_cond_destroy(&runner->changed);
    job_owner_close(&runner->owner);
    free(runner->workers);
    free(runner->slots);
    free(runner->conninfo);
    free(runner->types);
    free(runner->names);
    free(runner->first_steps);
    free(runner);
}
