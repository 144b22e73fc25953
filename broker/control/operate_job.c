/* The job "operate": one verb on one resource. Steps: run (at the provider) → record (rows, usage, operation
 * in one transaction). Every verb may be repeated: the drivers take "already so" for success; a reboot that
 * was under way when the broker died may happen twice. */
#include <string.h>

#include "broker/base/json.h"
#include "broker/control/operate.h"
#include "broker/control/operation.h"
#include "broker/control/provider_call.h"
#include "broker/control/quota.h"
#include "broker/http/event.h"

struct work {
    struct job *job;
    struct operation operation;
    struct resource resource;
    struct resource owner; /* the instance that a volume is, or shall be, attached to; id NULL: none */
    enum verb verb;
};

static struct error *load(struct db *db, struct work *work)
{
    struct arena *arena = work->job->arena;
    const char *unit = json_string_value(json_object_get(work->job->args, "unit"));
    const char *id = json_string_value(json_object_get(work->job->args, "operation"));
    TRY(operation_load(db, arena, unit, id, &work->operation));
    TRY(verb_parse(work->operation.kind, &work->verb));
    TRY(resource_load(db, arena, unit, work->operation.resource, NULL, &work->resource));
    const char *owner = work->verb == VERB_ATTACH
                            ? json_string_value(json_object_get(work->operation.args, "instance"))
                            : work->resource.attached_to;
    if (owner)
        TRY(resource_load(db, arena, unit, owner, "instance", &work->owner));
    return NULL;
}

static struct error *load_body(struct db *db, void *context)
{
    return load(db, context);
}

static void tell(void *context, int percent, const char *step)
{
    struct work *work = context;
    operation_tell(work->job, work->operation.unit, work->operation.id, percent * 9 / 10,
                   step ? step : work->operation.kind);
}

static struct error *resize_instance(struct work *work, struct provider_call *call,
                                     const struct driver_key *key)
{
    const json_t *spec = json_object_get(work->operation.args, "spec");
    unsigned vcpu = (unsigned)json_integer_value(json_object_get(spec, "vcpu"));
    uint64_t memory_mb = (uint64_t)json_integer_value(json_object_get(spec, "memory_gb")) * 1024;
    struct gate *gate = provider_gate(call);
    struct error *error = gate_instance_resize(gate, &call->call, key, vcpu, memory_mb);
    bool restart = json_is_true(json_object_get(work->operation.args, "allow_restart"));
    if (!error || error_code(error) != ERR_CONFLICT)
        return error;
    if (!restart)
        return error_wrap(error,
                          "this provider resizes it only while it is stopped: stop it, or allow a restart");
    error_free(error);
    tell(work, 20, "stopping to resize");
    TRY(gate_instance_stop(gate, &call->call, key, MOMENT_MINUTE));
    TRY(gate_instance_resize(gate, &call->call, key, vcpu, memory_mb));
    tell(work, 70, "starting again");
    return gate_instance_start(gate, &call->call, key);
}

static struct error *detach_volume(struct work *work, struct provider_call *call,
                                   const struct driver_key *key)
{
    if (!work->owner.id)
        return NULL;
    struct driver_key owner = resource_key(&work->owner);
    struct error *error = gate_volume_detach(provider_gate(call), &call->call, key, &owner);
    if (work->verb != VERB_DELETE || !error || error_code(error) != ERR_NOT_FOUND)
        return error;
    error_free(error); /* the volume or its instance is gone: deleting goes on */
    return NULL;
}

static struct error *read_console(struct work *work, struct provider_call *call, const struct driver_key *key)
{
    const char *text;
    size_t length;
    TRY(gate_instance_console(provider_gate(call), &call->call, key, CONSOLE_MAX, &text, &length));
    char *clean = arena_strndup(work->job->arena, text, length);
    for (char *at = clean; *at; at++) /* a guest may print anything; what is kept is plain text */
        if ((unsigned char)*at < 0x20 ? *at != '\n' && *at != '\t' : (unsigned char)*at >= 0x7f)
            *at = ' ';
    json_put_text(work->job->state, "console", clean);
    return job_save(work->job);
}

static struct error *run_instance(struct work *work, struct provider_call *call, const struct driver_key *key)
{
    struct gate *gate = provider_gate(call);
    switch (work->verb) {
    case VERB_START:
        return gate_instance_start(gate, &call->call, key);
    case VERB_STOP:
        return gate_instance_stop(gate, &call->call, key,
                                  json_integer_value(json_object_get(work->operation.args, "grace_us")));
    case VERB_REBOOT:
        return gate_instance_reboot(gate, &call->call, key);
    case VERB_RESIZE:
        return resize_instance(work, call, key);
    case VERB_DELETE:
        return gate_instance_delete(gate, &call->call, key);
    case VERB_CONSOLE:
        return read_console(work, call, key);
    default:
        return error_new(ERR_INTERNAL, "an instance cannot be %sed", verb_name(work->verb));
    }
}

