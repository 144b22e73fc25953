/* The bounded queue between loops and workers, and the workers: threads that run handlers as straight-line
 * code, each with a database connection of its own. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/base/log.h"
#include "broker/http/denial.h"
#include "broker/http/flow.h"
#include "broker/http/front.h"

struct worker {
    struct workers *pool;
    pthread_t thread;
    struct db *db;
    const struct http_internal *call; /* under the pool's lock: being run */
};

struct workers {
    struct server *server;
    pthread_mutex_t lock;
    pthread_cond_t more, idle;
    struct http_internal *first, **last;
    unsigned queued, most, each, busy;
    bool stopping;
    struct worker *workers;
    unsigned count;
};

static struct http_internal *take(struct workers *pool)
{
    struct http_internal *call = pool->first;
    pool->first = call->next;
    if (!pool->first)
        pool->last = &pool->first;
    pool->queued--;
    return call;
}

static void run_call(struct worker *worker, struct http_internal *call)
{
    if (call->audit_only)
        denial_write(call, worker->db, call->denied_status);
    else if (!__atomic_load_n(&call->abandoned, __ATOMIC_RELAXED))
        call_run(call, worker->db);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct workers *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->first && !pool->stopping)
            pthread_cond_wait(&pool->more, &pool->lock);
        if (!pool->first)
            break;
        struct http_internal *call = take(pool);
        pool->busy++;
        worker->call = call;
        pthread_mutex_unlock(&pool->lock);
        run_call(worker, call);
        pthread_mutex_lock(&pool->lock);
        worker->call = NULL;
        pool->busy--;
        if (!pool->busy && !pool->first)
            pthread_cond_broadcast(&pool->idle);
        pthread_mutex_unlock(&pool->lock);
        /* After its place is free: who has heard the end may call again at once. */
        if (call->flow)
            flow_finish(call->flow, call->flow_whole);
        loop_post(call->loop, &call->mail);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static bool same_caller(const struct http_internal *a, const struct http_internal *b)
{
    return a && a->principal && b->principal &&
           strcmp(principal_id(a->principal), principal_id(b->principal)) == 0;
}

/* With the lock held. */
static bool has_room(const struct workers *pool, const struct http_internal *call)
{
    unsigned idle = pool->count - pool->busy;
    if (pool->stopping || pool->queued >= pool->most + idle)
        return false;
    if (!pool->each)
        return true;
    unsigned same = 0;
    for (const struct http_internal *other = pool->first; other; other = other->next)
        same += same_caller(other, call);
    for (unsigned i = 0; i < pool->count; i++)
        same += same_caller(pool->workers[i].call, call);
    return same < pool->each;
}

bool workers_push(struct workers *pool, struct http_internal *call)
{
    call->mail.deliver = front_deliver;
    call->next = NULL;
    pthread_mutex_lock(&pool->lock);
    bool room = has_room(pool, call);
    if (room) {
        *pool->last = call;
        pool->last = &call->next;
        pool->queued++;
        pthread_cond_signal(&pool->more);
    }
    pthread_mutex_unlock(&pool->lock);
    return room;
}

struct error *workers_start(struct server *server, unsigned count, unsigned waiting, unsigned each,
                            struct workers **ret_workers)
{
    const struct server_settings *settings = &server->settings;
    struct workers *pool = xcalloc(1, sizeof *pool);
    pool->server = server;
    pool->last = &pool->first;
    pool->most = waiting;
    pool->each = each;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->more, NULL);
    pthread_cond_init(&pool->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pool->workers = xcalloc(count, sizeof *pool->workers);
    struct error *error = NULL;
    for (unsigned i = 0; i < count && !error; i++) {
        struct worker *worker = &pool->workers[i];
        worker->pool = pool;
        if (settings->conninfo)
            error = db_connect(settings->conninfo, &worker->db);
        int failed = error ? 0 : pthread_create(&worker->thread, NULL, work, worker);
        if (failed) {
            error = error_new(ERR_IO, "could not start a worker's thread: %s", strerror(failed));
            db_close(worker->db);
        }
        pool->count += !error;
    }
    if (error) {
        workers_stop(pool, 0);
        return error_wrap(error, "could not start the workers");
    }
    *ret_workers = pool;
    return NULL;
}

/* With the lock held: until nothing is queued or runs, or the deadline. */
static void wait_idle(struct workers *pool, int64_t deadline_us)
{
    int64_t until = moment_monotonic() + deadline_us;
    struct timespec at = {.tv_sec = until / MOMENT_SECOND, .tv_nsec = until % MOMENT_SECOND * 1000};
    int status = 0;
    while ((pool->busy || pool->first) && status == 0)
        status = pthread_cond_timedwait(&pool->idle, &pool->lock, &at);
}

void workers_stop(struct workers *pool, int64_t deadline_us)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    wait_idle(pool, deadline_us);
    pool->stopping = true;
    for (struct http_internal *call = pool->first; call; call = call->next)
        if (!call->audit_only)
            __atomic_store_n(&call->abandoned, true, __ATOMIC_RELAXED);
    pthread_cond_broadcast(&pool->more);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->count; i++) {
        pthread_join(pool->workers[i].thread, NULL);
        db_close(pool->workers[i].db);
    }
    pthread_cond_destroy(&pool->more);
    pthread_cond_destroy(&pool->idle);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}
