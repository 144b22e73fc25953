/* See copy_check.h. A run with one side alone. */
#include "federation/copy_check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"
#include "broker/base/buf.h"
#include "broker/base/moment.h"
#include "federation/copy_run.h"
#include "federation/copy_survey.h"

#define NAMED 8 /* offsets in the error's text */

static struct error *open_all(const struct copy_check *check, struct copy_run *run,
                              struct copy_connection *targets[COPY_CONNECTIONS_MAX], unsigned *count)
{
    struct copy_wait wait = copy_run_wait(run);
    unsigned wanted = 1;
    for (*count = 0; *count < wanted; (*count)++) {
        TRY(copy_connection_open(&check->target, COPY_TARGET, NULL, false, &wait, &targets[*count]));
        if (*count == 0 && targets[0]->multi)
            wanted = run->tuning.connections;
    }
    uint64_t grain = targets[0]->grain;
    if (targets[0]->size < ((run->shape.size + grain - 1) & ~(grain - 1)))
        return error_new(ERR_CONFLICT,
                         "the target was resized: %" PRIu64 " bytes, the manifest is of %" PRIu64,
                         targets[0]->size, run->shape.size);
    if (targets[0]->request_max < run->tuning.request_size)
        run->tuning.request_size = targets[0]->request_max & ~(COPY_BLOCK_MIN - 1);
    return copy_survey(targets[0], &wait, &run->extents);
}

static bool all_zero(const uint8_t *bytes, uint32_t length)
{
    return !bytes[0] && memcmp(bytes, bytes + 1, length - 1) == 0;
}

/* Beyond the disk there must be nothing that somebody else has left there. */
static struct error *check_tail(struct copy_run *run, struct copy_connection *target)
{
    struct copy_wait wait = copy_run_wait(run);
    uint64_t grain = target->grain, at = (run->shape.size + grain - 1) & ~(grain - 1);
    uint8_t *bytes = xmalloc(COPY_BLOCK_MIN);
    struct copy_area piece;
    struct error *error = NULL;
    while (!error &&
           copy_extents_piece(&run->extents, &at, target->size, 0, COPY_EXTENT_ZERO, grain, 0, &piece))
        for (uint64_t done = 0, length; done < piece.length && !error; done += length) {
            length = piece.length - done < COPY_BLOCK_MIN ? piece.length - done : COPY_BLOCK_MIN;
            error = copy_connection_read(target, bytes, (uint32_t)length, piece.start + done, &wait);
            if (!error && !all_zero(bytes, (uint32_t)length))
                copy_run_mismatch(run, piece.start + done);
        }
    free(bytes);
    return error;
}

static int by_offset(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, two = *(const uint64_t *)b;
    return (one > two) - (one < two);
}

static struct error *judge(struct copy_run *run, struct copy_check_result *ret_result)
{
    BUF_AUTO struct buf text = BUF_INIT(1024);
    memset(ret_result, 0, sizeof *ret_result);
    ret_result->progress = run->counts;
    ret_result->progress.elapsed_us = moment_monotonic() - run->started;
    ret_result->mismatches = run->mismatch_total;
    ret_result->count = run->mismatch_count;
    if (!run->mismatch_total)
        return NULL;
    qsort(run->mismatches, run->mismatch_count, sizeof *run->mismatches, by_offset);
    memcpy(ret_result->offsets, run->mismatches, run->mismatch_count * sizeof *run->mismatches);
    for (size_t i = 0; i < run->mismatch_count && i < NAMED; i++)
        buf_printf(&text, "%s%" PRIu64, i ? ", " : "", run->mismatches[i]);
    return error_new(ERR_CONFLICT, "the target differs from the manifest in %" PRIu64 " blocks, at byte %s%s",
                     run->mismatch_total, buf_text(&text), run->mismatch_total > NAMED ? "…" : "");
}

static struct error *run_check(const struct copy_check *check, struct copy_run *run,
                               struct copy_connection *targets[COPY_CONNECTIONS_MAX],
                               struct copy_check_result *ret_result)
{
    uint64_t blocks, zeros;
    unsigned count;
    TRY(open_all(check, run, targets, &count));
    run->target_grain = targets[0]->grain;
    copy_plan_init(&run->plan, &run->extents, &run->shape);
    if (check->sample)
        copy_plan_sample(&run->plan, check->sample, check->seed);
    copy_plan_total(&run->plan, &blocks, &zeros);
    run->counts.size = run->shape.size;
    run->counts.total = blocks + zeros;
    run->read_flow = copy_link_join(check->target.link);
    TRY(copy_run_lanes(run, targets, NULL, count));
    if (!check->sample)
        TRY(check_tail(run, targets[0]));
    return judge(run, ret_result);
}

struct error *copy_verify(const struct copy_check *check, struct copy_check_result *ret_result)
{
    struct copy_run run;
    struct copy_connection *targets[COPY_CONNECTIONS_MAX] = {NULL};
    TRY(copy_run_init(&run, &check->tuning));
    run.shape = *copy_manifest_shape(check->manifest);
    run.algorithm = run.shape.algorithm;
    run.last = check->manifest;
    run.verify = true;
    run.progress = check->progress;
    run.data = check->data;
    run.mismatch_max = COPY_MISMATCHES_MAX;
    run.mismatches = xcalloc(run.mismatch_max, sizeof *run.mismatches);
    struct error *error = run_check(check, &run, targets, ret_result);
    for (unsigned i = 0; i < COPY_CONNECTIONS_MAX; i++)
        copy_connection_close(targets[i]);
    copy_run_done(&run);
    return error;
}
