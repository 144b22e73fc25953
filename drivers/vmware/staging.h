/* The broker's own folder for exports: sockets of those that are served, and sparse files in which disks are
 * put together before they are uploaded. A staging file is named after its export and outlives the broker;
 * sockets of brokers that are gone are removed. */
#ifndef DRIVERS_VMWARE_STAGING_H
#define DRIVERS_VMWARE_STAGING_H

#include "drivers/nbd_server.h"
#include "drivers/vmware/session.h"

/* Makes the folder (0700) when there is none; ERR_INVALID when it is another user's. */
struct error *staging_folder(const struct driver_session *session, struct arena *arena,
                             const char **ret_folder) ERROR_MUST_USE;
const char *staging_socket(struct arena *arena, const char *folder, const char *export_id, size_t index);

/* A file of this export and disk. */
const char *staging_path(struct arena *arena, const char *folder, const char *export_id, const char *disk);
bool staging_exists(const char *path);
/* ERR_NO_CAPACITY when the folder's file system has less than `bytes` free. */
struct error *staging_room(const char *folder, uint64_t bytes) ERROR_MUST_USE;
/* Makes it, `size` bytes of zeros, unless it is there. `fill` (may be NULL) puts content into it before it
 * appears under its name. */
typedef struct error *staging_fill(void *context, int file);
struct error *staging_make(const char *path, uint64_t size, staging_fill *fill, void *context) ERROR_MUST_USE;
/* For reading. */
struct error *staging_open(const char *path, int *ret_file) ERROR_MUST_USE;
void staging_remove(const char *path);

/* The backend of an NBD server over such a file; `path` outlives the server. */
void staging_backend(const char *path, uint64_t size, struct nbd_backend *ret_backend);

/* Writes all of it at the offset, leaving zeros as holes. */
struct error *staging_write(int file, uint64_t offset, const void *data, size_t length) ERROR_MUST_USE;

#endif
