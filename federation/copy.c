/* See copy.h: opens both sides, makes the plan, lets copy_run.h carry it out, keeps the manifest. */
#include "federation/copy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "federation/copy_file.h"
#include "federation/copy_run.h"
#include "federation/copy_survey.h"

/* What a pass holds open. */
struct work {
    const struct copy_pass *pass;
    struct copy_run run;
    struct copy_connection *sources[COPY_CONNECTIONS_MAX], *targets[COPY_CONNECTIONS_MAX];
    unsigned count;
    char *progress_path;
};

static bool too_long(const char *text)
{
    return text && strlen(text) > COPY_LABEL_MAX;
}

static struct error *check_pass(const struct copy_pass *pass)
{
    if (pass->changes == COPY_BITMAP && !pass->bitmap)
        return error_new(ERR_INVALID, "a pass over a bitmap needs its name");
    if (pass->changes == COPY_AREAS && !pass->areas)
        return error_new(ERR_INVALID, "a pass over changed areas needs them");
    if (pass->changes != COPY_ALL && !pass->last)
        return error_new(ERR_INVALID, "a pass over changes needs the manifest of the last one");
    if (pass->algorithm == COPY_NONE && (pass->changes != COPY_ALL || pass->manifest_path))
        return error_new(ERR_INVALID, "without digests there is no manifest and no pass over changes");
    if (pass->algorithm != COPY_NONE && !pass->manifest_path)
        return error_new(ERR_INVALID, "a pass needs a path for its manifest");
    if (too_long(pass->label) || too_long(pass->snapshot))
        return error_new(ERR_INVALID, "a label or snapshot is longer than %d bytes", COPY_LABEL_MAX);
    return NULL;
}

static void work_done(struct work *work)
{
    for (unsigned i = 0; i < COPY_CONNECTIONS_MAX; i++) {
        copy_connection_close(work->sources[i]);
        copy_connection_close(work->targets[i]);
    }
    copy_run_done(&work->run);
    free(work->progress_path);
}

static struct error *set_shape(struct work *work, uint64_t size)
{
    const struct copy_pass *pass = work->pass;
    struct copy_shape *shape = &work->run.shape;
    shape->size = size;
    shape->block_size = pass->block_size ? pass->block_size : copy_block_size(size);
    if (!pass->block_size && pass->last)
        shape->block_size = copy_manifest_shape(pass->last)->block_size;
    shape->algorithm = pass->algorithm == COPY_NONE ? COPY_SHA256 : pass->algorithm;
    memcpy(shape->label, pass->label ? pass->label : "", pass->label ? strlen(pass->label) : 0);
    work->run.algorithm = pass->algorithm;
    TRY(copy_shape_check(shape));
    return pass->last ? copy_shape_same(shape, copy_manifest_shape(pass->last)) : NULL;
}

/* The source and what is where on it. */
static struct error *look_at_source(struct work *work)
{
    const struct copy_pass *pass = work->pass;
    struct copy_wait wait = copy_run_wait(&work->run);
    const char *bitmap = pass->changes == COPY_BITMAP ? pass->bitmap : NULL;
    TRY(copy_connection_open(&pass->source, COPY_SOURCE, bitmap, false, &wait, &work->sources[0]));
    TRY(set_shape(work, work->sources[0]->size));
    struct copy_extents content;
    TRY(copy_survey(work->sources[0], &wait, &content));
    if (pass->changes != COPY_AREAS) {
        work->run.extents = content;
    } else {
        struct error *error = copy_extents_overlay(&content, pass->areas, &work->run.extents);
        copy_extents_done(&content);
        TRY(error);
    }
    copy_plan_init(&work->run.plan, &work->run.extents, &work->run.shape);
    work->run.plan.changes = work->run.changes = pass->changes;
    work->run.plan.last = work->run.last = pass->last;
    return NULL;
}

static struct error *look_at_target(struct work *work)
{
    struct copy_wait wait = copy_run_wait(&work->run);
    TRY(copy_connection_open(&work->pass->target, COPY_TARGET, NULL, true, &wait, &work->targets[0]));
    struct copy_connection *target = work->targets[0];
    work->run.target_grain = target->grain;
    uint64_t grain = target->grain, needed = (work->run.shape.size + grain - 1) & ~(grain - 1);
    if (target->size < needed)
        return error_new(ERR_NO_CAPACITY,
                         "the target is too small: %" PRIu64 " bytes where %" PRIu64 " are needed",
                         target->size, needed);
    uint32_t *most = &work->run.tuning.request_size;
    uint32_t fits = work->sources[0]->request_max < target->request_max ? work->sources[0]->request_max
                                                                        : target->request_max;
    if (fits < *most)
        *most = fits & ~(COPY_BLOCK_MIN - 1);
    return NULL;
}

/* The further connections, when both sides allow them and there is enough to do. */
static struct error *open_others(struct work *work)
{
    struct copy_wait wait = copy_run_wait(&work->run);
    unsigned wanted = work->sources[0]->multi && work->targets[0]->multi ? work->run.tuning.connections : 1;
    for (work->count = 1; work->count < wanted; work->count++) {
        unsigned i = work->count;
        TRY(copy_connection_open(&work->pass->source, COPY_SOURCE, NULL, false, &wait, &work->sources[i]));
        TRY(copy_connection_open(&work->pass->target, COPY_TARGET, NULL, true, &wait, &work->targets[i]));
        if (work->sources[i]->size != work->sources[0]->size ||
            work->targets[i]->size != work->targets[0]->size)
            return error_new(ERR_CONFLICT, "a side was resized while it was opened");
    }
    return NULL;
}

