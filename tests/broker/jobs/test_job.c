/* Jobs in one process on a real PostgreSQL: order of steps and of their undoing, retries with backoff,
 * parking, cancelling, unique keys, fencing against another attempt, waking up, and the graceful stop. */
#include "broker/jobs/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/jobs/work.h"
#include "tests/support/jobs.h"

static struct pg *pg;
static struct db *db;
static struct clock *clock_of_tests;

/* What the steps share with the tests. */
static struct {
    atomic_int failures_left; /* of step "flaky" and of the undo of "stuck" */
    atomic_int waiting;       /* steps that wait to be cancelled or released */
    atomic_bool release;
    atomic_bool hold; /* step "wait_long" stays in its midst */
    atomic_int context_seen;
} world;

struct effect {
    struct job *job;
    const char *what;
};

static struct error *effect_body(struct db *in, void *context)
{
    static const struct db_statement put = {"effect_put", "INSERT INTO effect (job, what) VALUES ($1, $2)"};
    struct effect *effect = context;
    return db_run(in, &put, DB_VALUES(db_text(effect->job->id), db_text(effect->what)), NULL);
}

static struct error *leave(struct job *job, const char *what)
{
    struct effect effect = {job, what};
    return job_transaction(job, DB_READ_COMMITTED, effect_body, &effect);
}

