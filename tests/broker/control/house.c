/* See house.h. */
#include "tests/broker/control/house.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/control/operation.h"
#include "broker/control/sync.h"

struct house house;

void ok(struct error *error)
{
    if (error)
        fail_msg("%s: %s", error_code_name(error_code(error)), error_message(error));
}

void refused(struct error *error, enum error_code code)
{
    if (!error)
        fail_msg("%s was wanted, but it went well", error_code_name(code));
    if (error_code(error) != code)
        fail_msg("%s was wanted, not %s: %s", error_code_name(code), error_code_name(error_code(error)),
                 error_message(error));
    error_free(error);
}

int house_open(void **state)
{
    house.pg = pg_start();
    house.clock = clock_new(0);
    ok(db_connect(pg_conninfo(house.pg), &house.db));
    house.registry = registry_new();
    ok(driver_register(house.registry, &memory_driver));
    house.fleet = fleet_new(house.registry, &(struct secret_reach){0});
    house.services = (struct services){.fleet = house.fleet, .clock = house.clock};
    pg_exec(
        house.pg,
        "INSERT INTO provider (id, name, created_at, updated_at) VALUES ('p', 'P', now(), now());"
        "INSERT INTO agreement (provider_id, valid_from, settings, changed_at, metered_at)"
        " VALUES ('p', '1991-09-23', '{}', now(), now());"
        "INSERT INTO bid (id, provider_id, state, prices, weighted_total, submitted_by, submitted_at, "
        "approved_by,"
        " approved_at) VALUES ('b', 'p', 'approved', '{}', 1, 'x', now(), 'x', now());"
        "INSERT INTO price_book VALUES ('k', 'p', 'b', '2020-01-01', '2090-01-01', 'x', now());"
        "INSERT INTO price SELECT 'p', (1000 + i)::text, '2020-01-01', '2090-01-01', 100, 'k'"
        " FROM generate_series(1, 23) AS i;"
        "INSERT INTO cloud (id, name, kind, provider_id, created_at, updated_at)"
        " VALUES ('c', 'C', 'health', 'p', now(), now());"
        "INSERT INTO site VALUES ('c', 's', 'S', now());"
        "INSERT INTO endpoint (id, cloud_id, site_id, driver, url, timeout_us, created_at, updated_at) SELECT"
        " 'e-' || z, 'c', 's', 'memory', 'memory://' || z, 1000000, now(), now() FROM "
        "unnest('{ext,net}'::text[]) AS z;"
        "INSERT INTO zone (cloud_id, id, kind, site_id, endpoint_id, network, pool_v4, created_at) VALUES"
        " ('c', 'ext', 'extranet', 's', 'e-ext', 'n', NULL, now()),"
        " ('c', 'net', 'internet', 's', 'e-net', 'n', '198.51.100.0/29', now()),"
        " ('c', 'medical', 'insurance', 's', NULL, NULL, NULL, now());"
        "INSERT INTO image SELECT 'e-' || z, 'debian', 'r', 'x86', 5 FROM unnest('{ext,net}'::text[]) AS z;"
        "INSERT INTO unit VALUES ('u', 'U', 'hospital', 'active', 1, now(), now()),"
        " ('v', 'V', 'hospital', 'active', 1, now(), now());"
        "INSERT INTO system VALUES ('u', 'u001', 'A', false, 1, now(), now()), ('u', 'u002', 'B', false, 1, "
        "now(), now()),"
        " ('u', 'u003', 'M', true, 1, now(), now()), ('v', 'v001', 'V', false, 1, now(), now());");
    return 0;
}

int house_close(void **state)
{
    fleet_free(house.fleet);
    registry_free(house.registry);
    db_close(house.db);
    clock_free(house.clock);
    pg_stop(house.pg);
    return 0;
}

int house_reset(void **state)
{
    memory_cloud_reset();
    pg_exec(
        house.pg,
        "ALTER TABLE usage_interval DISABLE TRIGGER USER;" /* it never changes: but between two tests */
        "TRUNCATE orders, resource, operation, fulfilment, address_lease, drift, drift_history, alert, "
        "quota, capacity, "
        "job, "
        "usage_interval;"
        "ALTER TABLE usage_interval ENABLE TRIGGER USER;"
        "UPDATE endpoint SET enabled = true, synced_at = NULL, tried_at = NULL, sync_error = "
        "NULL, sync_failures = 0;"
        "INSERT INTO capacity (cloud_id, endpoint_id, metric, total) SELECT 'c', e, m, t"
        " FROM unnest('{e-ext,e-net}'::text[]) AS e,"
        " (VALUES ('vcpu', 64), ('memory_gb', 128), ('standard_gb', 2000), ('high_gb', 1000)) AS v (m, t);"
        "INSERT INTO capacity (cloud_id, endpoint_id, metric, total) VALUES ('c', '', 'bandwidth_mbps', "
        "100)");
    return 0;
}

