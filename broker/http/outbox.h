/* Reading the outbox of events (schema/0300_http.sql): in the one order in which nothing is ever skipped.
 * Used by the feed alone. */
#ifndef BROKER_HTTP_OUTBOX_H
#define BROKER_HTTP_OUTBOX_H

#include "broker/base/arena.h"
#include "broker/db/db.h"
#include "broker/http/event_stream.h"

struct outbox_event {
    struct event_place place;
    const char *type;
    const char *unit, *system, *cloud, *provider; /* NULL: none */
    const char *text;                             /* as a server-sent event */
    size_t length;
};

struct outbox_page {
    struct outbox_event *events;
    size_t count;
};

/* Where "from now on" begins: every event of a transaction that is still running or yet to come lies after
 * it.
 */
struct error *outbox_head(struct db *db, struct event_place *ret_place) ERROR_MUST_USE;
/* Settled events after `from`, oldest first, at most `most`; in the arena. */
struct error *outbox_read(struct db *db, struct arena *arena, struct event_place from, int64_t most,
                          struct outbox_page *ret_page) ERROR_MUST_USE;
/* Whether an event with this place is (still) there. */
struct error *outbox_has(struct db *db, struct event_place place, bool *ret_there) ERROR_MUST_USE;
struct error *outbox_purge(struct db *db, moment before, int64_t most, int64_t *ret_purged) ERROR_MUST_USE;

static inline bool place_after(struct event_place a, struct event_place b)
{
    return a.tx > b.tx || (a.tx == b.tx && a.id > b.id);
}

#endif
