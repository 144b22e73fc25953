/* Placing an order: checks, then quota, room, rows, operation and job, all in the caller's transaction; see
 * order.h. */
#include "broker/control/order.h"

#include <string.h>

#include "broker/base/id.h"
#include "broker/control/expansion.h"
#include "broker/control/operation.h"
#include "broker/control/placement.h"
#include "broker/control/quota.h"
#include "broker/control/resource.h"
#include "catalog/kind.h"
#include "catalog/price.h"
#include "catalog/provider.h"

static const struct json_member item_members[] = {
    {JSON_MEMBER(struct order_item, kind), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct order_item, name), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct order_item, cloud), .want = JSON_WANT_NAME},
    {JSON_MEMBER(struct order_item, spec), .want = JSON_WANT_ANY, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct order_item, expansion_days), .want = JSON_WANT_INT, .min = 1,
     .max = EXPANSION_DAYS_MOST},
};
static const struct json_spec item_spec = JSON_SPEC(struct order_item, item_members);

static const struct json_member order_members[] = {
    {JSON_MEMBER(struct order_new, unit), .want = JSON_WANT_NAME},
    {JSON_MEMBER(struct order_new, system), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct order_new, cloud), .want = JSON_WANT_NAME},
    {JSON_MEMBER(struct order_new, note), .want = JSON_WANT_TEXT, .max = 500},
    {JSON_MEMBER(struct order_new, resources), .want = JSON_WANT_LIST, .flags = JSON_REQUIRED, .min = 1,
     .max = ORDER_RESOURCES_MAX, .spec = &item_spec},
};
const struct json_spec order_spec = JSON_SPEC(struct order_new, order_members);

/* An order while it is placed. */
struct placing {
    struct db *db;
    struct arena *arena;
    const struct order_new *order;
    struct resource *resources;
    size_t count;
    struct error *errors;
    moment now;
};

static const char *spec_text(const json_t *spec, const char *member)
{
    return json_string_value(json_object_get(spec, member));
}

/* The kind, the whole spec and the cloud of one resource; false when any is wrong. */
static bool read_item(struct placing *placing, size_t index, const char *pointer)
{
    const struct order_item *item = (const struct order_item *)placing->order->resources.items + index;
    struct resource *resource = &placing->resources[index];
    const struct kind *kind = kind_find(item->kind);
    const char *cloud = item->cloud ? item->cloud : placing->order->cloud;
    *resource = (struct resource){.unit = placing->order->unit,
                                  .system = placing->order->system,
                                  .cloud = cloud,
                                  .kind = item->kind,
                                  .name = item->name,
                                  .expansion_days = item->expansion_days,
                                  .power = "none"};
    if (!kind) {
        error_collect(&placing->errors, arena_printf(placing->arena, "%s/kind", pointer),
                      "no kind is named \"%s\"", item->kind);
        return false;
    }
    if (!cloud)
        error_collect(&placing->errors, arena_printf(placing->arena, "%s/cloud", pointer),
                      "is required when the order names no cloud");
    struct error *error = error_under(kind_read(kind, placing->arena, item->spec, &resource->spec),
                                      arena_printf(placing->arena, "%s/spec", pointer));
    if (error) {
        size_t details;
        const struct error_detail *detail = error_details(error, &details);
        for (size_t i = 0; i < details; i++)
            error_collect(&placing->errors, detail[i].pointer, "%s", detail[i].message);
        error_free(error);
        return false;
    }
    resource->zone = spec_text(resource->spec, "zone");
    return cloud != NULL;
}

static void check_name(struct placing *placing, size_t index, const char *pointer)
{
    for (size_t i = 0; i < index; i++)
        if (!strcmp(placing->resources[i].kind, placing->resources[index].kind) &&
            !strcmp(placing->resources[i].name, placing->resources[index].name))
            error_collect(&placing->errors, arena_printf(placing->arena, "%s/name", pointer),
                          "is the name of /resources/%zu as well", i);
}

