/* Idempotency keys: the answer of a call that made something is kept with the key, in the transaction of what
 * was made, and given again to the same key with the same request. A key lives limits.key_us; a failed call
 * leaves none. */
#ifndef BROKER_HTTP_IDEMPOTENCY_H
#define BROKER_HTTP_IDEMPOTENCY_H

#include "broker/http/inside.h"

/* What is kept of an answer. Text lives in the call's arena. */
struct kept_answer {
    int status;
    const char *location, *etag, *content_type, *body; /* NULL: none */
    int retry_after;
};

/* In the call's transaction. *ret_kept: the answer of an earlier call, or NULL: go on. ERR_CONFLICT while the
 * same key is running; ERR_INVALID when the key was used for another request. */
struct error *idempotency_claim(struct http_internal *call, struct db *db, moment now, const json_t *body,
                                struct kept_answer **ret_kept) ERROR_MUST_USE;
/* Keeps the answer; in the same transaction, after the handler. */
struct error *idempotency_keep(struct http_internal *call, struct db *db, moment now,
                               const struct kept_answer *answer) ERROR_MUST_USE;
/* Drops keys that have had their time, at most `most`. In a transaction of its own. */
struct error *idempotency_purge(struct db *db, moment before, int64_t most,
                                int64_t *ret_purged) ERROR_MUST_USE;

#endif
