/* People's words on a migration: what the API's verbs do. In the caller's transaction; nothing is asked of a
 * provider, so what the state machine wants to know of both ends is what the job saw last. */
#ifndef FEDERATION_MIGRATION_WORD_H
#define FEDERATION_MIGRATION_WORD_H

#include "broker/base/json.h"
#include "federation/migration_store.h"
#include "federation/migration_test.h"

/* Lets papers do what they allow: assessed → consented with a good consent, consented → approved with all
 * approvals; a consent that was withdrawn takes it back to assessed. */
struct error *migration_settle_papers(struct db *db, struct arena *arena, struct migration_row *migration,
                                      const char *principal, moment now) ERROR_MUST_USE;

/* One of MIGRATION_EVENT_START, _TEST, _CUTOVER, _ROLLBACK, _COMMIT, _CANCEL. ERR_STALE when the row is not
 * of `version` any more; ERR_DENIED without a consent, ERR_CONFLICT for everything else that is missing. */
struct migration_saying {
    const char *unit, *id; /* unit NULL: any that the scope sees */
    int64_t version;
    enum migration_event event;
    const char *principal, *why;
    const struct migration_test_terms *test; /* of MIGRATION_EVENT_TEST alone */
};
struct error *migration_say(struct db *db, struct arena *arena, const struct migration_saying *saying,
                            moment now, struct migration_row *ret_migration) ERROR_MUST_USE;

/* The same for what changes no state: approve (`why` is a note), accept, new terms. Wakes the job. */
struct error *migration_change(struct db *db, struct arena *arena, const struct migration_saying *saying,
                               struct error *(*change)(struct db *db, struct migration_row *migration,
                                                       void *context),
                               void *context, moment now, struct migration_row *ret_migration) ERROR_MUST_USE;

/* A consent of the unit is about to be withdrawn: all its moves that run look again when the transaction
 * ends. Locks their jobs, so it comes before the consent's row. */
struct error *migration_wake_unit(struct db *db, struct arena *arena, const char *unit,
                                  struct json_texts *ret_running) ERROR_MUST_USE;
/* After it: those that have lost their consent do not even end the pass that they are at. */
struct error *migration_check_consents(struct db *db, struct arena *arena, const char *unit,
                                       const struct json_texts *running, moment now) ERROR_MUST_USE;

#endif
