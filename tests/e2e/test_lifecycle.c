/* The life of what is ordered, on both providers at once where it can be: all verbs, cancelling, failing and
 * trying again, refusals for quota and room, drift, alerts, the event stream, and the closing of a month
 * whose statement is worked out again from prices and lives alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/base/money.h"
#include "drivers/vmware/vmware.h"
#include "tests/e2e/world_check.h"
#include "tests/support/child.h"
#include "tests/support/h2.h"

#define WAIT_SECONDS 120
#define STRANGER "0193b2f0-7c1e-7d3a-9f2b-5a1c0e4d8b61"

static json_t *list_of(json_t *first, json_t *second)
{
    json_t *items = json_array();
    json_array_append_new(items, first);
    if (second)
        json_array_append_new(items, second);
    return items;
}

static void order(struct world *w, const char *cloud, json_t *items)
{
    world_succeeds(w, w->operator_, world_order(w, w->operator_, WORLD_SYSTEM, cloud, items));
}

static void verb(struct world *w, const char *path, const char *id, const char *what, json_t *body)
{
    char *target = xasprintf("/v1/%s/%s:%s", path, id, what);
    world_succeeds(w, w->operator_, world_begin(w, w->operator_, target, body));
    free(target);
}

static void delete_it(struct world *w, const char *path, const char *id)
{
    char *target = xasprintf("/v1/%s/%s", path, id);
    world_succeeds(w, w->operator_, world_delete(w, w->operator_, target));
    free(target);
}

/* A member of GET /v1/resources/{id} is this text. */
static void expect(struct world *w, const char *id, const char *member, const char *wanted)
{
    char *path = xasprintf("/v1/resources/%s", id);
    API_AUTO struct api_reply reply = api_get(w->client, w->operator_, path);
    api_expect(&reply, 200);
    assert_string_equal(api_text(&reply, member), wanted);
    free(path);
}

static void all_verbs(struct world *w, const char *cloud)
{
    order(w, cloud, list_of(world_instance(cloud, "web", 1, 2), world_volume("data", 5, "web")));
    char *web = world_id(w, "instance", "web"), *data = world_id(w, "volume", "data");
    expect(w, web, "power", "on");
    expect(w, data, "attached_to", web);
    verb(w, "instances", web, "stop", json_pack("{s:i}", "grace_seconds", 0));
    expect(w, web, "power", "off");
    check_providers(w); /* no drift of power: it is off there as well */
    verb(w, "instances", web, "start", NULL);
    expect(w, web, "power", "on");
    verb(w, "instances", web, "reboot", NULL);
    verb(w, "instances", web, "resize",
         json_pack("{s:i, s:i, s:b}", "vcpu", 2, "memory_gb", 3, "allow_restart", 1));
    expect(w, web, "power", "on");
    verb(w, "volumes", data, "detach", NULL);
    expect(w, data, "attached_to", "");
    verb(w, "volumes", data, "resize", json_pack("{s:i}", "size_gb", 8));
    verb(w, "volumes", data, "attach", json_pack("{s:s}", "instance", "web"));
    expect(w, data, "attached_to", web);
    check_counters(w);
    check_providers(w); /* no drift of size, and nothing beside what is held */
    order(w, cloud, list_of(world_volume("kept", 1, "web"), NULL));
    char *kept = world_id(w, "volume", "kept");
    delete_it(w, "volumes", data); /* while it is attached */
    delete_it(w, "instances", web);
    expect(w, kept, "state", "active");
    expect(w, kept, "attached_to", "");
    check_providers(w);
    delete_it(w, "volumes", kept);
    check_settled(w, WAIT_SECONDS);
    check_counters(w);
    check_providers(w);
    free(web);
    free(data);
    free(kept);
}

static void lives_on_vmware(void **state)
{
    all_verbs(*state, "health");
}

static void lives_on_powervm(void **state)
{
    all_verbs(*state, "education");
}

