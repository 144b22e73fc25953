/* The rules of free short-term expansion; see expansion.h. */
#include "broker/control/expansion.h"

#include <string.h>

#include "broker/base/money.h"

static struct item_quantity *find(struct item_quantity *list, size_t count, const char *item)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(list[i].item, item))
            return &list[i];
    return NULL;
}

static int64_t micro_of(struct item_quantity *list, size_t count, const char *item)
{
    const struct item_quantity *found = find(list, count, item);
    return found ? found->micro : 0;
}

struct error *expansion_add(struct expansion_wish *wish, const struct kind *kind, const json_t *full,
                            const json_t *base, const struct agreement *agreement)
{
    struct item_quantity now[KIND_ITEMS_MAX], before[KIND_ITEMS_MAX];
    size_t count, before_count = 0;
    bool grows = false;
    TRY(kind_usage(kind, full, agreement, false, now, &count));
    if (base)
        TRY(kind_usage(kind, base, agreement, false, before, &before_count));
    for (size_t i = 0; i < count; i++) {
        int64_t more = now[i].micro - micro_of(before, before_count, now[i].item);
        struct item_quantity *sum = find(wish->added, wish->count, now[i].item);
        if (more <= 0)
            continue;
        grows = true;
        if (!sum) {
            sum = &wish->added[wish->count++]; /* each of the items once */
            *sum = now[i];
            sum->micro = 0;
        }
        sum->micro += more;
    }
    return grows ? NULL : error_member("/expansion_days", "is for what grows, and nothing does");
}

struct error *expansion_split(const struct resource *resource, const struct agreement *agreement,
                              struct item_quantity *list, size_t *count)
{
    struct item_quantity base[KIND_ITEMS_MAX];
    size_t base_count = 0, whole = *count;
    if (json_object_size(resource->expansion_base))
        TRY(kind_usage(kind_find(resource->kind), resource->expansion_base, agreement,
                       !strcmp(resource->power, "off"), base, &base_count));
    for (size_t i = 0; i < whole; i++) {
        int64_t charged = micro_of(base, base_count, list[i].item);
        if (list[i].micro <= charged)
            continue;
        list[*count] = list[i];
        list[*count].micro -= charged;
        list[(*count)++].tariff = TARIFF_EXPANSION;
        list[i].micro = charged; /* 0 counts as absent */
    }
    return NULL;
}
