/* The job "assess": one machine after the other, each written as it comes, so that a broker that dies goes on
 * with the next one. See assess_store.h. */
#include <string.h>

#include "broker/control/operation.h"
#include "federation/assess_facts.h"
#include "federation/assess_store.h"

struct assessing {
    struct job *job;
    struct assessment assessment;
    struct operation operation;
    struct assess_targets targets;
    struct assess_result result;
    size_t number; /* of the machine at hand, from 0 */
    size_t done;   /* machines written before */
    bool ended;
};

static struct error *load_body(struct db *db, void *context)
{
    struct assessing *a = context;
    struct arena *arena = a->job->arena;
    const char *unit = json_string_value(json_object_get(a->job->args, "unit"));
    const char *operation = json_string_value(json_object_get(a->job->args, "operation"));
    struct assessment_host *hosts;
    TRY(operation_load(db, arena, unit, operation, &a->operation));
    TRY(assessment_of_operation(db, arena, unit, operation, &a->assessment));
    TRY(assessment_hosts(db, arena, &a->assessment, &hosts, &a->done));
    a->ended = strcmp(a->assessment.state, "running") != 0;
    return NULL;
}

static struct error *host_body(struct db *db, void *context)
{
    struct assessing *a = context;
    const struct assess_facts *f = &a->result.facts;
    moment now = clock_now(a->job->clock);
    const struct assessment_host host = {.number = (int64_t)a->number + 1,
                                         .resource = f->id,
                                         .system = f->system,
                                         .cloud = f->source.cloud,
                                         .report = a->result.json,
                                         .answers = a->result.answers,
                                         .assessed_at = now};
    TRY(assessment_add_host(db, a->job->arena, &a->assessment, &host));
    int percent = (int)(100 * (a->number + 1) / (a->assessment.machines.count + 1));
    return operation_progress(db, &a->operation, percent, arena_printf(a->job->arena, "assessed %s", f->name),
                              now);
}

static struct assess_wish wish_of(const struct assessment *a, size_t number)
{
    const json_t *request = a->request, *database = json_object_get(request, "database");
    return (struct assess_wish){
        .kind = assess_kind_parse(a->kind),
        .unit = a->unit,
        .instance = a->machines.items[number],
        .cloud = a->to_cloud,
        .zone = a->to_zone,
        .engine = json_string_value(json_object_get(database, "engine")),
        .target_engine = json_string_value(json_object_get(database, "target_engine")),
        .hosting_area = json_is_true(json_object_get(request, "hosting_area")),
        .bandwidth_bytes_s = json_integer_value(json_object_get(request, "bandwidth_mbps")) * 1000000 / 8,
        .change_bytes_s = json_integer_value(json_object_get(request, "change_mb_per_hour")) * 1000000 / 3600,
        .window_us = json_integer_value(json_object_get(request, "window_seconds")) * MOMENT_SECOND};
}

static struct error *run(struct job *job)
{
    struct assessing a = {.job = job};
    TRY(job_transaction(job, DB_READ_COMMITTED, load_body, &a));
    for (a.number = a.done; !a.ended && a.number < a.assessment.machines.count; a.number++) {
        if (job_cancelled(job))
            return error_new(ERR_CANCELLED, "the assessment was cancelled");
        const struct assess_wish wish = wish_of(&a.assessment, a.number);
        TRY(assess_instance(job, &wish, &a.targets, &a.result));
        TRY(job_transaction(job, DB_READ_COMMITTED, host_body, &a));
    }
    return NULL;
}

static struct error *record_body(struct db *db, void *context)
{
    struct assessing *a = context;
    moment now = clock_now(a->job->clock);
    TRY(load_body(db, a));
    if (a->ended)
        return NULL;
    TRY(assessment_end(db, &a->assessment, "done", now));
    json_t *result = json_hold(a->job->arena, json_object());
    json_put_text(result, "assessment", a->assessment.id);
    return operation_end(db, &a->operation, NULL, result, now);
}

static struct error *record(struct job *job)
{
    struct assessing a = {.job = job};
    return job_transaction(job, DB_READ_COMMITTED, record_body, &a);
}

static struct error *failed(struct db *db, struct job *job, const struct error *error)
{
    struct assessing a = {.job = job};
    moment now = clock_now(job->clock);
    TRY(load_body(db, &a));
    if (a.ended)
        return NULL;
    TRY(assessment_end(db, &a.assessment, "failed", now));
    return operation_end(db, &a.operation, error, NULL, now);
}

static const struct job_step steps[] = {{"assess", run, NULL}, {"record", record, NULL}};
const struct job_type assess_job = {.name = "assess",
                                    .steps = steps,
                                    .step_count = sizeof steps / sizeof *steps,
                                    .max_attempts = 4,
                                    .backoff_us = MOMENT_SECOND,
                                    .backoff_max_us = MOMENT_MINUTE,
                                    .failed = failed};
