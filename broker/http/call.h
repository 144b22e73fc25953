/* Calls of handlers: made by the loop (front.c), run by a worker (transaction.c), answered by the loop. */
#ifndef BROKER_HTTP_CALL_H
#define BROKER_HTTP_CALL_H

#include "broker/http/inside.h"

/* For the stream's request line and header fields, which are copied: nghttp2's may not leave the loop. */
struct http_internal *call_new(struct stream *stream);
/* A header field of the call, or NULL. */
const char *call_header(const struct http_internal *call, const char *name);
/* The path's parameter {cloud}, or NULL: for the audit row. */
const char *call_cloud(const struct http_internal *call);

#endif
