/* Route tables (http.h) compiled once, asked for every request. Literal segments win over {parameters}. A
 * verb
 * (":start") belongs to the last segment; a parameter there never matches an unencoded ":", so an unknown
 * verb is no resource. */
#ifndef BROKER_HTTP_ROUTER_H
#define BROKER_HTTP_ROUTER_H

#include "broker/base/arena.h"
#include "broker/base/error.h"
#include "broker/http/http.h"
#include "broker/http/target.h"

struct router;

/* ERR_INVALID names the first route that is malformed: no handler or method, a bad pattern, no permission
 * without HTTP_PUBLIC, HTTP_NO_DB on a write, HTTP_KEYED on another method than POST, HTTP_EVENTS or
 * HTTP_BYTES without a body or with HTTP_KEYED, or the same method and shape of pattern twice. */
struct error *router_new(const struct http_table *const *tables, size_t count,
                         struct router **ret_router) ERROR_MUST_USE;
void router_free(struct router *router);

struct router_match {
    const struct http_route *route; /* NULL: the resource exists, but not with this method */
    const char *allow;              /* "GET, HEAD, OPTIONS, POST"; lives as long as the router */
    const char *names[HTTP_PARAMS_MAX];
    const char *values[HTTP_PARAMS_MAX]; /* decoded, in the arena */
    size_t param_count;
};

/* ERR_NOT_FOUND when no pattern matches; ERR_INVALID (400) when a parameter does not decode. HEAD finds the
 * GET route. */
struct error *router_find(const struct router *router, struct arena *arena, const char *method,
                          const struct target *target, struct router_match *ret_match) ERROR_MUST_USE;

/* Whether the comma-joined list of a route's `query` holds the name. */
bool router_takes(const struct http_route *route, const char *name);

#endif
