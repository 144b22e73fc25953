/* What a pass has to do, block by block: nothing, zeros, or the bytes. Pure, but for the place that it has
 * reached. */
#ifndef FEDERATION_COPY_PLAN_H
#define FEDERATION_COPY_PLAN_H

#include <stdbool.h>

#include "federation/copy_extent.h"
#include "federation/copy_manifest.h"

enum copy_changes {
    COPY_ALL,     /* the whole disk */
    COPY_BITMAP,  /* what a dirty bitmap of the source names */
    COPY_AREAS,   /* what the caller names */
    COPY_COMPARE, /* what has another digest than at the last pass: everything is read */
};

struct copy_plan {
    const struct copy_extents *extents; /* CHANGED is asked in COPY_BITMAP and COPY_AREAS alone */
    struct copy_shape shape;
    enum copy_changes changes;
    const struct copy_manifest *last; /* of COPY_COMPARE; a block of zeros that was one is left alone */
    uint8_t *skip;                    /* a bit a block: done by an earlier attempt, or not wanted */
    uint64_t next;
};

/* A run of blocks. */
struct copy_job {
    uint64_t first, count;
    bool zero; /* else count is 1 */
};

#define COPY_ZERO_RUN (UINT64_C(64) << 20) /* bytes that one job zeroes at most (or one block) */

void copy_plan_init(struct copy_plan *plan, const struct copy_extents *extents,
                    const struct copy_shape *shape);
void copy_plan_done(struct copy_plan *plan);
void copy_plan_skip(struct copy_plan *plan, uint64_t block);
bool copy_plan_skips(const struct copy_plan *plan, uint64_t block);
/* Wants `count` blocks alone, chosen by the seed, each as likely as any other; all when there are no more. */
void copy_plan_sample(struct copy_plan *plan, uint64_t count, uint64_t seed);
/* False when there is none left. */
bool copy_plan_next(struct copy_plan *plan, struct copy_job *ret_job);
/* How many bytes the jobs have, of blocks and of zeros, from the beginning; skipped ones are not in. */
void copy_plan_total(const struct copy_plan *plan, uint64_t *ret_blocks, uint64_t *ret_zeros);
uint64_t copy_job_start(const struct copy_plan *plan, const struct copy_job *job);
uint64_t copy_job_length(const struct copy_plan *plan, const struct copy_job *job);

#endif
