/* What the engine's files (manifest, progress) need of the file system. */
#ifndef FEDERATION_COPY_FILE_H
#define FEDERATION_COPY_FILE_H

#include <stddef.h>

#include "broker/base/error.h"

/* ERR_IO (ERR_NO_CAPACITY when the file system is full) from errno: "could not DOING PATH: why". */
struct error *copy_file_error(const char *doing, const char *path) ERROR_MUST_USE;
/* Makes a new or renamed name of the folder of `path` durable. */
struct error *copy_file_sync_folder(const char *path) ERROR_MUST_USE;
/* All of the bytes, or ERR_IO. */
struct error *copy_file_write(int file, const char *path, const void *bytes, size_t length) ERROR_MUST_USE;

#endif
