/* The folder of an export or import on the broker's disk, and what every step does with files. */
#ifndef FEDERATION_TRANSFER_FOLDER_H
#define FEDERATION_TRANSFER_FOLDER_H

#include "broker/base/digest.h"
#include "broker/jobs/job.h"
#include "federation/services.h"
#include "federation/transfer.h"

/* TRANSFER_DIR/ID, in the arena. */
const char *transfer_folder(const struct federation_services *services, const char *id, struct arena *arena);
/* Of 0700, for the user of the children (transfer_child.h). There already is success. */
struct error *transfer_folder_make(const struct federation_services *services,
                                   const char *folder) ERROR_MUST_USE;
/* With all that is in it. Gone already is success. */
struct error *transfer_folder_remove(const char *folder) ERROR_MUST_USE;
/* A file in it. Gone already is success. */
struct error *transfer_file_remove(const char *folder, const char *name) ERROR_MUST_USE;
/* An empty file of 0600 for the children's user, or the one that is there. *ret_fd is the caller's. */
struct error *transfer_file_open(const struct federation_services *services, const char *folder,
                                 const char *name, int *ret_fd) ERROR_MUST_USE;
/* ERR_NO_CAPACITY when the file system has no room for so many bytes more. */
struct error *transfer_folder_fits(const char *folder, uint64_t bytes) ERROR_MUST_USE;

/* Name, size and digests of what is in the file now. ERR_CANCELLED with `job` (which may be NULL). */
struct error *transfer_digest(const char *folder, const char *name, struct job *job, struct arena *arena,
                              struct transfer_file *ret_file) ERROR_MUST_USE;
/* "No space left on device" is ERR_NO_CAPACITY, everything else ERR_IO. */
struct error *transfer_io_error(const char *doing, const char *name) ERROR_MUST_USE;

#endif
