/* A quote is what the bill will say: for random sets of resources that one system holds on one cloud for a
 * whole month, under every agreement, the quote's lines are rating's lines, to the fen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/json.h"
#include "catalog/item.h"
#include "catalog/quote.h"
#include "metering/rate.h"

#define RESOURCES 12
#define ROUNDS 40

static const struct month months[] = {{2027, 1}, {2027, 2}, {2028, 2}, {2027, 4}};

/* A small generator of its own, so that a failure can be repeated. */
static uint64_t seed;

static int64_t pick(int64_t least, int64_t most)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return least + (int64_t)((seed >> 33) % (uint64_t)(most - least + 1));
}

static json_t *random_spec(struct arena *arena, const char **ret_kind)
{
    json_t *spec = json_hold(arena, json_object());
    switch (pick(0, 3)) {
    case 0:
        *ret_kind = "instance";
        json_put_int(spec, "vcpu", pick(1, 16));
        json_put_int(spec, "memory_gb", pick(1, 64));
        json_put_int(spec, "system_disk_gb", pick(20, 200));
        json_put_text(spec, "architecture", "x86");
        json_put_text(spec, "image", "i");
        json_put_text(spec, "zone", "z");
        break;
    case 1:
        *ret_kind = "volume";
        json_put_int(spec, "size_gb", pick(1, 999));
        json_put_text(spec, "performance", pick(0, 1) ? "high" : "standard");
        break;
    case 2:
        *ret_kind = "address";
        json_put_text(spec, "zone", "z");
        break;
    default:
        *ret_kind = "bandwidth";
        json_put_int(spec, "mbps", pick(1, 100));
        json_put_text(spec, "zone", "z");
    }
    return spec;
}

/* A place as usage has it: an item with an allowance has none. */
static const char *member(const json_t *full, const char *name, const char *item)
{
    const char *text = json_string_value(json_object_get(full, name));
    return text && !item_find(item)->free_micro ? text : "";
}

static void compare(const struct agreement *agreement, struct month month)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct quote_request requests[RESOURCES] = {{0}};
    struct quote_resource *resources;
    struct rate_interval intervals[RESOURCES * KIND_ITEMS_MAX];
    struct price_period prices[ITEM_COUNT];
    int64_t fen[ITEM_COUNT], total = 0;
    size_t interval_count = 0, line_count;
    struct quote quote;
    struct rate_line *lines;
    for (size_t i = 0; i < ITEM_COUNT; i++) {
        fen[i] = pick(1, item_at(i)->cap_fen);
        prices[i] = (struct price_period){.fen = fen[i], .from = MOMENT_MIN, .to = MOMENT_MAX};
        memcpy(prices[i].item, item_at(i)->code, ITEM_CODE);
    }
    for (size_t i = 0; i < RESOURCES; i++)
        requests[i].spec = random_spec(arena, &requests[i].kind);
    assert_null(quote_read(arena, requests, RESOURCES, &resources));
    assert_null(quote_make(fen, agreement, resources, RESOURCES, &quote));
    for (size_t i = 0; i < RESOURCES; i++) {
        struct item_quantity used[KIND_ITEMS_MAX];
        size_t count;
        assert_null(kind_usage(resources[i].kind, resources[i].full, agreement, false, used, &count));
        for (size_t k = 0; k < count; k++) {
            struct rate_interval *interval = &intervals[interval_count++];
            *interval = (struct rate_interval){.unit = "u1",
                                               .system = "u1001",
                                               .cloud = "c1",
                                               .provider = "p1",
                                               .resource = arena_printf(arena, "r%zu", i),
                                               .industry = "service",
                                               .zone = member(resources[i].full, "zone", used[k].item),
                                               .architecture =
                                                   member(resources[i].full, "architecture", used[k].item),
                                               .micro = used[k].micro,
                                               .from = month_start(month),
                                               .to = MOMENT_MAX};
            memcpy(interval->item, used[k].item, ITEM_CODE);
        }
    }
    const struct rate_provider provider = {"p1", agreement->proration, prices, ITEM_COUNT};
    assert_null(
        rate_month(arena, intervals, interval_count, &provider, 1, month, MOMENT_MAX, &lines, &line_count));
    size_t next = 0;
    for (size_t i = 0; i < quote.count; i++) {
        int64_t amount = 0;
        for (; next < line_count && !strcmp(lines[next].item, quote.lines[i].item->code); next++)
            amount += lines[next].amount_fen; /* of every zone and architecture */
        assert_int_equal(amount, quote.lines[i].amount_fen);
        total += amount;
    }
    assert_int_equal(next, line_count); /* the bill has nothing that the quote has not */
    assert_int_equal(total, quote.monthly_fen);
}

static void a_quote_is_what_the_bill_says(void **state)
{
    for (int round = 0; round < ROUNDS; round++)
        for (int settings = 0; settings < 3 * 2 * 2; settings++) {
            const struct agreement agreement = {
                .proration = settings % 3, .system_disk = settings / 3 % 2, .small_quantity = settings / 6};
            seed = (uint64_t)(round * 100 + settings);
            compare(&agreement, months[round % (int)(sizeof months / sizeof *months)]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quote_is_what_the_bill_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
