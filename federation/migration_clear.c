/* What passes leave behind, taken away by the ledger: exports, checkpoints, manifests; and the rows that a
 * pass leaves for good. See migration_data.h. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/json.h"
#include "broker/base/money.h"
#include "federation/assess.h"
#include "federation/migration_data.h"

/* What a downtime has beside the last pass and the proof. The machine's own part is what an earlier cut-over
 * of it measured; before there was one, what servers take. */
#define SWITCH_US (3 * MOMENT_SECOND) /* fencing, looking, writing down */
#define STOP_US (20 * MOMENT_SECOND)
#define START_US (40 * MOMENT_SECOND)
/* What a pass is shorter by at least: short ones differ by chance. */
#define GAIN_US MOMENT_SECOND
/* What disks go to a provider with that takes them whole. */
#define UPLOAD_BYTES_S ASSESS_READ_BYTES_S

static struct error *gone_is_good(struct error *error)
{
    if (!error || error_code(error) != ERR_NOT_FOUND)
        return error;
    error_free(error);
    return NULL;
}

struct entries {
    struct migration_work *work;
    const char *side, *kind, **list, *one;
    size_t count;
};

static struct error *list_body(struct db *db, void *context)
{
    struct entries *entries = context;
    return migration_open_entries(db, entries->work->arena, &entries->work->row, entries->side, entries->kind,
                                  &entries->list, &entries->count);
}

static struct error *cross_out_body(struct db *db, void *context)
{
    const struct entries *entries = context;
    return migration_cross_out(db, &entries->work->row, entries->side, entries->kind, entries->one,
                               clock_now(entries->work->job->clock));
}

static struct error *remove_file(const char *path)
{
    TRY(copy_pass_forget(path));
    if (unlink(path) && errno != ENOENT)
        return error_new(ERR_IO, "could not remove %s: %s", path, strerror(errno));
    return NULL;
}

static struct error *remove_at(struct migration_work *work, const struct entries *entries)
{
    struct migration_call call;
    bool at_source = !strcmp(entries->side, "source");
    const struct migration_end *end = at_source ? &work->row.source : &work->row.target;
    struct driver_key key = migration_key(work, end);
    TRY(migration_call_open(work, end, &call));
    struct gate *gate = provider_gate(&call.call);
    struct error *error = !strcmp(entries->kind, "export")
                              ? gate_export_close(gate, &call.call.call, &key, entries->one, false)
                              : gate_checkpoint_delete(gate, &call.call.call, &key, entries->one);
    migration_call_close(&call);
    return gone_is_good(error);
}

/* `kept` stays; NULL: nothing does. */
static struct error *clear(struct migration_work *work, const char *side, const char *kind, const char *kept)
{
    struct entries entries = {.work = work, .side = side, .kind = kind};
    TRY(job_transaction(work->job, DB_READ_COMMITTED, list_body, &entries));
    for (size_t i = 0; i < entries.count; i++) {
        entries.one = entries.list[i];
        if (kept && !strcmp(kept, entries.one))
            continue;
        TRY(!strcmp(kind, "manifest") ? remove_file(entries.one) : remove_at(work, &entries));
        TRY(job_transaction(work->job, DB_READ_COMMITTED, cross_out_body, &entries));
    }
    return NULL;
}

struct error *migration_clear(struct migration_work *work, enum migration_effect effect)
{
    TRY(clear(work, "source", "export", NULL));
    if (effect == MIGRATION_SOURCE_CLOSE)
        return NULL;
    migration_convert_clear(work);
    TRY(clear(work, "target", "export", NULL));
    TRY(clear(work, "source", "checkpoint", NULL));
    return clear(work, "target", "manifest", NULL);
}

struct error *migration_clear_others(struct migration_work *work)
{
    TRY(clear(work, "source", "export", work->plan.source));
    return clear(work, "target", "export", work->plan.target);
}

static const struct db_statement add_pass = {
    "migration_pass_add",
    "INSERT INTO migration_pass (unit_id, migration_id, disk, pass, system_id, clouds, providers, kind, why,"
    " disk_bytes, written_bytes, read_bytes, elapsed_us, digest, quiesced, at)"
    " SELECT unit_id, id, $3, $4, system_id, clouds, providers, $5, $6, $7, $8, $9, $10, $11, $12, $13"
    " FROM migration WHERE unit_id = $1 AND id = $2 ON CONFLICT (unit_id, migration_id, disk, pass) DO "
    "NOTHING"};
static const struct db_statement set_passed = {
    "migration_set_passed",
    "UPDATE migration SET passes = $3, passed_at = $4, predicted_us = $5, progress = NULL"
    " WHERE unit_id = $1 AND id = $2"};

