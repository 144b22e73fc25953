/* The oracle; see oracle.h. Slow and plain on purpose. */
#include "tests/metering/oracle.h"

#include <gmp.h>
#include <stdlib.h>

#include "catalog/agreement.h"

#define TIMES_MAX 2000
#define ONE INT64_C(1000000) /* micro-units */

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

static bool belongs(const struct oracle_resource *resource, const struct oracle_key *key)
{
    return (key->item == ORACLE_ALLOWED || resource->zone == key->zone) && resource->unit == key->unit &&
           resource->provider == key->provider && resource->cloud == key->cloud;
}

bool oracle_can_use(const struct oracle_history *history, const struct oracle_key *key)
{
    bool found = false;
    for (size_t r = 0; r < history->resource_count; r++)
        found = found || belongs(&history->resources[r], key);
    return found;
}

/* What a resource uses at a moment for the key; 0 when it belongs elsewhere then. */
static int64_t sample(const struct oracle_resource *resource, const struct oracle_key *key, moment when)
{
    const struct oracle_event *now = NULL;
    if (!belongs(resource, key))
        return 0;
    for (size_t e = 0; e < resource->count; e++)
        if (resource->events[e].at <= when)
            now = &resource->events[e];
    if (!now || now->system != key->system)
        return 0;
    return key->part == ORACLE_EXPANSION ? now->expansion[key->item] : now->micro[key->item];
}

/* What counts as one thing: a resource; of the item with an allowance a system's resources together, of which
 * one unit is free (procurement 3.1.3). */
static int64_t level(const struct oracle_history *history, const struct oracle_key *key, size_t index,
                     moment when)
{
    int64_t sum = 0;
    if (key->item != ORACLE_ALLOWED || key->part == ORACLE_EXPANSION)
        return key->part == ORACLE_ALLOWANCE ? 0 : sample(&history->resources[index], key, when);
    if (index)
        return 0;
    for (size_t r = 0; r < history->resource_count; r++)
        sum += sample(&history->resources[r], key, when);
    int64_t free_part = sum < ONE ? sum : ONE;
    return key->part == ORACLE_ALLOWANCE ? free_part : sum - free_part;
}

/* total += micro × what [a, b) and [from, to) have in common */
static void add_product(mpq_t total, int64_t micro, moment a, moment b, moment from, moment to)
{
    moment start = a > from ? a : from, end = b < to ? b : to;
    mpq_t x, y;
    if (!micro || start >= end)
        return;
    mpq_inits(x, y, NULL);
    mpq_set_si(x, micro, 1);
    mpq_set_si(y, end - start, 1);
    mpq_mul(x, x, y);
    mpq_add(total, total, x);
    mpq_clears(x, y, NULL);
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
    mpq_set_si(factor, ONE, 1);
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

int64_t oracle_cost(const struct oracle_history *history, const struct oracle_key *key, int64_t price_fen,
                    moment from, moment to, bool *ret_used)
{
    struct month month = history->months[key->month];
    moment times[TIMES_MAX], length = month_end(month) - month_start(month);
    size_t count = elementary(history, month, times);
    int proration = history->providers[key->provider].proration;
    mpq_t total;
    mpq_init(total);
    for (size_t r = 0; r < history->resource_count; r++) {
        if (proration == PRORATION_EXACT) {
            for (size_t i = 0; i + 1 < count; i++)
                add_product(total, level(history, key, r, times[i]), times[i], times[i + 1], from, to);
            continue;
        }
        /* Each span of whole days at the largest quantity that any of its samples shows. */
        moment span = proration == PRORATION_DAY ? MOMENT_DAY : length;
        for (moment start = times[0]; start < times[count - 1]; start += span) {
            int64_t most = 0;
            for (size_t i = 0; i + 1 < count; i++) {
                bool within = times[i] >= start && times[i] < start + span && times[i] < times[i + 1];
                int64_t now = within ? level(history, key, r, times[i]) : 0;
                most = now > most ? now : most;
            }
            add_product(total, most, start, start + span, from, to);
        }
    }
    *ret_used = mpq_sgn(total) > 0;
    int64_t fen = amount(total, price_fen, length);
    mpq_clear(total);
    return fen;
}

int64_t oracle_amount(const struct oracle_history *history, const struct oracle_key *key, bool *ret_used)
{
    struct month month = history->months[key->month];
    return oracle_cost(history, key, history->providers[key->provider].price_fen[key->month][key->item],
                       month_start(month), month_end(month), ret_used);
}
