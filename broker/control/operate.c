/* Beginning an operation on a resource; see operate.h. */
#include "broker/control/operate.h"

#include <string.h>

#include "broker/base/id.h"
#include "broker/control/expansion.h"
#include "broker/control/fulfilment.h"
#include "broker/control/operation.h"
#include "broker/control/quota.h"
#include "catalog/kind.h"
#include "catalog/provider.h"

const char *verb_name(enum verb verb)
{
    static const char *const names[] = {
#define X(symbol, name) [symbol] = name,
        OPERATE_VERBS(X)
#undef X
    };
    return names[verb];
}

struct error *verb_parse(const char *name, enum verb *ret_verb)
{
    for (int i = 0; i < VERB_COUNT; i++) {
        if (!strcmp(name, verb_name(i))) {
            *ret_verb = i;
            return NULL;
        }
    }
    return error_new(ERR_INVALID, "\"%s\" is not something that can be done to a resource", name);
}

/* What growing takes is taken now, so that a later failure cannot be for lack of room; what shrinking gives
 * back is given back when it is done (operate_job.c). */
static struct error *take_growth(struct db *db, const struct resource *resource, const json_t *spec)
{
    struct demand growth = {0};
    demand_add(&growth, resource->kind, spec, 1);
    demand_add(&growth, resource->kind, resource->spec, -1);
    for (int i = 0; i < METRIC_COUNT; i++)
        if (growth.amount[i] < 0)
            growth.amount[i] = 0;
    TRY(quota_take(db, resource->unit, resource->cloud, &growth));
    return capacity_take(db, resource->cloud, resource->endpoint, &growth);
}

/* What cannot go on alone keeps what it hangs on (gpu: only together with a cloud host or physical server,
 * 3.1.3). The row of the owner is locked, and so it is while something is ordered for it. */
static struct error *check_attached(struct db *db, struct arena *arena, const struct resource *resource)
{
    struct resource *attached;
    size_t count;
    TRY(resource_attached(db, arena, resource->unit, resource->id, &attached, &count));
    for (size_t i = 0; i < count; i++)
        if (kind_needs_owner(kind_find(attached[i].kind)))
            return error_new(ERR_CONFLICT,
                             "%s \"%s\" is attached to %s \"%s\" and cannot be without it: release it first",
                             attached[i].kind, attached[i].name, resource->kind, resource->name);
    return NULL;
}

/* Under an agreement that ends the usage of what operators release with the request; else nothing changes. */
static struct error *begin_delete(struct db *db, const struct resource *resource, moment now)
{
    struct resource going = *resource;
    going.state = RESOURCE_DELETING;
    TRY(resource_become(db, resource, RESOURCE_ACTIVE, RESOURCE_DELETING, NULL, now));
    return fulfilment_needed(resource) ? resource_meter(db, &going, now) : NULL;
}

/* A free expansion is checked before anything is taken, and marked until it is there. */
static struct error *ask_expansion(struct db *db, const struct resource *resource, const json_t *args,
                                   moment now)
{
    struct expansion_wish wish = {.unit = resource->unit,
                                  .system = resource->system,
                                  .cloud = resource->cloud,
                                  .provider = resource->provider,
                                  .days = json_integer_value(json_object_get(args, "expansion_days"))};
    struct agreement agreement;
    if (!wish.days)
        return NULL;
    if (resource->expansion_base)
        return error_new(ERR_CONFLICT, "an expansion of %s \"%s\" runs already", resource->kind,
                         resource->name);
    TRY(provider_agreement(db, resource->provider, now, &agreement));
    TRY(expansion_add(&wish, kind_find(resource->kind), json_object_get(args, "spec"), resource->spec,
                      &agreement));
    TRY(expansion_check(db, &wish, &agreement, now));
    return expansion_ask(db, resource, wish.days);
}

struct error *operate_begin(struct db *db, struct arena *arena, const struct resource *resource,
                            enum verb verb, const json_t *args, const char *principal, moment now,
                            const char **ret_operation)
{
    const char *id = id_new_in(arena);
    if (verb == VERB_CONSOLE && resource->state != RESOURCE_ACTIVE)
        return error_new(ERR_CONFLICT, "%s \"%s\" is %s, not active", resource->kind, resource->name,
                         resource_state_name(resource->state));
    if (verb == VERB_DELETE)
        TRY(check_attached(db, arena, resource));
    if (verb != VERB_CONSOLE) /* looking does not keep others from working */
        TRY(resource_claim(db, resource, id, now));
    if (verb == VERB_RESIZE)
        TRY(ask_expansion(db, resource, args, now));
    if (verb == VERB_RESIZE)
        TRY(take_growth(db, resource, json_object_get(args, "spec")));
    if (verb == VERB_DELETE)
        TRY(begin_delete(db, resource, now));
    TRY(operation_start(db,
                        &(struct operation_new){.id = id,
                                                .kind = verb_name(verb),
                                                .unit = resource->unit,
                                                .system = resource->system,
                                                .cloud = resource->cloud,
                                                .provider = resource->provider,
                                                .resource = resource->id,
                                                .principal = principal,
                                                .args = args},
                        operate_job.name, now));
    *ret_operation = id;
    return NULL;
}