/* An order that is cancelled while the provider works on it leaves nothing; tried again it succeeds. */
static void a_cancelled_order_leaves_nothing(void **state)
{
    struct world *w = *state;
    hmcsim_control(w->hmcsim, "/__inject",
                   "{\"method\": \"*\", \"path\": \"/rest/api/uom/\", \"kind\": \"delay\", \"seconds\": 1, "
                   "\"times\": 1000}");
    char *operation =
        world_order(w, w->operator_, WORLD_SYSTEM, "education",
                    list_of(world_instance("education", "gone", 1, 1), world_volume("gone", 1, "gone")));
    world_await(w,
                "SELECT state FROM resource WHERE kind = 'instance' AND name = 'gone' AND state = 'creating'",
                "creating", WAIT_SECONDS);
    char *path = xasprintf("/v1/operations/%s", operation);
    API_AUTO struct api_reply asked = api_send(w->client, w->operator_, "DELETE", path, NULL);
    api_expect(&asked, 202);
    assert_true(json_is_true(json_object_get(asked.json, "cancel_asked")));
    hmcsim_control(w->hmcsim, "/__clear", "{}");
    json_t *ended = world_ended(w, w->operator_, operation, WAIT_SECONDS);
    assert_string_equal(json_string_value(json_object_get(ended, "state")), "cancelled");
    API_AUTO struct api_reply late = api_send(w->client, w->operator_, "DELETE", path, NULL);
    api_expect(&late, 409);
    assert_int_equal(world_number(w, "SELECT count(*) FROM orders WHERE state = 'cancelled'"), 1);
    check_settled(w, WAIT_SECONDS);
    check_counters(w);
    check_providers(w);
    char *again = xasprintf("/v1/operations/%s:retry", operation);
    world_succeeds(w, w->operator_, world_begin(w, w->operator_, again, NULL));
    char *instance = world_id(w, "instance", "gone"), *volume = world_id(w, "volume", "gone");
    delete_it(w, "volumes", volume);
    delete_it(w, "instances", instance);
    json_decref(ended);
    free(operation);
    free(path);
    free(again);
    free(instance);
    free(volume);
}

/* The provider refuses for good: the operation fails with its words, the resource stays usable, and the same
 * operation can be tried again. */
static void a_failed_operation_is_tried_again(void **state)
{
    struct world *w = *state;
    order(w, "education", list_of(world_instance("education", "stubborn", 1, 1), NULL));
    char *id = world_id(w, "instance", "stubborn"), *path = xasprintf("/v1/instances/%s:stop", id);
    hmcsim_control(
        w->hmcsim, "/__inject",
        "{\"path\": \"PowerOff\", \"kind\": \"job-fail\", \"code\": \"REST0126\", \"times\": 1000}");
    char *operation = world_begin(w, w->operator_, path, json_pack("{s:i}", "grace_seconds", 0));
    json_t *ended = world_ended(w, w->operator_, operation, WAIT_SECONDS);
    assert_string_equal(json_string_value(json_object_get(ended, "state")), "failed");
    const char *detail = json_string_value(json_object_get(json_object_get(ended, "error"), "message"));
    assert_non_null(detail);
    assert_non_null(strstr(detail, "stubborn"));
    expect(w, id, "state", "active");
    expect(w, id, "power", "on");
    hmcsim_control(w->hmcsim, "/__clear", "{}");
    char *again = xasprintf("/v1/operations/%s:retry", operation);
    world_succeeds(w, w->operator_, world_begin(w, w->operator_, again, NULL));
    expect(w, id, "power", "off");
    delete_it(w, "instances", id);
    json_decref(ended);
    free(operation);
    free(again);
    free(path);
    free(id);
}

static void refused(struct world *w, const char *cloud, json_t *items, const char *type, const char *words)
{
    char *before = world_counts(w);
    API_AUTO struct api_reply reply =
        api_send(w->client, w->operator_, "POST", "/v1/orders",
                 json_pack("{s:s, s:s, s:o}", "system", WORLD_SYSTEM, "cloud", cloud, "resources", items));
    api_expect(&reply, 409);
    assert_non_null(strstr(api_text(&reply, "type"), type));
    if (!strstr(api_text(&reply, "detail"), words))
        fail_msg("\"%s\" is not in %s", words, reply.text);
    char *after = world_counts(w);
    assert_string_equal(after, before);
    free(before);
    free(after);
    check_counters(w);
}

static void set_quota(struct world *w, int vcpu)
{
    API_AUTO struct api_reply reply =
        api_send(w->client, w->admin, "PATCH", "/v1/units/" WORLD_UNIT "/quotas/health",
                 json_pack("{s:i}", "vcpu", vcpu));
    api_expect(&reply, 204);
}

