/* Everything wrong that a caller or a provider can do. Each is answered with a problem that names the member
 * and the rule, changes nothing (all tables are counted before and after), and leaves the broker serving
 * others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "tests/e2e/world_check.h"
#include "tests/support/h2.h"

#define WAIT_SECONDS 180
#define LARGE (2u << 20) /* of a body; at most 1 MB is taken */

/* Who calls. */
enum who { ADMIN, OPERATOR, NOBODY };

struct bad {
    enum who who;
    const char *method, *path, *body;
    int status;
    const char *says; /* in the answer: a pointer, or words of the rule */
};

#define ORDER(spec) "{\"system\":\"110105001\",\"cloud\":\"health\",\"resources\":[" spec "]}"
#define VOLUME(more)                                                                                        \
    "{\"kind\":\"volume\",\"name\":\"v\",\"spec\":{\"performance\":\"standard\",\"zone\":\"extranet\"" more \
    "}}"
#define INSTANCE(more)                                                                               \
    "{\"kind\":\"instance\",\"name\":\"i\",\"spec\":{\"image\":\"debian-12\",\"zone\":\"extranet\"," \
    "\"system_disk_gb\":10," more "}}"

static const struct bad bads[] = {
    /* wrong types, unknown members, huge numbers, missing members */
    {OPERATOR, "POST", "/v1/orders", "[]", 422, "object"},
    {OPERATOR, "POST", "/v1/orders", "{}", 422, "/resources"},
    {OPERATOR, "POST", "/v1/orders", "{\"system\":7,\"resources\":{}}", 422, "/system"},
    {OPERATOR, "POST", "/v1/orders", ORDER(""), 422, "/resources"},
    {OPERATOR, "POST", "/v1/orders", ORDER("7"), 422, "/resources/0"},
    {OPERATOR, "POST", "/v1/orders", ORDER("{\"kind\":\"spaceship\",\"name\":\"v\",\"spec\":{}}"), 422,
     "/resources/0/kind"},
    {OPERATOR, "POST", "/v1/orders", ORDER(VOLUME(",\"size_gb\":\"5\"")), 422, "/resources/0/spec/size_gb"},
    {OPERATOR, "POST", "/v1/orders", ORDER(VOLUME(",\"size_gb\":5.5")), 422, "/resources/0/spec/size_gb"},
    {OPERATOR, "POST", "/v1/orders", ORDER(VOLUME(",\"size_gb\":0")), 422, "/resources/0/spec/size_gb"},
    {OPERATOR, "POST", "/v1/orders", ORDER(VOLUME(",\"size_gb\":-1")), 422, "/resources/0/spec/size_gb"},
    {OPERATOR, "POST", "/v1/orders", ORDER(VOLUME(",\"size_gb\":9223372036854775807")), 422,
     "/resources/0/spec/size_gb"},
    {OPERATOR, "POST", "/v1/orders", ORDER(VOLUME(",\"size_gb\":99999999999999999999999")), 400, "JSON"},
    {OPERATOR, "POST", "/v1/orders", ORDER(VOLUME(",\"size_gb\":1e400")), 400, "JSON"},
    {OPERATOR, "POST", "/v1/orders", ORDER(VOLUME(",\"size_gb\":1,\"colour\":\"red\"")), 422,
     "/resources/0/spec/colour"},
    {OPERATOR, "POST", "/v1/orders", ORDER(VOLUME("")), 422, "/resources/0/spec/size_gb"},
    {OPERATOR, "POST", "/v1/orders", ORDER(VOLUME(",\"size_gb\":1,\"size_gb\":2")), 400, "JSON"},
    {OPERATOR, "POST", "/v1/orders", ORDER(VOLUME(",\"size_gb\":1") "," VOLUME(",\"size_gb\":1")), 422,
     "/resources/1/name"},
    {OPERATOR, "POST", "/v1/orders", ORDER(INSTANCE("\"vcpu\":17,\"memory_gb\":65,\"architecture\":\"VAX\"")),
     422, "/resources/0/spec/vcpu"},
    {OPERATOR, "POST", "/v1/orders",
     ORDER(INSTANCE("\"vcpu\":1,\"memory_gb\":1,\"architecture\":\"x86\",\"user_data\":7")), 422,
     "/resources/0/spec/user_data"},
    {OPERATOR, "POST", "/v1/orders",
     ORDER("{\"kind\":\"address\",\"name\":\"a\",\"spec\":{\"zone\":\"extranet\"}}"), 422, "internet zone"},
    {OPERATOR, "POST", "/v1/orders",
     ORDER("{\"kind\":\"volume\",\"name\":\"v\",\"spec\":{\"size_gb\":1,\"performance\":\"standard\","
           "\"zone\":\"moon\"}}"),
     422, "moon"},
    {OPERATOR, "POST", "/v1/orders",
     ORDER("{\"kind\":\"volume\",\"name\":\"v\",\"spec\":{\"size_gb\":1,\"performance\":\"standard\","
           "\"attach_to\":\"none\"}}"),
     422, "/resources/0/spec/attach_to"},
    {OPERATOR, "POST", "/v1/orders",
     "{\"system\":\"110106001\",\"cloud\":\"health\",\"resources\":[" VOLUME(",\"size_gb\":1") "]}", 404,
     "110106001"},
    {OPERATOR, "POST", "/v1/orders",
     "{\"system\":\"110105001\",\"cloud\":\"atlantis\",\"resources\":[" VOLUME(",\"size_gb\":1") "]}", 422,
     "atlantis"},
    {OPERATOR, "POST", "/v1/orders", "{\"system\":\"110105001\",\"clo", 400, "JSON"},
    {OPERATOR, "POST", "/v1/orders", "", 422, "body"},
    {OPERATOR, "POST", "/v1/orders", "{\"note\":\"\xff\xfe\"}", 400, "JSON"},
    {ADMIN, "POST", "/v1/units", "{\"id\":\"Ünit\",\"name\":\"\",\"kind\":\"ministry\"}", 422, "/kind"},
    {ADMIN, "POST", "/v1/units", "{\"id\":\"110105\",\"name\":\"n\",\"kind\":\"government\"}", 409, "exist"},
    {ADMIN, "POST", "/v1/units/110105/systems", "{\"id\":\"110105002\",\"name\":\"n\",\"classified\":true}",
     422, "/classified"},
    {ADMIN, "POST", "/v1/units/110105/systems", "{\"id\":\"110106002\",\"name\":\"n\",\"classified\":false}",
     422, "/id"},
    {ADMIN, "POST", "/v1/clouds", "{\"id\":\"c\",\"name\":\"n\",\"kind\":\"health\",\"provider\":\"nobody\"}",
     422, "/provider"},
    {ADMIN, "POST", "/v1/clouds/health/zones",
     "{\"id\":\"z\",\"kind\":\"internet\",\"site\":\"site-1\",\"pool_v4\":\"198.51.100.7/24\"}", 422,
     "/pool_v4"},
    {ADMIN, "POST", "/v1/endpoints",
     "{\"id\":\"e\",\"cloud\":\"health\",\"site\":\"site-1\",\"driver\":\"cp/m\",\"url\":\"x\"}", 422,
     "/driver"},
    {ADMIN, "POST", "/v1/endpoints",
     "{\"id\":\"e\",\"cloud\":\"health\",\"site\":\"site-1\",\"driver\":\"vmware\",\"url\":\"x\",\"secret\":"
     "\"hunter2\"}",
     422, "/secret"},
    {ADMIN, "POST", "/v1/endpoints",
     "{\"id\":\"e\",\"cloud\":\"health\",\"site\":\"site-1\",\"driver\":\"vmware\",\"url\":\"https://"
     "root:hunter2@"
     "127.0.0.1/sdk\"}",
     422, "/url"},
    {ADMIN, "POST", "/v1/endpoints",
     "{\"id\":\"e\",\"cloud\":\"health\",\"site\":\"site-1\",\"driver\":\"vmware\",\"url\":\"https://h/sdk\","
     "\"secret\":\"env:YUNQIAO_DATABASE\"}",
     422, "own settings"},
    {ADMIN, "POST", "/v1/principals", "{\"id\":\"p\",\"role\":\"emperor\"}", 422, "/role"},
    {ADMIN, "POST", "/v1/principals", "{\"id\":\"p\",\"role\":\"unit-admin\"}", 422, "/unit"},
    {ADMIN, "POST", "/v1/tokens", "{\"principal\":\"operator\",\"expires_in\":99999999999}", 422,
     "/expires_in"},
    {ADMIN, "PATCH", "/v1/units/110105/quotas/health", "{\"vcpu\":1.5}", 422, "/vcpu"},
    {ADMIN, "PATCH", "/v1/units/110105/quotas/health", "{\"vcpu\":99999999999}", 422, "/vcpu"},
    {ADMIN, "PATCH", "/v1/units/110105/quotas/health", "{\"dragons\":1}", 422, "/dragons"},
    /* bids: a missing, an unknown item, three decimals, over the cap, a number instead of text */
    {ADMIN, "POST", "/v1/providers/provider-health/bids", "{\"prices\":{}}", 422, "/prices/1001"},
    {ADMIN, "POST", "/v1/providers/provider-health/bids", "{\"prices\":{\"9999\":\"1.00\"}}", 422,
     "/prices/9999"},
    {ADMIN, "POST", "/v1/providers/provider-health/bids", "{\"prices\":{\"1001\":\"1.005\"}}", 422,
     "decimal"},
    {ADMIN, "POST", "/v1/providers/provider-health/bids", "{\"prices\":{\"1001\":\"14.03\"}}", 422, "14.02"},
    {ADMIN, "POST", "/v1/providers/provider-health/bids", "{\"prices\":{\"1001\":\"0.00\"}}", 422,
     "/prices/1001"},
    {ADMIN, "POST", "/v1/providers/provider-health/bids", "{\"prices\":{\"1001\":1.5}}", 422, "/prices/1001"},
    {ADMIN, "POST", "/v1/providers/provider-health/bids", "{\"prices\":{\"1001\":\"1e1\"}}", 422,
     "/prices/1001"},
    /* queries and paths */
    {OPERATOR, "GET", "/v1/orders?colour=red", NULL, 400, "colour"},
    {OPERATOR, "GET", "/v1/orders?page_size=1001", NULL, 400, "page_size"},
    {OPERATOR, "GET", "/v1/orders?page_size=x", NULL, 400, "page_size"},
    {OPERATOR, "GET", "/v1/orders?page_token=forged", NULL, 400, "page_token"},
    {OPERATOR, "GET", "/v1/operations?resource=abc", NULL, 400, "resource"},
    {OPERATOR, "GET", "/v1/orders/abc", NULL, 404, "order"},
    {OPERATOR, "GET", "/v1/orders/00000000-0000-0000-0000-000000000000", NULL, 404, "order"},
    {OPERATOR, "GET", "/v1/nothing", NULL, 404, "problem"},
    {OPERATOR, "GET", "/v1/orders/%zz", NULL, 400, "problem"},
    {NOBODY, "GET", "/v1/orders", NULL, 401, "problem"},
    {NOBODY, "POST", "/v1/orders", "{}", 401, "problem"},
};

