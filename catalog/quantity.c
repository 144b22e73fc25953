/* The quantity rules: from a full spec to quantities of priced items. Each rule is one small function with
 * the clause that it comes from; kind.h has the contract. */
#include <string.h>

#include "broker/base/money.h"
#include "catalog/kind_table.h"

/* `amount` of the item's unit: micro-units of its billing quantity, added to what the list has of the item.
 */
static void add(struct quantities *quantities, const char *code, int64_t amount)
{
    const struct item *item = item_find(code);
    struct item_quantity *found = NULL;
    if (quantities->failed || amount == 0)
        return;
    if (!item || amount < 0 || amount > QUANTITY_MAX / QUANTITY_ONE) {
        quantities->failed = error_new(ERR_INTERNAL, "a quantity of item %s out of range", code);
        return;
    }
    int64_t micro = amount * (QUANTITY_ONE / item->billing_quantity); /* divides: item.c checks it */
    if (quantities->agreement->small_quantity == SMALL_WHOLE)
        micro = (micro + QUANTITY_ONE - 1) / QUANTITY_ONE * QUANTITY_ONE;
    for (size_t i = 0; i < quantities->count; i++)
        if (!strcmp(quantities->list[i].item, code))
            found = &quantities->list[i];
    if (!found) {
        if (quantities->count == KIND_ITEMS_MAX) {
            quantities->failed = error_new(ERR_INTERNAL, "a kind with more than %d items", KIND_ITEMS_MAX);
            return;
        }
        found = &quantities->list[quantities->count++];
        *found = (struct item_quantity){.micro = 0};
        memcpy(found->item, item->code, ITEM_CODE);
    }
    found->micro += micro;
}

static int64_t number(struct quantities *quantities, const char *name)
{
    const json_t *value = json_object_get(quantities->full, name);
    if (!json_is_integer(value)) {
        if (!quantities->failed)
            quantities->failed = error_new(ERR_INTERNAL, "a full spec without %s", name);
        return 0;
    }
    return json_integer_value(value);
}

/* 3.1.3: item 1001 is priced per CPU of a cloud host: one vCPU is one unit. */
static void vcpu(struct quantities *quantities)
{
    add(quantities, "1001", number(quantities, "vcpu"));
}

/* 3.1.3: item 1002 is priced per GB; memory is sold without over-commitment (3.2.1.1, 4.1.2.2). */
static void memory(struct quantities *quantities)
{
    add(quantities, "1002", number(quantities, "memory_gb"));
}

/* 3.1.3: 1011 (standard) and 1012 (high-performance) are priced per 100 GB; 3.2.1.4 and 3.2.1.5: requested by
 * 1 GB, so 1 GB is 1/100 of a unit unless the agreement settles otherwise. IOPS grow with capacity and have
 * no price. */
static void storage(struct quantities *quantities, const char *performance, const char *size)
{
    const char *value = json_string_value(json_object_get(quantities->full, performance));
    if (!value) {
        if (!quantities->failed)
            quantities->failed = error_new(ERR_INTERNAL, "a full spec without %s", performance);
        return;
    }
    add(quantities, strcmp(value, "high") ? "1011" : "1012", number(quantities, size));
}

void quantity_instance(struct quantities *quantities)
{
    if (!quantities->stopped || quantities->agreement->stopped_instance == STOPPED_CHARGED) {
        vcpu(quantities);
        memory(quantities);
    }
    if (quantities->agreement->system_disk == SYSTEM_DISK_CHARGED)
        storage(quantities, "system_disk_performance", "system_disk_gb");
}

/* A volume keeps its space whether attached or not; one volume of several machines is one quantity (3.2.1.4).
 */
void quantity_volume(struct quantities *quantities)
{
    storage(quantities, "performance", "size_gb");
}

/* 3.1.3: item 1017 is priced per IP, IPv4 and IPv6 alike (3.2.1.9); domain filing is inside the price. */
void quantity_address(struct quantities *quantities)
{
    add(quantities, "1017", 1);
}

/* 3.1.3: item 1016 is priced per Mb of internet bandwidth (2.3.2: the extranet's is not the provider's). */
void quantity_bandwidth(struct quantities *quantities)
{
    add(quantities, "1016", number(quantities, "mbps"));
}

struct error *kind_usage(const struct kind *kind, const json_t *full, const struct agreement *agreement,
                         bool stopped, struct item_quantity *ret, size_t *ret_count)
{
    struct item_quantity list[KIND_ITEMS_MAX];
    struct quantities quantities = {.full = full, .agreement = agreement, .stopped = stopped, .list = list};
    kind->quantities(&quantities);
    if (quantities.failed)
        return error_wrap(quantities.failed, "could not work out what %s uses", kind->name);
    memcpy(ret, list, quantities.count * sizeof *list);
    *ret_count = quantities.count;
    return NULL;
}

struct error *kind_quantities(const struct kind *kind, const json_t *full, struct item_quantity *ret,
                              size_t *ret_count)
{
    return kind_usage(kind, full, &agreement_default, false, ret, ret_count);
}
