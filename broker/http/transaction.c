/* A call in the worker's hands: parse the body, run the handler inside its one transaction with the key's
 * claim, the audit row and the kept answer, and make the response. */
#include <stdlib.h>
#include <string.h>

#include "broker/auth/audit.h"
#include "broker/base/log.h"
#include "broker/http/accept.h"
#include "broker/http/call.h"
#include "broker/http/denial.h"
#include "broker/http/event_stream.h"
#include "broker/http/flow.h"
#include "broker/http/idempotency.h"
#include "broker/http/problem.h"

struct run {
    struct http_internal *call;
    struct http_call seen; /* by the handler */
    json_t *body;
    struct http_answer answer;
    struct kept_answer final; /* the answer as text */
    bool replayed;
    int status; /* of a failure, when not the error's own */
};

static struct error *parse_body(struct run *run)
{
    struct http_internal *call = run->call;
    if (!call->has_body || (call->route->flags & (HTTP_EVENTS | HTTP_BYTES)))
        return NULL;
    struct error *error = json_parse_in(call->arena, call->body.data, call->body.length, &run->body);
    if (error)
        run->status = 400;
    return error_wrap(error, "the body is not JSON");
}

static void drop_answer(struct run *run)
{
    struct http_source *source = run->answer.source;
    if (source && source->done)
        source->done(source);
    run->answer.source = NULL;
    json_decref(run->answer.body);
    run->answer.body = NULL;
}

static void see(struct run *run, struct db *db)
{
    struct http_internal *call = run->call;
    drop_answer(run);
    run->answer = (struct http_answer){.status = 200};
    run->seen = (struct http_call){
        .arena = call->arena,
        .db = call->route->flags & HTTP_NO_DB ? NULL : db,
        .principal = call->principal,
        .now = clock_now(call->server->settings.clock),
        .method = call->method,
        .path = call->path,
        .request_id = call->request_id,
        .body = run->body,
        .context = call->server->settings.context,
        .internal = call,
    };
}

/* Text of the answer, and whether the caller takes it. */
static struct error *finish(struct run *run)
{
    const struct http_answer *answer = &run->answer;
    struct arena *arena = run->call->arena;
    run->final = (struct kept_answer){
        .status = answer->status,
        .location = answer->location,
        .etag = answer->etag,
        .retry_after = answer->retry_after,
    };
    if (answer->body) {
        char *text = json_dumps(answer->body, JSON_COMPACT);
        if (!text)
            return error_new(ERR_INTERNAL, "the answer of %s is not JSON", run->call->route->pattern);
        arena_defer(arena, free, text);
        run->final.body = text;
        run->final.content_type = answer->content_type ? answer->content_type : "application/json";
    } else if (answer->bytes || answer->source) {
        run->final.content_type = answer->content_type ? answer->content_type : "application/octet-stream";
    }
    if (answer->source && !(run->call->route->flags & HTTP_STREAM))
        return error_new(ERR_INTERNAL, "%s answers with a source and is not marked",
                         run->call->route->pattern);
    const char *accept = call_header(run->call, "accept");
    if (run->final.content_type && !accept_allows(accept, run->final.content_type)) {
        run->status = 406;
        return error_new(ERR_INVALID, "it can be had as %s only", run->final.content_type);
    }
    return NULL;
}

/* The caller has this version already (GET only). */
static bool unchanged(const struct run *run, const struct response *response)
{
    const char *etags = call_header(run->call, "if-none-match");
    return etags && response->etag && response->status == 200 &&
           strcmp(run->call->route->method, "GET") == 0 && etag_listed(etags, response->etag, true);
}

static struct response *respond(struct run *run)
{
    const struct kept_answer *final = &run->final;
    struct response *response = response_new(final->status);
    if (final->etag)
        response_etag(response, final->etag);
    response_field(response, "cache-control", final->etag ? "private, no-cache" : "no-store");
    response_field(response, "location", final->location);
    if (final->retry_after)
        response_field(response, "retry-after", arena_printf(response->arena, "%d", final->retry_after));
    if (run->replayed)
        response_field(response, "idempotency-replayed", "true");
    if (unchanged(run, response)) {
        struct response *short_one = response_not_modified(response);
        response_unref(response);
        return short_one;
    }
    if (final->body)
        response_body(response, final->content_type, final->body, strlen(final->body), false);
    else if (run->answer.bytes && !run->replayed)
        response_made(response, final->content_type, run->answer.bytes, run->answer.length);
    else if (run->answer.source)
        response_streamed(response, final->content_type, (uint64_t)run->answer.source_length);
    else if (final->status != 204)
        response_field(response, "content-length", "0");
    if (run->answer.ranges)
        response_field(response, "accept-ranges", "bytes");
    response_field(response, "content-range", run->answer.content_range);
    if (run->answer.file_name)
        response_file_name(response, run->answer.file_name);
    return response;
}

static struct error *run_handler(struct run *run, struct db *db)
{
    see(run, db);
    TRY(run->call->route->handler(&run->seen, &run->answer));
    return finish(run);
}

static struct error *read_body(struct db *db, void *context)
{
    return run_handler(context, db);
}

/* Whether somebody still waits for the answer. */
static bool wanted(const struct run *run)
{
    const struct http_internal *call = run->call;
    return call->flow ? !flow_was_cut(call->flow) : !__atomic_load_n(&call->abandoned, __ATOMIC_RELAXED);
}

/* All of the source, to the stream. The head goes with the first piece, so that an error before it is told.
 */
