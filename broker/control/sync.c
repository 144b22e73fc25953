/* Comparing an inventory with what the broker holds; see sync.h. The job that takes the inventory is
 * sync_job.c. */
#include "broker/control/sync.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/control/drift.h"
#include "broker/control/other_side.h"
#include "broker/control/quota.h"
#include "broker/control/resource.h"
#include "catalog/provider.h"

#define VCPU_PER_CORE 4 /* at most 4 vCPU per physical CPU on average (procurement 3.1.3, item 1001) */

/* What is found, while it is found. */
struct comparing {
    struct arena *arena;
    const struct sync_report *report;
    struct resource *held; /* by id */
    moment *touched;
    size_t held_count;
    bool *reported;            /* of each held one */
    struct other_side *others; /* by resource */
    size_t other_count;
    struct billed *billed; /* by resource */
    size_t billed_count;
    struct agreement agreement; /* of the endpoint's provider */
    bool lags;                  /* see billed_lags */
    int64_t fen[ITEM_COUNT];
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

static int compare_other_id(const void *key, const void *element)
{
    return strcmp(key, ((const struct other_side *)element)->resource);
}

/* The other side of something that moves between clouds; one that runs and may not is none. */
static bool is_other_side(const struct comparing *c, const char *id, bool runs)
{
    const struct other_side *other =
        id ? bsearch(id, c->others, c->other_count, sizeof *c->others, compare_other_id) : NULL;
    return other && (other->may_run || !runs);
}

static int compare_billed_id(const void *key, const void *element)
{
    return strcmp(key, ((const struct billed *)element)->resource);
}

static const struct billed *find_billed(const struct comparing *c, const char *id)
{
    return bsearch(id, c->billed, c->billed_count, sizeof *c->billed, compare_billed_id);
}

/* Room for one more; it counts once it is judged. `held` NULL: of none. */
static struct drift *new_drift(struct comparing *c, const char *kind, const char *subject,
                               const struct resource *held)
{
    struct drift *drift = &c->drifts[c->drift_count];
    *drift = (struct drift){.kind = kind, .subject = subject};
    if (!held)
        return drift;
    drift->unit = held->unit;
    drift->resource = held->id;
    drift->expected = drift_expected(c->arena, kind, held);
    drift->billed = find_billed(c, held->id);
    return drift;
}

static struct error *add_drift(struct comparing *c, struct drift *drift, const struct resource *held)
{
    struct agreement other, *agreement = &c->agreement;
    if (held && strcmp(held->provider, c->report->endpoint->provider) != 0) {
        TRY(provider_agreement(c->db, held->provider, c->report->taken, &other));
        agreement = &other;
    }
    TRY_DOING(drift_judge(c->arena, drift, held, agreement), "could not judge drift of %s", drift->subject);
    c->drift_count++;
    return NULL;
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

static json_t *size_json(struct comparing *c, int64_t vcpu, int64_t memory_mb)
{
    json_t *json = json_hold(c->arena, json_object());
    json_put_int(json, "vcpu", vcpu);
    json_put_int(json, "memory_mb", memory_mb);
    return json;
}

static json_t *text_json(struct comparing *c, const char *member, const char *text)
{
    json_t *json = json_hold(c->arena, json_object());
    json_put_text(json, member, text);
    return json;
}

/* All that the driver said of it, and when it was asked. */
static json_t *report_json(struct comparing *c, const struct driver_instance *instance,
                           const struct driver_volume *volume)
{
    json_t *json = json_hold(c->arena, json_object());
    json_put_moment(json, "taken_at", c->report->taken);
    if (instance) {
        json_put_text(json, "name", instance->name);
        json_put_text(json, "reference", instance->ref);
        json_put_text(json, "power", resource_power_name(instance->power));
        json_put_int(json, "vcpu", instance->vcpu);
        json_put_int(json, "memory_mb", (int64_t)instance->memory_mb);
        json_put_text(json, "architecture", instance->architecture);
        json_put_text(json, "host", instance->host);
        json_put_text(json, "address", instance->address);
        json_put_text(json, "detail", instance->detail);
    } else if (volume) {
        json_put_text(json, "name", volume->name);
        json_put_text(json, "reference", volume->ref);
        json_put_int(json, "size_gb", volume->size_gb);
        json_put_text(json, "attached_to", volume->instance_ref);
        json_put_text(json, "pool", volume->pool);
    }
    return json;
}

/* What is billed of a settled resource is what the broker holds. */
static struct error *compare_billed(struct comparing *c, const struct resource *held, const json_t *seen,
                                    json_t *reported)
{
    const char *kind = find_billed(c, held->id) ? DRIFT_MISBILLED : DRIFT_UNBILLED;
    if (c->lags)
        return NULL;
    struct drift *drift = new_drift(c, kind, held->id, held);
    drift->seen = seen ? json_hold(c->arena, json_deep_copy(seen)) : NULL;
    drift->reported = reported;
    TRY(add_drift(c, drift, held));
    if (!drift->change_count)
        c->drift_count--;
    return NULL;
}

static struct error *add_unknown(struct comparing *c, const struct driver_instance *seen, bool copied)
{
    bool ours = seen->id != NULL;
    struct drift *drift =
        new_drift(c, ours ? DRIFT_ORPHAN : DRIFT_FOREIGN, ours && !copied ? seen->id : seen->ref, NULL);
    drift->seen = size_json(c, seen->vcpu, (int64_t)seen->memory_mb);
    json_put_text(drift->seen, "name", seen->name);
    json_put_text(drift->seen, "state", resource_power_name(seen->power));
    drift->reported = report_json(c, seen, NULL);
    c->capacity.outside[METRIC_VCPU] += seen->vcpu;
    c->capacity.outside[METRIC_MEMORY_GB] += (int64_t)((seen->memory_mb + 1023) / 1024);
    return add_drift(c, drift, NULL);
}

static struct error *compare_settled(struct comparing *c, const struct resource *held,
                                     const struct driver_instance *seen)
{
    const char *power = resource_power_name(seen->power);
    json_t *reported = report_json(c, seen, NULL);
    if (strcmp(power, held->power)) {
        struct drift *drift = new_drift(c, DRIFT_POWER, held->id, held);
        drift->seen = text_json(c, "power", power);
        drift->reported = reported;
        TRY(add_drift(c, drift, held));
    }
    json_t *size = size_json(c, seen->vcpu, (int64_t)seen->memory_mb);
    if (!json_equal(size, drift_expected(c->arena, DRIFT_SIZE, held))) {
        struct drift *drift = new_drift(c, DRIFT_SIZE, held->id, held);
        drift->seen = size;
        drift->reported = reported;
        TRY(add_drift(c, drift, held));
    }
    json_t *all = json_hold(c->arena, json_deep_copy(size));
    json_put_text(all, "power", power);
    return compare_billed(c, held, all, reported);
}

static struct error *compare_instance(struct comparing *c, const struct driver_instance *seen)
{
    struct resource *resource = find_held(c, seen->id);
    bool copied = resource && c->reported[resource - c->held]; /* a clone carries the stamp of its original */
    if (!resource && is_other_side(c, seen->id, seen->power != DRIVER_POWER_OFF))
        return NULL;
    if (!resource || strcmp(resource->kind, "instance") || copied)
        return add_unknown(c, seen, copied);
    c->reported[resource - c->held] = true;
    if (has_ended(resource))
        return NULL;
    if (seen->address)
        TRY(resource_set_address(c->db, resource, seen->address));
    return is_settled(c, resource) ? compare_settled(c, resource, seen) : NULL;
}

static struct error *compare_volume(struct comparing *c, const struct driver_volume *seen)
{
    struct resource *resource = find_held(c, seen->id);
    if (!seen->id)
        return NULL; /* system disks and what others keep there: counted by the pools */
    if (!resource && is_other_side(c, seen->id, false))
        return NULL;
    json_t *reported = report_json(c, NULL, seen);
    if (!resource || strcmp(resource->kind, "volume")) {
        struct drift *drift = new_drift(c, DRIFT_ORPHAN, seen->id, NULL);
        drift->seen = text_json(c, "name", seen->name);
        drift->reported = reported;
        return add_drift(c, drift, NULL);
    }
    c->reported[resource - c->held] = true;
    if (!is_settled(c, resource))
        return NULL;
    json_t *size = json_hold(c->arena, json_object());
    json_put_int(size, "size_gb", seen->size_gb);
    if (!json_equal(size, drift_expected(c->arena, DRIFT_SIZE, resource))) {
        struct drift *drift = new_drift(c, DRIFT_SIZE, resource->id, resource);
        drift->seen = size;
        drift->reported = reported;
        TRY(add_drift(c, drift, resource));
    }
    return compare_billed(c, resource, size, reported);
}

/* What a driver does not tell of is compared with its bill all the same. */
static struct error *find_missing(struct comparing *c)
{
    for (size_t i = 0; i < c->held_count; i++) {
        const struct resource *resource = &c->held[i];
        bool told = strcmp(resource->kind, "volume") || c->report->volumes;
        if (c->reported[i] || !is_settled(c, resource))
            continue;
        if (!told) {
            TRY(compare_billed(c, resource, NULL, NULL));
            continue;
        }
        struct drift *drift = new_drift(c, DRIFT_MISSING, resource->id, resource);
        drift->reported = report_json(c, NULL, NULL);
        TRY(add_drift(c, drift, resource));
    }
    return NULL;
}

static json_t *still_there(struct comparing *c, const char *id, json_t **ret_reported)
{
    const struct driver_inventory *all = c->report->inventory;
    for (size_t i = 0; i < all->instance_count; i++)
        if (all->instances[i].id && !strcmp(all->instances[i].id, id)) {
            *ret_reported = report_json(c, &all->instances[i], NULL);
            return text_json(c, "name", all->instances[i].name);
        }
    for (size_t i = 0; i < all->volume_count; i++)
        if (all->volumes[i].id && !strcmp(all->volumes[i].id, id)) {
            *ret_reported = report_json(c, NULL, &all->volumes[i]);
            return text_json(c, "name", all->volumes[i].name);
        }
    *ret_reported = report_json(c, NULL, NULL);
    return NULL;
}

static struct error *find_billed_gone(struct comparing *c)
{
    for (size_t i = 0; i < c->billed_count; i++) {
        const struct billed *billed = &c->billed[i];
        if (!billed->gone)
            continue;
        struct drift *drift = new_drift(c, DRIFT_BILLED_GONE, billed->resource, NULL);
        drift->unit = billed->unit;
        drift->resource = billed->resource;
        drift->billed = billed;
        drift->expected = text_json(c, "name", billed->name);
        json_put_text(drift->expected, "state", "ended");
        drift->seen = still_there(c, billed->resource, &drift->reported);
        TRY(add_drift(c, drift, NULL));
    }
    return NULL;
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
    for (size_t i = 0; i < c->other_count; i++) /* their room is promised too */
        demand_add(&ours, c->others[i].kind, c->others[i].spec, 1);
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

/* Everything that the inventory is compared with. What is billed is read before what is held: a change
 * between the two shows as younger than the inventory, and is left alone. */
static struct error *load(struct comparing *c, moment now)
{
    const struct endpoint_row *endpoint = c->report->endpoint;
    const struct driver_inventory *inventory = c->report->inventory;
    TRY(billed_lags(c->db, endpoint->provider, now, &c->lags));
    TRY(billed_prices(c->db, c->arena, endpoint->provider, now, c->fen));
    TRY(provider_agreement(c->db, endpoint->provider, now, &c->agreement));
    TRY(billed_of_endpoint(c->db, c->arena, endpoint->id, &c->billed, &c->billed_count));
    TRY(resource_of_endpoint(c->db, c->arena, endpoint->id, c->report->taken, &c->held, &c->touched,
                             &c->held_count));
    TRY(other_side_list(c->db, c->arena, endpoint->id, &c->others, &c->other_count));
    c->reported = arena_array(c->arena, c->held_count, sizeof *c->reported);
    /* every seen instance may differ three times, every volume twice, every held and billed one once */
    c->drifts = arena_array(c->arena,
                            3 * inventory->instance_count + 2 * inventory->volume_count + c->held_count +
                                c->billed_count + 1,
                            sizeof *c->drifts);
    return NULL;
}

static struct error *compare(struct comparing *c)
{
    const struct driver_inventory *inventory = c->report->inventory;
    for (size_t i = 0; i < inventory->instance_count; i++)
        TRY(compare_instance(c, &inventory->instances[i]));
    for (size_t i = 0; i < inventory->volume_count; i++)
        TRY(compare_volume(c, &inventory->volumes[i]));
    TRY(find_missing(c));
    return find_billed_gone(c);
}

static void leave_alone(struct comparing *c, struct drift_round *round)
{
    round->unjudged = arena_array(c->arena, c->held_count, sizeof *round->unjudged);
    for (size_t i = 0; i < c->held_count; i++)
        if (!has_ended(&c->held[i]) && !is_settled(c, &c->held[i]))
            round->unjudged[round->unjudged_count++] = c->held[i].id;
}

struct error *sync_record(struct db *db, struct arena *arena, const struct sync_report *report, moment now)
{
    struct comparing c = {.arena = arena, .report = report, .db = db};
    struct drift_round round = {.endpoint = report->endpoint, .fen = c.fen};
    struct drift_known *known;
    TRY(drift_lock(db, arena, report->endpoint->id, &known, &round.known_count));
    TRY(load(&c, now));
    TRY(compare(&c));
    measure_storage(&c);
    TRY(record_images(&c));
    TRY(capacity_report(db, report->endpoint->cloud, report->endpoint->id, &c.capacity, now));
    round.known = known;
    round.drifts = c.drifts;
    round.count = c.drift_count;
    round.lags = c.lags;
    leave_alone(&c, &round);
    return drift_replace(db, arena, &round, now);
}
