/* Ids: UUID version 7, lower case, time-ordered by the system's clock so that keys of new rows stay together.
 */
#ifndef BROKER_BASE_ID_H
#define BROKER_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/base/arena.h"

#define ID_TEXT 37 /* 36 characters and the end */

void id_new(char id[ID_TEXT]);
const char *id_new_in(struct arena *arena);
bool id_valid(const char *text);
/* [a-z0-9]([a-z0-9-]*[a-z0-9])?, 1..most characters: clouds, providers, units, systems, names of things. */
bool name_valid(const char *text, size_t most);
/* Cryptographically random bytes; ends the process when the kernel gives none. */
void random_bytes(void *bytes, size_t length);

#endif
