/* Every route of the daemon with odd paths, queries and bodies: good requests with one thing broken, and
 * bytes that are no JSON at all. Whatever comes, the broker answers with a status that blames the right side:
 * any 500 or 504, any missing answer, is a bug. Random: the seed is printed, FUZZ_SEED repeats it, and
 * FUZZ_SECONDS (15) says how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/base/arena.h"
#include "broker/base/digest.h"
#include "broker/base/id.h"
#include "broker/base/moment.h"
#include "broker/daemon/routes.h"
#include "tests/e2e/world.h"

#define FAILURES_MAX 40
#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct world *world;
static uint64_t state;

static uint64_t pick(uint64_t below)
{
    state ^= state << 13; /* xorshift64: the same numbers from the same seed everywhere */
    state ^= state >> 7;
    state ^= state << 17;
    return below ? (state >> 11) % below : 0;
}

static bool chance(unsigned percent)
{
    return pick(100) < percent;
}

/* A good body for each route that takes one; "%I" is an instance, "%V" a volume. */
static const struct {
    const char *method, *pattern, *body;
} seeds[] = {
    {"POST", "/v1/providers",
     "{\"id\":\"p-1\",\"name\":\"n\",\"contact\":\"c\",\"agreement\":{\"proration\":\"day\"}}"},
    {"PATCH", "/v1/providers/{id}",
     "{\"name\":\"n\",\"contact\":\"c\",\"agreement\":{\"proration\":\"day\"}}"},
    {"POST", "/v1/providers/{id}/bids", "{\"prices\":{\"1001\":\"1.00\",\"1002\":\"0.5\"},\"note\":\"n\"}"},
    {"POST", "/v1/bids/{id}:approve", "{\"valid_from\":\"2031-01\"}"},
    {"POST", "/v1/clouds",
     "{\"id\":\"c-1\",\"name\":\"n\",\"kind\":\"service\",\"provider\":\"provider-health\"}"},
    {"PATCH", "/v1/clouds/{cloud}", "{\"name\":\"n\",\"state\":\"open\",\"state_reason\":\"r\"}"},
    {"POST", "/v1/clouds/{cloud}/sites", "{\"id\":\"s-2\",\"name\":\"n\"}"},
    {"POST", "/v1/clouds/{cloud}/zones",
     "{\"id\":\"z-2\",\"kind\":\"internet\",\"site\":\"site-1\",\"endpoint\":\"health-1\",\"network\":\"VM "
     "Network\",\"pool_v4\":\"203.0.113.0/28\",\"pool_v6\":\"2001:db8::/64\"}"},
    {"PUT", "/v1/clouds/{cloud}/capacity", "{\"bandwidth_mbps\":10000}"},
    {"POST", "/v1/endpoints",
     "{\"id\":\"e-2\",\"cloud\":\"health\",\"site\":\"site-1\",\"driver\":\"powervm\",\"url\":\"https://"
     "127.0.0.1:9\",\"username\":\"u\",\"secret\":\"env:NOWHERE\",\"ca_file\":\"/none\",\"fingerprint\":"
     "\"0000000000000000000000000000000000000000000000000000000000000000\",\"options\":{\"standard\":[\"a\"]}"
     ","
     "\"timeout_ms\":1000,\"enabled\":false,\"enclave\":false}"},
    {"PATCH", "/v1/endpoints/{endpoint}",
     "{\"username\":\"u\",\"options\":{\"standard\":[\"a\"]},\"timeout_ms\":1000,\"enabled\":false}"},
    {"POST", "/v1/usage",
     "{\"specversion\":\"1.0\",\"type\":\"cn.yunqiao.usage.state.v1\",\"source\":\"/providers/"
     "provider-health/meter\",\"id\":\"i-1\",\"time\":\"2026-11-24T00:00:00Z\",\"subject\":\"vm-1\","
     "\"sequence\":\"1\",\"data\":{\"unit\":\"110105\",\"system\":\"110105001\",\"cloud\":\"health\","
     "\"zone\":\"extranet\",\"architecture\":\"x86\",\"kind\":\"instance\",\"items\":[{\"item\":\"1001\","
     "\"quantity\":\"4\",\"tariff\":\"standard\"}]}}"},
    {"POST", "/v1/usage-events:discard", "{\"source\":\"/providers/provider-health/meter\",\"id\":\"i-1\"}"},
    {"POST", "/v1/units", "{\"id\":\"110107\",\"name\":\"n\",\"kind\":\"government\"}"},
    {"PATCH", "/v1/units/{unit}", "{\"name\":\"n\",\"state\":\"active\"}"},
    {"POST", "/v1/units/{unit}/systems",
     "{\"id\":\"110105002\",\"name\":\"n\",\"classified\":true,\"insurance\":false}"},
    {"PATCH", "/v1/units/{unit}/quotas/{cloud}", "{\"vcpu\":100,\"memory_gb\":400,\"instances\":-1}"},
    {"POST", "/v1/quotes",
     "{\"resources\":[{\"kind\":\"instance\",\"spec\":{\"vcpu\":2,\"memory_gb\":4,\"architecture\":\"x86\","
     "\"image\":\"i\",\"zone\":\"extranet\",\"system_disk_gb\":10},\"count\":3},{\"kind\":\"volume\","
     "\"spec\":"
     "{\"size_gb\":10,\"performance\":\"high\",\"zone\":\"extranet\"}}],\"months\":12,\"clouds\":[\"health\"]"
     "}"},
    {"POST", "/v1/orders",
     "{\"system\":\"110105001\",\"cloud\":\"health\",\"note\":\"n\",\"resources\":[{\"kind\":\"volume\","
     "\"name\":\"v-1\",\"spec\":{\"size_gb\":1,\"performance\":\"standard\",\"zone\":\"extranet\"}},{"
     "\"kind\":"
     "\"address\",\"name\":\"a-1\",\"cloud\":\"health\",\"spec\":{\"zone\":\"internet\",\"family\":4}},{"
     "\"kind\":\"bandwidth\",\"name\":\"b-1\",\"spec\":{\"zone\":\"internet\",\"mbps\":10}}]}"},
    {"POST", "/v1/instances/{id}:resize", "{\"vcpu\":2,\"memory_gb\":4}"},
    {"POST", "/v1/instances/{id}:stop", "{\"grace_seconds\":0}"},
    {"POST", "/v1/volumes/{id}:resize", "{\"size_gb\":20}"},
    {"POST", "/v1/volumes/{id}:attach", "{\"instance\":\"%I\"}"},
    {"POST", "/v1/bandwidths/{id}:resize", "{\"mbps\":20}"},
    {"POST", "/v1/drift/{drift}:accept", "{\"reason\":\"r\"}"},
    {"POST", "/v1/drift/{drift}:refuse", "{\"reason\":\"r\"}"},
    {"POST", "/v1/principals",
     "{\"id\":\"w-1\",\"name\":\"n\",\"role\":\"unit-operator\",\"unit\":\"110105\",\"systems\":["
     "\"110105001\"],"
     "\"clouds\":[],\"certificate\":null,\"disabled\":false}"},
    {"PATCH", "/v1/principals/{id}", "{\"name\":\"n\",\"systems\":[\"110105001\"],\"disabled\":false}"},
    {"POST", "/v1/tokens", "{\"principal\":\"operator\",\"expires_in\":60}"},
};

