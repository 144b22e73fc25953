/* Every role × every route of the house × inside and outside of its scope. What a role may comes from
 * roles.csv (role_may), which routes there are from routes_all: a route that this table does not know fails
 * the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/auth/role.h"
#include "broker/base/arena.h"
#include "broker/base/id.h"
#include "broker/base/moment.h"
#include "broker/daemon/routes.h"
#include "drivers/vmware/vmware.h"
#include "tests/e2e/world_check.h"
#include "tests/support/https.h"

#define TOKEN_SECONDS 15552000
#define NO_UUID "00000000-0000-4000-8000-000000000000"

/* What a caller with the permission, but from outside, meets. */
enum outside {
    OPEN,   /* what everybody may see or ask, or what is judged by the body */
    HIDDEN, /* 404 */
    LIST    /* 200 without anything of the unit and cloud inside */
};

/* What there is inside: of unit 110105 on cloud health. */
struct ground {
    struct world *world;
    char *instance, *volume, *address, *bandwidth, *order, *operation, *bill, *budget, *bid, *drift,
        *fulfilment, *consent, *assessment, *migration, *export, *import, *wave;
    char month[8];
    char *inside[ROLE_COUNT], *outside[ROLE_COUNT]; /* tokens */
};

struct rule {
    const char *pattern, *method; /* method NULL: any */
    enum outside outside;
    const char *body; /* of a write that needs one */
};

