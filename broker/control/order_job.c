/* The job "order": makes every resource of an order at its provider, attaches what belongs together, then
 * makes all of them active in one transaction that also opens their usage intervals. All or nothing: when one
 * cannot be made, the others are taken back.
 *
 * Steps: create → attach → activate. Each looks at the rows and the provider again, so it may be repeated
 * after a crash at any line: the drivers find what is there already by the resource's id. */
#include <string.h>

#include "broker/base/json.h"
#include "broker/control/expansion.h"
#include "broker/control/fulfilment.h"
#include "broker/control/operation.h"
#include "broker/control/order.h"
#include "broker/control/provider_call.h"
#include "broker/control/quota.h"
#include "broker/control/resource.h"
#include "broker/http/event.h"

/* What every step works on; loaded anew by each. */
struct work {
    struct job *job;
    const char *unit;
    struct operation operation;
    struct resource *resources;
    size_t count;
    const struct error *failure;
    size_t at;               /* the resource that is being worked on */
    size_t open;             /* fulfilments that are waited for */
    const char *waiting_for; /* the first of them, for people */
};

static struct error *load(struct db *db, struct work *work)
{
    const char *id = json_string_value(json_object_get(work->job->args, "operation"));
    work->unit = json_string_value(json_object_get(work->job->args, "unit"));
    TRY(operation_load(db, work->job->arena, work->unit, id, &work->operation));
    return resource_of_order(db, work->job->arena, work->unit, work->operation.order, &work->resources,
                             &work->count);
}

static struct error *load_body(struct db *db, void *context)
{
    return load(db, context);
}

static struct error *begin(struct job *job, struct work *work)
{
    *work = (struct work){.job = job};
    return job_transaction(job, DB_READ_COMMITTED, load_body, work);
}

static void tell(void *context, int percent, const char *step)
{
    struct work *work = context;
    int whole = (int)((work->at * 100 + (size_t)percent) * 90 / (work->count * 100));
    const struct resource *resource = &work->resources[work->at];
    char *text =
        arena_printf(work->job->arena, "%s %s: %s", resource->kind, resource->name, step ? step : "working");
    operation_tell(work->job, work->unit, work->operation.id, whole, text);
}

static struct error *mark_creating(struct db *db, void *context)
{
    struct work *work = context;
    const struct resource *resource = &work->resources[work->at];
    return resource_become(db, resource, RESOURCE_REQUESTED, RESOURCE_CREATING, NULL,
                           clock_now(work->job->clock));
}

struct making {
    struct work *work;
    const char *ref, *address;
};

static struct error *mark_made(struct db *db, void *context)
{
    struct making *making = context;
    struct work *work = making->work;
    return resource_made(db, &work->resources[work->at], making->ref, making->address,
                         clock_now(work->job->clock));
}

static const struct db_statement select_network = {
    "zone_network", "SELECT network FROM zone WHERE cloud_id = $1 AND id = $2"};

static struct error *find_network(struct db *db, struct arena *arena, const struct resource *resource,
                                  const char **ret_name)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &select_network, DB_VALUES(db_text(resource->cloud), db_text(resource->zone)),
                     "such zone", &rows));
    *ret_name = arena_strdup(arena, db_get_text(rows, 0, 0));
    return NULL;
}

static int64_t number(const json_t *spec, const char *member)
{
    return json_integer_value(json_object_get(spec, member));
}

static const char *text(const json_t *spec, const char *member)
{
    return json_string_value(json_object_get(spec, member));
}

static bool is_high(const json_t *spec, const char *member)
{
    const char *performance = text(spec, member);
    return performance && !strcmp(performance, "high");
}

static struct error *make_instance(struct provider_call *call, const struct resource *resource,
                                   struct making *making)
{
    struct driver_instance_spec spec = {.id = resource->id,
                                        .name = resource->name,
                                        .architecture = text(resource->spec, "architecture"),
                                        .vcpu = (unsigned)number(resource->spec, "vcpu"),
                                        .memory_mb = (uint64_t)number(resource->spec, "memory_gb") * 1024,
                                        .image = text(resource->spec, "image"),
                                        .system_disk_gb = (unsigned)number(resource->spec, "system_disk_gb"),
                                        .high_performance =
                                            is_high(resource->spec, "system_disk_performance"),
                                        .user_data = text(resource->spec, "user_data")};
    struct driver_instance made;
    TRY(find_network(call->job->db, call->job->arena, resource, &spec.network));
    TRY(gate_instance_create(provider_gate(call), &call->call, &spec, &made));
    making->ref = made.ref;
    making->address = made.address;
    return NULL;
}