static struct error *run_volume(struct work *work, struct provider_call *call, const struct driver_key *key)
{
    struct gate *gate = provider_gate(call);
    switch (work->verb) {
    case VERB_ATTACH: {
        struct driver_key owner = resource_key(&work->owner);
        return gate_volume_attach(gate, &call->call, key, &owner);
    }
    case VERB_DETACH:
        return detach_volume(work, call, key);
    case VERB_RESIZE:
        return gate_volume_resize(gate, &call->call, key,
                                  (unsigned)json_integer_value(json_object_get(
                                      json_object_get(work->operation.args, "spec"), "size_gb")));
    case VERB_DELETE:
        TRY(detach_volume(work, call, key));
        return gate_volume_delete(gate, &call->call, key);
    default:
        return error_new(ERR_INTERNAL, "a volume cannot be %sed", verb_name(work->verb));
    }
}

static struct error *run(struct job *job)
{
    struct work work = {.job = job};
    TRY(job_transaction(job, DB_READ_COMMITTED, load_body, &work));
    if (!work.resource.endpoint)
        return NULL; /* the broker fulfils it alone */
    tell(&work, 1, work.operation.kind);
    struct provider_call call;
    struct driver_key key = resource_key(&work.resource);
    TRY(provider_call_open(job, work.resource.endpoint, false, tell, &work, &call));
    struct error *error = !strcmp(work.resource.kind, "instance") ? run_instance(&work, &call, &key)
                                                                  : run_volume(&work, &call, &key);
    provider_call_close(&call);
    return error_wrap(error, "could not %s %s \"%s\"", work.operation.kind, work.resource.kind,
                      work.resource.name);
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

static struct error *record_resize(struct db *db, struct work *work, moment now)
{
    json_t *spec = json_object_get(work->operation.args, "spec");
    TRY(give_back(db, &work->resource, work->resource.spec, spec));
    TRY(resource_set_spec(db, &work->resource, spec, now));
    work->resource.spec = spec;
    return resource_meter(db, &work->resource, now);
}

static struct error *record_power(struct db *db, struct work *work, const char *power, moment now)
{
    TRY(resource_set_power(db, &work->resource, power, now));
    work->resource.power = power;
    return resource_meter(db, &work->resource, now);
}

/* Volumes and addresses that were attached stay, unattached. */
static struct error *let_go_of_attached(struct db *db, struct work *work, moment now)
{
    struct resource *attached;
    size_t count;
    TRY(resource_attached(db, work->job->arena, work->resource.unit, work->resource.id, &attached, &count));
    for (size_t i = 0; i < count; i++)
        TRY(resource_set_attached(db, &attached[i], NULL, now));
    return NULL;
}

static struct error *record_delete(struct db *db, struct work *work, moment now)
{
    struct demand demand = {0};
    demand_add(&demand, work->resource.kind, work->resource.spec, -1);
    TRY(let_go_of_attached(db, work, now));
    TRY(resource_become(db, &work->resource, RESOURCE_DELETING, RESOURCE_DELETED, NULL, now));
    work->resource.state = RESOURCE_DELETED;
    TRY(resource_meter(db, &work->resource, now));
    TRY(quota_take(db, work->resource.unit, work->resource.cloud, &demand));
    TRY(capacity_take(db, work->resource.cloud, work->resource.endpoint, &demand));
    return address_give_back(db, &work->resource);
}

static struct error *record_verb(struct db *db, struct work *work, moment now)
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
        return resource_set_attached(db, &work->resource, work->owner.id, now);
    case VERB_DETACH:
        return resource_set_attached(db, &work->resource, NULL, now);
    default:
        return NULL;
    }
}

static struct error *tell_changed(struct db *db, const struct work *work, moment now)
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
    struct work *work = context;
    moment now = clock_now(work->job->clock);
    TRY(load(db, work));
    if (strcmp(work->operation.state, "queued") && strcmp(work->operation.state, "running"))
        return NULL; /* recorded before a crash */
    TRY(record_verb(db, work, now));
    TRY(resource_release(db, &work->resource, work->operation.id, NULL, now));
    if (work->verb != VERB_CONSOLE)
        TRY(tell_changed(db, work, now));
    return operation_end(db, &work->operation, NULL,
                         json_object_size(work->job->state) ? work->job->state : NULL, now);
}

static struct error *record(struct job *job)
{
    struct work work = {.job = job};
    return job_transaction(job, DB_READ_COMMITTED, record_body, &work);
}

static struct error *failed(struct db *db, struct job *job, const struct error *error)
{
    struct work work = {.job = job};
    moment now = clock_now(job->clock);
    TRY(load(db, &work));
    if (strcmp(work.operation.state, "queued") && strcmp(work.operation.state, "running"))
        return NULL;
    if (work.verb == VERB_RESIZE)
        TRY(give_back(db, &work.resource, json_object_get(work.operation.args, "spec"), work.resource.spec));
    if (work.verb == VERB_DELETE)
        TRY(resource_become(db, &work.resource, RESOURCE_DELETING, RESOURCE_ACTIVE, error_message(error),
                            now));
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
    {"run", run, NULL},
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
