/* What each role may do, written down here a second time from the roles' descriptions, and what each scope
 * sees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "broker/auth/principal.h"

/* Every permission that the role holds; a permission missing in a list must be denied. */
static const char *const expected[ROLE_COUNT] = {
    /* Runs the platform: everything but what guests print, and permission for data to leave: these are their
     * unit's. */
    [ROLE_PLATFORM_ADMIN] =
        " links:read links:write migrations:approve migrations:operate migrations:plan migrations:read "
        "waves:operate waves:plan waves:read "
        "assessments:read "
        "assessments:write consents:read alerts:read audit:read audit:verify bids:approve "
        "bids:read bids:write bills:close "
        "bills:read "
        "budgets:read budgets:write "
        "exports:read exports:write imports:read imports:write "
        "capacity:read capacity:write "
        "catalog:read clouds:read clouds:write drift:read drift:resolve endpoints:read endpoints:write "
        "events:read fulfilments:read fulfilments:write instances:operate instances:read jobs:operate "
        "jobs:read keys:read keys:rotate "
        "metrics:read months:archive operations:cancel operations:read operations:retry orders:approve "
        "orders:read "
        "orders:write prices:read "
        "principals:read principals:write providers:read providers:write quotas:read quotas:write "
        "quotes:write resources:operate resources:read runs:read self:read statements:read systems:write "
        "tokens:issue "
        "tokens:read "
        "tokens:revoke units:read units:write usage:decide usage:read usage:write volumes:operate "
        "volumes:read ",
    /* Reads; never writes. */
    [ROLE_REGULATOR] =
        " exports:read imports:read "
        "links:read migrations:read waves:read assessments:read consents:read alerts:read audit:read "
        "bids:read "
        "bills:read "
        "budgets:read "
        "capacity:read catalog:read "
        "clouds:read "
        "drift:read "
        "endpoints:read "
        "events:read instances:read operations:read orders:read prices:read providers:read quotas:read "
        "resources:read self:read keys:read statements:read units:read usage:read volumes:read ",
    /* Its prices, and sight of what runs on its clouds; nothing that belongs to tenants is operated. */
    [ROLE_PROVIDER_OPERATOR] =
        " links:read migrations:read waves:read alerts:read bids:read bids:write bills:read capacity:read "
        "catalog:read "
        "clouds:read "
        "drift:read "
        "endpoints:read events:read fulfilments:read fulfilments:write instances:read "
        "operations:read prices:read "
        "providers:read resources:read self:read keys:read usage:read usage:write volumes:read ",
    /* All of its unit, people included. */
    [ROLE_UNIT_ADMIN] =
        " exports:download exports:read exports:write imports:read imports:write migrations:accept "
        "migrations:approve migrations:read waves:read assessments:read assessments:write "
        "consents:read consents:write audit:read bills:read budgets:read "
        "budgets:write catalog:read "
        "clouds:read events:read "
        "instances:console instances:operate "
        "instances:read "
        "operations:cancel operations:read operations:retry orders:approve orders:read orders:write "
        "prices:read "
        "principals:read principals:write providers:read quotas:read quotes:write resources:operate "
        "resources:read self:read keys:read systems:write tokens:issue tokens:read tokens:revoke units:read "
        "usage:read "
        "volumes:operate volumes:read ",
    /* Orders and operates; no people, no approvals. */
    [ROLE_UNIT_OPERATOR] =
        " exports:read imports:read imports:write migrations:read waves:read assessments:read consents:read "
        "bills:read "
        "budgets:read catalog:read clouds:read "
        "events:read "
        "instances:console "
        "instances:operate "
        "instances:read "
        "operations:cancel "
        "operations:read operations:retry orders:read orders:write prices:read providers:read quotas:read "
        "quotes:write "
        "resources:operate resources:read self:read keys:read units:read usage:read volumes:operate "
        "volumes:read ",
    /* Operates what it moves; does not buy and does not see bills. */
    [ROLE_MIGRATION_ENGINEER] =
        " exports:download exports:read exports:write imports:read imports:write "
        "links:read migrations:operate migrations:plan migrations:read waves:operate waves:plan waves:read "
        "assessments:read assessments:write "
        "consents:read catalog:read clouds:read events:read "
        "instances:console instances:operate "
        "instances:read "
        "operations:cancel "
        "operations:read orders:read prices:read providers:read quotas:read quotes:write resources:operate "
        "resources:read self:read keys:read units:read volumes:operate volumes:read ",
    /* Reads everything. */
    [ROLE_AUDITOR] =
        " exports:read imports:read "
        "links:read migrations:read waves:read assessments:read consents:read alerts:read audit:read "
        "audit:verify "
        "bids:read "
        "bills:read "
        "budgets:read capacity:read "
        "catalog:read "
        "clouds:read "
        "drift:read "
        "endpoints:read events:read fulfilments:read instances:read jobs:read keys:read metrics:read "
        "operations:read "
        "orders:read prices:read principals:read providers:read quotas:read resources:read runs:read "
        "self:read "
        "statements:read tokens:read units:read usage:read volumes:read ",
};

