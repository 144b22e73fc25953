/* The links between places that moves copy over, in this process: whatever goes from one site to another
 * shares one limit fairly (copy_link.h), what goes for one wave has that wave's limit within it, and each
 * move its own within that. How much a link carries is the table migration_link's (link_store.h).
 * Thread-safe. */
#ifndef FEDERATION_LINK_H
#define FEDERATION_LINK_H

#include <stdint.h>

#include "federation/copy_link.h"

struct links;
struct links *links_new(void);
/* After all ways were closed. NULL is fine. */
void links_free(struct links *links);

/* Bytes a second; 0: no limit. */
struct link_rates {
    uint64_t link, wave, move;
};

/* One move's way over a link. */
struct link_way;
/* `links` NULL: shared with nobody. `link` names the link, `wave` the wave's part of it; `wave` NULL: the
 * move is of none. Whoever came last is believed about the rates that are shared. `now` is
 * moment_monotonic's. */
struct link_way *link_way_open(struct links *links, const char *link, const char *wave,
                               const struct link_rates *rates, int64_t now);
/* For the copy engine; lives until the way is closed. NULL gives NULL. */
struct copy_link *link_way_link(struct link_way *way);
/* In force at once, for all that share them. NULL is fine. */
void link_way_set(struct link_way *way, const struct link_rates *rates, int64_t now);
/* After its passes. NULL is fine. */
void link_way_close(struct link_way *way);

#endif