static const struct rule rules[] = {
    {"/healthz", NULL, OPEN, NULL},
    {"/readyz", NULL, OPEN, NULL},
    {"/v1/openapi.yaml", NULL, OPEN, NULL},
    {"/v1/events", NULL, OPEN, NULL},
    {"/v1/catalog/", NULL, OPEN, NULL},
    {"/v1/providers", NULL, OPEN, "{}"},
    {"/v1/providers/{id}/bids", NULL, HIDDEN, "{\"prices\":{}}"},
    {"/v1/bids/{id}", "GET", HIDDEN, NULL},
    {"/v1/bids/{id}:approve", NULL, OPEN, "{\"valid_from\":\"2020-01\"}"},
    {"/v1/prices", NULL, OPEN, NULL},
    {"/v1/usage", "GET", LIST, NULL},
    {"/v1/usage", "POST", OPEN, "{}"},
    {"/v1/usage-events", "GET", LIST, NULL},
    {"/v1/usage-events", "POST", OPEN, "{}"},
    {"/v1/months/{month}", NULL, OPEN, NULL},
    {"/v1/months/{month}/lines", NULL, LIST, NULL},
    {"/v1/archives", NULL, OPEN, NULL}, /* of platform-admin and auditor, who see all */
    {"/v1/billing-settings", NULL, OPEN, "{}"},
    {"/v1/bills", NULL, LIST, NULL},
    {"/v1/bills/{id}", NULL, HIDDEN, NULL},
    {"/v1/statements", NULL, LIST, NULL},
    {"/v1/lines", NULL, LIST, NULL},
    {"/v1/budgets", "GET", LIST, NULL},
    {"/v1/budgets", "POST", OPEN, "{}"},
    {"/v1/budgets/{id}", NULL, HIDDEN, "{}"},
    {"/v1/units/{unit}/comparison", NULL, LIST, NULL},
    {"/v1/clouds", NULL, OPEN, "{}"},
    {"/v1/endpoints", "GET", LIST, NULL},
    {"/v1/endpoints", "POST", OPEN, "{}"},
    {"/v1/endpoints/{endpoint}", NULL, HIDDEN, "{}"},
    {"/v1/units", "GET", LIST, NULL},
    {"/v1/units", "POST", OPEN, "{}"},
    {"/v1/units/{unit}", NULL, HIDDEN, "{\"name\":\"n\"}"},
    {"/v1/units/{unit}/systems", "GET", LIST, NULL},
    {"/v1/units/{unit}/systems", "POST", HIDDEN, "{\"id\":\"x\",\"name\":\"n\",\"classified\":false}"},
    {"/v1/units/{unit}/systems/{system}", NULL, HIDDEN, NULL},
    {"/v1/capacity", NULL, LIST, NULL},
    {"/v1/alerts", NULL, LIST, NULL},
    {"/v1/quotes", NULL, OPEN, "{}"},
    {"/v1/orders", "GET", LIST, NULL},
    {"/v1/orders", "POST", OPEN, "{}"},
    {"/v1/orders/{order}", NULL, HIDDEN, NULL},
    {"/v1/resources", NULL, LIST, NULL},
    {"/v1/resources/{id}", NULL, HIDDEN, "{\"configuration\":1}"},
    {"/v1/fulfilments", NULL, LIST, NULL},
    {"/v1/fulfilments/{fulfilment}", NULL, HIDDEN, NULL},
    {"/v1/fulfilments/{fulfilment}:complete", NULL, HIDDEN, "{\"reference\":\"r\"}"},
    {"/v1/fulfilments/{fulfilment}:refuse", NULL, HIDDEN, "{\"reason\":\"r\"}"},
    {"/v1/assessments", "GET", LIST, NULL},
    {"/v1/assessments", "POST", OPEN, "{}"},
    {"/v1/assessments/{assessment}", NULL, HIDDEN, NULL},
    {"/v1/assessments/{assessment}:plan", NULL, HIDDEN, "{}"},
    {"/v1/consents", "GET", LIST, NULL},
    {"/v1/consents", "POST", OPEN, "{}"},
    {"/v1/consents/{consent}", NULL, HIDDEN, NULL},
    {"/v1/consents/{consent}:withdraw", NULL, HIDDEN, "{\"reason\":\"r\"}"},
    {"/v1/links", NULL, OPEN, "{}"},
    {"/v1/migrations", "GET", LIST, NULL},
    {"/v1/migrations", "POST", OPEN, "{}"},
    {"/v1/migrations/{migration}", NULL, HIDDEN, "{}"},
    {"/v1/migrations/{migration}:", NULL, HIDDEN, NULL},
    {"/v1/exports", "GET", LIST, NULL},
    {"/v1/exports", "POST", OPEN, "{}"},
    {"/v1/exports/{export}", NULL, HIDDEN, NULL},
    {"/v1/exports/{export}/files/{name}", NULL, HIDDEN, NULL},
    {"/v1/imports", "GET", LIST, NULL},
    {"/v1/imports", "POST", OPEN, "{}"},
    {"/v1/imports/{import}", NULL, HIDDEN, NULL},
    {"/v1/imports/{import}:start", NULL, HIDDEN, NULL},
    {"/v1/imports/{import}/files/{name}", "GET", HIDDEN, NULL},
    {"/v1/imports/{import}/files/{name}", "PATCH", OPEN, "{}"}, /* takes bytes: JSON is refused unseen */
    {"/v1/waves", "GET", LIST, NULL},
    {"/v1/waves", "POST", OPEN, "{}"},
    {"/v1/waves/{wave}", NULL, HIDDEN, "{}"},
    {"/v1/waves/{wave}:", NULL, HIDDEN, NULL},
    {"/v1/instances", NULL, LIST, NULL},
    {"/v1/instances/{id}", NULL, HIDDEN, "{}"},
    {"/v1/instances/{id}:resize", NULL, HIDDEN, "{\"vcpu\":1}"},
    {"/v1/volumes", NULL, LIST, NULL},
    {"/v1/volumes/{id}", NULL, HIDDEN, "{}"},
    {"/v1/volumes/{id}:attach", NULL, HIDDEN, "{\"instance\":\"web\"}"},
    {"/v1/volumes/{id}:resize", NULL, HIDDEN, "{\"size_gb\":2}"},
    {"/v1/addresses", NULL, LIST, NULL},
    {"/v1/addresses/{id}", NULL, HIDDEN, NULL},
    {"/v1/bandwidths", NULL, LIST, NULL},
    {"/v1/bandwidths/{id}", NULL, HIDDEN, "{\"mbps\":3}"},
    {"/v1/operations", NULL, LIST, NULL},
    {"/v1/operations/{operation}", NULL, HIDDEN, NULL},
    {"/v1/drift", NULL, LIST, NULL},
    {"/v1/drift/{drift}", NULL, HIDDEN, "{\"reason\":\"r\"}"},
    {"/v1/principals", "GET", LIST, NULL},
    {"/v1/principals", "POST", OPEN, "{}"},
    {"/v1/principals/{id}", NULL, HIDDEN, "{\"name\":\"n\"}"},
    {"/v1/whoami", NULL, OPEN, NULL},
    {"/v1/tokens", "GET", LIST, NULL},
    {"/v1/tokens", "POST", OPEN, "{}"},
    {"/v1/tokens/{jti}", NULL, HIDDEN, NULL},
    {"/v1/keys", NULL, OPEN, NULL},
    {"/v1/jobs", NULL, OPEN, NULL}, /* of platform-admin and auditor, who see all */
    {"/v1/audit", NULL, LIST, NULL},
    {"/v1/audit:verify", NULL, OPEN, NULL},
};