static const char *const odd_values[] = {
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1",
    "-0",
    "2147483648",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "1e400",
    "-1e400",
    "1e308",
    "1e-400",
    "0.1",
    "1E2",
    "\"\"",
    "\" \"",
    "\"\\u0000\"",
    "\"a\\u0000b\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"\xf0\x9f\x98\x80\"",
    "\"\\uffff\"",
    "\"\\u202e\"",
    "\"\\u0085\"",
    "\"\\t\\n\"",
    "\"\xff\"",
    "\"\xc0\x80\"",
    "\"\xed\xa0\x80\"",
    "\"'\"",
    "\"\\\\\"",
    "\"{\\\"}\"",
    "\"%s%n\"",
    "\"../../etc/passwd\"",
    "\"0\"",
    "\"-1\"",
    "\"00000000-0000-0000-0000-000000000000\"",
    "\"2026-13\"",
    "\"9999-12\"",
    "\"0001-01\"",
    "\"0000-00\"",
    "\"2026-11\"",
    "\"infinity\"",
    "\"-infinity\"",
    "\"now\"",
    "\"2026-02-30T00:00:00Z\"",
    "\"999999999999999999999999.99\"",
    "\"1.001\"",
    "\"NaN\"",
    "\"0.0.0.0/0\"",
    "\"::/0\"",
    "\"10.0.0.0/33\"",
    "\"1.2.3.4/24\"",
    "\"256.1.1.1/24\"",
    "\"10.0.0.0/8\"",
    "\"10.0.0.4/30\"",
    "\"fe80::%lo/64\"",
    "\"10.0.0.1\"",
    "[]",
    "{}",
    "[[]]",
    "[null]",
    "[\"\"]",
    "[1,1]",
    "{\"a\":null}",
    "{\"\":1}",
    "{\"\\u0000\":1}",
    "{\"a\":1,\"a\":2}",
    "\"health\"",
    "\"education\"",
    "\"110106\"",
    "\"110106001\"",
    "\"provider-education\"",
    "\"x86\"",
};