static const char *token_of(const struct world *w, enum who who)
{
    return who == ADMIN ? w->admin : who == OPERATOR ? w->operator_ : NULL;
}

static void expect_problem(const struct api_reply *reply, const char *what, int status, const char *says)
{
    if (reply->status != status || (says && !strstr(reply->text, says)))
        fail_msg("%s: wanted %d with \"%s\" and got %d: %s", what, status, says ? says : "", reply->status,
                 reply->text);
    assert_string_equal(api_header(reply, "content-type"), "application/problem+json");
    assert_int_equal(json_integer_value(json_object_get(reply->json, "status")), status);
}

static void what_is_wrong_is_named(void **state)
{
    struct world *w = *state;
    size_t wrong = 0;
    char *before = world_counts(w);
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        ARENA_AUTO struct arena *arena = arena_new();
        const struct bad *bad = &bads[i];
        API_AUTO struct api_reply reply = api_call(
            w->client, &(struct api_request){
                           .method = bad->method,
                           .path = bad->path,
                           .token = token_of(w, bad->who),
                           .key = strcmp(bad->method, "GET") ? arena_printf(arena, "bad-%zu", i) : NULL,
                           .body = bad->body});
        const char *type = api_header(&reply, "content-type");
        if (reply.status == bad->status && strstr(reply.text, bad->says) && type &&
            !strcmp(type, "application/problem+json"))
            continue;
        wrong++;
        print_error("%s %s %s: wanted %d with \"%s\" and got %d: %s\n", bad->method, bad->path,
                    bad->body ? bad->body : "", bad->status, bad->says, reply.status, reply.text);
    }
    char *after = world_counts(w);
    assert_string_equal(after, before);
    assert_int_equal(wrong, 0);
    free(before);
    free(after);
}

