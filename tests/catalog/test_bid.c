/* What makes a bid valid, and what a quote adds up to. */
#include "catalog/bid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/json.h"
#include "broker/base/money.h"
#include "catalog/quote.h"

static json_t *caps(struct arena *arena)
{
    char text[MONEY_TEXT];
    json_t *prices = json_hold(arena, json_object());
    for (size_t i = 0; i < item_count(); i++)
        json_put_text(prices, item_at(i)->code, money_format(item_at(i)->cap_fen, text));
    return prices;
}

static void a_bid_at_the_caps_is_valid(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    int64_t fen[ITEM_COUNT];
    assert_null(bid_read(caps(arena), fen));
    assert_int_equal(item_weighted_total(fen), 790430);
    assert_int_equal(fen[0], 1402);
    assert_int_equal(fen[22], 9886);
}

/* The pointers of a bid that is the caps with one or more members replaced. */
static void refused(const char *changes, const char *pointer, const char *says)
{
    ARENA_AUTO struct arena *arena = arena_new();
    int64_t fen[ITEM_COUNT] = {-1};
    json_t *prices = caps(arena), *change = json_hold(arena, json_loads(changes, 0, NULL));
    size_t count;
    assert_int_equal(json_object_update(prices, change), 0);
    struct error *error = bid_read(prices, fen);
    assert_non_null(error);
    assert_int_equal(error_code(error), ERR_INVALID);
    const struct error_detail *details = error_details(error, &count);
    assert_int_equal(count, 1);
    assert_string_equal(details[0].pointer, pointer);
    if (!strstr(details[0].message, says))
        fail_msg("%s", details[0].message);
    assert_int_equal(fen[0], -1);
    error_free(error);
}

static void one_bad_price_spoils_the_bid(void **state)
{
    refused("{\"1001\":\"14.021\"}", "/1001", "more than 2 decimals");
    refused("{\"1001\":\"14.020\"}", "/1001", "more than 2 decimals");
    refused("{\"1001\":\"14.03\"}", "/1001", "cap of 14.02");
    refused("{\"1023\":\"0.00\"}", "/1023", "above zero");
    refused("{\"1005\":\"-1.00\"}", "/1005", "not a price");
    refused("{\"1005\":\"1e2\"}", "/1005", "not a price");
    refused("{\"1005\":\"\"}", "/1005", "not a price");
    refused("{\"1005\":14.02}", "/1005", "decimal string");
    refused("{\"1005\":null}", "/1005", "decimal string");
    refused("{\"1005\":\"99999999999999999999\"}", "/1005", "too large");
    refused("{\"1024\":\"1.00\"}", "/1024", "not a priced item");
    refused("{\"2001\":\"1.00\"}", "/2001", "not a priced item");
}

static void every_violation_is_listed(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    int64_t fen[ITEM_COUNT];
    size_t count;
    json_t *prices = caps(arena);
    json_put_text(prices, "1001", "14.03");
    json_put_text(prices, "1002", "1.234");
    json_object_del(prices, "1023");
    json_put_text(prices, "free", "0");
    struct error *error = bid_read(prices, fen);
    (void)error_details(error, &count);
    assert_int_equal(count, 4);
    error_free(error);
    error = bid_read(json_hold(arena, json_object()), fen);
    (void)error_details(error, &count);
    assert_int_equal(count, ITEM_COUNT);
    error_free(error);
    error = bid_read(json_hold(arena, json_array()), fen);
    assert_int_equal(error_code(error), ERR_INVALID);
    error_free(error);
}

struct body {
    struct json_list resources;
};

/* The resources of a request whose "resources" are the text; errors of either step. */
static struct error *read_resources(struct arena *arena, const char *text, struct quote_resource **ret_list,
                                    size_t *ret_count)
{
    static const struct json_member members[] = {{JSON_MEMBER(struct body, resources), .want = JSON_WANT_LIST,
                                                  .min = 1, .max = QUOTE_RESOURCES_MAX,
                                                  .spec = &quote_request_spec}};
    static const struct json_spec spec = JSON_SPEC(struct body, members);
    struct body body = {{0}};
    json_t *json = json_hold(arena, json_object());
    json_put(json, "resources", json_loads(text, 0, NULL));
    TRY(json_read(arena, json, &spec, &body));
    TRY(quote_read(arena, body.resources.items, body.resources.count, ret_list));
    *ret_count = body.resources.count;
    return NULL;
}