static const char *const odd_segments[] = {
    "",
    "%00",
    "a%00b",
    "%ff",
    "%c0%80",
    "%2f",
    "%2e%2e",
    "..",
    ".",
    "%252e%252e%252f",
    "%27",
    "%22",
    "%5c",
    "%25s",
    "null",
    "0",
    "-1",
    "99999999999999999999",
    "%F0%9F%98%80",
    "%EF%BF%BF",
    "%E2%80%AE",
    "%20",
    "a%20b",
    ";a=b",
    "*",
    "2026-13",
    "2026-00",
    "0000-01",
    "9999-12",
    "10000-01",
    "2026-11",
    "1970-01",
    "2026-1",
    "-2026-11",
    "00000000-0000-0000-0000-000000000000",
    "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
    "00000000-0000-0000-0000-00000000000g",
    "{00000000-0000-0000-0000-000000000000}",
    "infinity",
    "2026-11-24T00:00:00Z",
    "2026-11-24T25:00:00Z",
    "2026-11-24T00:00:00%2B08:00",
    "294277-01-01T00:00:00Z",
    "-4713-01-01T00:00:00Z",
    "true",
    "1001",
    "1.5",
    "%0a",
    "%7f",
};

static char *instance, *volume, *operation, *order, *bid;
static const char *long_text; /* 600 characters, beyond every name */

static const char *good_segment(const char *pattern, const char *param)
{
    static const struct {
        const char *param, *value;
    } names[] = {
        {"cloud", "health"}, {"unit", WORLD_UNIT}, {"system", WORLD_SYSTEM}, {"endpoint", "health-1"}};
    for (size_t i = 0; i < COUNT(names); i++)
        if (!strcmp(names[i].param, param))
            return names[i].value;
    if (!strcmp(param, "operation"))
        return operation;
    if (!strcmp(param, "order"))
        return order;
    if (!strcmp(param, "month"))
        return "2026-11";
    if (strstr(pattern, "/providers/"))
        return "provider-health";
    if (strstr(pattern, "/bids/"))
        return bid;
    if (strstr(pattern, "/principals/"))
        return "stranger";
    return strstr(pattern, "/volumes/") ? volume : instance;
}

static const char *odd_segment(struct arena *arena)
{
    if (chance(10))
        return long_text;
    if (chance(5))
        return arena_strndup(arena, long_text, pick(300));
    return odd_segments[pick(COUNT(odd_segments))];
}

static const char *make_path(struct arena *arena, const struct http_route *route)
{
    const char *text = "";
    bool odd = chance(40);
    for (const char *at = route->pattern; *at;) {
        if (*at != '{') {
            size_t plain = strcspn(at, "{");
            text = arena_printf(arena, "%s%.*s", text, (int)plain, at);
            at += plain;
            continue;
        }
        const char *name = arena_strndup(arena, at + 1, strcspn(at, "}") - 1);
        const char *value = odd && chance(80) ? odd_segment(arena) : good_segment(route->pattern, name);
        text = arena_printf(arena, "%s%s", text, value);
        at = strchr(at, '}') + 1;
    }
    return text;
}