static struct error *pull(struct run *run)
{
    struct http_internal *call = run->call;
    struct http_source *source = run->answer.source;
    struct buf piece BUF_AUTO = BUF_INIT(HTTP_PIECE_MAX);
    uint64_t told = (uint64_t)run->answer.source_length, given = 0;
    for (bool end = false; !end && wanted(run);) {
        buf_clear(&piece);
        TRY(source->next(source, &piece, &end));
        if (buf_overflowed(&piece))
            return error_new(ERR_INTERNAL, "%s: a piece beyond %zu bytes", call->route->pattern,
                             HTTP_PIECE_MAX);
        given += piece.length;
        if (told && (given > told || (end && given < told)))
            return error_new(ERR_INTERNAL, "%s: %llu bytes of %llu that were told", call->route->pattern,
                             (unsigned long long)given, (unsigned long long)told);
        if (!call->flow && (piece.length || end)) {
            call->flow = flow_new(call);
            flow_start(call->flow, respond(run));
        }
        if (piece.length && !flow_write(call->flow, piece.data, piece.length))
            return NULL;
        call->flow_whole = end;
    }
    return NULL;
}

static bool has_it(const struct run *run)
{
    struct response *head = response_new(run->final.status);
    if (run->final.etag)
        response_etag(head, run->final.etag);
    bool same = unchanged(run, head);
    response_unref(head);
    return same;
}

static struct error *stream_body(struct db *db, void *context)
{
    struct run *run = context;
    if (run->call->flow)
        return error_new(ERR_UNAVAILABLE, "what was being sent cannot be begun again");
    TRY(run_handler(run, db));
    bool sends = run->answer.source && strcmp(run->call->method, "HEAD") != 0 && !has_it(run);
    return sends ? pull(run) : NULL;
}

/* Where the handler names no unit, it is the caller's: its administrator reads there what was done. */
static struct error *record(struct run *run, struct db *db)
{
    const struct http_internal *call = run->call;
    const char *unit = run->answer.audit_unit;
    if (!unit && call->principal)
        unit = principal_unit(call->principal);
    const struct audit_entry entry = {
        .at = run->seen.now,
        .principal = call->principal ? principal_id(call->principal) : NULL,
        .action = call->route->permission ? call->route->permission : "none",
        .method = call->method,
        .path = call->path,
        .unit = unit,
        .cloud = run->answer.audit_cloud ? run->answer.audit_cloud : call_cloud(call),
        .subject = run->answer.audit_subject,
        .request_id = call->request_id,
        .status = run->answer.status,
    };
    return audit_add(db, &entry);
}

static struct error *write_body(struct db *db, void *context)
{
    struct run *run = context;
    struct http_internal *call = run->call;
    run->replayed = false;
    if (call->key) {
        struct kept_answer *kept = NULL;
        TRY(idempotency_claim(call, db, clock_now(call->server->settings.clock), run->body, &kept));
        if (kept) {
            run->final = *kept;
            run->replayed = true;
            return NULL;
        }
    }
    TRY(run_handler(run, db));
    TRY(db_pipeline_begin(db)); /* left open: COMMIT goes with it */
    TRY_DOING(record(run, db), "could not write the audit row");
    if (call->key)
        TRY_DOING(idempotency_keep(call, db, run->seen.now, &run->final), "could not keep the answer");
    return NULL;
}

static struct error *run_in(struct run *run, struct db *db)
{
    const struct http_internal *call = run->call;
    static const struct db_scope nobody = {0};
    const struct db_scope *scope = call->principal ? principal_scope(call->principal) : &nobody;
    TRY(parse_body(run));
    bool streams = call->route->flags & HTTP_STREAM;
    if ((call->route->flags & HTTP_NO_DB) || !db)
        return streams ? stream_body(NULL, run) : run_handler(run, NULL);
    if (streams)
        return db_transaction(db, scope, DB_SNAPSHOT, stream_body, run);
    if (strcmp(call->route->method, "GET") == 0)
        return db_transaction(db, scope, DB_READ_COMMITTED, read_body, run);
    TRY(db_transaction(db, scope, call->server->settings.isolation, write_body, run));
    feed_poke(call->server->feed);
    return NULL;
}

static void end_flow(struct run *run, const struct error *error, int64_t began)
{
    struct http_internal *call = run->call;
    call->flow_whole = call->flow_whole && !error;
    const char *end = call->flow_whole ? "whole" : error ? "failed" : "cut";
    if (error)
        log_error("http.stream.failed", LOG_TEXT("request", call->request_id), LOG_CAUSE(error));
    log_info("http.stream", LOG_TEXT("request", call->request_id), LOG_TEXT("path", call->path),
             LOG_TEXT("end", end), LOG_INT("bytes", (int64_t)flow_bytes(call->flow)),
             LOG_INT("us", moment_monotonic() - began));
}

void call_run(struct http_internal *call, struct db *db)
{
    struct run run = {.call = call};
    int64_t began = moment_monotonic();
    struct error *error = run_in(&run, db);
    if (call->flow) {
        end_flow(&run, error, began);
    } else if (!error) {
        call->response = respond(&run);
    } else {
        int status = run.status ? run.status : problem_status(error);
        call->response = problem_response(error, run.status, call->request_id);
        bool denied = status == 401 || status == 403 || status == 404;
        if (db && denied && denial_allowed(call->server)) {
            call->denied_permission = call->route->permission;
            call->denied_cloud = call_cloud(call);
            denial_write(call, db, status);
        }
    }
    error_free(error);
    drop_answer(&run);
}