/* Of the last move that has it. A test boot that passed tells of the start too. */
static const struct db_statement select_measured = {
    "migration_measured",
    "SELECT (array_agg(m.stop_us ORDER BY m.created_at DESC) FILTER (WHERE m.stop_us IS NOT NULL))[1],"
    " coalesce((array_agg(m.start_us ORDER BY m.created_at DESC) FILTER (WHERE m.start_us IS NOT NULL))[1],"
    " min(greatest((extract(epoch FROM t.ended_at - t.booted_at) - t.stays_seconds) * 1000000, 0)::bigint)"
    " FILTER (WHERE t.id IS NOT NULL)) FROM migration m LEFT JOIN migration_test t ON t.unit_id = m.unit_id"
    " AND t.migration_id = m.id AND t.outcome = 'passed' WHERE m.unit_id = $1 AND m.resource_id = $2"};

/* Of stopping and starting the machine; one that is off has neither. */
static struct error *predict_power(struct db *db, const struct migration_work *work, int64_t *ret_us)
{
    const struct migration_row *row = &work->row;
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    *ret_us = 0;
    if (strcmp(work->instance.power, "on"))
        return NULL;
    TRY(db_query_one(db, &select_measured, DB_VALUES(db_text(row->unit), db_text(row->resource)), "row",
                     &rows));
    *ret_us = (db_is_null(rows, 0, 0) ? STOP_US : db_get_int(rows, 0, 0)) +
              (db_is_null(rows, 0, 1) ? START_US : db_get_int(rows, 0, 1));
    return NULL;
}

/* A pass of changes tells how long the next one takes; one of everything, how long it takes at the most. The
 * proof opens and closes as a pass does. What is staged is sent in the last one, and read back from there. */
static struct error *predict(struct db *db, struct migration_work *work, int64_t elapsed, bool full,
                             int64_t *ret_us)
{
    json_t *state = work->job->state;
    int64_t power, upload = (int64_t)((wide)work->to_upload * MOMENT_SECOND / UPLOAD_BYTES_S);
    if (full)
        json_put_int(state, "full_us", elapsed);
    TRY(predict_power(db, work, &power));
    int64_t read = json_integer_value(json_object_get(state, "full_us"));
    int64_t proof = strcmp(work->row.proof, "full") ? 0 : read > upload ? read : upload;
    *ret_us = power + SWITCH_US + elapsed + upload + proof + 2 * work->around_us + migration_convert_us(work);
    return NULL;
}

/* Passes in a row that were not clearly shorter than the shortest: than the one before, a machine that is
 * busy now and then would never be told from one that gets there. What goes on while it waits in sync counts
 * not. */
static void count_flat(json_t *state, bool copying, int64_t elapsed)
{
    int64_t least = copying ? json_integer_value(json_object_get(state, "least_us")) : 0;
    int64_t flat = json_integer_value(json_object_get(state, "flat"));
    int64_t gain = least / 10 > GAIN_US ? least / 10 : GAIN_US;
    json_put_int(state, "flat", least && elapsed > least - gain ? flat + 1 : 0);
    json_put_int(state, "least_us", !copying ? 0 : !least || elapsed < least ? elapsed : least);
}

struct error *migration_pass_write(struct db *db, struct migration_work *work, moment now)
{
    struct migration_row *row = &work->row;
    json_t *state = work->job->state;
    int64_t elapsed = 0;
    bool full = false;
    for (size_t i = 0; i < work->passed_count; i++) {
        const struct migration_passed *p = &work->passed[i];
        elapsed += p->elapsed_us;
        full |= !strcmp(p->kind, "full");
        TRY(db_run(db, &add_pass,
                   DB_VALUES(db_text(row->unit), db_text(row->id), db_text(p->disk), db_int(row->passes + 1),
                             db_text(p->kind), db_text(p->why), db_int((int64_t)p->disk_bytes),
                             db_int((int64_t)p->written_bytes), db_int((int64_t)p->read_bytes),
                             db_int(p->elapsed_us), db_text(p->digest), db_bool(p->quiesced), db_moment(now)),
                   NULL));
    }
    /* The exports are closed, and the checkpoint before this one is gone. */
    const struct migration_pass_plan *plan = &work->plan;
    TRY(migration_cross_out(db, row, "source", "export", plan->source, now));
    if (!plan->stays)
        TRY(migration_cross_out(db, row, "target", "export", plan->target, now));
    if (plan->checkpoint && plan->since)
        TRY(migration_cross_out(db, row, "source", "checkpoint", plan->since, now));
    count_flat(state, row->state == MIGRATION_COPYING, elapsed);
    (void)json_object_del(state, "staged"); /* there or not */
    if (plan->stays)
        json_put_text(state, "staged", arena_strdup(work->arena, plan->target));
    (void)json_object_del(state, "lost"); /* there or not */
    if (plan->checkpoint)
        json_put_text(state, "since", arena_strdup(work->arena, plan->checkpoint));
    (void)json_object_del(state, "torn"); /* there or not */
    (void)json_object_del(state, "pass"); /* it is written down */
    int64_t predicted;
    TRY(predict(db, work, elapsed, full, &predicted));
    return db_run(db, &set_passed,
                  DB_VALUES(db_text(row->unit), db_text(row->id), db_int(row->passes + 1), db_moment(now),
                            db_int(predicted)),
                  NULL);
}