static void quota_and_room_are_kept(void **state)
{
    struct world *w = *state;
    set_quota(w, 2);
    refused(w, "health", list_of(world_instance("health", "a", 2, 1), world_instance("health", "b", 1, 1)),
            "quota", "vcpu");
    order(w, "health", list_of(world_instance("health", "a", 2, 1), NULL));
    refused(w, "health", list_of(world_instance("health", "b", 1, 1), NULL), "quota", "may hold 2 vcpu");
    set_quota(w, -1);
    refused(w, "health", list_of(world_instance("health", "b", 1, 64), NULL), "no-capacity", "memory_gb");
    refused(w, "health", list_of(world_instance("health", "b", 1, 1), world_volume("b", 65536, NULL)),
            "no-capacity", "standard_gb");
    char *id = world_id(w, "instance", "a");
    delete_it(w, "instances", id);
    free(id);
}

static size_t open_alerts(struct world *w, const char *subject, char **ret_due)
{
    json_t *alert;
    size_t index, found = 0;
    API_AUTO struct api_reply reply = api_get(w->client, w->admin, "/v1/alerts?state=open");
    api_expect(&reply, 200);
    json_array_foreach (json_object_get(reply.json, "alerts"), index, alert) {
        if (strcmp(json_string_value(json_object_get(alert, "subject")), subject))
            continue;
        found++;
        if (ret_due)
            *ret_due = xstrdup(json_string_value(json_object_get(alert, "due_at")));
    }
    return found;
}

static void more_than_80_percent_is_an_alert(void **state)
{
    struct world *w = *state;
    world_sync(w);
    int64_t total =
        world_number(w, "SELECT total FROM capacity WHERE cloud_id = 'health' AND metric = 'memory_gb'");
    int64_t most = total * 80 / 100; /* exactly 80 % is not more than 80 % */
    assert_int_equal(open_alerts(w, "health-1/memory_gb", NULL), 0);
    order(w, "health", list_of(world_instance("health", "big", 1, (int)most), NULL));
    world_sync(w);
    assert_int_equal(open_alerts(w, "health-1/memory_gb", NULL), 0);
    order(w, "health", list_of(world_instance("health", "last", 1, 1), NULL));
    world_sync(w);
    char *due = NULL;
    assert_int_equal(open_alerts(w, "health-1/memory_gb", &due), 1);
    moment at;
    assert_null(moment_parse(due, &at));
    int64_t left = at - (moment)time(NULL) * MOMENT_SECOND;
    assert_true(left > 6 * MOMENT_DAY && left < 8 * MOMENT_DAY); /* 7 days */
    char *big = world_id(w, "instance", "big"), *last = world_id(w, "instance", "last");
    delete_it(w, "instances", big);
    world_sync(w);
    assert_int_equal(open_alerts(w, "health-1/memory_gb", NULL), 0);
    delete_it(w, "instances", last);
    free(due);
    free(big);
    free(last);
}

/* Id of the one drift in this state, of this kind. */
static char *the_drift(struct world *w, const char *state, const char *kind)
{
    world_sync(w);
    char *path = xasprintf("/v1/drift?state=%s&kind=%s", state, kind);
    API_AUTO struct api_reply reply = api_get(w->client, w->admin, path);
    api_expect(&reply, 200);
    json_t *all = json_object_get(reply.json, "drift");
    if (json_array_size(all) != 1)
        fail_msg("%s: %s", path, reply.text);
    free(path);
    return xstrdup(json_string_value(json_object_get(json_array_get(all, 0), "id")));
}

/* "accept" or "refuse", of the case as it is now. */
static void decide(struct world *w, const char *drift, const char *word)
{
    char *path = xasprintf("/v1/drift/%s", drift), *verb_path = xasprintf("%s:%s", path, word);
    API_AUTO struct api_reply seen = api_get(w->client, w->admin, path);
    api_expect(&seen, 200);
    char *etag = xasprintf("\"v%lld\"", (long long)json_integer_value(json_object_get(seen.json, "version")));
    API_AUTO struct api_reply reply =
        api_call(w->client, &(struct api_request){.method = "POST",
                                                  .path = verb_path,
                                                  .token = w->admin,
                                                  .if_match = etag,
                                                  .body = "{\"reason\":\"looked\"}"});
    api_expect(&reply, 200);
    free(etag);
    free(path);
    free(verb_path);
}

