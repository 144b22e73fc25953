/* Keyset cursors of lists whose key has several parts: parts joined by '|', which none of our ids holds. */
#ifndef METERING_CURSOR_H
#define METERING_CURSOR_H

#include <stddef.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"

/* Splits into exactly `count` parts; else ERR_INVALID "page_token". */
struct error *cursor_split(struct arena *arena, const char *cursor, const char **ret_parts,
                           size_t count) ERROR_MUST_USE;

#endif