static struct quote quote_of(struct arena *arena, const char *text, const struct agreement *agreement)
{
    int64_t fen[ITEM_COUNT];
    struct quote_resource *list;
    struct quote quote;
    size_t count;
    assert_null(bid_read(caps(arena), fen));
    assert_null(read_resources(arena, text, &list, &count));
    assert_null(quote_make(fen, agreement, list, count, &quote));
    return quote;
}

#define MACHINE \
    "\"spec\":{\"vcpu\":4,\"memory_gb\":8,\"architecture\":\"x86\",\"image\":\"a\",\"zone\":\"b\"}"

static void a_quote_is_rounded_at_the_line(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    /* By hand at the caps: 4 vCPU 56.08, 8 GB 329.20 (procurement 3.1.3), 40 GB of 28.60 per 100 GB 11.44. */
    struct quote quote = quote_of(arena, "[{\"kind\":\"instance\"," MACHINE "}]", &agreement_default);
    assert_int_equal(quote.count, 3);
    assert_int_equal(quote.lines[0].amount_fen, 5608);
    assert_int_equal(quote.lines[1].amount_fen, 32920);
    assert_int_equal(quote.lines[2].amount_fen, 1144);
    assert_int_equal(quote.monthly_fen, 39672);
    /* A 500 GB standard volume costs 143.00; 10 Mb cost 495.50. */
    quote = quote_of(arena,
                     "[{\"kind\":\"volume\",\"spec\":{\"size_gb\":500,\"performance\":\"standard\"}},"
                     "{\"kind\":\"bandwidth\",\"spec\":{\"mbps\":5},\"count\":2}]",
                     &agreement_default);
    assert_int_equal(quote.lines[0].amount_fen, 14300);
    assert_int_equal(quote.lines[1].amount_fen, 49550);
    /* Two volumes of 1 GB high: 2 × 0.6425 = 1.285 → 1.29 at the line, not 2 × 0.64. */
    quote = quote_of(arena,
                     "[{\"kind\":\"volume\",\"spec\":{\"size_gb\":1,\"performance\":\"high\"},\"count\":2}]",
                     &agreement_default);
    assert_int_equal(quote.monthly_fen, 129);
    struct agreement whole = agreement_default;
    whole.small_quantity = SMALL_WHOLE;
    quote = quote_of(arena,
                     "[{\"kind\":\"volume\",\"spec\":{\"size_gb\":1,\"performance\":\"high\"},\"count\":2}]",
                     &whole);
    assert_int_equal(quote.monthly_fen, 12850);
}

static void a_quote_request_names_each_mistake(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct quote_resource *list;
    size_t count;
    struct error *error = read_resources(arena,
                                         "[{\"kind\":\"instance\",\"spec\":{\"vcpu\":99,\"memory_gb\":1,"
                                         "\"architecture\":\"x86\",\"image\":\"a\",\"zone\":\"b\"}},"
                                         "{\"kind\":\"moon\",\"spec\":{}}]",
                                         &list, &count);
    const struct error_detail *details = error_details(error, &count);
    assert_int_equal(count, 2);
    assert_string_equal(details[0].pointer, "/0/spec/vcpu");
    assert_string_equal(details[1].pointer, "/1/kind");
    error_free(error);
    error = read_resources(arena, "[{\"kind\":\"volume\",\"spec\":{},\"count\":0}]", &list, &count);
    details = error_details(error, &count);
    assert_int_equal(count, 1);
    assert_string_equal(details[0].pointer, "/resources/0/count");
    error_free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bid_at_the_caps_is_valid),
        cmocka_unit_test(one_bad_price_spoils_the_bid),
        cmocka_unit_test(every_violation_is_listed),
        cmocka_unit_test(a_quote_is_rounded_at_the_line),
        cmocka_unit_test(a_quote_request_names_each_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