/* The rule whose pattern is the longest that begins the route's. */
static const struct rule *rule_of(const struct http_route *route)
{
    const struct rule *best = NULL;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        size_t length = strlen(rules[i].pattern);
        if (!strncmp(route->pattern, rules[i].pattern, length) &&
            (!rules[i].method || !strcmp(rules[i].method, route->method)) &&
            (!best || length > strlen(best->pattern)))
            best = &rules[i];
    }
    if (!best)
        fail_msg("no rule for %s %s", route->method, route->pattern);
    return best;
}

static const char *id_under(const struct ground *g, const char *pattern)
{
    const struct {
        const char *under, *id;
    } ids[] = {{"/v1/providers/", "provider-health"},
               {"/v1/bids/", g->bid},
               {"/v1/bills/", g->bill},
               {"/v1/budgets/", g->budget},
               {"/v1/resources/", g->instance},
               {"/v1/instances/", g->instance},
               {"/v1/volumes/", g->volume},
               {"/v1/addresses/", g->address},
               {"/v1/bandwidths/", g->bandwidth},
               {"/v1/principals/", "unit-operator-in"},
               {"/v1/jobs/", NO_UUID}};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (!strncmp(pattern, ids[i].under, strlen(ids[i].under)))
            return ids[i].id;
    fail_msg("what is {id} of %s?", pattern);
    return NULL;
}

static const char *path_of(const struct ground *g, struct arena *arena, const char *pattern)
{
    const struct {
        const char *name, *value;
    } values[] = {{"cloud", "health"},
                  {"endpoint", "health-1"},
                  {"unit", WORLD_UNIT},
                  {"system", WORLD_SYSTEM},
                  {"order", g->order},
                  {"operation", g->operation},
                  {"drift", g->drift},
                  {"month", g->month},
                  {"jti", NO_UUID},
                  {"fulfilment", g->fulfilment},
                  {"kid", "none"},
                  {"line", "1"},
                  {"consent", g->consent},
                  {"assessment", g->assessment},
                  {"migration", g->migration},
                  {"export", g->export},
                  {"import", g->import},
                  {"name", "disk"},
                  {"wave", g->wave}};
    const char *open = strchr(pattern, '{'), *close = strchr(pattern, '}'), *value = NULL;
    if (!open)
        return pattern;
    const char *name = arena_strndup(arena, open + 1, (size_t)(close - open - 1));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (!strcmp(values[i].name, name))
            value = values[i].value;
    if (!value)
        value = id_under(g, pattern);
    return path_of(g, arena,
                   arena_printf(arena, "%.*s%s%s", (int)(open - pattern), pattern, value, close + 1));
}

