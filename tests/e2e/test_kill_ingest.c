/* kill -9 of the broker and of PostgreSQL at random moments while providers' events come in, shuffled and in
 * batches. Clients whose answer is lost send the batch again. Afterwards all is as if nothing had happened:
 * what was acknowledged is there, everything sent once more is a duplicate, and usage is what the events say.
 * YUNQIAO_SEED repeats a run's decisions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/buf.h"
#include "broker/base/moment.h"
#include "tests/e2e/world_check.h"

#define CLIENTS 4
#define RESOURCES 40
#define STATES 60 /* of each resource: every one another than the one before */
#define EVENTS ((size_t)RESOURCES * STATES)
#define BATCH 15
#define ROUNDS 6 /* each ended by a kill, every third of PostgreSQL */
#define KILL_MS 1200
#define ANSWER_SECONDS 180

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

struct feed;

struct sender {
    struct feed *feed;
    struct client *client;
    pthread_t thread;
    size_t again;
    const char *wrong; /* what ended it early; cmocka's assertions belong to the main thread */
    int status;
};

/* What the senders share with the main thread, which kills. */
struct feed {
    struct world *world;
    char *token; /* of the provider's operator */
    atomic_int port;
    size_t order[EVENTS]; /* a permutation of all events */
    atomic_size_t next;
    size_t until;
    int64_t accepted, duplicates; /* under the lock */
    pthread_mutex_t lock;
    struct sender senders[CLIENTS];
};

static void add_event(struct buf *text, size_t number)
{
    char at[MOMENT_TEXT];
    size_t resource = number / STATES, state = number % STATES;
    time_t today = time(NULL) / 86400 * 86400;
    moment_format(((moment)today - 86400) * MOMENT_SECOND + (moment)state * MOMENT_MINUTE, at);
    buf_printf(text,
               "{\"specversion\":\"1.0\",\"type\":\"cn.yunqiao.usage.state.v1\",\"source\":"
               "\"/providers/provider-health/meter\",\"id\":\"%zu\",\"subject\":\"lb-%zu\",\"time\":\"%s\","
               "\"data\":{\"unit\":\"" WORLD_UNIT "\",\"system\":\"" WORLD_SYSTEM "\",\"cloud\":\"health\","
               "\"items\":[{\"item\":\"1018\",\"quantity\":\"%zu\"}]}}\n",
               number, resource, at, 1 + state % 2);
}

/* Sends until a whole answer comes: the broker or its database is down at times. */
static void deliver(struct sender *sender, size_t from, size_t until)
{
    struct feed *feed = sender->feed;
    BUF_AUTO struct buf text = BUF_INIT(1 << 20);
    int64_t end = moment_monotonic() + ANSWER_SECONDS * MOMENT_SECOND;
    for (size_t i = from; i < until; i++)
        add_event(&text, feed->order[i]);
    for (;;) {
        client_at(sender->client, atomic_load(&feed->port));
        API_AUTO struct api_reply reply =
            api_call(sender->client, &(struct api_request){.method = "POST",
                                                           .path = "/v1/usage",
                                                           .token = feed->token,
                                                           .type = "application/x-ndjson",
                                                           .body = text.data});
        int64_t accepted = json_integer_value(json_object_get(reply.json, "accepted"));
        int64_t duplicates = json_integer_value(json_object_get(reply.json, "duplicates"));
        if (reply.status == 200 && accepted + duplicates == (int64_t)(until - from)) {
            (void)pthread_mutex_lock(&feed->lock);
            feed->accepted += accepted;
            feed->duplicates += duplicates;
            (void)pthread_mutex_unlock(&feed->lock);
            return;
        }
        /* 504: the connection to the database was lost in COMMIT, the outcome is not known */
        bool down = reply.status == 0 || reply.status == 503 || reply.status == 504;
        if (!down || moment_monotonic() > end) {
            sender->wrong = "a batch was not answered as it should";
            sender->status = reply.status;
            (void)fprintf(stderr, "%s\n", reply.text ? reply.text : "");
            return;
        }
        sender->again++;
        (void)usleep(20000); /* a caller's backoff */
    }
}

static void *send_all(void *context)
{
    struct sender *sender = context;
    struct feed *feed = sender->feed;
    size_t from;
    while (!sender->wrong && (from = atomic_fetch_add(&feed->next, BATCH)) < feed->until)
        deliver(sender, from, from + BATCH < feed->until ? from + BATCH : feed->until);
    return NULL;
}

