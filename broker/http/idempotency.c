/* See idempotency.h. The claim is an advisory lock of the transaction, which a duplicate on any broker finds
 * taken, and a look at what is kept: one round trip, in http_key_claim (schema/0300_http.sql). */
#include "broker/http/idempotency.h"

#include <string.h>

#include "broker/base/digest.h"

static const struct db_statement claim_key = {
    "http_key_claim",
    "SELECT outcome, status, location, etag, content_type, body, retry_after "
    "FROM http_key_claim($1, $2, $3, $4)",
};

static const struct db_statement keep_key = {
    "http_key_keep",
    "INSERT INTO http_key (principal, key, digest, made_at, status, location, etag, content_type, body, "
    "retry_after) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
};

static const struct db_statement purge_keys = {
    "http_key_purge",
    "DELETE FROM http_key WHERE (principal, key) IN "
    "(SELECT principal, key FROM http_key WHERE made_at < $1 ORDER BY made_at LIMIT $2)",
};

static const char *owner(const struct http_internal *call)
{
    return call->principal ? principal_id(call->principal) : "";
}

static const char *digest_of(struct http_internal *call, const json_t *body)
{
    const char *text = arena_printf(call->arena, "%s\n%s\n%s", call->method, call->path,
                                    body ? json_canonical(call->arena, body) : "");
    char *hex = arena_alloc(call->arena, DIGEST_HEX);
    digest_sha256(text, strlen(text), hex);
    return hex;
}

struct error *idempotency_claim(struct http_internal *call, struct db *db, moment now, const json_t *body,
                                struct kept_answer **ret_kept)
{
    if (!call->key_digest)
        call->key_digest = digest_of(call, body);
    moment oldest = now - call->server->settings.limits.key_us;
    struct db_rows *rows;
    TRY(db_query_one(
        db, &claim_key,
        DB_VALUES(db_text(owner(call)), db_text(call->key), db_text(call->key_digest), db_moment(oldest)),
        "claim of an idempotency key", &rows));
    db_hold(call->arena, rows);
    const char *outcome = db_get_text(rows, 0, 0);
    if (strcmp(outcome, "running") == 0)
        return error_new(ERR_CONFLICT, "a request with this Idempotency-Key is still running");
    if (strcmp(outcome, "other") == 0)
        return error_new(ERR_INVALID, "this Idempotency-Key was used for another request");
    if (strcmp(outcome, "kept") != 0) {
        *ret_kept = NULL;
        return NULL;
    }
    struct kept_answer *kept = arena_alloc(call->arena, sizeof *kept);
    *kept = (struct kept_answer){
        .status = (int)db_get_int(rows, 0, 1),
        .location = db_get_text(rows, 0, 2),
        .etag = db_get_text(rows, 0, 3),
        .content_type = db_get_text(rows, 0, 4),
        .body = db_get_text(rows, 0, 5),
        .retry_after = (int)db_get_int(rows, 0, 6),
    };
    *ret_kept = kept;
    return NULL;
}

struct error *idempotency_keep(struct http_internal *call, struct db *db, moment now,
                               const struct kept_answer *answer)
{
    return db_run(db, &keep_key,
                  DB_VALUES(db_text(owner(call)), db_text(call->key), db_text(call->key_digest),
                            db_moment(now), db_int(answer->status), db_text(answer->location),
                            db_text(answer->etag), db_text(answer->content_type), db_text(answer->body),
                            db_int(answer->retry_after)),
                  NULL);
}

struct purge {
    moment before;
    int64_t most, purged;
};

static struct error *purge_body(struct db *db, void *context)
{
    struct purge *purge = context;
    return db_run(db, &purge_keys, DB_VALUES(db_moment(purge->before), db_int(purge->most)), &purge->purged);
}

struct error *idempotency_purge(struct db *db, moment before, int64_t most, int64_t *ret_purged)
{
    struct purge purge = {.before = before, .most = most};
    TRY(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, purge_body, &purge));
    *ret_purged = purge.purged;
    return NULL;
}