/* A page token of the right form with any cursor in it: that is the most that tampering can do. */
static const char *token_of(struct arena *arena, const struct http_route *route)
{
    static const char *const cursors[] = {"",
                                          "0",
                                          "-1",
                                          "x",
                                          "2026-11-24T00:00:00Z",
                                          "\n",
                                          "a\nb",
                                          "1\n2\n3",
                                          "99999999999999999999",
                                          "1,2",
                                          "a,b,c",
                                          "\xff\xfe",
                                          "00000000-0000-0000-0000-000000000000",
                                          "'",
                                          "[]",
                                          "[1,\"a\"]",
                                          "{\"a\":1}"};
    const char *cursor = cursors[pick(COUNT(cursors))];
    char check[DIGEST_HEX];
    const char *text = arena_printf(arena, "%s\n%s", route->pattern, cursor);
    digest_sha256(text, strlen(text), check);
    text = arena_printf(arena, "%.8s%s", check, cursor);
    return base64url_encode(arena, text, strlen(text));
}

static const char *query_value(struct arena *arena, const struct http_route *route, const char *name)
{
    static const char *const good[] = {"1",      WORLD_UNIT, "health", "2026-11", "provider-health",
                                       "active", "instance"};
    if (!strcmp(name, "page_token") && chance(80))
        return token_of(arena, route);
    if (chance(30))
        return good[pick(COUNT(good))];
    return odd_segment(arena);
}

static const char *add_query(struct arena *arena, const struct http_route *route, const char *path)
{
    if (!route->query || chance(20))
        return path;
    char *names = arena_strdup(arena, route->query), *name;
    char mark = '?';
    while ((name = strsep(&names, ",")))
        if (chance(40)) {
            path = arena_printf(arena, "%s%c%s=%s", path, mark, name, query_value(arena, route, name));
            mark = '&';
        }
    return path;
}

/* Replaces a random value below `json` by a mark, or drops it, or puts a strange member beside it. */
static void break_one(json_t *json)
{
    for (;;) {
        size_t size = json_is_object(json) ? json_object_size(json) : json_array_size(json);
        if (!size)
            return;
        size_t chosen = pick(size);
        void *iterator = json_is_object(json) ? json_object_iter(json) : NULL;
        for (size_t i = 0; iterator && i < chosen; i++)
            iterator = json_object_iter_next(json, iterator);
        json_t *child = iterator ? json_object_iter_value(iterator) : json_array_get(json, chosen);
        if ((json_is_object(child) || json_is_array(child)) && chance(75)) {
            json = child;
            continue;
        }
        if (json_is_object(json) && chance(5))
            json_object_set_new(json, "strange", json_string("@@"));
        else if (iterator && chance(10))
            json_object_del(json, json_object_iter_key(iterator));
        else if (iterator)
            json_object_iter_set_new(json, iterator, json_string("@@"));
        else
            json_array_set_new(json, chosen, json_string("@@"));
        return;
    }
}

static const char *odd_value(struct arena *arena)
{
    if (chance(5))
        return arena_printf(arena, "\"%s\"", long_text);
    if (chance(3)) {
        size_t depth = 1 + pick(64);
        char *text = arena_alloc(arena, 2 * depth + 1);
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        return text;
    }
    return odd_values[pick(COUNT(odd_values))];
}

static const char *break_bytes(struct arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);
    size_t length = strlen(copy);
    if (!length)
        return copy;
    if (chance(50))
        copy[pick(length)] = (char)(1 + pick(255));
    else
        copy[pick(length)] = '\0';
    return copy;
}

static const char *make_body(struct arena *arena, const struct http_route *route)
{
    const char *seed = "{}";
    for (size_t i = 0; i < COUNT(seeds); i++)
        if (!strcmp(seeds[i].method, route->method) && !strcmp(seeds[i].pattern, route->pattern))
            seed = seeds[i].body;
    if (chance(4))
        return odd_value(arena);
    if (chance(4))
        return break_bytes(arena, seed);
    json_t *json = json_loads(seed, 0, NULL);
    assert_non_null(json);
    for (size_t i = 0, most = 1 + pick(2); i < most; i++)
        break_one(json);
    if (json_object_get(json, "id") && chance(40))
        json_object_set_new(json, "id",
                            json_string(arena_printf(arena, "i-%llu", (unsigned long long)pick(1000))));
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    arena_defer(arena, free, text);
    for (char *mark; (mark = strstr(text, "\"@@\""));) {
        text = arena_printf(arena, "%.*s%s%s", (int)(mark - text), text, odd_value(arena), mark + 4);
    }
    char *place = strstr(text, "%I");
    return place ? arena_printf(arena, "%.*s%s%s", (int)(place - text), text, instance, place + 2) : text;
}