/* The same through the client. */
static void accept_by_client(struct world *w, const char *drift)
{
    char *url = xasprintf("https://localhost:%d", w->port), *ca = xasprintf("%s/data/server.crt", w->folder);
    char *token = xasprintf("%s/data/admin.token", w->folder);
    const char *argv[] = {BINARY_DIR "/yunqiao",
                          "--url",
                          url,
                          "--ca-file",
                          ca,
                          "--token-file",
                          token,
                          "drift",
                          "accept",
                          drift,
                          "--reason",
                          "looked",
                          NULL};
    assert_int_equal(child_run(argv, WAIT_SECONDS * MOMENT_SECOND), 0);
    free(url);
    free(ca);
    free(token);
}

static void tell_hmc(struct world *w, const char *control, const char *more)
{
    const json_t *partition = json_array_get(json_object_get(hmcsim_state(w->hmcsim), "partitions"), 0);
    char *text =
        xasprintf("{\"partition\": \"%s\"%s}", json_string_value(json_object_get(partition, "name")), more);
    hmcsim_control(w->hmcsim, control, text);
    free(text);
}

static void drift_is_accepted(void **state)
{
    struct world *w = *state;
    order(w, "education", list_of(world_instance("education", "drifting", 1, 1), NULL));
    char *id = world_id(w, "instance", "drifting");
    tell_hmc(w, "/__set", ", \"state\": \"not activated\"");
    char *power = the_drift(w, "open", "power");
    expect(w, id, "power", "on"); /* nothing is taken over silently */
    decide(w, power, "accept");
    expect(w, id, "power", "off");
    check_providers(w);
    tell_hmc(w, "/__forget", "");
    char *missing = the_drift(w, "open", "missing");
    expect(w, id, "state", "active");
    decide(w, missing, "accept");
    check_settled(w, WAIT_SECONDS);
    expect(w, id, "state", "deleted");
    assert_int_equal(world_number(w, "SELECT count(*) FROM usage_interval WHERE end_at = 'infinity'"), 0);
    check_counters(w);
    check_providers(w); /* the disk that was left behind is gone as well */
    free(id);
    free(power);
    free(missing);
}

/* Through a session of the test's own: what somebody does in the vCenter by hand. */
enum deed { STOP, START, ENLARGE, DESTROY };

static void by_hand(struct world *w, const char *id, enum deed deed)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct driver_endpoint endpoint = vcsim_endpoint(w->vcsim);
    struct driver_call call = {.arena = arena, .deadline_us = moment_monotonic() + MOMENT_MINUTE};
    struct driver_key key = {.id = id};
    struct driver_session *session;
    assert_null(vmware_driver.open(&endpoint, &call, &session));
    struct error *error = NULL;
    switch (deed) {
    case START:
        error = vmware_driver.instance_start(session, &call, &key);
        break;
    case STOP:
        error = vmware_driver.instance_stop(session, &call, &key, 0);
        break;
    case ENLARGE:
        error = vmware_driver.instance_resize(session, &call, &key, 4, 4096);
        break;
    case DESTROY:
        error = vmware_driver.instance_delete(session, &call, &key);
        break;
    }
    if (error)
        fail_msg("%s", error_message(error));
    vmware_driver.close(session);
}

static char *billed(struct world *w, const char *id)
{
    char *sql = xasprintf("SELECT coalesce(string_agg(item || '=' || micro, ' ' ORDER BY item), '') FROM "
                          "usage_interval WHERE end_at = 'infinity' AND resource_id = '%s'",
                          id);
    char *text = world_value(w, sql);
    free(sql);
    return text;
}

static void expect_billed(struct world *w, const char *id, const char *wanted)
{
    char *text = billed(w, id);
    assert_string_equal(text, wanted);
    free(text);
}

/* Enlarged in the vCenter, then destroyed there: nothing changes by itself, and a word makes the bill right
 * from the very inventory that saw it. */
