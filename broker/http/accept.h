/* Media types: what a caller accepts and what it sends (RFC 9110, sections 8.3 and 12.5.1). Pure. */
#ifndef BROKER_HTTP_ACCEPT_H
#define BROKER_HTTP_ACCEPT_H

#include <stdbool.h>

/* Whether the Accept header (NULL: anything) lets an answer of this type through. The most specific range
 * decides; q=0 refuses. */
bool accept_allows(const char *accept, const char *content_type);
/* application/json or application/…+json, with no other charset than UTF-8. */
bool media_is_json(const char *content_type);

/* How a body holds CloudEvents 1.0 (JSON format; HTTP_EVENTS in http.h). */
enum media_events {
    MEDIA_EVENTS_NONE,  /* another type, or another charset than UTF-8 */
    MEDIA_EVENTS_ONE,   /* application/cloudevents+json */
    MEDIA_EVENTS_BATCH, /* application/cloudevents-batch+json: an array, which may be empty */
    MEDIA_EVENTS_LINES, /* application/x-ndjson: an event a line */
};
enum media_events media_events_of(const char *content_type);

#endif
