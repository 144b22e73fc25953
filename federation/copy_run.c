/* See copy_run.h. The caller's thread watches: it calls progress, keeps checkpoints, and waits for the lanes.
 */
#include "federation/copy_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "federation/copy_lane.h"

#define PROGRESS_US INT64_C(1000000)
#define RATE_SAMPLES 8

/* Bytes settled a second over the last seconds. */
struct pace {
    int64_t at[RATE_SAMPLES];
    uint64_t done[RATE_SAMPLES];
    size_t count;
};

struct watch {
    struct copy_run *run;
    int64_t told, checked;
    struct pace pace;
};

struct error *copy_run_init(struct copy_run *run, const struct copy_tuning *tuning)
{
    struct copy_tuning *own = &run->tuning;
    memset(run, 0, sizeof *run);
    *own = *tuning;
    own->connections = own->connections ? own->connections : 2;
    own->request_size = own->request_size ? own->request_size : UINT32_C(256) << 10;
    own->memory_max = own->memory_max ? own->memory_max : UINT64_C(32) << 20;
    own->stall_us = own->stall_us ? own->stall_us : 60 * MOMENT_SECOND;
    own->checkpoint_us = own->checkpoint_us ? own->checkpoint_us : 5 * MOMENT_SECOND;
    own->checkpoint_bytes = own->checkpoint_bytes ? own->checkpoint_bytes : UINT64_C(1) << 30;
    if (own->connections > COPY_CONNECTIONS_MAX)
        return error_new(ERR_INVALID, "%u connections are more than %u", own->connections,
                         COPY_CONNECTIONS_MAX);
    if (own->request_size < COPY_BLOCK_MIN || own->request_size > COPY_BLOCK_MAX ||
        own->request_size % COPY_BLOCK_MIN)
        return error_new(ERR_INVALID, "requests of %u bytes are no multiple of %u up to %u",
                         own->request_size, COPY_BLOCK_MIN, COPY_BLOCK_MAX);
    if (own->stall_us < 0 || own->checkpoint_us < 0)
        return error_new(ERR_INVALID, "a time is negative");
    pthread_mutex_init(&run->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&run->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    run->started = moment_monotonic();
    return NULL;
}

void copy_run_done(struct copy_run *run)
{
    if (!run->started)
        return;
    copy_flow_leave(run->read_flow);
    copy_flow_leave(run->write_flow);
    copy_extents_done(&run->extents);
    copy_plan_done(&run->plan);
    copy_manifest_free(run->manifest);
    copy_journal_close(run->journal);
    free(run->fresh);
    free(run->mismatches);
    error_free(run->error);
    pthread_cond_destroy(&run->wake);
    pthread_mutex_destroy(&run->mutex);
}

bool copy_run_claim(struct copy_run *run, struct copy_job *ret_job)
{
    pthread_mutex_lock(&run->mutex);
    bool found = copy_plan_next(&run->plan, ret_job);
    pthread_mutex_unlock(&run->mutex);
    return found;
}

static void note_fresh(struct copy_run *run, const struct copy_job *job, uint64_t length)
{
    struct copy_span *last = run->fresh_count ? &run->fresh[run->fresh_count - 1] : NULL;
    run->fresh_bytes += length;
    if (last && last->first + last->count == job->first) {
        last->count += job->count;
        return;
    }
    if (run->fresh_count == run->fresh_capacity) {
        run->fresh_capacity = run->fresh_capacity ? run->fresh_capacity * 2 : 64;
        run->fresh = xrealloc(run->fresh, run->fresh_capacity, sizeof *run->fresh);
    }
    run->fresh[run->fresh_count++] = (struct copy_span){job->first, job->count};
}

void copy_run_settle(struct copy_run *run, const struct copy_job *job, const uint8_t *digest, uint64_t read,
                     uint64_t written, uint64_t zeroed)
{
    uint64_t length = copy_job_length(&run->plan, job);
    pthread_mutex_lock(&run->mutex);
    if (run->manifest)
        for (uint64_t i = 0; i < job->count; i++)
            copy_manifest_set(run->manifest, job->first + i, digest);
    if (run->journal)
        note_fresh(run, job, length);
    run->counts.done += length;
    run->counts.read += read;
    run->counts.written += written;
    run->counts.zeroed += zeroed;
    pthread_mutex_unlock(&run->mutex);
}

void copy_run_mismatch(struct copy_run *run, uint64_t offset)
{
    pthread_mutex_lock(&run->mutex);
    run->mismatch_total++;
    if (run->mismatch_count < run->mismatch_max)
        run->mismatches[run->mismatch_count++] = offset;
    pthread_mutex_unlock(&run->mutex);
}

/* The lane ends; the first error is the one that counts. */
void copy_run_fail(struct copy_run *run, struct error *error)
{
    pthread_mutex_lock(&run->mutex);
    if (error && !run->error) {
        run->error = error;
        error = NULL;
    }
    if (run->error)
        atomic_store(&run->stop, true);
    run->running--;
    pthread_cond_broadcast(&run->wake);
    pthread_mutex_unlock(&run->mutex);
    error_free(error); /* that of a lane that fell with the first */
}

bool copy_run_flush_wanted(struct copy_run *run)
{
    pthread_mutex_lock(&run->mutex);
    bool wanted = run->flush == FLUSH_WANTED;
    if (wanted)
        run->flush = FLUSH_SENT;
    pthread_mutex_unlock(&run->mutex);
    return wanted;
}

void copy_run_flushed(struct copy_run *run)
{
    pthread_mutex_lock(&run->mutex);
    run->flush = FLUSH_DONE;
    pthread_cond_broadcast(&run->wake);
    pthread_mutex_unlock(&run->mutex);
}

static uint64_t pace_of(struct pace *pace, int64_t now, uint64_t done)
{
    if (pace->count == RATE_SAMPLES) {
        memmove(pace->at, pace->at + 1, sizeof pace->at - sizeof *pace->at);
        memmove(pace->done, pace->done + 1, sizeof pace->done - sizeof *pace->done);
        pace->count--;
    }
    pace->at[pace->count] = now;
    pace->done[pace->count++] = done;
    int64_t time = now - pace->at[0];
    return time > 0 ? (uint64_t)((double)(done - pace->done[0]) * 1e6 / (double)time) : 0;
}

/* Calls progress when a second has gone by. */
static struct error *tell(struct copy_run *run, struct pace *pace, int64_t *told)
{
    int64_t now = moment_monotonic();
    if (now - *told < PROGRESS_US)
        return NULL;
    *told = now;
    pthread_mutex_lock(&run->mutex);
    run->counts.elapsed_us = now - run->started;
    run->counts.rate = pace_of(pace, now, run->counts.done);
    struct copy_progress counts = run->counts;
    pthread_mutex_unlock(&run->mutex);
    if (run->progress && !run->progress(run->data, &counts))
        return error_new(ERR_CANCELLED, "the copy was cancelled");
    return NULL;
}

static struct error *on_tick(void *data)
{
    struct copy_run *run = data;
    struct pace pace = {.count = 0};
    int64_t told = run->counts.elapsed_us + run->started;
    return tell(run, &pace, &told);
}

struct copy_wait copy_run_wait(struct copy_run *run)
{
    return (struct copy_wait){.stall_us = run->tuning.stall_us, .tick = on_tick, .data = run};
}

/* Goes on with the checkpoint: wants one when it is time, notes what is settled before the flush is asked
 * for, makes it durable once the flush is answered. Mutex held; let go while the disk works. */
static struct error *look_after_checkpoint(struct watch *watch)
{
    struct copy_run *run = watch->run;
    int64_t now = moment_monotonic();
    if (!run->journal)
        return NULL;
    if (run->flush == FLUSH_DONE) {
        pthread_mutex_unlock(&run->mutex);
        struct error *error = copy_journal_sync(run->journal);
        pthread_mutex_lock(&run->mutex);
        run->flush = FLUSH_NONE;
        watch->checked = moment_monotonic();
        return error;
    }
    bool due =
        run->fresh_bytes >= run->tuning.checkpoint_bytes || now - watch->checked >= run->tuning.checkpoint_us;
    if (run->flush != FLUSH_NONE || !run->fresh_count || !due)
        return NULL;
    copy_journal_note(run->journal, run->manifest, run->fresh, run->fresh_count);
    run->fresh_count = 0;
    run->fresh_bytes = 0;
    run->flush = FLUSH_WANTED;
    return NULL;
}

/* Until all lanes ended. */
static struct error *watch_lanes(struct copy_run *run)
{
    struct watch watch = {
        .run = run, .told = run->counts.elapsed_us + run->started, .checked = moment_monotonic()};
    struct error *error = NULL;
    pthread_mutex_lock(&run->mutex);
    while (run->running) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 100000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&run->wake, &run->mutex, &until);
        if (!error)
            error = look_after_checkpoint(&watch);
        if (!error) {
            pthread_mutex_unlock(&run->mutex);
            error = tell(run, &watch.pace, &watch.told);
            pthread_mutex_lock(&run->mutex);
        }
        if (error)
            atomic_store(&run->stop, true);
    }
    if (run->error && !error) {
        error = run->error;
        run->error = NULL;
    }
    pthread_mutex_unlock(&run->mutex);
    return error;
}

