/* Facts for an assessment, from the broker's rows and from both providers; and the whole assessment of one
 * machine, as moves and reports ask for it. */
#ifndef FEDERATION_ASSESS_FACTS_H
#define FEDERATION_ASSESS_FACTS_H

#include "broker/jobs/job.h"
#include "federation/assess.h"

struct assess_wish {
    enum assess_kind kind;
    const char *unit, *instance;        /* ids; a server for a physical host */
    const char *cloud, *zone;           /* the target */
    const char *engine, *target_engine; /* of a database; NULL: not told */
    bool hosting_area;
    int64_t bandwidth_bytes_s; /* between the sites, declared; 0: not known */
    int64_t change_bytes_s;    /* what the guest writes; 0: assumed */
    int64_t window_us;         /* of downtime that was agreed; 0: none told */
};

/* What the endpoints of targets said, for the machines of one report: each is asked once. Zeroed at first;
 * lives as long as the job's step. */
#define ASSESS_TARGETS_MAX 8
struct assess_target {
    const char *endpoint, *product, *error;
    const struct driver_inventory *inventory;
};
struct assess_targets {
    struct assess_target list[ASSESS_TARGETS_MAX];
    size_t count;
};

struct assess_result {
    struct assess_facts facts;
    struct assess_report report;
    const json_t *json;    /* the report for people and programs (assess_json.c), held by the job's arena */
    const json_t *answers; /* {"source", "target"}: what they said, likewise */
};

/* In a job's step, outside a transaction: reads rows, asks both providers, judges. A provider that does not
 * answer is a finding, not an error; only what keeps the broker itself from judging is: ERR_NOT_FOUND for no
 * such machine, cloud or zone, ERR_CANCELLED, and what the database says. `targets` may be NULL. */
struct error *assess_instance(struct job *job, const struct assess_wish *wish, struct assess_targets *targets,
                              struct assess_result *ret_result) ERROR_MUST_USE;

json_t *assess_report_json(const struct assess_facts *facts,
                           const struct assess_report *report); /* the caller's */
json_t *assess_answers_json(const struct assess_facts *facts);  /* likewise */

#endif