static struct api_reply ask(const struct ground *g, const struct http_route *route, const char *token)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *body = rule_of(route)->body;
    bool get = !strcmp(route->method, "GET");
    bool bodiless = get || !strcmp(route->method, "DELETE") || (route->flags & HTTP_NO_BODY);
    char key[ID_TEXT];
    id_new(key);
    return api_call(
        g->world->client,
        &(struct api_request){.method = route->method,
                              .path = path_of(g, arena, route->pattern),
                              .token = token,
                              .key = strcmp(route->method, "POST") ? NULL : key,
                              .if_match = route->flags & HTTP_CONDITIONAL ? "\"v0\"" : NULL,
                              .body = bodiless ? NULL
                                      : body   ? body
                                               : "{}",
                              .type = route->flags & HTTP_EVENTS ? "application/cloudevents+json" : NULL,
                              .timeout_ms = strcmp(route->pattern, "/v1/events") ? 0 : 300});
}

/* A role that sees everything is inside wherever it stands. */
static bool sees_all(enum role role)
{
    return role == ROLE_PLATFORM_ADMIN || role == ROLE_AUDITOR;
}

static bool within(const struct ground *g, const struct http_route *route, int status)
{
    bool bogus = strstr(route->pattern, "{jti}") || strstr(route->pattern, "{kid}") ||
                 strstr(route->pattern, "/jobs/{id}");
    if (bogus && status == 404)
        return true;
    if (!strcmp(route->pattern, "/v1/events"))
        return status == 0; /* a stream that goes on */
    if (route->flags & HTTP_BYTES)
        return status == 415;
    if (!strcmp(route->pattern, "/v1/exports/{export}/files/{name}"))
        return status == 409; /* its files are not ready */
    if (!strcmp(route->method, "GET"))
        return status == 200;
    return (status >= 200 && status < 300) || status == 409 || status == 412 || status == 422;
}

/* The trail of a unit holds what its own callers asked for in vain, by the paths that they named. */
static bool tells_of(const struct ground *g, const struct http_route *route, const char *text)
{
    if (!strcmp(route->pattern, "/v1/audit"))
        return strstr(text, "\"unit\":\"" WORLD_UNIT "\"");
    return strstr(text, g->instance) || strstr(text, g->order) || strstr(text, WORLD_SYSTEM) ||
           strstr(text, "health-1");
}

static bool from_outside(const struct ground *g, const struct http_route *route,
                         const struct api_reply *reply)
{
    switch (rule_of(route)->outside) {
    case OPEN:
        return within(g, route, reply->status);
    case HIDDEN:
        return reply->status == 404;
    case LIST:
        return reply->status == 404 || (reply->status == 200 && !tells_of(g, route, reply->text));
    }
    return false;
}

static size_t walk_route(const struct ground *g, const struct http_route *route)
{
    size_t wrong = 0;
    API_AUTO struct api_reply nobody = ask(g, route, NULL);
    bool public = route->flags & HTTP_PUBLIC;
    if (public ? nobody.status != 200 : nobody.status != 401) {
        print_error("nobody: %s %s: %d\n", route->method, route->pattern, nobody.status);
        wrong++;
    }
    for (int role = 0; role < ROLE_COUNT && !public; role++) {
        bool may = role_may((enum role)role, route->permission);
        API_AUTO struct api_reply inside = ask(g, route, g->inside[role]);
        API_AUTO struct api_reply outside = ask(g, route, g->outside[role]);
        bool in = !may ? inside.status == 403 : within(g, route, inside.status);
        bool out = !may                        ? outside.status == 403
                   : sees_all((enum role)role) ? within(g, route, outside.status)
                                               : from_outside(g, route, &outside);
        if (!in)
            print_error("%s inside: %s %s: %d %.300s\n", role_name((enum role)role), route->method,
                        route->pattern, inside.status, inside.text);
        if (!out)
            print_error("%s outside: %s %s: %d %.300s\n", role_name((enum role)role), route->method,
                        route->pattern, outside.status, outside.text);
        wrong += !in + !out;
    }
    return wrong;
}

