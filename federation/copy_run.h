/* A pass (or a reading back) while it runs: what its lanes share. copy_run.c starts and watches the lanes, a
 * thread and a pair of connections each; copy_lane.c is one of them; copy_slot.c what a lane does with one
 * block. Inside the engine alone. */
#ifndef FEDERATION_COPY_RUN_H
#define FEDERATION_COPY_RUN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "federation/copy.h"
#include "federation/copy_connection.h"
#include "federation/copy_journal.h"
#include "federation/copy_plan.h"

#define COPY_CONNECTIONS_MAX 16
#define COPY_SLOTS_MAX 256 /* blocks in flight a lane */

struct copy_run {
    /* Fixed before the lanes start. */
    struct copy_shape shape;
    struct copy_tuning tuning;     /* no member 0 */
    enum copy_algorithm algorithm; /* that of shape, or COPY_NONE */
    enum copy_changes changes;
    const struct copy_manifest *last;
    struct copy_extents extents;
    struct copy_flow *read_flow, *write_flow;
    bool verify;     /* one side alone, read and compared with `last` */
    bool skip_zeros; /* the target has zeros where nothing was written */
    bool allocate;
    uint64_t target_grain;
    copy_progress_fn *progress;
    void *data;
    int64_t started;

    pthread_mutex_t mutex; /* for all below */
    pthread_cond_t wake;   /* a lane ended, a flush was answered, something went wrong */
    struct copy_plan plan;
    struct copy_manifest *manifest; /* what is being made; NULL when verifying and with COPY_NONE */
    struct copy_journal *journal;   /* may be NULL */
    struct copy_span *fresh;        /* settled since the last checkpoint */
    size_t fresh_count, fresh_capacity;
    uint64_t fresh_bytes;
    struct copy_progress counts;
    struct error *error; /* the first one */
    unsigned running;    /* lanes */
    enum { FLUSH_NONE, FLUSH_WANTED, FLUSH_SENT, FLUSH_DONE } flush;
    uint64_t *mismatches; /* verifying: first bytes of blocks that differ */
    size_t mismatch_count, mismatch_max;
    uint64_t mismatch_total;

    atomic_bool stop;
};

/* Sets up `run` as tuning and shape say; the rest is the caller's. */
struct error *copy_run_init(struct copy_run *run, const struct copy_tuning *tuning) ERROR_MUST_USE;
void copy_run_done(struct copy_run *run);
/* Runs the plan over pairs of connections (no targets: verifying) until it is done or has failed. Calls
 * progress; makes checkpoints; ends with the target flushed. */
struct error *copy_run_lanes(struct copy_run *run, struct copy_connection **sources,
                             struct copy_connection **targets, unsigned count) ERROR_MUST_USE;
/* A copy_wait whose tick calls progress when it is due. */
struct copy_wait copy_run_wait(struct copy_run *run);

/* For lanes: */
bool copy_run_claim(struct copy_run *run, struct copy_job *ret_job);
/* The job is settled; `digest` is that of its block, NULL for zeros. */
void copy_run_settle(struct copy_run *run, const struct copy_job *job, const uint8_t *digest, uint64_t read,
                     uint64_t written, uint64_t zeroed);
void copy_run_mismatch(struct copy_run *run, uint64_t offset);
void copy_run_fail(struct copy_run *run, struct error *error);
/* By the first lane: whether a flush is to be sent now; and its answer. */
bool copy_run_flush_wanted(struct copy_run *run);
void copy_run_flushed(struct copy_run *run);

#endif
