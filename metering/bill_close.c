/* Closing and rating a month; see bill.h for what they promise. The caller's transaction locks the month,
 * takes what changed since the last closing and exports its snapshot; workers on connections of their own
 * make the bills of their share of the units (bill_make.h) at that snapshot; the caller's transaction writes
 * and seals them. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/auth/auth.h"
#include "broker/base/buf.h"
#include "broker/base/id.h"
#include "metering/bill.h"
#include "metering/bill_make.h"
#include "metering/rating_run.h"
#include "metering/services.h"
#include "metering/setting.h"
#include "metering/usage.h"

#define GROUP_LEAST 8 /* units made in one go: so many to so many */
#define GROUP_MOST 64
#define WORKERS_MAX 64
#define KEEP_ALIVE_S 10
#define WRITE_BILLS 200 /* bills, with all their lines, of one statement */

struct closing {
    struct db *db;
    struct arena *arena; /* of the whole closing: rates, units, digests */
    const struct metering_services *services;
    struct bill_plan plan;
    struct bill_unit *units; /* by their first changed month */
    size_t unit_count;
    struct bill_month total;
    const char **seals; /* "number digest\n" */
    size_t seal_count, seal_capacity;
    struct rating_run run;
    int64_t began; /* monotonic */
};

static const struct db_statement claim_month = {
    "billing_claim",
    "INSERT INTO billing_month (month, state) VALUES ($1, 'closing') ON CONFLICT DO NOTHING"};
static const struct db_statement lock_month = {"billing_lock",
                                               "SELECT state FROM billing_month WHERE month = $1 FOR UPDATE"};
static const struct db_statement last_closed = {
    "billing_last", "SELECT max(month COLLATE \"C\") FROM billing_month WHERE state = 'closed'"};
static const struct db_statement first_usage = {"billing_first_usage",
                                                "SELECT min(start_at) FROM usage_interval"};
/* The units with usage in the month: from one to the next by the index, however many intervals each has. */
#define UNITS_USED                                                                                        \
    " step (unit_id) AS ((SELECT unit_id FROM usage_interval WHERE end_at > $1 ORDER BY unit_id LIMIT 1)" \
    " UNION ALL SELECT (SELECT i.unit_id FROM usage_interval i WHERE i.unit_id > s.unit_id"               \
    " AND i.end_at > $1 ORDER BY i.unit_id LIMIT 1) FROM step s WHERE s.unit_id IS NOT NULL), used AS"    \
    " (SELECT unit_id FROM step s WHERE (SELECT true FROM usage_interval i WHERE i.unit_id = s.unit_id"   \
    " AND i.end_at > $1 AND i.start_at < $2 LIMIT 1))"
/* They, and those with changes, each with its earliest. What changed is taken away by a closing and read
 * before usage is: what comes in between is kept for the next closing, and rated by both. */
static const struct db_statement units_of_closing = {
    "billing_units_take",
    "WITH RECURSIVE gone AS (DELETE FROM usage_change RETURNING unit_id, from_at),"
    " changed AS (SELECT unit_id, min(from_at) AS from_at FROM gone GROUP BY unit_id)," UNITS_USED
    " SELECT u.unit_id, c.from_at FROM (SELECT unit_id FROM used"
    " UNION SELECT unit_id FROM changed) u LEFT JOIN changed c USING (unit_id)"
    " ORDER BY least(c.from_at, $1), u.unit_id"};
static const struct db_statement units_of_rating = {
    "billing_units_look",
    "WITH RECURSIVE"
    " changed AS (SELECT unit_id, min(from_at) AS from_at FROM usage_change GROUP BY unit_id)," UNITS_USED
    " SELECT u.unit_id, c.from_at FROM (SELECT unit_id FROM used"
    " UNION SELECT unit_id FROM changed) u LEFT JOIN changed c USING (unit_id)"
    " ORDER BY least(c.from_at, $1), u.unit_id"};
static const struct db_statement seal_month = {
    "billing_seal",
    "UPDATE billing_month SET state = 'closed', closed_at = $2, bills = $3, lines = $4, total_fen = $5,"
    " digest = $6, kid = $7, signature = $8, run_id = $9 WHERE month = $1 AND state = 'closing'"};

