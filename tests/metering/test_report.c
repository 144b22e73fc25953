/* Reading CloudEvents that report usage: what is taken, and what is refused with which member. */
#include "metering/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/json.h"

#define HEAD                                                                                      \
    "{\"specversion\":\"1.0\",\"type\":\"cn.yunqiao.usage.state.v1\",\"source\":\"/providers/p1/" \
    "meter\",\"id\":\"e1\",\"subject\":\"vm-7\",\"time\":\"2026-11-03T08:00:00.000001+08:00\""
#define DATA(items) ",\"data\":{\"unit\":\"u1\",\"system\":\"u1001\",\"cloud\":\"c1\",\"items\":[" items "]}"
#define GOOD HEAD DATA("{\"item\":\"1002\",\"quantity\":\"8\"},{\"item\":\"1001\",\"quantity\":\"0.5\"}")

static struct arena *arena;

static int open_arena(void **state)
{
    arena = arena_new();
    return 0;
}

static int close_arena(void **state)
{
    arena_free(arena);
    return 0;
}

static struct error *read_text(const char *text, struct report *report)
{
    json_t *json;
    assert_null(json_parse_in(arena, text, strlen(text), &json));
    return report_read(arena, json, report);
}

static struct report good(const char *text)
{
    struct report report;
    struct error *error = read_text(text, &report);
    if (error)
        fail_msg("%s: %s", text, error_message(error));
    return report;
}

/* Refused, naming the member. */
static void bad(const char *text, const char *pointer)
{
    struct report report;
    struct error *error = read_text(text, &report);
    size_t count = 0;
    const struct error_detail *details = error ? error_details(error, &count) : NULL;
    bool named = false;
    for (size_t i = 0; i < count; i++)
        named = named || !strcmp(details[i].pointer, pointer);
    if (!named)
        fail_msg("%s: not refused at \"%s\" but \"%s\"", text, pointer, count ? details[0].pointer : "-");
    assert_int_equal(error_code(error), ERR_INVALID);
    error_free(error);
}

static void an_event_is_read(void **state)
{
    struct report report = good(GOOD "}");
    assert_string_equal(report.provider, "p1");
    assert_string_equal(report_resource(arena, &report), "p1/vm-7");
    assert_string_equal(report.kind, "reported");
    assert_string_equal(report.sequence, "");
    assert_true(report.at == INT64_C(1793664000000001));
    assert_int_equal(report.count, 2);
    assert_string_equal(report.items[0].item, "1001"); /* sorted */
    assert_true(report.items[0].micro == 500000 && report.items[0].tariff == TARIFF_STANDARD);
    report = good(HEAD DATA("") "}");
    assert_int_equal(report.count, 0);
    report = good(HEAD DATA("{\"item\":\"1001\",\"quantity\":\"0\"},{\"item\":\"1001\",\"quantity\":\"2\","
                            "\"tariff\":\"expansion\"}") "}");
    assert_int_equal(report.count, 1);
    assert_int_equal(report.items[0].tariff, TARIFF_EXPANSION);
}

static void extensions_are_kept_out_of_the_count(void **state)
{
    struct report plain = good(GOOD "}"), null = good(GOOD ",\"dataschema\":null,\"other\":null}");
    assert_string_equal(plain.digest, null.digest); /* null is absent */
    struct report more = good(GOOD ",\"sequence\":\"0007\",\"traceparent\":\"00-1\",\"x1\":5,\"y\":true}");
    assert_string_equal(more.sequence, "0007");
    assert_int_equal(more.count, 2);
    assert_string_not_equal(plain.digest, more.digest); /* another payload */
    bad(GOOD ",\"Trace\":\"x\"}", "");
    bad(GOOD ",\"a_b\":\"x\"}", "");
    bad(GOOD ",\"abcdefghijklmnopqrstu\":\"x\"}", "");
    bad(GOOD ",\"x\":{}}", "/x");
    bad(GOOD ",\"x\":2147483648}", "/x");
    bad(GOOD ",\"x\":1.5}", "/x");
    bad(GOOD ",\"data_base64\":\"eA==\"}", "/data_base64");
    bad(GOOD ",\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,\"k\":1,"
             "\"l\":1,\"m\":1,\"n\":1,\"o\":1,\"p\":1,\"q\":1}",
        "");
}

static void order_and_space_do_not_change_the_digest(void **state)
{
    struct report one = good("{\"a\":1,\"b\":2,\"specversion\":\"1.0\",\"type\":\"" REPORT_TYPE
                             "\",\"source\":\"/providers/p1/m\",\"id\":\"1\",\"subject\":\"s\",\"time\":"
                             "\"2026-11-03T00:00:00Z\"" DATA("") "}"),
                  two = good("{ \"b\" : 2" DATA(
                      "") ", \"time\":\"2026-11-03T00:00:00Z\",\"type\":\"" REPORT_TYPE
                          "\",\"source\":\"/providers/p1/m\",\"id\":\"1\",\"subject\":\"s\",\"a\":1,"
                          "\"specversion\":\"1.0\"}");
    assert_string_equal(one.digest, two.digest);
}

