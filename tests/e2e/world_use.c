/* What tests do in a world over and over; see world.h. */
#include "tests/e2e/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/db/embedded.h"
#include "tests/support/sql.h"

#define POLL_US 50000
#define OPERATION_SECONDS 180

char *world_token(struct world *world, const char *principal, int64_t seconds)
{
    API_AUTO struct api_reply reply =
        api_send(world->client, world->admin, "POST", "/v1/tokens",
                 json_pack("{s:s, s:I}", "principal", principal, "expires_in", (json_int_t)seconds));
    api_expect(&reply, 201);
    return xstrdup(api_text(&reply, "token"));
}

void world_principal(struct world *world, json_t *body)
{
    API_AUTO struct api_reply reply = api_send(world->client, world->admin, "POST", "/v1/principals", body);
    api_expect(&reply, 201);
}

static char *conninfo_of(const struct world *world)
{
    char *data_dir = xasprintf("%s/data", world->folder), *conninfo = NULL;
    struct error *error = embedded_locate(data_dir, true, &conninfo);
    free(data_dir);
    if (error) {
        print_error("%s\n", error_message(error));
        error_free(error);
        fail();
    }
    return conninfo;
}

struct pg_conn *world_connect(const struct world *world)
{
    char *conninfo = conninfo_of(world);
    PGconn *connection = PQconnectdb(conninfo);
    free(conninfo);
    return connection;
}

char *world_value(const struct world *world, const char *sql)
{
    char *conninfo = conninfo_of(world), *value = sql_value(conninfo, sql);
    free(conninfo);
    return value;
}

int64_t world_number(const struct world *world, const char *sql)
{
    char *text = world_value(world, sql), *end;
    int64_t number = strtoll(text, &end, 10);
    if (!*text || *end) {
        print_error("%s: \"%s\" is no number\n", sql, text);
        free(text);
        fail();
    }
    free(text);
    return number;
}

char *world_counts(const struct world *world)
{
    /* The audit trail tells of refusals; jobs and endpoints move by themselves as inventories are taken. */
    return world_value(
        world,
        "SELECT string_agg(format('%s=%s', relname, (xpath('/row/n/text()', query_to_xml("
        "format('SELECT count(*) AS n FROM %I', relname), false, true, '')))[1]::text), ' ' ORDER BY relname)"
        " FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND relname !~ '^(audit|job|image|capacity|alert|event)'");
}

void world_await(const struct world *world, const char *sql, const char *wanted, int seconds)
{
    int64_t until = moment_monotonic() + seconds * MOMENT_SECOND;
    char *got = world_value(world, sql);
    while (strcmp(got, wanted) && moment_monotonic() < until) {
        free(got);
        (void)usleep(POLL_US); /* a table tells nobody */
        got = world_value(world, sql);
    }
    if (strcmp(got, wanted)) {
        print_error("%s: \"%s\", wanted \"%s\", within %d s\n", sql, got, wanted, seconds);
        free(got);
        fail();
    }
    free(got);
}

json_t *world_item(const char *kind, const char *name, json_t *spec)
{
    return json_pack("{s:s, s:s, s:o}", "kind", kind, "name", name, "spec", spec);
}

json_t *world_instance(const char *cloud, const char *name, int vcpu, int memory_gb)
{
    bool power = !strcmp(cloud, "education");
    return world_item("instance", name,
                      json_pack("{s:i, s:i, s:s, s:s, s:s, s:i}", "vcpu", vcpu, "memory_gb", memory_gb,
                                "architecture", power ? "POWER" : "x86", "image",
                                power ? WORLD_POWER_IMAGE : VCSIM_TEMPLATE, "zone", "extranet",
                                "system_disk_gb", 10));
}

json_t *world_volume(const char *name, int size_gb, const char *attach_to)
{
    return world_item("volume", name,
                      json_pack("{s:i, s:s, s:s}", "size_gb", size_gb, "performance", "standard",
                                attach_to ? "attach_to" : "zone", attach_to ? attach_to : "extranet"));
}

/* The last segment of the answer's Location. */
static char *operation_of(const struct api_reply *reply)
{
    const char *location = api_header(reply, "location");
    assert_non_null(location);
    return xstrdup(strrchr(location, '/') + 1);
}

char *world_order(struct world *world, const char *token, const char *system, const char *cloud,
                  json_t *items)
{
    API_AUTO struct api_reply reply =
        api_send(world->client, token, "POST", "/v1/orders",
                 json_pack("{s:s, s:s, s:o}", "system", system, "cloud", cloud, "resources", items));
    api_expect(&reply, 202);
    return operation_of(&reply);
}

char *world_begin(struct world *world, const char *token, const char *path, json_t *body)
{
    API_AUTO struct api_reply reply = api_send(world->client, token, "POST", path, body);
    api_expect(&reply, 202);
    return operation_of(&reply);
}

char *world_delete(struct world *world, const char *token, const char *path)
{
    API_AUTO struct api_reply reply = api_change(world->client, token, "DELETE", path, NULL);
    api_expect(&reply, 202);
    return operation_of(&reply);
}

json_t *world_ended(struct world *world, const char *token, const char *operation, int seconds)
{
    char *path = xasprintf("/v1/operations/%s", operation);
    int64_t until = moment_monotonic() + seconds * MOMENT_SECOND;
    for (;;) {
        API_AUTO struct api_reply reply = api_get(world->client, token, path);
        api_expect(&reply, 200);
        const char *state = api_text(&reply, "state");
        if (strcmp(state, "queued") && strcmp(state, "running")) {
            free(path);
            return json_incref(reply.json);
        }
        if (moment_monotonic() > until) {
            print_error("%s\n", reply.text);
            fail_msg("operation %s has not ended within %d s", operation, seconds);
        }
        (void)usleep(POLL_US); /* as a caller would poll */
    }
}

void world_succeeds(struct world *world, const char *token, char *operation)
{
    json_t *body = world_ended(world, token, operation, OPERATION_SECONDS);
    const char *state = json_string_value(json_object_get(body, "state"));
    if (strcmp(state, "succeeded")) {
        char *text = json_dumps(body, JSON_INDENT(2));
        print_error("%s\n", text);
        free(text);
    }
    assert_string_equal(state, "succeeded");
    json_decref(body);
    free(operation);
}

/* Twice: the first may only wait for one that was taken too early. */
void world_sync(struct world *world)
{
    static const char *const paths[] = {"/v1/endpoints/health-1:sync", "/v1/endpoints/education-1:sync"};
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 2; i++) {
            API_AUTO struct api_reply reply = api_send(world->client, world->admin, "POST", paths[i], NULL);
            api_expect(&reply, 202);
        }
        world_await(world, "SELECT count(*) FROM job WHERE type = 'sync' AND state IN ('queued', 'running')",
                    "0", 120);
    }
}

char *world_id(const struct world *world, const char *kind, const char *name)
{
    char *sql = xasprintf("SELECT id FROM resource WHERE kind = '%s' AND name = '%s'"
                          " AND state NOT IN ('deleted', 'failed')",
                          kind, name);
    char *id = world_value(world, sql);
    free(sql);
    return id;
}
