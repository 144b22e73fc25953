/* kill -9 while a month is closed: of the broker, of one of PostgreSQL's backends that is at work, of its
 * postmaster, at moments spread over the closing. After each one the month is closed whole or not at all, and
 * in the end there is one set of bills, to the digest the same as an undisturbed run came to.
 *
 * The usage is written by SQL: ten thousand orders would test something else. Some of it is late, so that the
 * closing corrects the month before under the kills too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/db/embedded.h"
#include "tests/e2e/world.h"

#define UNITS 400
#define ROUNDS 12
#define SOON 3 /* rounds, one for each victim, that strike as soon as the closing is seen at work */
#define ANSWER_SECONDS 180
#define SPREAD_US (500 * (MOMENT_SECOND / 1000)) /* at most: a first run's plan can be a slow one */
#define CLOCK_DAYS 110                           /* the present month and the next two are over then */

enum victim { BROKER, BACKEND, POSTMASTER, VICTIMS };

struct ground {
    struct world *world;
    struct client *client; /* of the thread that closes */
    struct arena *arena;
    struct month month; /* closed under the kills; the one before is closed in peace */
    const char *name;
};

static const char *path_of(const struct ground *ground, struct month month, const char *verb)
{
    char text[8];
    month_format(month, text);
    return arena_printf(ground->arena, "/v1/months/%s%s", text, verb);
}

static void run_sql(const struct world *world, const char *sql)
{
    free(world_value(world, sql));
}

/* 13 resources a unit, each with two quantities within the month. */
static void use_month(const struct ground *ground, struct month month)
{
    run_sql(
        ground->world,
        arena_printf(
            ground->arena,
            "INSERT INTO usage_interval (unit_id, system_id, cloud_id, provider_id, resource_id, kind, item,"
            " micro, start_at, end_at, industry, zone_id, architecture)"
            " SELECT 'k' || lpad(u::text, 4, '0'), 'k' || lpad(u::text, 4, '0') || '001', cloud,"
            " 'provider-' || cloud, 'r' || r, 'instance', (1001 + r)::text,"
            " (1 + (u * 7 + r * 5 + k * 3) %% 16) * 1000000,"
            " s + k * interval '9 days 7 hours' + u * interval '1 second 1 microsecond',"
            " s + (k + 1) * interval '9 days 7 hours' + u * interval '1 second 1 microsecond', cloud,"
            " CASE r WHEN 18 THEN '' ELSE 'internet' END, CASE r WHEN 18 THEN '' ELSE 'x86' END"
            " FROM generate_series(1, %d) u, generate_series(0, 1) k,"
            " unnest('{0,1,2,3,4,5,6,7,8,9,10,11,18}'::int[]) r,"
            " LATERAL (SELECT CASE r %% 2 WHEN 0 THEN 'health' ELSE 'education' END AS cloud) c,"
            " (SELECT '%s'::timestamptz AS s) m",
            UNITS, moment_text(ground->arena, month_start(month))));
}

/* What every fifth unit used of the month before, heard of when that was closed. */
static void use_late(const struct ground *ground, struct month month)
{
    run_sql(
        ground->world,
        arena_printf(
            ground->arena,
            "INSERT INTO usage_interval (unit_id, system_id, cloud_id, provider_id, resource_id, kind, item,"
            " micro, start_at, end_at, industry, zone_id, architecture)"
            " SELECT 'k' || lpad(u::text, 4, '0'), 'k' || lpad(u::text, 4, '0') || '001', 'health',"
            " 'provider-health', 'late', 'bandwidth', '1016', 7000000, s + interval '3 days',"
            " s + interval '4 days 5 hours', 'health', 'internet', ''"
            " FROM generate_series(1, %d, 5) u, (SELECT '%s'::timestamptz AS s) m",
            UNITS, moment_text(ground->arena, month_start(month))));
}

/* Asks until PostgreSQL answers: it may be on its way down while the broker still has connections. */
static char *ask(const struct world *world, const char *sql)
{
    char *data_dir = xasprintf("%s/data", world->folder), *answer = NULL;
    int64_t until = moment_monotonic() + ANSWER_SECONDS * MOMENT_SECOND;
    while (!answer && moment_monotonic() < until) {
        char *conninfo = NULL;
        error_free(embedded_locate(data_dir, true, &conninfo)); /* none while it starts */
        PGconn *connection = PQconnectdb(conninfo ? conninfo : "");
        PGresult *result = PQexec(connection, sql);
        if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
            answer = xstrdup(PQgetvalue(result, 0, 0));
        PQclear(result);
        PQfinish(connection);
        free(conninfo);
        if (!answer)
            (void)usleep(50000); /* a caller's backoff */
    }
    free(data_dir);
    assert_non_null(answer);
    return answer;
}

