/* SQL of operations; see operation.h. */
#include "broker/control/operation.h"

#include <string.h>

#include "broker/base/json.h"
#include "broker/base/log.h"
#include "broker/http/event.h"

const struct db_statement operation_select_one = {
    "operation_select_one", "SELECT id::text, 1, body FROM operation_view WHERE id = $1::uuid"};
/* Newest first: the cursor is the last id seen. */
const struct db_statement operation_select_list = {
    "operation_select_list",
    "SELECT id::text, 1, body FROM operation_view WHERE ($1 = '' OR id < nullif($1, '')::uuid)"
    " AND ($3::text IS NULL OR state = $3) AND ($4::uuid IS NULL OR resource_id = $4) AND ($5::uuid IS NULL "
    "OR order_id = $5)"
    " ORDER BY id DESC LIMIT $2"};

static const struct db_statement insert_operation = {
    "operation_insert",
    "INSERT INTO operation (unit_id, id, system_id, cloud_id, kind, order_id, "
    "resource_id, job_id, principal, state, args,"
    " created_at, provider_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued', $10, $11,"
    " $12)"};
static const struct db_statement select_operation = {
    "operation_load", "SELECT id, kind, unit_id, system_id, cloud_id, order_id, resource_id, job_id, "
                      "principal, state, args, provider_id FROM operation"
                      " WHERE id = $2::uuid AND ($1::text IS NULL OR unit_id = $1)"};
static const struct db_statement update_progress = {
    "operation_progress",
    "UPDATE operation SET state = 'running', percent = greatest(percent, $3), step = $4,"
    " started_at = coalesce(started_at, $5), seen_at = $5"
    " WHERE unit_id = $1 AND id = $2 AND state IN ('queued', 'running')"
    " AND (state = 'queued' OR percent < $3 OR step IS DISTINCT FROM $4)"}; /* nothing new is not told */
static const struct db_statement update_end = {
    "operation_end",
    "UPDATE operation SET state = $3, percent = CASE WHEN $3 = 'succeeded' THEN 100 ELSE percent END,"
    " error = $4, result = $5, started_at = coalesce(started_at, $6), seen_at = $6, ended_at = $6"
    " WHERE unit_id = $1 AND id = $2 AND state IN ('queued', 'running')"};

static struct error *tell(struct db *db, const char *type, const struct operation *operation,
                          const char *state, int percent, const char *step, moment now)
{
    json_t *data = json_object();
    json_put_text(data, "operation", operation->id);
    json_put_text(data, "kind", operation->kind);
    json_put_text(data, "order", operation->order);
    json_put_text(data, "resource", operation->resource);
    json_put_text(data, "state", state);
    json_put_int(data, "percent", percent);
    json_put_text(data, "step", step);
    struct error *error = event_add(db, &(struct event){.at = now,
                                                        .type = type,
                                                        .unit = operation->unit,
                                                        .system = operation->system,
                                                        .cloud = operation->cloud,
                                                        .provider = operation->provider,
                                                        .subject = operation->id,
                                                        .data = data});
    json_decref(data);
    return error;
}

struct error *operation_start(struct db *db, const struct operation_new *o, const char *job_type, moment now)
{
    char job[37];
    json_t *args = json_object();
    json_put_text(args, "unit", o->unit);
    json_put_text(args, "operation", o->id);
    struct error *error = job_add(db, job_type, o->unit, NULL, args, 0, job);
    json_decref(args);
    TRY(error);
    json_t *empty = json_object();
    error = db_run(db, &insert_operation,
                   DB_VALUES(db_text(o->unit), db_text(o->id), db_text(o->system), db_text(o->cloud),
                             db_text(o->kind), db_text(o->order), db_text(o->resource), db_text(job),
                             db_text(o->principal), db_json(o->args ? o->args : empty), db_moment(now),
                             db_text(o->provider)),
                   NULL);
    json_decref(empty);
    TRY(error);
    const struct operation operation = {.id = o->id,
                                        .kind = o->kind,
                                        .unit = o->unit,
                                        .system = o->system,
                                        .cloud = o->cloud,
                                        .provider = o->provider,
                                        .order = o->order,
                                        .resource = o->resource};
    return tell(db, "operation.queued", &operation, "queued", 0, NULL, now);
}

