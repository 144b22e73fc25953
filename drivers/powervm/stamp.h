/* The broker's id on an HMC's objects. A partition's name has at most 31 characters, is unique on its system
 * and kept through every change, so the id lives in it: "yq-" and the UUID's 128 bits in 26 digits of
 * lower-case base 32 (RFC 4648, without padding). Logical units of a shared storage pool may have longer
 * names: "yqb-" (boot disk of an instance) or "yqv-" (volume) and the UUID as it is. Being functions of the
 * id alone, names found by a repeated create are the ones that the first attempt gave. */
#ifndef DRIVERS_POWERVM_STAMP_H
#define DRIVERS_POWERVM_STAMP_H

#include "broker/base/arena.h"

#define STAMP_BOOT "yqb-"
#define STAMP_VOLUME "yqv-"

/* `id` is a lower-case UUID. */
const char *stamp_partition(struct arena *arena, const char *id);
const char *stamp_unit(struct arena *arena, const char *prefix, const char *id);
/* The id in a name, or NULL when the broker did not give it. */
const char *stamp_of_partition(struct arena *arena, const char *name);
const char *stamp_of_unit(struct arena *arena, const char *prefix, const char *name);

#endif