/* The embedded cluster's own first process; its others end when they see that it has gone. */
static void kill_postgres(const struct world *world)
{
    char *path = xasprintf("%s/data/pg/postmaster.pid", world->folder), text[64] = "";
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    (void)fclose(file); /* only read */
    long pid = strtol(text, NULL, 10);
    assert_true(pid > 1);
    assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
    free(path);
}

static void run_round(struct feed *feed, struct random *random, size_t round)
{
    struct world *world = feed->world;
    atomic_store(&feed->next, EVENTS * round / ROUNDS);
    feed->until = EVENTS * (round + 1) / ROUNDS;
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&feed->senders[i].thread, NULL, send_all, &feed->senders[i]), 0);
    (void)usleep(draw(random, KILL_MS) * 1000); /* the random moment itself */
    if (round % 3 == 2)
        kill_postgres(world);
    world_kill(world);
    world_restart(world);
    atomic_store(&feed->port, world->port);
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_join(feed->senders[i].thread, NULL), 0);
        if (feed->senders[i].wrong)
            fail_msg("%s: %d", feed->senders[i].wrong, feed->senders[i].status);
    }
}

/* Usage is what the events say: each state from its minute to the next one's, the last one open. */
static void check_usage_of_events(const struct world *world)
{
    assert_int_equal(world_number(world, "SELECT count(*) FROM usage_event WHERE state = 'counted'"), EVENTS);
    assert_int_equal(world_number(world, "SELECT count(*) FROM usage_interval WHERE origin = 'reported'"),
                     EVENTS);
    assert_int_equal(
        world_number(world,
                     "SELECT count(*) FROM usage_interval i JOIN usage_event e ON i.resource_id ="
                     " e.provider_id || '/' || e.subject AND e.occurred_at = i.start_at"
                     " WHERE i.micro = ((e.body::jsonb #>> '{data,items,0,quantity}')::numeric * 1000000)"
                     " AND i.end_at = coalesce((SELECT min(n.occurred_at) FROM usage_event n WHERE"
                     " n.subject = e.subject AND n.occurred_at > e.occurred_at), 'infinity')"),
        EVENTS);
}

static void killed_while_events_come(void **state)
{
    struct feed *feed = xcalloc(1, sizeof *feed);
    const char *given = getenv("YUNQIAO_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) * 2654435761u;
    struct random random = {seed ? seed : 1};
    size_t again = 0;
    print_message("YUNQIAO_SEED=%llu\n", (unsigned long long)seed);
    feed->world = *state;
    char *ca_file = xasprintf("%s/data/server.crt", feed->world->folder);
    world_principal(feed->world, json_pack("{s:s, s:s, s:s}", "id", "meter", "role", "provider-operator",
                                           "provider", "provider-health"));
    feed->token = world_token(feed->world, "meter", 86400);
    (void)pthread_mutex_init(&feed->lock, NULL); /* cannot fail */
    atomic_store(&feed->port, feed->world->port);
    for (size_t i = 0; i < CLIENTS; i++)
        feed->senders[i] = (struct sender){.feed = feed, .client = client_new(ca_file, feed->world->port)};
    for (size_t i = 0; i < EVENTS; i++)
        feed->order[i] = i;
    for (size_t i = EVENTS; i > 1; i--) {
        size_t k = draw(&random, (uint32_t)i), kept = feed->order[i - 1];
        feed->order[i - 1] = feed->order[k];
        feed->order[k] = kept;
    }
    for (size_t round = 0; round < ROUNDS; round++)
        run_round(feed, &random, round);
    check_usage_of_events(feed->world);
    /* An answer that was lost makes its events duplicates the next time; none is counted twice. */
    assert_true(feed->accepted <= (int64_t)EVENTS);
    assert_int_equal(feed->accepted + feed->duplicates, EVENTS);
    feed->accepted = feed->duplicates = 0;
    for (size_t from = 0; from < EVENTS; from += 800)
        deliver(&feed->senders[0], from, from + 800);
    assert_int_equal(feed->accepted, 0);
    assert_int_equal(feed->duplicates, EVENTS);
    check_usage_of_events(feed->world);
    check_audit(feed->world);
    for (size_t i = 0; i < CLIENTS; i++) {
        again += feed->senders[i].again;
        client_free(feed->senders[i].client);
    }
    print_message("%zu calls were repeated\n", again);
    free(feed->token);
    free(feed);
    free(ca_file);
}

static int start(void **state)
{
    *state = world_start(&(struct world_options){0});
    return 0;
}

static int stop(void **state)
{
    world_stop(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed_while_events_come)};
    return cmocka_run_group_tests(tests, start, stop);
}
