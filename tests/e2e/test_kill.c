/* kill -9 of the broker at random moments while 200 orders are placed and carried out on two providers, and
 * again while half of what they made is deleted. Clients whose answer is lost ask again with the same key.
 * Afterwards all must be as if nothing had happened. YUNQIAO_SEED repeats a run's decisions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/id.h"
#include "broker/base/moment.h"
#include "tests/e2e/world_check.h"

#define ORDERS 200
#define CLIENTS 4
#define ROUNDS 8        /* of orders, each ended by a kill */
#define DELETE_ROUNDS 4 /* likewise */
#define KILL_MS 1500    /* within which a round's kill comes */
#define ANSWER_SECONDS 180
#define SETTLE_SECONDS 300

struct random {
    uint64_t state;
};

/* xorshift64*; never 0. */
static uint32_t draw(struct random *random, uint32_t below)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return (uint32_t)((random->state * UINT64_C(2685821657736338717)) >> 33) % below;
}

struct round;

struct caller {
    struct round *round;
    struct random random;
    struct client *client;
    size_t number;
    pthread_t thread;
    size_t acknowledged, refused, asked_again;
    const char *wrong; /* what ended it early; cmocka's assertions belong to the main thread */
    int status;
};

/* What the callers share with the main thread, which kills. */
struct round {
    struct world *world;
    atomic_int port;
    size_t from, until; /* orders of this round, or ids to delete */
    char **ids;         /* NULL: a round of orders */
    struct caller callers[CLIENTS];
};

/* Asks until a whole answer comes: the broker is down at times, and a key's first call may still be under way
 * in the database (409). */
static struct api_reply insist(struct caller *caller, const struct api_request *request)
{
    int64_t until = moment_monotonic() + ANSWER_SECONDS * MOMENT_SECOND;
    for (;;) {
        client_at(caller->client, atomic_load(&caller->round->port));
        struct api_reply reply = api_call(caller->client, request);
        bool running = reply.status == 409 && strstr(reply.text, "Idempotency-Key") != NULL;
        if ((reply.status != 0 && reply.status != 503 && !running) || moment_monotonic() > until)
            return reply;
        api_done(&reply);
        caller->asked_again++;
        (void)usleep(20000); /* a caller's backoff */
    }
}

static void add(json_t *items, json_t *item)
{
    json_array_append_new(items, item);
}

/* What order `number` asks for; names tell orders apart. */
static json_t *make_order(struct caller *caller, struct arena *arena, size_t number)
{
    json_t *items = json_array();
    bool power = draw(&caller->random, 2);
    const char *cloud = power ? "education" : "health";
    const char *name = arena_printf(arena, "o%zu", number);
    uint32_t what = draw(&caller->random, 100);
    if (what < 25) {
        add(items, world_item("address", name, json_pack("{s:s}", "zone", "internet")));
        if (what < 8)
            add(items, world_item("bandwidth", name, json_pack("{s:i, s:s}", "mbps", 5, "zone", "internet")));
    } else if (what < 60) {
        add(items, world_volume(name, 1 + (int)draw(&caller->random, 2), NULL));
    } else if (what < 75 && power) {
        add(items, world_instance(cloud, name, 1, 1));
    } else if (what < 85 && (power || number % 3 == 0)) {
        add(items, world_instance(cloud, name, 1, 1));
        add(items, world_volume(arena_printf(arena, "%s-data", name), 1, name));
    } else {
        add(items, world_volume(arena_printf(arena, "%s-a", name), 1, NULL));
        add(items, world_volume(arena_printf(arena, "%s-b", name), 1, NULL));
        add(items, world_item("address", name, json_pack("{s:s}", "zone", "internet")));
    }
    return json_pack("{s:s, s:s, s:o}", "system", WORLD_SYSTEM, "cloud", cloud, "resources", items);
}

