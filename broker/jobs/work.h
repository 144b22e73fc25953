/* What the files of broker/jobs share, and nobody else sees: a leased job's row, the worker's slot that tells
 * the heartbeat about it, and the statements on the table. */
#ifndef BROKER_JOBS_WORK_H
#define BROKER_JOBS_WORK_H

#include <pthread.h>
#include <stdatomic.h>

#include "broker/base/id.h"
#include "broker/jobs/job.h"

#define JOB_LEASE_US (30 * MOMENT_SECOND)
#define JOB_LOSSES_MAX 25  /* brokers that one step may outlive before the job is parked */
#define JOB_KEEP_DAYS 30   /* ended jobs */
#define JOB_ERROR_MAX 4000 /* bytes of last_error */

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_PARKED, JOB_DONE, JOB_FAILED, JOB_CANCELLED };

/* The row as leased, changed in memory and written back whole, so that a write may be repeated. */
struct job_row {
    char id[ID_TEXT];
    char *type, *unit;
    json_t *args, *saved;
    bool cancel, undoing, begun;
    int step_no, attempts, losses;
    int64_t fence;
    char *error_code, *last_error;
    char *cause_code, *cause; /* why it is undoing */
};
void job_row_done(struct job_row *row);

/* A worker's job as the heartbeat sees it. */
struct job_slot {
    pthread_mutex_t lock;
    bool busy;
    char id[ID_TEXT];
    int64_t fence;
    _Atomic int64_t deadline; /* monotonic: the lease is over then, whatever the database would say */
    atomic_bool cancel;       /* somebody asked */
    atomic_bool lost;         /* another attempt owns the job */
};

struct job_internal {
    struct job_row *row;
    struct job_slot *slot;
    const atomic_bool *stop_hard;
    int64_t lease_us;
    bool undoing;
    int64_t wait_us; /* 0: the step does not wait */
};

/* lease.c: each opens a transaction of its own with the system's scope, unless it says otherwise. */

/* The next runnable job of the types; *ret_found. first_steps[i] is the first step's name of types[i].
 * *ret_wait_us: when there is none, how long until there may be one, at most `most_us`. */
struct job_lease {
    const char *const *types;
    const char *const *first_steps;
    size_t type_count;
    const char *who;
    int64_t lease_us;
    int64_t most_us;
};
struct error *job_lease_next(struct db *db, const struct job_lease *lease, struct job_row *ret_row,
                             bool *ret_found, int64_t *ret_wait_us) ERROR_MUST_USE;
/* Writes the row with its new state while the fence holds, else ERR_STALE; *ret_cancel (may be NULL) tells
 * whether somebody asked to cancel. In the caller's transaction. delay_us: until run_at, which is now for a
 * queued one that somebody woke or cancelled since it was leased. */
struct error *job_write(struct db *db, const struct job_row *row, enum job_state state, const char *step,
                        int64_t delay_us, bool *ret_cancel) ERROR_MUST_USE;
/* Renews the leases of busy slots; marks those lost and those to cancel. */
struct error *job_renew(struct db *db, struct job_slot *slots, size_t count, int64_t lease_us) ERROR_MUST_USE;
struct error *job_prune(struct db *db) ERROR_MUST_USE;

/* work.c: runs a leased job until it ends, waits for a retry, is lost, or the runner stops. */
struct job_work {
    struct db *db;
    const struct job_type *type;
    struct job_slot *slot;
    void *context;
    struct clock *clock;
    const atomic_bool *stopping, *stop_hard;
    int64_t lease_us;
};
void job_work(const struct job_work *work, struct job_row *row);
/* Wait before try number `attempts` + 1: doubled each time, capped, between half of it and the whole. */
int64_t job_backoff(const struct job_type *type, int attempts, uint32_t random);

#endif
