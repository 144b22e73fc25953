/* See world_check.h. */
#include "tests/e2e/world_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/buf.h"
#include "broker/base/moment.h"
#include "drivers/powervm/powervm.h"
#include "drivers/vmware/vmware.h"

#define LOOK_US (60 * MOMENT_SECOND)

/* The query lists what is wrong. */
static void none(const struct world *world, const char *what, const char *sql)
{
    char *wrong = world_value(world, sql);
    if (*wrong) {
        print_error("%s: %s\n", what, wrong);
        free(wrong);
        fail();
    }
    free(wrong);
}

void check_settled(const struct world *world, int seconds)
{
    world_await(world,
                "SELECT (SELECT count(*) FROM operation WHERE state IN ('queued', 'running'))"
                " + (SELECT count(*) FROM job WHERE type NOT IN ('sync', 'transfer-clean') AND state IN "
                "('queued', 'running', 'parked'))",
                "0", seconds);
    none(world, "orders that never ended",
         "SELECT string_agg(id::text, ' ') FROM orders WHERE state = 'accepted' OR ended_at IS NULL");
    none(world, "resources between two states",
         "SELECT string_agg(concat_ws(' ', kind, name, state), ', ') FROM resource"
         " WHERE state NOT IN ('active', 'deleted', 'failed') OR operation_id IS NOT NULL");
}

/* The items of each kind: standard disks alone are ordered by these tests. */
#define ITEMS                                                                                       \
    "(VALUES ('instance', '1001'), ('instance', '1002'), ('instance', '1011'), ('volume', '1011')," \
    " ('address', '1017'), ('bandwidth', '1016')) AS k (kind, item)"

/* What a move has twice: metered on the side that its ledger names, from entry to entry (in pieces where a
 * test boot came and went), and nothing else. An entry that was made a second time, by a rollback, tells of
 * that time alone. */
static void check_overlaps(const struct world *world)
{
    none(world, "second sides that were not metered as the ledger says",
         "SELECT string_agg(concat_ws(' ', l.migration_id, l.side, n.item, l.made_at, l.removed_at), '; ')"
         " FROM migration_ledger l JOIN migration m ON m.id = l.migration_id CROSS JOIN"
         " unnest('{1001,1002,1011}'::text[]) AS n (item) WHERE l.kind = 'instance' AND NOT EXISTS (SELECT "
         "FROM"
         " usage_interval i WHERE i.unit_id = m.unit_id AND i.resource_id = m.id::text AND i.kind = "
         "'migration'"
         " AND i.item = n.item AND i.start_at >= l.made_at AND i.end_at <= coalesce(l.removed_at, 'infinity')"
         " AND i.cloud_id = CASE l.side WHEN 'source' THEN m.source_cloud_id ELSE m.target_cloud_id END"
         " HAVING min(i.start_at) = l.made_at AND max(i.end_at) = coalesce(l.removed_at, 'infinity'))");
    none(world, "usage of moves beyond what they had twice",
         "SELECT string_agg(concat_ws(' ', i.resource_id, i.item, i.start_at, i.end_at), '; ') FROM"
         " usage_interval i LEFT JOIN migration m ON m.unit_id = i.unit_id AND m.id::text = i.resource_id"
         " WHERE i.kind = 'migration' AND (m.id IS NULL OR i.start_at < m.created_at"
         " OR i.end_at > coalesce(m.ended_at, 'infinity'))");
}

