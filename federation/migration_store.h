/* Rows of migrations (schema/4000_migration.sql). The one place that moves a migration from a state to the
 * next: UPDATE … WHERE state = old AND version = old, with its history and its event. Within the caller's
 * transaction. */
#ifndef FEDERATION_MIGRATION_STORE_H
#define FEDERATION_MIGRATION_STORE_H

#include <jansson.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"
#include "federation/migration.h"

/* Where an end is. */
struct migration_end {
    const char *cloud, *provider, *zone, *site, *endpoint;
    const char *network; /* of the target: the provider's name */
    const char *ref;     /* the provider's reference of the instance; NULL: not known */
};

struct migration_row {
    const char *unit, *id, *system, *resource, *name;
    struct migration_end source, target;
    enum migration_method method;
    const char *method_why;
    enum migration_state state, failed_in;
    size_t step;
    int64_t version;
    const char *assessment; /* NULL: none */
    json_t *plan, *rollback_plan;
    const char *approvals;            /* "none", "unit", "unit+platform" */
    moment window_from, window_until; /* 0: any time */
    int64_t downtime_us, hold_us, bandwidth;
    bool commits_itself;
    json_t *shape;     /* its disks as the provider told them; NULL: not looked at yet */
    json_t *moved;     /* {"spec", "volumes": [{"id", "spec"}]} when it was started; NULL: it was not */
    const char *proof; /* "full", "sampled": what of the target is read back */
    json_t
        *conversion; /* {"mode", "state", "why", "log", "attempts", "elapsed_ms"}; NULL: none belongs to it */
    bool was_on;
    int64_t predicted_us;
    int64_t passes;
    moment passed_at;
    struct migration_side source_seen, target_seen;
    bool accepted;
    moment down_at, live_at, hold_until;
    bool hold_told;
    const char *job, *principal;
};

/* As MIGRATION_ASSESSED. ERR_CONFLICT when the instance has a migration that has not ended. */
struct error *migration_insert(struct db *db, const struct migration_row *migration,
                               moment now) ERROR_MUST_USE;
/* Locks the row. `unit` NULL: any that the scope sees. ERR_NOT_FOUND "no such migration". */
struct error *migration_load(struct db *db, struct arena *arena, const char *unit, const char *id,
                             struct migration_row *ret_migration) ERROR_MUST_USE;

/* What is known without looking at a provider: papers, window, ledger, and both ends as they were last seen.
 * `consented` is the caller's to know. */
struct error *migration_known(struct db *db, const struct migration_row *migration, bool consented,
                              moment now, struct migration_facts *ret_facts) ERROR_MUST_USE;

/* Tells the state machine; on success the row, its history and the event "migration.changed" say so, and
 * *migration is as the row. `principal` NULL: the broker. ERR_STALE when the row is not any more what
 * *migration says. */
struct migration_word {
    enum migration_event event;
    const char *principal, *why;
};
struct error *migration_tell(struct db *db, struct migration_row *migration,
                             const struct migration_word *word, const struct migration_facts *facts,
                             moment now) ERROR_MUST_USE;

/* So many steps of the state's list are done; ERR_STALE as above. */
struct error *migration_stepped(struct db *db, struct migration_row *migration, size_t step,
                                moment now) ERROR_MUST_USE;
/* Nothing, unless the row is still in that state and version: else ERR_STALE. Locks it. */
struct error *migration_still(struct db *db, const struct migration_row *migration) ERROR_MUST_USE;
/* Nor its state and step; its terms may, and `migration` gets the version that they are now. */
struct error *migration_follow(struct db *db, struct migration_row *migration) ERROR_MUST_USE;

/* Both ends, as they were seen. */
struct error *migration_saw(struct db *db, struct migration_row *migration,
                            const struct migration_side *source,
                            const struct migration_side *target) ERROR_MUST_USE;
/* What stands in the way; NULL: nothing. */
struct error *migration_troubled(struct db *db, const struct migration_row *migration,
                                 const char *error) ERROR_MUST_USE;

/* The ledger. Entering what is entered already opens it again; so does crossing out what is not there. */
struct error *migration_enter(struct db *db, const struct migration_row *migration, const char *side,
                              const char *kind, const char *what, moment now) ERROR_MUST_USE;
struct error *migration_cross_out(struct db *db, const struct migration_row *migration, const char *side,
                                  const char *kind, const char *what, moment now) ERROR_MUST_USE;
/* `what` of all open entries of that side and kind. */
struct error *migration_open_entries(struct db *db, struct arena *arena,
                                     const struct migration_row *migration, const char *side,
                                     const char *kind, const char ***ret_list,
                                     size_t *ret_count) ERROR_MUST_USE;

/* `part` "unit" or "platform"; again by anybody changes nothing. */
struct error *migration_approve(struct db *db, const struct migration_row *migration, const char *part,
                                const char *principal, const char *note, moment now) ERROR_MUST_USE;
struct error *migration_accept(struct db *db, struct migration_row *migration, const char *principal,
                               moment now) ERROR_MUST_USE;
struct error *migration_set_job(struct db *db, struct migration_row *migration,
                                const char *job) ERROR_MUST_USE;
/* Terms that people may change while it runs; counts the version up. */
struct error *migration_set_terms(struct db *db, struct migration_row *migration) ERROR_MUST_USE;

extern const struct db_statement migration_select_one, migration_select_list;

#endif