static void place(struct caller *caller, size_t number)
{
    ARENA_AUTO struct arena *arena = arena_new();
    json_t *order = make_order(caller, arena, number);
    char *body = json_dumps(order, JSON_COMPACT);
    API_AUTO struct api_reply reply =
        insist(caller, &(struct api_request){.method = "POST",
                                             .path = "/v1/orders",
                                             .token = caller->round->world->operator_,
                                             .key = id_new_in(arena),
                                             .body = body});
    if (reply.status == 202) {
        caller->acknowledged++;
    } else if (strstr(reply.text, "no-capacity")) {
        caller->refused++; /* the ground's datastores are as large as this machine's disk */
    } else {
        caller->wrong = "an order was not answered as it should";
        caller->status = reply.status;
        (void)fprintf(stderr, "%s\n", reply.text);
    }
    free(body);
    json_decref(order);
}

/* DELETE has no key: whether a lost one was taken shows in the resource. */
static void delete_one(struct caller *caller, const char *id)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *token = caller->round->world->operator_;
    for (int tries = 0; tries < 200; tries++) {
        API_AUTO struct api_reply now =
            insist(caller, &(struct api_request){.method = "GET",
                                                 .path = arena_printf(arena, "/v1/resources/%s", id),
                                                 .token = token});
        const char *state = api_text(&now, "state"), *kind = api_text(&now, "kind");
        if (!strcmp(state, "deleted") || !strcmp(state, "deleting")) {
            caller->acknowledged++;
            return;
        }
        const char *etag = arena_strdup(arena, api_header(&now, "etag") ? api_header(&now, "etag") : "");
        const char *plural = !strcmp(kind, "address") ? "addresse" : kind;
        API_AUTO struct api_reply reply =
            insist(caller, &(struct api_request){.method = "DELETE",
                                                 .path = arena_printf(arena, "/v1/%ss/%s", plural, id),
                                                 .token = token,
                                                 .if_match = etag});
        /* 409, 412: an instance that was deleted let go of this volume meanwhile, or it is being deleted */
        if (reply.status != 202 && reply.status != 412 && reply.status != 409 && reply.status != 404) {
            caller->wrong = "a deletion was not answered as it should";
            caller->status = reply.status;
            (void)fprintf(stderr, "%s\n", reply.text);
            return;
        }
        (void)usleep(20000); /* a caller's patience */
    }
    caller->wrong = "a resource could not be deleted";
}

static void *call_all(void *context)
{
    struct caller *caller = context;
    struct round *round = caller->round;
    for (size_t i = round->from + caller->number; i < round->until && !caller->wrong; i += CLIENTS) {
        if (round->ids)
            delete_one(caller, round->ids[i]);
        else
            place(caller, i);
    }
    return NULL;
}

static size_t run_round(struct round *round, struct random *random)
{
    struct world *world = round->world;
    size_t acknowledged = 0;
    atomic_store(&round->port, world->port);
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&round->callers[i].thread, NULL, call_all, &round->callers[i]), 0);
    (void)usleep(draw(random, KILL_MS) * 1000); /* the random moment itself */
    world_kill(world);
    world_restart(world);
    atomic_store(&round->port, world->port);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct caller *caller = &round->callers[i];
        assert_int_equal(pthread_join(caller->thread, NULL), 0);
        if (caller->wrong)
            fail_msg("%s: %d", caller->wrong, caller->status);
        acknowledged += caller->acknowledged;
    }
    return acknowledged;
}

static void show(const struct world *world, const char *what, const char *sql)
{
    char *text = world_value(world, sql);
    if (*text)
        print_message("%s: %s\n", what, text);
    free(text);
}

/* The jobs of a killed broker are taken up once their leases have run out (30 s). */
static void settle(const struct world *world)
{
    check_settled(world, SETTLE_SECONDS);
    show(world, "orders",
         "SELECT string_agg(state || ' ' || n, ', ' ORDER BY state) FROM"
         " (SELECT state, count(*) AS n FROM orders GROUP BY state) s");
    show(world, "failures",
         "SELECT string_agg(DISTINCT error ->> 'message', '; ') FROM operation WHERE state = 'failed'");
    show(world, "jobs that outlived a broker", "SELECT count(*) FROM job WHERE fence > 1 AND type <> 'sync'");
}