static struct error *load_units(struct closing *closing, bool take)
{
    struct db_rows *rows;
    struct month month = closing->plan.month;
    TRY(db_query(closing->db, take ? &units_of_closing : &units_of_rating,
                 DB_VALUES(db_moment(month_start(month)), db_moment(month_end(month))), &rows));
    (void)db_hold(closing->arena, rows);
    closing->unit_count = db_count(rows);
    closing->units = arena_array(closing->arena, closing->unit_count, sizeof *closing->units);
    for (size_t i = 0; i < closing->unit_count; i++) {
        struct bill_unit *unit = &closing->units[i];
        *unit = (struct bill_unit){db_get_text(rows, i, 0), month};
        if (!db_is_null(rows, i, 1) && db_get_moment(rows, i, 1) < month_start(month))
            unit->first = month_of(db_get_moment(rows, i, 1));
    }
    return NULL;
}

/* Prices and prorations of every month that is rated, and their digest. */
static struct error *load_rates(struct closing *closing)
{
    BUF_AUTO struct buf text = BUF_INIT((size_t)64 << 20);
    struct month first = closing->unit_count ? closing->units[0].first : closing->plan.month;
    size_t count = 0;
    for (struct month m = first; month_compare(m, closing->plan.month) <= 0; m = month_next(m))
        count++;
    struct month_rates *rates = arena_array(closing->arena, count, sizeof *rates);
    for (size_t i = 0; i < count; i++, first = month_next(first)) {
        struct rate_provider *providers;
        TRY(bill_rates(closing->db, closing->arena, first, &providers, &rates[i].count));
        rates[i].month = first;
        rates[i].providers = providers;
        bill_rates_text(&text, first, providers, rates[i].count);
    }
    if (buf_overflowed(&text))
        return error_new(ERR_TOO_LARGE, "too many prices");
    digest_sm3(buf_text(&text), text.length, closing->run.prices_digest);
    closing->plan.rates = rates;
    closing->plan.rate_count = count;
    return NULL;
}

/* --------------------------------------------------------------------------------------------------------
 * the workers */

/* What one worker made in one go, handed to the caller's thread, which writes it while others are made. */
struct batch {
    struct batch *next;
    struct arena *arena; /* of all this */
    struct bill_made *made;
    size_t count;
    struct bill_inputs inputs;
};

struct crew {
    struct closing *closing;
    const char *conninfo;
    char snapshot[DB_SNAPSHOT_ID];
    size_t group; /* units made in one go */
    bool write;
    atomic_size_t next; /* unit */
    atomic_bool failed;
    pthread_mutex_t lock;   /* of what follows */
    pthread_cond_t changed; /* something was handed over, or a worker ended */
    pthread_cond_t room;    /* something was taken */
    struct batch *first, **last;
    size_t waiting, most; /* batches */
    size_t at_work;       /* workers */
};

struct worker {
    struct crew *crew;
    struct db *db;
    struct error *error;
    pthread_t thread;
};

/* The next units with the same first month; none: the work is done. */
static size_t next_group(struct crew *crew, const struct bill_unit **ret_units)
{
    const struct closing *closing = crew->closing;
    size_t from = atomic_load(&crew->next), count;
    do {
        for (count = 0; from + count < closing->unit_count && count < crew->group &&
                        !month_compare(closing->units[from + count].first, closing->units[from].first);)
            count++;
    } while (count && !atomic_compare_exchange_weak(&crew->next, &from, from + count));
    *ret_units = closing->units + from;
    return count;
}

static struct error *take_batch(struct closing *closing, const struct batch *batch, bool write);

/* Waits for a condition of the crew's; the caller holds the lock. Whether nothing came for long. */
static bool await(struct crew *crew, pthread_cond_t *condition)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until); /* cannot fail with this clock, which is the condition's */
    until.tv_sec += KEEP_ALIVE_S;
    return pthread_cond_timedwait(condition, &crew->lock, &until) == ETIMEDOUT;
}

/* The server ends a transaction that stands idle (idle_in_transaction_session_timeout, 60 s): who waits for
 * the others tells it that somebody is there. */
static struct error *keep_alive(struct db *db)
{
    static const struct db_statement ask = {"billing_keep_alive", "SELECT 1"};
    return db_run(db, &ask, DB_NO_VALUES, NULL);
}

/* Puts a batch into the queue if there is room; the caller holds the lock. */
static bool put_batch(struct crew *crew, struct batch *batch)
{
    if (crew->waiting >= crew->most)
        return false;
    *crew->last = batch;
    crew->last = &batch->next;
    crew->waiting++;
    (void)pthread_cond_signal(&crew->changed);
    return true;
}

/* Waits for its turn: who writes sets the pace, so that what waits to be written stays little. take_all
 * empties the queue, come what may. Takes the batch over. */