static void protocol_mistakes(void **state)
{
    struct world *w = *state;
    const char *good = ORDER(VOLUME(",\"size_gb\":1"));
    char *before = world_counts(w);
    API_AUTO struct api_reply method = api_call(
        w->client, &(struct api_request){.method = "PATCH", .path = "/v1/orders", .token = w->operator_});
    expect_problem(&method, "wrong method", 405, NULL);
    assert_string_equal(api_header(&method, "allow"), "GET, HEAD, POST, OPTIONS");
    API_AUTO struct api_reply media = api_call(w->client, &(struct api_request){.method = "POST",
                                                                                .path = "/v1/orders",
                                                                                .token = w->operator_,
                                                                                .key = "m",
                                                                                .body = good,
                                                                                .type = "text/plain"});
    expect_problem(&media, "wrong media type", 415, NULL);
    static const char *const html[] = {"Accept: text/html", NULL};
    API_AUTO struct api_reply accept = api_call(w->client, &(struct api_request){.method = "POST",
                                                                                 .path = "/v1/orders",
                                                                                 .token = w->operator_,
                                                                                 .key = "m",
                                                                                 .body = good,
                                                                                 .headers = html});
    expect_problem(&accept, "not acceptable", 406, NULL);
    API_AUTO struct api_reply keyless = api_call(
        w->client,
        &(struct api_request){.method = "POST", .path = "/v1/orders", .token = w->operator_, .body = good});
    expect_problem(&keyless, "no key", 400, "Idempotency-Key");
    char *large = xcalloc(1, LARGE);
    memset(large, ' ', LARGE);
    /* answered before its end: libcurl takes the reset that follows (RFC 9113 section 8.1) for a failure */
    struct h2_client *client = h2_open(w->port, &(struct h2_options){0});
    static const char *const json[] = {"content-type", "application/json", "idempotency-key", "m", NULL};
    const struct h2_reply *body = h2_call(client, &(struct h2_request){.method = "POST",
                                                                       .path = "/v1/orders",
                                                                       .token = w->operator_,
                                                                       .headers = json,
                                                                       .body = large,
                                                                       .length = LARGE});
    assert_int_equal(body->status, 413);
    assert_non_null(strstr(body->body, "\"status\":413"));
    h2_close(client);
    free(large);
    char *line = xcalloc(1, (40u << 10) + 1);
    memset(line, 'x', 40u << 10);
    memcpy(line, "X-Bomb: ", 8);
    const char *const bomb[] = {line, NULL};
    API_AUTO struct api_reply header = api_call(
        w->client,
        &(struct api_request){.method = "GET", .path = "/v1/orders", .token = w->operator_, .headers = bomb});
    if (header.status != 0) /* the client may already refuse to send what SETTINGS forbid */
        expect_problem(&header, "a header of 40 KB", 431, NULL);
    free(line);
    line = xcalloc(1, (10u << 20) + 1);
    memset(line, 'x', 10u << 20);
    memcpy(line, "X-Bomb: ", 8);
    const char *const huge[] = {line, NULL};
    API_AUTO struct api_reply headers = api_call(
        w->client,
        &(struct api_request){.method = "GET", .path = "/v1/orders", .token = w->operator_, .headers = huge});
    assert_true(headers.status == 0 ||
                headers.status == 431); /* never 200: at best a problem, else the end */
    free(line);
    API_AUTO struct api_reply alive = api_get(w->client, w->operator_, "/v1/orders");
    api_expect(&alive, 200);
    char *after = world_counts(w);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

static void keys_make_one_thing_once(void **state)
{
    struct world *w = *state;
    struct api_request request = {.method = "POST",
                                  .path = "/v1/orders",
                                  .token = w->operator_,
                                  .key = "once",
                                  .body = ORDER(VOLUME(",\"size_gb\":1"))};
    API_AUTO struct api_reply first = api_call(w->client, &request);
    api_expect(&first, 202);
    char *operation = xstrdup(strrchr(api_header(&first, "location"), '/') + 1);
    world_succeeds(w, w->operator_, operation);
    char *before = world_counts(w);
    API_AUTO struct api_reply again = api_call(w->client, &request);
    api_expect(&again, 202);
    assert_string_equal(again.text, first.text);
    assert_string_equal(api_header(&again, "idempotency-replayed"), "true");
    request.body = ORDER(VOLUME(",\"size_gb\":2"));
    API_AUTO struct api_reply other = api_call(w->client, &request);
    expect_problem(&other, "another body", 422, "Idempotency-Key");
    PGconn *connection = world_connect(w);
    PQclear(PQexec(connection,
                   "SELECT pg_advisory_lock(hashtextextended('operator' || chr(10) || 'held', 300))"));
    request.key = "held"; /* as if its first call were still running on another broker */
    API_AUTO struct api_reply running = api_call(w->client, &request);
    PQfinish(connection);
    expect_problem(&running, "still running", 409, "still running");
    char *after = world_counts(w);
    assert_string_equal(after, before);
    char *id = world_id(w, "volume", "v"), *path = xasprintf("/v1/volumes/%s", id);
    API_AUTO struct api_reply blind =
        api_call(w->client, &(struct api_request){.method = "DELETE", .path = path, .token = w->operator_});
    expect_problem(&blind, "no If-Match", 428, "If-Match");
    API_AUTO struct api_reply stale = api_call(
        w->client,
        &(struct api_request){.method = "DELETE", .path = path, .token = w->operator_, .if_match = "\"v0\""});
    expect_problem(&stale, "stale If-Match", 412, NULL);
    world_succeeds(w, w->operator_, world_delete(w, w->operator_, path));
    free(before);
    free(after);
    free(id);
    free(path);
}

static void what_others_have_is_not_there(void **state)
{
    struct world *w = *state;
    json_t *items = json_array();
    json_array_append_new(items, world_instance("health", "mine", 1, 1));
    json_array_append_new(items, world_volume("mine", 1, NULL));
    char *operation = world_order(w, w->operator_, WORLD_SYSTEM, "health", items);
    world_succeeds(w, w->operator_, xstrdup(operation));
    char *instance = world_id(w, "instance", "mine"), *volume = world_id(w, "volume", "mine");
    char *order = world_value(w, "SELECT order_id FROM resource WHERE name = 'mine' LIMIT 1");
    const struct {
        const char *method, *pattern, *id, *body;
    } tries[] = {
        {"GET", "/v1/instances/%s", instance, NULL},
        {"GET", "/v1/resources/%s", instance, NULL},
        {"DELETE", "/v1/instances/%s", instance, NULL},
        {"POST", "/v1/instances/%s:stop", instance, NULL},
        {"POST", "/v1/instances/%s:reboot", instance, NULL},
        {"POST", "/v1/instances/%s:resize", instance, "{\"vcpu\":2}"},
        {"POST", "/v1/instances/%s:console", instance, NULL},
        {"GET", "/v1/volumes/%s", volume, NULL},
        {"POST", "/v1/volumes/%s:resize", volume, "{\"size_gb\":9}"},
        {"POST", "/v1/volumes/%s:attach", volume, "{\"instance\":\"mine\"}"},
        {"DELETE", "/v1/volumes/%s", volume, NULL},
        {"GET", "/v1/orders/%s", order, NULL},
        {"GET", "/v1/operations/%s", operation, NULL},
        {"DELETE", "/v1/operations/%s", operation, NULL},
        {"POST", "/v1/operations/%s:retry", operation, NULL},
        {"GET", "/v1/bills/%s", order, NULL},
        {"GET", "/v1/units/%s", WORLD_UNIT, NULL},
        {"GET", "/v1/units/%s/quotas", WORLD_UNIT, NULL},
        {"GET", "/v1/units/" WORLD_UNIT "/systems/%s", WORLD_SYSTEM, NULL},
    };
    char *before = world_counts(w);
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        char path[256], key[32];
        const char *at = strstr(tries[i].pattern, "%s");
        (void)snprintf(path, sizeof path, "%.*s%s%s", (int)(at - tries[i].pattern), tries[i].pattern,
                       tries[i].id, at + 2);
        (void)snprintf(key, sizeof key, "cross-%zu", i);
        API_AUTO struct api_reply reply = api_call(
            w->client, &(struct api_request){.method = tries[i].method,
                                             .path = path,
                                             .token = w->stranger,
                                             .key = strcmp(tries[i].method, "POST") ? NULL : key,
                                             .if_match = strcmp(tries[i].method, "DELETE") ? NULL : "\"v1\"",
                                             .body = tries[i].body});
        expect_problem(&reply, path, 404, NULL);
    }
    static const char *const lists[] = {"/v1/instances", "/v1/volumes", "/v1/orders", "/v1/operations",
                                        "/v1/usage"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        API_AUTO struct api_reply reply = api_get(w->client, w->stranger, lists[i]);
        api_expect(&reply, 200);
        assert_null(strstr(reply.text, instance));
        assert_null(strstr(reply.text, order));
    }
    char *after = world_counts(w);
    assert_string_equal(after, before);
    free(before);
    free(after);
    free(operation);
    free(instance);
    free(volume);
    free(order);
}