static void what_is_done_by_hand_is_a_case(void **state)
{
    struct world *w = *state;
    order(w, "health", list_of(world_instance("health", "grown", 1, 2), NULL));
    char *id = world_id(w, "instance", "grown"), *before = billed(w, id);
    by_hand(w, id, STOP);
    by_hand(w, id, ENLARGE);
    by_hand(w, id, START);
    char *size = the_drift(w, "open", "size");
    expect_billed(w, id, before);
    char *sql = xasprintf(
        "SELECT (reported ->> 'vcpu') || ' ' || (expected ->> 'vcpu') FROM drift WHERE id = '%s'", size);
    char *sides = world_value(w, sql);
    assert_string_equal(sides, "4 1");
    accept_by_client(w, size);
    char *after = billed(w, id);
    assert_non_null(strstr(after, "1001=4000000 1002=4000000"));
    assert_int_equal(
        world_number(w, "SELECT count(*) FROM usage_interval u, drift d WHERE u.start_at = d.correct_at"
                        " AND u.resource_id = d.resource_id::text AND d.kind = 'size'"),
        2);
    check_counters(w);
    check_providers(w);
    by_hand(w, id, DESTROY);
    char *missing = the_drift(w, "open", "missing");
    expect_billed(w, id, after);
    decide(w, missing, "accept");
    check_settled(w, WAIT_SECONDS);
    expect(w, id, "state", "deleted");
    expect_billed(w, id, "");
    check_counters(w);
    check_providers(w);
    free(id);
    free(before);
    free(after);
    free(size);
    free(sql);
    free(sides);
    free(missing);
}

/* A machine with the broker's stamp that it never made: told, billed to nobody, settled at the provider. */
static void what_is_made_by_hand_is_a_case(void **state)
{
    struct world *w = *state;
    ARENA_AUTO struct arena *arena = arena_new();
    struct driver_endpoint endpoint = vcsim_endpoint(w->vcsim);
    struct driver_call call = {.arena = arena, .deadline_us = moment_monotonic() + MOMENT_MINUTE};
    struct driver_session *session;
    struct driver_instance made;
    order(w, "health", list_of(world_instance("health", "model", 1, 1), NULL));
    char *id = world_id(w, "instance", "model");
    char *image = world_value(w, "SELECT spec ->> 'image' FROM resource WHERE name = 'model'");
    char *network = world_value(w, "SELECT network FROM zone WHERE endpoint_id = 'health-1' LIMIT 1");
    assert_null(vmware_driver.open(&endpoint, &call, &session));
    struct error *error = vmware_driver.instance_create(session, &call,
                                                        &(struct driver_instance_spec){.id = STRANGER,
                                                                                       .name = "stranger",
                                                                                       .architecture = "x86",
                                                                                       .vcpu = 2,
                                                                                       .memory_mb = 3072,
                                                                                       .image = image,
                                                                                       .system_disk_gb = 40,
                                                                                       .network = network},
                                                        &made);
    if (error)
        fail_msg("%s", error_message(error));
    vmware_driver.close(session);
    char *orphan = the_drift(w, "open", "orphan"), *path = xasprintf("/v1/drift/%s", orphan);
    API_AUTO struct api_reply told = api_get(w->client, w->regulator, path);
    api_expect(&told, 200);
    assert_string_equal(api_text(&told, "subject"), STRANGER);
    assert_null(json_object_get(told.json, "correction"));
    assert_int_equal(open_alerts(w, orphan, NULL), 1);
    by_hand(w, STRANGER, DESTROY);
    world_sync(w);
    API_AUTO struct api_reply ended = api_get(w->client, w->regulator, path);
    assert_string_equal(api_text(&ended, "resolution"), "seen equal again");
    assert_int_equal(open_alerts(w, orphan, NULL), 0);
    delete_it(w, "instances", id);
    check_providers(w);
    free(id);
    free(image);
    free(network);
    free(orphan);
    free(path);
}

static void drift_is_refused_and_ends_by_itself(void **state)
{
    struct world *w = *state;
    order(w, "health", list_of(world_instance("health", "known", 1, 1), NULL));
    char *id = world_id(w, "instance", "known");
    by_hand(w, id, STOP);
    char *power = the_drift(w, "open", "power");
    decide(w, power, "refuse");
    char *refused_one = the_drift(w, "refused", "power");
    assert_string_equal(refused_one, power);
    API_AUTO struct api_reply open = api_get(w->client, w->admin, "/v1/drift");
    assert_int_equal(json_array_size(json_object_get(open.json, "drift")), 0);
    expect(w, id, "power", "on");
    by_hand(w, id, START);
    world_sync(w);
    API_AUTO struct api_reply left = api_get(w->client, w->admin, "/v1/drift?state=refused");
    assert_int_equal(json_array_size(json_object_get(left.json, "drift")), 0);
    delete_it(w, "instances", id);
    free(id);
    free(power);
    free(refused_one);
}