static bool expects(enum role role, const char *permission)
{
    char word[64];
    assert_true(snprintf(word, sizeof word, " %s ", permission) < (int)sizeof word);
    return strstr(expected[role], word) != NULL;
}

static void test_roles_by_permissions(void **state)
{
    for (size_t i = 0; role_permission_at(i); i++)
        for (int role = 0; role < ROLE_COUNT; role++)
            if (role_may((enum role)role, role_permission_at(i)) !=
                expects((enum role)role, role_permission_at(i)))
                fail_msg("%s and %s", role_name((enum role)role), role_permission_at(i));
    /* And none is expected here that the data lacks. */
    for (int role = 0; role < ROLE_COUNT; role++) {
        char words[2048], *rest = words;
        assert_true(snprintf(words, sizeof words, "%s", expected[role]) < (int)sizeof words);
        for (const char *word; (word = strsep(&rest, " "));)
            if (*word && !role_permission_known(word))
                fail_msg("%s is not in roles.csv", word);
    }
}

/* Rules that must hold whatever the table says in detail. */
static void test_rules(void **state)
{
    for (size_t i = 0; role_permission_at(i); i++) {
        const char *permission = role_permission_at(i);
        bool reads = strstr(permission, ":read") != NULL;
        bool of_units = !strcmp(permission, "instances:console") || !strcmp(permission, "consents:write") ||
                        !strcmp(permission, "migrations:accept") || !strcmp(permission, "exports:download");
        if (role_may(ROLE_PLATFORM_ADMIN, permission) == of_units)
            fail_msg("platform-admin and %s", permission);
        if (role_may(ROLE_REGULATOR, permission) && !reads)
            fail_msg("regulator writes: %s", permission);
        if (role_may(ROLE_AUDITOR, permission) != (reads || !strcmp(permission, "audit:verify")))
            fail_msg("auditor and %s", permission);
        if (role_may(ROLE_UNIT_OPERATOR, permission) && !role_may(ROLE_UNIT_ADMIN, permission))
            fail_msg("unit-operator has more than unit-admin: %s", permission);
    }
    for (int i = 0; i < ROLE_COUNT; i++) /* procurement 2.5: in a unit's name, nobody but itself */
        for (size_t k = 0; k < 2; k++)
            assert_int_equal(role_may((enum role)i, k ? "migrations:accept" : "consents:write"),
                             i == ROLE_UNIT_ADMIN);
    assert_false(role_may(ROLE_PLATFORM_ADMIN, "orders:fly"));
    assert_false(role_may(ROLE_PLATFORM_ADMIN, ""));
    assert_false(role_may(ROLE_PLATFORM_ADMIN, "permission"));
    assert_true(role_permission_known("orders:write"));
    assert_false(role_permission_known("order:write"));
    enum role role;
    struct error *error = role_parse("root", &role);
    assert_int_equal(error_code(error), ERR_INVALID);
    error_free(error);
    for (int i = 0; i < ROLE_COUNT; i++) {
        assert_null(role_parse(role_name((enum role)i), &role));
        assert_int_equal(role, i);
    }
}

static struct principal *make(const struct principal_grant *grant)
{
    struct principal *principal = NULL;
    struct error *error = principal_new(grant, &principal);
    if (error)
        fail_msg("%s", error_message(error));
    return principal;
}

