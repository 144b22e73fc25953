/* Events: rows written in the transaction of what they tell of (an outbox), streamed to callers by GET
 * /v1/events as server-sent events within their scope, resumable with Last-Event-ID. */
#ifndef BROKER_HTTP_EVENT_H
#define BROKER_HTTP_EVENT_H

#include "broker/base/moment.h"
#include "broker/db/db.h"

struct event {
    moment at;
    const char *type; /* "operation.progress", "resource.active", "drift.raised" */
    const char *unit; /* NULL: none; likewise the next three */
    const char *system;
    const char *cloud;
    const char *provider;
    const char *subject; /* id of the thing */
    const json_t *data;  /* object; NULL: {} */
};

/* Inside the caller's transaction. */
struct error *event_add(struct db *db, const struct event *event) ERROR_MUST_USE;

#endif
