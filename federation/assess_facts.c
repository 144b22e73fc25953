/* See assess_facts.h. */
#include "federation/assess_facts.h"

#include <string.h>

#include "broker/control/placement.h"
#include "broker/control/provider_call.h"
#include "broker/control/resource.h"
#include "broker/control/services.h"
#include "catalog/quote.h"
#include "federation/consent.h"
#include "federation/convert.h"
#include "federation/services.h"

#define ASK_US (2 * MOMENT_MINUTE) /* for each question to a provider */

/* What belongs to a cloud and a zone, or to an endpoint that is known already. */
static const struct db_statement select_side = {
    "assess_side", "SELECT c.provider_id, z.kind, z.network, coalesce(e.site_id, z.site_id), e.id, e.driver,"
                   " coalesce(e.architectures, 0), e.about->>'product', z.id FROM cloud c"
                   " LEFT JOIN zone z ON z.cloud_id = c.id AND z.id = $2"
                   " LEFT JOIN endpoint e ON e.id = coalesce($3, z.endpoint_id) WHERE c.id = $1"};
static const struct db_statement select_room = {
    "assess_room", "SELECT metric, total - outside - reserved FROM capacity WHERE cloud_id = $1"
                   " AND (endpoint_id = $2 OR (endpoint_id = '' AND metric = 'bandwidth_mbps'))"};
static const struct db_statement select_quota = {
    "assess_quota", "SELECT metric, most - used FROM quota WHERE unit_id = $1 AND cloud_id = $2"
                    " AND most IS NOT NULL"};
static const struct db_statement select_attached = {
    "assess_attached",
    "SELECT kind, spec, address FROM resource WHERE unit_id = $1 AND attached_to = $2::uuid"
    " AND state NOT IN ('deleted', 'failed') ORDER BY id"};

struct gathering {
    struct job *job;
    const struct assess_wish *wish;
    struct assess_facts *facts;
    struct resource resource;
    struct quote_resource *parts; /* the machine and what is attached to it */
    size_t part_count;
};

static struct error *load_side(struct db *db, struct arena *arena, const char *cloud, const char *zone,
                               const char *endpoint, struct assess_side *ret_side)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &select_side, DB_VALUES(db_text(cloud), db_text(zone), db_text(endpoint)),
                     "such cloud", &rows));
    (void)db_hold(arena, rows);
    *ret_side = (struct assess_side){.cloud = cloud,
                                     .provider = db_get_text(rows, 0, 0),
                                     .zone_kind = db_get_text(rows, 0, 1),
                                     .network = db_get_text(rows, 0, 2),
                                     .site = db_get_text(rows, 0, 3),
                                     .endpoint = db_get_text(rows, 0, 4),
                                     .driver = db_get_text(rows, 0, 5),
                                     .architectures = (unsigned)db_get_int(rows, 0, 6),
                                     .product = db_get_text(rows, 0, 7),
                                     .zone = db_get_text(rows, 0, 8)};
    return NULL;
}

static void set_metric(int64_t *list, size_t count, const char *name, int64_t value)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(metric_name((enum metric)i), name))
            list[i] = value;
}

static struct error *load_room(struct db *db, struct gathering *g)
{
    struct assess_facts *f = g->facts;
    DB_ROWS_AUTO struct db_rows *room = NULL, *quota = NULL;
    TRY(db_query(db, &select_room, DB_VALUES(db_text(f->target.cloud), db_text(f->target.endpoint)), &room));
    f->room_known = f->target.endpoint != NULL;
    for (size_t i = 0; i < db_count(room); i++)
        set_metric(f->room, METRIC_CAPACITY_COUNT, db_get_text(room, i, 0), db_get_int(room, i, 1));
    for (int i = 0; i < METRIC_COUNT; i++)
        f->quota_left[i] = INT64_MAX;
    if (!strcmp(f->source.cloud, f->target.cloud))
        return NULL; /* what it holds there counts already */
    TRY(db_query(db, &select_quota, DB_VALUES(db_text(f->unit), db_text(f->target.cloud)), &quota));
    for (size_t i = 0; i < db_count(quota); i++)
        set_metric(f->quota_left, METRIC_COUNT, db_get_text(quota, i, 0), db_get_int(quota, i, 1));
    return NULL;
}

/* The volumes go with the machine, Internet addresses stay behind. */
static struct error *load_attached(struct db *db, struct gathering *g)
{
    struct arena *arena = g->job->arena;
    struct assess_facts *f = g->facts;
    struct db_rows *rows;
    TRY(db_query(db, &select_attached, DB_VALUES(db_text(f->unit), db_text(f->id)), &rows));
    (void)db_hold(arena, rows);
    size_t count = db_count(rows);
    const char **addresses = arena_array(arena, count, sizeof *addresses);
    g->parts = arena_array(arena, count + 1, sizeof *g->parts);
    g->parts[g->part_count++] =
        (struct quote_resource){.kind = kind_find(g->resource.kind), .full = g->resource.spec, .count = 1};
    demand_add(&f->demand, g->resource.kind, g->resource.spec, 1);
    for (size_t i = 0; i < count; i++) {
        const char *kind = db_get_text(rows, i, 0);
        json_t *spec = json_hold(arena, db_get_json(rows, i, 1));
        g->parts[g->part_count++] =
            (struct quote_resource){.kind = kind_find(kind), .full = spec, .count = 1};
        if (!strcmp(kind, "volume"))
            demand_add(&f->demand, kind, spec, 1);
        if (!strcmp(kind, "address") && db_get_text(rows, i, 2))
            addresses[f->internet_address_count++] = db_get_text(rows, i, 2);
    }
    f->internet_addresses = addresses;
    return NULL;
}

