/* What a resource uses follows its state, size and power, and its provider's agreement, whatever this
 * broker's clock says: resource_meter in a real database. */
#include "broker/control/resource.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/control/remeter.h"
#include "catalog/provider.h"
#include "tests/support/pg.h"

#define RESOURCE "00000000-0000-7000-8000-000000000001"

static struct pg *pg;
static struct db *db;
static const struct month january = {2027, 1};

static void ok(struct error *error)
{
    if (error)
        fail_msg("%s: %s", error_code_name(error_code(error)), error_message(error));
}

static int open_house(void **state)
{
    pg = pg_start();
    ok(db_connect(pg_conninfo(pg), &db));
    return 0;
}

static int close_house(void **state)
{
    db_close(db);
    pg_stop(pg);
    return 0;
}

/* Provider p from the beginning on, and one running machine of 4 vCPU, 8 GB, 100 GB, not metered yet. */
static int begin(void **state)
{
    pg_exec(
        pg,
        "SET session_replication_role = replica; DELETE FROM usage_interval; DELETE FROM resource;"
        " INSERT INTO cloud (id, name, kind, provider_id, created_at, updated_at)"
        " VALUES ('c1', 'c1', 'health', 'p', now(), now()) ON CONFLICT DO NOTHING;"
        " DELETE FROM agreement; DELETE FROM provider;"
        " INSERT INTO resource (unit_id, id, system_id, cloud_id, provider_id, order_id, kind, name, state,"
        " power, spec, created_at, touched_at) VALUES ('u1', '" RESOURCE "', 'u1001', 'c1', 'p', '" RESOURCE
        "', 'instance', 'web', 'active', 'on',"
        " '{\"vcpu\": 4, \"memory_gb\": 8, \"architecture\": \"x86\", \"image\": \"i\", \"zone\": \"z\","
        " \"system_disk_gb\": 100, \"system_disk_performance\": \"standard\"}', now(), now())");
    return 0;
}

/* One step: what becomes of the machine, and when by this broker's clock. */
struct step {
    enum resource_state state;
    const char *power;
    moment now;
};

static struct error *step_body(struct db *at, void *context)
{
    const struct step *step = context;
    ARENA_AUTO struct arena *arena = arena_new();
    struct resource resource;
    TRY(resource_load(at, arena, "u1", RESOURCE, NULL, &resource));
    if (resource.state != step->state) {
        TRY(resource_become(at, &resource, resource.state, step->state, NULL, step->now));
        resource.state = step->state;
    }
    TRY(resource_set_power(at, &resource, step->power, step->now));
    resource.power = step->power;
    return resource_meter(at, &resource, step->now);
}

static void step(enum resource_state state, const char *power, moment now)
{
    struct step step = {state, power, now};
    ok(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, step_body, &step));
}

static struct error *provider_body(struct db *at, void *context)
{
    return provider_add(at, "p", "P", NULL, context, month_start(january));
}

static void provider(struct agreement agreement)
{
    ok(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, provider_body, &agreement));
}

/* "1001=4@0-60": quantity and seconds since the start of January, by item and start. */
static void is(const char *wanted)
{
    char *found = pg_value(
        pg,
        "SELECT string_agg(item || '=' || (micro / 1000000) || '@' ||"
        " extract(epoch FROM start_at - '2027-01-01T00:00:00+08:00')::float || '-' ||"
        " coalesce(extract(epoch FROM nullif(end_at, 'infinity') - '2027-01-01T00:00:00+08:00')::float::text,"
        " ''), ' ' ORDER BY item, start_at) FROM usage_interval");
    assert_string_equal(found, wanted);
    free(found);
}

#define T(seconds) (month_start(january) + (seconds)*MOMENT_SECOND)

/* Another broker, whose clock is ahead by an hour, stopped the machine; ours starts and deletes it. */
static void a_clock_behind_takes_the_latest_change(void **state)
{
    provider((struct agreement){.stopped_instance = STOPPED_STORAGE_ONLY});
    step(RESOURCE_ACTIVE, "on", T(0));
    step(RESOURCE_ACTIVE, "off", T(3600));
    step(RESOURCE_ACTIVE, "on", T(10));
    is("1001=4@0-3600 1001=4@3600- 1002=8@0-3600 1002=8@3600- 1011=1@0-");
    step(RESOURCE_ACTIVE, "off", T(11));
    is("1001=4@0-3600 1002=8@0-3600 1011=1@0-");
    step(RESOURCE_DELETING, "off", T(12));
    step(RESOURCE_DELETED, "off", T(13));
    is("1001=4@0-3600 1002=8@0-3600 1011=1@0-3600");
}

