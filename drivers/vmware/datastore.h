/* Folders and disks' files on datastores, whoever uses them. */
#ifndef DRIVERS_VMWARE_DATASTORE_H
#define DRIVERS_VMWARE_DATASTORE_H

#include "drivers/vmware/session.h"

/* Makes a folder "[datastore] path" with those above it; one that is there already is success. */
struct error *datastore_folder(struct driver_session *session, const struct driver_call *call,
                               const char *path) ERROR_MUST_USE;
/* A disk with all that it stands on, as one file of its own, over what may lie there. */
struct error *datastore_copy_disk(struct driver_session *session, const struct driver_call *call,
                                  const char *from, const char *to) ERROR_MUST_USE;
/* Gone is success. */
struct error *datastore_delete_disk(struct driver_session *session, const struct driver_call *call,
                                    const char *file) ERROR_MUST_USE;

#endif
