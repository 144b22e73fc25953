/* The states of a resource and what it uses; see resource.h. */
#include "broker/control/resource.h"

#include <string.h>

#include "broker/base/log.h"
#include "broker/control/cloud.h"
#include "broker/control/expansion.h"
#include "catalog/kind.h"
#include "catalog/provider.h"
#include "metering/usage.h"

const char *resource_state_name(enum resource_state state)
{
    static const char *const names[] = {
#define X(symbol, name) [symbol] = name,
        RESOURCE_STATES(X)
#undef X
    };
    return names[state];
}

bool resource_may_become(enum resource_state from, enum resource_state to)
{
    static const unsigned allowed[] = {
        [RESOURCE_REQUESTED] = 1u << RESOURCE_CREATING | 1u << RESOURCE_FAILED,
        [RESOURCE_CREATING] = 1u << RESOURCE_ACTIVE | 1u << RESOURCE_FAILED,
        [RESOURCE_ACTIVE] = 1u << RESOURCE_DELETING,
        [RESOURCE_DELETING] = 1u << RESOURCE_DELETED | 1u << RESOURCE_ACTIVE,
        [RESOURCE_DELETED] = 0,
        [RESOURCE_FAILED] = 0,
    };
    return allowed[from] >> to & 1;
}

const char *resource_power_name(enum driver_power power)
{
    switch (power) {
    case DRIVER_POWER_ON:
        return "on";
    case DRIVER_POWER_OFF:
        return "off";
    case DRIVER_POWER_SUSPENDED:
        return "suspended";
    case DRIVER_POWER_ERROR:
        return "error";
    case DRIVER_POWER_UNKNOWN:
        break;
    }
    return "unknown";
}

/* A second is more than clocks that are kept differ by. */
static void mind_skew(const struct resource *resource, moment now, moment at)
{
    if (at - now > MOMENT_SECOND)
        log_warning("usage.skew", LOG_TEXT("resource", resource->id), LOG_INT("behind_us", at - now));
}

struct error *resource_quantities(const struct resource *resource, const struct agreement *agreement,
                                  struct item_quantity *ret_list, size_t *ret_count)
{
    TRY(kind_usage(kind_find(resource->kind), resource->spec, agreement, !strcmp(resource->power, "off"),
                   ret_list, ret_count));
    return resource->expansion_base ? expansion_split(resource, agreement, ret_list, ret_count) : NULL;
}

/* As it is from `now` on; `resource` says whether a part of it is free. */
static struct error *meter(struct db *db, const struct resource *resource, moment now)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct usage_subject subject = {.unit = resource->unit,
                                    .system = resource->system,
                                    .cloud = resource->cloud,
                                    .provider = resource->provider,
                                    .resource = resource->id,
                                    .kind = resource->kind,
                                    .zone = resource->zone,
                                    .architecture =
                                        json_string_value(json_object_get(resource->spec, "architecture"))};
    struct item_quantity items[EXPANSION_ITEMS_MAX];
    size_t count;
    struct agreement agreement;
    moment at;
    TRY(usage_moment(db, resource->unit, resource->id, now, &at));
    mind_skew(resource, now, at);
    if (resource->state != RESOURCE_ACTIVE && resource->state != RESOURCE_DELETING)
        return usage_end(db, resource->unit, resource->id, at);
    TRY(cloud_kind(db, arena, resource->cloud, &subject.industry));
    TRY(provider_agreement(db, resource->provider, at, &agreement));
    const struct kind *kind = kind_find(resource->kind);
    if (resource->state == RESOURCE_DELETING && kind_external(kind) && agreement.release == RELEASE_REQUESTED)
        return usage_end(db, resource->unit, resource->id, at);
    TRY(resource_quantities(resource, &agreement, items, &count));
    return usage_set(db, &subject, items, count, at);
}

struct error *resource_meter(struct db *db, const struct resource *resource, moment now)
{
    struct resource charged = *resource;
    if (!resource->expansion_base || resource->expansion_until > now)
        return meter(db, resource, now);
    charged.expansion_base = NULL; /* its days are over, though nobody has settled it yet */
    TRY(meter(db, &charged, resource->expansion_until));
    return meter(db, &charged, now);
}
