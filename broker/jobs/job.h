/* Durable work: rows leased with FOR UPDATE SKIP LOCKED, fenced by an attempt number that every write checks,
 * heartbeaten, retried with capped exponential backoff and jitter, and parked with their error when attempts
 * run out. A job type is a list of named steps; each is idempotent and has its compensation. A broker that
 * dies loses its leases, not the work. Job time (leases, waits) is the database's clock; business time inside
 * a step is clock_now(job->clock). */
#ifndef BROKER_JOBS_JOB_H
#define BROKER_JOBS_JOB_H

#include <jansson.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"

/* A step's view of its job. */
struct job {
    const char *id;      /* UUID */
    const char *unit;    /* NULL: the broker's own work */
    const json_t *args;  /* as given to job_add */
    json_t *state;       /* object, changed in place; kept between steps and attempts, at once by job_save */
    int64_t attempt;     /* the fencing number, grows with every lease */
    struct db *db;       /* the worker's; not in a transaction */
    struct arena *arena; /* dies with the step */
    void *context;       /* of the runner: the composition root's services */
    struct clock *clock;
    struct job_internal *internal;
};

/* Runs `body` in a transaction (scope: system) that holds only while this attempt owns the job: a fenced-off
 * attempt gets ERR_STALE and nothing is written. */
struct error *job_transaction(struct job *job, enum db_isolation isolation,
                              struct error *(*body)(struct db *db, void *context),
                              void *context) ERROR_MUST_USE;
/* Stores job->state, fenced. */
struct error *job_save(struct job *job) ERROR_MUST_USE;
/* For a step's `run` that waits for somebody, a person perhaps: `return job_wait(job, most_us);`, and the
 * step is run again once job_wake was called, also when that was while it still ran, or after `most_us` at
 * the latest. Meanwhile the job is a queued row: it holds no worker and no lease, counts no attempt, and may
 * be cancelled, which takes this step back too. Always NULL. Without effect in `undo`. */
struct error *job_wait(struct job *job, int64_t most_us) ERROR_MUST_USE;
/* True once somebody asked to cancel, the lease was lost or the runner is stopping hard; cheap, call it
 * often. */
bool job_cancelled(const struct job *job);

struct job_step {
    const char *name;
    struct error *(*run)(struct job *job);
    struct error *(*undo)(
        struct job *job); /* NULL: nothing to take back. Idempotent; also run when `run` failed half-way. */
};

struct job_type {
    const char *name;
    const struct job_step *steps;
    size_t step_count;
    int max_attempts;   /* of one step; only for ERR_BUSY, ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_SERIALIZATION and
                           ERR_IO */
    int64_t backoff_us; /* first wait; doubles, capped, with jitter */
    int64_t backoff_max_us;
    /* After the undo of a job that failed for good or was cancelled (ERR_CANCELLED): records it, in one
     * fenced transaction with the job's end; when it refuses for good the job is parked. NULL: nothing to
     * record. A failing undo is retried likewise, then parks the job. */
    struct error *(*failed)(struct db *db, struct job *job, const struct error *error);
    /* After every step and before every retry, outside a transaction. NULL: nobody asks. */
    void (*progressed)(struct job *job, const char *step, size_t done, size_t of,
                       const struct error *retrying);
};

/* In the caller's transaction. Runs `after_us` from now. `key`: at most one unfinished job with this key,
 * else ERR_EXISTS, and the transaction may go on; NULL: none. `args` NULL: {}.
 * ret_id gets 37 bytes. */
struct error *job_add(struct db *db, const char *type, const char *unit, const char *key, const json_t *args,
                      int64_t after_us, char ret_id[37]) ERROR_MUST_USE;
/* In the caller's transaction: asks the job to stop at the next safe point and undo. ERR_CONFLICT when it
 * ended. */
struct error *job_cancel(struct db *db, const char *id) ERROR_MUST_USE;
/* In the caller's transaction, of any scope: what the job waits for may have come, so it looks again when the
 * transaction ends. Nothing happens to one that has ended. Takes the job's row, so call it before locking
 * what the job itself locks. */
struct error *job_wake(struct db *db, const char *id) ERROR_MUST_USE;
/* In the caller's transaction, with fresh attempts: a parked job goes on where it stopped, a failed or
 * cancelled one starts from its first step with an empty state. ERR_CONFLICT otherwise. */
struct error *job_retry(struct db *db, const char *id) ERROR_MUST_USE;

/* Worker threads that lease and run jobs until stopped. */
struct job_runner;
struct job_runner_settings {
    const char *conninfo;
    const struct job_type *const *types;
    size_t type_count;
    unsigned workers;
    void *context;
    struct clock *clock;
    int64_t lease_us; /* 0: 30 s */
    /* A file of this broker's own, locked while the runner lives: a new process that gets the lock takes over
     * at once what an earlier one had leased. NULL, or held by another: leases are waited for. */
    const char *lock_path;
};
struct error *job_runner_start(const struct job_runner_settings *settings,
                               struct job_runner **ret_runner) ERROR_MUST_USE;
/* Lets running steps end for `grace_us`, then asks them to stop without undo; gives the leases back. */
void job_runner_stop(struct job_runner *runner, int64_t grace_us);

#endif