/* "instance", or "instance or server": what the kind may be attached to, for people. */
static const char *owners_text(struct arena *arena, const struct kind *kind)
{
    const char *text = kind_owner(kind, 0);
    for (size_t i = 1; kind_owner(kind, i); i++)
        text = arena_printf(arena, "%s or %s", text, kind_owner(kind, i));
    return text;
}

/* One of this order by name, then a live one of the same system; `owner->id` NULL when there is none. */
static struct error *find_owner_of_kind(struct placing *placing, const struct resource *resource,
                                        const char *kind, const char *wanted, struct resource *ret_owner)
{
    ret_owner->id = NULL;
    for (size_t i = 0; i < placing->count; i++) {
        const struct resource *other = &placing->resources[i];
        if (other->spec && !strcmp(other->kind, kind) && !strcmp(other->name, wanted)) {
            *ret_owner = *other;
            return NULL;
        }
    }
    struct error *error =
        resource_find(placing->db, placing->arena, resource->unit, resource->system, kind, wanted, ret_owner);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_free(error);
        return NULL;
    }
    return error;
}

/* What a volume, address, GPU or backup is ordered for. It brings cloud, zone and endpoint with it. */
static struct error *find_owner(struct placing *placing, struct resource *resource, const char *pointer,
                                const char *wanted, struct resource *ret_owner)
{
    const struct kind *kind = kind_find(resource->kind);
    for (size_t i = 0; !ret_owner->id && kind_owner(kind, i); i++)
        TRY(find_owner_of_kind(placing, resource, kind_owner(kind, i), wanted, ret_owner));
    if (!ret_owner->id) {
        error_collect(&placing->errors, pointer, "names no %s of this order or of system \"%s\"",
                      owners_text(placing->arena, kind), resource->system);
    } else if (ret_owner->order && ret_owner->state != RESOURCE_ACTIVE) { /* not one of this order */
        error_collect(&placing->errors, pointer, "names a%s %s that is %s",
                      strchr("aeiou", *ret_owner->kind) ? "n" : "", ret_owner->kind,
                      resource_state_name(ret_owner->state));
        ret_owner->id = NULL;
    }
    return NULL;
}

static struct error *join_owner(struct placing *placing, size_t index, const char *pointer)
{
    struct resource *resource = &placing->resources[index], owner = {0};
    const char *wanted = spec_text(resource->spec, "attach_to");
    if (!wanted)
        return NULL;
    const char *at = arena_printf(placing->arena, "%s/spec/attach_to", pointer);
    TRY(find_owner(placing, resource, at, wanted, &owner));
    if (!owner.id)
        return NULL;
    const char *article = strchr("aeiou", *owner.kind) ? "n" : "";
    if (strcmp(owner.cloud, resource->cloud))
        error_collect(&placing->errors, at, "names a%s %s on cloud \"%s\"", article, owner.kind, owner.cloud);
    if (resource->zone && owner.zone && strcmp(owner.zone, resource->zone))
        error_collect(&placing->errors, at, "names a%s %s in zone \"%s\"", article, owner.kind, owner.zone);
    resource->attached_to = owner.id;
    if (!resource->zone)
        resource->zone = owner.zone;
    return NULL;
}

/* A book prices all 23 items, so any of them tells whether one is in force. */
static struct error *check_priced(struct placing *placing, const char *provider, const char *pointer)
{
    int64_t fen;
    struct error *error = price_at(placing->db, provider, "1001", placing->now, &fen);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_collect(&placing->errors, pointer, "provider \"%s\" has no price book in force", provider);
        error_free(error);
        return NULL;
    }
    return error;
}

