/* The job "operate": one verb on one resource. Steps: run (at the provider, operate_provider.c) → record
 * (rows, usage, operation in one transaction). Every verb may be repeated: the drivers take "already so" for
 * success; a reboot that was under way when the broker died may happen twice.
 *
 * When a verb fails or is cancelled, the provider may have done it all the same. So the way back looks at the
 * provider and records what is there: what turns out to be done is a success; a machine that was left off, or
 * a volume that was only detached, is told as such. A provider that cannot be asked leaves the rest to the
 * reconciler. */
#include <string.h>

#include "broker/base/json.h"
#include "broker/base/log.h"
#include "broker/control/expansion.h"
#include "broker/control/fulfilment.h"
#include "broker/control/operate_work.h"
#include "broker/control/quota.h"
#include "broker/http/event.h"

/* Rows are locked instance first, as everywhere: the deletion of an instance goes on to its volumes. */
static struct error *load(struct db *db, struct operate_work *work)
{
    struct arena *arena = work->job->arena;
    const char *unit = json_string_value(json_object_get(work->job->args, "unit"));
    const char *id = json_string_value(json_object_get(work->job->args, "operation"));
    TRY(operation_load(db, arena, unit, id, &work->operation));
    TRY(verb_parse(work->operation.kind, &work->verb));
    work->ended =
        strcmp(work->operation.state, "queued") != 0 && strcmp(work->operation.state, "running") != 0;
    if (work->verb == VERB_ATTACH)
        TRY(resource_load(db, arena, unit,
                          json_string_value(json_object_get(work->operation.args, "instance")), "instance",
                          &work->owner));
    TRY(resource_load(db, arena, unit, work->operation.resource, NULL, &work->resource));
    if (work->verb != VERB_ATTACH && work->resource.attached_to)
        TRY(resource_peek(db, arena, unit, work->resource.attached_to, &work->owner));
    return NULL;
}

static struct error *load_body(struct db *db, void *context)
{
    return load(db, context);
}

static struct fulfilment_wish wish_of(const struct operate_work *work)
{
    const json_t *spec = json_object_get(work->operation.args, "spec");
    return (struct fulfilment_wish){.resource = &work->resource,
                                    .operation = work->operation.id,
                                    .job = work->job->id,
                                    .verb = verb_name(work->verb),
                                    .spec = spec ? spec : work->resource.spec};
}

struct asking {
    struct operate_work work;
    struct fulfilment fulfilment;
};

static struct error *ask_body(struct db *db, void *context)
{
    struct asking *asking = context;
    struct operate_work *work = &asking->work;
    TRY(load(db, work));
    if (work->ended || !fulfilment_needed(&work->resource))
        return NULL;
    struct fulfilment_wish wish = wish_of(work);
    TRY(fulfilment_ask(db, work->job->arena, &wish, clock_now(work->job->clock), &asking->fulfilment));
    TRY(fulfilment_refusal(&wish, &asking->fulfilment));
    return asking->fulfilment.address ? resource_set_address(db, &work->resource, asking->fulfilment.address)
                                      : NULL;
}

static struct error *run(struct job *job)
{
    struct asking asking = {.work = {.job = job}};
    struct operate_work *work = &asking.work;
    TRY(job_transaction(job, DB_READ_COMMITTED, ask_body, &asking));
    if (work->ended)
        return NULL;
    if (asking.fulfilment.id && asking.fulfilment.state == FULFILMENT_OPEN) {
        operation_tell(job, work->operation.unit, work->operation.id, 0,
                       arena_printf(job->arena, "the provider's operator has to %s %s %s",
                                    verb_name(work->verb), work->resource.kind, work->resource.name));
        return job_wait(job, FULFILMENT_LOOK_US);
    }
    if (!work->resource.endpoint)
        return NULL; /* without an endpoint it is fulfilled by now, or the broker does it alone */
    return operate_run(work);
}

/* Gives back what shrank (sign -1 of the difference) or, after a failure, what had been taken for growth. */
static struct error *give_back(struct db *db, const struct resource *resource, const json_t *from,
                               const json_t *to)
{
    struct demand change = {0};
    demand_add(&change, resource->kind, to, 1);
    demand_add(&change, resource->kind, from, -1);
    for (int i = 0; i < METRIC_COUNT; i++)
        if (change.amount[i] > 0)
            change.amount[i] = 0;
    TRY(quota_take(db, resource->unit, resource->cloud, &change));
    return capacity_take(db, resource->cloud, resource->endpoint, &change);
}

