/* Watchers; see watch.h. A managing thread looks for endpoints without a watcher; each watcher has a database
 * connection of its own, for it only adds a job now and then. */
#include "broker/daemon/watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/log.h"
#include "broker/control/endpoint.h"
#include "broker/control/sync.h"

#define WATCHERS_MAX 64
#define WATCH_CALL_US (30 * MOMENT_SECOND)
#define LOOK_US (5 * MOMENT_SECOND)   /* between looks for new endpoints */
#define SETTLE_US (MOMENT_SECOND / 2) /* changes that come together make one inventory */
#define AFTER_ERROR_US (10 * MOMENT_SECOND)

struct watcher {
    struct watch *watch;
    pthread_t thread;
    char *endpoint;
    atomic_bool gone; /* its endpoint was disabled: the thread has ended, and a new one may start when it is
                         enabled again */
};

struct watch {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_bool stopping;
    char *conninfo;
    struct fleet *fleet;
    pthread_t manager;
    struct watcher watchers[WATCHERS_MAX];
    size_t count;
};

/* Returns false when the watch is stopping. */
static bool rest(struct watch *watch, int64_t us)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until); /* cannot fail with this clock */
    int64_t ns = until.tv_nsec + us % MOMENT_SECOND * 1000;
    until.tv_sec += us / MOMENT_SECOND + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    (void)pthread_mutex_lock(&watch->lock);
    while (!atomic_load(&watch->stopping) && pthread_cond_timedwait(&watch->wake, &watch->lock, &until) == 0)
        ; /* woken without being stopped: wait on */
    (void)pthread_mutex_unlock(&watch->lock);
    return !atomic_load(&watch->stopping);
}

static bool go_on(void *context, int percent, const char *step)
{
    struct watch *watch = context;
    (void)percent;
    (void)step;
    return !atomic_load(&watch->stopping);
}

struct adding {
    const char *endpoint;
    bool added;
    bool failing;
};

static struct error *add_body(struct db *db, void *context)
{
    struct adding *adding = context;
    TRY(endpoint_is_failing(db, adding->endpoint, &adding->failing));
    if (adding->failing)
        return NULL;
    return sync_try_add_job(db, adding->endpoint, &adding->added);
}

/* An inventory that runs already may have been taken before the change: then another one is added once it has
 * ended. While inventories fail the schedule alone brings the next, however much the provider tells of: it
 * waits longer each time, and the one that succeeds sees every change. */
static struct error *ask_for_inventory(struct watcher *watcher, struct db *db)
{
    struct adding adding = {.endpoint = watcher->endpoint};
    while (!adding.added && !adding.failing && rest(watcher->watch, SETTLE_US))
        TRY(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, add_body, &adding));
    if (adding.failing)
        (void)rest(watcher->watch, AFTER_ERROR_US); /* false: the watch is stopping, as the caller sees */
    return NULL;
}

static struct error *watch_once(struct watcher *watcher, struct db *db, struct arena *arena)
{
    struct watch *watch = watcher->watch;
    LENT_GATE_AUTO struct lent_gate *lent = NULL;
    struct driver_change *changes;
    size_t count = 0;
    TRY(fleet_borrow(watch->fleet, db, watcher->endpoint, &lent));
    if (!gate_can(lent_gate(lent), DRIVER_CAN_WATCH))
        return error_new(ERR_UNSUPPORTED, "the driver does not tell of changes");
    struct driver_call call = {.arena = arena,
                               .deadline_us = moment_monotonic() + WATCH_CALL_US,
                               .progress = go_on,
                               .context = watch};
    TRY(gate_watch(lent_gate(lent), &call, &changes, &count));
    return count ? ask_for_inventory(watcher, db) : NULL;
}

static void *watcher_main(void *context)
{
    struct watcher *watcher = context;
    struct arena *arena = arena_new();
    struct db *db = NULL;
    bool useful = true;
    while (useful && !atomic_load(&watcher->watch->stopping)) {
        struct error *error = db ? NULL : db_connect(watcher->watch->conninfo, &db);
        if (!error)
            error = watch_once(watcher, db, arena);
        if (error && error_code(error) == ERR_UNSUPPORTED) {
            useful = false; /* polled alone */
        } else if (error && (error_code(error) == ERR_CONFLICT || error_code(error) == ERR_NOT_FOUND)) {
            useful = false;
            atomic_store(&watcher->gone, true);
        }
        if (useful && error && error_code(error) != ERR_CANCELLED) {
            log_warning("watch.failed", LOG_TEXT("endpoint", watcher->endpoint), LOG_CAUSE(error));
            (void)rest(watcher->watch, AFTER_ERROR_US);
        }
        error_free(error);
        arena_reset(arena);
    }
    db_close(db);
    arena_free(arena);
    return NULL;
}