static void await_401(struct world *w, const char *token)
{
    for (int i = 0; i < 600; i++) {
        API_AUTO struct api_reply reply = api_get(w->client, token, "/v1/whoami");
        if (reply.status == 401)
            return;
        api_expect(&reply, 200);
        (void)usleep(100000); /* revocations are looked for once a second */
    }
    fail_msg("the token still works after a minute");
}

static void tokens_that_are_none(void **state)
{
    struct world *w = *state;
    char *token = world_token(w, "operator", 3600);
    token[strlen(token) - 5] = token[strlen(token) - 5] == 'A' ? 'B' : 'A';
    API_AUTO struct api_reply forged = api_get(w->client, token, "/v1/whoami");
    expect_problem(&forged, "forged", 401, NULL);
    assert_non_null(strstr(api_header(&forged, "www-authenticate"), "Bearer"));
    free(token);
    API_AUTO struct api_reply garbage = api_get(w->client, "e30.e30.e30", "/v1/whoami");
    expect_problem(&garbage, "garbage", 401, NULL);
    API_AUTO struct api_reply issued =
        api_send(w->client, w->admin, "POST", "/v1/tokens",
                 json_pack("{s:s, s:i}", "principal", "operator", "expires_in", 3600));
    api_expect(&issued, 201);
    const char *text = api_text(&issued, "token");
    API_AUTO struct api_reply works = api_get(w->client, text, "/v1/whoami");
    api_expect(&works, 200);
    char *path = xasprintf("/v1/tokens/%s", api_text(&issued, "jti"));
    API_AUTO struct api_reply revoked = api_send(w->client, w->admin, "DELETE", path, NULL);
    api_expect(&revoked, 204);
    free(path);
    await_401(w, text);
    token = world_token(w, "operator", 3600);
    world_clock(w, w->clock_offset_s + 7200);
    API_AUTO struct api_reply expired = api_get(w->client, token, "/v1/whoami");
    expect_problem(&expired, "expired", 401, "expired");
    free(token);
}

