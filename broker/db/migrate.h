/* Numbered migrations: the schema of the whole house, embedded from every schema/NNNN_what.sql with its
 * SHA-256, applied once each in order of number, and recorded in schema_migration. A migration is never
 * changed after it was applied anywhere: a changed one is refused, and so is a database that knows migrations
 * which this program does not (a newer program has been here). */
#ifndef BROKER_DB_MIGRATE_H
#define BROKER_DB_MIGRATE_H

#include <stddef.h>

#include "broker/base/error.h"

struct migration {
    int number;
    const char *name;     /* "orders" of 3010_orders.sql */
    const char *sql;      /* several statements; no BEGIN or COMMIT of its own */
    const char *checksum; /* SHA-256 of the file, lower-case hex */
};

/* In order of number; made at build time. */
extern const struct migration migrations[];
extern const size_t migration_count;

/* Brings the database up to date as its owner: waits for others at it (advisory lock, at most
 * MIGRATE_WAIT_SECONDS, then ERR_BUSY), then applies what is missing, each in a transaction. ERR_CONFLICT
 * when the database does not fit this program; nothing is changed then. What was applied before a failing one
 * stays. ret_applied (may be NULL) gets how many were applied. */
#define MIGRATE_WAIT_SECONDS 120
struct error *migrate(const char *owner_conninfo, const struct migration *list, size_t count,
                      size_t *ret_applied) ERROR_MUST_USE;
/* Changes nothing; ERR_CONFLICT unless every migration of the list, and no other, has been applied. For a
 * broker that is not given the owner's conninfo; the application's role may do it. */
struct error *migrate_check(const char *conninfo, const struct migration *list, size_t count) ERROR_MUST_USE;

#endif