/* What a closing changes, in one look: "open bills 0 …" or "closed bills 800 …". */
static const char *books(const struct ground *ground)
{
    char *text =
        ask(ground->world,
            arena_printf(
                ground->arena,
                "SELECT concat_ws(' ', coalesce((SELECT state FROM billing_month WHERE month = m), 'open'),"
                " 'bills', (SELECT count(*) FROM bill WHERE month = m),"
                " 'lines', (SELECT count(*) FROM bill_line WHERE month = m),"
                " 'changes', (SELECT count(*) FROM usage_change),"
                " 'runs', (SELECT count(*) FROM rating_run WHERE month = m AND purpose = 'close'),"
                " 'sums', (SELECT count(*) FROM statement_unit WHERE month = m),"
                " (SELECT count(*) FROM statement_place WHERE month = m),"
                " 'usage', (SELECT count(*) FROM usage_interval)) FROM (SELECT '%s'::text AS m) n",
                ground->name));
    const char *kept = arena_strdup(ground->arena, text);
    free(text);
    return kept;
}

static void *close_once(void *context)
{
    struct ground *ground = context;
    API_AUTO struct api_reply reply =
        api_send(ground->client, ground->world->admin, "POST",
                 arena_printf(ground->arena, "/v1/months/%s:close", ground->name), NULL);
    return reply.status == 200 ? ground : NULL;
}

/* Until broker and database answer again. */
static void await_answer(const struct ground *ground)
{
    int64_t until = moment_monotonic() + ANSWER_SECONDS * MOMENT_SECOND;
    const char *path = path_of(ground, ground->month, "");
    for (;;) {
        API_AUTO struct api_reply reply = api_get(ground->world->client, ground->world->admin, path);
        if (reply.status == 200)
            return;
        if (moment_monotonic() > until)
            fail_msg("no answer: %d %s", reply.status, reply.text ? reply.text : "");
        (void)usleep(50000); /* a caller's backoff */
    }
}

