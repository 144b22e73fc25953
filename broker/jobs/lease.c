/* The statements on the table of jobs: leasing, writing back, renewing, removing what ended long ago. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/jobs/work.h"

void job_row_done(struct job_row *row)
{
    free(row->type);
    free(row->unit);
    free(row->error_code);
    free(row->last_error);
    free(row->cause_code);
    free(row->cause);
    json_decref(row->args);
    json_decref(row->saved);
    memset(row, 0, sizeof *row);
}

static char *copy(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

static void read_row(const struct db_rows *rows, struct job_row *row)
{
    (void)snprintf(row->id, sizeof row->id, "%s", db_get_text(rows, 0, 0)); /* a uuid column */
    row->type = copy(db_get_text(rows, 0, 1));
    row->unit = copy(db_get_text(rows, 0, 2));
    row->args = db_get_json(rows, 0, 3);
    row->saved = db_get_json(rows, 0, 4);
    row->cancel = db_get_bool(rows, 0, 5);
    row->undoing = db_get_bool(rows, 0, 6);
    row->begun = db_get_bool(rows, 0, 7);
    row->step_no = (int)db_get_int(rows, 0, 8); /* an integer column, as are the next two */
    row->attempts = (int)db_get_int(rows, 0, 9);
    row->losses = (int)db_get_int(rows, 0, 10);
    row->fence = db_get_int(rows, 0, 11);
    row->error_code = copy(db_get_text(rows, 0, 12));
    row->last_error = copy(db_get_text(rows, 0, 13));
    row->cause_code = copy(db_get_text(rows, 0, 14));
    row->cause = copy(db_get_text(rows, 0, 15));
}

struct leasing {
    const struct job_lease *lease;
    struct job_row row;
    bool found;
    int64_t wait_us;
};

/* A running row is runnable when its lease is over: its broker died or stalled. Rows that a fenced
 * transaction holds are skipped, so an owner that is just writing keeps its job. now() can be an index
 * condition, which clock_timestamp() cannot, and this is its transaction's first statement. `begun` is set
 * before the step begins. */
static const struct db_statement lease_next = {
    "job_lease_next",
    "UPDATE job SET state = 'running', fence = fence + 1, leased_by = $4,"
    " losses = losses + (state = 'running')::int, begun = begun OR NOT cancel, woken = false,"
    " step = coalesce(step, CASE WHEN NOT undoing THEN ($2::text[])[array_position($1::text[], type)] END),"
    " run_at = clock_timestamp() + $3::bigint * interval '1 microsecond'"
    " WHERE id = (SELECT id FROM job WHERE state IN ('queued', 'running') AND run_at <= now()"
    " AND type = ANY ($1::text[]) ORDER BY run_at LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " RETURNING id, type, unit_id, args, saved, cancel, undoing, begun, step_no, attempts, losses, fence,"
    " error_code, last_error, cause_code, cause"};

static const struct db_statement next_due = {
    "job_next_due",
    "SELECT (extract(epoch FROM (min(run_at) - clock_timestamp())) * 1000000)::bigint FROM job"
    " WHERE state IN ('queued', 'running') AND type = ANY ($1::text[])"};

static struct error *lease_body(struct db *db, void *context)
{
    struct leasing *leasing = context;
    const struct job_lease *lease = leasing->lease;
    const struct db_value types = db_texts(lease->types, lease->type_count);
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    job_row_done(&leasing->row);
    TRY(db_query(db, &lease_next,
                 DB_VALUES(types, db_texts(lease->first_steps, lease->type_count), db_int(lease->lease_us),
                           db_text(lease->who)),
                 &rows));
    leasing->found = db_count(rows) == 1;
    if (leasing->found) {
        read_row(rows, &leasing->row);
        return NULL;
    }
    DB_ROWS_AUTO struct db_rows *due = NULL;
    TRY(db_query_one(db, &next_due, DB_VALUES(types), "row", &due));
    int64_t wait = db_is_null(due, 0, 0) ? lease->most_us : db_get_int(due, 0, 0);
    if (wait < 50000) /* due, yet another broker is at it */
        wait = 50000;
    leasing->wait_us = wait < lease->most_us ? wait : lease->most_us;
    return NULL;
}

struct error *job_lease_next(struct db *db, const struct job_lease *lease, struct job_row *ret_row,
                             bool *ret_found, int64_t *ret_wait_us)
{
    struct leasing leasing = {.lease = lease};
    struct error *error = db_transaction(db, &db_scope_system, DB_READ_COMMITTED, lease_body, &leasing);
    if (error) {
        job_row_done(&leasing.row);
        return error_wrap(error, "could not lease a job");
    }
    *ret_found = leasing.found;
    *ret_wait_us = leasing.wait_us;
    *ret_row = leasing.row;
    return NULL;
}

