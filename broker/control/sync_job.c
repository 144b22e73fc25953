/* The job "sync": one inventory of one endpoint. It is tried once: the schedule and the watcher bring the
 * next. */
#include <string.h>

#include "broker/base/json.h"
#include "broker/control/fleet.h"
#include "broker/control/provider_call.h"
#include "broker/control/sync.h"

#define SYNC_CALL_US (2 * MOMENT_MINUTE)

struct error *sync_try_add_job(struct db *db, const char *endpoint, bool *ret_added)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char id[37];
    json_t *args = json_hold(arena, json_object());
    json_put_text(args, "endpoint", endpoint);
    struct error *error =
        job_add(db, sync_job.name, NULL, arena_printf(arena, "sync:%s", endpoint), args, 0, id);
    if (error && error_code(error) == ERR_EXISTS) {
        error_free(error);
        *ret_added = false;
        return NULL;
    }
    TRY(error);
    *ret_added = true;
    return NULL;
}

struct error *sync_add_job(struct db *db, const char *endpoint)
{
    bool added;
    return sync_try_add_job(db, endpoint, &added);
}

struct taking {
    struct job *job;
    struct endpoint_row endpoint;
    struct driver_about about;
    struct driver_inventory inventory;
    struct driver_capacity capacity;
    struct sync_report report;
};

static struct error *load_body(struct db *db, void *context)
{
    struct taking *taking = context;
    const char *id = json_string_value(json_object_get(taking->job->args, "endpoint"));
    return endpoint_load(db, taking->job->arena, id, &taking->endpoint);
}

static struct error *record_body(struct db *db, void *context)
{
    struct taking *taking = context;
    struct arena *arena = taking->job->arena;
    moment now = clock_now(taking->job->clock);
    json_t *about = json_hold(arena, json_object());
    json_put_text(about, "product", taking->about.product);
    json_put_text(about, "identity", taking->about.identity);
    TRY(sync_record(db, arena, &taking->report, now));
    return endpoint_synced(db, taking->endpoint.id, about, taking->capacity.architectures, now);
}

static struct error *take(struct job *job)
{
    struct taking taking = {.job = job};
    struct provider_call call;
    TRY(job_transaction(job, DB_READ_COMMITTED, load_body, &taking));
    TRY(provider_call_open(job, taking.endpoint.id, NULL, NULL, &call));
    call.call.deadline_us = moment_monotonic() + SYNC_CALL_US;
    taking.report = (struct sync_report){.endpoint = &taking.endpoint,
                                         .inventory = &taking.inventory,
                                         .capacity = &taking.capacity,
                                         .volumes = gate_can(provider_gate(&call), DRIVER_CAN_VOLUMES),
                                         .taken = clock_now(job->clock)};
    struct error *error = gate_about(provider_gate(&call), &call.call, &taking.about);
    if (!error)
        error = gate_capacity(provider_gate(&call), &call.call, &taking.capacity);
    if (!error)
        error = gate_inventory(provider_gate(&call), &call.call, &taking.inventory);
    provider_call_close(&call);
    TRY(error);
    return job_transaction(job, DB_READ_COMMITTED, record_body, &taking);
}

static struct error *failed(struct db *db, struct job *job, const struct error *error)
{
    const char *endpoint = json_string_value(json_object_get(job->args, "endpoint"));
    return endpoint_not_synced(db, endpoint, error_message(error), clock_now(job->clock));
}

static const struct job_step steps[] = {{"take", take, NULL}};
const struct job_type sync_job = {.name = "sync",
                                  .steps = steps,
                                  .step_count = 1,
                                  .max_attempts = 1,
                                  .backoff_us = MOMENT_SECOND,
                                  .backoff_max_us = MOMENT_SECOND,
                                  .failed = failed};