struct error *operation_load(struct db *db, struct arena *arena, const char *unit, const char *id,
                             struct operation *ret_operation)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &select_operation, DB_VALUES(db_text(unit), db_text(id)), "such operation", &rows));
    (void)db_hold(arena, rows);
    *ret_operation = (struct operation){
        .id = db_get_text(rows, 0, 0),
        .kind = db_get_text(rows, 0, 1),
        .unit = db_get_text(rows, 0, 2),
        .system = db_get_text(rows, 0, 3),
        .cloud = db_get_text(rows, 0, 4),
        .order = db_get_text(rows, 0, 5),
        .resource = db_get_text(rows, 0, 6),
        .job = db_get_text(rows, 0, 7),
        .principal = db_get_text(rows, 0, 8),
        .state = db_get_text(rows, 0, 9),
        .args = json_hold(arena, db_get_json(rows, 0, 10)),
        .provider = db_get_text(rows, 0, 11),
    };
    return NULL;
}

struct error *operation_progress(struct db *db, const struct operation *operation, int percent,
                                 const char *step, moment now)
{
    int64_t changed;
    TRY(db_run(db, &update_progress,
               DB_VALUES(db_text(operation->unit), db_text(operation->id), db_int(percent), db_text(step),
                         db_moment(now)),
               &changed));
    return changed ? tell(db, "operation.progress", operation, "running", percent, step, now) : NULL;
}

static json_t *failure_json(const struct error *failure)
{
    if (!failure)
        return NULL;
    json_t *json = json_object();
    json_put_text(json, "code", error_code_name(error_code(failure)));
    json_put_text(json, "message", error_message(failure));
    return json;
}

struct error *operation_end(struct db *db, const struct operation *operation, const struct error *failure,
                            const json_t *result, moment now)
{
    const char *state = !failure                               ? "succeeded"
                        : error_code(failure) == ERR_CANCELLED ? "cancelled"
                                                               : "failed";
    json_t *json = failure_json(failure);
    int64_t changed;
    struct error *error = db_run(db, &update_end,
                                 DB_VALUES(db_text(operation->unit), db_text(operation->id), db_text(state),
                                           db_json(json), db_json(result), db_moment(now)),
                                 &changed);
    json_decref(json);
    TRY(error);
    return changed ? tell(db, "operation.ended", operation, state, failure ? 0 : 100, NULL, now) : NULL;
}

static const struct db_statement mark_cancel = {
    "operation_cancel", "UPDATE operation SET cancel_asked = true WHERE unit_id = $1 AND id = $2"
                        " AND state IN ('queued', 'running')"};

struct error *operation_cancel(struct db *db, const struct operation *operation)
{
    int64_t changed = 0;
    struct error *error = job_cancel(db, operation->job);
    if (!error)
        TRY(db_run(db, &mark_cancel, DB_VALUES(db_text(operation->unit), db_text(operation->id)), &changed));
    else if (error_code(error) != ERR_CONFLICT)
        return error;
    error_free(error);
    return changed ? NULL : error_new(ERR_CONFLICT, "the operation has ended");
}

struct told {
    struct job *job;
    const char *unit, *id, *step;
    int percent;
};

static struct error *tell_body(struct db *db, void *context)
{
    const struct told *told = context;
    ARENA_AUTO struct arena *arena = arena_new();
    struct operation operation;
    TRY(operation_load(db, arena, told->unit, told->id, &operation));
    return operation_progress(db, &operation, told->percent, told->step, clock_now(told->job->clock));
}

void operation_tell(struct job *job, const char *unit, const char *id, int percent, const char *step)
{
    struct told told = {job, unit, id, step, percent};
    struct error *error = job_transaction(job, DB_READ_COMMITTED, tell_body, &told);
    if (error) /* progress is for people: the work goes on without it */
        log_warning("operation.progress-lost", LOG_TEXT("operation", id), LOG_CAUSE(error));
    error_free(error);
}