#define STEP(name)                                    \
    static struct error *do_##name(struct job *job)   \
    {                                                 \
        return leave(job, #name);                     \
    }                                                 \
    static struct error *undo_##name(struct job *job) \
    {                                                 \
        return leave(job, "undo " #name);             \
    }
STEP(one)
STEP(two)
STEP(three)

static struct error *remember_args(struct job *job)
{
    int *seen = job->context;
    *seen += 1;
    assert_non_null(job->arena);
    assert_true(job->attempt > 0);
    assert_true(clock_now(job->clock) > MOMENT_MIN);
    json_object_set(job->state, "vm", json_object_get(job->args, "name"));
    return job_save(job);
}

static struct error *use_state(struct job *job)
{
    return leave(job, json_string_value(json_object_get(job->state, "vm")));
}

static struct error *flaky(struct job *job)
{
    TRY(leave(job, "try"));
    if (world.failures_left-- > 0)
        return error_new(ERR_UNAVAILABLE, "the provider is away");
    return leave(job, "done");
}

static struct error *no_room(struct job *job)
{
    TRY(leave(job, "half"));
    return error_new(ERR_NO_CAPACITY, "the cloud is full");
}

static struct error *undo_half(struct job *job)
{
    return leave(job, "undo half");
}

static struct error *undo_stuck(struct job *job)
{
    if (world.failures_left-- > 0)
        return error_new(ERR_UNAVAILABLE, "still away");
    return leave(job, "undo stuck");
}

static struct error *wait_for_word(struct job *job)
{
    world.waiting++;
    while (!job_cancelled(job) && !world.release) {
        struct timespec pause = {.tv_nsec = 2 * 1000 * 1000};
        (void)nanosleep(&pause, NULL); /* a step that polls, as those of slow providers do */
    }
    world.waiting--;
    if (job_cancelled(job))
        return error_new(ERR_CANCELLED, "asked to stop");
    return leave(job, "released");
}

/* Waits an hour unless it is woken, or told before it looks. */
static struct error *wait_for_somebody(struct job *job)
{
    TRY(leave(job, "look"));
    if (world.hold) {
        world.waiting++;
        while (world.hold && !job_cancelled(job)) {
            struct timespec pause = {.tv_nsec = 2 * 1000 * 1000};
            (void)nanosleep(&pause, NULL); /* a step in its midst */
        }
        world.waiting--;
        return job_wait(job, 3600 * MOMENT_SECOND);
    }
    return world.release ? leave(job, "came") : job_wait(job, 3600 * MOMENT_SECOND);
}

static struct error *note_failure(struct db *in, struct job *job, const struct error *error)
{
    static const struct db_statement put = {
        "failure_put", "INSERT INTO effect (job, what) VALUES ($1, 'failed: ' || $2 || ': ' || $3)"};
    return db_run(in, &put,
                  DB_VALUES(db_text(job->id), db_text(error_code_name(error_code(error))),
                            db_text(error_message(error))),
                  NULL);
}

static struct error *refuse_to_note(struct db *in, struct job *job, const struct error *error)
{
    (void)in;
    (void)job;
    (void)error;
    return error_new(ERR_CONFLICT, "the operation is closed already");
}

static void note_progress(struct job *job, const char *step, size_t done, size_t of,
                          const struct error *retrying)
{
    char *what = xasprintf("%s %zu/%zu%s%s", step, done, of, retrying ? " " : "",
                           retrying ? error_message(retrying) : "");
    struct error *error = leave(job, what);
    assert_null(error);
    free(what);
}

static const struct job_step in_order_steps[] = {
    {"one", do_one, undo_one}, {"two", do_two, undo_two}, {"three", do_three, undo_three}};
static const struct job_step remember_steps[] = {{"remember", remember_args, NULL}, {"use", use_state, NULL}};
static const struct job_step flaky_steps[] = {{"flaky", flaky, undo_half}};
static const struct job_step breaks_steps[] = {{"one", do_one, undo_one},
                                               {"two", do_two, NULL},
                                               {"half", no_room, undo_half},
                                               {"three", do_three, undo_three}};
static const struct job_step stuck_steps[] = {{"one", do_one, undo_one}, {"stuck", no_room, undo_stuck}};
static const struct job_step waits_steps[] = {
    {"one", do_one, undo_one}, {"wait", wait_for_word, undo_half}, {"three", do_three, undo_three}};
static const struct job_step waits_long_steps[] = {
    {"one", do_one, undo_one}, {"wait_long", wait_for_somebody, undo_half}, {"three", do_three, undo_three}};

#define TYPE(label, ...)                                                                                     \
    static const struct job_type type_##label = {.name = #label,                                             \
                                                 .steps = label##_steps,                                     \
                                                 .step_count = sizeof label##_steps / sizeof *label##_steps, \
                                                 .max_attempts = 3,                                          \
                                                 .backoff_us = 20000,                                        \
                                                 .backoff_max_us = 50000,                                    \
                                                 __VA_ARGS__}
TYPE(in_order, .progressed = note_progress);
TYPE(remember, .failed = NULL);
TYPE(flaky, .failed = note_failure, .progressed = note_progress);
TYPE(breaks, .failed = note_failure);
TYPE(stuck, .failed = note_failure);
TYPE(waits, .failed = note_failure);
TYPE(waits_long, .failed = note_failure);
#define refused_steps breaks_steps
TYPE(refused, .failed = refuse_to_note);

static const struct job_type *const types[] = {&type_in_order, &type_remember,  &type_flaky,
                                               &type_breaks,   &type_stuck,     &type_waits,
                                               &type_refused,  &type_waits_long};

static struct job_runner *start(unsigned workers)
{
    static int seen;
    struct job_runner_settings settings = {.conninfo = pg_conninfo(pg),
                                           .types = types,
                                           .type_count = sizeof types / sizeof *types,
                                           .workers = workers,
                                           .context = &seen,
                                           .clock = clock_of_tests,
                                           .lease_us = 2 * MOMENT_SECOND};
    struct job_runner *runner;
    struct error *error = job_runner_start(&settings, &runner);
    if (error)
        print_error("%s\n", error_message(error));
    assert_null(error);
    return runner;
}

static void check_effects(const char *id, const char *wanted)
{
    char *query = xasprintf("SELECT string_agg(what, ', ' ORDER BY seq) FROM effect WHERE job = '%s'", id);
    char *got = pg_value(pg, query);
    assert_string_equal(got, wanted);
    free(got);
    free(query);
}

static void steps_run_in_order(void **state)
{
    (void)state;
    struct job_runner *runner = start(2);
    char id[37], other[37];
    jobs_add(db, "in_order", NULL, NULL, id);
    jobs_add(db, "remember", NULL, json_pack("{s:s}", "name", "web-1"), other);
    jobs_await_state(pg, id, "done");
    jobs_await_state(pg, other, "done");
    check_effects(id, "one, one 1/3, two, two 2/3, three, three 3/3");
    check_effects(other, "web-1");
    job_runner_stop(runner, MOMENT_SECOND);
    assert_true(pg_number(pg, "SELECT count(*) FROM job WHERE state = 'done' AND ended_at IS NOT NULL") == 2);
}

static void retries_back_off(void **state)
{
    (void)state;
    struct job_runner *runner = start(1);
    char id[37];
    world.failures_left = 2;
    jobs_add(db, "flaky", NULL, NULL, id);
    jobs_await_state(pg, id, "done");
    check_effects(
        id, "try, flaky 0/1 the provider is away, try, flaky 0/1 the provider is away, try, done, flaky 1/1");
    world.failures_left = 3; /* as many as attempts: it fails for good */
    jobs_add(db, "flaky", NULL, NULL, id);
    jobs_await_state(pg, id, "failed");
    check_effects(id,
                  "try, flaky 0/1 the provider is away, try, flaky 0/1 the provider is away, try, undo half,"
                  " failed: unavailable: the provider is away");
    job_runner_stop(runner, MOMENT_SECOND);
}

static void waits_double_up_to_the_cap(void **state)
{
    (void)state;
    const struct job_type type = {.backoff_us = 1000, .backoff_max_us = 60000};
    static const int64_t whole[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000};
    for (int attempts = 1; attempts <= 9; attempts++) {
        assert_true(job_backoff(&type, attempts, 0) == whole[attempts - 1] / 2);
        assert_true(job_backoff(&type, attempts, UINT32_MAX) == whole[attempts - 1]);
    }
    assert_true(job_backoff(&type, 1000000, UINT32_MAX) == 60000);
}

static void a_failure_is_undone_in_reverse(void **state)
{
    (void)state;
    struct job_runner *runner = start(1);
    char id[37];
    jobs_add(db, "breaks", NULL, NULL, id);
    jobs_await_state(pg, id, "failed");
    check_effects(id, "one, two, half, undo half, undo one, failed: no-capacity: the cloud is full");
    struct error *error = jobs_do(db, job_cancel, id);
    assert_int_equal(error_code(error), ERR_CONFLICT);
    error_free(error);
    assert_null(jobs_do(db, job_retry, id)); /* all was taken back: from the beginning */
    jobs_await(pg, "SELECT count(*) FROM effect WHERE what = 'failed: no-capacity: the cloud is full'", "2");
    job_runner_stop(runner, MOMENT_SECOND);
}

static void a_failing_undo_parks(void **state)
{
    (void)state;
    struct job_runner *runner = start(1);
    char id[37];
    world.failures_left = 3;
    jobs_add(db, "stuck", "only-one", NULL, id);
    jobs_await_state(pg, id, "parked");
    check_effects(id, "one, half");
    char *row = pg_value(pg, "SELECT concat_ws('|', type, step, attempts, error_code, last_error, undoing)"
                             " FROM job WHERE state = 'parked'");
    assert_string_equal(row, "stuck|stuck|2|unavailable|still away|t");
    free(row);
    assert_null(jobs_do(db, job_retry, id)); /* goes on with the undo */
    jobs_await_state(pg, id, "failed");
    check_effects(id, "one, half, undo stuck, undo one, failed: no-capacity: the cloud is full");
    jobs_add(db, "refused", NULL, NULL, id); /* the record of the failure is refused: somebody has to look */
    jobs_await_state(pg, id, "parked");
    row = pg_value(pg, "SELECT cause_code || ': ' || last_error FROM job WHERE state = 'parked'");
    assert_string_equal(row, "no-capacity: could not record the failure: the operation is closed already");
    free(row);
    job_runner_stop(runner, MOMENT_SECOND);
    struct error *error = jobs_do(db, job_retry, "00000000-0000-7000-8000-000000000000");
    assert_int_equal(error_code(error), ERR_CONFLICT);
    error_free(error);
}

static void await_waiting(int wanted)
{
    int64_t end = moment_monotonic() + 30 * MOMENT_SECOND;
    while (world.waiting != wanted && moment_monotonic() < end) {
        struct timespec pause = {.tv_nsec = 2 * 1000 * 1000};
        (void)nanosleep(&pause, NULL); /* between looks; the loop has its bound */
    }
    assert_int_equal(world.waiting, wanted);
}

static void cancelling_undoes(void **state)
{
    (void)state;
    struct job_runner *runner = start(1);
    char id[37], behind[37];
    jobs_add(db, "waits", NULL, NULL, id);
    jobs_add(db, "in_order", NULL, NULL,
             behind); /* the only worker is taken: it is cancelled before it begins */
    await_waiting(1);
    assert_null(jobs_do(db, job_cancel, behind));
    assert_null(jobs_do(db, job_cancel, id));
    jobs_await_state(pg, id, "cancelled");
    jobs_await_state(pg, behind, "cancelled");
    check_effects(id, "one, undo half, undo one, failed: cancelled: cancelled on request");
    check_effects(behind, "");
    job_runner_stop(runner, MOMENT_SECOND);
}

/* The refusal fails no statement: what follows in the transaction still works. */
static struct error *add_again(struct db *own, void *context)
{
    char other[37];
    struct error *error = job_add(own, "in_order", NULL, "sync:kvm-1", NULL, 0, context);
    assert_null(job_add(own, "in_order", NULL, NULL, NULL, 0, other));
    return error;
}

static void keys_are_unique(void **state)
{
    (void)state;
    char first[37], second[37];
    jobs_add(db, "in_order", "sync:kvm-1", NULL, first);
    struct db *own;
    assert_null(db_connect(pg_conninfo(pg), &own));
    struct error *error = db_transaction(own, &db_scope_system, DB_READ_COMMITTED, add_again, second);
    db_close(own);
    assert_int_equal(error_code(error), ERR_EXISTS);
    error_free(error);
    struct job_runner *runner = start(1);
    jobs_await_state(pg, first, "done");
    jobs_add(db, "in_order", "sync:kvm-1", NULL, second); /* the first has ended */
    jobs_await_state(pg, second, "done");
    job_runner_stop(runner, MOMENT_SECOND);
}

/* Another attempt takes the job over while a step runs: what the step writes afterwards is refused, whole. */
static void another_attempt_fences_off(void **state)
{
    (void)state;
    struct job_runner *runner = start(1);
    char id[37];
    world.release = false;
    jobs_add(db, "waits", NULL, NULL, id);
    await_waiting(1);
    char *steal =
        xasprintf("UPDATE job SET fence = fence + 1, run_at = now() + interval '1 hour' WHERE id = '%s'", id);
    pg_exec(pg, steal);
    free(steal);
    await_waiting(0); /* the heartbeat noticed, and told the step */
    check_effects(id, "one");
    job_runner_stop(runner, MOMENT_SECOND);
    char *query = xasprintf("SELECT state || fence FROM job WHERE id = '%s'", id);
    jobs_await(pg, query, "running2"); /* the loser changed nothing */
    free(query);
    char *end = xasprintf("DELETE FROM job WHERE id = '%s'", id);
    pg_exec(pg, end);
    free(end);
}

static void stopping_gives_back(void **state)
{
    (void)state;
    struct job_runner *runner = start(2);
    char id[37];
    world.release = false;
    jobs_add(db, "waits", NULL, NULL, id);
    await_waiting(1);
    int64_t before = moment_monotonic();
    job_runner_stop(runner, 50000); /* grace is over: the step is asked to stop, nothing is undone */
    assert_true(moment_monotonic() - before < 20 * MOMENT_SECOND);
    jobs_await_state(pg, id, "queued");
    check_effects(id, "one");
    world.release = true;
    runner = start(2);
    jobs_await_state(pg, id, "done");
    check_effects(id, "one, released, three");
    job_runner_stop(runner, MOMENT_SECOND);
}

static void many_jobs_run_once(void **state)
{
    (void)state;
    struct job_runner *first = start(3), *second = start(3);
    pg_exec(pg, "TRUNCATE effect");
    for (int i = 0; i < 100; i++) {
        char id[37];
        jobs_add(db, "in_order", NULL, NULL, id);
    }
    jobs_await(pg, "SELECT count(*) FROM job WHERE state IN ('queued', 'running')", "0");
    job_runner_stop(first, MOMENT_SECOND);
    job_runner_stop(second, MOMENT_SECOND);
    jobs_await(
        pg,
        "SELECT count(*) FROM (SELECT job FROM effect GROUP BY job HAVING string_agg(what, ' ' ORDER BY seq)"
        " = 'one one 1/3 two two 2/3 three three 3/3') whole",
        "100");
}

static void the_database_may_go_away(void **state)
{
    (void)state;
    struct job_runner *runner = start(2);
    char id[37];
    pg_exec(pg, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'yunqiao_app'");
    jobs_add(db, "in_order", NULL, NULL, id);
    jobs_await_state(pg, id, "done");
    job_runner_stop(runner, MOMENT_SECOND);
}

/* A hundred thousand ended rows do not slow leasing: the plan reads the partial index. */
static void ended_rows_are_out_of_the_way(void **state)
{
    (void)state;
    pg_exec(
        pg,
        "INSERT INTO job (id, type, args, state, run_at, ended_at) SELECT gen_random_uuid(), 'in_order', "
        "'{}',"
        " 'done', now() - interval '1 hour', now() - g * interval '1 hour' FROM generate_series(1, 20000) g;"
        "INSERT INTO job (id, type, args, run_at) SELECT gen_random_uuid(), 'in_order', '{}',"
        " now() + interval '1 day' FROM generate_series(1, 500) g;"
        "ANALYZE job");
    char *plan =
        pg_value(pg, "CREATE TEMP TABLE plans (line text); DO $$ DECLARE line text; BEGIN FOR line IN EXPLAIN"
                     " SELECT id FROM job WHERE state IN ('queued', 'running') AND run_at <= now()"
                     " ORDER BY run_at LIMIT 1 FOR UPDATE SKIP LOCKED LOOP INSERT INTO plans VALUES (line);"
                     " END LOOP; END $$; SELECT string_agg(line, E'\\n') FROM plans");
    assert_non_null(strstr(plan, "Index Scan using job_runnable"));
    assert_null(strstr(plan, "Sort"));
    free(plan);
    int64_t before = pg_number(pg, "SELECT count(*) FROM job WHERE ended_at < now() - interval '30 days'");
    assert_true(before > 1000);
    struct error *error = job_prune(db); /* a thousand at a time */
    assert_null(error);
    assert_true(pg_number(pg, "SELECT count(*) FROM job WHERE ended_at < now() - interval '30 days'") ==
                before - 1000);
}

static void wrong_settings_are_refused(void **state)
{
    (void)state;
    const struct job_type *const twice[] = {&type_in_order, &type_in_order};
    struct job_runner_settings settings = {
        .conninfo = pg_conninfo(pg), .types = twice, .type_count = 2, .workers = 1, .clock = clock_of_tests};
    struct job_runner *runner;
    struct error *error = job_runner_start(&settings, &runner);
    assert_int_equal(error_code(error), ERR_INVALID);
    error_free(error);
    settings.type_count = 1;
    settings.conninfo = "host=/nonexistent";
    error = job_runner_start(&settings, &runner);
    assert_int_equal(error_code(error), ERR_UNAVAILABLE);
    error_free(error);
}

/* The job is in a wait: a queued row, due in about an hour. */
static void await_wait_of(const char *id)
{
    char *query =
        xasprintf("SELECT count(*) FROM job WHERE id = '%s' AND state = 'queued' AND step = 'wait_long'"
                  " AND run_at > clock_timestamp() + interval '50 minutes'",
                  id);
    jobs_await(pg, query, "1");
    free(query);
}

/* With one worker, which goes on with other work meanwhile; and through a stop and start of the runner. */
static void a_waiting_job_holds_nothing(void **state)
{
    (void)state;
    struct job_runner *runner = start(1);
    char id[37], other[37];
    world.release = world.hold = false;
    jobs_add(db, "waits_long", NULL, NULL, id);
    await_wait_of(id);
    jobs_add(db, "in_order", NULL, NULL, other);
    jobs_await_state(pg, other, "done");
    for (int i = 0; i < 30; i++) { /* more looks than attempts or brokers that a step may cost */
        char *query = xasprintf("SELECT count(*) FROM effect WHERE job = '%s' AND what = 'look'", id);
        char *wanted = xasprintf("%d", i + 2);
        assert_null(jobs_do(db, job_wake, id));
        jobs_await(pg, query, wanted);
        await_wait_of(id);
        free(query);
        free(wanted);
    }
    char *query = xasprintf("SELECT attempts || ',' || losses FROM job WHERE id = '%s'", id);
    jobs_await(pg, query, "0,0");
    free(query);
    job_runner_stop(runner, MOMENT_SECOND);
    world.release = true;
    assert_null(jobs_do(db, job_wake, id));
    runner = start(1);
    jobs_await_state(pg, id, "done");
    assert_null(jobs_do(db, job_wake, id)); /* an ended one: nothing */
    jobs_await_state(pg, id, "done");
    job_runner_stop(runner, MOMENT_SECOND);
}

static void a_wake_while_the_step_runs_is_kept(void **state)
{
    (void)state;
    struct job_runner *runner = start(1);
    char id[37];
    world.release = false;
    world.hold = true;
    jobs_add(db, "waits_long", NULL, NULL, id);
    char *query = xasprintf("SELECT count(*) FROM effect WHERE job = '%s' AND what = 'look'", id);
    jobs_await(pg, query, "1");
    free(query);
    assert_null(jobs_do(db, job_wake, id));
    world.release = true;
    world.hold = false;
    jobs_await_state(pg, id, "done");
    check_effects(id, "one, look, look, came, three");
    job_runner_stop(runner, MOMENT_SECOND);
}

static void a_wait_is_cancelled(void **state)
{
    (void)state;
    struct job_runner *runner = start(1);
    char id[37];
    world.release = world.hold = false;
    jobs_add(db, "waits_long", NULL, NULL, id);
    await_wait_of(id);
    assert_null(jobs_do(db, job_cancel, id));
    jobs_await_state(pg, id, "cancelled");
    check_effects(id, "one, look, undo half, undo one, failed: cancelled: cancelled on request");
    world.hold = true; /* and while the step that will wait still runs */
    jobs_add(db, "waits_long", NULL, NULL, id);
    await_waiting(1);
    assert_null(jobs_do(db, job_cancel, id));
    jobs_await_state(pg, id, "cancelled");
    world.hold = false;
    job_runner_stop(runner, MOMENT_SECOND);
}

/* Whoever brings what a job waits for may be of another scope than its unit. */
static struct error *wake_of_nobody(struct db *in, void *context)
{
    return job_wake(in, context);
}

static void anybody_may_wake(void **state)
{
    (void)state;
    char id[37];
    const struct db_scope nobody = {.all = false};
    jobs_add(db, "waits_long", NULL, NULL, id);
    char *later = xasprintf("UPDATE job SET run_at = now() + interval '1 hour' WHERE id = '%s'", id);
    pg_exec(pg, later);
    free(later);
    assert_null(db_transaction(db, &nobody, DB_READ_COMMITTED, wake_of_nobody, id));
    char *query = xasprintf("SELECT run_at <= clock_timestamp() AND woken FROM job WHERE id = '%s'", id);
    jobs_await(pg, query, "t");
    free(query);
    assert_null(jobs_do(db, job_cancel, id));
}

static int set_up(void **state)
{
    (void)state;
    pg = pg_start();
    clock_of_tests = clock_new(0);
    pg_exec(pg, "CREATE TABLE effect (seq bigserial PRIMARY KEY, job uuid, what text);"
                "GRANT ALL ON effect, effect_seq_seq TO yunqiao_app");
    return db_connect(pg_conninfo(pg), &db) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    db_close(db);
    clock_free(clock_of_tests);
    pg_stop(pg);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_run_in_order),
        cmocka_unit_test(retries_back_off),
        cmocka_unit_test(waits_double_up_to_the_cap),
        cmocka_unit_test(a_failure_is_undone_in_reverse),
        cmocka_unit_test(a_failing_undo_parks),
        cmocka_unit_test(cancelling_undoes),
        cmocka_unit_test(a_waiting_job_holds_nothing),
        cmocka_unit_test(a_wake_while_the_step_runs_is_kept),
        cmocka_unit_test(a_wait_is_cancelled),
        cmocka_unit_test(anybody_may_wake),
        cmocka_unit_test(keys_are_unique),
        cmocka_unit_test(another_attempt_fences_off),
        cmocka_unit_test(stopping_gives_back),
        cmocka_unit_test(many_jobs_run_once),
        cmocka_unit_test(the_database_may_go_away),
        cmocka_unit_test(ended_rows_are_out_of_the_way),
        cmocka_unit_test(wrong_settings_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
