/* Placement: whether a resource may go onto the cloud that was chosen for it, and onto which endpoint, with
 * the reason when not. The rules are pure (placement.c); the facts come from one row per resource
 * (placement_store.c). Room is checked afterwards, under a lock, by quota.h. */
#ifndef BROKER_CONTROL_PLACEMENT_H
#define BROKER_CONTROL_PLACEMENT_H

#include "broker/base/moment.h"
#include "broker/db/db.h"

/* What decides; text lives in the arena, NULL: there is none. */
struct placement_facts {
    const char *unit_kind, *unit_state;
    bool insurance; /* the system's */
    const char *cloud_kind, *cloud_state, *cloud_reason, *provider;
    const char *zone_kind; /* NULL: the cloud has no such zone */
    const char *endpoint, *network;
    bool endpoint_enabled;
    unsigned architectures; /* of its hosts, bits of enum driver_architecture; 0: not known yet */
    bool image_known;
    const char *image_architecture;
    int64_t image_size_gb;
};

/* What is asked. `cloud`, `zone` and `image` are names as the order gave them. */
struct placement_wish {
    const char *kind, *cloud, *zone;
    const char *image, *architecture; /* of an instance */
    int64_t system_disk_gb;
    bool imported; /* it brings its disks: there is no image */
};

/* *ret_found false: the cloud does not exist. */
struct error *placement_load(struct db *db, struct arena *arena, const char *unit, const char *system,
                             const struct placement_wish *wish, bool *ret_found,
                             struct placement_facts *ret_facts) ERROR_MUST_USE;

/* Every rule that is broken, as details below `pointer` ("/resources/0"), collected in *errors. */
void placement_check(const struct placement_wish *wish, const struct placement_facts *facts,
                     const char *pointer, struct error **errors);

/* Whether a hypervisor makes things of this kind; else the provider's operator does (fulfilment.h), or the
 * broker alone. */
bool placement_needs_endpoint(const char *kind);

#endif