static struct error *check_place(struct placing *placing, size_t index, const char *pointer)
{
    struct resource *resource = &placing->resources[index];
    TRY(join_owner(placing, index, pointer));
    if (!resource->zone && placement_needs_endpoint(resource->kind)) {
        error_collect(&placing->errors, arena_printf(placing->arena, "%s/spec/zone", pointer),
                      "is required without attach_to");
        return NULL;
    }
    const struct placement_wish wish = {
        .kind = resource->kind,
        .cloud = resource->cloud,
        .zone = resource->zone,
        .image = spec_text(resource->spec, "image"),
        .architecture = spec_text(resource->spec, "architecture"),
        .system_disk_gb = json_integer_value(json_object_get(resource->spec, "system_disk_gb")),
        .imported = placing->order->operation != NULL};
    struct placement_facts facts;
    bool found;
    TRY(placement_load(placing->db, placing->arena, resource->unit, resource->system, &wish, &found, &facts));
    if (!found) {
        error_collect(&placing->errors, arena_printf(placing->arena, "%s/cloud", pointer),
                      "no cloud is named \"%s\"", resource->cloud);
        return NULL;
    }
    placement_check(&wish, &facts, pointer, &placing->errors);
    resource->provider = facts.provider;
    if (placement_needs_endpoint(resource->kind))
        resource->endpoint = facts.endpoint;
    return check_priced(placing, facts.provider, pointer);
}

static struct error *check_all(struct placing *placing)
{
    for (size_t i = 0; i < placing->count; i++) {
        const char *pointer = arena_printf(placing->arena, "/resources/%zu", i);
        placing->resources[i].id = id_new_in(placing->arena);
        const char *id = placing->resources[i].id;
        bool good = read_item(placing, i, pointer);
        placing->resources[i].id = id;
        if (!good)
            placing->resources[i].spec = NULL;
        check_name(placing, i, pointer);
    }
    for (size_t i = 0; i < placing->count; i++)
        if (placing->resources[i].spec)
            TRY(check_place(placing, i, arena_printf(placing->arena, "/resources/%zu", i)));
    struct error *errors = placing->errors;
    placing->errors = NULL;
    return errors;
}

/* The resources of one cloud from `first` on that are free expansions, together. */
static struct error *check_expansion(struct placing *placing, size_t first, bool *done)
{
    const struct resource *one = &placing->resources[first];
    struct expansion_wish wish = {
        .unit = one->unit, .system = one->system, .cloud = one->cloud, .provider = one->provider};
    struct agreement agreement;
    TRY(provider_agreement(placing->db, one->provider, placing->now, &agreement));
    for (size_t i = first; i < placing->count; i++) {
        const struct resource *resource = &placing->resources[i];
        if (done[i] || !resource->expansion_days || strcmp(resource->cloud, one->cloud))
            continue;
        done[i] = true;
        if (resource->expansion_days > wish.days)
            wish.days = resource->expansion_days;
        TRY(error_under(expansion_add(&wish, kind_find(resource->kind), resource->spec, NULL, &agreement),
                        arena_printf(placing->arena, "/resources/%zu", i)));
    }
    return error_under(expansion_check(placing->db, &wish, &agreement, placing->now),
                       arena_printf(placing->arena, "/resources/%zu", first));
}

static struct error *check_expansions(struct placing *placing)
{
    bool *done = arena_array(placing->arena, placing->count, sizeof *done);
    for (size_t i = 0; i < placing->count; i++)
        if (placing->resources[i].expansion_days && !done[i])
            TRY(check_expansion(placing, i, done));
    return NULL;
}

/* Quota and room, cloud by cloud and endpoint by endpoint, each counter once. */
static struct error *take_room(struct placing *placing)
{
    bool *done = arena_array(placing->arena, placing->count, sizeof *done);
    for (size_t i = 0; i < placing->count; i++) {
        const struct resource *first = &placing->resources[i];
        struct demand by_cloud = {0};
        if (done[i])
            continue;
        for (size_t k = i; k < placing->count; k++) {
            const struct resource *other = &placing->resources[k];
            if (!strcmp(other->cloud, first->cloud)) {
                demand_add(&by_cloud, other->kind, other->spec, 1);
                done[k] = true;
            }
        }
        TRY(quota_take(placing->db, first->unit, first->cloud, &by_cloud));
    }
    memset(done, 0, placing->count * sizeof *done);
    for (size_t i = 0; i < placing->count; i++) {
        const struct resource *first = &placing->resources[i];
        const char *endpoint = first->endpoint ? first->endpoint : "";
        struct demand by_endpoint = {0};
        if (done[i])
            continue;
        for (size_t k = i; k < placing->count; k++) {
            const struct resource *other = &placing->resources[k];
            if (!strcmp(other->cloud, first->cloud) &&
                !strcmp(other->endpoint ? other->endpoint : "", endpoint)) {
                demand_add(&by_endpoint, other->kind, other->spec, 1);
                done[k] = true;
            }
        }
        TRY(capacity_take(placing->db, first->cloud, endpoint, &by_endpoint));
    }
    return NULL;
}