static void bad_members_are_named(void **state)
{
    static const struct {
        const char *from, *to, *pointer;
    } changes[] = {
        {"\"1.0\"", "\"0.3\"", "/specversion"},
        {"usage.state.v1", "usage.state.v2", "/type"},
        {"/providers/p1/meter", "/providers/p1/", "/source"},
        {"/providers/p1/meter", "/providers/p1", "/source"},
        {"/providers/p1/meter", "/providers//meter", "/source"},
        {"/providers/p1/meter", "/providers/P1/meter", "/source"},
        {"/providers/p1/meter", "https://p1/meter", "/source"},
        {"/providers/p1/meter", "/providers/p1/a b", "/source"},
        {"\"e1\"", "\"\"", "/id"},
        {"\"e1\"", "\"a|b\"", "/id"},
        {"\"e1\"", "\"\xe4\xba\x91\"", "/id"},
        {"\"e1\"", "7", "/id"},
        {"\"vm-7\"", "\"vm 7\"", "/subject"},
        {"\"subject\"", "\"subjects\"", "/subject"},
        {"2026-11-03T08:00:00.000001+08:00", "2026-11-03", "/time"},
        {"\"u1\"", "\"U1\"", "/data/unit"},
        {"\"cloud\"", "\"clouds\"", "/data/cloud"},
        {"\"items\":[", "\"kind\":\"moon\",\"items\":[", "/data/kind"},
        {"\"items\":[", "\"architecture\":\"z80\",\"items\":[", "/data/architecture"},
        {"\"1002\"", "\"2001\"", "/data/items/0/item"},
        {"\"1002\"", "\"1001\"", "/data/items/1"},
        {"\"8\"", "8", "/data/items/0/quantity"},
        {"\"8\"", "\"-8\"", "/data/items/0/quantity"},
        {"\"8\"", "\"1000000000.000001\"", "/data/items/0/quantity"},
        {"\"8\"", "\"8\",\"tariff\":\"allowance\"", "/data/items/0/tariff"},
        {"\"8\"", "\"8\",\"price\":\"1\"", "/data/items/0/price"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const char *text = GOOD "}", *at = strstr(text, changes[i].from);
        assert_non_null(at);
        bad(arena_printf(arena, "%.*s%s%s", (int)(at - text), text, changes[i].to,
                         at + strlen(changes[i].from)),
            changes[i].pointer);
    }
}

static size_t split(enum media_events media, const char *bytes, struct report_slot **ret_slots)
{
    size_t count;
    struct error *error = report_split(arena, media, bytes, strlen(bytes), ret_slots, &count);
    if (error)
        fail_msg("%s", error_message(error));
    return count;
}

static void bodies_are_split(void **state)
{
    struct report_slot *slots;
    assert_int_equal(split(MEDIA_EVENTS_BATCH, "[]", &slots), 0);
    assert_int_equal(split(MEDIA_EVENTS_LINES, "", &slots), 0);
    assert_int_equal(split(MEDIA_EVENTS_ONE, GOOD "}", &slots), 1);
    assert_null(slots[0].error);
    assert_int_equal(split(MEDIA_EVENTS_BATCH, "[" GOOD "},7,{}]", &slots), 3);
    assert_null(slots[0].error);
    assert_non_null(slots[1].error);
    assert_non_null(slots[2].error);
    assert_int_equal(split(MEDIA_EVENTS_LINES, "\n" GOOD "}\r\n  \n{\n" GOOD "}", &slots), 3);
    assert_true(!slots[0].error && slots[1].error && !slots[2].error);
}

static void bodies_that_are_refused(void **state)
{
    static const struct {
        enum media_events media;
        const char *bytes;
    } bodies[] = {{MEDIA_EVENTS_ONE, ""},
                  {MEDIA_EVENTS_ONE, "{"},
                  {MEDIA_EVENTS_BATCH, "{}"},
                  {MEDIA_EVENTS_BATCH, "[,]"},
                  {MEDIA_EVENTS_BATCH, "[{\"a\":1,\"a\":2}]"}};
    struct report_slot *slots;
    size_t count;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct error *error =
            report_split(arena, bodies[i].media, bodies[i].bytes, strlen(bodies[i].bytes), &slots, &count);
        assert_non_null(error);
        assert_int_equal(error_code(error), ERR_INVALID);
        error_free(error);
    }
    char *many = arena_alloc(arena, 3 * (REPORT_BATCH_MAX + 2));
    for (size_t i = 0; i <= REPORT_BATCH_MAX; i++)
        memcpy(many + 2 * i, "7\n", 2);
    struct error *error = report_split(arena, MEDIA_EVENTS_LINES, many, strlen(many), &slots, &count);
    assert_true(error && error_code(error) == ERR_TOO_LARGE);
    error_free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_read),
        cmocka_unit_test(extensions_are_kept_out_of_the_count),
        cmocka_unit_test(order_and_space_do_not_change_the_digest),
        cmocka_unit_test(bad_members_are_named),
        cmocka_unit_test(bodies_are_split),
        cmocka_unit_test(bodies_that_are_refused),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