static void on_settled_before(void *data, uint64_t block)
{
    struct work *work = data;
    copy_plan_skip(&work->run.plan, block);
    work->run.counts.resumed += copy_shape_length(&work->run.shape, block);
}

/* The manifest to be made, and what an earlier attempt has settled of it. */
static struct error *open_journal(struct work *work)
{
    const struct copy_pass *pass = work->pass;
    struct copy_run *run = &work->run;
    bool found = false;
    run->skip_zeros = pass->target_zero && pass->changes == COPY_ALL;
    run->allocate = pass->allocate;
    if (pass->algorithm == COPY_NONE)
        return NULL;
    if (pass->last)
        run->manifest = copy_manifest_next(pass->last, pass->pass);
    else
        TRY(copy_manifest_new(&run->shape, pass->pass, &run->manifest));
    struct copy_attempt attempt = {
        .shape = run->shape, .pass = pass->pass, .changes = (uint32_t)pass->changes};
    memcpy(attempt.snapshot, pass->snapshot ? pass->snapshot : "",
           pass->snapshot ? strlen(pass->snapshot) : 0);
    if (pass->last)
        copy_manifest_root(pass->last, attempt.last);
    TRY(copy_journal_open(work->progress_path, &attempt, run->manifest, on_settled_before, work, &found,
                          &run->journal));
    if (found || !access(pass->manifest_path, F_OK))
        run->skip_zeros = false; /* what an earlier attempt wrote is not known */
    return NULL;
}

/* A target that is larger than the disk must not show what it held before. */
static struct error *zero_tail(struct work *work)
{
    struct copy_connection *target = work->targets[0];
    uint64_t end = (work->run.shape.size + target->grain - 1) & ~((uint64_t)target->grain - 1);
    struct copy_wait wait = copy_run_wait(&work->run);
    if (work->run.changes != COPY_ALL || work->run.skip_zeros || target->size <= end)
        return NULL;
    return copy_connection_zero(target, end, target->size - end, work->pass->allocate, &wait);
}

static struct error *finish(struct work *work, struct copy_result *ret_result)
{
    struct copy_run *run = &work->run;
    struct copy_result result = {.progress = run->counts};
    result.progress.elapsed_us = moment_monotonic() - run->started;
    if (result.progress.elapsed_us > 0)
        result.progress.rate = (uint64_t)((double)(result.progress.done - result.progress.resumed) * 1e6 /
                                          (double)result.progress.elapsed_us);
    if (run->manifest) {
        TRY(copy_manifest_write(run->manifest, work->pass->manifest_path));
        copy_manifest_root(run->manifest, result.root);
        TRY(copy_pass_forget(work->pass->manifest_path));
    }
    if (run->progress)
        (void)run->progress(run->data, &result.progress); /* it is done: too late to cancel */
    *ret_result = result;
    return NULL;
}

static struct error *run_pass(struct work *work, struct copy_result *ret_result)
{
    struct copy_run *run = &work->run;
    uint64_t blocks, zeros;
    TRY(look_at_source(work));
    TRY(look_at_target(work));
    TRY(open_journal(work));
    TRY(open_others(work));
    TRY(zero_tail(work));
    copy_plan_total(&run->plan, &blocks, &zeros);
    run->counts.size = run->shape.size;
    run->counts.done = run->counts.resumed;
    run->counts.total = run->counts.resumed + blocks + zeros;
    run->read_flow = copy_link_join(work->pass->source.link);
    run->write_flow = copy_link_join(work->pass->target.link);
    TRY(copy_run_lanes(run, work->sources, work->targets, work->count));
    return finish(work, ret_result);
}

static struct error *work_init(struct work *work, const struct copy_pass *pass)
{
    memset(work, 0, sizeof *work);
    work->pass = pass;
    TRY(copy_run_init(&work->run, &pass->tuning));
    work->run.progress = pass->progress;
    work->run.data = pass->data;
    work->progress_path = pass->manifest_path ? xasprintf("%s.progress", pass->manifest_path) : NULL;
    return NULL;
}

struct error *copy_pass_run(const struct copy_pass *pass, struct copy_result *ret_result)
{
    struct work work;
    TRY(check_pass(pass));
    TRY(work_init(&work, pass));
    struct error *error = run_pass(&work, ret_result);
    work_done(&work);
    return error;
}

struct error *copy_pass_measure(const struct copy_pass *pass, uint64_t *ret_blocks, uint64_t *ret_zeros)
{
    struct work work;
    TRY(check_pass(pass));
    TRY(work_init(&work, pass));
    struct error *error = look_at_source(&work);
    if (!error)
        copy_plan_total(&work.run.plan, ret_blocks, ret_zeros);
    work_done(&work);
    return error;
}

struct error *copy_pass_forget(const char *manifest_path)
{
    char *path = xasprintf("%s.progress", manifest_path);
    bool good = !unlink(path) || errno == ENOENT;
    struct error *error = good ? NULL : copy_file_error("remove", path);
    free(path);
    return error;
}
