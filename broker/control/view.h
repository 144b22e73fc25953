/* Answers made of the database's views: every list and every single thing of the API is a statement that
 * gives rows of (key text, version bigint, body jsonb). */
#ifndef BROKER_CONTROL_VIEW_H
#define BROKER_CONTROL_VIEW_H

#include "broker/http/http.h"

/* A page: {"NOUN": […], "next_page_token"?}, NOUN being the last segment of the path: "clouds". The
 * statement's $1 is the cursor (a key, '' from the start), $2 the most rows; `filters` follow from $3. Rows
 * come in the order of their key. */
struct error *view_list(struct http_call *call, const struct db_statement *statement,
                        const struct db_value *filters, size_t count,
                        struct http_answer *ret_answer) ERROR_MUST_USE;

/* The same where keys are UUIDs: any other cursor, made up by the caller, is refused. */
struct error *view_list_by_id(struct http_call *call, const struct db_statement *statement,
                              const struct db_value *filters, size_t count,
                              struct http_answer *ret_answer) ERROR_MUST_USE;

/* One thing with its version as ETag; none is ERR_NOT_FOUND "no WHAT". */
struct error *view_one(struct http_call *call, const struct db_statement *statement,
                       const struct db_value *values, size_t count, const char *what,
                       struct http_answer *ret_answer) ERROR_MUST_USE;

/* view_one for what was just made: 201 (or `status`) with Location `location`. */
struct error *view_made(struct http_call *call, const struct db_statement *statement,
                        const struct db_value *values, size_t count, const char *what, int status,
                        const char *location, struct http_answer *ret_answer) ERROR_MUST_USE;

/* A path parameter that must be a UUID: anything else names nothing (ERR_NOT_FOUND "no such NAME"). */
struct error *view_id(const struct http_call *call, const char *name) ERROR_MUST_USE;

/* The ETag of a version. */
const char *view_etag(struct arena *arena, int64_t version);

#endif
