/* The rule of a valid bid; see bid.h. */
#include "catalog/bid.h"

#include <stdint.h>
#include <string.h>

#include "broker/base/money.h"
#include "catalog/pointer.h"

static void check_price(struct error **errors, const char *pointer, const struct item *item,
                        const json_t *value, int64_t *ret_fen)
{
    char cap[MONEY_TEXT];
    int64_t fen;
    if (!value) {
        error_collect(errors, pointer, "is missing: every item must be priced (procurement 3.1.3)");
        return;
    }
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value)) {
        error_collect(errors, pointer, "must be a decimal string such as \"%s\"",
                      money_format(item->cap_fen, cap));
        return;
    }
    struct error *error = money_parse(json_string_value(value), &fen);
    if (error)
        error_collect(errors, pointer, "is not a price: %s (procurement 3.1.3)", error_message(error));
    else if (!fen)
        error_collect(errors, pointer, "must be above zero");
    else if (fen > item->cap_fen)
        error_collect(errors, pointer, "is above the cap of %s yuan (procurement 3.1.3)",
                      money_format(item->cap_fen, cap));
    else
        *ret_fen = fen;
    error_free(error);
}

struct error *bid_read(const json_t *prices, int64_t *ret_fen)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct error *errors = NULL;
    int64_t fen[ITEM_COUNT] = {0};
    if (!json_is_object(prices))
        return error_member("", "must be an object of item codes and prices");
    for (void *at = json_object_iter((json_t *)(uintptr_t)prices);
         at; /* read only: jansson has no const iterator */
         at = json_object_iter_next((json_t *)(uintptr_t)prices, at))
        if (!item_find(json_object_iter_key(at)))
            error_collect(&errors, pointer_member(arena, "", json_object_iter_key(at)),
                          "is not a priced item");
    for (size_t i = 0; i < item_count(); i++) {
        const struct item *item = item_at(i);
        check_price(&errors, pointer_member(arena, "", item->code), item, json_object_get(prices, item->code),
                    &fen[i]);
    }
    /* Each price at most its cap makes the weighted total at most 79.0430, which the schema checks once more.
     */
    if (!errors)
        memcpy(ret_fen, fen, sizeof fen);
    return errors;
}
