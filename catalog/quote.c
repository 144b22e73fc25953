/* Quotes; see quote.h. */
#include "catalog/quote.h"

#include <string.h>

#include "broker/base/json.h"
#include "broker/base/money.h"

static const struct json_member request_members[] = {
    {JSON_MEMBER(struct quote_request, kind), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct quote_request, spec), .want = JSON_WANT_ANY, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct quote_request, count), .want = JSON_WANT_INT, .min = 1, .max = QUOTE_COUNT_MAX},
};
const struct json_spec quote_request_spec = JSON_SPEC(struct quote_request, request_members);

static struct error *read_one(struct arena *arena, const struct quote_request *request,
                              struct quote_resource *ret_resource)
{
    const struct kind *kind = kind_find(request->kind);
    if (!kind)
        return error_member("/kind", "is not a kind of resource");
    TRY(error_under(kind_read(kind, arena, request->spec, &ret_resource->full), "/spec"));
    ret_resource->kind = kind;
    ret_resource->count = request->count ? request->count : 1;
    return NULL;
}

/* Moves the details of `error`, if any, to *errors with `prefix` before their pointers. */
static void gather(struct error **errors, struct error *error, const char *prefix)
{
    size_t count;
    struct error *placed = error_under(error, prefix);
    if (!placed)
        return;
    const struct error_detail *details = error_details(placed, &count);
    for (size_t i = 0; i < count; i++)
        error_collect(errors, details[i].pointer, "%s", details[i].message);
    if (!count)
        error_collect(errors, prefix, "%s", error_message(placed));
    error_free(placed);
}

struct error *quote_read(struct arena *arena, const struct quote_request *requests, size_t count,
                         struct quote_resource **ret_list)
{
    struct error *errors = NULL;
    struct quote_resource *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        gather(&errors, read_one(arena, &requests[i], &list[i]), arena_printf(arena, "/%zu", i));
    if (!errors)
        *ret_list = list;
    return errors;
}

/* Adds what one resource uses, count times over. */
static struct error *add_resource(int64_t micro[ITEM_COUNT], const struct agreement *agreement,
                                  const struct quote_resource *resource)
{
    struct item_quantity list[KIND_ITEMS_MAX];
    size_t count;
    TRY(kind_usage(resource->kind, resource->full, agreement, false, list, &count));
    for (size_t i = 0; i < count; i++) {
        int64_t *sum = &micro[item_index(item_find(list[i].item))], product;
        if (__builtin_mul_overflow(list[i].micro, resource->count, &product) ||
            __builtin_add_overflow(*sum, product, sum) || *sum > QUANTITY_MAX)
            return error_new(ERR_TOO_LARGE, "a quantity of item %s beyond 1e9 units", list[i].item);
    }
    return NULL;
}

static const char *place_member(const struct quote_resource *resource, const char *member)
{
    const char *text = json_string_value(json_object_get(resource->full, member));
    return text ? text : "";
}

static bool same_place(const struct quote_resource *a, const struct quote_resource *b)
{
    return !strcmp(place_member(a, "zone"), place_member(b, "zone")) &&
           !strcmp(place_member(a, "architecture"), place_member(b, "architecture"));
}

/* Whether an earlier resource has the place of resource `i`. */
static bool place_known(const struct quote_resource *resources, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (same_place(&resources[j], &resources[i]))
            return true;
    return false;
}

/* Rounded once here, as billing does at its line. */
static struct error *add_amount(struct quote_line *line, int64_t micro)
{
    int64_t fen;
    if (__builtin_add_overflow(line->micro, micro, &line->micro) || line->micro > QUANTITY_MAX)
        return error_new(ERR_TOO_LARGE, "a quantity of item %s beyond 1e9 units", line->item->code);
    TRY(usage_amount(line->price_fen, micro, 1, &fen)); /* a month of 1 for the whole of it */
    return money_add(line->amount_fen, fen, &line->amount_fen);
}