static struct error *make_volume(struct provider_call *call, const struct resource *resource,
                                 struct making *making)
{
    struct driver_volume_spec spec = {.id = resource->id,
                                      .name = resource->name,
                                      .size_gb = (unsigned)number(resource->spec, "size_gb"),
                                      .high_performance = is_high(resource->spec, "performance")};
    struct driver_volume made;
    TRY(gate_volume_create(provider_gate(call), &call->call, &spec, &made));
    making->ref = made.ref;
    return NULL;
}

static struct error *make(struct work *work, struct resource *resource)
{
    struct making making = {.work = work};
    if (resource->endpoint) {
        struct provider_call call;
        TRY(provider_call_open(work->job, resource->endpoint, tell, work, &call));
        struct error *error = !strcmp(resource->kind, "instance") ? make_instance(&call, resource, &making)
                                                                  : make_volume(&call, resource, &making);
        provider_call_close(&call);
        TRY_DOING(error, "could not make %s \"%s\"", resource->kind, resource->name);
    }
    TRY(job_transaction(work->job, DB_READ_COMMITTED, mark_made, &making));
    resource->ref = making.ref;
    return NULL;
}

static struct fulfilment_wish wish_of(const struct work *work, const struct resource *resource)
{
    return (struct fulfilment_wish){.resource = resource,
                                    .operation = work->operation.id,
                                    .job = work->job->id,
                                    .verb = "create",
                                    .spec = resource->spec};
}

static struct error *ask_for(struct db *db, struct work *work, struct resource *resource, moment now)
{
    struct fulfilment fulfilment;
    struct fulfilment_wish wish = wish_of(work, resource);
    if (resource->state == RESOURCE_REQUESTED) {
        TRY(resource_become(db, resource, RESOURCE_REQUESTED, RESOURCE_CREATING, NULL, now));
        resource->state = RESOURCE_CREATING;
    }
    TRY(fulfilment_ask(db, work->job->arena, &wish, now, &fulfilment));
    TRY(fulfilment_refusal(&wish, &fulfilment));
    if (fulfilment.state == FULFILMENT_OPEN && !work->open++)
        work->waiting_for = arena_printf(work->job->arena, "%s %s", resource->kind, resource->name);
    if (fulfilment.state != FULFILMENT_COMPLETED)
        return NULL;
    resource->ref = fulfilment.reference;
    return resource_made(db, resource, fulfilment.reference, fulfilment.address, now);
}

static struct error *ask_body(struct db *db, void *context)
{
    struct work *work = context;
    TRY(load(db, work));
    work->open = 0;
    for (size_t i = 0; i < work->count; i++) {
        struct resource *resource = &work->resources[i];
        bool wanted = resource->state == RESOURCE_REQUESTED || resource->state == RESOURCE_CREATING;
        if (wanted && !resource->ref && fulfilment_needed(resource))
            TRY(ask_for(db, work, resource, clock_now(work->job->clock)));
    }
    return NULL;
}

/* What people make comes first: it takes days, and nothing that a driver makes runs unmetered meanwhile. A
 * GPU of an instance in the same order is set aside then, and the instance made right after. */
static struct error *create(struct job *job)
{
    struct work work = {.job = job};
    TRY(job_transaction(job, DB_READ_COMMITTED, ask_body, &work));
    if (work.open) {
        operation_tell(job, work.unit, work.operation.id, 0,
                       arena_printf(job->arena, "the provider's operator has %zu to fulfil, first %s",
                                    work.open, work.waiting_for));
        return job_wait(job, FULFILMENT_LOOK_US);
    }
    for (work.at = 0; work.at < work.count; work.at++) {
        struct resource *resource = &work.resources[work.at];
        if (job_cancelled(job))
            return error_new(ERR_CANCELLED, "the order was cancelled");
        if (resource->state == RESOURCE_REQUESTED)
            TRY(job_transaction(job, DB_READ_COMMITTED, mark_creating, &work));
        else if (resource->state != RESOURCE_CREATING || resource->ref)
            continue; /* made before a crash or retry */
        tell(&work, 0, "making");
        TRY(make(&work, resource));
    }
    return NULL;
}