static void test_scopes(void **state)
{
    static const char *const systems[] = {"u1001", "u1002"};
    static const char *const clouds[] = {"health-a", "health-b"};
    const struct {
        struct principal_grant grant;
        const char *units, *systems, *clouds, *providers; /* of db_scope */
        bool all, unit_u1, unit_u2, u1001, u1003, u1_none, u2_with_u1001, health_a, health, provider_p1,
            provider_p2;
    } cases[] = {
        {{.id = "a", .role = ROLE_PLATFORM_ADMIN},
         .all = true,
         .unit_u1 = true,
         .unit_u2 = true,
         .u1001 = true,
         .u1003 = true,
         .u1_none = true,
         .u2_with_u1001 = true,
         .health_a = true,
         .health = true,
         .provider_p1 = true,
         .provider_p2 = true},
        {{.id = "a", .role = ROLE_AUDITOR},
         .all = true,
         .unit_u1 = true,
         .unit_u2 = true,
         .u1001 = true,
         .u1003 = true,
         .u1_none = true,
         .u2_with_u1001 = true,
         .health_a = true,
         .health = true,
         .provider_p1 = true,
         .provider_p2 = true},
        {{.id = "a", .role = ROLE_REGULATOR},
         .all = true,
         .unit_u1 = true,
         .unit_u2 = true,
         .u1001 = true,
         .u1003 = true,
         .u1_none = true,
         .u2_with_u1001 = true,
         .health_a = true,
         .health = true,
         .provider_p1 = true,
         .provider_p2 = true},
        {{.id = "a", .role = ROLE_REGULATOR, .clouds = clouds, .cloud_count = 2},
         .clouds = "health-a,health-b",
         .health_a = true},
        {{.id = "a", .role = ROLE_PROVIDER_OPERATOR, .provider = "p1"},
         .providers = "p1",
         .provider_p1 = true},
        {{.id = "a", .role = ROLE_UNIT_ADMIN, .unit = "u1"},
         .units = "u1",
         .unit_u1 = true,
         .u1001 = true,
         .u1003 = true,
         .u1_none = true},
        {{.id = "a", .role = ROLE_UNIT_OPERATOR, .unit = "u1", .systems = systems, .system_count = 2},
         .units = "u1",
         .systems = "u1001,u1002",
         .unit_u1 = true,
         .u1001 = true},
        {{.id = "a", .role = ROLE_MIGRATION_ENGINEER, .unit = "u2"},
         .units = "u2",
         .unit_u2 = true,
         .u2_with_u1001 = true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct principal *principal = make(&cases[i].grant);
        const struct db_scope *scope = principal_scope(principal);
        assert_int_equal(scope->all, cases[i].all);
        const char *const pairs[][2] = {{scope->units, cases[i].units},
                                        {scope->systems, cases[i].systems},
                                        {scope->clouds, cases[i].clouds},
                                        {scope->providers, cases[i].providers}};
        for (size_t k = 0; k < 4; k++) {
            assert_int_equal(!pairs[k][0], !pairs[k][1]);
            if (pairs[k][0])
                assert_string_equal(pairs[k][0], pairs[k][1]);
        }
        assert_int_equal(principal_sees_all(principal), cases[i].all);
        assert_int_equal(principal_sees_unit(principal, "u1"), cases[i].unit_u1);
        assert_int_equal(principal_sees_unit(principal, "u2"), cases[i].unit_u2);
        assert_int_equal(principal_sees_unit(principal, NULL), cases[i].all);
        assert_int_equal(principal_sees_system(principal, "u1", "u1001"), cases[i].u1001);
        assert_int_equal(principal_sees_system(principal, "u1", "u1003"), cases[i].u1003);
        assert_int_equal(principal_sees_system(principal, "u1", NULL), cases[i].u1_none);
        assert_int_equal(principal_sees_system(principal, "u2", "u1001"), cases[i].u2_with_u1001);
        assert_int_equal(principal_sees_cloud(principal, "health-a"), cases[i].health_a);
        assert_int_equal(principal_sees_cloud(principal, "health"), cases[i].health);
        assert_int_equal(principal_sees_provider(principal, "p1"), cases[i].provider_p1);
        assert_int_equal(principal_sees_provider(principal, "p2"), cases[i].provider_p2);
        principal_unref(principal);
    }
}

static void test_refused_grants(void **state)
{
    static const char *const names[] = {"x"};
    static const char *const injected[] = {"x,y"};
    const struct {
        struct principal_grant grant;
        const char *pointer;
    } cases[] = {
        {{.id = "A", .role = ROLE_AUDITOR}, "/id"},
        {{.id = "", .role = ROLE_AUDITOR}, "/id"},
        {{.id = "a", .role = ROLE_UNIT_ADMIN}, "/unit"},
        {{.id = "a", .role = ROLE_UNIT_ADMIN, .unit = "u1,u2"}, "/unit"},
        {{.id = "a", .role = ROLE_PLATFORM_ADMIN, .unit = "u1"}, "/unit"},
        {{.id = "a", .role = ROLE_PROVIDER_OPERATOR}, "/provider"},
        {{.id = "a", .role = ROLE_UNIT_ADMIN, .unit = "u1", .provider = "p1"}, "/provider"},
        {{.id = "a", .role = ROLE_REGULATOR, .systems = names, .system_count = 1}, "/systems"},
        {{.id = "a", .role = ROLE_UNIT_ADMIN, .unit = "u", .systems = injected, .system_count = 1},
         "/systems"},
        {{.id = "a", .role = ROLE_AUDITOR, .clouds = names, .cloud_count = 1}, "/clouds"},
        {{.id = "a", .role = ROLE_REGULATOR, .clouds = injected, .cloud_count = 1}, "/clouds"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct principal *principal = NULL;
        struct error *error = principal_new(&cases[i].grant, &principal);
        assert_int_equal(error_code(error), ERR_INVALID);
        size_t count;
        const struct error_detail *details = error_details(error, &count);
        assert_int_equal(count, 1);
        assert_string_equal(details[0].pointer, cases[i].pointer);
        error_free(error);
    }
}

static void test_may_manage(void **state)
{
    static const char *const one[] = {"s1"};
    static const char *const two[] = {"s1", "s2"};
    const struct principal_grant admin = {.id = "root", .role = ROLE_PLATFORM_ADMIN};
    const struct principal_grant unit_admin = {.id = "ua", .role = ROLE_UNIT_ADMIN, .unit = "u1"};
    const struct principal_grant part_admin = {
        .id = "pa", .role = ROLE_UNIT_ADMIN, .unit = "u1", .systems = one, .system_count = 1};
    const struct principal_grant operator= {.id = "uo", .role = ROLE_UNIT_OPERATOR, .unit = "u1"};
    const struct {
        const struct principal_grant *actor;
        struct principal_grant grant;
        bool may;
    } cases[] = {
        {&admin, {.id = "x", .role = ROLE_PLATFORM_ADMIN}, true},
        {&admin, {.id = "x", .role = ROLE_UNIT_ADMIN, .unit = "u2"}, true},
        {&unit_admin, {.id = "x", .role = ROLE_UNIT_ADMIN, .unit = "u1"}, true},
        {&unit_admin, {.id = "x", .role = ROLE_MIGRATION_ENGINEER, .unit = "u1"}, true},
        {&unit_admin, {.id = "x", .role = ROLE_UNIT_OPERATOR, .unit = "u2"}, false},
        {&unit_admin, {.id = "x", .role = ROLE_PLATFORM_ADMIN}, false},
        {&unit_admin, {.id = "x", .role = ROLE_AUDITOR}, false},
        {&unit_admin, {.id = "x", .role = ROLE_REGULATOR}, false},
        {&unit_admin, {.id = "x", .role = ROLE_PROVIDER_OPERATOR, .provider = "p1"}, false},
        {&part_admin, {.id = "x", .role = ROLE_UNIT_OPERATOR, .unit = "u1"}, false},
        {&part_admin,
         {.id = "x", .role = ROLE_UNIT_OPERATOR, .unit = "u1", .systems = two, .system_count = 2},
         false},
        {&part_admin,
         {.id = "x", .role = ROLE_UNIT_OPERATOR, .unit = "u1", .systems = one, .system_count = 1},
         true},
        {&operator, {.id = "x", .role = ROLE_UNIT_OPERATOR, .unit = "u1"}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct principal *actor = make(cases[i].actor);
        struct error *error = principal_may_manage(actor, &cases[i].grant);
        if (!error != cases[i].may)
            fail_msg("case %zu: %s", i, error ? error_message(error) : "allowed");
        if (error)
            assert_int_equal(error_code(error), ERR_DENIED);
        error_free(error);
        principal_unref(actor);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roles_by_permissions),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_refused_grants),
        cmocka_unit_test(test_may_manage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