static void every_role_meets_every_route(void **state)
{
    struct ground *g = *state;
    size_t tables, wrong = 0, routes = 0;
    const struct http_table *const *all = routes_all(&tables);
    for (size_t i = 0; i < tables; i++)
        for (size_t k = 0; k < all[i]->count; k++, routes++)
            wrong += walk_route(g, &all[i]->routes[k]);
    print_message("%zu routes, %d roles\n", routes, ROLE_COUNT);
    assert_true(routes > 60);
    assert_int_equal(wrong, 0);
}

static void a_certificate_is_a_caller(void **state)
{
    struct ground *g = *state;
    ARENA_AUTO struct arena *arena = arena_new();
    const char *file = arena_printf(arena, "%s/client.pem", g->world->folder);
    const char *key = arena_printf(arena, "%s/client.key", g->world->folder);
    char fingerprint[65];
    https_certificate(file, key, fingerprint);
    struct api_request request = {
        .method = "GET", .path = "/v1/whoami", .certificate = file, .certificate_key = key};
    API_AUTO struct api_reply unknown = api_call(g->world->client, &request);
    api_expect(&unknown, 401);
    world_principal(g->world, json_pack("{s:s, s:s, s:s, s:s}", "id", "by-certificate", "role",
                                        "unit-operator", "unit", WORLD_UNIT, "certificate", fingerprint));
    API_AUTO struct api_reply known = {0};
    for (int i = 0; i < 600 && known.status != 200; i++) { /* principals are looked for once a second */
        api_done(&known);
        known = api_call(g->world->client, &request);
        (void)usleep(50000);
    }
    api_expect(&known, 200);
    assert_string_equal(api_text(&known, "id"), "by-certificate");
    request.path = "/v1/endpoints";
    API_AUTO struct api_reply denied = api_call(g->world->client, &request);
    api_expect(&denied, 403);
}

/* NAME-in and NAME-out of every role. A regulator without clouds reads all of them. */
static char *make_principal(struct world *w, enum role role, bool inside)
{
    char *id = xasprintf("%s-%s", role_name(role), inside ? "in" : "out");
    json_t *body = json_pack("{s:s, s:s}", "id", id, "role", role_name(role));
    if (role_of_unit(role))
        json_object_set_new(body, "unit", json_string(inside ? WORLD_UNIT : WORLD_OTHER_UNIT));
    if (role == ROLE_PROVIDER_OPERATOR)
        json_object_set_new(body, "provider", json_string(inside ? "provider-health" : "provider-education"));
    if (role == ROLE_REGULATOR && !inside)
        json_object_set_new(body, "clouds", json_pack("[s]", "education"));
    world_principal(w, body);
    char *token = world_token(w, id, TOKEN_SECONDS);
    free(id);
    return token;
}

/* Somebody switches the instance off in the vCenter. */
static void make_drift(struct ground *g)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct driver_endpoint endpoint = vcsim_endpoint(g->world->vcsim);
    struct driver_call call = {.arena = arena, .deadline_us = moment_monotonic() + MOMENT_MINUTE};
    struct driver_key key = {.id = g->instance};
    struct driver_session *session;
    assert_null(vmware_driver.open(&endpoint, &call, &session));
    assert_null(vmware_driver.instance_stop(session, &call, &key, 0));
    vmware_driver.close(session);
    world_sync(g->world);
    g->drift = world_value(g->world, "SELECT id FROM drift WHERE resolved_at IS NULL");
}

/* The unit's own administrator lets the system go from site to site of health. */
static void make_consent(struct ground *g)
{
    static const char digest[] = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    API_AUTO struct api_reply consent = api_send(
        g->world->client, g->inside[ROLE_UNIT_ADMIN], "POST", "/v1/consents",
        json_pack("{s:s, s:{s:s, s:s, s:s}, s:{s:s, s:s}, s:[s], s:[{s:s}], s:[{s:s}], s:s}", "unit",
                  WORLD_UNIT, "document", "algorithm", "sha256", "digest", digest, "reference", "letter 7",
                  "signer", "name", "Wang", "post", "director", "systems", WORLD_SYSTEM, "from", "cloud",
                  "health", "to", "cloud", "health", "valid_until", "2090-01-01T00:00:00Z"));
    api_expect(&consent, 201);
    g->consent = xstrdup(api_text(&consent, "id"));
}