void check_usage(const struct world *world)
{
    none(world, "lives that usage does not cover from end to end",
         "SELECT string_agg(concat_ws(' ', r.kind, r.name, r.state, k.item, u.first, r.active_at, u.last, "
         "r.deleted_at), '; ')"
         " FROM resource r JOIN " ITEMS
         " ON k.kind = r.kind LEFT JOIN LATERAL (SELECT min(start_at) AS first,"
         " nullif(max(end_at), 'infinity') AS last, count(*) FILTER (WHERE end_at = 'infinity') AS open"
         " FROM usage_interval i WHERE i.unit_id = r.unit_id AND i.resource_id = r.id::text AND i.item = "
         "k.item) u ON true"
         " WHERE r.active_at IS NOT NULL AND (u.first IS DISTINCT FROM r.active_at OR u.last IS DISTINCT "
         "FROM r.deleted_at"
         " OR u.open <> (r.state = 'active')::int)");
    none(world, "gaps between two intervals",
         "SELECT string_agg(concat_ws(' ', resource_id, item, before, start_at), '; ') FROM (SELECT "
         "resource_id, item, start_at,"
         " lag(end_at) OVER (PARTITION BY unit_id, resource_id, item ORDER BY start_at) AS before,"
         " row_number() OVER (PARTITION BY unit_id, resource_id, item ORDER BY start_at) AS n FROM "
         "usage_interval) i"
         " WHERE n > 1 AND before IS DISTINCT FROM start_at");
    none(world, "intervals that overlap",
         "SELECT string_agg(concat_ws(' ', a.resource_id, a.item, a.start_at, b.start_at), '; ') FROM "
         "usage_interval a"
         " JOIN usage_interval b ON b.unit_id = a.unit_id AND b.resource_id = a.resource_id AND b.item = "
         "a.item"
         " AND b.start_at > a.start_at AND b.start_at < a.end_at");
    none(world, "usage of nothing that ever was",
         "SELECT string_agg(concat_ws(' ', i.resource_id, i.item), '; ') FROM usage_interval i LEFT JOIN "
         "resource r"
         " ON r.unit_id = i.unit_id AND r.id::text = i.resource_id LEFT JOIN " ITEMS
         " ON k.kind = r.kind AND k.item = i.item WHERE (k.item IS NULL OR r.active_at IS NULL)"
         " AND i.kind <> 'migration'");
    check_overlaps(world);
}

#define HELD                                                                                             \
    "(SELECT r.unit_id, r.cloud_id, coalesce(r.endpoint_id, '') AS endpoint_id, m.metric, sum(m.amount)" \
    " AS amount FROM resource r CROSS JOIN LATERAL (VALUES ('vcpu', (r.spec ->> 'vcpu')::bigint),"       \
    " ('memory_gb', (r.spec ->> 'memory_gb')::bigint), ('standard_gb', CASE"                             \
    " WHEN r.spec ->> 'system_disk_performance' = 'standard' THEN (r.spec ->> 'system_disk_gb')::bigint" \
    " WHEN r.spec ->> 'performance' = 'standard' THEN (r.spec ->> 'size_gb')::bigint END),"              \
    " ('bandwidth_mbps', (r.spec ->> 'mbps')::bigint), ('instances', (r.kind = 'instance')::int),"       \
    " ('addresses', (r.kind = 'address')::int)) AS m (metric, amount)"                                   \
    " WHERE r.state NOT IN ('deleted', 'failed') GROUP BY 1, 2, 3, 4)"

void check_counters(const struct world *world)
{
    none(world, "quotas that are not the sum of what is held",
         "SELECT string_agg(concat_ws(' ', unit_id, cloud_id, metric, q.used, h.amount), '; ') FROM quota q "
         "FULL JOIN"
         " (SELECT unit_id, cloud_id, metric, sum(amount) AS amount FROM " HELD
         " x GROUP BY 1, 2, 3) h USING (unit_id, cloud_id, metric) WHERE coalesce(q.used, 0) <> "
         "coalesce(h.amount, 0)");
    none(world, "capacity that is not the sum of what is promised",
         "SELECT string_agg(concat_ws(' ', cloud_id, endpoint_id, metric, c.reserved, h.amount), '; ') FROM "
         "capacity c FULL JOIN"
         " (SELECT cloud_id, endpoint_id, metric, sum(amount) AS amount FROM " HELD
         " x WHERE metric NOT IN ('instances', 'addresses') GROUP BY 1, 2, 3) h USING (cloud_id, "
         "endpoint_id, metric)"
         " WHERE coalesce(c.reserved, 0) <> coalesce(h.amount, 0)");
    none(world, "addresses that are not leased once each",
         "SELECT string_agg(concat_ws(' ', l.address, r.name), '; ') FROM address_lease l FULL JOIN (SELECT "
         "* FROM resource"
         " WHERE kind = 'address' AND state = 'active') r ON r.id = l.resource_id"
         " WHERE l.address IS NULL OR r.id IS NULL OR host(l.address) IS DISTINCT FROM r.address");
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Ids of all instances and volumes that a driver of the test's own finds, sorted; one without the broker's
 * stamp is told by its reference. */
static char *reported(const struct driver *driver, const struct driver_endpoint *endpoint)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct driver_call call = {.arena = arena, .deadline_us = moment_monotonic() + LOOK_US};
    struct driver_session *session;
    struct driver_inventory seen;
    struct error *error = driver->open(endpoint, &call, &session);
    if (!error) {
        error = driver->inventory(session, &call, &seen);
        if (!error) {
            BUF_AUTO struct buf text = BUF_INIT(1u << 20);
            const char **ids = arena_array(arena, seen.instance_count + seen.volume_count, sizeof *ids);
            size_t count = 0;
            for (size_t i = 0; i < seen.instance_count; i++)
                ids[count++] = seen.instances[i].id ? seen.instances[i].id : seen.instances[i].ref;
            for (size_t i = 0; i < seen.volume_count; i++)
                if (seen.volumes[i].id) /* system disks and templates have none */
                    ids[count++] = seen.volumes[i].id;
            qsort(ids, count, sizeof *ids, compare);
            for (size_t i = 0; i < count; i++)
                buf_printf(&text, "%s%s", i ? " " : "", ids[i]);
            driver->close(session);
            return xstrdup(buf_text(&text));
        }
        driver->close(session);
    }
    print_error("%s\n", error_message(error));
    error_free(error);
    fail();
    return NULL;
}

