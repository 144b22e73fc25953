/* The audit trail: one row for every write and every denied call, append-only by grant. Rows are written
 * inside the transaction of what they tell of; the sealer then chains them in one line: each link's SM3
 * digest covers the row and the digest before it. `yunqiao audit verify` walks the chain. */
#ifndef BROKER_AUTH_AUDIT_H
#define BROKER_AUTH_AUDIT_H

#include "broker/base/moment.h"
#include "broker/db/db.h"

struct audit_entry {
    moment at;
    const char *principal; /* NULL: nobody was authenticated; "system": the broker itself */
    const char *action;    /* permission or job, "orders:write" */
    const char *method;    /* NULL outside HTTP */
    const char *path;
    const char *unit;       /* NULL: none */
    const char *subject;    /* id of what was made or changed; NULL: none */
    const char *request_id; /* NULL: none */
    int status;             /* HTTP status, or 0 */
    const json_t *details;  /* NULL: none; never secrets */
};

/* Inside the caller's transaction. */
struct error *audit_add(struct db *db, const struct audit_entry *entry) ERROR_MUST_USE;

/* Chains committed rows that are not yet chained, at most `most`, in a transaction of its own; one broker at
 * a time (advisory lock; another one's turn is success with 0). Called by a thread of the composition root,
 * about every second. */
struct error *audit_seal(struct db *db, size_t most, size_t *ret_sealed) ERROR_MUST_USE;

struct audit_verdict {
    int64_t rows;     /* links checked */
    int64_t unsealed; /* rows waiting for the sealer */
    bool whole;
    int64_t broken_at; /* first bad link, when not whole */
    const char *what;  /* what is wrong, in words */
    char head[65];     /* digest of the last link, hex */
};
struct error *audit_verify(struct db *db, struct arena *arena,
                           struct audit_verdict *ret_verdict) ERROR_MUST_USE;

#endif