static struct error *hand_over(struct crew *crew, struct db *db, struct batch *batch)
{
    struct error *error = NULL;
    bool put = false, quiet = false;
    while (!put && !error) {
        (void)pthread_mutex_lock(&crew->lock);
        while (!(put = put_batch(crew, batch)) && !quiet)
            quiet = await(crew, &crew->room);
        (void)pthread_mutex_unlock(&crew->lock);
        if (!put)
            error = keep_alive(db);
        quiet = false;
    }
    if (error)
        arena_free(batch->arena);
    return error;
}

static struct error *make_batch(struct crew *crew, struct db *db, const struct bill_unit *units, size_t count,
                                struct batch **ret_batch)
{
    struct arena *arena = arena_new();
    struct batch *batch = arena_alloc(arena, sizeof *batch);
    struct error *error =
        bill_make(db, &crew->closing->plan, units, count, arena, &batch->made, &batch->count, &batch->inputs);
    if (error) {
        arena_free(arena);
        return error;
    }
    batch->arena = arena;
    *ret_batch = batch;
    return NULL;
}

static struct error *work_body(struct db *db, void *context)
{
    struct worker *worker = context;
    struct crew *crew = worker->crew;
    const struct bill_unit *units;
    for (size_t count; !atomic_load(&crew->failed) && (count = next_group(crew, &units));) {
        struct batch *batch;
        TRY(make_batch(crew, db, units, count, &batch));
        if (db != crew->closing->db) {
            TRY(hand_over(crew, db, batch));
            continue;
        }
        struct error *error = take_batch(crew->closing, batch, crew->write); /* there is one thread alone */
        arena_free(batch->arena);
        TRY(error);
    }
    return NULL;
}

