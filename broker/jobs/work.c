/* One leased job: its steps, its way back, its retries and its end; see job.h. The row is changed in memory
 * and written whole and fenced after every step, so a broker that dies repeats at most one step. */
#include "broker/jobs/work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/base/log.h"

#define WRITE_PAUSE_US 200000 /* between tries to write while the database is away */

struct running {
    const struct job_work *work;
    struct job_row *row;
    struct job job;
    struct job_internal internal;
};

static const char *step_name(const struct running *running)
{
    int at = running->row->step_no;
    const struct job_type *type = running->work->type;
    return at >= 0 && (size_t)at < type->step_count ? type->steps[at].name : NULL;
}

int64_t job_backoff(const struct job_type *type, int attempts, uint32_t random)
{
    int64_t wait = type->backoff_us > 0 ? type->backoff_us : MOMENT_SECOND;
    int64_t most = type->backoff_max_us > wait ? type->backoff_max_us : wait;
    for (int i = 1; i < attempts && wait < most; i++)
        wait = wait > most / 2 ? most : wait * 2;
    return wait / 2 + (int64_t)((wide)(wait - wait / 2) * random / UINT32_MAX);
}

static bool worth_retrying(const struct error *error)
{
    switch (error_code(error)) {
    case ERR_BUSY:
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
    case ERR_SERIALIZATION:
    case ERR_IO:
        return true;
    default:
        return false;
    }
}

static void keep(const struct error *error, char **code, char **message)
{
    free(*code);
    free(*message);
    *code = xstrdup(error_code_name(error_code(error)));
    *message = strndup(error_message(error), JOB_ERROR_MAX);
    if (!*message)
        abort(); /* out of memory, as in xmalloc */
}

static void remember(struct job_row *row, const struct error *error)
{
    keep(error, &row->error_code, &row->last_error);
}

/* The error that the job ends with, from its row: it may have been another broker that met it. */
static struct error *recall(const struct job_row *row)
{
    enum error_code code = ERR_INTERNAL;
    for (int at = ERR_INVALID; at <= ERR_INTERNAL; at++) {
        if (row->cause_code && strcmp(row->cause_code, error_code_name((enum error_code)at)) == 0)
            code = (enum error_code)at;
    }
    return error_new(code, "%s", row->cause ? row->cause : "no cause was kept");
}

/* Every callback gets an arena that dies with it. */
static void with_arena(struct running *running, struct arena **keep)
{
    *keep = running->job.arena = arena_new();
}

static void without_arena(struct running *running, struct arena *arena)
{
    running->job.arena = NULL;
    arena_free(arena);
}

static void tell_progress(struct running *running, const char *step, const struct error *retrying)
{
    const struct job_type *type = running->work->type;
    struct arena *arena;
    if (!type->progressed)
        return;
    with_arena(running, &arena);
    type->progressed(&running->job, step, (size_t)running->row->step_no, type->step_count, retrying);
    without_arena(running, arena);
}

struct writing {
    struct running *running;
    enum job_state state;
    const char *step;
    int64_t delay_us;
    bool cancel;
    const struct error *failed; /* for the type's `failed`, in the same transaction */
    struct error *refused;      /* out: not written, though the job is still ours and the database there */
};

static struct error *write_body(struct db *db, void *context)
{
    struct writing *writing = context;
    struct running *running = writing->running;
    const struct job_type *type = running->work->type;
    TRY(job_write(db, running->row, writing->state, writing->step, writing->delay_us, &writing->cancel));
    if (!writing->failed || !type->failed)
        return NULL;
    struct arena *arena;
    with_arena(running, &arena);
    struct error *error = type->failed(db, &running->job, writing->failed);
    without_arena(running, arena);
    return error;
}

