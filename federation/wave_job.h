/* The job "wave": plans a stored wave anew whenever something changes, makes and starts the moves that are
 * due, and cuts over when the wave says so by itself. */
#ifndef FEDERATION_WAVE_JOB_H
#define FEDERATION_WAVE_JOB_H

#include "broker/jobs/job.h"
#include "federation/wave_store.h"

extern const struct job_type wave_job;

/* In the caller's transaction: a job for it, in the arena. */
struct error *wave_job_add(struct db *db, struct arena *arena, const struct wave_row *wave,
                           const char **ret_job) ERROR_MUST_USE;

#endif
