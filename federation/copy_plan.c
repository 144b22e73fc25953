/* See copy_plan.h. */
#include "federation/copy_plan.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"

enum need { NOTHING, ZEROS, BYTES };

void copy_plan_init(struct copy_plan *plan, const struct copy_extents *extents,
                    const struct copy_shape *shape)
{
    memset(plan, 0, sizeof *plan);
    plan->extents = extents;
    plan->shape = *shape;
    plan->skip = xcalloc(copy_shape_blocks(shape) / 8 + 1, 1);
}

void copy_plan_done(struct copy_plan *plan)
{
    free(plan->skip);
    plan->skip = NULL;
}

void copy_plan_skip(struct copy_plan *plan, uint64_t block)
{
    plan->skip[block / 8] |= (uint8_t)(1U << block % 8);
}

bool copy_plan_skips(const struct copy_plan *plan, uint64_t block)
{
    return plan->skip[block / 8] >> block % 8 & 1;
}

/* splitmix64 */
static uint64_t draw(uint64_t *seed, uint64_t below)
{
    uint64_t value = *seed += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return (value ^ value >> 31) % below;
}

/* Floyd's way: for each of the last `count` places, a block up to it, or itself when that one is taken. */
void copy_plan_sample(struct copy_plan *plan, uint64_t count, uint64_t seed)
{
    uint64_t blocks = copy_shape_blocks(&plan->shape);
    if (count >= blocks)
        return;
    memset(plan->skip, 0xff, blocks / 8 + 1);
    for (uint64_t place = blocks - count; place < blocks; place++) {
        uint64_t block = draw(&seed, place + 1);
        if (!copy_plan_skips(plan, block))
            block = place;
        plan->skip[block / 8] &= (uint8_t) ~(1U << block % 8);
    }
}

static enum need need_of(const struct copy_plan *plan, uint64_t block)
{
    if (copy_plan_skips(plan, block))
        return NOTHING;
    uint64_t start = block * plan->shape.block_size;
    unsigned flags = copy_extents_flags(plan->extents, start, start + copy_shape_length(&plan->shape, block));
    bool delta = plan->changes == COPY_BITMAP || plan->changes == COPY_AREAS;
    if (delta && !(flags & COPY_EXTENT_CHANGED))
        return NOTHING;
    if (!(flags & COPY_EXTENT_ZERO))
        return BYTES;
    return plan->changes == COPY_COMPARE && copy_manifest_is_zero(plan->last, block) ? NOTHING : ZEROS;
}

/* The first job at or after *at. */
static bool job_from(const struct copy_plan *plan, uint64_t *at, struct copy_job *ret_job)
{
    uint64_t blocks = copy_shape_blocks(&plan->shape), block = *at;
    uint64_t most = COPY_ZERO_RUN / plan->shape.block_size;
    enum need need = NOTHING;
    while (block < blocks && (need = need_of(plan, block)) == NOTHING)
        block++;
    *at = block;
    if (block == blocks)
        return false;
    *ret_job = (struct copy_job){.first = block, .count = 1, .zero = need == ZEROS};
    while (ret_job->zero && ret_job->count < most && block + ret_job->count < blocks &&
           need_of(plan, block + ret_job->count) == ZEROS)
        ret_job->count++;
    *at = block + ret_job->count;
    return true;
}

bool copy_plan_next(struct copy_plan *plan, struct copy_job *ret_job)
{
    return job_from(plan, &plan->next, ret_job);
}

void copy_plan_total(const struct copy_plan *plan, uint64_t *ret_blocks, uint64_t *ret_zeros)
{
    struct copy_job job;
    *ret_blocks = *ret_zeros = 0;
    for (uint64_t at = 0; job_from(plan, &at, &job);)
        *(job.zero ? ret_zeros : ret_blocks) += copy_job_length(plan, &job);
}

uint64_t copy_job_start(const struct copy_plan *plan, const struct copy_job *job)
{
    return job->first * plan->shape.block_size;
}

uint64_t copy_job_length(const struct copy_plan *plan, const struct copy_job *job)
{
    uint64_t last = job->first + job->count - 1;
    return (job->count - 1) * plan->shape.block_size + copy_shape_length(&plan->shape, last);
}
