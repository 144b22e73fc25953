/* Brokers that die and brokers that stall, as processes of their own: this executable run again with
 * --runner. Killed at random moments, every step has its effect, once, and in order; stopped until its lease
 * is over and woken again, a broker can write nothing; one that has a lock of its own and comes back takes
 * over what it had, unless it lives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/id.h"
#include "broker/jobs/job.h"
#include "tests/support/jobs.h"

#define JOBS 30
#define KILLS 12
#define LEASE_US (2 * MOMENT_SECOND) /* long enough that a busy machine does not lose it by itself */
#define LONG_LEASE_US MOMENT_HOUR    /* nobody waits for that */

static struct pg *pg;
static struct db *db;

static void sleep_ms(long ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

/* A step as drivers' are: outside work that a look-up makes idempotent (table provider has no unique key, as
 * a provider has none), then its record, fenced. */
struct making {
    struct job *job;
    const char *what;
};

static struct error *make_outside(struct db *in, void *context)
{
    static const struct db_statement make = {
        "provider_make", "INSERT INTO provider_object (job, what) SELECT $1::uuid, $2::text WHERE NOT EXISTS"
                         " (SELECT FROM provider_object WHERE job = $1::uuid AND what = $2::text)"};
    struct making *making = context;
    return db_run(in, &make, DB_VALUES(db_text(making->job->id), db_text(making->what)), NULL);
}

static struct error *record(struct db *in, void *context)
{
    static const struct db_statement put = {
        "effect_put",
        "INSERT INTO effect (job, what, attempt) SELECT $1::uuid, $2::text, $3::bigint WHERE NOT EXISTS"
        " (SELECT FROM effect WHERE job = $1::uuid AND what = $2::text)"};
    struct making *making = context;
    return db_run(in, &put,
                  DB_VALUES(db_text(making->job->id), db_text(making->what), db_int(making->job->attempt)),
                  NULL);
}

static struct error *make(struct job *job, const char *what)
{
    struct making making = {job, what};
    TRY(db_transaction(job->db, &db_scope_system, DB_READ_COMMITTED, make_outside, &making));
    sleep_ms(3); /* a provider takes its time: room for being killed */
    return job_transaction(job, DB_READ_COMMITTED, record, &making);
}

static struct error *make_disk(struct job *job)
{
    return make(job, "disk");
}

static struct error *make_guest(struct job *job)
{
    return make(job, "guest");
}

static struct error *start_guest(struct job *job)
{
    return make(job, "started");
}

static struct error *tell(struct job *job, const struct error *error)
{
    static const struct db_statement told = {"told_put", "INSERT INTO told (attempt, code) VALUES ($1, $2)"};
    return db_run(
        job->db, &told,
        DB_VALUES(db_int(job->attempt), db_text(error ? error_code_name(error_code(error)) : "written")),
        NULL);
}

/* Says that it began, and goes on when its process is allowed to; then it writes, whatever happened
 * meanwhile. */
static struct error *stall(struct job *job)
{
    static const struct db_statement say = {"stall_say",
                                            "INSERT INTO stalled (pid, attempt) VALUES ($1, $2)"};
    static const struct db_statement ask = {"stall_ask", "SELECT count(*) FROM may_go_on WHERE pid = $1"};
    TRY(db_run(job->db, &say, DB_VALUES(db_int(getpid()), db_int(job->attempt)), NULL));
    bool may = false;
    for (int i = 0; i < 6000 && !may; i++) { /* a minute */
        struct db_rows *rows;
        TRY(db_query(job->db, &ask, DB_VALUES(db_int(getpid())), &rows));
        may = db_get_int(rows, 0, 0) > 0;
        db_rows_free(rows);
        sleep_ms(10);
    }
    struct making making = {job, "stall"};
    struct error *error = job_transaction(job, DB_READ_COMMITTED, record, &making);
    TRY(tell(job, error));
    return error;
}

/* Stops its whole process, the first time, with the job's row held. */
static struct error *stop_self(struct db *in, void *context)
{
    struct making *making = context;
    TRY(record(in, making));
    if (making->job->attempt == 1)
        (void)raise(SIGSTOP); /* taken by this thread before it goes on, as kill() would not promise */
    return NULL;
}

static struct error *hold(struct job *job)
{
    struct making making = {job, "hold"};
    struct error *error = job_transaction(job, DB_READ_COMMITTED, stop_self, &making);
    TRY(tell(job, error));
    return error;
}

static const struct job_step deploy_steps[] = {
    {"disk", make_disk, NULL}, {"guest", make_guest, NULL}, {"start", start_guest, NULL}};
static const struct job_step stall_steps[] = {{"stall", stall, NULL}};
static const struct job_step hold_steps[] = {{"hold", hold, NULL}};
static const struct job_type deploy = {
    .name = "deploy", .steps = deploy_steps, .step_count = 3, .max_attempts = 5, .backoff_us = 10000};
static const struct job_type staller = {
    .name = "stall", .steps = stall_steps, .step_count = 1, .max_attempts = 5, .backoff_us = 10000};
static const struct job_type holder = {
    .name = "hold", .steps = hold_steps, .step_count = 1, .max_attempts = 5, .backoff_us = 10000};
static const struct job_type *const types[] = {&deploy, &staller, &holder};

static struct job_runner *start_runner(const char *conninfo, const char *lock, struct clock *clock)
{
    struct job_runner_settings settings = {.conninfo = conninfo,
                                           .types = types,
                                           .type_count = 3,
                                           .workers = 2,
                                           .clock = clock,
                                           .lease_us = lock ? LONG_LEASE_US : LEASE_US,
                                           .lock_path = lock};
    struct job_runner *runner;
    struct error *error = job_runner_start(&settings, &runner);
    if (error) {
        fprintf(stderr, "%s\n", error_message(error));
        exit(1);
    }
    return runner;
}

static _Noreturn void be_runner(const char *conninfo, const char *lock)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* however the test ends */
    struct clock *clock = clock_new(0);
    (void)start_runner(conninfo, lock, clock);
    for (;;)
        (void)pause(); /* until it is killed */
}

