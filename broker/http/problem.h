/* Errors as application/problem+json (RFC 9457): the one place where error codes become HTTP statuses. */
#ifndef BROKER_HTTP_PROBLEM_H
#define BROKER_HTTP_PROBLEM_H

#include <jansson.h>

#include "broker/base/error.h"
#include "broker/http/response.h"

/* The status of an error by its code; ERR_INVALID with a detail about a query member ("?name") is 400. */
int problem_status(const struct error *error);

/* The problem as an object of its own, the caller's: for answers that tell of several things, some of which
 * failed. `status` 0: problem_status. */
json_t *problem_json(struct arena *arena, const struct error *error, int status);

/* `status` 0: problem_status. Causes of 500 and of unreachable peers are not told to the caller: they are
 * logged once, with the request id that the answer names as its instance. */
struct response *problem_response(const struct error *error, int status, const char *request_id);

#endif