static size_t slots_for(const struct copy_run *run, unsigned lanes)
{
    uint64_t slots = run->tuning.memory_max / run->shape.block_size / lanes;
    return slots < 1 ? 1 : slots > COPY_SLOTS_MAX ? COPY_SLOTS_MAX : (size_t)slots;
}

static void lane_init(struct copy_lane *lane, struct copy_run *run, size_t slots)
{
    lane->run = run;
    lane->slot_count = slots;
    lane->slots = xcalloc(slots, sizeof *lane->slots);
    lane->digest = run->algorithm == COPY_NONE ? NULL : copy_digest_new(run->algorithm);
    for (size_t i = 0; i < slots; i++) {
        lane->slots[i].lane = lane;
        lane->slots[i].buffer = xmalloc(run->shape.block_size);
    }
}

/* After the connections were closed, or had every answer: answers write to the slots. */
static void lane_done(struct copy_lane *lane)
{
    for (size_t i = 0; i < lane->slot_count; i++)
        free(lane->slots[i].buffer);
    free(lane->slots);
    copy_digest_free(lane->digest);
}

/* A handle with requests in flight would call back into the slots. */
static void drop(struct copy_connection *connection)
{
    if (connection && connection->nbd && nbd_aio_in_flight(connection->nbd) != 0) {
        nbd_close(connection->nbd);
        connection->nbd = NULL;
    }
}

