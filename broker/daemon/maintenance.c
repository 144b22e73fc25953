/* What the broker does by itself; see maintenance.h. */
#include "broker/daemon/maintenance.h"

#include <pthread.h>
#include <stdlib.h>

#include "broker/auth/audit.h"
#include "broker/base/log.h"
#include "broker/control/endpoint.h"
#include "broker/control/expansion.h"
#include "broker/control/remeter.h"
#include "broker/control/sync.h"
#include "metering/archive.h"
#include "metering/bill.h"
#include "metering/budget.h"
#include "metering/partition.h"
#include "metering/report.h"
#include "metering/services.h"
#include "metering/setting.h"

#define ROUND_US MOMENT_SECOND
#define SEAL_MOST 1000 /* audit rows a round and transaction */
#define PURGE_EVERY MOMENT_HOUR
#define ARCHIVE_EVERY MOMENT_MINUTE
#define CLOSE_EVERY (10 * MOMENT_SECOND)
#define BUDGETS_EVERY (5 * MOMENT_MINUTE)

struct maintenance {
    struct maintenance_settings *settings;
    struct db *db;
    struct arena *arena;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_bool stopping; /* set with the lock held; long tasks look between their parts */
    int64_t purged_at, closed_at, archived_at, budgets_at; /* monotonic; 0: not yet */
    struct month partitioned; /* the month whose partitions, and those ahead, are there; year 0: none yet */
};

static struct error *refresh(struct maintenance *m, moment now)
{
    return auth_refresh(m->settings->auth, m->db, now);
}

static struct error *seal(struct maintenance *m, moment now)
{
    size_t sealed;
    (void)now;
    do
        TRY(audit_seal(m->db, SEAL_MOST, &sealed));
    while (sealed == SEAL_MOST && !m->stopping);
    return NULL;
}

struct due {
    struct maintenance *maintenance;
    moment now;
};

static struct error *sync_body(struct db *db, void *context)
{
    struct due *due = context;
    const char **ids;
    size_t count;
    struct maintenance *m = due->maintenance;
    int64_t interval = atomic_load(&m->settings->sync_interval);
    TRY(endpoint_list_due(db, m->arena, due->now, interval, &ids, &count));
    for (size_t i = 0; i < count; i++)
        TRY(sync_add_job(db, ids[i]));
    return NULL;
}

static struct error *sync_due(struct maintenance *m, moment now)
{
    struct due due = {m, now};
    return db_transaction(m->db, &db_scope_system, DB_READ_COMMITTED, sync_body, &due);
}

struct remeter_round {
    struct maintenance *maintenance;
    moment now;
    bool more;
};

static struct error *remeter_body(struct db *db, void *context)
{
    struct remeter_round *round = context;
    return remeter_page(db, round->maintenance->arena, round->now, &round->more);
}

/* Agreements whose settings came into force: at a month's start, and after a broker slept through one. */
static struct error *remeter_due(struct maintenance *m, moment now)
{
    struct remeter_round round = {m, now, true};
    while (round.more && !m->stopping)
        TRY(db_transaction(m->db, &db_scope_system, DB_READ_COMMITTED, remeter_body, &round));
    return NULL;
}

static struct error *expansion_body(struct db *db, void *context)
{
    struct remeter_round *round = context;
    return expansion_page(db, round->maintenance->arena, round->now, &round->more);
}

/* Free expansions whose days are over or will be soon: before months close, which rate them. */
static struct error *expansion_due(struct maintenance *m, moment now)
{
    struct remeter_round round = {m, now, true};
    while (round.more)
        TRY(db_transaction(m->db, &db_scope_system, DB_READ_COMMITTED, expansion_body, &round));
    return NULL;
}

struct report_round {
    struct maintenance *maintenance;
    moment now;
    bool more;
};

static struct error *report_body(struct db *db, void *context)
{
    struct report_round *round = context;
    return report_take_due(db, round->maintenance->arena, round->now, &round->more);
}

/* Reported usage that was ahead of the clock and no longer is; before a month is closed. */
static struct error *take_reports(struct maintenance *m, moment now)
{
    struct report_round round = {m, now, true};
    while (round.more) {
        TRY(db_transaction(m->db, &db_scope_system, DB_READ_COMMITTED, report_body, &round));
        arena_reset(m->arena);
    }
    return NULL;
}

struct closing_round {
    struct maintenance *maintenance;
    moment now;
    bool closed;
};

static struct error *close_body(struct db *db, void *context)
{
    struct closing_round *round = context;
    struct arena *arena = round->maintenance->arena;
    struct month month;
    struct bill_month closed;
    bool found;
    int64_t grace;
    round->closed = false;
    TRY(setting_close_grace(db, &grace));
    TRY(bill_month_next(db, &found, &month));
    if (!found || month_end(month) + grace > round->now)
        return NULL;
    TRY(bill_close_month(db, arena, round->maintenance->settings->metering, month, round->now, &closed));
    round->closed = true;
    round->maintenance->budgets_at = 0; /* they are looked at next */
    log_info("month.closed", LOG_TEXT("month", closed.month), LOG_INT("bills", closed.bills),
             LOG_INT("lines", closed.lines), LOG_INT("total_fen", closed.total_fen));
    return NULL;
}

