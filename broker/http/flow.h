/* The body of a streamed answer on its way: a worker pulls it from the handler's source piece by piece
 * (transaction.c) and writes it into a bounded window, from which the stream's loop takes it as fast as the
 * peer does. Shared by the two and by mail under way; the last to let go frees it. */
#ifndef BROKER_HTTP_FLOW_H
#define BROKER_HTTP_FLOW_H

#include "broker/http/inside.h"

struct flow;

/* The worker's side. For the stream that waits for the call; the call outlives the worker's use. */
struct flow *flow_new(struct http_internal *call);
/* Answers the stream with `head`, whose reference it takes, and the body that is to come. */
void flow_start(struct flow *flow, struct response *head);
/* Waits while the window is full. False: nobody takes the rest (disconnected, reset, too slow, stopping). */
bool flow_write(struct flow *flow, const void *bytes, size_t length);
/* The end: the body is whole, or the stream is reset so that nobody takes a part for it. Lets go. */
void flow_finish(struct flow *flow, bool whole);
uint64_t flow_bytes(const struct flow *flow);

/* The loop's side. nghttp2's way of reading: bytes, NGHTTP2_ERR_DEFERRED while there are none, the end by
 * *flags, or a failure that resets the stream. */
ssize_t flow_read(struct flow *flow, uint8_t *bytes, size_t most, uint32_t *flags);
/* Whether bytes have been waiting for the peer for longer than `most_us`. */
bool flow_stalled(const struct flow *flow, int64_t now, int64_t most_us);
/* Nothing is taken any more, the stream is about to be reset; the worker is woken. */
void flow_cut(struct flow *flow);
bool flow_was_cut(struct flow *flow);
/* The stream is gone: wakes the worker, lets go. NULL is fine. */
void flow_close(struct flow *flow);

/* Nobody takes anything any more: wakes every worker, and those to come. */
void flows_cut(struct server *server);

#endif
