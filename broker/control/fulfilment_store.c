/* SQL of fulfilments; see fulfilment.h. Rows are locked job first, then fulfilment, by the job and by the
 * operator's word alike. */
#include "broker/control/fulfilment.h"

#include <string.h>

#include "broker/base/id.h"
#include "broker/base/json.h"
#include "broker/http/event.h"
#include "broker/jobs/job.h"

#define OVERDUE(now) "body || jsonb_build_object('overdue', state = 'open' AND due_at <= " now ")"

const struct db_statement fulfilment_select_one = {
    "fulfilment_select_one", "SELECT id::text, 1, " OVERDUE("$2") " FROM fulfilment_view"
                                                                  " WHERE id = $1::uuid"};
/* Oldest first. $3 cloud, $4 kind, $5 state, $6 now. */
const struct db_statement fulfilment_select_list = {
    "fulfilment_select_list",
    "SELECT id::text, 1, " OVERDUE("$6") " FROM fulfilment_view WHERE ($1 = '' OR id > nullif($1, '')::uuid)"
                                         " AND ($3::text IS NULL OR cloud_id = $3) AND ($4::text IS NULL OR "
                                         "kind = $4) AND state = coalesce($5, 'open') ORDER BY id LIMIT $2"};

static const struct db_statement insert_once = {
    "fulfilment_insert",
    "INSERT INTO fulfilment (unit_id, id, system_id, cloud_id, provider_id, zone_id, resource_id, "
    "operation_id, "
    "job_id, verb, kind, name, spec, before, attached_to, created_at, due_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
    " ON CONFLICT (unit_id, operation_id, resource_id, verb) DO NOTHING"};
static const struct db_statement select_asked = {
    "fulfilment_asked", "SELECT id, state, reference, address, reason FROM fulfilment"
                        " WHERE unit_id = $1 AND operation_id = $2 AND resource_id = $3 AND verb = $4"};
static const struct db_statement withdraw = {
    "fulfilment_withdraw",
    "UPDATE fulfilment SET state = 'withdrawn', ended_at = $5 WHERE unit_id = $1 AND operation_id = $2"
    " AND resource_id = $3 AND verb = $4 AND state = 'open'"};
static const struct db_statement select_job = {"fulfilment_job",
                                               "SELECT job_id FROM fulfilment WHERE id = $1::uuid"};
static const struct db_statement end_open = {
    "fulfilment_end", "UPDATE fulfilment SET state = $2, reference = $3, address = $4, reason = $5, ended_at "
                      "= $6, ended_by = $7"
                      " WHERE id = $1::uuid AND state = 'open'"
                      " RETURNING unit_id, system_id, cloud_id, provider_id, resource_id, kind, name, verb"};

static enum fulfilment_state state_of(const char *name)
{
    enum fulfilment_state state = FULFILMENT_OPEN;
    while (strcmp(fulfilment_state_name(state), name)) /* the table's CHECK keeps it among ours */
        state++;
    return state;
}

/* What an event tells. */
struct told {
    const char *id, *unit, *system, *cloud, *provider, *resource, *kind, *name, *verb, *reason;
    enum fulfilment_state state;
};

static struct error *tell(struct db *db, const struct told *told, moment now)
{
    bool open = told->state == FULFILMENT_OPEN;
    json_t *data = json_object();
    json_put_text(data, "fulfilment", told->id);
    json_put_text(data, "resource", told->resource);
    json_put_text(data, "kind", told->kind);
    json_put_text(data, "name", told->name);
    json_put_text(data, "verb", told->verb);
    json_put_text(data, "state", fulfilment_state_name(told->state));
    json_put_text(data, "reason", told->reason);
    if (open)
        json_put_moment(data, "due_at", fulfilment_due(now));
    struct error *error =
        event_add(db, &(struct event){.at = now,
                                      .type = open ? "fulfilment.opened" : "fulfilment.ended",
                                      .unit = told->unit,
                                      .system = told->system,
                                      .cloud = told->cloud,
                                      .provider = told->provider,
                                      .subject = told->id,
                                      .data = data});
    json_decref(data);
    return error;
}

static struct told told_of(const struct fulfilment_wish *wish, const char *id, enum fulfilment_state state)
{
    const struct resource *r = wish->resource;
    return (struct told){.id = id,
                         .unit = r->unit,
                         .system = r->system,
                         .cloud = r->cloud,
                         .provider = r->provider,
                         .resource = r->id,
                         .kind = r->kind,
                         .name = r->name,
                         .verb = wish->verb,
                         .state = state};
}

