/* Volumes: VMDK files in one folder of each datastore, named by the broker's id. */
#ifndef DRIVERS_VMWARE_VOLUME_H
#define DRIVERS_VMWARE_VOLUME_H

#include "drivers/vmware/machine.h"
#include "drivers/vmware/survey.h"

/* All volumes on the survey's datastores, attached where the survey says: one search per datastore. */
struct error *volume_list(struct driver_session *session, const struct driver_call *call,
                          const struct survey *survey, struct driver_volume **ret_volumes,
                          size_t *ret_count) ERROR_MUST_USE;
/* Takes the broker's volumes off a machine, keeping their files; nothing to do is success. */
struct error *volume_detach_all(struct driver_session *session, const struct driver_call *call,
                                const struct machine *machine) ERROR_MUST_USE;

struct error *vmware_volume_find(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key,
                                 struct driver_volume *ret_volume) ERROR_MUST_USE;
struct error *vmware_volume_create(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_volume_spec *spec,
                                   struct driver_volume *ret_volume) ERROR_MUST_USE;
struct error *vmware_volume_attach(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *volume,
                                   const struct driver_key *instance) ERROR_MUST_USE;
struct error *vmware_volume_detach(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *volume,
                                   const struct driver_key *instance) ERROR_MUST_USE;
struct error *vmware_volume_resize(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *volume, unsigned size_gb) ERROR_MUST_USE;
struct error *vmware_volume_delete(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *volume) ERROR_MUST_USE;

/* Writes a <deviceChange> for a disk: `operation` add, edit or remove. */
void disk_change(struct xml_request *request, const char *operation, const struct machine_disk *disk);

#endif