/* Of a backend that works for the broker; 0: none does. */
static pid_t busy_backend(PGconn *owner)
{
    PGresult *result = PQexec(
        owner, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND state <> 'idle'"
               " AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1");
    long pid = PQntuples(result) == 1 ? strtol(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    return (pid_t)pid;
}

static pid_t postmaster_of(const struct world *world)
{
    char *path = xasprintf("%s/data/pg/postmaster.pid", world->folder), line[32] = "";
    FILE *file = fopen(path, "re");
    long pid = file && fgets(line, sizeof line, file) ? strtol(line, NULL, 10) : 0;
    if (file)
        (void)fclose(file); /* read only */
    free(path);
    return (pid_t)pid;
}

static void strike(struct ground *ground, enum victim victim, PGconn *owner)
{
    pid_t pid = victim == BACKEND ? busy_backend(owner) : 0;
    if (victim == BROKER) {
        world_kill(ground->world);
        world_restart(ground->world);
        client_at(ground->client, ground->world->port);
        return;
    }
    if (pid > 1 && kill(pid, SIGKILL) == 0)
        return;
    pid = postmaster_of(ground->world); /* the victim, or the backend's work was over */
    assert_true(pid > 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
}

/* Until the closing's work shows in the database. */
static void await_work(PGconn *owner)
{
    int64_t until = moment_monotonic() + ANSWER_SECONDS * MOMENT_SECOND;
    while (!busy_backend(owner) && moment_monotonic() < until)
        (void)usleep(1000); /* a view tells nobody that it changed */
}

/* A closing that is struck when it has been at work for so many microseconds. */
static void disturb(struct ground *ground, enum victim victim, int64_t after)
{
    pthread_t thread;
    struct timespec pause = {.tv_sec = after / MOMENT_SECOND, .tv_nsec = after % MOMENT_SECOND * 1000};
    PGconn *owner = (PGconn *)world_connect(ground->world);
    assert_int_equal(pthread_create(&thread, NULL, close_once, ground), 0);
    await_work(owner);
    (void)nanosleep(&pause, NULL); /* the moment itself */
    strike(ground, victim, owner);
    assert_int_equal(pthread_join(thread, NULL), 0);
    PQfinish(owner);
    await_answer(ground);
}

/* Until a whole answer comes; a broker whose connections went down says 503 once. */
static struct api_reply post(const struct ground *ground, struct month month, const char *verb)
{
    int64_t until = moment_monotonic() + ANSWER_SECONDS * MOMENT_SECOND;
    for (;;) {
        struct api_reply reply =
            api_send(ground->world->client, ground->world->admin, "POST", path_of(ground, month, verb), NULL);
        if ((reply.status != 0 && reply.status != 503) || moment_monotonic() > until)
            return reply;
        api_done(&reply);
        (void)usleep(50000); /* a caller's backoff */
    }
}

static int64_t number(const struct ground *ground, const char *sql)
{
    return world_number(ground->world, sql);
}

/* Both months: all that was used is on lines once, the sums are the lines', and the month after has nothing
 * to correct. */
static void all_is_counted_once(const struct ground *ground)
{
    const struct world *world = ground->world;
    char *used = world_value(world, "SELECT sum(micro::numeric * (extract(epoch FROM end_at - start_at) *"
                                    " 1000000)::bigint) FROM usage_interval");
    char *billed = world_value(world, "SELECT sum(usage) FROM bill_line");
    assert_string_equal(billed, used);
    free(used);
    free(billed);
    assert_int_equal(number(ground, "SELECT count(*) FROM bill b WHERE (total_fen, line_count) <> (SELECT"
                                    " sum(amount_fen), count(*) FROM bill_line l WHERE l.bill_id = b.id)"),
                     0);
    assert_int_equal(number(ground, "SELECT count(*) FROM bill_line l LEFT JOIN bill b ON b.id = l.bill_id"
                                    " WHERE b.id IS NULL"),
                     0);
    assert_int_equal(number(ground, "SELECT count(*) FROM billing_month m WHERE total_fen <> (SELECT"
                                    " sum(total_fen) FROM bill b WHERE b.month = m.month)"),
                     0);
    assert_int_equal(number(ground, "SELECT count(*) FROM bill_line WHERE type = 'adjustment'"),
                     (UNITS + 4) / 5);
    API_AUTO struct api_reply next = post(ground, month_next(ground->month), ":close");
    api_expect(&next, 200);
    assert_string_equal(api_text(&next, "total_yuan"), "0.00");
}

static void killed_while_closing(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct ground ground = {.world = *state, .arena = arena};
    char *ca_file = xasprintf("%s/data/server.crt", ground.world->folder);
    char name[8];
    struct month before = month_of((moment)time(NULL) * MOMENT_SECOND);
    ground.month = month_next(before);
    month_format(ground.month, name);
    ground.name = name;
    ground.client = client_new(ca_file, ground.world->port);
    free(ca_file);
    use_month(&ground, before);
    world_clock(ground.world, CLOCK_DAYS * 86400);
    API_AUTO struct api_reply first = post(&ground, before, ":close");
    api_expect(&first, 200);
    use_month(&ground, ground.month);
    use_late(&ground, before);

    API_AUTO struct api_reply rated = post(&ground, ground.month, ":rate");
    api_expect(&rated, 200);
    int64_t began = moment_monotonic();
    API_AUTO struct api_reply again = post(&ground, ground.month, ":rate");
    int64_t took = moment_monotonic() - began,
            delay = took < SPREAD_US ? took / 2 : SPREAD_US / 2; /* a closing also writes: it takes longer */
    assert_string_equal(api_text(&again, "digest_sm3"), api_text(&rated, "digest_sm3"));
    const char *untouched = books(&ground), *closed = NULL;
    int disturbed[VICTIMS] = {0};
    for (int round = 0; round < ROUNDS && !closed; round++) {
        enum victim victim = (enum victim)(round % VICTIMS);
        disturb(&ground, victim, round < SOON ? 0 : delay);
        delay = round < SOON ? delay : delay + delay / 2;
        const char *found = books(&ground);
        if (strncmp(found, "closed", 6) == 0)
            closed = found;
        else
            assert_string_equal(found, untouched);
        disturbed[victim] += !closed;
    }
    print_message("rated in %lld ms; closings undone: %d by the broker's end, %d by a backend's, %d by the"
                  " postmaster's\n",
                  (long long)(took / 1000), disturbed[BROKER], disturbed[BACKEND], disturbed[POSTMASTER]);
    for (int victim = 0; victim < VICTIMS; victim++)
        assert_true(disturbed[victim] > 0);

    for (int i = 0; i < 2; i++) { /* the second repeats the answer */
        API_AUTO struct api_reply done = post(&ground, ground.month, ":close");
        api_expect(&done, 200);
        assert_string_equal(api_text(&done, "digest_sm3"), api_text(&rated, "digest_sm3"));
        assert_string_equal(api_text(&done, "total_yuan"), api_text(&rated, "total_yuan"));
        if (closed)
            assert_string_equal(books(&ground), closed);
        closed = books(&ground);
    }
    print_message("%s\n", closed);
    assert_int_equal(number(&ground, "SELECT count(*) FROM usage_change"), 0);
    all_is_counted_once(&ground);
    client_free(ground.client);
}

static int start(void **state)
{
    *state = world_start(&(struct world_options){.settings = "close_months = no\nrate_workers = 4\n"});
    return 0;
}

static int stop(void **state)
{
    world_stop(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed_while_closing)};
    return cmocka_run_group_tests(tests, start, stop);
}
