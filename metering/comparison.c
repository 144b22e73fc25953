/* One unit's month at every provider's prices; see comparison.h. */
#include "metering/comparison.h"

#include <string.h>

#include "metering/archive.h"
#include "metering/usage.h"

struct rating_input {
    struct arena *arena;
    struct rate_interval *intervals;
    size_t count;
    const struct rate_provider *providers;
    size_t provider_count;
    struct month month;
    moment until;
};

static struct error *rate_items(const struct rating_input *input, struct statement *ret_sums)
{
    struct rate_line *rated;
    size_t count;
    TRY(rate_month(input->arena, input->intervals, input->count, input->providers, input->provider_count,
                   input->month, input->until, &rated, &count));
    struct bill_line *lines = arena_array(input->arena, count, sizeof *lines);
    for (size_t i = 0; i < count; i++)
        lines[i] = bill_line_of(&rated[i], input->month, false);
    return statement_group(input->arena, lines, count, 1u << STATEMENT_ITEM, ret_sums);
}

/* The same intervals, every one of them the provider's. */
static struct error *rate_at(const struct rating_input *input, const struct rate_provider *provider,
                             struct statement *ret_sums)
{
    struct rating_input at = *input;
    at.intervals = arena_array(input->arena, input->count, sizeof *at.intervals);
    for (size_t i = 0; i < input->count; i++) {
        at.intervals[i] = input->intervals[i];
        at.intervals[i].provider = provider->id;
    }
    return rate_items(&at, ret_sums);
}

struct error *comparison_make(struct db *db, struct arena *arena, const char *unit, struct month month,
                              moment now, struct comparison *ret_comparison)
{
    struct rating_input input = {.arena = arena, .month = month};
    struct rate_provider *providers;
    struct comparison comparison = {.until = now < month_end(month) ? now : month_end(month)};
    input.until = comparison.until;
    TRY(archive_refuse_usage(db, month));
    TRY(usage_intervals(db, arena, unit, month_start(month), month_end(month), &input.intervals,
                        &input.count));
    TRY(bill_rates(db, arena, month, &providers, &input.provider_count));
    input.providers = providers;
    comparison.intervals = input.count;
    TRY(rate_items(&input, &comparison.actual.sums));
    comparison.offers = arena_array(arena, input.provider_count, sizeof *comparison.offers);
    for (size_t i = 0; i < input.provider_count && comparison.count < COMPARISON_PROVIDERS_MAX; i++) {
        struct comparison_offer *offer = &comparison.offers[comparison.count++];
        *offer = (struct comparison_offer){.provider = providers[i].id, .proration = providers[i].proration};
        TRY(rate_at(&input, &providers[i], &offer->sums));
    }
    *ret_comparison = comparison;
    return NULL;
}