static const char *const event_types[] = {"application/cloudevents+json", "application/cloudevents+json",
                                          "application/cloudevents-batch+json", "application/x-ndjson"};

/* True when the answer is a bug. */
static bool try_route(struct arena *arena, const struct http_route *route, unsigned *counts)
{
    const char *path = add_query(arena, route, make_path(arena, route));
    const char *tokens[] = {world->admin, world->admin, world->admin, world->operator_, world->regulator};
    bool get = !strcmp(route->method, "GET");
    char key[ID_TEXT];
    id_new(key);
    bool body = !get && !(route->flags & HTTP_NO_BODY) && strcmp(route->method, "DELETE");
    const struct api_request request = {
        .method = route->method,
        .path = path,
        .token = tokens[pick(COUNT(tokens))],
        .key = route->flags & HTTP_KEYED ? key : NULL,
        .if_match = route->flags & HTTP_CONDITIONAL ? "*" : NULL,
        .body = body ? make_body(arena, route) : NULL,
        .type = route->flags & HTTP_EVENTS ? event_types[pick(COUNT(event_types))] : NULL,
    };
    API_AUTO struct api_reply reply = api_call(world->client, &request);
    counts[reply.status > 0 && reply.status < 600 ? reply.status : 0]++;
    bool bad = reply.status == 0 || reply.status == 500 || reply.status == 504;
    if (bad)
        print_error("%d: %s %s %s\n  %s\n", reply.status, request.method, path,
                    request.body ? request.body : "", reply.text ? reply.text : "");
    return bad;
}

/* What the world holds, so that some requests reach the depths. */
static void furnish(void)
{
    char *began = world_order(
        world, world->operator_, WORLD_SYSTEM, "health",
        json_pack("[o, o]", world_instance("health", "fuzz", 1, 1), world_volume("disk", 1, NULL)));
    operation = xstrdup(began);
    world_succeeds(world, world->operator_, began);
    instance = world_id(world, "instance", "fuzz");
    volume = world_id(world, "volume", "disk");
    order = world_value(world, "SELECT id FROM orders LIMIT 1");
    bid = world_value(world, "SELECT id FROM bid LIMIT 1");
}

static bool skipped(const struct http_route *route)
{
    /* A stream has no end; keys and months of the world must stay. */
    return !strcmp(route->pattern, "/v1/events") || !strcmp(route->pattern, "/v1/keys:rotate");
}

static void test_routes(void **context)
{
    (void)context; /* cmocka's form */
    const char *seconds = getenv("FUZZ_SECONDS"), *seed = getenv("FUZZ_SEED");
    state = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL) << 20 ^ (uint64_t)moment_monotonic();
    state = state ? state : 1;
    print_message("FUZZ_SEED=%llu\n", (unsigned long long)state);
    furnish();
    size_t table_count, failures = 0, calls = 0;
    const struct http_table *const *tables = routes_all(&table_count);
    unsigned counts[600] = {0};
    int64_t until = moment_monotonic() + (seconds ? strtoll(seconds, NULL, 10) : 15) * MOMENT_SECOND;
    struct arena *arena = arena_new();
    long_text = memset(xcalloc(1, 601), 'a', 600);
    while (moment_monotonic() < until && failures < FAILURES_MAX) {
        const struct http_table *table = tables[pick(table_count)];
        const struct http_route *route = &table->routes[pick(table->count)];
        if (skipped(route))
            continue;
        failures += try_route(arena, route, counts);
        calls++;
        arena_reset(arena);
    }
    print_message("%zu calls:", calls);
    for (size_t i = 0; i < COUNT(counts); i++)
        if (counts[i])
            print_message(" %zu×%u", i, counts[i]);
    print_message("\n");
    arena_free(arena);
    assert_int_equal(failures, 0);
    assert_true(counts[200] > 0);
    assert_true(counts[201] > 0);
    assert_true(counts[422] > 0);
}

static int start(void **context)
{
    (void)context; /* cmocka's form */
    world = world_start(&(struct world_options){.settings = "close_months = no\n"});
    return 0;
}

static int stop(void **context)
{
    (void)context; /* cmocka's form */
    free(instance);
    free(volume);
    free(operation);
    free(order);
    free(bid);
    world_stop(world);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_routes)};
    return cmocka_run_group_tests_name("every route with odd requests", tests, start, stop);
}