static struct error *delete_made(struct work *work, const struct resource *resource,
                                 const struct resource *owner)
{
    struct provider_call call;
    struct driver_key key = resource_key(resource);
    struct error *error = NULL;
    TRY(provider_call_open(work->job, resource->endpoint, NULL, NULL, &call));
    if (!strcmp(resource->kind, "instance")) {
        error = gate_instance_delete(provider_gate(&call), &call.call, &key);
    } else {
        if (owner) {
            struct driver_key owner_key = resource_key(owner);
            error = gate_volume_detach(provider_gate(&call), &call.call, &key, &owner_key);
            if (error && error_code(error) == ERR_NOT_FOUND) {
                error_free(error); /* neither is there any more: nothing to detach */
                error = NULL;
            }
        }
        if (!error)
            error = gate_volume_delete(provider_gate(&call), &call.call, &key);
    }
    provider_call_close(&call);
    return error_wrap(error, "could not take back %s \"%s\"", resource->kind, resource->name);
}

struct owner_search {
    struct work *work;
    const struct resource *of;
    struct resource owner;
};

static struct error *load_owner(struct db *db, void *context)
{
    struct owner_search *search = context;
    return resource_load(db, search->work->job->arena, search->of->unit, search->of->attached_to, "instance",
                         &search->owner);
}

/* What is still asked is withdrawn; what the operator had completed they are asked to take back, which nobody
 * waits for. */
static struct error *unask_body(struct db *db, void *context)
{
    struct work *work = context;
    moment now = clock_now(work->job->clock);
    TRY(load(db, work));
    for (size_t i = 0; i < work->count; i++) {
        const struct resource *resource = &work->resources[i];
        struct fulfilment_wish wish = wish_of(work, resource);
        struct fulfilment back;
        bool completed = false;
        if (resource->state != RESOURCE_CREATING || !fulfilment_needed(resource))
            continue;
        TRY(fulfilment_withdraw(db, &wish, now, &completed));
        wish.verb = "delete";
        wish.job = NULL;
        if (completed)
            TRY(fulfilment_ask(db, work->job->arena, &wish, now, &back));
    }
    return NULL;
}

/* Volumes before instances: the other way round than they were made. */
static struct error *uncreate(struct job *job)
{
    struct work work = {.job = job};
    TRY(job_transaction(job, DB_READ_COMMITTED, unask_body, &work));
    for (size_t i = work.count; i-- > 0;) {
        const struct resource *resource = &work.resources[i];
        struct owner_search search = {&work, resource, {0}};
        if (resource->state != RESOURCE_CREATING || !resource->endpoint)
            continue;
        if (resource->attached_to)
            TRY(job_transaction(job, DB_READ_COMMITTED, load_owner, &search));
        TRY(delete_made(&work, resource, resource->attached_to ? &search.owner : NULL));
    }
    return NULL;
}

static struct error *attach(struct job *job)
{
    struct work work;
    TRY(begin(job, &work));
    for (work.at = 0; work.at < work.count; work.at++) {
        const struct resource *resource = &work.resources[work.at];
        struct owner_search search = {&work, resource, {0}};
        struct provider_call call;
        if (strcmp(resource->kind, "volume") || !resource->attached_to)
            continue;
        if (job_cancelled(job))
            return error_new(ERR_CANCELLED, "the order was cancelled");
        TRY(job_transaction(job, DB_READ_COMMITTED, load_owner, &search));
        struct driver_key volume = resource_key(resource), instance = resource_key(&search.owner);
        TRY(provider_call_open(job, resource->endpoint, NULL, NULL, &call));
        struct error *error = gate_volume_attach(provider_gate(&call), &call.call, &volume, &instance);
        provider_call_close(&call);
        TRY_DOING(error, "could not attach volume \"%s\" to \"%s\"", resource->name, search.owner.name);
    }
    return NULL;
}

