/* JSON as text, written straight into a buffer: for answers of many like rows, where a tree of them (json.h)
 * costs several times what they say. Whoever writes opens and closes in pairs; commas come by themselves.
 * Names are the program's own and need no escaping. */
#ifndef BROKER_BASE_JSON_WRITE_H
#define BROKER_BASE_JSON_WRITE_H

#include <jansson.h>
#include <stdint.h>

#include "broker/base/buf.h"

/* `name` NULL: an item of an array, or the whole text. */
void json_write_object(struct buf *buf, const char *name);
void json_write_object_end(struct buf *buf);
void json_write_array(struct buf *buf, const char *name);
void json_write_array_end(struct buf *buf);
void json_write_text(struct buf *buf, const char *name, const char *text); /* NULL: the member is left out */
void json_write_int(struct buf *buf, const char *name, int64_t value);
void json_write_yuan(struct buf *buf, const char *name, int64_t fen); /* "14.02" */
/* Every member of `object`, into the object that is open. */
void json_write_members(struct buf *buf, const json_t *object);

#endif
