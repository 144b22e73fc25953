/* Comparing an inventory with what the broker holds; see sync.h. The job that takes the inventory is
 * sync_job.c. */
#include "broker/control/sync.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/control/drift.h"
#include "broker/control/quota.h"
#include "broker/control/resource.h"

#define VCPU_PER_CORE 4 /* at most 4 vCPU per physical CPU on average (procurement 3.1.3, item 1001) */

/* What is found, while it is found. */
struct comparing {
    struct arena *arena;
    const struct sync_report *report;
    struct resource *held; /* by id */
    moment *touched;
    size_t held_count;
    bool *reported; /* of each held one */
    struct drift *drifts;
    size_t drift_count;
    struct capacity_report capacity;
    struct db *db;
};

static int compare_id(const void *key, const void *element)
{
    return strcmp(key, ((const struct resource *)element)->id);
}

static struct resource *find_held(const struct comparing *c, const char *id)
{
    return id ? bsearch(id, c->held, c->held_count, sizeof *c->held, compare_id) : NULL;
}

static void add_drift(struct comparing *c, const char *kind, const char *subject,
                      const struct resource *resource, const char *expected, const char *seen)
{
    c->drifts[c->drift_count++] = (struct drift){.kind = kind,
                                                 .subject = subject,
                                                 .unit = resource ? resource->unit : NULL,
                                                 .resource = resource ? resource->id : NULL,
                                                 .expected = expected,
                                                 .seen = seen};
}

/* Ended since the inventory was taken: what it shows of it says nothing. */
static bool has_ended(const struct resource *resource)
{
    return resource->state == RESOURCE_DELETED || resource->state == RESOURCE_FAILED;
}

/* An operation at work, or a change since the inventory was taken, explains any difference. */
static bool is_settled(const struct comparing *c, const struct resource *resource)
{
    return resource->state == RESOURCE_ACTIVE && !resource->operation &&
           c->touched[resource - c->held] < c->report->taken;
}

static const char *size_json(struct comparing *c, int64_t vcpu, int64_t memory_mb)
{
    return arena_printf(c->arena, "{\"vcpu\": %lld, \"memory_mb\": %lld}", (long long)vcpu,
                        (long long)memory_mb);
}

static const char *name_json(struct comparing *c, const char *name, const char *state)
{
    json_t *json = json_hold(c->arena, json_object());
    json_put_text(json, "name", name);
    json_put_text(json, "state", state);
    return json_canonical(c->arena, json);
}

static struct error *compare_instance(struct comparing *c, const struct driver_instance *seen)
{
    struct resource *resource = find_held(c, seen->id);
    bool copied = resource && c->reported[resource - c->held]; /* a clone carries the stamp of its original */
    if (!resource || strcmp(resource->kind, "instance") || copied) {
        bool ours = seen->id != NULL;
        add_drift(c, ours ? "orphan" : "foreign", ours && !copied ? seen->id : seen->ref, NULL, NULL,
                  name_json(c, seen->name, resource_power_name(seen->power)));
        c->capacity.outside[METRIC_VCPU] += seen->vcpu;
        c->capacity.outside[METRIC_MEMORY_GB] += (int64_t)((seen->memory_mb + 1023) / 1024);
        return NULL;
    }
    c->reported[resource - c->held] = true;
    if (has_ended(resource))
        return NULL;
    if (seen->address)
        TRY(resource_set_address(c->db, resource, seen->address));
    if (!is_settled(c, resource))
        return NULL;
    const char *power = resource_power_name(seen->power);
    if (strcmp(power, resource->power))
        add_drift(c, "power", resource->id, resource,
                  arena_printf(c->arena, "{\"power\": \"%s\"}", resource->power),
                  arena_printf(c->arena, "{\"power\": \"%s\"}", power));
    int64_t vcpu = json_integer_value(json_object_get(resource->spec, "vcpu"));
    int64_t memory_mb = json_integer_value(json_object_get(resource->spec, "memory_gb")) * 1024;
    if (seen->vcpu != vcpu || (int64_t)seen->memory_mb != memory_mb)
        add_drift(c, "size", resource->id, resource, size_json(c, vcpu, memory_mb),
                  size_json(c, seen->vcpu, (int64_t)seen->memory_mb));
    return NULL;
}

static void compare_volume(struct comparing *c, const struct driver_volume *seen)
{
    struct resource *resource = find_held(c, seen->id);
    if (!seen->id)
        return; /* system disks and what others keep there: counted by the pools */
    if (!resource || strcmp(resource->kind, "volume")) {
        add_drift(c, "orphan", seen->id, NULL, NULL, name_json(c, seen->name, NULL));
        return;
    }
    c->reported[resource - c->held] = true;
    int64_t size = json_integer_value(json_object_get(resource->spec, "size_gb"));
    if (is_settled(c, resource) && seen->size_gb != size)
        add_drift(c, "size", resource->id, resource,
                  arena_printf(c->arena, "{\"size_gb\": %lld}", (long long)size),
                  arena_printf(c->arena, "{\"size_gb\": %u}", seen->size_gb));
}

