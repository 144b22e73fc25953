/* The quantity rules: from a full spec to quantities of priced items. Most are rows of the kinds' tables
 * (struct quantity_rule, each with its clause), evaluated here; what depends on the agreement is a small
 * function with the clause that it comes from. kind.h has the contract. */
#include <string.h>

#include "broker/base/money.h"
#include "catalog/kind_table.h"

static void fail(struct quantities *quantities, const char *member)
{
    if (!quantities->failed)
        quantities->failed = error_new(ERR_INTERNAL, "a full spec without %s", member);
}

/* `amount` of 1/per of the item's unit: micro-units of its billing quantity, added to what the list has of
 * the item. */
static void add(struct quantities *quantities, const char *code, int64_t amount, int64_t per)
{
    const struct item *item = item_find(code);
    struct item_quantity *found = NULL;
    if (quantities->failed || amount == 0)
        return;
    if (!item || amount < 0 || amount / per > QUANTITY_MAX / QUANTITY_ONE) {
        quantities->failed = error_new(ERR_INTERNAL, "a quantity of item %s out of range", code);
        return;
    }
    /* Both divide: item.c checks the billing quantity, the rules' tables have powers of ten. */
    int64_t micro = amount * (QUANTITY_ONE / item->billing_quantity / per);
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
    if (json_is_integer(value))
        return json_integer_value(value);
    fail(quantities, name);
    return 0;
}

/* 3.1.3: item 1001 is priced per CPU of a cloud host: one vCPU is one unit. */
static void vcpu(struct quantities *quantities)
{
    add(quantities, "1001", number(quantities, "vcpu"), 1);
}

/* 3.1.3: item 1002 is priced per GB; memory is sold without over-commitment (3.2.1.1, 4.1.2.2). */
static void memory(struct quantities *quantities)
{
    add(quantities, "1002", number(quantities, "memory_gb"), 1);
}

/* 3.1.3, 3.2.1.4, 3.2.1.5: a system disk is storage of 1011 or 1012, as a volume is, unless the agreement has
 * it included. */
static void system_disk(struct quantities *quantities)
{
    const char *value = json_string_value(json_object_get(quantities->full, "system_disk_performance"));
    if (!value)
        fail(quantities, "system_disk_performance");
    else
        add(quantities, strcmp(value, "high") ? "1011" : "1012", number(quantities, "system_disk_gb"), 1);
}

void quantity_instance(struct quantities *quantities)
{
    if (!quantities->stopped || quantities->agreement->stopped_instance == STOPPED_CHARGED) {
        vcpu(quantities);
        memory(quantities);
    }
    if (quantities->agreement->system_disk == SYSTEM_DISK_CHARGED)
        system_disk(quantities);
}

/* Whether the spec's member reads so. */
static bool reads(struct quantities *quantities, const char *name, const char *text, int64_t equals)
{
    const json_t *value = json_object_get(quantities->full, name);
    if (!value)
        fail(quantities, name);
    return text ? json_is_string(value) && !strcmp(json_string_value(value), text)
                : json_is_integer(value) && json_integer_value(value) == equals;
}

static int64_t amount(struct quantities *quantities, const struct quantity_rule *rule)
{
    const json_t *value = rule->member ? json_object_get(quantities->full, rule->member) : NULL;
    if (!rule->member)
        return 1;
    if (!value && rule->optional)
        return 0;
    return json_is_array(value) ? (int64_t)json_array_size(value) : number(quantities, rule->member);
}

static void apply(struct quantities *quantities, const struct quantity_rule *rule)
{
    if (rule->when && !reads(quantities, rule->when, rule->is, rule->equals))
        return;
    if (rule->unless && reads(quantities, rule->unless, rule->reads, 0))
        return;
    int64_t count = amount(quantities, rule);
    if (rule->set)
        count = count / rule->set + (count % rule->set > 0);
    add(quantities, rule->item, count, rule->per ? rule->per : 1);
}

struct error *kind_usage(const struct kind *kind, const json_t *full, const struct agreement *agreement,
                         bool stopped, struct item_quantity *ret, size_t *ret_count)
{
    struct item_quantity list[KIND_ITEMS_MAX];
    struct quantities quantities = {.full = full, .agreement = agreement, .stopped = stopped, .list = list};
    if (kind->quantities)
        kind->quantities(&quantities);
    for (size_t i = 0; i < kind->rule_count; i++)
        apply(&quantities, &kind->rules[i]);
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
