/* The fence: a fenced machine asks for more CPU than any host has, so that no host admits it, whoever powers
 * it on; what it asked for before is kept as a mark. README.md says why this and nothing else. */
#ifndef DRIVERS_VMWARE_FENCE_H
#define DRIVERS_VMWARE_FENCE_H

#include "drivers/vmware/machine.h"

#define FENCE_MHZ INT64_C(1000000000) /* a million of GHz */

/* Whether the provider holds it, not only our mark. */
bool fence_holds(const struct machine *machine);
/* Writes the fence into a ConfigSpec, `before` being the machine's own reservation. */
void fence_put(struct xml_request *request, struct arena *arena, int64_t before);
/* ERR_CONFLICT when the machine has the mark of a fence. */
struct error *fence_check(const struct machine *machine) ERROR_MUST_USE;

struct error *vmware_instance_fence(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_key *key) ERROR_MUST_USE;
struct error *vmware_instance_release(struct driver_session *session, const struct driver_call *call,
                                      const struct driver_key *key) ERROR_MUST_USE;

#endif
