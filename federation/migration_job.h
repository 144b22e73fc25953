/* The job "migrate": carries one migration from its start to its ending. */
#ifndef FEDERATION_MIGRATION_JOB_H
#define FEDERATION_MIGRATION_JOB_H

#include "broker/jobs/job.h"
#include "federation/migration_store.h"

extern const struct job_type migration_job;

/* In the caller's transaction: adds the job, whose id is in the arena. */
struct error *migration_job_add(struct db *db, struct arena *arena, const struct migration_row *migration,
                                const char **ret_job) ERROR_MUST_USE;

#endif