/* Adds the use of all resources in the place of resource `first`; of items with an allowance, nothing. */
static struct error *add_place(struct quote_line lines[ITEM_COUNT], const struct agreement *agreement,
                               const struct quote_resource *resources, size_t count, size_t first)
{
    int64_t micro[ITEM_COUNT] = {0};
    for (size_t i = first; i < count; i++)
        if (same_place(&resources[i], &resources[first]))
            TRY(add_resource(micro, agreement, &resources[i]));
    for (size_t i = 0; i < ITEM_COUNT; i++)
        if (micro[i] && !lines[i].item->free_micro)
            TRY(add_amount(&lines[i], micro[i]));
    return NULL;
}

/* Of an item with an allowance, what is above it, wherever it is (procurement 3.1.3). */
static struct error *add_allowed(struct quote_line lines[ITEM_COUNT], const struct agreement *agreement,
                                 const struct quote_resource *resources, size_t count)
{
    int64_t micro[ITEM_COUNT] = {0};
    for (size_t i = 0; i < count; i++)
        TRY(add_resource(micro, agreement, &resources[i]));
    for (size_t i = 0; i < ITEM_COUNT; i++) {
        int64_t most = lines[i].item->free_micro;
        if (!micro[i] || !most)
            continue;
        lines[i].free_micro = micro[i] < most ? micro[i] : most;
        TRY(add_amount(&lines[i], micro[i] - lines[i].free_micro));
    }
    return NULL;
}

struct error *quote_make(const int64_t fen[ITEM_COUNT], const struct agreement *agreement,
                         const struct quote_resource *resources, size_t count, struct quote *ret_quote)
{
    struct quote_line lines[ITEM_COUNT] = {0};
    struct quote quote = {.count = 0};
    for (size_t i = 0; i < ITEM_COUNT; i++)
        lines[i] = (struct quote_line){.item = item_at(i), .price_fen = fen[i]};
    for (size_t i = 0; i < count; i++)
        if (!place_known(resources, i))
            TRY(add_place(lines, agreement, resources, count, i));
    TRY(add_allowed(lines, agreement, resources, count));
    for (size_t i = 0; i < ITEM_COUNT; i++) {
        if (!lines[i].micro && !lines[i].free_micro)
            continue;
        if (!fen[i])
            return error_new(ERR_CONFLICT, "the provider has no price for item %s", lines[i].item->code);
        TRY(money_add(quote.monthly_fen, lines[i].amount_fen, &quote.monthly_fen));
        quote.lines[quote.count++] = lines[i];
    }
    *ret_quote = quote;
    return NULL;
}

struct error *quote_json(const struct quote *quote, int64_t months, json_t **ret_json)
{
    int64_t total;
    if (__builtin_mul_overflow(quote->monthly_fen, months, &total) || total > MONEY_MAX)
        return error_new(ERR_TOO_LARGE, "an amount beyond 1e16 yuan");
    json_t *json = json_object(), *lines = json_array();
    for (size_t i = 0; i < quote->count; i++) {
        const struct quote_line *line = &quote->lines[i];
        json_t *row = json_object();
        json_put_text(row, "item", line->item->code);
        json_put_text(row, "item_name", line->item->name);
        json_put_int(row, "billing_quantity", line->item->billing_quantity);
        json_put_text(row, "unit", line->item->unit);
        json_put_quantity(row, "quantity", line->micro);
        if (line->free_micro)
            json_put_quantity(row, "free_quantity", line->free_micro);
        json_put_yuan(row, "price_yuan", line->price_fen);
        json_put_yuan(row, "amount_yuan", line->amount_fen);
        json_push(lines, row);
    }
    json_put(json, "lines", lines);
    json_put_yuan(json, "monthly_yuan", quote->monthly_fen);
    json_put_int(json, "months", months);
    json_put_yuan(json, "total_yuan", total);
    *ret_json = json;
    return NULL;
}
