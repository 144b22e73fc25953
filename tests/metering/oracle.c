/* The oracle; see oracle.h. Slow and plain on purpose. */
#include "tests/metering/oracle.h"

#include <gmp.h>
#include <stdlib.h>

#include "catalog/agreement.h"

#define TIMES_MAX 2000

const char *const oracle_items[ORACLE_ITEMS] = {"1001", "1002", "1011", "1012", "1016", "1017", "1019"};

static int compare_moment(const void *left, const void *right)
{
    moment a = *(const moment *)left, b = *(const moment *)right;
    return (a > b) - (a < b);
}

/* All moments of the month at which something may change, days' ends among them. */
static size_t elementary(const struct oracle_history *history, struct month month, moment *times)
{
    size_t count = 0;
    for (int day = 0; day <= month_days(month); day++)
        times[count++] = month_start(month) + day * MOMENT_DAY;
    for (size_t r = 0; r < history->resource_count; r++)
        for (size_t e = 0; e < history->resources[r].count; e++) {
            moment at = history->resources[r].events[e].at;
            if (at > month_start(month) && at < month_end(month) && count < TIMES_MAX)
                times[count++] = at;
        }
    qsort(times, count, sizeof *times, compare_moment);
    return count;
}

/* What a resource uses at a moment for the key; 0 when it belongs elsewhere then. */
static int64_t sample(const struct oracle_resource *resource, const struct oracle_key *key, moment when)
{
    const struct oracle_event *now = NULL;
    if (key->item != ORACLE_ALLOWED && resource->zone != key->zone)
        return 0;
    if (resource->unit != key->unit || resource->provider != key->provider || resource->cloud != key->cloud)
        return 0;
    for (size_t e = 0; e < resource->count; e++)
        if (resource->events[e].at <= when)
            now = &resource->events[e];
    return now && now->system == key->system ? now->micro[key->item] : 0;
}

/* What a system has of 1019 at a moment above its free one (procurement 3.1.3). */
static int64_t above_allowance(const struct oracle_history *history, const struct oracle_key *key,
                               moment when)
{
    int64_t sum = 0;
    for (size_t r = 0; r < history->resource_count; r++)
        sum += sample(&history->resources[r], key, when);
    return sum > 1000000 ? sum - 1000000 : 0;
}

/* total += micro × microseconds */
static void add_product(mpq_t total, int64_t micro, moment length)
{
    mpq_t a, b;
    mpq_inits(a, b, NULL);
    mpq_set_si(a, micro, 1);
    mpq_set_si(b, length, 1);
    mpq_mul(a, a, b);
    mpq_add(total, total, a);
    mpq_clears(a, b, NULL);
}

static void sum_exact(const struct oracle_history *history, const struct oracle_key *key, const moment *times,
                      size_t count, mpq_t total)
{
    for (size_t i = 0; i + 1 < count; i++)
        for (size_t r = 0; r < history->resource_count; r++)
            add_product(total, sample(&history->resources[r], key, times[i]), times[i + 1] - times[i]);
}

/* Each span of whole days at the largest quantity that any of its samples shows. */
static void sum_spans(const struct oracle_history *history, const struct oracle_key *key, const moment *times,
                      size_t count, moment length, mpq_t total)
{
    for (size_t r = 0; r < history->resource_count; r++)
        for (moment span = times[0]; span < times[count - 1]; span += length) {
            int64_t most = 0;
            for (size_t i = 0; i + 1 < count; i++)
                if (times[i] >= span && times[i] < span + length && times[i] < times[i + 1] &&
                    sample(&history->resources[r], key, times[i]) > most)
                    most = sample(&history->resources[r], key, times[i]);
            add_product(total, most, length);
        }
}

/* 1019: the system's sum counts as one resource. */
static void sum_allowed(const struct oracle_history *history, const struct oracle_key *key,
                        const moment *times, size_t count, moment length, mpq_t total)
{
    if (!length) {
        for (size_t i = 0; i + 1 < count; i++)
            add_product(total, above_allowance(history, key, times[i]), times[i + 1] - times[i]);
        return;
    }
    for (moment span = times[0]; span < times[count - 1]; span += length) {
        int64_t most = 0;
        for (size_t i = 0; i + 1 < count; i++)
            if (times[i] >= span && times[i] < span + length && times[i] < times[i + 1] &&
                above_allowance(history, key, times[i]) > most)
                most = above_allowance(history, key, times[i]);
        add_product(total, most, length);
    }
}

/* floor(total × price ÷ (1e6 × length) + 1/2) */
static int64_t amount(mpq_t total, int64_t price_fen, moment length)
{
    mpq_t factor, half;
    mpz_t whole;
    mpq_inits(factor, half, NULL);
    mpz_init(whole);
    mpq_set_si(factor, price_fen, 1);
    mpq_mul(total, total, factor);
    mpq_set_si(factor, 1000000, 1);
    mpq_div(total, total, factor);
    mpq_set_si(factor, length, 1);
    mpq_div(total, total, factor);
    mpq_set_ui(half, 1, 2);
    mpq_add(total, total, half);
    mpz_fdiv_q(whole, mpq_numref(total), mpq_denref(total));
    int64_t result = mpz_get_si(whole);
    mpq_clears(factor, half, NULL);
    mpz_clear(whole);
    return result;
}

int64_t oracle_amount(const struct oracle_history *history, const struct oracle_key *key, int *ret_used)
{
    const struct oracle_provider *provider = &history->providers[key->provider];
    struct month month = history->months[key->month];
    moment times[TIMES_MAX], length = month_end(month) - month_start(month);
    size_t count = elementary(history, month, times);
    mpq_t total;
    mpq_init(total);
    moment span = provider->proration == PRORATION_EXACT ? 0
                  : provider->proration == PRORATION_DAY ? MOMENT_DAY
                                                         : length;
    if (key->item == ORACLE_ALLOWED)
        sum_allowed(history, key, times, count, span, total);
    else if (span)
        sum_spans(history, key, times, count, span, total);
    else
        sum_exact(history, key, times, count, total);
    *ret_used = mpq_sgn(total) > 0;
    int64_t fen = amount(total, provider->price_fen[key->month][key->item], length);
    mpq_clear(total);
    return fen;
}
