/* Resources: what was ordered and lives on a cloud. Their states, and the one place that moves a resource
 * from one to the next: every transition is an UPDATE … WHERE state = old, in the transaction that also opens
 * or closes its usage intervals. */
#ifndef BROKER_CONTROL_RESOURCE_H
#define BROKER_CONTROL_RESOURCE_H

#include "broker/base/moment.h"
#include "broker/db/db.h"
#include "catalog/kind.h"
#include "drivers/driver.h"

/* requested → creating → active → deleting → deleted; requested, creating → failed; deleting → active when
 * the deletion failed. */
#define RESOURCE_STATES(X)             \
    X(RESOURCE_REQUESTED, "requested") \
    X(RESOURCE_CREATING, "creating")   \
    X(RESOURCE_ACTIVE, "active")       \
    X(RESOURCE_DELETING, "deleting")   \
    X(RESOURCE_DELETED, "deleted")     \
    X(RESOURCE_FAILED, "failed")

enum resource_state {
#define X(symbol, name) symbol,
    RESOURCE_STATES(X)
#undef X
};
const char *resource_state_name(enum resource_state state);
/* Whether the table of allowed transitions has it. */
bool resource_may_become(enum resource_state from, enum resource_state to);

struct resource {
    const char *unit, *id, *system, *cloud, *provider, *zone, *endpoint, *order, *kind, *name;
    enum resource_state state;
    const char *power;
    json_t *spec; /* whole, held by the arena */
    const char *attached_to, *ref, *address, *operation;
    int64_t version;
    int64_t expansion_days; /* asked by the operation under way; 0: none */
    json_t *expansion_base; /* the spec that is charged during a free expansion; NULL: all is */
    moment expansion_until;
};

/* As `requested`. `attached_to` must be in the same unit. ERR_EXISTS when the system has one of that kind and
 * name. */
struct error *resource_insert(struct db *db, const struct resource *resource, moment now) ERROR_MUST_USE;

/* Locks the row. `unit` NULL: any that the scope sees; `kind` NULL: any. ERR_NOT_FOUND "no such KIND". */
struct error *resource_load(struct db *db, struct arena *arena, const char *unit, const char *id,
                            const char *kind, struct resource *ret_resource) ERROR_MUST_USE;
/* The same without a lock: for what is only named in a call. */
struct error *resource_peek(struct db *db, struct arena *arena, const char *unit, const char *id,
                            struct resource *ret_resource) ERROR_MUST_USE;
/* By id or by name in one system; only live ones. ERR_NOT_FOUND. */
struct error *resource_find(struct db *db, struct arena *arena, const char *unit, const char *system,
                            const char *kind, const char *name_or_id,
                            struct resource *ret_resource) ERROR_MUST_USE;
/* All of an order, instances first, then in the order of their ids. */
struct error *resource_of_order(struct db *db, struct arena *arena, const char *unit, const char *order,
                                struct resource **ret_resources, size_t *ret_count) ERROR_MUST_USE;
/* Live ones attached to an instance. */
struct error *resource_attached(struct db *db, struct arena *arena, const char *unit, const char *instance,
                                struct resource **ret_resources, size_t *ret_count) ERROR_MUST_USE;
/* Live ones of an endpoint, and those that ended at `since` or later, by id. */
struct error *resource_of_endpoint(struct db *db, struct arena *arena, const char *endpoint, moment since,
                                   struct resource **ret_resources, moment **ret_touched,
                                   size_t *ret_count) ERROR_MUST_USE;

/* Takes the resource for an operation: ERR_CONFLICT when it is not active or another operation holds it. */
struct error *resource_claim(struct db *db, const struct resource *resource, const char *operation,
                             moment now) ERROR_MUST_USE;
/* Lets go of it. No effect when `operation` does not hold it. */
struct error *resource_release(struct db *db, const struct resource *resource, const char *operation,
                               const char *failure, moment now) ERROR_MUST_USE;

/* Moves it; ERR_CONFLICT when it is not in `from`. `failure` NULL clears the error. */
struct error *resource_become(struct db *db, const struct resource *resource, enum resource_state from,
                              enum resource_state to, const char *failure, moment now) ERROR_MUST_USE;
/* What the provider told at creation. */
struct error *resource_made(struct db *db, const struct resource *resource, const char *ref,
                            const char *address, moment now) ERROR_MUST_USE;
struct error *resource_set_power(struct db *db, const struct resource *resource, const char *power,
                                 moment now) ERROR_MUST_USE;
struct error *resource_set_spec(struct db *db, const struct resource *resource, const json_t *spec,
                                moment now) ERROR_MUST_USE;
struct error *resource_set_attached(struct db *db, const struct resource *resource, const char *instance,
                                    moment now) ERROR_MUST_USE;
struct error *resource_set_address(struct db *db, const struct resource *resource,
                                   const char *address) ERROR_MUST_USE;

/* Where a resource lives. `ref` NULL: not known there. */
struct resource_place {
    const char *cloud, *provider, *zone, *endpoint, *ref;
};
/* It lives there from now on, its usage too, under that provider's prices; an address that was seen is
 * forgotten until the next inventory. *resource is as the row afterwards. The caller holds the row and has
 * seen to quota and room. */
struct error *resource_relocate(struct db *db, struct arena *arena, struct resource *resource,
                                const struct resource_place *place, moment now) ERROR_MUST_USE;

/* From `now` on it uses what its kind, spec, power and provider's agreement say (metering/usage.h); ended
 * ones use nothing, nor do those that an operator is asked to release when the agreement says so. When this
 * broker's clock is behind the resource's latest change, which another broker's or an earlier clock told, the
 * change counts from there on. The caller holds the row. */
struct error *resource_meter(struct db *db, const struct resource *resource, moment now) ERROR_MUST_USE;

/* What an active one uses, by its spec, power and what of it is a free expansion; quantity 0 counts as
 * absent. `ret_list` has room for EXPANSION_ITEMS_MAX (expansion.h). Pure. */
struct error *resource_quantities(const struct resource *resource, const struct agreement *agreement,
                                  struct item_quantity *ret_list, size_t *ret_count) ERROR_MUST_USE;

const char *resource_power_name(enum driver_power power);

/* Internet addresses out of a zone's pool; NULL when the family has no pool: ERR_NO_CAPACITY. Network and
 * broadcast addresses and the first host (the gateway) stay free. */
struct error *address_take(struct db *db, struct arena *arena, const struct resource *resource, int family,
                           const char **ret_address) ERROR_MUST_USE;
struct error *address_give_back(struct db *db, const struct resource *resource) ERROR_MUST_USE;

extern const struct db_statement resource_select_one, resource_select_list;

#endif