/* An order of one volume on a cloud, as the operator. */
static char *order_volume(struct world *w, const char *cloud, const char *name)
{
    json_t *items = json_array();
    json_array_append_new(items, world_volume(name, 1, NULL));
    return world_order(w, w->operator_, WORLD_SYSTEM, cloud, items);
}

static void others_are_served(struct world *w, const char *name)
{
    API_AUTO struct api_reply list = api_get(w->client, w->operator_, "/v1/instances");
    api_expect(&list, 200);
    API_AUTO struct api_reply items = api_get(w->client, w->regulator, "/v1/catalog/items");
    api_expect(&items, 200);
    world_succeeds(w, w->operator_, order_volume(w, "health", name));
}

static void an_endpoint_with_a_bad_certificate(void **state)
{
    struct world *w = *state;
    json_t *endpoint = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "id", "bad-1", "cloud", "health",
                                 "site", "site-1", "driver", "vmware", "url", vcsim_url(w->vcsim), "username",
                                 VCSIM_USER, "secret", "env:HOME", "fingerprint",
                                 "0000000000000000000000000000000000000000000000000000000000000000");
    API_AUTO struct api_reply added = api_send(w->client, w->admin, "POST", "/v1/endpoints", endpoint);
    api_expect(&added, 201);
    world_await(
        w, "SELECT count(*) FROM endpoint WHERE id = 'bad-1' AND sync_error ~* 'certificate|fingerprint'",
        "1", WAIT_SECONDS);
    API_AUTO struct api_reply zone =
        api_send(w->client, w->admin, "POST", "/v1/clouds/health/zones",
                 json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", "bad", "kind", "extranet", "site", "site-1",
                           "endpoint", "bad-1", "network", "x"));
    api_expect(&zone, 201);
    char *before = world_counts(w);
    API_AUTO struct api_reply reply = api_call(
        w->client,
        &(struct api_request){.method = "POST",
                              .path = "/v1/orders",
                              .token = w->operator_,
                              .key = "bad-zone",
                              .body = ORDER("{\"kind\":\"volume\",\"name\":\"b\",\"spec\":{\"size_gb\":1,"
                                            "\"performance\":\"standard\",\"zone\":\"bad\"}}")});
    expect_problem(&reply, "an order there", 409, "bad-1");
    char *after = world_counts(w);
    assert_string_equal(after, before);
    others_are_served(w, "beside-bad");
    free(before);
    free(after);
}