static int32_t listen(struct h2_client *client, const char *token, const char *after)
{
    const char *headers[] = {"last-event-id", after, NULL};
    return h2_send(client, &(struct h2_request){.method = "GET",
                                                .path = "/v1/events",
                                                .token = token,
                                                .headers = after ? headers : NULL});
}

/* The unit hears of its own things, another unit hears nothing of them, and who was away hears the rest. */
static void events_tell_what_happened(void **state)
{
    struct world *w = *state;
    struct h2_options options = {0};
    struct h2_client *client = h2_open(w->port, &options);
    assert_non_null(client);
    int32_t mine = listen(client, w->operator_, NULL), other = listen(client, w->stranger, NULL);
    h2_poll(client, 500); /* both streams are open: without an id they begin now */
    order(w, "health", list_of(world_volume("heard", 1, NULL), NULL));
    char *id = world_id(w, "volume", "heard");
    assert_true(h2_wait_text(client, mine, "event: operation.ended"));
    assert_true(h2_wait_text(client, mine, "event: resource.active"));
    delete_it(w, "volumes", id);
    assert_true(h2_wait_text(client, mine, "event: resource.deleted"));
    char *order_id =
        world_order(w, w->stranger, WORLD_OTHER_SYSTEM, "health",
                    list_of(world_item("address", "theirs", json_pack("{s:s}", "zone", "internet")), NULL));
    assert_true(h2_wait_text(client, other, order_id));
    h2_reset(client, mine);
    h2_reset(client, other);
    h2_close(client);

    char *last = world_value(
        w, "SELECT tx || '-' || id FROM event WHERE type = 'resource.active' AND unit_id = '" WORLD_UNIT
           "' ORDER BY tx DESC, id DESC LIMIT 1");
    client = h2_open(w->port, &options);
    mine = listen(client, w->operator_, last);
    other = listen(client, w->stranger, last);
    assert_true(h2_wait_text(client, mine, "event: resource.deleted"));
    assert_true(h2_wait_text(client, other, order_id));
    assert_false(h2_has_text(client, other, id)); /* events come in order: it would have come before */
    assert_false(h2_has_text(client, mine, order_id));
    h2_close(client);
    world_succeeds(w, w->stranger, order_id);
    free(last);
    free(id);
}

/* Prices and lives alone, in exact numerics: what each line of the month must be, summed. Half up, once a
 * line. */
#define BY_HAND(from, to)                                                                                   \
    "SELECT sum(floor((fen * usage * 2 + length * 1000000) / (length * 1000000 * 2))) FROM (SELECT p.fen,"  \
    " sum(q.micro * (extract(epoch FROM least(coalesce(r.deleted_at, 'infinity'), " to                      \
    ") - greatest(r.active_at, " from ")) * 1000000)::numeric) AS usage, extract(epoch FROM " to " - " from \
    ") * 1000000 AS length FROM resource r"                                                                 \
    " CROSS JOIN LATERAL (VALUES ('1001', (r.spec ->> 'vcpu')::numeric * 1000000),"                         \
    " ('1002', (r.spec ->> 'memory_gb')::numeric * 1000000), ('1011', coalesce((r.spec ->> "                \
    "'size_gb')::numeric,"                                                                                  \
    " (r.spec ->> 'system_disk_gb')::numeric) * 10000), ('1017', CASE r.kind WHEN 'address' THEN 1000000 "  \
    "END),"                                                                                                 \
    " ('1016', (r.spec ->> 'mbps')::numeric * 1000000)) AS q (item, micro)"                                 \
    " JOIN price p ON p.provider_id = r.provider_id AND p.item = q.item WHERE q.micro IS NOT NULL"          \
    " AND r.active_at < " to " AND coalesce(r.deleted_at, 'infinity') > " from                              \
    " GROUP BY r.unit_id, r.provider_id, r.cloud_id, r.system_id, q.item, p.fen, r.zone_id, r.spec ->> "    \
    "'architecture') lines"