/* All months that are over, oldest first, so that a broker that slept through one closes it too. */
static struct error *close_over(struct maintenance *m, moment now)
{
    struct closing_round round = {m, now, true};
    if (!atomic_load(&m->settings->close_months) ||
        (m->closed_at && moment_monotonic() - m->closed_at < CLOSE_EVERY))
        return NULL;
    m->closed_at = moment_monotonic();
    while (round.closed && !m->stopping)
        TRY(db_transaction(m->db, &db_scope_system, DB_SERIALIZABLE, close_body, &round));
    return NULL;
}

struct budgets_round {
    struct maintenance *maintenance;
    moment now;
    const char *unit, *id; /* the last one looked at */
    bool more;
};

static struct error *budgets_body(struct db *db, void *context)
{
    struct budgets_round *round = context;
    return budget_check_page(db, round->maintenance->arena, round->now, &round->unit, &round->id,
                             &round->more);
}

static struct error *check_budgets(struct maintenance *m, moment now)
{
    struct budgets_round round = {.maintenance = m, .now = now, .more = true};
    if (m->budgets_at && moment_monotonic() - m->budgets_at < BUDGETS_EVERY)
        return NULL;
    while (round.more && !m->stopping)
        TRY(db_transaction(m->db, &db_scope_system, DB_READ_COMMITTED, budgets_body, &round));
    m->budgets_at = moment_monotonic();
    return NULL;
}

/* Once a month, and when a simulated clock moved to another. */
static struct error *partition(struct maintenance *m, moment now)
{
    struct month month = month_of(now);
    if (!month_compare(month, m->partitioned))
        return NULL;
    TRY(partition_ahead(m->db, month));
    m->partitioned = month;
    return NULL;
}

static struct error *archive_body(struct db *db, void *context)
{
    (void)context;
    return archive_add_due(db);
}

/* The oldest month that is older than its retention, one at a time: a job does it. */
static struct error *archive_old(struct maintenance *m, moment now)
{
    (void)now; /* months are counted, not days */
    if (!m->settings->metering->archive_dir ||
        (m->archived_at && moment_monotonic() - m->archived_at < ARCHIVE_EVERY))
        return NULL;
    TRY(db_transaction(m->db, &db_scope_system, DB_READ_COMMITTED, archive_body, NULL));
    m->archived_at = moment_monotonic();
    return NULL;
}

static struct error *purge_body(struct db *db, void *context)
{
    const moment *now = context;
    int64_t purged;
    return auth_purge_tokens(db, *now, &purged);
}

static struct error *purge(struct maintenance *m, moment now)
{
    if (m->purged_at && moment_monotonic() - m->purged_at < PURGE_EVERY)
        return NULL;
    TRY(db_transaction(m->db, &db_scope_system, DB_READ_COMMITTED, purge_body, &now));
    m->purged_at = moment_monotonic();
    return NULL;
}

static void run_round(struct maintenance *m)
{
    static const struct {
        const char *name;
        struct error *(*run)(struct maintenance *m, moment now);
    } tasks[] = {{"refresh", refresh},      {"partition", partition}, {"seal", seal},
                 {"sync", sync_due},        {"remeter", remeter_due}, {"expansion", expansion_due},
                 {"reports", take_reports}, {"close", close_over},    {"budgets", check_budgets},
                 {"archive", archive_old},  {"purge", purge}};
    moment now = clock_now(m->settings->clock);
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks && !m->stopping; i++) {
        struct error *error = m->db ? NULL : db_connect(m->settings->conninfo, &m->db);
        if (!error)
            error = tasks[i].run(m, now);
        if (error) /* each round tries again */
            log_warning("maintenance.failed", LOG_TEXT("task", tasks[i].name), LOG_CAUSE(error));
        error_free(error);
        arena_reset(m->arena);
    }
}

/* Waits for the next round; false when asked to stop. */
static bool rest(struct maintenance *m)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until); /* cannot fail with this clock */
    until.tv_sec += ROUND_US / MOMENT_SECOND;
    (void)pthread_mutex_lock(&m->lock);
    while (!m->stopping && pthread_cond_timedwait(&m->wake, &m->lock, &until) == 0)
        ; /* woken without being stopped: wait on */
    bool stopping = m->stopping;
    (void)pthread_mutex_unlock(&m->lock);
    return !stopping;
}

static void *maintenance_main(void *context)
{
    struct maintenance *m = context;
    do
        run_round(m);
    while (rest(m));
    return NULL;
}

struct error *maintenance_start(struct maintenance_settings *settings, struct maintenance **ret_maintenance)
{
    struct maintenance *m = xcalloc(1, sizeof *m);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic); /* none of these can fail on Linux */
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&m->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&m->lock, NULL);
    m->settings = settings;
    m->arena = arena_new();
    if (pthread_create(&m->thread, NULL, maintenance_main, m)) {
        arena_free(m->arena);
        free(m);
        return error_new(ERR_UNAVAILABLE, "could not start the maintenance thread");
    }
    *ret_maintenance = m;
    return NULL;
}

void maintenance_stop(struct maintenance *m)
{
    if (!m)
        return;
    (void)pthread_mutex_lock(&m->lock);
    m->stopping = true;
    (void)pthread_cond_broadcast(&m->wake);
    (void)pthread_mutex_unlock(&m->lock);
    (void)pthread_join(m->thread, NULL);
    (void)pthread_cond_destroy(&m->wake);
    (void)pthread_mutex_destroy(&m->lock);
    db_close(m->db);
    arena_free(m->arena);
    free(m);
}