static void check_provider(const struct world *world, const struct driver *driver,
                           const struct driver_endpoint *endpoint, const char *cloud)
{
    char *sql = xasprintf(
        "SELECT coalesce(string_agg(id::text, ' ' ORDER BY id::text COLLATE \"C\"), '') FROM resource"
        " WHERE state = 'active' AND endpoint_id = '%s-1'",
        cloud);
    char *held = world_value(world, sql), *there = reported(driver, endpoint);
    assert_string_equal(there, held);
    free(sql);
    free(held);
    free(there);
}

/* The HMC's own books: a partition an instance, a logical unit a disk, and no mapping that leads nowhere. */
static void check_hmc(const struct world *world)
{
    const json_t *state = hmcsim_state(world->hmcsim), *entry;
    size_t index, units = 0, dangling = 0;
    json_array_foreach (json_object_get(state, "units"), index, entry) {
        const char *kind = json_string_value(json_object_get(entry, "kind"));
        units += !kind || strcmp(kind, "VirtualIO_Image") != 0;
    }
    json_array_foreach (json_object_get(state, "mappings"), index, entry) {
        dangling += json_is_null(json_object_get(entry, "partition"));
    }
    assert_int_equal(json_array_size(json_object_get(state, "partitions")),
                     world_number(world, "SELECT count(*) FROM resource WHERE kind = 'instance'"
                                         " AND state = 'active' AND cloud_id = 'education'"));
    assert_int_equal(units,
                     world_number(world, "SELECT count(*) FROM resource WHERE kind IN ('instance', 'volume')"
                                         " AND state = 'active' AND cloud_id = 'education'"));
    assert_int_equal(dangling, 0);
}

void check_providers(struct world *world)
{
    struct driver_endpoint hmc = hmcsim_endpoint(world->hmcsim), vcenter = vcsim_endpoint(world->vcsim);
    json_t *options = json_pack("{s:[s], s:[s]}", "standard", "LocalDS_0", "high", "LocalDS_1");
    vcenter.options = options;
    check_provider(world, &powervm_driver, &hmc, "education");
    check_provider(world, &vmware_driver, &vcenter, "health");
    json_decref(options);
    check_hmc(world);
    world_sync(world);
    none(world, "inventories that failed", "SELECT string_agg(sync_error, '; ') FROM endpoint");
    API_AUTO struct api_reply drift = api_get(world->client, world->admin, "/v1/drift");
    api_expect(&drift, 200);
    if (json_array_size(json_object_get(drift.json, "drift")) != 0)
        fail_msg("%s", drift.text);
}

void check_audit(struct world *world)
{
    int64_t until = moment_monotonic() + 60 * MOMENT_SECOND;
    for (;;) {
        API_AUTO struct api_reply reply = api_get(world->client, world->admin, "/v1/audit:verify");
        api_expect(&reply, 200);
        assert_true(json_is_true(json_object_get(reply.json, "whole")));
        if (json_integer_value(json_object_get(reply.json, "unsealed")) == 0)
            return;
        if (moment_monotonic() > until)
            fail_msg("%s", reply.text);
        (void)usleep(100000); /* sealing is the broker's own affair */
    }
}
