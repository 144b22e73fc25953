/* Planning a move: an instance, a finished assessment of it, and the terms. */
#ifndef FEDERATION_MIGRATION_NEW_H
#define FEDERATION_MIGRATION_NEW_H

#include "broker/base/json.h"
#include "federation/migration_store.h"

struct migration_window {
    moment from, until;
};
struct migration_wish {
    const char *instance, *assessment;
    const char *method;             /* NULL: the best of what both sides can */
    struct migration_window window; /* 0: any time */
    int64_t downtime_seconds;       /* that is agreed; 0: any */
    int64_t hold_days, bandwidth;
    bool commits_itself, test_required;
    const char *proof, *approvals, *principal;
    const char *conversion, *conversion_program; /* settings of the broker */
};

/* In the caller's transaction: checks everything and writes the migration, `assessed` or as far as its papers
 * bring it. ERR_NOT_FOUND for the instance; ERR_INVALID, ERR_CONFLICT and, from placement, ERR_INVALID for
 * the rest. */
struct error *migration_new(struct db *db, struct arena *arena, const struct migration_wish *wish, moment now,
                            struct migration_row *ret_migration) ERROR_MUST_USE;

#endif