static void find_missing(struct comparing *c)
{
    for (size_t i = 0; i < c->held_count; i++) {
        const struct resource *resource = &c->held[i];
        bool told = strcmp(resource->kind, "volume") || c->report->volumes;
        if (told && !c->reported[i] && is_settled(c, resource))
            add_drift(c, "missing", resource->id, resource, name_json(c, resource->name, "active"), NULL);
    }
}

/* What others hold of a pool: what is allocated less what the broker has promised there and the driver could
 * know of. */
static void measure_storage(struct comparing *c)
{
    struct demand ours = {0};
    const struct driver_capacity *capacity = c->report->capacity;
    for (size_t i = 0; i < c->held_count; i++)
        if (c->reported[i] && !has_ended(&c->held[i]))
            demand_add(&ours, c->held[i].kind, c->held[i].spec, 1);
    int64_t standard = (int64_t)capacity->standard_gb_allocated - ours.amount[METRIC_STANDARD_GB];
    int64_t high = (int64_t)capacity->high_gb_allocated - ours.amount[METRIC_HIGH_GB];
    c->capacity.total[METRIC_VCPU] = (int64_t)capacity->cores_total * VCPU_PER_CORE;
    c->capacity.total[METRIC_MEMORY_GB] = (int64_t)(capacity->memory_mb_total / 1024);
    c->capacity.total[METRIC_STANDARD_GB] = (int64_t)capacity->standard_gb_total;
    c->capacity.total[METRIC_HIGH_GB] = (int64_t)capacity->high_gb_total;
    c->capacity.outside[METRIC_STANDARD_GB] = standard > 0 ? standard : 0;
    c->capacity.outside[METRIC_HIGH_GB] = high > 0 ? high : 0;
}

static const struct db_statement forget_images = {
    "image_forget", "DELETE FROM image WHERE endpoint_id = $1 AND name <> ALL ($2::text[])"};
static const struct db_statement keep_images = {
    "image_keep",
    "INSERT INTO image (endpoint_id, name, ref, architecture, size_gb)"
    " SELECT DISTINCT ON (i.name) $1, i.name, i.ref, nullif(i.architecture, ''), i.size::bigint"
    " FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS i (name, ref, architecture, size)"
    " ORDER BY i.name, i.ref ON CONFLICT (endpoint_id, name)"
    " DO UPDATE SET ref = EXCLUDED.ref, architecture = EXCLUDED.architecture, size_gb = EXCLUDED.size_gb"};

static struct error *record_images(struct comparing *c)
{
    const struct driver_inventory *inventory = c->report->inventory;
    size_t count = inventory->image_count;
    const char **names = arena_array(c->arena, count, sizeof *names),
               **refs = arena_array(c->arena, count, sizeof *refs);
    const char **architectures = arena_array(c->arena, count, sizeof *architectures);
    const char **sizes = arena_array(c->arena, count, sizeof *sizes);
    for (size_t i = 0; i < count; i++) {
        const struct driver_image *image = &inventory->images[i];
        names[i] = image->name;
        refs[i] = image->ref;
        architectures[i] = image->architecture ? image->architecture : "";
        sizes[i] = arena_printf(c->arena, "%u", image->size_gb);
    }
    const char *endpoint = c->report->endpoint->id;
    TRY(db_run(c->db, &forget_images, DB_VALUES(db_text(endpoint), db_texts(names, count)), NULL));
    return db_run(c->db, &keep_images,
                  DB_VALUES(db_text(endpoint), db_texts(names, count), db_texts(refs, count),
                            db_texts(architectures, count), db_texts(sizes, count)),
                  NULL);
}

struct error *sync_record(struct db *db, struct arena *arena, const struct sync_report *report, moment now)
{
    const struct driver_inventory *inventory = report->inventory;
    struct comparing c = {.arena = arena, .report = report, .db = db};
    TRY(resource_of_endpoint(db, arena, report->endpoint->id, report->taken, &c.held, &c.touched,
                             &c.held_count));
    c.reported = arena_array(arena, c.held_count, sizeof *c.reported);
    /* every seen instance may differ twice, every volume and held one once */
    c.drifts = arena_array(arena, 2 * inventory->instance_count + inventory->volume_count + c.held_count,
                           sizeof *c.drifts);
    for (size_t i = 0; i < inventory->instance_count; i++)
        TRY(compare_instance(&c, &inventory->instances[i]));
    for (size_t i = 0; i < inventory->volume_count; i++)
        compare_volume(&c, &inventory->volumes[i]);
    find_missing(&c);
    measure_storage(&c);
    TRY(record_images(&c));
    TRY(capacity_report(db, report->endpoint->cloud, report->endpoint->id, &c.capacity, now));
    return drift_replace(db, arena, report->endpoint, c.drifts, c.drift_count, now);
}