/* Whether the machine can go to where it is already. */
static void make_assessment(struct ground *g)
{
    API_AUTO struct api_reply made =
        api_send(g->world->client, g->inside[ROLE_MIGRATION_ENGINEER], "POST", "/v1/assessments",
                 json_pack("{s:s, s:[s], s:{s:s, s:s}}", "unit", WORLD_UNIT, "instances", g->instance, "to",
                           "cloud", "health", "zone", "internet"));
    api_expect(&made, 202);
    g->assessment = xstrdup(api_text(&made, "id"));
    world_succeeds(g->world, g->world->operator_, xstrdup(api_text(&made, "operation")));
}

/* From the cloud to another endpoint, waiting for its papers. */
static void make_migration(struct ground *g)
{
    g->migration = world_value(
        g->world,
        "INSERT INTO migration (unit_id, id, system_id, clouds, providers, resource_id, name, "
        "source_cloud_id,"
        " source_provider_id, source_zone_id, source_site_id, source_endpoint_id, target_cloud_id,"
        " target_provider_id, target_zone_id, target_site_id, target_endpoint_id, method, method_why, state, "
        "plan,"
        " rollback_plan, approvals, hold_us, principal, created_at, touched_at)"
        " SELECT unit_id, gen_random_uuid(), system_id, ARRAY[cloud_id], ARRAY[provider_id], id, name, "
        "cloud_id,"
        " provider_id, zone_id, 's', endpoint_id, cloud_id, provider_id, 'other', 's', 'other', 'cold', 'a "
        "test',"
        " 'assessed', '{}', '{}', 'unit', 0, 'engineer', now(), now() FROM resource WHERE name = 'web'"
        " RETURNING id");
}

/* Of the instance, without files: whoever may fetch them is told that it is not ready. */
static void make_export(struct ground *g)
{
    g->export = world_value(
        g->world,
        "INSERT INTO transfer (unit_id, id, system_id, cloud_id, provider_id, direction, resource_id, name,"
        " format, state, request, principal, created_at) SELECT unit_id, gen_random_uuid(), system_id,"
        " cloud_id, provider_id, 'export', id, name, 'raw', 'failed', '{}', 'engineer', now() FROM resource"
        " WHERE name = 'web' RETURNING id");
    g->import = world_value(
        g->world,
        "WITH t AS (INSERT INTO transfer (unit_id, id, system_id, cloud_id, provider_id, direction, name, "
        "format,"
        " state, request, principal, created_at) SELECT unit_id, gen_random_uuid(), system_id, cloud_id,"
        " provider_id, 'import', 'came', 'raw', 'uploading', '{}', 'engineer', now() FROM resource"
        " WHERE name = 'web' RETURNING *) INSERT INTO transfer_file (unit_id, transfer_id, name, system_id,"
        " cloud_id, provider_id, number, size, sha256, received) SELECT unit_id, id, 'disk', system_id, "
        "cloud_id,"
        " provider_id, 1, 512, repeat('0', 64), 0 FROM t RETURNING transfer_id");
}

/* Of that machine, a draft. */
static void make_wave(struct ground *g)
{
    g->wave = world_value(
        g->world,
        "WITH w AS (INSERT INTO wave (unit_id, id, name, touched, clouds, providers, terms, left_out, "
        "principal,"
        " created_at) SELECT unit_id, gen_random_uuid(), 'first', ARRAY[system_id], ARRAY[cloud_id],"
        " ARRAY[provider_id], '{}', '[]', 'engineer', now() FROM resource WHERE name = 'web' RETURNING *)"
        " INSERT INTO wave_host (unit_id, wave_id, resource_id, number, system_id, name, assessment_id, "
        "facts,"
        " bytes) SELECT w.unit_id, w.id, r.id, 1, r.system_id, r.name, w.id, '{\"report\": {\"movable\": "
        "true,"
        " \"preferred\": \"cold\", \"disk_bytes\": 1, \"methods\": [{\"method\": \"cold\", \"possible\":"
        " true, \"copy_seconds\": 1, \"downtime_ms\": 1}]}, \"answers\": {}}', 1 FROM w, resource r"
        " WHERE r.name = 'web' RETURNING wave_id");
}