static void start_lanes(struct copy_run *run, struct copy_lane *lanes, unsigned count, bool started[])
{
    run->running = count;
    for (unsigned i = 0; i < count; i++) {
        int number = pthread_create(&lanes[i].thread, NULL, copy_lane_main, &lanes[i]);
        started[i] = number == 0;
        if (number)
            copy_run_fail(run, error_new(ERR_INTERNAL, "could not start a thread: %s", strerror(number)));
    }
}

struct error *copy_run_lanes(struct copy_run *run, struct copy_connection **sources,
                             struct copy_connection **targets, unsigned count)
{
    struct copy_lane lanes[COPY_CONNECTIONS_MAX] = {0};
    bool started[COPY_CONNECTIONS_MAX] = {false};
    for (unsigned i = 0; i < count; i++) {
        lane_init(&lanes[i], run, slots_for(run, count));
        lanes[i].source = sources[i];
        lanes[i].target = targets ? targets[i] : NULL;
        lanes[i].first = i == 0;
    }
    start_lanes(run, lanes, count, started);
    struct error *error = watch_lanes(run);
    for (unsigned i = 0; i < count; i++) {
        if (started[i])
            pthread_join(lanes[i].thread, NULL);
        drop(lanes[i].source);
        drop(lanes[i].target);
        lane_done(&lanes[i]);
    }
    struct copy_wait wait = copy_run_wait(run);
    return error || !targets ? error : copy_connection_flush(targets[0], &wait);
}