static int64_t fen_of(const char *yuan)
{
    int64_t fen = 0;
    assert_null(money_parse(yuan, &fen));
    return fen;
}

static void a_month_is_closed(void **state)
{
    struct world *w = *state;
    moment now = (moment)time(NULL) * MOMENT_SECOND;
    struct month month = month_next(month_of(now));
    moment start = month_start(month), end = month_end(month);
    char text[8];
    month_format(month, text);
    world_clock(w, (start - now) / MOMENT_SECOND + 9 * 3600);
    order(w, "health",
          list_of(world_instance("health", "billed", 2, 3), world_volume("billed", 37, "billed")));
    order(w, "education", list_of(world_volume("until", 13, NULL), world_volume("always", 7, NULL)));
    order(w, "education",
          list_of(world_item("address", "ip", json_pack("{s:s}", "zone", "internet")),
                  world_item("bandwidth", "line", json_pack("{s:i, s:s}", "mbps", 7, "zone", "internet"))));
    world_clock(w, (start - now) / MOMENT_SECOND + 10 * 86400 + 12345);
    free(w->operator_); /* the first one's life of a day is over, as that of all others made so */
    w->operator_ = world_token(w, "operator", 60 * 86400);
    char *until = world_id(w, "volume", "until");
    delete_it(w, "volumes", until);
    free(until);
    world_clock(w, (end - now) / MOMENT_SECOND + 2 * 3600); /* the month is over, and its hour of grace */
    char *sql =
        xasprintf("SELECT coalesce((SELECT state FROM billing_month WHERE month = '%s'), 'open')", text);
    world_await(w, sql, "closed", WAIT_SECONDS);
    free(sql);
    free(w->regulator);
    w->regulator = world_token(w, "regulator", 86400);
    char *path = xasprintf("/v1/statements/%s", text);
    API_AUTO struct api_reply statement = api_get(w->client, w->regulator, path);
    api_expect(&statement, 200);
    assert_string_equal(api_text(&statement, "state"), "closed");
    const json_t *total = json_object_get(statement.json, "total");
    const char *yuan = json_string_value(json_object_get(total, "charges_yuan"));
    char *from = xasprintf("'%s-01 00:00+08'", text), next[8];
    month_format(month_next(month), next);
    char *to = xasprintf("'%s-01 00:00+08'", next);
    char *query =
        xasprintf("SELECT set_config('e2e.from', %s, false), set_config('e2e.to', %s, false); " BY_HAND(
                      "current_setting('e2e.from')::timestamptz", "current_setting('e2e.to')::timestamptz"),
                  from, to);
    int64_t by_hand_fen = world_number(w, query), rows_fen = 0;
    json_t *row;
    size_t index;
    json_array_foreach (json_object_get(statement.json, "rows"), index, row) {
        rows_fen += fen_of(json_string_value(json_object_get(row, "charges_yuan")));
    }
    assert_true(by_hand_fen > 10000); /* more than a hundred yuan: not a sum of nothings */
    assert_int_equal(fen_of(yuan), by_hand_fen);
    assert_int_equal(rows_fen, by_hand_fen);
    assert_int_equal(world_number(w, "SELECT sum(amount_fen) FROM bill_line WHERE type = 'charge' AND month ="
                                     " (SELECT max(month) FROM billing_month WHERE state = 'closed')"),
                     by_hand_fen);
    check_audit(w);
    free(from);
    free(to);
    free(query);
    free(path);
}

static int start(void **state)
{
    *state = world_start(&(struct world_options){.settings = "sync_interval = 1d\n"});
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
        cmocka_unit_test(lives_on_vmware),
        cmocka_unit_test(lives_on_powervm),
        cmocka_unit_test(a_cancelled_order_leaves_nothing),
        cmocka_unit_test(a_failed_operation_is_tried_again),
        cmocka_unit_test(quota_and_room_are_kept),
        cmocka_unit_test(more_than_80_percent_is_an_alert),
        cmocka_unit_test(drift_is_refused_and_ends_by_itself),
        cmocka_unit_test(drift_is_accepted),
        cmocka_unit_test(what_is_done_by_hand_is_a_case),
        cmocka_unit_test(what_is_made_by_hand_is_a_case),
        cmocka_unit_test(events_tell_what_happened),
        cmocka_unit_test(a_month_is_closed),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