/* Architecture, image and room are judged by what the machine is, not by what an order would need. */
static struct error *load_placement(struct db *db, struct gathering *g)
{
    struct arena *arena = g->job->arena;
    struct assess_facts *f = g->facts;
    const struct placement_wish wish = {
        .kind = "instance", .cloud = g->wish->cloud, .zone = g->wish->zone, .architecture = f->architecture};
    struct placement_facts facts;
    bool found;
    TRY(placement_load(db, arena, f->unit, f->system, &wish, &found, &facts));
    if (!found)
        return error_new(ERR_NOT_FOUND, "no such cloud");
    facts.image_known = true;
    facts.architectures = 0;
    struct error *broken = NULL;
    placement_check(&wish, &facts, "/to", &broken);
    size_t count = 0;
    const struct error_detail *details = broken ? error_details(broken, &count) : NULL;
    const char **texts = arena_array(arena, count, sizeof *texts);
    for (size_t i = 0; i < count; i++)
        texts[i] = arena_strdup(arena, details[i].message);
    error_free(broken);
    f->placement = texts;
    f->placement_count = count;
    return NULL;
}

/* −1 and the reason when the provider has no prices for it. */
static struct error *price(struct db *db, struct gathering *g, const char *provider, int64_t *ret_fen)
{
    struct quote quote;
    struct error *error =
        quote_price(db, g->job->arena, provider, clock_now(g->job->clock), g->parts, g->part_count, &quote);
    if (!error) {
        *ret_fen = quote.monthly_fen;
        return NULL;
    }
    if (error_code(error) != ERR_CONFLICT && error_code(error) != ERR_NOT_FOUND)
        return error;
    g->facts->price_missing = arena_strdup(g->job->arena, error_message(error));
    error_free(error);
    *ret_fen = -1;
    return NULL;
}

static struct error *load_prices(struct db *db, struct gathering *g)
{
    TRY(price(db, g, g->facts->source.provider, &g->facts->before_fen));
    for (size_t i = 0; i < g->part_count; i++) {
        if (!json_object_get(g->parts[i].full, "zone"))
            continue;
        g->parts[i].full = json_hold(g->job->arena, json_copy(g->parts[i].full));
        json_put_text(g->parts[i].full, "zone", g->wish->zone);
    }
    return price(db, g, g->facts->target.provider, &g->facts->after_fen);
}

static struct error *load_consent(struct db *db, struct gathering *g)
{
    struct arena *arena = g->job->arena;
    struct assess_facts *f = g->facts;
    if (!f->source.site || !f->target.site)
        return NULL;
    struct error *error = consent_check(
        db, arena, f->unit, f->system, f->id, consent_site(arena, f->source.cloud, f->source.site),
        consent_site(arena, f->target.cloud, f->target.site), clock_now(g->job->clock), &f->consent);
    if (!error || error_code(error) != ERR_DENIED)
        return error;
    f->consent_missing = arena_strdup(arena, error_message(error));
    error_free(error);
    return NULL;
}

static struct error *load_body(struct db *db, void *context)
{
    struct gathering *g = context;
    struct arena *arena = g->job->arena;
    const struct assess_wish *w = g->wish;
    struct assess_facts *f = g->facts;
    struct resource *r = &g->resource;
    g->part_count = 0; /* the body may run again */
    TRY(resource_peek(db, arena, w->unit, w->instance, r));
    *f = (struct assess_facts){.kind = w->kind,
                               .engine = w->engine,
                               .target_engine = w->target_engine,
                               .hosting_area = w->hosting_area,
                               .id = r->id,
                               .name = r->name,
                               .unit = r->unit,
                               .system = r->system,
                               .state = resource_state_name(r->state),
                               .power = r->power,
                               .operation = r->operation,
                               .architecture = json_string_value(json_object_get(r->spec, "architecture")),
                               .vcpu = (unsigned)json_integer_value(json_object_get(r->spec, "vcpu")),
                               .memory_mb =
                                   (uint64_t)json_integer_value(json_object_get(r->spec, "memory_gb")) * 1024,
                               .bandwidth_bytes_s = w->bandwidth_bytes_s,
                               .change_bytes_s = w->change_bytes_s,
                               .window_us = w->window_us};
    TRY(load_side(db, arena, r->cloud, r->zone, r->endpoint, &f->source));
    TRY(load_side(db, arena, w->cloud, w->zone, NULL, &f->target));
    if (!f->target.zone)
        return error_new(ERR_NOT_FOUND, "cloud \"%s\" has no zone \"%s\"", w->cloud, w->zone);
    TRY(load_attached(db, g));
    TRY(load_room(db, g));
    TRY(load_placement(db, g));
    TRY(load_prices(db, g));
    return load_consent(db, g);
}