static struct error *record_resize(struct db *db, struct operate_work *work, moment now)
{
    json_t *spec = json_object_get(work->operation.args, "spec");
    TRY(give_back(db, &work->resource, work->resource.spec, spec));
    if (work->resource.expansion_days)
        TRY(expansion_begin(db, &work->resource, work->resource.spec, now));
    else
        TRY(expansion_stop(db, &work->resource));
    TRY(resource_set_spec(db, &work->resource, spec, now));
    work->resource.spec = spec;
    return resource_meter(db, &work->resource, now);
}

static struct error *record_power(struct db *db, struct operate_work *work, const char *power, moment now)
{
    TRY(resource_set_power(db, &work->resource, power, now));
    work->resource.power = power;
    return resource_meter(db, &work->resource, now);
}

/* Volumes and addresses that were attached stay, unattached. */
static struct error *let_go_of_attached(struct db *db, struct operate_work *work, moment now)
{
    struct resource *attached;
    size_t count;
    TRY(resource_attached(db, work->job->arena, work->resource.unit, work->resource.id, &attached, &count));
    for (size_t i = 0; i < count; i++)
        TRY(resource_set_attached(db, &attached[i], NULL, now));
    return NULL;
}

static struct error *record_delete(struct db *db, struct operate_work *work, moment now)
{
    struct demand demand = {0};
    demand_add(&demand, work->resource.kind, work->resource.spec, -1);
    TRY(let_go_of_attached(db, work, now));
    TRY(expansion_stop(db, &work->resource));
    TRY(resource_become(db, &work->resource, RESOURCE_DELETING, RESOURCE_DELETED, NULL, now));
    work->resource.state = RESOURCE_DELETED;
    TRY(resource_meter(db, &work->resource, now));
    TRY(quota_take(db, work->resource.unit, work->resource.cloud, &demand));
    TRY(capacity_take(db, work->resource.cloud, work->resource.endpoint, &demand));
    return address_give_back(db, &work->resource);
}

/* A deletion that is under way lets go of what is attached when it is recorded. */
static bool owner_lives(const struct operate_work *work)
{
    return work->owner.state == RESOURCE_ACTIVE || work->owner.state == RESOURCE_DELETING;
}

static struct error *record_verb(struct db *db, struct operate_work *work, moment now)
{
    switch (work->verb) {
    case VERB_START:
    case VERB_REBOOT:
        return record_power(db, work, "on", now);
    case VERB_STOP:
        return record_power(db, work, "off", now);
    case VERB_RESIZE:
        return record_resize(db, work, now);
    case VERB_DELETE:
        return record_delete(db, work, now);
    case VERB_ATTACH:
        if (!owner_lives(work))
            return error_new(ERR_CONFLICT, "instance \"%s\" was deleted meanwhile", work->owner.name);
        return resource_set_attached(db, &work->resource, work->owner.id, now);
    case VERB_DETACH:
        return resource_set_attached(db, &work->resource, NULL, now);
    default:
        return NULL;
    }
}

static struct error *tell_changed(struct db *db, const struct operate_work *work, moment now)
{
    json_t *data = json_object();
    json_put_text(data, "resource", work->resource.id);
    json_put_text(data, "verb", verb_name(work->verb));
    struct error *error = event_add(
        db, &(struct event){.at = now,
                            .type = work->verb == VERB_DELETE ? "resource.deleted" : "resource.changed",
                            .unit = work->resource.unit,
                            .system = work->resource.system,
                            .cloud = work->resource.cloud,
                            .provider = work->resource.provider,
                            .subject = work->resource.id,
                            .data = data});
    json_decref(data);
    return error;
}

static struct error *record_body(struct db *db, void *context)
{
    struct operate_work *work = context;
    moment now = clock_now(work->job->clock);
    TRY(load(db, work));
    if (work->ended)
        return NULL; /* recorded before a crash */
    TRY(expansion_settle(db, &work->resource, now));
    TRY(record_verb(db, work, now));
    TRY(resource_release(db, &work->resource, work->operation.id, NULL, now));
    if (work->verb != VERB_CONSOLE)
        TRY(tell_changed(db, work, now));
    return operation_end(db, &work->operation, NULL,
                         json_object_size(work->job->state) ? work->job->state : NULL, now);
}

static struct error *record(struct job *job)
{
    struct operate_work work = {.job = job};
    return job_transaction(job, DB_READ_COMMITTED, record_body, &work);
}

