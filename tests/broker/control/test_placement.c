/* What may be ordered where: the pure rules, and what an order says of them. A provider without qualification
 * (a suspended cloud) and one without an approved bid take no new orders, while what runs goes on; bandwidth
 * and addresses of the extranet are not the provider's to rent out. */
#include "broker/control/placement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/broker/control/house.h"

static const struct placement_facts fine = {.unit_kind = "hospital",
                                            .unit_state = "active",
                                            .cloud_kind = "health",
                                            .cloud_state = "active",
                                            .provider = "p",
                                            .zone_kind = "internet"};

/* `wanted` NULL: nothing is wrong; else the one thing that is. */
static void says(const char *kind, const char *zone, const struct placement_facts *facts, const char *wanted)
{
    const struct placement_wish wish = {.kind = kind, .cloud = "c", .zone = zone};
    struct error *errors = NULL;
    size_t count = 0;
    placement_check(&wish, facts, "/resources/0", &errors);
    const struct error_detail *details = errors ? error_details(errors, &count) : NULL;
    assert_int_equal(count, wanted ? 1 : 0);
    if (wanted && !strstr(details[0].message, wanted))
        fail_msg("%s", details[0].message);
    error_free(errors);
}

/* 2.1.1, 2.3.2: the extranet's bandwidth is the managing unit's. */
static void only_the_internet_is_rented(void **state)
{
    static const char *const kinds[] = {"address", "bandwidth"};
    for (size_t i = 0; i < 2; i++) {
        struct placement_facts facts = fine;
        says(kinds[i], "z", &facts, NULL);
        facts.zone_kind = "extranet";
        says(kinds[i], "z", &facts, "internet zone (procurement 2.3.2)");
    }
}

/* 4.3.2.1, 1.5.2: no new business while a qualification has lapsed, or while a provider leaves. */
static void a_suspended_cloud_takes_nothing_new(void **state)
{
    struct placement_facts facts = fine;
    facts.cloud_state = "suspended";
    facts.cloud_reason = "the qualification has lapsed";
    says("address", "z", &facts, "takes no new orders: it is suspended, the qualification has lapsed");
    facts.cloud_state = "leaving";
    facts.cloud_reason = NULL;
    says("waf", NULL, &facts, "takes no new orders: it is leaving");
    facts = fine;
    facts.unit_state = "suspended";
    says("waf", NULL, &facts, "the unit is suspended");
}

static void is(const char *sql, const char *wanted)
{
    char *found = house_text(sql);
    assert_string_equal(found, wanted);
    free(found);
}

#define LINE(name) "[{\"kind\":\"bandwidth\",\"name\":\"" name "\",\"spec\":{\"mbps\":10,\"zone\":\"net\"}}]"

static void what_runs_goes_on_while_a_cloud_is_suspended(void **state)
{
    char operation[37];
    house_run();
    ok(house_order(LINE("before"), operation));
    house_await(operation, "succeeded");
    pg_exec(house.pg, "UPDATE cloud SET state = 'suspended', state_reason = 'the qualification has lapsed'");
    refused(house_order(LINE("after"), operation), ERR_INVALID);
    is("SELECT string_agg(item || ' ' || (end_at = 'infinity'), ',') FROM usage_interval", "1016 true");
    ok(house_operate("before", VERB_DELETE, NULL, operation)); /* and can be left */
    house_await(operation, "succeeded");
    pg_exec(house.pg, "UPDATE cloud SET state = 'active', state_reason = NULL");
    ok(house_order(LINE("after"), operation));
    house_await(operation, "succeeded");
}

/* 1.2.2.2, 3.1.1: without a bid that the managing unit approved there is no price, so nothing to order. */
static void nothing_is_ordered_before_a_bid_is_approved(void **state)
{
    char operation[37];
    pg_exec(house.pg, "UPDATE price SET valid_to = '2020-02-01'");
    refused(house_order(LINE("early"), operation), ERR_INVALID);
    is("SELECT count(*)::text FROM resource", "0");
    pg_exec(house.pg, "UPDATE price SET valid_to = '2090-01-01'");
    ok(house_order(LINE("early"), operation));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, house_reset, house_rest)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_internet_is_rented),
        cmocka_unit_test(a_suspended_cloud_takes_nothing_new),
        TEST(what_runs_goes_on_while_a_cloud_is_suspended),
        TEST(nothing_is_ordered_before_a_bid_is_approved),
    };
    return cmocka_run_group_tests(tests, house_open, house_close);
}