/* ERR_NOT_FOUND when it was never asked. */
static struct error *look(struct db *db, struct arena *arena, const struct fulfilment_wish *wish,
                          struct fulfilment *ret_fulfilment)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &select_asked,
                     DB_VALUES(db_text(wish->resource->unit), db_text(wish->operation),
                               db_text(wish->resource->id), db_text(wish->verb)),
                     "such fulfilment", &rows));
    (void)db_hold(arena, rows);
    *ret_fulfilment = (struct fulfilment){.id = db_get_text(rows, 0, 0),
                                          .state = state_of(db_get_text(rows, 0, 1)),
                                          .reference = db_get_text(rows, 0, 2),
                                          .address = db_get_text(rows, 0, 3),
                                          .reason = db_get_text(rows, 0, 4)};
    return NULL;
}

struct error *fulfilment_ask(struct db *db, struct arena *arena, const struct fulfilment_wish *wish,
                             moment now, struct fulfilment *ret_fulfilment)
{
    const struct resource *r = wish->resource;
    const char *id = id_new_in(arena);
    const json_t *before = strcmp(wish->verb, "resize") ? NULL : r->spec;
    int64_t added;
    TRY(db_run(db, &insert_once,
               DB_VALUES(db_text(r->unit), db_text(id), db_text(r->system), db_text(r->cloud),
                         db_text(r->provider), db_text(r->zone), db_text(r->id), db_text(wish->operation),
                         db_text(wish->job), db_text(wish->verb), db_text(r->kind), db_text(r->name),
                         db_json(wish->spec), db_json(before), db_text(r->attached_to), db_moment(now),
                         db_moment(fulfilment_due(now))),
               &added));
    if (added) {
        const struct told told = told_of(wish, id, FULFILMENT_OPEN);
        TRY(tell(db, &told, now));
    }
    return look(db, arena, wish, ret_fulfilment);
}

struct error *fulfilment_withdraw(struct db *db, const struct fulfilment_wish *wish, moment now,
                                  bool *ret_completed)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct fulfilment asked;
    struct error *error = look(db, arena, wish, &asked);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_free(error); /* the job turned round before it asked */
        *ret_completed = false;
        return NULL;
    }
    TRY(error);
    *ret_completed = asked.state == FULFILMENT_COMPLETED;
    if (asked.state != FULFILMENT_OPEN)
        return NULL;
    int64_t changed; /* the job's row is ours, so nobody ends it in between */
    TRY(db_run(db, &withdraw,
               DB_VALUES(db_text(wish->resource->unit), db_text(wish->operation), db_text(wish->resource->id),
                         db_text(wish->verb), db_moment(now)),
               &changed));
    const struct told told = told_of(wish, asked.id, FULFILMENT_WITHDRAWN);
    return changed ? tell(db, &told, now) : NULL;
}

struct error *fulfilment_end(struct db *db, struct arena *arena, const char *id,
                             const struct fulfilment_answer *answer, moment now, const char **ret_unit,
                             const char **ret_cloud)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &select_job, DB_VALUES(db_text(id)), "such fulfilment", &rows));
    (void)db_hold(arena, rows);
    if (!db_is_null(rows, 0, 0))
        TRY(job_wake(db, db_get_text(rows, 0, 0)));
    TRY(db_query(db, &end_open,
                 DB_VALUES(db_text(id), db_text(fulfilment_state_name(answer->state)),
                           db_text(answer->reference), db_text(answer->address), db_text(answer->reason),
                           db_moment(now), db_text(answer->principal)),
                 &rows));
    (void)db_hold(arena, rows);
    if (!db_count(rows))
        return error_new(ERR_CONFLICT, "the fulfilment is not open any more");
    const struct told told = {.id = id,
                              .unit = db_get_text(rows, 0, 0),
                              .system = db_get_text(rows, 0, 1),
                              .cloud = db_get_text(rows, 0, 2),
                              .provider = db_get_text(rows, 0, 3),
                              .resource = db_get_text(rows, 0, 4),
                              .kind = db_get_text(rows, 0, 5),
                              .name = db_get_text(rows, 0, 6),
                              .verb = db_get_text(rows, 0, 7),
                              .state = answer->state,
                              .reason = answer->reason};
    *ret_unit = told.unit;
    *ret_cloud = told.cloud;
    return tell(db, &told, now);
}
