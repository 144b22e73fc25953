/* /v1/jobs: the broker's durable work as its operators see it: what waits, what is tried again and why, what
 * is parked. Units see their work as operations. */
#include <string.h>

#include "broker/control/routes.h"
#include "broker/control/view.h"
#include "broker/jobs/job.h"

#define BODY                                                                                               \
    "SELECT j.id::text, 1::bigint, jsonb_build_object('id', j.id, 'type', j.type, 'unit', j.unit_id, "     \
    "'key', j.key,"                                                                                        \
    " 'args', j.args, 'state', j.state, 'step', j.step, 'undoing', j.undoing, 'cancel_asked', j.cancel,"   \
    " 'attempts', j.attempts, 'losses', j.losses, 'last_error', j.last_error, 'leased_by', "               \
    "split_part(j.leased_by, ' ', 1),"                                                                     \
    " 'run_at', rfc3339(j.run_at), 'created_at', rfc3339(j.created_at), 'ended_at', rfc3339(j.ended_at)) " \
    "FROM job j"
/* Newest first: ids are time-ordered. */
static const struct db_statement select_list = {
    "job_select_list",
    BODY " WHERE ($1 = '' OR j.id < nullif($1, '')::uuid) AND ($3::text IS NULL OR j.state = $3)"
         " AND ($4::text IS NULL OR j.type = $4) ORDER BY j.id DESC LIMIT $2"};
static const struct db_statement select_one = {"job_select_one", BODY " WHERE j.id = $1::uuid"};
/* The cloud is that of the operation, or of the endpoint whose inventory it takes. */
static const struct db_statement lock_state = {
    "job_lock_state",
    "SELECT state, unit_id, coalesce((SELECT o.cloud_id FROM operation o WHERE o.unit_id = j.unit_id"
    " AND o.id = (j.args ->> 'operation')::uuid), (SELECT e.cloud_id FROM endpoint e"
    " WHERE e.id = j.args ->> 'endpoint')) FROM job j WHERE j.id = $1::uuid FOR UPDATE OF j"};

static struct error *list(struct http_call *call, struct http_answer *answer)
{
    static const char *const states[] = {"queued", "running", "parked", "done", "failed", "cancelled"};
    const char *state = http_query(call, "state");
    size_t known = 0;
    while (state && known < sizeof states / sizeof *states && strcmp(states[known], state) != 0)
        known++;
    if (known == sizeof states / sizeof *states)
        return error_member("?state", "must be queued, running, parked, done, failed or cancelled");
    return view_list_by_id(call, &select_list, DB_VALUES(db_text(state), db_text(http_query(call, "type"))),
                           answer);
}

static struct error *answer_job(struct http_call *call, int status, struct http_answer *answer)
{
    TRY(view_made(call, &select_one, DB_VALUES(db_text(http_param(call, "id"))), "such job", status, NULL,
                  answer));
    answer->etag = NULL;
    return NULL;
}

static struct error *get(struct http_call *call, struct http_answer *answer)
{
    TRY(view_id(call, "id"));
    return answer_job(call, 200, answer);
}

/* Only parked jobs: one that ended took everything back and told so, and its operation has a :retry of its
 * own, which checks today's rules. */
static struct error *retry(struct http_call *call, struct http_answer *answer)
{
    const char *id = http_param(call, "id");
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(view_id(call, "id"));
    TRY(db_query_one(call->db, &lock_state, DB_VALUES(db_text(id)), "such job", &rows));
    if (strcmp(db_get_text(rows, 0, 0), "parked") != 0)
        return error_new(ERR_CONFLICT, "only a parked job is tried again; this one is %s",
                         db_get_text(rows, 0, 0));
    TRY(job_retry(call->db, id));
    if (!db_is_null(rows, 0, 1))
        answer->audit_unit = arena_strdup(call->arena, db_get_text(rows, 0, 1));
    answer->audit_cloud = arena_strdup(call->arena, db_get_text(rows, 0, 2));
    answer->audit_subject = id;
    TRY(answer_job(call, 202, answer));
    answer->retry_after = 1;
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/jobs", list, "jobs:read", 0, "state,type,page_size,page_token"},
    {"GET", "/v1/jobs/{id}", get, "jobs:read", 0, NULL},
    {"POST", "/v1/jobs/{id}:retry", retry, "jobs:operate", HTTP_NO_BODY, NULL},
};
const struct http_table job_routes = HTTP_TABLE(routes);
