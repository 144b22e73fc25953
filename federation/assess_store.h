/* Stored assessments: one request of a unit for machines that are to go to one zone, and a report for each,
 * written once with what the providers said, so that it can be defended later. */
#ifndef FEDERATION_ASSESS_STORE_H
#define FEDERATION_ASSESS_STORE_H

#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"
#include "broker/jobs/job.h"
#include "federation/assess.h"

#define ASSESSMENT_MACHINES_MAX 200

struct assessment {
    const char *id, *unit, *kind, *operation, *state, *to_cloud, *to_zone;
    struct json_texts machines, touched, clouds;
    json_t *request;
    const char *principal;
    moment created_at;
};

struct assessment_host {
    int64_t number; /* of the machine in the request, from 1 */
    const char *resource, *system, *cloud;
    const json_t *report, *answers;
    const char *digest;
    moment assessed_at;
};

/* With its operation and job. Fills touched and clouds from the machines: ERR_INVALID for one that the
 * caller's scope does not have, or is of another unit (/instances/N). */
struct error *assessment_add(struct db *db, struct arena *arena,
                             struct assessment *assessment) ERROR_MUST_USE;
struct error *assessment_get(struct db *db, struct arena *arena, const char *id,
                             struct assessment *ret_assessment) ERROR_MUST_USE;
/* What the job is for. */
struct error *assessment_of_operation(struct db *db, struct arena *arena, const char *unit,
                                      const char *operation,
                                      struct assessment *ret_assessment) ERROR_MUST_USE;
struct error *assessment_hosts(struct db *db, struct arena *arena, const struct assessment *assessment,
                               struct assessment_host **ret_list, size_t *ret_count) ERROR_MUST_USE;
/* Once for each number; the digest is made here. */
struct error *assessment_add_host(struct db *db, struct arena *arena, const struct assessment *assessment,
                                  const struct assessment_host *host) ERROR_MUST_USE;
/* State "done" or "failed". Once. */
struct error *assessment_end(struct db *db, const struct assessment *assessment, const char *state,
                             moment now) ERROR_MUST_USE;

/* SM3 over the canonical JSON of {"report", "answers"}; in the arena. */
const char *assessment_digest(struct arena *arena, const json_t *report, const json_t *answers);

extern const struct db_statement assessment_select_one, assessment_select_list;
extern const struct job_type assess_job;

#endif