static struct error *tell_resource(struct db *db, const struct resource *resource, const char *type,
                                   moment now)
{
    json_t *data = json_object();
    json_put_text(data, "resource", resource->id);
    json_put_text(data, "kind", resource->kind);
    json_put_text(data, "name", resource->name);
    struct error *error = event_add(db, &(struct event){.at = now,
                                                        .type = type,
                                                        .unit = resource->unit,
                                                        .system = resource->system,
                                                        .cloud = resource->cloud,
                                                        .provider = resource->provider,
                                                        .subject = resource->id,
                                                        .data = data});
    json_decref(data);
    return error;
}

/* One moment for all: they become active, and their usage begins, together. */
struct error *order_activate(struct db *db, struct job *job, const char *power, const json_t *result)
{
    struct work loaded = {.job = job}, *work = &loaded;
    moment now = clock_now(job->clock);
    TRY(load(db, work));
    for (size_t i = 0; i < work->count; i++) {
        struct resource *resource = &work->resources[i];
        if (resource->state == RESOURCE_ACTIVE)
            continue; /* the step ran before a crash */
        TRY(resource_become(db, resource, RESOURCE_CREATING, RESOURCE_ACTIVE, NULL, now));
        resource->state = RESOURCE_ACTIVE;
        if (!strcmp(resource->kind, "instance")) {
            resource->power = power;
            TRY(resource_set_power(db, resource, power, now));
        }
        if (resource->expansion_days)
            TRY(expansion_begin(db, resource, json_hold(job->arena, json_object()), now));
        TRY(resource_meter(db, resource, now));
        TRY(tell_resource(db, resource, "resource.active", now));
    }
    TRY(order_end(db, work->unit, work->operation.order, "fulfilled", now));
    return operation_end(db, &work->operation, NULL, result, now);
}

static struct error *activate_body(struct db *db, void *context)
{
    return order_activate(db, context, "on", NULL);
}

static struct error *activate(struct job *job)
{
    return job_transaction(job, DB_READ_COMMITTED, activate_body, job);
}

static struct error *give_back(struct db *db, const struct resource *resource)
{
    struct demand demand = {0};
    demand_add(&demand, resource->kind, resource->spec, -1);
    TRY(quota_take(db, resource->unit, resource->cloud, &demand));
    TRY(capacity_take(db, resource->cloud, resource->endpoint, &demand));
    return address_give_back(db, resource);
}

/* After the undo: nothing is left at any provider. */
struct error *order_failed(struct db *db, struct job *job, const struct error *error)
{
    struct work work = {.job = job};
    moment now = clock_now(job->clock);
    TRY(load(db, &work));
    for (size_t i = 0; i < work.count; i++) {
        const struct resource *resource = &work.resources[i];
        if (resource->state != RESOURCE_REQUESTED && resource->state != RESOURCE_CREATING)
            continue;
        TRY(resource_become(db, resource, resource->state, RESOURCE_FAILED, error_message(error), now));
        TRY(give_back(db, resource));
        TRY(tell_resource(db, resource, "resource.failed", now));
    }
    const char *state = error_code(error) == ERR_CANCELLED ? "cancelled" : "failed";
    TRY(order_end(db, work.unit, work.operation.order, state, now));
    return operation_end(db, &work.operation, error, NULL, now);
}

static void progressed(struct job *job, const char *step, size_t done, size_t of,
                       const struct error *retrying)
{
    const char *unit = json_string_value(json_object_get(job->args, "unit"));
    const char *operation = json_string_value(json_object_get(job->args, "operation"));
    (void)of; /* the steps are not of equal length: creating is nearly all of it */
    if (retrying)
        operation_tell(
            job, unit, operation, 0,
            arena_printf(job->arena, "%s: will be tried again: %s", step, error_message(retrying)));
    else if (done < 3)
        operation_tell(job, unit, operation, done == 1 ? 90 : 95, done == 1 ? "attaching" : "activating");
}

static const struct job_step steps[] = {
    {"create", create, uncreate},
    {"attach", attach, NULL},
    {"activate", activate, NULL},
};
const struct job_type order_job = {.name = "order",
                                   .steps = steps,
                                   .step_count = sizeof steps / sizeof *steps,
                                   .max_attempts = 8,
                                   .backoff_us = MOMENT_SECOND,
                                   .backoff_max_us = MOMENT_MINUTE,
                                   .failed = order_failed,
                                   .progressed = progressed};
