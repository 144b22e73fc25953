/* What a move has twice: while the ledger holds a second object of the instance (the shell until the
 * cut-over, the fenced source after it), what that occupies is metered under the migration's own id where it
 * is; and so is, beside it, what a test boot occupies, free whatever the agreement says of the overlap
 * (procurement 4.1.3.1). See migration_work.h. */
#include <string.h>

#include "broker/base/json.h"
#include "broker/control/cloud.h"
#include "broker/control/expansion.h"
#include "catalog/provider.h"
#include "federation/migration_work.h"
#include "metering/usage.h"

struct sum {
    const struct agreement *agreement;
    struct item_quantity items[2 * ITEM_COUNT]; /* each once a tariff */
    size_t count;
};

static struct error *add_item(struct sum *sum, const struct item_quantity *item, enum tariff tariff)
{
    size_t i = 0;
    while (i < sum->count && (strcmp(sum->items[i].item, item->item) || sum->items[i].tariff != tariff))
        i++;
    if (i == sizeof sum->items / sizeof *sum->items)
        return error_new(ERR_INTERNAL, "a move of more items than there are");
    if (i == sum->count) {
        sum->items[sum->count] = *item;
        sum->items[sum->count].tariff = tariff;
        sum->items[sum->count++].micro = 0;
    }
    if (__builtin_add_overflow(sum->items[i].micro, item->micro, &sum->items[i].micro))
        return error_new(ERR_INTERNAL, "a move's use of item %s is beyond 64 bits", item->item);
    return NULL;
}

/* As it was when the move began. What the original has of a free expansion is no expansion here. */
static struct error *add_resource(struct sum *sum, const char *kind, json_t *spec, const char *power,
                                  enum tariff tariff)
{
    const struct resource second = {.kind = kind, .spec = spec, .power = power};
    struct item_quantity items[EXPANSION_ITEMS_MAX];
    size_t count;
    TRY(resource_quantities(&second, sum->agreement, items, &count));
    for (size_t i = 0; i < count; i++)
        TRY(add_item(sum, &items[i], tariff));
    return NULL;
}

static struct error *add_object(const struct migration_row *row, struct sum *sum, const char *power,
                                enum tariff tariff)
{
    size_t i;
    json_t *volume;
    TRY(add_resource(sum, "instance", json_object_get(row->moved, "spec"), power, tariff));
    json_array_foreach (json_object_get(row->moved, "volumes"), i, volume)
        TRY(add_resource(sum, "volume", json_object_get(volume, "spec"), power, tariff));
    return NULL;
}

/* The second object is fenced, and so off; a test runs. */
static struct error *occupied(const struct migration_row *row, bool tested, struct sum *sum)
{
    bool charged = sum->agreement->migration_overlap == OVERLAP_CHARGED;
    TRY(add_object(row, sum, "off", charged ? TARIFF_STANDARD : TARIFF_MIGRATION));
    return tested ? add_object(row, sum, "on", TARIFF_MIGRATION) : NULL;
}

/* NULL: there is one object alone. */
static struct error *second_end(struct db *db, struct migration_work *work,
                                const struct migration_end **ret_end, bool *ret_tested)
{
    const char **list;
    size_t source, target, tests;
    TRY(migration_open_entries(db, work->arena, &work->row, "target", "test", &list, &tests));
    *ret_tested = tests > 0; /* beside the shell, on the same side */
    TRY(migration_open_entries(db, work->arena, &work->row, "source", "instance", &list, &source));
    TRY(migration_open_entries(db, work->arena, &work->row, "target", "instance", &list, &target));
    *ret_end = source ? &work->row.source : target ? &work->row.target : NULL;
    return NULL;
}

struct error *migration_meter(struct db *db, struct migration_work *work, moment now)
{
    const struct migration_row *row = &work->row;
    const struct migration_end *end;
    struct agreement agreement;
    struct sum sum = {.agreement = &agreement};
    moment at;
    bool tested;
    TRY(second_end(db, work, &end, &tested));
    TRY(usage_moment(db, row->unit, row->id, now, &at));
    if (!end)
        return usage_end(db, row->unit, row->id, at);
    struct usage_subject subject = {.unit = row->unit,
                                    .system = row->system,
                                    .cloud = end->cloud,
                                    .provider = end->provider,
                                    .resource = row->id,
                                    .kind = "migration",
                                    .zone = end->zone,
                                    .architecture = json_string_value(json_object_get(
                                        json_object_get(row->moved, "spec"), "architecture"))};
    TRY(cloud_kind(db, work->arena, end->cloud, &subject.industry));
    TRY(provider_agreement(db, end->provider, at, &agreement));
    TRY(occupied(row, tested, &sum));
    return usage_set(db, &subject, sum.items, sum.count, at);
}