struct error *job_write(struct db *db, const struct job_row *row, enum job_state state, const char *step,
                        int64_t delay_us, bool *ret_cancel)
{
    static const char *const names[] = {"queued", "running", "parked", "done", "failed", "cancelled"};
    static const struct db_statement write = {
        "job_write",
        "UPDATE job SET state = $3, undoing = $4, begun = $5, step_no = $6, step = $7, attempts = $8,"
        " losses = $9, error_code = $10, last_error = $11, saved = $12,"
        " run_at = clock_timestamp() + CASE WHEN $3 = 'queued' AND (woken OR cancel) THEN 0 ELSE $13::bigint "
        "END"
        " * interval '1 microsecond',"
        " cause_code = $14, cause = $15,"
        " ended_at = CASE WHEN $3 IN ('done', 'failed', 'cancelled') THEN clock_timestamp() END"
        " WHERE id = $1 AND fence = $2 AND state = 'running' RETURNING cancel"};
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &write,
                 DB_VALUES(db_text(row->id), db_int(row->fence), db_text(names[state]), db_bool(row->undoing),
                           db_bool(row->begun), db_int(row->step_no), db_text(step), db_int(row->attempts),
                           db_int(row->losses), db_text(row->error_code), db_text(row->last_error),
                           db_json(row->saved), db_int(delay_us), db_text(row->cause_code),
                           db_text(row->cause)),
                 &rows));
    if (db_count(rows) != 1)
        return error_new(ERR_STALE, "attempt %lld does not own job %s any more", (long long)row->fence,
                         row->id);
    if (ret_cancel)
        *ret_cancel = db_get_bool(rows, 0, 0);
    return NULL;
}

struct renewing {
    const char **ids;
    const char **fences;
    size_t count;
    int64_t lease_us;
    struct db_rows *rows;
};

/* Rows held by a transaction are skipped: it renewed them when it began. What is read is from before the
 * update, so a fence that differs belongs to another attempt. */
static struct error *renew_body(struct db *db, void *context)
{
    static const struct db_statement renew = {
        "job_renew",
        "WITH mine AS (SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS m (id, fence)),"
        " free AS (SELECT j.id FROM job j JOIN mine m ON j.id = m.id AND j.fence = m.fence"
        " WHERE j.state = 'running' FOR UPDATE OF j SKIP LOCKED),"
        " renewed AS (UPDATE job j SET run_at = clock_timestamp() + $3::bigint * interval '1 microsecond'"
        " FROM free WHERE j.id = free.id RETURNING j.id)"
        " SELECT m.id, m.fence, coalesce(j.fence = m.fence AND j.state = 'running', false), "
        "coalesce(j.cancel, false),"
        " m.id IN (SELECT id FROM renewed)"
        " FROM mine m LEFT JOIN job j ON j.id = m.id"};
    struct renewing *renewing = context;
    db_rows_free(renewing->rows);
    renewing->rows = NULL;
    return db_query(db, &renew,
                    DB_VALUES(db_texts(renewing->ids, renewing->count),
                              db_texts(renewing->fences, renewing->count), db_int(renewing->lease_us)),
                    &renewing->rows);
}

static void tell_slot(struct job_slot *slot, const struct db_rows *rows, size_t row, int64_t deadline)
{
    (void)pthread_mutex_lock(&slot->lock); /* a plain mutex, held for a few lines */
    if (slot->busy && strcmp(slot->id, db_get_text(rows, row, 0)) == 0 &&
        slot->fence == db_get_int(rows, row, 1)) {
        if (!db_get_bool(rows, row, 2))
            slot->lost = true;
        else if (db_get_bool(rows, row, 4))
            slot->deadline = deadline;
        if (db_get_bool(rows, row, 3))
            slot->cancel = true;
    }
    (void)pthread_mutex_unlock(&slot->lock);
}

struct error *job_renew(struct db *db, struct job_slot *slots, size_t count, int64_t lease_us)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct renewing renewing = {.ids = arena_array(arena, count, sizeof *renewing.ids),
                                .fences = arena_array(arena, count, sizeof *renewing.fences),
                                .lease_us = lease_us};
    for (size_t i = 0; i < count; i++) {
        (void)pthread_mutex_lock(&slots[i].lock);
        if (slots[i].busy) {
            renewing.ids[renewing.count] = arena_strdup(arena, slots[i].id);
            renewing.fences[renewing.count++] = arena_printf(arena, "%lld", (long long)slots[i].fence);
        }
        (void)pthread_mutex_unlock(&slots[i].lock);
    }
    if (!renewing.count)
        return NULL;
    int64_t deadline =
        moment_monotonic() + lease_us; /* from before the asking: never longer than the database's */
    TRY_DOING(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, renew_body, &renewing),
              "could not renew leases");
    for (size_t row = 0; row < db_count(renewing.rows); row++) {
        for (size_t i = 0; i < count; i++)
            tell_slot(&slots[i], renewing.rows, row, deadline);
    }
    db_rows_free(renewing.rows);
    return NULL;
}

static struct error *prune_body(struct db *db, void *context)
{
    static const struct db_statement prune = {
        "job_prune",
        "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE ended_at < now() - $1::int * interval '1 day'"
        " ORDER BY ended_at LIMIT 1000)"};
    (void)context; /* db_transaction's form */
    return db_run(db, &prune, DB_VALUES(db_int(JOB_KEEP_DAYS)), NULL);
}

struct error *job_prune(struct db *db)
{
    return db_transaction(db, &db_scope_system, DB_READ_COMMITTED, prune_body, NULL);
}