/* A machine that another broker made a moment in our future and that we delete now was never used. */
static void what_never_lasted_costs_nothing(void **state)
{
    provider(agreement_default);
    step(RESOURCE_ACTIVE, "on", T(0) + 1);
    step(RESOURCE_DELETING, "on", T(0));
    step(RESOURCE_DELETED, "on", T(0));
    is("");
}

static struct error *agree_body(struct db *at, void *context)
{
    return provider_agree(at, "p", context, month_start(january));
}

struct round {
    moment now;
    bool more;
};

static struct error *remeter_body(struct db *at, void *context)
{
    struct round *round = context;
    ARENA_AUTO struct arena *arena = arena_new();
    return remeter_page(at, arena, round->now, &round->more);
}

/* How many pages there were. */
static int remeter(moment now)
{
    struct round round = {.now = now};
    for (int pages = 0; pages < 100; pages++) {
        ok(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, remeter_body, &round));
        if (!round.more)
            return pages;
    }
    fail_msg("no end of pages");
    return -1;
}

/* The disk of a machine that nobody touches is charged in January and included from February on. */
static void settings_reach_what_runs(void **state)
{
    struct agreement next = {.system_disk = SYSTEM_DISK_INCLUDED};
    provider(agreement_default);
    step(RESOURCE_ACTIVE, "on", T(0));
    ok(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, agree_body, &next));
    assert_int_equal(remeter(month_end(january) - 1), 0);
    is("1001=4@0- 1002=8@0- 1011=1@0-");
    assert_int_equal(remeter(month_end(january) + 90 * MOMENT_SECOND), 1);
    is("1001=4@0- 1002=8@0- 1011=1@0-2678400");
    assert_int_equal(remeter(month_end(january) + MOMENT_DAY), 0);
}

/* It was stopped under the new settings before the walk came by: that stands. */
static void what_changed_since_is_left_alone(void **state)
{
    struct agreement next = {.stopped_instance = STOPPED_STORAGE_ONLY};
    provider(agreement_default);
    step(RESOURCE_ACTIVE, "on", T(0));
    ok(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, agree_body, &next));
    step(RESOURCE_ACTIVE, "off", month_end(january) + MOMENT_SECOND);
    assert_int_equal(remeter(month_end(january) + 2 * MOMENT_SECOND), 1);
    is("1001=4@0-2678401 1002=8@0-2678401 1011=1@0-");
}

static void many_are_walked_in_pages(void **state)
{
    struct agreement next = {.small_quantity = SMALL_WHOLE};
    provider(agreement_default);
    pg_exec(
        pg,
        "INSERT INTO resource (unit_id, id, system_id, cloud_id, provider_id, order_id, kind, name, state,"
        " power, spec, created_at, touched_at) SELECT 'u1', gen_random_uuid(), system_id, cloud_id,"
        " provider_id, order_id, 'volume', 'v' || i, CASE WHEN i > 210 THEN 'deleted' ELSE 'active' END,"
        " 'none', '{\"size_gb\": 20, \"performance\": \"high\"}', now(), now()"
        " FROM resource, generate_series(1, 220) i");
    ok(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, agree_body, &next));
    assert_int_equal(remeter(month_end(january)), 3);
    assert_int_equal(pg_number(pg,
                               "SELECT count(*) FROM usage_interval WHERE item = '1012' AND micro = 1000000"
                               " AND start_at = '2027-02-01T00:00:00+08:00'"),
                     210);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_clock_behind_takes_the_latest_change, begin),
        cmocka_unit_test_setup(what_never_lasted_costs_nothing, begin),
        cmocka_unit_test_setup(settings_reach_what_runs, begin),
        cmocka_unit_test_setup(what_changed_since_is_left_alone, begin),
        cmocka_unit_test_setup(many_are_walked_in_pages, begin),
    };
    return cmocka_run_group_tests(tests, open_house, close_house);
}
