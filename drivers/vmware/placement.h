/* Where a new machine goes, by the endpoint's options and a survey. */
#ifndef DRIVERS_VMWARE_PLACEMENT_H
#define DRIVERS_VMWARE_PLACEMENT_H

#include "drivers/vmware/machine.h"
#include "drivers/vmware/survey.h"

struct placement {
    struct moref image, folder, pool, datastore;
    const char *datastore_name;
    const struct survey_network *network;
    const char *switch_uuid;
};

/* "NAME-" and the first digits of the id. */
const char *placement_name(struct arena *arena, const char *name, const char *id);
struct error *placement_pool(const struct driver_session *session, const struct survey *survey,
                             struct moref *ret_pool) ERROR_MUST_USE;
struct error *placement_folder(const struct driver_session *session, const struct survey *survey,
                               struct moref *ret_folder) ERROR_MUST_USE;
struct error *placement_network(const struct survey *survey, const char *name,
                                struct placement *placement) ERROR_MUST_USE;
struct error *placement_architecture(const struct survey *survey, const char *architecture) ERROR_MUST_USE;
/* Writes a network card's backing. */
void placement_put_network(struct xml_request *request, const struct placement *placement);

#endif