static const struct db_statement insert_order = {
    "order_insert",
    "INSERT INTO orders (unit_id, id, system_id, principal, state, operation_id, note, created_at)"
    " VALUES ($1, $2, $3, $4, 'accepted', $5, $6, $7)"};

static const struct db_statement set_order = {
    "order_set_operation", "UPDATE operation SET order_id = $3 WHERE unit_id = $1 AND id = $2"};

/* The job that makes it: one that has begun, or a new one. */
static struct error *give_to_job(struct placing *placing, const struct order_made *made,
                                 const char *principal, const json_t *request)
{
    const struct order_new *order = placing->order;
    if (order->operation)
        return db_run(placing->db, &set_order,
                      DB_VALUES(db_text(order->unit), db_text(made->operation), db_text(made->order)), NULL);
    return operation_start(
        placing->db,
        &(struct operation_new){.id = made->operation,
                                .kind = "order",
                                .unit = order->unit,
                                .system = order->system,
                                .cloud = made->cloud,
                                .provider = made->cloud ? placing->resources[0].provider : NULL,
                                .order = made->order,
                                .principal = principal,
                                .args = request},
        order_job.name, placing->now);
}

static struct error *write_rows(struct placing *placing, const struct order_made *made)
{
    for (size_t i = 0; i < placing->count; i++) {
        struct resource *resource = &placing->resources[i];
        resource->order = made->order;
        resource->operation = made->operation;
        if (!strcmp(resource->kind, "address")) {
            int family = (int)json_integer_value(json_object_get(resource->spec, "family"));
            TRY(error_under(address_take(placing->db, placing->arena, resource, family, &resource->address),
                            ""));
        }
        TRY(resource_insert(placing->db, resource, placing->now));
    }
    return NULL;
}

struct error *order_place(struct db *db, struct arena *arena, const char *principal,
                          const struct order_new *order, const json_t *request, moment now,
                          struct order_made *ret_made)
{
    struct placing placing = {.db = db,
                              .arena = arena,
                              .order = order,
                              .count = order->resources.count,
                              .resources =
                                  arena_array(arena, order->resources.count, sizeof(struct resource)),
                              .now = now};
    struct order_made made = {.order = id_new_in(arena),
                              .operation = order->operation ? order->operation : id_new_in(arena)};
    struct error *error = check_all(&placing);
    if (error) {
        error_free(placing.errors);
        return error;
    }
    TRY(check_expansions(&placing));
    TRY(take_room(&placing));
    TRY(write_rows(&placing, &made));
    /* Nothing below can fail but for the database itself: one round trip. */
    TRY(db_pipeline_begin(db));
    TRY(db_run(db, &insert_order,
               DB_VALUES(db_text(order->unit), db_text(made.order), db_text(order->system),
                         db_text(principal), db_text(made.operation), db_text(order->note), db_moment(now)),
               NULL));
    made.cloud = placing.resources[0].cloud;
    for (size_t i = 1; made.cloud && i < placing.count; i++)
        if (strcmp(placing.resources[i].cloud, made.cloud))
            made.cloud = NULL;
    TRY(give_to_job(&placing, &made, principal, request));
    TRY(db_pipeline_end(db));
    *ret_made = made;
    return NULL;
}
