/* See denial.h. */
#include "broker/http/denial.h"

#include <string.h>

#include "broker/auth/audit.h"
#include "broker/base/log.h"
#include "broker/http/call.h"

/* A count for the present second, in one word: second in the high half, rows in the low half. */
bool denial_allowed(struct server *server)
{
    uint64_t second = (uint64_t)(moment_monotonic() / MOMENT_SECOND) & UINT32_MAX;
    uint64_t old = __atomic_load_n(&server->denials, __ATOMIC_RELAXED), now;
    do
        now = old >> 32 == second ? old + 1 : second << 32 | 1;
    while (
        !__atomic_compare_exchange_n(&server->denials, &old, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    uint64_t most = server->settings.limits.denied_audit_second;
    if (old >> 32 != second && (old & UINT32_MAX) > most)
        log_warning("http.denials", LOG_INT("not_audited", (int64_t)((old & UINT32_MAX) - most)));
    return (now & UINT32_MAX) <= most;
}

void denial_record(struct stream *stream, const char *permission, struct principal *principal,
                   const char *cloud, int status)
{
    struct server *server = stream->connection->loop->server;
    if (!server->settings.conninfo || !denial_allowed(server))
        return;
    struct http_internal *call = call_new(stream);
    call->audit_only = true;
    call->denied_status = status;
    call->denied_permission = arena_strdup(call->arena, permission);
    call->denied_cloud = arena_strdup(call->arena, cloud);
    call->path = arena_strndup(call->arena, call->path, strcspn(call->path, "?"));
    call->principal = principal ? principal_ref(principal) : NULL;
    if (!workers_push(server->workers, call)) {
        log_warning("http.denials", LOG_INT("not_audited", 1));
        call_free(call);
    }
}

struct denied {
    struct http_internal *call;
    int status;
};

static struct error *write_row(struct db *db, void *context)
{
    const struct denied *denied = context;
    const struct http_internal *call = denied->call;
    const struct audit_entry entry = {
        .at = clock_now(call->server->settings.clock),
        .principal = call->principal ? principal_id(call->principal) : NULL,
        .action = call->denied_permission ? call->denied_permission : "none",
        .method = call->method,
        .path = call->path,
        .unit = call->principal ? principal_unit(call->principal) : NULL,
        .cloud = call->denied_cloud,
        .request_id = call->request_id,
        .status = denied->status,
    };
    return audit_add(db, &entry);
}

void denial_write(struct http_internal *call, struct db *db, int status)
{
    struct denied denied = {call, status};
    struct error *error = db_transaction(db, &db_scope_system, DB_READ_COMMITTED, write_row, &denied);
    if (error)
        log_error("http.denials", LOG_TEXT("request", call->request_id), LOG_CAUSE(error));
    error_free(error);
}