static void check_all(struct world *world)
{
    check_usage(world);
    check_counters(world);
    check_providers(world);
    check_audit(world);
}

/* Every second resource that is active, in an order of its own. */
static size_t pick_half(const struct world *world, char ***ret_ids)
{
    char *list = world_value(
        world, "SELECT string_agg(id::text, ' ' ORDER BY md5(id::text)) FROM (SELECT id, row_number()"
               " OVER (ORDER BY id) AS n FROM resource WHERE state = 'active') r WHERE n % 2 = 0");
    size_t count = (strlen(list) + 1) / 37;
    char **ids = xcalloc(count + 1, sizeof *ids);
    for (size_t i = 0; i < count; i++)
        ids[i] = xasprintf("%.36s", list + i * 37);
    free(list);
    *ret_ids = ids;
    return count;
}

static void killed_at_random(void **state)
{
    struct world *world = *state;
    const char *given = getenv("YUNQIAO_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) * 2654435761u;
    struct random random = {seed ? seed : 1};
    struct round round = {.world = world};
    size_t acknowledged = 0, refused = 0, again = 0;
    char *ca_file = xasprintf("%s/data/server.crt", world->folder);
    print_message("YUNQIAO_SEED=%llu\n", (unsigned long long)seed);
    for (size_t i = 0; i < CLIENTS; i++)
        round.callers[i] = (struct caller){.round = &round,
                                           .random = {draw(&random, UINT32_MAX) + 1u},
                                           .client = client_new(ca_file, world->port),
                                           .number = i};
    for (size_t r = 0; r < ROUNDS; r++) {
        round.from = ORDERS * r / ROUNDS;
        round.until = ORDERS * (r + 1) / ROUNDS;
        acknowledged = run_round(&round, &random);
    }
    settle(world);
    for (size_t i = 0; i < CLIENTS; i++)
        refused += round.callers[i].refused;
    assert_int_equal(acknowledged + refused, ORDERS);
    assert_true(refused < ORDERS / 10);
    assert_int_equal(world_number(world, "SELECT count(*) FROM orders"), acknowledged);
    assert_int_equal(world_number(world, "SELECT count(*) FROM orders WHERE state = 'fulfilled'"),
                     acknowledged);
    assert_int_equal(world_number(world, "SELECT count(*) FROM resource WHERE state <> 'active'"), 0);
    check_all(world);

    size_t count = pick_half(world, &round.ids);
    for (size_t i = 0; i < CLIENTS; i++)
        round.callers[i].acknowledged = 0;
    for (size_t r = 0; r < DELETE_ROUNDS; r++) {
        round.from = count * r / DELETE_ROUNDS;
        round.until = count * (r + 1) / DELETE_ROUNDS;
        acknowledged = run_round(&round, &random);
    }
    assert_int_equal(acknowledged, count);
    settle(world);
    assert_int_equal(world_number(world, "SELECT count(*) FROM resource WHERE state = 'deleted'"), count);
    check_all(world);
    for (size_t i = 0; i < CLIENTS; i++) {
        again += round.callers[i].asked_again;
        client_free(round.callers[i].client);
    }
    print_message("%zu calls were repeated\n", again);
    for (size_t i = 0; i < count; i++)
        free(round.ids[i]);
    free(round.ids);
    free(ca_file);
}

static int start(void **state)
{
    static const char *const vcsim[] = {"-host", "16", NULL};
    static const char *const hmcsim[] = {"--max-sessions", "1000", NULL}; /* killed brokers log off nowhere */
    *state = world_start(&(struct world_options){.vcsim = vcsim, .hmcsim = hmcsim});
    return 0;
}

static int stop(void **state)
{
    world_stop(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed_at_random)};
    return cmocka_run_group_tests(tests, start, stop);
}
