/* The bandwidth of a link, shared by the passes that use it in this process: each that wants to send gets the
 * same, what one leaves the others get, and the limit may change while they run. Time is passed in
 * (moment_monotonic). Thread-safe. */
#ifndef FEDERATION_COPY_LINK_H
#define FEDERATION_COPY_LINK_H

#include <stdint.h>

struct copy_link;
struct copy_flow; /* one pass on a link */

#define COPY_LINK_WAIT_MAX INT64_C(100000) /* µs: how late a pass notices that the limit was changed */

/* 0 bytes a second means no limit. */
struct copy_link *copy_link_new(uint64_t bytes_per_second);
/* One whose flows go over `above` too, which outlives it, and count on both; NULL: copy_link_new. */
struct copy_link *copy_link_under(struct copy_link *above, uint64_t bytes_per_second);
/* After all flows left. */
void copy_link_free(struct copy_link *link);
void copy_link_set_rate(struct copy_link *link, uint64_t bytes_per_second, int64_t now);
uint64_t copy_link_rate(struct copy_link *link);

/* NULL gives NULL: no link, no limit. */
struct copy_flow *copy_link_join(struct copy_link *link);
void copy_flow_leave(struct copy_flow *flow);
/* 0: the bytes may be sent, and are counted. Else: ask again after that many µs, at most COPY_LINK_WAIT_MAX.
 */
int64_t copy_flow_take(struct copy_flow *flow, uint64_t bytes, int64_t now);

#endif
