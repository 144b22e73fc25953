/* Helpers of the tests of broker/jobs: adding jobs and waiting, with a bound, for what becomes of them. */
#ifndef TESTS_SUPPORT_JOBS_H
#define TESTS_SUPPORT_JOBS_H

#include "broker/jobs/job.h"
#include "tests/support/pg.h"

/* Adds in a transaction of its own; fails the test when that fails. `args` is taken over. */
void jobs_add(struct db *db, const char *type, const char *key, json_t *args, char ret_id[37]);
/* Runs job_cancel or job_retry in a transaction of its own. */
struct error *jobs_do(struct db *db, struct error *(*what)(struct db *db, const char *id),
                      const char *id) ERROR_MUST_USE;
/* Until the query (owner's) gives `wanted`; fails the test after 60 s, saying what it gave. */
void jobs_await(const struct pg *pg, const char *query, const char *wanted);
/* Until the job is in the state. */
void jobs_await_state(const struct pg *pg, const char *id, const char *wanted);

#endif
