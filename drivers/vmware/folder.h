/* Files of datastores over HTTPS, with the session's cookie: https://PEER/folder/PATH?dcPath=…&dsName=…. The
 * content of a disk "[datastore] NAME.vmdk" is the file "NAME-flat.vmdk" beside it. A session that ended is
 * renewed, once for each request. */
#ifndef DRIVERS_VMWARE_FOLDER_H
#define DRIVERS_VMWARE_FOLDER_H

#include "drivers/vmware/session.h"

/* "[datastore] folder/NAME.vmdk" to that of its content; NULL when `file` is no disk's. */
const char *folder_flat(struct arena *arena, const char *file);

/* ERR_NOT_FOUND when there is no such file, ERR_BUSY when a host holds it locked. */
struct error *folder_size(struct driver_session *session, const struct driver_call *call, const char *file,
                          uint64_t *ret_size) ERROR_MUST_USE;
/* Exactly these bytes; repeated when the connection breaks. */
struct error *folder_read(struct driver_session *session, const struct driver_call *call, const char *file,
                          uint64_t offset, void *data, size_t length) ERROR_MUST_USE;

struct folder_upload {
    const char *file;
    uint64_t length;
    /* Bytes [offset, offset + size) of it; an error ends the upload. */
    struct error *(*read)(void *context, uint64_t offset, char *buffer, size_t size);
    void *context;
};
/* Puts the whole file in place of what was there, told as progress of the call. What lies there after a
 * failure is not known: it has to be repeated. */
struct error *folder_put(struct driver_session *session, const struct driver_call *call,
                         const struct folder_upload *upload) ERROR_MUST_USE;

#endif
