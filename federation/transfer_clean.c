/* The job "transfer-clean": removes the files of an export or import once they have expired, or somebody
 * deleted it. One for each, waiting as a queued row; see transfer.h. */
#include <string.h>

#include "broker/base/json.h"
#include "federation/transfer_folder.h"

struct cleaning {
    struct job *job;
    struct transfer transfer;
    bool due;
};

static const char *text_of(const struct cleaning *c, const char *member)
{
    return json_string_value(json_object_get(c->job->args, member));
}

static struct error *load(struct db *db, struct cleaning *c)
{
    return transfer_load(db, c->job->arena, text_of(c, "unit"),
                         json_is_true(json_object_get(c->job->args, "export")), text_of(c, "transfer"),
                         &c->transfer);
}

/* From here on nobody reads or writes them, and no job begins on them. */
static struct error *claim_body(struct db *db, void *context)
{
    struct cleaning *c = context;
    moment now = clock_now(c->job->clock);
    TRY(load(db, c));
    const char *state = c->transfer.state;
    bool over = now >= c->transfer.expires_at && strcmp(state, "working") != 0;
    c->due = !strcmp(state, "deleting") || (over && strcmp(state, "deleted") != 0);
    return c->due && strcmp(state, "deleting") != 0 ? transfer_become(db, &c->transfer, "deleting", NULL, now)
                                                    : NULL;
}

static struct error *deleted_body(struct db *db, void *context)
{
    struct cleaning *c = context;
    TRY(load(db, c));
    return strcmp(c->transfer.state, "deleting")
               ? NULL
               : transfer_become(db, &c->transfer, "deleted", NULL, clock_now(c->job->clock));
}

static struct error *clean(struct job *job)
{
    struct cleaning c = {.job = job};
    TRY(job_transaction(job, DB_READ_COMMITTED, claim_body, &c));
    if (c.due) {
        TRY(transfer_folder_remove(transfer_folder(job->context, c.transfer.id, job->arena)));
        return job_transaction(job, DB_READ_COMMITTED, deleted_body, &c);
    }
    if (!strcmp(c.transfer.state, "deleted"))
        return NULL;
    int64_t left = c.transfer.expires_at - clock_now(job->clock);
    return job_wait(job, left > MOMENT_HOUR ? left : MOMENT_HOUR); /* while it is worked on: in an hour */
}

static const struct job_step steps[] = {{"clean", clean, NULL}};
const struct job_type transfer_clean_job = {.name = "transfer-clean",
                                            .steps = steps,
                                            .step_count = sizeof steps / sizeof *steps,
                                            .max_attempts = 20,
                                            .backoff_us = MOMENT_SECOND,
                                            .backoff_max_us = MOMENT_HOUR};