struct settling {
    struct operate_work work;
    struct operate_seen seen;
};

static struct error *settle_body(struct db *db, void *context)
{
    struct settling *settling = context;
    struct operate_work *work = &settling->work;
    const struct operate_seen *seen = &settling->seen;
    moment now = clock_now(work->job->clock);
    TRY(load(db, work));
    if (work->ended)
        return NULL;
    if (seen->done && (work->verb != VERB_ATTACH || owner_lives(work)))
        return record_body(db, work);
    if (seen->power && strcmp(seen->power, work->resource.power) != 0)
        TRY(record_power(db, work, seen->power, now));
    if (seen->detached && work->resource.attached_to)
        TRY(resource_set_attached(db, &work->resource, NULL, now));
    return NULL;
}

/* What the operator was asked is withdrawn, unless it was completed in time: then it is done. */
static struct error *unask_body(struct db *db, void *context)
{
    struct settling *settling = context;
    struct operate_work *work = &settling->work;
    bool completed;
    TRY(load(db, work));
    if (work->ended)
        return NULL;
    struct fulfilment_wish wish = wish_of(work);
    TRY(fulfilment_withdraw(db, &wish, clock_now(work->job->clock), &completed));
    return completed ? record_body(db, work) : NULL;
}

/* The way back: see the head of this file. */
static struct error *settle(struct job *job)
{
    struct settling settling = {.work = {.job = job}};
    TRY(job_transaction(job, DB_READ_COMMITTED, load_body, &settling.work));
    if (!settling.work.ended && fulfilment_needed(&settling.work.resource))
        return job_transaction(job, DB_READ_COMMITTED, unask_body, &settling);
    if (settling.work.ended || !settling.work.resource.endpoint || settling.work.verb == VERB_CONSOLE)
        return NULL;
    struct error *error = operate_look(&settling.work, &settling.seen);
    if (!error)
        return job_transaction(job, DB_READ_COMMITTED, settle_body, &settling);
    if (job_cancelled(job))
        return error; /* the lease is lost or the broker stops: another attempt looks */
    log_warning("operate.not-settled", LOG_TEXT("operation", settling.work.operation.id), LOG_CAUSE(error));
    error_free(error); /* the reconciler tells once the provider answers again */
    return NULL;
}

/* A deletion failed: it goes on, and is metered as what it is. */
static struct error *keep_after_all(struct db *db, struct resource *resource, const char *why, moment now)
{
    TRY(resource_become(db, resource, RESOURCE_DELETING, RESOURCE_ACTIVE, why, now));
    resource->state = RESOURCE_ACTIVE;
    return fulfilment_needed(resource) ? resource_meter(db, resource, now) : NULL;
}

static struct error *failed(struct db *db, struct job *job, const struct error *error)
{
    struct operate_work work = {.job = job};
    moment now = clock_now(job->clock);
    TRY(load(db, &work));
    if (work.ended)
        return NULL; /* it turned out to be done */
    if (work.resource.expansion_days)
        TRY(expansion_ask(db, &work.resource, 0));
    if (work.verb == VERB_RESIZE)
        TRY(give_back(db, &work.resource, json_object_get(work.operation.args, "spec"), work.resource.spec));
    if (work.verb == VERB_DELETE)
        TRY(keep_after_all(db, &work.resource, error_message(error), now));
    TRY(resource_release(db, &work.resource, work.operation.id, error_message(error), now));
    return operation_end(db, &work.operation, error, NULL, now);
}

static void progressed(struct job *job, const char *step, size_t done, size_t of,
                       const struct error *retrying)
{
    const char *unit = json_string_value(json_object_get(job->args, "unit"));
    const char *operation = json_string_value(json_object_get(job->args, "operation"));
    if (retrying)
        operation_tell(
            job, unit, operation, 0,
            arena_printf(job->arena, "%s: will be tried again: %s", step, error_message(retrying)));
    else if (done < of)
        operation_tell(job, unit, operation, 95, "recording");
}

static const struct job_step steps[] = {
    {"run", run, settle},
    {"record", record, NULL},
};
const struct job_type operate_job = {.name = "operate",
                                     .steps = steps,
                                     .step_count = sizeof steps / sizeof *steps,
                                     .max_attempts = 8,
                                     .backoff_us = MOMENT_SECOND,
                                     .backoff_max_us = MOMENT_MINUTE,
                                     .failed = failed,
                                     .progressed = progressed};