/* Forgets the watchers of endpoints that were disabled. Watchers point into the table, so a hole is filled by
 * nobody but a new one. */
static void reap(struct watch *watch)
{
    for (size_t i = 0; i < watch->count; i++) {
        struct watcher *watcher = &watch->watchers[i];
        if (!watcher->endpoint || !atomic_load(&watcher->gone))
            continue;
        (void)pthread_join(watcher->thread, NULL);
        free(watcher->endpoint);
        watcher->endpoint = NULL;
    }
}

/* A place that nobody has; NULL when all are taken. */
static struct watcher *find_place(struct watch *watch)
{
    for (size_t i = 0; i < watch->count; i++)
        if (!watch->watchers[i].endpoint)
            return &watch->watchers[i];
    return watch->count < WATCHERS_MAX ? &watch->watchers[watch->count++] : NULL;
}

static bool is_watched(const struct watch *watch, const char *endpoint)
{
    for (size_t i = 0; i < watch->count; i++)
        if (watch->watchers[i].endpoint && !strcmp(watch->watchers[i].endpoint, endpoint))
            return true;
    return false;
}

struct listing {
    struct arena *arena;
    const char **ids;
    size_t count;
};

static struct error *list_body(struct db *db, void *context)
{
    struct listing *listing = context;
    return endpoint_list_enabled(db, listing->arena, &listing->ids, &listing->count);
}

static struct error *look(struct watch *watch, struct db *db, struct arena *arena)
{
    struct listing listing = {.arena = arena};
    reap(watch);
    TRY(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, list_body, &listing));
    for (size_t i = 0; i < listing.count; i++) {
        struct watcher *watcher = is_watched(watch, listing.ids[i]) ? NULL : find_place(watch);
        if (!watcher)
            continue; /* watched already, or polled alone for want of a place */
        watcher->watch = watch;
        watcher->endpoint = xstrdup(listing.ids[i]);
        atomic_store(&watcher->gone, false);
        if (pthread_create(&watcher->thread, NULL, watcher_main, watcher)) {
            free(watcher->endpoint);
            watcher->endpoint = NULL;
            return error_new(ERR_UNAVAILABLE, "could not start a thread");
        }
    }
    return NULL;
}

static void *manager_main(void *context)
{
    struct watch *watch = context;
    struct arena *arena = arena_new();
    struct db *db = NULL;
    do {
        struct error *error = db ? NULL : db_connect(watch->conninfo, &db);
        if (!error)
            error = look(watch, db, arena);
        if (error)
            log_warning("watch.look-failed", LOG_CAUSE(error));
        error_free(error);
        arena_reset(arena);
    } while (rest(watch, LOOK_US));
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->watchers[i].endpoint)
            (void)pthread_join(watch->watchers[i].thread, NULL);
        free(watch->watchers[i].endpoint);
    }
    db_close(db);
    arena_free(arena);
    return NULL;
}

struct error *watch_start(const char *conninfo, struct fleet *fleet, struct watch **ret_watch)
{
    struct watch *watch = xcalloc(1, sizeof *watch);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic); /* none of these can fail on Linux */
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&watch->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&watch->lock, NULL);
    watch->conninfo = xstrdup(conninfo);
    watch->fleet = fleet;
    if (pthread_create(&watch->manager, NULL, manager_main, watch)) {
        free(watch->conninfo);
        free(watch);
        return error_new(ERR_UNAVAILABLE, "could not start the watchers' thread");
    }
    *ret_watch = watch;
    return NULL;
}

void watch_stop(struct watch *watch)
{
    if (!watch)
        return;
    (void)pthread_mutex_lock(&watch->lock);
    atomic_store(&watch->stopping, true);
    (void)pthread_cond_broadcast(&watch->wake);
    (void)pthread_mutex_unlock(&watch->lock);
    (void)pthread_join(watch->manager, NULL);
    (void)pthread_cond_destroy(&watch->wake);
    (void)pthread_mutex_destroy(&watch->lock);
    free(watch->conninfo);
    free(watch);
}