/* Nor do they come to light in what is answered or logged. */
static void passwords_stand_in_no_url(void **state)
{
    struct world *w = *state;
    char *before = world_counts(w);
    static const char body[] = "{\"id\":\"e\",\"cloud\":\"health\",\"site\":\"site-1\",\"driver\":\"vmware\","
                               "\"url\":\"https://root:hunter2@127.0.0.1/sdk\"}";
    API_AUTO struct api_reply added = api_call(
        w->client,
        &(struct api_request){
            .method = "POST", .path = "/v1/endpoints", .token = w->admin, .key = "url", .body = body});
    expect_problem(&added, "a password in a URL", 422, "/url");
    API_AUTO struct api_reply changed =
        api_change(w->client, w->admin, "PATCH", "/v1/endpoints/health-1",
                   json_pack("{s:s}", "url", "https://root:hunter2@127.0.0.1/sdk"));
    expect_problem(&changed, "a password in a changed URL", 422, "/url");
    assert_null(strstr(added.text, "hunter2"));
    assert_null(strstr(changed.text, "hunter2"));
    assert_int_equal(world_logged(w, "hunter2"), 0);
    char *after = world_counts(w);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

static void inject(struct world *w, const char *kind, int times, int seconds)
{
    char *text = xasprintf(
        "{\"method\": \"*\", \"path\": \"/rest/api/\", \"kind\": \"%s\", \"times\": %d, \"seconds\": %d}",
        kind, times, seconds);
    hmcsim_control(w->hmcsim, "/__inject", text);
    free(text);
}

static void a_provider_that_hangs(void **state)
{
    struct world *w = *state;
    inject(w, "hang", 1000, 5);
    char *hanging = order_volume(w, "education", "hung");
    world_await(w, "SELECT state FROM resource WHERE name = 'hung'", "creating", WAIT_SECONDS);
    for (int i = 0; i < 5; i++) {
        char *name = xasprintf("meanwhile-%d", i);
        others_are_served(w, name);
        free(name);
    }
    world_await(w, "SELECT state FROM resource WHERE name = 'hung'", "creating", 1); /* it hangs still */
    hmcsim_control(w->hmcsim, "/__clear", "{}");
    world_succeeds(w, w->operator_, hanging);
}

static void a_provider_that_answers_nonsense(void **state)
{
    struct world *w = *state;
    static const char *const kinds[] = {"garbage", "truncate", "drop", "503"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char *name = xasprintf("nonsense-%zu", i), *before = world_counts(w);
        inject(w, kinds[i], 1000, 0);
        API_AUTO struct api_reply sync =
            api_send(w->client, w->admin, "POST", "/v1/endpoints/education-1:sync", NULL);
        api_expect(&sync, 202);
        world_await(w, "SELECT count(sync_error) FROM endpoint WHERE id = 'education-1'", "1", WAIT_SECONDS);
        char *after = world_counts(w);
        assert_string_equal(after, before);
        char *operation = order_volume(w, "education", name);
        others_are_served(w, name + 4); /* "ense-N" */
        hmcsim_control(w->hmcsim, "/__clear", "{}");
        world_succeeds(w, w->operator_, operation); /* as soon as the provider is itself again */
        world_await(w, "SELECT count(*) FROM job WHERE type = 'sync' AND state IN ('queued', 'running')", "0",
                    WAIT_SECONDS);
        API_AUTO struct api_reply well =
            api_send(w->client, w->admin, "POST", "/v1/endpoints/education-1:sync", NULL);
        api_expect(&well, 202);
        world_await(w, "SELECT count(sync_error) FROM endpoint WHERE id = 'education-1'", "0", WAIT_SECONDS);
        free(name);
        free(before);
        free(after);
    }
    check_settled(w, WAIT_SECONDS);
    check_counters(w);
    check_providers(w);
    check_audit(w);
}

static int start(void **state)
{
    *state = world_start(&(struct world_options){.settings = "sync_interval = 1d\nwatch = no\n"});
    return 0;
}

static int stop(void **state)
{
    world_stop(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(protocol_mistakes),
        cmocka_unit_test(passwords_stand_in_no_url),
        cmocka_unit_test(keys_make_one_thing_once),
        cmocka_unit_test(what_others_have_is_not_there),
        cmocka_unit_test(a_provider_that_hangs),
        cmocka_unit_test(a_provider_that_answers_nonsense),
        cmocka_unit_test(an_endpoint_with_a_bad_certificate),
        cmocka_unit_test(tokens_that_are_none),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