static void *worker_main(void *context)
{
    struct worker *worker = context;
    struct crew *crew = worker->crew;
    worker->error = db_connect(crew->conninfo, &worker->db);
    if (!worker->error)
        worker->error = db_transaction_at(worker->db, &db_scope_system, crew->snapshot, work_body, worker);
    if (worker->error)
        atomic_store(&crew->failed, true);
    db_close(worker->db);
    worker->db = NULL;
    (void)pthread_mutex_lock(&crew->lock);
    crew->at_work--;
    (void)pthread_cond_signal(&crew->changed);
    (void)pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* The next batch; NULL: nothing came for long, or nothing will come. */
static struct batch *await_batch(struct crew *crew, bool *ret_over)
{
    bool quiet = false;
    (void)pthread_mutex_lock(&crew->lock);
    while (!crew->first && crew->at_work && !quiet)
        quiet = await(crew, &crew->changed);
    struct batch *batch = crew->first;
    *ret_over = !batch && !crew->at_work;
    if (batch) {
        crew->first = batch->next;
        if (!crew->first)
            crew->last = &crew->first;
        crew->waiting--;
        (void)pthread_cond_signal(&crew->room);
    }
    (void)pthread_mutex_unlock(&crew->lock);
    return batch;
}

/* Takes what the workers hand over until all have ended. */
static struct error *take_all(struct crew *crew)
{
    struct error *error = NULL;
    for (bool over = false; !over;) {
        struct batch *batch = await_batch(crew, &over);
        if (!batch && !over && !error)
            error = keep_alive(crew->closing->db);
        if (batch && !error && !atomic_load(&crew->failed))
            error = take_batch(crew->closing, batch, crew->write);
        if (error)
            atomic_store(&crew->failed, true);
        if (batch)
            arena_free(batch->arena);
    }
    return error;
}

/* Starts what it can and waits for all; with none, the caller's connection does the work. */
static struct error *work_together(struct crew *crew, struct worker *workers, size_t count)
{
    size_t started = 0;
    if (count > 1)
        TRY(db_snapshot_export(crew->closing->db, crew->snapshot));
    crew->at_work = count > 1 ? count : 0;
    while (count > 1 && started < count &&
           !pthread_create(&workers[started].thread, NULL, worker_main, &workers[started]))
        started++;
    if (!started)
        return work_body(crew->closing->db, &workers[0]);
    (void)pthread_mutex_lock(&crew->lock);
    crew->at_work -= count - started; /* those that could not be started */
    (void)pthread_mutex_unlock(&crew->lock);
    struct error *error = take_all(crew);
    for (size_t i = 0; i < started; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        if (error)
            error_free(workers[i].error);
        else
            error = workers[i].error;
    }
    return error;
}

/* -------------------------------------------------------------------------------------------------------
 * writing it down */

static void add_seal(struct closing *closing, const struct bill *bill)
{
    if (closing->seal_count == closing->seal_capacity) {
        size_t capacity = closing->seal_capacity ? closing->seal_capacity * 2 : 256;
        const char **seals = arena_array(closing->arena, capacity, sizeof *seals);
        if (closing->seal_count)
            memcpy(seals, closing->seals, closing->seal_count * sizeof *seals);
        closing->seals = seals;
        closing->seal_capacity = capacity;
    }
    closing->seals[closing->seal_count++] =
        arena_printf(closing->arena, "%s %s\n", bill->number, bill->digest);
}

/* Counts a batch and, when the month closes, writes it. */
static struct error *take_batch(struct closing *closing, const struct batch *batch, bool write)
{
    struct bill_month *total = &closing->total;
    for (size_t i = 0; i < batch->count; i++) {
        const struct bill *bill = &batch->made[i].bill;
        add_seal(closing, bill);
        total->lines += bill->line_count;
        TRY(money_add(total->total_fen, bill->total_fen, &total->total_fen));
    }
    total->bills += (int64_t)batch->count;
    closing->run.intervals += batch->inputs.intervals;
    if (__builtin_add_overflow(closing->run.usage, batch->inputs.usage, &closing->run.usage))
        return error_new(ERR_TOO_LARGE, "usage beyond 128 bits");
    for (size_t i = 0; i < batch->count && write; i += WRITE_BILLS) {
        size_t count = batch->count - i < WRITE_BILLS ? batch->count - i : WRITE_BILLS;
        TRY_DOING(bill_add_all(closing->db, batch->made + i, count), "could not write the bills from %s on",
                  batch->made[i].bill.number);
    }
    return NULL;
}

static int compare_text(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static struct error *digest_month(struct closing *closing)
{
    BUF_AUTO struct buf buf = BUF_INIT((size_t)512 << 20);
    if (closing->seal_count)
        qsort(closing->seals, closing->seal_count, sizeof *closing->seals, compare_text);
    for (size_t i = 0; i < closing->seal_count; i++)
        buf_puts(&buf, closing->seals[i]);
    if (buf_overflowed(&buf))
        return error_new(ERR_TOO_LARGE, "too many bills in %s", closing->plan.text);
    digest_sm3(buf_text(&buf), buf.length, closing->total.digest);
    return NULL;
}

static struct error *record_run(struct closing *closing, const char *purpose, size_t workers)
{
    struct rating_run *run = &closing->run;
    run->id = id_new_in(closing->arena);
    run->month = closing->plan.text;
    run->purpose = purpose;
    run->program = YUNQIAO_VERSION;
    run->workers = (int64_t)workers;
    run->started_at = closing->plan.now;
    run->took_us = moment_monotonic() - closing->began;
    run->units = (int64_t)closing->unit_count;
    run->bills = closing->total.bills;
    run->lines = closing->total.lines;
    run->total_fen = closing->total.total_fen;
    memcpy(run->digest, closing->total.digest, DIGEST_HEX);
    return rating_run_add(closing->db, run);
}

static struct error *seal(struct closing *closing)
{
    const struct bill_month *total = &closing->total;
    const char *kid = NULL, *signature = NULL;
    int64_t changed;
    const char *text = bill_signed_text(closing->arena, "month", closing->plan.text, total->digest);
    if (closing->plan.auth)
        TRY(auth_sign(closing->plan.auth, closing->plan.now, text, strlen(text), closing->arena, &kid,
                      &signature));
    TRY(db_run(closing->db, &seal_month,
               DB_VALUES(db_text(closing->plan.text), db_moment(closing->plan.now), db_int(total->bills),
                         db_int(total->lines), db_int(total->total_fen), db_text(total->digest), db_text(kid),
                         db_text(signature), db_text(closing->run.id)),
               &changed));
    return changed == 1 ? NULL : error_new(ERR_CONFLICT, "%s was closed meanwhile", closing->plan.text);
}

/* Makes all bills; writes them when the month closes. */
static struct error *make_all(struct closing *closing, bool close)
{
    size_t count = closing->services ? closing->services->rate_workers : 1;
    struct crew crew = {.closing = closing,
                        .conninfo = db_conninfo(closing->db),
                        .write = close,
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .changed = PTHREAD_COND_INITIALIZER,
                        .room = PTHREAD_COND_INITIALIZER};
    if (count > closing->unit_count / GROUP_LEAST)
        count = closing->unit_count / GROUP_LEAST;
    count = count < 1 ? 1 : count > WORKERS_MAX ? WORKERS_MAX : count;
    crew.group = closing->unit_count / (4 * count); /* so that nobody waits long for the last one */
    crew.group = crew.group < GROUP_LEAST ? GROUP_LEAST : crew.group > GROUP_MOST ? GROUP_MOST : crew.group;
    crew.last = &crew.first;
    crew.most = count;
    struct worker *workers = arena_array(closing->arena, count, sizeof *workers);
    for (size_t i = 0; i < count; i++)
        workers[i].crew = &crew;
    TRY(work_together(&crew, workers, count));
    TRY(digest_month(closing));
    return record_run(closing, close ? "close" : "rate", count);
}

static struct error *check_over(struct closing *closing)
{
    int64_t grace;
    TRY(setting_close_grace(closing->db, &grace));
    if (closing->plan.now < month_end(closing->plan.month) + grace)
        return error_new(ERR_CONFLICT, "%s and its grace of %lld seconds are not over", closing->plan.text,
                         (long long)(grace / MOMENT_SECOND));
    return NULL;
}

struct error *bill_month_next(struct db *db, bool *ret_found, struct month *ret_month)
{
    DB_ROWS_AUTO struct db_rows *last = NULL, *first = NULL;
    TRY(db_query(db, &last_closed, DB_NO_VALUES, &last));
    if (!db_is_null(last, 0, 0)) {
        struct month month;
        TRY(month_parse(db_get_text(last, 0, 0), &month));
        *ret_month = month_next(month);
        *ret_found = true;
        return NULL;
    }
    TRY(db_query(db, &first_usage, DB_NO_VALUES, &first));
    *ret_found = !db_is_null(first, 0, 0);
    if (*ret_found)
        *ret_month = month_of(db_get_moment(first, 0, 0));
    return NULL;
}

/* Months close in order; before the first closed one, any month up to the first that has usage may begin. */
static struct error *check_order(struct closing *closing)
{
    bool found, any_closed;
    struct month next;
    DB_ROWS_AUTO struct db_rows *last = NULL;
    TRY(db_query(closing->db, &last_closed, DB_NO_VALUES, &last));
    any_closed = !db_is_null(last, 0, 0);
    TRY(bill_month_next(closing->db, &found, &next));
    int order = found ? month_compare(closing->plan.month, next) : 0;
    if (order > 0 || (order < 0 && any_closed)) {
        char text[8];
        month_format(next, text);
        return error_new(ERR_CONFLICT, "%s is the next month to close", text);
    }
    return NULL;
}

static struct closing begin(struct db *db, struct arena *arena, const struct metering_services *services,
                            struct month month, moment now)
{
    struct closing closing = {.db = db,
                              .arena = arena,
                              .services = services,
                              .plan = {.month = month, .now = now, .auth = services ? services->auth : NULL},
                              .began = moment_monotonic()};
    month_format(month, closing.plan.text);
    return closing;
}

static struct error *close_all(struct closing *closing)
{
    TRY(check_over(closing));
    TRY(check_order(closing));
    TRY(load_units(closing, true));
    TRY(load_rates(closing));
    TRY_DOING(make_all(closing, true), "could not close %s", closing->plan.text);
    return seal(closing);
}

struct error *bill_close_month(struct db *db, struct arena *arena, const struct metering_services *services,
                               struct month month, moment now, struct bill_month *ret_month)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    struct closing closing = begin(db, arena, services, month, now);
    TRY(db_run(db, &claim_month, DB_VALUES(db_text(closing.plan.text)), NULL));
    TRY(db_query_one(db, &lock_month, DB_VALUES(db_text(closing.plan.text)), "month", &rows));
    if (strcmp(db_get_text(rows, 0, 0), "closed") != 0)
        TRY(close_all(&closing));
    return bill_month_get(db, arena, month, ret_month);
}

struct error *bill_rate_month(struct db *db, struct arena *arena, const struct metering_services *services,
                              struct month month, moment now, struct rating_run *ret_run)
{
    struct bill_month state;
    struct closing closing = begin(db, arena, services, month, now);
    closing.plan.auth = NULL; /* nothing is kept that would need a signature */
    TRY(bill_month_get(db, arena, month, &state));
    if (state.closed)
        return error_new(ERR_CONFLICT, "%s is closed: its bills are what it comes to", closing.plan.text);
    if (now < month_end(month))
        return error_new(ERR_CONFLICT, "%s is not over", closing.plan.text);
    TRY(check_order(&closing));
    TRY(load_units(&closing, false));
    TRY(load_rates(&closing));
    TRY_DOING(make_all(&closing, false), "could not rate %s", closing.plan.text);
    *ret_run = closing.run;
    return NULL;
}
