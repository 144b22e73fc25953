/* Audit rows of denied calls: 401, 403, and 404 for what lies outside the caller's scope. Written by a worker
 * in a transaction of their own, at most limits.denied_audit_second a second for the whole server, so that
 * nobody fills the trail by knocking; how many more there were is logged. */
#ifndef BROKER_HTTP_DENIAL_H
#define BROKER_HTTP_DENIAL_H

#include "broker/http/inside.h"

/* On the loop. `permission` NULL: the resource needs none; `cloud` NULL: the path names none. */
void denial_record(struct stream *stream, const char *permission, struct principal *principal,
                   const char *cloud, int status);
/* On a worker: whether one more row may be written now. */
bool denial_allowed(struct server *server);
/* On a worker: writes the row of a denied call. Failures are logged. */
void denial_write(struct http_internal *call, struct db *db, int status);

#endif