void house_run(void)
{
    static const struct job_type *const types[] = {&order_job, &operate_job, &sync_job};
    ok(job_runner_start(&(struct job_runner_settings){.conninfo = pg_conninfo(house.pg),
                                                      .types = types,
                                                      .type_count = sizeof types / sizeof *types,
                                                      .workers = 3,
                                                      .context = &house.services,
                                                      .clock = house.clock},
                        &house.runner));
}

void house_halt(void)
{
    if (house.runner)
        job_runner_stop(house.runner, 20 * MOMENT_SECOND);
    house.runner = NULL;
}

int house_rest(void **state)
{
    memory_cloud_release();
    house_halt();
    return 0;
}

struct ordering {
    const char *system, *resources;
    char *operation;
};

static struct error *order_body(struct db *db, void *context)
{
    struct ordering *ordering = context;
    ARENA_AUTO struct arena *arena = arena_new();
    json_t *request = json_hold(arena, json_object());
    json_put_text(request, "system", ordering->system);
    json_put_text(request, "cloud", "c");
    json_put(request, "resources", json_loads(ordering->resources, 0, NULL));
    struct order_new order = {0};
    struct order_made made;
    TRY(json_read(arena, request, &order_spec, &order));
    order.unit = arena_strndup(arena, ordering->system, 1);
    TRY(order_place(db, arena, "tester", &order, request, clock_now(house.clock), &made));
    memcpy(ordering->operation, made.operation, 37);
    return NULL;
}

struct error *house_order_of(struct db *db, const char *system, const char *resources, char ret_operation[37])
{
    struct ordering ordering = {system, resources, ret_operation};
    return db_transaction(db, &db_scope_system, DB_READ_COMMITTED, order_body, &ordering);
}

struct error *house_order(const char *resources, char ret_operation[37])
{
    return house_order_of(house.db, "u001", resources, ret_operation);
}

struct operating {
    const char *name, *args;
    enum verb verb;
    char *operation;
};

static struct error *operate_body(struct db *db, void *context)
{
    struct operating *operating = context;
    ARENA_AUTO struct arena *arena = arena_new();
    struct resource resource;
    char id[37];
    const char *operation;
    house_id(operating->name, id);
    TRY(resource_load(db, arena, "u", id, NULL, &resource));
    json_t *args = operating->args ? json_hold(arena, json_loads(operating->args, 0, NULL)) : NULL;
    if (operating->verb == VERB_RESIZE) { /* args are the members that change */
        json_t *whole = json_hold(arena, json_object()), *spec = json_deep_copy(resource.spec);
        assert_int_equal(json_object_update(spec, args), 0);
        json_put(whole, "spec", spec);
        json_put_bool(whole, "allow_restart", json_is_true(json_object_get(args, "allow_restart")));
        (void)json_object_del(spec, "allow_restart"); /* there or not */
        if (json_object_get(args, "expansion_days"))
            json_put(whole, "expansion_days", json_incref(json_object_get(args, "expansion_days")));
        (void)json_object_del(spec, "expansion_days"); /* likewise */
        args = whole;
    }
    TRY(operate_begin(db, arena, &resource, operating->verb, args, "tester", clock_now(house.clock),
                      &operation));
    memcpy(operating->operation, operation, 37);
    return NULL;
}

struct error *house_operate(const char *name, enum verb verb, const char *args, char ret_operation[37])
{
    struct operating operating = {name, args, verb, ret_operation};
    return db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, operate_body, &operating);
}

static struct error *cancel_body(struct db *db, void *context)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct operation operation;
    TRY(operation_load(db, arena, NULL, context, &operation));
    return operation_cancel(db, &operation);
}

struct error *house_cancel(const char *operation)
{
    return db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, cancel_body,
                          (void *)(uintptr_t)operation);
}

void house_await(const char *operation, const char *state)
{
    char *sql = xasprintf("SELECT state FROM operation WHERE id = '%s'", operation);
    jobs_await(house.pg, sql, state);
    free(sql);
    sql = xasprintf("SELECT count(*) FROM operation o JOIN job j ON j.id = o.job_id WHERE o.id = '%s'"
                    " AND j.state IN ('queued', 'running') AND o.ended_at IS NOT NULL",
                    operation);
    jobs_await(house.pg, sql, "0");
    free(sql);
}

char *house_text(const char *sql)
{
    return pg_value(house.pg, sql);
}

void house_id(const char *name, char ret_id[37])
{
    char *sql = xasprintf("SELECT id FROM resource WHERE name = '%s' ORDER BY created_at DESC LIMIT 1", name);
    char *id = pg_value(house.pg, sql);
    assert_int_equal(strlen(id), 36);
    memcpy(ret_id, id, 37);
    free(id);
    free(sql);
}

static void check_same(const char *what, const char *sql)
{
    char *differences = pg_value(house.pg, sql);
    if (*differences)
        fail_msg("%s: %s", what, differences);
    free(differences);
}

#define LIVE " FROM resource WHERE state NOT IN ('deleted', 'failed') "
/* (unit, cloud, endpoint or '', metric, amount) of everything that lives, written down once more by itself.
 */