/* `lock` NULL: one that nobody takes over, with a short lease. */
static pid_t spawn_locked(const char *lock)
{
    pid_t pid = fork();
    if (pid == 0) {
        char self[] = "/proc/self/exe", flag[] = "--runner";
        char *conninfo = xstrdup(pg_conninfo(pg));
        char *argv[] = {self, flag, conninfo, lock ? xstrdup(lock) : NULL, NULL};
        (void)execv("/proc/self/exe", argv);
        _exit(127);
    }
    assert_true(pid > 0);
    return pid;
}

static pid_t spawn_runner(void)
{
    return spawn_locked(NULL);
}

static void kill_and_reap(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static bool was_hit(void)
{
    return pg_number(pg, "SELECT count(*) FROM job WHERE losses > 0 OR fence > 1") > 0;
}

static bool is_idle(void)
{
    return pg_number(pg, "SELECT count(*) FROM job WHERE state <> 'done'") == 0;
}

static void killed_brokers_lose_no_step(void **state)
{
    (void)state;
    int64_t jobs = 0;
    for (int i = 0; i < KILLS || (!was_hit() && i < 20 * KILLS); i++) {
        for (int k = is_idle() ? JOBS : 0; k > 0; k--) { /* a kill needs something to hit */
            char id[37];
            jobs_add(db, "deploy", NULL, NULL, id);
            jobs++;
        }
        char *begun = xasprintf("SELECT sum(fence) > %lld OR bool_and(state = 'done') FROM job",
                                (long long)pg_number(pg, "SELECT sum(fence) FROM job"));
        pid_t pid = spawn_runner();
        jobs_await(pg, begun, "t"); /* it works; now the random moment */
        free(begun);
        uint32_t random;
        random_bytes(&random, sizeof random);
        sleep_ms((long)(random % 40));
        kill_and_reap(pid);
    }
    assert_true(was_hit());
    pid_t last = spawn_runner();
    jobs_await(pg, "SELECT count(*) FROM job WHERE state <> 'done'", "0");
    kill_and_reap(last);
    assert_int_equal(pg_number(pg, "SELECT count(*) FROM (SELECT job FROM effect GROUP BY job HAVING"
                                   " string_agg(what, ' ' ORDER BY seq) = 'disk guest started') whole"),
                     jobs);
    assert_int_equal(pg_number(pg, "SELECT count(*) FROM effect"), 3 * jobs);
    assert_int_equal(pg_number(pg, "SELECT count(*) FROM provider_object"), 3 * jobs);
}

static void let_go_on(pid_t pid)
{
    char *sql = xasprintf("INSERT INTO may_go_on VALUES (%d)", (int)pid);
    pg_exec(pg, sql);
    free(sql);
}

/* How many attempts there are does not count: a machine that is busy enough loses leases by itself. */
static void a_stalled_broker_is_fenced_off(void **state)
{
    (void)state;
    char id[37];
    pid_t stalled = spawn_runner();
    jobs_add(db, "stall", NULL, NULL, id);
    jobs_await(pg, "SELECT count(*) > 0 FROM stalled", "t");
    assert_int_equal(kill(stalled, SIGSTOP), 0);
    pid_t other = spawn_runner(); /* takes the job when the lease is over */
    jobs_await(
        pg, "SELECT count(*) > 0 FROM stalled WHERE pid <> (SELECT pid FROM stalled WHERE attempt = 1)", "t");
    let_go_on(stalled);
    assert_int_equal(kill(stalled, SIGCONT), 0); /* it wakes in the middle of its step and writes */
    jobs_await(pg, "SELECT code FROM told WHERE attempt = 1", "stale");
    let_go_on(other);
    jobs_await_state(pg, id, "done");
    jobs_await(pg, "SELECT bool_and(attempt > 1) FROM effect WHERE what = 'stall'", "t");
    kill_and_reap(stalled);
    kill_and_reap(other);
}

static void a_broker_that_stalls_in_a_transaction_lets_go(void **state)
{
    (void)state;
    char id[37];
    int status;
    pg_exec(pg, "DELETE FROM told");
    pid_t stalled = spawn_runner();
    jobs_add(db, "hold", NULL, NULL, id);
    assert_int_equal(waitpid(stalled, &status, WUNTRACED), stalled);
    assert_true(WIFSTOPPED(status));
    pid_t other = spawn_runner();
    jobs_await_state(pg, id, "done"); /* the row was free when the lease was over, not a minute later */
    assert_int_equal(kill(stalled, SIGCONT), 0);
    jobs_await(pg, "SELECT code <> 'written' FROM told WHERE attempt = 1", "t");
    jobs_await(pg, "SELECT bool_and(attempt > 1) FROM effect WHERE what = 'hold'", "t");
    kill_and_reap(stalled);
    kill_and_reap(other);
}

static void begin_stall(char id[37])
{
    pg_exec(pg, "TRUNCATE stalled, may_go_on, told");
    jobs_add(db, "stall", NULL, NULL, id);
}

#define BEGUN "SELECT count(*) FROM stalled"

static void a_broker_that_comes_back_takes_over_its_own(void **state)
{
    (void)state;
    char id[37];
    char *mine = xasprintf("%s/mine.lock", pg_folder(pg)), *other = xasprintf("%s/other.lock", pg_folder(pg));
    begin_stall(id);
    pid_t first = spawn_locked(mine);
    jobs_await(pg, BEGUN, "1");
    pid_t stranger = spawn_locked(other);
    kill_and_reap(first);
    pid_t second = spawn_locked(mine); /* the lease is good for an hour */
    jobs_await(pg, BEGUN " WHERE attempt = 2", "1");
    char *by = xasprintf("SELECT pid IN (%d, %d) FROM stalled WHERE attempt = 2", (int)second, (int)stranger);
    jobs_await(pg, by, "t");
    let_go_on(second);
    let_go_on(stranger);
    jobs_await_state(pg, id, "done");
    kill_and_reap(second);
    kill_and_reap(stranger);
    free(by);
    free(mine);
    free(other);
}

/* Neither a broker that lives, though it does not answer, nor another one's that is dead. */
static void nobody_takes_over_anothers(void **state)
{
    (void)state;
    char id[37];
    char *mine = xasprintf("%s/mine.lock", pg_folder(pg)), *copy = xasprintf("%s/copy.lock", pg_folder(pg));
    begin_stall(id);
    pid_t stopped = spawn_locked(mine);
    jobs_await(pg, BEGUN, "1");
    assert_int_equal(kill(stopped, SIGSTOP), 0);
    pid_t twin = spawn_locked(mine), stranger = spawn_locked(copy);
    char others[37]; /* what they do first comes after they looked */
    for (int i = 0; i < 4; i++)
        jobs_add(db, "deploy", NULL, NULL, others);
    jobs_await_state(pg, others, "done");
    jobs_await(pg, "SELECT count(*) FROM job WHERE type = 'deploy' AND state <> 'done'", "0");
    kill_and_reap(stranger);
    stranger = spawn_locked(copy);
    jobs_add(db, "deploy", NULL, NULL, others);
    jobs_await_state(pg, others, "done");
    assert_int_equal(pg_number(pg, BEGUN), 1);
    kill_and_reap(stopped);
    kill_and_reap(twin);
    kill_and_reap(stranger);
    pid_t last = spawn_locked(mine);
    jobs_await(pg, BEGUN, "2");
    let_go_on(last);
    jobs_await_state(pg, id, "done");
    kill_and_reap(last);
    free(mine);
    free(copy);
}

static int set_up(void **state)
{
    (void)state;
    pg = pg_start();
    pg_exec(pg,
            "CREATE TABLE effect (seq bigserial PRIMARY KEY, job uuid, what text, attempt bigint);"
            "CREATE TABLE provider_object (job uuid, what text);"
            "CREATE TABLE stalled (pid int, attempt bigint); CREATE TABLE may_go_on (pid int);"
            "CREATE TABLE told (attempt bigint, code text);"
            "GRANT ALL ON effect, effect_seq_seq, provider_object, stalled, may_go_on, told TO yunqiao_app");
    return db_connect(pg_conninfo(pg), &db) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    db_close(db);
    pg_stop(pg);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "--runner") == 0)
        be_runner(argv[2], argc > 3 ? argv[3] : NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_brokers_lose_no_step),
        cmocka_unit_test(a_stalled_broker_is_fenced_off),
        cmocka_unit_test(a_broker_that_stalls_in_a_transaction_lets_go),
        cmocka_unit_test(a_broker_that_comes_back_takes_over_its_own),
        cmocka_unit_test(nobody_takes_over_anothers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
