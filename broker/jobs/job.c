/* Adding, cancelling and retrying jobs, and what a step may do with its own; see job.h. */
#include "broker/jobs/job.h"

#include <stdlib.h>
#include <string.h>

#include "broker/jobs/work.h"

struct error *job_add(struct db *db, const char *type, const char *unit, const char *key, const json_t *args,
                      int64_t after_us, char ret_id[37])
{
#define INSERT_JOB                                                                                     \
    "WITH told AS (SELECT pg_notify('job_ready', '')) INSERT INTO job (id, type, unit_id, key, args, " \
    "run_at)"                                                                                          \
    " SELECT $1, $2, $3, $4, coalesce($5::jsonb, '{}'), clock_timestamp() + $6::bigint * interval '1 " \
    "microsecond'"                                                                                     \
    " FROM told"
    static const struct db_statement add = {"job_add", INSERT_JOB};
    /* Needs a scope that sees the row: the database compares it with those that are there. */
    static const struct db_statement add_keyed = {
        "job_add_keyed",
        INSERT_JOB " ON CONFLICT (key) WHERE key IS NOT NULL AND state IN ('queued', 'running', 'parked')"
                   " DO NOTHING"};
    char id[ID_TEXT];
    int64_t added = 1; /* without a key nothing is in the way, and a pipeline may carry it */
    id_new(id);
    TRY_DOING(db_run(db, key ? &add_keyed : &add,
                     DB_VALUES(db_text(id), db_text(type), db_text(unit), db_text(key), db_json(args),
                               db_int(after_us > 0 ? after_us : 0)),
                     key ? &added : NULL),
              "could not add a job \"%s\"", type);
    if (!added) /* told without failing a statement, so that the caller's transaction may go on */
        return error_new(ERR_EXISTS, "a job \"%s\" with key \"%s\" is unfinished", type, key);
    memcpy(ret_id, id, ID_TEXT);
    return NULL;
}

static struct error *must_change(struct db *db, const struct db_statement *statement, const char *id,
                                 const char *otherwise)
{
    int64_t changed;
    TRY(db_run(db, statement, DB_VALUES(db_text(id)), &changed));
    if (changed != 1)
        return error_new(ERR_CONFLICT, "job %s %s", id, otherwise);
    return NULL;
}

struct error *job_cancel(struct db *db, const char *id)
{
    /* A parked one goes on too: it takes back what it can. */
    static const struct db_statement cancel = {
        "job_cancel", "WITH told AS (SELECT pg_notify('job_ready', ''))"
                      " UPDATE job SET cancel = true,"
                      " attempts = CASE WHEN state = 'parked' THEN 0 ELSE attempts END,"
                      " losses = CASE WHEN state = 'parked' THEN 0 ELSE losses END,"
                      " run_at = CASE WHEN state = 'running' THEN run_at ELSE clock_timestamp() END,"
                      " state = CASE WHEN state = 'parked' THEN 'queued' ELSE state END"
                      " FROM told WHERE id = $1 AND state IN ('queued', 'running', 'parked')"};
    return must_change(db, &cancel, id, "has ended");
}

struct error *job_retry(struct db *db, const char *id)
{
    /* Parked: on from where it stopped. Failed or cancelled: everything was taken back, so from the
     * beginning. */
    static const struct db_statement retry = {
        "job_retry",
        "WITH told AS (SELECT pg_notify('job_ready', ''))"
        " UPDATE job SET attempts = 0, losses = 0, run_at = clock_timestamp(), ended_at = NULL,"
        " cancel = cancel AND state = 'parked', undoing = undoing AND state = 'parked',"
        " begun = begun AND state = 'parked',"
        " step_no = CASE WHEN state = 'parked' THEN step_no ELSE 0 END,"
        " step = CASE WHEN state = 'parked' THEN step END,"
        " saved = CASE WHEN state = 'parked' THEN saved ELSE '{}' END,"
        " cause_code = CASE WHEN state = 'parked' THEN cause_code END,"
        " cause = CASE WHEN state = 'parked' THEN cause END, error_code = NULL, last_error = NULL,"
        " state = 'queued'"
        " FROM told WHERE id = $1 AND state IN ('parked', 'failed', 'cancelled')"};
    return must_change(db, &retry, id, "is neither parked nor failed");
}

struct error *job_wake(struct db *db, const char *id)
{
    static const struct db_statement wake = {"job_wake", "SELECT job_wake($1)"};
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY_DOING(db_query(db, &wake, DB_VALUES(db_text(id)), &rows), "could not wake job %s", id);
    return NULL;
}

struct error *job_wait(struct job *job, int64_t most_us)
{
    job->internal->wait_us = most_us > 0 ? most_us : 1;
    return NULL;
}

bool job_cancelled(const struct job *job)
{
    const struct job_internal *internal = job->internal;
    const struct job_slot *slot = internal->slot;
    return (slot->cancel && !internal->undoing) || slot->lost || *internal->stop_hard ||
           moment_monotonic() > slot->deadline;
}

struct fenced {
    struct job *job;
    struct error *(*body)(struct db *db, void *context);
    void *context;
    bool save;
};

/* Takes the job's row, which keeps every other attempt out until the transaction ends, and renews the lease.
 */
static struct error *fenced_body(struct db *db, void *context)
{
    static const struct db_statement hold = {
        "job_hold", "UPDATE job SET run_at = clock_timestamp() + $3::bigint * interval '1 microsecond',"
                    " saved = coalesce($4::jsonb, saved)"
                    " WHERE id = $1 AND fence = $2 AND state = 'running'"};
    struct fenced *fenced = context;
    struct job *job = fenced->job;
    struct job_internal *internal = job->internal;
    int64_t changed;
    TRY(db_run(db, &hold,
               DB_VALUES(db_text(job->id), db_int(job->attempt), db_int(internal->lease_us),
                         db_json(fenced->save ? job->state : NULL)),
               &changed));
    if (changed != 1) {
        internal->slot->lost = true;
        return error_new(ERR_STALE, "attempt %lld does not own job %s any more", (long long)job->attempt,
                         job->id);
    }
    return fenced->body ? fenced->body(db, fenced->context) : NULL;
}

struct error *job_transaction(struct job *job, enum db_isolation isolation,
                              struct error *(*body)(struct db *db, void *context), void *context)
{
    struct fenced fenced = {.job = job, .body = body, .context = context};
    return db_transaction(job->db, &db_scope_system, isolation, fenced_body, &fenced);
}

struct error *job_save(struct job *job)
{
    struct fenced fenced = {.job = job, .save = true};
    struct error *error =
        db_in_transaction(job->db)
            ? fenced_body(job->db, &fenced)
            : db_transaction(job->db, &db_scope_system, DB_READ_COMMITTED, fenced_body, &fenced);
    return error_wrap(error, "could not save the state of job %s", job->id);
}