#define TAKEN                                                                                               \
    "SELECT unit_id AS u, cloud_id AS c, coalesce(endpoint_id, '') AS e, 'instances' AS m, 1 AS n" LIVE     \
    "AND kind = 'instance' UNION ALL"                                                                       \
    " SELECT unit_id, cloud_id, coalesce(endpoint_id, ''), k, (spec ->> k)::bigint FROM resource,"          \
    " unnest('{vcpu,memory_gb}'::text[]) AS k WHERE state NOT IN ('deleted', 'failed') AND kind = "         \
    "'instance'"                                                                                            \
    " UNION ALL SELECT unit_id, cloud_id, coalesce(endpoint_id, ''), (spec ->> 'system_disk_performance') " \
    "|| '_gb',"                                                                                             \
    " (spec ->> 'system_disk_gb')::bigint" LIVE "AND kind = 'instance' UNION ALL"                           \
    " SELECT unit_id, cloud_id, coalesce(endpoint_id, ''), (spec ->> 'performance') || '_gb',"              \
    " (spec ->> 'size_gb')::bigint" LIVE "AND kind = 'volume' UNION ALL"                                    \
    " SELECT unit_id, cloud_id, '', 'addresses', 1" LIVE "AND kind = 'address' UNION ALL"                   \
    " SELECT unit_id, cloud_id, '', 'servers', 1" LIVE "AND kind = 'server' UNION ALL"                      \
    " SELECT unit_id, cloud_id, '', m, (spec ->> k)::bigint FROM resource JOIN (VALUES ('gpu', 'gpu_gb', "  \
    "'memory_gb'),"                                                                                         \
    " ('object-store', 'static_gb', 'size_gb'), ('backup-policy', 'backup_gb', 'space_gb')) AS x (kd, m, "  \
    "k) ON kd = kind"                                                                                       \
    " WHERE state NOT IN ('deleted', 'failed') UNION ALL"                                                   \
    " SELECT unit_id, cloud_id, '', 'bandwidth_mbps', (spec ->> 'mbps')::bigint" LIVE                       \
    "AND kind = 'bandwidth'"

void house_check(void)
{
    check_same(
        "quotas differ from what lives",
        "SELECT string_agg(format('%s %s: %s, wanted %s', u, m, used, n), '; ') FROM"
        " (SELECT u, c, m, sum(n) AS n FROM (" TAKEN ") t GROUP BY 1, 2, 3) w FULL JOIN quota q"
        " ON q.unit_id = u AND q.cloud_id = c AND q.metric = m WHERE coalesce(used, 0) <> coalesce(n, 0)");
    check_same(
        "capacity differs from what lives",
        "SELECT string_agg(format('%s %s: %s, wanted %s', endpoint_id, metric, reserved, n), '; ') FROM"
        " (SELECT c, e, m, sum(n) AS n FROM (" TAKEN
        ") t WHERE m NOT IN ('instances', 'addresses', 'servers',"
        " 'gpu_gb', 'static_gb', 'backup_gb')"
        " GROUP BY 1, 2, 3) w FULL JOIN capacity k ON k.endpoint_id = e AND k.cloud_id = c AND k.metric = m"
        " WHERE coalesce(reserved, 0) <> coalesce(n, 0)");
    check_same("resources are still held",
               "SELECT string_agg(name || ' ' || state, '; ') FROM resource WHERE operation_id IS NOT NULL"
               " OR state NOT IN ('active', 'deleted', 'failed')");
    check_same(
        "open intervals are not those of what is active",
        "SELECT string_agg(coalesce(r.name, i.resource_id), '; ') FROM (SELECT DISTINCT resource_id "
        "FROM usage_interval"
        " WHERE end_at = 'infinity') i FULL JOIN (SELECT id, name FROM resource WHERE state = 'active') r"
        " ON r.id::text = i.resource_id WHERE r.id IS NULL OR i.resource_id IS NULL");
    check_same("leases are not those of live addresses",
               "SELECT string_agg(l.address::text, '; ') FROM address_lease l FULL JOIN (SELECT id" LIVE
               "AND kind = 'address') r ON r.id = l.resource_id WHERE r.id IS NULL OR l.resource_id IS NULL");
    check_same("something hangs on what is gone",
               "SELECT string_agg(v.name, '; ') FROM resource v JOIN resource i ON i.id = v.attached_to"
               " WHERE v.state = 'active' AND i.state IN ('deleted', 'failed')");
    check_same("a fulfilment is open that nothing waits for",
               "SELECT string_agg(f.verb || ' ' || f.name, '; ') FROM fulfilment f"
               " JOIN operation o ON o.id = f.operation_id WHERE f.state = 'open' AND f.job_id IS NOT NULL"
               " AND o.ended_at IS NOT NULL");
    assert_int_equal(
        memory_cloud_machines(),
        pg_number(house.pg, "SELECT count(*) FROM resource WHERE state = 'active' AND kind = 'instance'"));
    assert_int_equal(
        memory_cloud_volumes(),
        pg_number(house.pg, "SELECT count(*) FROM resource WHERE state = 'active' AND kind = 'volume'"));
}