/* A provider's failure becomes a text; the job's end does not. */
static struct error *told(struct arena *arena, struct error *error, const char **ret_text)
{
    if (!error || error_code(error) == ERR_CANCELLED)
        return error;
    *ret_text = arena_strdup(arena, error_message(error));
    error_free(error);
    return NULL;
}

static unsigned capabilities_of(const struct job *job, const char *driver_name)
{
    const struct services *services = job->context;
    const struct driver *driver = driver_name ? fleet_driver(services->fleet, driver_name) : NULL;
    return driver ? driver->capabilities : 0;
}

static void look_out(const struct job *job, struct assess_facts *f, const char *guest_os)
{
    const struct federation_services *services = job->context;
    struct convert_plan plan = convert_plan(job->arena, services->conversion, services->conversion_program,
                                            f->source.driver, f->target.driver, guest_os);
    f->converts = plan.runs;
    if (plan.runs)
        f->conversion =
            arena_printf(job->arena, "it is converted after the copy by %s", services->conversion_program);
    else if (plan.why)
        f->conversion = arena_printf(job->arena, "it is not converted: %s", plan.why);
}

static struct error *ask_source(struct job *job, struct assess_facts *f)
{
    struct provider_call call;
    struct driver_detail *detail = arena_alloc(job->arena, sizeof *detail);
    const struct driver_key key = {.id = f->id};
    f->source.capabilities = capabilities_of(job, f->source.driver);
    f->detail_unsupported = !f->source.endpoint || !(f->source.capabilities & DRIVER_CAN_DETAIL);
    if (f->detail_unsupported) {
        f->detail_error = f->source.endpoint
                              ? arena_printf(job->arena, "driver %s has no detail", f->source.driver)
                              : "it has no endpoint: people made it";
        return NULL;
    }
    struct error *error = provider_call_open(job, f->source.endpoint, NULL, NULL, &call);
    if (error)
        return told(job->arena, error, &f->detail_error);
    call.call.deadline_us = moment_monotonic() + ASK_US;
    error = gate_instance_detail(provider_gate(&call), &call.call, &key, detail);
    provider_call_close(&call);
    if (!error) {
        f->detail = detail;
        look_out(job, f, detail->guest_os);
    }
    return told(job->arena, error, &f->detail_error);
}

static struct error *ask_about(struct job *job, struct assess_target *target)
{
    struct provider_call call;
    struct driver_about about;
    struct driver_inventory *inventory = arena_alloc(job->arena, sizeof *inventory);
    TRY(provider_call_open(job, target->endpoint, NULL, NULL, &call));
    call.call.deadline_us = moment_monotonic() + ASK_US;
    struct error *error = gate_about(provider_gate(&call), &call.call, &about);
    if (!error)
        error = gate_inventory(provider_gate(&call), &call.call, inventory);
    provider_call_close(&call);
    TRY(error);
    target->product = about.product;
    target->inventory = inventory;
    return NULL;
}

static struct error *ask_target(struct job *job, struct assess_facts *f, struct assess_targets *targets)
{
    struct assess_target *target = NULL;
    f->target.capabilities = capabilities_of(job, f->target.driver);
    if (!f->target.endpoint) {
        f->target_error = "the zone has no endpoint";
        return NULL;
    }
    for (size_t i = 0; i < targets->count; i++)
        if (!strcmp(targets->list[i].endpoint, f->target.endpoint))
            target = &targets->list[i];
    if (!target) {
        if (targets->count == ASSESS_TARGETS_MAX)
            return error_new(ERR_TOO_LARGE, "more than %d targets in one assessment", ASSESS_TARGETS_MAX);
        target = &targets->list[targets->count];
        *target = (struct assess_target){.endpoint = f->target.endpoint};
        TRY(told(job->arena, ask_about(job, target), &target->error));
        targets->count++;
    }
    f->inventory = target->inventory;
    f->target_error = target->error;
    if (target->product)
        f->target.product = target->product;
    return NULL;
}

struct error *assess_instance(struct job *job, const struct assess_wish *wish, struct assess_targets *targets,
                              struct assess_result *ret_result)
{
    struct assess_targets own = {0};
    struct assess_result result = {0};
    struct gathering gathering = {.job = job, .wish = wish, .facts = &result.facts};
    TRY(job_transaction(job, DB_READ_COMMITTED, load_body, &gathering));
    TRY(ask_source(job, &result.facts));
    TRY(ask_target(job, &result.facts, targets ? targets : &own));
    assess_judge(job->arena, &result.facts, &result.report);
    result.json = json_hold(job->arena, assess_report_json(&result.facts, &result.report));
    result.answers = json_hold(job->arena, assess_answers_json(&result.facts));
    *ret_result = result;
    return NULL;
}
