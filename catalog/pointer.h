/* JSON pointers (RFC 6901) of members whose names come from a caller. */
#ifndef CATALOG_POINTER_H
#define CATALOG_POINTER_H

#include "broker/base/arena.h"

/* `parent`, "/" and the name with ~ and / escaped; a long name is cut to POINTER_NAME_MAX bytes. In the
 * arena. */
#define POINTER_NAME_MAX 100
const char *pointer_member(struct arena *arena, const char *parent, const char *name);

#endif