static void pause_a_little(void)
{
    struct timespec left = {.tv_nsec = WRITE_PAUSE_US * 1000L};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

/* Writes the row; as long as the lease may hold, through a database that is away for a while. False: the job
 * is not ours any more, or could not be written, which comes to the same. */
static bool write_row(struct running *running, struct writing *writing)
{
    const struct job_work *work = running->work;
    writing->running = running;
    for (;;) {
        struct error *error =
            db_transaction(work->db, &db_scope_system, DB_READ_COMMITTED, write_body, writing);
        if (!error) {
            if (writing->cancel)
                work->slot->cancel = true;
            if (writing->state == JOB_RUNNING)
                running->row->cancel = writing->cancel;
            return true;
        }
        bool again = worth_retrying(error) && !work->slot->lost && moment_monotonic() < work->slot->deadline;
        if (error_code(error) == ERR_STALE)
            work->slot->lost = true;
        if (!again)
            log_warning("job.not_written", LOG_TEXT("job", running->row->id),
                        LOG_TEXT("type", running->row->type), LOG_CAUSE(error));
        if (!again && writing->failed && !worth_retrying(error) && !work->slot->lost)
            writing->refused = error;
        else
            error_free(error);
        if (!again)
            return false;
        pause_a_little();
    }
}

/* A step that stopped because its lease had run out unrenewed, not because anybody asked: nothing is decided
 * by that. */
static bool only_the_lease_ended(const struct running *running, const struct error *error)
{
    const struct job_slot *slot = running->work->slot;
    return error_code(error) == ERR_CANCELLED && (running->row->undoing || !slot->cancel) &&
           moment_monotonic() > slot->deadline;
}

/* Another attempt may go on at once. */
static bool give_back(struct running *running)
{
    struct writing writing = {.state = JOB_QUEUED, .step = step_name(running)};
    (void)write_row(running, &writing); /* when it fails the lease ends by itself */
    return false;
}

static bool park(struct running *running, const struct error *error)
{
    remember(running->row, error);
    log_error("job.parked", LOG_TEXT("job", running->row->id), LOG_TEXT("type", running->row->type),
              LOG_TEXT("step", step_name(running)), LOG_CAUSE(error));
    struct writing writing = {.state = JOB_PARKED, .step = step_name(running)};
    (void)write_row(running, &writing);
    return false;
}

static bool retry_later(struct running *running, const struct error *error)
{
    const struct job_type *type = running->work->type;
    struct job_row *row = running->row;
    uint32_t random;
    random_bytes(&random, sizeof random);
    row->attempts++;
    remember(row, error);
    int64_t wait = job_backoff(type, row->attempts, random);
    int64_t asked = error_retry_after(error) * MOMENT_SECOND;
    log_warning("job.retry", LOG_TEXT("job", row->id), LOG_TEXT("type", row->type),
                LOG_TEXT("step", step_name(running)), LOG_INT("attempts", row->attempts), LOG_CAUSE(error));
    tell_progress(running, step_name(running), error);
    struct writing writing = {
        .state = JOB_QUEUED, .step = step_name(running), .delay_us = asked > wait ? asked : wait};
    (void)write_row(running, &writing); /* when it fails the lease ends by itself */
    return false;
}

/* Turns round: the step that was begun is the first to be taken back. */
static bool turn_round(struct running *running, const struct error *error)
{
    struct job_row *row = running->row;
    log_warning("job.undoing", LOG_TEXT("job", row->id), LOG_TEXT("type", row->type),
                LOG_TEXT("step", step_name(running)), LOG_CAUSE(error));
    remember(row, error);
    keep(error, &row->cause_code, &row->cause);
    row->undoing = true;
    if (!row->begun || (size_t)row->step_no >= running->work->type->step_count)
        row->step_no--;
    row->begun = true;
    row->attempts = row->losses = 0;
    running->internal.undoing = true;
    struct writing writing = {
        .state = JOB_RUNNING, .step = step_name(running), .delay_us = running->work->lease_us};
    return write_row(running, &writing);
}

static bool turn_round_cancelled(struct running *running)
{
    struct error *error = error_new(ERR_CANCELLED, "cancelled on request");
    bool on = turn_round(running, error);
    error_free(error);
    return on;
}

static struct error *call_step(struct running *running, struct error *(*call)(struct job *job))
{
    struct arena *arena;
    running->internal.wait_us = 0;
    with_arena(running, &arena);
    struct error *error = call(&running->job);
    without_arena(running, arena);
    return error;
}

static bool finish(struct running *running)
{
    struct writing writing = {.state = JOB_DONE};
    (void)write_row(running, &writing); /* when it fails the last step runs once more */
    return false;
}

/* The step will be run again, with fresh attempts. */
static bool wait_for_somebody(struct running *running)
{
    struct job_row *row = running->row;
    row->attempts = row->losses = 0;
    struct writing writing = {
        .state = JOB_QUEUED, .step = step_name(running), .delay_us = running->internal.wait_us};
    (void)write_row(running, &writing); /* when it fails the lease ends by itself, and the step looks again */
    return false;
}

/* True: go on with the job. */
static bool forward(struct running *running)
{
    const struct job_work *work = running->work;
    const struct job_type *type = work->type;
    struct job_row *row = running->row;
    if (row->cancel || work->slot->cancel)
        return turn_round_cancelled(running);
    if ((size_t)row->step_no >= type->step_count) /* of a version of the type that had more steps */
        return finish(running);
    const struct job_step *step = &type->steps[row->step_no];
    struct error *error = call_step(running, step->run);
    bool on;
    if (work->slot->lost) {
        on = false;
    } else if (!error && running->internal.wait_us) {
        on = work->slot->cancel ? turn_round_cancelled(running) : wait_for_somebody(running);
    } else if (!error) {
        row->step_no++;
        row->begun = !work->slot->cancel;
        row->attempts = row->losses = 0;
        bool last = (size_t)row->step_no == type->step_count;
        struct writing writing = {
            .state = JOB_RUNNING, .step = step_name(running), .delay_us = work->lease_us};
        on = last || write_row(running, &writing);
        if (on)
            tell_progress(running, step->name, NULL);
        if (on && last)
            on = finish(running);
    } else if (*work->stop_hard || only_the_lease_ended(running, error)) {
        on = give_back(running);
    } else if (work->slot->cancel) {
        on = turn_round_cancelled(running);
    } else if (worth_retrying(error) && row->attempts + 1 < type->max_attempts) {
        on = retry_later(running, error);
    } else {
        on = turn_round(running, error);
    }
    error_free(error);
    return on;
}

static bool end_undone(struct running *running)
{
    struct error *error = recall(running->row);
    struct writing writing = {.state = error_code(error) == ERR_CANCELLED ? JOB_CANCELLED : JOB_FAILED,
                              .failed = error};
    remember(running->row, error);
    (void)write_row(running, &writing); /* when it fails the end is tried again after the lease */
    if (writing.refused) {              /* by `failed`, for good: somebody has to look */
        struct error *refused = error_wrap(writing.refused, "could not record the failure");
        (void)park(running, refused);
        error_free(refused);
    }
    error_free(error);
    return false;
}

static bool backward(struct running *running)
{
    const struct job_work *work = running->work;
    const struct job_type *type = work->type;
    struct job_row *row = running->row;
    while (row->step_no >= 0 && ((size_t)row->step_no >= type->step_count || !type->steps[row->step_no].undo))
        row->step_no--;
    if (row->step_no < 0)
        return end_undone(running);
    struct error *error = call_step(running, type->steps[row->step_no].undo);
    bool on;
    if (work->slot->lost) {
        on = false;
    } else if (!error) {
        row->step_no--;
        row->attempts = row->losses = 0;
        struct writing writing = {
            .state = JOB_RUNNING, .step = step_name(running), .delay_us = work->lease_us};
        on = write_row(running, &writing);
    } else if (*work->stop_hard || only_the_lease_ended(running, error)) {
        on = give_back(running);
    } else if (worth_retrying(error) && row->attempts + 1 < type->max_attempts) {
        on = retry_later(running, error);
    } else {
        on = park(running, error);
    }
    error_free(error);
    return on;
}

static bool too_many_losses(struct running *running)
{
    struct error *error = error_new(ERR_INTERNAL, "%d brokers died or stalled in step \"%s\"",
                                    running->row->losses, step_name(running) ? step_name(running) : "-");
    bool on = park(running, error);
    error_free(error);
    return on;
}

void job_work(const struct job_work *work, struct job_row *row)
{
    struct running running = {
        .work = work,
        .row = row,
        .internal = {.row = row,
                     .slot = work->slot,
                     .stop_hard = work->stop_hard,
                     .lease_us = work->lease_us,
                     .undoing = row->undoing},
        .job = {.id = row->id,
                .unit = row->unit,
                .args = row->args,
                .state = row->saved,
                .attempt = row->fence,
                .db = work->db,
                .context = work->context,
                .clock = work->clock},
    };
    running.job.internal = &running.internal;
    bool on = row->losses > JOB_LOSSES_MAX ? too_many_losses(&running) : true;
    while (on) {
        if (*work->stopping)
            on = give_back(&running);
        else
            on = row->undoing ? backward(&running) : forward(&running);
    }
}