static int start(void **state)
{
    struct ground *g = xcalloc(1, sizeof *g);
    struct world *w = g->world =
        world_start(&(struct world_options){.settings = "sync_interval = 1d\nwatch = no\n"});
    json_t *items = json_array();
    json_array_append_new(items, world_instance("health", "web", 1, 1));
    json_array_append_new(items, world_volume("data", 1, NULL));
    json_array_append_new(items, world_item("address", "ip", json_pack("{s:s}", "zone", "internet")));
    json_array_append_new(
        items, world_item("bandwidth", "line", json_pack("{s:i, s:s}", "mbps", 3, "zone", "internet")));
    g->operation = world_order(w, w->operator_, WORLD_SYSTEM, "health", items);
    world_succeeds(w, w->operator_, xstrdup(g->operation));
    g->instance = world_id(w, "instance", "web");
    g->volume = world_id(w, "volume", "data");
    g->address = world_id(w, "address", "ip");
    g->bandwidth = world_id(w, "bandwidth", "line");
    g->order = world_value(w, "SELECT id FROM orders");
    /* What the provider's operator has still to make. */
    items = json_array();
    json_array_append_new(items,
                          world_item("certificate", "cert", json_pack("{s:[s]}", "domains", "a.example.cn")));
    free(world_order(w, w->operator_, WORLD_SYSTEM, "health", items));
    world_await(w, "SELECT count(*) FROM fulfilment WHERE state = 'open'", "1", 60);
    g->fulfilment = world_value(w, "SELECT id FROM fulfilment");
    g->bid = world_value(w, "SELECT id FROM bid WHERE provider_id = 'provider-health'");
    moment now = (moment)time(NULL) * MOMENT_SECOND;
    month_format(month_of(now), g->month);
    world_clock(w, (month_end(month_of(now)) - now) / MOMENT_SECOND + 7200);
    world_await(w, "SELECT count(*) FROM bill", "1", 120);
    g->bill = world_value(w, "SELECT id FROM bill");
    API_AUTO struct api_reply budget =
        api_send(w->client, w->admin, "POST", "/v1/budgets",
                 json_pack("{s:s, s:s, s:s, s:s}", "unit", WORLD_UNIT, "system", WORLD_SYSTEM, "period",
                           "month", "amount_yuan", "1000.00"));
    api_expect(&budget, 201);
    g->budget = xstrdup(api_text(&budget, "id"));
    for (int role = 0; role < ROLE_COUNT; role++) {
        g->inside[role] = make_principal(w, (enum role)role, true);
        g->outside[role] = make_principal(w, (enum role)role, false);
    }
    make_drift(g);
    make_consent(g);
    make_assessment(g);
    make_migration(g);
    make_export(g);
    make_wave(g);
    *state = g;
    return 0;
}

static int stop(void **state)
{
    struct ground *g = *state;
    world_stop(g->world);
    char **texts[] = {&g->instance,   &g->volume,  &g->address,    &g->bandwidth, &g->order,
                      &g->operation,  &g->bill,    &g->budget,     &g->bid,       &g->drift,
                      &g->fulfilment, &g->consent, &g->assessment, &g->migration, &g->export,
                      &g->import,     &g->wave};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(*texts[i]);
    for (int role = 0; role < ROLE_COUNT; role++) {
        free(g->inside[role]);
        free(g->outside[role]);
    }
    free(g);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_role_meets_every_route),
        cmocka_unit_test(a_certificate_is_a_caller),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
