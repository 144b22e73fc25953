/* The audit trail: one row for every write and every denied call, append-only by grant and trigger. Rows are
 * written inside the transaction of what they tell of; the sealer then chains them in one line: each link's
 * SM3 digest covers the row and the digest before it. `yunqiao audit verify` walks the chain. */
#ifndef BROKER_AUTH_AUDIT_H
#define BROKER_AUTH_AUDIT_H

#include "broker/base/digest.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"

/* Text is UTF-8. */
struct audit_entry {
    moment at;
    const char *principal; /* NULL: nobody was authenticated; "system": the broker itself */
    const char *action;    /* permission or job, "orders:write" */
    const char *method;    /* NULL outside HTTP */
    const char *path;
    const char *unit;       /* NULL: none */
    const char *cloud;      /* NULL: none; for regulators, who read the trail of the clouds in their charge */
    const char *subject;    /* id of what was made or changed; NULL: none */
    const char *request_id; /* NULL: none */
    int status;             /* HTTP status, or 0 */
    const json_t *details;  /* NULL: none; never secrets */
};

/* Inside the caller's transaction, under whatever scope. One insert; waits for nobody. */
struct error *audit_add(struct db *db, const struct audit_entry *entry) ERROR_MUST_USE;

/* Chains committed rows that are not yet chained, at most `most` (up to AUDIT_SEAL_MAX), in a transaction of
 * its own; one broker at a time (advisory lock; another one's turn is success with 0). A row waits while any
 * older transaction that writes is still open, so that none is ever committed behind the sealer. Called by a
 * thread of the composition root, about every second, and again at once when `most` were sealed.
 * ERR_CONFLICT: the database was restored from a dump (see README.md). */
#define AUDIT_SEAL_MAX 1000
struct error *audit_seal(struct db *db, size_t most, size_t *ret_sealed) ERROR_MUST_USE;

/* What an earlier verdict said, kept outside: the only proof against a tail that was cut off together with
 * its links. */
struct audit_anchor {
    int64_t rows;
    const char *head;
};

struct audit_verdict {
    int64_t rows;     /* links checked */
    int64_t unsealed; /* rows waiting for the sealer */
    bool whole;
    int64_t broken_at;     /* first bad link, when not whole */
    const char *what;      /* what is wrong, in words */
    char head[DIGEST_HEX]; /* digest of the last link that is good, hex; zeros before the first */
};
/* Reads everything once, in pages, up to the last link there is at the beginning. In the caller's
 * transaction, whose scope must be `all`, or outside of any. `anchor` NULL: none. */
struct error *audit_verify(struct db *db, const struct audit_anchor *anchor, struct arena *arena,
                           struct audit_verdict *ret_verdict) ERROR_MUST_USE;

#endif
