/* SQL of the audit trail, and the text that a link's digest covers. */
#ifndef BROKER_AUTH_AUDIT_STORE_H
#define BROKER_AUTH_AUDIT_STORE_H

#include "broker/auth/audit.h"

/* Link `number` of the chain; number 0 is what comes before the first: digest of zeros. */
struct audit_link {
    int64_t number;
    const char *unit; /* with id: the row */
    int64_t id;
    const char *xid;
    char previous[DIGEST_HEX];
    char digest[DIGEST_HEX];
};

struct error *audit_store_add(struct db *db, const struct audit_entry *entry) ERROR_MUST_USE;

/* The sealer's turn, until the transaction ends. */
struct error *audit_store_lock(struct db *db, bool *ret_locked) ERROR_MUST_USE;
/* The chain's end. *ret_behind: the database's transactions are older than it. */
struct error *audit_store_last(struct db *db, struct arena *arena, struct audit_link *ret_last,
                               bool *ret_behind) ERROR_MUST_USE;
/* The next rows, in the order of the chain, that nothing can come before any more. */
struct error *audit_store_unsealed(struct db *db, const struct audit_link *last, size_t most,
                                   struct db_rows **ret_rows) ERROR_MUST_USE;
struct error *audit_store_add_links(struct db *db, const struct audit_link *links, size_t count,
                                    struct arena *arena) ERROR_MUST_USE;

/* The link of a result's row, whose columns of the audit row begin at `column`. */
void audit_store_link(const struct db_rows *rows, size_t row, int column, struct arena *arena,
                      const struct audit_link *previous, struct audit_link *ret_link);

/* Links after `after` up to `last`, each with its row: number, previous, digest, audit_id of the link, xid of
 * the link, whether the row is missing, then the row's columns. */
#define AUDIT_STORE_ROW 6 /* first column of the row */
struct error *audit_store_page(struct db *db, int64_t after, int64_t last,
                               struct db_rows **ret_rows) ERROR_MUST_USE;
/* A row within (after, until] of the chain's order that no link names; *ret_id 0: there is none. */
struct error *audit_store_stranger(struct db *db, const struct audit_link *after,
                                   const struct audit_link *until, int64_t *ret_id) ERROR_MUST_USE;
struct error *audit_store_count_after(struct db *db, const struct audit_link *last,
                                      int64_t *ret_count) ERROR_MUST_USE;

#endif
