/* A quote with a provider's stored prices and agreement; see quote.h. */
#include "catalog/price.h"
#include "catalog/provider.h"
#include "catalog/quote.h"

struct error *quote_price(struct db *db, struct arena *arena, const char *provider, moment at,
                          const struct quote_resource *resources, size_t count, struct quote *ret_quote)
{
    int64_t fen[ITEM_COUNT] = {0};
    struct agreement agreement;
    struct price_offer *offers;
    size_t offer_count;
    TRY(provider_agreement(db, provider, at, &agreement));
    TRY(price_compare(db, arena, NULL, provider, at, &offers, &offer_count));
    for (size_t i = 0; i < offer_count; i++)
        fen[item_index(item_find(offers[i].item))] = offers[i].fen;
    return quote_make(fen, &agreement, resources, count, ret_quote);
}
